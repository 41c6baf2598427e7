// SPDX-License-Identifier: Apache-2.0
// Levers as events of a round, see journal_events.h. Tool world; one thread.
#include "lever/journal_events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

// The living subject that a journal's line is about; 0: none of these.
static unsigned find_subject(const struct subject *subjects, size_t count,
                             const struct journal_entry *entry)
{
    // From the newest: a PID with an exec has several subjects, of which the last is living.
    for (size_t i = count; i-- > 0;) {
        if (subjects[i].pid == entry->pid && subjects[i].start_ticks == entry->start_ticks)
            return subjects[i].id;
    }
    return 0;
}

// The sampler's own array is its own: a round with more events needs a copy.
static int make_room(struct journal_events *room, size_t more, struct batch *batch)
{
    size_t count = batch->event_count + more;
    // Asked before it grows, and moves.
    bool is_ours = room->events && batch->events == room->events;
    if (count > room->capacity) {
        struct event *events = reallocarray(room->events, count, sizeof *events);
        if (!events)
            return -ENOMEM;
        room->events = events;
        room->capacity = count;
    }
    if (!is_ours && room->events && batch->event_count > 0)
        memcpy(room->events, batch->events, batch->event_count * sizeof *batch->events);
    batch->events = room->events;
    return 0;
}

int journal_add_event(struct journal_events *room, const struct event *event, struct batch *batch)
{
    int error = make_room(room, 1, batch);
    if (!error)
        batch->events[batch->event_count++] = *event;
    return error;
}

// Levers are an extra: a journal that cannot be read ends nothing, and the round says less.
int journal_add_events(struct journal *journal, const struct subject *subjects,
                       size_t subject_count, struct journal_events *room, struct batch *batch)
{
    // The journal's own, until it is read again.
    const struct journal_entry *entries = NULL;
    size_t count = 0;
    if (!journal || journal_read(journal, &entries, &count) || count == 0)
        return 0;
    // As if all of them were about our subjects: one allocation, seldom a larger one.
    int error = make_room(room, count, batch);
    if (error)
        return error;
    for (size_t i = 0; i < count; i++) {
        unsigned subject = find_subject(subjects, subject_count, &entries[i]);
        // A group's or the host's concerns everybody; another process's nobody here.
        if (subject == 0 && entries[i].pid != 0)
            continue;
        struct event *event = &batch->events[batch->event_count++];
        *event =
            (struct event){.subject = subject, .time_ms = entries[i].time_ms, .kind = EVENT_LEVER};
        text_copy(text_of(entries[i].text), event->text, sizeof event->text);
    }
    return 0;
}
