// SPDX-License-Identifier: Apache-2.0
// Go's table of functions, .gopclntab, which stays in stripped binaries. Tool world; pure.
//
// Formats: Go's debug/gosym/pclntab.go and runtime/symtab.go. The table is attacker-controlled:
// entries, bytes and time are bounded, and nothing is kept but what was asked for.
#ifndef EBB_RUNTIME_GO_GO_PCLNTAB_H
#define EBB_RUNTIME_GO_GO_PCLNTAB_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/go/go_memory.h"

enum go_pclntab_format {
    GO_PCLNTAB_1_2,  // up to 1.15
    GO_PCLNTAB_1_16, // 1.16, 1.17
    GO_PCLNTAB_1_18, // 1.18, 1.19
    GO_PCLNTAB_1_20, // 1.20 on
};

struct go_pclntab {
    enum go_pclntab_format format;
    uint8_t instruction_bytes; // 1 on amd64, 4 on arm64
    uint64_t address, end;     // of the table
    uint64_t function_count;
    uint64_t text_start; // as the header says it; 0 in position-independent files and from 1.26 on
    uint64_t names, names_end; // function names, NUL-terminated
    uint64_t entries;          // the sorted table of (pc, function)
    uint64_t functions;        // what a function's offset counts from
};

enum { GO_PCLNTAB_HEADER_BYTES = 72, GO_PCLNTAB_FUNCTIONS_MAX = 4 << 20 };

// The eight bytes that every table of the format begins with.
void go_pclntab_magic(enum go_pclntab_format format, uint8_t instruction_bytes,
                      uint8_t ret_magic[8]);

// Reads the header at `address` of a table of `size` bytes. 0; -EBADMSG; -errno.
int go_pclntab_open(const struct go_memory *memory, uint64_t address, uint64_t size,
                    struct go_pclntab *ret_table);

struct go_function {
    uint64_t entry,
        end; // up to 1.17 as linked or, in relocated tables, as run; later from the text's start
};

enum { GO_PCLNTAB_NAMES_MAX = 128 };

// Finds functions by their full names. `ret_functions[i].entry` and `.end` are 0 for those not
// found. Returns how many were found, or -errno. -ETIME: the deadline passed. Cost: one pass over
// the names, one over the functions.
int go_pclntab_find(const struct go_memory *memory, const struct go_pclntab *table,
                    const char *const *names, size_t count, uint64_t deadline_ns,
                    struct go_function *ret_functions);

#endif
