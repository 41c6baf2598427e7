// SPDX-License-Identifier: Apache-2.0
// Reads a command line by the tables of its options. Tool world; pure, no state.
//
// getopt_long() is not used: it keeps its state in globals, prints by itself, accepts abbreviations
// that break when an option is added, and its table would be a second list to keep in step.
//
// The line is walked once, from left to right; what is given last counts, as with other tools, so
// that an alias can be overruled. Defaults are parsed by the same functions as arguments are.
#include "cmd/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/messages.h"

// The walk over argv. Operands are moved to the front of argv as they come.
struct parser {
    // What was found so far; given to the caller only when all of it is right.
    struct options *options;
    size_t argc, next;
    char **argv;
    // The caller's room for one sentence.
    char *error;
    // What follows the first operand belongs to it.
    bool stops_at_operand;
};

// The sentence for the user. Names in it are escaped by who calls.
__attribute__((format(printf, 2, 3))) static int fail(const struct parser *parser,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(parser->error, OPTIONS_ERROR_MAX, format, args);
    va_end(args);
    return -EINVAL;
}

// Walks to the end: tables are short, and a stored length would be one more thing to keep in step.
size_t options_count(const struct option_spec *table)
{
    size_t count = 0;
    while (table && table[count].name)
        count++;
    return count;
}

// For help, and for the message that an argument is missing.
void options_argument(const struct option_spec *spec, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    // The table names it, in capitals.
    if (spec->kind != OPTION_CHOICE) {
        snprintf(ret_text, size, "%s", spec->argument ? spec->argument : "");
        return;
    }
    // The choices are the best name for one of them; snprintf() says what it would have needed,
    // which ends the loop where the room does.
    size_t used = 0;
    for (const char *const *choice = spec->choices; *choice && used < size; choice++)
        used += (size_t)snprintf(ret_text + used, size - used, "%s%s", used ? "|" : "", *choice);
}

// What the kind of an option calls a right value, for messages.
static const char *kind_wants(enum option_kind kind)
{
    switch (kind) {
    case OPTION_SIZE:
        return "a size such as 512MiB or 2G";
    case OPTION_DURATION:
        return "a duration such as 10s or 1m30s";
    case OPTION_COUNT:
        return "a whole number";
    case OPTION_FLAG:
    case OPTION_STRING:
    case OPTION_CHOICE:
        break;
    }
    return "a value";
}

// Choices are words of their own: no abbreviations, which a new choice would make ambiguous.
static int parse_choice(const struct option_spec *spec, const char *string, uint64_t *ret_index)
{
    for (size_t i = 0; spec->choices[i]; i++) {
        if (strcmp(spec->choices[i], string) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    return -EINVAL;
}

// Turns `string` into a value of the option's kind.
static int value_set(const struct option_spec *spec, const char *string, struct option_value *value)
{
    uint64_t number = 0;
    // `value` stays as it was until the text is known to be right.
    int error = 0;
    switch (spec->kind) {
    case OPTION_FLAG:
        number = 1;
        break;
    case OPTION_STRING:
        error = string[0] ? 0 : -EINVAL;
        break;
    case OPTION_SIZE:
        error = options_parse_size(text_of(string), &number);
        break;
    case OPTION_DURATION:
        error = options_parse_duration(text_of(string), &number);
        break;
    case OPTION_COUNT:
        error = options_parse_count(text_of(string), &number);
        break;
    case OPTION_CHOICE:
        error = parse_choice(spec, string, &number);
        break;
    }
    if (error < 0)
        return error;
    value->string = string;
    value->number = number;
    return 0;
}

// Defaults go the same way as what is typed. One that does not parse is a bug of the table, and
// every run of the verb would show it.
static int set_fallbacks(struct parser *parser)
{
    struct options *options = parser->options;
    for (size_t t = 0; t < 2; t++) {
        const struct option_spec *table = options->tables[t];
        size_t count = options_count(table);
        // Values lie in arrays of that size.
        if (count > OPTIONS_MAX)
            abort();
        for (size_t i = 0; i < count; i++) {
            if (table[i].fallback &&
                value_set(&table[i], table[i].fallback, &options->values[t][i]) < 0)
                abort();
        }
    }
    return 0;
}

// Finds an option by its long name (of `len` bytes) or, with `len` 0, by its letter.
static const struct option_spec *find(const struct options *options, const char *name, size_t len,
                                      struct option_value **ret_value)
{
    for (size_t t = 0; t < 2; t++) {
        // The verb's own first; a test sees to it that no name is in both.
        const struct option_spec *table = options->tables[t];
        for (size_t i = 0; table && table[i].name; i++) {
            bool same = len ? strlen(table[i].name) == len && !memcmp(table[i].name, name, len)
                            : table[i].letter == *name;
            if (same) {
                // The cast takes off a const that only readers of parsed options need.
                *ret_value = (struct option_value *)&options->values[t][i];
                return &table[i];
            }
        }
    }
    return NULL;
}

// Stores an argument; `spelled` is the option as the user wrote it.
static int take_value(struct parser *parser, const struct option_spec *spec,
                      struct option_value *value, const char *spelled, const char *string)
{
    int error = value_set(spec, string, value);
    if (error == 0) {
        value->given = true;
        return 0;
    }
    char shown[MESSAGE_NAME_MAX];
    message_escape(string, shown, sizeof(shown));
    // From here on only the sentence is of interest: what was typed, and what is wanted instead.
    if (error == -ERANGE)
        return fail(parser, "%s '%s' is too large", spelled, shown);
    if (spec->kind == OPTION_CHOICE) {
        char choices[200];
        options_argument(spec, choices, sizeof(choices));
        const char *near = options_nearest(string, spec->choices);
        return fail(parser, "%s takes %s, not '%s'%s%s%s", spelled, choices, shown,
                    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (string[0] == '\0')
        return fail(parser, "%s needs %s, not an empty one", spelled, kind_wants(spec->kind));
    return fail(parser, "%s needs %s, not '%s'", spelled, kind_wants(spec->kind), shown);
}

// The argument that follows the option as a word of its own.
static int take_next_word(struct parser *parser, const struct option_spec *spec,
                          struct option_value *value, const char *spelled)
{
    if (parser->next >= parser->argc) {
        char argument[200];
        options_argument(spec, argument, sizeof(argument));
        return fail(parser, "%s needs its argument: %s", spelled, argument);
    }
    return take_value(parser, spec, value, spelled, parser->argv[parser->next++]);
}

// Most unknown options are slips: the nearest known one saves a look at --help.
static int unknown_long(const struct parser *parser, const char *name, size_t len)
{
    // Both tables together: the slip may have been meant for either.
    const char *words[2 * OPTIONS_MAX + 1];
    size_t count = 0;
    for (size_t t = 0; t < 2; t++) {
        const struct option_spec *table = parser->options->tables[t];
        for (size_t i = 0; table && table[i].name; i++)
            words[count++] = table[i].name;
    }
    words[count] = NULL;
    // What was typed may be of any length and hold any byte; words that are too long are no slips.
    char typed[MESSAGE_NAME_MAX], shown[MESSAGE_NAME_MAX];
    text_copy((struct text){name, len}, typed, sizeof(typed));
    message_escape(typed, shown, sizeof(shown));
    const char *near = options_nearest(typed, words);
    if (near)
        return fail(parser, "unknown option '--%s'; did you mean '--%s'?", shown, near);
    return fail(parser, "unknown option '--%s'", shown);
}

// "--name", "--name=value" or "--name value".
static int take_long(struct parser *parser, const char *word)
{
    const char *name = word + 2;
    // An argument may hold further equal signs: only the first one parts.
    size_t len = strcspn(name, "=");
    struct option_value *value;
    // "--=x" has no name at all.
    const struct option_spec *spec = len ? find(parser->options, name, len, &value) : NULL;
    if (!spec)
        return unknown_long(parser, name, len);
    // As the table has it: what was typed may be of any length.
    char spelled[64];
    snprintf(spelled, sizeof(spelled), "--%s", spec->name);
    const char *string = name[len] == '=' ? name + len + 1 : NULL;
    // Silently ignoring "--json=no" would do the opposite of what was asked.
    if (spec->kind == OPTION_FLAG && string)
        return fail(parser, "%s takes no argument", spelled);
    if (spec->kind == OPTION_FLAG)
        return take_value(parser, spec, value, spelled, "");
    if (string)
        return take_value(parser, spec, value, spelled, string);
    // The next word is not looked at: it may be a command.
    if (spec->bare)
        return take_value(parser, spec, value, spelled, spec->bare);
    return take_next_word(parser, spec, value, spelled);
}

// "-abc": letters of flags, the last may have an argument, attached or as the next word.
static int take_letters(struct parser *parser, const char *word)
{
    for (const char *letter = word + 1; *letter; letter++) {
        struct option_value *value;
        // The letter alone: `len` 0 asks for it.
        const struct option_spec *spec = find(parser->options, letter, 0, &value);
        if (!spec) {
            char shown[MESSAGE_NAME_MAX];
            message_escape(word, shown, sizeof(shown));
            if (letter == word + 1 && !letter[1])
                return fail(parser, "unknown option '%s'", shown);
            // The letter itself may be a byte of a longer character: the word says enough then.
            if (*letter > ' ' && *letter < 0x7f)
                return fail(parser, "unknown option '-%c' in '%s'", *letter, shown);
            return fail(parser, "unknown option in '%s'", shown);
        }
        // Messages name the option as it was typed, short or long.
        char spelled[8];
        snprintf(spelled, sizeof(spelled), "-%c", spec->letter);
        int error;
        if (spec->kind == OPTION_FLAG)
            error = take_value(parser, spec, value, spelled, "");
        else if (letter[1])
            return take_value(parser, spec, value, spelled, letter + 1);
        else if (spec->bare)
            return take_value(parser, spec, value, spelled, spec->bare);
        else
            return take_next_word(parser, spec, value, spelled);
        if (error < 0)
            return error;
    }
    return 0;
}

// Negative numbers are operands, so that a verb can say what is wrong with them.
static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && !(word[1] >= '0' && word[1] <= '9');
}

// One pass, without memory of its own.
static int parse(struct parser *parser)
{
    struct options *options = parser->options;
    char **argv = parser->argv;
    // What is typed later overwrites them.
    set_fallbacks(parser);
    while (parser->next < parser->argc) {
        // Words are borrowed from argv, which lives as long as the process.
        char *word = argv[parser->next++];
        bool is_operand = options->has_separator || !is_option(word) ||
                          (parser->stops_at_operand && options->operand_count > 0);
        int error = 0;
        if (is_operand) {
            // Never overtakes the reader: at most one operand is stored per word that was read.
            argv[options->operand_count++] = word;
            options->separated_count += options->has_separator ? 1 : 0;
        } else if (strcmp(word, "--") == 0) {
            options->has_separator = true;
        } else if (word[1] == '-') {
            error = take_long(parser, word);
        } else {
            error = take_letters(parser, word);
        }
        if (error < 0)
            return error;
    }
    return 0;
}

// A refused line leaves nothing behind.
int options_parse(const struct option_spec *verb_table, const struct option_spec *global_table,
                  size_t argc, char **argv, struct options *ret_options,
                  char ret_error[OPTIONS_ERROR_MAX])
{
    struct options options = {.tables = {verb_table, global_table}, .operands = argv};
    struct parser parser = {.options = &options, .argc = argc, .argv = argv, .error = ret_error};
    int error = parse(&parser);
    if (error == 0)
        *ret_options = options;
    return error;
}

int options_parse_command(const struct option_spec *verb_table,
                          const struct option_spec *global_table, size_t argc, char **argv,
                          struct options *ret_options, char ret_error[OPTIONS_ERROR_MAX])
{
    struct options options = {.tables = {verb_table, global_table}, .operands = argv};
    struct parser parser = {.options = &options,
                            .argc = argc,
                            .argv = argv,
                            .error = ret_error,
                            // The one difference: `ebb run ls -l` gives -l to ls.
                            .stops_at_operand = true};
    int error = parse(&parser);
    if (error == 0)
        *ret_options = options;
    return error;
}

// By name, since a verb reads each option once, where its name says what it is.
const struct option_value *options_get(const struct options *options, const char *name)
{
    const struct option_value *value = options_find(options, name);
    if (!value)
        abort();
    return value;
}

uint64_t options_get_ms(const struct options *options, const char *name)
{
    return options_get(options, name)->number / 1000000;
}

const struct option_value *options_find(const struct options *options, const char *name)
{
    struct option_value *value;
    return find(options, name, strlen(name), &value) ? value : NULL;
}

bool options_has_flag(const struct options *options, const char *name)
{
    const struct option_value *value = options_find(options, name);
    return value && value->number != 0;
}

// Off unless it was given.
bool options_flag(const struct options *options, const char *name)
{
    return options_get(options, name)->number != 0;
}
