// SPDX-License-Identifier: Apache-2.0
// The balloon: bounded pressure, so that the kernel takes lazily freed pages. Tool world; one
// thread.
//
// A child grows and touches memory inside the group (or on the host) in small steps. Before each of
// them everything is read afresh and judge.h decides. When it stops, for whichever reason, the
// child ends, and its memory is free. The target is neither stopped nor written to: what it loses
// are pages that it has given back. How the brakes were chosen: docs/balloon.md.
#ifndef EBB_LEVER_BALLOON_BALLOON_H
#define EBB_LEVER_BALLOON_BALLOON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lever/balloon/child.h"
#include "lever/balloon/holders.h"
#include "lever/balloon/judge.h"
#include "lever/balloon/reading.h"
#include "lever/lever.h"

// What moves while it works, for a line on the terminal.
struct balloon_progress {
    uint64_t balloon_bytes, rss_bytes, virtual_bytes; // of the watched process
    uint64_t lazy_bytes;                              // of the group or host: the bound
    unsigned psi_permille; // of the last second; 0 too where it is unknown
    double passed_s;
};

struct balloon_options {
    uint64_t until_bytes, size_bytes; // BALLOON_NO_LIMIT: not given
    uint64_t time_ns;
    bool force;
    bool is_dry_run;  // the plan tells the brakes' numbers
    bool watches_one; // `until` speaks of the watched process, not of the group's sum
    void (*progress)(void *context, const struct balloon_progress *progress); // NULL none
    void *progress_context;
};

// The lever's context. Zero-initialised, then balloon_open().
struct balloon {
    struct balloon_options options;
    struct balloon_place place;
    struct balloon_room room; // of a group
    struct balloon_limits limits;
    struct balloon_state state;
    struct balloon_holders holders;
    struct balloon_reading reading;
    struct balloon_child child;
    pid_t watched;
    uint64_t progress_ns; // when progress was shown last
    unsigned steps;
    enum balloon_stop stop;
    int error; // behind BALLOON_NO_MEMORY
};

// Takes a first walk, and says which process to watch: `watched` when it is not 0, else the one
// with the most lazily freed memory. 0 with balloon_close() to be called; -ESRCH when there is no
// process in the group; -EXDEV when the watched one is not in it; -errno.
int balloon_open(struct balloon *balloon, const struct balloon_place *place,
                 const struct balloon_options *options, pid_t watched);
void balloon_close(struct balloon *balloon);

// For lever_pull() with the watched process.
extern const struct lever balloon_lever;

// Inside the balloon: the plan's and the report's words.
int balloon_plan(void *context, struct process *process, struct lever_report *report);
int balloon_refuse_start(struct lever_report *report, const struct balloon *balloon, int error,
                         enum balloon_child_step step);
int balloon_tell(const struct balloon *balloon, struct lever_report *report);
// One reading with what the walks and the child have told.
void balloon_look(struct balloon *balloon);
void balloon_walk(struct balloon *balloon);

#endif
