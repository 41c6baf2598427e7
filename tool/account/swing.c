// SPDX-License-Identifier: Apache-2.0
// Lows and falls of a figure, see swing.h. Tool world; pure.
#include "account/swing.h"

#include <math.h>
#include <string.h>

enum {
    SWING_PARTS = 5, // of the judged time; each has a low
    SWING_LEAST = 3, // falls that make a rhythm
};

// Waves of minutes must have had the time to come down again.
static const double swing_least_s = 300;
// Of the rise: what a fall may be that is none; what one part may bring, else it is a step; and
// what the second half must bring, else it levels off.
static const double swing_steady_share = 0.1, swing_step_share = 0.55, swing_late_share = 0.4;
// Valleys scatter by a part of the swing.
static const double swing_scatter_share = 0.25;
static const double swing_busy_share = 0.25;
// A percent, but of large processes no more than a slow leak gives in some minutes.
static const double swing_rise_share = 0.01;
static const double swing_rise_least_bytes = 1 << 20, swing_rise_most_bytes = 6 << 20;

double swings_least_s(void)
{
    return swing_least_s;
}

static uint64_t swing_lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// From the first stretch's high to the second one's low is a fall as well.
static void swing_join(struct swing *swing, const struct swing *later)
{
    uint64_t between =
        swing->high_bytes > later->low_bytes ? swing->high_bytes - later->low_bytes : 0;
    if (swing->fall_bytes < later->fall_bytes)
        swing->fall_bytes = later->fall_bytes;
    if (swing->fall_bytes < between)
        swing->fall_bytes = between;
    if (swing->high_bytes < later->high_bytes)
        swing->high_bytes = later->high_bytes;
    swing->low_bytes = swing_lesser(swing->low_bytes, later->low_bytes);
    // Unknown is the largest.
    swing->busy_low_bytes = swing_lesser(swing->busy_low_bytes, later->busy_low_bytes);
}

// Twice as long from now on, so that all of any time fits.
static void swings_halve(struct swings *swings)
{
    size_t kept = 0;
    for (size_t i = 0; i < swings->count; i += 2) {
        swings->items[kept] = swings->items[i];
        if (i + 1 < swings->count)
            swing_join(&swings->items[kept], &swings->items[i + 1]);
        kept++;
    }
    swings->count = kept;
    // The first spacing is what it was filled with.
    double span_s = swings->items[kept - 1].time_s - swings->items[0].time_s;
    swings->spacing_s = fmax(swings->spacing_s * 2, span_s / (double)kept);
}

void swings_add(struct swings *swings, const struct swing *now)
{
    if (swings->count > 0) {
        struct swing *last = &swings->items[swings->count - 1];
        if (now->time_s - last->time_s < swings->spacing_s) {
            swing_join(last, now);
            return;
        }
    }
    if (swings->count == SWINGS_MAX)
        swings_halve(swings);
    swings->items[swings->count++] = *now;
}

void swings_drop_before(struct swings *swings, double time_s)
{
    size_t old = 0;
    while (old < swings->count && swings->items[old].time_s < time_s)
        old++;
    // What it was when that time began.
    old = old > 0 ? old - 1 : 0;
    swings->count -= old;
    memmove(swings->items, swings->items + old, swings->count * sizeof *swings->items);
}

// The largest fall of all that is remembered, and how many there are like it from `from_s` on: two
// thirds or more, so that one that takes long is not counted twice.
static size_t swings_count_falls(const struct swings *swings, double from_s, double *ret_fall_bytes)
{
    struct swing all = swings->items[0];
    for (size_t i = 1; i < swings->count; i++)
        swing_join(&all, &swings->items[i]);
    uint64_t high = 0;
    size_t falls = 0;
    for (size_t i = 0; i < swings->count; i++) {
        const struct swing *swing = &swings->items[i];
        uint64_t fall = high > swing->low_bytes ? high - swing->low_bytes : 0;
        fall = fall > swing->fall_bytes ? fall : swing->fall_bytes;
        bool is_fall = all.fall_bytes > 0 && fall >= all.fall_bytes - all.fall_bytes / 3;
        falls += is_fall && swing->time_s >= from_s;
        // A new one begins at the bottom of this one, or at the top of what comes next.
        high = is_fall ? swing->low_bytes : (high > swing->high_bytes ? high : swing->high_bytes);
    }
    *ret_fall_bytes = (double)all.fall_bytes;
    return falls;
}

// One stretch for each part of the time. False where a part has none.
static bool swings_part(const struct swings *swings, double from_s, double to_s,
                        struct swing parts[SWING_PARTS])
{
    bool has[SWING_PARTS] = {false};
    for (size_t i = 0; i < swings->count; i++) {
        const struct swing *swing = &swings->items[i];
        double at = (swing->time_s - from_s) / (to_s - from_s) * SWING_PARTS;
        if (!(at >= 0 && at <= SWING_PARTS))
            continue;
        // The last moment belongs to the last part.
        size_t part = at < SWING_PARTS ? (size_t)at : SWING_PARTS - 1;
        if (has[part])
            swing_join(&parts[part], swing);
        else
            parts[part] = *swing;
        has[part] = true;
    }
    for (size_t i = 0; i < SWING_PARTS; i++)
        if (!has[i])
            return false;
    return true;
}

// Is enough of the rise in memory that can be leaked? Where two parts do not know it, nothing says
// that it is not.
static bool swings_are_busy(const struct swing parts[SWING_PARTS])
{
    const struct swing *first = NULL, *last = NULL;
    for (size_t i = 0; i < SWING_PARTS; i++) {
        if (parts[i].busy_low_bytes == SWING_UNKNOWN)
            continue;
        first = first ? first : &parts[i];
        last = &parts[i];
    }
    if (first == last)
        return true;
    double rise = (double)last->low_bytes - (double)first->low_bytes;
    double busy = (double)last->busy_low_bytes - (double)first->busy_low_bytes;
    return busy >= swing_busy_share * rise;
}

// All along: neither in one step nor in the first half alone.
static bool swings_keep_rising(const struct swing parts[SWING_PARTS], double rise_bytes)
{
    for (size_t i = 1; i < SWING_PARTS; i++) {
        double step = (double)parts[i].low_bytes - (double)parts[i - 1].low_bytes;
        if (step > swing_step_share * rise_bytes)
            return false;
    }
    const struct swing *middle = &parts[SWING_PARTS / 2];
    double late = (double)parts[SWING_PARTS - 1].low_bytes - (double)middle->low_bytes;
    return late >= swing_late_share * rise_bytes;
}

// What both questions ask. `*ret_falls` is set where the answer is yes: 0 of a steady rise.
static bool swings_judge(const struct swings *swings, double from_s, double to_s, size_t *ret_falls)
{
    struct swing parts[SWING_PARTS];
    if (!(to_s - from_s >= swing_least_s) || !swings_part(swings, from_s, to_s, parts))
        return false;
    double rise = (double)parts[SWING_PARTS - 1].low_bytes - (double)parts[0].low_bytes;
    double least = fmax((double)parts[0].low_bytes * swing_rise_share, swing_rise_least_bytes);
    if (rise < fmin(least, swing_rise_most_bytes) || !swings_keep_rising(parts, rise) ||
        !swings_are_busy(parts))
        return false;
    double fall;
    // A judged time that is about as long as a wave's period rises for a part of it.
    size_t falls = swings_count_falls(swings, from_s, &fall);
    bool is_steady = fall <= swing_steady_share * rise;
    if (!is_steady && (falls < SWING_LEAST || rise < swing_scatter_share * fall))
        return false;
    *ret_falls = is_steady ? 0 : falls;
    return true;
}

bool swings_rise(const struct swings *swings, double from_s, double to_s)
{
    size_t falls;
    return swings_judge(swings, from_s, to_s, &falls);
}

size_t swings_count(const struct swings *swings, double from_s, double to_s)
{
    size_t falls;
    return swings_judge(swings, from_s, to_s, &falls) ? falls : 0;
}
