// SPDX-License-Identifier: Apache-2.0
// The end of a process that has misused its heap: one line, then SIGABRT. Library world; no state.
#ifndef EBB_BASE_DIE_H
#define EBB_BASE_DIE_H

#include <stddef.h>
#include <stdint.h>

// Text put together without stdio, cut at its end.
struct line {
    char text[192];
    size_t len;
};

void line_add(struct line *line, const char *text);
void line_add_hex(struct line *line, uint64_t value);
void line_add_decimal(struct line *line, uint64_t value);
// With a newline, by one write(2) to stderr.
void line_write(struct line *line);

// "ebb: fatal: WHAT 0xADDRESS (NOTE": the beginning of a last line, for who has more to say in it.
void line_begin_death(struct line *line, const char *what, uintptr_t address, const char *note);

// "ebb: fatal: WHAT", then abort(). Async-signal-safe.
_Noreturn void die(const char *what);

// "ebb: fatal: WHAT 0xADDRESS (NOTE)"; a `number` that is not 0 follows the note.
_Noreturn void die_at(const char *what, uintptr_t address, const char *note, size_t number);

#endif
