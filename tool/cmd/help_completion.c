// SPDX-License-Identifier: Apache-2.0
// Completions for bash, zsh and fish, from the tables. Tool world; pure.
//
// Process names are anyone's to choose, and bash's compgen -W runs what stands in its words: names
// go into the reply by builtins alone, and only harmless ones.
//
// Each shell gets a script without any call of ebb in it: completing must be instant, and must work
// where ebb itself is not allowed to run. Hidden verbs are left out. An option's argument is
// completed where it is one of few words or a folder; numbers are for the user to choose.
#include "cmd/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// What help calls DIR is completed as one. FILE is not: names of new files are typed.
static bool is_directory(const struct option_spec *spec)
{
    return spec->kind == OPTION_STRING && strcmp(spec->argument, "DIR") == 0;
}

// As words: choices hold no blanks and no quotes.
static void put_choices(struct output *output, const struct option_spec *spec)
{
    for (size_t i = 0; spec->choices[i]; i++)
        output_printf(output, "%s%s", i ? " " : "", spec->choices[i]);
}

// The first sentence of an option's help or a purpose, inside of single quotes; what `escaped`
// lists gets a backslash.
static void put_quoted(struct output *output, const char *text, const char *escaped)
{
    for (; *text && !(text[0] == '.' && (text[1] == ' ' || text[1] == '\0')); text++) {
        if (*text == '\'')
            output_printf(output, "'\\''");
        else
            output_printf(output, "%s%c", strchr(escaped, *text) ? "\\" : "", *text);
    }
}

// Every spelling of every option.
static void put_bash_words(struct output *output, const struct option_spec *table)
{
    for (; table && table->name; table++) {
        // The letter first, as help has it.
        if (table->letter)
            output_printf(output, " -%c", table->letter);
        output_printf(output, " --%s", table->name);
    }
}

// Cases of the options whose argument comes next.
static void put_bash_arguments(struct output *output, const struct option_spec *table,
                               const char *verb)
{
    for (; table && table->name; table++) {
        // Behind a flag comes anything, as behind nothing at all.
        if (table->kind == OPTION_FLAG || table->bare)
            continue;
        output_printf(output, "    %s:--%s", verb, table->name);
        if (table->letter)
            output_printf(output, " | %s:-%c", verb, table->letter);
        if (table->kind == OPTION_CHOICE) {
            output_printf(output, ") words='");
            put_choices(output, table);
            output_printf(output, "' ;;\n");
        } else if (is_directory(table)) {
            output_printf(output, ")\n        compopt -o filenames\n"
                                  "        mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")\n"
                                  "        return ;;\n");
        } else {
            // A number or a free text: nothing is offered.
            output_printf(output, ") return ;;\n");
        }
    }
}

// Parted by blanks, hidden ones left out.
static void put_verb_names(struct output *output)
{
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        // The table begins with a verb that is shown.
        if (!verb->is_hidden)
            output_printf(output, "%s%s", verb == verb_first() ? "" : " ", verb->name);
    }
}

// PIDs are proposed once a digit was typed: all of them would bury the names. comm is read by the
// shell itself, so that no name passes through a second expansion.
static const char bash_head[] =
    "# bash completion for ebb, made by `ebb __completion bash`\n"
    "_ebb_processes() {\n"
    "    local directory name\n"
    "    for directory in /proc/[0-9]*; do\n"
    "        name=${directory##*/}\n"
    "        if [[ -n $cur && $name == \"$cur\"* ]]; then COMPREPLY+=(\"$name\"); fi\n"
    "        { IFS= read -r name < \"$directory/comm\"; } 2>/dev/null || continue\n"
    "        if [[ $name =~ ^[A-Za-z0-9_.+-]+$ && $name == \"$cur\"* ]]; then\n"
    "            COMPREPLY+=(\"$name\")\n"
    "        fi\n"
    "    done\n"
    "}\n\n"
    "# The command behind the options, of which $1 take an argument; false where an option "
    "stands.\n"
    "_ebb_command() {\n"
    "    local i word\n"
    "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ $word == -- ]]; then i=$((i + 1)); break; fi\n"
    "        if [[ $word != -* ]]; then break; fi\n"
    "        if [[ ${COMP_WORDS[i + 1]} == = ]]; then i=$((i + 2));\n"
    "        elif [[ \" $1 \" == *\" $word \"* ]]; then i=$((i + 1)); fi\n"
    "    done\n"
    "    if ((i < COMP_CWORD)); then\n"
    "        if declare -F _command_offset >/dev/null; then _command_offset \"$i\";\n"
    "        else compopt -o default; fi\n"
    "        return 0\n"
    "    fi\n"
    "    if [[ $cur == -* ]]; then return 1; fi\n"
    "    mapfile -t COMPREPLY < <(compgen -c -- \"$cur\")\n"
    "}\n\n"
    "_ebb() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local verb=${COMP_WORDS[1]} words=''\n"
    "    COMPREPLY=()\n"
    "    if [[ $COMP_CWORD -eq 1 ]]; then verb='' prev=''; fi\n"
    "    # --name=value comes as three words\n"
    "    if [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi\n"
    "    if [[ $cur == = ]]; then cur=''; fi\n"
    "    case $verb:$prev in\n";

// The spellings of options whose argument may be a word of its own.
static void put_bash_takers(struct output *output, const struct option_spec *table)
{
    for (; table && table->name; table++) {
        if (table->kind == OPTION_FLAG || table->bare)
            continue;
        output_printf(output, " --%s", table->name);
        if (table->letter)
            output_printf(output, " -%c", table->letter);
    }
}

// What a verb works on, when the word is no option.
static void put_bash_operand(struct output *output, const struct verb *verb)
{
    if (verb->operand == OPERAND_TARGET)
        output_printf(output, "            if [[ $cur != -* ]]; then _ebb_processes; return; fi\n");
    // compopt: folders get a slash, and blanks are quoted. It fails where nothing is completed.
    if (verb->operand == OPERAND_FILE)
        output_printf(output, "            if [[ $cur != -* ]]; then\n"
                              "                compopt -o filenames 2>/dev/null\n"
                              "                mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                              "                return\n"
                              "            fi\n");
    if (verb->operand != OPERAND_COMMAND)
        return;
    output_printf(output, "            if _ebb_command '");
    put_bash_takers(output, verb->options);
    put_bash_takers(output, verb_global_options());
    output_printf(output, "'; then return; fi\n");
}

// Words are gathered by verb and by the option before, then filtered once.
static void render_bash(struct output *output)
{
    // One case for each verb and option, since what is right behind --limit is wrong behind
    // --malloc.
    output_printf(output, "%s", bash_head);
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        if (verb->is_hidden)
            continue;
        // The verb's own before those of all: the first case that fits counts.
        put_bash_arguments(output, verb->options, verb->name);
        put_bash_arguments(output, verb_global_options(), verb->name);
    }
    // Not behind an option with an argument: options of the verb, and what it works on.
    output_printf(output, "    *)\n        case $verb in\n        '') words='");
    put_verb_names(output);
    output_printf(output, " --help --version' ;;\n");
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        if (verb->is_hidden)
            continue;
        output_printf(output, "        %s)\n            words='", verb->name);
        if (verb->operand == OPERAND_VERB)
            put_verb_names(output);
        put_bash_words(output, verb->options);
        put_bash_words(output, verb_global_options());
        output_printf(output, "'\n");
        put_bash_operand(output, verb);
        output_printf(output, "            ;;\n");
    }
    // compgen gets words of our own tables only: what it would expand is not in them.
    output_printf(output, "        esac ;;\n    esac\n"
                          "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                          "}\n\ncomplete -F _ebb ebb\n");
}

// The form of _arguments: exclusions, spellings, text, then what the argument is.
static void put_zsh_options(struct output *output, const struct option_spec *table)
{
    for (; table && table->name; table++) {
        // "=" lets both --name=value and --name value be completed, "=-" only the first.
        const char *equals = table->kind == OPTION_FLAG ? "" : table->bare ? "=-" : "=";
        output_printf(output, "            ");
        if (table->letter)
            output_printf(output, "'(-%c --%s)'{-%c,--%s%s}", table->letter, table->name,
                          table->letter, table->name, equals);
        else
            output_printf(output, "'--%s%s'", table->name, equals);
        output_printf(output, "'[");
        // What _arguments itself would take for syntax.
        put_quoted(output, table->help, "[]:\\");
        output_printf(output, "]");
        if (table->kind == OPTION_CHOICE) {
            output_printf(output, ":value:(");
            put_choices(output, table);
            output_printf(output, ")");
        } else if (table->kind != OPTION_FLAG) {
            output_printf(output, "%s%s:%s", table->bare ? "::" : ":", table->argument,
                          is_directory(table) ? "_directories" : " ");
        }
        output_printf(output, "' \\\n");
    }
}

// What stands behind the options; also ends the command that _arguments began.
static void put_zsh_operand(struct output *output, const struct verb *verb)
{
    if (verb->operand == OPERAND_TARGET) {
        output_printf(output, "            '1:process:_ebb_processes' ;;\n");
    } else if (verb->operand == OPERAND_FILE) {
        output_printf(output, "            '*:recording:_files' ;;\n");
    } else if (verb->operand == OPERAND_COMMAND) {
        output_printf(output, "            '(-)1:command:_command_names -e' "
                              "'*::arguments:_normal' ;;\n");
    } else if (verb->operand == OPERAND_VERB) {
        output_printf(output, "            '1:verb:(");
        put_verb_names(output);
        output_printf(output, ")' ;;\n");
    } else {
        output_printf(output, "            ;;\n");
    }
}

// Works as a file of the function path and when it is sourced by compinit.
static void render_zsh(struct output *output)
{
    output_printf(output, "#compdef ebb\n"
                          "# zsh completion for ebb, made by `ebb __completion zsh`\n"
                          "_ebb_processes() {\n"
                          "    _alternative 'pids:process ID:_pids' "
                          "'names:process name:_process_names -a'\n"
                          "}\n\n"
                          "_ebb() {\n"
                          "    local -a verbs\n"
                          "    verbs=(\n");
    // Colons part name and text in _describe.
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        if (verb->is_hidden)
            continue;
        output_printf(output, "        '%s:", verb->name);
        put_quoted(output, verb->purpose, ":\\");
        output_printf(output, "'\n");
    }
    output_printf(output, "    )\n"
                          "    if (( CURRENT == 2 )); then\n"
                          "        _describe verb verbs\n"
                          "        return\n"
                          "    fi\n"
                          "    shift words\n"
                          "    (( CURRENT-- ))\n"
                          "    case $words[1] in\n");
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        if (verb->is_hidden)
            continue;
        output_printf(output, "    %s)\n        _arguments -s -S \\\n", verb->name);
        put_zsh_options(output, verb->options);
        put_zsh_options(output, verb_global_options());
        put_zsh_operand(output, verb);
    }
    output_printf(output, "    esac\n}\n\n_ebb \"$@\"\n");
}

// `condition` is what stands between the quotes of -n.
static void put_fish_options(struct output *output, const struct option_spec *table,
                             const char *condition)
{
    for (; table && table->name; table++) {
        // One rule for each option: fish shows the text beside it.
        output_printf(output, "complete -c ebb -n '%s'", condition);
        if (table->letter)
            output_printf(output, " -s %c", table->letter);
        output_printf(output, " -l %s", table->name);
        if (table->kind == OPTION_CHOICE) {
            output_printf(output, " -x -a '");
            put_choices(output, table);
            output_printf(output, "'");
        } else if (is_directory(table)) {
            output_printf(output, " -x -a '(__fish_complete_directories)'");
        } else if (table->kind != OPTION_FLAG && !table->bare) {
            output_printf(output, " -x");
        }
        output_printf(output, " -d '");
        put_quoted(output, table->help, "\\");
        output_printf(output, "'\n");
    }
}

// The verb itself, and then what holds once it was typed.
static void put_fish_verb(struct output *output, const struct verb *verb)
{
    // The verb stands anywhere before the word: fish has no notion of a first one.
    char condition[96];
    snprintf(condition, sizeof(condition), "__fish_seen_subcommand_from %s", verb->name);
    // Only as long as no verb was typed.
    output_printf(output, "complete -c ebb -n __fish_use_subcommand -a %s -d '", verb->name);
    put_quoted(output, verb->purpose, "\\");
    output_printf(output, "'\n");
    put_fish_options(output, verb->options, condition);
    put_fish_options(output, verb_global_options(), condition);
    if (verb->operand == OPERAND_TARGET)
        output_printf(output, "complete -c ebb -n '%s' -a '(__fish_complete_pids)'\n", condition);
    if (verb->operand == OPERAND_FILE)
        output_printf(output, "complete -c ebb -n '%s' -F\n", condition);
    if (verb->operand == OPERAND_COMMAND)
        output_printf(output,
                      "complete -c ebb -n '%s' -x -a '(__fish_complete_subcommand --fcs-skip=2)'\n",
                      condition);
    if (verb->operand == OPERAND_VERB) {
        output_printf(output, "complete -c ebb -n '%s' -a '", condition);
        put_verb_names(output);
        output_printf(output, "'\n");
    }
}

// fish collects single rules; files are never wanted unless a rule says so.
static void render_fish(struct output *output)
{
    output_printf(output, "# fish completion for ebb, made by `ebb __completion fish`\n"
                          "complete -c ebb -f\n");
    put_fish_options(output, verb_global_options(), "__fish_use_subcommand");
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        if (!verb->is_hidden)
            put_fish_verb(output, verb);
    }
}

// By the name of the shell's program.
int help_render_completion(const char *shell, struct output *output)
{
    if (strcmp(shell, "bash") == 0)
        render_bash(output);
    else if (strcmp(shell, "zsh") == 0)
        render_zsh(output);
    else if (strcmp(shell, "fish") == 0)
        render_fish(output);
    else
        return -EINVAL;
    return 0;
}
