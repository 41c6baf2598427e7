// SPDX-License-Identifier: Apache-2.0
// What each verb's file gives to the table in verbs.c. Tool world.
#ifndef EBB_CMD_VERBS_H
#define EBB_CMD_VERBS_H

#include "cmd/verb.h"

extern const struct verb explain_verb;
extern const struct option_spec explain_options[];
int explain_run(const struct command *command);

extern const struct verb doctor_verb;
extern const struct option_spec doctor_options[];
int doctor_run(const struct command *command);

extern const struct verb help_verb, help_man_verb, help_completion_verb;
int help_run(const struct command *command);
int help_man_run(const struct command *command);
int help_completion_run(const struct command *command);

#endif
