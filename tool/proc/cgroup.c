// SPDX-License-Identifier: Apache-2.0
// Parsers of cgroup files and mounts, see cgroup.h. Tool world; pure, no state.
#include "proc/cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proc/keyed.h"
#include "proc/mountinfo.h"

enum { CGROUP_PATH_MAX = 4096 };

int cgroup_parse_membership(struct text file, int *ret_version, char *ret_path, size_t size)
{
    // "ID:CONTROLLERS:PATH". A memory controller bound to version 1 wins over the "0::" line of a
    // hybrid.
    struct text id, rest, found = {0};
    int version = 0;
    while (version != 1 && keyed_next(&file, ':', &id, &rest)) {
        struct text controllers = {"", 0};
        if (!text_starts_with(rest, ":") && !text_next_field(&rest, ':', &controllers))
            continue;
        text_take_prefix(&rest, ":");
        if (!text_starts_with(rest, "/"))
            continue;
        if (text_list_has(controllers, "memory"))
            version = 1;
        // Hierarchy 0 without controllers is version 2. Named ones ("name=systemd") have no memory.
        else if (version == 0 && text_equals(id, "0") && controllers.len == 0)
            version = 2;
        else
            continue;
        found = rest;
    }
    if (version == 0)
        return -ENOENT;
    if (found.len >= size)
        return -ENAMETOOLONG;
    // Only whole paths leave this function.
    text_copy(found, ret_path, size);
    *ret_version = version;
    return 0;
}

// Takes the next component off an absolute path. False at its end.
// Doubled slashes count as one.
static bool cgroup_next_component(struct text *path, struct text *ret_component)
{
    while (text_take_prefix(path, "/"))
        continue;
    return text_next_field(path, '/', ret_component);
}

// Drops the components of `root` off `path`. False when `path` does not lie below it.
// Compares whole components: /a is not above /ab.
static bool cgroup_below(struct text root, struct text *path)
{
    struct text wanted, component;
    while (cgroup_next_component(&root, &wanted)) {
        if (!cgroup_next_component(path, &component) || component.len != wanted.len ||
            memcmp(component.data, wanted.data, wanted.len) != 0)
            return false;
    }
    // What is left may not climb: "/../sibling" is a group outside of this namespace.
    struct text rest = *path;
    while (cgroup_next_component(&rest, &component)) {
        if (text_equals(component, ".."))
            return false;
    }
    return true;
}

// The path is one of the hierarchy, the result one of the file system.
int cgroup_join(const char *mount, const char *root, const char *path, char *ret_directory,
                size_t size)
{
    struct text rest = text_of(path);
    if (!cgroup_below(text_of(root), &rest))
        return -ENOENT;
    while (text_take_prefix(&rest, "/"))
        continue;
    struct text base = text_of(mount);
    // A mount on "/" itself must not give "//".
    while (text_ends_with(base, "/"))
        base.len--;
    // A cut path would name another group.
    if (base.len + 1 + rest.len >= size)
        return -ENAMETOOLONG;
    text_copy(base, ret_directory, size);
    if (rest.len > 0) {
        ret_directory[base.len] = '/';
        text_copy(rest, ret_directory + base.len + 1, size - base.len - 1);
    }
    return 0;
}

// Version 1 names the controllers in the options of the file system; version 2 is one tree for all.
static bool cgroup_mount_is(const struct mount_line *mount, int version)
{
    if (version == 2)
        return text_equals(mount->type, "cgroup2");
    return text_equals(mount->type, "cgroup") && text_list_has(mount->options, "memory");
}

// Bind mounts and containers show parts of the hierarchy, so the path decides which mount serves.
int cgroup_parse_mountinfo(struct text file, int version, const char *path, char *ret_mount,
                           size_t mount_size, char *ret_root, size_t root_size)
{
    char root[CGROUP_PATH_MAX], point[CGROUP_PATH_MAX];
    size_t best = SIZE_MAX;
    struct mount_line mount;
    while (mountinfo_next(&file, &mount)) {
        struct text rest = text_of(path);
        if (!cgroup_mount_is(&mount, version))
            continue;
        if (!text_copy_unescaped(mount.root, root, sizeof root) ||
            !text_copy_unescaped(mount.point, point, sizeof point))
            continue;
        // A short root shows most of the groups above.
        if (strlen(root) >= best || !cgroup_below(text_of(root), &rest) ||
            strlen(root) >= root_size || strlen(point) >= mount_size)
            continue;
        best = strlen(root);
        text_copy(text_of(root), ret_root, root_size);
        text_copy(text_of(point), ret_mount, mount_size);
    }
    return best == SIZE_MAX ? -ENOENT : 0;
}

int cgroup_parse_limit(struct text file, uint64_t *ret_limit_bytes)
{
    // Version 1 prints LONG_MAX rounded down to pages, of 64 KiB at most.
    const uint64_t none_from_bytes = (uint64_t)INT64_MAX - 0xffff;
    // "max" may come without its newline from a caller that has cut the line.
    uint64_t limit;
    if (text_equals(file, "max\n") || text_equals(file, "max")) {
        *ret_limit_bytes = CGROUP_NO_LIMIT;
        return 0;
    }
    // Something behind the number means another file.
    if (!text_take_u64(&file, &limit) || (file.len > 0 && file.data[0] != '\n'))
        return -EBADMSG;
    *ret_limit_bytes = limit >= none_from_bytes ? CGROUP_NO_LIMIT : limit;
    return 0;
}

// The total_ lines of version 1 include the groups below, as all figures of version 2 do.
#define CGROUP_FIELD(key, member)                                                                  \
    {                                                                                              \
        key, offsetof(struct cgroup, member)                                                       \
    }
static const struct keyed_field cgroup_fields_v1[] = {
    CGROUP_FIELD("total_rss", anon_bytes),
    CGROUP_FIELD("total_cache", file_bytes),
    CGROUP_FIELD("total_inactive_file", inactive_file_bytes),
    CGROUP_FIELD("total_active_file", active_file_bytes),
    CGROUP_FIELD("total_shmem", shmem_bytes),
    CGROUP_FIELD("total_swap", swap_bytes),
};
static const struct keyed_field cgroup_fields_v2[] = {
    CGROUP_FIELD("anon", anon_bytes),
    CGROUP_FIELD("file", file_bytes),
    CGROUP_FIELD("inactive_file", inactive_file_bytes),
    CGROUP_FIELD("active_file", active_file_bytes),
    CGROUP_FIELD("shmem", shmem_bytes),
};
static const struct keyed_field cgroup_fields_lazy[] = {
    CGROUP_FIELD("pglazyfree", lazily_freed_pages),
    CGROUP_FIELD("pglazyfreed", lazily_taken_pages),
};
#undef CGROUP_FIELD

// The limit that counts for a group of version 1, its ancestors' included.
static void cgroup_take_hierarchical_limit(struct text file, struct cgroup *cgroup)
{
    struct text key, value;
    while (keyed_next(&file, ' ', &key, &value)) {
        if (text_equals(key, "hierarchical_memory_limit"))
            cgroup_parse_limit(value, &cgroup->limit_bytes);
    }
}

// The two versions share not one key.
int cgroup_parse_memory_stat(struct text file, int version, struct cgroup *cgroup)
{
    if (version == 1) {
        const size_t count = sizeof cgroup_fields_v1 / sizeof *cgroup_fields_v1;
        if (keyed_parse(file, ' ', cgroup_fields_v1, count, cgroup) == 0)
            return -EBADMSG;
        cgroup_take_hierarchical_limit(file, cgroup);
        return 0;
    }
    const size_t count = sizeof cgroup_fields_v2 / sizeof *cgroup_fields_v2;
    if (keyed_parse(file, ' ', cgroup_fields_v2, count, cgroup) == 0)
        return -EBADMSG;
    // Since 4.13; older kernels of version 2 have neither.
    cgroup->has_lazy = keyed_parse(file, ' ', cgroup_fields_lazy, 2, cgroup) == 2;
    return 0;
}
