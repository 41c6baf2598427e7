// SPDX-License-Identifier: Apache-2.0
// glibc's settings in force, see result.h. Tool world; pure but for the report.
#include <inttypes.h>
#include <stdio.h>

#include "proc/status.h"
#include "runtime/glibc/result.h"

// The environment at the start of the process, which is when glibc reads it.
// Source: ptmalloc_init() of malloc/arena.c up to 2.25; from 2.26 on the old names are aliases of
// tunables (elf/dl-tunables.list); MALLOC_CHECK_ does nothing from 2.34 on without
// libc_malloc_debug.so.
static int add_environment(const struct target *target, struct runtime_report *report)
{
    static const char *const names[] = {
        "GLIBC_TUNABLES",         "MALLOC_ARENA_MAX",       "MALLOC_ARENA_TEST",
        "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_",
        "MALLOC_TOP_PAD_",        "MALLOC_PERTURB_",        "MALLOC_CHECK_",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct text value;
        char copy[sizeof((struct runtime_setting *)0)->value];
        if (!proc_environ_find(target->environ_text, names[i], &value))
            continue;
        text_copy(value, copy, sizeof copy);
        int error = report_add_setting(report, names[i], copy, "environment");
        if (error)
            return error;
    }
    return 0;
}

// Bytes and counts as they lie in memory, whoever has set them.
static int add_value(struct runtime_report *report, const char *name, uint64_t value,
                     const char *note)
{
    char text[64];
    snprintf(text, sizeof text, "%" PRIu64 "%s", value, note);
    return report_add_setting(report, name, text, "malloc_par");
}

int glibc_report_settings(const struct target *target, const struct glibc_result *result,
                          struct runtime_report *report)
{
    int error = add_environment(target, report);
    const struct glibc_par *par = &result->state.par;
    // Defaults differ by version: what was not read is not said.
    if (error || !result->state.has_par)
        return error;
    // free() of a mapped block raises both thresholds unless the user has set one.
    const char *note = par->is_threshold_fixed ? "" : " (moves with use)";
    error = add_value(report, "mmap_threshold", par->mmap_threshold, note);
    if (!error)
        error = add_value(report, "trim_threshold", par->trim_threshold, note);
    if (!error)
        error = add_value(report, "top_pad", par->top_pad, "");
    if (!error)
        error = add_value(report, "arena_max", par->arena_max,
                          par->arena_max ? "" : " (8 per processor)");
    if (!error && par->has_tcache)
        error = add_value(report, "tcache_count", par->tcache_count, "");
    if (!error && par->has_tcache)
        error = add_value(report, "tcache_max", par->tcache_max_bytes, "");
    if (!error && par->thp_page_bytes)
        error = add_value(report, "hugetlb thp", par->thp_page_bytes, "");
    if (!error && par->huge_page_bytes)
        error = add_value(report, "hugetlb", par->huge_page_bytes, "");
    return error;
}
