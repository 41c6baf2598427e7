// SPDX-License-Identifier: Apache-2.0
// A survey: all readings of one process at one moment, and the account made of them. Tool world;
// one thread.
//
// This is where I/O and model meet: proc and runtime are read, the pure account and verdict are
// built. Every verb that looks at a process starts here, and every renderer draws this struct.
#ifndef EBB_SURVEY_SURVEY_H
#define EBB_SURVEY_SURVEY_H

#include <stdbool.h>

#include "account/account.h"
#include "account/growth.h"
#include "account/verdict.h"
#include "proc/cgroup.h"
#include "proc/host.h"
#include "proc/process.h"
#include "proc/status.h"
#include "runtime/report.h"

struct locate_memory;

struct survey_options {
    const char *proc_root; // "/proc"
    double observe_s;      // 0: no growth
    unsigned budget_ms;    // for each runtime reader; 0: no limit
    // What earlier surveys found in files, for who makes many (runtime/locate_memory.h); may be
    // NULL.
    struct locate_memory *memory;
    // The host as it was a moment ago, for who makes many at once: taken instead of reading it
    // again. NULL: it is read.
    const struct host *host;
    bool ask; // ask runtimes by calls in the target, which stops a thread of it
    // Called at least once a second while observing, with the seconds done; may be NULL.
    void (*progress)(void *context, double done_s, double total_s);
    void *progress_context;
};

// As struct runtime_unread, of the whole process.
struct survey_unread {
    char what[240];
    char needs[240];
};

struct survey {
    int pid;
    char name[64];      // comm; raw bytes, like every text here: renderers escape them
    char cmdline[1024]; // one line, cut
    char exe[1024];     // "" if unreadable
    uint64_t start_ticks;
    double start_time_s; // seconds since the epoch
    double uptime_s;     // of the process
    struct proc_status status;
    size_t mapping_count;
    double walk_s;  // what the walk of smaps took: so long the target's mmap and munmap may wait
    double taken_s; // CLOCK_MONOTONIC when smaps had been read: the moment that the account is of
    struct account account;
    bool has_account;               // false when smaps was not readable
    bool lacks_rights;              // more could be read with more rights
    uint64_t rss_bytes;             // of the account, or of status without one
    struct runtime_report *reports; // of runtimes; what images and stacks told is in the account
    size_t report_count;
    struct growth growth;
    bool has_growth;
    struct verdict verdict;
    struct cgroup cgroup;
    struct host host;
    // What asking cost the target: 0 calls when nothing was asked. See struct call_stats.
    uint64_t ask_calls, ask_longest_stop_ns;
    bool has_nothing_to_ask; // it was to be asked, but everything in it is read, or has no answer
    struct survey_unread *unread;
    size_t unread_count, unread_capacity;
};

// 0 with a survey that survey_free() frees; -ESRCH; -ESTALE when the process called exec meanwhile
// (twice in a row); -ENOEXEC for kernel threads, -ECHILD for zombies (they have no memory);
// -EACCES/-EPERM when not even status could be read; -ENOENT without a proc tree; -EBADMSG for a
// tree whose files are damaged; -ENOMEM. Missing rights are no failure: what could not be read is
// listed in `unread`. Takes observe_s longer where growth is asked for, and reads memory twice; a
// process that may not be read is not waited for.
int survey_take(const struct survey_options *options, int pid, struct survey *ret_survey);
void survey_free(struct survey *survey);

// For who makes surveys again and again instead of observing. The sample of growth that a survey
// with an account gives; and the verdict reached anew, with the growth that several of them tell.
struct growth_sample survey_growth_sample(const struct survey *survey, double time_s);
void survey_judge(const struct survey_options *options, const struct growth *growth,
                  struct survey *survey);

#endif
