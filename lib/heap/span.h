// SPDX-License-Identifier: Apache-2.0
// One span: blocks of one size in a run of slots. Library world.
//
// A block is in one of five places: with the program; on the span's list (`free`); on its remote
// list; behind `carved`, never touched; or off the list, in pages that may have been purged
// (`off`). The list is threaded through the blocks, so a purged page would lose it: what the bitmap
// `off` says is enough to make the links anew.
//
// In bytes: a block of 16 holds the link and the tag and nothing else. All larger ones keep what
// the program left behind these two words; a purge takes that as well.
//
// A double free is certain to be found while the block is free: on the list by its tag, off it by
// the bitmap, on the remote list by the tag again. It is missed where the program has written over
// the tag after the free, or where the block belongs to somebody anew; no malloc can tell the
// latter.
//
// But for span_push_remote() and the checks, all of this is for whoever owns the span: its heap's
// thread, or who holds the heap's lock while no thread is in its fast path.
#ifndef EBB_HEAP_SPAN_H
#define EBB_HEAP_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "heap/space.h"

// The head of a free block. The tag tells a second free from the first: it depends on the address
// and on the span's key, and malloc clears it.
struct block {
    struct block *next;
    uint64_t tag;
};

// One more block allocated ever, and one more live: see `counts` in wire/ledger.h.
#define SPAN_COUNT_ONE   UINT64_C(0x10001)
#define SPAN_USED_MASK   UINT64_C(0xffff)
#define SPAN_COUNT_SHIFT 16
#define SPAN_BYTES_MAX   (16u * WIRE_SLOT_BYTES)

// What `is_clean` says: blocks never carved read as zeros; or only their pages do, and the first of
// these blocks begins in a page before.
enum { SPAN_CLEAN = 1, SPAN_CLEAN_TAIL = 2 };

struct heap;

static inline uint64_t span_tag(const struct wire_record *span, const void *block)
{
    return span->key ^ (uint64_t)(uintptr_t)block;
}

// Blocks that the owner has not counted as free: the live ones; one more while the span is current;
// and those that others have freed since the owner has counted their frees last, also where a
// helper has moved these to `free` or `off` meanwhile. So some of them may be on the list already:
// what the program holds is wire_live_blocks().
static inline uint32_t span_used(const struct wire_record *span)
{
    return (uint32_t)(span->counts & SPAN_USED_MASK);
}

static inline bool span_is_small(const struct wire_record *span)
{
    return span->size_class < CLASS_SMALL;
}

// Bytes in pages that are off and were given back.
static inline size_t span_off_bytes(const struct wire_record *span)
{
    size_t unit = span_is_small(span) ? PAGE_BYTES : span->block_bytes;
    return (size_t)__builtin_popcountll(span->off & ~span->bytes) * unit;
}

// Others have freed blocks that are not on the span's list yet.
static inline bool span_has_remote(const struct wire_record *span)
{
    return wire_remote_first(atomic_peek64(&span->remote)) != 0;
}

// Something can be allocated without asking others.
static inline bool span_has_free(const struct wire_record *span)
{
    return span->free || span->off || span->carved < span->capacity || span_has_remote(span);
}

// Lets the plain frees of `heap`'s thread push here, unless they have to look at `off` first.
static inline void span_open(struct wire_record *span, const struct heap *heap)
{
    atomic_poke64(&span->fast_owner, span->off ? 0 : (uint64_t)(uintptr_t)heap);
}

static inline void span_count_one(struct wire_record *span)
{
    atomic_keep_order();
    span->counts += SPAN_COUNT_ONE;
}

// Makes a span of a run that was just taken. `is_clean`: its memory reads as zeros.
void span_start(struct wire_record *span, unsigned size_class, struct heap *heap, uint64_t key,
                bool is_clean);

// Takes a block, from the list or by making one: NULL where the span has none. `*is_zero` is set if
// the block is known to read as zeros.
void *span_pop(struct wire_record *span, bool *is_zero);

// Takes the first block of the list, which is not empty.
static inline void *span_pop_listed(struct wire_record *span)
{
    struct block *block = (struct block *)(uintptr_t)span->free;
    span->free = (uint64_t)(uintptr_t)block->next;
    span_count_one(span);
    block->tag = 0;
    return block;
}

// Puts a live block back. The caller has checked it.
static inline void span_push(struct wire_record *span, void *pointer)
{
    struct block *block = pointer;
    block->tag = span_tag(span, block);
    block->next = (struct block *)(uintptr_t)span->free;
    atomic_store64(&span->free, (uint64_t)(uintptr_t)block);
    atomic_keep_order();
    span->counts--;
}

// Ends the process: the block was freed twice at the same moment.
_Noreturn void span_die_of_two(const struct wire_record *span, const void *block);

// Any thread: puts a live block on the remote list. True where the caller is the first since the
// owner looked, and has to put the span into the owner's inbox. `*count`: of the list, as it is
// now.
static inline bool span_push_remote(struct wire_record *span, void *pointer, uint32_t *count)
{
    struct block *block = pointer;
    uint64_t offset = (uint64_t)((uintptr_t)pointer - space_base);
    uint64_t old = atomic_load64(&span->remote);
    uint64_t changed;
    block->tag = span_tag(span, block);
    do {
        uint64_t first = wire_remote_first(old);
        block->next = first ? (struct block *)(space_base + first) : NULL;
        // Two threads at once: a list that led back to itself would hand it out for ever.
        if (__builtin_expect(first == offset, 0))
            span_die_of_two(span, pointer);
        changed = (uint64_t)(wire_remote_count(old) + 1) << 48 | WIRE_REMOTE_QUEUED | offset;
    } while (__builtin_expect(!atomic_replace64(&span->remote, &old, changed), 0));
    *count = wire_remote_count(changed);
    return !(old & WIRE_REMOTE_QUEUED);
}

// Ends the process: more of its blocks were freed than there are.
_Noreturn void span_die_of_count(const struct wire_record *span);

// Makes the remote list the span's own, which is empty. The span may still be in the inbox.
void span_take_remote(struct wire_record *span);

// Of a span that has come out of the inbox: counts these blocks as free, and leaves them there
// until the span's own list has run out: to join the two is to walk one of them, through blocks
// that are in another processor's cache.
void span_count_remote(struct wire_record *span);

// Where an address stands in a span: its block's number, or −1 if no block begins there, or none
// that was ever handed out.
static inline long span_block_at(const struct wire_record *span, uintptr_t address)
{
    // An address below the span wraps to a huge offset.
    uintptr_t offset = address - space_address(span);
    if (offset >= SPAN_BYTES_MAX)
        return -1;
    // Read once: below a second free the span may go, and its record be wiped (records.h).
    uint32_t block_bytes = atomic_peek32(&span->block_bytes);
    if (!block_bytes)
        return -1;
    // In 32 bits, where a division is cheap.
    uint32_t number = (uint32_t)offset / block_bytes;
    if ((uint32_t)offset % block_bytes != 0 || number >= atomic_peek16(&span->carved))
        return -1;
    return (long)number;
}

// The block is free and its page may be purged.
bool span_has_off(const struct wire_record *span, uint32_t block);
static inline bool span_is_off(const struct wire_record *span, uint32_t block)
{
    // Mostly nothing is.
    return atomic_peek64(&span->off) != 0 && span_has_off(span, block);
}

// In a span of which nothing is off: a live block begins here, `in_span` bytes from the start. It
// was handed out once, and its tag does not say that it is free. `block_bytes`: the span's, not 0.
static inline bool span_has_live(const struct wire_record *span, uint32_t block_bytes,
                                 uint32_t in_span, const void *pointer)
{
    const struct block *block = pointer;
    return __builtin_expect(in_span % block_bytes == 0, 1) &&
           __builtin_expect(in_span / block_bytes < atomic_peek16(&span->carved), 1) &&
           __builtin_expect(block->tag != span_tag(span, block), 1);
}

// Who else may touch the span while its free pages are looked for.
enum span_hold {
    SPAN_ALONE,  // nobody: the caller is the owner, or there is none
    SPAN_CLOSED, // the owner, in the middle of one free at most: takeover.h
    SPAN_POPPED, // the owner, in the middle of one malloc or free: its current span
};

// Free pages that came off the list.
struct span_pages {
    uint64_t off;        // as bits of `off`
    uint32_t tail;       // bytes from here to the run's end hold nothing, nor do they need bits;
    uint32_t tail_bytes; // only in recycled memory, where somebody else left them behind
    bool is_all;         // in: the system has taken all of it
};

// Takes all free blocks of wholly free pages off the list, and those on the remote list with them,
// so that these pages can be purged.
void span_collect_free_pages(struct wire_record *span, enum span_hold hold,
                             struct span_pages *pages);

#define SPAN_RANGES_MAX 65u

// The above as ranges of addresses; returns how many.
unsigned span_list_ranges(const struct wire_record *span, const struct span_pages *pages,
                          struct os_range ranges[SPAN_RANGES_MAX]);

// The system would not take all of what was collected: asked once more, range by range, it says
// which. That stays off, counts as kept, and leaves `pages`.
void span_note_refused(struct wire_record *span, struct span_pages *pages, bool is_lazy);

// What was collected has been purged.
void span_note_purged(struct wire_record *span, const struct span_pages *pages, bool is_lazy);

// A list that a closed span's owner has been pushing to may lead on into blocks that are off: cuts
// it there. Before the span is allocated from again.
void span_heal(struct wire_record *span);

// Brings some blocks that are off back onto the list.
void span_restore(struct wire_record *span);

// For tests and debug builds: counters, list and bitmap agree.
bool span_is_valid(const struct wire_record *span);

#endif
