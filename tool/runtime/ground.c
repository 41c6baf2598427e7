// SPDX-License-Identifier: Apache-2.0
// What kernel and ELF files alone tell of anonymous memory: .bss of images, and threads' stacks.
// Tool world.
//
// The kernel merges neighbouring anonymous mappings, so .bss may share a mapping with a heap, and a
// stack with the block that was mapped before it. Both are cut out here first; the readers of
// runtimes get the rest. Images come before stacks: program headers are exact, a stack is guessed.
#include <errno.h>

#include "runtime/target.h"

static bool always(const struct target *target)
{
    (void)target;
    return true;
}

static void ground_begin(struct runtime_report *report, enum account_row row, const char *source)
{
    report->facts = FACT_GROUND;
    report->rest_row = row;
    text_copy(text_of(source), report->place, sizeof report->place);
}

// Claims the anonymous part of every image's span: .bss, and what RELRO or a written .data has
// turned anonymous. Of hostile files that claim to span everything the first gets it; all together
// they cost images (IMAGES_MAX) times mappings.
static int image_read_claims(const struct target *target, struct runtime_report *report)
{
    ground_begin(report, ROW_CODE_FILES, "smaps: .bss of mapped images");
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

// A guard: no access, right below, and small. Above a larger one begins somebody's reservation (a
// Go arena, a heap of glibc), and a stack pointer there belongs to a goroutine or a fiber.
static bool stack_is_guarded(const struct target *target, size_t index)
{
    const struct mapping *mapping = &target->mappings->items[index];
    if (index == 0)
        return false;
    const struct mapping *below = mapping - 1;
    return below->end == mapping->start && !(below->flags & (MAPPING_READ | MAPPING_WRITE)) &&
           below->end - below->start <= (1 << 20);
}

// Where the stack inside a guarded mapping ends. It has the default size unless the program chose
// another; what the mapping holds beyond that was merged to it. glibc counts the guard in the
// stack's size (nptl/allocatestack.c). Where a program chose smaller stacks, up to the default size
// of what was merged to one counts as stack.
static uint64_t stack_end(const struct target *target, size_t index)
{
    const struct mapping *mapping = &target->mappings->items[index];
    uint64_t end;
    if (target->stack_limit_bytes == 0 ||
        __builtin_add_overflow(mapping[-1].start, target->stack_limit_bytes, &end))
        return mapping->end;
    return end < mapping->end ? end : mapping->end;
}

// Claims the stack of one sleeping thread. Nothing without a guard mapping below it (a stack that
// the program made, or glibc from 2.42 on, which marks guards inside the mapping): no border of it
// is known then, and it is left to the readers of runtimes, or unexplained.
static int stack_claim(const struct target *target, struct runtime_report *report, uint64_t pointer)
{
    const struct mapping *mapping = mappings_find(target->mappings, pointer);
    if (!mapping || mapping->kind != MAPPING_ANONYMOUS)
        return 0;
    size_t index = (size_t)(mapping - target->mappings->items);
    if (!stack_is_guarded(target, index))
        return 0;
    uint64_t end = stack_end(target, index);
    return pointer < end ? target_claim(target, report, mapping->start, end) : 0;
}

static int stack_read_claims(const struct target *target, struct runtime_report *report)
{
    ground_begin(report, ROW_STACKS,
                 "smaps: [stack], and mappings that threads' stack pointers are in");
    const struct mappings *mappings = target->mappings;
    for (size_t i = 0; i < target->thread_count; i++) {
        int error = stack_claim(target, report, target->threads[i].stack_pointer);
        if (error)
            return error;
    }
    // The first thread's stack has a name of its own; the kernel grows it, so it is never merged.
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
