// SPDX-License-Identifier: Apache-2.0
// The recording's own time: milliseconds that never go back, and the time of day that they stand
// for. Tool world; pure.
//
// Rows are ordered by a clock that nobody sets (boot time); `at_ms` is counted from a whole hour of
// the day before the first sample. What the day's clock is ahead of it is kept in segments. When
// the clock is set forward, a new one begins. When it is set back, the times before would come
// twice: the later clock is believed, and the earlier segments move back as far as they must.
#ifndef EBB_HISTORY_CLOCK_H
#define EBB_HISTORY_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock_segment {
    int64_t at_ms;     // from here on
    int64_t offset_ms; // time of day - at; never less than the segment's before
};

// Zero is an empty one.
struct history_clock {
    struct clock_segment *segments; // ascending; the first begins at 0
    size_t count, capacity;
};

enum {
    CLOCK_TOLERANCE_MS = 100, // slewing, and what lies between two readings: no new segment
    CLOCK_SEGMENTS_MAX = 100000
};

// Notes what time of day it is at `at_ms`, which is not before the last segment. 0, -ENOMEM,
// -EOVERFLOW. `*ret_first_changed` is the index of the first segment that is new or has moved;
// `count` when none has.
int clock_note(struct history_clock *clock, int64_t at_ms, int64_t time_ms,
               size_t *ret_first_changed);

// Appends one as it was stored. 0; -EBADMSG where it breaks the rules above; -ENOMEM.
int clock_append(struct history_clock *clock, int64_t at_ms, int64_t offset_ms);
void clock_free(struct history_clock *clock);

// The time of day of a moment, and the first moment that is at or after a time of day (clamped to 0
// and `max_ms`). Both ascend. Of an empty clock, both are the same.
int64_t clock_time(const struct history_clock *clock, int64_t at_ms);
int64_t clock_at(const struct history_clock *clock, int64_t time_ms, int64_t max_ms);
// The last moment that is at or before a time of day, for the end of a range; -1: there is none.
// Where the clock jumped over that time it is the moment before the jump, not the one behind it.
int64_t clock_until(const struct history_clock *clock, int64_t time_ms, int64_t max_ms);

#endif
