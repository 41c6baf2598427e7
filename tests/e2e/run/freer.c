// SPDX-License-Identifier: Apache-2.0
// A program that frees memory lazily in the way that its argument names, and at once where that is
// refused, as allocators do: madvise, high (garbage in the upper half of the advice),
// process (process_madvise on itself), uring, x32 (that table's number). Prints what came of it and
// "ready", then waits. "spawn HOW", "vfork HOW" and "fork HOW" let a child do it. Test program.
#include <errno.h>
#include <linux/io_uring.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { BYTES = 64 << 20 };

// One entry through a ring of one; the ring is mapped by hand, to need no library.
static int free_by_uring(char *memory)
{
    struct io_uring_params params = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 1, &params);
    if (fd < 0)
        return errno;
    size_t ring_bytes = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe) + 4096;
    char *ring = mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
                      IORING_OFF_SQ_RING);
    struct io_uring_sqe *entry = mmap(NULL, sizeof *entry, PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
    if (ring == MAP_FAILED || entry == MAP_FAILED)
        return errno;
    memset(entry, 0, sizeof *entry);
    entry->opcode = IORING_OP_MADVISE;
    entry->fd = -1;
    entry->addr = (uintptr_t)memory;
    entry->len = BYTES;
    entry->fadvise_advice = MADV_FREE;
    *(uint32_t *)(void *)(ring + params.sq_off.array) = 0;
    *(uint32_t *)(void *)(ring + params.sq_off.tail) = 1;
    if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
        return errno;
    struct io_uring_cqe *done = (void *)(ring + params.cq_off.cqes);
    return -done->res;
}

static int free_by_process(char *memory)
{
    struct iovec range = {memory, BYTES};
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    return syscall(SYS_process_madvise, fd, &range, 1, MADV_FREE, 0) < 0 ? errno : 0;
}

// 0 or errno.
static int free_lazily(char *memory, const char *how)
{
    if (strcmp(how, "uring") == 0)
        return free_by_uring(memory);
    if (strcmp(how, "process") == 0)
        return free_by_process(memory);
    long advice = MADV_FREE, number = SYS_madvise;
#ifdef __LP64__
    if (strcmp(how, "high") == 0)
        advice |= 0x7fffffffL << 32;
#endif
    if (strcmp(how, "x32") == 0)
        number = 0x40000000 | 28;
    return syscall(number, memory, (size_t)BYTES, advice) < 0 ? errno : 0;
}

static int free_and_wait(const char *how)
{
    char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    memset(memory, 1, BYTES);
    int error = free_lazily(memory, how);
    printf("%s\n", error == 0 ? "taken" : error == EINVAL ? "refused" : strerror(error));
    if (error == EINVAL && madvise(memory, BYTES, MADV_DONTNEED))
        return 1;
    printf("ready\n");
    fflush(stdout);
    pause();
    return 0;
}

int main(int argc, char **argv)
{
    const char *way = argc > 2 ? argv[1] : "";
    char *child_argv[] = {argv[0], argv[argc - 1], NULL};
    pid_t child = 0;
    if (strcmp(way, "spawn") == 0 && posix_spawn(&child, argv[0], NULL, NULL, child_argv, environ))
        return 1;
    if (strcmp(way, "vfork") == 0 && (child = vfork()) == 0) {
        execv(argv[0], child_argv);
        _exit(1);
    }
    if (strcmp(way, "fork") == 0)
        child = fork();
    if (child == 0)
        return free_and_wait(argc > 1 ? argv[argc - 1] : "madvise");
    int status;
    waitpid(child, &status, 0);
    return 0;
}
