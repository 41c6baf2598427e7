// SPDX-License-Identifier: Apache-2.0
// Dumps of pprofplus as a recording, see import.h. Tool world.
#include "history/import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/when.h"
#include "history/write.h"

#ifdef EBB_WITH_JSON

#include <jansson.h>

// A line of theirs has some 200 bytes; one that is longer is some other file's.
enum { LINE_MAX_BYTES = 64 * 1024 };

// Their names of Go's figures beside Go's own.
static const struct {
    const char *key, *name;
} figures[] = {
    {"sys", "Sys"},
    {"heapsys", "HeapSys"},
    {"heapalloc", "HeapAlloc"},
    {"heapinuse", "HeapInuse"},
    {"heapidle", "HeapIdle"},
    {"heapreleased", "HeapReleased"},
};
enum { FIGURE_COUNT_ALL = sizeof figures / sizeof figures[0] };

// A line of the dump. Kept until all are read, which may be many: 72 bytes each.
struct point {
    int64_t time_ms;
    uint64_t rss_bytes, virtual_bytes;
    uint64_t figures[FIGURE_COUNT_ALL]; // SAMPLE_UNKNOWN: not in the line
};

// Of whatever precision: each has its own range of digits for all dates of our time. Up to the end
// of the year 9999, which is as far as a date can be written.
static int64_t ms_of_number(double number)
{
    double ms = number < 1e11   ? number * 1e3
                : number < 1e14 ? number
                : number < 1e17 ? number / 1e3
                                : number / 1e6;
    return ms > 0 && ms < 253402300799e3 ? (int64_t)ms : -1;
}

// Negative for what is no time: the line is then skipped.
static int64_t time_of(const json_t *value)
{
    static const struct when_frame frame = {0, 0};
    int64_t time_ms;
    if (json_is_number(value))
        return ms_of_number(json_number_value(value));
    if (json_is_string(value) &&
        when_parse(text_of(json_string_value(value)), &frame, &time_ms) == 0)
        return time_ms;
    return -1;
}

// Integers of other languages may come as 1.2e9; NaN and negative ones are no sizes. Below 9e18 all
// of them fit into what SQLite stores.
static bool bytes_of(const json_t *object, const char *key, uint64_t *ret_bytes)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value) || !(json_number_value(value) >= 0) ||
        !(json_number_value(value) < 9e18))
        return false;
    *ret_bytes = json_is_integer(value) ? (uint64_t)json_integer_value(value)
                                        : (uint64_t)json_real_value(value);
    return true;
}

// What a line lacks is left out of its ledger, not 0.
static void take_figures(const json_t *object, struct point *point)
{
    for (size_t i = 0; i < FIGURE_COUNT_ALL; i++) {
        point->figures[i] = SAMPLE_UNKNOWN;
        bytes_of(object, figures[i].key, &point->figures[i]);
    }
}

// Those that the line had, under Go's names. Returns how many.
static size_t name_figures(const struct point *point,
                           struct digest_figure ret_figures[FIGURE_COUNT_ALL])
{
    size_t count = 0;
    for (size_t i = 0; i < FIGURE_COUNT_ALL; i++) {
        if (point->figures[i] == SAMPLE_UNKNOWN)
            continue;
        // The next free place: a figure that is missing leaves it to the one behind.
        struct digest_figure *entry = &ret_figures[count++];
        *entry = (struct digest_figure){
            .runtime = "Go", .figure = {.unit = FIGURE_BYTES, .value = point->figures[i]}};
        text_copy(text_of(figures[i].name), entry->figure.name, sizeof entry->figure.name);
    }
    return count;
}

// A line without a time or without any RSS tells nothing that could be drawn.
static bool read_point(struct text line, struct point *ret_point)
{
    struct point point = {0};
    // NULL for a line that is no JSON: the calls below take it.
    json_t *object = json_loadb(line.data, line.len, JSON_REJECT_DUPLICATES, NULL);
    bool is_good = json_is_object(object);
    if (is_good) {
        point.time_ms = time_of(json_object_get(object, "timestamp"));
        is_good = point.time_ms > 0 && bytes_of(object, "rss", &point.rss_bytes);
        // 0 where it is missing, like a process without an address space.
        bytes_of(object, "vms", &point.virtual_bytes);
        take_figures(object, &point);
    }
    // NULL is fine here as well.
    json_decref(object);
    if (is_good)
        *ret_point = point;
    return is_good;
}

// Which rows RSS consists of they do not tell: all of them stay unknown.
static int add_point(struct history *history, struct subject *subject, const struct point *point)
{
    struct digest_figure named[FIGURE_COUNT_ALL];
    struct digest digest = {.figures = named,
                            .figure_count = name_figures(point, named),
                            .group_usage_bytes = SAMPLE_UNKNOWN,
                            .group_working_set_bytes = SAMPLE_UNKNOWN,
                            .group_inactive_file_bytes = SAMPLE_UNKNOWN,
                            .group_limit_bytes = SAMPLE_UNKNOWN,
                            .runtimes = "Go"};
    for (int row = 0; row < ROW_COUNT; row++)
        digest.row_bytes[row] = SAMPLE_UNKNOWN;
    if (subject->first_ms == 0)
        subject->first_ms = subject->start_ms = point->time_ms;
    subject->last_ms = point->time_ms;
    struct sample sample = {.subject = subject->id,
                            .time_ms = point->time_ms,
                            // Counted from the first: theirs has no boot clock, and is sorted.
                            .boot_ms = (uint64_t)(point->time_ms - subject->first_ms),
                            // An account, since figures are stored with accounts only; of no
                            // verdict.
                            .kind = SAMPLE_ACCOUNT,
                            .rss_bytes = point->rss_bytes,
                            .lazy_bytes = SAMPLE_UNKNOWN,
                            .effective_bytes = point->rss_bytes,
                            .anon_bytes = SAMPLE_UNKNOWN,
                            .virtual_bytes = point->virtual_bytes,
                            .swap_bytes = SAMPLE_UNKNOWN,
                            .digest = &digest};
    struct batch batch = {.time_ms = point->time_ms,
                          .host = {.time_ms = point->time_ms, .pressure_some_avg10 = -1},
                          .samples = &sample,
                          .sample_count = 1};
    return history_add(history, &batch, subject, 1);
}

// By time alone: equal times are one sample, and the first is taken.
static int point_order(const void *left, const void *right)
{
    const struct point *a = left, *b = right;
    return a->time_ms < b->time_ms ? -1 : a->time_ms > b->time_ms;
}

// Shorter first.
static int length_order(const void *left, const void *right)
{
    const int64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

// The usual time from one to the next, which no line tells: half of them are no longer. A second
// where there are too few to tell.
static int find_interval(const struct point *points, size_t count, uint64_t *ret_interval_ms)
{
    size_t lengths = 0;
    int64_t *length_ms = calloc(count, sizeof *length_ms);
    if (!length_ms)
        return -ENOMEM;
    for (size_t i = 1; i < count; i++)
        if (points[i].time_ms > points[i - 1].time_ms)
            length_ms[lengths++] = points[i].time_ms - points[i - 1].time_ms;
    qsort(length_ms, lengths, sizeof *length_ms, length_order);
    if (lengths > 0)
        *ret_interval_ms = (uint64_t)length_ms[lengths / 2];
    free(length_ms);
    return 0;
}

// How long a sample stands, and what is a gap, follows from the interval. And where it was dumped
// no line tells: on another host than this one, mostly.
static int describe(struct history *history, const struct point *points, size_t count)
{
    uint64_t interval_ms = history->writer->interval_ms;
    int error = find_interval(points, count, &interval_ms);
    if (!error)
        error = store_set_number(history, "interval_ms", (int64_t)interval_ms);
    if (!error)
        error = store_set(history, "host", "");
    if (!error)
        error = store_set(history, "kernel", "");
    // Nothing more comes.
    if (!error)
        error = store_set_number(history, "ended", 1);
    history->writer->interval_ms = interval_ms;
    return error;
}

// Several dumps in one file may overlap: samples ascend all the same.
static int add_points(struct history *history, struct point *points, size_t count)
{
    struct subject subject = {.id = 1, .name = "pprofplus", .cmdline = "imported from pprofplus"};
    // A recording takes only what ascends.
    qsort(points, count, sizeof *points, point_order);
    int error = describe(history, points, count);
    for (size_t i = 0; i < count && !error; i++)
        if (i == 0 || points[i].time_ms != points[i - 1].time_ms)
            error = add_point(history, &subject, &points[i]);
    // What is left over of the last seconds: the caller may read it from now on.
    return error ? error : history_flush(history);
}

// All lines are read before any is written, since a recording only takes what ascends.
int import_pprofplus(struct text file, struct history *history, struct import_counts *ret_counts)
{
    struct import_counts counts = {0};
    struct point *points = NULL;
    size_t capacity = 0, number = 0;
    struct text line;
    int error = 0;
    while (!error && text_next_line(&file, &line)) {
        number++;
        text_skip_blanks(&line);
        if (line.len == 0 || text_equals(line, "\r"))
            continue;
        error = array_reserve_one(&points, &capacity, counts.samples, sizeof *points);
        if (error)
            break;
        if (line.len <= LINE_MAX_BYTES && read_point(line, &points[counts.samples]))
            counts.samples++;
        else if (counts.skipped_lines++ == 0)
            counts.first_skipped = number;
    }
    if (!error && counts.samples == 0)
        error = -EBADMSG;
    if (!error)
        error = add_points(history, points, counts.samples);
    free(points);
    if (!error)
        *ret_counts = counts;
    return error;
}

#else

int import_pprofplus(struct text file, struct history *history, struct import_counts *ret_counts)
{
    (void)file;
    (void)history;
    (void)ret_counts;
    return -ENOTSUP;
}

#endif
