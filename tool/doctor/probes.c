// SPDX-License-Identifier: Apache-2.0
// Asks the running kernel what it can do, on pages of our own, see readings.h. Tool world; no
// state.
//
// A version number does not tell what a distribution backported or what a filter forbids; a call
// does.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "doctor/readings.h"
#include "proc/mappings.h"
#include "proc/pagemap.h"
#include "proc/process.h"

// Fixed by the kernel's interface; headers of older distributions lack some.
enum {
    PROBE_MADV_DONTNEED = 4,
    PROBE_MADV_FREE = 8,
    PROBE_MADV_COLD = 20,
    PROBE_SYS_PIDFD_OPEN = 434,
    PROBE_SYS_PROCESS_MADVISE = 440,
    PROBE_SECCOMP_GET_ACTION_AVAIL = 2,
    PROBE_SECCOMP_RET_ERRNO = 0x00050000,
};

// More than the per-CPU batches hold back, so that smaps has something to show.
enum { PROBE_BYTES = 4 << 20 };

// How much of the pages the kernel now shows as lazily freed.
static uint64_t probe_shown_lazy_kib(struct process *self, const void *pages)
{
    // By the mapping and not by the sum: others of our pages may be lazily freed as well.
    struct mappings mappings = {0};
    uint64_t shown_kib = 0;
    if (mappings_read(self, &mappings) == 0) {
        const struct mapping *mapping = mappings_find(&mappings, (uint64_t)(uintptr_t)pages);
        if (mapping && mapping->lazy_free_kib <= PROBE_BYTES / 1024)
            shown_kib = mapping->lazy_free_kib;
        mappings_free(&mappings);
    }
    return shown_kib;
}

// Pages must have been written, else there is nothing to free.
static void probe_madv_free(struct process *self, void *pages, struct doctor_probes *probes)
{
    memset(pages, 1, PROBE_BYTES);
    probes->madv_free = madvise(pages, PROBE_BYTES, PROBE_MADV_FREE) == 0 ? 0 : -errno;
    // Nothing was freed, so nothing can be shown.
    if (probes->madv_free < 0)
        return;
    probes->freed_kib = PROBE_BYTES / 1024;
    probes->shown_lazy_kib = probe_shown_lazy_kib(self, pages);
}

// One advice to ourselves through a pidfd. 0 or -errno.
static int probe_advice(int pid_fd, void *pages, int advice)
{
    struct iovec range = {pages, (size_t)sysconf(_SC_PAGESIZE)};
    long done = syscall(PROBE_SYS_PROCESS_MADVISE, pid_fd, &range, 1L, (long)advice, 0L);
    return done >= 0 ? 0 : -errno;
}

// MADV_COLD is harmless and as old as the call; MADV_DONTNEED came later for oneself.
static void probe_process_madvise(void *pages, struct doctor_probes *probes)
{
    int pid_fd = (int)syscall(PROBE_SYS_PIDFD_OPEN, getpid(), 0);
    // Without pidfds (5.3) there is no way to name a process.
    if (pid_fd < 0) {
        probes->process_madvise = probes->process_madvise_any = -errno;
        return;
    }
    probes->process_madvise = probe_advice(pid_fd, pages, PROBE_MADV_COLD);
    probes->process_madvise_any = probe_advice(pid_fd, pages, PROBE_MADV_DONTNEED);
    close(pid_fd);
}

// A kernel that knows the call looks at its argument first: EFAULT. Others have no such ioctl:
// ENOTTY.
static int probe_pagemap_scan(struct process *self)
{
    // Ourselves as the tree shows us, which need not be /proc/self.
    int fd = openat(process_dir_fd(self), "pagemap", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    const unsigned long scan = _IOC(_IOC_READ | _IOC_WRITE, 'f', 16, 12 * sizeof(uint64_t));
    int error = ioctl(fd, scan, NULL) == 0 || errno == EFAULT ? 0 : -errno;
    close(fd);
    return error;
}

// May the group's own lever be written? Only asked, never pulled.
static int probe_group_reclaim(const struct cgroup *cgroup)
{
    char path[sizeof cgroup->directory + 32];
    // A group that cannot be reached cannot be written to.
    if (!cgroup->directory[0])
        return -ENOENT;
    snprintf(path, sizeof path, "%s/%s", cgroup->directory,
             cgroup->version == 2 ? "memory.reclaim" : "memory.force_empty");
    return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 ? 0 : -errno;
}

// Asked in words of the kernel's own, without a filter being set.
static int probe_seccomp_filter(void)
{
    uint32_t action = PROBE_SECCOMP_RET_ERRNO;
    return syscall(SYS_seccomp, PROBE_SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ? 0 : -errno;
}

// Frames of signals are built for one architecture so far.
static int probe_call(void)
{
#if defined(__x86_64__)
    return 0;
#else
    return -ENOTSUP;
#endif
}

// Each probe changes nothing but pages that it has mapped itself; the target of process_madvise and
// PAGEMAP_SCAN is ebb. What a probe could not ask stays DOCTOR_NOT_ASKED, and then the kernel's
// version decides.
void doctor_probe(struct process *self, const struct cgroup *cgroup,
                  struct doctor_probes *ret_probes)
{
    struct doctor_probes probes = {.madv_free = DOCTOR_NOT_ASKED,
                                   .process_madvise = DOCTOR_NOT_ASKED,
                                   .process_madvise_any = DOCTOR_NOT_ASKED};
    void *pages =
        mmap(NULL, PROBE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    // Without 4 MiB to spare the questions stay open, which is told apart from a refusal.
    if (pages != MAP_FAILED) {
        probe_madv_free(self, pages, &probes);
        probe_process_madvise(pages, &probes);
        munmap(pages, PROBE_BYTES);
    }
    probes.pagemap_scan = probe_pagemap_scan(self);
    probes.frame_numbers = pagemap_probe_frames(self);
    probes.group_reclaim = probe_group_reclaim(cgroup);
    probes.seccomp_filter = probe_seccomp_filter();
    probes.call = probe_call();
    *ret_probes = probes;
}
