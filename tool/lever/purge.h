// SPDX-License-Identifier: Apache-2.0
// The part of a lever that asks the target's mallocs to give back what they keep, each in its own
// words, by a call in the target. Tool world; one thread, since the calls are bound to it.
//
// A lever embeds it: purge_plan() in its own plan, purge_act() first in its own act. What a malloc
// gave back lazily is still resident then: it is for reclaim to take.
#ifndef EBB_LEVER_PURGE_H
#define EBB_LEVER_PURGE_H

#include "lever/lever.h"

struct purge;

// 0 with one that purge_free() frees, NULL allowed there; -ENOMEM.
int purge_new(struct purge **ret_purge);
void purge_free(struct purge *purge);

// As in struct lever, with the struct purge as context; once each, in this order.
//
// purge_plan() surveys the target (a walk of smaps, as `ebb explain`) and adds a step for each
// malloc that can be asked, and a note for each runtime that cannot, with what does work. Where no
// call is possible at all, the steps are failed ones that say why, and purge_act() leaves them.
// 0 then too: what else the lever does may still be worth doing. -errno after lever_refuse() when
// the target could not be surveyed: it ended, called exec, or may not be looked at; -ENOMEM.
int purge_plan(void *context, struct process *process, struct lever_report *report);
// Makes the calls, ends the steps and records the waits. Always 0 but for -ENOMEM.
int purge_act(void *context, struct process *process, struct lever_report *report);

#endif
