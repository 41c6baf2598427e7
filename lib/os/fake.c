// SPDX-License-Identifier: Apache-2.0
// The system for tests: real memory, own time, and a record of the calls. Library world.
#include "os/fake.h"

#include <errno.h>
#include <string.h>

// The functions get the struct of functions, which is the fake's first member.
static struct fake_os *fake_of(const struct os *os)
{
    return (struct fake_os *)(uintptr_t)os;
}

// Tests call from several threads.
static void count_call(unsigned *calls)
{
    __atomic_fetch_add(calls, 1, __ATOMIC_RELAXED);
}

// As a kernel with larger pages would see it.
static bool is_refused(const struct os *os, uintptr_t address, size_t bytes)
{
    if (((address | bytes) & (fake_of(os)->page_bytes - 1)) == 0)
        return false;
    count_call(&fake_of(os)->misaligned);
    return true;
}

// Address space is the real one's in every fake: there is no other.
static int fake_reserve(const struct os *os, size_t bytes, size_t align, uintptr_t *address)
{
    return os_real.reserve(os, bytes, align, address);
}

static void fake_unreserve(const struct os *os, uintptr_t address, size_t bytes)
{
    os_real.unreserve(os, address, bytes);
}

static int fake_show(const struct os *os, uintptr_t address, size_t bytes)
{
    if (is_refused(os, address, bytes))
        return -EINVAL;
    return os_real.show(os, address, bytes);
}

static int fake_commit(const struct os *os, uintptr_t address, size_t bytes)
{
    if (is_refused(os, address, bytes))
        return -EINVAL;
    // What was refused above is not among the calls that came through.
    count_call(&fake_of(os)->commits);
    return os_real.commit(os, address, bytes);
}

static int fake_decommit(const struct os *os, uintptr_t address, size_t bytes)
{
    if (is_refused(os, address, bytes))
        return -EINVAL;
    count_call(&fake_of(os)->decommits);
    return os_real.decommit(os, address, bytes);
}

static int fake_hide(const struct os *os, uintptr_t address, size_t bytes)
{
    if (is_refused(os, address, bytes))
        return -EINVAL;
    return os_real.hide(os, address, bytes);
}

// Locked, as a whole or in part; or `is_impossible` by nature.
static bool is_kept(const struct os *os, uintptr_t address, size_t bytes, bool is_impossible)
{
    // Of no bytes unless a test sets it.
    struct os_range locked = fake_of(os)->locked;
    bool is_locked = address < locked.address + locked.bytes && locked.address < address + bytes;
    if (is_locked || is_impossible)
        count_call(&fake_of(os)->refused);
    return is_locked || is_impossible;
}

static int fake_purge_now(const struct os *os, uintptr_t address, size_t bytes)
{
    if (is_refused(os, address, bytes) || is_kept(os, address, bytes, false))
        return -EINVAL;
    count_call(&fake_of(os)->purges);
    __atomic_fetch_add(&fake_of(os)->purged_bytes, bytes, __ATOMIC_RELAXED);
    return os_real.purge_now(os, address, bytes);
}

static int fake_purge_lazily(const struct os *os, uintptr_t address, size_t bytes)
{
    if (is_refused(os, address, bytes) || is_kept(os, address, bytes, fake_of(os)->has_no_lazy))
        return -EINVAL;
    count_call(&fake_of(os)->lazy_purges);
    __atomic_fetch_add(&fake_of(os)->purged_bytes, bytes, __ATOMIC_RELAXED);
    // The kernel may take any of the pages, at any time: here at once and every second one. Some
    // are inaccessible, which the kernel does not mind.
    size_t page = fake_of(os)->page_bytes;
    for (size_t at = 0; at < bytes; at += 2 * page)
        (void)os_real.purge_now(os, address + at, page);
    return 0;
}

static long fake_purge_ranges(const struct os *os, const struct os_range *ranges, size_t count,
                              bool is_lazy)
{
    long done = 0;
    if (fake_of(os)->has_no_vectors)
        return -ENOSYS;
    for (size_t i = 0; i < count; i++) {
        int error = is_lazy ? fake_purge_lazily(os, ranges[i].address, ranges[i].bytes)
                            : fake_purge_now(os, ranges[i].address, ranges[i].bytes);
        // As the real one does where the first range is refused.
        if (error)
            return done ? done : -ENOSYS;
        done += (long)ranges[i].bytes;
    }
    return done;
}

static int fake_fence_threads(const struct os *os)
{
    return fake_of(os)->has_no_fence ? -ENOSYS : os_real.fence_threads(os);
}

static int fake_forbid_huge(const struct os *os, uintptr_t address, size_t bytes)
{
    if (is_refused(os, address, bytes))
        return -EINVAL;
    return os_real.forbid_huge(os, address, bytes);
}

static int fake_dump(const struct os *os, uintptr_t address, size_t bytes, bool is_dumped)
{
    return os_real.dump(os, address, bytes, is_dumped);
}

// What another thread has mapped there is memory, and written to.
static int lose_target(const struct os *os, uintptr_t to, size_t bytes)
{
    fake_of(os)->lost = (struct os_range){to, bytes};
    int error = os_real.decommit(os, to, bytes);
    if (!error)
        error = os_real.commit(os, to, bytes);
    for (size_t at = 0; !error && at < bytes; at += fake_of(os)->page_bytes)
        *(unsigned char *)(to + at) = FAKE_LOST;
    return -ENOTRECOVERABLE;
}

static int fake_move(const struct os *os, uintptr_t from, uintptr_t to, size_t bytes)
{
    if (is_refused(os, from | to, bytes))
        return -EINVAL;
    if (fake_of(os)->has_no_moves)
        return -EINVAL;
    unsigned number = __atomic_add_fetch(&fake_of(os)->moves, 1, __ATOMIC_RELAXED);
    return number == fake_of(os)->lost_move ? lose_target(os, to, bytes)
                                            : os_real.move(os, from, to, bytes);
}

static int fake_wipe_on_fork(const struct os *os, uintptr_t address, size_t bytes)
{
    if (is_refused(os, address, bytes))
        return -EINVAL;
    return os_real.wipe_on_fork(os, address, bytes);
}

static size_t fake_page_bytes(const struct os *os)
{
    return fake_of(os)->page_bytes;
}

// It stands still until the test moves it.
static uint64_t fake_now_ns(const struct os *os)
{
    return fake_of(os)->clock_ns;
}

// The same in each run.
static uint64_t fake_random(const struct os *os)
{
    return __atomic_add_fetch(&fake_of(os)->random_state, UINT64_C(0x9e3779b97f4a7c15),
                              __ATOMIC_RELAXED);
}

static size_t fake_limit_bytes(const struct os *os)
{
    return fake_of(os)->limit;
}

static size_t fake_memory_bytes(const struct os *os)
{
    return fake_of(os)->memory;
}

void fake_os_start(struct fake_os *fake)
{
    memset(fake, 0, sizeof *fake);
    // As a plain host is, so that a test sets only what it is about.
    fake->limit = SIZE_MAX;
    fake->page_bytes = 4096;
    fake->os = (struct os){
        .reserve = fake_reserve,
        .unreserve = fake_unreserve,
        .show = fake_show,
        .commit = fake_commit,
        .decommit = fake_decommit,
        .hide = fake_hide,
        .purge_now = fake_purge_now,
        .purge_lazily = fake_purge_lazily,
        .purge_ranges = fake_purge_ranges,
        .fence_threads = fake_fence_threads,
        .forbid_huge = fake_forbid_huge,
        .dump = fake_dump,
        .move = fake_move,
        .wipe_on_fork = fake_wipe_on_fork,
        .page_bytes = fake_page_bytes,
        .now_ns = fake_now_ns,
        .random = fake_random,
        .limit_bytes = fake_limit_bytes,
        .memory_bytes = fake_memory_bytes,
    };
}
