// SPDX-License-Identifier: Apache-2.0
// Taking apart what a client sends, see uri.h. Tool world; pure.
#include "serve/uri.h"

#include <errno.h>
#include <string.h>

// -1 for what is no hexadecimal digit.
static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

// Undoes percent escapes, and '+' where `has_plus` (RFC 1866). What comes out may itself hold a
// '%', which is never looked at again. 0; -EINVAL; -ENAMETOOLONG.
static int decode(struct text raw, bool has_plus, char *ret_decoded, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char byte = raw.data[i];
        // Blanks and control bytes never come bare; others are left to the check for UTF-8.
        if ((unsigned char)byte <= ' ' || byte == 0x7f)
            return -EINVAL;
        if (byte == '+' && has_plus)
            byte = ' ';
        // Both digits, and no NUL: C strings would end there.
        if (byte == '%') {
            int high = i + 2 < raw.len ? hex_value(raw.data[i + 1]) : -1;
            int low = i + 2 < raw.len ? hex_value(raw.data[i + 2]) : -1;
            if (high < 0 || low < 0 || high * 16 + low == 0)
                return -EINVAL;
            byte = (char)(high * 16 + low);
            i += 2;
        }
        // One byte stays for the NUL.
        if (len + 1 >= size)
            return -ENAMETOOLONG;
        ret_decoded[len++] = byte;
    }
    ret_decoded[len] = '\0';
    return uri_is_utf8((struct text){ret_decoded, len}) ? 0 : -EINVAL;
}

// How many bytes follow this first byte of a character, and what the character's least value is; -1
// for what begins none.
static int utf8_follow(unsigned char first, uint32_t *ret_least)
{
    // Below it the same character has a shorter form, which is the only one allowed.
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    int count = first < 0x80                    ? 0
                : first >= 0xc2 && first < 0xe0 ? 1
                : first >= 0xe0 && first < 0xf0 ? 2
                : first >= 0xf0 && first < 0xf5 ? 3
                                                : -1;
    *ret_least = count < 0 ? 0 : least[count];
    return count;
}

// By value rather than by table: the forms that are refused are then seen at a glance.
bool uri_is_utf8(struct text text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char first = (unsigned char)text.data[i];
        uint32_t least;
        int count = utf8_follow(first, &least);
        if (count < 0 || first == 0 || (size_t)count >= text.len - i)
            return false;
        // The first byte's free bits, then six of each that follows.
        uint32_t value = count == 0 ? first : first & (0x3fu >> count);
        for (int k = 0; k < count; k++) {
            unsigned char next = (unsigned char)text.data[++i];
            if ((next & 0xc0) != 0x80)
                return false;
            value = value << 6 | (next & 0x3fu);
        }
        // Halves of UTF-16, which are no characters.
        bool is_surrogate = value >= 0xd800 && value < 0xe000;
        if (value < least || is_surrogate || value > 0x10ffff)
            return false;
    }
    return true;
}

// No route of ours has other characters; and no segment that a file system would understand
// otherwise than we do.
static bool is_plain_path(const char *path)
{
    // By segments, as a file system would read it.
    struct text rest = text_of(path), segment;
    // "//host" would be another server to a browser.
    if (path[0] != '/' || strstr(path, "//"))
        return false;
    for (const char *at = path; *at; at++) {
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f || *at == '\\' || *at == '%')
            return false;
    }
    while (text_next_field(&rest, '/', &segment)) {
        if (text_equals(segment, ".") || text_equals(segment, ".."))
            return false;
    }
    return true;
}

// "name=value" or "name".
static int add_parameter(struct uri *uri, struct text pair)
{
    struct uri_parameter *parameter = &uri->parameters[uri->parameter_count];
    struct text name = {NULL, 0};
    // More than any request of the page has.
    if (uri->parameter_count == URI_PARAMETERS_MAX)
        return -E2BIG;
    if (!text_next_field(&pair, '=', &name) || name.len == 0)
        return -EINVAL;
    // Names are decoded too: "%73ubject" is "subject".
    int error = decode(name, true, parameter->name, sizeof parameter->name);
    if (!error)
        error = decode(pair, true, parameter->value, sizeof parameter->value);
    // Which of the two would count is a question that should not come up.
    if (!error && uri_find(uri, parameter->name))
        error = -EINVAL;
    uri->parameter_count += !error;
    return error;
}

// A fragment never reaches a server; '#' in front of one is a client's slip.
int uri_parse(struct text raw, struct uri *ret_uri)
{
    if (raw.len > URI_RAW_MAX)
        return -ENAMETOOLONG;
    // The first '?' alone: others belong to the query.
    const char *mark = raw.len > 0 ? memchr(raw.data, '?', raw.len) : NULL;
    struct text path = {raw.data, mark ? (size_t)(mark - raw.data) : raw.len};
    struct text query = {mark ? mark + 1 : NULL, mark ? raw.len - path.len - 1 : 0}, pair;
    // Built aside: a failure leaves the caller's alone.
    struct uri uri = {.parameter_count = 0};
    int error = decode(path, false, uri.path, sizeof uri.path);
    if (!error && (!is_plain_path(uri.path) || memchr(raw.data, '#', raw.len)))
        error = -EINVAL;
    while (!error && text_next_field(&query, '&', &pair))
        error = pair.len > 0 ? add_parameter(&uri, pair) : 0;
    if (!error)
        *ret_uri = uri;
    return error;
}

// A handful: no table is worth it.
const char *uri_find(const struct uri *uri, const char *name)
{
    for (size_t i = 0; i < uri->parameter_count; i++) {
        if (strcmp(uri->parameters[i].name, name) == 0)
            return uri->parameters[i].value;
    }
    return NULL;
}

// Absent is fine: the caller's default stays.
bool uri_take_u64(const struct uri *uri, const char *name, uint64_t max, uint64_t *number)
{
    const char *value = uri_find(uri, name);
    if (!value)
        return true;
    struct text rest = text_of(value);
    uint64_t taken;
    // "1x", " 1" and "" are no numbers.
    if (!text_take_u64(&rest, &taken) || rest.len > 0 || taken > max)
        return false;
    *number = taken;
    return true;
}

// JavaScript's numbers have fractions, and its ranges may reach before 1970 when zoomed out.
bool uri_take_moment(const struct uri *uri, const char *name, int64_t *number_ms)
{
    const char *value = uri_find(uri, name);
    if (!value)
        return true;
    struct text rest = text_of(value);
    int64_t taken;
    uint64_t fraction;
    if (!text_take_i64(&rest, &taken))
        return false;
    // Digits behind the point are checked, and dropped.
    if (text_take_prefix(&rest, ".") && !text_take_u64(&rest, &fraction))
        return false;
    // Far enough from the ends that differences of moments never overflow.
    if (rest.len > 0 || taken > INT64_MAX / 4 || taken < INT64_MIN / 4)
        return false;
    *number_ms = taken;
    return true;
}

// The scheme's name is case-insensitive (RFC 9110, 11.1).
bool uri_take_bearer(struct text header, struct text *ret_token)
{
    // RFC 6750, 2.1.
    static const char scheme[] = "Bearer ";
    size_t len = sizeof scheme - 1;
    if (header.len <= len || strncasecmp(header.data, scheme, len) != 0)
        return false;
    struct text token = {header.data + len, header.len - len};
    text_skip_blanks(&token);
    *ret_token = token;
    return token.len > 0;
}

// Every byte of what was given is looked at; only its length shows, which is no secret.
bool uri_token_equals(struct text given, const char *token)
{
    // An empty token equals nothing.
    size_t len = strlen(token);
    unsigned char difference = given.len != len || len == 0;
    for (size_t i = 0; i < given.len; i++)
        difference |= (unsigned char)(given.data[i] ^ token[len > 0 ? i % len : 0]);
    return difference == 0;
}

// Letters, digits, '-', '_', '.': and for addresses in brackets ':'.
static bool is_host_name(struct text name, bool in_brackets)
{
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.data[i];
        bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        bool is_digit = byte >= '0' && byte <= '9';
        bool is_mark = byte == '.' || (in_brackets ? byte == ':' : byte == '-' || byte == '_');
        if (!is_letter && !is_digit && !is_mark)
            return false;
    }
    return name.len > 0 && name.len < 254;
}

// "192.0.2.1": only digits and dots; names that look so do not exist (RFC 1123, 2.1).
static bool is_dotted(struct text name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] != '.' && (name.data[i] < '0' || name.data[i] > '9'))
            return false;
    }
    return true;
}

// The port is looked at and forgotten: behind a forwarded port it is another than ours.
bool uri_take_host(struct text header, struct text *ret_name, bool *ret_is_address)
{
    struct text rest = header, name;
    // IPv6 addresses have colons of their own.
    bool in_brackets = text_take_prefix(&rest, "[");
    const char *end = header.len > 0 ? memchr(rest.data, in_brackets ? ']' : ':', rest.len) : NULL;
    if (in_brackets && !end)
        return false;
    name = (struct text){rest.data, end ? (size_t)(end - rest.data) : rest.len};
    rest = (struct text){name.data + name.len, rest.len - name.len};
    uint64_t port = 0;
    if (in_brackets)
        (void)text_take_prefix(&rest, "]");
    if (text_take_prefix(&rest, ":") && (!text_take_u64(&rest, &port) || port > 65535))
        return false;
    if (rest.len > 0 || !is_host_name(name, in_brackets))
        return false;
    *ret_name = name;
    *ret_is_address = in_brackets || is_dotted(name);
    return true;
}
