// SPDX-License-Identifier: Apache-2.0
// Building the account, see account.h. Tool world; pure.
//
// The way of a byte: each mapping's Rss is first shared out to the claims that lie in it; what
// nobody claims is named by the mapping's kind. Then each runtime's claimed bytes are split by its
// parts. Every step takes from what is left, so that the rows cannot sum to anything but Rss.
//
// Cost: mappings times reports, and each new sum is looked up among the entries, of which there are
// at most rows times sources: a few dozen, however large the target is.
#include "account/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "account/split.h"
#include "base/array.h"
#include "base/number.h"
#include "base/text.h"

// Keys are part of the JSON schema and never change; titles are for people and may.
static const struct {
    const char *key, *title;
} row_names[ROW_COUNT] = {
    [ROW_IN_USE] = {"in_use", "in use"},
    [ROW_SLACK] = {"slack", "slack"},
    [ROW_KEPT] = {"kept", "kept"},
    [ROW_LAZY] = {"lazy", "lazily freed"},
    [ROW_METADATA] = {"metadata", "metadata"},
    [ROW_STACKS] = {"stacks", "stacks"},
    [ROW_CODE_FILES] = {"code_files", "code and files"},
    [ROW_SHARED] = {"shared", "shared"},
    [ROW_HELD] = {"held", "held"},
    [ROW_UNEXPLAINED] = {"unexplained", "unexplained"},
};

// Stable: keys are words of the JSON and of alarms that people have written.
const char *account_row_key(enum account_row row)
{
    return row_names[row].key;
}

// For people: it may change with any release.
const char *account_row_title(enum account_row row)
{
    return row_names[row].title;
}

// Adds bytes to the entry of this row, runtime and source, or begins one. Nothing for 0 bytes: an
// entry without bytes would only be noise in the table.
//
// No figure can be off by more than Rss, so errors are cut there: a ledger read from hostile memory
// may claim any error, and sums of such would wrap round to small ones. Callers that have an error
// to give call after all mappings are summed up, when rss_bytes is complete.
static int account_add(struct account *account, enum account_row row, const char *runtime,
                       const char *source, uint64_t bytes, uint64_t error_bytes)
{
    if (bytes == 0)
        return 0;
    error_bytes = number_least(error_bytes, account->rss_bytes);
    account->row_bytes[row] += bytes;
    for (size_t i = 0; i < account->entry_count; i++) {
        struct account_entry *entry = &account->entries[i];
        if (entry->row == row && strcmp(entry->runtime, runtime) == 0 &&
            strncmp(entry->source, source, sizeof entry->source - 1) == 0) {
            entry->bytes += bytes;
            entry->error_bytes = number_least(entry->error_bytes + error_bytes, account->rss_bytes);
            return 0;
        }
    }
    int error = array_reserve_one(&account->entries, &account->entry_capacity, account->entry_count,
                                  sizeof *account->entries);
    if (error)
        return error;
    struct account_entry *entry = &account->entries[account->entry_count++];
    *entry = (struct account_entry){.row = row, .bytes = bytes, .error_bytes = error_bytes};
    text_copy(text_of(runtime), entry->runtime, sizeof entry->runtime);
    text_copy(text_of(source), entry->source, sizeof entry->source);
    return 0;
}

// The row and the source for memory that no claim covers. Pages of a private file mapping that were
// written (.data, relocations) stay with their file: they are as much a part of the image as its
// code. What nobody recognises is said to be so, never called in use.
static enum account_row account_row_of(const struct mapping *mapping, const char **ret_source)
{
    switch ((enum mapping_kind)mapping->kind) {
    case MAPPING_STACK:
        *ret_source = "smaps: [stack]";
        return ROW_STACKS;
    case MAPPING_FILE:
        *ret_source = "smaps: mapped files";
        return ROW_CODE_FILES;
    case MAPPING_KERNEL:
        *ret_source = "smaps: vdso and the like";
        return ROW_CODE_FILES;
    case MAPPING_DEVICE:
        *ret_source = "smaps: mapped devices";
        return ROW_CODE_FILES;
    case MAPPING_SHMEM:
        *ret_source = "smaps: shared memory";
        return ROW_SHARED;
    case MAPPING_BRK:
        *ret_source = "smaps: [heap] of an allocator that was not recognised";
        return ROW_HELD;
    case MAPPING_ANONYMOUS:
        break;
    }
    if (mapping->flags & MAPPING_SHARED) {
        *ret_source = "smaps: shared anonymous memory";
        return ROW_SHARED;
    }
    *ret_source = "smaps: anonymous mappings that no runtime claims";
    return ROW_UNEXPLAINED;
}

// Remembers where the most unexplained memory is: whoever wants to know what it is looks there
// first. The copy's rss_kib is what is unexplained of the mapping, not all of it.
static void account_note_unexplained(struct account *account, const struct mapping *mapping,
                                     uint64_t bytes)
{
    account->unexplained_mappings++;
    account->unexplained_mapped_bytes += bytes;
    if (bytes / 1024 > account->largest_unexplained.rss_kib) {
        account->largest_unexplained = *mapping;
        account->largest_unexplained.rss_kib = (uint32_t)(bytes / 1024);
    }
}

// What a reader asks next where most of RSS is files or shared memory: which. A copy on write is
// anonymous memory (fs/proc/task_mmu.c counts it so), which goes with the process alone.
static void account_note_file(struct account *account, const struct mappings *mappings,
                              const struct mapping *mapping, uint64_t bytes)
{
    if (mapping->kind == MAPPING_FILE)
        account->written_file_bytes += number_least((uint64_t)mapping->anonymous_kib * 1024, bytes);
    if (bytes <= account->largest_file_bytes)
        return;
    account->largest_file_bytes = bytes;
    text_copy(text_of(mappings_path(mappings, mapping)), account->largest_file,
              sizeof account->largest_file);
}

// Names what is left of a mapping after the claims. Precondition: lazy_bytes <= rss_bytes.
static int account_add_rest(struct account *account, const struct mappings *mappings,
                            const struct mapping *mapping, uint64_t rss_bytes, uint64_t lazy_bytes)
{
    const char *source;
    enum account_row row = account_row_of(mapping, &source);
    int error = account_add(account, ROW_LAZY, "", "smaps: LazyFree", lazy_bytes, 0);
    if (error)
        return error;
    uint64_t bytes = rss_bytes - lazy_bytes;
    if (row == ROW_UNEXPLAINED && bytes > 0)
        account_note_unexplained(account, mapping, bytes);
    if (row == ROW_CODE_FILES || row == ROW_SHARED)
        account_note_file(account, mappings, mapping, bytes);
    return account_add(account, row, "", source, bytes, 0);
}

// Sums of a mapping that tell how the target's memory may be taken or is shared. A sum of 32-bit
// KiB figures over at most MAPPINGS_MAX mappings stays below 2^62 bytes.
static void account_add_totals(struct account *account, const struct mapping *mapping)
{
    account->rss_bytes += (uint64_t)mapping->rss_kib * 1024;
    account->lazy_bytes += (uint64_t)mapping->lazy_free_kib * 1024;
    account->swap_bytes += (uint64_t)mapping->swap_kib * 1024;
    account->huge_bytes += (uint64_t)mapping->anon_huge_kib * 1024;
    account->locked_bytes += (uint64_t)mapping->locked_kib * 1024;
    // fs/proc/task_mmu.c smaps_account() calls a page shared when it is mapped more than
    // once. Anonymous ones are so after fork, until either side writes, and by KSM.
    bool private_anon = mapping->kind == MAPPING_ANONYMOUS || mapping->kind == MAPPING_BRK;
    if (private_anon && !(mapping->flags & MAPPING_SHARED)) {
        uint64_t shared_kib = (uint64_t)mapping->shared_clean_kib + mapping->shared_dirty_kib;
        account->shared_anon_bytes += number_least(shared_kib, mapping->anonymous_kib) * 1024;
    }
}

// What no runtime has claimed is told by what kind of mapping it lies in.
static int account_add_mappings(struct account *account, const struct account_input *input,
                                struct split *splits)
{
    for (size_t i = 0; i < input->mappings->count; i++) {
        const struct mapping *mapping = &input->mappings->items[i];
        account_add_totals(account, mapping);
        uint64_t rss = (uint64_t)mapping->rss_kib * 1024;
        // The kernel counts LazyFree among Rss, but a tree of files may say anything: never more
        // lazy than resident.
        uint64_t lazy = number_least((uint64_t)mapping->lazy_free_kib * 1024, rss);
        for (size_t k = 0; k < input->report_count; k++)
            split_take(&splits[k], &input->reports[k], mapping, &rss, &lazy);
        int error = account_add_rest(account, input->mappings, mapping, rss, lazy);
        if (error)
            return error;
    }
    return 0;
}

// Adds one runtime's rows from what its claims got. The rest, which no part explains, is named
// after the reason: ground (.bss, stacks) says where it looked, an opaque runtime that nobody could
// look inside, and a runtime with a ledger that the ledger does not know it.
static int account_add_runtime(struct account *account, const struct runtime_report *report,
                               struct split *split)
{
    int error = account_add(account, ROW_LAZY, report->name, "smaps: LazyFree", split->lazy_bytes,
                            split->lazy_error_bytes);
    split_fit_parts(split, report);
    for (size_t i = 0; i < report->part_count && !error; i++)
        error = account_add(account, report->parts[i].row, report->name, report->parts[i].source,
                            split->part_bytes[i], split->part_error_bytes[i]);
    if (error)
        return error;
    const char *source = "smaps: claimed, not in its ledger";
    if (report->facts & FACT_GROUND)
        source = report->place;
    else if (report->facts & FACT_OPAQUE)
        source = "smaps: claimed, inside not read";
    return account_add(account, report->rest_row, report->name, source, split->rest_bytes,
                       split->rest_error_bytes);
}

// By row, then largest first: the order in which they are printed.
static int entry_compare(const void *left, const void *right)
{
    const struct account_entry *a = left, *b = right;
    if (a->row != b->row)
        return a->row < b->row ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    // The same reading always prints in the same order: qsort() alone does not promise that.
    int order = strcmp(a->runtime, b->runtime);
    return order ? order : strcmp(a->source, b->source);
}

// Sums up the errors of each row. How lazily freed pages are shared out between owners may be
// wrong, but it moves bytes from one entry to another: of the row, smaps tells the sum, late by the
// pages that processors still hold in their batches. These belong to nobody in particular, so the
// largest entry has their error. Precondition: entries are sorted.
static void account_sum_errors(struct account *account, uint64_t lazy_lag_bytes)
{
    uint64_t lag = number_least(lazy_lag_bytes, account->effective_bytes);
    bool is_first_lazy = true;
    for (size_t i = 0; i < account->entry_count; i++) {
        struct account_entry *entry = &account->entries[i];
        uint64_t *sum = &account->row_error_bytes[entry->row];
        if (entry->row != ROW_LAZY) {
            *sum = number_least(*sum + entry->error_bytes, account->rss_bytes);
        } else if (is_first_lazy) {
            *sum = lag;
            entry->error_bytes = number_least(entry->error_bytes + lag, account->rss_bytes);
            is_first_lazy = false;
        }
    }
}

// What no claim takes of a mapping is a row at once; what claims take is shared out by the
// runtimes' parts.
static int account_fill(struct account *account, const struct account_input *input,
                        struct split *splits)
{
    int error = account_add_mappings(account, input, splits);
    for (size_t i = 0; i < input->report_count && !error; i++)
        error = account_add_runtime(account, &input->reports[i], &splits[i]);
    if (error)
        return error;
    // From the row, not from the mappings' sum: what was cut to fit into Rss must not count.
    account->effective_bytes = account->rss_bytes - account->row_bytes[ROW_LAZY];
    account->lazy_bytes = account->row_bytes[ROW_LAZY];
    if (account->entry_count > 0)
        qsort(account->entries, account->entry_count, sizeof *account->entries, entry_compare);
    account_sum_errors(account, input->lazy_lag_bytes);
    return 0;
}

// Rows sum to RSS by the way they are made: each byte of a mapping is handed on, or becomes a row.
int account_build(const struct account_input *input, struct account *ret_account)
{
    if (!input->mappings->has_sizes)
        return -ENODATA;
    struct split *splits = splits_new(input->reports, input->report_count);
    if (!splits)
        return -ENOMEM;
    // Built aside, so that a failure leaves the caller's account as it was.
    struct account account = {0};
    int error = account_fill(&account, input, splits);
    splits_free(splits, input->report_count);
    if (error) {
        account_free(&account);
        return error;
    }
    *ret_account = account;
    return 0;
}

// 0 for a runtime without that row, which is what it holds there.
uint64_t account_runtime_bytes(const struct account *account, const char *runtime,
                               enum account_row row)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < account->entry_count; i++)
        if (account->entries[i].row == row && strcmp(account->entries[i].runtime, runtime) == 0)
            bytes += account->entries[i].bytes;
    return bytes;
}

// Leaves an empty account, which may be freed again.
void account_free(struct account *account)
{
    free(account->entries);
    *account = (struct account){0};
}
