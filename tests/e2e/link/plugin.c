// SPDX-License-Identifier: Apache-2.0
// A library that allocates when it is loaded, in calls, per thread, and when it is unloaded.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static char *of_library;
static _Thread_local char *of_thread;

__attribute__((constructor)) static void load(void)
{
    of_library = strdup("loaded");
}

__attribute__((destructor)) static void unload(void)
{
    free(of_library);
    free(malloc(100000));
}

char *plugin_make(size_t bytes)
{
    free(of_thread);
    of_thread = malloc(bytes);
    char *made = calloc(1, bytes);
    return made ? strcpy(made, of_library) : NULL;
}

void plugin_end(void)
{
    free(of_thread);
    of_thread = NULL;
}
