// SPDX-License-Identifier: Apache-2.0
// Where libebb is in a target, see find.h. Tool world; no state.
#include "runtime/libebb/find.h"

#include <errno.h>
#include <string.h>

#include "runtime/locate.h"
#include "wire/ledger.h"

// The one variable that every build exports, under whatever prefix its functions are.
static bool find_symbol(const struct image *image, uint64_t *ret_address)
{
    static const char *const name = "ebb_ledger";
    struct image_symbol symbol = {0};
    if (image_find_symbols(image, &name, 1, &symbol) != 1)
        return false;
    *ret_address = image->bias + symbol.value;
    return true;
}

// The heap is one reservation: a table that can be read, and right behind it, in memory that can
// be written, the ledger. Cost: a word of each mapping that begins so.
static uint64_t find_by_magic(const struct target *target)
{
    const struct mappings *mappings = target->mappings;
    const uint16_t access = MAPPING_READ | MAPPING_WRITE | MAPPING_SHARED;
    for (size_t i = 1; mappings && i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i], *before = mapping - 1;
        uint64_t magic;
        if (mapping->kind == MAPPING_ANONYMOUS && before->kind == MAPPING_ANONYMOUS &&
            before->end == mapping->start && mapping->start % WIRE_SLOT_BYTES == 0 &&
            (mapping->flags & access) == (MAPPING_READ | MAPPING_WRITE) &&
            (before->flags & access) == MAPPING_READ &&
            process_peek_u64(target->process, mapping->start, &magic) == 0 &&
            magic == WIRE_LEDGER_MAGIC)
            return mapping->start;
    }
    return 0;
}

// This very text stands in other programs too: only a heap, or the symbol, is proof.
static bool proves_libebb(const struct target *target, const struct image *image)
{
    uint64_t address;
    return find_symbol(image, &address) || (image->is_main && find_by_magic(target));
}

static const struct locate_rule libebb_rule = {
    .names = {"libebb.so"},
    .marks = MARK_LIBEBB,
    .proves = proves_libebb,
};

// For the table of readers, and for others that step back where libebb serves the program.
bool libebb_is_there(const struct target *target)
{
    return locate_image(target, &libebb_rule) != NULL;
}

// Told apart by its address as well as by its words.
static const char by_magic[] = "the ledger's first word";

// 0 with an address, which is 0 before the first allocation.
static int read_pointer(const struct target *target, const struct image *image,
                        struct libebb_found *found)
{
    uint64_t variable;
    found->method = "ebb_ledger";
    if (!find_symbol(image, &variable)) {
        found->method = by_magic;
        found->ledger = find_by_magic(target);
        return 0;
    }
    int error = process_peek_u64(target->process, variable, &found->ledger);
    // A page of .bss that was never touched: no allocation has come yet.
    return error == -ENODATA ? 0 : error;
}

bool libebb_is_library(const struct image *image)
{
    const char *file = locate_file_name(image->path);
    return strncmp(file, libebb_rule.names[0], strlen(libebb_rule.names[0])) == 0;
}

// Names first: a search through read-only data costs a hundred times as much.
static bool is_libebb(const struct target *target, const struct image *image)
{
    return libebb_is_library(image) || locate_fits(target, image, &libebb_rule);
}

// Preloaded below a program that brings its own, a copy has no heap; and a heap without a symbol
// may be another image's.
static unsigned rank(const struct libebb_found *found)
{
    if (!found->image)
        return 0;
    return !found->ledger ? 1 : found->method == by_magic ? 2 : 3;
}

// All images are looked at, though one is enough nearly always: two copies are told apart only by
// which of them has a heap.
bool libebb_find(const struct target *target, struct libebb_found *ret_found)
{
    struct libebb_found best = {0};
    for (size_t i = 0; target->images && i < target->images->count; i++) {
        struct libebb_found found = {.image = &target->images->items[i]};
        if (!is_libebb(target, found.image))
            continue;
        found.error = read_pointer(target, found.image, &found);
        if (rank(&found) > rank(&best))
            best = found;
    }
    *ret_found = best;
    return best.image != NULL;
}

// Source: help() of lib/release/helper.c.
pid_t libebb_find_helper(struct process *process, const struct proc_thread *threads, size_t count)
{
    enum { THREADS_MAX = 1024, COMM_MAX = 64 };
    pid_t found = 0;
    struct buffer comm = {0};
    for (size_t i = 0; i < count && i < THREADS_MAX && !found; i++) {
        char name[48];
        text_format(name, sizeof name, "task/%d/comm", (int)threads[i].tid);
        if (process_read_file(process, name, COMM_MAX, &comm) == 0 &&
            text_equals(buffer_text(&comm), "ebb-helper\n"))
            found = threads[i].tid;
    }
    buffer_free(&comm);
    return found;
}

// Source: the banner of lib/base/die.c. Where the linker could order it, lib/order.ld has put all
// constants into a section of its own name.
void libebb_read_version(const struct image *image, char *ret_version, size_t size)
{
    static const struct locate_marker banner = {"libebb, ", "version "};
    static const char *const sections[] = {".rodata", ".rodata.first"};
    uint64_t at = 0;
    char text[48];
    ret_version[0] = '\0';
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        if (locate_string(image, sections[i], banner, 0, &at) == 0 &&
            locate_read_string(image, at, text, sizeof text) == 0) {
            text_copy(text_of(text + strlen(banner.head) + strlen(banner.tail)), ret_version, size);
            return;
        }
    }
}
