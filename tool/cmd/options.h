// SPDX-License-Identifier: Apache-2.0
// Options as tables: what a verb takes, and what a command line gave. Tool world; pure.
//
// One table per verb is the only source: parsing, --help, the man page and the completions of the
// shells are all made from it.
#ifndef EBB_CMD_OPTIONS_H
#define EBB_CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

enum option_kind {
    OPTION_FLAG,     // no argument
    OPTION_STRING,   // any text but the empty one
    OPTION_SIZE,     // "512MiB", "1.5G", "4096": bytes
    OPTION_DURATION, // "10s", "1m30s", "250ms", "10": nanoseconds
    OPTION_COUNT,    // "12"
    OPTION_CHOICE,   // one of `choices`
};

// One option. A table ends with a row whose name is NULL.
struct option_spec {
    const char *name; // long name without dashes
    char letter;      // short name; 0 none
    enum option_kind kind;
    const char *argument;       // how help calls the argument ("DIR"); NULL for flags and choices
    const char *bare;           // stands for an argument that is left out; NULL: it is needed. Such
                                // an argument is attached: --check=10s
    const char *const *choices; // NULL-terminated, for OPTION_CHOICE
    const char *fallback;       // the default, as one would type it; NULL none
    const char *help;           // one or two sentences without the default, which help adds itself
};

// What one option holds after parsing: the fallback, or what was given last.
struct option_value {
    bool given;         // on the command line
    const char *string; // as typed; NULL without a fallback
    uint64_t number; // bytes, nanoseconds, count, the index of a choice; 1 for a flag that is set
};

enum { OPTIONS_MAX = 32, OPTIONS_ERROR_MAX = 400 };

struct options {
    // Only options_get() and options_flag() should look at the first two.
    const struct option_spec *tables[2]; // the verb's, then the global ones; either may be NULL
    struct option_value values[2][OPTIONS_MAX];
    char **operands; // what is no option, in order; borrowed from argv
    size_t operand_count;
    size_t separated_count; // how many of the last operands stood behind "--"
    bool has_separator;     // "--" was given
};

// Reads the command line. Options and operands may be mixed; "--" ends the options; "-5" is an
// operand. `argv` is reordered: the operands move to its front and stay the caller's.
// 0, or -EINVAL with one sentence for the user in `ret_error`, which is safe to print as it is.
int options_parse(const struct option_spec *verb_table, const struct option_spec *global_table,
                  size_t argc, char **argv, struct options *ret_options,
                  char ret_error[OPTIONS_ERROR_MAX]);

// The same for verbs that take a command: the first operand ends the options, so that those of the
// command stay its own.
int options_parse_command(const struct option_spec *verb_table,
                          const struct option_spec *global_table, size_t argc, char **argv,
                          struct options *ret_options, char ret_error[OPTIONS_ERROR_MAX]);

// The value of option `name`. A name that is in neither table is a bug of the caller: aborts.
const struct option_value *options_get(const struct options *options, const char *name);
bool options_flag(const struct options *options, const char *name);
// A duration in whole milliseconds.
uint64_t options_get_ms(const struct options *options, const char *name);
// The same for what several verbs share, where a verb may lack the option: NULL, or off.
const struct option_value *options_find(const struct options *options, const char *name);
bool options_has_flag(const struct options *options, const char *name);

// "512MiB" to bytes, "1m30s" to nanoseconds, "12". Units: B K M G T with or without iB; ms s m h d.
// 0; -EINVAL; -ERANGE when it does not fit.
int options_parse_size(struct text text, uint64_t *ret_bytes);
int options_parse_duration(struct text text, uint64_t *ret_ns);
int options_parse_count(struct text text, uint64_t *ret_count);

size_t options_count(const struct option_spec *table);

// How help calls the option's argument: "DIR", "auto|always|never"; "" for a flag. Always
// terminated.
void options_argument(const struct option_spec *spec, char *ret_text, size_t size);

// The word among `words` (NULL-terminated) that `typed` was probably meant to be, or NULL.
const char *options_nearest(const char *typed, const char *const *words);

#endif
