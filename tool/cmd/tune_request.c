// SPDX-License-Identifier: Apache-2.0
// The options of `ebb tune` as a request, see tune_request.h. Tool world; pure.
#include "cmd/tune_request.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/libebb/ledger.h"

enum { RETURN_WITHIN_MIN_MS = 10, RETURN_WITHIN_MAX_MS = 3600000 };
// A million times the live heap: more is off, which has a word of its own.
enum { PERCENT_MAX = 100000000 };

static const uint64_t ns_per_ms = 1000000;

// What nobody means is a slip of the keyboard.
int tune_parse_percent(struct text text, int64_t *ret_percent)
{
    // As readGOGC() takes it, but for numbers without a meaning.
    uint64_t percent;
    if (text_equals(text, "off")) {
        *ret_percent = -1;
        return 0;
    }
    // Without a percent sign, as GOGC itself is written.
    if (options_parse_count(text, &percent) != 0 || percent > PERCENT_MAX)
        return -EINVAL;
    *ret_percent = (int64_t)percent;
    return 0;
}

// 0 would make the collector run all the time, and Go takes no negative one.
int tune_parse_limit(struct text text, int64_t *ret_bytes)
{
    uint64_t bytes;
    // Go's own value for no limit. Source: runtime/debug.SetMemoryLimit.
    if (text_equals(text, "off")) {
        *ret_bytes = INT64_MAX;
        return 0;
    }
    if (options_parse_size(text, &bytes) != 0 || bytes == 0 || bytes > INT64_MAX)
        return -EINVAL;
    *ret_bytes = (int64_t)bytes;
    return 0;
}

// A time that is not 0 and less than a millisecond would become "now" unseen.
int tune_parse_decay(struct text text, int64_t *ret_ms)
{
    uint64_t ns;
    if (text_equals(text, "off") || text_equals(text, "now")) {
        // jemalloc's own: -1 never, 0 at once. Source: jemalloc(3), opt.dirty_decay_ms.
        *ret_ms = text_equals(text, "off") ? -1 : 0;
        return 0;
    }
    if (options_parse_duration(text, &ns) != 0 || (ns > 0 && ns < ns_per_ms))
        return -EINVAL;
    *ret_ms = (int64_t)(ns / ns_per_ms);
    return 0;
}

// The bounds are those of ebb_set_return_within(), see include/ebb/ebb.h.
int tune_parse_return_within(struct text text, int64_t *ret_ms)
{
    uint64_t ns;
    if (options_parse_duration(text, &ns) != 0 || ns / ns_per_ms < RETURN_WITHIN_MIN_MS ||
        ns / ns_per_ms > RETURN_WITHIN_MAX_MS)
        return -EINVAL;
    *ret_ms = (int64_t)(ns / ns_per_ms);
    return 0;
}

// Names come back in reports and in commands to type: nothing that a shell would read otherwise.
static bool is_name(struct text name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.data[i];
        if (!islower(byte) && !isdigit(byte) && byte != '_' && byte != '.')
            return false;
    }
    return name.len > 0 && name.len < TUNE_NAME_MAX;
}

// One NAME=VALUE.
static int parse_setting(struct text item, struct tune_setting *ret_setting)
{
    struct text name;
    uint64_t value;
    if (!text_next_field(&item, '=', &name) || !is_name(name))
        return -EINVAL;
    // The only negative number that any of them takes.
    bool is_minus_one = text_equals(item, "-1");
    if (!is_minus_one && (options_parse_size(item, &value) != 0 || value > INT64_MAX))
        return -EINVAL;
    *ret_setting = (struct tune_setting){.value = is_minus_one ? -1 : (int64_t)value};
    text_copy(name, ret_setting->name, sizeof ret_setting->name);
    return 0;
}

// One option rather than a repeated one, as GLIBC_TUNABLES and MALLOC_CONF have their lists.
int tune_parse_settings(struct text text, struct tune_settings *ret_settings)
{
    struct tune_settings settings = {0};
    struct text item;
    while (text_next_field(&text, ',', &item)) {
        if (settings.count == TUNE_SETTINGS_MAX)
            return -E2BIG;
        int error = parse_setting(item, &settings.items[settings.count++]);
        if (error)
            return error;
    }
    if (settings.count == 0)
        return -EINVAL;
    *ret_settings = settings;
    return 0;
}

// The sentence about a value; values may hold any byte, so they are not repeated.
static int refuse(char *ret_error, const char *option, const char *wanted)
{
    snprintf(ret_error, OPTIONS_ERROR_MAX, "--%s wants %s", option, wanted);
    return -EINVAL;
}

// The table has checked the words already.
static void take_switch(const struct options *options, const char *name,
                        enum tune_switch *ret_value)
{
    // Not given is neither on nor off.
    const struct option_value *value = options_get(options, name);
    if (value->given)
        *ret_value = strcmp(value->string, "on") == 0 ? TUNE_ON : TUNE_OFF;
}

// A value that was not given stays as it is in the target.
static int take_number(const struct options *options, const char *name,
                       int (*parse)(struct text, int64_t *), const char *wanted,
                       struct tune_number *number, char *ret_error)
{
    const struct option_value *value = options_get(options, name);
    if (!value->given)
        return 0;
    if (parse(text_of(value->string), &number->value) != 0)
        return refuse(ret_error, name, wanted);
    number->is_given = true;
    return 0;
}

// The same for lists.
static int take_settings(const struct options *options, const char *name, const char *wanted,
                         struct tune_settings *settings, char *ret_error)
{
    const struct option_value *value = options_get(options, name);
    if (!value->given)
        return 0;
    int error = tune_parse_settings(text_of(value->string), settings);
    return error ? refuse(ret_error, name, wanted) : 0;
}

// The table has checked the word: it is one of the policies.
static void take_policy(const struct options *options, unsigned *ret_policy)
{
    const struct option_value *value = options_get(options, "policy");
    for (unsigned i = 0; value->given && i <= WIRE_POLICY_KEEP; i++)
        if (libebb_policy_name(i) && strcmp(libebb_policy_name(i), value->string) == 0)
            *ret_policy = i;
}

// mallopt()'s names and limits are known here already: a slip costs no reading.
static int check_mallopt(const struct tune_settings *settings, char *ret_error)
{
    for (size_t i = 0; i < settings->count; i++) {
        int parameter;
        int error = tune_mallopt_check(&settings->items[i], &parameter);
        if (error == -ENOENT)
            return refuse(ret_error, "mallopt",
                          "trim_threshold, top_pad, mmap_threshold, mmap_max or arena_max");
        if (error) {
            snprintf(ret_error, OPTIONS_ERROR_MAX, "--mallopt: mallopt() does not take this %s",
                     settings->items[i].name);
            return error;
        }
    }
    return 0;
}

// In the order of the help, so that the first slip of a line is the one that is told.
int tune_request_parse(const struct options *options, struct tune_request *ret_request,
                       char ret_error[OPTIONS_ERROR_MAX])
{
    // One sentence for both decay times.
    static const char decay[] = "a duration from 1ms on, now or off";
    struct tune_number within = {0};
    struct tune_request request = {.is_forced = options_flag(options, "force")};
    take_switch(options, "madv-free", &request.madv_free);
    take_switch(options, "background-thread", &request.background_thread);
    int error = take_number(options, "gogc", tune_parse_percent, "a percentage or off",
                            &request.gogc, ret_error);
    if (!error)
        error = take_number(options, "memory-limit", tune_parse_limit, "a size or off",
                            &request.memory_limit, ret_error);
    if (!error)
        error = take_number(options, "dirty-decay", tune_parse_decay, decay,
                            &request.dirty_decay_ms, ret_error);
    if (!error)
        error = take_number(options, "muzzy-decay", tune_parse_decay, decay,
                            &request.muzzy_decay_ms, ret_error);
    if (!error)
        error = take_settings(options, "mallopt", "NAME=NUMBER, several with commas",
                              &request.mallopt, ret_error);
    if (!error)
        error = take_settings(options, "option", "NAME=NUMBER, several with commas",
                              &request.options, ret_error);
    if (!error)
        error = check_mallopt(&request.mallopt, ret_error);
    if (!error)
        error = take_number(options, "return-within", tune_parse_return_within,
                            "a duration from 10ms to 1h", &within, ret_error);
    if (error)
        return -EINVAL;
    // After all checks: a refused line has changed nothing of the request.
    take_policy(options, &request.policy);
    request.return_within_ms = (uint32_t)within.value;
    *ret_request = request;
    return 0;
}

// Without one, ebb only looks.
bool tune_request_has_change(const struct tune_request *request)
{
    return request->madv_free != TUNE_KEEP || request->background_thread != TUNE_KEEP ||
           request->gogc.is_given || request->memory_limit.is_given ||
           request->dirty_decay_ms.is_given || request->muzzy_decay_ms.is_given ||
           request->mallopt.count > 0 || request->options.count > 0 || request->policy != 0 ||
           request->return_within_ms != 0;
}
