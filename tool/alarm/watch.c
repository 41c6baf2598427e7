// SPDX-License-Identifier: Apache-2.0
// The figures of one process under an alarm, see watch.h. Tool world; pure.
#include "alarm/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Growth is judged over the time that the expression names, but not over less than a minute: a
// collection of garbage alone would look like growth and shrinkage by turns.
enum { GROWTH_WINDOW_MS = 60000 };

// The time over which a slope is taken.
static uint64_t trail_window_ms(const struct alarm_condition *condition)
{
    return condition->for_ms > GROWTH_WINDOW_MS ? condition->for_ms : GROWTH_WINDOW_MS;
}

// Adds a point, at most one for each part of the window; what is older than the window goes.
static int trail_add(struct watch *watch, const struct alarm_condition *condition,
                     const struct sample *sample)
{
    double window_s = (double)trail_window_ms(condition) / 1000, now_s = 0;
    if (!watch->trail) {
        watch->trail = calloc(WATCH_TRAIL, sizeof *watch->trail);
        if (!watch->trail)
            return -ENOMEM;
    }
    now_s = (double)sample->boot_ms / 1000;
    // The list is short: moving it costs less than a ring would in code.
    size_t count = watch->trail_count, old = 0;
    // The newest point moves with the time until its part of the window is over.
    if (count > 1 && now_s - watch->trail[count - 2].time_s < window_s / WATCH_PARTS)
        count--;
    // The last one beyond the window stays, so that the line covers all of it, however seldom there
    // are samples; and with the new one there are three at least.
    while (count - old > 2 &&
           (now_s - watch->trail[old + 1].time_s >= window_s || count - old >= WATCH_TRAIL))
        old++;
    // Oldest first, as the line wants them.
    memmove(watch->trail, watch->trail + old, (count - old) * sizeof *watch->trail);
    count -= old;
    watch->trail[count++] = (struct growth_sample){
        .time_s = now_s,
        .effective_bytes = sample->effective_bytes,
        .rss_bytes = sample->rss_bytes,
    };
    watch->trail_count = count;
    return 0;
}

int alarm_watch_take(struct watch *watch, const struct alarm_condition *condition,
                     const struct sample *sample)
{
    int error = condition->metric == ALARM_GROWTH ? trail_add(watch, condition, sample) : 0;
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
    watch->trail_count = 0;
}

// Nearly all of the window must have been seen: a slope over less of it would be told too early.
static bool growth_value(const struct watch *watch, const struct alarm_condition *condition,
                         double *ret_value)
{
    // The same line as in `ebb explain --for`.
    struct growth growth;
    if (watch->trail_count < 3 || growth_fit(watch->trail, watch->trail_count, &growth) != 0)
        return false;
    if (growth.seconds * 1000 < 0.9 * (double)trail_window_ms(condition))
        return false;
    *ret_value = growth.effective.slope_bytes_per_s;
    return true;
}

// A figure of the last account, or none.
static uint64_t account_value(const struct watch *watch, uint64_t bytes)
{
    return watch->has_account ? bytes : SAMPLE_UNKNOWN;
}

bool alarm_watch_value(const struct watch *watch, const struct alarm_condition *condition,
                       double *ret_value)
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
        return growth_value(watch, condition, ret_value);
    if (values[condition->metric] == SAMPLE_UNKNOWN)
        return false;
    *ret_value = (double)values[condition->metric];
    return true;
}

// Where the line begins that the slope is of.
uint64_t alarm_watch_since_ms(const struct watch *watch)
{
    return watch->trail_count > 0 ? (uint64_t)(watch->trail[0].time_s * 1000) : watch->last.boot_ms;
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
