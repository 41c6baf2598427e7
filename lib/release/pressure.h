// SPDX-License-Identifier: Apache-2.0
// How short memory is: of the host, of the process's cgroup, by pressure stalls. Library world.
//
// Parsers take (buffer, length), and the judgement is pure; pressure_read() alone opens files, by
// raw system calls. Sources: Documentation/admin-guide/cgroup-v2.rst (memory.current, memory.max,
// memory.high, memory.pressure), cgroup-v1/memory.rst (memory.usage_in_bytes,
// memory.limit_in_bytes), accounting/psi.rst, filesystems/proc.rst (MemAvailable).
#ifndef EBB_RELEASE_PRESSURE_H
#define EBB_RELEASE_PRESSURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/ledger.h"

#define PRESSURE_UNLIMITED UINT64_MAX

// One look. Bytes; what could not be read is PRESSURE_UNLIMITED or 0 and judged as plenty.
struct pressure_reading {
    uint64_t host_total;
    uint64_t host_available;
    uint64_t group_limit;    // the lowest of the group's and its parents' limits
    uint64_t group_usage;    // of the group with that limit
    uint64_t group_reclaim;  // of the usage: clean file pages and lazily freed ones (inactive_file)
    uint64_t stalled_us;     // PSI "some" total of the group, else of the host
    uint64_t own_lazy_bytes; // what this heap has given back lazily and not seen taken
};

// Where the files of this process's group are; found once, and again after a fork.
struct pressure_source {
    char group_path[256]; // a directory with memory.* files, ends in no slash; empty: no limit
    bool is_v1;
    bool is_found;
};

// Looks the group up: /proc/self/cgroup and /proc/self/mountinfo. Never fails: an empty path is
// "no limit known".
void pressure_find(struct pressure_source *source);

// Reads usage, limit, MemAvailable and PSI: about 15 µs. Never fails.
void pressure_read(const struct pressure_source *source, struct pressure_reading *reading);

// Bytes that may still be used before the tighter of group and host runs short; 0 when it is.
uint64_t pressure_headroom(const struct pressure_reading *reading);

// Short: headroom below 1/16 of the limit or of the host, or stalls of more than 10 % of the time
// since the last look, unless these are the kernel's taking our own lazily freed pages: what it
// took (`own_lazy_bytes` fell by it) is not want of memory. `last` may be NULL at the first look.
enum wire_pressure pressure_judge(const struct pressure_reading *reading,
                                  const struct pressure_reading *last, uint64_t elapsed_us);

// The parsers. 0 or -EINVAL; out-parameters untouched on failure.
int pressure_parse_meminfo(const char *text, size_t len, uint64_t *total, uint64_t *available);
// "max" is PRESSURE_UNLIMITED; so is v1's largest page counter.
int pressure_parse_bytes(const char *text, size_t len, uint64_t *bytes);
int pressure_parse_psi_some(const char *text, size_t len, uint64_t *total_us);
// The path of the memory controller's group in /proc/self/cgroup, as an offset and a length in the
// text; v1's line wins over v2's where both are there.
int pressure_parse_cgroup(const char *text, size_t len, size_t *offset, size_t *path_len,
                          bool *is_v1);
// The mount point (and root) of that controller in /proc/self/mountinfo.
int pressure_parse_mountinfo(const char *text, size_t len, bool is_v1, size_t *point,
                             size_t *point_len, size_t *root, size_t *root_len);
// inactive_file of memory.stat.
int pressure_parse_stat(const char *text, size_t len, uint64_t *inactive_file);

#endif
