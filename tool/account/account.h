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
    uint64_t bytes;       // never 0
    uint64_t error_bytes; // how far `bytes` may be off either way; at most rss_bytes
    char runtime[32];
    char source[128]; // where the figure comes from, for people: "smaps: LazyFree"
};

struct account {
    uint64_t rss_bytes, lazy_bytes, effective_bytes; // effective = rss - lazy
    // Beside the rows, never among them: they overlap with rows, or are not in Rss (swap).
    uint64_t swap_bytes, shared_anon_bytes; // anonymous and shared with a fork
    uint64_t huge_bytes, locked_bytes;
    // The error of a row is the sum of its entries' errors, but for ROW_LAZY: its sum is the
    // kernel's own, and only its split between owners may be wrong.
    uint64_t row_bytes[ROW_COUNT], row_error_bytes[ROW_COUNT];
    struct account_entry *entries; // by row, then by size
    size_t entry_count, entry_capacity;
    struct mapping largest_unexplained; // the mapping with most of it; rss_kib 0 when there is none
    size_t unexplained_mappings;        // that no runtime claims
    uint64_t unexplained_mapped_bytes;  // in them; the rest of the row is unexplained in claims
    // Of code, files and shared memory: the largest mapping, by name as mappings_path() has it (cut
    // where it is longer), and what of private mappings of files was written: nobody can take that.
    char largest_file[128];
    uint64_t largest_file_bytes, written_file_bytes;
};

struct account_input {
    const struct mappings *mappings;
    const struct runtime_report *reports; // their claims never overlap
    size_t report_count;
    uint64_t lazy_lag_bytes; // how far LazyFree may be behind: what per-CPU batches can hold back
};

// Builds the account; account_free() frees it. 0, -ENOMEM, or -ENODATA without sizes (only maps was
// readable). Invariant: row_bytes sum to rss_bytes, and the entries of a row sum to that row,
// whatever the reports claim.
int account_build(const struct account_input *input, struct account *ret_account);
void account_free(struct account *account);

// Bytes of one runtime in one row ("" for the kernel's own knowledge), of all sources together.
uint64_t account_runtime_bytes(const struct account *account, const char *runtime,
                               enum account_row row);

// "in_use", "slack", ... as in the JSON; "in use", "lazily freed", ... for people.
const char *account_row_key(enum account_row row);
const char *account_row_title(enum account_row row);

#endif
