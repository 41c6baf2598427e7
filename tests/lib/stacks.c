// SPDX-License-Identifier: Apache-2.0
// Threads end in a process that has been at rest, and libc gives back some of their stacks: it
// frees what belongs to them while it holds the lock of its stacks, which pthread_create() takes as
// well. Where that free starts the helper, nobody gets on any more.
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS     10 // of 8 MiB each: libc keeps 40 MiB of stacks
#define STACK_BYTES ((size_t)8 << 20)

static void *rest(void *unused)
{
    return unused;
}

// A child begins without a helper, as a process does that has been at rest for ten seconds.
static int run_threads(void)
{
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], &attributes, rest, NULL) != 0)
            return 1;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

int main(void)
{
    void *few[64];
    // Enough for a helper to be worth it; and of each size a block to be had without asking.
    char *held = memset(malloc(8 << 20), 1, 8 << 20);
    void *many[200];
    for (int i = 0; i < 200; i++)
        many[i] = memset(malloc(60000), 1, 60000);
    for (int i = 0; i < 64; i++)
        few[i] = malloc(16u * (unsigned)(i + 1));
    for (int i = 0; i < 64; i += 2)
        free(few[i]);
    for (int i = 0; i < 200; i += 2)
        free(many[i]);
    // The helper finds nothing more to do after a second, and closes the spans to plain frees.
    usleep(2500000);
    pid_t child = fork();
    if (child == 0) {
        int status = run_threads();
        _exit(status);
    }
    int status = 1;
    for (int waited = 0; waited < 500 && waitpid(child, &status, WNOHANG) == 0; waited++)
        usleep(10000);
    free(held);
    if (status != 0)
        kill(child, SIGKILL);
    return status != 0;
}
