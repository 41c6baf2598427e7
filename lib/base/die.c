// SPDX-License-Identifier: Apache-2.0
// The last line of a process, without stdio and without memory. Library world; no state.
#include "base/die.h"

#include <stdlib.h>

#include "base/syscall.h"

// Here since no program is linked without it: how a reader outside knows libebb and its version,
// also where symbols were stripped.
__attribute__((used)) static const char banner[] = "libebb, version " EBB_VERSION;

void line_add(struct line *line, const char *text)
{
    // The last byte is the newline's.
    while (*text && line->len < sizeof line->text - 1)
        line->text[line->len++] = *text++;
}

// From the last digit to the first; 64 bits fit 20 of them.
static void add_number(struct line *line, uint64_t value, unsigned radix)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[value % radix];
        value /= radix;
    } while (value);
    line_add(line, digits + at);
}

// As debuggers and maps print addresses.
void line_add_hex(struct line *line, uint64_t value)
{
    line_add(line, "0x");
    add_number(line, value, 16);
}

void line_add_decimal(struct line *line, uint64_t value)
{
    add_number(line, value, 10);
}

// One write, so that lines of several threads do not mix. What is not taken is lost.
void line_write(struct line *line)
{
    line->text[line->len++] = '\n';
    (void)syscall_make(SYS_write, 2, (long)(uintptr_t)line->text, (long)line->len, 0, 0, 0);
}

// SIGABRT leaves a core with the stack of whoever called.
_Noreturn void die(const char *what)
{
    struct line line = {.len = 0};
    line_add(&line, "ebb: fatal: ");
    line_add(&line, what);
    line_write(&line);
    abort();
}

// All lines about a block begin alike, so that one pattern finds them in a log.
void line_begin_death(struct line *line, const char *what, uintptr_t address, const char *note)
{
    line->len = 0;
    line_add(line, "ebb: fatal: ");
    line_add(line, what);
    line_add(line, " ");
    line_add_hex(line, address);
    line_add(line, " (");
    line_add(line, note);
}

_Noreturn void die_at(const char *what, uintptr_t address, const char *note, size_t number)
{
    struct line line;
    line_begin_death(&line, what, address, note);
    if (number) {
        line_add(&line, " ");
        line_add_decimal(&line, number);
    }
    line_add(&line, ")");
    line_write(&line);
    abort();
}
