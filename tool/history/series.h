// SPDX-License-Identifier: Apache-2.0
// Building a series point by point; shared by all that read samples. Tool world; one thread.
#ifndef EBB_HISTORY_SERIES_H
#define EBB_HISTORY_SERIES_H

#include "history/numbers.h"
#include "history/store.h"

// What series_read_sample() and series_read_account() expect of a statement. Texts rather than
// constants, since statements are put together from them when they are compiled.
#define SERIES_SAMPLE_COLUMNS                                                                      \
    "id, kind, rss, lazy, anon, virtual, swap, minor_faults, major_faults, cpu_ms, threads"
#define SERIES_ACCOUNT_COLUMNS                                                                     \
    "id, verdict, in_use, slack, kept, lazy, metadata, stacks, code_files, shared, held, "         \
    "unexplained, group_usage, group_limit, ledger, figures"

struct series_builder {
    struct history *history;
    unsigned subject;
    struct series series; // series_free() it on failure
    size_t capacity, figure_capacity;
    int64_t last_key; // of the last sample that was read; -1 none
    // Of the range: where they stand, and 1 while there is one; NULL: the recording has none.
    sqlite3_stmt *peaks;
    int peak_row;
    bool has_ledger;
    int64_t ledger; // whose names `places` are: their figures' indices
    size_t places[NUMBERS_MAX], place_count;
};

// Adds a point where all is unknown. 0, -ENOMEM.
int series_add_point(struct series_builder *builder, int64_t at_ms, size_t *ret_index);
// The statement's row becomes a point; or is added to a point. 0; -EBADMSG; -errno.
int series_read_sample(struct series_builder *builder, sqlite3_stmt *sample);
int series_read_account(struct series_builder *builder, sqlite3_stmt *account, size_t index);

// Reads the range with at most `max_points` points, where it has more; else leaves the series as it
// is, and `*ret_is_thin` false. 0 or -errno.
int thin_read(struct series_builder *builder, int64_t first_ms, int64_t last_ms, size_t max_points,
              bool *ret_is_thin);

#endif
