// SPDX-License-Identifier: Apache-2.0
// Fitting a runtime's parts into its claims, see split.h. Tool world; pure.
//
// Everything here cuts; nothing is ever scaled or made up. A cut says by how much ledger and kernel
// disagree, which is why it becomes the error of what was cut.
#include "account/split.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/number.h"

void splits_free(struct split *splits, size_t count)
{
    for (size_t i = 0; splits && i < count; i++)
        free(splits[i].part_bytes);
    free(splits);
}

struct split *splits_new(const struct runtime_report *reports, size_t count)
{
    struct split *splits = calloc(count + 1, sizeof *splits);
    for (size_t i = 0; splits && i < count; i++) {
        size_t parts = reports[i].part_count;
        // One block for both arrays: values first, errors behind them.
        splits[i].part_bytes = calloc(2 * parts + 1, sizeof(uint64_t));
        if (!splits[i].part_bytes) {
            splits_free(splits, count);
            return NULL;
        }
        splits[i].part_error_bytes = splits[i].part_bytes + parts;
    }
    return splits;
}

// Errors come from readers of hostile memory: their sum stays at the largest value.
static void split_add_error(uint64_t *error_bytes, uint64_t more)
{
    if (__builtin_add_overflow(*error_bytes, more, error_bytes))
        *error_bytes = UINT64_MAX;
}

void split_take(struct split *split, const struct runtime_report *report,
                const struct mapping *mapping, uint64_t *rss_bytes, uint64_t *lazy_bytes)
{
    for (; split->next_claim < report->claim_count; split->next_claim++) {
        const struct runtime_claim *claim = &report->claims[split->next_claim];
        if (claim->start >= mapping->end)
            return;
        // A claim that begins in a hole between mappings: its mapping has gone since, or the reader
        // broke the rule. Its memory is not in this reading of smaps, so it gets nothing.
        if (claim->start < mapping->start)
            continue;
        uint64_t lazy = number_least(claim->lazy_bytes, *lazy_bytes);
        uint64_t rss = number_least(claim->rss_bytes, *rss_bytes);
        lazy = number_least(lazy, rss);
        // What is left must stay consistent too: never more lazy than resident.
        if (*lazy_bytes - lazy > *rss_bytes - rss)
            lazy = *lazy_bytes - (*rss_bytes - rss);
        split->rss_bytes += rss;
        split->lazy_bytes += lazy;
        // Pages that are lazy here instead of there were counted as something else: the error of
        // the one is that of the other.
        split_add_error(&split->lazy_error_bytes, claim->error_bytes);
        split_add_error(&split->rest_error_bytes, claim->error_bytes);
        *rss_bytes -= rss;
        *lazy_bytes -= lazy;
    }
}

// Takes up to `excess` bytes from the parts of one row, in the reader's order. Returns what is
// still to be cut.
static uint64_t split_cut_row(struct split *split, const struct runtime_report *report,
                              enum account_row row, uint64_t excess)
{
    for (size_t i = 0; i < report->part_count && excess > 0; i++) {
        if (report->parts[i].row != row)
            continue;
        uint64_t cut = number_least(split->part_bytes[i], excess);
        split->part_bytes[i] -= cut;
        split_add_error(&split->part_error_bytes[i], cut);
        excess -= cut;
    }
    return excess;
}

// Copies the parts as the reader gave them. False when their sum is beyond any size: none of them
// counts then.
static bool split_copy_parts(struct split *split, const struct runtime_report *report,
                             uint64_t *ret_wanted)
{
    uint64_t wanted = 0;
    for (size_t i = 0; i < report->part_count; i++) {
        if (__builtin_add_overflow(wanted, report->parts[i].bytes, &wanted))
            return false;
        split->part_bytes[i] = report->parts[i].bytes;
        split->part_error_bytes[i] = report->parts[i].error_bytes;
    }
    *ret_wanted = wanted;
    return true;
}

void split_fit_parts(struct split *split, const struct runtime_report *report)
{
    uint64_t available = split->rss_bytes - split->lazy_bytes;
    uint64_t wanted;
    if (!split_copy_parts(split, report, &wanted)) {
        for (size_t i = 0; i < report->part_count; i++)
            split->part_bytes[i] = 0;
        // Nothing is known of how the claims are used then, so all of the rest may be wrong.
        split_add_error(&split->rest_error_bytes, available);
        wanted = 0;
    }
    if (wanted <= available) {
        split->rest_bytes = available - wanted;
        return;
    }
    // A ledger counts bytes that are not resident: the rest's own row gives way first, then objects
    // that were never touched, then everything else in the order of the rows.
    uint64_t excess = split_cut_row(split, report, report->rest_row, wanted - available);
    for (int row = 0; row < ROW_COUNT; row++)
        excess = split_cut_row(split, report, (enum account_row)row, excess);
}
