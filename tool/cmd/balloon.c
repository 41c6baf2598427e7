// SPDX-License-Identifier: Apache-2.0
// ebb balloon: which group, which process to watch, then the lever. Tool world; no state.
#include "cmd/verbs.h"

#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "cmd/levers.h"
#include "cmd/target.h"
#include "lever/balloon/balloon.h"

const struct option_spec balloon_options[] = {
    // A group in either spelling: the directory, or the path as /proc/PID/cgroup has it.
    {.name = "cgroup",
     .letter = 'c',
     .kind = OPTION_STRING,
     .argument = "PATH",
     .help = "The memory cgroup to press on: its directory, or its path in the hierarchy."},
    {.name = "host", .kind = OPTION_FLAG, .help = "Press on the whole host."},
    // More comparisons may come: hence an expression and not a size.
    {.name = "until",
     .kind = OPTION_STRING,
     .argument = "lazy<SIZE",
     .help = "Stop when less than that is lazily freed: of the watched process where one is named, "
             "else of the group or host."},
    // Beside the brakes and not instead of them: the smaller one holds.
    {.name = "size",
     .kind = OPTION_SIZE,
     .argument = "SIZE",
     .help = "The largest that the balloon may become."},
    {.name = "watch",
     .kind = OPTION_STRING,
     .argument = "TARGET",
     .help = "The process to show; without it the one with the most lazily freed memory."},
    // A fallback that lets go before anybody has forgotten it.
    {.name = "for",
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .fallback = "30s",
     .help = "Let go after that time, whatever has been reached."},
    {.name = "dry-run",
     .letter = 'n',
     .kind = OPTION_FLAG,
     .help = "Say what would be done, with the numbers of all brakes, and do nothing."},
    // Slowness, never loss: margins, swap and the OOM killer stay as they are.
    {.name = "force",
     .kind = OPTION_FLAG,
     .help = "Go on although the kernel takes live page cache, or tasks wait for memory."},
    {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .help = "JSON instead of text."},
    {.name = "bytes", .letter = 'b', .kind = OPTION_FLAG, .help = "Exact bytes instead of MiB."},
    {.name = NULL},
};

// Levers have no --proc-root: another tree's processes cannot be reached.
static const char *const proc_root = "/proc";

static const uint64_t ns_per_s = 1000000000, mib = 1 << 20;
// A day: a balloon that shall stay longer is no balloon.
static const uint64_t time_most_ns = 86400ULL * 1000000000ULL;

// "lazy<64MiB". 0 is refused: nothing is ever below it.
static bool parse_until(const char *text, uint64_t *ret_bytes)
{
    struct text rest = text_of(text);
    return text_take_prefix(&rest, "lazy<") && options_parse_size(rest, ret_bytes) == 0 &&
           *ret_bytes > 0;
}

// Where to press is the one thing that must be said: there is no harmless default.
static int check_place(const struct options *options)
{
    bool has_group = options_get(options, "cgroup")->given, is_host = options_flag(options, "host");
    if (options->operand_count > 1)
        return message_refuse_usage("balloon", "one TARGET at a time");
    if ((int)has_group + (int)is_host + (int)options->operand_count > 1)
        return message_refuse_usage("balloon",
                                    "either a TARGET, whose group it is, or --cgroup, or --host");
    if (has_group || is_host || options->operand_count == 1)
        return EXIT_DONE;
    message_error("balloon: where? --cgroup=PATH presses on one memory cgroup, up to its limit: "
                  "others do not feel it");
    message_hint("--host presses on the whole host, so that the kernel takes from everybody.");
    message_hint("A TARGET stands for the group that it is in.");
    message_hint("'ebb balloon --help' shows its options.");
    return EXIT_USAGE;
}

// Everything that can be wrong without looking at the host.
static int check_usage(const struct options *options, struct balloon_options *ret_wanted)
{
    int status = check_place(options);
    if (status != EXIT_DONE)
        return status;
    // In the order in which somebody who learns the command makes mistakes.
    const struct option_value *until = options_get(options, "until");
    const struct option_value *size = options_get(options, "size");
    uint64_t time_ns = options_get(options, "for")->number;
    if (until->given && !parse_until(until->string, &ret_wanted->until_bytes))
        return message_refuse_usage("balloon",
                                    "--until takes 'lazy<SIZE', such as --until 'lazy<64MiB'");
    if (size->given && size->number < mib)
        return message_refuse_usage("balloon",
                                    "--size needs at least 1MiB, which is the smallest step");
    if (time_ns < ns_per_s || time_ns > time_most_ns)
        return message_refuse_usage("balloon", "--for needs 1s at least and a day at most");
    if (options->operand_count == 1 && options_get(options, "watch")->given)
        return message_refuse_usage("balloon",
                                    "a TARGET is watched: --watch goes with --cgroup and --host");
    if (size->given)
        ret_wanted->size_bytes = size->number;
    ret_wanted->time_ns = time_ns;
    return EXIT_DONE;
}

// One line that the next one replaces: RSS falls, the virtual size stands still.
static void show(void *context, const struct balloon_progress *now)
{
    char held[UNITS_TEXT_MAX], rss[UNITS_TEXT_MAX], lazy[UNITS_TEXT_MAX], total[UNITS_TEXT_MAX];
    units_format_bytes(now->balloon_bytes, held, sizeof held);
    units_format_bytes(now->rss_bytes, rss, sizeof rss);
    units_format_bytes(now->lazy_bytes, lazy, sizeof lazy);
    units_format_bytes(now->virtual_bytes, total, sizeof total);
    progress_show(context, "balloon %s, RSS %s of %s virtual, lazily freed %s, PSI %.1f %%, %.0f s",
                  held, rss, total, lazy, (double)now->psi_permille / 10, now->passed_s);
}

// What stands in the way of a group that was named.
static int refuse_group(const char *path, int error)
{
    char shown[MESSAGE_NAME_MAX];
    message_escape(path, shown, sizeof shown);
    switch (-error) {
    case ENOENT:
        message_error("there is no memory cgroup '%s'", shown);
        message_hint("'ebb explain TARGET' shows the group of a process.");
        return EXIT_FAILED;
    case ENODATA:
    case ENOTDIR:
        message_error("'%s' is no cgroup with the memory controller", shown);
        return EXIT_FAILED;
    case ESRCH:
        message_error("no process that can be seen from here is in '%s'", shown);
        return EXIT_NO_PROCESS;
    case EXDEV:
        message_error("the watched process is not in '%s'", shown);
        return EXIT_USAGE;
    case EACCES:
    case EPERM:
        message_error("the memory cgroup '%s' may not be read", shown);
        return EXIT_NOT_PERMITTED;
    default:
        message_error("the memory cgroup '%s' cannot be used: %s", shown, strerror(-error));
        return EXIT_FAILED;
    }
}

// The process that was named, if any.
static int open_named(const struct command *command, struct process **ret_process)
{
    const struct options *options = &command->options;
    // An operand stands for its group and is watched; --watch is only watched.
    const struct option_value *watch = options_get(options, "watch");
    if (options->operand_count == 1)
        return levers_open(command, options->operands[0], ret_process);
    return watch->given ? levers_open(command, watch->string, ret_process) : EXIT_DONE;
}

// Where to press. Only a process that was named can stand for its group.
static int find_place(const struct options *options, struct process *named,
                      struct balloon_place *ret_place)
{
    if (options_flag(options, "host")) {
        *ret_place = (struct balloon_place){.proc_root = proc_root};
        return EXIT_DONE;
    }
    const char *path = options_get(options, "cgroup")->string;
    // check_usage() has seen to it that there is one of the three.
    int error = path ? balloon_place_find(proc_root, path, ret_place)
                     : balloon_place_of(proc_root, named, ret_place);
    if (error == 0)
        return EXIT_DONE;
    if (path)
        return refuse_group(path, error);
    message_error("the memory cgroup of process %d cannot be reached: %s", (int)process_pid(named),
                  strerror(-error));
    return EXIT_FAILED;
}

// The line on the terminal goes before the report comes.
static int pull(const struct command *command, struct balloon *balloon, struct process *process)
{
    struct lever_report report = {0};
    struct progress *progress = balloon->options.progress_context;
    // The report is of the watched process.
    int error = lever_pull(&balloon_lever, balloon, process, balloon->options.is_dry_run, &report);
    progress_end(progress);
    int status = error ? target_refuse(proc_root, process_pid(process), error)
                       : levers_print(command, &report);
    lever_report_free(&report);
    return status;
}

// From the place to the process that is watched, which without a name is found there.
static int inflate(const struct command *command, const struct balloon_options *wanted,
                   struct process **process)
{
    // Held by this frame for as long as the lever works.
    struct balloon_place place;
    struct balloon balloon;
    int status = find_place(&command->options, *process, &place);
    if (status != EXIT_DONE)
        return status;
    int error = balloon_open(&balloon, &place, wanted, *process ? process_pid(*process) : 0);
    // Of the host there is no name to show but its root.
    if (error)
        return refuse_group(place.version ? place.directory : "/", error);
    // The one with the most lazily freed memory may have ended since.
    if (!*process) {
        error = process_open(proc_root, balloon.watched, process);
        status = error ? target_refuse(proc_root, balloon.watched, error) : EXIT_DONE;
    }
    if (status == EXIT_DONE)
        status = pull(command, &balloon, *process);
    balloon_close(&balloon);
    return status;
}

// Usage first, so that a slip costs no reading; then whoever was named.
int balloon_run(const struct command *command)
{
    // On stderr, so that it mixes with no report.
    struct progress progress;
    struct balloon_options wanted = {
        .until_bytes = BALLOON_NO_LIMIT,
        .size_bytes = BALLOON_NO_LIMIT,
        .progress = show,
        .progress_context = &progress,
    };
    int status = check_usage(&command->options, &wanted);
    if (status != EXIT_DONE)
        return status;
    progress_start(&progress);
    wanted.force = options_flag(&command->options, "force");
    wanted.is_dry_run = options_flag(&command->options, "dry-run");
    struct process *process = NULL;
    status = open_named(command, &process);
    wanted.watches_one = process != NULL;
    if (status == EXIT_DONE)
        status = inflate(command, &wanted, &process);
    // NULL is fine: nobody was named, and nobody found.
    process_close(process);
    return status;
}
