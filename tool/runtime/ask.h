// SPDX-License-Identifier: Apache-2.0
// Asking a runtime itself, by calls in the target, where it cannot be read from outside: `ebb
// explain --ask`. Tool world; one thread.
//
// A call is no reading: one thread of the target is stopped for some milliseconds, and what it
// calls may write to memory (jemalloc's epoch). So readers ask only where a target has an `ask`,
// which the person who typed the command wanted.
#ifndef EBB_RUNTIME_ASK_H
#define EBB_RUNTIME_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call/call.h"
#include "runtime/target.h"

// The session of one reading, shared by its readers. Zero before the first; ask_close() at the end.
struct ask {
    struct call_session *session; // opened when the first reader asks
    struct call_refusal refusal;  // words of the last failure
    int error;                    // why it could not be opened: no reader tries again
};

// Opens the session at the first need and stops a thread. 0, and the thread stands still until
// ask_end(); -errno with words in target->ask->refusal. Precondition: target->ask.
int ask_begin(const struct target *target, struct call_session **ret_session);
// Lets the thread go. `error` is what the calls came to: words of a failure are kept.
void ask_end(const struct target *target, int error);
void ask_close(struct ask *ask);

// Adds "WHAT: why it could not be asked" to what could not be read, with what would help. 0 or
// -ENOMEM.
int ask_add_unread(const struct target *target, struct runtime_report *report, const char *what,
                   int error);

// The function of this name in one image, as a run-time address; 0 for none.
uint64_t ask_find_function(const struct image *image, const char *name);

// Counts, not residency, is what a runtime answers: an account measures. Of a malloc whose claims
// are all that it may hold.
struct ask_answer {
    uint64_t in_use_bytes, slack_bytes, kept_bytes, metadata_bytes;
    uint64_t error_bytes; // how far in_use_bytes changed while it was asked
    const char *source;   // static
};

// Adds the parts, cut to what is resident in the report's claims: free pages first, since those
// never touched are counted as free, then slack, then objects that were never touched. What was cut
// is the error of what it was cut from. 0 or -ENOMEM.
int ask_add_parts(struct runtime_report *report, const struct ask_answer *answer);

#endif
