// SPDX-License-Identifier: Apache-2.0
// What a runtime's reader may look at, and the table of readers. Tool world; one thread.
#ifndef EBB_RUNTIME_TARGET_H
#define EBB_RUNTIME_TARGET_H

#include "base/buffer.h"
#include "image/image.h"
#include "proc/mappings.h"
#include "proc/process.h"
#include "proc/status.h"
#include "proc/threads.h"
#include "runtime/report.h"

struct locate_cache;
struct locate_memory;
struct ask;

struct target {
    struct process *process;
    const struct mappings *mappings;
    const struct images *images;
    const struct proc_status *status;
    struct text environ_text;          // /proc/PID/environ at its start; empty if unreadable
    const struct proc_thread *threads; // ascending by stack pointer
    size_t thread_count;
    uint64_t
        stack_limit_bytes; // soft RLIMIT_STACK, the default size of a thread's stack; 0 unknown
    const struct runtime_report *earlier; // reports of the readers that ran before, for "not mine"
    size_t earlier_count;
    unsigned budget_ms; // soft limit for one reader, 0: none
    // What was found in the images' texts (runtime/locate.h), which runtimes_read() lends to all
    // readers. NULL: each looks for itself.
    struct locate_cache *located;
    // What earlier surveys found in them (runtime/locate_memory.h). NULL: nothing is remembered.
    struct locate_memory *memory;
    // Where runtimes may be asked by calls in the target (runtime/ask.h). NULL: they are only read.
    struct ask *ask;
};

// A reader finds its runtime and fills in the report. Rules: no write, no stop, no page faulted in,
// unless the target has an `ask`;
// refuse rather than guess (an unread entry instead of a doubtful figure); stay within the budget
// and say so when it ran out.
struct runtime_reader {
    const char *name;
    // True when this runtime is in the target. Cheap: names and sections, no walk.
    bool (*find)(const struct target *target);
    // 0 with a report that the caller frees; -ENOENT after all not there; -errno for failure (the
    // report may hold unread entries and is kept then when its name is set).
    int (*read)(const struct target *target, struct runtime_report *ret_report);
};

// The readers in the order in which they run. What the kernel and the ELF files tell comes first
// (images' .bss, stacks), then runtimes that know exactly which memory is theirs, then those that
// take what is left.
extern const struct runtime_reader *const runtime_readers[];
extern const size_t runtime_reader_count;

extern const struct runtime_reader image_reader; // runtime/ground.c
extern const struct runtime_reader stack_reader;
extern const struct runtime_reader go_reader;       // runtime/go
extern const struct runtime_reader glibc_reader;    // runtime/glibc
extern const struct runtime_reader jemalloc_reader; // runtime/allocators
extern const struct runtime_reader tcmalloc_reader;
extern const struct runtime_reader mimalloc_reader;
extern const struct runtime_reader musl_reader;
extern const struct runtime_reader libebb_reader; // runtime/libebb
extern const struct runtime_reader jvm_reader;    // runtime/managed
extern const struct runtime_reader v8_reader;
extern const struct runtime_reader cpython_reader;
extern const struct runtime_reader dotnet_reader;

// Runs every reader whose find() says yes; `earlier` and `located` are its own to set.
// `*ret_reports` is malloc'ed; free each report, then the array. 0 or -ENOMEM; a reader's own
// failure is an unread entry of its report.
int runtimes_read(const struct target *target, struct runtime_report **ret_reports,
                  size_t *ret_count);

// Claims [start, end) for the report, cut at mapping borders, and measures what is resident in it:
// from smaps where a mapping lies wholly inside, from pagemap for a part of one (LazyFree of a part
// is shared out by size, with the error said). Parts that an earlier report or this one has claimed
// are left out. Returns 0 or -errno.
int target_claim(const struct target *target, struct runtime_report *report, uint64_t start,
                 uint64_t end);

// Claims every anonymous private mapping (brk too if `with_brk`) that nobody has claimed: for
// runtimes that are found but cannot be read ("held by"). Stacks and .bss are claimed before any
// reader runs.
int target_claim_rest(const struct target *target, struct runtime_report *report, bool with_brk);

// True when an earlier report (a stack, .bss, another runtime) has claimed any byte of [start,
// end).
bool target_is_claimed(const struct target *target, uint64_t start, uint64_t end);

#endif
