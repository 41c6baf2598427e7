// SPDX-License-Identifier: Apache-2.0
// One look: settings, pressure, what others freed, then each item as the plan says. Library world;
// under engine.lock. The thread is in helper.c.
#include "release/engine.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/syscall.h"
#include "heap/records.h"
#include "heap/sweep.h"
#include "heap/takeover.h"
#include "heap/thread.h"
#include "release/engine_state.h"
#include "release/trace.h"

struct engine engine;

// A bite of a long run: some 4,096 pages, about a millisecond.
#define BITE_SLOTS 256u
// Spans come in the table's order, their heaps in any.
#define BATCHES    8u
#define REFUSALS   8u
#define REFUSED_MS 30000u

// One look's work.
struct look {
    struct sweep sweep;
    struct takeover batches[BATCHES];
    struct trace_purge trace;
    size_t gone;     // of what was kept,
    size_t lazied;   // of this: lazily
    size_t unlazied; // of what was lazily freed
    uint64_t now_ms;
    uint64_t purging_ns;
    bool is_waiting; // for something to become old
    bool is_refused; // some of it
    bool takes_all;
};

// By the system that the heap runs on, so that tests have their own time.
uint64_t engine_now_ms(void)
{
    return space.os->now_ns(space.os) / 1000000;
}

static void note_gone(struct look *look, unsigned group, size_t bytes, bool is_lazy)
{
    look->gone += bytes;
    if (is_lazy)
        look->lazied += bytes;
    plan_note_returned(&engine.plan, group, bytes);
}

// Of this thread, so that what others do meanwhile is not held against the looks.
static uint64_t cpu_ns(void)
{
    struct timespec time = {0};
    (void)syscall_make(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, (long)(uintptr_t)&time, 0, 0, 0,
                       0);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// One takeover of the heap for up to TAKEOVER_SPANS of its spans; the batch is empty afterwards.
static void purge_batch(struct look *look, struct takeover *batch)
{
    if (!batch->count)
        return;
    uint64_t began_ns = cpu_ns();
    (void)takeover_purge(batch);
    look->is_refused |= batch->is_refused;
    look->purging_ns += cpu_ns() - began_ns;
    for (unsigned group = 0; group < CLASS_GROUPS; group++)
        note_gone(look, group, batch->gone[group], batch->is_lazy);
    for (unsigned i = 0; i < batch->count && !batch->is_late; i++)
        sweep_note_done(batch->slots[i]);
    look->is_waiting |= batch->is_late;
    memset(batch, 0, sizeof *batch);
}

// The batch for this heap and advice, emptied if it is full; the first one's place where none is.
static struct takeover *find_batch(struct look *look, struct heap *heap, bool is_lazy)
{
    struct takeover *unused = NULL;
    for (unsigned i = 0; i < BATCHES; i++) {
        struct takeover *batch = &look->batches[i];
        if (!batch->count) {
            unused = unused ? unused : batch;
        } else if (batch->heap == heap && batch->is_lazy == is_lazy) {
            if (batch->count == TAKEOVER_SPANS)
                purge_batch(look, batch);
            return batch;
        }
    }
    if (unused)
        return unused;
    purge_batch(look, &look->batches[0]);
    return &look->batches[0];
}

// Collected first, since taking a heap over costs a fence of all threads.
static void add_span(struct look *look, const struct sweep_item *item, bool is_lazy)
{
    struct takeover *batch = find_batch(look, item->heap, is_lazy);
    batch->heap = item->heap;
    batch->is_lazy = is_lazy;
    batch->slots[batch->count++] = item->slot;
    batch->bytes += item->bytes;
    // Spans of long blocks: the owner may be waiting.
    if (batch->bytes >= TAKEOVER_BYTES)
        purge_batch(look, batch);
}

// Locked memory. The run may also have been taken in between.
static void refuse(struct look *look, uint32_t slot)
{
    enum wire_kind kind = wire_run_kind(atomic_load64(&space_record(slot)->run));
    if (kind != WIRE_DIRTY && kind != WIRE_LAZY)
        return;
    look->is_refused = true;
    sweep_note_run_done(slot);
}

// In bites: whoever wants memory meanwhile waits for one of them and not for the whole run.
static void purge_run(struct look *look, const struct sweep_item *item, bool is_lazy)
{
    uint32_t done = 0;
    while (done < item->slots) {
        uint64_t began_ns = cpu_ns();
        size_t gone = space_purge_run(item->slot + done, BITE_SLOTS, is_lazy);
        look->purging_ns += cpu_ns() - began_ns;
        if (!gone) {
            refuse(look, item->slot + done);
            return;
        }
        is_lazy &= !atomic_peek32(&space.has_no_lazy);
        if (item->kind == SWEEP_LAZY_RUN)
            look->unlazied += gone;
        else
            note_gone(look, CLASS_GROUP_RUNS, gone, is_lazy);
        done += (uint32_t)(gone / WIRE_SLOT_BYTES);
    }
}

// The plan is pure: here it is told what it may know.
static enum plan_advice advise(const struct look *look, const struct sweep_item *item)
{
    static const enum plan_kind kinds[] = {
        [SWEEP_RUN] = PLAN_RUN,           [SWEEP_PAGES] = PLAN_PAGES,
        [SWEEP_LAZY_RUN] = PLAN_LAZY_RUN, [SWEEP_LAZY_PAGES] = PLAN_LAZY_PAGES,
        [SWEEP_RECORDS] = PLAN_RECORDS,
    };
    if (look->takes_all)
        return PLAN_NOW;
    if (engine.refused_until_ms > look->now_ms)
        return PLAN_WAIT;
    struct plan_item asked = {.kind = kinds[item->kind],
                              .group = item->group,
                              .age_ms = item->age_ms,
                              .bytes = item->bytes};
    return plan_advise(&engine.plan, &asked);
}

// There is nothing that gets its turn by waiting.
static bool is_resting(const struct look *look)
{
    return engine.plan.settings.policy == WIRE_POLICY_KEEP ||
           engine.refused_until_ms > look->now_ms;
}

static void act(struct look *look, const struct sweep_item *item)
{
    enum plan_advice advice = advise(look, item);
    bool is_lazy = advice == PLAN_LAZILY;
    bool was_lazy = item->kind == SWEEP_LAZY_RUN || item->kind == SWEEP_LAZY_PAGES;
    if (advice == PLAN_WAIT) {
        look->is_waiting |= !was_lazy && !is_resting(look);
    } else if (item->kind == SWEEP_PAGES) {
        add_span(look, item, is_lazy);
    } else if (item->kind == SWEEP_RECORDS) {
        // Metadata: neither kept nor returned. It goes once, whatever the system says.
        sweep_note_run_done(item->slot);
        (void)records_return(item->slot);
    } else if (item->kind == SWEEP_LAZY_PAGES) {
        look->unlazied += takeover_return_lazy(item->slot);
    } else {
        purge_run(look, item, is_lazy);
    }
}

// What threads have freed for others, and empty spans that heaps keep.
static void help_heaps(struct look *look)
{
    for (struct heap *heap = heaps_first(); heap; heap = heap->next) {
        takeover_drain(heap);
        if (sweep_has_old_spares(&look->sweep, heap, plan_age_ms(&engine.plan)))
            takeover_drop_spares(heap);
    }
}

static void sweep_all(struct look *look)
{
    struct sweep_item item;
    while (sweep_next(&look->sweep, &item))
        act(look, &item);
    for (unsigned i = 0; i < BATCHES; i++)
        purge_batch(look, &look->batches[i]);
}

// How much of what was given back came into use again since the last look.
static void note_reuse(uint64_t now_ms)
{
    plan_decay(&engine.plan, now_ms);
    for (unsigned group = 0; group < CLASS_GROUPS; group++) {
        uint64_t reused = atomic_load64(&space.reused[group]);
        plan_note_reused(&engine.plan, group, reused - engine.reused[group]);
        engine.reused[group] = reused;
    }
}

// Where memory is short by the group's or the host's own figures; some file reads.
static void feel_pressure(uint64_t now_ms)
{
    struct pressure_reading reading = {.own_lazy_bytes = engine.lazy_bytes};
    if (!engine.source.is_found)
        pressure_find(&engine.source);
    pressure_read(&engine.source, &reading);
    bool has_last = engine.read_at_ms != 0;
    engine.plan.pressure = pressure_judge(&reading, has_last ? &engine.reading : NULL,
                                          (now_ms - engine.read_at_ms) * 1000);
    engine.headroom = pressure_headroom(&reading);
    engine.reading = reading;
    engine.read_at_ms = now_ms;
}

// Before the walk. A limit of the heap's own is felt as one of the group's.
static void feel_short(uint64_t now_ms)
{
    // Where no files are read, nothing else is known.
    engine.plan.pressure = WIRE_PRESSURE_UNKNOWN;
    engine.headroom = UINT64_MAX;
    if (engine.reads_files)
        feel_pressure(now_ms);
    if (engine.is_over_limit)
        engine.plan.pressure = WIRE_PRESSURE_SHORT;
    atomic_store32(&space.ledger->pressure, engine.plan.pressure);
}

// After it: what may be used until the next look.
static void bound_use(const struct look *look)
{
    uint64_t limit = engine.conf.limit_bytes;
    uint64_t held = look->sweep.used_bytes + look->sweep.kept_bytes;
    uint64_t left = UINT64_MAX;
    // What went during the look is no longer held.
    held -= look->gone < held ? look->gone : held;
    if (limit)
        left = limit > held ? limit - held : 0;
    engine.is_over_limit = left < limit / 16;
    // `keep` is kept, but for a limit.
    if (engine.plan.settings.policy != WIRE_POLICY_KEEP && engine.headroom < left)
        left = engine.headroom;
    space_set_headroom(left);
}

// Large blocks give back at once what is beyond some bound: not where it would soon be faulted in
// again. What the plan says of an old run holds for theirs.
static void tell_forecast(void)
{
    const struct plan_item old = {
        .kind = PLAN_RUN, .group = CLASS_GROUP_RUNS, .age_ms = UINT64_MAX, .bytes = 1};
    bool is_reused = plan_advise(&engine.plan, &old) == PLAN_LAZILY;
    atomic_store32(&space.expects_reuse, is_reused);
}

// Where all has been refused several times over it will be the next time: try seldom.
static void note_refusal(const struct look *look)
{
    if (look->gone)
        engine.refusals = 0;
    else if (look->is_refused && ++engine.refusals >= REFUSALS)
        engine.refused_until_ms = look->now_ms + REFUSED_MS;
}

// A word from outside: see wire_control_make(). True where it asks for a purge.
static bool obey_control(void)
{
    uint64_t control = atomic_load64(&space.ledger->control);
    uint64_t before = space.ledger->control_obeyed;
    if (control == before)
        return false;
    if (wire_control_policy(control) != WIRE_POLICY_NONE)
        (void)engine_apply_policy(wire_control_policy(control));
    if (wire_control_within_ms(control))
        (void)engine_apply_within(wire_control_within_ms(control));
    return wire_control_purge_number(control) != wire_control_purge_number(before);
}

// Only looks that gave something back: a line for each of them, as Go has for its collections.
static void write_trace(struct look *look, uint64_t began_ns, uint64_t took_ns)
{
    struct trace_purge *trace = &look->trace;
    if (!engine.conf.traces_purges || !(look->gone + look->unlazied))
        return;
    trace->number = ++engine.purges;
    trace->at_ns = began_ns - engine.started_ns;
    trace->kept_before = look->sweep.kept_bytes;
    trace->kept_after =
        look->sweep.kept_bytes > look->gone ? look->sweep.kept_bytes - look->gone : 0;
    trace->lazy_before = look->sweep.lazy_bytes;
    trace->lazy_after = engine.lazy_bytes;
    trace->returned_bytes = look->gone - look->lazied + look->unlazied;
    trace->pages = (look->gone + look->unlazied) / PAGE_BYTES;
    trace->took_ns = took_ns;
    trace->pressure = engine.plan.pressure;
    trace_write(trace);
}

bool engine_look(bool takes_all, size_t *gone)
{
    uint64_t began_ns = space.os->now_ns(space.os);
    uint64_t began_cpu_ns = cpu_ns();
    struct look look = {.takes_all = takes_all, .now_ms = began_ns / 1000000};
    if (!engine.started_ns)
        engine.started_ns = began_ns;
    // Read before it is obeyed: a word that comes in between is for the next look.
    uint64_t control = atomic_load64(&space.ledger->control);
    look.takes_all |= obey_control();
    engine.plan.settings.can_free_lazily = !atomic_peek32(&space.has_no_lazy);
    sweep_begin(&look.sweep, look.now_ms);
    look.sweep.takes_young = look.takes_all;
    note_reuse(look.now_ms);
    if (!takes_all)
        feel_short(look.now_ms);
    help_heaps(&look);
    sweep_all(&look);
    engine.lazy_bytes = look.sweep.lazy_bytes + look.lazied;
    engine.lazy_bytes -= look.unlazied < engine.lazy_bytes ? look.unlazied : engine.lazy_bytes;
    bound_use(&look);
    tell_forecast();
    note_refusal(&look);
    uint64_t took_ns = cpu_ns() - began_cpu_ns;
    write_trace(&look, began_ns, took_ns);
    // What is purged has to be purged in any case: only the looking is to be rare.
    (void)plan_next_period_ms(&engine.plan,
                              took_ns > look.purging_ns ? took_ns - look.purging_ns : 0);
    // Last, so that who waits for it finds the work done.
    atomic_store64(&space.ledger->control_obeyed, control);
    *gone = look.gone + look.unlazied;
    return look.is_waiting || look.gone;
}

// Under engine.lock. The ledger tells it to readers outside.
int engine_apply_policy(enum wire_policy policy)
{
    if (policy < WIRE_POLICY_AUTO || policy > WIRE_POLICY_KEEP)
        return -EINVAL;
    engine.plan.settings.policy = policy;
    atomic_store32(&space.ledger->policy, policy);
    return 0;
}

int engine_apply_within(uint32_t milliseconds)
{
    if (milliseconds < CONF_WITHIN_MIN_MS || milliseconds > CONF_WITHIN_MAX_MS)
        return -EINVAL;
    engine.plan.settings.return_within_ms = milliseconds;
    atomic_store32(&space.ledger->return_within_ms, milliseconds);
    return 0;
}
