// SPDX-License-Identifier: Apache-2.0
// All that is x86-64 about a call: registers, signal frames, which waits may be begun anew, and the
// instructions of the target that the way back goes through. Tool world; pure, no state.
//
// The types are the kernel's own, written down here, so that it compiles (and its tests run) on any
// architecture. Sources: arch/x86/include/uapi/asm/{ptrace,sigcontext,ucontext}.h,
// arch/x86/kernel/signal_64.c (rt_sigreturn), arch/x86/kernel/fpu/signal.c, the psABI.
//
// The chain, all of it on the dead part of the thread's stack, each arrow made by the thread alone:
//   restorer(enter) -> function -> [value gadget: stores rax] -> restorer(mend) -> [word gadget:
//   stores errno] -> restorer(mark) -> restorer(leave) -> the wait, begun anew
// From `enter` to `mark` every signal is blocked but those that a fault raises; `mark` lets the
// marker signal in besides, and only there it is seen that the function has returned.
#ifndef EBB_CALL_FRAME_X86_64_H
#define EBB_CALL_FRAME_X86_64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What PTRACE_GETREGSET with NT_PRSTATUS fills in: struct user_regs_struct.
struct frame_registers {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t orig_rax, rip, cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
};

enum {
    FRAME_XSAVE_MAX_BYTES = 32768,
    // Room that a thread's stack must have below the stack pointer: frames and arguments take 9 KiB
    // with AVX-512 and 18 with AMX, the rest is for the function. Seen: malloc_trim below 1 KiB,
    // jemalloc's purge of all arenas and tcmalloc's release below 4, malloc_stats_print 17.
    FRAME_ROOM_BYTES = 65536,
    FRAME_SCRATCH_BYTES = 4096,
    FRAME_CODE_BYTES = 40, // more than any piece of code that is looked at
    FRAME_RESTART_SYSCALL = 219,
};

// A "mov %rax, D(base)" (or %eax) that is soon followed by a return.
struct frame_store {
    uint64_t address; // run-time; 0: there is none
    int32_t displacement;
    uint32_t popped_bytes; // what is taken off the stack before the return
    uint8_t base;          // the register's number in instructions: 3 rbx, 5 rbp, 7 rdi, 12 r12 ...
};

// The target's instructions that a call goes through.
struct frame_code {
    uint64_t restorer;        // "mov $15, %rax; syscall"
    struct frame_store value; // of %rax, with a base that functions preserve
    struct frame_store word;  // of %eax, with any base
};

// Where each part of the processor's extended state ends in an xsave image, by feature; 0 unknown.
struct frame_extents {
    uint32_t end[64];
};

// A thread as it was stopped.
struct frame_state {
    struct frame_registers registers; // those that it shall continue with, see frame_hide_stop()
    uint64_t signal_mask;
    uint8_t xsave[FRAME_XSAVE_MAX_BYTES]; // NT_X86_XSTATE
    size_t xsave_bytes;
};

// Where everything is in the target; [low, high) is what frame_build() fills.
struct frame_layout {
    uint64_t scratch; // FRAME_SCRATCH_BYTES
    uint64_t high, low;
    uint64_t result; // 8 bytes
    uint64_t xsave;
    size_t xsave_bytes;                // what rt_sigreturn is told of
    uint64_t leave, mark, enter, mend; // frames
    uint64_t entry;                    // the stack pointer at the function's first instruction
};

struct frame_call {
    uint64_t function;
    uint64_t arguments[6];
    uint64_t marker_mask;   // the marker's bit, or 0
    uint64_t errno_address; // 0: unknown, errno is not restored
    uint32_t errno_value;
};

// Of this processor, by CPUID leaf 13. False elsewhere than on x86-64 with xsave.
bool frame_read_extents(struct frame_extents *ret_extents);

// 0; -ENOTSUP when the extended state is not understood, or is too large.
int frame_lay_out(const struct frame_state *state, const struct frame_code *code,
                  const struct frame_extents *extents, struct frame_layout *ret_layout);

// Fills `ret_image`, which has layout->high - layout->low bytes.
void frame_build(const struct frame_state *state, const struct frame_code *code,
                 const struct frame_layout *layout, const struct frame_call *call,
                 uint8_t *ret_image);

// Registers that make the thread run rt_sigreturn over the frame at `frame`.
struct frame_registers frame_return_through(const struct frame_registers *registers,
                                            const struct frame_code *code, uint64_t frame);
// Is the thread just before the rt_sigreturn over the frame at `frame`, with the restorer ahead?
bool frame_is_before(const struct frame_registers *registers, const struct frame_code *code,
                     uint64_t frame);

// How well a wait may be begun anew; smaller is better.
enum frame_wait {
    FRAME_WAIT_EXACT, // nothing is lost
    FRAME_WAIT_TOLD,  // the same, but the kernel itself tells it of any stop, by EINTR: what hides
                      // that is ebb, and an ebb that dies before it can does not
    FRAME_WAIT_LIMITED, // its time limit begins anew
    FRAME_WAIT_SLEEP, // the same; never the first choice, since allocators that spin may sleep too
    FRAME_WAIT_UNFIT, // not to be begun anew
};
// `keeps_masks`: PTRACE_GETSIGMASK tells a thread's own mask even in a wait that has another
// (Linux 5.1).
enum frame_wait frame_wait_of(int64_t number, const uint64_t arguments[6], bool keeps_masks);
// Its name, or "?".
const char *frame_wait_name(int64_t number);

// The system call that a stopped thread was in; looks behind restart_syscall, by which the kernel
// replaces a wait after an earlier stop, into the code before the system call: `code` has the 7
// bytes that end at rip. -1 when unknown, or not by the instruction "syscall".
int64_t frame_syscall_of(const struct frame_registers *registers, const uint8_t code[7]);
void frame_syscall_arguments(const struct frame_registers *registers, uint64_t ret_arguments[6]);
// Was it interrupted by our stop, in 64-bit code, with nothing done yet?
bool frame_is_interrupted(const struct frame_registers *registers);

// Makes a stop unseen: EINTR becomes "begin again, unless a handler runs". With `began_anew`, after
// a call, also for waits whose rest the kernel has forgotten; `number` is frame_syscall_of().
// Returns whether anything was changed.
bool frame_hide_stop(struct frame_registers *registers, int64_t number, bool began_anew);

// The frame of a signal handler at the beginning of `stack`? Then the thread may have been
// interrupted anywhere, in the allocator too. `address` is where `stack` was read.
enum { FRAME_SIGNAL_BYTES = 312 };
bool frame_is_signal_frame(const uint8_t stack[FRAME_SIGNAL_BYTES], uint64_t address);

// Parsers of instructions: true with what they mean, `address` left 0.
bool frame_parse_value_store(const uint8_t *code, size_t len, struct frame_store *ret_store);
bool frame_parse_word_store(const uint8_t *code, size_t len, struct frame_store *ret_store);
bool frame_parse_restorer(const uint8_t *code, size_t len);

// What a function like __errno_location returns, read from its code: fs_base + offset, to which the
// word at `slot` is added where that is not 0. `address` is where the code is. False for what is
// not understood.
struct frame_thread_variable {
    uint64_t offset;
    uint64_t slot;
};
bool frame_parse_thread_variable(const uint8_t *code, size_t len, uint64_t address,
                                 struct frame_thread_variable *ret_variable);

#endif
