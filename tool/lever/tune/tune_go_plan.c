// SPDX-License-Identifier: Apache-2.0
// What is to be written into a Go process, see tune_go.h. Tool world; no state.
#include "lever/tune/tune_go.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "lever/tune/lasting.h"
#include "runtime/go/go_ledger.h"

enum {
    HEAP_MINIMUM_BYTES = 4 << 20,
    LEDGER_TRIES = 5,
    // debug.SetGCPercent() takes more; nobody means it.
    PERCENT_LOW = 5,
};

// Wraps around for -1 as Go's own arithmetic does, so that the pair stays a pair.
uint64_t tune_go_heap_minimum(int32_t percent)
{
    return HEAP_MINIMUM_BYTES * (uint64_t)(int64_t)percent / 100;
}

// Source: commit() of runtime/mgcpacer.go, without stacks and globals.
uint64_t tune_go_heap_goal(uint64_t marked, int32_t percent)
{
    // GOGC=off has no goal but the largest number, which the runtime compares with as well.
    uint64_t minimum = tune_go_heap_minimum(percent), more, goal;
    if (percent < 0)
        return UINT64_MAX;
    // Nobody's heap: a percentage that large means never.
    if (__builtin_mul_overflow(marked / 100, (uint64_t)percent, &more) ||
        __builtin_add_overflow(marked, more, &goal) || goal > INT64_MAX)
        goal = INT64_MAX;
    return goal > minimum ? goal : minimum;
}

// The figures are not of one instant: a sum that does not add up counts as nothing.
uint64_t tune_go_limit_floor(const struct tune_go_floor *figures)
{
    uint64_t heap = figures->in_use + figures->free;
    uint64_t others = figures->mapped_ready > heap ? figures->mapped_ready - heap : 0;
    return figures->marked + others;
}

// Through the descriptor that will write as well.
static int read_poke(void *context, uint64_t address, size_t bytes, uint64_t *ret_value)
{
    return poke_read(context, address, bytes, ret_value);
}

// A value that no knob has is the sign of a wrong address, which is not written to.
static int refuse_value(struct tune_refusal *refusal, int error, const char *name)
{
    if (error == -EBADMSG)
        return tune_refuse(refusal, error, "", "%s does not hold what it must: it is not touched",
                           name);
    return tune_refuse(refusal, error, "", "%s could not be read: %s", name, strerror(-error));
}

// A place for one more; its step is the report's next.
static struct tune_go_change *next_change(struct tune_go *go, const struct lever_report *report)
{
    // At most four in one pull: the policy's two words, the limit, the percentage.
    struct tune_go_change *change = &go->changes[go->change_count++];
    *change = (struct tune_go_change){.step = report->step_count};
    return change;
}

// What it must hold is kept, to be compared again right before the store.
static void add_store(struct tune_go_change *change, uint64_t address, size_t bytes,
                      uint64_t before, uint64_t after)
{
    change->stores[change->store_count++] = (struct tune_store){address, bytes, before, after};
}

// The name, both values, and the command that puts the old one back.
static void describe(struct tune_go_change *change, const char *name, const char *before,
                     const char *after)
{
    text_copy(text_of(name), change->change.name, sizeof change->change.name);
    text_copy(text_of(before), change->change.before, sizeof change->change.before);
    text_copy(text_of(after), change->change.after, sizeof change->change.after);
}

// runtime.debug.madvdontneed itself: always safe in the direction of 0, and up to 1.25 in both.
static int plan_knob(struct tune_go *go, const struct tune_go_policy *policy, bool is_on,
                     struct lever_report *report)
{
    struct tune_go_change *change = next_change(go, report);
    // Towards 0 memory is at worst cleared once too often; towards 1 this is for 1.25 and older.
    add_store(change, go->knob, 4, policy->knob, is_on ? 0 : 1);
    describe(change, "GODEBUG madvdontneed", is_on ? "1" : "0", is_on ? "0" : "1");
    return lever_add_step(report, "write %d over %d in runtime.debug.madvdontneed of Go %s",
                          is_on ? 0 : 1, is_on ? 1 : 0, go->runtime.version.text);
}

// From 1.26 on: the runtime's own fallback, which leaves clearing as it is.
static int plan_advise(struct tune_go *go, const struct tune_go_policy *policy, bool is_on,
                       struct lever_report *report)
{
    struct tune_go_change *change = next_change(go, report);
    const char *lazy = "MADV_FREE", *once = "MADV_DONTNEED";
    // Read with an atomic load before each madvise().
    add_store(change, go->advise, 4, policy->advise, is_on ? GO_ADVISE_FREE : GO_ADVISE_DONTNEED);
    describe(change, "runtime.adviseUnused", is_on ? once : lazy, is_on ? lazy : once);
    return lever_add_step(report, "write %s over %s in runtime.adviseUnused of Go %s",
                          is_on ? lazy : once, is_on ? once : lazy, go->runtime.version.text);
}

// Which of the two is written, by version and direction.
static int plan_policy(struct tune_go *go, const struct tune_go_policy *policy, bool is_on,
                       struct lever_report *report, struct tune_refusal *refusal)
{
    // By version: the code that decides on clearing is not looked at.
    bool knows_zero = go->runtime.version.minor >= GO_MINOR_KNOWS_ZERO;
    if (!knows_zero)
        return plan_knob(go, policy, is_on, report);
    if (!is_on && !go->advise)
        return tune_refuse(refusal, -ENOTSUP,
                           "GODEBUG=madvdontneed=1 at the next start, or `ebb run "
                           "--madv-free=off`; `ebb reclaim` for what is lazy now",
                           "Go %s takes returned pages for zeros once madvdontneed is 1, which "
                           "lazily freed ones are not, and runtime.adviseUnused was not found",
                           go->runtime.version.text);
    int error = 0;
    // Both words, or the one that is off would keep the other from being heard.
    if (is_on && policy->knob != 0)
        error = plan_knob(go, policy, is_on, report);
    if (!error && go->advise && policy->advise != (is_on ? GO_ADVISE_FREE : GO_ADVISE_DONTNEED))
        error = plan_advise(go, policy, is_on, report);
    return error;
}

// How to begin with the new policy at the next start.
static int note_madv_free(const struct tune_scene *scene, bool is_on, struct lever_report *report)
{
    struct text list = text_of("");
    char merged[LASTING_VALUE_MAX];
    const char *value = is_on ? "0" : "1";
    proc_environ_find(scene->target.environ_text, "GODEBUG", &list);
    bool is_merged = lasting_merge(list, ',', "madvdontneed", '=', value, merged, sizeof merged);
    if (!is_merged)
        text_format(merged, sizeof merged, "madvdontneed=%s", value);
    int error = lever_add_note(report,
                               "It holds from the next page that the runtime returns. What "
                               "is lazily freed already stays until it is used again or "
                               "the kernel takes it: `ebb reclaim %d` takes it now",
                               report->pid);
    if (!error)
        error = lasting_add_until(report);
    return error ? error : lasting_add_list(report, "GODEBUG", merged, is_merged);
}

// Read through the descriptor that writes, so that rights fail here and not in the middle.
int tune_go_plan_madv_free(const struct tune_scene *scene, struct tune_go *go,
                           const struct poke *poke, enum tune_switch madv_free,
                           struct lever_report *report, struct tune_refusal *refusal)
{
    struct tune_go_policy policy;
    struct poke reader = *poke;
    bool is_on = madv_free == TUNE_ON;
    int error = tune_go_read_policy(go, read_poke, &reader, &policy);
    if (error)
        return refuse_value(refusal, error, "runtime.debug.madvdontneed");
    // Nothing to do is an answer, and no write.
    if (policy.gives_lazily == is_on)
        return lever_add_note(report, "Go %s gives memory back %s already",
                              go->runtime.version.text,
                              is_on ? "lazily (MADV_FREE)" : "at once (MADV_DONTNEED)");
    // Both changes of one switch are undone by the same command.
    size_t first = go->change_count;
    error = plan_policy(go, &policy, is_on, report, refusal);
    if (error)
        return error;
    for (size_t i = first; i < go->change_count; i++)
        text_format(go->changes[i].change.undo, sizeof go->changes[i].change.undo,
                    "ebb tune %d --madv-free=%s", report->pid, is_on ? "off" : "on");
    // Then there is no safe way back, and no command is offered.
    if (is_on && go->runtime.version.minor >= GO_MINOR_KNOWS_ZERO && !go->advise) {
        go->changes[first].change.undo[0] = '\0';
        error = lever_add_warning(report, "It cannot be put back while the process runs: from 1.26 "
                                          "on that would hand out memory that is not cleared");
    }
    return error ? error : note_madv_free(scene, is_on, report);
}

// Where the percentage and its minimum are, and what they hold.
struct pacer {
    uint64_t percent_address, minimum_address;
    uint64_t percent, minimum;
};

// The pair must belong together: 4 MiB * GOGC / 100.
static int read_pacer(const struct tune_go *go, const struct poke *poke, struct pacer *pacer)
{
    const struct go_runtime *runtime = &go->runtime;
    // The pair moved into gcController with 1.17.
    bool is_old = !go_has(runtime, GO_CONTROLLER_GC_PERCENT);
    pacer->percent_address =
        go_field_address(runtime, is_old ? GO_GCPERCENT : GO_CONTROLLER_GC_PERCENT);
    pacer->minimum_address =
        is_old ? go->minimum : go_field_address(runtime, GO_CONTROLLER_HEAP_MINIMUM);
    // A variable that was dropped by a check has no address.
    if (pacer->percent_address == 0 || pacer->minimum_address == 0)
        return -ENOENT;
    int error = poke_read(poke, pacer->percent_address, 4, &pacer->percent);
    if (!error)
        error = poke_read(poke, pacer->minimum_address, 8, &pacer->minimum);
    int32_t percent = (int32_t)(uint32_t)pacer->percent;
    if (!error && (percent < -1 || pacer->minimum != tune_go_heap_minimum(percent)))
        error = -EBADMSG;
    return error;
}

// As GOGC is typed.
static void format_percent(int32_t percent, char *ret_text, size_t size)
{
    if (percent < 0)
        text_copy(text_of("off"), ret_text, size);
    else
        snprintf(ret_text, size, "%" PRId32, percent);
}

// From when on it counts. Up to 1.18 the trigger is made anew at the end of each collection only.
// Source: commit(), trigger() and forcegcperiod of runtime.
static int note_percent(const struct tune_go *go, int32_t before, int32_t after,
                        struct lever_report *report)
{
    // Where the count is out of reach, one is taken to have run: a warning without ground helps
    // nobody.
    uint64_t cycles = 0;
    bool has_cycles = go_read_field(&go->runtime, GO_MEMSTATS_NUMGC, &cycles) == 0;
    if (go->runtime.version.minor >= GO_MINOR_LIMIT)
        return lever_add_note(report, after < 0 ? "From now on the heap grows without end"
                                                : "It holds at once: the next collection begins "
                                                  "when the heap comes near its new goal");
    if (after < 0)
        return lever_add_note(report, "One more collection comes at the old trigger; after it the "
                                      "heap grows without end");
    if (before < 0 && has_cycles && cycles == 0)
        return lever_add_warning(report, "No collection has run yet, and its trigger is out of "
                                         "reach until one has: the program itself must call "
                                         "runtime.GC() once");
    return lever_add_note(report, "The trigger is set at the end of each collection: it holds from "
                                  "the next one on, which the runtime makes within two minutes "
                                  "even if the program rests");
}

// As setGCPercent() does it: minimum and percentage, then what follows from them. What it also
// does, pacing the sweeper, is made good by the next collection, which finishes sweeping before it
// starts.
int tune_go_plan_percent(const struct tune_scene *scene, struct tune_go *go,
                         const struct poke *poke, const struct tune_request *request,
                         struct lever_report *report, struct tune_refusal *refusal)
{
    (void)scene;
    // Both are read through the descriptor that writes: rights fail here and not half way.
    struct pacer pacer;
    int error = read_pacer(go, poke, &pacer);
    if (error)
        return refuse_value(refusal, error, "Go's pacer");
    int32_t before = (int32_t)(uint32_t)pacer.percent, after = (int32_t)request->gogc.value;
    char old_text[32], new_text[32];
    format_percent(before, old_text, sizeof old_text);
    format_percent(after, new_text, sizeof new_text);
    // No store for nothing.
    if (before == after)
        return lever_add_note(report, "GOGC is %s already", old_text);
    // Harm here means slowness: that is what --force is for.
    if (after >= 0 && after < PERCENT_LOW && !request->is_forced)
        return tune_refuse(refusal, -EINVAL, "--force, which only costs time",
                           "with GOGC=%s the collector would run nearly all the time", new_text);
    struct tune_go_change *change = next_change(go, report);
    // The minimum alone changes next to nothing, so it goes first.
    add_store(change, pacer.minimum_address, 8, pacer.minimum, tune_go_heap_minimum(after));
    add_store(change, pacer.percent_address, 4, pacer.percent, (uint32_t)after);
    change->is_percent = true;
    change->percent_before = before;
    change->percent_after = after;
    describe(change, "GOGC", old_text, new_text);
    text_format(change->change.undo, sizeof change->change.undo, "ebb tune %d --gogc=%s",
                report->pid, old_text);
    error = lever_add_step(report, "set GOGC of Go %s from %s to %s", go->runtime.version.text,
                           old_text, new_text);
    if (!error)
        error = note_percent(go, before, after, report);
    if (!error)
        error = lasting_add_until(report);
    return error ? error : lasting_add_variable(report, "GOGC", new_text);
}

// Figures of the pacer, all from one reading. What is alive is known once a collection has run.
static int read_floor(const struct tune_go *go, uint64_t *ret_floor, bool *ret_is_known)
{
    // On the heap: a ledger holds a value for every field of every version.
    struct go_ledger *ledger = malloc(sizeof *ledger);
    bool is_steady;
    if (!ledger)
        return -ENOMEM;
    int error = go_ledger_read(&go->runtime, LEDGER_TRIES, ledger, &is_steady);
    if (!error) {
        *ret_is_known = ledger->values[GO_MEMSTATS_NUMGC] > 0;
        *ret_floor = tune_go_limit_floor(&(struct tune_go_floor){
            .marked =
                ledger->values[*ret_is_known ? GO_CONTROLLER_HEAP_MARKED : GO_CONTROLLER_HEAP_LIVE],
            .mapped_ready = ledger->values[GO_CONTROLLER_MAPPED_READY],
            .in_use = ledger->values[GO_CONTROLLER_HEAP_IN_USE],
            .free = ledger->values[GO_CONTROLLER_HEAP_FREE],
        });
    }
    free(ledger);
    return error;
}

// As GOMEMLIMIT is typed; the largest number is none.
static void format_limit(uint64_t bytes, char *ret_text, size_t size)
{
    if (bytes >= INT64_MAX)
        text_copy(text_of("off"), ret_text, size);
    else
        snprintf(ret_text, size, "%" PRIu64, bytes);
}

// A limit that the live heap does not fit below: never wrong, but slow.
static int check_limit(const struct tune_go *go, const struct tune_request *request,
                       struct lever_report *report, struct tune_refusal *refusal)
{
    // Harm here is slowness only: Go itself never fails an allocation for its limit.
    uint64_t floor_bytes, limit = (uint64_t)request->memory_limit.value;
    // What people compare with the limit that they have typed.
    char floor_text[UNITS_TEXT_MAX];
    bool is_known;
    int error = read_floor(go, &floor_bytes, &is_known);
    if (error)
        return refuse_value(refusal, error, "Go's ledger");
    units_format_bytes(floor_bytes, floor_text, sizeof floor_text);
    // A tenth is what the collector needs to breathe; Go keeps 3 % for itself.
    if (limit >= floor_bytes + floor_bytes / 10)
        return 0;
    if (!is_known)
        return lever_add_warning(report,
                                 "No collection has run yet, so that up to %s may be alive: above "
                                 "the limit the collector runs most of the time",
                                 floor_text);
    if (limit >= floor_bytes || request->is_forced)
        return lever_add_warning(report,
                                 "What is alive takes %s: below a limit this low the collector "
                                 "runs most of the time",
                                 floor_text);
    return tune_refuse(refusal, -EINVAL, "a higher limit, or --force, which only costs time",
                       "what is alive takes %s: the collector would run all the time", floor_text);
}

// One word, which every allocation of a span and every goal looks at.
int tune_go_plan_limit(const struct tune_scene *scene, struct tune_go *go, const struct poke *poke,
                       const struct tune_request *request, struct lever_report *report,
                       struct tune_refusal *refusal)
{
    (void)scene;
    // Versions without one were refused by name; here it is only a layout that a check has dropped.
    uint64_t address = go_field_address(&go->runtime, GO_CONTROLLER_MEMORY_LIMIT), before;
    if (address == 0)
        return refuse_value(refusal, -ENOENT, "runtime.gcController.memoryLimit");
    int error = poke_read(poke, address, 8, &before);
    // setMemoryLimit() lets nothing else in.
    if (!error && (before == 0 || before > INT64_MAX))
        error = -EBADMSG;
    if (error)
        return refuse_value(refusal, error, "runtime.gcController.memoryLimit");
    uint64_t after = (uint64_t)request->memory_limit.value;
    char old_text[32], new_text[32];
    format_limit(before, old_text, sizeof old_text);
    format_limit(after, new_text, sizeof new_text);
    if (before == after)
        return lever_add_note(report, "GOMEMLIMIT is %s already", old_text);
    // Figures of the same runtime that was proven a moment ago.
    error = check_limit(go, request, report, refusal);
    if (error)
        return error;
    struct tune_go_change *change = next_change(go, report);
    add_store(change, address, 8, before, after);
    describe(change, "GOMEMLIMIT", old_text, new_text);
    text_format(change->change.undo, sizeof change->change.undo, "ebb tune %d --memory-limit=%s",
                report->pid, old_text);
    error = lever_add_step(report, "set GOMEMLIMIT of Go %s from %s to %s",
                           go->runtime.version.text, old_text, new_text);
    if (!error)
        error = lever_add_note(report, "The next allocation looks at it; memory that is free "
                                       "already goes back after the next collection");
    if (!error)
        error = lasting_add_until(report);
    return error ? error : lasting_add_variable(report, "GOMEMLIMIT", new_text);
}

// What is there must still be what was planned for: the program may turn its own knobs.
static int write_store(const struct poke *poke, const struct tune_store *store)
{
    // Compare and write are two calls: the program may come in between, which the reading behind
    // them shows.
    uint64_t now;
    int error = poke_read(poke, store->address, store->bytes, &now);
    if (!error && now != store->before)
        error = -EBUSY;
    if (!error)
        error = poke_write(poke, store->address, store->bytes, store->after);
    if (!error)
        error = poke_read(poke, store->address, store->bytes, &now);
    return !error && now != store->after ? -EIO : error;
}

// What the last collection found alive: kept from 1.17 on; before that the old goal tells it, and
// where that is out of reach the size of the heap is the most that it can be.
static uint64_t read_marked(const struct go_runtime *runtime, uint64_t goal, int32_t percent)
{
    uint64_t marked = 0;
    if (go_read_field(runtime, GO_CONTROLLER_HEAP_MARKED, &marked) == 0)
        return marked;
    if (percent >= 0 && goal != UINT64_MAX)
        return goal / (100 + (uint64_t)percent) * 100;
    go_read_field(runtime, GO_MEMSTATS_HEAP_LIVE, &marked);
    return marked;
}

// The goal is not compared with what was planned: collections end at any time and write it, from
// the percentage that stands there already. At worst this one counts for a collection.
static int write_goal(const struct tune_go *go, const struct poke *poke,
                      const struct tune_go_change *change)
{
    // Renamed twice: each version has one of them.
    static const enum go_field_id goals[] = {GO_CONTROLLER_GC_PERCENT_HEAP_GOAL,
                                             GO_CONTROLLER_HEAP_GOAL, GO_MEMSTATS_NEXT_GC};
    uint64_t address = 0, goal;
    for (size_t i = 0; i < sizeof goals / sizeof goals[0] && !address; i++)
        address = go_field_address(&go->runtime, goals[i]);
    int error = address ? poke_read(poke, address, 8, &goal) : -ENOENT;
    // A percentage without its goal would hold from some later collection on: it is not written.
    if (error)
        return error;
    uint64_t marked = read_marked(&go->runtime, goal, change->percent_before);
    return poke_write(poke, address, 8, tune_go_heap_goal(marked, change->percent_after));
}

// All of a change or nothing of it. In order: what follows from the percentage is there before it.
// After a failure the stores that were made are taken back, the last one first: a percentage whose
// minimum is another's would be taken for a wrong address ever after.
static int write_change(const struct tune_go *go, const struct poke *poke,
                        const struct tune_go_change *change)
{
    size_t done = 0;
    int error = 0;
    while (done < change->store_count && !error) {
        error = write_store(poke, &change->stores[done]);
        done += error == 0;
    }
    if (!error && change->is_percent)
        error = write_goal(go, poke, change);
    while (error && done > 0) {
        const struct tune_store *store = &change->stores[--done];
        (void)poke_write(poke, store->address, store->bytes, store->before);
    }
    return error;
}

// Each says what became of the target, which is what people want to know first.
static const char *words_of(int error)
{
    // The default is for what nobody foresaw; what can be expected has words of its own.
    switch (-error) {
    case EBUSY:
        return "the program has changed it meanwhile: nothing was written";
    case EIO:
        return "it was written, and reads otherwise: the program changed it too";
    case EROFS:
        return "it lies in memory that the program may not write: nothing was written";
    case ENOENT:
        return "Go's goal for the heap was not found: nothing was changed";
    case ESTALE:
        return "the process ended, or called exec";
    default:
        return strerror(-error);
    }
}

// Steps of one pull do not depend on each other: a failure leaves the others their turn.
int tune_go_act(struct tune_go *go, const struct poke *poke, struct lever_report *report)
{
    // Alone of all failures it ends the round: the report itself can no longer grow.
    int out_of_memory = 0;
    for (size_t i = 0; i < go->change_count && !out_of_memory; i++) {
        const struct tune_go_change *change = &go->changes[i];
        struct lever_step *step = &report->steps[change->step];
        // Microseconds; it is told, so that nobody has to believe it.
        uint64_t started_ns = lever_now_ns();
        int error = write_change(go, poke, change);
        step->took_ns = lever_now_ns() - started_ns;
        if (error) {
            lever_end_step(step, LEVER_STEP_FAILED, "%s", words_of(error));
            continue;
        }
        lever_end_step(step, LEVER_STEP_DONE, "read back, the target was not stopped");
        out_of_memory = lever_add_change(report, &change->change);
    }
    return out_of_memory;
}
