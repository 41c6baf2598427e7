// SPDX-License-Identifier: Apache-2.0
// C++'s operator new and delete in all replaceable forms, by their mangled names. Library world.
//
// On failure the new-handler is called again and again, as the standard wants it, until there is
// memory or it throws. C cannot throw std::bad_alloc: libstdc++'s own function does, which is found
// when the program has libstdc++; without it the process ends with a line. C cannot catch either: a
// handler's exception leaves the nothrow forms too, where libstdc++'s would return a null pointer.
#include <errno.h>
#include <stdint.h>

#include "base/die.h"
#include "shim/shim.h"

typedef void (*new_handler)(void);

extern new_handler _ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

// std::nothrow_t, of which only the address is passed.
struct nothrow;

// Calls the handler once; false where there is none.
static bool call_handler(void)
{
    new_handler handler = _ZSt15get_new_handlerv ? _ZSt15get_new_handlerv() : NULL;
    if (handler)
        handler();
    return handler != NULL;
}

// What all forms share: try, ask the handler for help, try again.
static void *allocate_or_handle(size_t bytes, size_t align)
{
    for (;;) {
        void *block = align ? shim_allocate_aligned(bytes, align) : shim_allocate(bytes);
        if (block || !call_handler())
            return block;
    }
}

// Out of line, so that the fast path needs no frame.
static __attribute__((noinline)) void *allocate_or_throw(size_t bytes, size_t align)
{
    void *block = allocate_or_handle(bytes, align);
    if (block)
        return block;
    if (_ZSt17__throw_bad_allocv)
        _ZSt17__throw_bad_allocv();
    die("operator new is out of memory, and there is no libstdc++ to throw std::bad_alloc");
}

// The fast path of malloc; only what fails there gets to see handlers.
static inline void *new_block(size_t bytes)
{
    void *block = heap_pop_fast(bytes);
    return __builtin_expect(block != NULL, 1) ? block : allocate_or_throw(bytes, 0);
}

EXPORT void *_Znwm(size_t bytes)
{
    return new_block(bytes);
}

EXPORT void *_Znam(size_t bytes)
{
    return new_block(bytes);
}

// nothrow: a null pointer where no handler is set.
EXPORT void *_ZnwmRKSt9nothrow_t(size_t bytes, const struct nothrow *tag)
{
    (void)tag;
    return allocate_or_handle(bytes, 0);
}

EXPORT void *_ZnamRKSt9nothrow_t(size_t bytes, const struct nothrow *tag)
{
    (void)tag;
    return allocate_or_handle(bytes, 0);
}

// Aligned (C++17): for types that ask for more than 16.
EXPORT void *_ZnwmSt11align_val_t(size_t bytes, size_t align)
{
    return allocate_or_throw(bytes, align);
}

EXPORT void *_ZnamSt11align_val_t(size_t bytes, size_t align)
{
    return allocate_or_throw(bytes, align);
}

EXPORT void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t bytes, size_t align,
                                                const struct nothrow *tag)
{
    (void)tag;
    return allocate_or_handle(bytes, align);
}

EXPORT void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t bytes, size_t align,
                                                const struct nothrow *tag)
{
    (void)tag;
    return allocate_or_handle(bytes, align);
}

// A null pointer is fine, as the standard asks.
EXPORT void _ZdlPv(void *pointer)
{
    shim_free(pointer);
}

EXPORT void _ZdaPv(void *pointer)
{
    shim_free(pointer);
}

// The sized and the aligned forms: the span knows better than the caller, so both are ignored.
EXPORT void _ZdlPvm(void *pointer, size_t bytes)
{
    (void)bytes;
    shim_free(pointer);
}

EXPORT void _ZdaPvm(void *pointer, size_t bytes)
{
    (void)bytes;
    shim_free(pointer);
}

EXPORT void _ZdlPvRKSt9nothrow_t(void *pointer, const struct nothrow *tag)
{
    (void)tag;
    shim_free(pointer);
}

EXPORT void _ZdaPvRKSt9nothrow_t(void *pointer, const struct nothrow *tag)
{
    (void)tag;
    shim_free(pointer);
}

EXPORT void _ZdlPvSt11align_val_t(void *pointer, size_t align)
{
    (void)align;
    shim_free(pointer);
}

EXPORT void _ZdaPvSt11align_val_t(void *pointer, size_t align)
{
    (void)align;
    shim_free(pointer);
}

EXPORT void _ZdlPvmSt11align_val_t(void *pointer, size_t bytes, size_t align)
{
    (void)bytes;
    (void)align;
    shim_free(pointer);
}

EXPORT void _ZdaPvmSt11align_val_t(void *pointer, size_t bytes, size_t align)
{
    (void)bytes;
    (void)align;
    shim_free(pointer);
}

EXPORT void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *pointer, size_t align,
                                                const struct nothrow *tag)
{
    (void)align;
    (void)tag;
    shim_free(pointer);
}

EXPORT void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *pointer, size_t align,
                                                const struct nothrow *tag)
{
    (void)align;
    (void)tag;
    shim_free(pointer);
}
