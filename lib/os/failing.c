// SPDX-License-Identifier: Apache-2.0
// The system whose n-th fallible call fails. Library world; for tests.
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "os/fake.h"

// Counts a call; true if it is one that fails.
static bool is_failing(const struct os *os)
{
    struct failing_os *failing = (struct failing_os *)(uintptr_t)os;
    // Below 0 the count has run out: one call fails, or all that follow.
    if (failing->left-- > 0 || (failing->left < -1 && !failing->repeats))
        return false;
    failing->failures++;
    return true;
}

// Which may be a fake in its turn.
static const struct os *below(const struct os *os)
{
    return ((const struct failing_os *)(uintptr_t)os)->below;
}

static int failing_reserve(const struct os *os, size_t bytes, size_t align, uintptr_t *address)
{
    return is_failing(os) ? -ENOMEM : below(os)->reserve(below(os), bytes, align, address);
}

// Giving back cannot fail, here as in the kernel.
static void failing_unreserve(const struct os *os, uintptr_t address, size_t bytes)
{
    below(os)->unreserve(below(os), address, bytes);
}

static int failing_show(const struct os *os, uintptr_t address, size_t bytes)
{
    return is_failing(os) ? -ENOMEM : below(os)->show(below(os), address, bytes);
}

static int failing_commit(const struct os *os, uintptr_t address, size_t bytes)
{
    return is_failing(os) ? -ENOMEM : below(os)->commit(below(os), address, bytes);
}

static int failing_decommit(const struct os *os, uintptr_t address, size_t bytes)
{
    return is_failing(os) ? -ENOMEM : below(os)->decommit(below(os), address, bytes);
}

static int failing_hide(const struct os *os, uintptr_t address, size_t bytes)
{
    return is_failing(os) ? -ENOMEM : below(os)->hide(below(os), address, bytes);
}

// As locked memory is refused.
static int failing_purge_now(const struct os *os, uintptr_t address, size_t bytes)
{
    return is_failing(os) ? -EINVAL : below(os)->purge_now(below(os), address, bytes);
}

static int failing_purge_lazily(const struct os *os, uintptr_t address, size_t bytes)
{
    return is_failing(os) ? -EINVAL : below(os)->purge_lazily(below(os), address, bytes);
}

// As a kernel without the call answers.
static long failing_purge_ranges(const struct os *os, const struct os_range *ranges, size_t count,
                                 bool is_lazy)
{
    return is_failing(os) ? -ENOSYS : below(os)->purge_ranges(below(os), ranges, count, is_lazy);
}

static int failing_fence_threads(const struct os *os)
{
    return is_failing(os) ? -ENOSYS : below(os)->fence_threads(below(os));
}

static int failing_forbid_huge(const struct os *os, uintptr_t address, size_t bytes)
{
    return is_failing(os) ? -EINVAL : below(os)->forbid_huge(below(os), address, bytes);
}

static int failing_dump(const struct os *os, uintptr_t address, size_t bytes, bool is_dumped)
{
    return is_failing(os) ? -EINVAL : below(os)->dump(below(os), address, bytes, is_dumped);
}

// In the worst way, after which nobody knows whose the target is.
static int failing_move(const struct os *os, uintptr_t from, uintptr_t to, size_t bytes)
{
    return is_failing(os) ? -ENOTRECOVERABLE : below(os)->move(below(os), from, to, bytes);
}

static int failing_wipe_on_fork(const struct os *os, uintptr_t address, size_t bytes)
{
    return is_failing(os) ? -EINVAL : below(os)->wipe_on_fork(below(os), address, bytes);
}

// Questions about the system always have an answer.
static size_t failing_page_bytes(const struct os *os)
{
    return below(os)->page_bytes(below(os));
}

static uint64_t failing_now_ns(const struct os *os)
{
    return below(os)->now_ns(below(os));
}

static uint64_t failing_random(const struct os *os)
{
    return below(os)->random(below(os));
}

static size_t failing_limit_bytes(const struct os *os)
{
    return below(os)->limit_bytes(below(os));
}

static size_t failing_memory_bytes(const struct os *os)
{
    return below(os)->memory_bytes(below(os));
}

void failing_os_start(struct failing_os *failing, const struct os *system, long left, int repeats)
{
    memset(failing, 0, sizeof *failing);
    failing->below = system;
    failing->left = left;
    failing->repeats = repeats;
    failing->os = (struct os){
        .reserve = failing_reserve,
        .unreserve = failing_unreserve,
        .show = failing_show,
        .commit = failing_commit,
        .decommit = failing_decommit,
        .hide = failing_hide,
        .purge_now = failing_purge_now,
        .purge_lazily = failing_purge_lazily,
        .purge_ranges = failing_purge_ranges,
        .fence_threads = failing_fence_threads,
        .forbid_huge = failing_forbid_huge,
        .dump = failing_dump,
        .move = failing_move,
        .wipe_on_fork = failing_wipe_on_fork,
        .page_bytes = failing_page_bytes,
        .now_ns = failing_now_ns,
        .random = failing_random,
        .limit_bytes = failing_limit_bytes,
        .memory_bytes = failing_memory_bytes,
    };
}
