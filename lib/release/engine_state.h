// SPDX-License-Identifier: Apache-2.0
// What the files of the engine share: its state, and the steps under its lock. Library world.
#ifndef EBB_RELEASE_ENGINE_STATE_H
#define EBB_RELEASE_ENGINE_STATE_H

#include <stdbool.h>

#include "base/lock.h"
#include "heap/class.h"
#include "release/conf.h"
#include "release/engine.h"
#include "release/plan.h"
#include "release/pressure.h"

_Static_assert(PLAN_GROUPS == CLASS_GROUPS, "the plan predicts per group of the heap");

enum engine_thread {
    ENGINE_NO_THREAD = 0,
    ENGINE_RUNS = 1,   // started or about to be
    ENGINE_WAITS = 2,  // for a call
    ENGINE_CANNOT = 3, // the system or the settings say no: looks ride on slow paths
};

struct engine {
    // Guarded by the lock.
    struct lock lock;
    struct conf conf;
    struct plan plan;
    struct pressure_source source;
    struct pressure_reading reading; // the last
    uint64_t read_at_ms;
    uint64_t headroom;
    uint64_t lazy_bytes;       // as of the last look
    uint64_t refused_until_ms; // the system takes nothing (locked memory)
    unsigned refusals;         // looks one after another in which it took nothing of what was tried
    bool is_over_limit;        // or nearly
    uint64_t reused[CLASS_GROUPS];
    uint64_t started_ns;
    uint64_t purges;
    bool reads_files; // the one who looks has open files of its own, so pressure can be read

    // Guarded by the thread lock.
    struct lock thread_lock;
    enum engine_thread thread;
    uint32_t forks;          // heaps.forks, as of the last call
    int pid;                 // of the first that allocated
    bool is_published;       // the settings are in the ledger
    uint64_t next_start_ms;  // after a refusal
    long filter_at_start;    // the seccomp mode that the process was started with
    uint32_t expects_filter; // atomic: the program has set about to install one
    uint32_t tid;            // atomic: of the helper, also of one that has ended
    uint32_t ends;           // atomic: the helper shall end, since all other threads do

    // Atomic.
    uint32_t calls;     // a futex: calls for the helper
    uint32_t is_set_up; // the settings have been read
    uint64_t next_ride_ms;
};

extern struct engine engine __attribute__((visibility("hidden")));

// One look; the lock is held. True while there is something to look at again soon.
bool engine_look(bool takes_all, size_t *gone);

uint64_t engine_now_ms(void);

// 0 or -EINVAL; the lock is held.
int engine_apply_policy(enum wire_policy policy);
int engine_apply_within(uint32_t milliseconds);

// Reads the settings once, and forgets in a child what only its parent had. Any thread, no lock
// held. False in a child of vfork, where nothing must be touched, and before the heap's start.
bool engine_enter(void);

#endif
