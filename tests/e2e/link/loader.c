// SPDX-License-Identifier: Apache-2.0
// Loads and unloads libraries that allocate, and keeps their blocks. "good", or what is wrong.
//
//   loader plugin FILE     a library that uses the program's malloc: again and again, in a thread
//   loader deep FILE       the same library, told to take libc's malloc before the program's
//   loader malloc FILE     libebb itself, beside the malloc that the program has
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMES 50

static const char *path;
static int mode = RTLD_NOW | RTLD_LOCAL;

static int fail(const char *what)
{
    printf("wrong: %s\n", what);
    return 1;
}

static void *use_plugin(void *unused)
{
    (void)unused;
    void *library = dlopen(path, mode);
    if (!library)
        return NULL;
    char *(*make)(size_t) = (char *(*)(size_t))(uintptr_t)dlsym(library, "plugin_make");
    void (*end)(void) = (void (*)(void))(uintptr_t)dlsym(library, "plugin_end");
    char *made = NULL;
    for (size_t bytes = 100; bytes < 2000000; bytes *= 3) {
        free(made);
        made = make(bytes);
    }
    end();
    // What it made outlives it.
    dlclose(library);
    return made;
}

static int try_plugin(void)
{
    for (int i = 0; i < TIMES; i++) {
        char *made;
        pthread_t thread;
        if (i % 2) {
            pthread_create(&thread, NULL, use_plugin, NULL);
            pthread_join(thread, (void **)&made);
        } else {
            made = use_plugin(NULL);
        }
        if (!made || strcmp(made, "loaded") != 0)
            return fail("the plugin's block");
        free(made);
    }
    return 0;
}

static void *end_with_block(void *allocate)
{
    void *(*function)(size_t) = (void *(*)(size_t))(uintptr_t)allocate;
    return function(1000);
}

static int try_malloc(void)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return fail(dlerror());
    void *allocate = dlsym(library, "malloc");
    void (*release)(void *) = (void (*)(void *))(uintptr_t)dlsym(library, "free");
    if (!allocate || allocate == dlsym(RTLD_DEFAULT, "malloc"))
        return fail("there is one malloc");
    void *blocks[20];
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, end_with_block, allocate);
        pthread_join(thread, &blocks[i]);
        memset(blocks[i], 1, 1000);
    }
    dlclose(library);
    // It stays: its blocks are there, and so is its code for threads that end.
    for (int i = 0; i < 20; i++)
        release(blocks[i]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    path = argv[2];
    if (strcmp(argv[1], "deep") == 0)
        mode |= RTLD_DEEPBIND;
    int result = strcmp(argv[1], "malloc") == 0 ? try_malloc() : try_plugin();
    if (!result)
        puts("good");
    return result;
}
