// SPDX-License-Identifier: Apache-2.0
// The reader of glibc's malloc, see runtime/target.h. Tool world; one thread.
//
// It needs no symbols: the main arena is found in libc's data by its bins, which point at
// themselves while empty; the arenas hang together in a ring, heaps and free lists hang on the
// arenas, and every step is checked against what the arenas say of themselves.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "runtime/ask.h"
#include "runtime/glibc/ask.h"
#include "runtime/glibc/claims.h"

enum { ARENA_TRIES = 3 };

static bool glibc_find(const struct target *target)
{
    return glibc_image(target) != NULL;
}

// The two ways into the target, behind the types of memory.h.
static int peek_process(void *context, uint64_t address, void *ret_data, size_t len)
{
    return process_peek(context, address, ret_data, len);
}

static int count_process(void *context, const struct page_range *ranges, size_t count,
                         uint64_t *ret_bytes)
{
    struct page_counts counts = {0};
    int error = pagemap_count(context, ranges, count, &counts);
    if (!error)
        *ret_bytes = counts.present_bytes;
    return error;
}

// Errors after which nothing more of this target can be read.
static bool is_fatal(int error)
{
    return error == -EPERM || error == -EACCES || error == -ESRCH || error == -ENOMEM;
}

// Arena and its memory, both from the same moment. 0 or -errno.
static int arena_regions(const struct target *target, const struct runtime_report *report,
                         struct glibc_memory *memory, struct glibc_result *result, uint64_t address,
                         bool is_main, struct glibc_arena *arena, struct glibc_regions *ret_regions)
{
    const struct glibc_par *par = result->state.has_par ? &result->state.par : NULL;
    int error = -EBADMSG;
    for (int try = 0; try < ARENA_TRIES && error && !is_fatal(error); try++) {
        // Each try sees one moment, not the pages of the last try.
        glibc_memory_forget(memory);
        error = glibc_arena_read(memory, result->state.kind, address, arena);
        if (!error && is_main)
            error = glibc_main_regions(target, report, memory, arena, par, ret_regions,
                                       &result->outside_bytes);
        else if (!error)
            error = glibc_heaps_read(memory, arena, result->state.kind,
                                     par ? par->huge_page_bytes : 0, ret_regions);
    }
    return error;
}

static int read_arena(const struct target *target, struct glibc_memory *memory,
                      struct glibc_result *result, uint64_t address, bool is_main,
                      struct runtime_report *report)
{
    struct glibc_arena arena;
    struct glibc_regions regions = {0};
    int error = arena_regions(target, report, memory, result, address, is_main, &arena, &regions);
    if (is_fatal(error))
        return error;
    // Its memory stays unclaimed and is said to be unread; the other arenas are none the worse.
    if (error) {
        result->unread_arenas++;
        return 0;
    }
    for (size_t i = 0; i < regions.count && !error; i++) {
        // The first chunk may begin within a page, behind what a static program took for itself.
        uint64_t start = regions.items[i].start & ~(memory->page_bytes - 1);
        error = target_claim(target, report, start, regions.items[i].end);
        // The main arena's own structure lies in libc's data.
        if (!is_main)
            result->metadata_bytes += regions.items[i].first_chunk - regions.items[i].start;
    }
    if (!error)
        error = array_reserve_one(&result->arenas, &result->arena_capacity, result->arena_count,
                                  sizeof *result->arenas);
    if (!error)
        error = glibc_arena_survey(memory, result->state.kind, &arena, &regions,
                                   &result->arenas[result->arena_count]);
    if (!error)
        result->arena_count++;
    glibc_regions_free(&regions);
    return error;
}

// How much each arena has of all memory that is still to be surveyed decides how much time it gets.
static uint64_t arena_bytes(struct glibc_memory *memory, const struct glibc_ring *ring,
                            size_t index)
{
    struct glibc_arena arena;
    int error = glibc_arena_read(memory, ring->kind, ring->addresses[index], &arena);
    return error ? 0 : arena.system_bytes;
}

// Without shares one huge arena would use up the time of all that come behind it in the ring.
static uint64_t share_of_time(uint64_t deadline_ns, uint64_t bytes, uint64_t all_bytes)
{
    uint64_t now = glibc_now_ns();
    if (deadline_ns <= now || bytes >= all_bytes)
        return deadline_ns;
    return now + (uint64_t)((double)(deadline_ns - now) * ((double)bytes / (double)all_bytes));
}

// New arenas may come in meanwhile; they lie right behind the main one, and are missed. What they
// hold is then nobody's, and shows as unexplained.
static int read_arenas(const struct target *target, struct glibc_memory *memory,
                       struct glibc_result *result, struct runtime_report *report)
{
    struct glibc_ring ring = {0};
    int error = glibc_ring_read(memory, result->state.bins_address, &ring);
    if (error)
        return error;
    result->state.kind = ring.kind;
    uint64_t deadline_ns = memory->deadline_ns, all_bytes = 0;
    for (size_t i = 0; deadline_ns && i < ring.count; i++)
        all_bytes += arena_bytes(memory, &ring, i);
    for (size_t i = 0; i < ring.count && !error; i++) {
        uint64_t bytes = deadline_ns ? arena_bytes(memory, &ring, i) : 0;
        if (deadline_ns)
            memory->deadline_ns = share_of_time(deadline_ns, bytes, all_bytes);
        error = read_arena(target, memory, result, ring.addresses[i], i == 0, report);
        memory->deadline_ns = deadline_ns;
        all_bytes = all_bytes > bytes ? all_bytes - bytes : 0;
    }
    glibc_ring_free(&ring);
    return error;
}

// From the image to the report. What fails in between leaves an unread entry where that says more
// than an error.
static int read_all(const struct target *target, struct glibc_memory *memory,
                    const struct image *image, struct runtime_report *report)
{
    struct glibc_result result = {
        .version = glibc_version(image, report->version, sizeof report->version)};
    int error = glibc_locate(target, memory, image, result.version, &result.state);
    // Refuse rather than guess: without a main arena nothing is claimed.
    if (error == -ENOENT)
        error = report_add_unread(report, "glibc's arenas: no main arena in its data",
                                  "a layout of malloc_state that this version of ebb knows");
    else if (!error && result.state.bins_address)
        error = read_arenas(target, memory, &result, report);
    if (!error)
        error = glibc_claim_mapped(target, memory, &result, report);
    if (!error)
        error = glibc_report_fill(target, &result, report);
    free(result.arenas);
    return error;
}

// Only who serves the program is asked: below another malloc there is next to nothing to tell.
static int ask_it(const struct target *target, const struct image *image,
                  struct runtime_report *report)
{
    if (!target->ask || report->claim_count == 0)
        return 0;
    int error = glibc_ask(target, image, report);
    // Everything is known without it.
    if (error == 0 || error == -ENOENT || error == -ENOMEM)
        return error == -ENOENT ? 0 : error;
    return ask_add_unread(target, report, "glibc's own statistics", error);
}

static int glibc_read(const struct target *target, struct runtime_report *ret_report)
{
    const struct image *image = glibc_image(target);
    if (!image)
        return -ENOENT;
    text_copy(text_of("glibc"), ret_report->name, sizeof ret_report->name);
    text_copy(text_of(image->path ? image->path : ""), ret_report->place, sizeof ret_report->place);
    // The target runs on this kernel, so that its pages are ours.
    long page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t budget_ns = (uint64_t)target->budget_ms * 1000000;
    struct glibc_memory memory = {.peek = peek_process,
                                  .count_resident = count_process,
                                  .context = target->process,
                                  .deadline_ns = budget_ns ? glibc_now_ns() + budget_ns : 0,
                                  .page_bytes = page_bytes > 0 ? (uint64_t)page_bytes : 4096};
    int error = glibc_memory_open(&memory);
    if (!error)
        error = read_all(target, &memory, image, ret_report);
    glibc_memory_close(&memory);
    return error ? error : ask_it(target, image, ret_report);
}

const struct runtime_reader glibc_reader = {
    .name = "glibc",
    .find = glibc_find,
    .read = glibc_read,
};
