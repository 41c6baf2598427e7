// SPDX-License-Identifier: Apache-2.0
// The JVM's settings from texts, see jvm.h. Tool world; pure, no state.
#include <stdio.h>
#include <string.h>

#include "runtime/managed/jvm.h"

// Words in the name of an -XX option that has to do with memory.
// A word may let an option through that is not about memory; that is better than to miss one that a
// newer JVM has.
static const char *const memory_words[] = {
    "Heap",      "GC",        "Metaspace",    "CodeCache",
    "RAM",       "NewSize",   "DirectMemory", "CompressedClass",
    "Ratio",     "HugePages", "LargePages",   "AlwaysPreTouch",
    "StackSize", "ZUncommit", "Periodic",     "NativeMemoryTracking",
};

// There are a thousand -XX options: those with such a word decide what stays resident.
static bool is_about_memory(struct text option)
{
    for (size_t i = 0; i < sizeof memory_words / sizeof memory_words[0]; i++)
        if (text_contains(option, memory_words[i]))
            return true;
    return false;
}

static int add_setting(struct runtime_report *report, struct text name, struct text value,
                       const char *source)
{
    char name_copy[48], value_copy[96];
    text_copy(name, name_copy, sizeof name_copy);
    text_copy(value, value_copy, sizeof value_copy);
    return report_add_setting(report, name_copy, value_copy, source);
}

// Adds one option when it is about memory: "-Xmx2g", "-XX:+UseG1GC", "-XX:MaxRAMPercentage=50".
// Of options that are given twice the JVM takes the last one; all are shown, in their order.
static int add_option(struct runtime_report *report, struct text option, const char *source)
{
    static const char *const short_names[] = {"-Xmx", "-Xms", "-Xmn", "-Xss"};
    for (size_t i = 0; i < 4; i++) {
        struct text value = option;
        if (text_take_prefix(&value, short_names[i]))
            return add_setting(report, text_of(short_names[i]), value, source);
    }
    struct text rest = option;
    if (!text_take_prefix(&rest, "-XX:") || !is_about_memory(rest))
        return 0;
    if (rest.len > 0 && (rest.data[0] == '+' || rest.data[0] == '-')) {
        struct text name = {rest.data + 1, rest.len - 1};
        return add_setting(report, name, text_of(rest.data[0] == '+' ? "true" : "false"), source);
    }
    struct text name, value = rest;
    if (!text_next_field(&value, '=', &name))
        return 0;
    return add_setting(report, name, value, source);
}

// Options whose value is the next argument.
// Source: the launcher's IsWhiteSpaceOption() and IsModuleOption() (libjli/java.c).
static bool takes_value(struct text argument)
{
    static const char *const names[] = {"-cp",
                                        "-classpath",
                                        "--class-path",
                                        "-p",
                                        "--module-path",
                                        "--add-modules",
                                        "--add-opens",
                                        "--add-exports",
                                        "--add-reads",
                                        "--upgrade-module-path",
                                        "--limit-modules",
                                        "--patch-module"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (text_equals(argument, names[i]))
            return true;
    return false;
}

// What follows the main class is the program's own, even where it looks like an option.
// Files of arguments (@file) are not opened: the file may be another one by now.
int jvm_settings_from_arguments(struct runtime_report *report, struct text cmdline)
{
    struct text argument;
    // The first one is the launcher itself.
    if (!text_next_field(&cmdline, '\0', &argument))
        return 0;
    while (text_next_field(&cmdline, '\0', &argument)) {
        if (argument.len == 0 || argument.data[0] != '-' || text_equals(argument, "-jar") ||
            text_equals(argument, "-m") || text_equals(argument, "--module"))
            break;
        if (takes_value(argument)) {
            text_next_field(&cmdline, '\0', &argument);
            continue;
        }
        int error = add_option(report, argument, "command line");
        if (error)
            return error;
    }
    return 0;
}

// Splits as the JVM does: quotes join, and vanish.
// Source: Arguments::parse_options_buffer(). A word beyond 255 bytes is cut: no option about memory
// is that long.
int jvm_settings_from_variable(struct runtime_report *report, struct text value, const char *source)
{
    char word[256];
    size_t len = 0;
    char quote = '\0';
    for (size_t i = 0; i <= value.len; i++) {
        char byte = i < value.len ? value.data[i] : ' ';
        bool is_blank = byte == ' ' || byte == '\t' || byte == '\n';
        if (quote == '\0' && (byte == '"' || byte == '\'')) {
            quote = byte;
        } else if (byte == quote && quote) {
            quote = '\0';
        } else if ((is_blank && !quote) || i == value.len) {
            int error = len ? add_option(report, (struct text){word, len}, source) : 0;
            if (error)
                return error;
            len = 0;
        } else if (len < sizeof word) {
            word[len++] = byte;
        }
    }
    return 0;
}
