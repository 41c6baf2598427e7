// SPDX-License-Identifier: Apache-2.0
// Moments as people type them, see when.h. Tool world.
#include "base/when.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/quantity.h"

static const int64_t ms_per_s = 1000;
// The end of the year 9999: what is behind it has no four digits.
static const int64_t last_s = 253402300799;

// What was read of a date and a time of day.
struct moment {
    struct tm fields;
    uint64_t ms;
    bool has_zone;
    int64_t zone_s; // east of Greenwich
};

// Exactly `digits` digits. A fixed number of them is what tells "2026-11-21" from "14:05" and both
// from a slip.
static bool take_digits(struct text *rest, size_t digits, int *ret_value)
{
    if (rest->len < digits)
        return false;
    int value = 0;
    for (size_t i = 0; i < digits; i++) {
        if (rest->data[i] < '0' || rest->data[i] > '9')
            return false;
        value = value * 10 + (rest->data[i] - '0');
    }
    *rest = (struct text){rest->data + digits, rest->len - digits};
    *ret_value = value;
    return true;
}

// ".25", of which only milliseconds count.
static bool take_fraction(struct text *rest, uint64_t *ret_ms)
{
    *ret_ms = 0;
    if (!text_take_prefix(rest, "."))
        return true;
    int digit;
    uint64_t unit = 100;
    if (!take_digits(rest, 1, &digit))
        return false;
    // Further digits count nothing: the unit is 0 by then.
    do {
        *ret_ms += (uint64_t)digit * unit;
        unit /= 10;
    } while (take_digits(rest, 1, &digit));
    return true;
}

// "14:05", "14:05:30", "14:05:30.25".
static bool take_clock(struct text *rest, struct moment *moment)
{
    int hour, minute, second = 0;
    if (!take_digits(rest, 2, &hour) || !text_take_prefix(rest, ":") ||
        !take_digits(rest, 2, &minute))
        return false;
    if (text_take_prefix(rest, ":") &&
        (!take_digits(rest, 2, &second) || !take_fraction(rest, &moment->ms)))
        return false;
    // No leap second either: mktime() would make the next minute of it.
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    moment->fields.tm_hour = hour;
    moment->fields.tm_min = minute;
    moment->fields.tm_sec = second;
    return true;
}

// By the Gregorian calendar, as mktime(3) has it.
static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

// ISO 8601 alone: 11/12 is a day in November for some and in December for others.
static bool take_date(struct text *rest, struct moment *moment)
{
    int year, month, day;
    if (!take_digits(rest, 4, &year) || !text_take_prefix(rest, "-") ||
        !take_digits(rest, 2, &month) || !text_take_prefix(rest, "-") ||
        !take_digits(rest, 2, &day))
        return false;
    // mktime() would make another day of the 31st of April, in silence.
    if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
        return false;
    moment->fields.tm_year = year - 1900;
    moment->fields.tm_mon = month - 1;
    moment->fields.tm_mday = day;
    return true;
}

// "Z", "+01:00", "-0330", or nothing: the caller's own zone.
static bool take_zone(struct text *rest, struct moment *moment)
{
    if (text_take_prefix(rest, "Z")) {
        moment->has_zone = true;
        return true;
    }
    bool east = text_take_prefix(rest, "+");
    if (!east && !text_take_prefix(rest, "-"))
        return true;
    int hours, minutes;
    if (!take_digits(rest, 2, &hours))
        return false;
    text_take_prefix(rest, ":");
    // The easternmost zone is +14:00.
    if (!take_digits(rest, 2, &minutes) || hours > 14 || minutes > 59)
        return false;
    moment->has_zone = true;
    moment->zone_s = (hours * 60 + minutes) * (east ? 60 : -60);
    return true;
}

// Daylight saving is the C library's to find out (tm_isdst -1); a given zone needs none.
static int moment_ms(struct moment moment, int64_t *ret_ms)
{
    moment.fields.tm_isdst = -1;
    time_t seconds = moment.has_zone ? timegm(&moment.fields) : mktime(&moment.fields);
    if (moment.has_zone)
        seconds -= moment.zone_s;
    // Before 1970, or a date that the C library cannot count to.
    if (seconds < 0)
        return -ERANGE;
    *ret_ms = (int64_t)seconds * ms_per_s + (int64_t)moment.ms;
    return 0;
}

// Its midnight in the caller's zone.
static struct moment moment_of_day(int64_t time_ms)
{
    struct moment moment = {0};
    time_t seconds = (time_t)(time_ms / ms_per_s);
    localtime_r(&seconds, &moment.fields);
    moment.fields.tm_hour = moment.fields.tm_min = moment.fields.tm_sec = 0;
    return moment;
}

// "14:05": on the day of the end, or the day before where that would lie behind it.
static int parse_clock(struct text text, int64_t end_ms, int64_t *ret_ms)
{
    struct moment moment = moment_of_day(end_ms);
    if (!take_clock(&text, &moment) || text.len > 0)
        return -EINVAL;
    int error = moment_ms(moment, ret_ms);
    if (error || *ret_ms <= end_ms)
        return error;
    // By the calendar and not by 24 hours: a day with a change of clocks has 23 or 25.
    moment.fields.tm_mday--;
    return moment_ms(moment, ret_ms);
}

// A day alone is its midnight; mktime(3) makes the last of the month before of a 0th.
static int parse_day(struct text text, int days_back, int64_t end_ms, int64_t *ret_ms)
{
    struct moment moment = moment_of_day(end_ms);
    moment.fields.tm_mday -= days_back;
    text_skip_blanks(&text);
    if (text.len > 0 && (!take_clock(&text, &moment) || text.len > 0))
        return -EINVAL;
    return moment_ms(moment, ret_ms);
}

// Date, and perhaps a time of day and a zone behind it; whatever is left makes it none.
static int parse_date(struct text text, int64_t *ret_ms)
{
    struct moment moment = {0};
    if (!take_date(&text, &moment))
        return -EINVAL;
    if (text.len == 0)
        return moment_ms(moment, ret_ms);
    // Something must stand between a date and a time, and behind it a time.
    size_t len = text.len;
    if (!text_take_prefix(&text, "T") && !text_take_prefix(&text, "t"))
        text_skip_blanks(&text);
    if (text.len == len || !take_clock(&text, &moment) || !take_zone(&text, &moment))
        return -EINVAL;
    return text.len > 0 ? -EINVAL : moment_ms(moment, ret_ms);
}

// A duration on either side of `base_ms`.
static int parse_offset(struct text text, int64_t base_ms, int sign, int64_t *ret_ms)
{
    uint64_t ns;
    int error = quantity_parse_duration(text, &ns);
    if (error)
        return error;
    // Nanoseconds of 64 bits are 584 years: the sum does not overflow.
    int64_t time_ms = base_ms + sign * (int64_t)(ns / 1000000);
    if (time_ms < 0)
        return -ERANGE;
    *ret_ms = time_ms;
    return 0;
}

// As date(1) takes it.
static int parse_epoch(struct text text, int64_t *ret_ms)
{
    uint64_t seconds, ms;
    if (!text_take_u64(&text, &seconds) || !take_fraction(&text, &ms) || text.len > 0)
        return -EINVAL;
    if (seconds > (uint64_t)last_s)
        return -ERANGE;
    *ret_ms = (int64_t)(seconds * 1000 + ms);
    return 0;
}

// Blanks around come from quoting in scripts.
static struct text trimmed(struct text text)
{
    text_skip_blanks(&text);
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

// The first character or word decides which of the forms it can be: no text is two of them.
int when_parse(struct text text, const struct when_frame *frame, int64_t *ret_ms)
{
    text = trimmed(text);
    int64_t word = text_equals(text, "start")                             ? frame->first_ms
                   : text_equals(text, "end") || text_equals(text, "now") ? frame->last_ms
                                                                          : -1;
    if (word >= 0) {
        *ret_ms = word;
        return 0;
    }
    if (text_take_prefix(&text, "-"))
        return parse_offset(text, frame->last_ms, -1, ret_ms);
    if (text_take_prefix(&text, "+"))
        return parse_offset(text, frame->first_ms, 1, ret_ms);
    if (text_take_prefix(&text, "@"))
        return parse_epoch(text, ret_ms);
    if (text_take_prefix(&text, "today"))
        return parse_day(text, 0, frame->last_ms, ret_ms);
    if (text_take_prefix(&text, "yesterday"))
        return parse_day(text, 1, frame->last_ms, ret_ms);
    // Before the forms with digits in front, which "10m ago" begins like.
    if (text_ends_with(text, " ago"))
        return parse_offset(trimmed((struct text){text.data, text.len - 4}), frame->last_ms, -1,
                            ret_ms);
    if (text.len > 2 && text.data[2] == ':')
        return parse_clock(text, frame->last_ms, ret_ms);
    return parse_date(text, ret_ms);
}

// What no clock of a host says: a damaged recording may.
static bool is_possible(int64_t time_ms)
{
    return time_ms >= 0 && time_ms / ms_per_s <= last_s;
}

// Of a possible time.
static struct tm local_of(int64_t time_ms)
{
    struct tm fields = {0};
    time_t seconds = (time_t)(time_ms / ms_per_s);
    localtime_r(&seconds, &fields);
    return fields;
}

// The date only where it differs: a column of equal dates hides the times.
void when_format(int64_t time_ms, int64_t near_ms, char *ret_text, size_t size)
{
    if (!is_possible(time_ms)) {
        text_format(ret_text, size, "?");
        return;
    }
    struct tm fields = local_of(time_ms);
    bool same_day = false, same_zone = true;
    if (near_ms != 0 && is_possible(near_ms)) {
        struct tm near = local_of(near_ms);
        // By year and day of the year, in the caller's zone.
        same_day = fields.tm_year == near.tm_year && fields.tm_yday == near.tm_yday;
        // An hour comes twice in autumn.
        same_zone = fields.tm_gmtoff == near.tm_gmtoff;
    }
    const char *forms[2][2] = {{"%Y-%m-%d %H:%M:%S %Z", "%Y-%m-%d %H:%M:%S"},
                               {"%H:%M:%S %Z", "%H:%M:%S"}};
    if (strftime(ret_text, size, forms[same_day][same_zone], &fields) == 0)
        text_format(ret_text, size, "?");
}

// For programs: the same whatever the zone of who reads.
void when_format_utc(int64_t time_ms, char *ret_text, size_t size)
{
    if (!is_possible(time_ms)) {
        text_format(ret_text, size, "?");
        return;
    }
    struct tm fields = {0};
    time_t seconds = (time_t)(time_ms / ms_per_s);
    char text[WHEN_TEXT_MAX] = "?";
    gmtime_r(&seconds, &fields);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &fields);
    text_format(ret_text, size, "%s.%03dZ", text, (int)(time_ms % ms_per_s));
}
