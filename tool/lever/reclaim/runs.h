// SPDX-License-Identifier: Apache-2.0
// Frame numbers in the order in which the kernel's table of flags is read fastest. Tool world;
// pure.
//
// A read per page costs seconds for each GiB, most of it the system call. Neighbours in memory are
// mostly neighbours in frames, ascending or descending, so runs are sorted instead of pages, and
// runs that lie close together are read at once.
#ifndef EBB_LEVER_RECLAIM_RUNS_H
#define EBB_LEVER_RECLAIM_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    // One read. The kernel takes about 65 ns for a frame and 1 µs for a call.
    RUNS_SPAN_FRAMES = 8192,
    RUNS_GAP_FRAMES = 16,
    // Where the head of a compound page may begin before a span.
    RUNS_HEAD_FRAMES = 512,
};

// Pages page .. page + count - 1 hold the frames frame .. frame + count - 1, or in reverse.
struct frame_run {
    uint64_t frame;
    uint32_t page;
    uint16_t count;
    bool descends;
};

// What one read covers: frames [frame, frame + count) of runs [first_run, end_run).
struct frame_span {
    uint64_t frame;
    size_t count;
    size_t first_run, end_run;
};

// Finds the runs of the pages that are present, at most `count`, and sorts them; `scratch` has as
// much room. How many.
size_t runs_find(const uint64_t *entries, size_t count, struct frame_run *ret_runs,
                 struct frame_run *scratch);

// The span that begins with run `first_run`. False behind the last.
bool runs_next_span(const struct frame_run *runs, size_t run_count, size_t first_run,
                    struct frame_span *ret_span);

// Hands out what was read: words[0] is that of `words_frame`, which may lie below the span. Tails
// get what their heads say; a tail whose head was not read, and what the kernel did not give
// (`word_count` is less), gets 0, which is no anonymous page. The words are changed.
void runs_spread(const struct frame_run *runs, const struct frame_span *span, uint64_t *words,
                 uint64_t words_frame, size_t word_count, uint64_t *flags);

#endif
