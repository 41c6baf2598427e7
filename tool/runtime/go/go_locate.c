// SPDX-License-Identifier: Apache-2.0
// Finding Go's variables, see go_locate.h. Tool world; no state.
#include "runtime/go/go_locate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/go/go_cache.h"
#include "runtime/go/go_dwarf.h"
#include "runtime/go/go_knobs.h"
#include "runtime/go/go_module.h"
#include "runtime/go/go_vote.h"
#include "runtime/target.h"

// Of a longer function its beginning has to do.
enum { CANDIDATES_MAX = 4096, FUNCTION_BYTES_MAX = 64 << 10, VERIFY_TRIES = 5 };

// Functions whose code mentions the variables. Versions differ in which they have; each must be in
// most programs, whatever these do. At most GO_PCLNTAB_NAMES_MAX.
static const char *const code_functions[] = {
    "crosscall2",
    "runtime.racefuncenter",
    // They name most fields of memstats one after another.
    "runtime.readmemstats_m",
    "runtime.updatememstats",
    "runtime.ReadMemStats",
    // They get mheap_ as an argument: its callers, and what fills it, mention the variable.
    "runtime.(*mheap).init",
    "runtime.(*mheap).alloc",
    "runtime.(*mheap).alloc_m",
    "runtime.(*mheap).allocLarge",
    "runtime.(*mheap).allocSpan",
    "runtime.(*mheap).allocSpanLocked",
    "runtime.(*mheap).allocManual",
    "runtime.(*mheap).allocMSpanLocked",
    "runtime.(*mheap).freeSpanLocked",
    "runtime.(*mheap).freeManual",
    "runtime.(*mheap).grow",
    "runtime.(*mheap).sysAlloc",
    "runtime.(*mheap).scavengeAll",
    "runtime.(*mheap).initSpan",
    "runtime.recordspan",
    "runtime.persistentalloc1",
    "runtime.newBucket",
    "runtime.stkbucket",
    // The end of a cycle writes pauses and times; closures have changed their numbers.
    "runtime.gcMarkTermination",
    "runtime.gcMarkTermination.func1",
    "runtime.gcMarkTermination.func2",
    "runtime.gcMarkTermination.func3",
    "runtime.gcMarkTermination.func4",
    "runtime.gcSweep",
    "runtime.gcMark",
    "runtime.gcPaceScavenger",
    "runtime.gcPaceSweeper",
    // The pacer: free functions up to 1.16, methods of gcController since.
    "runtime.gcSetTriggerRatio",
    "runtime.gcControllerCommit",
    "runtime.(*gcControllerState).init",
    "runtime.(*gcControllerState).startCycle",
    "runtime.(*gcControllerState).endCycle",
    "runtime.(*gcControllerState).commit",
    "runtime.(*gcControllerState).heapGoalInternal",
    "runtime.(*gcControllerState).revise",
    "runtime.(*gcControllerState).resetLive",
    "runtime.gcResetMarkState",
    "runtime.finishsweep_m",
    "runtime.sweepone",
    "runtime.(*sweepLocked).sweep",
    "runtime.(*mspan).sweep",
    // These go over allp.
    "runtime.procresize",
    "runtime.schedinit",
    "runtime.gcStart",
    "runtime.gcStart.func1",
    "runtime.gcStart.func2",
    "runtime.gcinit",
    "runtime.setGCPercent",
    "runtime/debug.setGCPercent",
    "runtime.setGCPercent.func1",
    "runtime/debug.setGCPercent.func1",
    "runtime.readGOGC",
    // Caches and centrals, and with them mheap_ again.
    "runtime.mallocinit",
    "runtime.mallocgc",
    "runtime.mcache.nextSample",
    "runtime.allocmcache",
    "runtime.allocmcache.func1",
    "runtime.freemcache.func1",
    "runtime.(*mcache).allocLarge",
    "runtime.(*mcache).refill",
    "runtime.(*mcache).releaseAll",
    "runtime.purgecachedstats",
    "runtime.(*mcentral).cacheSpan",
    "runtime.(*mcentral).uncacheSpan",
    "runtime.(*mcentral).grow",
    "runtime.largeAlloc",
    "runtime.flushallmcaches",
    "runtime.flushmcache",
    "runtime.cachestats",
    "runtime.forEachP",
    "runtime.forEachPInternal",
    // What the scavenger and the monitor compare of the heap.
    "runtime.(*scavengerState).init",
    "runtime.bgscavenge",
    "runtime.(*pageAlloc).scavengeOne",
    "runtime.sysmon",
    "runtime.retake",
    "runtime.init.malloc.go",
    "runtime.stackalloc",
    "runtime.stackpoolalloc",
    "runtime.markroot",
    "runtime.newArenaMayUnlock",
    "runtime.printScavTrace",
    "runtime.startTheWorldWithSema",
    "runtime.stopTheWorldWithSema",
};
// C code calls Go through the first: it is in every program with cgo and in no other. The second is
// what -race adds.
enum { CGO_FUNCTION = 0, RACE_FUNCTION = 1, MARK_FUNCTIONS = 2 };
enum { CODE_FUNCTIONS = sizeof code_functions / sizeof code_functions[0] };

enum { CODE_OBJECTS = 4 };
// What code leads to. One small integer proves nothing: GOGC up to 1.16 is left to the environment,
// and the knobs of GODEBUG are found by their names.
static const enum go_object code_objects[CODE_OBJECTS] = {GO_OBJECT_MEMSTATS, GO_OBJECT_CONTROLLER,
                                                          GO_OBJECT_HEAP, GO_OBJECT_ALLP};

// Without the others figures get less exact; without these there are none.
static bool object_is_needed(const struct go_runtime *runtime, enum go_object object)
{
    switch (object) {
    case GO_OBJECT_MEMSTATS:
    case GO_OBJECT_HEAP:
        return true;
    // 1.16 and older keep the pacer's figures in memstats.
    case GO_OBJECT_CONTROLLER:
        return go_has(runtime, GO_CONTROLLER_GC_PERCENT);
    default:
        return false;
    }
}

// All variables by themselves, then against each other. Optional ones that fail are dropped when
// `is_last`.
static const char *verify_once(struct go_runtime *runtime, const struct go_limits *limits,
                               bool is_last, struct go_ledger *ledger)
{
    static const char *const wrong[] = {
        [GO_OBJECT_MEMSTATS] = "runtime.memstats was not found, or what is there is not Go's",
        [GO_OBJECT_CONTROLLER] = "runtime.gcController was not found, or what is there is not Go's",
        [GO_OBJECT_HEAP] = "runtime.mheap_ was not found, or what is there is not Go's",
        [GO_OBJECT_DEBUG] = "runtime.debug is not Go's",
        [GO_OBJECT_GCPERCENT] = "runtime.gcpercent is not Go's",
        [GO_OBJECT_ALLP] = "runtime.allp is not Go's",
    };
    // Each by itself first: a reason that names the variable is worth more than one about a sum.
    for (unsigned i = 0; i < GO_OBJECT_VARIABLES; i++) {
        enum go_object object = (enum go_object)i;
        bool is_needed = object_is_needed(runtime, object);
        if (runtime->address[object] == 0 && !is_needed)
            continue;
        if (runtime->address[object] && go_check_object(runtime, object, limits))
            continue;
        // Before the last try an optional one may still be about to be right.
        if (is_needed || !is_last)
            return wrong[object];
        runtime->address[object] = 0;
    }
    if (go_ledger_read_once(runtime, ledger) != 0)
        return "the counters could not be read";
    return go_check_ledger(runtime, ledger, limits);
}

// However the addresses were found, nothing is believed before this. The counters of a busy target
// do not stand still, so that a failure is looked at again a moment later.
const char *go_locate_verify(struct go_runtime *runtime, const struct go_limits *limits)
{
    // Enough for the end of a cycle to write all that belongs together.
    const struct timespec moment = {.tv_nsec = 1000000};
    struct go_ledger *ledger = malloc(sizeof *ledger);
    if (!ledger)
        return "out of memory";
    const char *reason = NULL;
    for (unsigned i = 1; i <= VERIFY_TRIES; i++) {
        reason = verify_once(runtime, limits, i == VERIFY_TRIES, ledger);
        if (!reason || i == VERIFY_TRIES)
            break;
        nanosleep(&moment, NULL);
    }
    free(ledger);
    return reason;
}

// The variables by their symbols. True when the needed ones are there.
static bool locate_symbols(const struct image *image, struct go_runtime *runtime)
{
    // Marks are functions that only some programs have; they ride along in the same pass.
    enum { NAMES = GO_OBJECT_VARIABLES + MARK_FUNCTIONS };
    const char *names[NAMES];
    struct image_symbol symbols[NAMES];
    memcpy(names, go_object_names, GO_OBJECT_VARIABLES * sizeof names[0]);
    memcpy(names + GO_OBJECT_VARIABLES, code_functions, MARK_FUNCTIONS * sizeof names[0]);
    // One pass over the symbol table for all of them.
    if (image_find_symbols(image, names, NAMES, symbols) <= 0)
        return false;
    for (unsigned i = 0; i < GO_OBJECT_VARIABLES; i++)
        runtime->address[i] = symbols[i].value ? symbols[i].value + image->bias : 0;
    bool found = runtime->address[GO_OBJECT_MEMSTATS] && runtime->address[GO_OBJECT_HEAP];
    // In a shared library built with Go the rest of the process may be anything.
    if (found && image->is_main)
        runtime->has_cgo = symbols[GO_OBJECT_VARIABLES + CGO_FUNCTION].value != 0;
    runtime->version.race |= symbols[GO_OBJECT_VARIABLES + RACE_FUNCTION].value != 0;
    return found;
}

// Collects what the code of the functions mentions, as run-time addresses.
static int collect_targets(const struct image *image, const struct go_function *functions,
                           struct go_targets *targets)
{
    // One buffer for all: functions come one after the other.
    uint8_t *code = malloc(FUNCTION_BYTES_MAX);
    if (!code)
        return -ENOMEM;
    int error = 0;
    for (size_t i = 0; i < CODE_FUNCTIONS && !error; i++) {
        uint64_t size = functions[i].end - functions[i].entry;
        // A function that this version, or this program, does not have.
        if (functions[i].end == 0 || size == 0)
            continue;
        size_t len = size < FUNCTION_BYTES_MAX ? (size_t)size : FUNCTION_BYTES_MAX;
        // Code is read from the file: its pages need not be in memory, and are never relocated.
        if (image_read(image, functions[i].entry - image->bias, code, len) != 0)
            continue;
        error = go_targets_add_code(targets, image->machine, functions[i].entry, code, len);
    }
    free(code);
    go_targets_sort(targets);
    return error;
}

// The best candidate that passes its check.
static int elect(const struct go_targets *targets, enum go_object object,
                 const struct go_limits *limits, uint64_t deadline_ns, struct go_runtime *runtime)
{
    // Too many for the stack, and few in the end: the list is sorted by votes.
    struct go_candidate *candidates = malloc(CANDIDATES_MAX * sizeof *candidates);
    if (!candidates)
        return -ENOMEM;
    int count = go_vote(targets, &runtime->row, object, candidates, CANDIDATES_MAX);
    // Code that hands out a pointer to the variable, or to a field of it, votes as well, so the
    // right base is among the first few; a long list only costs time where there is no right one.
    for (int i = 0; i < count && !go_deadline_passed(deadline_ns); i++) {
        // The check reads by it: it is set before it is believed.
        runtime->address[object] = candidates[i].base;
        if (go_check_object(runtime, object, limits))
            break;
        runtime->address[object] = 0;
    }
    free(candidates);
    return count < 0 ? count : 0;
}

// For stripped images. The deadline holds for the table of functions, which may be huge.
static int locate_by_code(const struct target *target, const struct image *image,
                          const struct go_limits *limits, uint64_t deadline_ns,
                          struct go_runtime *runtime)
{
    struct go_module module;
    struct go_function functions[CODE_FUNCTIONS];
    int error = go_module_find(target, image, deadline_ns, &module);
    if (error)
        return error;
    int found = go_module_functions(target, image, &module, code_functions, CODE_FUNCTIONS,
                                    deadline_ns, functions);
    if (found < 0)
        return found;
    if (image->is_main)
        runtime->has_cgo = functions[CGO_FUNCTION].end != 0;
    runtime->version.race |= functions[RACE_FUNCTION].end != 0;
    struct go_targets targets = {.range_count = 4};
    // The variables are in data or .bss: what else code mentions is dropped at once.
    memcpy(targets.ranges, module.data, sizeof module.data);
    error = collect_targets(image, functions, &targets);
    for (size_t i = 0; i < CODE_OBJECTS && !error; i++)
        error = elect(&targets, code_objects[i], limits, deadline_ns, runtime);
    go_targets_free(&targets);
    return error;
}

// What an earlier search of this image's code found, proven anew like any other.
static bool recall(const struct image *image, const struct go_limits *limits,
                   struct go_runtime *runtime)
{
    // The key is the image's build id: a program that was built anew has another.
    struct go_cache_key key;
    struct go_layout layout;
    if (go_cache_key_of(image, GO_CACHE_CODE, &key) != 0 || go_cache_load(&key, &layout) != 0)
        return false;
    for (size_t i = 0; i < CODE_OBJECTS; i++) {
        uint64_t linked = layout.address[code_objects[i]], address = linked + image->bias;
        // The entry may be of another file with the same id.
        if (linked && address >= image->low && address < image->high)
            runtime->address[code_objects[i]] = address;
    }
    // The cache is the user's own, and yet nothing in it is trusted.
    if (go_locate_verify(runtime, limits) != NULL) {
        memset(runtime->address, 0, sizeof runtime->address);
        return false;
    }
    runtime->knob_entry = layout.knob_entry ? layout.knob_entry + image->bias : 0;
    if (image->is_main)
        runtime->has_cgo = layout.marks & GO_LAYOUT_CGO;
    runtime->version.race |= (layout.marks & GO_LAYOUT_RACE) != 0;
    runtime->found_by = "code and the table of offsets, kept from before";
    return true;
}

// Only what is complete and proven is worth keeping: an entry stands for as long as the image.
static void remember(const struct target *target, const struct image *image,
                     const struct go_runtime *runtime)
{
    struct go_cache_key key;
    struct go_layout layout = {0};
    if (go_cache_key_of(image, GO_CACHE_CODE, &key) != 0)
        return;
    // Not used again, but an entry without them counts as damaged.
    memcpy(layout.fields, runtime->row.fields, sizeof layout.fields);
    for (size_t i = 0; i < CODE_OBJECTS; i++) {
        enum go_object object = code_objects[i];
        bool is_of_version =
            object != GO_OBJECT_CONTROLLER || go_has(runtime, GO_CONTROLLER_GC_PERCENT);
        // Found in part: the next reading shall search anew.
        if (is_of_version && runtime->address[object] == 0)
            return;
        if (is_of_version)
            layout.address[object] = runtime->address[object] - image->bias;
    }
    layout.marks =
        (runtime->has_cgo ? GO_LAYOUT_CGO : 0) | (runtime->version.race ? GO_LAYOUT_RACE : 0);
    // The settings' own search is as long; 1.11 has no such knob.
    uint64_t entry;
    if (go_knob_find(target, image, "madvdontneed", &entry) == 0)
        layout.knob_entry = entry - image->bias;
    // A convenience: failing to write it changes nothing.
    go_cache_save(&key, &layout);
}

static const char out_of_time[] = "the time for reading Go's function table ran out";

// One way to the addresses, then the proof.
static const char *locate_by_table(const struct target *target, const struct image *image,
                                   const struct go_limits *limits, uint64_t deadline_ns,
                                   struct go_runtime *runtime)
{
    // Symbols, then what is kept, then code: from the cheapest to the dearest, with one proof for
    // all.
    if (go_table_find(runtime->version.minor, &runtime->row) != 0)
        return "this version's offsets are not known";
    runtime->found_by = "symbols and the table of offsets";
    if (locate_symbols(image, runtime))
        return go_locate_verify(runtime, limits);
    memset(runtime->address, 0, sizeof runtime->address);
    if (recall(image, limits, runtime))
        return NULL;
    runtime->found_by = "code and the table of offsets";
    int error = locate_by_code(target, image, limits, deadline_ns, runtime);
    if (error == -ETIME)
        return out_of_time;
    if (error)
        return "Go's function table was not found";
    const char *reason = go_locate_verify(runtime, limits);
    if (!reason)
        remember(target, image, runtime);
    return reason;
}

// Debug information gets what time is left, and some seconds where there is no limit.
static unsigned dwarf_wall_ms(uint64_t deadline_ns)
{
    enum { WALL_MAX_MS = 10000 };
    if (deadline_ns == 0)
        return WALL_MAX_MS;
    uint64_t now = go_now_ns();
    uint64_t left_ms = deadline_ns > now ? (deadline_ns - now) / 1000000 : 0;
    return left_ms < WALL_MAX_MS ? (unsigned)left_ms : WALL_MAX_MS;
}

// The table is tried first since it is ten times faster and smaller than debug information.
int go_locate(const struct target *target, const struct image *image,
              const struct go_limits *limits, uint64_t deadline_ns, struct go_runtime *runtime,
              const char **ret_reason)
{
    const char *reason = locate_by_table(target, image, limits, deadline_ns, runtime);
    if (!reason)
        return 0;
    // Half of one way's addresses must not be taken for those of another.
    memset(runtime->address, 0, sizeof runtime->address);
    if (go_dwarf_locate(image, dwarf_wall_ms(deadline_ns), runtime) == 0) {
        reason = go_locate_verify(runtime, limits);
        if (!reason)
            return 0;
        memset(runtime->address, 0, sizeof runtime->address);
    }
    *ret_reason = reason;
    return reason == out_of_time ? -ETIME : -ENOENT;
}
