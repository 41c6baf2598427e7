// SPDX-License-Identifier: Apache-2.0
// Threads and their stack pointers, see threads.h. Tool world; no state.
#include "proc/threads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/text.h"
#include "proc/process.h"

// "0x7ffd..", as the kernel prints every field but the first.
static bool take_word(struct text *rest, uint64_t *ret_word)
{
    text_skip_blanks(rest);
    return text_take_prefix(rest, "0x") && text_take_hex(rest, ret_word);
}

int proc_thread_syscall_parse(struct text file, struct proc_syscall *ret_syscall)
{
    struct text line;
    if (!text_next_line(&file, &line))
        return -EBADMSG;
    if (text_equals(line, "running"))
        return -EAGAIN;
    int64_t number;
    if (!text_take_i64(&line, &number))
        return -EBADMSG;
    // Outside a system call only the stack pointer and the program counter follow.
    uint64_t words[8];
    size_t count = 0;
    while (count < 8 && take_word(&line, &words[count]))
        count++;
    text_skip_blanks(&line);
    size_t wanted = number == -1 ? 2 : 8;
    if (count != wanted || line.len > 0)
        return -EBADMSG;
    struct proc_syscall call = {.number = number, .stack_pointer = words[wanted - 2]};
    if (number != -1)
        memcpy(call.arguments, words, sizeof call.arguments);
    *ret_syscall = call;
    return 0;
}

struct listing {
    int task_fd;
    bool refused; // no right to read one is no right to read any
    struct proc_thread *threads;
    size_t count, capacity;
};

// What cannot be read, or runs, is left as it is: zero.
static void read_syscall(struct listing *listing, struct proc_thread *thread)
{
    char name[32], line[256];
    snprintf(name, sizeof name, "%d/syscall", (int)thread->tid);
    int fd = openat(listing->task_fd, name, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, line, sizeof line) : -1;
    if (len < 0)
        listing->refused = errno == EACCES || errno == EPERM;
    if (fd >= 0)
        close(fd);
    if (len > 0)
        proc_thread_syscall_parse((struct text){line, (size_t)len}, &thread->syscall);
    thread->stack_pointer = thread->syscall.stack_pointer;
}

// Other names than numbers are none of the kernel's, but a tree of files may have them.
static int add_thread(struct listing *listing, const char *name)
{
    struct text text = text_of(name);
    uint64_t tid;
    if (!text_take_u64(&text, &tid) || text.len > 0 || tid == 0 || tid > INT32_MAX)
        return 0;
    int error = array_reserve_one(&listing->threads, &listing->capacity, listing->count,
                                  sizeof *listing->threads);
    if (error)
        return error;
    struct proc_thread *thread = &listing->threads[listing->count++];
    *thread = (struct proc_thread){.tid = (pid_t)tid};
    if (!listing->refused)
        read_syscall(listing, thread);
    return 0;
}

// Threads that begin or end meanwhile may be missed or listed without a stack; neither harms.
static int list_threads(struct listing *listing, DIR *dir)
{
    struct dirent *entry;
    int error = 0;
    while (!error && listing->count < PROC_THREADS_MAX && (entry = readdir(dir)))
        error = add_thread(listing, entry->d_name);
    return error;
}

// Relative to the descriptor of task, which saves the kernel from finding the process for each
// thread.
int proc_threads_read(struct process *process, struct proc_thread **ret_threads, size_t *ret_count)
{
    int fd = openat(process_dir_fd(process), "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        int error = -errno;
        int ended = process_check(process);
        return ended ? ended : error;
    }
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    struct listing listing = {.task_fd = fd};
    int error = list_threads(&listing, dir);
    closedir(dir);
    // A process that is gone has an empty list of threads.
    if (!error && listing.count == 0)
        error = process_check(process);
    if (error) {
        free(listing.threads);
        return error;
    }
    *ret_threads = listing.threads;
    *ret_count = listing.count;
    return 0;
}
