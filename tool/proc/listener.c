// SPDX-License-Identifier: Apache-2.0
// Who listens on a TCP port, see listener.h. Tool world.
#include "proc/listener.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"

enum { STATE_LISTEN = 0x0a, FIELD_STATE = 3, FIELD_INODE = 9 };

// The n-th field between blanks, from 0. False when there are fewer.
static bool field_at(struct text line, unsigned wanted, struct text *ret_field)
{
    struct text field = {NULL, 0};
    for (unsigned i = 0; i <= wanted; i++) {
        text_skip_blanks(&line);
        // Columns are padded: blanks come in any number.
        struct text rest = line;
        if (!text_next_field(&rest, ' ', &field) || field.len == 0)
            return false;
        line = rest;
    }
    *ret_field = field;
    return true;
}

// "0100007F:1EC6": the port is behind the last colon, in hexadecimal.
static bool has_port(struct text address, unsigned port)
{
    const char *colon = memrchr(address.data, ':', address.len);
    // IPv6 addresses are written without colons in this file: there is but one.
    uint64_t number;
    if (!colon)
        return false;
    struct text rest = {colon + 1, address.len - (size_t)(colon + 1 - address.data)};
    return text_take_hex(&rest, &number) && number == port;
}

// The first line is a heading, whose address has no port.
bool listener_parse(struct text file, unsigned port, uint64_t *ret_inode)
{
    struct text line;
    while (text_next_line(&file, &line)) {
        struct text address, state, inode;
        uint64_t number;
        if (!field_at(line, 1, &address) || !has_port(address, port) ||
            !field_at(line, FIELD_STATE, &state) || !text_take_hex(&state, &number) ||
            number != STATE_LISTEN)
            continue;
        // A line that is cut is no answer; another may be.
        if (field_at(line, FIELD_INODE, &inode) && text_take_u64(&inode, ret_inode))
            return true;
    }
    return false;
}

// In either family's table.
static int find_inode(const char *proc_root, unsigned port, uint64_t *ret_inode)
{
    static const char *const files[] = {"net/tcp", "net/tcp6"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[PATH_MAX];
        // A host with very many connections has a long table.
        struct buffer file = {.limit = 64 << 20};
        text_format(path, sizeof path, "%s/%s", proc_root, files[i]);
        bool is_found = buffer_read_at(&file, AT_FDCWD, path) == 0 &&
                        listener_parse(buffer_text(&file), port, ret_inode);
        buffer_free(&file);
        if (is_found)
            return 0;
    }
    return -ENOENT;
}

// Does one of the descriptors of this process lead to the socket?
static bool has_socket(int proc_fd, const char *pid, const char *socket)
{
    char path[64], link[64];
    text_format(path, sizeof path, "%s/fd", pid);
    // Another user's is closed to us: it is then not found.
    int fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *descriptors = fd < 0 ? NULL : fdopendir(fd);
    if (!descriptors) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool is_found = false;
    const struct dirent *entry;
    while (!is_found && (entry = readdir(descriptors))) {
        ssize_t len = readlinkat(dirfd(descriptors), entry->d_name, link, sizeof link - 1);
        // "." and ".." are no links.
        if (len <= 0)
            continue;
        link[len] = '\0';
        is_found = strcmp(link, socket) == 0;
    }
    closedir(descriptors);
    return is_found;
}

// Its comm, without the line's end.
static void read_name(int proc_fd, const char *pid, char ret_name[64])
{
    char path[64];
    struct buffer file = {.limit = 4096};
    text_format(path, sizeof path, "%s/comm", pid);
    ret_name[0] = '\0';
    if (buffer_read_at(&file, proc_fd, path) == 0)
        text_copy(buffer_text(&file), ret_name, 64);
    ret_name[strcspn(ret_name, "\n")] = '\0';
    buffer_free(&file);
}

// A socket may be in several processes, as after a fork: the first is as good as any.
int listener_find(const char *proc_root, unsigned port, pid_t *ret_pid, char ret_name[64])
{
    uint64_t inode;
    int error = find_inode(proc_root, port, &inode);
    if (error)
        return error;
    char socket[64];
    text_format(socket, sizeof socket, "socket:[%llu]", (unsigned long long)inode);
    DIR *processes = opendir(proc_root);
    if (!processes)
        return -errno;
    // Until it is found: somebody has it, whom we may not look at.
    error = -EACCES;
    const struct dirent *entry;
    while (error && (entry = readdir(processes))) {
        struct text digits = text_of(entry->d_name);
        uint64_t pid;
        // Only numbers are processes.
        if (!text_take_u64(&digits, &pid) || digits.len > 0 ||
            !has_socket(dirfd(processes), entry->d_name, socket))
            continue;
        *ret_pid = (pid_t)pid;
        read_name(dirfd(processes), entry->d_name, ret_name);
        error = 0;
    }
    closedir(processes);
    return error;
}
