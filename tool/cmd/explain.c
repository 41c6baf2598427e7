// SPDX-License-Identifier: Apache-2.0
// ebb explain: parse, survey, print. Tool world; no state.
#include "cmd/verbs.h"

const struct option_spec explain_options[] = {
    {.name = "all",
     .letter = 'a',
     .kind = OPTION_FLAG,
     .help = "A table of every process that may be read, sorted by what could be got back."},
    {.name = "for",
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .help = "Watch that long first, and judge whether it grows."},
    {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .help = "JSON instead of text."},
    {.name = "bytes", .letter = 'b', .kind = OPTION_FLAG, .help = "Exact bytes instead of MiB."},
    {.name = "exit-code", .kind = OPTION_FLAG, .help = "Exit with 10 + the number of the verdict."},
    {.name = "budget",
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .fallback = "1s",
     .help = "The longest that the reading of one runtime may take; 0 for no limit."},
    {.name = "proc-root",
     .kind = OPTION_STRING,
     .argument = "DIR",
     .fallback = "/proc",
     .help = "Another proc tree, such as that of a container."},
    {.name = NULL},
};

int explain_run(const struct command *command)
{
    (void)command;
    message_error("explain: not wired up yet");
    return EXIT_FAILED;
}
