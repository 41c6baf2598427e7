// SPDX-License-Identifier: Apache-2.0
// The doctor's report as JSON, as docs/json.md describes it. Tool world; pure.
#include "render/doctor.h"

#include <errno.h>

#include "render/json.h"

#ifdef EBB_WITH_JSON

// Texts may hold a group's path or a kernel's release: escaped like names.
static json_t *json_of_item(const struct doctor_item *item)
{
    json_t *object = json_object();
    json_object_set_new(object, "section", json_string(doctor_section_name(item->section)));
    json_object_set_new(object, "id", json_string(item->id));
    json_object_set_new(object, "status", json_string(doctor_status_name(item->status)));
    json_object_set_new(object, "title", json_of_name(item->title));
    json_object_set_new(object, "detail", json_of_name(item->detail));
    json_object_set_new(object, "help", item->help[0] ? json_of_name(item->help) : json_null());
    return object;
}

// A list, not an object by id: the order is that of the text.
static json_t *json_of_items(const struct doctor_report *report)
{
    json_t *array = json_array();
    for (size_t i = 0; i < report->item_count; i++)
        json_array_append_new(array, json_of_item(&report->items[i]));
    return array;
}

// A figure in KiB as bytes; fake trees may hold any number.
static json_t *json_of_kib(uint64_t kib)
{
    return json_of_u64(kib < UINT64_MAX / 1024 ? kib * 1024 : UINT64_MAX);
}

// The figures that alarms want, as numbers; the rest is in the items' texts.
static json_t *json_of_memory(const struct doctor_report *report)
{
    const struct meminfo *meminfo = &report->readings.host.meminfo;
    json_t *object = json_object();
    json_object_set_new(object, "total_bytes", json_of_kib(meminfo->total_kib));
    json_object_set_new(object, "available_bytes", json_of_kib(meminfo->available_kib));
    json_object_set_new(object, "lazy_bound_bytes", json_of_u64(report->lazy_bound_bytes));
    json_object_set_new(object, "swap_total_bytes", json_of_kib(meminfo->swap_total_kib));
    return object;
}

// Null where there is no memory controller.
static json_t *json_of_group(const struct cgroup *cgroup)
{
    if (cgroup->version == 0)
        return json_null();
    // No limit is null, as in the account's JSON.
    bool is_limited = cgroup->limit_bytes != CGROUP_NO_LIMIT;
    json_t *object = json_object();
    json_object_set_new(object, "version", json_integer(cgroup->version));
    json_object_set_new(object, "path", json_of_name(cgroup->path));
    json_object_set_new(object, "limit_bytes",
                        is_limited ? json_of_u64(cgroup->limit_bytes) : json_null());
    if (cgroup->has_usage)
        json_object_set_new(object, "usage_bytes", json_of_u64(cgroup->usage_bytes));
    return object;
}

// Ids are stable and titles are not: programs compare the former.
int render_doctor_json(const struct doctor_report *report, struct buffer *buffer)
{
    json_t *object = json_object();
    json_object_set_new(object, "schema", json_integer(1));
    json_object_set_new(object, "kernel", json_of_name(report->readings.host.release));
    json_object_set_new(object, "memory", json_of_memory(report));
    json_object_set_new(object, "cgroup", json_of_group(&report->readings.cgroup));
    json_object_set_new(object, "items", json_of_items(report));
    return json_append(object, buffer);
}

// Built without jansson: the verb says so.
#else

int render_doctor_json(const struct doctor_report *report, struct buffer *buffer)
{
    (void)report;
    (void)buffer;
    return -ENOTSUP;
}

#endif
