// SPDX-License-Identifier: Apache-2.0
// Finding Go's knobs in a target, see tune_go.h. Tool world; no state.
#include "lever/tune/tune_go.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "runtime/go/go_advise.h"
#include "runtime/go/go_knobs.h"
#include "runtime/go/go_locate.h"

// A table of functions may be huge.
enum { SEARCH_BUDGET_MS = 10000 };

// As the reader does: the first Go runtime of a process is the one that is read and written.
bool tune_go_find(const struct tune_scene *scene, struct tune_go *go)
{
    // A second runtime (a Go plugin, a c-shared library) is left alone: which one is meant cannot
    // be told.
    const struct images *images = &scene->images;
    for (size_t i = 0; i < images->count && !go->image; i++)
        if (go_version_is_go(&images->items[i]))
            go->image = &images->items[i];
    if (!go->image)
        return false;
    // Tables of .bss may have pages that were never touched: they read as zeros.
    go->live = (struct go_live_memory){scene->target.process, &scene->mappings};
    go->runtime = (struct go_runtime){
        .memory = go_memory_of_live(&go->live),
        .machine = go->image->machine,
        .image_low = go->image->low,
        .image_high = go->image->high,
        // Whether other code maps memory does not matter to a knob.
        .has_cgo = true,
    };
    // Without one every lever says so by itself.
    if (go_version_read(go->image, scene->target.process, &go->runtime.version) != 0)
        go->runtime.version = (struct go_version){0};
    return true;
}

// What a version means is known for those whose source was read.
static int check_version(const struct tune_go *go, unsigned first, struct tune_refusal *refusal)
{
    // In the order of what helps: no version, a newer ebb, an older Go.
    unsigned minor = go->runtime.version.minor;
    // A "devel" build may be anything between two versions.
    if (minor == 0)
        return tune_refuse(refusal, -ENOTSUP, "", "the Go version of this program is not known");
    // 1.26 changed what a knob means without changing its place: it can happen again.
    if (minor > GO_MINOR_LAST)
        return tune_refuse(refusal, -ENOTSUP, "a newer ebb",
                           "this ebb knows Go's knobs up to 1.%d, and this is Go %s", GO_MINOR_LAST,
                           go->runtime.version.text);
    if (minor < first)
        return tune_refuse(refusal, -ENOTSUP, "", "Go %s does not have it: it came with 1.%u",
                           go->runtime.version.text, first);
    return 0;
}

// A symbol's run-time span; false where the image has none of this name.
static bool symbol_span(const struct image *image, const char *name, uint64_t *ret_start,
                        uint64_t *ret_end)
{
    // A symbol of value 0 is one of another file: it is not here.
    struct image_symbol symbol = {0};
    if (image_find_symbols(image, &name, 1, &symbol) != 1 || symbol.value == 0)
        return false;
    *ret_start = symbol.value + image->bias;
    // Go's linker writes sizes; others may leave 0.
    *ret_end = *ret_start + symbol.size;
    return true;
}

// By name, not by offset: a table of offsets that is wrong by one would write into a neighbour.
int tune_go_find_knob(const struct tune_scene *scene, struct tune_go *go,
                      struct tune_refusal *refusal)
{
    int error = check_version(go, GO_MINOR_MADV_FREE, refusal);
    if (error)
        return error;
    // Searched anew each time: an address from a cache is good enough to read, not to write.
    uint64_t entry, knob, start, end;
    error = go_knob_find(&scene->target, go->image, "madvdontneed", &entry);
    if (!error)
        error = go_knob_of_entry(&scene->target, go->image, "madvdontneed", entry, &knob);
    if (error == -EPERM || error == -EACCES)
        return tune_refuse(refusal, -EPERM, tune_needs_attach, "its memory may not be read");
    if (error)
        return tune_refuse(refusal, -ENOENT, "a binary as Go's linker wrote it",
                           "Go's table of knobs (runtime.dbgvars) was not found");
    // Two ways to one address: where there are symbols, they must agree.
    if (symbol_span(go->image, "runtime.debug", &start, &end) &&
        (knob < start || (end > start && knob >= end)))
        return tune_refuse(refusal, -EBADMSG, "",
                           "Go's table of knobs and the symbol runtime.debug disagree");
    go->knob = knob;
    // Not found is no failure yet: turning on needs the knob alone.
    if (go->runtime.version.minor >= GO_MINOR_KNOWS_ZERO &&
        go_advise_find(&scene->target, go->image, knob, &go->advise) != 0)
        go->advise = GO_ADVISE_NOT_FOUND;
    return 0;
}

// Both words together say what the runtime does; from 1.26 on one of them alone does not.
int tune_go_read_policy(const struct tune_go *go, tune_go_read *read, void *context,
                        struct tune_go_policy *ret_policy)
{
    struct tune_go_policy policy = {0};
    uint64_t again;
    int error = read(context, go->knob, 4, &policy.knob);
    if (!error)
        error = read(context, go->knob, 4, &again);
    // Twice, since a value that moves is no knob.
    if (!error && (policy.knob > 1 || again != policy.knob))
        error = -EBADMSG;
    if (!error && go->advise)
        error = read(context, go->advise, 4, &policy.advise);
    if (error)
        return error;
    // 0 is what the runtime falls back to where the kernel has no madvise() at all.
    bool is_advice = policy.advise == GO_ADVISE_FREE || policy.advise == GO_ADVISE_DONTNEED ||
                     policy.advise == GO_ADVISE_UNSUPPORTED;
    if (go->advise && !is_advice)
        return -EBADMSG;
    // The knob wins over the advice (sysUnusedOS).
    policy.gives_lazily = policy.knob == 0 && (!go->advise || policy.advise == GO_ADVISE_FREE);
    *ret_policy = policy;
    return 0;
}

// Before the pacer is looked for: what a version lacks needs no search.
int tune_go_check_limit(const struct tune_go *go, struct tune_refusal *refusal)
{
    // One that is not known is refused by its own check.
    if (go->runtime.version.minor == 0 || go->runtime.version.minor >= GO_MINOR_LIMIT)
        return 0;
    return tune_refuse(refusal, -ENOTSUP, "--gogc, or a build with Go 1.19 or later",
                       "Go %s has no memory limit: it came with 1.19", go->runtime.version.text);
}

// Reserved address space is not enough.
static bool address_is_mapped(const void *context, uint64_t address)
{
    const struct tune_scene *scene = context;
    const struct mapping *mapping = mappings_find(&scene->mappings, address);
    return mapping && (mapping->flags & MAPPING_READ);
}

// Up to 1.16 there is no gcController, and one small integer proves nothing: only symbols lead to
// it, and the minimum that belongs to it proves it.
static int find_old_pacer(struct tune_go *go, struct tune_refusal *refusal)
{
    uint64_t end;
    if (go_field_address(&go->runtime, GO_GCPERCENT) == 0 ||
        !symbol_span(go->image, "runtime.heapminimum", &go->minimum, &end))
        return tune_refuse(refusal, -ENOTSUP,
                           "a binary with symbols; else GOGC at the next start, or "
                           "debug.SetGCPercent in the program",
                           "Go %s keeps GOGC in a variable that only symbols lead to, and this "
                           "binary has none",
                           go->runtime.version.text);
    go->has_pacer = true;
    return 0;
}

// With the same proof as for the ledger, and the time that a huge table of functions may take.
int tune_go_find_pacer(const struct tune_scene *scene, struct tune_go *go,
                       struct tune_refusal *refusal)
{
    int error = check_version(go, GO_MINOR_FIRST, refusal);
    if (error)
        return error;
    // The time of day, since LastGC, by which memstats is recognised, is one.
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const struct go_limits limits = {
        .vm_size_bytes = scene->status.vm_size_kib * 1024,
        .now_unix_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
        .is_mapped = address_is_mapped,
        .context = scene,
    };
    // Static text of the locator.
    const char *reason = "";
    uint64_t deadline_ns = go_now_ns() + (uint64_t)SEARCH_BUDGET_MS * 1000000u;
    error = go_locate(&scene->target, go->image, &limits, deadline_ns, &go->runtime, &reason);
    if (error)
        return tune_refuse(refusal, error == -ETIME ? error : -ENOENT,
                           "GOGC or GOMEMLIMIT at the next start, or debug.SetGCPercent and "
                           "debug.SetMemoryLimit in the program",
                           "Go's pacer cannot be told from other memory: %s", reason);
    // gcController holds it from 1.17 on.
    if (!go_has(&go->runtime, GO_CONTROLLER_GC_PERCENT))
        return find_old_pacer(go, refusal);
    go->has_pacer = true;
    return 0;
}
