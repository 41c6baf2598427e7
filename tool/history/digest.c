// SPDX-License-Identifier: Apache-2.0
// An account read back as the digest that was written. Tool world; one thread.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "history/account.h"
#include "history/open.h"
#include "sample/digest.h"

// Places in select_account, from 0. The account's rows lie side by side, in the order of enum
// account_row.
enum column {
    COLUMN_ID,
    COLUMN_VERDICT,
    COLUMN_COMPLETE,
    COLUMN_ROWS,
    COLUMN_ERRORS = COLUMN_ROWS + ROW_COUNT,
    COLUMN_SWAP,
    COLUMN_HUGE,
    COLUMN_LOCKED,
    COLUMN_GROUP_USAGE,
    COLUMN_GROUP_WORKING_SET,
    COLUMN_GROUP_INACTIVE_FILE,
    COLUMN_GROUP_LIMIT,
    COLUMN_LEDGER,
    COLUMN_FIGURES,
    COLUMN_FIGURE_ERRORS,
};

// The newest at or before a moment, by the key alone: one step down the tree, however long the
// recording is.
static const char select_account[] =
    "SELECT id, verdict, complete, in_use, slack, kept, lazy, metadata, stacks, code_files, "
    "shared, held, unexplained, errors, swap, huge, locked, group_usage, group_working_set, "
    "group_inactive_file, group_limit, ledger, figures, figure_errors FROM account "
    "WHERE id <= ? AND id >= ? ORDER BY id DESC LIMIT 1";

// Missing where it must be a size: nothing. Such figures are sums of what smaps said, and a page
// without a line said none.
static uint64_t read_size(sqlite3_stmt *select, int column)
{
    uint64_t value = store_u64(select, column);
    return value == SAMPLE_UNKNOWN ? 0 : value;
}

// A list of exactly `count` numbers; NULL stands for zeros. Another length means that list and
// names are not of one account: damage, not a short list.
static int read_list(sqlite3_stmt *select, int column, uint64_t *ret_values, size_t count)
{
    char list[NUMBERS_TEXT_MAX];
    size_t found = 0;
    memset(ret_values, 0, count * sizeof *ret_values);
    if (sqlite3_column_type(select, column) != SQLITE_TEXT)
        return 0;
    store_text(select, column, list, sizeof list);
    int error = numbers_parse(text_of(list), ret_values, count, &found);
    if (error)
        return error;
    return found == count ? 0 : -EBADMSG;
}

// A verdict of a later version is not one of ours, so it is unknown, not an error.
static void read_row(sqlite3_stmt *select, struct digest *digest)
{
    uint64_t verdict = store_u64(select, COLUMN_VERDICT);
    bool is_known = verdict >= VERDICT_LAZY && verdict <= VERDICT_UNKNOWN;
    digest->verdict = is_known ? (enum verdict_code)verdict : VERDICT_UNKNOWN;
    digest->is_complete = store_u64(select, COLUMN_COMPLETE) == 1;
    for (int row = 0; row < ROW_COUNT; row++)
        // An import does not know what RSS consists of, which is not the same as nothing.
        digest->row_bytes[row] = store_u64(select, COLUMN_ROWS + row);
    digest->swap_bytes = read_size(select, COLUMN_SWAP);
    digest->huge_bytes = read_size(select, COLUMN_HUGE);
    digest->locked_bytes = read_size(select, COLUMN_LOCKED);
    // Of groups, unknown and 0 differ: a limit of 0 would be one.
    digest->group_usage_bytes = store_u64(select, COLUMN_GROUP_USAGE);
    digest->group_working_set_bytes = store_u64(select, COLUMN_GROUP_WORKING_SET);
    digest->group_inactive_file_bytes = store_u64(select, COLUMN_GROUP_INACTIVE_FILE);
    digest->group_limit_bytes = store_u64(select, COLUMN_GROUP_LIMIT);
}

// The inverse of digest_figure_value().
static void make_figure(const struct ledger_entry *entry, uint64_t value, uint64_t error,
                        struct digest_figure *ret_figure)
{
    memcpy(ret_figure->runtime, entry->runtime, sizeof ret_figure->runtime);
    memcpy(ret_figure->figure.name, entry->name, sizeof ret_figure->figure.name);
    ret_figure->figure.unit = entry->unit;
    ret_figure->figure.error = error;
    // Unknown stays unknown; a ratio has no such value but none of ours is negative.
    if (entry->unit != FIGURE_RATIO)
        ret_figure->figure.value = value;
    else
        ret_figure->figure.ratio = value == SAMPLE_UNKNOWN ? -1 : (double)value / 1e6;
}

// Values without their ledger would be numbers without names. On failure `digest` may own figures
// already: the caller frees it.
static int read_figures(struct history *history, sqlite3_stmt *select, struct digest *digest)
{
    uint64_t values[NUMBERS_MAX], errors[NUMBERS_MAX];
    struct ledger_entry *entries = NULL;
    size_t count = 0;
    if (sqlite3_column_type(select, COLUMN_FIGURES) != SQLITE_TEXT)
        return 0;
    int error = ledger_read(history, sqlite3_column_int64(select, COLUMN_LEDGER), &entries, &count);
    if (!error)
        error = read_list(select, COLUMN_FIGURES, values, count);
    if (!error)
        error = read_list(select, COLUMN_FIGURE_ERRORS, errors, count);
    if (!error && count > 0) {
        digest->figures = calloc(count, sizeof *digest->figures);
        error = digest->figures ? 0 : -ENOMEM;
    }
    for (size_t i = 0; i < count && !error; i++)
        make_figure(&entries[i], values[i], errors[i], &digest->figures[i]);
    digest->figure_count = digest->figures ? count : 0;
    free(entries);
    return error;
}

// The last account at or before `key` that says its text. One in ten minutes does.
static int read_text(struct history *history, enum store_kept which, int64_t first_key, int64_t key,
                     char *ret_text, size_t size)
{
    // The column's name is one of our own: names cannot be bound.
    static const char *const columns[] = {
        [KEPT_HEADLINE] = "headline", [KEPT_NEXT] = "next", [KEPT_RUNTIMES] = "runtimes"};
    char sql[128];
    sqlite3_stmt *statement = NULL;
    sqlite3_snprintf((int)sizeof sql, sql,
                     "SELECT %s FROM account WHERE id <= ? AND id >= ? AND %s IS NOT NULL "
                     "ORDER BY id DESC LIMIT 1",
                     columns[which], columns[which]);
    int error = store_keep(history, which, sql, &statement);
    if (error)
        return error;
    sqlite3_bind_int64(statement, 1, key);
    sqlite3_bind_int64(statement, 2, first_key);
    int stepped = store_step(history, statement);
    if (stepped == 1)
        store_text(statement, 0, ret_text, size);
    sqlite3_reset(statement);
    return stepped < 0 ? stepped : 0;
}

// Each may come from another account before: they change at different times. They were stored as
// each changed, so each is searched for on its own.
static int read_texts(struct history *history, int64_t first_key, int64_t key,
                      struct digest *digest)
{
    int error = read_text(history, KEPT_HEADLINE, first_key, key, digest->headline,
                          sizeof digest->headline);
    if (!error)
        error = read_text(history, KEPT_NEXT, first_key, key, digest->next, sizeof digest->next);
    if (!error)
        error = read_text(history, KEPT_RUNTIMES, first_key, key, digest->runtimes,
                          sizeof digest->runtimes);
    return error;
}

// -ENOENT before the first: what came later is no answer.
static int read_account(struct history *history, sqlite3_stmt *select, int64_t first_key,
                        int64_t *ret_key, struct digest *digest)
{
    int stepped = store_step(history, select);
    if (stepped <= 0)
        return stepped < 0 ? stepped : -ENOENT;
    *ret_key = sqlite3_column_int64(select, COLUMN_ID);
    // All that the statement's row holds is taken before texts are looked for by other statements.
    read_row(select, digest);
    int error = read_list(select, COLUMN_ERRORS, digest->row_error_bytes, ROW_COUNT);
    if (!error)
        error = read_figures(history, select, digest);
    return error ? error : read_texts(history, first_key, *ret_key, digest);
}

// For the table at the cursor: one row by its key, not a scan. The lower bound keeps the search
// from ending in the subject before.
int history_digest(struct history *history, unsigned subject, int64_t time_ms, int64_t *ret_time_ms,
                   struct digest *ret_digest)
{
    int error = subject > KEY_SUBJECT_MAX ? -ENOENT : open_clock(history);
    // Before the first moment nothing was there yet.
    int64_t at_ms = error ? 0 : clock_until(&history->clock, time_ms, key_time_max);
    if (at_ms < 0)
        error = -ENOENT;
    sqlite3_stmt *select = NULL;
    if (!error)
        error = store_keep(history, KEPT_ACCOUNT, select_account, &select);
    if (error)
        return error;
    const int64_t first_key = key_make(subject, 0);
    int64_t key = 0;
    struct digest digest = {0};
    sqlite3_bind_int64(select, 1, key_make(subject, at_ms));
    sqlite3_bind_int64(select, 2, first_key);
    error = read_account(history, select, first_key, &key, &digest);
    sqlite3_reset(select);
    if (error) {
        digest_free(&digest);
        return error;
    }
    *ret_time_ms = clock_time(&history->clock, key_time(key));
    *ret_digest = digest;
    return 0;
}
