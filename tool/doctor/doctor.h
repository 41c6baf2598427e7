// SPDX-License-Identifier: Apache-2.0
// The doctor: what this kernel, group and these rights allow, and the traps of this host. Tool
// world.
//
// doctor_judge() is pure, so that every kernel can be judged from readings of it. Sources of the
// version numbers: madvise(2), process_madvise(2), Documentation/filesystems/proc.rst and
// cgroup-v2.rst.
#ifndef EBB_DOCTOR_DOCTOR_H
#define EBB_DOCTOR_DOCTOR_H

#include <stddef.h>

#include "doctor/readings.h"

enum doctor_status {
    DOCTOR_OK,      // there, and nothing holds it back
    DOCTOR_LIMITED, // there in part: the detail says which
    DOCTOR_MISSING, // not there, or not allowed
    DOCTOR_INFO,    // a fact without a judgement
};

enum doctor_section {
    DOCTOR_VERBS, // what can be done here and now
    DOCTOR_KERNEL,
    DOCTOR_MEMORY,
    DOCTOR_GROUP,
    DOCTOR_RIGHTS,
    DOCTOR_TRAPS,
    DOCTOR_SECTIONS,
};

enum { DOCTOR_DETAIL_MAX = 480, DOCTOR_ITEMS_MAX = 48 };

// Texts may hold raw bytes (a group's path, a kernel's release): renderers must escape them.
struct doctor_item {
    enum doctor_section section;
    enum doctor_status status;
    const char *id;    // stable, for programs: "madv_free"
    const char *title; // for people
    char detail[DOCTOR_DETAIL_MAX];
    char help[DOCTOR_DETAIL_MAX]; // what would help; "" nothing would, or nothing is needed
};

struct doctor_report {
    struct doctor_readings readings;
    uint64_t lazy_bound_bytes; // no more than this is lazily freed on the whole host
    struct doctor_item items[DOCTOR_ITEMS_MAX]; // by section
    size_t item_count;
};

void doctor_judge(const struct doctor_readings *readings, struct doctor_report *ret_report);

// doctor_read() and doctor_judge(). `libebb` is what the caller knows of it; NULL: nothing is said
// of it. 0 or -errno.
int doctor_examine(const char *proc_root, const struct doctor_library *libebb,
                   struct doctor_report *ret_report);

// "ok", "limited", "missing", "info"; "verbs", "kernel", ...: as in the JSON.
const char *doctor_status_name(enum doctor_status status);
const char *doctor_section_name(enum doctor_section section);

#endif
