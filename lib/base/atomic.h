// SPDX-License-Identifier: Apache-2.0
// Atomic access to plain integers. Library world. C11's _Atomic would change the layout's type in
// wire/, which both worlds share; so the operation is atomic here, not the type. Each name carries
// its memory order.
//
//   load, store         acquire and release: who sees the store sees what was written before it
//   peek, poke, add64   relaxed: a hint, a count, or a word that one thread alone writes
//   swap, replace, and  acquire and release in one, as add32
#ifndef EBB_BASE_ATOMIC_H
#define EBB_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

static inline uint32_t atomic_load32(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline uint64_t atomic_load64(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline uint64_t atomic_peek64(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint16_t atomic_peek16(const uint16_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

// Relaxed: for the one thread that writes the word, while others may look at it.
static inline void atomic_poke16(uint16_t *word, uint16_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void atomic_poke64(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline uint32_t atomic_peek32(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void atomic_store32(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline void atomic_store64(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline uint32_t atomic_swap32(uint32_t *word, uint32_t value)
{
    return __atomic_exchange_n(word, value, __ATOMIC_ACQ_REL);
}

static inline uint64_t atomic_swap64(uint64_t *word, uint64_t value)
{
    return __atomic_exchange_n(word, value, __ATOMIC_ACQ_REL);
}

static inline uint64_t atomic_and64(uint64_t *word, uint64_t mask)
{
    return __atomic_fetch_and(word, mask, __ATOMIC_ACQ_REL);
}

static inline void atomic_add64(uint64_t *word, uint64_t value)
{
    __atomic_fetch_add(word, value, __ATOMIC_RELAXED);
}

static inline void atomic_add32(uint32_t *word, uint32_t value)
{
    __atomic_fetch_add(word, value, __ATOMIC_ACQ_REL);
}

// On failure `*expected` becomes what is there.
static inline bool atomic_replace32(uint32_t *word, uint32_t *expected, uint32_t value)
{
    return __atomic_compare_exchange_n(word, expected, value, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

static inline bool atomic_replace64(uint64_t *word, uint64_t *expected, uint64_t value)
{
    return __atomic_compare_exchange_n(word, expected, value, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

// The machine lets no load or store of a thread overtake an earlier one of its kind.
static inline bool atomic_is_orderly(void)
{
#if defined(__x86_64__)
    return true;
#else
    return false;
#endif
}

// Keeps the compiler from moving stores across; costs no instruction. What a fork copies of another
// thread's half-done operation is then a prefix of it.
static inline void atomic_keep_order(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#endif
