// SPDX-License-Identifier: Apache-2.0
// The families of groups and of memory groups, see state.h. Tool world; pure.
//
// A family's points must stand together, so each family walks over all series once.
#include <stddef.h>
#include <stdio.h>

#include "metrics/state.h"

// A family whose points are one field of a series.
struct plain_family {
    const char *name, *unit, *help;
    size_t offset; // of a uint64_t
};

// In the order in which people ask. Sums over processes are gauges, since processes come and go.
static const struct plain_family plain_families[] = {
    {"processes", NULL, "Processes.", offsetof(struct metrics_series, processes)},
    {"threads", NULL, "Threads.", offsetof(struct metrics_series, threads)},
    {"accounts", NULL,
     "Processes whose account is known: the account, runtime and verdict metrics "
     "are of these.",
     offsetof(struct metrics_series, accounts)},
    {"lazy_unknown_processes", NULL,
     "Processes of which nobody could tell what is lazily freed: their effective bytes are their "
     "resident bytes.",
     offsetof(struct metrics_series, lazy_unknown)},
    {"resident_bytes", "bytes", "RSS, summed over the processes: what they share counts for each.",
     offsetof(struct metrics_series, resident_bytes)},
    {"lazily_freed_bytes", "bytes",
     "Memory given back with MADV_FREE that the kernel has not taken yet: it is in RSS, and it is "
     "free.",
     offsetof(struct metrics_series, lazy_bytes)},
    {"effective_bytes", "bytes", "RSS without what is lazily freed: the number for alarms.",
     offsetof(struct metrics_series, effective_bytes)},
    {"swap_bytes", "bytes", "Memory in swap, summed over the processes.",
     offsetof(struct metrics_series, swap_bytes)},
    {"reclaimable_bytes", "bytes",
     "What could be got back without losing a byte: lazily freed, and free but kept by runtimes.",
     offsetof(struct metrics_series, reclaimable_bytes)},
};

// Counters: milliseconds become seconds.
static const struct {
    const char *name, *unit, *help;
    enum metrics_counter counter;
    double divisor;
} counter_families[] = {
    {"cpu_seconds", "seconds", "CPU time of the processes, of ended ones too.", METRICS_CPU_MS,
     1000},
    {"minor_faults", NULL, "Page faults without input, of ended processes too.",
     METRICS_MINOR_FAULTS, 1},
    {"major_faults", NULL, "Page faults with input, of ended processes too.", METRICS_MAJOR_FAULTS,
     1},
    {"collections", NULL, "Garbage collections of runtimes whose figures can be read.",
     METRICS_COLLECTIONS, 1},
};

// What the points of one dimension have in common.
struct drawing {
    const struct metrics_dimension *dimension;
    const char *prefix, *label_name;
    struct exposition *exposition;
    char name[96]; // of the family that is being drawn
};

static void begin(struct drawing *drawing, const char *name, enum metrics_type type,
                  const char *unit, const char *help)
{
    // Kept in the drawing: the family's name is used for all of its points.
    snprintf(drawing->name, sizeof drawing->name, "%s_%s", drawing->prefix, name);
    exposition_family(drawing->exposition, drawing->name, type, unit, help);
}

// One field of each series; the offset stands for nine functions that would differ in a name.
static void draw_plain(struct drawing *drawing, const struct plain_family *family)
{
    begin(drawing, family->name, METRICS_GAUGE, family->unit, family->help);
    for (size_t i = 0; i < drawing->dimension->count; i++) {
        const struct metrics_series *series = &drawing->dimension->series[i];
        const struct metrics_label labels[] = {{drawing->label_name, series->label}, {NULL, NULL}};
        const char *field = (const char *)series + family->offset;
        exposition_count(drawing->exposition, labels, *(const uint64_t *)(const void *)field);
    }
}

// Series without any account have no rows: 0 would be a lie.
static void draw_account(struct drawing *drawing)
{
    begin(drawing, "account_bytes", METRICS_GAUGE, "bytes",
          "Who owns the resident memory, by row of the account, at each process's last account.");
    for (size_t i = 0; i < drawing->dimension->count; i++) {
        const struct metrics_series *series = &drawing->dimension->series[i];
        // All rows, those of 0 bytes too: a series that comes and goes cannot be summed.
        for (int row = 0; row < ROW_COUNT && series->accounts > 0; row++) {
            const struct metrics_label labels[] = {
                {drawing->label_name, series->label},
                {"row", account_row_key((enum account_row)row)},
                {NULL, NULL},
            };
            exposition_count(drawing->exposition, labels, series->row_bytes[row]);
        }
    }
}

// Only those that some process has: a Go figure of a group of shells would be noise.
static void draw_figures(struct drawing *drawing)
{
    begin(drawing, "runtime_bytes", METRICS_GAUGE, "bytes",
          "Figures of the runtimes' own ledgers, under their own names.");
    for (size_t i = 0; i < drawing->dimension->count; i++) {
        const struct metrics_series *series = &drawing->dimension->series[i];
        // The table's order keeps figures of a runtime together.
        for (int figure = 0; figure < METRICS_FIGURES; figure++) {
            const struct metrics_label labels[] = {
                {drawing->label_name, series->label},
                {"runtime", metrics_figures[figure].runtime},
                {"figure", metrics_figures[figure].name},
                {NULL, NULL},
            };
            if (series->has_figure[figure])
                exposition_count(drawing->exposition, labels, series->figures[figure]);
        }
    }
}

// All of the set where there is any account, so that a change is a 0 and a 1, and not a gap.
static void draw_verdicts(struct drawing *drawing)
{
    begin(drawing, "verdict", METRICS_GAUGE, NULL,
          "1 where at least one process of the group has this verdict.");
    for (size_t i = 0; i < drawing->dimension->count; i++) {
        const struct metrics_series *series = &drawing->dimension->series[i];
        for (int code = VERDICT_LAZY; code <= VERDICT_UNKNOWN && series->accounts > 0; code++) {
            const struct metrics_label labels[] = {
                {drawing->label_name, series->label},
                {"verdict", verdict_name((enum verdict_code)code)},
                {NULL, NULL},
            };
            exposition_count(drawing->exposition, labels, series->has_verdict[code]);
        }
    }
}

// Base units: the kernel counts time in ticks, the samples in milliseconds, metrics in seconds.
static void draw_counters(struct drawing *drawing)
{
    for (size_t k = 0; k < sizeof counter_families / sizeof counter_families[0]; k++) {
        begin(drawing, counter_families[k].name, METRICS_COUNTER, counter_families[k].unit,
              counter_families[k].help);
        for (size_t i = 0; i < drawing->dimension->count; i++) {
            const struct metrics_series *series = &drawing->dimension->series[i];
            const struct metrics_label labels[] = {{drawing->label_name, series->label},
                                                   {NULL, NULL}};
            // Already the label's total, see dimension.c.
            uint64_t value = series->counters[counter_families[k].counter];
            exposition_number(drawing->exposition, labels,
                              (double)value / counter_families[k].divisor);
        }
    }
}

// Names by `prefix`, labels by `label_name`: groups and cgroups have the same families.
void metrics_render_dimension(const struct metrics_dimension *dimension, const char *prefix,
                              const char *label_name, struct exposition *exposition)
{
    struct drawing drawing = {
        .dimension = dimension,
        .prefix = prefix,
        .label_name = label_name,
        .exposition = exposition,
    };
    for (size_t i = 0; i < sizeof plain_families / sizeof plain_families[0]; i++)
        draw_plain(&drawing, &plain_families[i]);
    draw_account(&drawing);
    draw_figures(&drawing);
    draw_verdicts(&drawing);
    draw_counters(&drawing);
}
