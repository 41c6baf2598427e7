// SPDX-License-Identifier: Apache-2.0
// ebb explain: parse, survey, print. Tool world; no state.
//
// One TARGET is read and printed with all that is known of it. --all reads every process in turn
// into a table; a process that fails, ends or refuses is counted, and the others go on. The survey
// decides what a reading is; nothing here looks into memory, so that text and JSON agree.
#include "cmd/verbs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/target.h"
#include "proc/find.h"
#include "render/render.h"
#include "survey/survey.h"

const struct option_spec explain_options[] = {
    // A mode rather than a verb of its own: the same reading, only shorter.
    {.name = "all",
     .letter = 'a',
     .kind = OPTION_FLAG,
     .help = "A table of every process that may be read, sorted by what could be got back."},
    // Growth needs two readings at least, and the survey takes one in about a second.
    {.name = "for",
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .help = "Watch that long first, and judge whether it grows."},
    // The one option that is not read-only: it says so.
    {.name = "ask",
     .kind = OPTION_FLAG,
     .help = "Ask mallocs that cannot be read, by calls in the process: stops a thread of it for "
             "some milliseconds."},
    {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .help = "JSON instead of text."},
    {.name = "bytes", .letter = 'b', .kind = OPTION_FLAG, .help = "Exact bytes instead of MiB."},
    // Without it a verdict is no failure: scripts under `set -e` would stop at every process.
    {.name = "exit-code", .kind = OPTION_FLAG, .help = "Exit with 10 + the number of the verdict."},
    // A target can be as large and as odd as it likes: what the reading takes has a limit.
    {.name = "budget",
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .fallback = "1s",
     .help = "The longest that the reading of one runtime may take, and of --all 30 times that; "
             "0 for no limit."},
    // The same name in every verb that reads processes.
    {.name = "proc-root",
     .kind = OPTION_STRING,
     .argument = "DIR",
     .fallback = "/proc",
     .help = "Another proc tree, such as that of a container."},
    {.name = NULL},
};

// The whole of --all may take this many times the budget of one reader.
enum { ALL_BUDGETS = 30 };

static const uint64_t ns_per_s = 1000000000ULL, ns_per_ms = 1000000ULL;

// What the run needs at hand.
struct explain {
    const struct command *command;        // the line that was typed
    struct survey_options survey_options; // the same for every process
    struct render_style style;            // of text; JSON has none
    uint64_t budget_ns;                   // as it was given; 0 none
    bool is_json;
    struct progress progress; // on stderr, while it takes long
    struct survey *survey;    // of one process at a time; too large for a stack under a limit
};

// For time that has passed; never for time of day.
static uint64_t clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * ns_per_s + (uint64_t)now.tv_nsec;
}

// Options and operands that do not go together.
static int check_usage(const struct options *options)
{
    // In the order in which somebody who learns the command makes them.
    bool all = options_flag(options, "all");
    const struct option_value *watch = options_get(options, "for");
    if (all && options->operand_count > 0)
        return message_refuse_usage("explain", "either a TARGET or --all, not both");
    if (all && watch->given)
        return message_refuse_usage("explain",
                                    "--for watches one process: it does not go with --all");
    if (all && options_flag(options, "exit-code"))
        return message_refuse_usage("explain",
                                    "--exit-code tells the verdict of one process: it does not go "
                                    "with --all");
    if (all && options_flag(options, "ask"))
        return message_refuse_usage(
            "explain", "--ask stops a thread of one process: it does not go with --all");
    // Calls mean nothing in a copy of a tree, or in one of another namespace.
    if (options_flag(options, "ask") &&
        strcmp(options_get(options, "proc-root")->string, "/proc") != 0)
        return message_refuse_usage("explain",
                                    "--ask goes with processes of /proc: not with --proc-root");
    if (!all && options->operand_count == 0)
        return message_refuse_usage("explain", "which process? Give a PID or a name, or --all");
    if (options->operand_count > 1)
        return message_refuse_usage("explain", "one TARGET at a time");
    if (watch->given && watch->number < ns_per_s)
        return message_refuse_usage("explain", "--for needs at least 1s");
    // Survey and reader count in milliseconds of an unsigned.
    if (options_get(options, "budget")->number / ns_per_ms >= UINT_MAX)
        return message_refuse_usage("explain", "--budget is too large");
    return EXIT_DONE;
}

// Without it, --for 5m looks like a hang.
static void show_watching(void *context, double done_s, double total_s)
{
    progress_show(context, "watching: %.0f of %.0f s", done_s, total_s);
}

// Everything that a reading needs, from the command line.
static void explain_prepare(struct explain *explain, const struct command *command)
{
    const struct options *options = &command->options;
    uint64_t budget_ns = options_get(options, "budget")->number;
    *explain = (struct explain){
        .command = command,
        .survey_options =
            {
                .proc_root = options_get(options, "proc-root")->string,
                .observe_s = (double)options_get(options, "for")->number / (double)ns_per_s,
                // Rounded up: a budget that was given never becomes "no limit".
                .budget_ms = (unsigned)((budget_ns + ns_per_ms - 1) / ns_per_ms),
                .ask = options_flag(options, "ask"),
                .progress = show_watching,
                .progress_context = &explain->progress,
            },
        .style =
            {
                .color = command->color,
                .exact_bytes = options_flag(options, "bytes"),
                .unicode = command->unicode,
                .width = command->width,
            },
        .budget_ns = budget_ns,
        .is_json = options_flag(options, "json"),
    };
    progress_start(&explain->progress);
}

// The same survey, in either form.
static int print_survey(const struct explain *explain, const struct survey *survey)
{
    struct output output = {0};
    output.error = explain->is_json ? render_survey_json(survey, &output.buffer)
                                    : render_survey_text(survey, &explain->style, &output.buffer);
    return output_finish(&output);
}

// A partial reading is a result: the survey itself lists what could not be read. Without an
// account the question was not answered, for want of rights.
static int explain_one(struct explain *explain)
{
    const struct options *options = &explain->command->options;
    const char *proc_root = explain->survey_options.proc_root;
    // The PID may be given to another process between here and the reading: then that one is
    // explained under its own name, never a mixture.
    pid_t pid;
    int status = target_resolve(proc_root, options->operands[0], &pid);
    if (status != EXIT_DONE)
        return status;
    struct survey *survey = explain->survey;
    int error = survey_take(&explain->survey_options, pid, survey);
    progress_end(&explain->progress);
    if (error < 0)
        return target_refuse(proc_root, pid, error);
    status = print_survey(explain, survey);
    // A verdict that nobody could read is no result: writing comes first.
    if (status == EXIT_DONE && options_flag(options, "exit-code"))
        status = EXIT_VERDICT + (int)survey->verdict.code;
    else if (status == EXIT_DONE && !survey->has_account)
        status = EXIT_NOT_PERMITTED;
    survey_free(survey);
    return status;
}

// What --all met besides its rows.
struct leftovers {
    size_t failed;    // processes whose reading failed for a reason of its own
    int first_error;  // of those
    size_t unreached; // when time was up
};

// Surveys one process into the table. A failure of that process is only counted; -ENOMEM when the
// table cannot grow.
static int add_process(struct explain *explain, pid_t pid, struct table *table,
                       struct leftovers *leftovers)
{
    int error = survey_take(&explain->survey_options, pid, explain->survey);
    switch (-error) {
    case 0:
        break;
    case EACCES:
    case EPERM:
        table->denied++;
        return 0;
    case ESRCH:
    case ESTALE:
        table->vanished++;
        return 0;
    case ECHILD:
    case ENOEXEC:
        // They are listed by the kernel all the same.
        // Zombies and kernel threads have no memory.
        return 0;
    default:
        if (leftovers->failed++ == 0)
            leftovers->first_error = error;
        return 0;
    }
    // Without smaps there is a name and an RSS, but nothing to sort by: it counts as unreadable.
    if (explain->survey->has_account)
        error = table_add(table, explain->survey);
    else
        table->denied++;
    survey_free(explain->survey);
    return error;
}

// One after the other: walking several at once would hold up more targets, not less.
static int fill_table(struct explain *explain, const struct proc_entry *entries, size_t count,
                      struct table *table, struct leftovers *leftovers)
{
    uint64_t started_ns = clock_now_ns(), shown_ns = 0, limit_ns;
    // An overflow means centuries, which is no limit either.
    if (explain->budget_ns == 0 ||
        __builtin_mul_overflow(explain->budget_ns, ALL_BUDGETS, &limit_ns))
        limit_ns = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        uint64_t passed_ns = clock_now_ns() - started_ns;
        if (passed_ns > limit_ns) {
            leftovers->unreached = count - i;
            break;
        }
        // Often enough to be seen moving, seldom enough to cost nothing.
        if (passed_ns - shown_ns > 100 * ns_per_ms) {
            progress_show(&explain->progress, "reading: %zu of %zu processes", i, count);
            shown_ns = passed_ns;
        }
        // Ebb itself would only show the cost of looking.
        if (entries[i].pid == getpid())
            continue;
        int error = add_process(explain, entries[i].pid, table, leftovers);
        if (error < 0)
            return error;
    }
    return 0;
}

// Behind the table, on stderr: what the table cannot know.
static void say_leftovers(const struct leftovers *leftovers)
{
    if (leftovers->failed > 0)
        message_error("%zu of the processes could not be read: %s", leftovers->failed,
                      strerror(-leftovers->first_error));
    if (leftovers->unreached > 0)
        message_error(
            "time was up before %zu of the processes were read; --budget=0 reads them all",
            leftovers->unreached);
}

// The table of every process that may be read.
static int explain_all(struct explain *explain)
{
    struct proc_entry *entries = NULL;
    size_t count = 0;
    int error = proc_list(explain->survey_options.proc_root, &entries, &count);
    // An empty folder stands where /proc is not mounted; a real one shows ebb itself at least.
    if (error == 0 && count == 0)
        error = -ENOENT;
    if (error < 0) {
        free(entries);
        return target_refuse_list(explain->survey_options.proc_root, error);
    }
    // From here on failures of single processes are only counted.
    struct table table = {.is_root = geteuid() == 0};
    struct leftovers leftovers = {0};
    error = fill_table(explain, entries, count, &table, &leftovers);
    progress_end(&explain->progress);
    free(entries);
    struct output output = {.error = error};
    if (error == 0) {
        table_sort(&table);
        output.error = explain->is_json
                           ? render_table_json(&table, &output.buffer)
                           : render_table_text(&table, &explain->style, &output.buffer);
    }
    // The text is complete: the table is no longer needed, whatever becomes of the writing.
    table_free(&table);
    int status = output_finish(&output);
    say_leftovers(&leftovers);
    return status;
}

// Usage is checked first, so that a slip costs no reading.
int explain_run(const struct command *command)
{
    int status = check_usage(&command->options);
    if (status != EXIT_DONE)
        return status;
    struct explain explain;
    explain_prepare(&explain, command);
    explain.survey = malloc(sizeof *explain.survey);
    if (!explain.survey) {
        message_error("explain: %s", strerror(ENOMEM));
        return EXIT_FAILED;
    }
    status = options_flag(&command->options, "all") ? explain_all(&explain) : explain_one(&explain);
    free(explain.survey);
    return status;
}
