// SPDX-License-Identifier: Apache-2.0
// Go's table of functions, see go_pclntab.h. Tool world; no state.
//
// Names are not sorted. Instead of reading a name for each function, the wanted names are looked
// for once among all strings, and functions are then compared by the name's offset.
#include "runtime/go/go_pclntab.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t format_magics[] = {
    [GO_PCLNTAB_1_2] = 0xfffffffb,
    [GO_PCLNTAB_1_16] = 0xfffffffa,
    [GO_PCLNTAB_1_18] = 0xfffffff0,
    [GO_PCLNTAB_1_20] = 0xfffffff1,
};
enum {
    FORMAT_COUNT = sizeof format_magics / sizeof format_magics[0],
    // Twice the longest of the names that are looked for.
    NAME_MAX_BYTES = 96,
    FILTER_BITS = 12,
    FILTER_WORDS = (1 << FILTER_BITS) / 64,
    // How often the clock is looked at.
    ENTRIES_PER_LOOK = 16384,
};
static const uint64_t NAMES_MAX_BYTES = 256u << 20;

// Four bytes alone are common in code; eight are not.
void go_pclntab_magic(enum go_pclntab_format format, uint8_t instruction_bytes,
                      uint8_t ret_magic[8])
{
    memcpy(ret_magic, &format_magics[format], 4);
    const uint8_t rest[] = {0, 0, instruction_bytes, 8};
    memcpy(ret_magic + 4, rest, sizeof rest);
}

// Everything that all formats share.
static bool header_is_sane(const uint8_t *header, enum go_pclntab_format *ret_format)
{
    uint32_t magic;
    memcpy(&magic, header, sizeof magic);
    uint8_t instruction_bytes = header[6], pointer_size = header[7];
    if (header[4] != 0 || header[5] != 0 || pointer_size != 8)
        return false;
    if (instruction_bytes != 1 && instruction_bytes != 2 && instruction_bytes != 4)
        return false;
    for (unsigned i = 0; i < FORMAT_COUNT; i++) {
        if (format_magics[i] == magic) {
            *ret_format = (enum go_pclntab_format)i;
            return true;
        }
    }
    return false;
}

// Since 1.18 rows are half as large and need no relocation.
static bool format_is_relative(enum go_pclntab_format format)
{
    return format >= GO_PCLNTAB_1_18;
}

// A row of the table: where the function begins, and where its record is.
static uint64_t entry_bytes(const struct go_pclntab *table)
{
    return format_is_relative(table->format) ? 8 : 16;
}

// Fills in where the parts of the table are, from the words behind the first eight bytes of the
// header.
static int header_place_parts(const uint64_t *words, uint64_t size, struct go_pclntab *table)
{
    uint64_t names = 0, names_end = size, entries = 8, functions = 0;
    // runtime.pcHeader (runtime/symtab.go), whose words moved with the format.
    if (table->format == GO_PCLNTAB_1_16) {
        names = words[2];
        names_end = words[3];
        entries = functions = words[6];
    } else if (format_is_relative(table->format)) {
        table->text_start = words[2];
        names = words[3];
        names_end = words[4];
        entries = functions = words[7];
    }
    if (table->format == GO_PCLNTAB_1_2)
        entries += 8;
    if (names > names_end || names_end > size || entries > size)
        return -EBADMSG;
    if (table->function_count == 0 || table->function_count > GO_PCLNTAB_FUNCTIONS_MAX ||
        (table->function_count + 1) * entry_bytes(table) > size - entries)
        return -EBADMSG;
    table->names = table->address + names;
    table->names_end = table->address + names_end;
    table->entries = table->address + entries;
    table->functions = table->address + functions;
    return 0;
}

// Offsets are checked here once, and addresses made of them.
int go_pclntab_open(const struct go_memory *memory, uint64_t address, uint64_t size,
                    struct go_pclntab *ret_table)
{
    uint8_t header[GO_PCLNTAB_HEADER_BYTES];
    uint64_t words[8];
    struct go_pclntab table = {.address = address};
    if (size < sizeof header || __builtin_add_overflow(address, size, &table.end))
        return -EBADMSG;
    int error = go_memory_read(memory, address, header, sizeof header);
    if (error)
        return error;
    if (!header_is_sane(header, &table.format))
        return -EBADMSG;
    table.instruction_bytes = header[6];
    memcpy(words, header + 8, sizeof words);
    table.function_count = words[0];
    error = header_place_parts(words, size, &table);
    if (!error)
        *ret_table = table;
    return error;
}

// The wanted names with their offsets in the table, once they are seen. Both passes ask a filter
// first: of the names and functions of a large program hardly any is wanted.
struct wanted {
    const char *const *names;
    size_t count, seen;
    size_t lengths[GO_PCLNTAB_NAMES_MAX];
    uint64_t offsets[GO_PCLNTAB_NAMES_MAX]; // 0: not seen
    uint64_t ends[FILTER_WORDS];            // by the last two bytes of the name
    uint64_t places[FILTER_WORDS];          // by the offset of the name
};

// Spreads a key over the bits of a filter: the upper bits of a product with the golden ratio.
static uint32_t filter_bit(uint32_t key)
{
    return key * 0x9e3779b1u >> (32 - FILTER_BITS);
}

static void filter_add(uint64_t filter[FILTER_WORDS], uint32_t key)
{
    uint32_t bit = filter_bit(key);
    filter[bit / 64] |= UINT64_C(1) << bit % 64;
}

static bool filter_may_have(const uint64_t filter[FILTER_WORDS], uint32_t key)
{
    uint32_t bit = filter_bit(key);
    return filter[bit / 64] >> bit % 64 & 1;
}

// What the filter of ends knows of a name. The shortest name has two bytes.
static uint32_t end_key(const char *name, size_t len)
{
    return (uint32_t)(uint8_t)name[len - 1] << 8 | (uint8_t)name[len - 2];
}

// Notes that the string `name` stands at `offset`.
static void wanted_note(struct wanted *wanted, const char *name, size_t len, uint64_t offset)
{
    for (size_t i = 0; i < wanted->count; i++) {
        // Most names begin alike: their lengths tell them apart first.
        if (wanted->lengths[i] == len && memcmp(wanted->names[i], name, len) == 0) {
            wanted->seen += wanted->offsets[i] == 0;
            wanted->offsets[i] = offset;
            // Records have four bytes for it.
            filter_add(wanted->places, (uint32_t)offset);
            return;
        }
    }
}

// The end of a string that lies across two windows, as much of it as a wanted name can be.
struct name_scan {
    struct wanted *wanted;
    char text[NAME_MAX_BYTES];
    size_t len;
};

// A string that ends at offset `end`. Up to 1.15 other data stands between the names: then the name
// is what follows the last byte that no name has.
static void scan_end_string(struct wanted *wanted, const char *text, size_t len, uint64_t end)
{
    if (len < 2 || !filter_may_have(wanted->ends, end_key(text, len)))
        return;
    size_t name = 0;
    while (name < len && name < NAME_MAX_BYTES && text[len - name - 1] > ' ' &&
           text[len - name - 1] < 0x7f)
        name++;
    wanted_note(wanted, text + len - name, name, end - name);
}

// Appends to the kept text, whose front makes room.
static void scan_keep(struct name_scan *scan, const char *data, size_t len)
{
    if (len > NAME_MAX_BYTES) {
        data += len - NAME_MAX_BYTES;
        len = NAME_MAX_BYTES;
    }
    // The end is what is kept: a name stands last in its string.
    size_t stay = NAME_MAX_BYTES - len < scan->len ? NAME_MAX_BYTES - len : scan->len;
    memmove(scan->text, scan->text + scan->len - stay, stay);
    memcpy(scan->text + stay, data, len);
    scan->len = stay + len;
}

// Strings are compared where they are; only the first one of a window may have begun before it.
static void scan_bytes(struct name_scan *scan, const char *data, size_t len, uint64_t offset)
{
    const char *nul;
    size_t start = 0;
    while ((nul = memchr(data + start, 0, len - start)) != NULL) {
        size_t end = (size_t)(nul - data);
        if (start == 0) {
            scan_keep(scan, data, end);
            scan_end_string(scan->wanted, scan->text, scan->len, offset + end);
            scan->len = 0;
        } else {
            scan_end_string(scan->wanted, data + start, end - start, offset + end);
        }
        start = end + 1;
    }
    scan_keep(scan, data + start, len - start);
}

// Walks over all strings of the table and notes where the wanted ones are.
static int names_locate(const struct go_memory *memory, const struct go_pclntab *table,
                        uint64_t deadline_ns, struct wanted *wanted)
{
    uint64_t end = table->names_end;
    // No program's names come near it; a table that was misread may.
    if (end - table->names > NAMES_MAX_BYTES)
        end = table->names + NAMES_MAX_BYTES;
    struct go_window *window = go_window_new(memory, end);
    if (!window)
        return -ENOMEM;
    struct name_scan scan = {.wanted = wanted};
    int error = 0;
    for (uint64_t at = table->names; at < end && !error;) {
        const uint8_t *data;
        size_t len;
        error = go_deadline_passed(deadline_ns) ? -ETIME : go_window_view(window, at, &data, &len);
        // Without sections a table's end is not known, and the names are over where its segment is.
        if (error && error != -ETIME && at > table->names) {
            error = 0;
            break;
        }
        if (error)
            break;
        scan_bytes(&scan, (const char *)data, len, at - table->names);
        at += len;
    }
    free(window);
    return error;
}

// One row of the function table: where the function begins and where its record is.
static int entry_read(const struct go_pclntab *table, struct go_window *window, uint64_t index,
                      uint64_t *ret_pc, uint64_t *ret_record)
{
    uint64_t address = table->entries + index * entry_bytes(table);
    if (format_is_relative(table->format)) {
        uint32_t row[2];
        int error = go_window_read(window, address, row, sizeof row);
        *ret_pc = row[0];
        *ret_record = table->functions + row[1];
        return error;
    }
    uint64_t row[2];
    int error = go_window_read(window, address, row, sizeof row);
    *ret_pc = row[0];
    // An offset beyond the table is caught by the window's limit.
    if (!error && __builtin_add_overflow(table->functions, row[1], ret_record))
        return -EBADMSG;
    return error;
}

// Offset of the function's name among the names.
static int record_name(const struct go_pclntab *table, struct go_window *window, uint64_t record,
                       uint32_t *ret_offset)
{
    // The record begins with the entry: a word, or an offset of four bytes.
    uint64_t skip = format_is_relative(table->format) ? 4 : 8;
    if (record < table->address || record > table->end)
        return -EBADMSG;
    return go_window_read(window, record + skip, ret_offset, sizeof *ret_offset);
}

// Zero stands for "not seen", and is no offset of a wanted name.
static int match_function(const struct wanted *wanted, uint32_t name_offset)
{
    if (!filter_may_have(wanted->places, name_offset))
        return -1;
    for (size_t i = 0; i < wanted->count; i++) {
        if (wanted->offsets[i] == name_offset && name_offset != 0)
            return (int)i;
    }
    return -1;
}

// Two windows: one over the rows, one over the records that they point to, both mostly ascending.
struct function_walk {
    const struct go_pclntab *table;
    const struct wanted *wanted;
    struct go_window *rows, *records;
    struct go_function *functions;
    size_t left; // wanted names that have no function yet
};

// Comparing offsets costs no reading of names.
static int walk_one(struct function_walk *walk, uint64_t index)
{
    uint64_t pc, record, next_pc, next_record;
    uint32_t name_offset;
    int error = entry_read(walk->table, walk->rows, index, &pc, &record);
    if (!error)
        error = record_name(walk->table, walk->records, record, &name_offset);
    // One bad record does not spoil the others.
    if (error)
        return error == -EBADMSG || error == -ENXIO ? 0 : error;
    int match = match_function(walk->wanted, name_offset);
    if (match < 0)
        return 0;
    // The row behind the last one holds the end of the text.
    error = entry_read(walk->table, walk->rows, index + 1, &next_pc, &next_record);
    if (!error && next_pc > pc) {
        walk->left -= walk->functions[match].end == 0;
        walk->functions[match].entry = pc;
        walk->functions[match].end = next_pc;
    }
    return 0;
}

// The clock is looked at now and then: the table of a large program has a hundred thousand
// rows.
static int functions_locate(struct function_walk *walk, uint64_t deadline_ns)
{
    for (uint64_t i = 0; i < walk->table->function_count && walk->left > 0; i++) {
        if (i % ENTRIES_PER_LOOK == 0 && go_deadline_passed(deadline_ns))
            return -ETIME;
        int error = walk_one(walk, i);
        if (error)
            return error;
    }
    return 0;
}

// All names in one go: a pass costs the same for one as for a hundred.
int go_pclntab_find(const struct go_memory *memory, const struct go_pclntab *table,
                    const char *const *names, size_t count, uint64_t deadline_ns,
                    struct go_function *ret_functions)
{
    if (count > GO_PCLNTAB_NAMES_MAX)
        return -E2BIG;
    struct wanted wanted = {.names = names, .count = count};
    for (size_t i = 0; i < count; i++)
        wanted.lengths[i] = strlen(names[i]);
    for (size_t i = 0; i < count; i++)
        filter_add(wanted.ends, wanted.lengths[i] < 2 ? 0 : end_key(names[i], wanted.lengths[i]));
    int error = names_locate(memory, table, deadline_ns, &wanted);
    if (error)
        return error;
    memset(ret_functions, 0, count * sizeof *ret_functions);
    struct function_walk walk = {table,
                                 &wanted,
                                 go_window_new(memory, table->end),
                                 go_window_new(memory, table->end),
                                 ret_functions,
                                 wanted.seen};
    error = walk.rows && walk.records ? functions_locate(&walk, deadline_ns) : -ENOMEM;
    free(walk.rows);
    free(walk.records);
    if (error)
        return error;
    // Names that the program does not have are no failure: callers ask for those of many versions.
    int found = 0;
    for (size_t i = 0; i < count; i++)
        found += ret_functions[i].end != 0;
    return found;
}
