// SPDX-License-Identifier: Apache-2.0
// Makes calls in a process, as the levers do, and tells what came of them. Test code.
//   caller [-n TIMES] [-b CALLS] [-w WAIT_MS] [-t TIMEOUT_MS] [-p PAUSE_US] PID FUNCTION
//   [ARGUMENT...]
// ARGUMENT is a number, or s:STRING. Each of TIMES stops makes CALLS calls. Prints one line of
// "key=value" words and exits 0 when all were good, 1 after a failure, 3 when refused.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call/call.h"

enum { EXIT_REFUSED = 3 };

struct caller {
    unsigned long times, calls, pause_us;
    struct call_options options;
    const char *const *arguments;
    size_t count;
    uint64_t function, value;
};

static void parse(struct caller *caller, int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "+n:b:w:t:p:")) != -1) {
        unsigned long number = strtoul(optarg ? optarg : "0", NULL, 10);
        if (option == 'n')
            caller->times = number;
        else if (option == 'b')
            caller->calls = number;
        else if (option == 'w')
            caller->options.wait_ms = (unsigned)number;
        else if (option == 't')
            caller->options.timeout_ms = (unsigned)number;
        else if (option == 'p')
            caller->pause_us = number;
        else
            exit(2);
    }
}

static int make(struct caller *caller, struct call_session *session)
{
    uint64_t values[CALL_ARGUMENTS_MAX];
    call_put_reset(session);
    for (size_t i = 0; i < caller->count; i++) {
        const char *argument = caller->arguments[i];
        if (strncmp(argument, "s:", 2) != 0) {
            values[i] = strtoull(argument, NULL, 0);
            continue;
        }
        int error = call_put(session, argument + 2, strlen(argument + 2) + 1, &values[i]);
        if (error)
            return error;
    }
    return call_make(session, caller->function, values, caller->count, &caller->value);
}

static int one_stop(struct caller *caller, struct call_session *session)
{
    int error = call_begin(session);
    for (unsigned long i = 0; i < caller->calls && !error; i++)
        error = make(caller, session);
    call_end(session);
    if (caller->pause_us)
        usleep((useconds_t)caller->pause_us);
    return error;
}

static int tell(const struct call_session *session, int error, uint64_t value)
{
    const struct call_stats *stats = call_get_stats(session);
    const struct call_refusal *why = call_why(session);
    char words[24] = "unknown";
    if (call_knows_values(session))
        snprintf(words, sizeof words, "%" PRId64, (int64_t)value);
    printf("error=%d value=%s calls=%" PRIu64 " stops=%" PRIu64 " retries=%" PRIu64
           " longest_us=%" PRIu64 " total_us=%" PRIu64 " tid=%d syscall=%ld anew=%d\n",
           error, words, stats->calls, stats->stops, stats->retries, stats->longest_stop_ns / 1000,
           stats->total_stop_ns / 1000, (int)stats->tid, stats->syscall, stats->wait_began_anew);
    if (error)
        printf("why=%s\nneeds=%s\n", why->why, why->needs);
    return error ? 1 : 0;
}

static int use(struct caller *caller, struct process *process, const struct mappings *mappings,
               const struct images *images)
{
    struct call_session *session;
    struct call_refusal refusal = {0};
    int error = call_open(process, mappings, images, &caller->options, &session, &refusal);
    if (error) {
        printf("refused=%d\nwhy=%s\nneeds=%s\n", error, refusal.why, refusal.needs);
        return EXIT_REFUSED;
    }
    for (unsigned long i = 0; i < caller->times && !error; i++)
        error = one_stop(caller, session);
    int status = tell(session, error, caller->value);
    call_close(session);
    return status;
}

int main(int argc, char **argv)
{
    struct caller caller = {.times = 1, .calls = 1};
    struct process *process;
    struct mappings mappings = {0};
    struct images images = {0};
    size_t skipped;
    parse(&caller, argc, argv);
    if (argc - optind < 2 || argc - optind - 2 > CALL_ARGUMENTS_MAX)
        return 2;
    const char *const names[] = {argv[optind + 1], NULL};
    caller.arguments = (const char *const *)argv + optind + 2;
    caller.count = (size_t)(argc - optind - 2);
    int error = process_open("/proc", (pid_t)strtol(argv[optind], NULL, 10), &process);
    if (!error)
        error = mappings_read(process, &mappings);
    if (!error)
        error = images_open(process, &mappings, &images, &skipped);
    const struct image *image;
    if (!error && strncmp(names[0], "0x", 2) == 0)
        caller.function = strtoull(names[0], NULL, 16);
    else if (!error)
        error = call_find_function(&images, names, &caller.function, &image);
    if (error) {
        printf("error=%d\n", error);
        return 1;
    }
    int status = use(&caller, process, &mappings, &images);
    images_close(&images);
    mappings_free(&mappings);
    process_close(process);
    return status;
}
