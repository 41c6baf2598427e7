// SPDX-License-Identifier: Apache-2.0
// The protocol of all levers: look, say, act, look again, report. Tool world; one thread.
//
// A lever is two functions, plan and act; lever_pull() is the only place that runs them. The report
// is one struct for every lever, and the renderers draw it.
#ifndef EBB_LEVER_LEVER_H
#define EBB_LEVER_LEVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/process.h"

enum { LEVER_WHAT_MAX = 240 };

// What a reading before and after shows of one process.
struct lever_reading {
    uint64_t rss_bytes, lazy_bytes, anon_huge_bytes, swap_bytes, locked_bytes, virtual_bytes;
    bool has_details; // false: only rss_bytes, swap_bytes and virtual_bytes (no right to smaps)
};

enum lever_step_state {
    LEVER_STEP_PLANNED, // not done (yet): --dry-run
    LEVER_STEP_DONE,
    LEVER_STEP_NOTHING, // there was nothing to do
    LEVER_STEP_FAILED,  // with the reason in `result`
    LEVER_STEP_SKIPPED, // not tried, with the reason in `result`
};

// One thing that the lever does: "ask jemalloc 5.3.0 to purge all arenas".
struct lever_step {
    char what[LEVER_WHAT_MAX];   // begins with a verb, without a full stop
    char result[LEVER_WHAT_MAX]; // what came of it: "248 MiB in 12 bites"; "" nothing to add
    enum lever_step_state state;
    uint64_t took_ns;
};

// What was left alone, and why: "shared with a fork" "the kernel takes them only when ...".
struct lever_untouched {
    char what[LEVER_WHAT_MAX];
    char why[LEVER_WHAT_MAX];
    uint64_t bytes; // 0: not counted
};

// Something to tell: a warning, or what makes a change permanent.
struct lever_note {
    char text[2 * LEVER_WHAT_MAX];
    bool is_warning;
};

// A value that a lever changed (tune), as the runtime calls it.
struct lever_change {
    char name[64];
    char before[64], after[64]; // "" unknown
    char undo[LEVER_WHAT_MAX];  // the command that puts it back; "" none
};

enum lever_outcome {
    LEVER_PLANNED, // --dry-run: what would be done
    LEVER_DONE,
    LEVER_NOTHING, // nothing to do
    LEVER_PARTLY,  // some steps failed
    LEVER_FAILED,
    LEVER_REFUSED, // it would do harm, or cannot be done here: see `refusal`
};

struct lever_report {
    const char *lever; // "reclaim", "tune", "balloon", "run": static
    int pid;           // 0: of a group or the host
    char name[64];     // comm, or the group's path; raw bytes
    enum lever_outcome outcome;
    char refusal[LEVER_WHAT_MAX]; // why, for LEVER_REFUSED and LEVER_FAILED; "" otherwise
    char needs[LEVER_WHAT_MAX];   // what would help; "" nothing would
    int error;                    // -errno behind a refusal or failure; 0 none
    struct lever_reading before, after;
    bool has_before, has_after;
    struct lever_step *steps;
    size_t step_count, step_capacity;
    struct lever_change *changes;
    size_t change_count, change_capacity;
    struct lever_untouched *untouched;
    size_t untouched_count, untouched_capacity;
    struct lever_note *notes;
    size_t note_count, note_capacity;
    // How long the target may have waited for us at most, at one time and in all, and for what:
    // "its mmap and munmap" or "one thread". 0: it did not.
    uint64_t longest_wait_ns, total_wait_ns;
    char waited[64];
    uint64_t took_ns; // from the first look to the last
};

struct lever {
    const char *name;
    // Looks closer and says what act() will do: adds planned steps, untouched and notes. 0;
    // -errno after lever_refuse(). Must not change the target.
    int (*plan)(void *context, struct process *process, struct lever_report *report);
    // Does the planned steps and sets their states. 0 even when steps failed; -errno after
    // lever_refuse() when nothing could be done at all.
    int (*act)(void *context, struct process *process, struct lever_report *report);
    // Reads the target before and after; NULL: lever_read(). For a lever that knows better, or that
    // must not walk smaps, during which the target's mmap waits.
    int (*read)(void *context, struct process *process, struct lever_reading *ret_reading);
};

// Locks the target against a second ebb, reads it, plans, acts unless `is_dry_run`, reads it again.
// 0 with a report, which also tells of refusals and failures (look at its outcome); -ESRCH,
// -ESTALE, -EACCES, -EPERM when the process could not even be looked at; -ENOMEM. The report must
// be zero; free it in any case.
int lever_pull(const struct lever *lever, void *context, struct process *process, bool is_dry_run,
               struct lever_report *report);
void lever_report_free(struct lever_report *report);

// One reading: smaps_rollup where it may be read, status otherwise. 0 or -errno. Cost: as smaps.
int lever_read(struct process *process, struct lever_reading *ret_reading);
// The same from status alone: no details, and RSS by the kernel's batches (some hundred KiB off).
// Nobody waits for it.
int lever_read_status(struct process *process, struct lever_reading *ret_reading);

// Takes the lock of a target, for as long as the descriptor is open: flock(2) on its /proc
// directory, so that it goes with the ebb that holds it, kill -9 or not. The descriptor; -EBUSY
// when another ebb pulls a lever at it; -errno.
int lever_lock(struct process *process);
// The same for any directory, named as for openat(2).
int lever_lock_directory(int dir_fd, const char *name);

// The target's comm, raw; "" where it cannot be read.
void lever_read_name(struct process *process, char *ret_name, size_t size);

// Texts are formatted and cut. Each returns 0 or -ENOMEM, but lever_refuse(), which returns
// `error`.
int lever_add_step(struct lever_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// The step that was added last, or NULL. Borrowed until the next is added.
struct lever_step *lever_last_step(struct lever_report *report);
void lever_end_step(struct lever_step *step, enum lever_step_state state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int lever_add_untouched(struct lever_report *report, uint64_t bytes, const char *what,
                        const char *why);
// What was said already is not said again.
int lever_add_note(struct lever_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int lever_add_warning(struct lever_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int lever_add_change(struct lever_report *report, const struct lever_change *change);
// Records a wait of the target: the longest and the sum are kept.
void lever_add_wait(struct lever_report *report, const char *static_what, uint64_t longest_ns,
                    uint64_t total_ns);
int lever_refuse(struct lever_report *report, int error, const char *why, const char *needs);

// "planned", "done", "nothing", "partly", "failed", "refused"; steps likewise: as in the JSON.
const char *lever_outcome_name(enum lever_outcome outcome);
const char *lever_step_state_name(enum lever_step_state state);

// CLOCK_MONOTONIC.
uint64_t lever_now_ns(void);

#endif
