// SPDX-License-Identifier: Apache-2.0
// What each verb's file gives to the table in verbs.c. Tool world.
#ifndef EBB_CMD_VERBS_H
#define EBB_CMD_VERBS_H

#include "cmd/verb.h"

extern const struct verb explain_verb;
extern const struct option_spec explain_options[];
int explain_run(const struct command *command);

extern const struct verb top_verb;
extern const struct option_spec top_options[];
int top_run(const struct command *command);

extern const struct verb watch_verb;
extern const struct option_spec watch_options[];
int watch_run(const struct command *command);

extern const struct verb export_verb;
extern const struct option_spec export_options[];
int export_run(const struct command *command);

extern const struct verb record_verb;
extern const struct option_spec record_options[];
int record_run(const struct command *command);

extern const struct verb report_verb;
extern const struct option_spec report_options[];
int report_run(const struct command *command);

extern const struct verb doctor_verb;
extern const struct option_spec doctor_options[];
int doctor_run(const struct command *command);

extern const struct verb reclaim_verb;
extern const struct option_spec reclaim_options[];
int reclaim_run(const struct command *command);

extern const struct verb tune_verb;
extern const struct option_spec tune_options[];
int tune_run(const struct command *command);

extern const struct verb run_verb;
extern const struct option_spec run_options[];
int run_run(const struct command *command);

extern const struct verb balloon_verb;
extern const struct option_spec balloon_options[];
int balloon_run(const struct command *command);

extern const struct verb help_verb, help_man_verb, help_completion_verb;
int help_run(const struct command *command);
int help_man_run(const struct command *command);
int help_completion_run(const struct command *command);

#endif
