// SPDX-License-Identifier: Apache-2.0
// What the exported symbols share. Library world. This layer alone sets errno, and only on failure.
//
// Each entry is the fast path, inlined, and a tail call: so malloc and free need no stack frame,
// and operator new is as fast as malloc. None of them calls another by its name: a program may have
// replaced any one of the symbols by its own.
#ifndef EBB_SHIM_SHIM_H
#define EBB_SHIM_SHIM_H

#include <stddef.h>

#include "heap/fast.h"
#include "release/engine.h"

// All else in the library is hidden.
#define EXPORT __attribute__((visibility("default")))

// NULL and ENOMEM on failure.
void *shim_allocate_slow(size_t bytes);
void shim_free_slow(void *pointer);
void shim_note_empty(void *pointer);
// Sets errno; `align` is a power of two.
void *shim_allocate_aligned(size_t bytes, size_t align);

static inline void *shim_allocate(size_t bytes)
{
    void *block = heap_pop_fast(bytes);
    return __builtin_expect(block != NULL, 1) ? block : shim_allocate_slow(bytes);
}

static inline void shim_free(void *pointer)
{
    switch (heap_push_fast(pointer)) {
    case HEAP_PUSHED:
        return;
    case HEAP_PUSHED_LAST:
        shim_note_empty(pointer);
        return;
    case HEAP_NOT_PUSHED:
        shim_free_slow(pointer);
        return;
    }
}

#endif
