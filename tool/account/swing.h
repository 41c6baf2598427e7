// SPDX-License-Identifier: Apache-2.0
// Growth or a wave: do the lows of a figure rise as well? Tool world; pure.
//
// A periodic load rises for half of its period and is no leak. What tells the two apart are the
// valleys: those of a wave come back, those of a leak do not. So a figure is kept as stretches of
// time with their lowest and highest values, and with the largest fall in them: a thinned-out list
// of single readings would show the beat of their rhythm and the load's as a slow rise.
#ifndef EBB_ACCOUNT_SWING_H
#define EBB_ACCOUNT_SWING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SWING_UNKNOWN UINT64_MAX

// Effective RSS in a stretch of time.
struct swing {
    double time_s; // of its beginning
    uint64_t low_bytes, high_bytes;
    uint64_t fall_bytes;     // the largest, from any moment in it to any later one
    uint64_t busy_low_bytes; // as growth_sample's; SWING_UNKNOWN: nobody saw it
};

enum { SWINGS_MAX = 64 };

// Stretches of equal length; all that come are in one of them. Zero-initialised is empty.
struct swings {
    struct swing items[SWINGS_MAX];
    size_t count;
    double spacing_s;
};

// Joins a stretch or a single reading (fall 0) that comes after the others. Where there are too
// many, each two become one.
void swings_add(struct swings *swings, const struct swing *now);
// Forgets stretches that began before, but for the last of these.
void swings_drop_before(struct swings *swings, double time_s);

// The least time in which growth can be told from a wave.
double swings_least_s(void);

// Do the lows of [from_s, to_s] rise: over five minutes or more, by what matters, all along and not
// in one step, and as much as the falls of all that is remembered demand? A rise with next to no
// fall counts by itself; where it swings, three swings must have been seen in the judged time.
// Where busy bytes are known, a quarter of the rise must be theirs. Cost: a few passes.
bool swings_rise(const struct swings *swings, double from_s, double to_s);

// The swings over which they rise so: falls like the largest one. 0 where they do not, and where
// there is next to no fall. A few of them (SWINGS_FEW and less) are a doubt to be told: all may lie
// on the slope of a longer wave.
enum { SWINGS_FEW = 10 };
size_t swings_count(const struct swings *swings, double from_s, double to_s);

#endif
