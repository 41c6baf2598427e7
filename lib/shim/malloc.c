// SPDX-License-Identifier: Apache-2.0
// The C entries of the malloc family, with glibc's semantics. Library world.
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "shim/shim.h"

// The one place where libebb sets errno.
static void *fail(int error)
{
    errno = error;
    return NULL;
}

// What is larger than PTRDIFF_MAX is refused: differences of pointers into it would overflow.
__attribute__((noinline)) void *shim_allocate_slow(size_t bytes)
{
    bool is_zero;
    void *block = bytes <= PTRDIFF_MAX ? heap_allocate(bytes, &is_zero) : NULL;
    engine_poke(NULL);
    return block ? block : fail(ENOMEM);
}

// Called in the place of free()'s own end, so that it returns to whom free() does.
__attribute__((noinline)) void shim_free_slow(void *pointer)
{
    // Nothing to do is no reason to call anybody.
    if (!pointer)
        return;
    heap_free(pointer);
    engine_poke(__builtin_return_address(0));
}

// Called when a free has emptied a span; out of line, as that is seldom.
__attribute__((noinline)) void shim_note_empty(void *pointer)
{
    heap_note_empty(pointer);
    engine_poke(__builtin_return_address(0));
}

void *shim_allocate_aligned(size_t bytes, size_t align)
{
    // Every block is aligned to 16.
    if (align <= 16)
        return shim_allocate(bytes);
    void *block = bytes <= PTRDIFF_MAX ? heap_allocate_aligned(bytes, align) : NULL;
    engine_poke(NULL);
    return block ? block : fail(ENOMEM);
}

EXPORT void *malloc(size_t size)
{
    return shim_allocate(size);
}

EXPORT void free(void *ptr)
{
    shim_free(ptr);
}

// C23. The size is the program's belief; the span knows.
EXPORT void free_sized(void *ptr, size_t size)
{
    (void)size;
    shim_free(ptr);
}

EXPORT void free_aligned_sized(void *ptr, size_t alignment, size_t size)
{
    (void)alignment;
    (void)size;
    shim_free(ptr);
}

EXPORT void *calloc(size_t nmemb, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(nmemb, size, &bytes) || bytes > PTRDIFF_MAX)
        return fail(ENOMEM);
    // A block of a free list has been written to: it is cleared whatever it holds.
    void *block = heap_pop_fast(bytes);
    if (__builtin_expect(block != NULL, 1))
        return memset(block, 0, bytes);
    bool is_zero;
    block = heap_allocate(bytes, &is_zero);
    engine_poke(NULL);
    if (!block)
        return fail(ENOMEM);
    // Fresh pages are zero: to write to them would make them resident.
    return is_zero ? block : memset(block, 0, bytes);
}

// realloc(p, 0) frees and returns NULL, as glibc does and C23 leaves undefined.
__attribute__((noinline)) static void *resize_slow(void *ptr, size_t size)
{
    if (!ptr)
        return shim_allocate(size);
    if (size == 0) {
        shim_free(ptr);
        return NULL;
    }
    void *block = size <= PTRDIFF_MAX ? heap_resize(ptr, size) : NULL;
    // What shrinks or moves leaves free memory behind, too.
    engine_poke(NULL);
    return block ? block : fail(ENOMEM);
}

__attribute__((noinline)) static void *resize_by_move(void *ptr, size_t room, size_t size)
{
    void *block = heap_move(ptr, room, size);
    engine_poke(NULL);
    return block ? block : fail(ENOMEM);
}

static inline void *resize(void *ptr, size_t size)
{
    // Neither 0 nor beyond PTRDIFF_MAX, in one test: what is near SIZE_MAX would wrap and fit.
    if (__builtin_expect((ptrdiff_t)size <= 0, 0))
        return resize_slow(ptr, size);
    const struct wire_record *span = heap_any_span_fast(ptr);
    if (__builtin_expect(!span, 0))
        return resize_slow(ptr, size);
    size_t room = span->block_bytes;
    return heap_fits(room, size) ? ptr : resize_by_move(ptr, room, size);
}

EXPORT void *realloc(void *ptr, size_t size)
{
    return resize(ptr, size);
}

EXPORT void *reallocarray(void *ptr, size_t nmemb, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(nmemb, size, &bytes))
        // The old block stays, as after every failed realloc().
        return fail(ENOMEM);
    return resize(ptr, bytes);
}

// All of it may be used: the whole block belongs to the program.
EXPORT size_t malloc_usable_size(void *ptr)
{
    uint64_t tag;
    const struct wire_record *span = heap_span_fast(ptr, &tag);
    if (__builtin_expect(span != NULL, 1))
        return span->block_bytes;
    return ptr ? heap_usable_bytes(ptr) : 0;
}

// As glibc does it: what is no power of two counts as the next one.
EXPORT void *memalign(size_t alignment, size_t size)
{
    // There is no power of two above that.
    if (alignment > SIZE_MAX / 2 + 1)
        return fail(EINVAL);
    if (alignment > 1 && !bits_is_power_of_two(alignment))
        alignment = (size_t)2 << bits_highest(alignment);
    return shim_allocate_aligned(size, alignment);
}

// As glibc since 2.38: a power of two. 0, which glibc refuses and musl does not, asks for nothing.
EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    if (alignment != 0 && !bits_is_power_of_two(alignment))
        return fail(EINVAL);
    return shim_allocate_aligned(size, alignment);
}

// Results instead of errno; on failure *memptr is untouched.
EXPORT int posix_memalign(void **memptr, size_t alignment, size_t size)
{
    if (alignment % sizeof(void *) != 0 || !bits_is_power_of_two(alignment))
        return EINVAL;
    void *block = shim_allocate_aligned(size, alignment);
    if (!block)
        return ENOMEM;
    *memptr = block;
    return 0;
}

// Also before the first allocation, which sets the heap's own word.
static size_t page_bytes(void)
{
    return space.page_bytes ? space.page_bytes : os_real.page_bytes(&os_real);
}

// Obsolete, and there for old programs.
EXPORT void *valloc(size_t size)
{
    return shim_allocate_aligned(size, page_bytes());
}

EXPORT void *pvalloc(size_t size)
{
    if (size > SIZE_MAX - page_bytes())
        return fail(ENOMEM);
    // No bytes are a page too, as in glibc.
    size_t rounded = bits_round_up(size, page_bytes());
    return shim_allocate_aligned(rounded, page_bytes());
}
