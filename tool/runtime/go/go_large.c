// SPDX-License-Identifier: Apache-2.0
// Large objects that are not in memory, see go_large.h. Tool world; no state.
#include "runtime/go/go_large.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "proc/pagemap.h"

// mSpanInUse is 1 (runtime/mheap.go). The clock is looked at once for every 4,096 spans.
enum { SPAN_BYTES_MAX = 1024, SPAN_IN_USE = 1, SPANS_PER_LOOK = 4096 };

struct large {
    struct page_range *items;
    size_t count, capacity;
};

// For qsort.
static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// For qsort.
static int compare_ranges(const void *a, const void *b)
{
    const struct page_range *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

// The addresses of all spans, ascending: then many are read at once.
static int read_spans(const struct go_runtime *runtime, uint64_t **ret_spans, size_t *ret_count)
{
    struct go_slice slice;
    int error = go_read_slice(runtime, GO_HEAP_ALLSPANS, &slice);
    if (error)
        return error;
    // A slice of any length may be read from a target's memory: what is allocated for it has a
    // limit.
    if (slice.len > GO_LARGE_SPANS_MAX)
        return -E2BIG;
    size_t count = (size_t)slice.len;
    uint64_t *spans = malloc((count ? count : 1) * sizeof *spans);
    if (!spans)
        return -ENOMEM;
    error = go_memory_read(&runtime->memory, slice.data, spans, count * sizeof *spans);
    if (error) {
        free(spans);
        return error;
    }
    qsort(spans, count, sizeof *spans, compare_u64);
    *ret_spans = spans;
    *ret_count = count;
    return 0;
}

// State and size decide; a span of stacks or a small one is of no interest.
static int note_span(const struct go_runtime *runtime, const uint8_t *span, size_t len,
                     struct large *large)
{
    uint64_t start = go_take_field(runtime, GO_SPAN_START_ADDR, span, len);
    uint64_t pages = go_take_field(runtime, GO_SPAN_NPAGES, span, len);
    // The state's wrapper may be wider than its byte.
    uint64_t state = go_take_field(runtime, GO_SPAN_STATE, span, len) & 0xff;
    uint64_t end;
    // Whatever does not look like a span was read while it changed, and is left out.
    if (state != SPAN_IN_USE || start % GO_PAGE_BYTES != 0 ||
        pages < GO_LARGE_MIN_BYTES / GO_PAGE_BYTES || pages > UINT64_MAX / GO_PAGE_BYTES ||
        __builtin_add_overflow(start, pages * GO_PAGE_BYTES, &end))
        return 0;
    int error =
        array_reserve_one(&large->items, &large->capacity, large->count, sizeof *large->items);
    if (!error)
        large->items[large->count++] = (struct page_range){start, end};
    return error;
}

// Many records lie in one window, since the addresses ascend.
static int collect_large(const struct go_runtime *runtime, const uint64_t *spans, size_t count,
                         uint64_t deadline_ns, struct large *large)
{
    uint8_t span[SPAN_BYTES_MAX];
    size_t size = (size_t)runtime->row.fields[GO_SPAN].size;
    if (size == 0 || size > sizeof span)
        return -ENOENT;
    struct go_window *window = go_window_new(&runtime->memory, UINT64_MAX);
    int error = window ? 0 : -ENOMEM;
    for (size_t i = 0; i < count && !error; i++) {
        if (i % SPANS_PER_LOOK == 0 && go_deadline_passed(deadline_ns))
            error = -ETIME;
        // A span that cannot be read is left out: the error of the split stays larger then.
        else if (go_window_read(window, spans[i], span, size) == 0)
            error = note_span(runtime, span, size, large);
    }
    free(window);
    return error;
}

// What is swapped out is not in memory either, and not untouched: it counts as absent here,
// like in Rss.
int go_large_untouched(const struct go_runtime *runtime, struct process *process,
                       uint64_t deadline_ns, uint64_t *ret_bytes)
{
    uint64_t *spans = NULL;
    size_t count = 0;
    int error = read_spans(runtime, &spans, &count);
    if (error)
        return error;
    struct large large = {0};
    error = collect_large(runtime, spans, count, deadline_ns, &large);
    free(spans);
    uint64_t bytes = 0;
    struct page_counts counts = {0};
    if (!error && large.count > 0) {
        qsort(large.items, large.count, sizeof *large.items, compare_ranges);
        // Spans that overlap were read while they changed: pagemap_count() refuses them.
        error = pagemap_count(process, large.items, large.count, &counts);
    }
    for (size_t i = 0; i < large.count; i++)
        bytes += large.items[i].end - large.items[i].start;
    free(large.items);
    if (!error)
        // Pages may come into memory while they are counted: never less than 0.
        *ret_bytes = bytes > counts.present_bytes ? bytes - counts.present_bytes : 0;
    return error;
}
