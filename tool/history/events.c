// SPDX-License-Identifier: Apache-2.0
// Events and the host over time. Tool world; one thread.
#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "history/open.h"

// As many as a page or a report can make anything of. A year of a busy program's collections is
// more, and nobody looks at them one by one.
enum { EVENTS_MAX = 200000 };

// Grown as they are read: how many there are is not known before. Once there are EVENTS_MAX of
// them, `oldest` is a heap of their times, whose first gives its place to whatever is newer.
struct events {
    struct event *items;
    size_t count, capacity;
    struct event_time {
        int64_t time_ms;
        size_t place;
    } * oldest; // NULL: there is room
};

static int compare_times(const void *left, const void *right)
{
    const struct event_time *a = left, *b = right;
    return (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
}

// What ascends is a heap.
static int start_heap(struct events *events)
{
    events->oldest = calloc(events->count, sizeof *events->oldest);
    if (!events->oldest)
        return -ENOMEM;
    for (size_t i = 0; i < events->count; i++)
        events->oldest[i] = (struct event_time){events->items[i].time_ms, i};
    qsort(events->oldest, events->count, sizeof *events->oldest, compare_times);
    return 0;
}

// The first has become newer: it goes down to where it belongs.
static void sift_down(struct events *events)
{
    struct event_time *heap = events->oldest, first = heap[0];
    size_t at = 0;
    for (size_t child = 1; child < events->count; child = 2 * at + 1) {
        if (child + 1 < events->count && heap[child + 1].time_ms < heap[child].time_ms)
            child++;
        if (heap[child].time_ms >= first.time_ms)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = first;
}

// Room for one of that time: NULL where all that are kept are newer. 0 or -ENOMEM.
static int make_room(struct events *events, int64_t time_ms, struct event **ret_event)
{
    int error = 0;
    if (events->count < EVENTS_MAX) {
        error = array_reserve_one(&events->items, &events->capacity, events->count,
                                  sizeof *events->items);
        if (!error)
            *ret_event = &events->items[events->count++];
        return error;
    }
    if (!events->oldest)
        error = start_heap(events);
    if (error)
        return error;
    *ret_event = NULL;
    if (events->oldest[0].time_ms >= time_ms)
        return 0;
    *ret_event = &events->items[events->oldest[0].place];
    events->oldest[0].time_ms = time_ms;
    sift_down(events);
    return 0;
}

// Kinds that come later than this version are passed over: the rest is still true. 1: what comes
// now is older than all that are kept.
static int add_event(struct history *history, sqlite3_stmt *select, struct events *events)
{
    int64_t key = sqlite3_column_int64(select, 0);
    uint64_t kind = store_u64(select, 1);
    // A kind that this version does not know.
    if (kind >= EVENT_COUNT)
        return 0;
    struct event *event = NULL;
    int64_t time_ms = clock_time(&history->clock, key_time(key));
    int error = make_room(events, time_ms, &event);
    if (error || !event)
        return error ? error : 1;
    *event = (struct event){
        .subject = (unsigned)(key >> KEY_TIME_BITS),
        .time_ms = time_ms,
        .kind = (enum event_kind)kind,
        // As it was stored, with its sign: how far a clock was set back.
        .value = (uint64_t)sqlite3_column_int64(select, 2),
    };
    store_text(select, 3, event->text, sizeof event->text);
    return 0;
}

// One subject's, which lie together, from the newest back to what is too old to be kept. The
// statement is bound anew for each subject: preparing it costs more than running it.
static int read_events(struct history *history, sqlite3_stmt *select, unsigned subject,
                       int64_t first_ms, int64_t last_ms, struct events *events)
{
    sqlite3_bind_int64(select, 1, key_make(subject, first_ms));
    sqlite3_bind_int64(select, 2, key_make(subject, last_ms));
    int stepped;
    int64_t last_key = INT64_MAX;
    while ((stepped = store_step(history, select)) == 1) {
        int64_t key = sqlite3_column_int64(select, 0);
        stepped = key >= last_key ? -EBADMSG : add_event(history, select, events);
        if (stepped != 0)
            break;
        last_key = key;
    }
    // A statement that was left in the middle would hold its pages.
    sqlite3_reset(select);
    return stepped < 0 ? stepped : 0;
}

// Those that were there at some time of the range. Asking all that were ever there would cost a
// search for each of a host's short-lived processes.
static int read_subjects(struct history *history, sqlite3_stmt *select, int64_t first_ms,
                         int64_t last_ms, struct events *events)
{
    sqlite3_stmt *subjects = NULL;
    int error = store_prepare(history,
                              "SELECT id FROM subject WHERE first_at_ms <= ? AND "
                              "ifnull(last_at_ms, ?) >= ? ORDER BY id",
                              &subjects);
    if (error)
        return error;
    // An end is seen, and told, some time after the last sample: an hour is more than enough.
    const int64_t patience_ms = 3600000;
    sqlite3_bind_int64(subjects, 1, last_ms);
    sqlite3_bind_int64(subjects, 2, key_time_max);
    sqlite3_bind_int64(subjects, 3, first_ms - patience_ms);
    int stepped;
    int64_t last_id = 0;
    while ((stepped = store_step(history, subjects)) == 1) {
        // Ids become keys: one that is too large would reach into another subject's rows.
        int64_t id = sqlite3_column_int64(subjects, 0);
        if (id <= last_id || id > KEY_SUBJECT_MAX)
            stepped = -EBADMSG;
        else
            stepped = read_events(history, select, (unsigned)id, first_ms, last_ms, events);
        if (stepped < 0)
            break;
        last_id = id;
    }
    sqlite3_finalize(subjects);
    return stepped < 0 ? stepped : 0;
}

// Of one moment, the host's come first: they explain the others.
static int compare_events(const void *left, const void *right)
{
    const struct event *a = left, *b = right;
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    return (a->subject > b->subject) - (a->subject < b->subject);
}

// Subject by subject and then sorted: keys ascend by subject first. The host's are those of 0.
static int collect_events(struct history *history, unsigned subject, bool has_all, int64_t from_ms,
                          int64_t to_ms, struct event **ret_events, size_t *ret_count)
{
    sqlite3_stmt *select = NULL;
    int error = subject > KEY_SUBJECT_MAX ? -ENOENT : open_clock(history);
    if (!error)
        error = store_prepare(history,
                              "SELECT id, kind, value, text FROM event WHERE id >= ? AND id <= ? "
                              "ORDER BY id DESC",
                              &select);
    if (error)
        return error;
    struct events events = {0};
    int64_t first_ms = clock_at(&history->clock, from_ms, key_time_max);
    int64_t last_ms = clock_until(&history->clock, to_ms, key_time_max);
    if (last_ms >= first_ms) {
        error = read_events(history, select, subject, first_ms, last_ms, &events);
        if (!error && has_all)
            error = read_subjects(history, select, first_ms, last_ms, &events);
    }
    sqlite3_finalize(select);
    free(events.oldest);
    if (error) {
        free(events.items);
        return error;
    }
    // Of all subjects, they come one subject after the other.
    if (events.count > 1)
        qsort(events.items, events.count, sizeof *events.items, compare_events);
    *ret_events = events.items;
    *ret_count = events.count;
    return 0;
}

int history_events(struct history *history, unsigned subject, int64_t from_ms, int64_t to_ms,
                   struct event **ret_events, size_t *ret_count)
{
    return collect_events(history, subject, subject == 0, from_ms, to_ms, ret_events, ret_count);
}

int history_host_events(struct history *history, int64_t from_ms, int64_t to_ms,
                        struct event **ret_events, size_t *ret_count)
{
    return collect_events(history, 0, false, from_ms, to_ms, ret_events, ret_count);
}

// The host's rows have the moment alone for a key: there is one host.
struct host_samples {
    struct host_sample *items;
    size_t count, capacity;
};

// A later one of the same step takes the place of the one before.
static int add_host(struct history *history, sqlite3_stmt *select, struct host_samples *samples,
                    bool is_new)
{
    uint64_t pressure = store_u64(select, 7);
    const struct host_sample sample = {
        .time_ms = clock_time(&history->clock, sqlite3_column_int64(select, 0)),
        .total_bytes = store_u64(select, 1),
        .available_bytes = store_u64(select, 2),
        .swap_used_bytes = store_u64(select, 3),
        .lazy_bound_bytes = store_u64(select, 4),
        .lazily_freed_pages = store_u64(select, 5),
        .lazily_taken_pages = store_u64(select, 6),
        .pressure_some_avg10 = pressure <= 10000 ? (double)pressure / 100 : -1,
    };
    if (!is_new && samples->count > 0) {
        samples->items[samples->count - 1] = sample;
        return 0;
    }
    int error = array_reserve_one(&samples->items, &samples->capacity, samples->count,
                                  sizeof *samples->items);
    if (!error)
        samples->items[samples->count++] = sample;
    return error;
}

// Of each step of time the last one stays, which is as true as any.
static int read_host(struct history *history, sqlite3_stmt *select, int64_t first_ms,
                     int64_t step_ms, struct host_samples *samples)
{
    int stepped;
    int64_t last_ms = -1, last_step = -1;
    while ((stepped = store_step(history, select)) == 1) {
        int64_t at_ms = sqlite3_column_int64(select, 0);
        // Rows of a whole tree ascend. Damaged ones would make points that go back in time.
        if (at_ms <= last_ms || at_ms > key_time_max)
            return -EBADMSG;
        int64_t step = (at_ms - first_ms) / step_ms;
        int error = add_host(history, select, samples, step != last_step);
        if (error)
            return error;
        last_ms = at_ms;
        last_step = step;
    }
    return stepped;
}

// The step is that of the asked range, so that two pages of one range agree. Thinned while reading:
// memory is for the points that are wanted, not for those that there are.
int history_host(struct history *history, int64_t from_ms, int64_t to_ms, size_t max_points,
                 struct host_sample **ret_samples, size_t *ret_count)
{
    sqlite3_stmt *select = NULL;
    int64_t recorded_ms = 0;
    int error = open_clock(history);
    if (!error)
        error = store_last_ms(history, &recorded_ms);
    if (!error)
        error = store_prepare(history,
                              "SELECT at_ms, total, available, swap_used, lazy_bound, "
                              "lazily_freed, lazily_taken, pressure FROM host "
                              "WHERE at_ms >= ? AND at_ms <= ? ORDER BY at_ms",
                              &select);
    if (error)
        return error;
    struct host_samples samples = {0};
    // Both are cut to what there is: steps are of the time that has any samples.
    int64_t first_ms = clock_at(&history->clock, from_ms, key_time_max);
    int64_t last_ms = clock_until(&history->clock, to_ms, recorded_ms);
    int64_t step_ms = 1;
    // Rounded up, so that there are never more steps than points.
    if (max_points > 0 && max_points < (size_t)key_time_max && last_ms > first_ms)
        step_ms = (last_ms - first_ms) / (int64_t)max_points + 1;
    sqlite3_bind_int64(select, 1, first_ms);
    sqlite3_bind_int64(select, 2, last_ms);
    if (last_ms >= first_ms)
        error = read_host(history, select, first_ms, step_ms, &samples);
    sqlite3_finalize(select);
    if (error) {
        free(samples.items);
        return error;
    }
    *ret_samples = samples.items;
    *ret_count = samples.count;
    return 0;
}
