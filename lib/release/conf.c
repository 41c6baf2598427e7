// SPDX-License-Identifier: Apache-2.0
// The settings that EBB_CONF holds: see conf.h. Library world; pure.
#include "release/conf.h"

#include <errno.h>

#include "release/scan.h"

// One second is short against what people watch, and long against the spikes of a server.
void conf_default(struct conf *conf)
{
    *conf = (struct conf){
        .policy = WIRE_POLICY_AUTO,
        .return_within_ms = 1000,
        .has_helper = true,
    };
}

// Each of these takes the whole value, or refuses and has set nothing.
static bool read_policy(struct conf *conf, struct scan value)
{
    static const char names[][10] = {
        [WIRE_POLICY_AUTO] = "auto",
        [WIRE_POLICY_FREE] = "free",
        [WIRE_POLICY_DONTNEED] = "dontneed",
        [WIRE_POLICY_KEEP] = "keep",
    };
    for (unsigned i = WIRE_POLICY_AUTO; i <= WIRE_POLICY_KEEP; i++) {
        if (scan_is(value, names[i])) {
            conf->policy = (enum wire_policy)i;
            return true;
        }
    }
    return false;
}

// "500", "500ms", "2s": a bare number is milliseconds.
static bool read_within(struct conf *conf, struct scan value)
{
    // Bounded before the product, which would not fit otherwise.
    uint64_t time;
    if (!scan_decimal(&value, &time) || time > CONF_WITHIN_MAX_MS)
        return false;
    if (scan_is(value, "s"))
        time *= 1000;
    else if (value.len && !scan_is(value, "ms"))
        return false;
    if (time < CONF_WITHIN_MIN_MS || time > CONF_WITHIN_MAX_MS)
        return false;
    conf->return_within_ms = (uint32_t)time;
    return true;
}

// Sizes as people write them for cgroups: 512M is 512 MiB.
static bool read_limit(struct conf *conf, struct scan value)
{
    uint64_t bytes;
    if (!scan_decimal(&value, &bytes))
        return false;
    unsigned shift = 0;
    if (scan_is(value, "K"))
        shift = 10;
    else if (scan_is(value, "M"))
        shift = 20;
    else if (scan_is(value, "G"))
        shift = 30;
    else if (value.len)
        return false;
    if (bytes > UINT64_MAX >> shift)
        return false;
    conf->limit_bytes = bytes << shift;
    return true;
}

// One allocation in so many stands between guard pages; 0 and "off" are none.
static bool read_guard(struct conf *conf, struct scan value)
{
    uint64_t one_in = 0;
    if (!scan_is(value, "off") &&
        (!scan_decimal(&value, &one_in) || value.len || one_in > UINT32_MAX))
        return false;
    conf->guard_one_in = (uint32_t)one_in;
    return true;
}

// Every switch can be turned off by a later item, which wins.
static bool read_switch(bool *target, struct scan value, const char *on)
{
    if (!scan_is(value, on) && !scan_is(value, "off"))
        return false;
    *target = scan_is(value, on);
    return true;
}

// An item that is not known is wrong as a whole: a slip must not pass for a setting.
static bool read_item(struct conf *conf, struct scan item)
{
    if (scan_take(&item, "policy:"))
        return read_policy(conf, item);
    if (scan_take(&item, "return_within:"))
        return read_within(conf, item);
    if (scan_take(&item, "limit:"))
        return read_limit(conf, item);
    if (scan_take(&item, "helper:"))
        return read_switch(&conf->has_helper, item, "on");
    if (scan_take(&item, "trace:"))
        return read_switch(&conf->traces_purges, item, "purge");
    if (scan_take(&item, "guard:"))
        return read_guard(conf, item);
    return false;
}

// Commas separate; empty items are fine, and the last of two alike wins.
int conf_read(struct conf *conf, const char *text, size_t len, const char **wrong,
              size_t *wrong_len)
{
    int result = 0;
    struct scan left = {text, len};
    while (left.len) {
        struct scan item = scan_until(&left, ',');
        if (item.len == 0 || read_item(conf, item) || result)
            continue;
        // One is named, and the rest is not given up for it: a program starts all the same.
        result = -EINVAL;
        *wrong = item.at;
        *wrong_len = item.len;
    }
    return result;
}
