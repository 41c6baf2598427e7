// SPDX-License-Identifier: Apache-2.0
// Addresses mentioned by machine code, see go_code.h. Tool world; no state.
#include "runtime/go/go_code.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

// Few ranges: a search would cost more than it saves.
int go_targets_in_range(const struct go_targets *targets, uint64_t address)
{
    for (size_t i = 0; i < targets->range_count; i++) {
        if (address >= targets->ranges[i].start && address < targets->ranges[i].end)
            return 1;
    }
    return 0;
}

// Only addresses in data are kept, which drops almost every false operand.
static int target_add(struct go_targets *targets, uint64_t address)
{
    if (targets->count >= GO_TARGETS_MAX || !go_targets_in_range(targets, address))
        return 0;
    int error = array_reserve_one(&targets->items, &targets->capacity, targets->count,
                                  sizeof *targets->items);
    if (!error)
        targets->items[targets->count++] = address;
    return error;
}

// Bytes of an immediate operand that stand between the displacement and the next instruction, from
// which the displacement counts: `opcode` is the byte before ModRM.
static unsigned immediate_bytes(uint8_t opcode, uint8_t modrm)
{
    switch (opcode) {
    case 0x80: // arithmetic with an 8-bit immediate
    case 0x83:
    case 0xc6: // mov of 8 bits
    case 0x6b:
    case 0xc0:
    case 0xc1:
        return 1;
    case 0x81: // the same with 32 bits
    case 0xc7:
    case 0x69:
        return 4;
    case 0xf6: // test has an immediate, its neighbours in the group do not
        return (modrm & 0x38) == 0 ? 1 : 0;
    case 0xf7:
        return (modrm & 0x38) == 0 ? 4 : 0;
    default:
        return 0;
    }
}

// Every byte is tried as a ModRM: finding where instructions begin would need a disassembler.
static int add_amd64(struct go_targets *targets, uint64_t address, const uint8_t *code, size_t len)
{
    for (size_t i = 1; i + 5 <= len; i++) {
        // ModRM with mode 00 and base 101: RIP plus 32 bits.
        if ((code[i] & 0xc7) != 0x05)
            continue;
        int32_t displacement;
        memcpy(&displacement, code + i + 1, sizeof displacement);
        uint64_t next = address + i + 5 + immediate_bytes(code[i - 1], code[i]);
        int error = target_add(targets, next + (uint64_t)(int64_t)displacement);
        if (error)
            return error;
    }
    return 0;
}

// Bytes that the offset of a load or store is scaled by, 0 when the word is neither nor an ADD.
// ADD: sf 0 0 100010 sh imm12; load and store with unsigned offset: size 111 V 01 opc imm12.
static unsigned arm64_scale(uint32_t word)
{
    if ((word & 0xff800000u) == 0x91000000u)
        return (word & (1u << 22)) ? 4096 : 1;
    if ((word & 0x3b000000u) != 0x39000000u)
        return 0;
    // Vector registers of 128 bits have size 0 and the high bit of opc.
    if ((word & 0x04800000u) == 0x04800000u && (word >> 30) == 0)
        return 16;
    return 1u << (word >> 30);
}

// ADRP puts the address of a page into a register; the instruction that uses it soon after adds the
// rest.
static int add_arm64(struct go_targets *targets, uint64_t address, const uint8_t *code, size_t len)
{
    uint64_t pages[32] = {0};
    for (size_t i = 0; i + 4 <= len; i += 4) {
        uint32_t word;
        memcpy(&word, code + i, sizeof word);
        if ((word & 0x9f000000u) == 0x90000000u) {
            uint64_t low = (word >> 29) & 3, high = (word >> 5) & 0x7ffff;
            uint64_t offset = (high << 2 | low) << 12;
            // 21 bits of pages are 33 bits of address, with a sign.
            if (offset & (UINT64_C(1) << 32))
                offset |= ~UINT64_C(0) << 33;
            pages[word & 31] = ((address + i) & ~UINT64_C(4095)) + offset;
            continue;
        }
        unsigned scale = arm64_scale(word);
        uint64_t page = pages[(word >> 5) & 31];
        if (scale == 0 || page == 0)
            continue;
        int error = target_add(targets, page + (uint64_t)((word >> 10) & 0xfff) * scale);
        if (error)
            return error;
    }
    return 0;
}

// Unknown machines add nothing, and the vote then finds nothing.
int go_targets_add_code(struct go_targets *targets, uint16_t machine, uint64_t address,
                        const uint8_t *code, size_t len)
{
    if (machine == EM_X86_64)
        return add_amd64(targets, address, code, len);
    if (machine == EM_AARCH64)
        return add_arm64(targets, address, code, len);
    return 0;
}

// For qsort and bsearch.
static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Code mentions a field many times; it has one vote.
void go_targets_sort(struct go_targets *targets)
{
    if (targets->count == 0)
        return;
    qsort(targets->items, targets->count, sizeof *targets->items, compare_u64);
    size_t kept = 1;
    for (size_t i = 1; i < targets->count; i++) {
        if (targets->items[i] != targets->items[kept - 1])
            targets->items[kept++] = targets->items[i];
    }
    targets->count = kept;
}

// The vote and its tests ask for exact addresses.
int go_targets_has(const struct go_targets *targets, uint64_t address)
{
    return targets->count > 0 && bsearch(&address, targets->items, targets->count,
                                         sizeof *targets->items, compare_u64) != NULL;
}

// The ranges stay: they are the caller's.
void go_targets_free(struct go_targets *targets)
{
    free(targets->items);
    targets->items = NULL;
    targets->count = targets->capacity = 0;
}
