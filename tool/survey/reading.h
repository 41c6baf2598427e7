// SPDX-License-Identifier: Apache-2.0
// The steps of a survey, in the order in which survey_take() makes them. Tool world; internal to
// survey.
#ifndef EBB_SURVEY_READING_H
#define EBB_SURVEY_READING_H

#include "survey/survey.h"

// Who the process is: status, stat, names, times, cgroup, host. Refuses kernel threads (-ENOEXEC)
// and zombies
// (-ECHILD). 0 or -errno.
int survey_read_identity(const struct survey_options *options, struct process *process,
                         struct survey *survey);

// Where its memory is: mappings, images, threads, runtimes, and the account of them. 0 or -errno;
// missing rights become entries of survey->unread and leave has_account false.
int survey_read_memory(const struct survey_options *options, struct process *process,
                       struct survey *survey);

// Watches the process for options->observe_s. `first` is a survey made just before; its figures are
// the first sample, `last` is filled in with a new survey of memory for the last one. 0 or -errno.
int survey_observe(const struct survey_options *options, struct process *process,
                   const struct survey *first, struct survey *last);

// Adds to the list of what could not be read. 0 or -ENOMEM.
int survey_add_unread(struct survey *survey, const char *what, const char *needs);

// What would help against this -errno of a read.
const char *survey_needs(int error);

#endif
