// SPDX-License-Identifier: Apache-2.0
// What runtimes whose inside cannot be read have in common. Tool world; no state.
#ifndef EBB_RUNTIME_OPAQUE_H
#define EBB_RUNTIME_OPAQUE_H

#include <stdbool.h>

#include "image/image.h"
#include "runtime/target.h"

// Starts a report: name, place (the image's path, may be NULL for none) and version.
void opaque_name(struct runtime_report *report, const char *name, const struct image *image,
                 const char *version);

// Claims what nobody has claimed as "held by" this malloc, which can be asked for more. Only a
// malloc that serves the whole program takes it: one in the program itself or in a library whose
// name begins with `library`. A copy inside another library serves that library, and a managed
// runtime goes first: then nothing is claimed and an unread entry says why. 0 or -errno.
int opaque_claim_malloc(const struct target *target, const struct image *image, const char *library,
                        struct runtime_report *report, bool with_brk);

// The same for a malloc that has no answer to give, with what its unread entry needs.
int opaque_claim_silent(const struct target *target, const struct image *image, const char *library,
                        struct runtime_report *report, const char *needs);

// Asks a malloc whose memory was claimed so, where the target may be asked, and adds parts. An
// opaque_ask returns 0 (it has said what it lacks); -ENOENT no function to call; -EBADMSG answers
// that cannot be true; -errno of ask_begin() and the calls. Any of these leaves the claims held,
// with an unread entry that says why. 0 or -ENOMEM.
typedef int opaque_ask(const struct target *target, const struct image *image,
                       struct runtime_report *report);
int opaque_ask_malloc(const struct target *target, const struct image *image, opaque_ask *ask,
                      struct runtime_report *report);

// True when the JVM, V8 or .NET is in the target: they map most memory themselves.
bool opaque_has_managed(const struct target *target);

// True when the target's environment at its start cannot be seen: no right to, or the program has
// written its title over it, as redis, nginx and PostgreSQL do. Then a variable that is not found
// proves nothing.
bool opaque_environment_is_lost(const struct target *target);

// Says that settings which are taken to be defaults may not hold, where the environment is lost:
// for every reader that names a default. The report must have its name. 0 or -ENOMEM.
int opaque_add_lost_environment(const struct target *target, struct runtime_report *report);

// Adds the variable as a setting when the target's environment has it. 0 or -ENOMEM.
int opaque_add_environment(const struct target *target, struct runtime_report *report,
                           const char *variable);

#endif
