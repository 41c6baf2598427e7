// SPDX-License-Identifier: Apache-2.0
// Finds a variable by the addresses that code mentions. Tool world; pure.
//
// Code mentions fields of a variable, at offsets that the version's table knows. Each mentioned
// address votes for every base at which one of the fields would be there.
#ifndef EBB_RUNTIME_GO_GO_VOTE_H
#define EBB_RUNTIME_GO_GO_VOTE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/go/go_code.h"
#include "runtime/go/go_table.h"

struct go_candidate {
    uint64_t base; // as linked
    unsigned votes;
};

// Bases for `object`, most votes first, at most `capacity`. `targets` are sorted. Returns how many,
// or -ENOMEM.
int go_vote(const struct go_targets *targets, const struct go_version_row *row,
            enum go_object object, struct go_candidate *ret_candidates, size_t capacity);

#endif
