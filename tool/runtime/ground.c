// SPDX-License-Identifier: Apache-2.0
// What kernel and ELF files alone tell of anonymous memory: .bss of images, and threads' stacks. Tool world.
//
// The kernel merges neighbouring anonymous mappings, so .bss may share a mapping with a heap, and a stack with the
// block that was mapped before it. Both are cut out here first; the readers of runtimes get the rest.
#include <errno.h>

#include "runtime/target.h"

static bool always(const struct target *target)
{
    (void)target;
    return true;
}

// Claims the anonymous part of every image's span.
static int image_read_claims(const struct target *target, struct runtime_report *report)
{
    report->facts = FACT_GROUND;
    report->rest_row = ROW_CODE_FILES;
    const struct mappings *mappings = target->mappings;
    for (size_t i = 0; i < target->images->count; i++) {
        const struct image *image = &target->images->items[i];
        for (size_t k = mappings_lower_bound(mappings, image->low); k < mappings->count; k++) {
            const struct mapping *mapping = &mappings->items[k];
            if (mapping->start >= image->high)
                break;
            if (mapping->kind != MAPPING_ANONYMOUS && mapping->kind != MAPPING_BRK)
                continue;
            uint64_t start = mapping->start > image->low ? mapping->start : image->low;
            uint64_t end = mapping->end < image->high ? mapping->end : image->high;
            int error = target_claim(target, report, start, end);
            if (error)
                return error;
        }
    }
    return 0;
}

// Where the stack inside a mapping ends. A thread's stack lies above a guard without access and has the default
// size unless the program chose another; what the mapping holds beyond that was merged to it.
static uint64_t stack_end(const struct target *target, size_t index)
{
    const struct mapping *mapping = &target->mappings->items[index];
    uint64_t base = mapping->start;
    if (mapping->kind == MAPPING_STACK || target->stack_limit_bytes == 0 || index == 0)
        return mapping->end;
    const struct mapping *below = mapping - 1;
    bool guarded = below->end == base && !(below->flags & (MAPPING_READ | MAPPING_WRITE));
    // glibc counts the guard in the stack's size; a guard larger than a megabyte is somebody's reservation.
    if (guarded && below->end - below->start <= (1 << 20))
        base = below->start;
    uint64_t end;
    if (__builtin_add_overflow(base, target->stack_limit_bytes, &end) || end > mapping->end)
        return mapping->end;
    return end;
}

static int stack_read_claims(const struct target *target, struct runtime_report *report)
{
    report->facts = FACT_GROUND;
    report->rest_row = ROW_STACKS;
    const struct mappings *mappings = target->mappings;
    for (size_t i = 0; i < target->thread_count; i++) {
        uint64_t pointer = target->threads[i].stack_pointer;
        const struct mapping *mapping = mappings_find(mappings, pointer);
        if (!mapping || target_is_claimed(target, mapping->start, mapping->end))
            continue;
        if (mapping->kind != MAPPING_ANONYMOUS)
            continue;
        uint64_t end = stack_end(target, (size_t)(mapping - mappings->items));
        // A pointer above the default size runs on a stack of another kind (a goroutine's, a fiber's).
        if (pointer >= end)
            continue;
        int error = target_claim(target, report, mapping->start, end);
        if (error)
            return error;
    }
    for (size_t i = 0; i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        if (mapping->kind != MAPPING_STACK)
            continue;
        int error = target_claim(target, report, mapping->start, mapping->end);
        if (error)
            return error;
    }
    return 0;
}

const struct runtime_reader image_reader = {
    .name = "images",
    .find = always,
    .read = image_read_claims,
};

const struct runtime_reader stack_reader = {
    .name = "stacks",
    .find = always,
    .read = stack_read_claims,
};
