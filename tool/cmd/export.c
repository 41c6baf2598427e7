// SPDX-License-Identifier: Apache-2.0
// ebb export: rounds of readings in the background, their metrics over HTTP or in a file. Tool
// world; no state of its own.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd/export_parts.h"
#include "cmd/target.h"
#include "cmd/verbs.h"

// In the order of enum metrics_grouping: the option's number is used as one, but for the last,
// which is by name too.
static const char *const group_choices[] = {"name", "cgroup", "uid", "process", NULL};
enum { GROUP_BY_PROCESS = 3 };

// Loopback, all processes, names, ten seconds: what is right for most needs no option.
const struct option_spec export_options[] = {
    {.name = "listen",
     .letter = 'l',
     .kind = OPTION_STRING,
     .argument = "ADDRESS[:PORT]",
     .fallback = "127.0.0.1:9876",
     .help = "Where to serve. Port 0 takes any that is free."},
    {.name = "allow-remote",
     .kind = OPTION_FLAG,
     .help = "Allow an address that other hosts can reach."},
    {.name = "token-file",
     .kind = OPTION_STRING,
     .argument = "FILE",
     .help = "Serve only who sends the token in FILE (Authorization: Bearer)."},
    {.name = "textfile",
     .kind = OPTION_STRING,
     .argument = "FILE",
     .help = "Do not serve: write FILE at each interval, for node_exporter's textfile collector."},
    {.name = "once", .kind = OPTION_FLAG, .help = "With --textfile: write it once, and end."},
    {.name = "interval",
     .letter = 'i',
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .fallback = "10s",
     .help = "Between two rounds of readings. A scrape gets the last one."},
    {.name = "group-by",
     .letter = 'g',
     .kind = OPTION_CHOICE,
     .choices = group_choices,
     .fallback = "name",
     .help = "What processes are summed up by. process: each its own group, by name and PID; "
             "series come and go with processes."},
    {.name = "top",
     .letter = 't',
     .kind = OPTION_COUNT,
     .argument = "N",
     .fallback = "50",
     .help = "Groups with series of their own, by effective RSS; all others are \"other\"."},
    {.name = "all",
     .letter = 'a',
     .kind = OPTION_FLAG,
     .help = "All processes, as without TARGET."},
    {.name = "proc-root",
     .kind = OPTION_STRING,
     .argument = "DIR",
     .fallback = "/proc",
     .help = "Another proc tree, such as the host's in a container."},
    {.name = NULL},
};

// What goes with what, and bounds that protect from slips: a round each millisecond, a million
// series.
static int check_usage(const struct options *options)
{
    // The table says what each option is by itself; here is what they are together.
    int status = verb_check_interval("export", options);
    if (status != EXIT_DONE)
        return status;
    uint64_t top = options_get(options, "top")->number;
    bool is_file = options_get(options, "textfile")->given;
    if (top < 1 || top > METRICS_TOP_MAX)
        return message_refuse_usage("export", "--top is from 1 to 10000");
    if (options_flag(options, "once") && !is_file)
        return message_refuse_usage("export", "--once goes with --textfile");
    if (is_file &&
        (options_get(options, "listen")->given || options_flag(options, "allow-remote") ||
         options_get(options, "token-file")->given))
        return message_refuse_usage("export", "--textfile does not serve: leave --listen, "
                                              "--allow-remote and --token-file out");
    if (options_flag(options, "all") && options->operand_count > 0)
        return message_refuse_usage("export", "--all and a TARGET do not go together");
    return EXIT_DONE;
}

// Budgets are the sampler's own; --once makes a round without any.
static int open_source(const struct options *options, const struct selection *selections,
                       size_t count, struct export_source **ret_source)
{
    const struct sampler_options sampler = {
        .proc_root = options_get(options, "proc-root")->string,
        .selections = selections,
        .selection_count = count,
        .interval_ms = options_get_ms(options, "interval"),
        // A service that restarts must not vanish from its graphs.
        .follow = true,
        // The sums of groups are whole with all of their processes only.
        .has_self = true,
    };
    // Whole sums need every process of the host: any TARGET leaves some out.
    uint64_t group_by = options_get(options, "group-by")->number;
    bool is_each = group_by == GROUP_BY_PROCESS;
    const struct metrics_options metrics = {
        .grouping = is_each ? METRICS_BY_NAME : (enum metrics_grouping)group_by,
        .top = options_get(options, "top")->number,
        .pids = is_each,
        .is_complete = options->operand_count == 0,
    };
    int error = export_source_open(&sampler, &metrics, ret_source);
    // PIDs alone, and none of them there: nothing can come of that.
    if (error == -ESRCH)
        return target_refuse_nobody("export", options->operands, options->operand_count);
    return error ? target_refuse_list(sampler.proc_root, error) : EXIT_DONE;
}

// Waits for the next round. False when ebb shall end: the signals are blocked everywhere else, so
// that a file is never left half written.
static bool wait_ms(uint64_t ms)
{
    // What ends a service, a terminal's user, and a terminal itself.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    const struct timespec limit = {(time_t)(ms / 1000), (long)(ms % 1000 * 1000000)};
    // An interruption by anything else makes a round come early, which does no harm.
    return sigtimedwait(&ends, NULL, &limit) < 0;
}

// Before any thread starts: threads inherit the mask of who makes them.
static void block_ends(void)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    // Threads inherit it: only wait_ms() takes these signals.
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
}

// The reason, and the exit status where this is the end. A failure that lasts is told once, and its
// end too: `*is_told` remembers it.
static int write_file(struct export_source *source, const char *path, bool *is_told)
{
    char shown[MESSAGE_NAME_MAX];
    message_escape(path, shown, sizeof shown);
    int error = export_textfile_write(source, path);
    bool was_told = *is_told;
    *is_told = error != 0;
    if (!error) {
        if (was_told)
            message_error("%s is written again", shown);
        return EXIT_DONE;
    }
    if (!was_told)
        message_error("cannot write %s: %s", shown, strerror(-error));
    return error == -EACCES || error == -EPERM ? EXIT_NOT_PERMITTED : EXIT_FAILED;
}

// A TARGET that nothing matches: a slip, or a service that is not up yet. Once, it is a failure;
// who stays has time, and finds it when it comes. EXIT_DONE where there are processes.
static int tell_nobody(const struct options *options, const struct export_source *source)
{
    if (options->operand_count == 0 || export_source_count(source) > 0)
        return EXIT_DONE;
    int status = target_refuse_nobody("export", options->operands, options->operand_count);
    if (options_flag(options, "once"))
        message_hint("The metrics are written without any process, so that old ones do not stay.");
    else
        message_hint("Going on: metrics of a process begin when one comes.");
    return status;
}

// A round that failed leaves the metrics of the one before, which say how old they are; and a disk
// that is full may have room tomorrow. Only what fails from the start ends the exporter.
static int go_on(const struct options *options, struct export_source *source)
{
    // One message for a failure that lasts, not one for each round.
    const char *file = options_get(options, "textfile")->string;
    bool is_told = false, is_file_told = false;
    // Wall-clock drift does not add up: the next round is due on the sampler's grid.
    while (wait_ms(export_source_due_ms(source))) {
        int error = export_source_round(source);
        if (error && !is_told)
            message_error("export: a round of readings failed: %s", strerror(-error));
        is_told = error != 0;
        if (file && !error)
            (void)write_file(source, file, &is_file_told);
    }
    return EXIT_DONE;
}

// The port first: one that is taken is told at once, and not after the first round.
static int serve(const struct options *options, struct export_source *source)
{
    struct export_server *server = NULL;
    int status = export_server_start(options, source, &server);
    if (status != EXIT_DONE)
        return status;
    // Before the first round, so that a scrape may come at once; it gets what there is.
    int error = export_source_round(source);
    if (error) {
        status = target_refuse_list(options_get(options, "proc-root")->string, error);
    } else {
        (void)tell_nobody(options, source);
        status = go_on(options, source);
    }
    // After this no thread renders: the caller may close the source.
    export_server_stop(server);
    return status;
}

// The file is replaced by its name: a device or a link would be gone.
static int check_file(const char *path)
{
    struct stat status;
    if (lstat(path, &status) < 0 || S_ISREG(status.st_mode))
        return EXIT_DONE;
    char shown[MESSAGE_NAME_MAX];
    message_escape(path, shown, sizeof shown);
    message_error("export: %s is no regular file, and would be replaced by one", shown);
    message_hint("Give the name of a file, such as "
                 "/var/lib/prometheus/node-exporter/ebb.prom.");
    return EXIT_FAILED;
}

// A first file that cannot be written ends it: nobody watches a directory that is not there.
static int write_files(const struct options *options, struct export_source *source)
{
    const char *file = options_get(options, "textfile")->string;
    int status = check_file(file);
    if (status != EXIT_DONE)
        return status;
    // Once: whoever calls it from a timer wants accounts, not a budget.
    bool is_once = options_flag(options, "once");
    int error = is_once ? export_source_round_whole(source) : export_source_round(source);
    if (error)
        return target_refuse_list(options_get(options, "proc-root")->string, error);
    // Whoever reads the folder finds metrics from the first moment on.
    bool is_told = false;
    status = write_file(source, file, &is_told);
    if (status != EXIT_DONE)
        return status;
    status = tell_nobody(options, source);
    return is_once ? status : go_on(options, source);
}

// Options, what is meant, the source, and then one of the two ways.
int export_run(const struct command *command)
{
    const struct options *options = &command->options;
    struct selection *selections;
    struct export_source *source;
    size_t count;
    int status = check_usage(options);
    if (status == EXIT_DONE)
        status =
            target_select("export", options->operands, options->operand_count, &selections, &count);
    if (status != EXIT_DONE)
        return status;
    block_ends();
    status = open_source(options, selections, count, &source);
    if (status == EXIT_DONE) {
        bool is_file = options_get(options, "textfile")->given;
        status = is_file ? write_files(options, source) : serve(options, source);
        export_source_close(source);
    }
    free(selections);
    return status;
}
