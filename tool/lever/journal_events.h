// SPDX-License-Identifier: Apache-2.0
// What levers did meanwhile, as events of a round: a lever that is pulled on what is recorded or
// watched explains the step that follows it. Tool world.
#ifndef EBB_LEVER_JOURNAL_EVENTS_H
#define EBB_LEVER_JOURNAL_EVENTS_H

#include "lever/journal.h"
#include "sample/sample.h"

// Where a round's own events and those of levers stand together, from round to round: most need no
// more. All zero at first; the caller frees `events`.
struct journal_events {
    struct event *events;
    size_t capacity;
};

// Gives the batch, which is the caller's copy of a sampler's, the events of levers behind its own;
// they stand in `room` then. Levers of other processes than these are left out. 0, also where the
// journal cannot be read; -ENOMEM. NULL as journal is fine.
int journal_add_events(struct journal *journal, const struct subject *subjects,
                       size_t subject_count, struct journal_events *room, struct batch *batch);

// The same with one event of the caller's.
int journal_add_event(struct journal_events *room, const struct event *event, struct batch *batch);

#endif
