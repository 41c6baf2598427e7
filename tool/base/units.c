// SPDX-License-Identifier: Apache-2.0
// Sizes, times and shares as people read them, see units.h. Tool world; pure.
#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>

void units_format_bytes(uint64_t bytes, char *ret_text, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    // 999.5 would be printed with four digits, so the next unit begins there.
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    int digits = 2;
    if (unit == 0 || value >= 99.95)
        digits = 0;
    else if (value >= 9.995)
        digits = 1;
    snprintf(ret_text, size, "%.*f %s", digits, value, units[unit]);
}

void units_format_change(int64_t bytes, char *ret_text, size_t size)
{
    char text[UNITS_TEXT_MAX];
    uint64_t magnitude = bytes < 0 ? 0 - (uint64_t)bytes : (uint64_t)bytes;
    units_format_bytes(magnitude, text, sizeof text);
    snprintf(ret_text, size, "%s%s", bytes < 0 ? "-" : "+", text);
}

void units_format_seconds(double seconds, char *ret_text, size_t size)
{
    uint64_t whole = seconds > 0 && seconds < 1e15 ? (uint64_t)seconds : 0;
    if (whole < 10)
        snprintf(ret_text, size, "%.1f s", seconds > 0 && seconds < 10 ? seconds : 0.0);
    else if (whole < 60)
        snprintf(ret_text, size, "%" PRIu64 " s", whole);
    else if (whole < 3600)
        snprintf(ret_text, size, "%" PRIu64 " min %" PRIu64 " s", whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(ret_text, size, "%" PRIu64 " h %" PRIu64 " min", whole / 3600, whole / 60 % 60);
    else
        snprintf(ret_text, size, "%" PRIu64 " d %" PRIu64 " h", whole / 86400, whole / 3600 % 24);
}

void units_format_percent(uint64_t part, uint64_t whole, char *ret_text, size_t size)
{
    double percent = whole ? 100.0 * (double)part / (double)whole : 0;
    snprintf(ret_text, size, "%.*f %%", percent > 0 && percent < 9.95 ? 1 : 0, percent);
}
