// SPDX-License-Identifier: Apache-2.0
// From the command line to the verb's run function. Tool world; no state.
//
// The order in which a line is judged: is there a verb, do its options parse, is help or the
// version asked for, does it take operands at all. Only then does the verb run, so that none of
// them has to repeat this. Messages go to stderr, and what was asked for to stdout: a pipe gets
// results only.
#include "cmd/verb.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/help.h"

enum { VERBS_MAX = 64 };

static const struct verb_missing *find_missing(const char *name)
{
    for (const struct verb_missing *row = verb_first_missing(); row->name; row++) {
        if (strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

// Hidden verbs are never proposed.
int verb_refuse_unknown(const char *name)
{
    const struct verb_missing *lacking = find_missing(name);
    if (lacking) {
        message_error("this ebb was built without %s: it has no '%s'", lacking->library, name);
        message_hint("Built where that is installed, it has.");
        return EXIT_FAILED;
    }
    const char *words[VERBS_MAX + 1];
    size_t count = 0;
    // More than fit are only missing as proposals.
    for (const struct verb *verb = verb_first(); verb && count < VERBS_MAX;
         verb = verb_next(verb)) {
        if (!verb->is_hidden)
            words[count++] = verb->name;
    }
    words[count] = NULL;
    char shown[MESSAGE_NAME_MAX];
    message_escape(name, shown, sizeof(shown));
    const char *near = options_nearest(name, words);
    if (near)
        message_error("unknown verb '%s'; did you mean '%s'?", shown, near);
    else
        message_error("unknown verb '%s'", shown);
    // Who is in a hurry types the PID alone.
    if (*name && name[strspn(name, "0123456789")] == '\0')
        message_hint("'ebb explain %s' explains a process.", shown);
    else
        message_hint("'ebb help' lists the verbs.");
    return EXIT_USAGE;
}

int verb_check_interval(const char *verb, const struct options *options)
{
    uint64_t interval_ms = options_get_ms(options, "interval");
    if (interval_ms < INTERVAL_LEAST_MS || interval_ms > INTERVAL_MOST_MS)
        return message_refuse_usage(verb, "--interval is from 100ms to 1h");
    return EXIT_DONE;
}

// The option first, then what the user's environment says, then what stdout is.
static bool wants_color(const struct options *options)
{
    const char *when = options_get(options, "color")->string;
    if (strcmp(when, "auto") != 0)
        return strcmp(when, "always") == 0;
    // https://no-color.org: set and not empty.
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    if (no_color && no_color[0])
        return false;
    // Editors and logs that call themselves so show the codes instead of the colours.
    if (terminal && strcmp(terminal, "dumb") == 0)
        return false;
    return isatty(STDOUT_FILENO) == 1;
}

// The character set of the locale, by the environment alone: loading a locale would also change how
// numbers are written.
static bool wants_unicode(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *value = getenv(names[i]);
        if (value && value[0])
            return strcasestr(value, "UTF-8") || strcasestr(value, "UTF8");
    }
    return false;
}

// Of stdout alone: what goes to a file has no width.
static unsigned terminal_width(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

// In the form that scripts expect: name, blank, number.
static int print_version(void)
{
    struct output output = {0};
    output_printf(&output, "ebb %s\n", EBB_VERSION);
    return output_finish(&output);
}

// Options before the verb: only the global ones, and only as far as they stand before it.
static int run_without_verb(int argc, char **argv)
{
    struct options options;
    char error[OPTIONS_ERROR_MAX];
    if (options_parse(NULL, verb_global_options(), (size_t)argc, argv, &options, error) < 0) {
        message_error("%s", error);
        message_hint("'ebb help' lists the verbs and the options.");
        return EXIT_USAGE;
    }
    // Help wins over everything else on the line: it was asked for.
    if (options_flag(&options, "help"))
        return help_print(NULL);
    if (options_flag(&options, "version"))
        return print_version();
    if (options.operand_count == 0)
        return help_refuse();
    if (!verb_find(options.operands[0]))
        return verb_refuse_unknown(options.operands[0]);
    // Accepting it would need a rule for options that are the verb's.
    message_error("the verb comes first: ebb %s [OPTION]...", options.operands[0]);
    return EXIT_USAGE;
}

// Only who takes a command reads no further than its name.
static int parse_options(const struct verb *verb, size_t argc, char **argv,
                         struct options *ret_options, char ret_error[OPTIONS_ERROR_MAX])
{
    const struct option_spec *global = verb_global_options();
    return verb->operand == OPERAND_COMMAND
               ? options_parse_command(verb->options, global, argc, argv, ret_options, ret_error)
               : options_parse(verb->options, global, argc, argv, ret_options, ret_error);
}

// Everything that all verbs share happens here, before the verb is called.
int verb_dispatch(int argc, char **argv)
{
    sigset_t ignored = output_prepare();
    if (argc < 2)
        return help_refuse();
    // Options in front of the verb: only those of ebb itself are known there.
    if (argv[1][0] == '-')
        return run_without_verb(argc - 1, argv + 1);
    const struct verb *verb = verb_find(argv[1]);
    if (!verb)
        return verb_refuse_unknown(argv[1]);
    // From here on it is the verb's line, and its name stands in front of the messages.
    struct command command = {.verb = verb, .ignored = ignored};
    char error[OPTIONS_ERROR_MAX];
    if (parse_options(verb, (size_t)(argc - 2), argv + 2, &command.options, error) < 0)
        return message_refuse_usage(verb->name, error);
    if (options_flag(&command.options, "help"))
        return help_print(verb);
    if (options_flag(&command.options, "version"))
        return print_version();
    if (verb->operand == OPERAND_NONE && command.options.operand_count > 0) {
        char shown[MESSAGE_NAME_MAX];
        message_escape(command.options.operands[0], shown, sizeof(shown));
        message_error("%s takes no '%s': it has only options", verb->name, shown);
        return EXIT_USAGE;
    }
    // What stdout is decides it once, for all that the verb prints.
    command.color = wants_color(&command.options);
    command.unicode = wants_unicode();
    command.width = terminal_width();
    return verb->run(&command);
}
