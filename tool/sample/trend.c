// SPDX-License-Identifier: Apache-2.0
// Whether a process grows, see trend.h. Tool world; pure but for its memory.
#include "sample/trend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "account/swing.h"

// Readings and the faults at their moments, side by side: the fit wants the former in one array.
struct trend_items {
    struct growth_sample samples[TREND_SAMPLES];
    struct {
        uint64_t minor, major;
    } faults[TREND_SAMPLES];
    struct swings swings;
};

static const double trend_first_spacing_s = 1, trend_window_s = 1800;
static const size_t trend_least_samples = 6;
static const double trend_least_s = 30;
// A leak that begins after a quiet time is judged without that.
static const double trend_recent_s = 480;
// A slope that so many of its standard errors explain is none.
static const double trend_errors = 2.5;

// The two arrays stay side by side.
static void trend_move(struct trend *trend, size_t from, size_t to)
{
    trend->items->samples[to] = trend->items->samples[from];
    trend->items->faults[to] = trend->items->faults[from];
}

// Makes room for one more: by thinning out, and once the window is full by dropping the oldest.
static void trend_make_room(struct trend *trend)
{
    bool is_long = trend->spacing_s * TREND_SAMPLES >= trend_window_s;
    size_t kept = 0;
    for (size_t i = is_long ? 1 : 0; i < trend->count; i += is_long ? 1 : 2)
        trend_move(trend, i, kept++);
    trend->count = kept;
    if (!is_long)
        trend->spacing_s *= 2;
}

// What is older than the window tells of other times: after hours of standing still the beginning
// of a growth is what happened since.
static void trend_drop_old(struct trend *trend, double now_s)
{
    size_t old = 0, kept = 0;
    while (old < trend->count && trend->items->samples[old].time_s < now_s - trend_window_s)
        old++;
    // The last of them still tells how it was when the window began.
    old = old > 0 ? old - 1 : 0;
    for (size_t i = old; i < trend->count; i++)
        trend_move(trend, i, kept++);
    trend->count = kept;
}

enum trend_place { TREND_APPEND, TREND_REPLACE, TREND_SKIP };

// The last one is there on trial: where it lies too near to the one before it, a newer one takes
// its place. But an account knows more than what is newer by less than the spacing.
static enum trend_place trend_place_of(const struct trend *trend, const struct growth_sample *now)
{
    if (trend->count < 2)
        return TREND_APPEND;
    const struct growth_sample *last = &trend->items->samples[trend->count - 1];
    if (last->time_s - last[-1].time_s >= trend->spacing_s)
        return TREND_APPEND;
    if (!last->has_rows || now->has_rows)
        return TREND_REPLACE;
    return now->time_s - last->time_s < trend->spacing_s ? TREND_SKIP : TREND_APPEND;
}

// Every reading counts, also those that are too close to be kept: peaks and valleys are between
// those that are.
static void trend_swing(struct trend *trend, const struct growth_sample *now)
{
    struct swings *swings = &trend->items->swings;
    swings_drop_before(swings, now->time_s - trend_window_s);
    const struct swing swing = {
        .time_s = now->time_s,
        .low_bytes = now->effective_bytes,
        .high_bytes = now->effective_bytes,
        .busy_low_bytes = now->has_rows ? now->busy_bytes : SWING_UNKNOWN,
    };
    swings_add(swings, &swing);
}

void trend_add(struct trend *trend, const struct growth_sample *now, const struct sample *sample)
{
    // Most processes never get a deeper reading, and need no room.
    if (!trend->items) {
        trend->items = malloc(sizeof *trend->items);
        if (!trend->items)
            return;
        trend->spacing_s = trend_first_spacing_s;
        trend->items->swings = (struct swings){.spacing_s = trend_first_spacing_s};
    }
    trend_swing(trend, now);
    trend_drop_old(trend, now->time_s);
    enum trend_place place = trend_place_of(trend, now);
    if (place == TREND_SKIP)
        return;
    if (place == TREND_REPLACE)
        trend->count--;
    if (trend->count == TREND_SAMPLES)
        trend_make_room(trend);
    trend->items->samples[trend->count] = *now;
    trend->items->faults[trend->count].minor = sample->minor_faults;
    trend->items->faults[trend->count].major = sample->major_faults;
    trend->count++;
}

// A line through what is remembered rises in the middle of a wave as well: it takes part, but the
// lows decide.
static void trend_judge(const struct trend *trend, struct growth *growth)
{
    const struct swings *swings = &trend->items->swings;
    const struct growth_line *line = &growth->effective;
    double from_s = swings->items[0].time_s;
    double to_s = trend->items->samples[trend->count - 1].time_s, recent_s = to_s - trend_recent_s;
    bool rises = line->slope_bytes_per_s > trend_errors * line->slope_error_bytes_per_s;
    bool was_growing = growth->is_growing;
    if (!swings_rise(swings, from_s, to_s) && recent_s > from_s)
        from_s = recent_s;
    growth->is_growing = rises && swings_rise(swings, from_s, to_s);
    growth->swing_count = growth->is_growing ? swings_count(swings, from_s, to_s) : 0;
    growth->is_doubted = was_growing && !growth->is_growing;
}

// Few samples would call every start-up growth, and many within seconds every burst.
int trend_fit(const struct trend *trend, struct growth *ret_growth)
{
    if (trend->count < trend_least_samples)
        return -ENODATA;
    const struct growth_sample *samples = trend->items->samples;
    size_t last = trend->count - 1;
    struct growth growth;
    if (samples[last].time_s - samples[0].time_s < trend_least_s ||
        growth_fit(samples, trend->count, &growth) != 0)
        return -ENODATA;
    trend_judge(trend, &growth);
    growth.minor_faults = trend->items->faults[last].minor - trend->items->faults[0].minor;
    growth.major_faults = trend->items->faults[last].major - trend->items->faults[0].major;
    *ret_growth = growth;
    return 0;
}

void trend_free(struct trend *trend)
{
    free(trend->items);
    *trend = (struct trend){0};
}
