// SPDX-License-Identifier: Apache-2.0
// Signal frames of x86-64, see frame_x86_64.h. Tool world; pure, no state.
#include "call/frame_x86_64.h"

#include <errno.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

// struct rt_sigframe, with its ucontext and sigcontext laid open.
struct signal_frame {
    uint64_t restorer;
    uint64_t flags, link;
    uint64_t altstack;
    uint32_t altstack_flags, padding;
    uint64_t altstack_bytes;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
    uint64_t eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, old_mask, cr2;
    uint64_t fpstate;
    uint64_t reserved[8];
    uint64_t signal_mask;
    uint8_t info[128];
};
_Static_assert(sizeof(struct signal_frame) == 440, "struct rt_sigframe");
_Static_assert(offsetof(struct signal_frame, signal_mask) + 8 == FRAME_SIGNAL_BYTES, "");

// UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
static const uint64_t frame_flags = 7;
// SS_ONSTACK | SS_DISABLE is no mode: sigaltstack answers EINVAL, which rt_sigreturn passes over,
// so the thread's alternate stack stays as it is.
static const uint32_t altstack_untouched = 3;
static const uint64_t user_code_segment = 0x33;                 // __USER_CS, 64-bit
static const uint32_t magic1 = 0x46505853, magic2 = 0x46505845; // FP_XSTATE_MAGIC1, _MAGIC2
// Tile data: its room is given to threads that ask for it, so it is named only when it is in use.
static const uint64_t features_on_demand = UINT64_C(1) << 18;
static const uint64_t features_legacy = 3; // x87 and SSE
// ILL, TRAP, BUS, FPE, SEGV, SYS: what an instruction raises must not be blocked, or the kernel
// kills instead of asking.
static const uint64_t open_signals = UINT64_C(1) << 3 | UINT64_C(1) << 4 | UINT64_C(1) << 6 |
                                     UINT64_C(1) << 7 | UINT64_C(1) << 10 | UINT64_C(1) << 30;
static const uint64_t flags_at_entry = 0x202; // the direction flag clear

enum {
    RED_ZONE_BYTES = 128,
    XSAVE_SOFTWARE_AT = 464, // struct _fpx_sw_bytes; ptrace puts the features there
    XSAVE_HEADER_AT = 512,
    XSAVE_MIN_BYTES = 576,
};

// Nothing in an image is aligned for us.
static uint64_t load64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

// Leaf 13's subleaves say where each part is in the uncompacted form, for all threads alike.
bool frame_read_extents(struct frame_extents *ret_extents)
{
    *ret_extents = (struct frame_extents){0};
#if defined(__x86_64__)
    unsigned a, b, c, d;
    for (unsigned feature = 2; feature < 63; feature++) {
        if (!__get_cpuid_count(13, feature, &a, &b, &c, &d))
            return false;
        // Supervisor states (bit 0 of ecx) are in no image of ours.
        if (a > 0 && !(c & 1) && a < FRAME_XSAVE_MAX_BYTES && b < FRAME_XSAVE_MAX_BYTES)
            ret_extents->end[feature] = a + b;
    }
    return true;
#else
    return false;
#endif
}

// Kernels from 5.16 on take an image that is larger than the thread's own for a legacy one, and
// lose AVX: so it is made no larger than what the thread has.
static int measure_xsave(const struct frame_state *state, const struct frame_extents *extents,
                         uint64_t *ret_features, size_t *ret_bytes)
{
    // A processor without xsave, or an image that ptrace had to cut.
    if (state->xsave_bytes < XSAVE_MIN_BYTES || state->xsave_bytes > FRAME_XSAVE_MAX_BYTES)
        return -ENOTSUP;
    uint64_t used = load64(state->xsave + XSAVE_HEADER_AT);
    uint64_t features = load64(state->xsave + XSAVE_SOFTWARE_AT);
    features = (features & ~features_on_demand) | used | features_legacy;
    size_t bytes = XSAVE_MIN_BYTES;
    for (unsigned feature = 2; feature < 64; feature++) {
        if (!(features >> feature & 1))
            continue;
        // Unknown to this processor, or not in the image.
        if (extents->end[feature] == 0 || extents->end[feature] > state->xsave_bytes)
            return -ENOTSUP;
        if (extents->end[feature] > bytes)
            bytes = extents->end[feature];
    }
    *ret_features = features;
    *ret_bytes = bytes;
    return 0;
}

// `to` is a power of two.
static uint64_t align_down(uint64_t address, uint64_t to)
{
    return address & ~(to - 1);
}

// From the red zone downwards. The order of the frames does not matter to the thread; `entry` comes
// last, since the function uses all that is below.
int frame_lay_out(const struct frame_state *state, const struct frame_code *code,
                  const struct frame_extents *extents, struct frame_layout *ret_layout)
{
    uint64_t features;
    // Refused before anything is laid out.
    struct frame_layout at = {0};
    int error = measure_xsave(state, extents, &features, &at.xsave_bytes);
    if (error)
        return error;
    const uint64_t frame_bytes = align_down(sizeof(struct signal_frame) + 15, 16);
    // The psABI gives functions 128 bytes below the stack pointer without asking.
    uint64_t top = state->registers.rsp - RED_ZONE_BYTES;
    at.scratch = align_down(top - FRAME_SCRATCH_BYTES, 16);
    at.high = at.scratch;
    at.result = at.high - 16;
    at.xsave = align_down(at.result - at.xsave_bytes - sizeof magic2, 64);
    at.leave = at.xsave - frame_bytes;
    at.mark = at.leave - frame_bytes;
    // Below `mark` is what the word gadget pops on its way to it, below `mend` what the value
    // gadget does; the function's own return address is the lowest.
    at.enter = at.mark - align_down(code->word.popped_bytes + 15, 16) - frame_bytes;
    uint64_t below_mend = code->value.address ? code->value.popped_bytes + 8 : 0;
    // The psABI: 16 divides rsp + 8 at a function's entry.
    at.entry = align_down(at.enter - frame_bytes - below_mend, 16) - 8;
    at.mend = at.entry + below_mend;
    at.low = at.entry;
    // Half of the room at most; the function needs the rest.
    if (state->registers.rsp < FRAME_ROOM_BYTES || at.high - at.low > FRAME_ROOM_BYTES / 2)
        return -ENOTSUP;
    *ret_layout = at;
    return 0;
}

// The register of a gadget, by its number in instructions.
static void put_base(struct signal_frame *frame, uint8_t base, uint64_t value)
{
    uint64_t *const registers[16] = {
        &frame->rax, &frame->rcx, &frame->rdx, &frame->rbx, &frame->rsp, &frame->rbp,
        &frame->rsi, &frame->rdi, &frame->r8,  &frame->r9,  &frame->r10, &frame->r11,
        &frame->r12, &frame->r13, &frame->r14, &frame->r15,
    };
    *registers[base & 15] = value;
}

// What all frames have in common; everything not named is 0.
static struct signal_frame blank_frame(const struct frame_state *state,
                                       const struct frame_code *code)
{
    return (struct signal_frame){
        .restorer = code->restorer,
        .flags = frame_flags,
        .altstack_flags = altstack_untouched,
        .eflags = flags_at_entry,
        .cs = (uint16_t)state->registers.cs,
        .ss = (uint16_t)state->registers.ss,
        .signal_mask = ~open_signals,
    };
}

// The thread's own registers, and the wait begun anew: the two bytes before rip are "syscall". The
// kernel's own restart does the same.
static struct signal_frame leave_frame(const struct frame_state *state,
                                       const struct frame_code *code,
                                       const struct frame_layout *layout)
{
    const struct frame_registers *registers = &state->registers;
    struct signal_frame frame = blank_frame(state, code);
    frame.r8 = registers->r8;
    frame.r9 = registers->r9;
    frame.r10 = registers->r10;
    frame.r11 = registers->r11;
    frame.r12 = registers->r12;
    frame.r13 = registers->r13;
    frame.r14 = registers->r14;
    frame.r15 = registers->r15;
    frame.rdi = registers->rdi;
    frame.rsi = registers->rsi;
    frame.rbp = registers->rbp;
    frame.rbx = registers->rbx;
    frame.rdx = registers->rdx;
    frame.rcx = registers->rcx;
    frame.rsp = registers->rsp;
    frame.rax = registers->orig_rax;
    frame.rip = registers->rip - 2;
    frame.eflags = registers->eflags;
    frame.fpstate = layout->xsave;
    frame.signal_mask = state->signal_mask;
    return frame;
}

// A fresh floating-point state: no fpstate. Registers that carry no argument are 0.
static struct signal_frame enter_frame(const struct frame_state *state,
                                       const struct frame_code *code,
                                       const struct frame_layout *layout,
                                       const struct frame_call *call)
{
    struct signal_frame frame = blank_frame(state, code);
    frame.rdi = call->arguments[0];
    frame.rsi = call->arguments[1];
    frame.rdx = call->arguments[2];
    frame.rcx = call->arguments[3];
    frame.r8 = call->arguments[4];
    frame.r9 = call->arguments[5];
    frame.rip = call->function;
    frame.rsp = layout->entry;
    if (code->value.address)
        put_base(&frame, code->value.base,
                 layout->result - (uint64_t)(int64_t)code->value.displacement);
    return frame;
}

// Puts errno back, by the thread itself; or does nothing on the way to `mark`.
static struct signal_frame mend_frame(const struct frame_state *state,
                                      const struct frame_code *code,
                                      const struct frame_layout *layout,
                                      const struct frame_call *call)
{
    struct signal_frame frame = blank_frame(state, code);
    if (call->errno_address && code->word.address) {
        frame.rip = code->word.address;
        frame.rsp = layout->mark - code->word.popped_bytes;
        put_base(&frame, code->word.base,
                 call->errno_address - (uint64_t)(int64_t)code->word.displacement);
        frame.rax = call->errno_value;
    } else {
        frame.rip = code->restorer;
        frame.rsp = layout->mark + 8;
    }
    return frame;
}

// The extended state is the thread's own from here on; only the mask is not.
static struct signal_frame mark_frame(const struct frame_state *state,
                                      const struct frame_code *code,
                                      const struct frame_layout *layout,
                                      const struct frame_call *call)
{
    struct signal_frame frame = blank_frame(state, code);
    frame.rip = code->restorer;
    frame.rsp = layout->leave + 8;
    frame.fpstate = layout->xsave;
    frame.signal_mask = ~(open_signals | call->marker_mask);
    return frame;
}

// As save_xstate_epilog() of the kernel does it.
static void put_xsave(const struct frame_state *state, const struct frame_layout *layout,
                      uint64_t features, uint8_t *to)
{
    struct {
        uint32_t magic, extended_bytes;
        uint64_t features;
        uint32_t bytes, padding[7];
    } software = {
        .magic = magic1,
        .extended_bytes = (uint32_t)(layout->xsave_bytes + sizeof magic2),
        .features = features,
        .bytes = (uint32_t)layout->xsave_bytes,
    };
    _Static_assert(sizeof software == 48, "struct _fpx_sw_bytes");
    uint64_t used = load64(state->xsave + XSAVE_HEADER_AT) | features_legacy;
    memcpy(to, state->xsave, layout->xsave_bytes);
    memcpy(to + XSAVE_SOFTWARE_AT, &software, sizeof software);
    memcpy(to + XSAVE_HEADER_AT, &used, sizeof used);
    memcpy(to + layout->xsave_bytes, &magic2, sizeof magic2);
}

// Addresses are the target's; the image is our copy of that part of its stack.
static void put_at(uint8_t *image, const struct frame_layout *layout, uint64_t address,
                   const void *data, size_t len)
{
    memcpy(image + (address - layout->low), data, len);
}

// Each frame is small, so one is filled in after the other. What lies between them is 0.
void frame_build(const struct frame_state *state, const struct frame_code *code,
                 const struct frame_layout *layout, const struct frame_call *call,
                 uint8_t *ret_image)
{
    memset(ret_image, 0, (size_t)(layout->high - layout->low));
    struct signal_frame frame = leave_frame(state, code, layout);
    put_at(ret_image, layout, layout->leave, &frame, sizeof frame);
    frame = mark_frame(state, code, layout, call);
    put_at(ret_image, layout, layout->mark, &frame, sizeof frame);
    frame = enter_frame(state, code, layout, call);
    put_at(ret_image, layout, layout->enter, &frame, sizeof frame);
    frame = mend_frame(state, code, layout, call);
    put_at(ret_image, layout, layout->mend, &frame, sizeof frame);
    // Without a gadget for the value, the function returns straight to the restorer.
    uint64_t back = code->value.address ? code->value.address : code->restorer;
    put_at(ret_image, layout, layout->entry, &back, sizeof back);
    // The features are those that frame_lay_out() measured.
    uint64_t features = load64(state->xsave + XSAVE_SOFTWARE_AT) & ~features_on_demand;
    features |= load64(state->xsave + XSAVE_HEADER_AT) | features_legacy;
    put_xsave(state, layout, features, ret_image + (layout->xsave - layout->low));
}

// With orig_rax -1 the kernel has no system call to restart on the way.
struct frame_registers frame_return_through(const struct frame_registers *registers,
                                            const struct frame_code *code, uint64_t frame)
{
    struct frame_registers flipped = *registers;
    flipped.rip = code->restorer;
    // Behind its return address, as a handler's return leaves it.
    flipped.rsp = frame + 8;
    flipped.orig_rax = UINT64_MAX;
    return flipped;
}

// Both must agree: the restorer also runs at the end of the target's own handlers.
bool frame_is_before(const struct frame_registers *registers, const struct frame_code *code,
                     uint64_t frame)
{
    return registers->rip == code->restorer && registers->rsp == frame + 8;
}

bool frame_is_signal_frame(const uint8_t stack[FRAME_SIGNAL_BYTES], uint64_t address)
{
    struct signal_frame frame = {0};
    memcpy(&frame, stack, FRAME_SIGNAL_BYTES);
    // The kernel puts the extended state close above the frame, and fills in the segments (ss since
    // 4.6); together they are hardly met by chance.
    bool has_state = frame.fpstate > address && frame.fpstate - address < FRAME_XSAVE_MAX_BYTES &&
                     frame.fpstate % 64 == 0;
    return frame.flags <= frame_flags && frame.link == 0 && frame.cs == user_code_segment &&
           frame.gs == 0 && frame.fs == 0 && has_state;
}
