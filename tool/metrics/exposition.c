// SPDX-License-Identifier: Apache-2.0
// Writes metrics as text, see exposition.h. Tool world; pure.
#include "metrics/exposition.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

// The versions are part of the types: readers choose their parser by them.
const char *metrics_format_type(enum metrics_format format)
{
    return format == METRICS_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

// "q=0.5" among the parameters of a media range, in thousandths (RFC 9110, 12.4.2); 1000 without.
static unsigned take_weight(struct text parameters)
{
    // Others, such as the version, do not matter: what we write, every version reads.
    struct text parameter;
    while (text_next_field(&parameters, ';', &parameter)) {
        uint64_t whole;
        text_skip_blanks(&parameter);
        if (!text_take_prefix(&parameter, "q=") || !text_take_u64(&parameter, &whole))
            continue;
        unsigned weight = whole > 0 ? 1000 : 0;
        if (whole == 0 && text_take_prefix(&parameter, "."))
            // Three digits at most, as RFC 9110 has it; further ones are passed over.
            for (unsigned place = 100; place > 0 && parameter.len > 0; place /= 10) {
                char digit = *parameter.data++;
                parameter.len--;
                weight += place * (unsigned)(digit >= '0' && digit <= '9' ? digit - '0' : 0);
            }
        return weight;
    }
    return 1000;
}

// Prometheus names both, with weights; people and their tools name neither.
enum metrics_format metrics_format_of(const char *accept)
{
    struct text rest = text_of(accept ? accept : ""), range, type;
    // 0: not named, which is as good as not wanted.
    unsigned open = 0, classic = 0;
    while (text_next_field(&rest, ',', &range)) {
        text_skip_blanks(&range);
        if (!text_next_field(&range, ';', &type))
            continue;
        unsigned weight = take_weight(range);
        // A wildcard is a browser or curl: people read the older format as easily.
        if (text_equals(type, "application/openmetrics-text"))
            open = weight > open ? weight : open;
        else if (text_equals(type, "text/plain"))
            classic = weight > classic ? weight : classic;
    }
    return open > 0 && open >= classic ? METRICS_OPENMETRICS : METRICS_CLASSIC;
}

// Nothing is added behind a failure, so that no caller has to look after each piece.
static void put(struct exposition *exposition, const char *data, size_t len)
{
    if (!exposition->error)
        exposition->error = buffer_append(exposition->buffer, data, len);
}

// For names and words of ours.
static void put_string(struct exposition *exposition, const char *string)
{
    put(exposition, string, strlen(string));
}

// Backslash and newline always; quotes in values, and in the help of OpenMetrics.
static void put_escaped(struct exposition *exposition, const char *value, bool quotes)
{
    for (const char *at = value; *at; at++) {
        // Byte by byte: no other character of UTF-8 has these bytes in it.
        if (*at == '\\')
            put(exposition, "\\\\", 2);
        else if (*at == '\n')
            put(exposition, "\\n", 2);
        else if (*at == '"' && quotes)
            put(exposition, "\\\"", 2);
        else
            put(exposition, at, 1);
    }
}

// What stands behind the family's name in its points.
static const char *suffix_of(enum metrics_type type)
{
    return type == METRICS_COUNTER ? "_total" : type == METRICS_INFO ? "_info" : "";
}

// In the older format a family has the name of its points, and an info is a gauge that is 1.
static void put_head(struct exposition *exposition, const char *word)
{
    bool is_classic = exposition->format == METRICS_CLASSIC;
    put_string(exposition, "# ");
    put_string(exposition, word);
    put_string(exposition, " ");
    put_string(exposition, exposition->name);
    put_string(exposition, is_classic ? suffix_of(exposition->type) : "");
    put_string(exposition, " ");
}

// Remembers name and type for the points that follow; the name must live until the next family.
void exposition_family(struct exposition *exposition, const char *name, enum metrics_type type,
                       const char *unit, const char *help)
{
    static const char *const types[] = {"gauge", "counter", "info"};
    bool is_classic = exposition->format == METRICS_CLASSIC;
    exposition->name = name;
    exposition->type = type;
    put_head(exposition, "TYPE");
    put_string(exposition, is_classic && type == METRICS_INFO ? "gauge" : types[type]);
    put_string(exposition, "\n");
    if (unit && !is_classic) {
        put_head(exposition, "UNIT");
        put_string(exposition, unit);
        put_string(exposition, "\n");
    }
    put_head(exposition, "HELP");
    put_escaped(exposition, help, !is_classic);
    put_string(exposition, "\n");
}

// The name and labels of a point, and the blank in front of its value.
static void put_point(struct exposition *exposition, const struct metrics_label *labels)
{
    put_string(exposition, exposition->name);
    put_string(exposition, suffix_of(exposition->type));
    // In the order of the caller, which is the same for all points of a family.
    for (size_t i = 0; labels && labels[i].name; i++) {
        put_string(exposition, i == 0 ? "{" : ",");
        put_string(exposition, labels[i].name);
        put_string(exposition, "=\"");
        put_escaped(exposition, labels[i].value, true);
        put_string(exposition, "\"");
    }
    put_string(exposition, labels && labels[0].name ? "} " : " ");
}

// Whole numbers without a point, whatever their size: a double would round above 2^53.
void exposition_count(struct exposition *exposition, const struct metrics_label *labels,
                      uint64_t value)
{
    put_point(exposition, labels);
    if (!exposition->error)
        exposition->error = buffer_printf(exposition->buffer, "%" PRIu64 "\n", value);
}

void exposition_number(struct exposition *exposition, const struct metrics_label *labels,
                       double value)
{
    put_point(exposition, labels);
    // As both formats spell them; printf() has other words in some libraries.
    if (isnan(value))
        put_string(exposition, "NaN\n");
    else if (isinf(value))
        put_string(exposition, value > 0 ? "+Inf\n" : "-Inf\n");
    // Fifteen digits are what every double keeps both ways.
    else if (!exposition->error)
        exposition->error = buffer_printf(exposition->buffer, "%.15g\n", value);
}

// Who reads OpenMetrics takes a text without it for one that was cut off.
void exposition_end(struct exposition *exposition)
{
    if (exposition->format == METRICS_OPENMETRICS)
        put_string(exposition, "# EOF\n");
}
