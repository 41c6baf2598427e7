// SPDX-License-Identifier: Apache-2.0
// Events and the host over time. Tool world; one thread.
#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "history/open.h"

// As many as a page or a report can make anything of. A year of a busy program's collections is
// more, and nobody looks at them one by one.
enum { EVENTS_MAX = 200000 };

struct events {
    struct event *items;
    size_t count, capacity;
};

static int add_event(struct history *history, sqlite3_stmt *select, struct events *events)
{
    int64_t key = sqlite3_column_int64(select, 0);
    uint64_t kind = store_u64(select, 1);
    // A kind that this version does not know.
    if (kind >= EVENT_COUNT)
        return 0;
    if (events->count == EVENTS_MAX)
        return -EOVERFLOW;
    int error =
        array_reserve_one(&events->items, &events->capacity, events->count, sizeof *events->items);
    if (error)
        return error;
    struct event *event = &events->items[events->count++];
    *event = (struct event){
        .subject = (unsigned)(key >> KEY_TIME_BITS),
        .time_ms = clock_time(&history->clock, key_time(key)),
        .kind = (enum event_kind)kind,
        .value = (uint64_t)sqlite3_column_int64(select, 2),
    };
    store_text(select, 3, event->text, sizeof event->text);
    return 0;
}

static int read_events(struct history *history, sqlite3_stmt *select, unsigned subject,
                       int64_t first_ms, int64_t last_ms, struct events *events)
{
    sqlite3_bind_int64(select, 1, key_make(subject, first_ms));
    sqlite3_bind_int64(select, 2, key_make(subject, last_ms));
    int stepped;
    int64_t last_key = -1;
    while ((stepped = store_step(history, select)) == 1) {
        int64_t key = sqlite3_column_int64(select, 0);
        stepped = key <= last_key ? -EBADMSG : add_event(history, select, events);
        if (stepped < 0)
            break;
        last_key = key;
    }
    // A statement that was left in the middle would hold its pages.
    sqlite3_reset(select);
    return stepped == -EOVERFLOW ? 0 : stepped;
}

// Those that were there at some time of the range.
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

static int compare_events(const void *left, const void *right)
{
    const struct event *a = left, *b = right;
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    return (a->subject > b->subject) - (a->subject < b->subject);
}

int history_events(struct history *history, unsigned subject, int64_t from_ms, int64_t to_ms,
                   struct event **ret_events, size_t *ret_count)
{
    sqlite3_stmt *select = NULL;
    int error = subject > KEY_SUBJECT_MAX ? -ENOENT : open_clock(history);
    if (!error)
        error = store_prepare(history,
                              "SELECT id, kind, value, text FROM event WHERE id >= ? AND id <= ? "
                              "ORDER BY id",
                              &select);
    if (error)
        return error;
    struct events events = {0};
    int64_t first_ms = clock_at(&history->clock, from_ms, key_time_max);
    int64_t last_ms = clock_at(&history->clock, to_ms, key_time_max);
    if (to_ms >= from_ms && to_ms >= clock_time(&history->clock, 0)) {
        error = read_events(history, select, subject, first_ms, last_ms, &events);
        if (!error && subject == 0)
            error = read_subjects(history, select, first_ms, last_ms, &events);
    }
    sqlite3_finalize(select);
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

struct host_samples {
    struct host_sample *items;
    size_t count, capacity;
};

static int add_host(struct history *history, sqlite3_stmt *select, struct host_samples *samples,
                    bool is_new)
{
    if (is_new) {
        int error = array_reserve_one(&samples->items, &samples->capacity, samples->count,
                                      sizeof *samples->items);
        if (error)
            return error;
        samples->count++;
    }
    uint64_t pressure = store_u64(select, 7);
    samples->items[samples->count - 1] = (struct host_sample){
        .time_ms = clock_time(&history->clock, sqlite3_column_int64(select, 0)),
        .total_bytes = store_u64(select, 1),
        .available_bytes = store_u64(select, 2),
        .swap_used_bytes = store_u64(select, 3),
        .lazy_bound_bytes = store_u64(select, 4),
        .lazily_freed_pages = store_u64(select, 5),
        .lazily_taken_pages = store_u64(select, 6),
        .pressure_some_avg10 = pressure <= 10000 ? (double)pressure / 100 : -1,
    };
    return 0;
}

// Of each step of time the last one stays, which is as true as any.
static int read_host(struct history *history, sqlite3_stmt *select, int64_t first_ms,
                     int64_t step_ms, struct host_samples *samples)
{
    int stepped;
    int64_t last_ms = -1, last_step = -1;
    while ((stepped = store_step(history, select)) == 1) {
        int64_t at_ms = sqlite3_column_int64(select, 0);
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
    int64_t first_ms = clock_at(&history->clock, from_ms, recorded_ms);
    int64_t last_ms = clock_at(&history->clock, to_ms, recorded_ms);
    int64_t step_ms = 1;
    if (max_points > 0 && max_points < (size_t)key_time_max)
        step_ms = (last_ms - first_ms) / (int64_t)max_points + 1;
    sqlite3_bind_int64(select, 1, first_ms);
    sqlite3_bind_int64(select, 2, last_ms);
    if (to_ms >= from_ms && to_ms >= clock_time(&history->clock, 0))
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
