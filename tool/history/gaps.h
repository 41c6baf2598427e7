// SPDX-License-Identifier: Apache-2.0
// The times without readings: the host slept, or nobody was given time to read. Tool world; one
// thread.
//
// What stood before a gap does not stand in it. The writer knows of a gap from its event, and so
// does a reader: samples alone tell only of those that are longer than a sample may stand.
#ifndef EBB_HISTORY_GAPS_H
#define EBB_HISTORY_GAPS_H

#include "history/store.h"

// Middles of gaps, ascending: whatever clock a moment was told by, it is between the readings on
// both sides.
struct gaps {
    int64_t *middle_ms;
    size_t count, capacity;
};

// Reads all of a recording; gaps_free() them. 0, -ENOMEM, -EBADMSG, -errno. Cost: the host's
// events, which are few.
int gaps_read(struct history *history, struct gaps *ret_gaps);
void gaps_free(struct gaps *gaps);

// Is one between two readings?
bool gaps_between(const struct gaps *gaps, int64_t from_ms, int64_t to_ms);

#endif
