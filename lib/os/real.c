// SPDX-License-Identifier: Apache-2.0
// The running kernel, by raw system calls but for the clock. Library world; no state.
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

#include "base/bits.h"
#include "base/syscall.h"
#include "os/os.h"

// Kernel headers older than the running kernel lack some of these: include/uapi/linux/mman.h.
enum { ADVICE_DONTNEED = 4, ADVICE_FREE = 8, ADVICE_NO_HUGE = 15, ADVICE_WIPE_ON_FORK = 18 };
enum { ADVICE_NO_DUMP = 16, ADVICE_DUMP = 17 };
enum { SELF_GROUP = -10001 }; // PIDFD_SELF_THREAD_GROUP, since 6.14: no descriptor to be had
enum { BARRIER_PRIVATE = 8, BARRIER_REGISTER_PRIVATE = 16 }; // include/uapi/linux/membarrier.h
enum { RANGES_MAX = 1024 };                                  // UIO_MAXIOV

enum { MOVE_MAY = 1, MOVE_FIXED = 2, MOVE_DONT_UNMAP = 4, MOVED_UNIT = 1 << 16 };
enum { MAP_ONLY_IF_FREE = 0x100000 }; // MAP_FIXED_NOREPLACE, since 4.17

// The kernel's own convention: the last page of addresses is error numbers.
static bool is_error(long result)
{
    return result < 0 && result > -4096;
}

// Private and anonymous is all that a heap ever maps.
static long map(uintptr_t address, size_t bytes, int protection, int flags)
{
    return syscall_make(SYS_mmap, (long)address, (long)bytes, protection,
                        MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

// Page tables change, pages stay: what is in them is there again when it is readable again.
static int protect(uintptr_t address, size_t bytes, int protection)
{
    return (int)syscall_make(SYS_mprotect, (long)address, (long)bytes, protection, 0, 0, 0);
}

// An address is enough for the kernel: which mapping it is in does not matter.
static int advise(uintptr_t address, size_t bytes, int advice)
{
    return (int)syscall_make(SYS_madvise, (long)address, (long)bytes, advice, 0, 0, 0);
}

// A failure would leave address space that nobody uses: nothing could be done about it.
static void real_unreserve(const struct os *os, uintptr_t address, size_t bytes)
{
    (void)os;
    (void)syscall_make(SYS_munmap, (long)address, (long)bytes, 0, 0, 0, 0);
}

static int real_reserve(const struct os *os, size_t bytes, size_t align, uintptr_t *address)
{
    // Without MAP_NORESERVE: unwritable space is not charged anyway, and what is committed later is
    // charged as a program expects, so that an absurd size fails here as it does with glibc.
    size_t taken = bytes + align;
    long result = map(0, taken, PROT_NONE, 0);
    if (is_error(result))
        return (int)result;
    uintptr_t start = (uintptr_t)result;
    uintptr_t aligned = bits_round_up(start, align);
    if (aligned > start)
        real_unreserve(os, start, aligned - start);
    real_unreserve(os, aligned + bytes, start + taken - (aligned + bytes));
    *address = aligned;
    return 0;
}

// Readable is not charged; the zero page serves all of it.
static int real_show(const struct os *os, uintptr_t address, size_t bytes)
{
    (void)os;
    return protect(address, bytes, PROT_READ);
}

// The system may refuse it, where it does not overcommit: that is the place where malloc fails.
static int real_commit(const struct os *os, uintptr_t address, size_t bytes)
{
    (void)os;
    return protect(address, bytes, PROT_READ | PROT_WRITE);
}

static int real_decommit(const struct os *os, uintptr_t address, size_t bytes)
{
    (void)os;
    // A new mapping in place of the old one: only this gives the commit charge back too.
    long result = map(address, bytes, PROT_NONE, MAP_FIXED);
    return is_error(result) ? (int)result : 0;
}

// The pages stay with their contents, unlike after real_decommit().
static int real_hide(const struct os *os, uintptr_t address, size_t bytes)
{
    (void)os;
    return protect(address, bytes, PROT_NONE);
}

// The next touch gets a zero page. -EINVAL in locked memory.
static int real_purge_now(const struct os *os, uintptr_t address, size_t bytes)
{
    (void)os;
    return advise(address, bytes, ADVICE_DONTNEED);
}

// Since Linux 4.5; -EINVAL before, in locked memory, or where a filter says so.
static int real_purge_lazily(const struct os *os, uintptr_t address, size_t bytes)
{
    (void)os;
    return advise(address, bytes, ADVICE_FREE);
}

// An os_range is laid out as an iovec.
_Static_assert(sizeof(struct os_range) == sizeof(struct iovec), "one is passed as the other");

static long real_purge_ranges(const struct os *os, const struct os_range *ranges, size_t count,
                              bool is_lazy)
{
    (void)os;
    long done = 0;
    while (count > 0) {
        size_t part = count < RANGES_MAX ? count : RANGES_MAX;
        long result = syscall_make(SYS_process_madvise, SELF_GROUP, (long)(uintptr_t)ranges,
                                   (long)part, is_lazy ? ADVICE_FREE : ADVICE_DONTNEED, 0, 0);
        // Whatever is wrong with the first range alone is for the plain call to say.
        if (is_error(result))
            return done ? done : -ENOSYS;
        // The kernel tells bytes, and stops at the first range that it cannot do.
        size_t whole = 0;
        for (size_t i = 0; i < part; i++)
            whole += ranges[i].bytes;
        done += result;
        if ((size_t)result < whole)
            break;
        ranges += part;
        count -= part;
    }
    return done;
}

// Every running thread of the process passes a barrier before this returns. Source: membarrier(2).
static int real_fence_threads(const struct os *os)
{
    (void)os;
    int error = (int)syscall_make(SYS_membarrier, BARRIER_PRIVATE, 0, 0, 0, 0, 0);
    if (error != -EPERM)
        return error;
    // Once per process, and again in a forked child.
    error = (int)syscall_make(SYS_membarrier, BARRIER_REGISTER_PRIVATE, 0, 0, 0, 0, 0);
    return error ? error : (int)syscall_make(SYS_membarrier, BARRIER_PRIVATE, 0, 0, 0, 0, 0);
}

// A huge page over a heap's pages would come back as a whole after a purge of some.
static int real_forbid_huge(const struct os *os, uintptr_t address, size_t bytes)
{
    (void)os;
    return advise(address, bytes, ADVICE_NO_HUGE);
}

static int real_dump(const struct os *os, uintptr_t address, size_t bytes, bool is_dumped)
{
    (void)os;
    return advise(address, bytes, is_dumped ? ADVICE_DUMP : ADVICE_NO_DUMP);
}

// Growing in place is refused for what follows; but that it is several mappings is found first.
static bool is_one_mapping(uintptr_t address, size_t bytes)
{
    return syscall_make(SYS_mremap, (long)address, (long)bytes, (long)bytes + 1, 0, 0, 0) !=
           -EFAULT;
}

// How much of the range is one mapping, from the front on, to the unit below: `one` is, `several`
// is not, and both are units apart, or `several` is all there is. By halves: a large block may be a
// thousand mappings, and each question is a system call.
static size_t narrow(uintptr_t address, size_t one, size_t several, size_t unit)
{
    while (several - one > unit) {
        size_t middle = one + bits_ceil_div((several - one) / 2, unit) * unit;
        if (is_one_mapping(address, middle))
            one = middle;
        else
            several = middle;
    }
    return one;
}

// To the page. What a heap moves mostly ends with a slot of it, so slots are asked for first.
static size_t mapping_bytes(uintptr_t address, size_t bytes, size_t page_bytes)
{
    if (is_one_mapping(address, bytes))
        return bytes;
    size_t slots = narrow(address, 0, bytes, MOVED_UNIT);
    size_t more = slots + page_bytes;
    if (slots && !is_one_mapping(address, more))
        return slots;
    return narrow(address, more, bytes - slots < MOVED_UNIT ? bytes : slots + MOVED_UNIT,
                  page_bytes);
}

// What became of `to` when a move there was refused. The kernel unmaps it first, and may find only
// then that it cannot go on (a limit of address space that was lowered; other threads' mappings,
// which from 6.16 on it counts before it takes its lock): into that hole another thread may have
// mapped something. So it is taken back only where it is still a hole. Where something is, it may
// be our own that was never unmapped: nothing tells, and it is left alone.
static int mend_target(uintptr_t to, size_t bytes, int error)
{
    // A kernel without the flag (before 5.7) or a filter has refused before all that.
    if (error == -ENOSYS || error == -EPERM || error == -EINVAL)
        return error;
    long result = map(to, bytes, PROT_NONE, MAP_ONLY_IF_FREE);
    return is_error(result) ? -ENOTRECOVERABLE : error;
}

// Mapping by mapping. Newer kernels (6.17) would move them all in one call; but one that fails in
// the middle, for the number of mappings, does not tell what has moved by then.
static int real_move(const struct os *os, uintptr_t from, uintptr_t to, size_t bytes)
{
    size_t page_bytes = os_real.page_bytes(os);
    for (size_t done = 0, part; done < bytes; done += part) {
        part = mapping_bytes(from + done, bytes - done, page_bytes);
        // DONT_UNMAP (5.7): a hole at the old place could become somebody else's mapping.
        long result = syscall_make(SYS_mremap, (long)(from + done), (long)part, (long)part,
                                   MOVE_MAY | MOVE_FIXED | MOVE_DONT_UNMAP, (long)(to + done), 0);
        if (is_error(result)) {
            // By their bytes, which the system cannot refuse.
            memcpy((void *)from, (const void *)to, done);
            // What is locked does not go.
            if (done && advise(to, done, ADVICE_DONTNEED) != 0)
                memset((void *)to, 0, done);
            return mend_target(to + done, part, (int)result);
        }
    }
    return 0;
}

// Source: madvise(2), MADV_WIPEONFORK, since 4.14.
static int real_wipe_on_fork(const struct os *os, uintptr_t address, size_t bytes)
{
    (void)os;
    return advise(address, bytes, ADVICE_WIPE_ON_FORK);
}

static size_t real_page_bytes(const struct os *os)
{
    (void)os;
#if defined(__x86_64__)
    return 4096;
#else
    // From the vector that the kernel put behind the environment: no system call.
    return getauxval(AT_PAGESZ);
#endif
}

static uint64_t real_now_ns(const struct os *os)
{
    (void)os;
    struct timespec now = {0};
    // Libc's, which asks the kernel's page (vdso) and makes no system call: a tenth of the time.
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// For what must differ between processes, not for secrets: it never waits.
static uint64_t real_random(const struct os *os)
{
    enum { NONBLOCK = 1 };
    uint64_t value = 0;
    long got =
        syscall_make(SYS_getrandom, (long)(uintptr_t)&value, sizeof value, NONBLOCK, 0, 0, 0);
    if (got == (long)sizeof value)
        return value;
    // Early at boot: the clock and where the stack happens to be.
    return (real_now_ns(os) ^ (uint64_t)(uintptr_t)&value) * UINT64_C(0x9e3779b97f4a7c15);
}

// RLIMIT_AS counts reserved space as well.
static size_t real_limit_bytes(const struct os *os)
{
    (void)os;
    struct {
        uint64_t now;
        uint64_t most;
    } limit = {UINT64_MAX, UINT64_MAX};
    (void)syscall_make(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)(uintptr_t)&limit, 0, 0);
    return (size_t)limit.now;
}

// 0 where it is not told.
static size_t real_memory_bytes(const struct os *os)
{
    (void)os;
    struct sysinfo info = {0};
    if (syscall_make(SYS_sysinfo, (long)(uintptr_t)&info, 0, 0, 0, 0, 0) != 0)
        return 0;
    return (size_t)info.totalram * info.mem_unit;
}

// What a program runs on; the fake and the failing one are put over it by tests.
const struct os os_real = {
    .reserve = real_reserve,
    .unreserve = real_unreserve,
    .show = real_show,
    .commit = real_commit,
    .decommit = real_decommit,
    .hide = real_hide,
    .purge_now = real_purge_now,
    .purge_lazily = real_purge_lazily,
    .purge_ranges = real_purge_ranges,
    .fence_threads = real_fence_threads,
    .forbid_huge = real_forbid_huge,
    .dump = real_dump,
    .move = real_move,
    .wipe_on_fork = real_wipe_on_fork,
    .page_bytes = real_page_bytes,
    .now_ns = real_now_ns,
    .random = real_random,
    .limit_bytes = real_limit_bytes,
    .memory_bytes = real_memory_bytes,
};
