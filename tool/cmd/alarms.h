// SPDX-License-Identifier: Apache-2.0
// Alarms of a verb that follows processes: its options --alarm, --exec and --webhook, and what they
// do at each round. Tool world; one thread uses them.
//
// A verb has the three options in its table, each an OPTION_STRING, opens the alarms once they are
// parsed, and steps them behind each round of its sampler.
#ifndef EBB_CMD_ALARMS_H
#define EBB_CMD_ALARMS_H

#include "cmd/options.h"
#include "sample/sampler.h"

struct alarms;

// Reads the three options. EXIT_DONE with alarms that alarms_close() frees, NULL without --alarm;
// else EXIT_USAGE or EXIT_FAILED after a message.
int alarms_open(const char *verb, const struct options *options, struct alarms **ret_alarms);

// Takes a round over: tells what begins and ends on stderr, by the command and the web hook, and
// gives each as an event to `on_event` (may be NULL), for a recording. Never waits. NULL is fine.
void alarms_step(struct alarms *alarms, struct sampler *sampler, const struct batch *batch,
                 void (*on_event)(void *context, const struct event *event), void *context);

// Waits a few seconds for messages on their way. NULL is fine.
void alarms_close(struct alarms *alarms);

#endif
