// SPDX-License-Identifier: Apache-2.0
// Forks in the middle of everything: threads that open, write and close streams (stdio's locks
// around malloc's), allocate large and small, free each other's blocks, begin and end; and a thread
// that forks all the while. Each child uses the heap and stdio and must end by itself.
//
//   forks COUNT     0, or a line and 1
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_bool is_over;
static void *_Atomic passed[64];

static void *use_streams(void *unused)
{
    (void)unused;
    char *line = NULL;
    size_t room = 0;
    while (!is_over) {
        FILE *file = fopen("/proc/self/status", "r");
        while (file && getline(&line, &room, file) > 0)
            continue;
        if (file)
            fclose(file);
        fflush(NULL);
    }
    free(line);
    return NULL;
}

static void *use_heap(void *pointer)
{
    unsigned random = (unsigned)(size_t)pointer;
    while (!is_over) {
        random = random * 1103515245 + 12345;
        size_t bytes = (size_t)16 << (random >> 16) % 17;
        char *block = malloc(bytes);
        memset(block, 1, bytes < 4096 ? bytes : 4096);
        free(atomic_exchange(&passed[random >> 8 & 63], block));
    }
    return NULL;
}

static void *live_briefly(void *unused)
{
    (void)unused;
    for (int i = 0; i < 50; i++)
        free(atomic_exchange(&passed[i], malloc(100 + (size_t)i * 100)));
    return NULL;
}

static void *start_threads(void *unused)
{
    (void)unused;
    while (!is_over) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, live_briefly, NULL) == 0)
            pthread_join(thread, NULL);
    }
    return NULL;
}

static void *live_in_child(void *unused)
{
    (void)unused;
    free(malloc(5000));
    return NULL;
}

static void run_child(void)
{
    alarm(20);
    char *blocks[200];
    for (int i = 0; i < 200; i++)
        blocks[i] = malloc((size_t)i * 97);
    for (int i = 0; i < 200; i++)
        free(blocks[i]);
    for (int i = 0; i < 64; i++)
        free(atomic_exchange(&passed[i], NULL));
    FILE *file = fopen("/proc/self/stat", "r");
    char text[512];
    bool is_read = file && fread(text, 1, sizeof text, file) > 0;
    if (file)
        fclose(file);
    pthread_t thread;
    if (pthread_create(&thread, NULL, live_in_child, NULL) == 0)
        pthread_join(thread, NULL);
    fflush(NULL);
    _exit(is_read ? 0 : 1);
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 100;
    static void *(*const works[])(void *) = {use_streams, use_streams, use_heap, use_heap,
                                             start_threads};
    enum { WORKS = sizeof works / sizeof *works };
    pthread_t threads[WORKS];
    for (size_t i = 0; i < WORKS; i++)
        pthread_create(&threads[i], NULL, works[i], (void *)(i + 1));
    int bad = 0;
    for (int i = 0; i < count && !bad; i++) {
        pid_t child = fork();
        if (child == 0)
            run_child();
        int status = 0;
        while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
            continue;
        if (status != 0)
            bad = fprintf(stderr, "forks: child %d ended with status %#x\n", i, (unsigned)status);
    }
    is_over = true;
    for (size_t i = 0; i < WORKS; i++)
        pthread_join(threads[i], NULL);
    return bad != 0;
}
