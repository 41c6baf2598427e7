// SPDX-License-Identifier: Apache-2.0
// Systems for tests: one with its own clock that writes down what it was asked, and one whose n-th
// call fails. Library world; not part of what ships.
#ifndef EBB_OS_FAKE_H
#define EBB_OS_FAKE_H

#include "os/os.h"

#define FAKE_LOST 0x5a

// Memory is real; time stands still until the test moves it. What is purged is overwritten at once,
// lazily or not: whoever reads purged pages sees it.
struct fake_os {
    struct os os; // first: the functions find the rest behind it
    uint64_t clock_ns;
    uint64_t random_state;
    size_t limit;
    size_t memory;       // 0: not known
    size_t page_bytes;   // 4,096 until a test says more
    unsigned misaligned; // calls whose address or length was no multiple of it, and failed
    unsigned commits;
    unsigned decommits;
    unsigned purges;
    unsigned lazy_purges;
    unsigned moves;
    size_t purged_bytes;
    bool has_no_vectors;    // as before Linux 6.13
    bool has_no_fence;      // as before Linux 4.14
    bool has_no_lazy;       // as before Linux 4.5, and under some filters
    bool has_no_moves;      // as before Linux 5.7
    unsigned lost_move;     // the number of the move into whose target another thread, as it is
    struct os_range lost;   // refused, maps memory: FAKE_LOST in each page. 0: none
    struct os_range locked; // as after mlock(): not to be purged
    unsigned refused;       // purges, for one of these reasons
};

void fake_os_start(struct fake_os *fake);

// Calls on to another system, but for the n-th call that can fail.
struct failing_os {
    struct os os;
    const struct os *below;
    long left;   // calls that still work
    int repeats; // whether all further ones fail as well
    unsigned failures;
};

void failing_os_start(struct failing_os *failing, const struct os *system, long left, int repeats);

#endif
