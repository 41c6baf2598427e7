// SPDX-License-Identifier: Apache-2.0
// How one runtime's claimed memory is split by its parts. Tool world; pure; internal to the
// account.
//
// A reader measures claims and parts a moment after smaps was walked, so they need not agree to the
// byte with it. Here they are fitted: claims never take more than smaps has, parts never more than
// the claims, and each cut is added to the error of the part that was cut.
#ifndef EBB_ACCOUNT_SPLIT_H
#define EBB_ACCOUNT_SPLIT_H

#include <stddef.h>
#include <stdint.h>

#include "proc/mappings.h"
#include "runtime/report.h"

struct split {
    size_t next_claim;  // claims are ascending, and so are the mappings: a cursor is enough
    uint64_t rss_bytes; // what the claims got, lazily freed pages included
    uint64_t lazy_bytes, lazy_error_bytes;   // of rss_bytes; the rest of it is for the parts
    uint64_t *part_bytes, *part_error_bytes; // one per part of the report, in one block
    uint64_t rest_bytes, rest_error_bytes;   // what the parts leave
};

// One split per report; NULL without memory. splits_free() frees them.
struct split *splits_new(const struct runtime_report *reports, size_t count);
void splits_free(struct split *splits, size_t count);

// Takes the claims of `report` in `mapping` out of what is left of it. Call with ascending
// mappings, each once. Afterwards *lazy_bytes <= *rss_bytes holds if it held before. Cost: all
// calls together look at each claim once.
void split_take(struct split *split, const struct runtime_report *report,
                const struct mapping *mapping, uint64_t *rss_bytes, uint64_t *lazy_bytes);

// Fits the parts into what the claims got: rest, or cuts, are filled in. Call once, after the last
// mapping. Then lazy_bytes + all part_bytes + rest_bytes == rss_bytes.
void split_fit_parts(struct split *split, const struct runtime_report *report);

#endif
