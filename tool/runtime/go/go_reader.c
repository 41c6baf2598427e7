// SPDX-License-Identifier: Apache-2.0
// The reader of Go's runtime: version, ledger, settings, memory. Tool world; one thread.
//
// Layers, bottom to top: go_memory, go_version / go_pclntab / go_code (parsers), go_module /
// go_vote / go_dwarf / go_check, go_locate, go_ledger with go_formulas, go_pages / go_metadata,
// go_account, go_knobs, and this file.
//
// The way of a reading: the build information names the version; the version picks a row of the
// table of offsets; go_locate finds where the runtime's variables lie (symbols, the cache, the
// function table and a vote, or DWARF); go_check holds live memory against what such variables
// must look like. Only then are counters read (go_ledger), turned into MemStats (go_formulas) and
// held against each other (go_invariants). Last comes residency: the page allocator's bitmaps say
// which pages are free, pagemap says which of those are in memory (go_pages), and go_account makes
// claims and parts of it.
//
// A figure that passes no check is not printed. Wrong figures cost more than missing ones: nobody
// doubts a number that looks right.
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/go/go_account.h"
#include "runtime/go/go_knobs.h"
#include "runtime/go/go_locate.h"
#include "runtime/target.h"

enum { LEDGER_TRIES = 5 };

// A process may hold several Go runtimes: the executable's and those of shared libraries.
static const struct image *next_image(const struct target *target, size_t *index)
{
    while (*index < target->images->count) {
        const struct image *image = &target->images->items[(*index)++];
        if (go_version_is_go(image))
            return image;
    }
    return NULL;
}

// By sections, so this costs nothing for images that have them.
static bool go_find(const struct target *target)
{
    size_t index = 0;
    return next_image(target, &index) != NULL;
}

// Reserved address space is not enough.
static bool address_is_mapped(const void *context, uint64_t address)
{
    const struct target *target = context;
    const struct mapping *mapping = mappings_find(target->mappings, address);
    return mapping && (mapping->flags & MAPPING_READ);
}

// What the target cannot exceed, whatever its memory says.
static struct go_limits limits_of(const struct target *target)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (struct go_limits){
        .vm_size_bytes = target->status->vm_size_kib * 1024,
        .now_unix_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
        .is_mapped = address_is_mapped,
        .context = target,
    };
}

// Under the names of runtime.MemStats.
static int report_figures(const struct go_memstats *stats, bool has_caches,
                          struct runtime_report *report)
{
    // Without the Ps' caches what they hold back is unknown: a MiB each at most.
    uint64_t cache_error = has_caches ? 0 : (uint64_t)1 << 20;
    const struct {
        const char *name;
        enum figure_unit unit;
        uint64_t value, error;
    } figures[] = {
        {"Sys", FIGURE_BYTES, stats->sys, 0},
        {"HeapSys", FIGURE_BYTES, stats->heap_sys, 0},
        {"HeapAlloc", FIGURE_BYTES, stats->heap_alloc, cache_error},
        {"HeapInuse", FIGURE_BYTES, stats->heap_inuse, 0},
        {"HeapIdle", FIGURE_BYTES, stats->heap_idle, 0},
        {"HeapReleased", FIGURE_BYTES, stats->heap_released, 0},
        {"HeapObjects", FIGURE_COUNT, stats->heap_objects, cache_error / 8},
        {"StackInuse", FIGURE_BYTES, stats->stack_inuse, 0},
        {"StackSys", FIGURE_BYTES, stats->stack_sys, 0},
        {"MSpanInuse", FIGURE_BYTES, stats->mspan_inuse, 0},
        {"MSpanSys", FIGURE_BYTES, stats->mspan_sys, 0},
        {"MCacheInuse", FIGURE_BYTES, stats->mcache_inuse, 0},
        {"MCacheSys", FIGURE_BYTES, stats->mcache_sys, 0},
        {"BuckHashSys", FIGURE_BYTES, stats->buckhash_sys, 0},
        {"GCSys", FIGURE_BYTES, stats->gc_sys, 0},
        {"OtherSys", FIGURE_BYTES, stats->other_sys, 0},
        {"TotalAlloc", FIGURE_BYTES, stats->total_alloc, cache_error},
        {"Mallocs", FIGURE_COUNT, stats->mallocs, cache_error / 8},
        {"Frees", FIGURE_COUNT, stats->frees, cache_error / 8},
        {"NextGC", FIGURE_BYTES, stats->next_gc, 0},
        {"LastGC", FIGURE_NANOSECONDS, stats->last_gc, 0},
        {"NumGC", FIGURE_COUNT, stats->num_gc, 0},
        {"NumForcedGC", FIGURE_COUNT, stats->num_forced_gc, 0},
        {"PauseTotalNs", FIGURE_NANOSECONDS, stats->pause_total_ns, 0},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        int error = report_add_figure(report, figures[i].name, figures[i].unit, figures[i].value,
                                      figures[i].error);
        if (error)
            return error;
    }
    return report_add_ratio(report, "GCCPUFraction", stats->gc_cpu_fraction);
}

// Identity and what follows from the version alone.
static void report_identity(const struct image *image, const struct go_runtime *runtime,
                            struct runtime_report *report)
{
    text_copy(text_of("Go"), report->name, sizeof report->name);
    text_copy(text_of(runtime->version.text), report->version, sizeof report->version);
    text_copy(text_of(image->path ? image->path : ""), report->place, sizeof report->place);
    report->facts |= FACT_GO;
    if (runtime->version.minor >= 12 && runtime->version.minor <= 15)
        report->facts |= FACT_GO_1_12_TO_1_15;
}

// May the target's memory be read? The image's first page is mapped in any case.
static bool memory_is_denied(const struct target *target, const struct image *image)
{
    uint64_t word;
    int error = process_peek_u64(target->process, image->low, &word);
    return error == -EPERM || error == -EACCES;
}

// Why there is no ledger, if there is more to say than that, and what would help: static text.
struct refusal {
    const char *reason, *needs;
};

// Yama's scope 1 forbids attaching to all but one's own children, and reading memory counts as
// that.
static const struct refusal denied = {
    NULL, "the right to attach (ptrace): root, or the target's user where kernel.yama.ptrace_scope "
          "is 0"};

// Nothing is guessed: the memory is claimed as held, and the reason is said.
static int report_refusal(const struct target *target, const struct image *image,
                          const struct go_runtime *runtime, const struct refusal *refusal,
                          struct runtime_report *report)
{
    char what[96] = "Go's ledger";
    if (refusal->reason)
        snprintf(what, sizeof what, "Go's ledger: %s", refusal->reason);
    int error = report_add_unread(report, what, refusal->needs);
    if (!error)
        error = go_knobs_report(target, image, runtime, NULL, report);
    return error ? error : go_account_report_opaque(target, runtime, report);
}

// Figures, settings, then memory: each is kept when a later one fails.
static int report_ledger(const struct target *target, const struct image *image,
                         const struct go_runtime *runtime, uint64_t deadline_ns,
                         struct runtime_report *report)
{
    struct go_ledger *ledger = malloc(sizeof *ledger);
    if (!ledger)
        return -ENOMEM;
    bool steady;
    int error = go_ledger_read(runtime, LEDGER_TRIES, ledger, &steady);
    if (error) {
        free(ledger);
        const struct refusal refusal = {"its counters could not be read", "a second look"};
        return report_refusal(target, image, runtime, &refusal, report);
    }
    report->approximate = !steady;
    text_copy(text_of(runtime->found_by), report->method, sizeof report->method);
    struct go_memstats stats;
    go_ledger_compute(runtime, ledger, &stats);
    // Without allp, or with a span that changed hands, what the caches hold back is an error bound.
    bool has_caches = ledger->caches.count > 0 && ledger->caches.unread_spans == 0;
    error = report_figures(&stats, has_caches, report);
    if (!error)
        error = go_knobs_report(target, image, runtime, ledger, report);
    free(ledger);
    if (error)
        return error;
    error = go_account_report(target, runtime, &stats, deadline_ns, report);
    if (error != -ENOENT && error != -EBADMSG && error != -ENODATA && error != -EFAULT)
        return error;
    // The figures stand; where the heap is could not be told.
    error = report_add_unread(report, "where Go's heap lies", "a version whose heap is known");
    return error ? error : go_account_report_opaque(target, runtime, report);
}

// Runtimes beyond the first one are named, not read.
static int report_others(const struct target *target, size_t index, struct runtime_report *report)
{
    const struct image *image;
    while ((image = next_image(target, &index)) != NULL) {
        char what[96];
        snprintf(what, sizeof what, "another Go runtime, in %s", image->path ? image->path : "?");
        int error = report_add_unread(report, what, "nothing: only the first one is read");
        if (error)
            return error;
    }
    return 0;
}

// Until something better is known: is there code in the process that may call a malloc? Beside a
// static executable there is none, and none in glibc's loader, which runs position-independent
// ones. musl's loader is its libc.
static bool has_other_code(const struct target *target)
{
    for (size_t i = 0; i < target->images->count; i++) {
        const struct image *image = &target->images->items[i];
        const char *slash = image->path ? strrchr(image->path, '/') : NULL;
        bool is_loader =
            slash && (strncmp(slash, "/ld-linux", 9) == 0 || strncmp(slash, "/ld-2.", 6) == 0);
        if (!image->is_main && !is_loader)
            return true;
    }
    return false;
}

// A refusal is a result: version, settings and the size of what is held are told all the same.
static int go_read(const struct target *target, struct runtime_report *ret_report)
{
    size_t index = 0;
    const struct image *image = next_image(target, &index);
    if (!image)
        return -ENOENT;
    uint64_t deadline_ns =
        target->budget_ms ? go_now_ns() + (uint64_t)target->budget_ms * 1000000u : 0;
    // Tables of .bss and of mheap_ may have pages that were never touched: they read as zeros.
    struct go_live_memory live = {target->process, target->mappings};
    struct go_runtime runtime = {
        .memory = go_memory_of_live(&live),
        .machine = image->machine,
        .image_low = image->low,
        .image_high = image->high,
        .has_cgo = !image->is_main || has_other_code(target),
    };
    int error = go_version_read(image, target->process, &runtime.version);
    report_identity(image, &runtime, ret_report);
    struct go_limits limits = limits_of(target);
    struct refusal refusal = {"its version could not be read",
                              "nothing: the build information is damaged, or was taken out"};
    if (memory_is_denied(target, image)) {
        refusal = denied;
        error = -EPERM;
    }
    if (!error) {
        error = go_locate(target, image, &limits, deadline_ns, &runtime, &refusal.reason);
        refusal.needs =
            error == -ETIME ? "more time" : "a binary with symbols or debug information";
    }
    if (runtime.version.race)
        ret_report->facts |= FACT_RACE_DETECTOR;
    if (error)
        error = report_refusal(target, image, &runtime, &refusal, ret_report);
    else
        error = report_ledger(target, image, &runtime, deadline_ns, ret_report);
    return error ? error : report_others(target, index, ret_report);
}

const struct runtime_reader go_reader = {
    .name = "Go",
    .find = go_find,
    .read = go_read,
};
