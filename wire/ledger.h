// SPDX-License-Identifier: Apache-2.0
// The memory layout of libebb's ledger, version 2: what libebb keeps and a reader outside finds.
// Both worlds include it; it holds layout and pure arithmetic only.
//
// Finding it: the dynamic symbol `ebb_ledger` of libebb is a pointer to struct wire_ledger (0
// before the first allocation). Addresses are the target's. All fields are little-endian, as the
// machine.
//
// The heap is one reservation of slots of 64 KiB. Its first slots hold the table: one record per
// slot, at base + slot × record_bytes. Slots are used in runs; a run's first slot has the record
// that counts. A reader walks each area from `first` to `frontier`, by wire_run_slots() steps.
//
// Bytes in use are exact without any counting by the program: a span's live blocks are
// wire_live_blocks(), since `counts` moves with each malloc and free of the owner, and blocks that
// other threads have freed are counted in `remote` until the owner takes them. A reader that races
// with the target sees each record torn at most by the operations in flight; it reads twice and
// compares, or says "approximate".
//
// Which pages are resident the ledger does not say: runs that are dirty, lazy or clean, and the
// bits `off` and `lazy` of spans, tell what was done with them; pagemap tells the rest.
#ifndef EBB_WIRE_LEDGER_H
#define EBB_WIRE_LEDGER_H

#include <stdint.h>

#define WIRE_LEDGER_MAGIC   UINT64_C(0x3172676c64626265) // "ebbdlgr1"
#define WIRE_LEDGER_VERSION 2
#define WIRE_SLOT_SHIFT     16
#define WIRE_SLOT_BYTES     (1u << WIRE_SLOT_SHIFT)
#define WIRE_RECORD_SHIFT   7 // log2 of a record's bytes
#define WIRE_CLASSES_MAX    64
#define WIRE_AREAS          2

// What a run of slots is. A slot that does not begin a run is WIRE_NONE, or WIRE_TAIL in a medium
// span, or WIRE_FREE_END as the last slot of a free run.
enum wire_kind {
    WIRE_NONE = 0,
    WIRE_META = 1,     // libebb's own: ledger, thread heaps; and places that nobody may use
    WIRE_DIRTY = 2,    // free, pages kept
    WIRE_CLEAN = 3,    // free, pages returned or never touched: reads as zeros
    WIRE_FREE_END = 4, // the length of the free run that ends here
    WIRE_BUSY = 5,     // free, being given back just now
    WIRE_SMALL = 6,    // a span of blocks, one slot
    WIRE_MEDIUM = 7,   // a span of blocks of whole pages, several slots
    WIRE_TAIL = 8,     // a further slot of a medium span; the length is the way back to the first
    WIRE_LARGE = 9,    // one block
    WIRE_GUARDED = 10, // one block, followed by an inaccessible page at least
    WIRE_TABLE = 11,   // the records themselves
    WIRE_LAZY = 12,    // free, pages given back lazily
    WIRE_QUARANTINE = 13, // a freed sample of `guard`: inaccessible, not used again for a while
};

enum wire_span_state {
    WIRE_SPAN_UNUSED = 0,
    WIRE_SPAN_CURRENT = 1, // its heap allocates from it: `counts` holds one more than is live
    WIRE_SPAN_PARTIAL = 2, // has free blocks
    WIRE_SPAN_FULL = 3,    // has none that its heap knows of
    WIRE_SPAN_SPARE = 4,   // empty, kept by its heap
};

// One slot. Two cache lines: the owner's, and what others write.
struct wire_record {
    uint64_t fast_owner; // the heap whose plain frees may push here; 0: all take the slow path
    uint64_t free;       // the first free block's address; blocks are linked by their first word.
                         // WIRE_GUARDED: 0, or where the block begins in the run (a sample of
                         // `guard`, of which `block_bytes` were asked for)
    uint64_t key;        // a free block's second word is its address xor this
    uint64_t counts;     // blocks ever allocated << 16 | blocks live (and one more while current)
    uint64_t off;        // pages (small) or blocks (medium) that are free and off the list
    uint32_t recip;      // ceil(2^32 / block_bytes), for small spans; of guarded runs: their seams
    uint32_t block_bytes;
    uint32_t next; // neighbours in a heap's list of partial spans, or in a bin of free runs
    uint32_t prev;
    uint16_t carved;   // blocks that were ever on the list; those behind were never touched
    uint16_t capacity; // blocks in the span
    uint8_t size_class;
    uint8_t state;    // enum wire_span_state
    uint8_t is_clean; // not 0: pages behind the last block carved read as zeros; WIRE_QUARANTINE:
                      // all of them do, and are inaccessible
    uint8_t touched;  // pages from the slot's start that spans have written since it was clean

    uint64_t run;      // kind | slots << 8: the one word that says what begins at this slot
    uint64_t heap;     // the owner's address, also while it is nobody's
    uint64_t remote;   // blocks freed by others: count << 48 | queued << 47 | the first's offset.
                       // The count may be larger than the list is long: a helper has moved
                       // blocks to `free` or `off` that the owner has not counted down yet;
                       // or smaller: the owner has counted them, and leaves them there.
    uint64_t lazy;     // the bits of `off` that were given back lazily; the others are returned
    uint64_t bytes;    // of a large block, whole pages; in a free run: what was given back of it;
                       // of a span: the bits of `off` that the system would not take, so kept
    uint64_t relinked; // of a span: not 0 once a helper has changed its list while it had an owner;
                       // `counts` as of then where it put a list in front of the only block
    uint32_t freed_bytes; // block size of what stood here last, to tell a double free by
    uint32_t queue_next;  // in the heap's inbox
    uint64_t seen;        // for the release engine: tick << 32 | counts and remote as of then
};

// A part of the reservation with its own rules: [0] ordinary, [1] guarded blocks.
struct wire_area {
    uint32_t first;     // slots
    uint32_t end;       // of what is reserved
    uint32_t frontier;  // slots from here on were never used
    uint32_t committed; // slots up to here are memory (ordinary area)
};

struct wire_ledger {
    uint64_t magic;
    uint32_t version;
    uint32_t ledger_bytes;
    uint64_t base;  // of the reservation
    uint64_t bytes; // of the reservation
    uint32_t slot_bytes;
    uint32_t page_bytes; // of the system; the pages of `off` and `lazy` are of 4 KiB all the same
    uint32_t record_bytes;
    uint32_t class_count;
    struct wire_area areas[WIRE_AREAS];
    uint64_t metadata_bytes; // committed for records, ledger and heaps
    uint64_t mallocs;        // of spans and large blocks that are gone; the living add their own
    uint64_t frees;
    uint64_t purges;           // calls that gave pages back
    uint64_t purged_bytes;     // in them, lazily or at once
    uint64_t purged_lazily;    // of these: lazily
    uint64_t reused_bytes;     // given back, and used again
    uint64_t control;          // written from outside: wire_control_make(); 0: nothing asked
    uint64_t control_obeyed;   // the last control word that was acted upon
    uint64_t limit_bytes;      // what the heap tries to stay below; 0: none
    uint32_t policy;           // enum wire_policy in force
    uint32_t return_within_ms; // in force
    uint32_t pressure;         // enum wire_pressure, as of the last look
    uint32_t helper_tid;       // the thread that gives memory back; 0: none runs
    uint32_t class_bytes[WIRE_CLASSES_MAX];
};

// When free pages go back, and how.
enum wire_policy {
    WIRE_POLICY_NONE = 0,     // in a control word: as it is
    WIRE_POLICY_AUTO = 1,     // lazily what is likely to be used again, all else at once
    WIRE_POLICY_FREE = 2,     // lazily (MADV_FREE)
    WIRE_POLICY_DONTNEED = 3, // at once (MADV_DONTNEED)
    WIRE_POLICY_KEEP = 4,     // not at all, unless asked
};

enum wire_pressure {
    WIRE_PRESSURE_UNKNOWN = 0,
    WIRE_PRESSURE_NONE = 1,  // memory is plentiful
    WIRE_PRESSURE_SHORT = 2, // the group or the host runs short: at once, lazy pages first
};

// A request from outside: a policy or none, a bound in milliseconds or 0, and a number that, when
// it differs from the last one, asks for a purge of everything now. Bits 8 to 15 mean nothing: who
// writes counts in them, so that each request differs from the one obeyed last. The target obeys
// within a second where its helper runs or the program allocates, and then writes the very word to
// `control_obeyed`.
static inline uint64_t wire_control_make(enum wire_policy policy, uint32_t within_ms,
                                         uint16_t purge_number)
{
    return (uint64_t)policy | (uint64_t)purge_number << 16 | (uint64_t)within_ms << 32;
}

static inline enum wire_policy wire_control_policy(uint64_t control)
{
    return (enum wire_policy)(control & 0xff);
}

static inline uint16_t wire_control_purge_number(uint64_t control)
{
    return (uint16_t)(control >> 16);
}

static inline uint32_t wire_control_within_ms(uint64_t control)
{
    return (uint32_t)(control >> 32);
}

static inline uint64_t wire_run_make(enum wire_kind kind, uint32_t slots)
{
    return (uint64_t)kind | (uint64_t)slots << 8;
}

static inline enum wire_kind wire_run_kind(uint64_t run)
{
    return (enum wire_kind)(run & 0xff);
}

static inline uint32_t wire_run_slots(uint64_t run)
{
    return (uint32_t)(run >> 8);
}

#define WIRE_REMOTE_QUEUED (UINT64_C(1) << 47)

// The first remotely freed block, as an offset from the reservation's base; 0: none.
static inline uint64_t wire_remote_first(uint64_t remote)
{
    return remote & (WIRE_REMOTE_QUEUED - 1);
}

static inline uint32_t wire_remote_count(uint64_t remote)
{
    return (uint32_t)(remote >> 48);
}

// Blocks of a small or medium span that the program holds.
static inline uint32_t wire_live_blocks(const struct wire_record *record)
{
    uint32_t used = (uint32_t)(record->counts & 0xffff);
    uint32_t away = wire_remote_count(record->remote) + (record->state == WIRE_SPAN_CURRENT);
    return used > away ? used - away : 0;
}

#endif
