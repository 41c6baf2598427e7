// SPDX-License-Identifier: Apache-2.0
// Which figures of which runtime become metrics. Tool world; pure, constant.
//
// A list of what is allowed, and not of what is not: a new figure of a reader must not become some
// hundred new series in everybody's database by itself.
#ifndef EBB_METRICS_FIGURES_H
#define EBB_METRICS_FIGURES_H

#include "sample/sample.h"

// Bytes are gauges, summed over the processes of a group; collections are counters.
struct metrics_figure {
    const char *runtime, *name;
    bool is_collections;
};

enum { METRICS_FIGURES = 34 };
extern const struct metrics_figure metrics_figures[METRICS_FIGURES];

// The place of a digest's figure in the table, or -1. A figure whose unit is not the expected one
// is not taken.
int metrics_figure_place(const struct digest_figure *figure);

// All collections of garbage that a digest tells of, or 0.
uint64_t metrics_collections(const struct digest *digest);

#endif
