// SPDX-License-Identifier: Apache-2.0
// Symbols by name, see image.h. Tool world; no state.
//
// A big program has a million names. Reading a name for each symbol would jump about in the
// strings, so the strings are streamed once to find where the wanted names stand, and then the
// symbols, which are compared by that place alone.
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "image/image.h"

enum {
    WINDOW_BYTES = 256 << 10,
    NAME_MAX_BYTES = 1024,
    PLACES_MAX = 65536,
    SYMBOLS_MAX_BYTES = 64 << 20,
    STRINGS_MAX_BYTES = 256 << 20,
};

// A name begins at this place of the string table; linkers share tails, so it may be the end of a
// longer one. A name with any prefix may begin anywhere up to `last`.
struct place {
    uint64_t offset, last;
    size_t name;
};

struct lookup {
    const struct image *image;
    const char *const *names;
    size_t *lengths;
    size_t count, longest;
    bool any_prefix; // the only name, whose '*' has been taken off
    struct image_symbol *symbols;
    bool *is_global;      // what was found cannot get better
    bool last_byte[256];  // some wanted name ends so
    struct place *places; // ascending
    size_t place_count, place_capacity;
    char *window;
};

// The bound keeps the table of places small whatever the file says; the names of sound files stand
// once or twice.
static int add_place(struct lookup *lookup, uint64_t offset, uint64_t last, size_t name)
{
    // Only a hostile table repeats a name so often.
    if (lookup->place_count >= PLACES_MAX)
        return 0;
    int error = array_reserve_one(&lookup->places, &lookup->place_capacity, lookup->place_count,
                                  sizeof *lookup->places);
    if (!error)
        lookup->places[lookup->place_count++] = (struct place){offset, last, name};
    return error;
}

static const char *name_of(const struct lookup *lookup, size_t i)
{
    return lookup->names[i] + (lookup->any_prefix ? 1 : 0);
}

// Where the string that ends there begins; one that is longer than the window keeps is cut.
static size_t string_start(const char *window, size_t end)
{
    const char *before = memrchr(window, '\0', end);
    return before ? (size_t)(before + 1 - window) : 0;
}

// A string ends at `end` of the window, which begins at `base` of the table.
static int match_string_end(struct lookup *lookup, size_t end, uint64_t base)
{
    if (end == 0 || !lookup->last_byte[(uint8_t)lookup->window[end - 1]])
        return 0;
    for (size_t i = 0; i < lookup->count; i++) {
        size_t len = lookup->lengths[i];
        if (len == 0 || len > end ||
            memcmp(lookup->window + end - len, name_of(lookup, i), len) != 0)
            continue;
        // The window begins inside the table, and the name may begin before its new part.
        uint64_t last = base + end - len;
        uint64_t first = lookup->any_prefix ? base + string_start(lookup->window, end) : last;
        int error = add_place(lookup, first, last, i);
        if (error)
            return error;
    }
    return 0;
}

// By offset alone: two of the wanted names cannot begin at one place and both end at the same NUL.
static int compare_places(const void *a, const void *b)
{
    uint64_t left = ((const struct place *)a)->offset;
    uint64_t right = ((const struct place *)b)->offset;
    return (left > right) - (left < right);
}

// Is the key's offset within the place?
static int compare_with_place(const void *key, const void *member)
{
    uint64_t offset = ((const struct place *)key)->offset;
    const struct place *place = member;
    return offset < place->offset ? -1 : offset > place->last;
}

// Streams the strings and notes where wanted names begin. Only their ends can be seen cheaply (a
// NUL), so each end is compared backwards; the last `longest` bytes of a window are kept for names
// across its border.
static int find_places(struct lookup *lookup, const struct image_section *strings)
{
    uint64_t size = strings->size < STRINGS_MAX_BYTES ? strings->size : STRINGS_MAX_BYTES;
    size_t kept = 0;
    uint64_t done = 0;
    lookup->place_count = 0;
    while (done < size) {
        uint64_t take = size - done < WINDOW_BYTES - kept ? size - done : WINDOW_BYTES - kept;
        int error =
            image_read_at(lookup->image, strings->offset + done, lookup->window + kept, take);
        if (error)
            return error;
        size_t filled = kept + (size_t)take;
        size_t from = kept;
        const char *end;
        while ((end = memchr(lookup->window + from, '\0', filled - from))) {
            size_t at = (size_t)(end - lookup->window);
            error = match_string_end(lookup, at, done - kept);
            if (error)
                return error;
            from = at + 1;
        }
        // A name may end in the next window and begin in this one.
        done += take;
        kept = filled < lookup->longest ? filled : lookup->longest;
        memmove(lookup->window, lookup->window + filled - kept, kept);
    }
    // Names that share a tail are found by their end, which is not the order of their beginnings.
    if (lookup->place_count > 0)
        qsort(lookup->places, lookup->place_count, sizeof *lookup->places, compare_places);
    return 0;
}

// Sections and source files have names as well, and values that are no addresses of theirs.
static bool type_is_wanted(const struct lookup *lookup, unsigned type)
{
    if (lookup->any_prefix)
        return type == STT_FUNC;
    return type != STT_SECTION && type != STT_FILE;
}

// A static object may share its name with others; a global one is what the dynamic linker would
// have taken, and the first of several is as good as any.
static void take_symbol(struct lookup *lookup, const Elf64_Sym *symbol)
{
    // Most symbols are nobody's wish: one binary search over a few places dismisses them.
    struct place key = {.offset = symbol->st_name};
    const struct place *place =
        bsearch(&key, lookup->places, lookup->place_count, sizeof key, compare_with_place);
    // An undefined symbol is a wish, not a place.
    if (!place || symbol->st_shndx == SHN_UNDEF || symbol->st_value == 0 ||
        !type_is_wanted(lookup, ELF64_ST_TYPE(symbol->st_info)))
        return;
    struct image_symbol *found = &lookup->symbols[place->name];
    bool is_global = ELF64_ST_BIND(symbol->st_info) != STB_LOCAL;
    if (found->value != 0 && (lookup->is_global[place->name] || !is_global))
        return;
    lookup->is_global[place->name] = is_global;
    *found = (struct image_symbol){
        .value = symbol->st_value,
        .size = symbol->st_size,
        .type = ELF64_ST_TYPE(symbol->st_info),
    };
}

// Copied out, since the window is not aligned for it, and widened for 32-bit files.
static Elf64_Sym symbol_at(const struct lookup *lookup, size_t index)
{
    Elf64_Sym symbol;
    if (lookup->image->is_64bit) {
        memcpy(&symbol, lookup->window + index * sizeof symbol, sizeof symbol);
        return symbol;
    }
    Elf32_Sym narrow;
    memcpy(&narrow, lookup->window + index * sizeof narrow, sizeof narrow);
    return (Elf64_Sym){
        .st_name = narrow.st_name,
        .st_info = narrow.st_info,
        .st_shndx = narrow.st_shndx,
        .st_value = narrow.st_value,
        .st_size = narrow.st_size,
    };
}

// In whole entries: what is left over at the end of an odd table is no symbol.
static int walk_symbols(struct lookup *lookup, const struct image_section *table)
{
    size_t size = lookup->image->is_64bit ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
    uint64_t bytes = table->size < SYMBOLS_MAX_BYTES ? table->size : SYMBOLS_MAX_BYTES;
    uint64_t left = bytes / size;
    uint64_t offset = table->offset;
    while (left > 0) {
        size_t count = left < WINDOW_BYTES / size ? (size_t)left : WINDOW_BYTES / size;
        int error = image_read_at(lookup->image, offset, lookup->window, count * size);
        if (error)
            return error;
        for (size_t i = 0; i < count; i++) {
            Elf64_Sym symbol = symbol_at(lookup, i);
            take_symbol(lookup, &symbol);
        }
        // Both move together, so the walk ends with the table.
        left -= count;
        offset += count * size;
    }
    return 0;
}

// Looks through the first table of a type; gABI allows one of each. A damaged one is as good as
// none.
static int search_table(struct lookup *lookup, uint32_t type)
{
    const struct image *image = lookup->image;
    for (size_t i = 0; i < image->section_count; i++) {
        const struct image_section *table = &image->sections[i];
        if (table->type != type)
            continue;
        if ((table->flags & SHF_COMPRESSED) || table->link >= image->section_count)
            return 0;
        // A table that is compressed (debug files) or leads nowhere has no names.
        const struct image_section *strings = &image->sections[table->link];
        if (strings->type != SHT_STRTAB || (strings->flags & SHF_COMPRESSED))
            return 0;
        int error = find_places(lookup, strings);
        if (!error && lookup->place_count > 0)
            error = walk_symbols(lookup, table);
        // A file that was cut since is a table that ends early.
        return error == -ENXIO ? 0 : error;
    }
    return 0;
}

// A name that is empty or absurdly long is never found, and has length 0 from here on.
static int lookup_init(struct lookup *lookup)
{
    lookup->any_prefix = lookup->count == 1 && lookup->names[0][0] == '*';
    // One window for strings and symbols: they are never needed at the same time.
    lookup->window = malloc(WINDOW_BYTES);
    lookup->lengths = calloc(lookup->count, sizeof *lookup->lengths);
    lookup->is_global = calloc(lookup->count, sizeof *lookup->is_global);
    if (!lookup->window || !lookup->lengths || !lookup->is_global)
        return -ENOMEM;
    for (size_t i = 0; i < lookup->count; i++) {
        const char *name = name_of(lookup, i);
        size_t len = strlen(name);
        lookup->symbols[i] = (struct image_symbol){0};
        if (len == 0 || len > NAME_MAX_BYTES)
            continue;
        lookup->lengths[i] = len;
        lookup->last_byte[(uint8_t)name[len - 1]] = true;
        if (len > lookup->longest)
            lookup->longest = len;
    }
    // What stands before the name counts as well.
    if (lookup->any_prefix)
        lookup->longest = NAME_MAX_BYTES;
    return 0;
}

// How many have a value by now; their lengths become 0, which takes them out of the search.
static size_t count_found(struct lookup *lookup)
{
    size_t found = 0;
    for (size_t i = 0; i < lookup->count; i++) {
        if (lookup->symbols[i].value == 0)
            continue;
        // The next table is asked for the others only.
        lookup->lengths[i] = 0;
        found++;
    }
    return found;
}

// .symtab first, for it has the static objects too; what stripping took away may still be in
// .dynsym.
int image_find_symbols(const struct image *image, const char *const *names, size_t count,
                       struct image_symbol *ret_symbols)
{
    // No names, no windows.
    if (count == 0)
        return 0;
    struct lookup lookup = {.image = image, .names = names, .count = count, .symbols = ret_symbols};
    int error = lookup_init(&lookup);
    if (!error)
        error = search_table(&lookup, SHT_SYMTAB);
    size_t found = 0;
    if (!error) {
        found = count_found(&lookup);
        if (found < count)
            error = search_table(&lookup, SHT_DYNSYM);
    }
    if (!error)
        found = count_found(&lookup);
    free(lookup.window);
    free(lookup.lengths);
    free(lookup.is_global);
    free(lookup.places);
    return error ? error : (int)found;
}
