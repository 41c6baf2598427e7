// SPDX-License-Identifier: Apache-2.0
// Is a stopped thread on its own stack, with room below? See session.h. Tool world; no state.
//
// A coroutine, a goroutine or a handler on an alternate stack has little room, and other data
// below. So the first thread must be in [stack], and any other between the bounds that its C
// library has written down beside its thread control block (struct pthread of glibc and musl, at
// fs_base): a pair (address, size) that holds both the stack pointer and the block itself.
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "call/code.h"
#include "call/session.h"

enum {
    PAGE_BYTES = 4096,
    CONTROL_BLOCK_BYTES = 4096,       // struct pthread is 2.3 KiB in glibc, 0.3 in musl
    CONTROL_BLOCK_TO_TOP_MAX = 65536, // what lies above it: alignment, thread-specific data
    STACK_START_MIN = 65536,
    STACK_MAX_BYTES = 1 << 30,
    SCANNED_MAX_BYTES = 1 << 20, // of the stack in use, for frames of handlers
    WINDOW_BYTES = 16 << 10,
};

// The lowest address of the stack that holds both, by the pair in the control block; 0 for none.
static uint64_t bound_from_block(const uint64_t *words, size_t count, uint64_t fs_base,
                                 uint64_t stack_pointer)
{
    uint64_t low = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        uint64_t start = words[i], size = words[i + 1], end;
        // Small numbers beside pointers must not pass for a pair.
        if (start < STACK_START_MIN || size > STACK_MAX_BYTES || (start | size) % 16 != 0 ||
            start > stack_pointer || stack_pointer >= fs_base ||
            __builtin_add_overflow(start, size, &end))
            continue;
        // Of several pairs the most cautious.
        if (end > fs_base && end - fs_base <= CONTROL_BLOCK_TO_TOP_MAX && start > low)
            low = start;
    }
    return low;
}

// As much of the block as is mapped: a page at a time.
static int thread_bound(struct call_session *session, uint64_t *ret_low, uint64_t *ret_high)
{
    uint64_t words[CONTROL_BLOCK_BYTES / 8];
    uint64_t fs_base = session->native.fs_base;
    size_t bytes = CONTROL_BLOCK_BYTES;
    int error = code_read_memory(session->tid, fs_base, words, bytes);
    if (error == -EFAULT) {
        bytes = PAGE_BYTES - fs_base % PAGE_BYTES;
        error = code_read_memory(session->tid, fs_base, words, bytes);
    }
    if (error && error != -EFAULT)
        return error;
    uint64_t low = error ? 0 : bound_from_block(words, bytes / 8, fs_base, session->native.rsp);
    if (!low)
        return -EAGAIN;
    *ret_low = low;
    *ret_high = fs_base;
    return 0;
}

// The kernel names the stack of the first thread.
static int first_bound(const struct call_session *session, uint64_t *ret_low, uint64_t *ret_high)
{
    const struct mapping *mapping = mappings_find(session->mappings, session->native.rsp);
    if (!mapping || strcmp(mappings_path(session->mappings, mapping), "[stack]") != 0)
        return -EAGAIN;
    *ret_low = mapping->start;
    *ret_high = mapping->end;
    return 0;
}

// Can every page of [low, high) be read? One call for 64 pages. A guard cannot.
static bool is_readable(pid_t tid, uint64_t low, uint64_t high)
{
    enum { BATCH = 64 };
    char bytes[BATCH] = {0};
    struct iovec remote[BATCH];
    for (uint64_t page = low & ~(uint64_t)(PAGE_BYTES - 1); page < high;) {
        size_t count = 0;
        for (; count < BATCH && page < high; count++, page += PAGE_BYTES)
            remote[count] = (struct iovec){(void *)(uintptr_t)page, 1};
        struct iovec local = {bytes, count};
        if (process_vm_readv(tid, &local, 1, remote, count, 0) != (ssize_t)count)
            return false;
    }
    return true;
}

// Looks for the frame of a signal handler between the stack pointer and the stack's end. What was
// interrupted may hold the allocator's locks: a call would wait for ever.
static bool runs_handler(pid_t tid, uint64_t stack_pointer, uint64_t high)
{
    uint8_t window[WINDOW_BYTES];
    uint64_t end =
        high - stack_pointer > SCANNED_MAX_BYTES ? stack_pointer + SCANNED_MAX_BYTES : high;
    uint64_t at = stack_pointer & ~UINT64_C(7);
    while (at + FRAME_SIGNAL_BYTES <= end) {
        // Windows overlap by a frame, so that none is missed at a border.
        size_t take = end - at < WINDOW_BYTES ? (size_t)(end - at) : WINDOW_BYTES;
        // What cannot be read is no proof of anything.
        if (code_read_memory(tid, at, window, take) != 0)
            return true;
        for (size_t i = 0; i + FRAME_SIGNAL_BYTES <= take; i += 8)
            if (frame_is_signal_frame(window + i, at + i))
                return true;
        if (at + take >= end)
            return false;
        at += take - FRAME_SIGNAL_BYTES;
    }
    return false;
}

int session_check_stack(struct call_session *session)
{
    uint64_t low = 0, high = 0;
    uint64_t stack_pointer = session->native.rsp;
    bool is_first = session->tid == process_pid(session->process);
    int error = is_first ? first_bound(session, &low, &high) : thread_bound(session, &low, &high);
    if (error == -EAGAIN)
        return session_refuse(session, -EAGAIN, "", "thread %d is not on its own stack",
                              (int)session->tid);
    if (error)
        return error;
    // The bound may be above a guard of the C library's, which only reading shows.
    if (stack_pointer - low < FRAME_ROOM_BYTES ||
        !is_readable(session->tid, stack_pointer - FRAME_ROOM_BYTES, stack_pointer))
        return session_refuse(session, -EAGAIN, "",
                              "the stack of thread %d has less than %d KiB left", (int)session->tid,
                              FRAME_ROOM_BYTES / 1024);
    if (runs_handler(session->tid, stack_pointer, high))
        return session_refuse(session, -EAGAIN, "", "thread %d seems to be in a signal handler",
                              (int)session->tid);
    return 0;
}
