// SPDX-License-Identifier: Apache-2.0
// The slow and thorough look at a pointer, and the words for what is wrong with it. Library world.
#include "heap/misuse.h"

#include <string.h>

#include "base/atomic.h"
#include "base/die.h"
#include "heap/guard.h"
#include "heap/span.h"

static void name_misuse(struct line *what, const char *kind, const char *verb)
{
    what->len = 0;
    // A second free has a name of its own; what else is done to a freed block does not.
    bool is_second = strcmp(kind, "double ") == 0 && strcmp(verb, "free") != 0;
    if (!is_second)
        line_add(what, kind);
    line_add(what, verb);
    line_add(what, is_second ? " of the freed block" : " of");
    what->text[what->len] = '\0';
}

static _Noreturn void die_of(const char *kind, const char *verb, const void *pointer,
                             const char *note, size_t number)
{
    struct line what;
    name_misuse(&what, kind, verb);
    die_at(what.text, (uintptr_t)pointer, note, number);
}

// The same for a block that guard.c has set apart.
static _Noreturn void die_of_sample(const struct wire_record *record, const char *kind,
                                    const char *verb, const void *pointer, const char *note)
{
    struct line what;
    name_misuse(&what, kind, verb);
    guard_die(record, what.text, (uintptr_t)pointer, note);
}

// The size classes end below this; what is larger was a run of its own.
static _Noreturn void die_double(const char *verb, const void *pointer, size_t block_bytes)
{
    if (block_bytes > CLASS_MEDIUM_MAX)
        die_of("double ", verb, pointer, "large block", 0);
    die_of("double ", verb, pointer, "size class", block_bytes);
}

// In a slot where no live block is: was there one that began right here?
static _Noreturn void die_of_free_slot(const struct wire_record *record, const void *pointer,
                                       const char *verb)
{
    uintptr_t offset = (uintptr_t)pointer & (WIRE_SLOT_BYTES - 1);
    size_t freed = record->freed_bytes;
    if (freed && offset % freed == 0)
        die_double(verb, pointer, freed);
    die_of("invalid ", verb, pointer, "not an allocated block", 0);
}

// A block begins here, was handed out once, and is not free: neither by its page nor by its tag.
static void check_block(const struct wire_record *span, const void *pointer, const char *verb)
{
    long number = span_block_at(span, (uintptr_t)pointer);
    uint32_t block_bytes = atomic_peek32(&span->block_bytes);
    if (!block_bytes)
        die_of_free_slot(span, pointer, verb);
    if (number < 0) {
        uintptr_t offset = (uintptr_t)pointer - space_address(span);
        bool is_behind = offset / block_bytes >= span->carved;
        die_of("invalid ", verb, pointer,
               is_behind ? "never allocated, size class" : "inside a block of size class",
               block_bytes);
    }
    const struct block *block = pointer;
    if (span_is_off(span, (uint32_t)number) || block->tag == span_tag(span, block))
        die_double(verb, pointer, span->block_bytes);
}

// A run of its own has one block, which begins where the run does or, as a sample, further on.
static void check_large(const struct wire_record *record, const void *pointer, const char *verb)
{
    uintptr_t address = (uintptr_t)pointer;
    bool is_sample = guard_is_sample(record);
    if (address == (is_sample ? (uintptr_t)record->free : space_address(record)))
        return;
    if (!is_sample)
        die_of("invalid ", verb, pointer, "inside a large block", 0);
    die_of_sample(record, "invalid ", verb, pointer, "inside a ");
}

static _Noreturn void die_of_quarantined(const struct wire_record *record, const void *pointer,
                                         const char *verb)
{
    if ((uintptr_t)pointer != record->free)
        die_of("invalid ", verb, pointer, "not an allocated block", 0);
    die_of_sample(record, "double ", verb, pointer, "");
}

struct wire_record *misuse_check(const void *pointer, const char *verb)
{
    uintptr_t address = (uintptr_t)pointer;
    if (address - space_base >= space_bytes)
        die_of("invalid ", verb, pointer, "not from this heap", 0);
    struct wire_record *record = space_record_at(address);
    switch (wire_run_kind(atomic_load64(&record->run))) {
    case WIRE_SMALL:
    case WIRE_MEDIUM:
        // An empty span that its heap keeps, or that is about to go, has no owner.
        if (!atomic_load64(&record->heap))
            die_of_free_slot(record, pointer, verb);
        check_block(record, pointer, verb);
        return record;
    case WIRE_LARGE:
    case WIRE_GUARDED:
        check_large(record, pointer, verb);
        return record;
    case WIRE_QUARANTINE:
        die_of_quarantined(record, pointer, verb);
    default:
        die_of_free_slot(record, pointer, verb);
    }
}
