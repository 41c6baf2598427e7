// SPDX-License-Identifier: Apache-2.0
// What tune looks at before it changes anything: the target's mappings, images and environment, and
// words for refusals. Tool world; internal to tune.
#ifndef EBB_LEVER_TUNE_SCENE_H
#define EBB_LEVER_TUNE_SCENE_H

#include "lever/lever.h"
#include "runtime/target.h"

// Why something cannot be tuned; as lever_refuse() takes it.
struct tune_refusal {
    int error;
    char why[LEVER_WHAT_MAX], needs[LEVER_WHAT_MAX];
};

// Fills it in and returns `error`; `needs` may be "".
int tune_refuse(struct tune_refusal *refusal, int error, const char *needs, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// What would help against -EPERM: static text.
extern const char tune_needs_attach[];

struct tune_scene {
    struct mappings mappings;
    struct images images;
    struct buffer status_file, environ_file;
    struct proc_status status;
    struct locate_cache *located;
    struct proc_thread *threads;
    size_t thread_count;
    struct target target; // of all of these
};

// Reads it all. The scene must not move while it is open; it is closed in any case. 0; -errno with
// the refusal filled in; -ENOMEM. Cost: one walk of smaps.
int tune_scene_open(struct process *process, struct tune_scene *scene,
                    struct tune_refusal *refusal);
void tune_scene_close(struct tune_scene *scene);

// The readers' names that are found in the target: "Go, glibc"; "no runtime that ebb knows". Cheap
// but for the first search through the images.
void tune_scene_name_runtimes(const struct tune_scene *scene, char *ret_names, size_t size);

#endif
