// SPDX-License-Identifier: Apache-2.0
// Segments of the day's clock, see clock.h. Tool world; pure.
#include "history/clock.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

// Unchecked: both callers have made sure that it ascends.
static int push(struct history_clock *clock, int64_t at_ms, int64_t offset_ms)
{
    if (clock->count >= CLOCK_SEGMENTS_MAX)
        return -EOVERFLOW;
    int error = array_reserve_one(&clock->segments, &clock->capacity, clock->count,
                                  sizeof *clock->segments);
    if (error)
        return error;
    clock->segments[clock->count++] = (struct clock_segment){at_ms, offset_ms};
    return 0;
}

// Too many settings are no reason to lose samples: the last segment then goes on.
int clock_note(struct history_clock *clock, int64_t at_ms, int64_t time_ms,
               size_t *ret_first_changed)
{
    // The clock of a host may show anything, and the difference of two such times need not fit.
    int64_t offset_ms;
    if (__builtin_sub_overflow(time_ms, at_ms, &offset_ms))
        return -EOVERFLOW;
    size_t count = clock->count;
    *ret_first_changed = count;
    // From the very beginning, so that every moment has a segment.
    if (count == 0)
        return push(clock, 0, offset_ms);
    int64_t change_ms;
    if (__builtin_sub_overflow(offset_ms, clock->segments[count - 1].offset_ms, &change_ms))
        return -EOVERFLOW;
    // Compared with the segment's own offset, not with the last reading: slow slewing adds up, and
    // gets its segment once it has.
    if (change_ms >= -CLOCK_TOLERANCE_MS && change_ms <= CLOCK_TOLERANCE_MS)
        return 0;
    if (change_ms > 0) {
        int error = push(clock, at_ms, offset_ms);
        return error == -EOVERFLOW ? 0 : error;
    }
    // Nothing may be later than what comes now: the last segment is among those that move, so no
    // new one is needed.
    for (size_t i = count; i-- > 0 && clock->segments[i].offset_ms > offset_ms;) {
        clock->segments[i].offset_ms = offset_ms;
        *ret_first_changed = i;
    }
    return 0;
}

// Days of the year 30000 are nobody's: sums of such numbers cannot overflow. What is accepted
// ascends in both, which both searches below rely on.
int clock_append(struct history_clock *clock, int64_t at_ms, int64_t offset_ms)
{
    const int64_t sane_ms = INT64_C(1) << 50;
    if (at_ms < 0 || at_ms > sane_ms || offset_ms < -sane_ms || offset_ms > sane_ms)
        return -EBADMSG;
    // clock_note() always begins at 0.
    if (clock->count == 0 && at_ms != 0)
        return -EBADMSG;
    if (clock->count > 0) {
        const struct clock_segment *last = &clock->segments[clock->count - 1];
        if (at_ms <= last->at_ms || offset_ms < last->offset_ms)
            return -EBADMSG;
    }
    int error = push(clock, at_ms, offset_ms);
    return error == -EOVERFLOW ? -EBADMSG : error;
}

// Empty again, as before the first note.
void clock_free(struct history_clock *clock)
{
    free(clock->segments);
    *clock = (struct history_clock){0};
}

// By halves: a clock that is set each minute has thousands of segments in a week.
int64_t clock_time(const struct history_clock *clock, int64_t at_ms)
{
    // The last segment that begins at or before it.
    size_t low = 0, high = clock->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (clock->segments[middle].at_ms <= at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? at_ms : at_ms + clock->segments[low - 1].offset_ms;
}

// The other way round; where two moments had one time of day, there is only one left.
int64_t clock_at(const struct history_clock *clock, int64_t time_ms, int64_t max_ms)
{
    int64_t found = 0;
    // Backwards: usually the last segment is the one. A time that the clock jumped over leads to
    // the moment behind the jump.
    for (size_t i = clock->count; i-- > 0;) {
        const struct clock_segment *segment = &clock->segments[i];
        int64_t at_ms;
        // A range without an end is asked for as INT64_MAX: it stays one.
        if (__builtin_sub_overflow(time_ms, segment->offset_ms, &at_ms))
            at_ms = time_ms < 0 ? INT64_MIN : INT64_MAX;
        if (at_ms >= segment->at_ms || i == 0) {
            bool is_last = i + 1 == clock->count;
            found = is_last || at_ms < segment[1].at_ms ? at_ms : segment[1].at_ms;
            break;
        }
    }
    // Nothing has been noted: times are moments.
    if (clock->count == 0)
        found = time_ms;
    if (found < 0)
        return 0;
    return found > max_ms ? max_ms : found;
}

// Times ascend with moments: the one before the first that is later is the last that is not.
int64_t clock_until(const struct history_clock *clock, int64_t time_ms, int64_t max_ms)
{
    int64_t at_ms = clock_at(clock, time_ms, max_ms);
    return clock_time(clock, at_ms) > time_ms ? at_ms - 1 : at_ms;
}
