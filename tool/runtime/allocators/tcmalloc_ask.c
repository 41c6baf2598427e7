// SPDX-License-Identifier: Apache-2.0
// Asking tcmalloc, see tcmalloc_ask.h. Tool world; no state.
//
// Each property is a call of its own, and other threads go on meanwhile: the first is asked again
// at the end, and what it has moved by is the error.
#include "runtime/allocators/tcmalloc_ask.h"

#include <errno.h>

#include "base/number.h"
#include "runtime/allocators/tcmalloc_property.h"
#include "runtime/ask.h"

enum property {
    ALLOCATED,
    HEAP_SIZE,
    PHYSICAL,
    PAGEHEAP_FREE,
    PAGEHEAP_UNMAPPED,
    CENTRAL_FREE,
    TRANSFER_FREE,
    THREAD_FREE,
    PROPERTY_COUNT
};

// `short_name` is what fits a figure's name.
static const struct {
    const char *name, *short_name;
    bool is_required;
} properties[PROPERTY_COUNT] = {
    [ALLOCATED] = {"generic.current_allocated_bytes", "current_allocated_bytes", true},
    [HEAP_SIZE] = {"generic.heap_size", "heap_size", true},
    // From 2.5 on; without it the metadata cannot be told.
    [PHYSICAL] = {"generic.total_physical_bytes", "total_physical_bytes", false},
    [PAGEHEAP_FREE] = {"tcmalloc.pageheap_free_bytes", "pageheap_free_bytes", true},
    [PAGEHEAP_UNMAPPED] = {"tcmalloc.pageheap_unmapped_bytes", "pageheap_unmapped_bytes", true},
    [CENTRAL_FREE] = {"tcmalloc.central_cache_free_bytes", "central_cache_free_bytes", false},
    [TRANSFER_FREE] = {"tcmalloc.transfer_cache_free_bytes", "transfer_cache_free_bytes", false},
    [THREAD_FREE] = {"tcmalloc.current_total_thread_cache_bytes", "thread_cache_bytes", false},
};

// One that this version lacks counts as nothing, unless no account can be made without it.
static int read_property(struct call_session *session, uint64_t function, enum property property,
                         uint64_t *ret_value)
{
    int error = tcmalloc_property_read(session, function, properties[property].name, ret_value);
    if (error != -ENOENT)
        return error;
    if (properties[property].is_required)
        return -EBADMSG;
    *ret_value = 0;
    return 0;
}

// All in one stop: a few calls of microseconds each.
static int read_all(struct call_session *session, uint64_t function,
                    uint64_t values[PROPERTY_COUNT], uint64_t *ret_again)
{
    int error = 0;
    for (int i = 0; i < PROPERTY_COUNT && !error; i++)
        error = read_property(session, function, (enum property)i, &values[i]);
    return error ? error : read_property(session, function, ALLOCATED, ret_again);
}

// What is free or gone is part of the heap, and so is what is allocated; the heap is part of the
// address space. Sums that wrap round are none.
static bool is_sound(const struct target *target, const uint64_t values[PROPERTY_COUNT])
{
    // These are all that a heap is made of; each is of its own moment.
    uint64_t sum = 0;
    static const enum property parts[] = {ALLOCATED,    PAGEHEAP_FREE, PAGEHEAP_UNMAPPED,
                                          CENTRAL_FREE, TRANSFER_FREE, THREAD_FREE};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (__builtin_add_overflow(sum, values[parts[i]], &sum))
            return false;
    // Threads that go on may move a few batches from one part to another meanwhile.
    const uint64_t moved_bytes = 64ULL << 20;
    const struct mappings *mappings = target->mappings;
    uint64_t mapped = 0;
    for (size_t i = 0; i < mappings->count; i++)
        mapped += mappings->items[i].end - mappings->items[i].start;
    return values[HEAP_SIZE] <= mapped && sum <= values[HEAP_SIZE] + moved_bytes;
}

// A property that this version lacks is left out rather than shown as 0.
static int add_figures(struct runtime_report *report, const uint64_t values[PROPERTY_COUNT])
{
    int error = 0;
    for (int i = 0; i < PROPERTY_COUNT && !error; i++)
        if (values[i] > 0 || properties[i].is_required)
            error = report_add_bytes(report, properties[i].short_name, values[i]);
    return error;
}

// total_physical_bytes = heap_size + metadata - unmapped.
static uint64_t metadata_bytes(const uint64_t values[PROPERTY_COUNT])
{
    uint64_t mapped =
        values[HEAP_SIZE] - number_least(values[PAGEHEAP_UNMAPPED], values[HEAP_SIZE]);
    return values[PHYSICAL] > mapped ? values[PHYSICAL] - mapped : 0;
}

int tcmalloc_ask(const struct target *target, const struct image *image,
                 struct runtime_report *report)
{
    uint64_t function = ask_find_function(image, "MallocExtension_GetNumericProperty");
    if (!function)
        return -ENOENT;
    // Symbols were looked up before: nothing is stopped where there is nothing to call.
    struct call_session *session;
    int error = ask_begin(target, &session);
    if (error)
        return error;
    uint64_t values[PROPERTY_COUNT], again = 0;
    error = read_all(session, function, values, &again);
    ask_end(target, error);
    if (error)
        return error;
    // The answers come from the target's memory, which may say anything.
    if (!is_sound(target, values))
        return -EBADMSG;
    uint64_t allocated = values[ALLOCATED];
    const struct ask_answer answer = {
        // Caches hold objects that are free, in spans that are not: holes, not free pages.
        .in_use_bytes = allocated,
        .slack_bytes = values[CENTRAL_FREE] + values[TRANSFER_FREE] + values[THREAD_FREE],
        .kept_bytes = values[PAGEHEAP_FREE],
        .metadata_bytes = metadata_bytes(values),
        .error_bytes = again > allocated ? again - allocated : allocated - again,
        .source = "asked: MallocExtension_GetNumericProperty()",
    };
    error = add_figures(report, values);
    return error ? error : ask_add_parts(report, &answer);
}
