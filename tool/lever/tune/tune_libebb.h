// SPDX-License-Identifier: Apache-2.0
// libebb's policy and bound, by the control word of its ledger: no stop and no call. Tool world;
// internal to tune.
#ifndef EBB_LEVER_TUNE_TUNE_LIBEBB_H
#define EBB_LEVER_TUNE_TUNE_LIBEBB_H

#include "lever/control.h"
#include "lever/tune/scene.h"
#include "lever/tune/tune.h"

struct tune_libebb {
    bool is_there;
    int error; // of control_find(): why its ledger cannot be used; 0
    struct control control;
    struct control_request wanted;
    char version[32];
    size_t step;
    bool has_step;
};

// True when libebb is there, usable or not.
bool tune_libebb_find(const struct tune_scene *scene, struct tune_libebb *libebb);
// 0; else the refusal says why nothing can be asked of it.
int tune_libebb_check(const struct tune_libebb *libebb, struct tune_refusal *refusal);

// As the other parts of tune: plan adds the step and notes, act ends it. 0, -ENOMEM, or -errno with
// the refusal.
int tune_libebb_plan(const struct tune_scene *scene, struct tune_libebb *libebb,
                     const struct tune_request *request, struct lever_report *report,
                     struct tune_refusal *refusal);
int tune_libebb_act(const struct tune_scene *scene, struct tune_libebb *libebb,
                    const struct poke *poke, struct lever_report *report);

#endif
