// SPDX-License-Identifier: Apache-2.0
// The lock's three states, after Drepper, "Futexes are tricky" (2011), mutex2. Library world; the
// lock's owner guards nothing but the words in it.
#include "base/lock.h"

#include <stddef.h>
#include <time.h>

#include "base/atomic.h"
#include "base/die.h"
#include "base/syscall.h"

// include/uapi/linux/futex.h, which not every libc's compiler finds.
enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };

// Sections under a lock take well under a microsecond; past this a sleep costs less. On one
// processor it is wasted, but for a moment.
#define SPINS 100

// Its address names the thread: the same before and after a fork, and not used by anybody else.
static _Thread_local __attribute__((tls_model("initial-exec"))) char self_mark;

static uint64_t self(void)
{
    return (uint64_t)(uintptr_t)&self_mark;
}

// Tells the core that this is a spin, so that its sibling gets on.
static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

// Returns on a wake-up, a signal or a changed word alike: the caller looks again.
void lock_sleep_while(uint32_t *word, uint32_t value)
{
    (void)syscall_make(SYS_futex, (long)(uintptr_t)word, FUTEX_WAIT_PRIVATE, (long)value, 0, 0, 0);
}

// One is enough: the one that is woken takes the lock as 2, and wakes the next.
void lock_wake(uint32_t *word)
{
    (void)syscall_make(SYS_futex, (long)(uintptr_t)word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

// The holder is noted after the fact: in between the lock looks foreign, which only a child asks.
bool lock_try(struct lock *lock)
{
    uint32_t open = 0;
    if (!atomic_replace32(&lock->state, &open, 1))
        return false;
    atomic_store64(&lock->holder, self());
    return true;
}

void lock_take(struct lock *lock)
{
    // Peeked at first: a failed exchange would take the line from the holder each time.
    for (int spin = 0; spin < SPINS; spin++) {
        if (atomic_peek32(&lock->state) == 0 && lock_try(lock))
            return;
        pause_briefly();
    }
    // A signal handler that allocates has interrupted us, or left by longjmp(): a wait without end.
    if (atomic_load64(&lock->holder) == self())
        die("malloc called again, by or after a signal handler that had interrupted it");
    // From here on the lock is taken as 2, since we cannot know whether others sleep.
    while (atomic_swap32(&lock->state, 2) != 0)
        lock_sleep_while(&lock->state, 2);
    atomic_store64(&lock->holder, self());
}

// Steps of a millisecond, so that a holder that died costs no more than `ms`.
bool lock_take_within(struct lock *lock, unsigned ms)
{
    const struct timespec step = {.tv_nsec = 1000000};
    for (unsigned waited = 0; atomic_swap32(&lock->state, 2) != 0; waited++) {
        if (waited >= ms)
            return false;
        (void)syscall_make(SYS_futex, (long)(uintptr_t)&lock->state, FUTEX_WAIT_PRIVATE, 2,
                           (long)(uintptr_t)&step, 0, 0);
    }
    atomic_store64(&lock->holder, self());
    return true;
}

void lock_release(struct lock *lock)
{
    // Before the word: afterwards it may be another's.
    atomic_store64(&lock->holder, 0);
    if (atomic_swap32(&lock->state, 0) == 2)
        lock_wake(&lock->state);
}

// For a child of fork: its only thread has none that it did not take itself.
bool lock_is_foreign(const struct lock *lock)
{
    return atomic_load32(&lock->state) != 0 && atomic_load64(&lock->holder) != self();
}

// Only where no other thread can be at it.
void lock_reset(struct lock *lock)
{
    atomic_store64(&lock->holder, 0);
    atomic_store32(&lock->state, 0);
}
