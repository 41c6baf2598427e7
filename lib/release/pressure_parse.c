// SPDX-License-Identifier: Apache-2.0
// The texts of the kernel that say how short memory is: see pressure.h. Library world; pure.
#include <errno.h>

#include "release/pressure.h"
#include "release/scan.h"

// v1 prints LONG_MAX rounded down to a page for "none"; pages have up to 64 KiB.
#define V1_UNLIMITED UINT64_C(0x7fffffffffff0000)

// "NAME:   123 kB"
static bool read_kib(struct scan line, const char *name, uint64_t *bytes)
{
    uint64_t kib;
    if (!scan_take(&line, name))
        return false;
    scan_take_spaces(&line);
    if (!scan_decimal(&line, &kib) || !scan_is(line, " kB") || kib > UINT64_MAX >> 10)
        return false;
    *bytes = kib << 10;
    return true;
}

// Kernels before 3.14 have no MemAvailable; then nothing is known of the host.
int pressure_parse_meminfo(const char *text, size_t len, uint64_t *total, uint64_t *available)
{
    struct scan left = {text, len};
    uint64_t found_total;
    uint64_t found_available;
    bool has_total = false;
    while (left.len) {
        struct scan line = scan_until(&left, '\n');
        has_total = has_total || read_kib(line, "MemTotal:", &found_total);
        if (!has_total || !read_kib(line, "MemAvailable:", &found_available))
            continue;
        *total = found_total;
        *available = found_available;
        return 0;
    }
    return -EINVAL;
}

// "max" in version 2, a number beyond all memory in version 1; both are no limit.
int pressure_parse_bytes(const char *text, size_t len, uint64_t *bytes)
{
    struct scan left = {text, len};
    struct scan line = scan_until(&left, '\n');
    uint64_t value;
    if (scan_is(line, "max"))
        value = PRESSURE_UNLIMITED;
    else if (!scan_decimal(&line, &value) || line.len)
        return -EINVAL;
    *bytes = value >= V1_UNLIMITED ? PRESSURE_UNLIMITED : value;
    return 0;
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=14289679"
int pressure_parse_psi_some(const char *text, size_t len, uint64_t *total_us)
{
    struct scan left = {text, len};
    while (left.len) {
        struct scan line = scan_until(&left, '\n');
        if (!scan_take(&line, "some "))
            continue;
        while (line.len) {
            struct scan item = scan_until(&line, ' ');
            uint64_t total;
            if (!scan_take(&item, "total=") || !scan_decimal(&item, &total) || item.len)
                continue;
            *total_us = total;
            return 0;
        }
    }
    return -EINVAL;
}

// "rw,memory" has "memory"; "rw,memoryx" has not.
static bool has_item(struct scan list, const char *word)
{
    while (list.len)
        if (scan_is(scan_until(&list, ','), word))
            return true;
    return false;
}

// "4:memory:/a/b" or "0::/a/b". A path may hold colons of its own.
int pressure_parse_cgroup(const char *text, size_t len, size_t *offset, size_t *path_len,
                          bool *is_v1)
{
    struct scan left = {text, len};
    struct scan found = {NULL, 0};
    bool found_v1 = false;
    while (left.len && !found_v1) {
        struct scan line = scan_until(&left, '\n');
        struct scan number = scan_until(&line, ':');
        struct scan controllers = scan_until(&line, ':');
        if (line.len == 0 || *line.at != '/')
            continue;
        found_v1 = has_item(controllers, "memory");
        if (found_v1 || (!found.at && scan_is(number, "0") && controllers.len == 0))
            found = line;
    }
    if (!found.at)
        return -EINVAL;
    *offset = (size_t)(found.at - text);
    *path_len = found.len;
    *is_v1 = found_v1;
    return 0;
}

// "35 31 0:32 ROOT POINT rw,relatime [shared:1 …] - cgroup cgroup rw,memory"
static bool read_mount(struct scan line, bool is_v1, struct scan *point, struct scan *root)
{
    // Mount, parent and device numbers say nothing here.
    for (int i = 0; i < 3; i++)
        (void)scan_until(&line, ' ');
    struct scan found_root = scan_until(&line, ' ');
    struct scan found_point = scan_until(&line, ' ');
    // Options, and as many optional fields as there are.
    while (line.len && !scan_is(scan_until(&line, ' '), "-"))
        ;
    struct scan type = scan_until(&line, ' ');
    (void)scan_until(&line, ' ');
    if (!found_root.len || !found_point.len || *found_root.at != '/' || *found_point.at != '/')
        return false;
    if (is_v1 ? !scan_is(type, "cgroup") || !has_item(line, "memory") : !scan_is(type, "cgroup2"))
        return false;
    *point = found_point;
    *root = found_root;
    return true;
}

// The first that fits; callers hand in one line at a time.
int pressure_parse_mountinfo(const char *text, size_t len, bool is_v1, size_t *point,
                             size_t *point_len, size_t *root, size_t *root_len)
{
    struct scan left = {text, len};
    struct scan found_point;
    struct scan found_root;
    while (left.len) {
        if (!read_mount(scan_until(&left, '\n'), is_v1, &found_point, &found_root))
            continue;
        *point = (size_t)(found_point.at - text);
        *point_len = found_point.len;
        *root = (size_t)(found_root.at - text);
        *root_len = found_root.len;
        return 0;
    }
    return -EINVAL;
}

// Version 1 prints each figure of the group alone first, and with its descendants as total_ later.
int pressure_parse_stat(const char *text, size_t len, struct pressure_stat *stat)
{
    struct {
        const char *name;
        uint64_t *target;
    } figures[] = {
        {"inactive_file", &stat->inactive_file},
        {"total_inactive_file", &stat->inactive_file},
        {"file", &stat->cache},
        {"total_cache", &stat->cache},
        {"shmem", &stat->shmem},
        {"total_shmem", &stat->shmem},
        {"hierarchical_memory_limit", &stat->limit},
    };
    int result = -EINVAL;
    struct scan left = {text, len};
    while (left.len) {
        struct scan line = scan_until(&left, '\n');
        struct scan name = scan_until(&line, ' ');
        // Later lines overwrite earlier ones: of version 1 the total_ ones stay.
        for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
            if (scan_is(name, figures[i].name) &&
                pressure_parse_bytes(line.at, line.len, figures[i].target) == 0)
                result = 0;
    }
    return result;
}

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

// mountinfo writes space, tab, newline and backslash as \ooo. The length, or −1 where it is longer
// than `size`.
static long unescape(const char *text, size_t len, char *target, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < len; used++) {
        if (used == size)
            return -1;
        if (text[i] == '\\' && len - i > 3 && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
            is_octal(text[i + 3])) {
            unsigned c = (unsigned)(text[i + 1] - '0') << 6 | (unsigned)(text[i + 2] - '0') << 3 |
                         (unsigned)(text[i + 3] - '0');
            target[used] = (char)(unsigned char)c;
            i += 4;
        } else {
            target[used] = text[i++];
        }
    }
    return (long)used;
}

// Cuts `root` off the front of `group`: nothing is left, or what begins with a slash.
static bool cut_root(struct scan *group, struct scan root)
{
    if (scan_is(root, "/"))
        root.len = 0; // the beginning of all
    if (scan_is(*group, "/"))
        group->len = 0;
    if (group->len < root.len || memcmp(group->at, root.at, root.len) != 0)
        return false;
    scan_skip(group, root.len);
    if (group->len && *group->at != '/')
        return false;
    // Above the namespace's root: not in this mount.
    struct scan rest = *group;
    return !scan_take(&rest, "/..") || (rest.len && *rest.at != '/');
}

// Everything is made in `path` first, so that a failure leaves the source as it was.
int pressure_map(struct pressure_source *source, const char *group, size_t group_len,
                 const struct pressure_mount *mount)
{
    char root[sizeof source->group_path];
    char path[sizeof source->group_path];
    long root_len = unescape(mount->root, mount->root_len, root, sizeof root);
    long point_len = unescape(mount->point, mount->point_len, path, sizeof path);
    if (root_len < 0 || point_len < 0)
        return -ENAMETOOLONG;
    struct scan below = {group, group_len};
    bool is_exact = cut_root(&below, (struct scan){root, (size_t)root_len});
    if (!is_exact && below.len)
        return -ENOENT;
    size_t used = point_len == 1 ? 0 : (size_t)point_len; // "/" ends in a slash, the others do not
    if (used + below.len >= sizeof path)
        return -ENAMETOOLONG;
    memcpy(path + used, below.at, below.len);
    path[used + below.len] = '\0';
    memcpy(source->group_path, path, used + below.len + 1);
    source->mount_bytes = used;
    return (int)below.len + is_exact;
}
