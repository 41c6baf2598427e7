// SPDX-License-Identifier: Apache-2.0
// The cheap reading of a process: stat, statm and status, which everybody may read and which take
// no lock of the target's. Tool world; one thread.
//
// No descriptor is kept for a process, so that thousands can be followed; who it is tells its start
// time, what it executes tell the addresses that every exec chooses anew.
#ifndef EBB_SAMPLE_CHEAP_H
#define EBB_SAMPLE_CHEAP_H

#include <stdbool.h>
#include <stdint.h>

struct cheap_reader {
    int root_fd; // of the proc tree
    uint64_t page_bytes, ticks_per_s;
};

struct cheap_identity {
    uint64_t start_ticks;
    uint64_t start_code, start_stack; // 0: not to be seen without rights
    bool is_fork;                     // has not called exec since it was forked
    char comm[64];
};

struct cheap_reading {
    struct cheap_identity identity;
    uint64_t rss_bytes, anon_bytes, virtual_bytes; // of statm
    uint64_t stat_rss_bytes; // of stat: less exact in kernels that add it up from parts
    uint64_t minor_faults, major_faults, cpu_ms, threads; // since its start
    uint64_t peak_rss_bytes; // VmHWM of status: what came and went between two readings; 0 unknown
};

// 0; -ESRCH it ended, or is a zombie or about to be one; -ENOEXEC a kernel thread; -EBADMSG for a
// damaged tree; -errno where it could not be read this time. `last` is its reading before, or NULL:
// statm and status are left out where stat tells that nothing moved. Cost: 10 µs, 25 µs with them.
int cheap_read(const struct cheap_reader *reader, int pid, const struct cheap_reading *last,
               struct cheap_reading *ret_reading);

// Its stat alone, for who it is and whether it is to be looked at: errors as cheap_read().
int cheap_identify(const struct cheap_reader *reader, int pid, struct cheap_identity *ret_identity);

enum cheap_change {
    CHEAP_SAME,
    CHEAP_RENAMED, // another comm: by prctl(2), or by exec where addresses may not be seen
    CHEAP_EXEC,    // it executes something else
    CHEAP_OTHER,   // another process has its PID
};
// Are the addresses known, so that no exec is missed?
bool cheap_is_seen(const struct cheap_identity *identity);
// Fills what is not to be seen in `now` with what was seen before. In the middle of an exec there
// are no addresses: without this, those from before and after it would never meet.
void cheap_remember(const struct cheap_identity *before, struct cheap_identity *now);
// What is unknown on either side is not compared. Pure.
enum cheap_change cheap_compare(const struct cheap_identity *before,
                                const struct cheap_identity *now);

#endif
