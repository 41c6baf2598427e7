// SPDX-License-Identifier: Apache-2.0
// An environment that is changed before it is handed to a command. Tool world; its owner guards it.
#ifndef EBB_LEVER_RUN_ENVIRONMENT_H
#define EBB_LEVER_RUN_ENVIRONMENT_H

#include <stddef.h>

#include "base/text.h"

struct environment {
    char **items; // "NAME=value", NULL-terminated, as exec takes it
    size_t count, capacity;
};

// A copy of a NULL-terminated list. 0, -ENOMEM.
int environment_copy(char *const *source, struct environment *ret_environment);
void environment_free(struct environment *environment);

// The value of `name`, NULL if it is not set. The environment's own, until it is changed.
const char *environment_get(const struct environment *environment, const char *name);
// The same as a text, empty if it is not set.
struct text environment_text(const struct environment *environment, const char *name);

// Sets one variable, at the place of its first setting; further ones of that name go. 0, -ENOMEM.
int environment_set(struct environment *environment, const char *name, const char *value);
void environment_unset(struct environment *environment, const char *name);

#endif
