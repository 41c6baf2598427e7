// SPDX-License-Identifier: Apache-2.0
// ebb doctor: examine, print. Tool world; no state.
#include "cmd/verbs.h"

#include <errno.h>
#include <stdlib.h>

#include "cmd/target.h"
#include "doctor/doctor.h"
#include "render/doctor.h"

const struct option_spec doctor_options[] = {
    {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .help = "JSON instead of text."},
    {.name = "proc-root",
     .kind = OPTION_STRING,
     .argument = "DIR",
     .fallback = "/proc",
     .help = "Another proc tree, such as that of a container."},
    {.name = NULL},
};

// The same report, in either form.
static int print_report(const struct command *command, const struct doctor_report *report)
{
    struct output output = {0};
    const struct render_style style = {
        .color = command->color,
        .unicode = command->unicode,
        .width = command->width,
    };
    // JSON never has colours or a width.
    bool is_json = options_flag(&command->options, "json");
    output.error = is_json ? render_doctor_json(report, &output.buffer)
                           : render_doctor_text(report, &style, &output.buffer);
    return output_finish(&output);
}

// What is missing here is the result, not a failure.
int doctor_run(const struct command *command)
{
    const char *proc_root = options_get(&command->options, "proc-root")->string;
    // Some 50 KiB: much for a stack under a limit, and limits are what it is asked about.
    struct doctor_report *report = malloc(sizeof *report);
    int error = report ? doctor_examine(proc_root, report) : -ENOMEM;
    int status = error ? target_refuse_list(proc_root, error) : print_report(command, report);
    free(report);
    return status;
}
