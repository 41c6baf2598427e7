// SPDX-License-Identifier: Apache-2.0
// Reading and matching selections, see select.h. Tool world; pure.
#include "sample/select.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

// The words before the colon, and what they ask for.
static const struct {
    const char *prefix;
    enum select_kind kind;
} select_prefixes[] = {
    {"name:", SELECT_GLOB},
    {"cmdline:", SELECT_LINE},
    {"cgroup:", SELECT_CGROUP},
};

// NUL is in every string for strchr(), so it is left out here.
static bool text_has_any(struct text text, const char *bytes)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] && strchr(bytes, text.data[i]))
            return true;
    }
    return false;
}

// A word of digits alone is a PID: a process that is called "123" is meant by "name:123".
static bool select_is_number(struct text text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.len > 0;
}

// PIDs are below 2^22 on Linux, but a tree of files may have any that an int holds.
static int select_parse_pid(struct text text, struct selection *ret_selection)
{
    uint64_t pid;
    if (!text_take_u64(&text, &pid) || text.len > 0 || pid == 0 || pid > INT32_MAX)
        return -EINVAL;
    *ret_selection = (struct selection){.kind = SELECT_PID, .pid = (int)pid};
    return 0;
}

// "/a/b/" means the group "/a/b"; all that is left of "/" is "", which every group is below.
static void select_trim_group(struct text *text)
{
    while (text->len > 0 && text->data[text->len - 1] == '/')
        text->len--;
}

// Without a prefix a word is a name, and a pattern where it has a wildcard.
static enum select_kind select_take_kind(struct text *rest)
{
    for (size_t i = 0; i < sizeof select_prefixes / sizeof *select_prefixes; i++) {
        if (text_take_prefix(rest, select_prefixes[i].prefix))
            return select_prefixes[i].kind;
    }
    return text_has_any(*rest, "*?[") ? SELECT_GLOB : SELECT_NAME;
}

int selection_parse(struct text text, struct selection *ret_selection)
{
    if (select_is_number(text))
        return select_parse_pid(text, ret_selection);
    struct selection selection = {.kind = select_take_kind(&text)};
    // No name, command line or path holds one.
    if (text.len == 0 || memchr(text.data, '\0', text.len))
        return -EINVAL;
    if (selection.kind == SELECT_CGROUP) {
        // Paths of groups begin at the root; a pattern may begin with anything.
        if (text.data[0] != '/' && text.data[0] != '*')
            return -EINVAL;
        select_trim_group(&text);
    }
    if (!text_copy(text, selection.text, sizeof selection.text))
        return -ENAMETOOLONG;
    *ret_selection = selection;
    return 0;
}

// Base name of argv[0]: what stands before the first blank of the line. A program whose path has a
// blank in it is found by its other names.
static void select_argv0(const struct subject *subject, char *ret_name, size_t size)
{
    struct text line = text_of(subject->cmdline), first = {"", 0};
    text_next_field(&line, ' ', &first);
    text_copy(text_base_name(first), ret_name, size);
}

// Calls a comparison with each of the names that the process goes by.
static bool select_any_name(const struct subject *subject, const char *wanted,
                            bool (*equals)(const char *wanted, const char *name))
{
    char argv0[sizeof subject->cmdline];
    select_argv0(subject, argv0, sizeof argv0);
    const char *names[] = {subject->name, subject->exe, argv0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        // What could not be read is no name.
        if (names[i][0] && equals(wanted, names[i]))
            return true;
    }
    return false;
}

// Case counts, as in the kernel.
static bool select_same(const char *wanted, const char *name)
{
    return strcmp(wanted, name) == 0;
}

// No flag: '*' takes slashes and leading dots as well, since these are names and no paths.
static bool select_like(const char *pattern, const char *name)
{
    return fnmatch(pattern, name, 0) == 0;
}

// The leading-dir flag lets the group stand for all below it.
static bool select_in_group(const char *pattern, const char *group)
{
    return group[0] && (!pattern[0] || fnmatch(pattern, group, FNM_LEADING_DIR) == 0);
}

static bool select_one(const struct selection *selection, const struct subject *subject)
{
    switch (selection->kind) {
    case SELECT_PID:
        return subject->pid == selection->pid;
    case SELECT_NAME:
        return select_any_name(subject, selection->text, select_same);
    case SELECT_GLOB:
        return select_any_name(subject, selection->text, select_like);
    case SELECT_LINE:
        return select_like(selection->text, subject->cmdline);
    case SELECT_CGROUP:
        return select_in_group(selection->text, subject->cgroup);
    case SELECT_ALL:
        return true;
    case SELECT_BELOW:
        break;
    }
    return false;
}

// A process that several of them mean is one subject all the same.
bool selection_matches(const struct selection *selections, size_t count,
                       const struct subject *subject)
{
    for (size_t i = 0; i < count; i++) {
        if (select_one(&selections[i], subject))
            return true;
    }
    return false;
}
