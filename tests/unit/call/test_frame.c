// SPDX-License-Identifier: Apache-2.0
// The frames of a call, read back as the kernel would read them. Test code.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <sys/ucontext.h>
#include <sys/user.h>
#endif

#include <cmocka.h>

#include "call/frame_x86_64.h"

enum {
    XSAVE_BYTES = 2696, // up to AVX-512 and PKRU
    AMX_BYTES = 11008,
    STACK_TOP = 0x7ffd00123458,
};

// Offsets in struct rt_sigframe, from its beginning: the uapi headers' own.
enum {
    AT_RESTORER = 0,
    AT_FLAGS = 8,
    AT_ALTSTACK_FLAGS = 32,
    AT_REGISTERS = 48, // r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags
    AT_RDI = 48 + 8 * 8,
    AT_RBX = 48 + 11 * 8,
    AT_RAX = 48 + 13 * 8,
    AT_RSP = 48 + 15 * 8,
    AT_RIP = 48 + 16 * 8,
    AT_SEGMENTS = 48 + 18 * 8,
    AT_FPSTATE = 48 + 23 * 8,
    AT_MASK = 304,
};

static const struct frame_code all_code = {
    .restorer = 0x7f0000001000,
    .value = {.address = 0x7f0000002000, .base = 3, .popped_bytes = 8},
    .word = {.address = 0x7f0000003000, .base = 7, .displacement = 16, .popped_bytes = 24},
};

static const struct frame_extents extents = {
    .end = {[2] = 832, [5] = 1152, [6] = 1664, [7] = 2688, [9] = 2696, [17] = 2816, [18] = 11008}};

static void put64(uint8_t *to, uint64_t value)
{
    memcpy(to, &value, sizeof value);
}

static uint64_t get64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

// A thread in epoll_wait(), its registers all different.
static void make_state(struct frame_state *state, uint64_t features, uint64_t used, size_t bytes)
{
    memset(state, 0, sizeof *state);
    uint64_t *registers = (uint64_t *)&state->registers;
    for (size_t i = 0; i < sizeof state->registers / 8; i++)
        registers[i] = 0x1000 + i;
    state->registers.rsp = STACK_TOP;
    state->registers.rip = 0x401002;
    state->registers.orig_rax = 232;
    state->registers.cs = 0x33;
    state->registers.ss = 0x2b;
    state->registers.eflags = 0x246;
    state->signal_mask = 0x4001;
    state->xsave_bytes = bytes;
    memset(state->xsave, 0xa5, bytes);
    put64(state->xsave + 464, features);
    put64(state->xsave + 512, used);
    put64(state->xsave + 520, 0);
}

struct built {
    struct frame_layout at;
    uint8_t *image;
};

static struct built build(const struct frame_state *state, const struct frame_code *code,
                          const struct frame_call *call)
{
    struct built built;
    assert_int_equal(frame_lay_out(state, code, &extents, &built.at), 0);
    built.image = malloc(built.at.high - built.at.low);
    frame_build(state, code, &built.at, call, built.image);
    return built;
}

static uint64_t word_at(const struct built *built, uint64_t address)
{
    assert_true(address >= built->at.low && address + 8 <= built->at.high);
    return get64(built->image + (address - built->at.low));
}

static void test_places(void **state)
{
    (void)state;
    static struct frame_state thread;
    make_state(&thread, 0x2e7, 0x2e7, XSAVE_BYTES);
    struct frame_call call = {.function = 0x500000};
    struct built built = build(&thread, &all_code, &call);
    const struct frame_layout *at = &built.at;
    // Below the red zone, one below the other, nothing overlapping.
    assert_true(at->scratch + FRAME_SCRATCH_BYTES <= STACK_TOP - 128);
    assert_true(at->result + 8 <= at->high && at->high <= at->scratch);
    assert_true(at->xsave % 64 == 0 && at->xsave + XSAVE_BYTES + 4 <= at->result);
    assert_true(at->leave + 440 <= at->xsave && at->mark + 440 <= at->leave);
    assert_true(at->enter + 440 + all_code.word.popped_bytes <= at->mark);
    assert_true(at->mend + 440 <= at->enter && at->entry == at->low);
    assert_int_equal((at->entry + 8) % 16, 0);
    assert_true(STACK_TOP - at->low < FRAME_ROOM_BYTES / 2);
    free(built.image);
}

// Follows the way of the thread, as the processor would go it.
static void test_chain(void **state)
{
    (void)state;
    static struct frame_state thread;
    make_state(&thread, 0x2e7, 0x2e7, XSAVE_BYTES);
    struct frame_call call = {.function = 0x500000,
                              .arguments = {1, 2, 3, 4, 5, 6},
                              .marker_mask = 1 << 22,
                              .errno_address = 0x7f1230,
                              .errno_value = 77};
    struct built built = build(&thread, &all_code, &call);
    const struct frame_layout *at = &built.at;
    struct frame_registers start = frame_return_through(&thread.registers, &all_code, at->enter);
    assert_int_equal(start.rip, all_code.restorer);
    assert_int_equal(start.rsp, at->enter + 8);
    assert_int_equal(start.orig_rax, UINT64_MAX);
    assert_int_equal(start.fs_base, thread.registers.fs_base);
    assert_true(frame_is_before(&start, &all_code, at->enter));
    assert_false(frame_is_before(&start, &all_code, at->leave));
    // The function: arguments, no extended state, everything blocked but faults.
    assert_int_equal(word_at(&built, at->enter + AT_RIP), 0x500000);
    assert_int_equal(word_at(&built, at->enter + AT_RDI), 1);
    assert_int_equal(word_at(&built, at->enter + AT_RBX), at->result);
    assert_int_equal(word_at(&built, at->enter + AT_FPSTATE), 0);
    assert_int_equal(~word_at(&built, at->enter + AT_MASK), 0x400004d8);
    uint64_t stack = word_at(&built, at->enter + AT_RSP);
    assert_int_equal(stack, at->entry);
    // Its return, the gadget's pops and return: to the frame that mends errno.
    assert_int_equal(word_at(&built, stack), all_code.value.address);
    stack += 8 + all_code.value.popped_bytes;
    assert_int_equal(stack, at->mend);
    assert_int_equal(word_at(&built, stack + AT_RESTORER), all_code.restorer);
    assert_int_equal(word_at(&built, stack + AT_RIP), all_code.word.address);
    assert_int_equal(word_at(&built, stack + AT_RAX), 77);
    assert_int_equal(word_at(&built, stack + AT_RDI), 0x7f1230 - 16);
    stack = word_at(&built, stack + AT_RSP) + all_code.word.popped_bytes;
    assert_int_equal(stack, at->mark);
    assert_int_equal(word_at(&built, stack + AT_RESTORER), all_code.restorer);
    assert_int_equal(word_at(&built, stack + AT_RIP), all_code.restorer);
    assert_int_equal(~word_at(&built, stack + AT_MASK), 0x400004d8 | 1 << 22);
    assert_int_equal(word_at(&built, stack + AT_FPSTATE), at->xsave);
    stack = word_at(&built, stack + AT_RSP) - 8;
    assert_int_equal(stack, at->leave);
    free(built.image);
}

static void test_leave(void **state)
{
    (void)state;
    static struct frame_state thread;
    make_state(&thread, 0x2e7, 0x7, XSAVE_BYTES);
    struct frame_call call = {.function = 0x500000};
    struct built built = build(&thread, &all_code, &call);
    const struct frame_registers *was = &thread.registers;
    const uint64_t expected[18] = {
        was->r8,  was->r9,  was->r10, was->r11, was->r12, was->r13, was->r14, was->r15,
        was->rdi, was->rsi, was->rbp, was->rbx, was->rdx, 232,      was->rcx, (uint64_t)STACK_TOP,
        0x401000, 0x246};
    uint64_t leave = built.at.leave;
    for (size_t i = 0; i < 18; i++)
        assert_int_equal(word_at(&built, leave + AT_REGISTERS + 8 * i), expected[i]);
    assert_int_equal(word_at(&built, leave + AT_SEGMENTS), 0x002b000000000033);
    assert_int_equal(word_at(&built, leave + AT_FLAGS), 7);
    // No mode that sigaltstack() knows.
    assert_int_equal(word_at(&built, leave + AT_ALTSTACK_FLAGS), 3);
    assert_int_equal(word_at(&built, leave + AT_MASK), 0x4001);
    assert_int_equal(word_at(&built, leave + AT_FPSTATE), built.at.xsave);
    uint64_t xsave = built.at.xsave;
    assert_int_equal(word_at(&built, xsave + 464), 0x46505853 | (uint64_t)(XSAVE_BYTES + 4) << 32);
    assert_int_equal(word_at(&built, xsave + 472), 0x2e7);
    assert_int_equal((uint32_t)word_at(&built, xsave + 480), XSAVE_BYTES);
    assert_int_equal(word_at(&built, xsave + 512), 7);
    assert_int_equal((uint32_t)word_at(&built, xsave + XSAVE_BYTES), 0x46505845);
    assert_int_equal(word_at(&built, xsave + 600), 0xa5a5a5a5a5a5a5a5);
    free(built.image);
}

static void test_without_stores(void **state)
{
    (void)state;
    static struct frame_state thread;
    make_state(&thread, 7, 7, 832);
    const struct frame_code bare = {.restorer = 0x7f0000001000};
    struct frame_call call = {.function = 0x500000, .errno_address = 0x7f1230};
    struct built built = build(&thread, &bare, &call);
    // Straight from one frame to the next.
    assert_int_equal((built.at.entry + 8) % 16, 0);
    assert_int_equal(built.at.entry, built.at.mend);
    assert_int_equal(word_at(&built, built.at.entry), bare.restorer);
    assert_int_equal(word_at(&built, built.at.mend + AT_RIP), bare.restorer);
    assert_int_equal(word_at(&built, built.at.mend + AT_RSP), built.at.mark + 8);
    free(built.image);
}

static void test_extended_state(void **state)
{
    (void)state;
    static struct frame_state thread;
    struct frame_layout at;
    // AMX is there, but this thread has no tiles: the image ends before them.
    make_state(&thread, 0x602e7, 0x2e7, AMX_BYTES);
    assert_int_equal(frame_lay_out(&thread, &all_code, &extents, &at), 0);
    assert_int_equal(at.xsave_bytes, 2816);
    make_state(&thread, 0x602e7, 0x602e7, AMX_BYTES);
    assert_int_equal(frame_lay_out(&thread, &all_code, &extents, &at), 0);
    assert_int_equal(at.xsave_bytes, AMX_BYTES);
    // A feature that nobody has told us of; images that are cut, or absurd.
    make_state(&thread, 0x8000, 0x8000, AMX_BYTES);
    assert_int_equal(frame_lay_out(&thread, &all_code, &extents, &at), -ENOTSUP);
    make_state(&thread, 0x2e7, 0x2e7, 2600);
    assert_int_equal(frame_lay_out(&thread, &all_code, &extents, &at), -ENOTSUP);
    make_state(&thread, 3, 3, 512);
    assert_int_equal(frame_lay_out(&thread, &all_code, &extents, &at), -ENOTSUP);
    make_state(&thread, 3, 3, 576);
    thread.xsave_bytes = FRAME_XSAVE_MAX_BYTES + 1;
    assert_int_equal(frame_lay_out(&thread, &all_code, &extents, &at), -ENOTSUP);
    make_state(&thread, 3, 3, 576);
    thread.registers.rsp = 4096;
    assert_int_equal(frame_lay_out(&thread, &all_code, &extents, &at), -ENOTSUP);
}

static void test_waits(void **state)
{
    (void)state;
    uint64_t none[6] = {0}, forever[6] = {0, 0, UINT32_MAX, UINT32_MAX};
    assert_int_equal(frame_wait_of(0, none, true), FRAME_WAIT_EXACT);
    assert_int_equal(frame_wait_of(7, none, true), FRAME_WAIT_LIMITED);
    assert_int_equal(frame_wait_of(7, forever, true), FRAME_WAIT_EXACT);
    assert_int_equal(frame_wait_of(232, forever, true), FRAME_WAIT_TOLD);
    assert_int_equal(frame_wait_of(232, none, true), FRAME_WAIT_LIMITED);
    assert_int_equal(frame_wait_of(441, none, true), FRAME_WAIT_TOLD);
    assert_int_equal(frame_wait_of(281, forever, false), FRAME_WAIT_UNFIT);
    assert_int_equal(frame_wait_of(271, none, false), FRAME_WAIT_UNFIT);
    assert_int_equal(frame_wait_of(271, none, true), FRAME_WAIT_EXACT);
    assert_int_equal(frame_wait_of(35, (uint64_t[6]){8, 0}, true), FRAME_WAIT_SLEEP);
    assert_int_equal(frame_wait_of(35, (uint64_t[6]){8, 8}, true), FRAME_WAIT_EXACT);
    assert_int_equal(frame_wait_of(230, (uint64_t[6]){1, 1, 8, 0}, true), FRAME_WAIT_EXACT);
    assert_int_equal(frame_wait_of(230, (uint64_t[6]){1, 0, 8, 0}, true), FRAME_WAIT_SLEEP);
    // futex, madvise, mmap, brk, write, and numbers that are none.
    static const int64_t others[] = {202, 28, 9, 12, 1, -1, -2, 219, 100000, INT64_MIN};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(frame_wait_of(others[i], forever, true), FRAME_WAIT_UNFIT);
    assert_string_equal(frame_wait_name(232), "epoll_wait");
    assert_string_equal(frame_wait_name(202), "?");
}

static void test_stops(void **state)
{
    (void)state;
    static const uint8_t poll_code[7] = {0xb8, 7, 0, 0, 0, 0x0f, 0x05};
    static const uint8_t futex_code[7] = {0xb8, 202, 0, 0, 0, 0x0f, 0x05};
    static const uint8_t int80_code[7] = {0xb8, 7, 0, 0, 0, 0xcd, 0x80};
    struct frame_registers registers = {.cs = 0x33, .orig_rax = 232, .rax = (uint64_t)-EINTR};
    assert_true(frame_is_interrupted(&registers));
    assert_int_equal(frame_syscall_of(&registers, futex_code), 232);
    assert_int_equal(frame_syscall_of(&registers, int80_code), -1);
    // An epoll_wait() that would answer EINTR.
    assert_true(frame_hide_stop(&registers, 232, false));
    assert_int_equal((int64_t)registers.rax, -514);
    assert_true(frame_is_interrupted(&registers));
    assert_false(frame_hide_stop(&registers, 232, true));
    // A poll() that was begun again by the kernel: its rest is forgotten after a call.
    registers = (struct frame_registers){.cs = 0x33, .orig_rax = 219, .rax = (uint64_t)-516};
    assert_int_equal(frame_syscall_of(&registers, poll_code), 7);
    assert_int_equal(frame_syscall_of(&registers, futex_code), -1);
    assert_false(frame_hide_stop(&registers, 7, false));
    assert_true(frame_hide_stop(&registers, 7, true));
    assert_int_equal(registers.orig_rax, 7);
    assert_int_equal((int64_t)registers.rax, -514);
    // What has done something, runs elsewhere, or is 32-bit code.
    registers.rax = 1;
    assert_false(frame_is_interrupted(&registers));
    registers.rax = (uint64_t)-512;
    registers.orig_rax = UINT64_MAX;
    assert_false(frame_is_interrupted(&registers));
    registers.orig_rax = 0;
    assert_true(frame_is_interrupted(&registers));
    registers.cs = 0x23;
    assert_false(frame_is_interrupted(&registers));
}

#if defined(__x86_64__)
static volatile int seen_frames;

// The kernel's own frame, where a handler finds it: right above its own return address.
static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    const uint8_t *frame = (const uint8_t *)context - 8;
    seen_frames += frame_is_signal_frame(frame, (uint64_t)(uintptr_t)frame);
    // Eight bytes off it is none.
    seen_frames += 10 * frame_is_signal_frame(frame + 8, (uint64_t)(uintptr_t)frame + 8);
}

static void test_real_frame(void **state)
{
    (void)state;
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO}, before;
    sigaction(SIGUSR1, &action, &before);
    raise(SIGUSR1);
    sigaction(SIGUSR1, &before, NULL);
    assert_int_equal(seen_frames, 1);
    uint8_t nothing[FRAME_SIGNAL_BYTES] = {0};
    assert_false(frame_is_signal_frame(nothing, 0x7ffd00000000));
}

// The types written down are those of this system.
static void test_types(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct frame_registers), sizeof(struct user_regs_struct));
    assert_int_equal(offsetof(struct frame_registers, rip), offsetof(struct user_regs_struct, rip));
    assert_int_equal(offsetof(struct frame_registers, fs_base),
                     offsetof(struct user_regs_struct, fs_base));
    assert_int_equal(AT_RIP, 8 + offsetof(ucontext_t, uc_mcontext.gregs[REG_RIP]));
    assert_int_equal(AT_RBX, 8 + offsetof(ucontext_t, uc_mcontext.gregs[REG_RBX]));
    assert_int_equal(AT_FPSTATE, 8 + offsetof(ucontext_t, uc_mcontext.fpregs));
    assert_int_equal(AT_MASK, 8 + offsetof(ucontext_t, uc_sigmask));
    assert_int_equal(AT_ALTSTACK_FLAGS, 8 + offsetof(ucontext_t, uc_stack.ss_flags));
    struct frame_extents own;
    assert_true(frame_read_extents(&own));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_leave),
        cmocka_unit_test(test_without_stores),
        cmocka_unit_test(test_extended_state),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_stops),
#if defined(__x86_64__)
        cmocka_unit_test(test_real_frame),
        cmocka_unit_test(test_types),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
