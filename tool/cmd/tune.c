// SPDX-License-Identifier: Apache-2.0
// ebb tune: parse, change or list, print. Tool world; no state.
#include "cmd/verbs.h"

#include <errno.h>

#include "cmd/levers.h"
#include "cmd/target.h"
#include "cmd/tune_request.h"
#include "render/tune.h"

static const char *const switch_choices[] = {"on", "off", NULL};
static const char *const policy_choices[] = {"auto", "free", "dontneed", "keep", NULL};

const struct option_spec tune_options[] = {
    {.name = "madv-free",
     .kind = OPTION_CHOICE,
     .choices = switch_choices,
     .help =
         "Go, jemalloc, mimalloc, libebb: off gives memory back at once from now on, on gives it "
         "back lazily (MADV_FREE)."},
    // As text: "off" is a value, which no kind of option has.
    {.name = "gogc",
     .kind = OPTION_STRING,
     .argument = "N|off",
     .help = "Go: how far the heap may grow between collections, in percent."},
    {.name = "memory-limit",
     .kind = OPTION_STRING,
     .argument = "SIZE|off",
     .help = "Go 1.19 and later: GOMEMLIMIT."},
    // "now" rather than 0, which looks like a mistake; "off" is jemalloc's -1.
    {.name = "dirty-decay",
     .kind = OPTION_STRING,
     .argument = "DURATION|now|off",
     .help = "jemalloc: how long free pages are kept dirty; off keeps them for ever."},
    {.name = "muzzy-decay",
     .kind = OPTION_STRING,
     .argument = "DURATION|now|off",
     .help = "jemalloc: how long they stay lazily freed after that."},
    {.name = "background-thread",
     .kind = OPTION_CHOICE,
     .choices = switch_choices,
     .help = "jemalloc: a thread that purges in time also where the program is idle."},
    // A list, as GLIBC_TUNABLES has it: all of it is set in one stop.
    {.name = "mallopt",
     .kind = OPTION_STRING,
     .argument = "NAME=N,...",
     .help = "glibc: trim_threshold, top_pad, mmap_threshold, mmap_max, arena_max."},
    {.name = "option",
     .kind = OPTION_STRING,
     .argument = "NAME=N,...",
     .help = "mimalloc: an option such as purge_delay. tcmalloc: a numeric property such as "
             "aggressive_memory_decommit."},
    {.name = "policy",
     .kind = OPTION_CHOICE,
     .choices = policy_choices,
     .help = "libebb: how free pages go back: lazily what is likely to be used again (auto), all "
             "lazily (free), all at once (dontneed), none (keep)."},
    {.name = "return-within",
     .kind = OPTION_STRING,
     .argument = "DURATION",
     .help = "libebb: how soon, 10ms to 1h."},
    {.name = "dry-run", .letter = 'n', .kind = OPTION_FLAG, .help = "Say what would be done."},
    // Slowness only: what would hand out wrong memory is refused with it as well.
    {.name = "force",
     .kind = OPTION_FLAG,
     .help = "Also what would make the process slow, such as a memory limit below what is alive."},
    {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .help = "JSON instead of text."},
    {.name = "bytes", .letter = 'b', .kind = OPTION_FLAG, .help = "Exact bytes instead of MiB."},
    {.name = NULL},
};

// The same list, in either form.
static int print_list(const struct command *command, const struct tune_list *list)
{
    struct output output = {0};
    // Nothing of it is a size: exact bytes have no meaning here.
    const struct render_style style = {
        .color = command->color, .unicode = command->unicode, .width = command->width};
    output.error = options_flag(&command->options, "json")
                       ? render_tune_json(list, &output.buffer)
                       : render_tune_text(list, &style, &output.buffer);
    return output_finish(&output);
}

// Reading alone, as `ebb explain` does it.
static int list_target(const struct command *command, struct process *process)
{
    struct tune_list list;
    int error = tune_list_read(process, &list);
    // Its runtimes' structures are known with pointers of 8 bytes only.
    if (error == -ENOTSUP) {
        message_error("tune: process %d is a 32-bit program, of which nothing can be tuned",
                      (int)process_pid(process));
        return EXIT_FAILED;
    }
    if (error)
        return target_refuse("/proc", process_pid(process), error);
    int status = print_list(command, &list);
    tune_list_free(&list);
    return status;
}

// The report tells of refusals and failures; only a target that could not even be looked at is told
// here.
static int change_target(const struct command *command, struct process *process,
                         const struct tune_request *request)
{
    struct tune *tune = NULL;
    struct lever_report report = {0};
    // `tune` holds what the plan has found until it is done.
    int error = tune_new(request, &tune);
    if (!error)
        error = lever_pull(&tune_lever, tune, process, options_flag(&command->options, "dry-run"),
                           &report);
    tune_free(tune);
    int status = error ? target_refuse("/proc", process_pid(process), error)
                       : levers_print(command, &report);
    lever_report_free(&report);
    return status;
}

// Usage is checked first, so that a slip costs no reading.
int tune_run(const struct command *command)
{
    // A change is what an option asks for: none of them is a default.
    const struct options *options = &command->options;
    struct tune_request request;
    char sentence[OPTIONS_ERROR_MAX];
    if (options->operand_count == 0)
        return message_refuse_usage("tune", "which process? Give a PID or a name");
    if (options->operand_count > 1)
        return message_refuse_usage("tune", "one TARGET at a time");
    if (tune_request_parse(options, &request, sentence) != 0)
        return message_refuse_usage("tune", sentence);
    // Without one it lists, as `ebb tune PID` alone does.
    bool has_change = tune_request_has_change(&request);
    if (!has_change && (options_flag(options, "dry-run") || options_flag(options, "force")))
        return message_refuse_usage("tune", "--dry-run and --force go with a change");
    struct process *process;
    int status = levers_open(command, options->operands[0], &process);
    if (status != EXIT_DONE)
        return status;
    status = has_change ? change_target(command, process, &request) : list_target(command, process);
    process_close(process);
    return status;
}
