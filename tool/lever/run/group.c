// SPDX-License-Identifier: Apache-2.0
// Making and removing cgroups, see group.h. Tool world; no state.
#include "lever/run/group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "lever/run/program.h"
#include "proc/cgroup.h"
#include "proc/find.h"
#include "proc/process.h"

static const char name_start[] = "ebb-run-";
enum { FILE_MAX = 64 << 10, STALE_SECONDS = 60 };

// DIRECTORY/NAME. False when it does not fit.
static bool join_path(const char *directory, const char *name, char ret_path[PATH_MAX])
{
    if (strlen(directory) + strlen(name) + sizeof("/") > PATH_MAX)
        return false;
    text_format(ret_path, PATH_MAX, "%s/%s", directory, name);
    return true;
}

// Never creates: what is not a file of the controller must not become one.
static int write_file(const char *directory, const char *name, const char *value)
{
    char path[PATH_MAX];
    if (!join_path(directory, name, path))
        return -ENAMETOOLONG;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    // The kernel takes a value whole or not at all.
    int error = write(fd, value, strlen(value)) < 0 ? -errno : 0;
    close(fd);
    return error;
}

// Is `word` in a file of words parted by blanks?
static bool file_has_word(const char *directory, const char *name, const char *word)
{
    char path[PATH_MAX];
    // Whole words: memory_recursiveprot is not memory.
    struct buffer file = {.limit = FILE_MAX};
    bool found = false;
    if (join_path(directory, name, path) && buffer_read_at(&file, AT_FDCWD, path) == 0) {
        struct text rest = buffer_text(&file), line, field;
        while (!found && text_next_line(&rest, &line)) {
            while (!found && text_next_field(&line, ' ', &field))
                found = text_equals(field, word);
        }
    }
    buffer_free(&file);
    return found;
}

// The rights of the effective user, which is who writes.
static bool may_make_in(const char *directory)
{
    return faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0;
}

// The file that a process is moved through, in the group above both places.
static bool may_move_from(const char *directory)
{
    char path[PATH_MAX];
    return join_path(directory, "cgroup.procs", path) &&
           faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

void group_surroundings(const char *search_path, struct group_surroundings *ret_surroundings)
{
    struct group_surroundings around = {.is_root = geteuid() == 0};
    // Where /proc is not mounted, nothing is known, and a limit is refused.
    struct process *self;
    if (process_open("/proc", proc_self("/proc"), &self) == 0) {
        struct cgroup cgroup;
        if (cgroup_read(self, &cgroup) == 0) {
            around.version = cgroup.version;
            text_copy(text_of(cgroup.directory), around.directory, sizeof around.directory);
            around.would_escape = cgroup.version == 1 && cgroup.limit_bytes != CGROUP_NO_LIMIT &&
                                  file_has_word(cgroup.directory, "memory.use_hierarchy", "0");
        }
        process_close(self);
    }
    // As sd_booted(3) tells it.
    char path[PATH_MAX];
    around.has_systemd = access("/run/systemd/system", F_OK) == 0 &&
                         program_find("systemd-run", search_path, path) == 0;
    // The socket of systemd --user, which systemd-run talks to.
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    around.has_user_systemd = around.has_systemd && runtime &&
                              join_path(runtime, "systemd/private", path) &&
                              access(path, W_OK) == 0;
    *ret_surroundings = around;
}

// Copies both texts, for the caller's report.
static int refuse(int error, const char *why, const char *needs, char ret_why[GROUP_TEXT_MAX],
                  char ret_needs[GROUP_TEXT_MAX])
{
    text_copy(text_of(why), ret_why, GROUP_TEXT_MAX);
    text_copy(text_of(needs), ret_needs, GROUP_TEXT_MAX);
    return error;
}

// The name holds our number, which is the command's: so one sees whose group it is.
static void set_place(const char *parent, struct group *group)
{
    char name[64];
    text_format(name, sizeof name, "%s%d", name_start, (int)getpid());
    text_copy(text_of(parent), group->parent, sizeof group->parent);
    // A path without room for the name fails at mkdir().
    if (!join_path(parent, name, group->path))
        text_copy(text_of(parent), group->path, sizeof group->path);
}

// A group passes the controller on when its subtree_control names it; it can be told to where it
// holds no process (or is the root of all).
static bool passes_memory_on(const char *directory)
{
    return file_has_word(directory, "cgroup.subtree_control", "memory");
}

// Below the present group if that passes memory on already, else beside it: its parent does, since
// the present group has the controller.
static bool find_place_version_2(const char *directory, struct group *group)
{
    char parent[PATH_MAX];
    if (passes_memory_on(directory) && may_make_in(directory) && may_move_from(directory)) {
        set_place(directory, group);
        return true;
    }
    text_copy(text_of(directory), parent, sizeof parent);
    // The mount point itself has nothing above it that could be written to.
    char *slash = strrchr(parent, '/');
    if (!slash || slash == parent)
        return false;
    *slash = '\0';
    // Moving needs the right to the group that is above both. Source: "Delegation Containment".
    if (!passes_memory_on(parent) || !may_make_in(parent) || !may_move_from(parent))
        return false;
    set_place(parent, group);
    return true;
}

int group_plan(const struct group_surroundings *around, struct group *ret_group,
               char ret_why[GROUP_TEXT_MAX], char ret_needs[GROUP_TEXT_MAX])
{
    struct group group = {.version = around->version};
    // Whatever is chosen, a limit that is not in force must never look like one.
    if (around->version == 0 || around->directory[0] == '\0')
        return refuse(-ENOTSUP, "no memory cgroup can be reached from here",
                      "a kernel with CONFIG_MEMCG, and /sys/fs/cgroup mounted", ret_why, ret_needs);
    if (around->version == 2 && around->has_systemd &&
        (around->is_root || around->has_user_systemd)) {
        group.way = around->is_root ? GROUP_SYSTEMD : GROUP_SYSTEMD_USER;
        *ret_group = group;
        return 0;
    }
    if (around->would_escape)
        return refuse(-ENOTSUP,
                      "groups do not add up here (memory.use_hierarchy is 0): the command would "
                      "leave the limit that is in force now",
                      "memory.use_hierarchy set to 1 in the group above, or cgroup version 2",
                      ret_why, ret_needs);
    bool has_place = false;
    if (around->version == 2) {
        has_place = find_place_version_2(around->directory, &group);
    } else if (may_make_in(around->directory)) {
        set_place(around->directory, &group);
        has_place = true;
    }
    // Users cannot: version 1 is not delegated to them.
    if (!has_place && around->version == 1 && around->has_systemd && around->is_root) {
        group.way = GROUP_SYSTEMD;
        has_place = true;
    }
    // Containers see their tree read-only, and users one that is root's.
    if (!has_place)
        return refuse(-EACCES, "there is no right to make a memory cgroup here",
                      around->is_root ? "a cgroup tree that may be written to: in a container, the "
                                        "limit of the container itself (docker run --memory)"
                                      : "root, or a delegated cgroup 2 tree (systemd's user "
                                        "instance, Delegate=memory)",
                      ret_why, ret_needs);
    *ret_group = group;
    return 0;
}

// The kernel rounds it down to whole pages.
int group_set_limit(int version, const char *directory, uint64_t limit_bytes)
{
    // A plain number is taken by both versions.
    char value[32];
    text_format(value, sizeof value, "%" PRIu64, limit_bytes);
    return write_file(directory, version == 2 ? "memory.max" : "memory.limit_in_bytes", value);
}

int group_make(const struct group *group, uint64_t limit_bytes)
{
    group_sweep(group->parent);
    int made = mkdir(group->path, 0755);
    // An empty one of that name is of an earlier process with our number.
    if (made < 0 && errno == EEXIST && rmdir(group->path) == 0)
        made = mkdir(group->path, 0755);
    if (made < 0)
        return -errno;
    // Before anybody is in it: then it can neither fail for use nor kill.
    int error = group_set_limit(group->version, group->path, limit_bytes);
    if (error)
        rmdir(group->path);
    return error;
}

// 0 is whoever writes it.
int group_join(const struct group *group)
{
    return write_file(group->path, "cgroup.procs", "0");
}

// The files in a group are the kernel's and go with it.
int group_remove(const struct group *group)
{
    return rmdir(group->path) == 0 ? 0 : -errno;
}

// rmdir() spares groups in use. A young one may belong to an ebb that is about to join it.
void group_sweep(const char *parent)
{
    DIR *directory = opendir(parent);
    if (!directory)
        return;
    // By the clock of the host, as the times of the files are.
    time_t now = time(NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat status;
        if (strncmp(entry->d_name, name_start, strlen(name_start)) != 0 ||
            fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISDIR(status.st_mode) || now - status.st_mtime < STALE_SECONDS)
            continue;
        (void)unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
    }
    closedir(directory);
}
