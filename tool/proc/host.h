// SPDX-License-Identifier: Apache-2.0
// The host as the account and doctor need it: meminfo, vmstat, pressure, kernel version, settings.
// Tool world.
#ifndef EBB_PROC_HOST_H
#define EBB_PROC_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct meminfo {
    uint64_t total_kib, free_kib, available_kib, buffers_kib, cached_kib, shmem_kib;
    uint64_t active_file_kib, inactive_file_kib, anon_kib, anon_huge_kib, swap_total_kib,
        swap_free_kib;
};
// 0, or -EBADMSG without MemTotal.
int meminfo_parse(struct text file, struct meminfo *ret_meminfo);
// Upper bound of all lazily freed memory of the host:
// Active(file) + Inactive(file) - (Cached + Buffers - Shmem), 0 where negative.
uint64_t meminfo_lazy_bound_kib(const struct meminfo *meminfo);

struct vmstat {
    uint64_t lazily_freed_pages;               // pglazyfree: pages ever marked
    uint64_t lazily_taken_pages;               // pglazyfreed: pages ever taken
    uint64_t swapped_out_pages, scanned_pages; // pswpout; pgscan_kswapd + pgscan_direct
    bool has_lazy;
};
// 0, or -EBADMSG when none of its lines is there.
int vmstat_parse(struct text file, struct vmstat *ret_vmstat);

// One of /proc/pressure/memory or memory.pressure: 10-second averages in percent, totals in
// microseconds.
struct pressure {
    double some_avg10, full_avg10;
    uint64_t some_total_us, full_total_us;
};
// 0, or -EBADMSG without the "some" line.
int pressure_parse(struct text file, struct pressure *ret_pressure);

struct kernel_version {
    unsigned major, minor, patch;
};
// 0, or -EBADMSG.
int kernel_version_parse(struct text release, struct kernel_version *ret_version);
bool kernel_at_least(struct kernel_version version, unsigned major, unsigned minor);

enum thp_mode { THP_UNKNOWN, THP_NEVER, THP_MADVISE, THP_ALWAYS };
enum thp_mode thp_mode_parse(struct text file); // "always [madvise] never"

struct host {
    char release[128];
    struct kernel_version kernel;
    struct meminfo meminfo;
    struct vmstat vmstat;
    struct pressure pressure;
    bool has_pressure;
    enum thp_mode thp;
    int ptrace_scope;     // -1: no Yama
    int overcommit;       // -1 unknown
    uint64_t boot_time_s; // seconds since the epoch, btime of /proc/stat
    uint64_t uptime_s;
};
// Reads it all; what is missing stays 0 (or as noted). 0, or -errno when `proc_root` has no
// meminfo. The THP mode lies below /sys, which is looked for beside the proc tree
// (PROC_ROOT/../sys): a container's /host/proc with /host/sys, or a test's tree, is served;
// elsewhere it stays THP_UNKNOWN. Cost: about 0.1 ms, most of it for vmstat.
int host_read(const char *proc_root, struct host *ret_host);

// Has the host swap? Where that cannot be read the answer is yes, which is the careful one.
bool host_has_swap(const char *proc_root);

#endif
