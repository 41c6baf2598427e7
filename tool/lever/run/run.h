// SPDX-License-Identifier: Apache-2.0
// The lever that starts a command with a memory policy: ebb sets everything up and becomes the
// command. Tool world; one thread.
//
// There is no target yet, so lever_pull() has nothing to lock and read; the report is the same:
// run_plan() looks and says, run_start() acts. Nobody is left to look again, but for the watcher
// that --check asks for.
#ifndef EBB_LEVER_RUN_RUN_H
#define EBB_LEVER_RUN_RUN_H

#include <signal.h>

#include "lever/lever.h"
#include "lever/run/watch.h"

enum run_madv_free { RUN_MADV_FREE_ALONE, RUN_MADV_FREE_OFF, RUN_MADV_FREE_ON };

struct run_request {
    char *const *argv; // the command; NULL-terminated
    char *const *environment;
    enum run_madv_free madv_free;
    const char *allocator; // a name of library.h, "glibc", or a path; NULL: leave alone
    uint64_t limit_bytes;  // 0: none
    uint64_t check_ns;     // 0: none; only with RUN_MADV_FREE_OFF
    void (*tell)(const struct watch_result *result); // for check_ns: runs in the watcher
    sigset_t
        ignored; // now, and not when this program began: the command has them at their defaults
};

enum { RUN_LIMIT_MIN_BYTES = 1 << 20 };

struct run;

// Looks at the command and at the host, and fills in the report: steps, warnings, notes. Changes
// nothing. 0 and a handle for run_free(); -ENOMEM; else -errno with a refusal in the report:
// -ENOTSUP, -EINVAL, ... what was asked for cannot be; or, told by `*ret_is_command`, the command
// cannot: -ENOENT there is none, -EACCES not executable. The request must outlive the handle.
int run_plan(const struct run_request *request, struct run **ret_run, struct lever_report *report,
             bool *ret_is_command);

// Does the steps and becomes the command. Returns only on failure, with -errno and a refusal in the
// report; `*ret_is_command` as above.
int run_start(struct run *run, struct lever_report *report, bool *ret_is_command);

void run_free(struct run *run);

#endif
