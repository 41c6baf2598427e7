// SPDX-License-Identifier: Apache-2.0
// Walking mappings window by window, see walk.h. Tool world; no state of its own.
//
// Looking and taking go by windows, so that little time lies between them: what the target writes
// in that time, the kernel finds out, and keeps.
#include "lever/reclaim/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "lever/reclaim/ahead.h"
#include "lever/reclaim/window.h"
#include "proc/host.h"
#include "proc/pagemap.h"

// Between bites, for a thread that waits for the target's mmap_lock to be woken and take it.
#define WALK_PAUSE_NS UINT64_C(30000)
enum {
    // Larger holes are leapt over, where the kernel finds the next page itself (6.7).
    WALK_SPARSE_TIMES = 4,
    // Pieces of memory that are looked up one by one in the second look.
    WALK_REGIONS_MAX = 32,
    // With swap, a new page that takes a free one's place between look and call would be written
    // out: 16 MiB at a time take some 10 ms from the first look to the last call. It costs a tenth.
    WALK_SWAP_PAGES = 4096,
};

// What lives as long as one call of walk_mappings().
struct stride {
    struct walk *walk;
    struct window window;
    struct ahead ahead;
    struct page_rules rules;
    uint64_t window_pages; // at most; a multiple of a huge page's
    int pagemap_fd, kpageflags_fd, pid_fd;
    bool is_counting; // the first of two passes over a mapping with huge pages
    bool has_huge;    // the mapping that is walked
    bool has_sizes;   // the table that is walked
    bool looks_ahead; // where nothing live could be swapped out meanwhile
};

// MADV_FREE is for private memory without a file alone (mm/madvise.c).
bool walk_is_candidate(const struct mapping *mapping, bool has_sizes)
{
    const unsigned barred = MAPPING_SHARED | MAPPING_HUGETLB | MAPPING_LOCKED;
    if (mapping->flags & barred)
        return false;
    if (has_sizes)
        return mapping->lazy_free_kib > 0;
    return mapping->kind == MAPPING_ANONYMOUS || mapping->kind == MAPPING_BRK ||
           mapping->kind == MAPPING_STACK;
}

// What progress counts in.
static uint64_t candidate_bytes(const struct mapping *mapping, bool has_sizes)
{
    return has_sizes ? mapping->lazy_free_kib * UINT64_C(1024) : mapping->end - mapping->start;
}

// Takes huge mappings out of what coarse mode would take: live or not, they would be split.
static int leave_huge_pages(struct stride *stride)
{
    struct walk *walk = stride->walk;
    struct window *window = &stride->window;
    uint64_t start = window->first_page * walk->page_bytes;
    uint64_t end = start + window->count * walk->page_bytes;
    struct page_range found;
    int error = 0;
    while (start < end &&
           (error = pagemap_next(walk->process, PAGEMAP_HUGE, start, end, &found)) == 0) {
        uint64_t first = found.start / walk->page_bytes - window->first_page;
        uint64_t last = number_least(found.end, end) / walk->page_bytes - window->first_page;
        memset(window->fates + first, PAGE_LEAVE, last - first);
        walk->tally.huge_bytes += (last - first) * walk->page_bytes;
        start = found.end;
    }
    return start < end && error != -ENOENT ? error : 0;
}

// Frames are hidden in coarse mode: all that is there may be free.
static int judge_coarsely(struct stride *stride)
{
    struct window *window = &stride->window;
    // Mapped once: a page that is shared would be left by the kernel in any case.
    for (size_t i = 0; i < window->count; i++) {
        // A page of a file is the kernel's to take by itself, and is not lazily freed memory.
        const uint64_t looked_at = PAGES_PRESENT | PAGES_FILE | PAGES_EXCLUSIVE;
        bool may = (window->entries[i] & looked_at) == (PAGES_PRESENT | PAGES_EXCLUSIVE);
        window->fates[i] = may ? PAGE_TAKE : PAGE_LEAVE;
    }
    return stride->has_huge ? leave_huge_pages(stride) : 0;
}

// First look: entries, flags, fates. Nothing is changed by it.
static int look(struct stride *stride, uint64_t first_page, size_t count,
                struct page_counts_by_fate *counts)
{
    struct window *window = &stride->window;
    int error = 0;
    if (!stride->looks_ahead || !ahead_take(&stride->ahead, first_page, count, window)) {
        error = window_read_entries(window, stride->pagemap_fd, first_page, count);
        if (!error)
            error = window_read_flags(window, stride->kpageflags_fd);
    }
    if (error)
        return error;
    if (stride->walk->reclaim->is_coarse)
        return judge_coarsely(stride);
    pages_judge(window->entries, window->flags, count, first_page, &stride->rules, window->fates,
                counts);
    return 0;
}

// Live huge pages whose mapping the kernel split while it looked at them.
static void mend_huge_pages(struct stride *stride)
{
    struct walk *walk = stride->walk;
    const struct window *window = &stride->window;
    uint64_t huge_pages = stride->rules.huge_pages;
    for (size_t i = 0; pages_next_live_huge(window->fates, window->entries, window->count,
                                            window->first_page, huge_pages, &i);
         i += huge_pages) {
        int error = sweep_collapse(&walk->sweep, (window->first_page + i) * walk->page_bytes,
                                   huge_pages * walk->page_bytes);
        walk->tally.live_huge_pages += error == 0;
        walk->tally.split_huge_pages += error != 0;
    }
}

// Reads the entries again of what is still there. A pass over pagemap asks for the target's
// mmap_lock every 2 MiB, behind everybody who waits for it; a scan asks once for all that is gone.
static int read_remains(struct stride *stride)
{
    struct window *window = &stride->window;
    uint64_t page_bytes = stride->walk->page_bytes, first = window->first_page;
    uint64_t start = first * page_bytes, end = start + window->count * page_bytes;
    int error = 0;
    // What no region names is gone, and reads as 0.
    memset(window->entries, 0, window->count * sizeof *window->entries);
    for (int regions = 0; start < end && !error && regions < WALK_REGIONS_MAX; regions++) {
        struct page_range found;
        error = pagemap_next(stride->walk->process, PAGEMAP_PRESENT, start, end, &found);
        if (error)
            break;
        size_t from = (size_t)(found.start / page_bytes - first);
        size_t count = (size_t)((found.end - found.start) / page_bytes);
        error = window_read_part(window, stride->pagemap_fd, from, count, window->entries);
        start = found.end;
    }
    // A scan of an address space that has ended finds nothing, and is content.
    if (start >= end || error == -ENOENT)
        return window_read_part(window, stride->pagemap_fd, 0, 1, window->entries);
    // Before 6.7 there is no scan, and many pieces are read faster in one pass.
    return window_read_entries(window, stride->pagemap_fd, first, window->count);
}

// What became of the pages that were to be taken. The others' flags are not asked for again.
static int look_again(struct stride *stride)
{
    struct window *window = &stride->window;
    struct walk *walk = stride->walk;
    int error = read_remains(stride);
    if (error)
        return error;
    for (size_t i = 0; i < window->count; i++) {
        if (window->fates[i] != PAGE_TAKE && window->fates[i] != PAGE_TAKE_HUGE)
            window->entries[i] = 0;
    }
    error = window_read_flags(window, stride->kpageflags_fd);
    if (error)
        return error;
    struct page_results results = {0};
    pages_compare(window->fates, window->entries, window->flags, window->count, &results);
    walk->tally.results.gone += results.gone;
    // Coarse mode cannot tell a page that was in use all the time.
    if (!walk->reclaim->is_coarse) {
        walk->tally.results.written += results.written;
        walk->tally.results.kept += results.kept;
        mend_huge_pages(stride);
    }
    return 0;
}

// A page that was replaced since it was judged is live, and all of its huge page's room with it.
static void drop_replaced(struct stride *stride, size_t index)
{
    struct window *window = &stride->window;
    size_t huge = (size_t)stride->rules.huge_pages;
    if (window->fates[index] == PAGE_TAKE_HUGE)
        memset(window->fates + index - (window->first_page + index) % huge, PAGE_LEAVE, huge);
    window->fates[index] = PAGE_LEAVE;
}

// Just before a bite, where live pages could be swapped out: are they still the same frames?
static bool look_before(void *look_user, size_t first, size_t end)
{
    struct stride *stride = look_user;
    struct window *window = &stride->window;
    bool has_changed = false;
    // The flags have been judged: their room serves for the second reading.
    if (window_read_part(window, stride->pagemap_fd, first, end - first, window->flags) < 0)
        return false;
    for (size_t i = first; i < end; i++) {
        bool is_wanted = window->fates[i] == PAGE_TAKE || window->fates[i] == PAGE_TAKE_HUGE;
        if (is_wanted && window->flags[i] != window->entries[i]) {
            drop_replaced(stride, i);
            has_changed = true;
        }
    }
    return has_changed;
}

// Then the calls, and the second look at once, while the window is still what it was.
static int take(struct stride *stride)
{
    struct walk *walk = stride->walk;
    const struct bite_source source = {
        .fates = stride->window.fates,
        .count = stride->window.count,
        .first_page = stride->window.first_page,
        .page_bytes = walk->page_bytes,
        .huge_pages = stride->rules.huge_pages,
    };
    uint64_t bites = walk->sweep.bites;
    int error = sweep_take(&walk->sweep, &source);
    // Also after a stop: what was done until then is told.
    if ((error == 0 || error == -EINTR) && walk->sweep.bites > bites) {
        int again = look_again(stride);
        if (again)
            return again;
    }
    return error;
}

// The next page that is there, where that is cheap to find out.
static uint64_t skip_hole(const struct stride *stride, uint64_t page, uint64_t end_page)
{
    uint64_t page_bytes = stride->walk->page_bytes;
    uint64_t found;
    int error =
        pagemap_next_page(stride->walk->process, page * page_bytes, end_page * page_bytes, &found);
    if (error == -ENOENT)
        return end_page;
    // Before 6.7, or where it fails: the hole is walked through.
    return error ? page : found / page_bytes;
}

// Pages [page, page + count) are a window.
struct extent {
    uint64_t page;
    size_t count;
};

// The next window from `page` on, behind holes. It ends where a huge page could begin; empty at the
// end.
static struct extent next_window(const struct stride *stride, uint64_t page, uint64_t end_page,
                                 bool is_sparse)
{
    if (is_sparse && page < end_page)
        page = skip_hole(stride, page, end_page);
    uint64_t window = stride->window_pages - page % stride->rules.huge_pages;
    size_t count = page < end_page ? (size_t)number_least(window, end_page - page) : 0;
    return (struct extent){page, count};
}

// While the kernel takes the pages of one window, the next one is looked at.
static int walk_pages(struct stride *stride, uint64_t page, uint64_t end_page, bool is_sparse,
                      struct page_counts_by_fate *counts)
{
    bool is_taking = stride->walk->is_acting && !stride->is_counting;
    struct extent now = next_window(stride, page, end_page, is_sparse);
    while (now.count > 0) {
        int error = look(stride, now.page, now.count, counts);
        struct extent next = next_window(stride, now.page + now.count, end_page, is_sparse);
        if (!error && is_taking && stride->looks_ahead && next.count > 0)
            ahead_start(&stride->ahead, next.page, next.count);
        if (!error && is_taking)
            error = take(stride);
        if (error)
            return error;
        now = next;
    }
    return 0;
}

// Two passes where there are huge pages: whether they may be taken shows only in the sum.
static int walk_mapping(struct stride *stride, const struct mapping *mapping)
{
    struct walk *walk = stride->walk;
    uint64_t page = mapping->start / walk->page_bytes, end_page = mapping->end / walk->page_bytes;
    bool is_sparse = (mapping->end - mapping->start) / 1024 / WALK_SPARSE_TIMES > mapping->rss_kib;
    stride->rules.takes_huge = stride->has_sizes;
    stride->has_huge = mapping->anon_huge_kib > 0;
    if (stride->has_huge && !walk->reclaim->is_coarse && !walk->reclaim->options.force) {
        struct page_counts_by_fate counts = {0};
        // Counted only; what may be taken without harm is not known before the last of them.
        stride->is_counting = true;
        int error = walk_pages(stride, page, end_page, is_sparse, &counts);
        stride->is_counting = false;
        if (error)
            return error;
        uint64_t lazy_pages = mapping->lazy_free_kib * UINT64_C(1024) / walk->page_bytes;
        uint64_t marked_pages = counts.taken + counts.shared + counts.locked;
        stride->rules.takes_huge = pages_judge_huge(
            marked_pages, lazy_pages, stride->rules.huge_pages, walk->reclaim->can_collapse);
    }
    return walk_pages(stride, page, end_page, is_sparse, &walk->tally.fates);
}

// Lazily freed bytes that the walk does not come to, from smaps alone.
static void tally_mapping(struct walk *walk, const struct mapping *mapping)
{
    struct tally *tally = &walk->tally;
    if (mapping->lazy_free_kib == 0)
        return;
    if (mapping->flags & MAPPING_LOCKED)
        tally->locked_bytes += mapping->lazy_free_kib * UINT64_C(1024);
    // A clean page that has no copy in swap was freed; not yet by the count of LazyFree.
    else if (mapping->swap_kib == 0 && mapping->private_clean_kib > mapping->lazy_free_kib)
        tally->undrained_bytes +=
            (mapping->private_clean_kib - mapping->lazy_free_kib) * UINT64_C(1024);
}

// In the order of addresses, so that progress means something.
static int walk_candidates(struct stride *stride, const struct mappings *mappings)
{
    struct walk *walk = stride->walk;
    const struct reclaim_options *options = &walk->reclaim->options;
    for (size_t i = 0; i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        tally_mapping(walk, mapping);
        if (!walk_is_candidate(mapping, stride->has_sizes) ||
            (walk->only_huge && mapping->anon_huge_kib == 0))
            continue;
        if (walk->is_acting && options->show_progress)
            options->show_progress(options->user, walk->done_bytes, walk->total_bytes);
        int error = walk_mapping(stride, mapping);
        // Huge pages cannot be told before 6.7, nor the rest of such a mapping taken.
        if (error == -ENOTTY && walk->reclaim->is_coarse) {
            walk->tally.huge_bytes += mapping->lazy_free_kib * UINT64_C(1024);
            error = 0;
        }
        if (error)
            return error;
        walk->done_bytes += candidate_bytes(mapping, stride->has_sizes);
    }
    return 0;
}

// What progress is a part of.
static uint64_t sum_candidates(const struct mappings *mappings)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < mappings->count; i++) {
        if (walk_is_candidate(&mappings->items[i], mappings->has_sizes))
            bytes += candidate_bytes(&mappings->items[i], mappings->has_sizes);
    }
    return bytes;
}

// Made anew for each walk: how long a call takes depends on the target and the hour.
static void prepare_sweep(struct stride *stride, bool has_swap)
{
    struct walk *walk = stride->walk;
    const struct reclaim_options *options = &walk->reclaim->options;
    walk->sweep = (struct sweep){
        .advise = sweep_advise_process,
        .target = &stride->pid_fd,
        .is_stopped = options->is_stopped,
        .user = options->user,
        .look_again = has_swap ? look_before : NULL,
        .look_user = stride,
        .bytes_max = options->bite_bytes ? options->bite_bytes : BITES_BYTES_MAX,
        .pause_ns = WALK_PAUSE_NS,
    };
}

// Windows hold whole huge pages: those of 64 KiB small ones have 8192, which is the window then.
static uint64_t choose_window(uint64_t huge_pages, bool has_swap)
{
    uint64_t wanted = has_swap ? WALK_SWAP_PAGES : WINDOW_PAGES;
    return wanted < huge_pages ? huge_pages : wanted - wanted % huge_pages;
}

// A walk that fails because the target is another program now says that instead.
static int explain_error(const struct walk *walk, int error)
{
    int ended = error && error != -EINTR && error != -ENOMEM ? process_check(walk->process) : 0;
    return ended ? ended : error;
}

// All that the walk holds is closed again here, however it ends.
int walk_mappings(struct walk *walk, const struct mappings *mappings)
{
    struct stride stride = {
        .walk = walk,
        .rules = {.huge_pages = walk->reclaim->huge_pages},
        .has_sizes = mappings->has_sizes,
        .pagemap_fd = process_pagemap_fd(walk->process),
        .kpageflags_fd = -1,
        .pid_fd = process_pid_fd(walk->process),
    };
    if (stride.pagemap_fd < 0)
        return stride.pagemap_fd;
    if (!walk->reclaim->is_coarse) {
        stride.kpageflags_fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
        if (stride.kpageflags_fd < 0)
            return -errno;
    }
    bool has_swap = host_has_swap("/proc");
    stride.window_pages = choose_window(stride.rules.huge_pages, has_swap);
    walk->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    walk->total_bytes = sum_candidates(mappings);
    prepare_sweep(&stride, has_swap);
    stride.looks_ahead = !has_swap && !walk->reclaim->is_coarse;
    int error = window_init(&stride.window);
    if (!error)
        error = ahead_init(&stride.ahead, stride.pagemap_fd, stride.kpageflags_fd);
    if (!error)
        error = walk_candidates(&stride, mappings);
    // The target of the calls goes with the stride.
    walk->sweep.target = NULL;
    walk->tally.refused_bytes = walk->sweep.refused_bytes;
    ahead_free(&stride.ahead);
    window_free(&stride.window);
    if (stride.kpageflags_fd >= 0)
        close(stride.kpageflags_fd);
    return explain_error(walk, error);
}

// Shared and locked pages were counted the first time; the unsure ones have been decided.
void walk_join(struct walk *walk, const struct walk *second)
{
    struct tally *tally = &walk->tally;
    const struct tally *more = &second->tally;
    tally->fates.taken += more->fates.taken;
    tally->fates.huge += more->fates.huge;
    tally->fates.unsure = more->fates.unsure;
    tally->results.gone += more->results.gone;
    tally->results.written += more->results.written;
    tally->results.kept += more->results.kept;
    tally->live_huge_pages += more->live_huge_pages;
    tally->split_huge_pages += more->split_huge_pages;
    tally->refused_bytes += more->refused_bytes;
    walk->sweep.bites += second->sweep.bites;
    walk->sweep.total_ns += second->sweep.total_ns;
    if (second->sweep.longest_ns > walk->sweep.longest_ns)
        walk->sweep.longest_ns = second->sweep.longest_ns;
}
