// SPDX-License-Identifier: Apache-2.0
// libebb's ledger as it is found in a target: checked, and walked run by run. Tool world; pure but
// for the memory that it is given.
//
// The layout is wire/ledger.h's. A target may be damaged or hostile: what does not fit is refused,
// nothing outside of the reservation is read, and each step of a walk goes forward.
#ifndef EBB_RUNTIME_LIBEBB_LEDGER_H
#define EBB_RUNTIME_LIBEBB_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/pages.h"
#include "wire/ledger.h"

// The target's memory. `read` copies what is there: 0; -ENODATA for pages that are not in memory;
// -errno, which ends whatever was asked for. At most 4096 bytes at a time.
struct libebb_memory {
    int (*read)(void *context, uint64_t address, void *ret_data, size_t len);
    void *context;
};

// Why a ledger is not believed, for people.
struct libebb_refusal {
    char why[120];   // "it has version 3, and this ebb reads version 2"
    char needs[120]; // as in a runtime_unread
};

// Reads and checks the ledger's head. 0; -EBADMSG for one that is damaged or of another version,
// with the refusal; -errno of the memory, -ENODATA too.
int libebb_ledger_read(const struct libebb_memory *memory, uint64_t address,
                       struct wire_ledger *ret_ledger, struct libebb_refusal *refusal);

// What a walk counts: bytes, but for the last four.
struct libebb_sums {
    uint64_t small_used;  // live blocks that share pages
    uint64_t medium_used; // live blocks of whole pages, in spans
    uint64_t large_used;  // large blocks
    uint64_t span_bytes;  // spans with blocks, less what is off
    uint64_t spare_bytes; // empty spans
    uint64_t dirty_bytes; // free runs, by kind
    uint64_t lazy_bytes;
    uint64_t clean_bytes;
    uint64_t off_lazy; // free pages in spans, given back
    uint64_t off_returned;
    uint64_t unsure_bytes; // spans and blocks whose records contradict themselves: in change
    uint64_t unsure_count;
    uint64_t runs;
    uint64_t objects;
    uint64_t mallocs; // of what lives: the ledger has those of what is gone
};

// Where it lies. Ascending and apart from each other.
struct libebb_places {
    struct ranges small, medium; // spans with blocks, less what is off
    struct ranges large;         // large blocks
    struct ranges tails;         // of their last slots
    struct ranges kept;          // dirty runs, empty spans
    struct ranges lazy;          // lazy runs, and pages that are off
    struct ranges returned;      // clean runs, and pages that are off
    struct ranges metadata;      // records in use, ledger, heaps
};

void libebb_places_free(struct libebb_places *places);

// Follows the runs of both areas. 0 with sums and places, which the caller frees; -EAGAIN where the
// chain broke, as it may when runs are joined behind the walk's back; -EBADMSG for records that no
// libebb writes; -ENOMEM, -errno of the memory. Cost: a step per run.
int libebb_walk(const struct libebb_memory *memory, const struct wire_ledger *ledger,
                struct libebb_sums *ret_sums, struct libebb_places *ret_places);

// "auto", "free", "dontneed", "keep"; NULL for what is none. Static.
const char *libebb_policy_name(uint32_t policy);

// "500ms", "2s": as EBB_CONF and --return-within take it.
void libebb_format_ms(uint32_t ms, char *ret_text, size_t size);

#endif
