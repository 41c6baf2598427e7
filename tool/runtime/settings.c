// SPDX-License-Identifier: Apache-2.0
// Parsers of allocators' settings, see settings.h. Tool world; pure, no state.
#include "runtime/settings.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

// Source: the switch of conf_next(), which takes letters, digits and '_'.
static bool is_key_byte(char byte)
{
    return isalnum((unsigned char)byte) || byte == '_';
}

// As conf_next() does it: no blank is skipped, no quote is known.
bool conf_next_pair(struct text *rest, struct text *ret_key, struct text *ret_value,
                    bool *ret_malformed)
{
    *ret_malformed = false;
    if (rest->len == 0)
        return false;
    size_t colon = 0;
    while (colon < rest->len && is_key_byte(rest->data[colon]))
        colon++;
    if (colon == 0 || colon == rest->len || rest->data[colon] != ':') {
        *ret_malformed = true;
        return false;
    }
    size_t end = colon + 1;
    while (end < rest->len && rest->data[end] != ',')
        end++;
    *ret_key = (struct text){rest->data, colon};
    *ret_value = (struct text){rest->data + colon + 1, end - colon - 1};
    size_t used = end < rest->len ? end + 1 : end;
    rest->data += used;
    rest->len -= used;
    return true;
}

// The digits of a number in base 8, 10 or 16, by its prefix.
static bool take_magnitude(struct text *rest, uint64_t *ret_value)
{
    if (text_starts_with(*rest, "0x") || text_starts_with(*rest, "0X")) {
        struct text digits = {rest->data + 2, rest->len - 2};
        if (!text_take_hex(&digits, ret_value))
            return false;
        *rest = digits;
        return true;
    }
    if (rest->len < 2 || rest->data[0] != '0')
        return text_take_u64(rest, ret_value);
    // Octal, as strtoumax(3) takes it: "010" is 8 to jemalloc.
    uint64_t value = 0;
    while (rest->len > 0 && rest->data[0] >= '0' && rest->data[0] <= '7') {
        if (value >> 61)
            return false;
        value = value * 8 + (uint64_t)(rest->data[0] - '0');
        rest->data++;
        rest->len--;
    }
    *ret_value = value;
    return true;
}

// Half a number is no number: jemalloc rejects a value with anything behind it.
bool setting_number(struct text text, int64_t *ret_value)
{
    bool negative = text_take_prefix(&text, "-");
    uint64_t magnitude;
    if (!take_magnitude(&text, &magnitude) || text.len > 0 || magnitude > INT64_MAX)
        return false;
    *ret_value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

// jemalloc knows these two words only: "1" and "on" are errors there.
bool setting_conf_bool(struct text text, bool *ret_value)
{
    bool yes = text_equals(text, "true");
    if (!yes && !text_equals(text, "false"))
        return false;
    *ret_value = yes;
    return true;
}

// Whole words: "ONE" is not "ON".
static bool is_one_of(struct text text, const char *const *words)
{
    for (; *words; words++)
        if (strlen(*words) == text.len && strncasecmp(text.data, *words, text.len) == 0)
            return true;
    return false;
}

// Words are compared without regard to case, as mi_option_init() does.
bool setting_mimalloc_value(struct text text, int64_t *ret_value)
{
    static const char *const yes[] = {"1", "TRUE", "YES", "ON", NULL};
    static const char *const no[] = {"0", "FALSE", "NO", "OFF", NULL};
    static const char *const units[] = {"KIB", "KB", "K", "MIB", "MB", "M", "GIB", "GB", "G", NULL};
    if (text.len == 0 || is_one_of(text, yes) || is_one_of(text, no)) {
        *ret_value = text.len == 0 || is_one_of(text, yes);
        return true;
    }
    int64_t value;
    if (!text_take_i64(&text, &value))
        return false;
    if (text.len > 0 && !is_one_of(text, units))
        return false;
    // Sizes are kept in KiB, as the library keeps them.
    if (text.len > 0 && toupper((unsigned char)text.data[0]) != 'K') {
        int shift = toupper((unsigned char)text.data[0]) == 'M' ? 10 : 20;
        if (value < 0 || value > (INT64_MAX >> shift))
            return false;
        value <<= shift;
    }
    *ret_value = value;
    return true;
}

// Source: EnvToBool() of base/commandlineflags.h, which looks at one letter; an empty value is
// true.
bool setting_gperftools_bool(struct text text)
{
    return text.len == 0 || memchr("tTyY1", text.data[0], 5) != NULL;
}

// A number of a version; they are small.
static bool take_component(struct text *rest, unsigned *ret_value)
{
    uint64_t value;
    if (!text_take_u64(rest, &value) || value > 99999)
        return false;
    *ret_value = (unsigned)value;
    return true;
}

// A missing minor or patch is 0: "2.10" is a whole version.
bool setting_version_parse(struct text text, struct setting_version *ret_version)
{
    struct setting_version version = {0};
    if (!take_component(&text, &version.major))
        return false;
    if (text_take_prefix(&text, ".") && take_component(&text, &version.minor) &&
        text_take_prefix(&text, "."))
        take_component(&text, &version.patch);
    *ret_version = version;
    return true;
}

// The patch never decides: nothing that is read here changed with one.
bool setting_version_from(const struct setting_version *version, unsigned major, unsigned minor)
{
    return version->major > major || (version->major == major && version->minor >= minor);
}

// Takes "5.3.0-0-g" off the front.
static bool take_version_numbers(struct text *rest)
{
    uint64_t number;
    return text_take_u64(rest, &number) && text_take_prefix(rest, ".") &&
           text_take_u64(rest, &number) && text_take_prefix(rest, ".") &&
           text_take_u64(rest, &number) && text_take_prefix(rest, "-") &&
           text_take_u64(rest, &number) && text_take_prefix(rest, "-g");
}

// The same text stands in mallctl's "version", which would need a call.
bool settings_find_jemalloc_version(const char *data, size_t len, struct text *ret_version)
{
    enum { HASH_DIGITS = 40 };
    const char *at = data, *end = data + len;
    // Every version string has "-g" between its numbers and the commit: look for that, then around
    // it. A build outside of git has a sentence of 40 letters in the commit's place.
    while ((size_t)(end - at) > 2 && (at = memmem(at, (size_t)(end - at), "-g", 2)) != NULL) {
        const char *hash = at + 2, *start = at;
        at += 2;
        size_t digits = 0;
        while (hash + digits < end && is_key_byte(hash[digits]) && digits <= HASH_DIGITS)
            digits++;
        if (digits != HASH_DIGITS)
            continue;
        while (start > data &&
               (isdigit((unsigned char)start[-1]) || start[-1] == '.' || start[-1] == '-'))
            start--;
        struct text numbers = {start, (size_t)(hash - start)};
        if (!take_version_numbers(&numbers) || numbers.len > 0)
            continue;
        *ret_version = (struct text){start, (size_t)(hash + digits - start)};
        return true;
    }
    return false;
}
