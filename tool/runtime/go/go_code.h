// SPDX-License-Identifier: Apache-2.0
// Which addresses a piece of machine code mentions: RIP-relative operands on amd64, ADRP pairs on
// arm64. Tool world; pure.
//
// No full disassembly: every place that could be such an operand is taken, false ones too. The vote
// over the results and the checks against live memory weed them out.
#ifndef EBB_RUNTIME_GO_GO_CODE_H
#define EBB_RUNTIME_GO_GO_CODE_H

#include <stddef.h>
#include <stdint.h>

// A set of addresses inside up to GO_TARGET_RANGES_MAX ranges (the image's data and .bss).
enum { GO_TARGET_RANGES_MAX = 8, GO_TARGETS_MAX = 16384 };

struct go_address_range {
    uint64_t start, end; // [start, end)
};

struct go_targets {
    struct go_address_range ranges[GO_TARGET_RANGES_MAX];
    size_t range_count;
    uint64_t *items; // sorted and without duplicates after go_targets_sort()
    size_t count, capacity;
};

// Adds what the code of `len` bytes at `address` mentions. `machine` is EM_X86_64 or EM_AARCH64;
// others add nothing. 0 or -ENOMEM; beyond GO_TARGETS_MAX nothing more is added.
int go_targets_add_code(struct go_targets *targets, uint16_t machine, uint64_t address,
                        const uint8_t *code, size_t len);

void go_targets_sort(struct go_targets *targets);
// Binary search in sorted targets.
int go_targets_has(const struct go_targets *targets, uint64_t address);
int go_targets_in_range(const struct go_targets *targets, uint64_t address);
void go_targets_free(struct go_targets *targets);

#endif
