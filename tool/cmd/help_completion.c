// SPDX-License-Identifier: Apache-2.0
// Completions for bash, zsh and fish, from the tables. Tool world; pure.
//
// Process names are anyone's to choose, and bash's compgen -W runs what stands in its words: names
// go into the reply by builtins alone, and only harmless ones.
//
// Each shell gets a script without any call of ebb in it: completing must be instant, and must work
// where ebb itself is not allowed to run. Hidden verbs are left out. An option's argument is
// completed where it is one of few words, a file, a folder or a process, as what help calls it
// says; numbers are for the user to choose.
#include "cmd/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// What the argument of an option, or an operand, is to a shell.
enum word_kind { WORD_FREE, WORD_FILE, WORD_DIRECTORY, WORD_PROCESS };

// By what help calls it. A new file is completed too: up to its folder. Memory groups are folders.
static enum word_kind word_kind_of(const struct option_spec *spec)
{
    static const struct {
        const char *argument;
        enum word_kind kind;
    } kinds[] = {
        {"FILE", WORD_FILE},      {"DIR", WORD_DIRECTORY},   {"PATH", WORD_DIRECTORY},
        {"TARGET", WORD_PROCESS}, {"PROCESS", WORD_PROCESS},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (spec->kind == OPTION_STRING && strcmp(spec->argument, kinds[i].argument) == 0)
            return kinds[i].kind;
    return WORD_FREE;
}

// One process or several: proposed alike, since who wants one begins with its name.
static bool takes_targets(const struct verb *verb)
{
    return verb->operand == OPERAND_TARGET || verb->operand == OPERAND_TARGETS ||
           verb->operand == OPERAND_TARGETS_OR_FILE;
}

// watch takes either: a name that is both a process and a file is proposed once, by the shell.
static bool takes_files(const struct verb *verb)
{
    return verb->operand == OPERAND_FILE || verb->operand == OPERAND_TARGETS_OR_FILE;
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
        } else {
            // A number or a free text: nothing is offered.
            // Functions of the script's head, which leave what they find in COMPREPLY.
            static const char *const calls[] = {
                [WORD_FREE] = "",
                [WORD_FILE] = " _ebb_files -f;",
                [WORD_DIRECTORY] = " _ebb_files -d;",
                [WORD_PROCESS] = " _ebb_processes;",
            };
            output_printf(output, ")%s return ;;\n", calls[word_kind_of(table)]);
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

// compopt: folders get a slash, and blanks are quoted. It fails where nothing is completed.
//
// PIDs are proposed once a digit was typed: all of them would bury the names. comm is read by the
// shell itself, so that no name passes through a second expansion.
static const char bash_head[] =
    "# bash completion for ebb, made by `ebb __completion bash`\n"
    "# Files with -f, folders with -d; what is proposed already stays.\n"
    "_ebb_files() {\n"
    "    local -a found\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    mapfile -t found < <(compgen \"$1\" -- \"$cur\")\n"
    "    COMPREPLY+=(\"${found[@]}\")\n"
    "}\n\n"
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
    if (takes_targets(verb) || takes_files(verb))
        output_printf(output, "            if [[ $cur != -* ]]; then%s%s return; fi\n",
                      takes_targets(verb) ? " _ebb_processes;" : "",
                      takes_files(verb) ? " _ebb_files -f;" : "");
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
            // zsh's own, but for processes, which are PIDs and names together. A blank proposes
            // nothing, and still shows what is wanted.
            static const char *const calls[] = {
                [WORD_FREE] = " ",
                [WORD_FILE] = "_files",
                [WORD_DIRECTORY] = "_directories",
                [WORD_PROCESS] = "_ebb_processes",
            };
            output_printf(output, "%s", table->bare ? "::" : ":");
            // "ADDRESS[:PORT]": its colon would end the message.
            put_quoted(output, table->argument, ":\\");
            output_printf(output, ":%s", calls[word_kind_of(table)]);
        }
        output_printf(output, "' \\\n");
    }
}

// What stands behind the options; also ends the command that _arguments began.
static void put_zsh_operand(struct output *output, const struct verb *verb)
{
    if (takes_targets(verb)) {
        output_printf(output, "            '%s:process:%s' ;;\n",
                      verb->operand == OPERAND_TARGET ? "1" : "*",
                      takes_files(verb) ? "_ebb_processes_or_files" : "_ebb_processes");
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
                          "_ebb_processes_or_files() {\n"
                          "    _alternative 'processes:process:_ebb_processes' "
                          "'recordings:recording:_files'\n"
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

// What is proposed for the argument, by a rule of its own: the option's help would else stand
// beside each of the words.
static void put_fish_argument(struct output *output, const struct option_spec *spec,
                              const char *condition)
{
    enum word_kind kind = word_kind_of(spec);
    bool has_words = spec->kind == OPTION_CHOICE || kind == WORD_DIRECTORY || kind == WORD_PROCESS;
    if (!has_words)
        return;
    output_printf(output, "complete -c ebb -n '%s'", condition);
    if (spec->letter)
        output_printf(output, " -s %c", spec->letter);
    output_printf(output, " -l %s -x -a '", spec->name);
    if (spec->kind == OPTION_CHOICE)
        put_choices(output, spec);
    else
        output_printf(output, "%s",
                      kind == WORD_PROCESS ? "(__ebb_processes)" : "(__fish_complete_directories)");
    output_printf(output, "'\n");
}

// `condition` is what stands between the quotes of -n.
static void put_fish_options(struct output *output, const struct option_spec *table,
                             const char *condition)
{
    for (; table && table->name; table++) {
        put_fish_argument(output, table, condition);
        // Behind it: fish shows the text of the last rule beside the option.
        output_printf(output, "complete -c ebb -n '%s'", condition);
        if (table->letter)
            output_printf(output, " -s %c", table->letter);
        output_printf(output, " -l %s", table->name);
        // -r lets files through, -x nothing but what is listed.
        enum word_kind kind = word_kind_of(table);
        if (kind == WORD_FILE)
            output_printf(output, " -r -F");
        else if (table->kind != OPTION_FLAG && !table->bare)
            output_printf(output, " -x");
        output_printf(output, " -d '");
        put_quoted(output, table->help, "\\");
        output_printf(output, "'\n");
    }
}

// The verb itself, and then what holds once it was typed.
static void put_fish_verb(struct output *output, const struct verb *verb)
{
    char condition[96];
    snprintf(condition, sizeof(condition), "__ebb_verb_is %s", verb->name);
    // Only as long as no verb was typed.
    output_printf(output, "complete -c ebb -n __fish_use_subcommand -a %s -d '", verb->name);
    put_quoted(output, verb->purpose, "\\");
    output_printf(output, "'\n");
    put_fish_options(output, verb->options, condition);
    put_fish_options(output, verb_global_options(), condition);
    if (takes_targets(verb))
        output_printf(output, "complete -c ebb -n '%s' -a '(__ebb_processes)'\n", condition);
    if (takes_files(verb))
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

// The verb is the second word: fish's own function takes a process of such a name for one. And its
// own for processes has kernel threads, which have no command line, and no memory.
static const char fish_head[] =
    "# fish completion for ebb, made by `ebb __completion fish`\n"
    "function __ebb_verb_is\n"
    "    set -l words (commandline -opc)\n"
    "    test (count $words) -gt 1; and test $words[2] = $argv[1]\n"
    "end\n"
    "function __ebb_processes\n"
    "    for directory in (string match -r '^/proc/[0-9]+$' /proc/*)\n"
    "        set -l line ''\n"
    "        set -l name ''\n"
    "        test -r $directory/cmdline; and read -z line <$directory/cmdline\n"
    "        test -n \"$line\"; and read name <$directory/comm; or continue\n"
    "        set -l pid (string replace /proc/ '' $directory)\n"
    // No other name is one to type; a comm may be anything.
    "        if string match -qr '^[A-Za-z0-9_.+-]+$' -- $name\n"
    "            printf '%s\\t%s\\n%s\\tprocess\\n' $pid $name $name\n"
    "        else\n"
    "            printf '%s\\n' $pid\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c ebb -f\n";

// fish collects single rules; files are never wanted unless a rule says so.
static void render_fish(struct output *output)
{
    output_printf(output, "%s", fish_head);
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
