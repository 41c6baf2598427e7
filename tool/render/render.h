// SPDX-License-Identifier: Apache-2.0
// Renderers: the same survey as text for people and as JSON for programs. Tool world; pure, output
// to a buffer.
//
// Names that come from a target (comm, paths, command lines) may hold any byte: every renderer
// escapes them.
#ifndef EBB_RENDER_RENDER_H
#define EBB_RENDER_RENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "survey/survey.h"

// How a text looks, never what it says: every style shows the same figures.
struct render_style {
    bool color;       // ANSI colours
    bool exact_bytes; // sizes as plain byte counts
    bool unicode;     // block characters for bars; '#' otherwise
    unsigned width;   // columns to fill; 0: 80
};

// Appends the whole report. 0; -ENOMEM or -EFBIG as buffer_append(), with a part of it in the
// buffer.
int render_survey_text(const struct survey *survey, const struct render_style *style,
                       struct buffer *buffer);

// Appends one JSON object and a newline, as docs/json.md describes. 0, -ENOMEM; -ENOTSUP in a build
// without JSON. A failure may leave a part of it in the buffer, never a success.
int render_survey_json(const struct survey *survey, struct buffer *buffer);

// A size that nobody could read: "-" as text, null in JSON.
#define TABLE_UNKNOWN UINT64_MAX

// One process in the table of `explain --all`: what it keeps of a survey, which is then freed, so
// that a host with thousands of processes costs a few hundred bytes each.
struct table_row {
    int pid;
    char name[64];     // comm, raw
    char runtimes[64]; // "Go 1.24.4, glibc 2.36", raw and cut
    uint64_t rss_bytes, lazy_bytes, kept_bytes, effective_bytes;
    enum verdict_code verdict; // 0: not known
    // Of a group, which has a name and sums, and no PID.
    bool is_group;
    unsigned members, starts_per_minute;
};

// Zero-initialised is empty; table_free() frees it and makes it so again.

struct table {
    struct table_row *rows;
    size_t count, capacity;
    size_t denied;   // processes that may not be read
    size_t vanished; // processes that ended meanwhile
    bool is_grouped; // all rows are groups
    bool is_root;    // who read them has no more rights to get
};

// Appends a row made of `survey` to the table. 0; -ENOMEM, and the table is as it was.
int table_add(struct table *table, const struct survey *survey);
// Sorts by what could be got back (lazy + kept), most first.
void table_sort(struct table *table);
void table_free(struct table *table);

// As the two above, for a table in the order that it has.
int render_table_text(const struct table *table, const struct render_style *style,
                      struct buffer *buffer);
int render_table_json(const struct table *table, struct buffer *buffer);

#endif
