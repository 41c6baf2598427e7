// SPDX-License-Identifier: Apache-2.0
// Writing accounts, see account.h. Tool world; one thread.
#include "sample/digest.h"
#include "history/account.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"

const char account_insert[] =
    "INSERT OR REPLACE INTO account (id, verdict, complete, in_use, slack, kept, lazy, metadata, "
    "stacks, code_files, shared, held, unexplained, errors, swap, huge, locked, group_usage, "
    "group_working_set, group_inactive_file, group_limit, ledger, figures, figure_errors, "
    "headline, next, runtimes) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
const char ledger_insert[] = "INSERT INTO ledger (id, place, runtime, name, unit) VALUES "
                             "(?,?,?,?,?)";

// Places in account_insert, which SQLite counts from 1: in the order of its columns.
enum place {
    PLACE_ID = 1,
    PLACE_VERDICT,
    PLACE_COMPLETE,
    PLACE_ROWS,
    PLACE_ERRORS = PLACE_ROWS + ROW_COUNT,
    PLACE_SWAP,
    PLACE_HUGE,
    PLACE_LOCKED,
    PLACE_GROUP_USAGE,
    PLACE_GROUP_WORKING_SET,
    PLACE_GROUP_INACTIVE_FILE,
    PLACE_GROUP_LIMIT,
    PLACE_LEDGER,
    PLACE_FIGURES,
    PLACE_FIGURE_ERRORS,
    PLACE_HEADLINE,
    PLACE_NEXT,
    PLACE_RUNTIMES,
};

// All texts come back now and then, so that a reader need not look far, and old rows may go.
enum { TEXTS_EVERY_MS = 600000 };

// FNV-1a, which needs no tables. Source: draft-eastlake-fnv.
static uint64_t hash_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3U;
    return hash;
}

// The writer owns them; accounts only hold their numbers.
void ledgers_free(struct ledgers *ledgers)
{
    for (size_t i = 0; i < ledgers->count; i++)
        free(ledgers->items[i].entries);
    free(ledgers->items);
    *ledgers = (struct ledgers){0};
}

// What a list cannot hold is cut; no runtime has a tenth as many. Names and values are cut at the
// same place.
static size_t figure_count(const struct digest *digest)
{
    return digest->figure_count < NUMBERS_MAX ? digest->figure_count : NUMBERS_MAX;
}

// Name by name, in the order of the digest: a list of values means nothing else. Order counts,
// since values are stored by place alone.
static bool is_ledger_of(const struct ledger *ledger, const struct digest *digest)
{
    if (ledger->count != figure_count(digest))
        return false;
    for (size_t i = 0; i < ledger->count; i++) {
        const struct ledger_entry *entry = &ledger->entries[i];
        const struct digest_figure *figure = &digest->figures[i];
        if (entry->unit != figure->figure.unit || strcmp(entry->name, figure->figure.name) != 0 ||
            strcmp(entry->runtime, figure->runtime) != 0)
            return false;
    }
    return true;
}

// One row for each name: joins of the shell need them apart.
static int write_ledger(struct history *history, sqlite3_stmt *insert, const struct ledger *ledger)
{
    int error = 0;
    for (size_t i = 0; i < ledger->count && !error; i++) {
        const struct ledger_entry *entry = &ledger->entries[i];
        sqlite3_bind_int64(insert, 1, ledger->id);
        sqlite3_bind_int64(insert, 2, (int64_t)i);
        store_bind_text(insert, 3, entry->runtime);
        store_bind_text(insert, 4, entry->name);
        sqlite3_bind_int(insert, 5, (int)entry->unit);
        error = store_run(history, insert);
    }
    return error;
}

// Kept only after it is written: a ledger in memory alone would name nothing in the file. It is in
// `ledgers` only after it is in the file, and a writer that failed takes no more rounds: an id is
// never given twice.
static int add_ledger(struct history *history, sqlite3_stmt *insert, struct ledgers *ledgers,
                      const struct digest *digest)
{
    int error = array_reserve_one(&ledgers->items, &ledgers->capacity, ledgers->count,
                                  sizeof(struct ledger));
    if (error)
        return error;
    size_t count = figure_count(digest);
    struct ledger ledger = {
        .id = (int64_t)ledgers->count + 1, // from 1
        // Of an account without figures, too: an allocation of no bytes may be NULL.
        .entries = calloc(count ? count : 1, sizeof *ledger.entries),
        .count = count,
    };
    if (!ledger.entries)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct ledger_entry *entry = &ledger.entries[i];
        memcpy(entry->runtime, digest->figures[i].runtime, sizeof entry->runtime);
        memcpy(entry->name, digest->figures[i].figure.name, sizeof entry->name);
        entry->unit = digest->figures[i].figure.unit;
    }
    error = write_ledger(history, insert, &ledger);
    if (error) {
        free(ledger.entries);
        return error;
    }
    ledgers->items[ledgers->count++] = ledger;
    return 0;
}

// The same as last time, nearly always; else one that another subject has; else a new one.
static int find_ledger(struct history *history, const struct account_statements *statements,
                       struct ledgers *ledgers, struct account_memory *memory,
                       const struct digest *digest)
{
    if (memory->has_account && is_ledger_of(&ledgers->items[memory->ledger], digest))
        return 0;
    // A handful at most: one for each runtime and its version. Searching them is rare, and cheap.
    for (size_t i = 0; i < ledgers->count; i++) {
        if (is_ledger_of(&ledgers->items[i], digest)) {
            memory->ledger = i;
            return 0;
        }
    }
    int error = add_ledger(history, statements->ledger, ledgers, digest);
    if (!error)
        memory->ledger = ledgers->count - 1;
    return error;
}

// NULL where the list says nothing.
static void bind_list(sqlite3_stmt *insert, int place, const uint64_t *values, size_t count,
                      char text[NUMBERS_TEXT_MAX])
{
    bool is_said = false;
    for (size_t i = 0; i < count; i++)
        is_said |= values[i] != 0;
    if (is_said)
        numbers_print(values, count, text, NUMBERS_TEXT_MAX);
    store_bind_text(insert, place, is_said ? text : NULL);
}

// The three lists of an account as text, which must stay until the insert has run.
struct account_lists {
    char errors[NUMBERS_TEXT_MAX], figures[NUMBERS_TEXT_MAX], figure_errors[NUMBERS_TEXT_MAX];
};

// The lists are the caller's, since SQLite borrows them until the row is in.
static void bind_figures(sqlite3_stmt *insert, const struct digest *digest, int64_t ledger,
                         struct account_lists *lists)
{
    uint64_t values[NUMBERS_MAX], errors[NUMBERS_MAX];
    size_t count = figure_count(digest);
    for (size_t i = 0; i < count; i++) {
        values[i] = digest_figure_value(&digest->figures[i].figure);
        errors[i] = digest->figures[i].figure.error;
    }
    sqlite3_bind_int64(insert, PLACE_LEDGER, ledger);
    // Unlike the errors, a list of zeros is written out: 0 is a figure, NULL is no ledger at all.
    if (count > 0)
        numbers_print(values, count, lists->figures, sizeof lists->figures);
    store_bind_text(insert, PLACE_FIGURES, count > 0 ? lists->figures : NULL);
    bind_list(insert, PLACE_FIGURE_ERRORS, errors, count, lists->figure_errors);
}

// A text that is as it was is NULL.
static void bind_text_once(sqlite3_stmt *insert, int place, const char *text, uint64_t *memory,
                           bool is_due)
{
    // Two texts of one hash would be taken for the same. With 64 bits that is not worth 1 KiB per
    // process.
    uint64_t hash = hash_text(text);
    bool is_new = is_due || hash != *memory;
    // An empty text is said, or the one before it would stand for it.
    if (is_new)
        sqlite3_bind_text(insert, place, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(insert, place);
    *memory = hash;
}

// Which of the three texts this account says. A headline has numbers in it and so is hardly ever
// the same; one of another account would contradict the rows beside it.
static void bind_texts(sqlite3_stmt *insert, const struct digest *digest,
                       struct account_memory *memory, int64_t at_ms)
{
    bool is_first = !memory->has_account || at_ms - memory->texts_ms >= TEXTS_EVERY_MS;
    if (is_first)
        memory->texts_ms = at_ms;
    bind_text_once(insert, PLACE_HEADLINE, digest->headline, &memory->headline, is_first);
    bind_text_once(insert, PLACE_NEXT, digest->next, &memory->next, is_first);
    bind_text_once(insert, PLACE_RUNTIMES, digest->runtimes, &memory->runtimes, is_first);
}

// Columns of four bytes, figures of seven digits and a comma, one text; pages are not all full.
uint64_t account_size_bytes(const struct digest *digest)
{
    enum { COLUMNS_BYTES = 120, FIGURE_BYTES_EACH = 8 };
    return COLUMNS_BYTES + FIGURE_BYTES_EACH * digest->figure_count + strlen(digest->headline);
}

// One insert for an account with all its figures: dozens of rows would cost more than the reading.
// `memory` is brought up to date before the insert has run: it is not used again if that fails.
int account_write(struct history *history, const struct account_statements *statements,
                  struct ledgers *ledgers, struct account_memory *memory, int64_t key,
                  const struct digest *digest)
{
    int error = find_ledger(history, statements, ledgers, memory, digest);
    if (error)
        return error;
    sqlite3_stmt *insert = statements->account;
    struct account_lists lists;
    sqlite3_bind_int64(insert, PLACE_ID, key);
    sqlite3_bind_int(insert, PLACE_VERDICT, (int)digest->verdict);
    sqlite3_bind_int(insert, PLACE_COMPLETE, digest->is_complete);
    for (int row = 0; row < ROW_COUNT; row++)
        store_bind_u64(insert, PLACE_ROWS + row, digest->row_bytes[row]);
    bind_list(insert, PLACE_ERRORS, digest->row_error_bytes, ROW_COUNT, lists.errors);
    store_bind_u64(insert, PLACE_SWAP, digest->swap_bytes);
    store_bind_u64(insert, PLACE_HUGE, digest->huge_bytes);
    store_bind_u64(insert, PLACE_LOCKED, digest->locked_bytes);
    store_bind_u64(insert, PLACE_GROUP_USAGE, digest->group_usage_bytes);
    store_bind_u64(insert, PLACE_GROUP_WORKING_SET, digest->group_working_set_bytes);
    store_bind_u64(insert, PLACE_GROUP_INACTIVE_FILE, digest->group_inactive_file_bytes);
    store_bind_u64(insert, PLACE_GROUP_LIMIT, digest->group_limit_bytes);
    // The ledger's row is in the same transaction: no account ever refers to one that is not there.
    bind_figures(insert, digest, ledgers->items[memory->ledger].id, &lists);
    bind_texts(insert, digest, memory, key_time(key));
    memory->has_account = true;
    return store_run(history, insert);
}

// A ledger that skips a place would give every later figure a wrong name: it is refused. An id that
// is not there gives an empty list; callers compare its length with that of the values.
int ledger_read(struct history *history, int64_t id, struct ledger_entry **ret_entries,
                size_t *ret_count)
{
    sqlite3_stmt *statement = NULL;
    int error = store_prepare(
        history, "SELECT place, runtime, name, unit FROM ledger WHERE id = ? ORDER BY place",
        &statement);
    if (error)
        return error;
    sqlite3_bind_int64(statement, 1, id);
    struct ledger_entry *entries = NULL;
    size_t count = 0, capacity = 0;
    int stepped;
    while ((stepped = store_step(history, statement)) == 1) {
        uint64_t unit = store_u64(statement, 3);
        // Places are those of the lists: without a gap, and no more of them.
        if (store_u64(statement, 0) != count || count == NUMBERS_MAX || unit > FIGURE_RATIO) {
            stepped = -EBADMSG;
            break;
        }
        stepped = array_reserve_one(&entries, &capacity, count, sizeof *entries);
        if (stepped < 0)
            break;
        struct ledger_entry *entry = &entries[count++];
        store_text(statement, 1, entry->runtime, sizeof entry->runtime);
        store_text(statement, 2, entry->name, sizeof entry->name);
        entry->unit = (enum figure_unit)unit;
    }
    sqlite3_finalize(statement);
    if (stepped < 0) {
        free(entries);
        return stepped;
    }
    *ret_entries = entries;
    *ret_count = count;
    return 0;
}
