// SPDX-License-Identifier: Apache-2.0
// A minute or an hour of a subject in one row: extremes, means over time, time under each verdict.
// Tool world; pure but for reading and writing the row.
#ifndef EBB_HISTORY_ROLLUP_H
#define EBB_HISTORY_ROLLUP_H

#include "history/fit.h"
#include "history/store.h"

enum { ROLLUP_MINUTE_MS = 60000, ROLLUP_HOUR_MS = 3600000 };

// What one figure did. Of RSS the moment of the low is not kept, of what is not stored 0 is said.
struct rollup_figure {
    uint64_t first_bytes, last_bytes, low_bytes, high_bytes;
    int64_t low_at_ms, high_at_ms; // moments of the recording
    double area;                   // bytes x milliseconds
};

struct rollup {
    int64_t start_ms; // at_ms of its beginning
    bool has_figures; // something stood in it: else the figures are 0
    uint64_t samples;
    uint64_t covered_ms; // of its time that is known; the rest lies before, behind or in a gap
    struct rollup_figure rss, effective;
    bool has_lazy; // somebody saw what was lazily freed
    uint64_t lazy_high_bytes;
    uint64_t verdict_ms[VERDICT_UNKNOWN + 1]; // sums up to covered_ms
    struct fit fit;                           // of hours: effective RSS over their minutes
};

// The figures that stand at a moment.
struct rollup_values {
    uint64_t rss_bytes, effective_bytes;
    uint64_t lazy_bytes; // SAMPLE_UNKNOWN: nobody could look
    unsigned verdict;    // 0: none yet
};

// `values` stand in [from_ms, to_ms), or are seen for a moment where the two are the same.
void rollup_stand(struct rollup *rollup, int64_t from_ms, int64_t to_ms,
                  const struct rollup_values *values);
// Adds a later stretch of the same subject; `part` without figures is fine. Fits are not joined.
void rollup_join(struct rollup *rollup, const struct rollup *part);
// Adds the mean of a minute as a point of the fit.
void rollup_fit_minute(struct rollup *rollup, const struct rollup *minute);
double rollup_mean(const struct rollup *rollup, const struct rollup_figure *figure);

// Inserting statements for store_prepare(), and what binds and runs them. A rollup without figures
// writes nothing. 0 or -errno.
extern const char rollup_insert_minute[], rollup_insert_hour[];
// Cost: one insert.
int rollup_write(struct history *history, sqlite3_stmt *insert, unsigned subject,
                 const struct rollup *rollup, bool is_hour);

// Selecting rows of one table with ?1 <= id < ?2, ascending; and one such row. -EBADMSG for what
// nobody can have written.
extern const char rollup_select_minutes[], rollup_select_hours[];
int rollup_read(sqlite3_stmt *select, bool is_hour, struct rollup *ret_rollup);

#endif
