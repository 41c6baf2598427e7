// SPDX-License-Identifier: Apache-2.0
// What run_plan() gathers and run_start() does; shared by the files of this folder. Tool world.
#ifndef EBB_LEVER_RUN_PLAN_H
#define EBB_LEVER_RUN_PLAN_H

#include "lever/run/environment.h"
#include "lever/run/filter.h"
#include "lever/run/group.h"
#include "lever/run/program.h"
#include "lever/run/run.h"

struct run {
    const struct run_request *request;
    struct environment environment; // as the command gets it
    struct program program;
    struct buffer filter; // empty: none
    struct group group;   // with request->limit_bytes
    bool has_group;
    // Behind systemd-run: the limit is set already, and only looked at.
    bool is_limited;
};

// Each adds its steps and notes to the report. 0; -ENOMEM; -errno with a refusal.
// Environment variables and filter for --madv-free.
int plan_madv_free(struct run *run, struct lever_report *report);
// LD_PRELOAD for --malloc.
int plan_allocator(struct run *run, struct lever_report *report);
// The cgroup for --limit.
int plan_limit(struct run *run, struct lever_report *report);

// Replaces this process by systemd-run, which starts this program again inside of a scope. Returns
// -errno.
int plan_exec_systemd(const struct run *run);

#endif
