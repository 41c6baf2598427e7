// SPDX-License-Identifier: Apache-2.0
// ebb doctor. Tool world; no state.
#include "cmd/verbs.h"

const struct option_spec doctor_options[] = {
    {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .help = "JSON instead of text."},
    {.name = "proc-root",
     .kind = OPTION_STRING,
     .argument = "DIR",
     .fallback = "/proc",
     .help = "Another proc tree, such as that of a container."},
    {.name = NULL},
};

int doctor_run(const struct command *command)
{
    (void)command;
    message_error("doctor: not wired up yet");
    return EXIT_FAILED;
}
