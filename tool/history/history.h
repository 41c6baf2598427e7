// SPDX-License-Identifier: Apache-2.0
// A recording: samples, accounts, ledgers, events and the host over time, in one SQLite file (or in
// memory, for a page that shows what is live). Tool world; one thread uses a handle, several
// handles and processes may read while one writes (WAL).
//
// A sample is stored when a figure changed, and once a minute otherwise: it stands until the next
// one or its subject's last moment. Each minute and each hour of each subject also has a row of
// extremes, so that a week is summed up without its samples. docs/recording.md has the schema.
#ifndef EBB_HISTORY_HISTORY_H
#define EBB_HISTORY_HISTORY_H

#include "sample/sample.h"

struct history;

// 2 has the kernel's peaks, and NULL for the highest lazily freed bytes that nobody saw. 1 is read
// as well, with neither.
enum { HISTORY_SCHEMA = 2 };

struct history_options {
    uint64_t interval_ms; // that samples come at: written into the recording
    uint64_t keep_ms;     // samples and accounts older than that are dropped; 0: none are
    uint64_t flush_ms;    // what a kill may lose at most; 0: 5 s
    const char *title;    // "redis-server" or a command line; may be NULL
};

// Creates a recording; ":memory:" is one without a file. 0; -EEXIST (nothing is ever overwritten);
// -ENOSPC, -EACCES, -ENOENT, -EROFS and the like of the file system; -ENOMEM.
int history_create(const char *path, const struct history_options *options,
                   struct history **ret_history);

// Can it be read while it is written? Not where the file system has no shared mappings, which the
// log (WAL) needs: SQLite then falls back to a rollback journal, and readers and writer wait for
// each other. True of one in memory, and of one that was opened.
bool history_has_log(const struct history *history);

// Opens one to read it. 0; -ENOENT, -EACCES; -EBADMSG: not a recording of ebb, or damaged;
// -EPROTONOSUPPORT: written by a newer ebb (history_schema_of() tells which).
int history_open(const char *path, struct history **ret_history);
// The schema that the file at `path` is written in; -EBADMSG where it is no recording; -errno.
int history_schema_of(const char *path);

// Writes out what is pending, ends the recording and frees the handle; NULL is fine. 0 or -errno of
// the writing.
int history_close(struct history *history);

// Takes one round over: subjects are those of the sampler. Written in batches. 0, or -errno of the
// writing (-ENOSPC, -EIO, -EFBIG; -ENOENT: the file has another name): then the file holds all
// earlier batches, is intact, and takes no more. -EOVERFLOW: more subjects than a file can hold.
int history_add(struct history *history, const struct batch *batch, const struct subject *subjects,
                size_t subject_count);
int history_flush(struct history *history);
// Keeps samples and accounts that long from now on, as keep_ms of its options; for a writer whose
// memory is bounded. What is dropped goes with the next flushes.
void history_keep(struct history *history, uint64_t keep_ms);

// What a recording says of itself.
struct history_about {
    char title[256], host[65], ebb_version[32], kernel[128];
    int64_t first_ms, last_ms; // of all samples
    uint64_t interval_ms;
    bool is_ended; // closed in good order; else it is being written, or was cut off
    uint64_t file_bytes, sample_count, account_count;
};
int history_about(struct history *history, struct history_about *ret_about);
// Its interval alone, without a walk over all subjects: for who asks once for each of them.
int history_interval(struct history *history, uint64_t *ret_interval_ms);

// What is read between these two is of one moment of a recording that goes on, and costs less: no
// lock is taken for each statement. 0 or -errno; once begun nothing else, also for a writer.
int history_begin_reading(struct history *history);
void history_end_reading(struct history *history);

// All subjects, ascending by id; malloc'ed, free() it. 0 or -errno.
int history_subjects(struct history *history, struct subject **ret_subjects, size_t *ret_count);
// One of them, by its id: 0, -ENOENT, or as above.
int history_subject(struct history *history, unsigned id, struct subject *ret_subject);

// Columns of a series, all in bytes but where the name says otherwise.
enum series_column {
    SERIES_KIND, // enum sample_kind
    SERIES_RSS,
    SERIES_LAZY,
    SERIES_EFFECTIVE,
    SERIES_ANON,
    SERIES_VIRTUAL,
    SERIES_SWAP,
    SERIES_MINOR_FAULTS,
    SERIES_MAJOR_FAULTS,
    SERIES_CPU_MS,
    SERIES_THREADS,
    SERIES_KERNEL_PEAK, // the highest RSS since the point before (VmHWM), where no reading saw it
    SERIES_ROWS,        // ROW_COUNT columns: the account's rows, SAMPLE_UNKNOWN but at accounts
    SERIES_VERDICT = SERIES_ROWS + ROW_COUNT, // enum verdict_code, at accounts
    SERIES_GROUP_USAGE,
    SERIES_GROUP_LIMIT,
    SERIES_COLUMN_COUNT
};
const char *series_column_name(enum series_column column); // "rss_bytes", "in_use_bytes", ...

// One figure of a ledger along the series; SAMPLE_UNKNOWN where no account was taken.
struct series_figure {
    char runtime[32], name[32];
    enum figure_unit unit; // a ratio is in millionths
    uint64_t *values;
};

struct series {
    size_t count;
    int64_t *time_ms; // ascending
    uint64_t *columns[SERIES_COLUMN_COUNT];
    struct series_figure *figures;
    size_t figure_count;
    uint64_t step_ms; // 0: every stored sample; else the width of a bucket
};

// The samples of a subject in [from_ms, to_ms]. Where there are more than `max_points` (0: no
// limit; five are the least), time is cut into buckets, and each gives up to five true samples: the
// one with the highest RSS, the one with the lowest effective RSS, its last account and those with
// most in use and most kept, so that no peak and no valley is lost and the rows of a point always
// sum up. A
// minute whose samples have been dropped (keep_ms) gives points of unknown kind that tell RSS, lazy
// and effective RSS alone. 0, -ENOENT (no such subject), -ENOMEM, -EBADMSG (damaged), -EIO.
int history_series(struct history *history, unsigned subject, int64_t from_ms, int64_t to_ms,
                   size_t max_points, struct series *ret_series);
void series_free(struct series *series);

// The time of a subject's first stored sample in [from_ms, to_ms]: whoever walks a recording piece
// by piece need not walk the years that a clock jumped over. 0, -ENOENT, or as history_series().
int history_next_sample(struct history *history, unsigned subject, int64_t from_ms, int64_t to_ms,
                        int64_t *ret_time_ms);

// Events of a subject (0: of all, and of the host) in a time range, ascending, the newest 200,000
// where there are more; malloc'ed, free() it.
int history_events(struct history *history, unsigned subject, int64_t from_ms, int64_t to_ms,
                   struct event **ret_events, size_t *ret_count);

// The same of the host alone.
int history_host_events(struct history *history, int64_t from_ms, int64_t to_ms,
                        struct event **ret_events, size_t *ret_count);

// The last account of a subject at or before `time_ms`, with its moment; digest_free() frees it. 0,
// -ENOENT when there is none so early.
int history_digest(struct history *history, unsigned subject, int64_t time_ms, int64_t *ret_time_ms,
                   struct digest *ret_digest);

// The host over time, at most `max_points` of it (0: all); malloc'ed, free() it.
int history_host(struct history *history, int64_t from_ms, int64_t to_ms, size_t max_points,
                 struct host_sample **ret_samples, size_t *ret_count);

// A subject over a time range, from the minutes' and hours' rows where these are whole.
struct history_summary {
    unsigned subject;
    uint64_t samples;    // that lie in the range; what was read before may stand in all of it
    uint64_t covered_ms; // time in which something is known
    uint64_t first_rss_bytes, last_rss_bytes, first_effective_bytes, last_effective_bytes;
    uint64_t peak_rss_bytes, peak_effective_bytes, low_effective_bytes;
    uint64_t peak_lazy_bytes; // SAMPLE_UNKNOWN where nobody could look
    int64_t peak_rss_ms, peak_effective_ms;
    // The highest RSS that came and went between two readings, as the kernel knows it (VmHWM), and
    // when the later of the two was; 0: no reading missed any.
    uint64_t missed_rss_bytes;
    int64_t missed_rss_ms;
    double mean_rss_bytes, mean_effective_bytes; // over time, not over samples
    uint64_t verdict_ms[VERDICT_UNKNOWN + 1];    // time under each verdict; [0]: before the first
    // Effective RSS: slope by least squares over the means of its minutes, and its standard error.
    double slope_bytes_per_s, slope_error_bytes_per_s;
    bool has_slope;
    // The slope is beyond twice its error, and swings_rise() says of the lows of its minutes (in
    // half a day or more: of its hours) that they rise as well.
    bool lows_rise;
    size_t swing_count; // over how many swings, by swings_count()
};
// For all subjects, ascending by id; malloc'ed, free() it.
int history_summarize(struct history *history, int64_t from_ms, int64_t to_ms,
                      struct history_summary **ret_summaries, size_t *ret_count);
// Milliseconds that a subject's RSS and effective RSS were above `bytes`.
int history_time_above(struct history *history, unsigned subject, int64_t from_ms, int64_t to_ms,
                       uint64_t bytes, uint64_t *ret_rss_ms, uint64_t *ret_effective_ms);

#endif
