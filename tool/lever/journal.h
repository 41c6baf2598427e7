// SPDX-License-Identifier: Apache-2.0
// What levers did on this host lately, for recordings that run meanwhile. Tool world.
//
// Each pull appends a line to a file of the user's own, which lives as long as the host is up:
// $XDG_RUNTIME_DIR/ebb/levers, or /run/ebb/levers. Best effort: no lever fails because of it. A
// reader sees its own user's, and as root everybody's.
#ifndef EBB_LEVER_JOURNAL_H
#define EBB_LEVER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "lever/lever.h"

enum { JOURNAL_TEXT_MAX = 200, JOURNAL_LINE_MAX = 400 };

struct journal_entry {
    int64_t time_ms;             // since the epoch
    int pid;                     // 0: a group, or the host
    uint64_t start_ticks;        // of the process; tells it from a later one of that number
    char text[JOURNAL_TEXT_MAX]; // "reclaim: done, RSS 309 MiB to 68.0 MiB"; control bytes are
                                 // blanks
};

// Appends what a lever did to a process (or 0 for a group's). Says nothing when it cannot: a
// journal of somebody else's, a link in its place or a full disk leave it as it is.
void journal_append(const struct lever_report *report, uint64_t start_ticks);

// One line, "TIME\tPID\tTICKS\tTEXT\n", and back; the parser takes it without its '\n'. False for
// anything else.
void journal_print(const struct journal_entry *entry, char ret_line[JOURNAL_LINE_MAX]);
bool journal_parse(struct text line, struct journal_entry *ret_entry);

struct journal;
// A reader of what is appended from now on. NULL without memory. One thread uses it.
struct journal *journal_open(void);
void journal_close(struct journal *journal);

// The lines since the last call; `*ret_entries` is the reader's, until the next call. Cost: a stat
// of each file where nothing was appended. Journals of other users are as hostile as any file: of
// each, the first 256 lines of a reading count.
// 0 or -ENOMEM; what cannot be read counts as empty.
int journal_read(struct journal *journal, const struct journal_entry **ret_entries,
                 size_t *ret_count);

#endif
