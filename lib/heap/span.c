// SPDX-License-Identifier: Apache-2.0
// Making, handing out and taking back the blocks of one span. Library world; guarded by its owner.
#include "heap/span.h"

#include "base/atomic.h"
#include "base/bits.h"
#include "base/die.h"

// Of memory that is resident anyway more than a page is threaded at once.
#define RECYCLED_CARVE_PAGES 4u
#define REMOTE_COUNT_MAX     (1u << 15) // half of what 16 bits hold

// Spans whose pages are looked through before their list is walked.
#define FILTERED_BYTES  1024u
#define FILTERED_BLOCKS 64u

// The span's owner may be in the middle of one fast path that began before the span was closed.
#define UNSYNCHRONISED __attribute__((no_sanitize("thread")))

void span_start(struct wire_record *span, unsigned size_class, struct heap *heap, uint64_t key,
                bool is_clean)
{
    span->free = 0;
    span->key = key;
    span->counts = 0;
    atomic_poke64(&span->off, 0);
    span->lazy = 0;
    span->bytes = 0;
    span->relinked = 0;
    // 0 sends each free of a medium block to the slow path, which knows the further slots.
    span->recip = size_class < CLASS_SMALL ? class_reciprocal(size_class) : 0;
    span->block_bytes = class_block_bytes[size_class];
    span->next = 0;
    span->prev = 0;
    atomic_poke16(&span->carved, 0);
    span->capacity = (uint16_t)class_capacity(size_class);
    span->size_class = (uint8_t)size_class;
    span->is_clean = is_clean;
    if (is_clean)
        span->touched = 0;
    span->queue_next = 0;
    atomic_store64(&span->remote, 0);
    atomic_store64(&span->heap, (uint64_t)(uintptr_t)heap);
}

// Where block `number` stands; nothing is said about its state.
static struct block *block_at(const struct wire_record *span, uint32_t number)
{
    return (struct block *)(space_address(span) + (uintptr_t)number * span->block_bytes);
}

// Threads the blocks `first` to before `end`, in order of address, onto the empty list.
static void thread_blocks(struct wire_record *span, uint32_t first, uint32_t end)
{
    // Read once: for all the compiler knows the blocks are written over the record.
    const uint64_t key = span->key;
    const uintptr_t block_bytes = span->block_bytes;
    const uintptr_t first_at = (uintptr_t)block_at(span, first);
    struct block *next = NULL;
    for (uintptr_t at = (uintptr_t)block_at(span, end); at > first_at;) {
        at -= block_bytes;
        struct block *block = (struct block *)at;
        block->next = next;
        block->tag = key ^ at;
        next = block;
    }
    span->free = (uint64_t)(uintptr_t)next;
}

// Threads the blocks that begin in the next page that was never used, no further: memory is touched
// when it is about to be needed.
static void carve_page(struct wire_record *span)
{
    size_t begin = (size_t)span->carved * span->block_bytes;
    size_t first = begin / PAGE_BYTES;
    size_t pages = first + RECYCLED_CARVE_PAGES <= span->touched ? RECYCLED_CARVE_PAGES : 1;
    if (first + pages > span->touched)
        span->touched = (uint8_t)(first + pages);
    size_t limit = (first + pages) * PAGE_BYTES;
    size_t end = bits_ceil_div(limit, span->block_bytes);
    if (end > span->capacity)
        end = span->capacity;
    thread_blocks(span, span->carved, (uint32_t)end);
    atomic_keep_order();
    atomic_poke16(&span->carved, (uint16_t)end);
}

// The next block of whole pages, without touching it.
static void *carve_block(struct wire_record *span, bool *is_zero)
{
    void *block = block_at(span, span->carved);
    atomic_poke16(&span->carved, (uint16_t)(span->carved + 1));
    span_count_one(span);
    *is_zero = span->is_clean == SPAN_CLEAN;
    return block;
}

void *span_pop(struct wire_record *span, bool *is_zero)
{
    *is_zero = false;
    if (!span->free && span_has_remote(span))
        span_take_remote(span);
    // A page of which all blocks reach into others that are off brings none back.
    while (!span->free && span->off)
        span_restore(span);
    if (!span->free && span->carved < span->capacity) {
        if (span->block_bytes >= PAGE_BYTES)
            return carve_block(span, is_zero);
        carve_page(span);
    }
    return span->free ? span_pop_listed(span) : NULL;
}

_Noreturn void span_die_of_two(const struct wire_record *span, const void *block)
{
    die_at("double free of", (uintptr_t)block, "size class", span->block_bytes);
}

static _Noreturn void die_of_list(const struct wire_record *span, const struct block *block)
{
    die_at("broken free list at", (uintptr_t)block, "size class", span->block_bytes);
}

_Noreturn void span_die_of_count(const struct wire_record *span)
{
    die_at("more frees than blocks at", space_address(span), "size class", span->block_bytes);
}

// Threads that free a block at the same moment each find it live, and only the sum tells.
static void count_down(struct wire_record *span, uint32_t freed)
{
    if (__builtin_expect(freed > span_used(span), 0))
        span_die_of_count(span);
    span->counts -= freed;
}

void span_take_remote(struct wire_record *span)
{
    uint64_t taken = atomic_and64(&span->remote, WIRE_REMOTE_QUEUED);
    uint64_t first = wire_remote_first(taken);
    if (first) {
        span->free = space_base + first;
        atomic_keep_order();
    }
    // Some of these a helper may have taken off the list before: see takeover.h.
    count_down(span, wire_remote_count(taken));
}

void span_count_remote(struct wire_record *span)
{
    uint64_t counted = atomic_and64(&span->remote, WIRE_REMOTE_QUEUED - 1);
    count_down(span, wire_remote_count(counted));
}

// The pages of a small span, or the one bit of a medium one, in which a block has bytes.
static uint64_t bits_of_block(const struct wire_record *span, uint32_t number)
{
    if (!span_is_small(span))
        return UINT64_C(1) << number;
    size_t begin = (size_t)number * span->block_bytes;
    size_t last = begin + span->block_bytes - 1;
    return bits_range((unsigned)(begin / PAGE_BYTES), (unsigned)(last / PAGE_BYTES));
}

bool span_has_off(const struct wire_record *span, uint32_t block)
{
    return (atomic_peek64(&span->off) & bits_of_block(span, block)) != 0;
}

// The carved blocks with bytes in bit `bit`: `*first` to before `*end`.
static void blocks_of_bit(const struct wire_record *span, unsigned bit, uint32_t *first,
                          uint32_t *end)
{
    if (!span_is_small(span)) {
        *first = bit;
        *end = bit + 1;
    } else {
        size_t begin = (size_t)bit * PAGE_BYTES;
        *first = (uint32_t)(begin / span->block_bytes);
        *end = (uint32_t)bits_ceil_div(begin + PAGE_BYTES, span->block_bytes);
    }
    if (*end > span->carved)
        *end = span->carved;
}

// Which blocks are free, by walking the list; those that are off count as well.
struct free_map {
    uint64_t words[WIRE_SLOT_BYTES / 16 / 64];
};

// Both for numbers below the span's capacity.
static bool map_has(const struct free_map *map, uint32_t number)
{
    return map->words[number / 64] >> number % 64 & 1;
}

static void map_set(struct free_map *map, uint32_t number)
{
    map->words[number / 64] |= UINT64_C(1) << number % 64;
}

// Adds what a list leads to; false if a link leads to no block, or to one twice. A block that is
// off ends the list: see span_heal().
UNSYNCHRONISED static bool map_list(const struct wire_record *span, const struct block *block,
                                    struct free_map *map)
{
    for (; block; block = block->next) {
        long number = span_block_at(span, (uintptr_t)block);
        if (number < 0 || map_has(map, (uint32_t)number))
            return false;
        if (span_is_off(span, (uint32_t)number))
            break;
        map_set(map, (uint32_t)number);
    }
    return true;
}

// A page may go if each block with a byte in it is free, or is off by another of its pages.
static bool bit_is_free(const struct wire_record *span, const struct free_map *map, unsigned bit)
{
    uint32_t first;
    uint32_t end;
    blocks_of_bit(span, bit, &first, &end);
    for (uint32_t number = first; number < end; number++) {
        if (!map_has(map, number) && !span_is_off(span, number))
            return false;
    }
    // Behind the last carved block there is nothing to take off.
    return first < end;
}

// Threads all free blocks that have no byte in a bit of `off`, in order of address, and `behind`
// after them. Returns the first.
static struct block *thread_map(const struct wire_record *span, const struct free_map *map,
                                struct block *behind)
{
    struct block *next = behind;
    for (uint32_t number = span->carved; number-- > 0;) {
        if (!map_has(map, number) || span_is_off(span, number))
            continue;
        struct block *block = block_at(span, number);
        block->next = next;
        next = block;
    }
    return next;
}

// How many bits of `off` mean something: pages of a small span, blocks of a medium one.
static unsigned bits_in(const struct wire_record *span)
{
    return span_is_small(span) ? WIRE_SLOT_BYTES / PAGE_BYTES : span->capacity;
}

// In recycled memory the pages that this span never reached hold what an earlier one left.
static void find_tail(const struct wire_record *span, struct span_pages *pages)
{
    size_t run = (size_t)wire_run_slots(span->run) * WIRE_SLOT_BYTES;
    size_t begin = bits_round_up((size_t)span->carved * span->block_bytes, PAGE_BYTES);
    pages->tail = (uint32_t)begin;
    // Only where all of it can go: what is purged counts as clean.
    bool stays = span->is_clean || begin >= run || begin % space.page_bytes;
    pages->tail_bytes = stays ? 0 : (uint32_t)(run - begin);
}

// The remote list without its count, which is the owner's to take: readers go on counting right.
// Where the owner has long not done so the count may not hold many more than it does.
static struct block *take_remote_blocks(struct wire_record *span)
{
    const uint64_t kept = ~(WIRE_REMOTE_QUEUED - 1);
    if (wire_remote_count(atomic_peek64(&span->remote)) >= REMOTE_COUNT_MAX)
        return NULL;
    uint64_t first = wire_remote_first(atomic_and64(&span->remote, kept));
    return first ? (struct block *)(space_base + first) : NULL;
}

// The part of a span's list that a helper may relink: all of it, or what follows the two blocks
// that an interrupted malloc holds in its hands. Where there is one block only, the malloc may end
// and the program write to it at any time: then the new list goes in front of it.
struct list_view {
    struct block *head;   // as `free` was
    struct block *stays;  // the last block that stays where it is; NULL: none does
    struct block *rest;   // may be relinked
    struct block *behind; // must come last, and not be written to
};

UNSYNCHRONISED static struct list_view view_list(struct wire_record *span, enum span_hold hold)
{
    struct list_view view;
    for (;;) {
        view.head = (struct block *)(uintptr_t)atomic_load64(&span->free);
        view.stays = NULL;
        view.rest = view.head;
        view.behind = NULL;
        if (hold != SPAN_POPPED || !view.head)
            return view;
        struct block *second = view.head->next;
        // Read while it was the head: an interrupted malloc may have ended in between, and the
        // program have written there. Who has seen that must see the new head as well.
        atomic_keep_order();
        if (!atomic_is_orderly())
            (void)space.os->fence_threads(space.os);
        if (atomic_load64(&span->free) != (uint64_t)(uintptr_t)view.head)
            continue;
        view.stays = second;
        view.rest = second ? second->next : NULL;
        view.behind = second ? NULL : view.head;
        return view;
    }
}

// The one block that the list was to lead to has gone to the program.
static void cut_list(uint64_t *list, const struct block *behind)
{
    uint64_t *link = list;
    while (*link != (uint64_t)(uintptr_t)behind)
        link = (uint64_t *)(uintptr_t)*link;
    *link = 0;
}

// The new list takes the place of what was in view. An interrupted free may have put its block in
// front meanwhile: then the list follows that one. Or an interrupted malloc has taken the last one.
UNSYNCHRONISED static void replace_list(struct wire_record *span, const struct list_view *view,
                                        struct block *list)
{
    uint64_t head = (uint64_t)(uintptr_t)view->head;
    uint64_t first = (uint64_t)(uintptr_t)list;
    if (view->stays) {
        view->stays->next = list;
    } else if (!atomic_replace64(&span->free, &head, first)) {
        if (head) {
            ((struct block *)(uintptr_t)head)->next = list;
            return;
        }
        cut_list(&first, view->behind);
        atomic_store64(&span->free, first);
    }
}

// The bits of `off` that share the system's page with this one.
static uint64_t bits_of_page(const struct wire_record *span, unsigned bit)
{
    unsigned count = span_is_small(span) ? (unsigned)space.page_bytes / PAGE_BYTES : 1;
    unsigned first = bit & ~(count - 1);
    return bits_range(first, first + count - 1);
}

// With pages of more than 4 KiB only bits that make whole ones are of use.
static uint64_t keep_whole_pages(const struct wire_record *span, uint64_t found)
{
    uint64_t kept = 0;
    if (space.page_bytes == PAGE_BYTES)
        return found;
    if (!span_is_small(span))
        return span->block_bytes % space.page_bytes ? 0 : found;
    for (unsigned bit = 0; bit < bits_in(span); bit++) {
        uint64_t page = bits_of_page(span, bit);
        kept |= (found & page) == page ? page : 0;
    }
    return kept;
}

static uint64_t find_free_bits(const struct wire_record *span, const struct free_map *map)
{
    uint64_t found = 0;
    for (unsigned bit = 0; bit < bits_in(span); bit++) {
        if (!(span->off >> bit & 1) && bit_is_free(span, map, bit))
            found |= UINT64_C(1) << bit;
    }
    return keep_whole_pages(span, found);
}

// All carved blocks of a bit look free, by their tags. Ends at the first live one.
UNSYNCHRONISED static bool bit_looks_free(const struct wire_record *span, unsigned bit)
{
    uint32_t number;
    uint32_t end;
    blocks_of_bit(span, bit, &number, &end);
    if (number >= end || (span->off >> bit & 1))
        return false;
    for (; number < end && !span_is_off(span, number); number++) {
        const struct block *block = block_at(span, number);
        if (block->tag != span_tag(span, block))
            return false;
    }
    return true;
}

// Whether the walk along the list may find a free page. It touches every free block, where this
// touches one in most pages. Only small blocks: of a longer one a program may have made a page
// inaccessible; and only long lists, since what this reads may have been swapped out.
UNSYNCHRONISED static bool may_have_free_pages(const struct wire_record *span)
{
    if (span->block_bytes > FILTERED_BYTES || span->carved < span_used(span) + FILTERED_BLOCKS)
        return true;
    for (unsigned bit = 0; bit < bits_in(span); bit++) {
        if (bit_looks_free(span, bit))
            return true;
    }
    return false;
}

// The malloc or free that was in flight when a list was put in front of its block may be in flight
// still: to that list the block is as free as the others. It ends by counting.
UNSYNCHRONISED static bool may_hold_inner_block(const struct wire_record *span, enum span_hold hold)
{
    return hold == SPAN_POPPED && span->relinked == atomic_peek64(&span->counts);
}

void span_collect_free_pages(struct wire_record *span, enum span_hold hold,
                             struct span_pages *pages)
{
    struct free_map map = {{0}};
    pages->off = 0;
    find_tail(span, pages);
    if (may_hold_inner_block(span, hold) || !may_have_free_pages(span))
        return;
    struct block *remote = take_remote_blocks(span);
    struct list_view view = view_list(span, hold);
    if (!map_list(span, view.rest, &map) || !map_list(span, remote, &map))
        die_of_list(span, view.head);
    pages->off = find_free_bits(span, &map);
    if (!pages->off && !remote)
        return;
    // A free in flight may overwrite the list's beginning: then only span_start() finds all.
    if (hold != SPAN_ALONE)
        span->relinked = view.behind ? atomic_peek64(&span->counts) : 1;
    atomic_poke64(&span->off, span->off | pages->off);
    replace_list(span, &view, thread_map(span, &map, view.behind));
}

// The next run of set bits from `*bits`, removed from it; false when there is none left.
static bool next_run(uint64_t *bits, unsigned *first, unsigned *count)
{
    if (!*bits)
        return false;
    *first = bits_lowest(*bits);
    uint64_t rest = ~(*bits >> *first);
    *count = rest ? bits_lowest(rest) : 64;
    *bits &= ~bits_range(*first, *first + *count - 1);
    return true;
}

unsigned span_list_ranges(const struct wire_record *span, const struct span_pages *pages,
                          struct os_range ranges[SPAN_RANGES_MAX])
{
    size_t unit = span_is_small(span) ? PAGE_BYTES : span->block_bytes;
    uint64_t left = pages->off;
    unsigned listed = 0;
    unsigned first;
    unsigned count;
    while (next_run(&left, &first, &count))
        ranges[listed++] = (struct os_range){space_address(span) + first * unit, count * unit};
    if (pages->tail_bytes)
        ranges[listed++] = (struct os_range){space_address(span) + pages->tail, pages->tail_bytes};
    return listed;
}

void span_note_refused(struct wire_record *span, struct span_pages *pages, bool is_lazy)
{
    const struct os *os = space.os;
    struct os_range ranges[SPAN_RANGES_MAX];
    size_t unit = span_is_small(span) ? PAGE_BYTES : span->block_bytes;
    unsigned count = span_list_ranges(span, pages, ranges);
    pages->is_all = true;
    for (unsigned i = 0; i < count; i++) {
        uintptr_t at = ranges[i].address;
        size_t bytes = ranges[i].bytes;
        if ((is_lazy ? os->purge_lazily(os, at, bytes) : os->purge_now(os, at, bytes)) == 0)
            continue;
        pages->is_all = false;
        // Behind the last block there are no bits, and nothing that could be given back twice.
        unsigned first = (unsigned)((at - space_address(span)) / unit);
        bool is_tail = pages->tail_bytes && at == space_address(span) + pages->tail;
        if (is_tail)
            pages->tail_bytes = 0;
        else
            span->bytes |= bits_range(first, first + (unsigned)(bytes / unit) - 1);
    }
    pages->off &= ~span->bytes;
}

void span_note_purged(struct wire_record *span, const struct span_pages *pages, bool is_lazy)
{
    if (is_lazy)
        span->lazy |= pages->off;
    else if (pages->tail_bytes && pages->is_all)
        span->is_clean = pages->tail == (uint32_t)span->carved * span->block_bytes
                             ? SPAN_CLEAN
                             : SPAN_CLEAN_TAIL;
}

void span_heal(struct wire_record *span)
{
    uint64_t *link = &span->free;
    while (*link) {
        long number = span_block_at(span, (uintptr_t)*link);
        if (number < 0)
            die_of_list(span, (const struct block *)(uintptr_t)*link);
        if (span_is_off(span, (uint32_t)number)) {
            *link = 0;
            return;
        }
        link = (uint64_t *)(uintptr_t)*link;
    }
}

// The pages that come back with this one: what the system takes together, and the whole of a block
// that is longer than a page; but none that is not off.
static uint64_t bits_to_restore(const struct wire_record *span, unsigned bit)
{
    uint32_t first;
    uint32_t end;
    uint64_t back = bits_of_page(span, bit);
    blocks_of_bit(span, bit, &first, &end);
    if (span->block_bytes > PAGE_BYTES && span_is_small(span))
        back |= bits_of_block(span, first);
    return back & span->off;
}

void span_restore(struct wire_record *span)
{
    uint32_t first;
    uint32_t end;
    uint32_t unused;
    const uint64_t back = bits_to_restore(span, bits_lowest(span->off));
    blocks_of_bit(span, bits_lowest(back), &first, &unused);
    blocks_of_bit(span, bits_highest(back), &unused, &end);
    atomic_poke64(&span->off, span->off & ~back);
    span->lazy &= ~back;
    span->bytes &= ~back;
    size_t unit = span_is_small(span) ? PAGE_BYTES : span->block_bytes;
    space_note_reuse(class_group(span->block_bytes), bits_count(back) * unit);
    struct block *next = (struct block *)(uintptr_t)span->free;
    for (uint32_t number = end; number-- > first;) {
        // Neither those that another of their pages keeps off, nor those that never were.
        if (span_is_off(span, number) || !(bits_of_block(span, number) & back))
            continue;
        struct block *block = block_at(span, number);
        block->next = next;
        block->tag = span_tag(span, block);
        next = block;
    }
    span->free = (uint64_t)(uintptr_t)next;
    span_open(span, (const struct heap *)(uintptr_t)span->heap);
}

// Blocks that others have freed and nobody has taken in yet.
static bool map_remote(const struct wire_record *span, struct free_map *map)
{
    uint64_t first = wire_remote_first(atomic_load64(&span->remote));
    return !first || map_list(span, (const struct block *)(space_base + first), map);
}

bool span_is_valid(const struct wire_record *span)
{
    struct free_map map = {{0}};
    if (span->carved > span->capacity || wire_live_blocks(span) > span->capacity)
        return false;
    if (!map_list(span, (const struct block *)(uintptr_t)span->free, &map))
        return false;
    if (!map_remote(span, &map))
        return false;
    uint32_t free_blocks = 0;
    for (uint32_t number = 0; number < span->carved; number++)
        free_blocks += map_has(&map, number) || span_is_off(span, number);
    return wire_live_blocks(span) + free_blocks == span->carved;
}
