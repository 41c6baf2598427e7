// SPDX-License-Identifier: Apache-2.0
// One Go runtime in a target: where its variables are and how its structs are laid out. Tool world.
#ifndef EBB_RUNTIME_GO_GO_RUNTIME_H
#define EBB_RUNTIME_GO_GO_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/go/go_memory.h"
#include "runtime/go/go_table.h"
#include "runtime/go/go_version.h"

struct go_runtime {
    struct go_memory memory; // of the target
    uint16_t machine;        // EM_*
    uint64_t image_low, image_high;
    struct go_version version;
    struct go_version_row row;             // offsets, from the table or from the image's DWARF
    uint64_t address[GO_OBJECT_VARIABLES]; // run-time addresses; 0: not found
    const char *found_by;                  // static text: how the addresses were found
    uint64_t
        knob_entry; // run-time address of madvdontneed's entry in dbgvars; 0: to be searched for
    bool has_cgo;   // other code may map memory beside Go's runtime
};

// Does this version have the field?
static inline bool go_has(const struct go_runtime *runtime, enum go_field_id id)
{
    return runtime->row.fields[id].size > 0;
}

// Where a field of a variable is in the target; 0 when the version does not have it or the variable
// was not found.
uint64_t go_field_address(const struct go_runtime *runtime, enum go_field_id id);

// Reads a field of a variable: its low 8 bytes, or fewer, zero-extended. 0; -ENOENT; as
// process_peek().
int go_read_field(const struct go_runtime *runtime, enum go_field_id id, uint64_t *ret_value);

// Reads a slice header (pointer, length, capacity). 0; -EBADMSG when no slice can look like this.
struct go_slice {
    uint64_t data, len, capacity;
};
int go_read_slice(const struct go_runtime *runtime, enum go_field_id id,
                  struct go_slice *ret_slice);

// Takes a field out of a copy of its struct, zero-extended; 0 when it is not inside `len` bytes.
uint64_t go_take_field(const struct go_runtime *runtime, enum go_field_id id, const uint8_t *object,
                       size_t len);

#endif
