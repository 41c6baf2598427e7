// SPDX-License-Identifier: Apache-2.0
// A lock that spins briefly and then sleeps in the kernel. Library world.
//
// Not recursive, not fair. What it guards is written before the release and read after the taking.
// A pthread mutex would do as well but for two things: a child cannot tell who held it, and libc
// may allocate where it is used first.
//
// No lock is held across a fork on purpose: the child finds out by lock_is_foreign() which of them
// another thread held at that moment, repairs what it guards, and resets it.
#ifndef EBB_BASE_LOCK_H
#define EBB_BASE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

// All zero is an open lock.
struct lock {
    uint32_t state; // 0 open, 1 held, 2 held and somebody may sleep
    uint32_t unused;
    uint64_t holder; // an address that belongs to the holding thread alone
};

// Ends the process, with a line, where the caller itself has the lock.
void lock_take(struct lock *lock);
bool lock_try(struct lock *lock);
// False where it was not to be had for about so long.
bool lock_take_within(struct lock *lock, unsigned ms);
void lock_release(struct lock *lock);

// Held, but not by the calling thread. Only a child after fork may conclude anything from it.
bool lock_is_foreign(const struct lock *lock);
void lock_reset(struct lock *lock);

// For other protocols than this one: sleeps until the word may have changed; wakes one that does.
void lock_sleep_while(uint32_t *word, uint32_t value);
void lock_wake(uint32_t *word);

#endif
