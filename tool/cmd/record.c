// SPDX-License-Identifier: Apache-2.0
// ebb record: what to record, where to, from when to when. Tool world; no state.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cmd/record_parts.h"
#include "cmd/target.h"
#include "cmd/verbs.h"
#include "lever/run/program.h"
#include "proc/find.h"

// What shells and env(1) answer: no such command, or it cannot be executed.
enum { EXIT_NO_COMMAND = 127, EXIT_NOT_EXECUTABLE = 126 };
// A round reads files of every target: more than a hundred a second are a slip, and after an hour
// most of what happened is missed.
enum { LEAST_INTERVAL_MS = 10, MOST_INTERVAL_MS = 3600 * 1000 };

// What has no short letter is seldom typed by hand.
const struct option_spec record_options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_STRING,
     .argument = "FILE",
     .help = "The recording; it must not be there yet. Without it: a name made from the process's "
             "and the time of day, in this folder."},
    {.name = "interval",
     .letter = 'i',
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .fallback = "1s",
     .help = "Between two rounds of readings."},
    // By CLOCK_BOOTTIME: the time that the host is suspended counts, as on the wall.
    {.name = "for",
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .help = "End after that time. A command goes on, and is waited for."},
    // A month at one second fits onto any disk; who records for good wants a file that stays small.
    {.name = "keep",
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .fallback = "30d",
     .help = "Drop samples that are older, and processes that ended before; minutes and hours are "
             "kept longer. 0 keeps everything."},
    // Off by default: a PID that comes back is another process, and a file for one service should
    // end with it.
    {.name = "follow",
     .letter = 'f',
     .kind = OPTION_FLAG,
     .help = "Record processes too that match later, such as a service that is restarted, and wait "
             "for them where there are none."},
    {.name = "all", .letter = 'a', .kind = OPTION_FLAG, .help = "All processes, and new ones."},
    // A percentage with a sign, so that 1 cannot be taken for all of it.
    {.name = "share",
     .kind = OPTION_STRING,
     .argument = "PERCENT",
     .fallback = "1%",
     .help = "What accounts may take of one core, and of each process's own time."},
    // The three of alarms are read by alarms_open(), which watch over the same options in other
    // verbs.
    {.name = "alarm",
     .kind = OPTION_STRING,
     .argument = "EXPRESSION",
     .help = "Tell when it becomes true of a process: 'effective>80%limit for 30s'. Several are "
             "separated by semicolons."},
    {.name = "exec",
     .kind = OPTION_STRING,
     .argument = "COMMAND",
     .help = "Run COMMAND by the shell for each alarm: the message on its standard input, "
             "EBB_ALARM_* in its environment."},
    {.name = "webhook",
     .kind = OPTION_STRING,
     .argument = "URL",
     .help = "Post each alarm as JSON to URL."},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .help = "Say nothing but errors."},
    {.name = "proc-root",
     .kind = OPTION_STRING,
     .argument = "DIR",
     .fallback = "/proc",
     .help = "Another proc tree, such as that of a container."},
    {.name = NULL},
};

// Options count durations in nanoseconds, the sampler and the file in milliseconds.
static const uint64_t ns_per_ms = 1000000;

// "1%", "0.5 %", "2": 0 to 100, as a part of one. Digits by hand: a locale may have other points.
static bool parse_share(const char *typed, double *ret_share)
{
    struct text text = text_of(typed);
    uint64_t whole, digit;
    double share, place = 0.1;
    // What is too large as a whole number needs no look at its digits.
    if (!text_take_u64(&text, &whole) || whole > 100)
        return false;
    share = (double)whole;
    if (text_take_prefix(&text, ".")) {
        while (text.len > 0 && text.data[0] >= '0' && text.data[0] <= '9') {
            digit = (uint64_t)(text.data[0] - '0');
            share += (double)digit * place;
            place /= 10;
            text.data++;
            text.len--;
        }
    }
    text_skip_blanks(&text);
    (void)text_take_prefix(&text, "%");
    *ret_share = share / 100;
    return text.len == 0 && share > 0 && share <= 100;
}

// Before the numbers: who has no target needs no advice on intervals.
static int check_targets(const struct options *options)
{
    bool is_all = options_flag(options, "all");
    bool has_command = options->separated_count > 0;
    // Operands behind -- are among all operands.
    bool has_targets = options->operand_count > options->separated_count;
    if (options->has_separator && !has_command)
        return message_refuse_usage("record", "which command? There is none behind --");
    if (has_command && (has_targets || is_all))
        return message_refuse_usage("record", "either a command behind --, or processes that run");
    if (is_all && has_targets)
        return message_refuse_usage("record", "either --all or TARGETs, not both");
    if (!is_all && options->operand_count == 0)
        return message_refuse_usage("record",
                                    "which processes? Give a TARGET, --all, or -- and a command");
    if (has_command && options_flag(options, "follow"))
        return message_refuse_usage("record", "a command's children are followed anyway: --follow "
                                              "is for processes that run");
    if (has_command && options_get(options, "proc-root")->given)
        return message_refuse_usage("record", "a command runs here: not with --proc-root");
    return EXIT_DONE;
}

// In the order in which somebody who learns the command makes mistakes.
static int check_usage(const struct options *options)
{
    double share;
    const struct option_value *duration = options_get(options, "for");
    uint64_t interval_ms = options_get(options, "interval")->number / ns_per_ms;
    // Targets first: most lines that are wrong lack one.
    int status = check_targets(options);
    if (status != EXIT_DONE)
        return status;
    if (interval_ms < LEAST_INTERVAL_MS || interval_ms > MOST_INTERVAL_MS)
        return message_refuse_usage("record", "--interval is from 10ms to 1h");
    if (duration->given && duration->number == 0)
        return message_refuse_usage("record", "--for needs more than 0s");
    if (!parse_share(options_get(options, "share")->string, &share))
        return message_refuse_usage("record", "--share is more than 0 and up to 100 percent");
    return EXIT_DONE;
}

// A command is everything below us. EXIT_DONE, or a status after a message.
static int select_targets(struct record *record)
{
    const struct options *options = &record->command->options;
    // A command's words are no TARGETs; with --all there are none.
    size_t count = record->child.argv ? 0 : options->operand_count;
    int status = target_select("record", options->operands, count, &record->selections,
                               &record->selection_count);
    // Everything below ebb itself: the command, and whatever it starts.
    if (status == EXIT_DONE && record->child.argv)
        record->selections[0] = (struct selection){.kind = SELECT_BELOW, .pid = proc_self("/proc")};
    return status;
}

// Nobody there; what would help is another thing for each verb.
static int refuse_nobody(const struct record *record)
{
    const struct options *options = &record->command->options;
    int status = target_refuse_nobody("record", options->operands, options->operand_count);
    message_hint("'ebb top' shows what runs; --follow waits for a process to come.");
    return status;
}

// A command's children come later, so it is followed whatever was asked.
static int open_sampler(struct record *record)
{
    const struct options *options = &record->command->options;
    double share = 0;
    (void)parse_share(options_get(options, "share")->string, &share);
    const struct sampler_options sampler = {
        .proc_root = options_get(options, "proc-root")->string,
        .selections = record->selections,
        .selection_count = record->selection_count,
        .interval_ms = options_get(options, "interval")->number / ns_per_ms,
        .follow =
            record->child.argv || options_flag(options, "follow") || options_flag(options, "all"),
        // check_usage() has parsed it before: it cannot fail here.
        .share = share,
    };
    int error = sampler_open(&sampler, &record->sampler);
    if (error == -ESRCH)
        return refuse_nobody(record);
    if (error)
        return target_refuse_list(sampler.proc_root, error);
    // A command's words are no TARGETs.
    if (!record->child.argv)
        target_tell_missing("record", options->operands, options->operand_count, record->sampler);
    return EXIT_DONE;
}

// Last of all before the first sample: a refusal before leaves nothing behind.
static int create_file(struct record *record)
{
    const struct options *options = &record->command->options;
    char title[256];
    int status = record_choose_path(record);
    if (status != EXIT_DONE)
        return status;
    // The title is the file's for good: it is made once the first round has told the name.
    record_title(record, title, sizeof title);
    const struct history_options history = {
        .interval_ms = options_get(options, "interval")->number / ns_per_ms,
        .keep_ms = options_get(options, "keep")->number / ns_per_ms,
        .title = title,
    };
    int error = history_create(record->path, &history, &record->history);
    return error ? record_refuse_file(record, error) : EXIT_DONE;
}

// As env(1) and shells answer for it.
static int refuse_command(const struct record *record, int error)
{
    char shown[MESSAGE_NAME_MAX];
    message_escape(record->child.argv[0], shown, sizeof shown);
    message_error("record: cannot run '%s': %s", shown,
                  error == -ENOENT ? "no such command" : strerror(-error));
    return error == -ENOENT ? EXIT_NO_COMMAND : EXIT_NOT_EXECUTABLE;
}

// A file that must not be overwritten stops everything before the command has begun; and a command
// that is not there leaves no file.
static int start_command(struct record *record)
{
    char path[PATH_MAX];
    int error = program_find(record->child.argv[0], getenv("PATH"), path);
    if (error)
        return refuse_command(record, error);
    int status = create_file(record);
    if (status != EXIT_DONE)
        return status;
    record_tell_start(record);
    // The file is there by now; where the command does not start, it goes again.
    error = record_start_child(record);
    if (error) {
        (void)history_close(record->history);
        record->history = NULL;
        (void)unlink(record->path);
        return refuse_command(record, error);
    }
    // Whatever fails from here on, the command goes on, and its status is ours.
    record->started_ns = record_now_ns();
    return open_sampler(record);
}

// The first round comes before there is a file, which is named after whom it found.
static int start_targets(struct record *record)
{
    const struct batch *batch = NULL;
    int status = open_sampler(record);
    if (status != EXIT_DONE)
        return status;
    int error = record_take(record, &batch);
    // A process may end between its opening and the first round.
    if (error == -ESRCH && record->totals.samples == 0)
        return refuse_nobody(record);
    if (!batch)
        return target_refuse_list(options_get(&record->command->options, "proc-root")->string,
                                  error);
    status = create_file(record);
    if (status != EXIT_DONE)
        return status;
    record_tell_start(record);
    record->started_ns = record_now_ns();
    // The batch is valid until the next round, which has not begun.
    record_write(record, batch);
    return EXIT_DONE;
}

// The command's status goes before ours: scripts ask for that.
static int run(struct record *record)
{
    int status = record->child.argv ? start_command(record) : start_targets(record);
    if (status == EXIT_DONE) {
        // From now on: what levers did before the recording is none of its story.
        record->journal = journal_open();
        record_go_on(record);
    }
    // Before the command is waited for: it may go on for hours after --for.
    int error = history_close(record->history);
    record->history = NULL;
    if (status == EXIT_DONE && !record->error && error) {
        record->error = error;
        record_tell_error(record);
    }
    if (status == EXIT_DONE && !record->error)
        record_tell_end(record);
    while (record->child.is_running)
        record_wait_child(record);
    // A recording that failed has said so on stderr; the caller of a command wants its status.
    if (record->child.pid > 0)
        return record_child_status(&record->child);
    return status == EXIT_DONE && record->error ? EXIT_FAILED : status;
}

// The words behind "--", as exec wants them: with a NULL at their end.
static int take_command(struct record *record)
{
    const struct options *options = &record->command->options;
    record->child.argv = calloc(options->operand_count + 1, sizeof *record->child.argv);
    if (!record->child.argv) {
        message_error("record: not enough memory");
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < options->operand_count; i++)
        // The words themselves are the command line's, and live as long.
        record->child.argv[i] = options->operands[i];
    return EXIT_DONE;
}

// Signals are taken before anything is started that they could interrupt.
int record_run(const struct command *command)
{
    const struct options *options = &command->options;
    int status = check_usage(options);
    if (status != EXIT_DONE)
        return status;
    // Several KiB, on the stack: there is one of it.
    struct record record = {
        .command = command,
        .for_ns = options_get(options, "for")->number,
        .is_quiet = options_flag(options, "quiet"),
        .signal_fd = -1,
    };
    progress_start(&record.progress);
    status = options->separated_count > 0 ? take_command(&record) : EXIT_DONE;
    if (status == EXIT_DONE)
        status = select_targets(&record);
    if (status == EXIT_DONE)
        status = alarms_open("record", options, &record.alarms);
    if (status == EXIT_DONE) {
        int error = record_take_signals(&record);
        if (error)
            message_error("record: %s", strerror(-error));
        status = error ? EXIT_FAILED : run(&record);
    }
    // Alarms first: their last messages may still be on their way, and are waited for.
    alarms_close(record.alarms);
    sampler_close(record.sampler);
    journal_close(record.journal);
    free(record.selections);
    free(record.child.argv);
    free(record.events.events);
    if (record.signal_fd >= 0)
        close(record.signal_fd);
    return status;
}
