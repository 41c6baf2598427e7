// SPDX-License-Identifier: Apache-2.0
// Filling in a batch, see batch.h, and the names of events. Tool world; its owner guards it.
#include "sample/batch.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/text.h"

// Public words: recordings, JSON and the page have them.
const char *event_kind_name(enum event_kind kind)
{
    static const char *const names[EVENT_COUNT] = {
        [EVENT_APPEARED] = "appeared",     [EVENT_ENDED] = "ended", [EVENT_EXEC] = "exec",
        [EVENT_VERDICT] = "verdict",       [EVENT_GC] = "gc",       [EVENT_PURGE] = "purge",
        [EVENT_LEVER] = "lever",           [EVENT_GAP] = "gap",     [EVENT_CLOCK] = "clock",
        [EVENT_UNREADABLE] = "unreadable", [EVENT_ALARM] = "alarm",
    };
    // Recordings are files, and may hold any number.
    return (unsigned)kind < EVENT_COUNT ? names[kind] : "unknown";
}

// Capacities stay.
void batch_clear(struct batch *batch)
{
    batch->sample_count = 0;
    batch->event_count = 0;
}

void batch_free(struct batch *batch)
{
    free(batch->samples);
    free(batch->events);
    *batch = (struct batch){0};
}

// By doubling, until it has once held a round.
int batch_add_sample(struct batch *batch, const struct sample *sample)
{
    int error = array_reserve_one(&batch->samples, &batch->sample_capacity, batch->sample_count,
                                  sizeof *batch->samples);
    if (!error)
        batch->samples[batch->sample_count++] = *sample;
    return error;
}

int batch_add_event(struct batch *batch, const struct event *event)
{
    int error = array_reserve_one(&batch->events, &batch->event_capacity, batch->event_count,
                                  sizeof *batch->events);
    if (!error)
        batch->events[batch->event_count++] = *event;
    return error;
}

// The batch's time and not the clock's: events of a round happened before it, nobody knows when.
int batch_tell(struct batch *batch, unsigned subject, enum event_kind kind, uint64_t value,
               const char *text)
{
    struct event event = {
        .subject = subject, .time_ms = batch->time_ms, .kind = kind, .value = value};
    text_copy(text_of(text), event.text, sizeof event.text);
    return batch_add_event(batch, &event);
}
