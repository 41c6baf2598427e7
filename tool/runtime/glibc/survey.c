// SPDX-License-Identifier: Apache-2.0
// Surveying one arena, see survey.h. Tool world; one thread.
#include <errno.h>
#include <string.h>

#include "runtime/glibc/survey.h"

enum {
    TRIES = 3,
    // MINSIZE: systrim() never gives the last chunk away.
    TOP_HEADER_BYTES = 32,
    SIZE_FLAGS = 7,
    // What reading a page costs in a row of them. How much dearer a lonely one is depends on the
    // kernel.
    PAGE_IN_ROW_NS = 1200,
    CHEAP_MIN_NS = 1000000,
    FIRST_SMALL_BIN = 2,
    UNSORTED_BIN = 1,
};

struct survey {
    struct glibc_walk walk;
    struct glibc_links links;
    struct glibc_tally fast, lists;
    uint64_t top_bytes, top_whole_bytes, top_resident_bytes;
    bool large_done;                            // all bins that can hold whole pages were walked
    uint64_t estimated_bytes, estimated_chunks; // for what the time did not suffice
    uint64_t unseen_bytes;                      // memory that no walk has come to
};

// Errors after which nothing more can be read at all.
static bool is_fatal(int error)
{
    return error == -EPERM || error == -EACCES || error == -ESRCH || error == -ENOMEM;
}

// The top chunk: one free chunk that lies in no list.
static int survey_top(struct survey *survey)
{
    const struct glibc_arena *arena = survey->walk.arena;
    struct glibc_memory *memory = survey->walk.memory;
    uint64_t size;
    // What an earlier pass has left.
    survey->top_bytes = survey->top_whole_bytes = survey->top_resident_bytes = 0;
    // Before its first chunk, an arena's top is a part of the arena itself.
    if (arena->system_bytes == 0 || arena->top == arena->bins_address - 16)
        return 0;
    int error = glibc_memory_read(memory, arena->top + 8, &size, sizeof size);
    if (error)
        return error;
    size &= ~(uint64_t)SIZE_FLAGS;
    const struct glibc_region *region = glibc_regions_find(survey->walk.regions, arena->top, 16);
    if (!region || size > arena->system_bytes)
        return -EBADMSG;
    // The heap has grown since its regions were read: the rest belongs to a later moment.
    if (size > region->end - arena->top)
        size = region->end - arena->top;
    survey->top_bytes = size;
    uint64_t mask = memory->page_bytes - 1;
    struct page_range range = {(arena->top + TOP_HEADER_BYTES + mask) & ~mask,
                               (arena->top + size) & ~mask};
    // A small top has no whole page to give.
    if (range.start >= range.end)
        return 0;
    survey->top_whole_bytes = range.end - range.start;
    return memory->count_resident(memory->context, &range, 1, &survey->top_resident_bytes);
}

// The lists, those that can hold whole pages first.
static int survey_lists(struct survey *survey)
{
    glibc_tally_reset(&survey->lists);
    survey->large_done = false;
    int result = glibc_bins_walk(&survey->walk, GLIBC_BIN_FIRST_PAGE, GLIBC_BINS, &survey->lists);
    if (result == -ETIME || result == -E2BIG)
        return result;
    int error = glibc_bins_walk(&survey->walk, UNSORTED_BIN, UNSORTED_BIN, &survey->lists);
    if (error == -ETIME || error == -E2BIG)
        return error;
    // A broken list is remembered, but the others are still counted.
    result = result ? result : error;
    survey->large_done = result == 0;
    error =
        glibc_bins_walk(&survey->walk, FIRST_SMALL_BIN, GLIBC_BIN_FIRST_PAGE - 1, &survey->lists);
    return error ? error : result;
}

// What was not seen is taken to be like what was.
static void survey_estimate(struct survey *survey, uint64_t seen_bytes, uint64_t unseen_bytes)
{
    double ratio = seen_bytes ? (double)unseen_bytes / (double)seen_bytes : 0;
    survey->estimated_bytes = (uint64_t)((double)survey->lists.bytes * ratio);
    survey->estimated_chunks = (uint64_t)((double)survey->lists.chunks * ratio);
    survey->unseen_bytes = unseen_bytes;
}

// Every chunk in order of addresses. In a heap that stands still the first thing that does not fit
// ends it; in one that moves, each region is followed as far as it goes, and the rest is estimated.
static int survey_in_order(struct survey *survey)
{
    const struct glibc_regions *regions = survey->walk.regions;
    uint64_t top = survey->walk.arena->top, seen = 0, unseen = 0;
    int result = 0;
    glibc_tally_reset(&survey->lists);
    for (size_t i = 0; i < regions->count; i++) {
        const struct glibc_region *region = &regions->items[i];
        bool has_top = top >= region->start && top < region->end;
        uint64_t end = has_top ? top : region->end, stop = region->start;
        int error = result;
        if (error != -ETIME)
            error = glibc_region_walk(&survey->walk, region, end, &survey->lists, &stop);
        if (error && error != -ETIME && (is_fatal(error) || !survey->walk.is_moving))
            return error;
        result = error ? error : result;
        seen += stop - region->start;
        unseen += end > stop ? end - stop : 0;
    }
    survey_estimate(survey, seen, unseen);
    return result;
}

// The lists as long as that takes less time than the heap in order would; -E2BIG when it does not.
// A heap too large to be gone through in time is left to the lists, which begin with the chunks
// that matter most.
static int survey_cheaply(struct survey *survey)
{
    struct glibc_memory *memory = survey->walk.memory;
    uint64_t pages = glibc_regions_bytes(survey->walk.regions) / GLIBC_PAGE_BYTES;
    uint64_t now = glibc_now_ns(), in_order_ns = pages * PAGE_IN_ROW_NS;
    // Room for both, or the second would have no time left.
    if (memory->deadline_ns == 0 || now + 2 * in_order_ns < memory->deadline_ns)
        survey->walk.give_up_ns = now + CHEAP_MIN_NS + in_order_ns / 2;
    int error = survey_lists(survey);
    if (error != -E2BIG && error != -ETIME) {
        int fast_error = glibc_fastbins_walk(&survey->walk, &survey->fast);
        error = error && fast_error != -E2BIG && fast_error != -ETIME ? error : fast_error;
    }
    survey->walk.give_up_ns = 0;
    return error;
}

// The heap in order. One that stands still and yet cannot be gone through (the program moved the
// break itself) is left to the lists, at any cost.
static int survey_thoroughly(struct survey *survey)
{
    survey->walk.links = &survey->links;
    survey->links.base = survey->walk.regions->count ? survey->walk.regions->items[0].start : 0;
    int error = survey_in_order(survey);
    if (error && error != -ETIME && !is_fatal(error) && !survey->walk.is_moving)
        error = survey_lists(survey);
    glibc_tally_reset(&survey->fast);
    int fast_error = is_fatal(error) ? 0 : glibc_fastbins_walk(&survey->walk, &survey->fast);
    glibc_links_free(&survey->links);
    survey->walk.links = NULL;
    return error ? error : fast_error;
}

// One pass over all free chunks. The lists of a moving heap lead astray: it is gone through in
// order.
static int survey_once(struct survey *survey)
{
    survey->estimated_bytes = survey->estimated_chunks = survey->unseen_bytes = 0;
    glibc_tally_reset(&survey->fast);
    glibc_tally_reset(&survey->lists);
    int top_error = survey_top(survey);
    if (is_fatal(top_error))
        return top_error;
    int error = survey->walk.is_moving ? -E2BIG : survey_cheaply(survey);
    if (error == -E2BIG)
        error = survey_thoroughly(survey);
    int finish_error = glibc_tally_finish(&survey->lists, survey->walk.memory);
    error = error ? error : top_error;
    return finish_error ? finish_error : error;
}

// What this pass found, and how far the truth can lie from it.
static void survey_conclude(const struct survey *survey, int error,
                            struct glibc_arena_survey *result)
{
    const struct glibc_tally *lists = &survey->lists;
    result->top_bytes = survey->top_bytes;
    // mallinfo2 counts top as one chunk, whatever its size.
    result->free_chunks = lists->chunks + survey->estimated_chunks + 1;
    result->fast_chunks = survey->fast.chunks;
    result->fast_bytes = survey->fast.bytes;
    result->free_bytes =
        survey->top_bytes + lists->bytes + survey->estimated_bytes + survey->fast.bytes;
    result->whole_bytes = survey->top_whole_bytes + lists->whole_bytes;
    result->resident_bytes = survey->top_resident_bytes + lists->resident_bytes;
    result->is_late = error == -ETIME;
    result->is_absent = error == -ENODATA;
    result->approximate = error != 0;
    if (!error)
        return;
    uint64_t in_use =
        result->system_bytes > result->free_bytes ? result->system_bytes - result->free_bytes : 0;
    // A heap gone through in order is uncertain by what was not seen of it, lists by all that they
    // may hide.
    bool in_order = survey->unseen_bytes > 0 || survey->walk.is_moving;
    result->free_error_bytes =
        in_order && survey->unseen_bytes < in_use ? survey->unseen_bytes : in_use;
    result->resident_error_bytes = survey->large_done ? 0 : result->free_error_bytes;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

// One pass, and whether the arena stood still for it; `*arena` becomes what it is now.
static int survey_try(struct survey *survey, enum glibc_arena_kind kind, struct glibc_arena *arena,
                      struct glibc_arena_survey *result, bool *ret_at_rest)
{
    struct glibc_memory *memory = survey->walk.memory;
    *result = (struct glibc_arena_survey){.address = arena->address,
                                          .attached_threads = arena->attached_threads,
                                          .system_bytes = arena->system_bytes};
    survey->walk.is_mangled = glibc_links_are_mangled(&survey->walk);
    int error = survey_once(survey);
    if (is_fatal(error))
        return error;
    survey_conclude(survey, error, result);
    glibc_memory_forget(memory);
    struct glibc_arena after;
    int after_error = glibc_arena_read(memory, kind, arena->address, &after);
    *ret_at_rest = !after_error && glibc_arena_is_same(&after, arena);
    if (!after_error)
        *arena = after;
    return 0;
}

// Passes until one finds the arena at rest. What two passes over a moving one differ by is a part
// of its error.
static int survey_tries(struct survey *survey, enum glibc_arena_kind kind,
                        struct glibc_arena *arena, struct glibc_arena_survey *result)
{
    uint64_t before_bytes = 0, before_resident = 0;
    for (int try = 0; try < TRIES; try++) {
        bool at_rest = false;
        int error = survey_try(survey, kind, arena, result, &at_rest);
        if (error)
            return error;
        // What was cut short, or is broken at rest, does not get better by trying again.
        if (at_rest || result->is_late)
            return 0;
        result->approximate = true;
        // A page that a moving heap has just given back is not swapped out.
        result->is_absent = false;
        if (try > 0) {
            result->free_error_bytes += distance(result->free_bytes, before_bytes);
            result->resident_error_bytes += distance(result->resident_bytes, before_resident);
        }
        if (survey->walk.is_moving && try > 0 && glibc_memory_is_late(survey->walk.memory))
            return 0;
        before_bytes = result->free_bytes;
        before_resident = result->resident_bytes;
        survey->walk.is_moving = true;
    }
    return 0;
}

int glibc_arena_survey(struct glibc_memory *memory, enum glibc_arena_kind kind,
                       const struct glibc_arena *first, const struct glibc_regions *regions,
                       struct glibc_arena_survey *ret_survey)
{
    struct glibc_arena arena = *first;
    struct survey survey = {.walk = {.memory = memory, .arena = &arena, .regions = regions}};
    struct glibc_arena_survey result = {0};
    int error = glibc_tally_open(&survey.lists);
    if (!error)
        error = survey_tries(&survey, kind, &arena, &result);
    glibc_tally_close(&survey.lists);
    if (!error)
        *ret_survey = result;
    return error;
}
