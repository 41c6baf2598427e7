// SPDX-License-Identifier: Apache-2.0
// Opening and recognising a process, see process.h. Tool world; one thread uses a handle.
#include "proc/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "proc/process_internal.h"
#include "proc/status.h"

// PF_EXITING of stat's flags: set before the address space is dropped, long before state is 'Z'.
static const uint64_t task_exiting = 0x4;

// Reads at most `size` bytes of a small file; cut files are whole for our purposes. Length or
// -errno.
static ssize_t read_small(int dir_fd, const char *name, char *buffer, size_t size)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, buffer + len, size - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int error = -errno;
            close(fd);
            return error;
        }
        if (got == 0)
            break;
        len += (size_t)got;
    }
    close(fd);
    return (ssize_t)len;
}

// A directory that has lost its stat belongs to a process that is gone.
static int read_stat(int dir_fd, struct proc_stat *ret_stat)
{
    char file[4096];
    ssize_t len = read_small(dir_fd, "stat", file, sizeof file);
    if (len < 0)
        return len == -ENOENT ? -ESRCH : (int)len;
    return proc_stat_parse((struct text){file, (size_t)len}, ret_stat);
}

// FNV-1a; enough to tell two auxiliary vectors apart.
static uint64_t hash_bytes(const char *data, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)data[i]) * 0x100000001b3;
    return hash;
}

// Each part costs one call and may be refused on its own; together they tell programs apart even
// where pagemap cannot be opened.
static struct process_identity read_identity(int dir_fd, const struct proc_stat *stat)
{
    struct process_identity identity = {0};
    struct stat exe;
    if (fstatat(dir_fd, "exe", &exe, 0) == 0) {
        identity.exe_device = exe.st_dev;
        identity.exe_inode = exe.st_ino;
    }
    // Without the right to see them the kernel prints 1 and 0.
    identity.start_code = stat->start_code > 1 ? stat->start_code : 0;
    identity.start_stack = stat->start_stack > 1 ? stat->start_stack : 0;
    char auxv[1024];
    ssize_t len = read_small(dir_fd, "auxv", auxv, sizeof auxv);
    if (len > 0)
        identity.auxv_hash = hash_bytes(auxv, (size_t)len);
    return identity;
}

// An unknown figure equals any: a process may hide itself (PR_SET_DUMPABLE) without an exec.
static bool may_equal(uint64_t a, uint64_t b)
{
    return a == b || a == 0 || b == 0;
}

// Every part that both sides know must agree.
static bool identity_may_equal(const struct process_identity *a, const struct process_identity *b)
{
    return may_equal(a->exe_device, b->exe_device) && may_equal(a->exe_inode, b->exe_inode) &&
           may_equal(a->start_code, b->start_code) && may_equal(a->start_stack, b->start_stack) &&
           may_equal(a->auxv_hash, b->auxv_hash);
}

// Files of a copied tree look alike, but never change and never end.
static bool is_procfs(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

// NSpid lists our PID in the mount's namespace and in each below it: one number means that it is
// ours.
static bool status_has_one_ns_pid(struct text status)
{
    struct text line;
    while (text_next_line(&status, &line)) {
        if (!text_take_prefix(&line, "NSpid:"))
            continue;
        uint64_t pid;
        text_skip_blanks(&line);
        if (!text_take_u64(&line, &pid))
            return false;
        text_skip_blanks(&line);
        return line.len == 0;
    }
    // Before 4.1 there is no such line, and "self" has to do.
    return true;
}

// Does this proc tree number processes as getpid() does?
static bool root_is_own_namespace(int root_fd)
{
    if (!is_procfs(root_fd))
        return false;
    char link[32], own[32], status[8192];
    ssize_t len = readlinkat(root_fd, "self", link, sizeof link - 1);
    if (len < 0)
        return false;
    link[len] = '\0';
    snprintf(own, sizeof own, "%d", (int)getpid());
    if (strcmp(link, own) != 0)
        return false;
    len = read_small(root_fd, "self/status", status, sizeof status);
    return len > 0 && status_has_one_ns_pid((struct text){status, (size_t)len});
}

// A tree of plain files counts when it has a host file or any numbered entry.
static bool root_is_proc_tree(int root_fd)
{
    if (is_procfs(root_fd) || faccessat(root_fd, "meminfo", F_OK, 0) == 0)
        return true;
    int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool found = false;
    struct dirent *entry;
    while (!found && (entry = readdir(dir)))
        found = isdigit((unsigned char)entry->d_name[0]);
    closedir(dir);
    return found;
}

// Why there is no directory: hidepid hides what kill() still knows.
static int missing_error(int root_fd, pid_t pid)
{
    if (!root_is_proc_tree(root_fd))
        return -ENOENT;
    bool exists = root_is_own_namespace(root_fd) && (kill(pid, 0) == 0 || errno == EPERM);
    // It may have been born just now: only what is still hidden is hidden.
    char name[32];
    snprintf(name, sizeof name, "%d", (int)pid);
    return exists && faccessat(root_fd, name, F_OK, 0) != 0 ? -EACCES : -ESRCH;
}

// The descriptor is bound to this very process: after its end it answers ESRCH, whoever has the
// number then.
static int open_directory(int root_fd, pid_t pid, int *ret_fd)
{
    char name[32];
    snprintf(name, sizeof name, "%d", (int)pid);
    int fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? missing_error(root_fd, pid) : -errno;
    *ret_fd = fd;
    return 0;
}

// The right to open it is that to see mappings; any other failure is taken for absence.
static int open_pagemap(int dir_fd, int *ret_error)
{
    int fd = openat(dir_fd, "pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t entry;
    if (fd < 0) {
        *ret_error = errno == EACCES || errno == EPERM ? -EPERM : -ENOENT;
        return -1;
    }
    // Zombies and kernel threads open well but have nothing in it.
    if (pread(fd, &entry, sizeof entry, 0) != sizeof entry) {
        *ret_error = -ENOENT;
        close(fd);
        return -1;
    }
    return fd;
}

// Order matters: pagemap first, and the start time last, so that all belong to one life of the
// process.
static int fill_handle(struct process *process, int root_fd)
{
    process->is_procfs = is_procfs(process->dir_fd);
    process->is_live = root_is_own_namespace(root_fd);
    process->pagemap_fd = open_pagemap(process->dir_fd, &process->pagemap_error);
    if (process->is_live)
        process->pid_fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    struct proc_stat stat;
    int error = read_stat(process->dir_fd, &stat);
    if (error)
        return error;
    process->start_ticks = stat.start_ticks;
    process->identity = read_identity(process->dir_fd, &stat);
    // An exec between the two would leave a handle of one program with the address space of
    // another.
    return process_has_same_memory(process) ? 0 : -ESTALE;
}

// One attempt; what it has opened so far goes when it fails.
static int open_once(int root_fd, pid_t pid, struct process **ret_process)
{
    struct process *process = calloc(1, sizeof *process);
    if (!process)
        return -ENOMEM;
    *process = (struct process){
        .pid = pid,
        .dir_fd = -1,
        .pid_fd = -1,
        .pagemap_fd = -1,
        .mem_fd = -1,
        .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE),
    };
    int error = open_directory(root_fd, pid, &process->dir_fd);
    if (!error)
        error = fill_handle(process, root_fd);
    if (error) {
        process_close(process);
        return error;
    }
    *ret_process = process;
    return 0;
}

// A process that calls exec at every attempt is not worth waiting for.
int process_open(const char *proc_root, pid_t pid, struct process **ret_process)
{
    int root_fd = open(proc_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return errno == ENOTDIR ? -ENOENT : -errno;
    int error = pid > 0 ? -ESTALE : -ESRCH;
    for (int tries = 0; error == -ESTALE && tries < 5; tries++)
        error = open_once(root_fd, pid, ret_process);
    close(root_fd);
    return error == -ESTALE ? -ESRCH : error;
}

// Not every handle has every descriptor.
static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

// Also for a handle that was only half made.
void process_close(struct process *process)
{
    if (!process)
        return;
    close_if_open(process->dir_fd);
    close_if_open(process->pid_fd);
    close_if_open(process->pagemap_fd);
    close_if_open(process->mem_fd);
    free(process->windows);
    free(process);
}

pid_t process_pid(const struct process *process)
{
    return process->pid;
}

uint64_t process_start_ticks(const struct process *process)
{
    return process->start_ticks;
}

int process_dir_fd(const struct process *process)
{
    return process->dir_fd;
}

int process_pid_fd(const struct process *process)
{
    return process->pid_fd;
}

int process_pagemap_fd(const struct process *process)
{
    return process->pagemap_fd >= 0 ? process->pagemap_fd : process->pagemap_error;
}

bool process_is_live(const struct process *process)
{
    return process->is_live;
}

bool process_is_procfs(const struct process *process)
{
    return process->is_procfs;
}

// Entry 0 can be read in every address space: nothing needs to be mapped there.
bool process_has_same_memory(const struct process *process)
{
    uint64_t entry;
    return process->pagemap_fd < 0 ||
           pread(process->pagemap_fd, &entry, sizeof entry, 0) == sizeof entry;
}

// Two questions at once: is it alive, and is it the same program? The address space answers both,
// but not which of them; stat and the identity tell them apart.
int process_check(const struct process *process)
{
    // Looked at before stat: a process that loses its memory because it exits is seen exiting
    // there.
    bool same_memory = process_has_same_memory(process);
    struct proc_stat stat;
    int error = read_stat(process->dir_fd, &stat);
    if (error)
        return error;
    bool ended = stat.state == 'Z' || stat.state == 'X' || (stat.flags & task_exiting) != 0;
    if (ended || stat.start_ticks != process->start_ticks)
        return -ESRCH;
    struct process_identity now = read_identity(process->dir_fd, &stat);
    return same_memory && identity_may_equal(&now, &process->identity) ? 0 : -ESTALE;
}

// A missing file of a process that is gone is no missing file.
static int file_error(const struct process *process, int error)
{
    if (error == -ENOENT && faccessat(process->dir_fd, "stat", F_OK, 0) != 0)
        return -ESRCH;
    return error;
}

// What has been read before the limit stays in the buffer, for those who can use a part.
int process_read_file(const struct process *process, const char *name, size_t limit_bytes,
                      struct buffer *ret_buffer)
{
    buffer_clear(ret_buffer);
    ret_buffer->limit = limit_bytes;
    int fd = openat(process->dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_error(process, -errno);
    int error = buffer_read_fd(ret_buffer, fd);
    close(fd);
    return error;
}

// readlink() does not say how long a link is: it is read into room enough, and then measured.
int process_read_link(const struct process *process, const char *name, char *ret_path, size_t size)
{
    char path[4096];
    ssize_t len = readlinkat(process->dir_fd, name, path, sizeof path);
    if (len < 0)
        return file_error(process, -errno);
    if ((size_t)len >= size)
        return -ENAMETOOLONG;
    memcpy(ret_path, path, (size_t)len);
    ret_path[len] = '\0';
    return 0;
}
