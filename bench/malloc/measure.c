// SPDX-License-Identifier: Apache-2.0
// Runs a command on a malloc and writes what it took as a line of JSON. Small, since a process that
// ends is charged with the peak of who forked it. Children that the command waited for count.
//
//   bench_malloc_measure RESULT LIBRARY|- COMMAND [ARGUMENT...]
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    double start = now();
    pid_t child = fork();
    if (child == 0) {
        // Whoever ends this process ends the command.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (strcmp(argv[2], "-") != 0)
            setenv("LD_PRELOAD", argv[2], 1);
        execvp(argv[3], argv + 3);
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) != child)
        return 1;
    double wall = now() - start;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    FILE *result = fopen(argv[1], "w");
    if (!result)
        return 1;
    fprintf(result,
            "{\"status\": %d, \"wall_s\": %.6f, \"user_s\": %.6f, \"sys_s\": %.6f, "
            "\"peak_kib\": %ld, \"minor_faults\": %ld}\n",
            code, wall, seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss,
            usage.ru_minflt);
    return fclose(result) == 0 ? code : 1;
}
