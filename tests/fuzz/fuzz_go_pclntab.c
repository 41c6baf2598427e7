// SPDX-License-Identifier: Apache-2.0
// Fuzz target: Go's function table, module data and operands in code. Test code; no state.
//
// The input is the table; its first words serve as module data too, and all of it as code.
#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/go/go_module.h"
#include "runtime/go/go_vote.h"

enum { BASE = 0x400000, SPAN = 1 << 24, CANDIDATES = 16 };

static void vote(const uint8_t *data, size_t length_bytes, uint16_t machine)
{
    struct go_targets targets = {.range_count = 1};
    targets.ranges[0] = (struct go_address_range){BASE, BASE + SPAN};
    struct go_version_row row;
    struct go_candidate candidates[CANDIDATES];
    size_t len = length_bytes < 4096 ? length_bytes : 4096;
    if (go_table_find(24, &row) == 0 &&
        go_targets_add_code(&targets, machine, BASE, data, len) == 0) {
        go_targets_sort(&targets);
        int count = go_vote(&targets, &row, GO_OBJECT_MEMSTATS, candidates, CANDIDATES);
        for (int i = 0; i < count; i++) {
            if (!go_targets_in_range(&targets, candidates[i].base))
                abort();
        }
    }
    go_targets_free(&targets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    static const char *const names[] = {"main.main", "runtime.readmemstats_m", "runtime.alpha"};
    struct go_buffer_memory buffer = {BASE, data, length_bytes};
    struct go_memory memory = go_memory_of_buffer(&buffer);
    struct go_pclntab table;
    struct go_function functions[3];
    if (go_pclntab_open(&memory, BASE, length_bytes, &table) == 0) {
        uint64_t words[GO_MODULE_WORDS] = {0};
        struct go_module module;
        size_t len = length_bytes < sizeof words ? length_bytes : sizeof words;
        memcpy(words, data, len);
        words[0] = BASE;
        go_module_parse(&table, words, BASE, BASE + SPAN, &module);
        go_pclntab_find(&memory, &table, names, 3, 0, functions);
    }
    vote(data, length_bytes, EM_X86_64);
    vote(data, length_bytes, EM_AARCH64);
    return 0;
}
