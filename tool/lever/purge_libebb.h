// SPDX-License-Identifier: Apache-2.0
// The part of purge that asks libebb: by the control word of its ledger, which stops nothing; by a
// call of ebb_purge() where nobody looks at it. Tool world; one thread; internal to purge.
#ifndef EBB_LEVER_PURGE_LIBEBB_H
#define EBB_LEVER_PURGE_LIBEBB_H

#include "call/call.h"
#include "lever/control.h"
#include "lever/lever.h"
#include "survey/survey.h"

struct purge_libebb {
    struct control control;
    struct poke poke;
    bool has_step; // planned, and to be done
    size_t step;
    struct call_session *session; // of the call, if it came to one; the owner closes it
};

// Zeros but for the descriptor.
void purge_libebb_init(struct purge_libebb *libebb);
void purge_libebb_close(struct purge_libebb *libebb);

// Adds a step where libebb is in the target; what cannot be done is a failed one that says why. The
// mappings are borrowed until it is closed. 0 or -ENOMEM.
int purge_libebb_plan(struct purge_libebb *libebb, const struct survey *survey,
                      struct process *process, const struct mappings *mappings,
                      const struct images *images, struct lever_report *report);

// Does the step, and ends it. Waits up to CONTROL_WAIT_MS. 0 or -ENOMEM.
int purge_libebb_act(struct purge_libebb *libebb, struct process *process,
                     const struct mappings *mappings, const struct images *images,
                     struct lever_report *report);

#endif
