// SPDX-License-Identifier: Apache-2.0
// The vote over mentioned addresses, see go_vote.h. Tool world; no state.
#include "runtime/go/go_vote.h"

#include <errno.h>
#include <stdlib.h>

// All of the variables hold 8-byte words.
enum { ALIGNMENT = 8 };

// Equal bases come together to be counted.
static int compare_bases(const void *a, const void *b)
{
    const struct go_candidate *x = a, *y = b;
    return (x->base > y->base) - (x->base < y->base);
}

// Ties in order of address, so that a vote always ends alike.
static int compare_votes(const void *a, const void *b)
{
    const struct go_candidate *x = a, *y = b;
    if (x->votes != y->votes)
        return x->votes < y->votes ? 1 : -1;
    return compare_bases(a, b);
}

// Distinct offsets of the object's fields, and 0: code takes the address of the whole too.
static size_t collect_offsets(const struct go_version_row *row, enum go_object object,
                              uint32_t *ret_offsets)
{
    size_t count = 0;
    ret_offsets[count++] = 0;
    for (unsigned id = 0; id < GO_FIELD_COUNT; id++) {
        if (go_field_names[id].object != object || row->fields[id].size <= 0)
            continue;
        uint32_t offset = (uint32_t)row->fields[id].offset;
        size_t i = 0;
        while (i < count && ret_offsets[i] != offset)
            i++;
        if (i == count)
            ret_offsets[count++] = offset;
    }
    return count;
}

// The variable must lie in the data as a whole. Both ends are asked, since fields before and behind
// are of the same variable.
static int object_fits(const struct go_targets *targets, uint64_t base, uint32_t last_offset)
{
    return base % ALIGNMENT == 0 && go_targets_in_range(targets, base) &&
           go_targets_in_range(targets, base + last_offset);
}

// Sorting all votes is cheaper than asking for every base who votes for it.
int go_vote(const struct go_targets *targets, const struct go_version_row *row,
            enum go_object object, struct go_candidate *ret_candidates, size_t capacity)
{
    uint32_t offsets[GO_FIELD_COUNT + 1], last = 0;
    size_t offset_count = collect_offsets(row, object, offsets);
    for (size_t i = 0; i < offset_count; i++)
        last = offsets[i] > last ? offsets[i] : last;
    // Each address with each field, at 16 bytes; freed at once.
    size_t most = targets->count * offset_count, count = 0;
    struct go_candidate *votes = malloc((most ? most : 1) * sizeof *votes);
    if (!votes)
        return -ENOMEM;
    for (size_t i = 0; i < targets->count; i++) {
        // Each address is one vote for each field that it may be.
        for (size_t k = 0; k < offset_count; k++) {
            uint64_t base = targets->items[i] - offsets[k];
            if (object_fits(targets, base, last))
                votes[count++] = (struct go_candidate){base, 1};
        }
    }
    // Equal bases come side by side, and shrink to one with their number.
    qsort(votes, count, sizeof *votes, compare_bases);
    size_t bases = 0;
    for (size_t i = 0; i < count; i++) {
        if (bases > 0 && votes[bases - 1].base == votes[i].base)
            votes[bases - 1].votes++;
        else
            votes[bases++] = votes[i];
    }
    qsort(votes, bases, sizeof *votes, compare_votes);
    size_t kept = bases < capacity ? bases : capacity;
    for (size_t i = 0; i < kept; i++)
        ret_candidates[i] = votes[i];
    free(votes);
    return (int)kept;
}
