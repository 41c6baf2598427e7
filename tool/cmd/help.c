// SPDX-License-Identifier: Apache-2.0
// --help and `ebb help`, from the tables. Tool world; no state.
//
// Help is what a tired engineer reads first, so each page has the same order: what it is for, how
// it is called, what it does to the target, options, examples, exit status. Everything fits 80
// columns, whatever the terminal: the same text is read in a pager, a log and a bug report. Text is
// wrapped here rather than in the tables, so that a change of wording is a change of one string.
#include "cmd/help.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "account/verdict.h"
#include "cmd/verbs.h"

enum { WIDTH = 80, OPTION_COLUMN = 26, VERB_COLUMN = 12 };

static const struct help_status statuses[] = {
    {EXIT_DONE, false, "done"},
    {EXIT_FAILED, false, "failed, for instance the result could not be written"},
    {EXIT_USAGE, false, "the command line is wrong, or a name matches several processes"},
    {EXIT_NO_PROCESS, false, "no such process, or it ended"},
    {EXIT_NOT_PERMITTED, false, "not permitted"},
    {EXIT_VERDICT + VERDICT_LAZY, true, "with --exit-code: lazy"},
    {EXIT_VERDICT + VERDICT_KEPT, true, "with --exit-code: kept"},
    {EXIT_VERDICT + VERDICT_FRAGMENTED, true, "with --exit-code: fragmented"},
    {EXIT_VERDICT + VERDICT_GROWING, true, "with --exit-code: growing"},
    {EXIT_VERDICT + VERDICT_IN_USE, true, "with --exit-code: in-use"},
    {EXIT_VERDICT + VERDICT_FILES, true, "with --exit-code: files"},
    {EXIT_VERDICT + VERDICT_UNKNOWN, true, "with --exit-code: unknown"},
    {0, false, NULL},
};

// The same for every verb, so that a script needs to learn it once.
const struct help_status *help_statuses(void)
{
    return statuses;
}

// Prints `text` from column `at` on, wrapped at blanks, later lines indented to `indent`.
static void print_wrapped(struct output *output, const char *text, size_t at, size_t indent)
{
    // A word that is too long for any line gets one of its own.
    bool line_is_empty = true;
    while (*text) {
        size_t len = strcspn(text, " ");
        if (!line_is_empty && at + 1 + len > WIDTH) {
            output_printf(output, "\n%*s", (int)indent, "");
            at = indent;
            line_is_empty = true;
        }
        output_printf(output, "%s%.*s", line_is_empty ? "" : " ", (int)len, text);
        at += len + (line_is_empty ? 0 : 1);
        line_is_empty = false;
        // Several blanks in the source count as one.
        text += len;
        text += strspn(text, " ");
    }
    output_printf(output, "\n");
}

// Fills up to `column`, or begins a new line where `used` is already beyond it.
static void pad_to(struct output *output, size_t used, size_t column)
{
    if (used + 2 > column)
        output_printf(output, "\n%*s", (int)column, "");
    else
        output_printf(output, "%*s", (int)(column - used), "");
}

// "  -j, --json   JSON instead of text."; a wide left side puts the help on the next line.
static void print_option(struct output *output, const struct option_spec *spec)
{
    char argument[160], left[240], help[600], letter[8] = "   ";
    options_argument(spec, argument, sizeof(argument));
    if (spec->letter)
        snprintf(letter, sizeof(letter), "-%c,", spec->letter);
    // An argument that may be left out stands in brackets, with its equal sign.
    const char *before = spec->bare ? "[=" : argument[0] ? "=" : "";
    snprintf(left, sizeof(left), "  %s --%s%s%s%s", letter, spec->name, before, argument,
             spec->bare ? "]" : "");
    // Left what is typed, right what it does.
    output_printf(output, "%s", left);
    pad_to(output, strlen(left), OPTION_COLUMN);
    if (spec->fallback)
        snprintf(help, sizeof(help), "%s Default: %s.", spec->help, spec->fallback);
    else
        snprintf(help, sizeof(help), "%s", spec->help);
    print_wrapped(output, help, OPTION_COLUMN, OPTION_COLUMN);
}

// In the order of the table, which is the order of use.
static void print_options(struct output *output, const struct option_spec *table)
{
    for (; table && table->name; table++)
        print_option(output, table);
}

// Verdicts take one paragraph here; the man page lists each.
static void print_statuses(struct output *output, bool with_verdicts)
{
    // Those that every verb may answer with come first.
    output_printf(output, "\nExit status:\n");
    for (const struct help_status *row = statuses; row->text; row++) {
        // Verdicts come in one line, below.
        if (!row->is_verdict)
            output_printf(output, "  %2d  %s\n", row->status, row->text);
    }
    if (!with_verdicts)
        return;
    char line[300];
    size_t used = (size_t)snprintf(line, sizeof(line), "with --exit-code, the verdict:");
    for (int code = VERDICT_LAZY; code <= VERDICT_UNKNOWN; code++)
        used += (size_t)snprintf(line + used, sizeof(line) - used, "%s %d %s",
                                 code == VERDICT_LAZY ? "" : ",", EXIT_VERDICT + code,
                                 verdict_name((enum verdict_code)code));
    output_printf(output, "  1x  ");
    print_wrapped(output, line, 6, 6);
}

// What one sees first: verbs, common options, exit status.
static void render_ebb(struct output *output)
{
    output_printf(output,
                  "ebb %s - says where a process's memory is, and gets it back\n\n"
                  "Usage: ebb VERB [OPTION]... [TARGET]\n\nVerbs:\n",
                  EBB_VERSION);
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        if (verb->is_hidden)
            continue;
        output_printf(output, "  %s", verb->name);
        pad_to(output, strlen(verb->name) + 2, VERB_COLUMN);
        print_wrapped(output, verb->purpose, VERB_COLUMN, VERB_COLUMN);
    }
    // Apart from the list above, which the man pages are made from.
    const char *before = "\nNot in this build:\n";
    for (const struct verb_missing *row = verb_first_missing(); row->name; row++) {
        output_printf(output, "%s  %s", before, row->name);
        pad_to(output, strlen(row->name) + 2, VERB_COLUMN);
        output_printf(output, "made without %s\n", row->library);
        before = "";
    }
    output_printf(output, "\nOptions of every verb:\n");
    print_options(output, verb_global_options());
    print_statuses(output, false);
    output_printf(output, "\n'ebb help VERB' or 'man ebb-VERB' tells all about a verb.\n");
}

// All about one verb. The same parts, in the same order, as the man page.
static void render_verb(const struct verb *verb, struct output *output)
{
    output_printf(output, "ebb %s - %s\n\n", verb->name, verb->purpose);
    // Further forms stand below the first.
    for (size_t i = 0; verb->usage[i]; i++)
        output_printf(output, "%s ebb %s %s\n", i ? "      " : "Usage:", verb->name,
                      verb->usage[i]);
    for (size_t i = 0; verb->description && verb->description[i]; i++) {
        output_printf(output, "\n");
        print_wrapped(output, verb->description[i], 0, 0);
    }
    output_printf(output, "\nOptions:\n");
    // One list: who reads it does not care which table an option comes from.
    print_options(output, verb->options);
    print_options(output, verb_global_options());
    // What it is good for stands below: command lines are of any length.
    if (verb->examples) {
        output_printf(output, "\nExamples:\n");
        for (const struct verb_example *row = verb->examples; row->command; row++)
            output_printf(output, "  %s\n      %s\n", row->command, row->purpose);
    }
    print_statuses(output, verb->has_verdict_status);
}

// One entry for both, as help_render_man() has.
void help_render(const struct verb *verb, struct output *output)
{
    if (verb)
        render_verb(verb, output);
    else
        render_ebb(output);
}

// It was asked for: stdout, and no failure.
int help_print(const struct verb *verb)
{
    struct output output = {0};
    help_render(verb, &output);
    return output_finish(&output);
}

// It was not asked for: stderr, so that a pipe gets nothing it cannot use.
int help_refuse(void)
{
    struct output output = {0};
    help_render(NULL, &output);
    // Without memory there is nothing to show; the status still tells.
    if (output.error == 0)
        message_text(output.buffer.data, output.buffer.len);
    buffer_free(&output.buffer);
    return EXIT_USAGE;
}

// The verb that the operands of help-like verbs name; NULL where there is none. False after a
// message.
static bool operand_verb(const struct command *command, const struct verb **ret_verb)
{
    const struct options *options = &command->options;
    *ret_verb = NULL;
    // No verb is a question too: the one for all of them.
    if (options->operand_count == 0)
        return true;
    if (options->operand_count > 1) {
        message_error("%s takes one verb", command->verb->name);
        return false;
    }
    *ret_verb = verb_find(options->operands[0]);
    if (!*ret_verb)
        verb_refuse_unknown(options->operands[0]);
    return *ret_verb != NULL;
}

// ebb help [VERB]
int help_run(const struct command *command)
{
    const struct verb *verb;
    return operand_verb(command, &verb) ? help_print(verb) : EXIT_USAGE;
}

// ebb __man [VERB], for the build.
int help_man_run(const struct command *command)
{
    const struct verb *verb;
    if (!operand_verb(command, &verb))
        return EXIT_USAGE;
    struct output output = {0};
    help_render_man(verb, &output);
    return output_finish(&output);
}

// ebb __completion SHELL, for the build and for users without an installed ebb.
int help_completion_run(const struct command *command)
{
    const struct options *options = &command->options;
    struct output output = {0};
    if (options->operand_count == 1 && help_render_completion(options->operands[0], &output) == 0)
        return output_finish(&output);
    message_error("%s takes one shell: bash, zsh or fish", command->verb->name);
    return EXIT_USAGE;
}
