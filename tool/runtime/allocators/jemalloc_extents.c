// SPDX-License-Identifier: Apache-2.0
// jemalloc's memory by the state of its extents, see jemalloc_extents.h. Tool world; no state.
#include "runtime/allocators/jemalloc_extents.h"

#include <errno.h>
#include <string.h>

#include "base/number.h"
#include "runtime/allocators/jemalloc_tree.h"

// A block of tables can be as long as 512 steps of 2 MiB: base_block_alloc() (src/base.c) makes
// each one larger than the last.
enum { BLOCKS_MAX = 65536, BACK_STEPS = 512 };

// A busy target is walked a few times for the best picture of it; second looks past the cache cost
// reads of their own, so that there must be an end to them.
enum { WALKS_MAX = 3, SECOND_LOOKS_MAX = 1 << 16 };

// What one walk gathers. Pages and tree are shared by all walks of a target.
struct walk {
    const struct target *target;
    struct pages *pages;
    const struct jemalloc_tree *tree;
    struct ranges all; // extents and base blocks
    struct ranges slabs, large, dirty, returned, blocks;
    uint64_t regions_bytes; // allocated regions of slabs, those in thread caches too
    uint64_t large_bytes;   // usable sizes of large allocations
    uint64_t state_bytes[EXTENT_STATES_KNOWN];
    uint64_t extent_count, bad_count;
    uint64_t unsure_bytes;  // what bad entries stand for: it may belong to any row
    uint64_t changed_count; // entries that read differently the second time; 0 at rest
    uint64_t second_looks;
    uint64_t taken_end; // of the last extent
    size_t last_block;  // index of the block that was asked for last
    // An arena's index has twelve bits (MALLOCX_ARENA_BITS).
    uint8_t arena_seen[4096 / 8];
};

static void walk_free(struct walk *walk)
{
    struct ranges *const lists[] = {&walk->all,   &walk->slabs,    &walk->large,
                                    &walk->dirty, &walk->returned, &walk->blocks};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        ranges_free(lists[i]);
}

// Neighbouring extents belong to one arena, whose records fill one block after the other: the block
// of the last answer is nearly always the next one's too.
static bool block_known(struct walk *walk, uint64_t address)
{
    const struct ranges *blocks = &walk->blocks;
    for (size_t i = 0; i < blocks->count; i++) {
        // All of them once, from the last answer on.
        size_t at = (walk->last_block + i) % blocks->count;
        if (address < blocks->items[at].start || address >= blocks->items[at].end)
            continue;
        walk->last_block = at;
        return true;
    }
    return false;
}

// Adds the base block that holds a record, and the blocks that it links to.
// Records (edata_t) are carved from base blocks, whose starts are aligned: going back from a record
// step by step comes to the start, and each block names the one before it.
static int add_blocks(struct walk *walk, uint64_t record)
{
    if (block_known(walk, record))
        return 0;
    uint64_t block = record & ~(uint64_t)(JEMALLOC_BLOCK_ALIGN - 1), size = 0, next = 0;
    bool found = false;
    for (int step = 0; step < BACK_STEPS && block >= JEMALLOC_BLOCK_ALIGN;
         step++, block -= JEMALLOC_BLOCK_ALIGN) {
        found = jemalloc_block_read(walk->pages, block, &size, &next) && record - block < size;
        if (found || !mappings_find(walk->target->mappings, block))
            break;
    }
    while (found && walk->blocks.count < BLOCKS_MAX) {
        int error = ranges_add(&walk->blocks, block, block + size);
        if (error)
            return error;
        block = next;
        found = block != 0 && !block_known(walk, block) &&
                jemalloc_block_read(walk->pages, block, &size, &next);
    }
    return 0;
}

// Sorts an extent by state. Only its range and its counts are kept: a heap of ten GiB has millions.
static int add_extent(struct walk *walk, const struct jemalloc_extent *extent)
{
    uint64_t end = extent->address + extent->bytes;
    walk->extent_count++;
    walk->taken_end = end;
    walk->state_bytes[extent->state] += extent->bytes;
    walk->arena_seen[extent->arena / 8] |= (uint8_t)(1u << extent->arena % 8);
    struct ranges *list = extent->state == EXTENT_DIRTY ? &walk->dirty : &walk->returned;
    if (extent->state == EXTENT_ACTIVE)
        list = extent->is_slab ? &walk->slabs : &walk->large;
    if (extent->state == EXTENT_ACTIVE && extent->is_slab) {
        // Regions in a thread's cache count as allocated, as in stats.allocated: a slab's count of
        // free ones changes only when the cache is flushed.
        uint64_t region = jemalloc_class_bytes(extent->size_class);
        walk->regions_bytes += extent->bytes - extent->free_regions * region;
    } else if (extent->state == EXTENT_ACTIVE) {
        // A page of padding makes large blocks begin at random cache lines (sz_large_pad in sz.h).
        uint64_t usable = jemalloc_class_bytes(extent->size_class);
        walk->large_bytes += usable && usable < extent->bytes ? usable : extent->bytes;
    }
    int error = ranges_add(list, extent->address, end);
    return error ? error : ranges_add(&walk->all, extent->address, end);
}

// The address behind the last page whose entry lies on the same page of the leaf as that of
// `address`.
// A page of the leaf has 512 elements, for 512 pages of memory. Where it is absent, no extent
// begins in those 2 MiB.
static uint64_t next_leaf_page(uint64_t address)
{
    return (address | ((2u << 20) - 1)) + 1;
}

// The leaves lie in base blocks too, which may hold no extent's record.
// Source: rtree_leaf_alloc() of src/rtree.c. A leaf is 2 MiB of address space, of which few pages
// are ever touched.
static int add_leaf_block(struct walk *walk, uint64_t address)
{
    uint64_t leaf;
    if (jemalloc_tree_leaf(walk->tree, walk->pages, address, &leaf))
        return 0;
    return add_blocks(walk, leaf);
}

// Adds an extent and what its record leads to.
static int take_extent(struct walk *walk, const struct jemalloc_extent *extent)
{
    int error = add_extent(walk, extent);
    return error ? error : add_blocks(walk, extent->record);
}

// What of an extent lies behind all that was taken before: the rest was something else a moment
// ago.
static struct jemalloc_extent cut_extent(const struct jemalloc_extent *extent, uint64_t taken_end)
{
    struct jemalloc_extent rest = *extent;
    if (taken_end <= extent->address)
        return rest;
    rest.address = taken_end;
    rest.bytes = extent->bytes - (taken_end - extent->address);
    rest.free_regions =
        (unsigned)(extent->free_regions * (rest.bytes / PAGES_SIZE) / (extent->bytes / PAGES_SIZE));
    return rest;
}

// Inner pages have no element, but for the last one and those of slabs, which lead to an extent
// that begins elsewhere (emap_register_boundary(), emap_register_interior()). In a busy target the
// walk comes to such pages, when extents were split or joined behind its back.
static int take_bad(struct walk *walk, uint64_t *address)
{
    struct jemalloc_extent extent;
    int error = -EBADMSG;
    if (walk->second_looks++ < SECOND_LOOKS_MAX)
        error = jemalloc_tree_look_again(walk->tree, walk->pages, *address, &extent);
    if (error == -EPERM || error == -EACCES || error == -ESRCH || error == -ESTALE)
        return error;
    // Unless it leads to an extent, its page alone is unsure.
    uint64_t end = *address + PAGES_SIZE, unsure_bytes = PAGES_SIZE;
    bool is_bad = error == -EBADMSG || (error == 0 && extent.address != *address);
    if (error == 0) {
        struct jemalloc_extent rest = cut_extent(&extent, walk->taken_end);
        unsure_bytes = rest.bytes;
        end = rest.address + rest.bytes;
        error = take_extent(walk, &rest);
    } else if (is_bad) {
        // The entry is jemalloc's, so its page is too, in whatever state.
        error = ranges_add(&walk->all, *address, end);
    } else {
        // It is gone: the page is an inner one now, or has left memory.
        error = 0;
    }
    walk->bad_count += is_bad;
    walk->changed_count += !is_bad;
    // A second look that agrees is as good as a first one.
    walk->unsure_bytes += is_bad ? unsure_bytes : 0;
    *address = end;
    return error;
}

// Walks one mapping from extent to extent; pages without an entry are somebody else's, or a base
// block's.
// `*address` goes on from mapping to mapping: an extent may reach over a border that the kernel
// draws between two flags.
static int walk_mapping(struct walk *walk, const struct mapping *mapping, uint64_t *address)
{
    if (*address < mapping->start)
        *address = mapping->start;
    while (*address < mapping->end) {
        struct jemalloc_extent extent;
        int error = jemalloc_tree_at(walk->tree, walk->pages, *address, &extent);
        if (error == 0) {
            error = take_extent(walk, &extent);
            *address += extent.bytes;
        } else if (error == -ENODATA || error == -EFAULT) {
            *address = next_leaf_page(*address);
            error = 0;
        } else if (error == -ENOENT) {
            *address += PAGES_SIZE;
            error = 0;
        } else if (error == -EBADMSG) {
            error = take_bad(walk, address);
        }
        if (error)
            return error;
    }
    return 0;
}

// Mappings without resident pages are skipped: what is there cannot be in the account.
static int walk_all(struct walk *walk)
{
    uint64_t address = 0;
    for (size_t i = 0; i < walk->target->mappings->count; i++) {
        const struct mapping *mapping = &walk->target->mappings->items[i];
        // Retained extents may lie in mappings without access, where nothing is resident.
        if (mapping->kind != MAPPING_ANONYMOUS || mapping->flags & MAPPING_SHARED ||
            mapping->start >> 47 || mapping->rss_kib == 0)
            continue;
        int error = add_leaf_block(walk, mapping->start);
        if (!error)
            error = walk_mapping(walk, mapping, &address);
        if (error)
            return error;
    }
    return walk->extent_count == 0 ? -ENOENT : 0;
}

// At rest next to no entry is bad: more mean that the structures are not what they are taken for.
static bool walk_is_sound(const struct walk *walk)
{
    return walk->bad_count <= 16 + walk->extent_count / 50;
}

// A target that runs splits and joins extents under the walk: under eight busy threads a tenth of
// the entries is bad. That it runs is not assumed, but was seen in entries that changed.
static bool walk_is_usable(const struct walk *walk)
{
    return walk_is_sound(walk) ||
           (walk->changed_count > 0 && walk->bad_count <= walk->extent_count / 4);
}

// Cross-multiplied shares of bad entries; a walk that never was has no extents and is worse.
static bool walk_is_better(const struct walk *walk, const struct walk *than)
{
    return than->extent_count == 0 ||
           walk->bad_count * than->extent_count < than->bad_count * walk->extent_count;
}

// Walks until a picture is sound, and keeps the best. A second walk is only worth its time where
// something changes, and starts with an empty cache.
static int walk_best(struct walk *ret_best)
{
    int error = 0;
    for (int i = 0; i < WALKS_MAX && !error; i++) {
        struct walk walk = {
            .target = ret_best->target, .pages = ret_best->pages, .tree = ret_best->tree};
        error = walk_all(&walk);
        bool again = !error && !walk_is_sound(&walk) && walk.changed_count > 0;
        if (!error && walk_is_better(&walk, ret_best)) {
            struct walk worse = *ret_best;
            *ret_best = walk;
            walk = worse;
        }
        walk_free(&walk);
        if (!again)
            break;
        memset(ret_best->pages->tags, 0, PAGES_SLOTS * sizeof *ret_best->pages->tags);
    }
    // Where time runs out, what was seen before is still good.
    if (error && (error != -ETIME || ret_best->extent_count == 0))
        return error;
    if (walk_is_usable(ret_best))
        return 0;
    return ret_best->changed_count > 0 ? -EAGAIN : -EBADMSG;
}

// Precise ranges, not whole mappings: the kernel may have merged a neighbour's memory to them.
static int claim_ranges(const struct target *target, struct runtime_report *report,
                        const struct ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++) {
        int error = target_claim(target, report, ranges->items[i].start, ranges->items[i].end);
        if (error)
            return error;
    }
    return 0;
}

// Lazily freed bytes in the claims, which the parts must leave out.
// Which pages are lazily freed only the kernel knows, by mapping: the account takes them off the
// claims first.
static uint64_t sum_lazy(const struct runtime_report *report)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < report->claim_count; i++)
        bytes += report->claims[i].lazy_bytes;
    return bytes;
}

struct resident {
    uint64_t slabs, large, dirty, returned, blocks;
};

// What an extent counts need not be resident, so each list is measured by pagemap.
static int measure(struct walk *walk, struct resident *ret_resident)
{
    struct ranges *const lists[] = {&walk->slabs, &walk->large, &walk->dirty, &walk->returned,
                                    &walk->blocks};
    uint64_t *const bytes[] = {&ret_resident->slabs, &ret_resident->large, &ret_resident->dirty,
                               &ret_resident->returned, &ret_resident->blocks};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        ranges_sort(lists[i]);
        int error = ranges_resident(walk->target->process, lists[i], bytes[i]);
        if (error)
            return error;
    }
    return 0;
}

// Turns what is resident of each list into rows. An active extent holds objects and holes: counts
// say how much is objects, and no more than is resident can be.
static int add_parts(struct walk *walk, struct runtime_report *report,
                     const struct resident *resident)
{
    // A large allocation's padding comes last and is seldom touched: slack only where more is
    // resident than usable.
    uint64_t large_used = number_least(resident->large, walk->large_bytes);
    uint64_t slab_used = number_least(resident->slabs, walk->regions_bytes);
    uint64_t slack = resident->slabs - slab_used + resident->large - large_used;
    uint64_t lazy = sum_lazy(report);
    // Returned pages that are resident and not lazy: muzzy ones that the kernel could not take
    // lazily.
    uint64_t unreturned = resident->returned > lazy ? resident->returned - lazy : 0;
    // What was caught in between may belong to any of these.
    uint64_t unsure = walk->unsure_bytes;
    int error = report_add_part(report, ROW_IN_USE, slab_used + large_used, unsure,
                                "regions of slabs and large extents, thread caches included");
    if (!error)
        error = report_add_part(report, ROW_SLACK, slack, unsure,
                                "free regions of active slabs x pagemap");
    if (!error)
        error = report_add_part(report, ROW_KEPT, resident->dirty + unreturned, unsure,
                                "dirty extents x pagemap");
    if (!error)
        error = report_add_part(report, ROW_METADATA, resident->blocks, 0, "base blocks x pagemap");
    return error;
}

// The ledger under the names that mallctl() has for it, so that the two can be compared.
static int add_figures(const struct walk *walk, struct runtime_report *report)
{
    // An arena without an extent has no memory, whatever narenas says.
    uint64_t arenas = 0;
    for (size_t i = 0; i < sizeof walk->arena_seen; i++)
        arenas += (uint64_t)__builtin_popcount(walk->arena_seen[i]);
    int error = report_add_bytes(report, "allocated", walk->regions_bytes + walk->large_bytes);
    if (!error)
        error = report_add_bytes(report, "active", walk->state_bytes[EXTENT_ACTIVE]);
    if (!error)
        error = report_add_bytes(report, "dirty", walk->state_bytes[EXTENT_DIRTY]);
    if (!error)
        error = report_add_bytes(report, "muzzy", walk->state_bytes[EXTENT_MUZZY]);
    if (!error)
        error = report_add_bytes(report, "retained", walk->state_bytes[EXTENT_RETAINED]);
    if (!error)
        error = report_add_bytes(report, "base", ranges_bytes(&walk->blocks));
    if (!error)
        error = report_add_count(report, "arenas with extents", arenas);
    return error ? error : report_add_count(report, "extents", walk->extent_count);
}

// Pages come and go between the measuring of the parts and that of the claims: parts that no longer
// fit are cut by the account, which makes them approximate however still the extents stood.
static bool parts_fit(const struct runtime_report *report)
{
    uint64_t claimed = 0, parts = 0;
    for (size_t i = 0; i < report->claim_count; i++)
        claimed += report->claims[i].rss_bytes - report->claims[i].lazy_bytes;
    for (size_t i = 0; i < report->part_count; i++)
        parts += report->parts[i].bytes;
    return parts <= claimed;
}

// Claims and parts are added after the walk, so that a refused walk leaves nothing behind.
static int fill_report(struct walk *walk, struct runtime_report *report)
{
    ranges_sort(&walk->blocks);
    for (size_t i = 0; i < walk->blocks.count; i++) {
        int error = ranges_add(&walk->all, walk->blocks.items[i].start, walk->blocks.items[i].end);
        if (error)
            return error;
    }
    ranges_sort(&walk->all);
    struct resident resident = {0};
    int error = measure(walk, &resident);
    if (!error)
        error = claim_ranges(walk->target, report, &walk->all);
    if (!error)
        error = add_parts(walk, report, &resident);
    if (!error)
        error = add_figures(walk, report);
    report->approximate |= walk->bad_count + walk->changed_count > 0 || !parts_fit(report);
    // Whatever the settings say: muzzy extents come from a lazy purge alone.
    if (walk->state_bytes[EXTENT_MUZZY] > 0)
        report->facts |= FACT_JEMALLOC_MUZZY | FACT_GIVES_LAZILY;
    return error;
}

// A walk that failed half way must not leave half a claim: the caller falls back to the whole.
int jemalloc_extents_read(const struct target *target, const struct image *image,
                          struct runtime_report *report)
{
    struct pages pages;
    struct jemalloc_tree tree;
    struct walk walk = {.target = target, .pages = &pages, .tree = &tree};
    int error = pages_init(&pages, target->process, target->budget_ms);
    if (!error)
        error = jemalloc_tree_find(target, image, &pages, &tree);
    if (!error)
        error = walk_best(&walk);
    if (!error)
        error = fill_report(&walk, report);
    if (error) {
        report->claim_count = 0;
        report->part_count = 0;
        report->figure_count = 0;
    }
    walk_free(&walk);
    pages_free(&pages);
    return error;
}
