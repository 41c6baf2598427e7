// SPDX-License-Identifier: Apache-2.0
// The figures of one process under an alarm, see watch.h. Tool world; pure.
#include "alarm/watch.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "account/growth.h"

// Growth is judged over the time that the expression names, but not over less than waves need to
// come down again.
static double window_s(const struct alarm_condition *condition)
{
    return fmax((double)condition->for_ms / 1000, swings_least_s());
}

// What is remembered, so that the falls of a wave are seen: of one whose period is half an hour, or
// four times as long as the judged time.
static const double remembered_s = 1800, remembered_windows = 4;
// Stretches of the shortest judged time; they become longer as more is remembered.
enum { WINDOW_STRETCHES = 60 };
// A slope that so many of its standard errors explain is none.
static const double slope_errors = 2;

// What can be leaked, as in `ebb explain --for`: not what is kept, slack, mapped or shared.
static uint64_t busy_bytes(const struct sample *sample)
{
    if (!sample->digest)
        return SWING_UNKNOWN;
    const uint64_t *rows = sample->digest->row_bytes;
    uint64_t idle = rows[ROW_KEPT] + rows[ROW_SLACK] + rows[ROW_CODE_FILES] + rows[ROW_SHARED];
    return sample->effective_bytes > idle ? sample->effective_bytes - idle : 0;
}

// Every sample is in a stretch: none between two that are remembered is lost.
static int swings_take(struct watch *watch, const struct alarm_condition *condition,
                       const struct sample *sample)
{
    double window = window_s(condition), now_s = (double)sample->boot_ms / 1000;
    if (!watch->swings) {
        watch->swings = calloc(1, sizeof *watch->swings);
        if (!watch->swings)
            return -ENOMEM;
        watch->swings->spacing_s = window / WINDOW_STRETCHES;
    }
    swings_drop_before(watch->swings, now_s - fmax(remembered_s, remembered_windows * window));
    const struct swing swing = {
        .time_s = now_s,
        .low_bytes = sample->effective_bytes,
        .high_bytes = sample->effective_bytes,
        .busy_low_bytes = busy_bytes(sample),
    };
    swings_add(watch->swings, &swing);
    return 0;
}

int alarm_watch_take(struct watch *watch, const struct alarm_condition *condition,
                     const struct sample *sample)
{
    int error = condition->metric == ALARM_GROWTH ? swings_take(watch, condition, sample) : 0;
    if (error)
        return error;
    watch->last = *sample;
    // The pointer is its sampler's, and gone with the next reading.
    watch->last.digest = NULL;
    // Only some samples have one; until the next, the last one holds.
    const struct digest *digest = sample->digest;
    if (!digest)
        return 0;
    watch->has_account = true;
    watch->kept_bytes = digest->row_bytes[ROW_KEPT];
    watch->in_use_bytes = digest->row_bytes[ROW_IN_USE];
    watch->usage_bytes = digest->group_usage_bytes;
    watch->working_set_bytes = digest->group_working_set_bytes;
    watch->limit_bytes = digest->group_limit_bytes;
    return 0;
}

// What is raised stays raised: the next sample tells whether it still holds.
void alarm_watch_forget(struct watch *watch)
{
    watch->is_pending = false;
    if (watch->swings)
        watch->swings->count = 0;
}

// A line through the lows of the stretches from `from_s` on. False of fewer than three.
static bool fit_lows(const struct swings *swings, double from_s, double *ret_slope,
                     double *ret_error)
{
    struct growth_sample lows[SWINGS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < swings->count; i++) {
        if (swings->items[i].time_s >= from_s)
            lows[count++] = (struct growth_sample){
                .time_s = swings->items[i].time_s,
                .effective_bytes = swings->items[i].low_bytes,
            };
    }
    // The same line as in `ebb explain --for`.
    struct growth growth;
    if (count < 3 || growth_fit(lows, count, &growth) != 0)
        return false;
    *ret_slope = growth.effective.slope_bytes_per_s;
    *ret_error = growth.effective.slope_error_bytes_per_s;
    return true;
}

// Nearly all of the window must have been seen: a slope over less of it would be told too early.
// Lows that rise in the window are growth now; those that rise in all that is remembered are as
// well, whatever a wave does at the moment.
static bool growth_value(struct watch *watch, const struct alarm_condition *condition,
                         double *ret_value, double *ret_error)
{
    const struct swings *swings = watch->swings;
    if (!swings || swings->count < 3)
        return false;
    double now_s = (double)watch->last.boot_ms / 1000, first_s = swings->items[0].time_s;
    double recent_s = now_s - window_s(condition), slope, error;
    if (first_s > recent_s)
        return false;
    double from_s = recent_s;
    bool rises = swings_rise(swings, from_s, now_s);
    if (!rises) {
        from_s = first_s;
        rises = swings_rise(swings, from_s, now_s);
    }
    if (!fit_lows(swings, rises ? from_s : recent_s, &slope, &error))
        return false;
    // What goes down is known to go down; what goes up must be more than noise or half a wave.
    if (slope > 0 && (!rises || slope <= slope_errors * error))
        slope = error = 0;
    else
        watch->grown_s = now_s - from_s;
    *ret_value = slope;
    *ret_error = error;
    return true;
}

// A figure of the last account, or none.
static uint64_t account_value(const struct watch *watch, uint64_t bytes)
{
    return watch->has_account ? bytes : SAMPLE_UNKNOWN;
}

bool alarm_watch_value(struct watch *watch, const struct alarm_condition *condition,
                       double *ret_value, double *ret_error)
{
    const struct sample *sample = &watch->last;
    // One table instead of a branch for each; a slope alone is no figure of the sample.
    const uint64_t values[ALARM_METRIC_COUNT] = {
        [ALARM_RSS] = sample->rss_bytes,
        // Where lazy is not known this is RSS: an alarm too many is better than none.
        [ALARM_EFFECTIVE] = sample->effective_bytes,
        [ALARM_LAZY] = sample->lazy_bytes,
        [ALARM_SWAP] = sample->swap_bytes,
        [ALARM_KEPT] = account_value(watch, watch->kept_bytes),
        [ALARM_IN_USE] = account_value(watch, watch->in_use_bytes),
        [ALARM_USAGE] = account_value(watch, watch->usage_bytes),
        [ALARM_WORKING_SET] = account_value(watch, watch->working_set_bytes),
    };
    if (condition->metric == ALARM_GROWTH)
        return growth_value(watch, condition, ret_value, ret_error);
    if (values[condition->metric] == SAMPLE_UNKNOWN)
        return false;
    *ret_value = (double)values[condition->metric];
    *ret_error = 0;
    return true;
}

// Where the line begins that the slope is of.
uint64_t alarm_watch_since_ms(const struct watch *watch)
{
    uint64_t grown_ms = (uint64_t)(watch->grown_s * 1000);
    return watch->last.boot_ms > grown_ms ? watch->last.boot_ms - grown_ms : 0;
}

// Accounts and walks of smaps know what is lazily freed at their own moment; cheap readings repeat
// what the last of these said.
bool alarm_watch_is_stale(const struct watch *watch, const struct alarm_condition *condition)
{
    bool is_lazy = condition->metric == ALARM_EFFECTIVE || condition->metric == ALARM_LAZY ||
                   condition->metric == ALARM_GROWTH;
    // Where nobody can tell what is lazily freed, no deeper look will.
    return is_lazy && watch->last.kind == SAMPLE_CHEAP && watch->last.lazy_bytes != SAMPLE_UNKNOWN;
}

bool alarm_watch_level(const struct watch *watch, const struct alarm_level *level,
                       const struct host_sample *host, double *ret_level)
{
    // What the share is of; 0 is as good as unknown.
    uint64_t base = 0;
    switch (level->base) {
    case ALARM_OF_RSS:
        base = watch->last.rss_bytes;
        break;
    case ALARM_OF_HOST:
        base = host->total_bytes;
        break;
    case ALARM_OF_LIMIT:
        base = account_value(watch, watch->limit_bytes);
        // Without a limit of its own the host's memory is what it cannot exceed.
        if (watch->has_account && (base == SAMPLE_UNKNOWN || base > host->total_bytes))
            base = host->total_bytes;
        break;
    case ALARM_BYTES:
    case ALARM_BASE_COUNT:
        *ret_level = level->number;
        return true;
    }
    *ret_level = (double)base * level->number / 100;
    return base != 0 && base != SAMPLE_UNKNOWN;
}
