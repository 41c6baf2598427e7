// SPDX-License-Identifier: Apache-2.0
// Finding pclntab and moduledata, see go_module.h. Tool world; no state.
//
// In a position-independent file the words that hold addresses are filled in when the program
// starts, so there the tables are read from memory; elsewhere from the file, whose pages are always
// there.
#include "runtime/go/go_module.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/target.h"

enum { MATCHES_MAX = 256, SCAN_MAX_BYTES = 256 << 20 };

// Words of moduledata (runtime/symtab.go): the header's pointer, six or three slices, findfunctab,
// minpc, maxpc, then text and the data borders.
enum { SLICES_1_2 = 3, SLICES_1_16 = 6, WORDS_BEFORE_TEXT = 3 };

// Borders that leave the image belong to something else.
static bool range_is_inside(uint64_t start, uint64_t end, uint64_t low, uint64_t high)
{
    return start <= end && start >= low && end <= high;
}

// Two pointers into the table, at the right distance, happen nowhere else.
int go_module_parse(const struct go_pclntab *table, const uint64_t words[GO_MODULE_WORDS],
                    uint64_t low, uint64_t high, struct go_module *ret_module)
{
    // 1.16 split the table into six parts, each with a slice of its own in the module data.
    bool old = table->format == GO_PCLNTAB_1_2;
    size_t text = old ? 3 * SLICES_1_2 : 1 + 3 * SLICES_1_16;
    text += WORDS_BEFORE_TEXT;
    // The second pointer: the function table in old images, the names in newer ones.
    uint64_t second = old ? words[3] : words[1];
    if (words[0] != table->address || second != (old ? table->entries : table->names))
        return -EBADMSG;
    struct go_module module = {.table = *table, .text = words[text], .text_end = words[text + 1]};
    if (!range_is_inside(module.text, module.text_end, low, high))
        return -EBADMSG;
    for (size_t i = 0; i < 4; i++) {
        struct go_address_range *range = &module.data[i];
        *range = (struct go_address_range){words[text + 2 + 2 * i], words[text + 3 + 2 * i]};
        if (!range_is_inside(range->start, range->end, low, high))
            return -EBADMSG;
    }
    *ret_module = module;
    return 0;
}

// Reads by run-time address from the file.
static int read_file(void *context, uint64_t address, void *ret_data, size_t len)
{
    const struct image *image = context;
    return image_read(image, address - image->bias, ret_data, len);
}

// Which source has the true bytes of a table.
static struct go_memory module_memory(struct go_loaded_memory *loaded,
                                      enum go_pclntab_format format)
{
    // From 1.18 on the table itself holds no addresses.
    if (loaded->image->bias == 0 || format >= GO_PCLNTAB_1_18)
        return (struct go_memory){read_file, (void *)(uintptr_t)loaded->image};
    return go_memory_of_loaded(loaded);
}

// Opens the table at a linked address, its words corrected to run-time addresses.
static int open_table(const struct target *target, const struct image *image, uint64_t linked,
                      uint64_t size, struct go_pclntab *ret_table)
{
    struct go_memory file = {read_file, (void *)(uintptr_t)image};
    struct go_pclntab table;
    int error = go_pclntab_open(&file, linked + image->bias, size, &table);
    if (error)
        return error;
    // The header's offsets are constants, but the entries may need memory: try that it is there.
    struct go_loaded_memory loaded = {target->process, image};
    struct go_memory memory = module_memory(&loaded, table.format);
    uint64_t word;
    error = go_memory_u64(&memory, table.entries, &word);
    if (!error)
        *ret_table = table;
    return error;
}

// Without sections: by the first eight bytes, in whichever segment they are.
static int search_table(const struct target *target, const struct image *image,
                        struct go_pclntab *ret_table)
{
    uint8_t instruction_bytes = image->machine == EM_X86_64 ? 1 : 4;
    for (int format = GO_PCLNTAB_1_20; format >= GO_PCLNTAB_1_2; format--) {
        uint8_t magic[8];
        go_pclntab_magic((enum go_pclntab_format)format, instruction_bytes, magic);
        uint64_t from = 0, linked;
        for (unsigned i = 0; i < MATCHES_MAX; i++) {
            if (image_find_bytes(image, NULL, magic, sizeof magic, from, &linked) != 0)
                break;
            from = linked + 1;
            // How large it is the header does not say: as far as the image reaches.
            uint64_t end = image->high - image->bias;
            if (linked % 8 == 0 && end > linked &&
                open_table(target, image, linked, end - linked, ret_table) == 0)
                return 0;
        }
    }
    return -ENOENT;
}

// A section may be there by name and hold nonsense: the search is the second chance.
static int find_table(const struct target *target, const struct image *image,
                      struct go_pclntab *ret_table)
{
    static const char *const names[] = {".gopclntab", ".data.rel.ro.gopclntab"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct image_section *section = image_section(image, names[i]);
        if (section && open_table(target, image, section->address, section->size, ret_table) == 0)
            return 0;
    }
    return search_table(target, image, ret_table);
}

// Reads as much as is looked at.
static int try_module(const struct go_memory *memory, const struct image *image,
                      const struct go_pclntab *table, uint64_t address,
                      struct go_module *ret_module)
{
    uint64_t words[GO_MODULE_WORDS];
    int error = go_memory_read(memory, address, words, sizeof words);
    return error ? error : go_module_parse(table, words, image->low, image->high, ret_module);
}

static int module_in_section(const struct image *image, const char *section,
                             const struct go_pclntab *table, struct go_module *ret_module)
{
    struct go_memory file = {read_file, (void *)(uintptr_t)image};
    uint64_t from = 0, linked;
    for (unsigned i = 0; i < MATCHES_MAX; i++) {
        if (image_find_bytes(image, section, &table->address, 8, from, &linked) != 0)
            return -ENOENT;
        from = linked + 1;
        // Pointers are aligned; an odd place is chance.
        if (linked % 8 == 0 && try_module(&file, image, table, linked, ret_module) == 0)
            return 0;
    }
    return -ENOENT;
}

// Not position-independent: the file has the address. The sections where linkers put it come first:
// text and tables of a large program take long to search.
static int module_in_file(const struct image *image, const struct go_pclntab *table,
                          struct go_module *ret_module)
{
    static const char *const sections[] = {".go.module", ".noptrdata", ".data", NULL};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        if (sections[i] && !image_section(image, sections[i]))
            continue;
        if (module_in_section(image, sections[i], table, ret_module) == 0)
            return 0;
    }
    return -ENOENT;
}

// One mapping of the image, a window at a time; pages that are absent hold no relocated words.
static int module_in_mapping(const struct target *target, const struct image *image,
                             const struct go_pclntab *table, const struct mapping *mapping,
                             uint64_t deadline_ns, struct go_module *ret_module)
{
    enum { STEP_BYTES = 4096 };
    struct go_memory memory = go_memory_of_process(target->process);
    uint64_t words[STEP_BYTES / 8];
    for (uint64_t at = mapping->start; at + STEP_BYTES <= mapping->end; at += STEP_BYTES) {
        if (go_deadline_passed(deadline_ns))
            return -ETIME;
        if (go_memory_read(&memory, at, words, sizeof words) != 0)
            continue;
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (words[i] == table->address &&
                try_module(&memory, image, table, at + i * 8, ret_module) == 0)
                return 0;
        }
    }
    return -ENOENT;
}

// Two passes over few mappings; the budget holds for each.
static int module_in_memory(const struct target *target, const struct image *image,
                            const struct go_pclntab *table, uint64_t deadline_ns,
                            struct go_module *ret_module)
{
    const struct mappings *mappings = target->mappings;
    // Writable mappings first; newer linkers protect the module data after relocation.
    for (int writable = 1; writable >= 0; writable--) {
        uint64_t budget = SCAN_MAX_BYTES;
        for (size_t i = mappings_lower_bound(mappings, image->low); i < mappings->count; i++) {
            const struct mapping *mapping = &mappings->items[i];
            if (mapping->start >= image->high)
                break;
            bool is_writable = mapping->flags & MAPPING_WRITE;
            if (is_writable != (writable == 1) || (mapping->flags & MAPPING_EXEC) ||
                mapping->end - mapping->start > budget)
                continue;
            budget -= mapping->end - mapping->start;
            int error = module_in_mapping(target, image, table, mapping, deadline_ns, ret_module);
            if (error != -ENOENT)
                return error;
        }
    }
    return -ENOENT;
}

// The table first, then the data that points to it.
int go_module_find(const struct target *target, const struct image *image, uint64_t deadline_ns,
                   struct go_module *ret_module)
{
    struct go_pclntab table;
    int error = find_table(target, image, &table);
    if (error)
        return error;
    // Relocated words are in memory only.
    if (image->bias == 0)
        return module_in_file(image, &table, ret_module);
    return module_in_memory(target, image, &table, deadline_ns, ret_module);
}

// From 1.18 on functions count from the start of the text, which only the module data has.
int go_module_functions(const struct target *target, const struct image *image,
                        const struct go_module *module, const char *const *names, size_t count,
                        uint64_t deadline_ns, struct go_function *ret_functions)
{
    struct go_loaded_memory loaded = {target->process, image};
    struct go_memory memory = module_memory(&loaded, module->table.format);
    int found = go_pclntab_find(&memory, &module->table, names, count, deadline_ns, ret_functions);
    if (found < 0 || module->table.format < GO_PCLNTAB_1_18)
        return found;
    for (size_t i = 0; i < count; i++) {
        if (ret_functions[i].end == 0)
            continue;
        ret_functions[i].entry += module->text;
        ret_functions[i].end += module->text;
    }
    return found;
}
