// SPDX-License-Identifier: Apache-2.0
// The threads of a process: where their stacks are, without stopping one. Tool world.
#ifndef EBB_PROC_THREADS_H
#define EBB_PROC_THREADS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process;
struct text;

// The system call that a thread sleeps in, in the numbers of its own architecture.
struct proc_syscall {
    int64_t number;        // -1: none (a page fault, say); -2: forbidden by its tracer
    uint64_t arguments[6]; // 0 when number is -1
    uint64_t stack_pointer;
};

struct proc_thread {
    pid_t tid;
    uint64_t stack_pointer;      // 0 while it runs on a processor or when it may not be read
    struct proc_syscall syscall; // what holds when stack_pointer is not 0
};

enum { PROC_THREADS_MAX = 65536 };

// Lists up to PROC_THREADS_MAX threads, with the stack pointer that /proc/PID/task/TID/syscall
// shows for those that sleep in the kernel. `*ret_threads` is malloc'ed, free() it. 0 or -errno.
// Cost: about 15 µs per thread.
int proc_threads_read(struct process *process, struct proc_thread **ret_threads, size_t *ret_count);

// Parses one /proc/PID/task/TID/syscall: "NR a0 .. a5 SP PC", "-1 SP PC" or "running".
// 0; -EAGAIN while running; -EBADMSG.
int proc_thread_syscall_parse(struct text file, struct proc_syscall *ret_syscall);

#endif
