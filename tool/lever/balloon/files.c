// SPDX-License-Identifier: Apache-2.0
// Small files of groups, see files.h. Tool world; no state.
#include "lever/balloon/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proc/cgroup.h"

// Whole files only: kernfs makes one anew for each open, and a torn one could lack the line that
// stops us.
int balloon_file_read(const char *path, struct buffer *file)
{
    buffer_clear(file);
    return buffer_read_at(file, AT_FDCWD, path);
}

// By name and not by a descriptor of the folder: a group that was removed must be an error at once.
int balloon_file_below(const char *directory, const char *name, struct buffer *file)
{
    // A cut name could be that of another file.
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", directory, name);
    if (len < 0 || (size_t)len >= sizeof path)
        return -ENAMETOOLONG;
    return balloon_file_read(path, file);
}

// What is no number is an error and not 0, which would read as no use or no limit.
int balloon_file_number(const char *directory, const char *name, uint64_t *ret_value)
{
    struct buffer file = {.limit = BALLOON_FILE_MAX_BYTES};
    int error = balloon_file_below(directory, name, &file);
    if (!error)
        error = cgroup_parse_limit(buffer_text(&file), ret_value);
    buffer_free(&file);
    return error;
}

// Every group of either version has cgroup.procs; the folder that hierarchies are mounted in has
// not.
bool balloon_level_up(char *directory)
{
    char path[PATH_MAX];
    const char *slash = strrchr(directory, '/');
    if (!slash || slash == directory)
        return false;
    int len = (int)(slash - directory);
    snprintf(path, sizeof path, "%.*s/cgroup.procs", len, directory);
    if (access(path, F_OK) < 0)
        return false;
    directory[len] = '\0';
    return true;
}
