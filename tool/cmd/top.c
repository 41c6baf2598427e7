// SPDX-License-Identifier: Apache-2.0
// ebb top: all processes, live, or once as a table. Tool world.
//
// The sampler decides what is read and when; render/top.h what is shown. Here they meet the
// terminal and the clock.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/target.h"
#include "cmd/top_screen.h"
#include "cmd/verbs.h"
#include "render/top.h"
#include "sample/sampler.h"

// By what they answer: the first is what the command is for.
static const char *const order_choices[] = {"back",    "rss", "lazy", "kept", "effective",
                                            "verdict", "pid", "name", NULL};

// As the metrics call it; a control group or a user has no starts of its own.
static const char *const group_choices[] = {"process", "name", NULL};

const struct option_spec top_options[] = {
    {.name = "once", .kind = OPTION_FLAG, .help = "Read every process once, print, and end."},
    // JSON is of one moment: a stream of them would be a recording, which is another verb.
    {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .help = "As --once, in JSON."},
    {.name = "sort",
     .letter = 's',
     .kind = OPTION_CHOICE,
     .choices = order_choices,
     .fallback = "back",
     .help = "The order of the rows; back: what could be got back, lazy and kept."},
    {.name = "reverse", .letter = 'r', .kind = OPTION_FLAG, .help = "The order turned round."},
    {.name = "group-by",
     .letter = 'g',
     .kind = OPTION_CHOICE,
     .choices = group_choices,
     .fallback = "process",
     .help = "name: a row for each name, with the number of its processes, sums, and how many "
             "began in the last minute."},
    {.name = "filter",
     .kind = OPTION_STRING,
     .argument = "TEXT",
     .help = "Only processes with TEXT in name, command line, runtime or verdict."},
    // Slower than other tools: a reading of smaps costs the target, see sample/sampler.h.
    {.name = "interval",
     .letter = 'i',
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .fallback = "2s",
     .help = "Between two refreshes."},
    {.name = "bytes", .letter = 'b', .kind = OPTION_FLAG, .help = "Exact bytes instead of MiB."},
    {.name = "proc-root",
     .kind = OPTION_STRING,
     .argument = "DIR",
     .fallback = "/proc",
     .help = "Another proc tree, such as that of a container."},
    {.name = NULL},
};

// What --once may take to read all accounts: far more than any host needs, but it must end.
enum { ONCE_MS = 60000 };

// What the run needs at hand; top_run() frees it.
struct top_run {
    const struct command *command;
    struct selection *selections;
    size_t selection_count;
    struct sampler *sampler;
    struct top top;
    struct top_view view;
    uint64_t interval_ms;
    bool is_once;
};

// What the option table cannot express. A pipe gets a hint instead of escape sequences.
static int check_usage(const struct options *options, bool is_once)
{
    int status = verb_check_interval("top", options);
    if (status != EXIT_DONE)
        return status;
    if (options_get(options, "filter")->given &&
        strlen(options_get(options, "filter")->string) >= sizeof((struct top_view *)0)->filter)
        return message_refuse_usage("top", "--filter is too long: 63 bytes are enough");
    // Both ends: keys come from stdin, and neither stands in for the other.
    if (!is_once && (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)))
        return message_refuse_usage("top",
                                    "the live screen needs a terminal: use --once or --json");
    return EXIT_DONE;
}

// The sampler's own budgets are right for a screen that stands all day.
static int open_sampler(struct top_run *run)
{
    const struct options *options = &run->command->options;
    struct sampler_options sampler_options = {
        .proc_root = options_get(options, "proc-root")->string,
        .selections = run->selections,
        .selection_count = run->selection_count,
        .interval_ms = run->interval_ms,
        .follow = true,
    };
    return sampler_open(&sampler_options, &run->sampler);
}

// Readings into rows. Without memory for the rows the screen ends, with the terminal given back.
static int take_round(struct top_run *run)
{
    // With -ESRCH, too, there is a batch: it tells the ends.
    const struct batch *batch;
    // Once, all accounts are read in the one round that there is.
    int error = run->is_once ? sampler_last_round(run->sampler, ONCE_MS, &batch)
                             : sampler_round(run->sampler, &batch);
    // Nothing to follow is an empty list: the next process may come at any time.
    if (error < 0 && error != -ESRCH)
        return error;
    size_t count;
    const struct subject *subjects = sampler_subjects(run->sampler, &count);
    // It takes over what it shows: the batch is valid until the next round only.
    error = top_update(&run->top, batch, subjects, count);
    // Names of the dead are of no use here.
    sampler_forget(run->sampler, batch->time_ms);
    return error;
}

// About the proc tree, or nobody is there.
static int refuse(const struct top_run *run, int error)
{
    const struct options *options = &run->command->options;
    if (error == -ESRCH) {
        int status = target_refuse_nobody("top", options->operands, options->operand_count);
        message_hint("'ebb top' without a TARGET shows what runs.");
        return status;
    }
    return target_refuse_list(options_get(&run->command->options, "proc-root")->string, error);
}

// In the order and with the filter that the screen would have.
static int run_once(struct top_run *run)
{
    int error = take_round(run);
    // A script that asks for one process must learn that there is none; a filter may find nothing.
    if (!error && run->top.count == 0 && run->command->options.operand_count > 0)
        error = -ESRCH;
    if (error)
        return refuse(run, error);
    const struct command *command = run->command;
    struct render_style style = {.color = command->color,
                                 .exact_bytes = run->view.exact_bytes,
                                 .unicode = command->unicode,
                                 .width = command->width};
    struct table table;
    struct output output = {.error = top_table(&run->top, &run->view, &table)};
    // Rows that are filtered out are in no table, but have been read all the same.
    if (output.error == 0) {
        output.error = options_flag(&command->options, "json")
                           ? render_table_json(&table, &output.buffer)
                           : render_table_text(&table, &style, &output.buffer);
        table_free(&table);
    }
    return output_finish(&output);
}

#ifdef EBB_WITH_NCURSES

// Faster and slower by halves and doubles, which needs few key presses to get anywhere.
static void change_interval(struct top_run *run, uint64_t interval_ms)
{
    if (interval_ms < INTERVAL_LEAST_MS || interval_ms > INTERVAL_MOST_MS)
        return;
    // A new grid begins now: a round follows at once.
    run->interval_ms = interval_ms;
    sampler_set_interval(run->sampler, interval_ms);
}

// Keys are answered at once, also between two rounds.
static int answer_keys(struct top_run *run, struct top_screen *screen, bool *ret_quits)
{
    // A screen that stands still only waits for keys, and for signals.
    uint64_t wait_ms = run->view.is_paused ? 1000 : sampler_due_ms(run->sampler);
    uint32_t key;
    bool has_key = top_screen_key(screen, wait_ms, &key);
    if (!has_key) {
        *ret_quits = top_screen_ends(screen);
        return 0;
    }
    // By the size as it is now: it may have changed since the last key.
    unsigned page = top_page(&run->view, top_screen_lines(screen));
    switch (top_press(&run->view, &run->top, page, key)) {
    case TOP_WISH_QUIT:
        *ret_quits = true;
        return 0;
    // At once: who presses a key does not wait for the next round, whatever the budget says.
    case TOP_WISH_ACCOUNT:
        sampler_want_account(run->sampler, run->view.selected);
        return take_round(run);
    case TOP_WISH_FASTER:
        change_interval(run, run->interval_ms / 2);
        break;
    case TOP_WISH_SLOWER:
        change_interval(run, run->interval_ms * 2);
        break;
    case TOP_WISH_NONE:
        break;
    }
    return 0;
}

// The first round comes before the screen: errors are told on a terminal in its usual state.
static int run_live(struct top_run *run)
{
    struct top_screen *screen;
    int error = take_round(run);
    if (error)
        return refuse(run, error);
    error = top_screen_open(run->command->color, run->command->unicode, &screen);
    if (error) {
        // Of a terminal that curses does not know, or that cannot move its cursor, -ENOTTY's text
        // would mislead.
        message_error("the terminal cannot show a screen%s%s", error == -ENOTTY ? "" : ": ",
                      error == -ENOTTY ? "" : strerror(-error));
        message_hint("TERM says what it is; ebb top --once needs nothing of it.");
        return EXIT_FAILED;
    }
    bool quits = false;
    while (!error && !quits) {
        error = top_screen_draw(screen, &run->top, &run->view);
        if (!error)
            error = answer_keys(run, screen, &quits);
        if (!error && !quits && !run->view.is_paused && sampler_due_ms(run->sampler) == 0)
            error = take_round(run);
    }
    top_screen_close(screen);
    return error ? refuse(run, error) : EXIT_DONE;
}

#else

static int run_live(struct top_run *run)
{
    (void)run;
    message_error("this ebb was built without ncurses: there is no live screen");
    message_hint("ebb top --once and --json work all the same.");
    return EXIT_FAILED;
}

#endif

// The one place that frees what the run holds, however it ended.
int top_run(const struct command *command)
{
    const struct options *options = &command->options;
    bool is_once = options_flag(options, "once") || options_flag(options, "json");
    int status = check_usage(options, is_once);
    if (status != EXIT_DONE)
        return status;
    struct top_run run = {
        .command = command,
        .view = {.order = (enum top_order)options_get(options, "sort")->number,
                 .is_grouped = options_get(options, "group-by")->number == 1,
                 // A table of one moment has every process.
                 .shows_each = is_once,
                 .is_reversed = options_flag(options, "reverse"),
                 .exact_bytes = options_flag(options, "bytes")},
        .interval_ms = options_get_ms(options, "interval"),
        .is_once = is_once,
    };
    if (options_get(options, "filter")->given)
        text_copy(text_of(options_get(options, "filter")->string), run.view.filter,
                  sizeof run.view.filter);
    // All three of what is freed below take NULL, or zeros.
    status = target_select("top", options->operands, options->operand_count, &run.selections,
                           &run.selection_count);
    if (status != EXIT_DONE)
        return status;
    int error = open_sampler(&run);
    if (error) {
        status = refuse(&run, error);
    } else {
        target_tell_missing("top", options->operands, options->operand_count, run.sampler);
        status = is_once ? run_once(&run) : run_live(&run);
    }
    sampler_close(run.sampler);
    top_free(&run.top);
    free(run.selections);
    return status;
}
