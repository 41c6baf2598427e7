// SPDX-License-Identifier: Apache-2.0
// How a heap gets, keeps and gives back spans. Library world; all under heap.lock.
#include "heap/lists.h"

#include "base/atomic.h"
#include "heap/thread.h"

#define SPARES_MAX   16u // empty spans kept per heap: a lock's cost saved for a MiB at most
#define STEAL_TRIES  4   // heaps without a thread that are looked at for a partial span,
#define STEAL_LOOKS  64  // among so many heaps at a time: there may be ten thousand with one
#define LISTED_LOOKS 8   // partial spans that are looked at for a block before a page is carved

// Spans that a helper takes in at a time: the owner may be waiting.
#define DRAIN_MOST 128u

// Frees on the slow path: twice so many without an allocation in between mean that a heap shrinks.
#define SHRINKING_FREES 64u

// Up to so many heaps without a thread keep their empty current spans: the next thread mostly wants
// the same classes, and short threads, one after another, then stay in the same pages.
#define SETTLED_HEAPS 16u

static struct wire_record *no_span(void)
{
    // Never written: its list is empty, so the fast path stops before any store.
    return (struct wire_record *)(uintptr_t)&heap_no_span;
}

static void list_insert(struct heap *heap, struct wire_record *span)
{
    // At the end: while it waits its turn more of it becomes free.
    uint32_t *last = &heap->last[span->size_class];
    span->next = 0;
    span->prev = *last;
    if (span->prev)
        space_record(span->prev)->next = space_slot(span);
    else
        heap->partial[span->size_class] = space_slot(span);
    *last = space_slot(span);
    span->state = WIRE_SPAN_PARTIAL;
}

// Out of the middle too: a span leaves when it becomes empty, wherever it stands.
static void list_remove(struct heap *heap, struct wire_record *span)
{
    if (span->next)
        space_record(span->next)->prev = span->prev;
    else
        heap->last[span->size_class] = span->prev;
    if (span->prev)
        space_record(span->prev)->next = span->next;
    else
        heap->partial[span->size_class] = span->next;
    span->next = 0;
    span->prev = 0;
}

// From here on frees take the slow path, where the first one brings the span back to the list.
static void mark_full(struct wire_record *span)
{
    span->state = WIRE_SPAN_FULL;
    atomic_poke64(&span->fast_owner, 0);
}

static void make_current(struct heap *heap, struct wire_record *span)
{
    span->state = WIRE_SPAN_CURRENT;
    if (span->off)
        span_heal(span);
    // One more than live: the last free of a current span is no event.
    span->counts++;
    span_open(span, heap);
    heap->current[span->size_class] = span;
}

// The current span makes room for the next. It may have got frees since it was found exhausted.
static void retire_current(struct heap *heap, unsigned size_class)
{
    struct wire_record *span = heap->current[size_class];
    heap->current[size_class] = no_span();
    if (span == no_span())
        return;
    span->counts--;
    // Exhausted or not: it stays open and waits its turn, by which blocks of it may be free again.
    list_insert(heap, span);
    span_open(span, heap);
    lists_drop_if_empty(heap, span);
}

// The further slots of a medium span first: inside a run that is free nothing may be marked.
static void give_back(struct wire_record *span, uint64_t seen)
{
    bool is_clean = span->is_clean && span->carved == 0;
    uint32_t slots = wire_run_slots(span->run);
    span->state = WIRE_SPAN_UNUSED;
    span->bytes = span_off_bytes(span);
    span->seen = seen;
    for (uint32_t slot = 1; slot < slots; slot++)
        atomic_store64(&span[slot].run, 0);
    space_give(span, is_clean ? SPACE_CLEAN : SPACE_DIRTY);
}

// An empty span leaves its class. What it counted goes to the totals; what it was stays readable,
// so that a second free of one of its blocks can be named.
static void drop(struct heap *heap, struct wire_record *span)
{
    uint64_t mallocs = span->counts >> SPAN_COUNT_SHIFT;
    atomic_add64(&space.ledger->mallocs, mallocs);
    atomic_add64(&space.ledger->frees, mallocs);
    atomic_poke64(&span->fast_owner, 0);
    span->freed_bytes = span->block_bytes;
    span->counts = 0;
    atomic_store64(&span->heap, 0);
    heap->spans--;
    if (span_is_small(span) && heap->spare_count < SPARES_MAX) {
        span->state = WIRE_SPAN_SPARE;
        span->next = heap->spare;
        heap->spare = space_slot(span);
        heap->spare_count++;
        return;
    }
    give_back(span, 0);
}

void lists_drop_if_empty(struct heap *heap, struct wire_record *span)
{
    if (span->state != WIRE_SPAN_PARTIAL || span_used(span) != 0)
        return;
    // Still linked in the inbox, or about to be: it goes when it has come through there.
    if (atomic_load64(&span->remote) & WIRE_REMOTE_QUEUED)
        return;
    list_remove(heap, span);
    drop(heap, span);
}

void lists_enqueue(struct wire_record *span)
{
    struct heap *heap = (struct heap *)(uintptr_t)atomic_load64(&span->heap);
    // The last block's second free, at the same moment as the first, which made the span empty.
    if (!heap)
        span_die_of_count(span);
    uint32_t head = atomic_load32(&heap->inbox);
    do
        span->queue_next = head;
    while (!atomic_replace32(&heap->inbox, &head, space_slot(span)));
}

// One span from the inbox. Its state says what the frees mean: a full one can be used again, a
// partial one may be empty now, a current one simply has more. Dropped last: from then on it may be
// another heap's.
static void drain_span(struct heap *heap, struct wire_record *span, bool opens)
{
    span_count_remote(span);
    if (span->state == WIRE_SPAN_FULL && span_has_free(span))
        list_insert(heap, span);
    if (opens && span->state == WIRE_SPAN_PARTIAL)
        span_open(span, heap);
    lists_drop_if_empty(heap, span);
}

// A span that another heap has taken over since it was queued goes on to that one.
void lists_drain_inbox(struct heap *heap)
{
    if (!atomic_load32(&heap->inbox))
        return;
    uint32_t slot = atomic_swap32(&heap->inbox, 0);
    while (slot) {
        struct wire_record *span = space_record(slot);
        // Once its queued bit is cleared the link may be written again.
        slot = span->queue_next;
        // The owner's: what comes in may be freed to without a look from now on.
        if (atomic_load64(&span->heap) == (uint64_t)(uintptr_t)heap)
            drain_span(heap, span, true);
        else
            lists_enqueue(span);
    }
}

// What was taken out of the inbox and not looked at goes back, behind what came in meanwhile.
static void put_back(struct heap *heap, uint32_t rest)
{
    uint32_t none = 0;
    while (!atomic_replace32(&heap->inbox, &none, rest)) {
        uint32_t first = atomic_swap32(&heap->inbox, 0);
        uint32_t last = first;
        while (last && space_record(last)->queue_next)
            last = space_record(last)->queue_next;
        if (last) {
            space_record(last)->queue_next = rest;
            rest = first;
        }
        none = 0;
    }
}

bool lists_drain_full(struct heap *heap)
{
    uint32_t slot = atomic_swap32(&heap->inbox, 0);
    for (unsigned drained = 0; slot && drained < DRAIN_MOST;) {
        struct wire_record *span = space_record(slot);
        bool is_ours = atomic_load64(&span->heap) == (uint64_t)(uintptr_t)heap;
        slot = span->queue_next;
        // Full spans are the lock's; what the owner may be counting in at this moment waits for it.
        if (is_ours && span->state == WIRE_SPAN_FULL) {
            drain_span(heap, span, false);
            drained++;
        } else {
            lists_enqueue(span);
        }
    }
    if (slot)
        put_back(heap, slot);
    return !slot;
}

// The one that waited longest.
static struct wire_record *pop_partial(struct heap *heap, unsigned size_class)
{
    for (uint32_t slot; (slot = heap->partial[size_class]) != 0;) {
        struct wire_record *span = space_record(slot);
        list_remove(heap, span);
        if (span_has_free(span))
            return span;
        // Nothing came back in all this time.
        mark_full(span);
    }
    return NULL;
}

// xorshift64* (Marsaglia; Vigna 2016): keys need to differ, not to be secret.
static uint64_t next_random(struct heap *heap)
{
    heap->random ^= heap->random >> 12;
    heap->random ^= heap->random << 25;
    heap->random ^= heap->random >> 27;
    return heap->random * UINT64_C(0x2545f4914f6cdd1d);
}

// The next spare span, or NULL. `size_class`: one that was of this class is preferred.
static struct wire_record *pop_spare(struct heap *heap, unsigned size_class)
{
    uint32_t *link = &heap->spare;
    for (uint32_t *at = link; *at; at = &space_record(*at)->next) {
        if (space_record(*at)->size_class == size_class) {
            link = at;
            break;
        }
    }
    if (!*link)
        return NULL;
    struct wire_record *span = space_record(*link);
    *link = span->next;
    heap->spare_count--;
    return span;
}

// From any slot of a medium span there is a way to its record.
static void mark_tails(struct wire_record *span, uint32_t slots)
{
    for (uint32_t slot = 1; slot < slots; slot++)
        atomic_store64(&span[slot].run, wire_run_make(WIRE_TAIL, slot));
}

static struct wire_record *take_span(unsigned size_class, enum space_pages *pages)
{
    struct wire_record *span;
    uint32_t slots = class_slots(size_class);
    enum wire_kind kind = size_class < CLASS_SMALL ? WIRE_SMALL : WIRE_MEDIUM;
    if (space_take(SPACE_ORDINARY, slots, 1, kind, &span, pages) != 0)
        return NULL;
    mark_tails(span, slots);
    return span;
}

// A spare one, else a run. Memory that was used before is not known to be zero. A spare span of the
// same class goes on where it was: its list is whole.
static struct wire_record *make_span(struct heap *heap, unsigned size_class)
{
    enum space_pages pages = SPACE_DIRTY;
    struct wire_record *span = size_class < CLASS_SMALL ? pop_spare(heap, size_class) : NULL;
    if (span && span->size_class == size_class && !span->relinked) {
        span->next = 0;
        span->prev = 0;
        atomic_store64(&span->heap, (uint64_t)(uintptr_t)heap);
        heap->spans++;
        return span;
    }
    if (!span)
        span = take_span(size_class, &pages);
    if (!span)
        return NULL;
    span_start(span, size_class, heap, next_random(heap), pages == SPACE_CLEAN);
    heap->spans++;
    return span;
}

// A span with free blocks from this heap, whose thread has gone.
static struct wire_record *steal_from(struct heap *other, struct heap *heap, unsigned size_class)
{
    lists_drain_inbox(other);
    struct wire_record *span = pop_partial(other, size_class);
    if (span) {
        // Before the other heap can get a thread whose plain frees would still come here.
        atomic_poke64(&span->fast_owner, 0);
        atomic_store64(&span->heap, (uint64_t)(uintptr_t)heap);
        other->spans--;
        heap->spans++;
    }
    heap_disown(other);
    return span;
}

// The same from any. The next search goes on where this one ends.
static struct wire_record *steal(struct heap *heap, unsigned size_class)
{
    struct wire_record *span = NULL;
    struct heap *start = (struct heap *)(uintptr_t)atomic_load64(&heaps.steal_next);
    int tries = 0;
    if (!start)
        start = heaps_first();
    struct heap *other = start;
    for (int looks = 0; looks < STEAL_LOOKS && tries < STEAL_TRIES; looks++) {
        if (atomic_load32(&other->state) == HEAP_ABANDONED && heap_claim(other)) {
            tries++;
            span = steal_from(other, heap, size_class);
            if (span)
                break;
        }
        other = other->next ? other->next : heaps_first();
        if (other == start)
            break;
    }
    atomic_store64(&heaps.steal_next, (uint64_t)(uintptr_t)other);
    return span;
}

// In order of cost: what others have freed, what is partly free, what a thread left, new memory.
static struct wire_record *next_span(struct heap *heap, unsigned size_class)
{
    lists_drain_inbox(heap);
    struct wire_record *span = pop_partial(heap, size_class);
    if (!span && atomic_load32(&heaps.abandoned))
        span = steal(heap, size_class);
    if (!span)
        span = make_span(heap, size_class);
    return span;
}

// Blocks ever allocated from the spans that are current now.
static uint64_t count_mallocs(const struct heap *heap)
{
    uint64_t sum = 0;
    for (unsigned size_class = 0; size_class < CLASS_COUNT; size_class++)
        sum += heap->current[size_class]->counts >> SPAN_COUNT_SHIFT;
    return sum;
}

// A thread that frees and frees and allocates nothing meanwhile needs no current spans. Of each of
// those a helper must leave two blocks where they are; of partial ones, none.
static void note_shrinking(struct heap *heap)
{
    if (++heap->slow_frees < SHRINKING_FREES)
        return;
    uint64_t mallocs = count_mallocs(heap);
    heap->slow_frees = 0;
    if (mallocs == heap->mallocs) {
        for (unsigned size_class = 0; size_class < CLASS_COUNT; size_class++)
            retire_current(heap, size_class);
    }
    heap->mallocs = mallocs;
}

static void switch_current(struct heap *heap, struct wire_record *span)
{
    retire_current(heap, span->size_class);
    make_current(heap, span);
}

// Of the partial spans that wait longest one with a block on its list. Those in front of it where
// nothing has come back in all this time are full.
static struct wire_record *find_listed(struct heap *heap, unsigned size_class)
{
    uint32_t slot = heap->partial[size_class];
    for (int looks = 0; slot && looks < LISTED_LOOKS; looks++) {
        struct wire_record *span = space_record(slot);
        slot = span->next;
        if (!span->free && span_has_remote(span))
            span_take_remote(span);
        if (span->free)
            return span;
        if (!span_has_free(span)) {
            list_remove(heap, span);
            mark_full(span);
        }
    }
    return NULL;
}

// Before more pages are touched: what others have freed in the current span, or a partial span,
// which becomes current. Never a block of another class: programs rely on an address that they have
// freed to come back for its own size alone (redis 7.0 loses entries of streams where it does not).
static void recycle(struct heap *heap, unsigned size_class)
{
    struct wire_record *span = heap->current[size_class];
    if (!span->free && span_has_remote(span))
        span_take_remote(span);
    if (span->free)
        return;
    lists_drain_inbox(heap);
    span = find_listed(heap, size_class);
    if (!span)
        return;
    list_remove(heap, span);
    switch_current(heap, span);
}

void *lists_allocate(struct heap *heap, unsigned size_class, bool *is_zero)
{
    heap->slow_frees = 0;
    heap->mallocs = 0;
    recycle(heap, size_class);
    *is_zero = false;
    for (;;) {
        struct wire_record *span = heap->current[size_class];
        void *block = span == no_span() ? NULL : span_pop(span, is_zero);
        if (block) {
            // Purged pages may all be back on the list.
            span_open(span, heap);
            return block;
        }
        span = next_span(heap, size_class);
        if (!span)
            return NULL;
        switch_current(heap, span);
    }
}

void lists_free(struct heap *heap, struct wire_record *span, void *block)
{
    span_push(span, block);
    if (span->state == WIRE_SPAN_FULL)
        list_insert(heap, span);
    span_open(span, heap);
    lists_drop_if_empty(heap, span);
    note_shrinking(heap);
}

// Spare spans become kept runs, which others can take and a purge can find.
void lists_drop_spares(struct heap *heap, bool is_old)
{
    while (heap->spare) {
        struct wire_record *span = pop_spare(heap, CLASS_COUNT);
        uint64_t seen = span->seen;
        give_back(span, is_old ? seen >> 32 << 32 | SPACE_RUN_SEEN : 0);
    }
}

static bool is_empty_current(const struct wire_record *span)
{
    return span != no_span() && span_used(span) <= 1;
}

// Small current spans with live blocks too stay where there are few. Given up, each would be of
// another class once these are freed, and go round until all have had the pages that the largest
// need. Medium ones, of which most are free, are for others to take from.
uint32_t lists_settle(struct heap *heap)
{
    lists_drain_inbox(heap);
    uint32_t filled = heap->spans;
    for (unsigned size_class = 0; size_class < CLASS_COUNT; size_class++)
        filled -= is_empty_current(heap->current[size_class]);
    bool stays = atomic_load32(&heaps.abandoned) < SETTLED_HEAPS;
    unsigned kept_classes = filled > LISTS_FEW ? 0 : CLASS_SMALL;
    for (unsigned size_class = 0; size_class < CLASS_COUNT; size_class++) {
        bool has_live = !is_empty_current(heap->current[size_class]);
        if (!stays || (has_live && size_class >= kept_classes))
            retire_current(heap, size_class);
    }
    lists_drop_spares(heap, false);
    return filled;
}

void lists_wait_last(struct heap *heap, struct wire_record *span)
{
    list_remove(heap, span);
    list_insert(heap, span);
}
