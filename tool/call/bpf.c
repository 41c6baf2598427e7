// SPDX-License-Identifier: Apache-2.0
// The interpreter of seccomp filters, see bpf.h. Tool world; pure, no state.
#include "call/bpf.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <string.h>

_Static_assert(sizeof(struct bpf_instruction) == sizeof(struct sock_filter), "struct sock_filter");
_Static_assert(sizeof(struct bpf_call) == 64, "struct seccomp_data");

// All that a program can change; it begins at 0.
struct machine {
    uint32_t a, x;
    uint32_t memory[BPF_MEMWORDS];
};

// Whole words within the call's description only; that is all that seccomp allows.
static bool load_word(const struct bpf_call *call, uint32_t offset, uint32_t *ret_word)
{
    if (offset % 4 != 0 || offset > sizeof *call - 4)
        return false;
    memcpy(ret_word, (const char *)call + offset, sizeof *ret_word);
    return true;
}

// Both registers are loaded in the same ways, but only one from the call.
static bool load(struct machine *machine, const struct bpf_instruction *at,
                 const struct bpf_call *call)
{
    uint32_t *to = BPF_CLASS(at->code) == BPF_LD ? &machine->a : &machine->x;
    switch (at->code) {
    case BPF_LD | BPF_W | BPF_ABS:
        return load_word(call, at->k, to);
    // The length of struct seccomp_data, which is fixed.
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_W | BPF_LEN:
        *to = sizeof *call;
        return true;
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM:
        *to = at->k;
        return true;
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
        if (at->k >= BPF_MEMWORDS)
            return false;
        *to = machine->memory[at->k];
        return true;
    default:
        return false;
    }
}

// A shift by 32 and more, and a division by 0, have no meaning; the kernel refuses such constants
// and ends the program with 0 for such registers.
static bool calculate(struct machine *machine, const struct bpf_instruction *at, bool *ret_is_over)
{
    uint32_t by = BPF_SRC(at->code) == BPF_X ? machine->x : at->k;
    switch (BPF_OP(at->code)) {
    case BPF_ADD:
        machine->a += by;
        return true;
    case BPF_SUB:
        machine->a -= by;
        return true;
    case BPF_MUL:
        machine->a *= by;
        return true;
    case BPF_DIV:
        *ret_is_over = by == 0;
        machine->a = by == 0 ? 0 : machine->a / by;
        return by != 0 || BPF_SRC(at->code) == BPF_X;
    case BPF_AND:
        machine->a &= by;
        return true;
    case BPF_OR:
        machine->a |= by;
        return true;
    case BPF_XOR:
        machine->a ^= by;
        return true;
    // Masked, as C gives a larger shift no meaning.
    case BPF_LSH:
        machine->a <<= by & 31;
        return by < 32 || BPF_SRC(at->code) == BPF_X;
    case BPF_RSH:
        machine->a >>= by & 31;
        return by < 32 || BPF_SRC(at->code) == BPF_X;
    case BPF_NEG:
        machine->a = 0 - machine->a;
        return true;
    default:
        return false;
    }
}

// How many instructions are skipped. Jumps go forward only: the program ends.
static bool jump(const struct machine *machine, const struct bpf_instruction *at,
                 uint32_t *ret_skipped)
{
    uint32_t with = BPF_SRC(at->code) == BPF_X ? machine->x : at->k;
    bool holds;
    switch (BPF_OP(at->code)) {
    case BPF_JA:
        *ret_skipped = at->k;
        return true;
    case BPF_JEQ:
        holds = machine->a == with;
        break;
    case BPF_JGT:
        holds = machine->a > with;
        break;
    case BPF_JGE:
        holds = machine->a >= with;
        break;
    case BPF_JSET:
        holds = (machine->a & with) != 0;
        break;
    default:
        return false;
    }
    *ret_skipped = holds ? at->jump_true : at->jump_false;
    return true;
}

// Sixteen words, and no address is calculated.
static bool store(struct machine *machine, const struct bpf_instruction *at)
{
    if (at->k >= BPF_MEMWORDS)
        return false;
    machine->memory[at->k] = BPF_CLASS(at->code) == BPF_ST ? machine->a : machine->x;
    return true;
}

// TAX and TXA; a kernel knows no others.
static bool copy_register(struct machine *machine, const struct bpf_instruction *at)
{
    if (BPF_MISCOP(at->code) == BPF_TAX)
        machine->x = machine->a;
    else
        machine->a = machine->x;
    return true;
}

// One instruction that neither jumps nor returns.
static bool step(struct machine *machine, const struct bpf_instruction *at,
                 const struct bpf_call *call, bool *ret_is_over)
{
    switch (BPF_CLASS(at->code)) {
    case BPF_LD:
    case BPF_LDX:
        return load(machine, at, call);
    case BPF_ST:
    case BPF_STX:
        return store(machine, at);
    case BPF_ALU:
        return calculate(machine, at, ret_is_over);
    case BPF_MISC:
        return copy_register(machine, at);
    default:
        return false;
    }
}

// The budget is the program itself: `next` only grows.
int bpf_run(const struct bpf_instruction *program, size_t count, const struct bpf_call *call,
            uint32_t *ret_answer)
{
    struct machine machine = {0};
    size_t next = 0;
    while (next < count) {
        const struct bpf_instruction *at = &program[next++];
        if (BPF_CLASS(at->code) == BPF_RET) {
            *ret_answer = BPF_RVAL(at->code) == BPF_A ? machine.a : at->k;
            return 0;
        }
        uint32_t skipped = 0;
        bool is_over = false;
        bool is_sound = BPF_CLASS(at->code) == BPF_JMP ? jump(&machine, at, &skipped)
                                                       : step(&machine, at, call, &is_over);
        // Behind the end there is no instruction, and no answer.
        if (!is_sound || skipped > count - next)
            return -EINVAL;
        // Divided by a register that was 0.
        if (is_over) {
            *ret_answer = 0;
            return 0;
        }
        next += skipped;
    }
    return -EINVAL;
}
