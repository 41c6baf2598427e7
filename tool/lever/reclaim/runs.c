// SPDX-License-Identifier: Apache-2.0
// Runs of frames, see runs.h. Tool world; pure.
#include "lever/reclaim/runs.h"

#include <string.h>

#include "lever/reclaim/pages.h"

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

// Extends a run by the page behind it, if its frame is the next one either way.
static bool run_extend(struct frame_run *run, uint64_t frame)
{
    if (run->count == RUNS_SPAN_FRAMES)
        return false;
    bool ascends = frame == run->frame + run->count, descends = frame + 1 == run->frame;
    // The second page decides on the direction.
    if (run->count > 1 && run->descends)
        ascends = false;
    if (run->count > 1 && !run->descends)
        descends = false;
    if (!ascends && !descends)
        return false;
    if (descends)
        run->frame = frame;
    run->descends = descends;
    run->count++;
    return true;
}

// By digits of the frame number, lowest first. On a host that has run for long, memory is so
// scattered that most runs are one page: comparing sorts would take as long as reading the flags.
static void sort_runs(struct frame_run *runs, struct frame_run *scratch, size_t count)
{
    uint64_t all = 0;
    struct frame_run *from = runs, *to = scratch;
    for (size_t i = 0; i < count; i++)
        all |= runs[i].frame;
    for (unsigned shift = 0; shift < 64 && all >> shift != 0; shift += DIGIT_BITS) {
        uint32_t starts[DIGITS + 1] = {0};
        for (size_t i = 0; i < count; i++)
            starts[(from[i].frame >> shift) % DIGITS + 1]++;
        for (size_t i = 1; i < DIGITS; i++)
            starts[i] += starts[i - 1];
        for (size_t i = 0; i < count; i++)
            to[starts[(from[i].frame >> shift) % DIGITS]++] = from[i];
        struct frame_run *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != runs)
        memcpy(runs, from, count * sizeof *runs);
}

// In the order of pages first, where neighbours are easily seen.
size_t runs_find(const uint64_t *entries, size_t count, struct frame_run *ret_runs,
                 struct frame_run *scratch)
{
    size_t found = 0;
    bool is_open = false;
    for (size_t i = 0; i < count; i++) {
        uint64_t frame = entries[i] & PAGES_FRAME_MASK;
        // Frame 0 is what is shown to those who may not see frames.
        bool is_there = (entries[i] & PAGES_PRESENT) && frame != 0;
        if (is_there && !(is_open && run_extend(&ret_runs[found - 1], frame)))
            ret_runs[found++] = (struct frame_run){.frame = frame, .page = (uint32_t)i, .count = 1};
        // A hole in memory ends the run, though the frames may go on.
        is_open = is_there;
    }
    sort_runs(ret_runs, scratch, found);
    return found;
}

// A short gap costs less to read than another call.
bool runs_next_span(const struct frame_run *runs, size_t run_count, size_t first_run,
                    struct frame_span *ret_span)
{
    if (first_run >= run_count)
        return false;
    uint64_t start = runs[first_run].frame, end = start + runs[first_run].count;
    size_t run = first_run + 1;
    for (; run < run_count && runs[run].frame <= end + RUNS_GAP_FRAMES; run++) {
        uint64_t run_end = runs[run].frame + runs[run].count;
        if (run_end - start > RUNS_SPAN_FRAMES)
            break;
        if (run_end > end)
            end = run_end;
    }
    *ret_span = (struct frame_span){start, (size_t)(end - start), first_run, run};
    return true;
}

// Puts what each head says into its tails; a tail whose head was not read is not known.
static void fold_heads(uint64_t *words, size_t count)
{
    uint64_t head = 0;
    for (size_t i = 0; i < count; i++) {
        if (words[i] & PAGES_TAIL)
            words[i] = head ? words[i] | (head & PAGES_OF_HEAD) : 0;
        else
            head = words[i] & PAGES_HEAD ? words[i] : 0;
    }
}

// Runs that overlap (a frame that is mapped twice) each get their own copy.
void runs_spread(const struct frame_run *runs, const struct frame_span *span, uint64_t *words,
                 uint64_t words_frame, size_t word_count, uint64_t *flags)
{
    fold_heads(words, word_count);
    for (size_t i = span->first_run; i < span->end_run; i++) {
        const struct frame_run *run = &runs[i];
        size_t index = (size_t)(run->frame - words_frame);
        for (size_t k = 0; k < run->count; k++) {
            size_t page = run->page + (run->descends ? run->count - 1U - k : k);
            flags[page] = index + k < word_count ? words[index + k] : 0;
        }
    }
}
