// SPDX-License-Identifier: Apache-2.0
// Making, handing out and taking back the blocks of one span. Library world; guarded by its owner.
#include "heap/span.h"

#include "base/atomic.h"
#include "base/bits.h"
#include "base/die.h"

// Of memory that is resident anyway more than a page is threaded at once.
#define RECYCLED_CARVE_PAGES 4u
#define SPAN_BYTES_MAX       (16u * WIRE_SLOT_BYTES)

void span_start(struct wire_record *span, unsigned size_class, struct heap *heap, uint64_t key,
                bool is_clean)
{
    span->free = 0;
    span->key = key;
    span->counts = 0;
    atomic_poke64(&span->off, 0);
    span->lazy = 0;
    // 0 sends each free of a medium block to the slow path, which knows the further slots.
    span->recip = size_class < CLASS_SMALL ? class_reciprocal(size_class) : 0;
    span->block_bytes = class_block_bytes[size_class];
    span->next = 0;
    span->prev = 0;
    atomic_poke16(&span->carved, 0);
    span->capacity = (uint16_t)class_capacity(size_class);
    span->size_class = (uint8_t)size_class;
    span->is_clean = is_clean;
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
    struct block *next = NULL;
    for (uint32_t number = end; number-- > first;) {
        struct block *block = block_at(span, number);
        block->next = next;
        block->tag = span_tag(span, block);
        next = block;
    }
    span->free = (uint64_t)(uintptr_t)next;
}

// Threads the blocks that begin in the next page that was never used, no further: memory is touched
// when it is about to be needed.
static void carve_page(struct wire_record *span)
{
    size_t begin = (size_t)span->carved * span->block_bytes;
    size_t pages = span->is_clean ? 1 : RECYCLED_CARVE_PAGES;
    size_t limit = (begin & ~(size_t)(PAGE_BYTES - 1)) + pages * PAGE_BYTES;
    size_t end = bits_ceil_div(limit, span->block_bytes);
    if (end > span->capacity)
        end = span->capacity;
    thread_blocks(span, span->carved, (uint32_t)end);
    atomic_keep_order();
    atomic_poke16(&span->carved, (uint16_t)end);
}

static void count_one(struct wire_record *span)
{
    atomic_keep_order();
    span->counts += SPAN_COUNT_ONE;
}

void *span_pop_listed(struct wire_record *span)
{
    struct block *block = (struct block *)(uintptr_t)span->free;
    span->free = (uint64_t)(uintptr_t)block->next;
    count_one(span);
    block->tag = 0;
    return block;
}

// The next block of whole pages, without touching it.
static void *carve_block(struct wire_record *span, bool *is_zero)
{
    void *block = block_at(span, span->carved);
    atomic_poke16(&span->carved, (uint16_t)(span->carved + 1));
    count_one(span);
    *is_zero = span->is_clean;
    return block;
}

void *span_pop(struct wire_record *span, bool *is_zero)
{
    *is_zero = false;
    if (!span->free && wire_remote_first(atomic_peek64(&span->remote)))
        span_take_remote(span, true);
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

void span_push(struct wire_record *span, void *pointer)
{
    struct block *block = pointer;
    block->tag = span_tag(span, block);
    block->next = (struct block *)(uintptr_t)span->free;
    atomic_keep_order();
    span->free = (uint64_t)(uintptr_t)block;
    atomic_keep_order();
    span->counts--;
}

bool span_push_remote(struct wire_record *span, void *pointer, uint32_t *count)
{
    struct block *block = pointer;
    uint64_t offset = (uint64_t)((uintptr_t)pointer - space_base);
    uint64_t old = atomic_load64(&span->remote);
    uint64_t changed;
    block->tag = span_tag(span, block);
    do {
        uint64_t first = wire_remote_first(old);
        *count = wire_remote_count(old) + 1;
        block->next = first ? (struct block *)(space_base + first) : NULL;
        changed = (uint64_t)*count << 48 | WIRE_REMOTE_QUEUED | offset;
    } while (!atomic_replace64(&span->remote, &old, changed));
    return !(old & WIRE_REMOTE_QUEUED);
}

static _Noreturn void die_of_list(const struct wire_record *span, const struct block *block)
{
    die_at("broken free list at", (uintptr_t)block, "size class", span->block_bytes);
}

// A link that was overwritten leads anywhere: what is not a block of this span ends the process.
static void check_link(const struct wire_record *span, const struct block *block)
{
    if (span_block_at(span, (uintptr_t)block) < 0)
        die_of_list(span, block);
}

void span_take_remote(struct wire_record *span, bool stays_queued)
{
    uint64_t taken = stays_queued ? atomic_and64(&span->remote, WIRE_REMOTE_QUEUED)
                                  : atomic_swap64(&span->remote, 0);
    uint64_t first = wire_remote_first(taken);
    if (!first)
        return;
    struct block *head = (struct block *)(space_base + first);
    if (span->free) {
        struct block *last = head;
        for (uint32_t rest = wire_remote_count(taken) - 1; rest > 0; rest--) {
            last = last->next;
            check_link(span, last);
        }
        last->next = (struct block *)(uintptr_t)span->free;
    }
    span->free = (uint64_t)(uintptr_t)head;
    atomic_keep_order();
    span->counts -= wire_remote_count(taken);
}

long span_block_at(const struct wire_record *span, uintptr_t address)
{
    // An address below the span wraps to a huge offset.
    uintptr_t offset = address - space_address(span);
    if (offset >= SPAN_BYTES_MAX)
        return -1;
    // In 32 bits, where a division is cheap.
    uint32_t number = (uint32_t)offset / span->block_bytes;
    if ((uint32_t)offset % span->block_bytes != 0 || number >= atomic_peek16(&span->carved))
        return -1;
    return (long)number;
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

bool span_is_off(const struct wire_record *span, uint32_t block)
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

// True if every link leads to a block, and none twice.
static bool map_list(const struct wire_record *span, struct free_map *map)
{
    const struct block *block = (const struct block *)(uintptr_t)span->free;
    for (; block; block = block->next) {
        long number = span_block_at(span, (uintptr_t)block);
        if (number < 0 || map_has(map, (uint32_t)number))
            return false;
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

// Threads all free blocks anew that have no byte in a bit of `off`, in order of address.
static void rebuild_list(struct wire_record *span, const struct free_map *map)
{
    struct block *next = NULL;
    for (uint32_t number = span->carved; number-- > 0;) {
        if (!map_has(map, number) || span_is_off(span, number))
            continue;
        struct block *block = block_at(span, number);
        block->next = next;
        next = block;
    }
    span->free = (uint64_t)(uintptr_t)next;
}

// How many bits of `off` mean something: pages of a small span, blocks of a medium one.
static unsigned bits_in(const struct wire_record *span)
{
    return span_is_small(span) ? WIRE_SLOT_BYTES / PAGE_BYTES : span->capacity;
}

// In recycled memory the pages that this span never reached hold what an earlier one left.
static uint64_t untouched_pages(const struct wire_record *span)
{
    size_t end = (size_t)span->carved * span->block_bytes;
    unsigned first = (unsigned)bits_ceil_div(end, PAGE_BYTES);
    if (!span_is_small(span) || span->is_clean || first >= bits_in(span))
        return 0;
    return bits_range(first, bits_in(span) - 1);
}

uint64_t span_collect_free_pages(struct wire_record *span, uint64_t *untouched)
{
    struct free_map map = {{0}};
    uint64_t found = 0;
    if (!map_list(span, &map))
        die_of_list(span, (const struct block *)(uintptr_t)span->free);
    for (unsigned bit = 0; bit < bits_in(span); bit++) {
        if (!(span->off >> bit & 1) && bit_is_free(span, &map, bit))
            found |= UINT64_C(1) << bit;
    }
    *untouched = untouched_pages(span);
    if (!found)
        return 0;
    atomic_poke64(&span->off, span->off | found);
    span_open(span, (const struct heap *)(uintptr_t)span->heap);
    rebuild_list(span, &map);
    return found;
}

// The next run of set bits from `*bits`, removed from it; false when there is none left.
static bool next_run(uint64_t *bits, unsigned *first, unsigned *count)
{
    if (!*bits)
        return false;
    *first = bits_lowest(*bits);
    uint64_t rest = ~(*bits >> *first);
    *count = rest ? bits_lowest(rest) : 64;
    if (*count > 64 - *first)
        *count = 64 - *first;
    *bits &= ~bits_range(*first, *first + *count - 1);
    return true;
}

size_t span_purge(struct wire_record *span, uint64_t off, uint64_t untouched, bool is_lazy)
{
    size_t unit = span_is_small(span) ? PAGE_BYTES : span->block_bytes;
    uint64_t left = off | untouched;
    size_t gone = 0;
    unsigned first;
    unsigned count;
    while (next_run(&left, &first, &count)) {
        uintptr_t address = space_address(span) + first * unit;
        size_t bytes = count * unit;
        int error = is_lazy ? space.os->purge_lazily(space.os, address, bytes)
                            : space.os->purge_now(space.os, address, bytes);
        if (error)
            continue;
        gone += bytes;
        if (is_lazy)
            span->lazy |= bits_range(first, first + count - 1) & off;
    }
    if (gone)
        space_note_purge(gone);
    return gone;
}

void span_restore(struct wire_record *span)
{
    unsigned bit = bits_lowest(span->off);
    uint32_t first;
    uint32_t end;
    blocks_of_bit(span, bit, &first, &end);
    // A block of two pages comes back whole.
    uint64_t back = UINT64_C(1) << bit;
    if (span->block_bytes > PAGE_BYTES && span_is_small(span))
        back |= bits_of_block(span, first);
    atomic_poke64(&span->off, span->off & ~back);
    span->lazy &= ~back;
    struct block *next = (struct block *)(uintptr_t)span->free;
    for (uint32_t number = end; number-- > first;) {
        if (span_is_off(span, number))
            continue;
        struct block *block = block_at(span, number);
        block->next = next;
        block->tag = span_tag(span, block);
        next = block;
    }
    span->free = (uint64_t)(uintptr_t)next;
    span_open(span, (const struct heap *)(uintptr_t)span->heap);
}

bool span_is_valid(const struct wire_record *span)
{
    struct free_map map = {{0}};
    if (span->carved > span->capacity || span_used(span) > span->capacity + 1u)
        return false;
    if (!map_list(span, &map))
        return false;
    uint32_t free_blocks = 0;
    for (uint32_t number = 0; number < span->carved; number++) {
        if (map_has(&map, number) && span_is_off(span, number))
            return false;
        free_blocks += map_has(&map, number) || span_is_off(span, number);
    }
    uint32_t bias = span->state == WIRE_SPAN_CURRENT;
    return span_used(span) - bias + free_blocks == span->carved;
}
