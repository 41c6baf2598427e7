// SPDX-License-Identifier: Apache-2.0
// What is remembered of a process to see whether it grows: a few deeper readings of the last half
// hour. Tool world; pure but for its memory.
//
// They lie evenly: where there are too many, every second one goes, and new ones are taken half as
// often from then on. So a process of a minute has one a second or two, one of days one a minute.
// The lows and falls of all readings are remembered beside them: growth is told from these alone.
#ifndef EBB_SAMPLE_TREND_H
#define EBB_SAMPLE_TREND_H

#include "account/growth.h"
#include "sample/sample.h"

enum { TREND_SAMPLES = 32 };

// Zero-initialised is empty.
struct trend {
    struct trend_items *items; // from the first one on
    size_t count;
    double spacing_s;
};

// Remembers a reading; `sample` has its faults. Without memory it is left out. Times ascend.
void trend_add(struct trend *trend, const struct growth_sample *now, const struct sample *sample);

// The growth over what is remembered. 0; -ENODATA while it is too little to judge by: six readings
// over half a minute. `is_growing` comes later: the lows must rise over five minutes at least, of
// all that is remembered or of its last eight; until then a rise is `is_doubted`.
int trend_fit(const struct trend *trend, struct growth *ret_growth);

void trend_free(struct trend *trend);

#endif
