// SPDX-License-Identifier: Apache-2.0
// Would the thread's seccomp filters end it, or hand it to somebody else, for what a call does? See
// session.h. Tool world; no state.
//
// A filter that answers with an errno does no harm: allocators know calls that fail. One that kills
// does, and one that asks a supervisor or tracer might.
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

#include "call/bpf.h"
#include "call/session.h"

enum { FILTERS_MAX = 256, NO_FILE = -1 };

// What mallocs ask of the kernel while they give memory back or tell of themselves, and what the
// way there and back does. Numbers of x86-64; madvise()'s advice is what filters may look at.
static const struct probe {
    int32_t number;
    uint64_t arguments[6];
    const char *name;
} probes[] = {
    {15, {0}, "rt_sigreturn"},
    {28, {0x7f0000000000, 4096, MADV_DONTNEED}, "madvise(MADV_DONTNEED)"},
    {28, {0x7f0000000000, 4096, MADV_FREE}, "madvise(MADV_FREE)"},
    {28, {0x7f0000000000, 4096, MADV_HUGEPAGE}, "madvise(MADV_HUGEPAGE)"},
    {28, {0x7f0000000000, 4096, MADV_NOHUGEPAGE}, "madvise(MADV_NOHUGEPAGE)"},
    {9,
     {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)NO_FILE, 0},
     "mmap"},
    {10, {0x7f0000000000, 4096, PROT_READ | PROT_WRITE}, "mprotect"},
    {11, {0x7f0000000000, 4096}, "munmap"},
    {12, {0}, "brk"},
    {25, {0x7f0000000000, 4096, 8192, MREMAP_MAYMOVE}, "mremap"},
    {202, {0x7f0000000000, 128}, "futex"},
    {14, {0}, "rt_sigprocmask"},
    {24, {0}, "sched_yield"},
    {228, {1}, "clock_gettime"},
    {39, {0}, "getpid"},
    {186, {0}, "gettid"},
    {309, {0}, "getcpu"},
    {204, {0}, "sched_getaffinity"},
    {257, {(uint64_t)-100, 0x7f0000000000}, "openat"},
    {2, {0x7f0000000000}, "open"},
    {0, {3, 0x7f0000000000, 4096}, "read"},
    {3, {3}, "close"},
};

// Kill, trap, trace and notify. What is unknown to us, the kernel takes for a kill.
static bool does_harm(uint32_t answer)
{
    uint32_t action = answer & SECCOMP_RET_ACTION_FULL;
    return action != SECCOMP_RET_ALLOW && action != SECCOMP_RET_LOG && action != SECCOMP_RET_ERRNO;
}

// The worst answer of all filters counts, so each is asked on its own. 0, or -EPERM with words.
static int ask_filter(struct call_session *session, const struct bpf_instruction *program,
                      size_t count)
{
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
        struct bpf_call call = {
            .number = probes[i].number,
            .architecture = AUDIT_ARCH_X86_64,
            .instruction_pointer = session->code.restorer + 9,
        };
        memcpy(call.arguments, probes[i].arguments, sizeof call.arguments);
        uint32_t answer;
        int error = bpf_run(program, count, &call, &answer);
        if (error || does_harm(answer))
            return session_refuse(session, -EPERM, "a seccomp filter that allows it",
                                  "its seccomp filter does not allow %s, which a call may make",
                                  probes[i].name);
    }
    return 0;
}

// How many instructions it has; without `program` only that.
static long get_filter(pid_t tid, size_t index, struct bpf_instruction *program)
{
    long count = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)index, program);
    return count < 0 ? -errno : count;
}

// What cannot be seen is taken for harm: a wrong guess would kill the target.
static int refuse_unread(struct call_session *session, long error)
{
    return session_refuse(
        session, -EPERM, "CAP_SYS_ADMIN on the host, and no seccomp filter on ebb itself",
        "its seccomp filter cannot be read (%s), so it may forbid what a call does",
        strerror((int)-error));
}

// Newest first, as the kernel numbers them. Each program is bounded, and so are they all.
int session_check_filters(struct call_session *session)
{
    if (session->filters_tid == session->tid)
        return 0;
    // The kernel writes as many as it has told, and never more than this.
    struct bpf_instruction *program = calloc(BPF_INSTRUCTIONS_MAX, sizeof *program);
    if (!program)
        return -ENOMEM;
    int error = 0;
    for (size_t i = 0; !error; i++) {
        long count = get_filter(session->tid, i, NULL);
        // Behind the last one.
        if (count == -ENOENT && i > 0)
            break;
        if (count >= 0 && (i >= FILTERS_MAX || count > BPF_INSTRUCTIONS_MAX))
            count = -E2BIG;
        if (count >= 0)
            count = get_filter(session->tid, i, program);
        error =
            count < 0 ? refuse_unread(session, count) : ask_filter(session, program, (size_t)count);
    }
    free(program);
    // Filters are only ever added, and hardly by a thread that waits.
    if (!error)
        session->filters_tid = session->tid;
    return error;
}
