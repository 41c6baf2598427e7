// SPDX-License-Identifier: Apache-2.0
// Finding Go's knobs in a target, see tune_go.h. Tool world; no state.
#include "lever/tune/tune_go.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "runtime/go/go_code.h"
#include "runtime/go/go_knobs.h"
#include "runtime/go/go_locate.h"
#include "runtime/go/go_module.h"

enum {
    ADVISE_FREE = 8,
    ADVISE_DONTNEED = 4,
    ADVISE_UNSUPPORTED = 0,
    CODE_MAX_BYTES = 16 << 10,
    // A table of functions may be huge.
    SEARCH_BUDGET_MS = 10000,
};

// As the reader does: the first Go runtime of a process is the one that is read and written.
bool tune_go_find(const struct tune_scene *scene, struct tune_go *go)
{
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
        tune_go_find_advise(scene, go, &go->advise) != 0)
        go->advise = GO_ADVISE_NOT_FOUND;
    return 0;
}

// Initialised data, as the file has it: nothing has changed it there.
static bool is_initialised_with(const struct image *image, uint64_t address, uint32_t wanted)
{
    uint32_t value;
    // An operand may point anywhere, into .bss too, which the file does not hold.
    return address % sizeof value == 0 && address >= image->low && address < image->high &&
           image_read(image, address - image->bias, &value, sizeof value) == 0 && value == wanted;
}

// What the code of sysUnusedOS() mentions, within the image's data.
static int targets_of_unused(const struct tune_scene *scene, const struct image *image,
                             struct go_targets *targets)
{
    static const char *const names[] = {"runtime.sysUnusedOS"};
    uint64_t deadline_ns = go_now_ns() + (uint64_t)SEARCH_BUDGET_MS * 1000000u;
    struct go_module module;
    struct go_function function = {0};
    uint8_t code[CODE_MAX_BYTES];
    // The table of functions survives stripping, as stack traces need it.
    int error = go_module_find(&scene->target, image, deadline_ns, &module);
    if (error)
        return error;
    // It has a name of its own from 1.18 on; only 1.26 and later are asked here.
    int found =
        go_module_functions(&scene->target, image, &module, names, 1, deadline_ns, &function);
    if (found != 1 || function.end <= function.entry)
        return found < 0 ? found : -ENOENT;
    // Some hundred bytes; a damaged table could claim any size.
    size_t len = function.end - function.entry < sizeof code
                     ? (size_t)(function.end - function.entry)
                     : sizeof code;
    error = image_read(image, function.entry - image->bias, code, len);
    if (error)
        return error;
    // Operands that lie outside of the data are dropped at once.
    memcpy(targets->ranges, module.data, sizeof module.data);
    targets->range_count = sizeof module.data / sizeof module.data[0];
    error = go_targets_add_code(targets, image->machine, function.entry, code, len);
    go_targets_sort(targets);
    return error;
}

// Exactly one, in the function that also asks the knob: anything else is not believed.
static int advise_by_code(const struct tune_scene *scene, const struct tune_go *go,
                          uint64_t *ret_address)
{
    struct go_targets targets = {0};
    int error = targets_of_unused(scene, go->image, &targets);
    // Otherwise it is another function, whatever it is called.
    if (!error && !go_targets_has(&targets, go->knob))
        error = -ENOENT;
    uint64_t address = 0;
    size_t count = 0;
    for (size_t i = 0; i < targets.count && !error; i++) {
        if (!is_initialised_with(go->image, targets.items[i], ADVISE_FREE))
            continue;
        address = targets.items[i];
        count++;
    }
    go_targets_free(&targets);
    // Two words with that value cannot be told apart.
    if (error || count != 1)
        return error ? error : -ENOENT;
    *ret_address = address;
    return 0;
}

// A symbol is believed only if the file holds there what Go's source initialises it with.
int tune_go_find_advise(const struct tune_scene *scene, const struct tune_go *go,
                        uint64_t *ret_address)
{
    uint64_t start, end;
    if (!symbol_span(go->image, "runtime.adviseUnused", &start, &end))
        return advise_by_code(scene, go, ret_address);
    if (!is_initialised_with(go->image, start, ADVISE_FREE))
        return -ENOENT;
    *ret_address = start;
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
    bool is_advice = policy.advise == ADVISE_FREE || policy.advise == ADVISE_DONTNEED ||
                     policy.advise == ADVISE_UNSUPPORTED;
    if (go->advise && !is_advice)
        return -EBADMSG;
    // The knob wins over the advice (sysUnusedOS).
    policy.gives_lazily = policy.knob == 0 && (!go->advise || policy.advise == ADVISE_FREE);
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
