// SPDX-License-Identifier: Apache-2.0
// The running kernel, by raw system calls but for the clock. Library world; no state.
#include <errno.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/bits.h"
#include "base/syscall.h"
#include "os/os.h"

// Kernel headers older than the running kernel lack some of these: include/uapi/linux/mman.h.
enum { ADVICE_DONTNEED = 4, ADVICE_FREE = 8, ADVICE_NO_HUGE = 15, ADVICE_WIPE_ON_FORK = 18 };
enum { SELF_GROUP = -10001 }; // PIDFD_SELF_THREAD_GROUP, since 6.14: no descriptor to be had
enum { BARRIER_PRIVATE = 8, BARRIER_REGISTER_PRIVATE = 16 }; // include/uapi/linux/membarrier.h
enum { RANGES_MAX = 1024 };                                  // UIO_MAXIOV

enum { MOVE_MAY = 1, MOVE_FIXED = 2, MOVE_DONT_UNMAP = 4 };

// The kernel's own convention: the last page of addresses is error numbers.
static bool is_error(long result)
{
    return result < 0 && result > -4096;
}

static long map(uintptr_t address, size_t bytes, int protection, int flags)
{
    return syscall_make(SYS_mmap, (long)address, (long)bytes, protection,
                        MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static int protect(uintptr_t address, size_t bytes, int protection)
{
    return (int)syscall_make(SYS_mprotect, (long)address, (long)bytes, protection, 0, 0, 0);
}

static int advise(uintptr_t address, size_t bytes, int advice)
{
    return (int)syscall_make(SYS_madvise, (long)address, (long)bytes, advice, 0, 0, 0);
}

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

static int real_hide(const struct os *os, uintptr_t address, size_t bytes)
{
    (void)os;
    return protect(address, bytes, PROT_NONE);
}

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

static int real_forbid_huge(const struct os *os, uintptr_t address, size_t bytes)
{
    (void)os;
    return advise(address, bytes, ADVICE_NO_HUGE);
}

// The number at the front of `*text`, which is behind it and its dot afterwards.
static unsigned read_number(const char **text)
{
    unsigned value = 0;
    for (; **text >= '0' && **text <= '9'; ++*text)
        value = value * 10 + (unsigned)(**text - '0');
    *text += **text == '.';
    return value;
}

// Since 6.17 the kernel moves several mappings in one call.
static bool moves_many(void)
{
    struct utsname name;
    if (syscall_make(SYS_uname, (long)(uintptr_t)&name, 0, 0, 0, 0, 0) != 0)
        return false;
    const char *release = name.release;
    unsigned major = read_number(&release);
    return major > 6 || (major == 6 && read_number(&release) >= 17);
}

// Growing in place is refused for what follows; but that it is several mappings is found first.
static bool is_one_mapping(uintptr_t address, size_t bytes)
{
    return syscall_make(SYS_mremap, (long)address, (long)bytes, (long)bytes + 1, 0, 0, 0) !=
           -EFAULT;
}

static int real_move(const struct os *os, uintptr_t from, uintptr_t to, size_t bytes)
{
    (void)os;
    // Older kernels unmap the target before they refuse this, and another thread's mmap() would
    // take the place.
    if (!is_one_mapping(from, bytes) && !moves_many())
        return -EFAULT;
    // DONT_UNMAP (5.7): a hole at the old place could become somebody else's mapping.
    long result = syscall_make(SYS_mremap, (long)from, (long)bytes, (long)bytes,
                               MOVE_MAY | MOVE_FIXED | MOVE_DONT_UNMAP, (long)to, 0);
    return is_error(result) ? (int)result : 0;
}

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

static size_t real_memory_bytes(const struct os *os)
{
    (void)os;
    struct sysinfo info = {0};
    if (syscall_make(SYS_sysinfo, (long)(uintptr_t)&info, 0, 0, 0, 0, 0) != 0)
        return 0;
    return (size_t)info.totalram * info.mem_unit;
}

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
    .move = real_move,
    .wipe_on_fork = real_wipe_on_fork,
    .page_bytes = real_page_bytes,
    .now_ns = real_now_ns,
    .random = real_random,
    .limit_bytes = real_limit_bytes,
    .memory_bytes = real_memory_bytes,
};
