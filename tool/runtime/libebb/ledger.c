// SPDX-License-Identifier: Apache-2.0
// libebb's ledger, see ledger.h. Tool world; pure but for the memory that it is given.
#include "runtime/libebb/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"

enum { PAGE = PAGES_SIZE, BITS = 64 };

// What user space can have at most, with five levels of page tables.
static const uint64_t address_end = 1ULL << 56;

// The words of EBB_CONF and of --policy, which are one another's.
const char *libebb_policy_name(uint32_t policy)
{
    static const char *const names[] = {NULL, "auto", "free", "dontneed", "keep"};
    return policy < sizeof names / sizeof names[0] ? names[policy] : NULL;
}

// Whole seconds are typed as such.
void libebb_format_ms(uint32_t ms, char *ret_text, size_t size)
{
    bool is_whole = ms > 0 && ms % 1000 == 0;
    text_format(ret_text, size, "%" PRIu32 "%s", is_whole ? ms / 1000 : ms, is_whole ? "s" : "ms");
}

// For all that is neither a race nor another version.
static const char damaged[] = "nothing: it was overwritten, or is no ledger of libebb's";

// The words are for people; which rule was broken is what helps them to say what happened.
static int refuse(struct libebb_refusal *refusal, const char *why)
{
    text_copy(text_of(why), refusal->why, sizeof refusal->why);
    text_copy(text_of(damaged), refusal->needs, sizeof refusal->needs);
    return -EBADMSG;
}

// Magic and version stand first in every version; only then is the rest what this one says.
static int check_version(const struct wire_ledger *head, struct libebb_refusal *refusal)
{
    if (head->magic != WIRE_LEDGER_MAGIC)
        return refuse(refusal, "it does not begin as one");
    if (head->version == WIRE_LEDGER_VERSION)
        return 0;
    text_format(refusal->why, sizeof refusal->why,
                "it has version %" PRIu32 ", and this ebb reads version %d", head->version,
                WIRE_LEDGER_VERSION);
    text_copy(text_of("an ebb of the same release as the libebb in the process"), refusal->needs,
              sizeof refusal->needs);
    return -EBADMSG;
}

// Both areas lie behind the table, one behind the other, inside of the reservation.
static bool areas_fit(const struct wire_ledger *ledger)
{
    // Records of all slots come first, used or not: that they fit is what keeps reads inside.
    uint64_t slots = ledger->bytes / WIRE_SLOT_BYTES;
    // In slots, rounded up: the table takes whole ones.
    uint64_t before = (slots * sizeof(struct wire_record) + WIRE_SLOT_BYTES - 1) / WIRE_SLOT_BYTES;
    for (size_t i = 0; i < WIRE_AREAS; i++) {
        const struct wire_area *area = &ledger->areas[i];
        if (area->first < before || area->frontier < area->first || area->end < area->frontier)
            return false;
        before = area->end;
    }
    return before <= slots;
}

// Everything that a walk relies on, so that it cannot leave the reservation.
static int check_head(const struct wire_ledger *ledger, uint64_t address,
                      struct libebb_refusal *refusal)
{
    // Lengths first: with another layout every other field would be another one.
    uint64_t end;
    if (ledger->ledger_bytes != sizeof *ledger || ledger->slot_bytes != WIRE_SLOT_BYTES ||
        ledger->page_bytes != PAGE || ledger->record_bytes != sizeof(struct wire_record))
        return refuse(refusal, "its lengths are not those of its version");
    // Walks have arrays of that size.
    if (ledger->class_count == 0 || ledger->class_count > WIRE_CLASSES_MAX)
        return refuse(refusal, "it has no size classes, or too many");
    if (ledger->base % WIRE_SLOT_BYTES != 0 || ledger->bytes % WIRE_SLOT_BYTES != 0 ||
        ledger->bytes >> WIRE_SLOT_SHIFT >= UINT32_MAX ||
        __builtin_add_overflow(ledger->base, ledger->bytes, &end) || end > address_end ||
        address < ledger->base || address >= end || end - address < sizeof *ledger)
        return refuse(refusal, "its heap lies where none can lie");
    if (!areas_fit(ledger))
        return refuse(refusal, "its areas contradict each other");
    return 0;
}

// Twice into one copy: only of the right version is it known how long it is.
int libebb_ledger_read(const struct libebb_memory *memory, uint64_t address,
                       struct wire_ledger *ret_ledger, struct libebb_refusal *refusal)
{
    struct wire_ledger ledger = {0};
    if (address % sizeof(uint64_t) != 0 || address >= address_end)
        return refuse(refusal, "what leads to it is no address");
    // A later version may be shorter: its head alone must be there.
    int error =
        memory->read(memory->context, address, &ledger, offsetof(struct wire_ledger, ledger_bytes));
    // With the version known, its whole length may be asked for.
    if (!error)
        error = check_version(&ledger, refusal);
    if (!error)
        error = memory->read(memory->context, address, &ledger, sizeof ledger);
    if (!error)
        error = check_head(&ledger, address, refusal);
    if (!error)
        *ret_ledger = ledger;
    return error;
}

// Also of one that was never filled.
void libebb_places_free(struct libebb_places *places)
{
    struct ranges *const lists[] = {&places->small,    &places->medium,  &places->large,
                                    &places->tails,    &places->kept,    &places->lazy,
                                    &places->returned, &places->metadata};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        ranges_free(lists[i]);
}

// One run and what the walk makes of it.
struct step {
    const struct wire_ledger *ledger;
    const struct wire_record *record;
    enum wire_kind kind;
    uint64_t start, bytes;
    struct libebb_sums *sums;
    struct libebb_places *places;
};

// A span or block that was taken a moment ago still has the record of what stood there before.
static int add_unsure(struct step *step)
{
    step->sums->unsure_bytes += step->bytes;
    step->sums->unsure_count++;
    return 0;
}

// Nothing of it is the program's. A span is UNUSED between its taking and its first block.
static bool is_empty(const struct wire_record *record)
{
    return record->state == WIRE_SPAN_UNUSED || record->state == WIRE_SPAN_SPARE;
}

// What the heap keeps true of every span. A record of another kind, or an older one, breaks some.
static bool span_is_sound(const struct step *step)
{
    const struct wire_record *record = step->record;
    uint64_t block_bytes = record->block_bytes;
    bool is_small = step->kind == WIRE_SMALL;
    // Bits of `off` are pages of a small span, and blocks of whole pages of a medium one.
    bool has_bits =
        is_small ? step->bytes / PAGE <= BITS : record->capacity <= BITS && block_bytes % PAGE == 0;
    return record->state <= WIRE_SPAN_SPARE && record->size_class < step->ledger->class_count &&
           block_bytes != 0 && block_bytes == step->ledger->class_bytes[record->size_class] &&
           record->capacity != 0 && record->capacity * block_bytes <= step->bytes && has_bits &&
           record->carved <= record->capacity && wire_live_blocks(record) <= record->capacity;
}

// The pages of a span, by what was done with them.
static int add_span_places(struct step *step, struct ranges *list)
{
    const struct wire_record *record = step->record;
    bool is_small = step->kind == WIRE_SMALL;
    uint64_t unit = is_small ? PAGE : record->block_bytes;
    uint64_t units = is_small ? step->bytes / PAGE : record->capacity;
    uint64_t at = step->start, end = step->start + step->bytes;
    int error = 0;
    for (unsigned bit = 0; bit < units && !error; bit++, at += unit) {
        // What the system would not take is as good as on the list.
        bool is_off = (record->off & ~record->bytes) >> bit & 1, is_lazy = record->lazy >> bit & 1;
        if (is_off)
            *(is_lazy ? &step->sums->off_lazy : &step->sums->off_returned) += unit;
        struct ranges *place = is_lazy ? &step->places->lazy : &step->places->returned;
        error = ranges_add(is_off ? place : list, at, at + unit);
    }
    // Behind the last block of a medium span.
    return error || at == end ? error : ranges_add(list, at, end);
}

// Live blocks by the count that the owner keeps anyway; an empty span is as free as a free run.
static int add_span(struct step *step)
{
    if (!span_is_sound(step))
        return add_unsure(step);
    struct libebb_sums *sums = step->sums;
    const struct wire_record *record = step->record;
    uint64_t off_before = sums->off_lazy + sums->off_returned;
    // Blocks of whole pages go back one by one. All others share pages, those between 4 and 8 KiB
    // too: what is free there goes back only where it makes whole pages, and then it is off.
    bool empty = is_empty(record), is_whole = record->block_bytes % PAGE == 0;
    struct ranges *used = is_whole ? &step->places->medium : &step->places->small;
    int error = add_span_places(step, empty ? &step->places->kept : used);
    uint64_t here = step->bytes - (sums->off_lazy + sums->off_returned - off_before);
    // Its blocks are gone: what an empty span has seen is in the ledger's own count already.
    if (empty) {
        sums->spare_bytes += here;
        return error;
    }
    uint64_t live = wire_live_blocks(record);
    sums->mallocs += record->counts >> 16;
    sums->span_bytes += here;
    sums->objects += live;
    *(is_whole ? &sums->medium_used : &sums->small_used) += live * record->block_bytes;
    return error;
}

// One block; behind it lies the rest of its last slot, or pages that nobody can touch.
static int add_large(struct step *step)
{
    // 0 once it was freed, and while it is being made.
    uint64_t bytes = step->record->bytes;
    if (bytes == 0 || bytes > step->bytes || bytes % PAGE != 0)
        return add_unsure(step);
    bool is_guarded = step->kind == WIRE_GUARDED;
    step->sums->large_used += bytes;
    step->sums->objects++;
    step->sums->mallocs++;
    uint64_t end = step->start + bytes;
    int error = ranges_add(&step->places->large, step->start, end);
    if (error || is_guarded || bytes == step->bytes)
        return error;
    return ranges_add(&step->places->tails, end, step->start + step->bytes);
}

// Free runs differ in what was done with their pages, and in nothing else.
static int add_free(struct step *step, uint64_t *sum, struct ranges *list)
{
    *sum += step->bytes;
    return ranges_add(list, step->start, step->start + step->bytes);
}

// -EAGAIN for kinds at which no run begins: the chain has changed since the last step.
static int add_run(struct step *step)
{
    // A kind that only a later version knows has no case: it is refused with the chain.
    switch (step->kind) {
    case WIRE_META:
    case WIRE_TABLE:
        return ranges_add(&step->places->metadata, step->start, step->start + step->bytes);
    case WIRE_DIRTY:
    case WIRE_BUSY:
        return add_free(step, &step->sums->dirty_bytes, &step->places->kept);
    case WIRE_LAZY:
        return add_free(step, &step->sums->lazy_bytes, &step->places->lazy);
    case WIRE_CLEAN:
    case WIRE_QUARANTINE:
        return add_free(step, &step->sums->clean_bytes, &step->places->returned);
    case WIRE_SMALL:
    case WIRE_MEDIUM:
        return add_span(step);
    case WIRE_LARGE:
    case WIRE_GUARDED:
        return add_large(step);
    case WIRE_NONE:
    case WIRE_FREE_END:
    case WIRE_TAIL:
        break;
    }
    return -EAGAIN;
}

// A page of records that was never touched is not in memory, and holds no run's beginning.
static int read_record(const struct libebb_memory *memory, const struct wire_ledger *ledger,
                       uint32_t slot, struct wire_record *ret_record)
{
    // Inside of the table, since every slot below an area's end has its record there.
    uint64_t address = ledger->base + (uint64_t)slot * sizeof *ret_record;
    int error = memory->read(memory->context, address, ret_record, sizeof *ret_record);
    return error == -ENODATA ? -EAGAIN : error;
}

// Each step goes forward by a slot at least, so that no chain is endless.
static int walk_area(const struct libebb_memory *memory, const struct wire_ledger *ledger,
                     const struct wire_area *area, struct libebb_sums *sums,
                     struct libebb_places *places)
{
    uint32_t slot = area->first;
    while (slot < area->frontier) {
        struct wire_record record;
        int error = read_record(memory, ledger, slot, &record);
        if (error)
            return error;
        // In 64 bits: a run word has room for more slots than there can be.
        uint64_t slots = record.run >> 8;
        if (slots == 0 || slots > area->end - slot)
            return -EAGAIN;
        struct step step = {
            .ledger = ledger,
            .record = &record,
            .kind = wire_run_kind(record.run),
            .start = ledger->base + (uint64_t)slot * WIRE_SLOT_BYTES,
            .bytes = slots * WIRE_SLOT_BYTES,
            .sums = sums,
            .places = places,
        };
        // By kind; what it is filed under lies between here and the end of the area.
        error = add_run(&step);
        if (error)
            return error;
        sums->runs++;
        slot += (uint32_t)slots;
    }
    return 0;
}

// Of the table only what has records in use, and the one behind them.
static int add_table(const struct wire_ledger *ledger, struct libebb_places *places)
{
    int error = 0;
    for (size_t i = 0; i < WIRE_AREAS && !error; i++) {
        const struct wire_area *area = &ledger->areas[i];
        uint64_t first = ledger->base + (uint64_t)area->first * sizeof(struct wire_record);
        uint64_t end = ledger->base + ((uint64_t)area->frontier + 1) * sizeof(struct wire_record);
        error = ranges_add(&places->metadata, first & ~(uint64_t)(PAGE - 1),
                           (end + PAGE - 1) & ~(uint64_t)(PAGE - 1));
    }
    return error;
}

// Ordinary runs, then guarded ones: both lists and addresses ascend.
int libebb_walk(const struct libebb_memory *memory, const struct wire_ledger *ledger,
                struct libebb_sums *ret_sums, struct libebb_places *ret_places)
{
    struct libebb_sums sums = {0};
    struct libebb_places places = {0};
    int error = add_table(ledger, &places);
    for (size_t i = 0; i < WIRE_AREAS && !error; i++)
        error = walk_area(memory, ledger, &ledger->areas[i], &sums, &places);
    // A few change hands at any moment; more mean that the records are not what they seem.
    if (!error && sums.unsure_count > 16 + sums.runs / 50)
        error = -EBADMSG;
    if (error) {
        libebb_places_free(&places);
        return error;
    }
    // The two parts of the table may share a page, and runs come behind both.
    ranges_sort(&places.metadata);
    *ret_sums = sums;
    *ret_places = places;
    return 0;
}
