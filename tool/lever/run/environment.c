// SPDX-License-Identifier: Apache-2.0
// Environments as lists of strings, see environment.h. Tool world; no state of its own.
#include "lever/run/environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

// Room for the NULL at the end is kept as well.
// Takes the item over.
static int append(struct environment *environment, char *item)
{
    int error = array_reserve_one(&environment->items, &environment->capacity,
                                  environment->count + 1, sizeof *environment->items);
    if (error)
        return error;
    environment->items[environment->count++] = item;
    environment->items[environment->count] = NULL;
    return 0;
}

int environment_copy(char *const *source, struct environment *ret_environment)
{
    struct environment environment = {0};
    int error = 0;
    // An empty one must have its NULL as well.
    environment.items = calloc(1, sizeof *environment.items);
    environment.capacity = 1;
    if (!environment.items)
        return -ENOMEM;
    // Entries without "=" are kept as they are: exec takes them too.
    for (; *source && !error; source++) {
        char *item = strdup(*source);
        error = item ? append(&environment, item) : -ENOMEM;
        if (error)
            free(item);
    }
    if (error) {
        environment_free(&environment);
        return error;
    }
    *ret_environment = environment;
    return 0;
}

// An empty one may be freed, and freed again.
void environment_free(struct environment *environment)
{
    for (size_t i = 0; i < environment->count; i++)
        free(environment->items[i]);
    free(environment->items);
    *environment = (struct environment){0};
}

// The name must be followed by "=", else GODEBU would be GODEBUG.
static bool is_of(const char *item, const char *name)
{
    size_t len = strlen(name);
    return strncmp(item, name, len) == 0 && item[len] == '=';
}

const char *environment_get(const struct environment *environment, const char *name)
{
    // The first one counts, as for getenv(3).
    for (size_t i = 0; i < environment->count; i++) {
        if (is_of(environment->items[i], name))
            return environment->items[i] + strlen(name) + 1;
    }
    return NULL;
}

struct text environment_text(const struct environment *environment, const char *name)
{
    const char *value = environment_get(environment, name);
    return text_of(value ? value : "");
}

// Takes out all of that name from `from` on.
static void remove_from(struct environment *environment, size_t from, const char *name)
{
    // What stays moves up, in its order.
    size_t kept = from;
    for (size_t i = from; i < environment->count; i++) {
        if (is_of(environment->items[i], name))
            free(environment->items[i]);
        else
            environment->items[kept++] = environment->items[i];
    }
    environment->count = kept;
    environment->items[kept] = NULL;
}

int environment_set(struct environment *environment, const char *name, const char *value)
{
    // Made before anything is changed: a failure leaves the old value.
    size_t size = strlen(name) + strlen(value) + sizeof("=");
    char *item = malloc(size);
    if (!item)
        return -ENOMEM;
    snprintf(item, size, "%s=%s", name, value);
    for (size_t i = 0; i < environment->count; i++) {
        if (!is_of(environment->items[i], name))
            continue;
        // The second of two settings would be seen by programs that walk the list themselves.
        free(environment->items[i]);
        environment->items[i] = item;
        remove_from(environment, i + 1, name);
        return 0;
    }
    int error = append(environment, item);
    if (error)
        free(item);
    return error;
}

// None of that name is no failure.
void environment_unset(struct environment *environment, const char *name)
{
    remove_from(environment, 0, name);
}
