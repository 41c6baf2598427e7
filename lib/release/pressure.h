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
    uint64_t group_limit;    // of the tightest among the group and its parents that can be seen
    uint64_t group_usage;    // of the same
    uint64_t group_reclaim;  // of its usage: file pages and lazily freed ones, inactive
    uint64_t stalled_us;     // PSI "some" total of the group, else of the host
    bool stalls_are_hosts;   // the latter
    uint64_t own_lazy_bytes; // the caller's: given back lazily by this heap and not seen taken
};

// Where the files of this process's group are; found once, and again after a fork.
struct pressure_source {
    char group_path[512]; // a directory with memory.* files, ends in no slash; empty: no limit
    size_t mount_bytes;   // so much of it is the mount point: parents above that are not seen
    bool is_v1;
    bool is_found;
};

// The figures of memory.stat that matter. PRESSURE_UNLIMITED where one is not there.
struct pressure_stat {
    uint64_t inactive_file; // with descendants, as all here
    uint64_t cache;         // all file pages; shared memory as well
    uint64_t shmem;
    uint64_t limit; // v1: the lowest of the group's and all parents', seen or not
};

// Looks the group up: /proc/self/cgroup and /proc/self/mountinfo. Never fails: an empty path is
// "no limit known". About 0.1 ms; 3.5 KiB of stack.
void pressure_find(struct pressure_source *source);

// Reads usage, limit, MemAvailable and PSI. Never fails. About 16 µs, 25 in a group of version 1,
// and 3 for each parent; 3 KiB of stack. `own_lazy_bytes` is read, not written: it says how much of
// inactive_file may be more than files. Opens files by number for an instant, which a program that
// counts on the lowest free number can see: a thread of the heap's own calls pressure_hide_files()
// first.
void pressure_read(const struct pressure_source *source, struct pressure_reading *reading);

// Leaves the calling thread alone with an empty table of open files of its own, but for stderr
// where it `keeps_stderr` (which then stays open as long as the thread lives). 0 or −errno
// (−ENOSYS before Linux 5.9), and then all is as it was.
int pressure_hide_files(bool keeps_stderr);

// Bytes that may still be used before the tighter of group and host runs short; 0 when it is. Short
// begins at 1/16 of the limit or of the host, at most at 4 GiB.
uint64_t pressure_headroom(const struct pressure_reading *reading);

// Short: no headroom; or stalls of more than 10 % of the time since the last look, unless these are
// the kernel's taking our own lazily freed pages: what it took (`own_lazy_bytes` fell by it) is not
// want of memory. The host's stalls count only while it has less than a quarter available: else
// they are those of other groups at their limits. `last` may be NULL at the first look.
enum wire_pressure pressure_judge(const struct pressure_reading *reading,
                                  const struct pressure_reading *last, uint64_t elapsed_us);

// The parsers. 0 or -EINVAL; out-parameters untouched on failure. What may be longer than a buffer
// can be handed in line by line.
int pressure_parse_meminfo(const char *text, size_t len, uint64_t *total, uint64_t *available);
// "max" is PRESSURE_UNLIMITED; so is v1's largest page counter.
int pressure_parse_bytes(const char *text, size_t len, uint64_t *bytes);
int pressure_parse_psi_some(const char *text, size_t len, uint64_t *total_us);
// The path of the memory controller's group in /proc/self/cgroup, as an offset and a length in the
// text; v1's line wins over v2's where both are there.
int pressure_parse_cgroup(const char *text, size_t len, size_t *offset, size_t *path_len,
                          bool *is_v1);
// The mount point (and root) of that controller in /proc/self/mountinfo: of the first that there
// is. Both are still escaped.
int pressure_parse_mountinfo(const char *text, size_t len, bool is_v1, size_t *point,
                             size_t *point_len, size_t *root, size_t *root_len);
// Sets what the text has, and leaves the rest. -EINVAL where it has nothing.
int pressure_parse_stat(const char *text, size_t len, struct pressure_stat *stat);

// One mount of a hierarchy, as mountinfo has it: escaped.
struct pressure_mount {
    const char *point;
    size_t point_len;
    const char *root;
    size_t root_len;
};

// Where the files of a group are in a mount: sets group_path and mount_bytes. Returns how good the
// mount is: the more of the group's path is below the mount's root, the more of the parents can be
// seen. -ENOENT where the group is outside; -ENAMETOOLONG. A group "/" in a mount of another root
// is taken for the mount itself (0): the one was seen from within a namespace, the other was not.
int pressure_map(struct pressure_source *source, const char *group, size_t group_len,
                 const struct pressure_mount *mount);

#endif
