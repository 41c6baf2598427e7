// SPDX-License-Identifier: Apache-2.0
// The table of verbs. Tool world; constant.
//
// To add a verb:
// 1. tool/cmd/NAME.c: its option table `NAME_options` and `NAME_run()`: read the options, call the
//    layers below, print once through struct output, return an enum exit_status.
// 2. tool/cmd/NAME_verb.c: `NAME_verb`, its texts. --help, the man page and the completions of the
//    shells come from it.
// 3. tool/cmd/verbs.h declares the three, and the table here has a line for it.
// 4. tests/cli/NAME.t: usage errors, exit status, a golden of its output. README.md: the table of
//    verbs.
#include "cmd/verbs.h"

#include <string.h>

// The first ones are what a newcomer needs; hidden ones stand at the end.
static const struct verb *const table[] = {
    &explain_verb, &top_verb,
#ifdef EBB_WITH_SQLITE
    &record_verb,  &report_verb,
#endif
#if defined(EBB_WITH_HTTP) && defined(EBB_WITH_SQLITE) && defined(EBB_WITH_JSON)
    &watch_verb,
#endif
    &export_verb,  &reclaim_verb,  &tune_verb,
    &run_verb,     &balloon_verb,  &doctor_verb,
    &help_verb,    &help_man_verb, &help_completion_verb,
};

// Only what the build left out stands before the last row.
static const struct verb_missing missing[] = {
#ifndef EBB_WITH_SQLITE
    {"record", "SQLite"},
    {"report", "SQLite"},
#endif
#if !defined(EBB_WITH_HTTP) || !defined(EBB_WITH_SQLITE) || !defined(EBB_WITH_JSON)
    {"watch", "libmicrohttpd, SQLite or jansson"},
#endif
    {NULL, NULL},
};

enum { VERB_COUNT = sizeof table / sizeof table[0] };

// As other tools spell them.
static const char *const color_choices[] = {"auto", "always", "never", NULL};

// Behind the verb's own in every list. --help and --version are answered by the frame.
static const struct option_spec global_options[] = {
    // Always or never for those who know better than the terminal: pagers, recordings of CI.
    {.name = "color",
     .kind = OPTION_CHOICE,
     .choices = color_choices,
     .fallback = "auto",
     .help = "Colours and emphasis. auto: on a terminal, unless NO_COLOR is set."},
    {.name = "help", .letter = 'h', .kind = OPTION_FLAG, .help = "Show this help."},
    {.name = "version", .letter = 'V', .kind = OPTION_FLAG, .help = "Show the version."},
    {.name = NULL},
};

const struct verb *verb_first(void)
{
    return table[0];
}

// By place rather than by address: verbs are objects of their own files.
const struct verb *verb_next(const struct verb *verb)
{
    for (size_t i = 0; i + 1 < VERB_COUNT; i++) {
        if (table[i] == verb)
            return table[i + 1];
    }
    return NULL;
}

const struct option_spec *verb_global_options(void)
{
    return global_options;
}

const struct verb_missing *verb_first_missing(void)
{
    return missing;
}

// Hidden ones are found too.
const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(table[i]->name, name) == 0)
            return table[i];
    }
    return NULL;
}
