// SPDX-License-Identifier: Apache-2.0
// TARGET of a command line: a process ID, or a name that one process has. Tool world.
#ifndef EBB_CMD_TARGET_H
#define EBB_CMD_TARGET_H

#include <sys/types.h>

#include "cmd/messages.h"
#include "sample/sampler.h"
#include "sample/select.h"

// Finds the process that `text` names below `proc_root`. A thread's ID leads to its process, with a
// note on stderr. EXIT_DONE with `*ret_pid` set; else, after a message: EXIT_USAGE (no PID at all,
// or several processes of that name, which are listed), EXIT_NO_PROCESS, EXIT_NOT_PERMITTED,
// EXIT_FAILED.
int target_resolve(const char *proc_root, const char *text, pid_t *ret_pid);

// Says why process `pid` could not be read (-errno of process_open() or survey_take()), and what
// would help. The exit status.
int target_refuse(const char *proc_root, pid_t pid, int error);

// The same for -errno of proc_list() or proc_find_by_name().
int target_refuse_list(const char *proc_root, int error);

// Says that nothing matches what was typed, by name where it was one word: EXIT_NO_PROCESS.
int target_refuse_nobody(const char *verb, char *const *operands, size_t count);

// Reads the TARGETs of a verb that takes several; none at all mean every process. EXIT_DONE with an
// array that the caller frees; EXIT_USAGE or EXIT_FAILED after a message.
int target_select(const char *verb, char *const *operands, size_t count,
                  struct selection **ret_selections, size_t *ret_count);

// Says of each TARGET that matches nobody, beside others that do, that it does not: a slip would
// leave out the very process that was meant. Before the sampler's first round.
void target_tell_missing(const char *verb, char *const *operands, size_t count,
                         const struct sampler *sampler);

#endif
