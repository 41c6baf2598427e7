// SPDX-License-Identifier: Apache-2.0
// A subject's samples as columns over time. Tool world; one thread.
#include "history/series.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/number.h"
#include "history/account.h"
#include "history/open.h"

// What CSV, JSON and the page call them: changing one breaks whoever reads these.
static const char *const column_names[SERIES_COLUMN_COUNT] = {
    [SERIES_KIND] = "kind",
    [SERIES_RSS] = "rss_bytes",
    [SERIES_LAZY] = "lazy_bytes",
    [SERIES_EFFECTIVE] = "effective_bytes",
    [SERIES_ANON] = "anon_bytes",
    [SERIES_VIRTUAL] = "virtual_bytes",
    [SERIES_SWAP] = "swap_bytes",
    [SERIES_MINOR_FAULTS] = "minor_faults",
    [SERIES_MAJOR_FAULTS] = "major_faults",
    [SERIES_CPU_MS] = "cpu_ms",
    [SERIES_THREADS] = "threads",
    // As in reports.
    [SERIES_KERNEL_PEAK] = "kernel_peak_rss_bytes",
    [SERIES_ROWS + ROW_IN_USE] = "in_use_bytes",
    [SERIES_ROWS + ROW_SLACK] = "slack_bytes",
    [SERIES_ROWS + ROW_KEPT] = "kept_bytes",
    // The account's own, beside the one that every sample has.
    [SERIES_ROWS + ROW_LAZY] = "lazy_row_bytes",
    [SERIES_ROWS + ROW_METADATA] = "metadata_bytes",
    [SERIES_ROWS + ROW_STACKS] = "stacks_bytes",
    [SERIES_ROWS + ROW_CODE_FILES] = "code_files_bytes",
    [SERIES_ROWS + ROW_SHARED] = "shared_bytes",
    [SERIES_ROWS + ROW_HELD] = "held_bytes",
    [SERIES_ROWS + ROW_UNEXPLAINED] = "unexplained_bytes",
    [SERIES_VERDICT] = "verdict",
    [SERIES_GROUP_USAGE] = "group_usage_bytes",
    [SERIES_GROUP_LIMIT] = "group_limit_bytes",
};

// Names are those of exports: scripts depend on them.
const char *series_column_name(enum series_column column)
{
    return column_names[column];
}

// Empty again; also after a failure in the middle.
void series_free(struct series *series)
{
    for (size_t i = 0; i < SERIES_COLUMN_COUNT; i++)
        free(series->columns[i]);
    for (size_t i = 0; i < series->figure_count; i++)
        free(series->figures[i].values);
    free(series->figures);
    free(series->time_ms);
    *series = (struct series){0};
}

// One column becomes larger; it stays as it is on failure.
static int grow_column(uint64_t **column, size_t capacity)
{
    uint64_t *grown = reallocarray(*column, capacity, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    *column = grown;
    return 0;
}

// By doubling, all columns alike; where one fails, the others are merely larger. All columns have
// the same capacity. After a failure some are larger already, which does no harm: `capacity` is
// what the smallest has.
static int grow(struct series_builder *builder)
{
    // A chart's worth of points.
    enum { FIRST = 256 };
    struct series *series = &builder->series;
    size_t capacity = builder->capacity ? builder->capacity * 2 : FIRST;
    int64_t *times = reallocarray(series->time_ms, capacity, sizeof *times);
    if (!times)
        return -ENOMEM;
    series->time_ms = times;
    int error = 0;
    for (size_t i = 0; i < SERIES_COLUMN_COUNT && !error; i++)
        error = grow_column(&series->columns[i], capacity);
    for (size_t i = 0; i < series->figure_count && !error; i++)
        error = grow_column(&series->figures[i].values, capacity);
    if (!error)
        builder->capacity = capacity;
    return error;
}

// The peaks that lie before a point become its own. Each is that of a sample: where that one is not
// shown, the next one tells it.
static int take_peaks(struct series_builder *builder, int64_t key, uint64_t *bytes)
{
    while (builder->peak_row == 1 && sqlite3_column_int64(builder->peaks, 0) <= key) {
        uint64_t peak = store_u64(builder->peaks, 1);
        if (peak != SAMPLE_UNKNOWN && (*bytes == SAMPLE_UNKNOWN || peak > *bytes))
            *bytes = peak;
        builder->peak_row = store_step(builder->history, builder->peaks);
    }
    return builder->peak_row < 0 ? builder->peak_row : 0;
}

// Unknown first: cheap samples leave most columns so.
int series_add_point(struct series_builder *builder, int64_t at_ms, size_t *ret_index)
{
    struct series *series = &builder->series;
    if (series->count == builder->capacity) {
        int error = grow(builder);
        if (error)
            return error;
    }
    size_t index = series->count++;
    series->time_ms[index] = clock_time(&builder->history->clock, at_ms);
    // Whatever the reader of the row does not fill in stays unknown.
    for (size_t i = 0; i < SERIES_COLUMN_COUNT; i++)
        series->columns[i][index] = SAMPLE_UNKNOWN;
    for (size_t i = 0; i < series->figure_count; i++)
        series->figures[i].values[index] = SAMPLE_UNKNOWN;
    *ret_index = index;
    return take_peaks(builder, key_make(builder->subject, at_ms),
                      &series->columns[SERIES_KERNEL_PEAK][index]);
}

// Figures of this name so far; a new one is unknown at all points before.
static int find_figure(struct series_builder *builder, const struct ledger_entry *entry,
                       size_t *ret_figure)
{
    struct series *series = &builder->series;
    for (size_t i = 0; i < series->figure_count; i++) {
        const struct series_figure *figure = &series->figures[i];
        if (figure->unit == entry->unit && strcmp(figure->name, entry->name) == 0 &&
            strcmp(figure->runtime, entry->runtime) == 0) {
            *ret_figure = i;
            return 0;
        }
    }
    // As many as one program can have in a lifetime; a file made to be unbearable has more.
    if (series->figure_count == NUMBERS_MAX)
        return -EBADMSG;
    int error = array_reserve_one(&series->figures, &builder->figure_capacity, series->figure_count,
                                  sizeof *series->figures);
    struct series_figure figure = {.unit = entry->unit};
    if (!error)
        error = grow_column(&figure.values, builder->capacity);
    if (error)
        return error;
    memcpy(figure.runtime, entry->runtime, sizeof figure.runtime);
    memcpy(figure.name, entry->name, sizeof figure.name);
    // The point that is being read as well: its value comes right after.
    for (size_t i = 0; i < series->count; i++)
        figure.values[i] = SAMPLE_UNKNOWN;
    *ret_figure = series->figure_count;
    series->figures[series->figure_count++] = figure;
    return 0;
}

// Where the figures of a ledger go: looked up once for as long as accounts use it.
static int use_ledger(struct series_builder *builder, int64_t id)
{
    if (builder->has_ledger && builder->ledger == id)
        return 0;
    struct ledger_entry *entries = NULL;
    size_t count = 0;
    int error = ledger_read(builder->history, id, &entries, &count);
    // After a failure in the middle, `places` are a mixture of two.
    builder->has_ledger = false;
    for (size_t i = 0; i < count && !error; i++)
        error = find_figure(builder, &entries[i], &builder->places[i]);
    free(entries);
    if (error)
        return error;
    builder->place_count = count;
    builder->ledger = id;
    builder->has_ledger = true;
    return 0;
}

// Places of SERIES_ACCOUNT_COLUMNS, from 0.
enum { ACCOUNT_ID, ACCOUNT_VERDICT, ACCOUNT_ROWS };
enum {
    ACCOUNT_GROUP_USAGE = ACCOUNT_ROWS + ROW_COUNT,
    ACCOUNT_GROUP_LIMIT,
    ACCOUNT_LEDGER,
    ACCOUNT_FIGURES
};

// A list that is longer or shorter than its names is damage. The list of an account and the names
// of its ledger, side by side.
static int read_figures(struct series_builder *builder, sqlite3_stmt *account, size_t index)
{
    char list[NUMBERS_TEXT_MAX];
    uint64_t values[NUMBERS_MAX];
    size_t count = 0;
    if (sqlite3_column_type(account, ACCOUNT_FIGURES) != SQLITE_TEXT)
        return 0;
    store_text(account, ACCOUNT_FIGURES, list, sizeof list);
    int error = numbers_parse(text_of(list), values, NUMBERS_MAX, &count);
    if (!error)
        error = use_ledger(builder, sqlite3_column_int64(account, ACCOUNT_LEDGER));
    if (error)
        return error;
    // A list that is not as long as its ledger belongs to another one.
    if (count != builder->place_count)
        return -EBADMSG;
    for (size_t i = 0; i < count; i++)
        builder->series.figures[builder->places[i]].values[index] = values[i];
    return 0;
}

// Beside the sample of the same key.
int series_read_account(struct series_builder *builder, sqlite3_stmt *account, size_t index)
{
    uint64_t **columns = builder->series.columns;
    uint64_t verdict = store_u64(account, ACCOUNT_VERDICT);
    // A verdict that this version does not know is unknown as well.
    columns[SERIES_VERDICT][index] =
        verdict >= VERDICT_LAZY && verdict <= VERDICT_UNKNOWN ? verdict : SAMPLE_UNKNOWN;
    // They sum up to the RSS of that account, which is the sample's own.
    for (int row = 0; row < ROW_COUNT; row++)
        columns[SERIES_ROWS + row][index] = store_u64(account, ACCOUNT_ROWS + row);
    columns[SERIES_GROUP_USAGE][index] = store_u64(account, ACCOUNT_GROUP_USAGE);
    columns[SERIES_GROUP_LIMIT][index] = store_u64(account, ACCOUNT_GROUP_LIMIT);
    return read_figures(builder, account, index);
}

// Effective RSS is not stored: it follows from the other two.
int series_read_sample(struct series_builder *builder, sqlite3_stmt *sample)
{
    int64_t key = sqlite3_column_int64(sample, 0);
    // Rows of a whole tree ascend.
    if (key <= builder->last_key || key >> KEY_TIME_BITS != builder->subject)
        return -EBADMSG;
    size_t index = 0;
    int error = series_add_point(builder, key_time(key), &index);
    if (error)
        return error;
    builder->last_key = key;
    // In the order of SERIES_SAMPLE_COLUMNS, behind the id.
    static const enum series_column order[] = {
        SERIES_KIND, SERIES_RSS,          SERIES_LAZY,         SERIES_ANON,   SERIES_VIRTUAL,
        SERIES_SWAP, SERIES_MINOR_FAULTS, SERIES_MAJOR_FAULTS, SERIES_CPU_MS, SERIES_THREADS};
    uint64_t **columns = builder->series.columns;
    for (int i = 0; i < (int)(sizeof order / sizeof order[0]); i++)
        columns[order[i]][index] = store_u64(sample, i + 1);
    uint64_t rss_bytes = columns[SERIES_RSS][index], lazy_bytes = columns[SERIES_LAZY][index];
    bool has_lazy = lazy_bytes != SAMPLE_UNKNOWN;
    // Not stored, since it is the difference. A file may claim more lazy bytes than resident ones.
    columns[SERIES_EFFECTIVE][index] = rss_bytes == SAMPLE_UNKNOWN || !has_lazy
                                           ? rss_bytes
                                           : rss_bytes - number_least(rss_bytes, lazy_bytes);
    return 0;
}

// The accounts that belong to the samples, side by side with them. Both ascend by the same key: one
// pass over each, as in a merge.
static int read_all(struct series_builder *builder, sqlite3_stmt *sample, sqlite3_stmt *account)
{
    struct history *history = builder->history;
    // 1 a row, 0 the end, negative an error: of each of the two.
    int samples, accounts = store_step(history, account);
    while ((samples = store_step(history, sample)) == 1) {
        int error = series_read_sample(builder, sample);
        // Accounts without a sample are not ours: a writer stores both.
        while (!error && accounts == 1 &&
               sqlite3_column_int64(account, ACCOUNT_ID) < builder->last_key)
            accounts = store_step(history, account);
        if (!error && accounts == 1 &&
            sqlite3_column_int64(account, ACCOUNT_ID) == builder->last_key)
            error = series_read_account(builder, account, builder->series.count - 1);
        if (error || accounts < 0)
            return error ? error : accounts;
    }
    return samples < 0 ? samples : accounts < 0 ? accounts : 0;
}

// Two statements side by side: a join would look up each of 600,000 keys. Every stored sample of
// the range: for exports, and for ranges that are short.
static int read_range(struct series_builder *builder, int64_t first_key, int64_t last_key)
{
    sqlite3_stmt *sample = NULL, *account = NULL;
    int error = store_keep(builder->history, KEPT_SAMPLES,
                           "SELECT " SERIES_SAMPLE_COLUMNS
                           " FROM sample WHERE id >= ? AND id <= ? ORDER BY id",
                           &sample);
    if (!error)
        error = store_keep(builder->history, KEPT_ACCOUNTS,
                           "SELECT " SERIES_ACCOUNT_COLUMNS
                           " FROM account WHERE id >= ? AND id <= ? ORDER BY id",
                           &account);
    if (!error) {
        sqlite3_bind_int64(sample, 1, first_key);
        sqlite3_bind_int64(sample, 2, last_key);
        sqlite3_bind_int64(account, 1, first_key);
        sqlite3_bind_int64(account, 2, last_key);
        error = read_all(builder, sample, account);
    }
    // Also where one of them was not reached; NULL is none to reset.
    sqlite3_reset(sample);
    sqlite3_reset(account);
    return error;
}

// An unknown subject is an error, one without samples in the range is not. So that "no such
// process" differs from "nothing in this range".
static int find_subject(struct history *history, unsigned subject)
{
    sqlite3_stmt *statement = NULL;
    int error = store_keep(history, KEPT_SUBJECT, "SELECT 1 FROM subject WHERE id = ?", &statement);
    if (error)
        return error;
    sqlite3_bind_int64(statement, 1, subject);
    int stepped = store_step(history, statement);
    sqlite3_reset(statement);
    if (stepped < 0)
        return stepped;
    return stepped == 1 ? 0 : -ENOENT;
}

// The peaks of the range, from its first on. The first schema has none.
static int open_peaks(struct series_builder *builder, int64_t first_key, int64_t last_key)
{
    if (builder->history->schema < 2)
        return 0;
    int error = store_keep(builder->history, KEPT_PEAKS,
                           "SELECT id, rss FROM peak WHERE id >= ? AND id <= ? ORDER BY id",
                           &builder->peaks);
    if (error)
        return error;
    sqlite3_bind_int64(builder->peaks, 1, first_key);
    sqlite3_bind_int64(builder->peaks, 2, last_key);
    builder->peak_row = store_step(builder->history, builder->peaks);
    return builder->peak_row < 0 ? builder->peak_row : 0;
}

// Those behind the last point of few: none is lost.
static int close_peaks(struct series_builder *builder, int64_t last_key)
{
    struct series *series = &builder->series;
    uint64_t *peaks = series->columns[SERIES_KERNEL_PEAK];
    int error = series->count ? take_peaks(builder, last_key, &peaks[series->count - 1]) : 0;
    sqlite3_reset(builder->peaks);
    builder->peaks = NULL;
    return error;
}

// Few points where they are too many, else all.
static int read_series(struct series_builder *builder, int64_t first_ms, int64_t last_ms,
                       size_t max_points)
{
    const int64_t first_key = key_make(builder->subject, first_ms);
    const int64_t last_key = key_make(builder->subject, last_ms);
    bool is_thin = false;
    int error = open_peaks(builder, first_key, last_key);
    if (!error && max_points > 0)
        error = thin_read(builder, first_ms, last_ms, max_points, &is_thin);
    // Few enough to show them all, which costs less than choosing.
    if (!error && !is_thin)
        error = read_range(builder, first_key, last_key);
    int closed = close_peaks(builder, last_key);
    return error ? error : closed;
}

// A time before the recording, or one that its clock jumped over, has no moment in it.
int history_series(struct history *history, unsigned subject, int64_t from_ms, int64_t to_ms,
                   size_t max_points, struct series *ret_series)
{
    int error = subject > KEY_SUBJECT_MAX ? -ENOENT : find_subject(history, subject);
    if (!error)
        error = open_clock(history);
    if (error)
        return error;
    // `last_key` below any key: the first row always ascends.
    struct series_builder builder = {.history = history, .subject = subject, .last_key = -1};
    int64_t first_ms = clock_at(&history->clock, from_ms, key_time_max);
    int64_t last_ms = clock_until(&history->clock, to_ms, key_time_max);
    if (last_ms >= first_ms)
        error = read_series(&builder, first_ms, last_ms, max_points);
    if (error) {
        series_free(&builder.series);
        return error;
    }
    *ret_series = builder.series;
    return 0;
}

// One step down the tree.
int history_next_sample(struct history *history, unsigned subject, int64_t from_ms, int64_t to_ms,
                        int64_t *ret_time_ms)
{
    sqlite3_stmt *statement = NULL;
    int error = subject > KEY_SUBJECT_MAX ? -ENOENT : open_clock(history);
    int64_t last_ms = error ? 0 : clock_until(&history->clock, to_ms, key_time_max);
    if (!error && last_ms < 0)
        error = -ENOENT;
    if (!error)
        error = store_keep(history, KEPT_NEXT_SAMPLE,
                           "SELECT min(id) FROM sample WHERE id >= ? AND id <= ?", &statement);
    if (error)
        return error;
    sqlite3_bind_int64(statement, 1,
                       key_make(subject, clock_at(&history->clock, from_ms, key_time_max)));
    sqlite3_bind_int64(statement, 2, key_make(subject, last_ms));
    int stepped = store_step(history, statement);
    // The least of none is NULL.
    bool is_there = stepped == 1 && sqlite3_column_type(statement, 0) == SQLITE_INTEGER;
    if (is_there)
        *ret_time_ms = clock_time(&history->clock, key_time(sqlite3_column_int64(statement, 0)));
    sqlite3_reset(statement);
    if (stepped < 0)
        return stepped;
    return is_there ? 0 : -ENOENT;
}
