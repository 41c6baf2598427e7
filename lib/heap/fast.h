// SPDX-License-Identifier: Apache-2.0
// The fast paths: pop and push, nothing else. Library world; no atomics, no branch for the start.
//
// 17 and 29 instructions on x86-64 (tests/e2e/lib-instructions.t counts them), of which the checks
// against misuse are eleven: five that the address begins a block, four that the block is not free,
// one to tag it and one to clear the tag. The order of stores is part of the contract with fork:
// see thread.c.
#ifndef EBB_HEAP_FAST_H
#define EBB_HEAP_FAST_H

#include "base/atomic.h"
#include "heap/heap.h"

// A block from the thread's current span; NULL where that is for the slow path to do.
static inline void *heap_pop_fast(size_t bytes)
{
    if (__builtin_expect(bytes > CLASS_SMALL_MAX, 0))
        return NULL;
    const struct heap *heap = heap_of_thread;
    struct wire_record *span = heap->current[heap->steps[(bytes + 15) / 16]];
    struct block *block = (struct block *)(uintptr_t)span->free;
    if (__builtin_expect(!block, 0))
        return NULL;
    struct block *next = block->next;
    span->free = (uint64_t)(uintptr_t)next;
    // The next malloc reads it, and the program writes to it: by then it is in the cache.
    __builtin_prefetch(next);
    // In this order, so that a fork in between loses a block rather than giving it out twice.
    atomic_keep_order();
    span->counts += SPAN_COUNT_ONE;
    block->tag = 0;
    return block;
}

// The low half of `counts`, read from memory again: three instructions where a register takes five.
static inline uint16_t span_used_again(const struct wire_record *span)
{
    atomic_keep_order();
    return *(const uint16_t *)&span->counts;
}

enum heap_push { HEAP_PUSHED, HEAP_PUSHED_LAST, HEAP_NOT_PUSHED };

// Of a live small block of one's own the span, if that is open, and the block's tag; else NULL.
static inline struct wire_record *heap_span_fast(const void *pointer, uint64_t *tag)
{
    uintptr_t offset = (uintptr_t)pointer - space_base;
    if (__builtin_expect(offset >= space_bytes, 0))
        return NULL;
    // One shift and one mask for (offset / slot) × record.
    uintptr_t at = offset >> (WIRE_SLOT_SHIFT - WIRE_RECORD_SHIFT) & ~(RECORD_BYTES - 1);
    struct wire_record *span = (struct wire_record *)(space_base + at);
    if (__builtin_expect(atomic_peek64(&span->fast_owner) != (uintptr_t)heap_of_thread, 0))
        return NULL;
    // Divisible by the block size: class_reciprocal(). The base is aligned to more than a slot.
    if (__builtin_expect((uint32_t)(uint16_t)(uintptr_t)pointer * span->recip >= span->recip, 0))
        return NULL;
    *tag = span_tag(span, pointer);
    return __builtin_expect(((const struct block *)pointer)->tag == *tag, 0) ? NULL : span;
}

// Puts a block onto its span's list if the span is the thread's and the block is a live one.
static inline enum heap_push heap_push_fast(void *pointer)
{
    uint64_t tag;
    struct wire_record *span = heap_span_fast(pointer, &tag);
    if (__builtin_expect(!span, 0))
        return HEAP_NOT_PUSHED;
    struct block *block = pointer;
    block->tag = tag;
    block->next = (struct block *)(uintptr_t)span->free;
    // A helper may walk the list right now, and finds the link written where it finds the block.
    atomic_store64(&span->free, (uint64_t)(uintptr_t)block);
    atomic_keep_order();
    span->counts--;
    return __builtin_expect(span_used_again(span) == 0, 0) ? HEAP_PUSHED_LAST : HEAP_PUSHED;
}

// A block that would be mostly empty moves to one of its size; what that saves is more than a line
// of the cache. One comparison: what does not fit wraps.
static inline bool heap_fits(size_t usable, size_t bytes)
{
    return usable - bytes <= usable / 2 + 32;
}

// The same for medium blocks too. Sizes come in any order, so both take the same way: nothing here
// is left to a guess of the branch predictor.
static inline const struct wire_record *heap_any_span_fast(const void *pointer)
{
    uintptr_t offset = (uintptr_t)pointer - space_base;
    if (__builtin_expect(offset >= space_bytes, 0))
        return NULL;
    const struct wire_record *span = space_record((uint32_t)(offset >> WIRE_SLOT_SHIFT));
    uint32_t tail = space_tail(atomic_peek64(&span->run));
    span -= tail;
    if (__builtin_expect(atomic_peek64(&span->fast_owner) != (uintptr_t)heap_of_thread, 0))
        return NULL;
    uint32_t in_span = tail << WIRE_SLOT_SHIFT | (uint16_t)(uintptr_t)pointer;
    return span_has_live(span, span->block_bytes, in_span, pointer) ? span : NULL;
}

#endif
