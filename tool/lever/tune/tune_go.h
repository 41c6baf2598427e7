// SPDX-License-Identifier: Apache-2.0
// Go's knobs in a running process: where they are, what may be written, and what it does. Tool
// world; internal to tune.
//
// Three variables, each read by the runtime with plain or atomic loads at any time, so that one
// aligned store changes it:
//   runtime.debug.madvdontneed (int32, 1.12 on): read by sysUnusedOS() before each madvise()
//   runtime.gcController.gcPercent (int32) with heapMinimum (uint64), 1.17 on; up to 1.16
//     runtime.gcpercent and runtime.heapminimum: read when a collection ends, for the next goal.
//     The goal in force is written too: from 1.19 on the collector looks at it at every turn, and
//     it is what tells that GOGC is off
//   runtime.gcController.memoryLimit (int64, 1.19 on): read whenever a goal is asked for
// Sources: mem_linux.go, mgcpacer.go (setGCPercent, commit, memoryLimitHeapGoal), mgc.go of
// runtime, 1.12 to 1.27.
//
// The trap: from 1.26 on the runtime takes pages that it has returned for zeros when madvdontneed
// is 1 (initSpan() in mheap.go). Pages that were lazily freed before still hold old bytes, so that
// a 0 turned into 1 would hand out memory that is not zero. There runtime.adviseUnused is written
// instead, from MADV_FREE to MADV_DONTNEED: what the runtime does itself when the kernel refuses
// MADV_FREE, and what never changes whether memory is cleared.
#ifndef EBB_LEVER_TUNE_TUNE_GO_H
#define EBB_LEVER_TUNE_TUNE_GO_H

#include "lever/poke.h"
#include "lever/tune/scene.h"
#include "lever/tune/tune.h"
#include "runtime/go/go_advise.h"
#include "runtime/go/go_runtime.h"

enum { GO_MINOR_MADV_FREE = 12, GO_MINOR_LIMIT = 19 };

enum { GO_ADVISE_NOT_FOUND = 0, TUNE_GO_STORES_MAX = 2, TUNE_GO_CHANGES_MAX = 4 };

// One value to write.
struct tune_store {
    uint64_t address;
    size_t bytes;
    uint64_t before, after;
};

// One setting to change, and its step in the report.
struct tune_go_change {
    struct tune_store stores[TUNE_GO_STORES_MAX];
    size_t store_count;
    struct lever_change change;
    size_t step;
    bool is_percent; // the goal follows: from `percent_before` to `percent_after`
    int32_t percent_before, percent_after;
};

struct tune_go {
    const struct image *image; // NULL: no Go
    struct go_live_memory live;
    struct go_runtime runtime;
    uint64_t knob;    // of runtime.debug.madvdontneed; 0 not found
    uint64_t advise;  // of runtime.adviseUnused; 0 not looked for, or not found
    uint64_t minimum; // of runtime.heapminimum, up to 1.16; 0 not found
    bool has_pacer;   // gcPercent and what goes with it may be written
    struct tune_go_change changes[TUNE_GO_CHANGES_MAX];
    size_t change_count;
};

// The first Go image and its version. False without Go.
bool tune_go_find(const struct tune_scene *scene, struct tune_go *go);

// Finds the knob by its name in runtime.dbgvars, in 1.26 and later adviseUnused too. 0; -errno with
// the refusal: no version, one that is not known, a knob that is not where it must be.
int tune_go_find_knob(const struct tune_scene *scene, struct tune_go *go,
                      struct tune_refusal *refusal);

// 0; -ENOTSUP with the refusal for versions without a memory limit.
int tune_go_check_limit(const struct tune_go *go, struct tune_refusal *refusal);

// Finds the pacer and proves it as `ebb explain` does. 0; -errno with the refusal.
int tune_go_find_pacer(const struct tune_scene *scene, struct tune_go *go,
                       struct tune_refusal *refusal);

// What the runtime does with memory that it returns, as its knobs say now. `advise` is 0 where it
// is not known.
struct tune_go_policy {
    uint64_t knob, advise;
    bool gives_lazily;
};
typedef int tune_go_read(void *context, uint64_t address, size_t bytes, uint64_t *ret_value);
// 0; -EBADMSG for values that no knob has; -errno of the read.
int tune_go_read_policy(const struct tune_go *go, tune_go_read *read, void *context,
                        struct tune_go_policy *ret_policy);

// Each adds what is to be written, a step and notes to the report; nothing where nothing is to do.
// 0; -ENOMEM; -errno with the refusal. The finders above must have succeeded.
int tune_go_plan_madv_free(const struct tune_scene *scene, struct tune_go *go,
                           const struct poke *poke, enum tune_switch madv_free,
                           struct lever_report *report, struct tune_refusal *refusal);
int tune_go_plan_percent(const struct tune_scene *scene, struct tune_go *go,
                         const struct poke *poke, const struct tune_request *request,
                         struct lever_report *report, struct tune_refusal *refusal);
int tune_go_plan_limit(const struct tune_scene *scene, struct tune_go *go, const struct poke *poke,
                       const struct tune_request *request, struct lever_report *report,
                       struct tune_refusal *refusal);

// Writes what was planned, reads it back and ends the steps. 0 or -ENOMEM.
int tune_go_act(struct tune_go *go, const struct poke *poke, struct lever_report *report);

// Pure. The goal that belongs to a percentage: what is alive and so much more, no less than the
// minimum; all ones for off. The runtime adds stacks and globals to it, from 1.18 on, when the next
// collection ends.
uint64_t tune_go_heap_goal(uint64_t marked, int32_t percent);

// Pure. The heap's minimum that belongs to a percentage: 4 MiB * GOGC / 100 in 64 bits, of -1 too.
uint64_t tune_go_heap_minimum(int32_t percent);
// What the live heap and all that is no heap take: a limit below keeps the collector running.
struct tune_go_floor {
    uint64_t marked, mapped_ready, in_use, free; // of runtime.gcController
};
uint64_t tune_go_limit_floor(const struct tune_go_floor *figures);

#endif
