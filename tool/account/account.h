// SPDX-License-Identifier: Apache-2.0
// The account: every resident byte of a process with its owner; the rows sum to Rss exactly. Tool
// world. Pure: no I/O, no clock; the same input gives the same account.
//
// Sources: Documentation/filesystems/proc.rst (smaps) for Rss and LazyFree; docs/account.md for
// each row.
#ifndef EBB_ACCOUNT_ACCOUNT_H
#define EBB_ACCOUNT_ACCOUNT_H

#include <stddef.h>
#include <stdint.h>

#include "proc/mappings.h"
#include "runtime/report.h"

// One line of the account: so many bytes of this row, of this runtime ("" for the kernel's own
// knowledge).
struct account_entry {
    enum account_row row;
    uint64_t bytes;
    uint64_t error_bytes;
    char runtime[32];
    char source[128];
};

struct account {
    uint64_t rss_bytes, lazy_bytes, effective_bytes; // effective = rss - lazy
    uint64_t swap_bytes, shared_anon_bytes;          // anonymous and shared with a fork
    uint64_t huge_bytes, locked_bytes;
    uint64_t row_bytes[ROW_COUNT], row_error_bytes[ROW_COUNT];
    struct account_entry *entries; // by row, then by size
    size_t entry_count, entry_capacity;
    struct mapping largest_unexplained; // the mapping with most of it; rss_kib 0 when there is none
    size_t unexplained_mappings;
};

struct account_input {
    const struct mappings *mappings;
    const struct runtime_report *reports; // their claims never overlap
    size_t report_count;
};

// Builds the account; account_free() frees it. 0, -ENOMEM, or -ENODATA without sizes (only maps was
// readable). Invariant: row_bytes sum to rss_bytes, and the entries of a row sum to that row.
int account_build(const struct account_input *input, struct account *ret_account);
void account_free(struct account *account);

// "in_use", "slack", ... as in the JSON; "in use", "lazily freed", ... for people.
const char *account_row_key(enum account_row row);
const char *account_row_title(enum account_row row);

#endif
