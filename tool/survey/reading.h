// SPDX-License-Identifier: Apache-2.0
// The steps of a survey, in the order in which survey_take() makes them. Tool world; internal to
// survey.
#ifndef EBB_SURVEY_READING_H
#define EBB_SURVEY_READING_H

#include "survey/survey.h"

// Who the process is: status, stat, names, times, cgroup, host. Refuses kernel threads (-ENOEXEC)
// and zombies (-ECHILD). 0 or -errno. Cost: about 0.3 ms.
int survey_read_identity(const struct survey_options *options, struct process *process,
                         struct survey *survey);

// Where its memory is: mappings, images, threads, runtimes, and the account of them. 0 or -errno;
// missing rights become entries of survey->unread and leave has_account false. Cost: one walk of
// smaps, during which the target's mmap and munmap wait, and what the runtimes' readers take.
int survey_read_memory(const struct survey_options *options, struct process *process,
                       struct survey *survey);

// Watches the process for options->observe_s. `first` is a survey made just before; its figures are
// the first sample, `last`, empty before, is a whole new survey made at the end. 0; -ESRCH or
// -ESTALE when it ends or calls exec in the middle; -errno. has_growth stays false where there were
// not two samples to compare.
int survey_observe(const struct survey_options *options, struct process *process,
                   const struct survey *first, struct survey *last);

// CLOCK_MONOTONIC in seconds.
double survey_now_s(void);

// Adds to the list of what could not be read; texts are copied, overlong ones cut. `needs` is a
// noun
// ("the right to read it") or begins with "nothing": renderers make a sentence of it. 0 or -ENOMEM.
int survey_add_unread(struct survey *survey, const char *what, const char *needs);

// What would help against this -errno of a read, as a `needs` text. Static.
const char *survey_needs(int error);

#endif
