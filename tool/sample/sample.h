// SPDX-License-Identifier: Apache-2.0
// Samples: what is known of many processes over time. Tool world; plain data.
//
// A sample is one reading of one process (a subject). Cheap ones are taken often, accounts seldom;
// each says which it is, so that nobody takes an estimate for a measurement. Recordings, the page,
// `top`, the metrics and the alarms all live on these structs and on nothing else.
#ifndef EBB_SAMPLE_SAMPLE_H
#define EBB_SAMPLE_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account/account.h"
#include "account/verdict.h"
#include "runtime/report.h"

// How deep a reading went, and so what of it was measured at its own moment.
enum sample_kind {
    SAMPLE_CHEAP,   // stat and statm: RSS, faults, times; lazy is the last known, cut to what fits
    SAMPLE_LAZY,    // and smaps_rollup: lazy and swap as well
    SAMPLE_ACCOUNT, // a survey: everything; `digest` is there
};

// A figure that could not be read. No size in bytes reaches it.
#define SAMPLE_UNKNOWN UINT64_MAX

// What stays of a survey.
struct digest_figure {
    char runtime[32];
    struct runtime_figure figure;
};
struct digest {
    uint64_t row_bytes[ROW_COUNT], row_error_bytes[ROW_COUNT];
    uint64_t swap_bytes, huge_bytes, locked_bytes;
    enum verdict_code verdict;
    char headline[VERDICT_TEXT_MAX];
    char next[VERDICT_TEXT_MAX]; // the first thing to do, a command where there is one; "" none
    char runtimes[128];          // "Go 1.24.4, glibc 2.36": raw bytes, cut
    struct digest_figure *figures;
    size_t figure_count;
    // Of the memory cgroup; limit_bytes is SAMPLE_UNKNOWN without a limit, the others without one.
    uint64_t group_usage_bytes, group_working_set_bytes, group_inactive_file_bytes,
        group_limit_bytes;
    bool is_complete; // nothing of the process was left unread for want of rights
};

struct sample {
    unsigned subject; // struct subject's id
    int64_t time_ms;  // since the epoch, when it was read
    uint64_t boot_ms; // CLOCK_BOOTTIME of the same moment: goes on in suspension, never back
    enum sample_kind kind;
    uint64_t rss_bytes;
    uint64_t lazy_bytes;      // SAMPLE_UNKNOWN until a reading could tell
    uint64_t effective_bytes; // RSS - lazy; RSS where lazy is unknown
    uint64_t anon_bytes;      // RSS without pages of files and shared memory
    uint64_t virtual_bytes;
    uint64_t swap_bytes;                         // as lazy_bytes: the last known
    uint64_t minor_faults, major_faults, cpu_ms; // since its start
    uint64_t threads;
    uint64_t peak_rss_bytes; // the highest since the program began, as the kernel knows it (VmHWM);
                             // 0 unknown
    const struct digest *digest; // of an account, else NULL; its sampler's until the next reading
};

// A process that is or was followed. Its id stands for it everywhere: PIDs are given again.
struct subject {
    unsigned id; // 1, 2, ... in the order of their appearance; never given again
    int pid;
    char name[64];     // comm, or argv[0]'s base name where the kernel cut comm; raw bytes, as all
    char exe[64];      // base name of the executable; "" where that may not be seen
    char cmdline[256]; // one line, cut
    char cgroup[256];  // path of its memory group, cut at the front; "" unknown
    uint32_t uid;
    uint64_t start_ticks;
    int64_t start_ms, first_ms, last_ms; // since the epoch: its start, our first and last sample
    bool has_ended;                      // or has called exec: then a new subject follows it
};

enum event_kind {
    EVENT_APPEARED,   // a process that matches was found
    EVENT_ENDED,      // it is gone
    EVENT_EXEC,       // it became another program
    EVENT_VERDICT,    // its verdict changed: `text` is the new headline
    EVENT_GC,         // collections since the last account: `value` of them
    EVENT_PURGE,      // purges since the last account, as the runtime counts them
    EVENT_LEVER,      // ebb or somebody else pulled a lever: `text` says which
    EVENT_GAP,        // no readings for `value` ms: the host slept, or ebb was not given time
    EVENT_CLOCK,      // the clock of the day was set by `value` ms (as int64_t)
    EVENT_UNREADABLE, // an account was not possible: `text` says why and what would help; of the
                      // host: of `value` processes it was not
    EVENT_ALARM,      // an alarm began (`value` 1) or ended (0)
    EVENT_COUNT
};
const char *event_kind_name(enum event_kind kind); // "appeared", "gc", ...

enum { EVENT_TEXT_MAX = 240 };
struct event {
    unsigned subject; // 0: the host
    int64_t time_ms;
    enum event_kind kind;
    uint64_t value;
    char text[EVENT_TEXT_MAX]; // "" where kind and value say it all; raw bytes
};

// The host at the moment of a batch.
struct host_sample {
    int64_t time_ms;
    uint64_t total_bytes, available_bytes, swap_used_bytes;
    uint64_t lazy_bound_bytes;                       // meminfo_lazy_bound_kib(): an upper bound
    uint64_t lazily_freed_pages, lazily_taken_pages; // since boot
    double pressure_some_avg10;                      // percent; negative where there is no PSI
};

// All that one round of readings gave. Owned by whoever filled it in.
struct batch {
    int64_t time_ms;
    uint64_t boot_ms; // CLOCK_BOOTTIME of the same moment; 0: not known
    struct host_sample host;
    struct sample *samples;
    size_t sample_count, sample_capacity;
    struct event *events;
    size_t event_count, event_capacity;
};

#endif
