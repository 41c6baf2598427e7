// SPDX-License-Identifier: Apache-2.0
// jemalloc's options as in force at its start: from its option strings, later ones over earlier
// ones. Tool world; pure.
//
// Sources: jemalloc(3) "TUNING"; defaults from include/jemalloc/internal/arena_types.h of 5.0
// to 5.3 and the ChangeLog of 5.2.0 ("Disable muzzy decay by default").
#ifndef EBB_RUNTIME_ALLOCATORS_JEMALLOC_SETTINGS_H
#define EBB_RUNTIME_ALLOCATORS_JEMALLOC_SETTINGS_H

#include "runtime/settings.h"
#include "runtime/report.h"

// One option string and where it comes from ("environment MALLOC_CONF").
struct jemalloc_source {
    struct text text;
    const char *name;
};

// Adds the settings to the report: those that decide when memory goes back always, others where
// they are set. `version` may be NULL (unknown: no defaults). Sources in the order in which
// jemalloc reads them. Sets FACT_JEMALLOC_MUZZY and FACT_GIVES_LAZILY. 0 or -ENOMEM.
int jemalloc_settings_add(struct runtime_report *report, const struct setting_version *version,
                          const struct jemalloc_source *sources, size_t count);

#endif
