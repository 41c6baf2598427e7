// SPDX-License-Identifier: Apache-2.0
// Man pages in troff (man(7)), from the tables. Tool world; pure.
//
// man(7) and not mdoc(7): every formatter knows it, down to the small ones in containers. The pages
// are made when ebb is built and never kept in the tree, so there is nothing to forget; they hold
// no date, so that two builds of one source are the same byte by byte.
#include "cmd/help.h"

#include <stdio.h>
#include <string.h>

// Running text. Backslashes and dashes mean something to troff, as does a point or quote in front.
static void put_text(struct output *output, const char *text)
{
    if (*text == '.' || *text == '\'')
        output_printf(output, "\\&");
    for (; *text; text++) {
        if (*text == '\\')
            output_printf(output, "\\e");
        else if (*text == '-')
            output_printf(output, "\\-");
        else
            output_printf(output, "%c", *text);
    }
}

// Text that ends its input line.
static void put_line(struct output *output, const char *text)
{
    put_text(output, text);
    output_printf(output, "\n");
}

// One tagged paragraph for each. No date anywhere: the same source gives the same bytes.
static void put_options(struct output *output, const struct option_spec *table)
{
    for (; table && table->name; table++) {
        char argument[160];
        options_argument(table, argument, sizeof(argument));
        // Bold for what is typed as it is, italics for what is replaced.
        output_printf(output, ".TP\n");
        if (table->letter)
            output_printf(output, "\\fB\\-%c\\fR, ", table->letter);
        output_printf(output, "\\fB\\-\\-");
        put_text(output, table->name);
        output_printf(output, "\\fR");
        if (argument[0]) {
            output_printf(output, "%s=\\fI", table->bare ? "[" : "");
            put_text(output, argument);
            output_printf(output, "\\fR%s", table->bare ? "]" : "");
        }
        output_printf(output, "\n");
        put_line(output, table->help);
        if (table->fallback) {
            output_printf(output, "Default: ");
            put_text(output, table->fallback);
            output_printf(output, ".\n");
        }
    }
}

// Every status on a line of its own: a man page is searched.
static void put_statuses(struct output *output, bool with_verdicts)
{
    output_printf(output, ".SH EXIT STATUS\n");
    for (const struct help_status *row = help_statuses(); row->text; row++) {
        if (row->is_verdict && !with_verdicts)
            continue;
        output_printf(output, ".TP\n%d\n", row->status);
        put_line(output, row->text);
    }
}

// The NAME section has a fixed form, which apropos reads.
static void put_head(struct output *output, const char *page, const char *purpose)
{
    output_printf(output, ".TH \"%s\" 1 \"\" \"ebb %s\" \"User Commands\"\n.SH NAME\n", page,
                  EBB_VERSION);
    // The dash that apropos looks for is an escaped one.
    put_text(output, page);
    output_printf(output, " \\- ");
    put_line(output, purpose);
}

// What the frame itself reads; the locale and the width of the terminal need no words.
static void put_environment(struct output *output)
{
    output_printf(output, ".SH ENVIRONMENT\n.TP\nNO_COLOR\n"
                          "Set and not empty: no colours, as with \\-\\-color=never.\n");
}

struct word {
    const char *word, *meaning;
};

// Whoever has the pages alone must find there what the output says; docs/account.md has the
// sources.
static const struct word rows[] = {
    {"RSS", "What is in memory of the process now, as the kernel counts it. The rows below sum to "
            "it, to the byte."},
    {"effective RSS", "RSS without what is lazily freed: what the process would keep if the "
                      "kernel took all that it may take. The number for graphs and alarms."},
    {"in use", "Objects that the program has allocated and not freed."},
    {"slack", "Bytes of pages in use that no object occupies: rounding, and holes between live "
              "objects."},
    {"kept", "Free pages that the runtime or malloc holds for reuse."},
    {"lazily freed", "Pages that were given back with MADV_FREE and are still there, because the "
                     "kernel has not needed them: free, and in RSS."},
    {"metadata", "The tables of the runtime or malloc itself."},
    {"stacks", "Stacks of threads and goroutines."},
    {"code and files", "Mapped files, programs and libraries with their data among them."},
    {"shared", "Shared memory."},
    {"held", "Memory of a runtime that was found, whose inside cannot be told from outside."},
    {"unexplained", "What is left."},
    {NULL, NULL},
};

static const struct word verdicts[] = {
    {"lazy", "Most of what is not in use is lazily freed. Not a leak: ebb reclaim has it back."},
    {"kept",
     "Most of it is kept. Not a leak: ebb reclaim --runtime has it back from most mallocs."},
    {"fragmented", "Most of it is slack: few objects pin many pages."},
    {"growing", "With --for, or over time: what can be leaked grows beyond chance."},
    {"in-use", "The program holds it, and nothing says that it grows."},
    {"files", "Half or more is code, files and shared memory."},
    {"unknown", "Half or more is held or unexplained, or may not be read."},
    {NULL, NULL},
};

static void put_words(struct output *output, const char *heading, const struct word *words)
{
    output_printf(output, ".SH %s\n", heading);
    for (; words->word; words++) {
        output_printf(output, ".TP\n.B ");
        put_line(output, words->word);
        put_line(output, words->meaning);
    }
}

// ebb(1): the words that all verbs use, and the way to the others.
static void render_ebb(struct output *output)
{
    put_head(output, "ebb", "say where a process's memory is, and get it back");
    output_printf(output, ".SH SYNOPSIS\n.B ebb\n.I VERB\n[\\fIOPTION\\fR]... [\\fITARGET\\fR]\n"
                          ".SH DESCRIPTION\n");
    put_line(output,
             "ebb looks at a process whose memory went up and did not come down, and answers: "
             "is it a leak, how do I get it back, how do I keep it from happening again. "
             "The process needs no change, no restart and no agent inside.");
    // The same order as in help.
    output_printf(output, ".SH VERBS\n");
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        if (verb->is_hidden)
            continue;
        output_printf(output, ".TP\n.B %s\n", verb->name);
        put_line(output, verb->purpose);
    }
    put_words(output, "ROWS OF AN ACCOUNT", rows);
    put_words(output, "VERDICTS", verdicts);
    output_printf(output, ".SH OPTIONS\n");
    put_options(output, verb_global_options());
    put_statuses(output, false);
    put_environment(output);
    // Every page of ebb, then what explains the words that they use.
    output_printf(output, ".SH SEE ALSO\n");
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        if (!verb->is_hidden)
            output_printf(output, ".BR ebb\\-%s (1),\n", verb->name);
    }
    output_printf(output, ".BR proc (5),\n.BR madvise (2)\n");
}

// ebb-VERB(1).
static void render_verb(const struct verb *verb, struct output *output)
{
    char page[64];
    snprintf(page, sizeof(page), "ebb-%s", verb->name);
    put_head(output, page, verb->purpose);
    output_printf(output, ".SH SYNOPSIS\n");
    for (size_t i = 0; verb->usage[i]; i++) {
        output_printf(output, "%s.B ebb %s\n", i ? ".br\n" : "", verb->name);
        put_line(output, verb->usage[i]);
    }
    output_printf(output, ".SH DESCRIPTION\n");
    for (size_t i = 0; verb->description && verb->description[i]; i++) {
        output_printf(output, "%s", i ? ".PP\n" : "");
        put_line(output, verb->description[i]);
    }
    output_printf(output, ".SH OPTIONS\n");
    put_options(output, verb->options);
    put_options(output, verb_global_options());
    put_statuses(output, verb->has_verdict_status);
    put_environment(output);
    // A heading without anything below would be a warning.
    if (verb->examples)
        output_printf(output, ".SH EXAMPLES\n");
    for (const struct verb_example *row = verb->examples; row && row->command; row++) {
        output_printf(output, ".TP\n\\fB");
        put_text(output, row->command);
        output_printf(output, "\\fR\n");
        put_line(output, row->purpose);
    }
    output_printf(output, ".SH SEE ALSO\n.BR ebb (1),\nwhich explains rows and verdicts\n");
}

// Section 1 for all of them: ebb is a user's command even where root runs it.
void help_render_man(const struct verb *verb, struct output *output)
{
    if (verb)
        render_verb(verb, output);
    else
        render_ebb(output);
}
