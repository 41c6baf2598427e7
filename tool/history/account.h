// SPDX-License-Identifier: Apache-2.0
// Accounts as rows: a digest, written and read. Tool world; one thread.
#ifndef EBB_HISTORY_ACCOUNT_H
#define EBB_HISTORY_ACCOUNT_H

#include "history/numbers.h"
#include "history/store.h"

// A list of names that accounts give their figures under; subjects of one program share it.
struct ledger {
    int64_t id;
    struct ledger_entry {
        char runtime[32], name[32];
        enum figure_unit unit;
    } * entries;
    size_t count;
};
// All that a recording has so far. Each owns its entries; indices stay as they are, since none is
// ever taken away.
struct ledgers {
    struct ledger *items;
    size_t count, capacity;
};
void ledgers_free(struct ledgers *ledgers);

// What an account of a subject is compared with, so that texts are not stored again and again. One
// for each living subject, lost with it: a new one begins with all texts.
struct account_memory {
    bool has_account;
    size_t ledger;                     // index of the last one
    uint64_t headline, next, runtimes; // hashes of the stored texts
    int64_t texts_ms;                  // when all of them were stored
};

// What it will take of the file, roughly.
uint64_t account_size_bytes(const struct digest *digest);

// Writes a digest as a row; new names into the ledger first. 0 or -errno.
extern const char account_insert[], ledger_insert[];
struct account_statements {
    sqlite3_stmt *account, *ledger;
};
int account_write(struct history *history, const struct account_statements *statements,
                  struct ledgers *ledgers, struct account_memory *memory, int64_t key,
                  const struct digest *digest);

// The names of a stored ledger, at most NUMBERS_MAX; free() them. 0; -ENOMEM; -EBADMSG.
int ledger_read(struct history *history, int64_t id, struct ledger_entry **ret_entries,
                size_t *ret_count);

#endif
