// SPDX-License-Identifier: Apache-2.0
// Waits and instructions of x86-64, see frame_x86_64.h. Tool world; pure, no state.
#include <errno.h>
#include <string.h>

#include "call/frame_x86_64.h"

// Of include/linux/errno.h, which user space does not see.
enum {
    RESTART_SYS = 512,
    RESTART_NO_INTR = 513,
    RESTART_NO_HANDLER = 514,
    RESTART_BLOCK = 516,
};

// What is peculiar to a wait.
enum wait_kind {
    WAIT_PLAIN,      // no limit, or the kernel writes the rest back
    WAIT_LIMIT_INT,  // a limit in milliseconds as an int, below 0 for none
    WAIT_LIMIT_PTR,  // a limit behind a pointer, NULL for none
    WAIT_SLEEP,      // sleeps: argument `limit` is the time, and the next where the rest goes
    WAIT_OTHER_MASK, // waits with another signal mask
    WAIT_MASK_INT,   // both
    WAIT_MASK_PTR,
};

// The waits that may be begun anew: they have done nothing when they are interrupted. Those that
// are missing are so on purpose, futex, madvise, mmap and brk above all, for the thread may be
// within the allocator.
static const struct wait {
    uint16_t number;
    uint8_t kind, limit; // which argument holds the limit
    const char *name;
} waits[] = {
    {0, WAIT_PLAIN, 0, "read"},
    {7, WAIT_LIMIT_INT, 2, "poll"},
    {19, WAIT_PLAIN, 0, "readv"},
    {23, WAIT_PLAIN, 0, "select"},
    {34, WAIT_PLAIN, 0, "pause"},
    {35, WAIT_SLEEP, 0, "nanosleep"},
    {43, WAIT_PLAIN, 0, "accept"},
    {45, WAIT_PLAIN, 0, "recvfrom"},
    {47, WAIT_PLAIN, 0, "recvmsg"},
    {61, WAIT_PLAIN, 0, "wait4"},
    {128, WAIT_LIMIT_PTR, 2, "rt_sigtimedwait"},
    {130, WAIT_OTHER_MASK, 0, "rt_sigsuspend"},
    {230, WAIT_SLEEP, 2, "clock_nanosleep"},
    {232, WAIT_LIMIT_INT, 3, "epoll_wait"},
    {247, WAIT_PLAIN, 0, "waitid"},
    {270, WAIT_OTHER_MASK, 0, "pselect6"},
    {271, WAIT_OTHER_MASK, 0, "ppoll"},
    {281, WAIT_MASK_INT, 3, "epoll_pwait"},
    {288, WAIT_PLAIN, 0, "accept4"},
    {441, WAIT_MASK_PTR, 3, "epoll_pwait2"},
};

// Few enough to be looked through.
static const struct wait *find_wait(int64_t number)
{
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        if (waits[i].number == number)
            return &waits[i];
    return NULL;
}

const char *frame_wait_name(int64_t number)
{
    const struct wait *wait = find_wait(number);
    return wait ? wait->name : "?";
}

// A sleep that is told to write its rest over what it was told to sleep continues where it was. An
// absolute one (TIMER_ABSTIME) too.
static enum frame_wait rank_sleep(const struct wait *wait, const uint64_t arguments[6])
{
    bool is_absolute = wait->limit == 2 && (arguments[1] & 1);
    bool writes_rest = arguments[wait->limit] == arguments[wait->limit + 1];
    return is_absolute || writes_rest ? FRAME_WAIT_EXACT : FRAME_WAIT_SLEEP;
}

// From the number and the arguments alone; what the stop itself shows, frame_is_interrupted() says.
enum frame_wait frame_wait_of(int64_t number, const uint64_t arguments[6], bool keeps_masks)
{
    const struct wait *wait = find_wait(number);
    if (!wait)
        return FRAME_WAIT_UNFIT;
    bool is_unlimited = false, is_told = wait->number != 7;
    switch ((enum wait_kind)wait->kind) {
    case WAIT_OTHER_MASK:
        return keeps_masks ? FRAME_WAIT_EXACT : FRAME_WAIT_UNFIT;
    case WAIT_PLAIN:
        return FRAME_WAIT_EXACT;
    case WAIT_SLEEP:
        return rank_sleep(wait, arguments);
    case WAIT_MASK_INT:
    case WAIT_LIMIT_INT:
        is_unlimited = (int32_t)arguments[wait->limit] < 0;
        break;
    case WAIT_MASK_PTR:
    case WAIT_LIMIT_PTR:
        is_unlimited = arguments[wait->limit] == 0;
        break;
    }
    bool has_mask = wait->kind == WAIT_MASK_INT || wait->kind == WAIT_MASK_PTR;
    if (has_mask && !keeps_masks)
        return FRAME_WAIT_UNFIT;
    // signal(7), "interruption of system calls by stop signals": epoll_wait() and sigtimedwait().
    return !is_unlimited ? FRAME_WAIT_LIMITED : is_told ? FRAME_WAIT_TOLD : FRAME_WAIT_EXACT;
}

// The kernel's own restart leaves the arguments in place but not the number, which C libraries load
// just before: "mov $NR, %eax; syscall". Other ways into the kernel (int $0x80) have other numbers.
int64_t frame_syscall_of(const struct frame_registers *registers, const uint8_t code[7])
{
    static const uint8_t syscall_code[2] = {0x0f, 0x05};
    if (memcmp(code + 5, syscall_code, sizeof syscall_code) != 0)
        return -1;
    if (registers->orig_rax != FRAME_RESTART_SYSCALL)
        return (int64_t)registers->orig_rax;
    uint32_t number;
    memcpy(&number, code + 1, sizeof number);
    // Only these leave a restart behind, and futex, which is no wait of ours.
    bool restarts = number == 7 || number == 35 || number == 230;
    return code[0] == 0xb8 && restarts ? (int64_t)number : -1;
}

void frame_syscall_arguments(const struct frame_registers *registers, uint64_t ret_arguments[6])
{
    const uint64_t arguments[6] = {registers->rdi, registers->rsi, registers->rdx,
                                   registers->r10, registers->r8,  registers->r9};
    memcpy(ret_arguments, arguments, sizeof arguments);
}

// Anything else it answers, a byte read for instance, must not be lost.
bool frame_is_interrupted(const struct frame_registers *registers)
{
    int64_t result = (int64_t)registers->rax;
    return registers->cs == 0x33 && (int64_t)registers->orig_rax >= 0 &&
           (result == -EINTR || result == -RESTART_SYS || result == -RESTART_NO_INTR ||
            result == -RESTART_NO_HANDLER || result == -RESTART_BLOCK);
}

// The kernel decides at the very end, when it knows whether a handler runs: then these waits answer
// EINTR, as ever; if none does, they are begun again.
bool frame_hide_stop(struct frame_registers *registers, int64_t number, bool began_anew)
{
    int64_t result = (int64_t)registers->rax;
    // rt_sigreturn has made the kernel forget what it would have restarted.
    bool is_forgotten = began_anew && result == -RESTART_BLOCK;
    if (result != -EINTR && !is_forgotten)
        return false;
    registers->rax = (uint64_t)-RESTART_NO_HANDLER;
    registers->orig_rax = (uint64_t)number;
    return true;
}

// An instruction stream that ends.
struct stream {
    const uint8_t *code;
    size_t len;
};

// Every read of code goes through these two: none runs over the end.
static bool take_byte(struct stream *stream, uint8_t *ret_byte)
{
    if (stream->len == 0)
        return false;
    *ret_byte = *stream->code++;
    stream->len--;
    return true;
}

static bool take_bytes(struct stream *stream, const void *bytes, size_t count)
{
    if (stream->len < count || memcmp(stream->code, bytes, count) != 0)
        return false;
    stream->code += count;
    stream->len -= count;
    return true;
}

// The operand D(base) of a mov from %rax: ModRM with register 0, a base, and no index.
static bool take_operand(struct stream *stream, bool is_extended, struct frame_store *store)
{
    uint8_t modrm, sib, low;
    if (!take_byte(stream, &modrm) || (modrm & 0x38) != 0 || modrm >= 0xc0)
        return false;
    // The base alone, without what REX.B adds.
    uint8_t base = modrm & 7;
    // Base 4 needs a second byte, and is rsp unless it is r12.
    if (base == 4 && (!is_extended || !take_byte(stream, &sib) || sib != 0x24))
        return false;
    if (modrm < 0x40 && base == 5)
        return false; // relative to rip
    store->base = (uint8_t)(base + (is_extended ? 8 : 0));
    if (modrm < 0x40)
        return true;
    // One byte of displacement, or four.
    if (modrm < 0x80) {
        if (!take_byte(stream, &low))
            return false;
        store->displacement = low < 0x80 ? low : low - 0x100;
        return true;
    }
    if (stream->len < 4)
        return false;
    memcpy(&store->displacement, stream->code, 4);
    stream->code += 4;
    stream->len -= 4;
    return true;
}

// "xor %eax,%eax; add $N,%rsp; pop ...; ret", all but the last optional.
static bool take_epilogue(struct stream *stream, struct frame_store *store)
{
    uint8_t byte;
    take_bytes(stream, "\x31\xc0", 2);
    if (take_bytes(stream, "\x48\x83\xc4", 3)) {
        if (!take_byte(stream, &byte) || byte > 0x78 || byte % 8 != 0)
            return false;
        store->popped_bytes = byte;
    }
    for (int pops = 0; pops < 8 && take_byte(stream, &byte); pops++) {
        if (byte == 0xc3)
            return true;
        bool is_extended = byte == 0x41;
        if (is_extended && !take_byte(stream, &byte))
            return false;
        // pop, but not of the stack pointer.
        if (byte < 0x58 || byte > 0x5f || (byte == 0x5c && !is_extended))
            return false;
        // What goes into the register does not matter: the next frame sets them all.
        store->popped_bytes += 8;
    }
    return false;
}

// rbx, rbp, r12 to r15: a function gives them back as they were.
static bool is_preserved(uint8_t base)
{
    return base == 3 || base == 5 || base >= 12;
}

// Of a function's value, just after its return: the base is what we gave it.
bool frame_parse_value_store(const uint8_t *code, size_t len, struct frame_store *ret_store)
{
    struct stream stream = {code, len};
    struct frame_store store = {0};
    uint8_t rex, opcode;
    // REX.W, with REX.B for the upper registers.
    if (!take_byte(&stream, &rex) || (rex != 0x48 && rex != 0x49) || !take_byte(&stream, &opcode) ||
        opcode != 0x89 || !take_operand(&stream, rex == 0x49, &store) ||
        !is_preserved(store.base) || !take_epilogue(&stream, &store))
        return false;
    *ret_store = store;
    return true;
}

// Of 32 bits, since a word beside errno is not ours. All registers are set by its frame, so any
// base will do.
bool frame_parse_word_store(const uint8_t *code, size_t len, struct frame_store *ret_store)
{
    struct stream stream = {code, len};
    struct frame_store store = {0};
    uint8_t opcode;
    if (!take_byte(&stream, &opcode) || opcode != 0x89 || !take_operand(&stream, false, &store) ||
        !take_epilogue(&stream, &store))
        return false;
    *ret_store = store;
    return true;
}

// glibc's and musl's, and the shorter form of others.
bool frame_parse_restorer(const uint8_t *code, size_t len)
{
    struct stream stream = {code, len};
    return take_bytes(&stream, "\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05", 9) ||
           take_bytes(&stream, "\xb8\x0f\x00\x00\x00\x0f\x05", 7);
}

// The instructions of such a function, in the orders that compilers put them in.
enum effect { EFFECT_NONE, EFFECT_SLOT, EFFECT_FS, EFFECT_ADD }; // what is added to %rax
static const struct pattern {
    uint8_t bytes[9], len, effect, operand; // operand: bytes that follow
    bool replaces;                          // what %rax held
} patterns[] = {
    {{0xf3, 0x0f, 0x1e, 0xfa}, 4, EFFECT_NONE, 0, false},     // endbr64
    {{0x55}, 1, EFFECT_NONE, 0, false},                       // push %rbp
    {{0x48, 0x89, 0xe5}, 3, EFFECT_NONE, 0, false},           // mov %rsp,%rbp
    {{0x5d}, 1, EFFECT_NONE, 0, false},                       // pop %rbp
    {{0xc9}, 1, EFFECT_NONE, 0, false},                       // leave
    {{0x48, 0x8b, 0x05}, 3, EFFECT_SLOT, 4, true},            // mov D(%rip),%rax
    {{0x48, 0x03, 0x05}, 3, EFFECT_SLOT, 4, false},           // add D(%rip),%rax
    {{0x48, 0xc7, 0xc0}, 3, EFFECT_ADD, 4, true},             // mov $N,%rax
    {{0x64, 0x48, 0x8b, 0x04, 0x25}, 9, EFFECT_FS, 0, true},  // mov %fs:0,%rax
    {{0x64, 0x48, 0x03, 0x04, 0x25}, 9, EFFECT_FS, 0, false}, // add %fs:0,%rax
    {{0x48, 0x83, 0xc0}, 3, EFFECT_ADD, 1, false},            // add $N,%rax
    {{0x48, 0x05}, 2, EFFECT_ADD, 4, false},
    {{0x48, 0x8d, 0x40}, 3, EFFECT_ADD, 1, false}, // lea D(%rax),%rax
    {{0x48, 0x8d, 0x80}, 3, EFFECT_ADD, 4, false},
};

// No pattern is the beginning of another.
static const struct pattern *take_pattern(struct stream *stream, int64_t *ret_operand)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const struct pattern *pattern = &patterns[i];
        if (stream->len < (size_t)pattern->len + pattern->operand ||
            !take_bytes(stream, pattern->bytes, pattern->len))
            continue;
        int32_t wide = 0;
        if (pattern->operand == 4)
            memcpy(&wide, stream->code, 4);
        else if (pattern->operand == 1)
            wide = *stream->code < 0x80 ? *stream->code : *stream->code - 0x100;
        *ret_operand = wide;
        stream->code += pattern->operand;
        stream->len -= pattern->operand;
        return pattern;
    }
    return NULL;
}

// A model of %rax through a straight line of code: a sum with %fs:0 in it once.
bool frame_parse_thread_variable(const uint8_t *code, size_t len, uint64_t address,
                                 struct frame_thread_variable *ret_variable)
{
    struct stream stream = {code, len};
    struct frame_thread_variable variable = {0};
    unsigned fs_count = 0;
    while (!take_bytes(&stream, "\xc3", 1)) {
        int64_t operand;
        const struct pattern *pattern = take_pattern(&stream, &operand);
        if (!pattern)
            return false;
        // What came before is forgotten.
        if (pattern->replaces) {
            variable = (struct frame_thread_variable){0};
            fs_count = 0;
        }
        if (pattern->effect == EFFECT_FS)
            fs_count++;
        else if (pattern->effect == EFFECT_ADD)
            variable.offset += (uint64_t)operand;
        else if (pattern->effect == EFFECT_SLOT && variable.slot)
            return false;
        else if (pattern->effect == EFFECT_SLOT)
            variable.slot = address + (uint64_t)(stream.code - code) + (uint64_t)operand;
    }
    if (fs_count != 1)
        return false;
    *ret_variable = variable;
    return true;
}
