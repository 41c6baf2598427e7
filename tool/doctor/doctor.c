// SPDX-License-Identifier: Apache-2.0
// Puts the doctor's report together, see doctor.h. Tool world; pure but for doctor_examine().
#include "doctor/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "doctor/judge.h"

// Ids and titles are constants of the program, so only pointers are kept.
struct doctor_item *doctor_add(struct doctor_report *report, enum doctor_section section,
                               enum doctor_status status, const char *id, const char *title)
{
    // The number of items is fixed by the code, not by what is read.
    if (report->item_count < DOCTOR_ITEMS_MAX)
        report->item_count++;
    struct doctor_item *item = &report->items[report->item_count - 1];
    *item = (struct doctor_item){.section = section, .status = status, .id = id, .title = title};
    return item;
}

// Cut where it does not fit: a group's path may be long, the figures stand before it.
void doctor_say(struct doctor_item *item, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(item->detail, sizeof item->detail, format, args);
    va_end(args);
}

// What would help is apart, so that programs and people can skip it.
void doctor_advise(struct doctor_item *item, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(item->help, sizeof item->help, format, args);
    va_end(args);
}

// Distributions backport, hence a probe is asked first wherever there is one.
bool doctor_kernel_has(const struct doctor_readings *readings, unsigned major, unsigned minor)
{
    return kernel_at_least(readings->host.kernel, major, minor);
}

// On means that there is any, used or not.
bool doctor_has_swap(const struct doctor_readings *readings)
{
    return readings->host.meminfo.swap_total_kib > 0;
}

// Inside a user namespace the bit is set for processes of that namespace alone.
bool doctor_can(const struct doctor_readings *readings, enum doctor_capability capability)
{
    return !readings->in_user_namespace && (readings->self.cap_effective >> capability & 1) != 0;
}

// The version only counts where nobody could be asked.
bool doctor_frees_lazily(const struct doctor_readings *readings)
{
    if (readings->probes.madv_free == DOCTOR_NOT_ASKED)
        return doctor_kernel_has(readings, 4, 5);
    return readings->probes.madv_free == 0;
}

// Readings in, judgement out: no file is opened and no clock is read here, so a tree of another
// kernel is judged in a test as that kernel's own would be.
void doctor_judge(const struct doctor_readings *readings, struct doctor_report *ret_report)
{
    *ret_report = (struct doctor_report){.readings = *readings};
    // A fake tree may claim more KiB than there are bytes.
    uint64_t bound_kib = meminfo_lazy_bound_kib(&readings->host.meminfo);
    ret_report->lazy_bound_bytes = bound_kib < UINT64_MAX / 1024 ? bound_kib * 1024 : UINT64_MAX;
    // In the order of enum doctor_section, which is the order of reading.
    doctor_judge_verbs(ret_report);
    doctor_judge_kernel(ret_report);
    doctor_judge_memory(ret_report);
    doctor_judge_group(ret_report);
    doctor_judge_rights(ret_report);
    doctor_judge_traps(ret_report);
}

// Reading and judging are apart, so that tests judge kernels that they do not run on.
int doctor_examine(const char *proc_root, const struct doctor_library *libebb,
                   struct doctor_report *ret_report)
{
    struct doctor_readings readings;
    int error = doctor_read(proc_root, &readings);
    if (error)
        return error;
    if (libebb)
        readings.libebb = *libebb;
    doctor_judge(&readings, ret_report);
    return 0;
}

// Names are part of the JSON: they are added to, never changed.
const char *doctor_status_name(enum doctor_status status)
{
    static const char *const names[] = {"ok", "limited", "missing", "info"};
    return names[status];
}

// In the order of enum doctor_section.
const char *doctor_section_name(enum doctor_section section)
{
    static const char *const names[] = {"verbs", "kernel", "memory", "cgroup", "rights", "traps"};
    return names[section];
}
