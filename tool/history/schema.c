// SPDX-License-Identifier: Apache-2.0
// The tables of a recording, see schema.h. Tool world; constant.
//
// No column that a reader needs is anything but an integer or a text: whoever looks into a file
// with the sqlite3 shell shall understand it. Sizes are bytes; NULL is unknown.
#include "history/schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

// The names are what a reader asks for; the texts are what it must get.
struct table {
    const char *name;
    const char *sql; // as sqlite_schema gives it back: readers compare it
};

// Figures of a minute or an hour. What is NULL is as the first figure was, as it is for most of a
// quiet process. *_at are milliseconds from the row's start.
#define ROLLUP_COLUMNS                                                                             \
    "(id INTEGER PRIMARY KEY, samples INT, covered_ms INT, rss_first INT, rss_last INT, "          \
    "rss_low INT, rss_high INT, rss_high_at INT, rss_mean INT, effective_first INT, "              \
    "effective_last INT, effective_low INT, effective_low_at INT, effective_high INT, "            \
    "effective_high_at INT, effective_mean INT, lazy_high INT, verdict INT, verdict_ms TEXT"

static const struct table tables[] = {
    {"about", "CREATE TABLE about (key TEXT PRIMARY KEY, value) WITHOUT ROWID"},
    // The day's clock: time = at_ms + offset_ms of the last row at or before it.
    {"clock", "CREATE TABLE clock (at_ms INTEGER PRIMARY KEY, offset_ms INT)"},
    // last_at_ms is NULL while it lives.
    {"subject", "CREATE TABLE subject (id INTEGER PRIMARY KEY, pid INT, uid INT, start_ticks INT, "
                "start_ms INT, first_at_ms INT, last_at_ms INT, name TEXT, exe TEXT, "
                "cmdline TEXT, cgroup TEXT)"},
    // id = subject << 40 | at_ms, here and below: one key, and rows of a subject side by side.
    {"sample", "CREATE TABLE sample (id INTEGER PRIMARY KEY, kind INT, rss INT, lazy INT, "
               "anon INT, virtual INT, swap INT, minor_faults INT, major_faults INT, cpu_ms INT, "
               "threads INT)"},
    // errors: of the ten rows, a JSON list; NULL where all are 0. figures: the values of the
    // ledger's names, a JSON list. Texts are NULL where they are those of an account before.
    {"account", "CREATE TABLE account (id INTEGER PRIMARY KEY, verdict INT, complete INT, "
                "in_use INT, slack INT, kept INT, lazy INT, metadata INT, stacks INT, "
                "code_files INT, shared INT, held INT, unexplained INT, errors TEXT, swap INT, "
                "huge INT, locked INT, group_usage INT, group_working_set INT, "
                "group_inactive_file INT, group_limit INT, ledger INT, figures TEXT, "
                "figure_errors TEXT, headline TEXT, next TEXT, runtimes TEXT)"},
    // unit: 0 bytes, 1 a count, 2 nanoseconds, 3 millionths.
    {"ledger", "CREATE TABLE ledger (id INT, place INT, runtime TEXT, name TEXT, unit INT, "
               "PRIMARY KEY (id, place)) WITHOUT ROWID"},
    {"event", "CREATE TABLE event (id INTEGER PRIMARY KEY, kind INT, value INT, text TEXT)"},
    {"host", "CREATE TABLE host (at_ms INTEGER PRIMARY KEY, total INT, available INT, "
             "swap_used INT, lazy_bound INT, lazily_freed INT, lazily_taken INT, pressure INT)"},
    {"minute", "CREATE TABLE minute " ROLLUP_COLUMNS ")"},
    // fit_*: least squares over the means of its minutes, centred; time in seconds of at_ms.
    {"hour", "CREATE TABLE hour " ROLLUP_COLUMNS ", fit_count INT, fit_x REAL, fit_y REAL, "
             "fit_xx REAL, fit_xy REAL, fit_yy REAL)"},
    // Last, since the first schema lacks it. How high RSS was since the sample before, where no
    // sample saw it. Seldom: the kernel's peak only rises.
    {"peak", "CREATE TABLE peak (id INTEGER PRIMARY KEY, rss INT)"},
};

// For people with the sqlite3 shell; ebb itself never reads a view.
static const char *const views[] = {
    // Local time would need the reader's zone: time is UTC.
    "CREATE VIEW samples AS SELECT sample.id >> 40 AS subject, name, pid, "
    "(sample.id & 1099511627775) + (SELECT offset_ms FROM clock WHERE clock.at_ms <= "
    "(sample.id & 1099511627775) ORDER BY clock.at_ms DESC LIMIT 1) AS time_ms, "
    "kind, rss, lazy, rss - ifnull(lazy, 0) AS effective, anon, virtual, swap, minor_faults, "
    "major_faults, cpu_ms, threads FROM sample JOIN subject ON subject.id = sample.id >> 40",
    "CREATE VIEW accounts AS SELECT account.id >> 40 AS subject, name, pid, "
    "(account.id & 1099511627775) + (SELECT offset_ms FROM clock WHERE clock.at_ms <= "
    "(account.id & 1099511627775) ORDER BY clock.at_ms DESC LIMIT 1) AS time_ms, "
    "verdict, in_use, slack, kept, lazy, metadata, stacks, code_files, shared, held, unexplained, "
    "swap, huge, locked, group_usage, group_working_set, group_inactive_file, group_limit, "
    "headline FROM account JOIN subject ON subject.id = account.id >> 40",
    // A row for each figure: json_each() takes the list apart.
    "CREATE VIEW figures AS SELECT account.id >> 40 AS subject, "
    "(account.id & 1099511627775) + (SELECT offset_ms FROM clock WHERE clock.at_ms <= "
    "(account.id & 1099511627775) ORDER BY clock.at_ms DESC LIMIT 1) AS time_ms, "
    "runtime, ledger.name AS figure, unit, json_each.value AS value "
    "FROM account, json_each(account.figures) "
    "JOIN ledger ON ledger.id = account.ledger AND ledger.place = json_each.key",
    "CREATE VIEW events AS SELECT event.id >> 40 AS subject, "
    "(event.id & 1099511627775) + (SELECT offset_ms FROM clock WHERE clock.at_ms <= "
    "(event.id & 1099511627775) ORDER BY clock.at_ms DESC LIMIT 1) AS time_ms, "
    "kind, value, text FROM event",
    "CREATE VIEW hours AS SELECT hour.id >> 40 AS subject, name, pid, "
    "(hour.id & 1099511627775) + (SELECT offset_ms FROM clock WHERE clock.at_ms <= "
    "(hour.id & 1099511627775) ORDER BY clock.at_ms DESC LIMIT 1) AS time_ms, "
    "samples, covered_ms, ifnull(rss_high, rss_first) AS rss_high, "
    "ifnull(rss_mean, rss_first) AS rss_mean, "
    "ifnull(effective_low, effective_first) AS effective_low, "
    "ifnull(effective_high, effective_first) AS effective_high, "
    "ifnull(effective_mean, effective_first) AS effective_mean, lazy_high, verdict "
    "FROM hour JOIN subject ON subject.id = hour.id >> 40",
};

enum {
    TABLE_COUNT = sizeof tables / sizeof tables[0],
    VIEW_COUNT = sizeof views / sizeof views[0]
};

// In one transaction of the caller's: there is no half a recording.
int schema_make(struct history *history)
{
    int error = 0;
    for (size_t i = 0; i < TABLE_COUNT && !error; i++)
        error = store_exec(history, tables[i].sql);
    for (size_t i = 0; i < VIEW_COUNT && !error; i++)
        error = store_exec(history, views[i]);
    char numbers[96];
    // Both are in the file's header: a reader tells a recording, and its version, without SQLite.
    text_format(numbers, sizeof numbers, "PRAGMA application_id=%d; PRAGMA user_version=%d",
                HISTORY_APPLICATION_ID, HISTORY_SCHEMA);
    return error ? error : store_exec(history, numbers);
}

// A view that calls itself a table would run whatever a stranger wrote.
static int check_table(struct history *history, sqlite3_stmt *statement, const struct table *table)
{
    store_bind_text(statement, 1, table->name);
    int stepped = store_step(history, statement);
    if (stepped < 0)
        return stepped;
    // Larger than the longest of ours; what is cut differs from all of them.
    char sql[2048] = "";
    if (stepped == 1)
        store_text(statement, 0, sql, sizeof sql);
    // The same statement is used for each table.
    sqlite3_reset(statement);
    return strcmp(sql, table->sql) == 0 ? 0 : -EBADMSG;
}

// Once for each file: the schema cannot change under an open reader.
int schema_check(struct history *history)
{
    sqlite3_stmt *statement = NULL;
    int error = store_prepare(
        history, "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", &statement);
    // What an older one does not have, it is not asked for.
    size_t count = history->schema < 2 ? TABLE_COUNT - 1 : TABLE_COUNT;
    for (size_t i = 0; i < count && !error; i++)
        error = check_table(history, statement, &tables[i]);
    sqlite3_finalize(statement);
    return error;
}
