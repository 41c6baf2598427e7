// SPDX-License-Identifier: Apache-2.0
// The engine that gives free memory back: looks, asks the plan, acts. Library world. Guarded by
// engine.lock: one looks at a time.
//
// A helper thread does it where that is allowed. It is started by the first slow path of a heap
// that is worth it, looks every eighth of return_within, and when all has been quiet for a second
// it closes the spans, so that the first free of each takes the slow path and calls it again, and
// waits. After ten seconds without a call it ends. Where threads cannot be started, or shall not
// (EBB_CONF=helper:off), looks ride on slow paths.
//
// Around fork: the child has no helper and notices by heaps.forks. In a child of vfork nothing is
// done. The helper has all signals blocked and a stack of 128 KiB, of which it touches a fifth.
#ifndef EBB_RELEASE_ENGINE_H
#define EBB_RELEASE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "heap/space.h"
#include "wire/ledger.h"

// Slow paths call this behind the heap's work, with no lock held: starts or wakes the helper where
// nobody looks at present. A load and a branch otherwise. `freer`: after a free, the address that
// it returns to. Libc frees what belongs to the stacks of ended threads while it holds a lock that
// pthread_create() takes, so what the loader frees, which does that, starts no helper.
void engine_wake(const void *freer);

static inline void engine_poke(const void *freer)
{
    if (__builtin_expect(atomic_peek32(&space.is_quiet), 0))
        engine_wake(freer);
}

// Gives back all that is free, at once and of all threads. Returns the bytes. Not for signal
// handlers; the caller is outside of its fast path.
size_t engine_purge(void);

// 0 or -EINVAL.
int engine_set_policy(enum wire_policy policy);
int engine_set_return_within(uint32_t milliseconds);
void engine_set_limit(uint64_t bytes);

// The program is about to put itself under a seccomp filter: from now on nothing goes back unasked,
// since each call for that may end the process.
void engine_expect_filter(void);

// One look at a time of the caller's choosing, without a helper: for tests with a clock of their
// own. Returns the bytes given back.
size_t engine_look_once(void);

// For tests: forgets everything, as the heap does.
void engine_stop(void);

#endif
