// SPDX-License-Identifier: Apache-2.0
// The walk over Go's debug information, see go_dwarf.h. Tool world; no state.
//
// Go writes one unit per package. Variables have a location of one operation; libdw refuses the
// block form that Go up to 1.24 gives it, so that form is decoded here.
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "runtime/go/go_dwarf.h"

// Far beyond what Go's own files have: the limits are for files that were made to keep us.
enum { UNITS_MAX = 64, TYPE_DEPTH_MAX = 16, MEMBERS_MAX = 4096 };
static const size_t CHILDREN_MAX = 4u << 20;

struct walk {
    Dwarf *dwarf;
    // Type of each variable, or the type itself.
    Dwarf_Die types[GO_OBJECT_COUNT];
    bool has_type[GO_OBJECT_COUNT];
    struct go_layout *layout;
};

// Both members and variables name their type this way.
static bool type_of(Dwarf_Die *die, Dwarf_Die *ret_type)
{
    Dwarf_Attribute attribute;
    return dwarf_attr(die, DW_AT_type, &attribute) && dwarf_formref_die(&attribute, ret_type);
}

// Bounded: a hostile file may let a typedef name itself.
static bool skip_typedefs(Dwarf_Die *type)
{
    for (unsigned i = 0; i < TYPE_DEPTH_MAX; i++) {
        int tag = dwarf_tag(type);
        if (tag != DW_TAG_typedef && tag != DW_TAG_volatile_type && tag != DW_TAG_const_type)
            return true;
        Dwarf_Die next;
        if (!type_of(type, &next))
            return false;
        *type = next;
    }
    return false;
}

// A constant in most versions of DWARF, an expression of one operation in the oldest.
static bool member_offset(Dwarf_Die *member, uint64_t *ret_offset)
{
    Dwarf_Attribute attribute;
    Dwarf_Word offset;
    if (!dwarf_attr(member, DW_AT_data_member_location, &attribute))
        return false;
    if (dwarf_formudata(&attribute, &offset) == 0) {
        *ret_offset = offset;
        return true;
    }
    Dwarf_Op *operations;
    size_t count;
    if (dwarf_getlocation(&attribute, &operations, &count) != 0 || count != 1 ||
        operations[0].atom != DW_OP_plus_uconst)
        return false;
    *ret_offset = operations[0].number;
    return true;
}

// Replaces a struct's type by its member's.
static bool step_into_member(Dwarf_Die *type, struct text name, uint64_t *offset)
{
    Dwarf_Die member;
    if (dwarf_child(type, &member) != 0)
        return false;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        const char *found = dwarf_tag(&member) == DW_TAG_member ? dwarf_diename(&member) : NULL;
        uint64_t step;
        if (found && text_equals(name, found)) {
            if (!member_offset(&member, &step) || !type_of(&member, type))
                return false;
            // Offsets come from the file, and add up along the path.
            return !__builtin_add_overflow(*offset, step, offset);
        }
        if (dwarf_siblingof(&member, &member) != 0)
            return false;
    }
    return false;
}

// Follows "heapStats.stats.[].inHeap" from a type.
static bool follow_path(Dwarf_Die *type, struct text path, uint64_t *ret_offset)
{
    uint64_t offset = 0;
    struct text name;
    while (text_next_field(&path, '.', &name)) {
        if (!skip_typedefs(type))
            return false;
        if (text_equals(name, "[]")) {
            Dwarf_Die element;
            if (dwarf_tag(type) != DW_TAG_array_type || !type_of(type, &element))
                return false;
            *type = element;
        } else if (!step_into_member(type, name, &offset)) {
            return false;
        }
    }
    *ret_offset = offset;
    return true;
}

// The address of a variable: DW_OP_addr, or from DWARF 5 on DW_OP_addrx, an index into a table.
static bool variable_address(Dwarf_Die *variable, uint64_t *ret_address)
{
    Dwarf_Attribute attribute, indexed;
    Dwarf_Block block;
    if (!dwarf_attr(variable, DW_AT_location, &attribute) ||
        dwarf_formblock(&attribute, &block) != 0 || block.length < 2)
        return false;
    if (block.data[0] == DW_OP_addr && block.length == 1 + sizeof *ret_address) {
        memcpy(ret_address, block.data + 1, sizeof *ret_address);
        return true;
    }
    Dwarf_Op *operations;
    size_t count;
    Dwarf_Addr address;
    if (dwarf_getlocation(&attribute, &operations, &count) != 0 || count != 1 ||
        operations[0].atom != DW_OP_addrx ||
        dwarf_getlocation_attr(&attribute, operations, &indexed) != 0 ||
        dwarf_formaddr(&indexed, &address) != 0)
        return false;
    *ret_address = address;
    return true;
}

// Some objects were renamed between versions.
static bool name_is_listed(const char *list, const char *name)
{
    struct text rest = text_of(list), item;
    while (text_next_field(&rest, ' ', &item)) {
        if (text_equals(item, name))
            return true;
    }
    return false;
}

// Takes note of a variable or a type that go_object_names[] lists.
static void note_die(struct walk *walk, Dwarf_Die *die)
{
    int tag = dwarf_tag(die);
    bool is_variable = tag == DW_TAG_variable;
    if (!is_variable && tag != DW_TAG_structure_type && tag != DW_TAG_typedef)
        return;
    const char *name = dwarf_diename(die);
    if (!name || strncmp(name, "runtime.", 8) != 0)
        return;
    for (unsigned i = 0; i < GO_OBJECT_COUNT; i++) {
        // The first one counts: later units of the same name repeat it.
        if (is_variable != (i < GO_OBJECT_VARIABLES) || walk->has_type[i] ||
            !name_is_listed(go_object_names[i], name))
            continue;
        if (!is_variable) {
            walk->types[i] = *die;
            walk->has_type[i] = true;
        } else if (variable_address(die, &walk->layout->address[i])) {
            walk->has_type[i] = type_of(die, &walk->types[i]);
        }
    }
}

// Types and variables of a package are direct children of its unit.
static void walk_unit(struct walk *walk, Dwarf_Die *unit)
{
    Dwarf_Die die;
    if (dwarf_child(unit, &die) != 0)
        return;
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        note_die(walk, &die);
        // 1 at the end, -1 where the file is broken: both end the unit.
        if (dwarf_siblingof(&die, &die) != 0)
            return;
    }
}

// There may be several units named runtime: one per compiler run.
static void walk_units(struct walk *walk)
{
    Dwarf_Off offset = 0, next;
    size_t header;
    unsigned units = 0;
    while (units < UNITS_MAX &&
           dwarf_nextcu(walk->dwarf, offset, &next, &header, NULL, NULL, NULL) == 0) {
        Dwarf_Die unit;
        if (dwarf_offdie(walk->dwarf, offset + header, &unit)) {
            const char *name = dwarf_diename(&unit);
            // Skipping all other packages is what keeps this at a tenth of a second.
            if (name && strcmp(name, "runtime") == 0) {
                walk_unit(walk, &unit);
                units++;
            }
        }
        // A hostile file may lead back.
        if (next <= offset)
            return;
        offset = next;
    }
}

// mheap_.central is an array of an unnamed struct, named by its way from the variable.
static void find_unnamed_types(struct walk *walk)
{
    for (unsigned i = GO_OBJECT_VARIABLES; i < GO_OBJECT_COUNT; i++) {
        static const char prefix[] = "runtime.mheap_.";
        struct text path = text_of(go_object_names[i]);
        uint64_t offset;
        if (walk->has_type[i] || !walk->has_type[GO_OBJECT_HEAP] ||
            !text_take_prefix(&path, prefix))
            continue;
        Dwarf_Die type = walk->types[GO_OBJECT_HEAP];
        if (follow_path(&type, path, &offset)) {
            walk->types[i] = type;
            walk->has_type[i] = true;
        }
    }
}

// One field, by the first of its names that the type has.
static struct go_field find_field(struct walk *walk, enum go_field_id id)
{
    const struct go_field none = {.offset = -1, .size = 0};
    enum go_object object = go_field_names[id].object;
    struct text paths = text_of(go_field_names[id].paths), path = paths;
    if (!walk->has_type[object])
        return none;
    bool more = text_next_field(&paths, ' ', &path);
    do {
        Dwarf_Die type = walk->types[object];
        uint64_t offset;
        Dwarf_Word size;
        // The first name that fits: later ones are what older versions called it.
        if (follow_path(&type, path, &offset) && dwarf_aggregate_size(&type, &size) == 0 &&
            offset <= INT32_MAX && size <= INT32_MAX)
            return (struct go_field){(int32_t)offset, (int32_t)size};
        more = more && text_next_field(&paths, ' ', &path);
    } while (more);
    return none;
}

// Everything is looked up in one pass over the units; the fields follow from the types found.
int go_dwarf_walk(int fd, struct go_layout *ret_layout)
{
    struct go_layout layout = {0};
    struct walk walk = {.layout = &layout};
    // libelf wants to be told the version once before its first use.
    elf_version(EV_CURRENT);
    // Compressed sections (.zdebug of Go up to 1.18 as well) are unpacked by libdw.
    walk.dwarf = dwarf_begin(fd, DWARF_C_READ);
    if (!walk.dwarf)
        return -ENOENT;
    walk_units(&walk);
    find_unnamed_types(&walk);
    for (unsigned i = 0; i < GO_FIELD_COUNT; i++)
        layout.fields[i] = find_field(&walk, (enum go_field_id)i);
    dwarf_end(walk.dwarf);
    if (!go_layout_is_sane(&layout))
        return -ENOENT;
    *ret_layout = layout;
    return 0;
}
