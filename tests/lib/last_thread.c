// SPDX-License-Identifier: Apache-2.0
// The main thread ends before the others, and leaves text in stdout's buffer: libc writes it when
// the last thread ends, which must be one of the program's.
//
//   last_thread [fork]   fork: all of it in a child
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS      400
#define BLOCK_BYTES 100000

// Enough for a helper to be worth it, and time for it to begin.
static void *work(void *unused)
{
    static char *blocks[BLOCKS];
    (void)unused;
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK_BYTES);
        memset(blocks[i], 1, BLOCK_BYTES);
    }
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    usleep(200000);
    printf("worker\n");
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc > 1 && strcmp(argv[1], "fork") == 0) {
        work(NULL);
        pid_t child = fork();
        int status = 1;
        if (child)
            return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
    }
    printf("main\n");
    if (pthread_create(&thread, NULL, work, NULL) != 0)
        return 1;
    pthread_exit(NULL);
}
