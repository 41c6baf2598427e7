// SPDX-License-Identifier: Apache-2.0
// The verdict: is it a leak, with the numbers behind it, the traps that apply and what to do next.
// Tool world; pure.
#ifndef EBB_ACCOUNT_VERDICT_H
#define EBB_ACCOUNT_VERDICT_H

#include <stdbool.h>

#include "account/account.h"
#include "account/growth.h"
#include "proc/cgroup.h"
#include "proc/host.h"

// Codes are public: --exit-code adds them to 10, and the JSON has them.
enum verdict_code {
    VERDICT_LAZY = 1,
    VERDICT_KEPT = 2,
    VERDICT_FRAGMENTED = 3,
    VERDICT_GROWING = 4,
    VERDICT_IN_USE = 5,
    VERDICT_FILES = 6,
    VERDICT_UNKNOWN = 7,
};

enum { VERDICT_TEXT_MAX = 400, VERDICT_LINES_MAX = 16 };

// A fixed-size list of sentences: 6 KiB each, so that a verdict needs no memory and cannot fail.
struct verdict_lines {
    char text[VERDICT_LINES_MAX][VERDICT_TEXT_MAX];
    size_t count;
};

struct verdict {
    enum verdict_code code;
    char headline[VERDICT_TEXT_MAX]; // "lazy, not a leak. 79 % of RSS is ..."
    struct verdict_lines reasons;    // the numbers: runtime's beside kernel's
    struct verdict_lines traps;      // known traps that apply here
    struct verdict_lines next;       // commands to run next, or settings to change
};

struct verdict_input {
    const struct account *account;        // NULL where smaps could not be read
    const struct runtime_report *reports; // without those that are FACT_GROUND
    size_t report_count;
    const struct growth *growth; // NULL when nothing was observed over time
    const struct cgroup *cgroup; // version 0 when there is none
    const struct host *host;
    int pid;
    // What names the process on ebb's command line ("4121", "--proc-root DIR 2"); NULL: its pid.
    const char *operand;
    // The pid is one of this namespace, so that other tools may be given it.
    bool is_live;
    size_t thread_count;
    bool lacks_rights; // more could be read with more rights
};

// Cannot fail: with little to go by the verdict is unknown, and says what is missing. What is
// printed depends on the input alone.
void verdict_reach(const struct verdict_input *input, struct verdict *ret_verdict);

const char *verdict_name(enum verdict_code code); // "lazy", "in-use", ...

#endif
