// SPDX-License-Identifier: Apache-2.0
// The table of a runtime's figures that become metrics, see figures.h. Tool world; pure, constant.
#include "metrics/figures.h"

#include <string.h>

// The names are those of the runtimes' own documentation, as their readers give them
// (docs/runtimes.md). Figures that only an --ask gives are not here: an exporter does not ask.
const struct metrics_figure metrics_figures[METRICS_FIGURES] = {
    // Go: what it has from the system, what of it is heap, in use, idle and given back.
    {"Go", "Sys", false},
    {"Go", "HeapSys", false},
    {"Go", "HeapAlloc", false},
    {"Go", "HeapInuse", false},
    {"Go", "HeapIdle", false},
    {"Go", "HeapReleased", false},
    {"Go", "StackInuse", false},
    {"Go", "NextGC", false},
    {"Go", "NumGC", true},
    {"libebb", "Sys", false},
    {"libebb", "HeapSys", false},
    {"libebb", "HeapAlloc", false},
    {"libebb", "HeapInuse", false},
    {"libebb", "HeapIdle", false},
    {"libebb", "HeapReleased", false},
    {"libebb", "HeapLazy", false},
    // glibc: as mallinfo2() calls them.
    {"glibc", "arena", false},
    {"glibc", "hblkhd", false},
    {"glibc", "uordblks", false},
    {"glibc", "fordblks", false},
    {"glibc", "keepcost", false},
    // jemalloc: as its statistics call them.
    {"jemalloc", "active", false},
    {"jemalloc", "dirty", false},
    {"jemalloc", "muzzy", false},
    {"jemalloc", "retained", false},
    {"jemalloc", "base", false},
    {"mimalloc", "used", false},
    {"JVM", "heap used", false},
    {"JVM", "heap committed", false},
    {"JVM", "metaspace used", false},
    {"JVM", "young collections", true},
    {"JVM", "full collections", true},
    {"CPython", "arena bytes", false},
    {"CPython", "pymalloc objects", false},
};

// The unit is compared too: a reader that changed it would else change what a series means.
int metrics_figure_place(const struct digest_figure *figure)
{
    for (int i = 0; i < METRICS_FIGURES; i++) {
        // Some thirty comparisons of a few bytes: no index is worth its code.
        enum figure_unit unit = metrics_figures[i].is_collections ? FIGURE_COUNT : FIGURE_BYTES;
        if (figure->figure.unit == unit &&
            strcmp(metrics_figures[i].name, figure->figure.name) == 0 &&
            strcmp(metrics_figures[i].runtime, figure->runtime) == 0)
            return i;
    }
    return -1;
}

// Young and full ones alike: a rate of them tells that the collector works, not how.
uint64_t metrics_collections(const struct digest *digest)
{
    uint64_t sum = 0;
    for (size_t i = 0; digest && i < digest->figure_count; i++) {
        int place = metrics_figure_place(&digest->figures[i]);
        // Hostile memory may hold any number; a sum that wraps would look like a restart.
        if (place >= 0 && metrics_figures[place].is_collections &&
            __builtin_add_overflow(sum, digest->figures[i].figure.value, &sum))
            return UINT64_MAX;
    }
    return sum;
}
