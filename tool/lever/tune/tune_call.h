// SPDX-License-Identifier: Apache-2.0
// Settings of mallocs that are changed by a call in the target, in the malloc's own words. Tool
// world; internal to tune; one thread, since calls are bound to it.
//
// jemalloc: mallctl() of arenas.*_decay_ms and of every arena's, and background_thread; each write
// of a decay time also purges what is dirty or muzzy at once. glibc: mallopt(3), which gives fast
// chunks back to the lists (malloc_consolidate()) and ends the moving of the mmap threshold.
// mimalloc: mi_option_set(). gperftools' tcmalloc: MallocExtension_SetNumericProperty().
// Sources: jemalloc(3), src/ctl.c; mallopt(3), malloc.c; mimalloc.h; malloc_extension_c.h.
#ifndef EBB_LEVER_TUNE_TUNE_CALL_H
#define EBB_LEVER_TUNE_TUNE_CALL_H

#include "call/call.h"
#include "lever/tune/scene.h"
#include "lever/tune/tune.h"
#include "runtime/allocators/mallctl.h"
#include "runtime/allocators/mimalloc_options.h"
#include "runtime/glibc/layout.h"

// The calls of one pull: opened for the first part that needs them.
struct tune_calls {
    struct call_session *session; // NULL: not opened
};

// 0; -errno with the refusal when no call can be made.
int tune_calls_open(const struct tune_scene *scene, struct tune_calls *calls,
                    struct tune_refusal *refusal);
void tune_calls_close(struct tune_calls *calls);

// Ends the step as failed, in the words of the session where it was a call that failed.
void tune_calls_fail(const struct tune_calls *calls, struct lever_step *step, int call_error,
                     const char *words);
// Records how long threads stood still.
void tune_calls_add_wait(const struct tune_calls *calls, struct lever_report *report);

// A function of one name: its run-time address and image. 0 or -ENOENT.
int tune_find_function(const struct tune_scene *scene, const char *name, uint64_t *ret_address,
                       const struct image **ret_image);

// What follows works like struct lever: plan adds steps and notes, act ends them. Plans return 0,
// -ENOMEM or -errno with the refusal; acts 0 or -ENOMEM.

enum tune_jemalloc_control { TUNE_DIRTY, TUNE_MUZZY, TUNE_BACKGROUND, TUNE_CONTROLS };

struct tune_jemalloc {
    struct mallctl copies[MALLCTL_COPIES_MAX];
    size_t count;
    bool is_wanted[TUNE_CONTROLS];
    int64_t value[TUNE_CONTROLS]; // milliseconds, or 0 and 1
    size_t first_step;            // copy by copy, control by control
};

// False when no jemalloc that can be called is there.
bool tune_jemalloc_find(const struct tune_scene *scene, struct tune_jemalloc *jemalloc);
int tune_jemalloc_plan(const struct tune_scene *scene, struct tune_jemalloc *jemalloc,
                       const struct tune_request *request, struct lever_report *report,
                       struct tune_refusal *refusal);
int tune_jemalloc_act(struct tune_jemalloc *jemalloc, struct tune_calls *calls,
                      struct lever_report *report);

struct tune_glibc {
    const struct image *image; // NULL: not there
    uint64_t function;         // mallopt; 0 not found
    char version[16];
    bool has_before;
    struct glibc_par before;
    size_t first_step; // setting by setting
};

// False without glibc, or where another malloc has taken its place.
bool tune_glibc_find(const struct tune_scene *scene, struct tune_glibc *glibc);
// Reads malloc_par where it can be found. 0; -ENOENT; -errno.
int tune_glibc_read(const struct tune_scene *scene, const struct tune_glibc *glibc,
                    struct glibc_par *ret_par);
// The value of a setting in malloc_par; false for names that are not in it. Pure.
bool tune_mallopt_value(const struct glibc_par *par, const char *name, uint64_t *ret_value);
int tune_glibc_plan(const struct tune_scene *scene, struct tune_glibc *glibc,
                    const struct tune_request *request, struct lever_report *report,
                    struct tune_refusal *refusal);
int tune_glibc_act(const struct tune_scene *scene, struct tune_glibc *glibc,
                   const struct tune_request *request, struct tune_calls *calls,
                   struct lever_report *report);

// mimalloc's options by name, and gperftools' numeric properties.
struct tune_properties {
    bool is_mimalloc;
    const struct image *image; // NULL: neither is there
    uint64_t set, get;         // mi_option_set; the two of MallocExtension
    struct mimalloc_options table;
    struct tune_settings wanted; // the request's, and what --madv-free means
    size_t first_step;
};

bool tune_properties_find(const struct tune_scene *scene, struct tune_properties *options);
int tune_properties_plan(const struct tune_scene *scene, struct tune_properties *options,
                         const struct tune_request *request, struct lever_report *report,
                         struct tune_refusal *refusal);
int tune_properties_act(const struct tune_scene *scene, struct tune_properties *options,
                        struct tune_calls *calls, struct lever_report *report);

#endif
