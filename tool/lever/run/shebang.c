// SPDX-License-Identifier: Apache-2.0
// First lines of scripts, see shebang.h. Tool world; pure, no state.
#include "lever/run/shebang.h"

#include <errno.h>
#include <string.h>

// What the kernel takes for one.
static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

// Takes the next word, parted by blanks.
static struct text take_word(struct text *rest)
{
    text_skip_blanks(rest);
    struct text word = {rest->data, 0};
    while (word.len < rest->len && !is_blank(word.data[word.len]))
        word.len++;
    *rest = (struct text){rest->data + word.len, rest->len - word.len};
    return word;
}

// The line ends at a newline or NUL. Without one the kernel accepts it only if the interpreter's
// name is whole, that is, if something follows it.
int shebang_parse(struct text start, struct text *ret_interpreter, struct text *ret_argument)
{
    if (!text_take_prefix(&start, "#!"))
        return -ENOEXEC;
    size_t room = SHEBANG_MAX - 2;
    struct text line = {start.data, 0};
    while (line.len < start.len && line.len < room && line.data[line.len] != '\n' &&
           line.data[line.len] != '\0')
        line.len++;
    // Blanks at the end would make an argument of nothing.
    bool is_cut = line.len == room;
    while (line.len > 0 && is_blank(line.data[line.len - 1]))
        line.len--;
    struct text interpreter = take_word(&line);
    if (interpreter.len == 0 || (is_cut && line.len == 0))
        return -ENOEXEC;
    text_skip_blanks(&line);
    *ret_interpreter = interpreter;
    *ret_argument = line;
    return 0;
}

// env without -S takes the whole argument as the program's name.
bool shebang_env_program(struct text argument, struct text *ret_program)
{
    bool is_split =
        text_take_prefix(&argument, "-S") || text_take_prefix(&argument, "--split-string=");
    struct text word = is_split ? take_word(&argument) : argument;
    // Flags that take no argument of their own, and variables, stand in front.
    while (is_split && (text_equals(word, "-i") || text_equals(word, "-") ||
                        (word.len > 0 && word.data[0] != '-' && memchr(word.data, '=', word.len))))
        word = take_word(&argument);
    if (word.len == 0 || word.data[0] == '-' || memchr(word.data, '\\', word.len) ||
        memchr(word.data, '$', word.len))
        return false;
    *ret_program = word;
    return true;
}
