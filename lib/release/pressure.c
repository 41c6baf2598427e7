// SPDX-License-Identifier: Apache-2.0
// How short memory is: the files, and the judgement. See pressure.h. Library world; no state.
#include "release/pressure.h"

#include <errno.h>
#include <fcntl.h>

#include "base/syscall.h"
#include "release/scan.h"

// Lines that are longer, which those of interest are not, are passed over: lists of layers of a
// container's root are.
enum { LINE_MAX_BYTES = 1024, VALUE_MAX_BYTES = 512, PATH_MAX_BYTES = 560 };
// What the kernel needs at most to take a lazily freed page: three times what it needs for the page
// alone, since it looks at others on its way.
enum { TAKE_PAGES_PER_MS = 500, TAKE_PAGE_BYTES = 4096 };

#define MARGIN_MAX_BYTES (UINT64_C(4) << 30)

// A file, line by line.
struct lines {
    long fd;
    size_t at;
    size_t end;
    bool skips; // the beginning of this line is gone
    char buffer[LINE_MAX_BYTES];
};

// libebb includes nothing of the tool.
static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// No libc here: its wrappers set errno, may be cancellation points, and its streams allocate.
static long open_file(const char *path)
{
    return syscall_make(SYS_openat, AT_FDCWD, (long)(uintptr_t)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

static long read_file(long fd, char *target, size_t size)
{
    return syscall_make(SYS_read, fd, (long)(uintptr_t)target, (long)size, 0, 0, 0);
}

static void close_file(long fd)
{
    (void)syscall_make(SYS_close, fd, 0, 0, 0, 0, 0);
}

// False where there is no such file, which is common: cgroups have two versions.
static bool lines_open(struct lines *lines, const char *path)
{
    lines->fd = open_file(path);
    lines->at = 0;
    lines->end = 0;
    lines->skips = false;
    return lines->fd >= 0;
}

// Cuts the next line out of what the buffer holds.
static bool lines_cut(struct lines *lines, struct scan *line)
{
    while (lines->at < lines->end) {
        const char *start = lines->buffer + lines->at;
        const char *newline = memchr(start, '\n', lines->end - lines->at);
        if (!newline)
            return false;
        *line = (struct scan){start, (size_t)(newline - start)};
        lines->at += line->len + 1;
        if (!lines->skips)
            return true;
        lines->skips = false;
    }
    return false;
}

// The next line without its newline, as a part of the buffer until the next call. False at the end.
static bool lines_next(struct lines *lines, struct scan *line)
{
    while (!lines_cut(lines, line)) {
        lines->end -= lines->at;
        memmove(lines->buffer, lines->buffer + lines->at, lines->end);
        lines->at = 0;
        // Full without a newline: what comes until there is one belongs to the same line.
        if (lines->end == sizeof lines->buffer) {
            lines->skips = true;
            lines->end = 0;
        }
        // 0 at the end, negative on errors: both end the file.
        long got =
            read_file(lines->fd, lines->buffer + lines->end, sizeof lines->buffer - lines->end);
        if (got > 0) {
            lines->end += (size_t)got;
            continue;
        }
        // The last line may lack its end.
        *line = (struct scan){lines->buffer, lines->end};
        lines->end = 0;
        return line->len > 0 && !lines->skips;
    }
    return true;
}

// The path in `group`; its length, or 0 where no group is known.
static size_t find_group(char *group, size_t size, bool *is_v1)
{
    struct lines lines;
    struct scan line;
    size_t len = 0;
    *is_v1 = false;
    if (!lines_open(&lines, "/proc/self/cgroup"))
        return 0;
    while (!*is_v1 && lines_next(&lines, &line)) {
        size_t offset;
        size_t path_len;
        if (pressure_parse_cgroup(line.at, line.len, &offset, &path_len, is_v1) < 0)
            continue;
        len = path_len < size ? path_len : 0;
        memcpy(group, line.at + offset, len);
    }
    close_file(lines.fd);
    return len;
}

// Of all mounts that show the group, the one that shows most of its parents.
static void find_mount(struct pressure_source *source, const char *group, size_t group_len)
{
    struct lines lines;
    struct scan line;
    int best = -1;
    if (!lines_open(&lines, "/proc/self/mountinfo"))
        return;
    while (lines_next(&lines, &line)) {
        struct pressure_mount mount;
        size_t point;
        size_t root;
        if (pressure_parse_mountinfo(line.at, line.len, source->is_v1, &point, &mount.point_len,
                                     &root, &mount.root_len) < 0)
            continue;
        mount.point = line.at + point;
        mount.root = line.at + root;
        // By pieces: `tried` has only these two set.
        struct pressure_source tried;
        int shown = pressure_map(&tried, group, group_len, &mount);
        if (shown <= best)
            continue;
        best = shown;
        memcpy(source->group_path, tried.group_path, sizeof tried.group_path);
        source->mount_bytes = tried.mount_bytes;
    }
    close_file(lines.fd);
}

// Two files of the kernel; read once, and again in a forked child.
void pressure_find(struct pressure_source *source)
{
    char group[sizeof source->group_path];
    source->group_path[0] = '\0';
    source->mount_bytes = 0;
    size_t len = find_group(group, sizeof group, &source->is_v1);
    if (len)
        find_mount(source, group, len);
    source->is_found = true;
}

// The beginning of a small file. Bytes, 0 where it cannot be read.
static size_t read_small(const char *path, char *text, size_t size)
{
    long fd = open_file(path);
    if (fd < 0)
        return 0;
    long got = read_file(fd, text, size);
    close_file(fd);
    return got > 0 ? (size_t)got : 0;
}

// One group on the way from the process's own to the mount point: the first `len` bytes of the
// source's path.
struct level {
    const struct pressure_source *source;
    size_t len;
    uint64_t limit;
    uint64_t usage;
    uint64_t reclaim;
};

// False where it would be too long, which no path that was found is. Without snprintf(), which
// libebb does not use.
static bool make_path(const struct level *level, const char *name, char path[PATH_MAX_BYTES])
{
    size_t name_len = strlen(name);
    if (level->len + 1 + name_len >= PATH_MAX_BYTES)
        return false;
    memcpy(path, level->source->group_path, level->len);
    path[level->len] = '/';
    memcpy(path + level->len + 1, name, name_len + 1);
    return true;
}

// A file of one number; `otherwise` where there is none, as in root groups.
static uint64_t read_bytes(const struct level *level, const char *name, uint64_t otherwise)
{
    char path[PATH_MAX_BYTES];
    char text[64];
    uint64_t bytes = otherwise;
    if (make_path(level, name, path))
        (void)pressure_parse_bytes(text, read_small(path, text, sizeof text), &bytes);
    return bytes;
}

// Line by line: newer kernels have more lines than any buffer that one would put on a stack.
static void read_stat(const struct level *level, struct pressure_stat *stat)
{
    char path[PATH_MAX_BYTES];
    struct lines lines;
    struct scan line;
    *stat = (struct pressure_stat){PRESSURE_UNLIMITED, PRESSURE_UNLIMITED, PRESSURE_UNLIMITED,
                                   PRESSURE_UNLIMITED};
    if (!make_path(level, "memory.stat", path) || !lines_open(&lines, path))
        return;
    while (lines_next(&lines, &line))
        (void)pressure_parse_stat(line.at, line.len, stat);
    close_file(lines.fd);
}

// Lazily freed pages that were written again stay on the inactive list until the kernel scans it:
// what is more than files and our own lazy pages can be, is in use.
static uint64_t reclaimable(const struct pressure_stat *stat, uint64_t own_lazy_bytes)
{
    if (stat->inactive_file == PRESSURE_UNLIMITED)
        return 0;
    if (stat->cache == PRESSURE_UNLIMITED || stat->shmem > stat->cache)
        return stat->inactive_file;
    uint64_t files = stat->cache - stat->shmem;
    return least(stat->inactive_file, files + least(own_lazy_bytes, UINT64_MAX - files));
}

// Usage may be above the limit for a while, and files may be counted where they are not charged.
static uint64_t available_of(uint64_t limit, uint64_t usage, uint64_t reclaim)
{
    uint64_t held = usage - least(usage, reclaim);
    return limit - least(limit, held);
}

// The statistics cost more than all else, so they are read where they can make a difference. In
// version 1 they name the limits of parents that are not seen, too.
static void read_level(struct level *level, bool is_own, uint64_t own_lazy_bytes)
{
    bool is_v1 = level->source->is_v1;
    level->limit =
        read_bytes(level, is_v1 ? "memory.limit_in_bytes" : "memory.max", PRESSURE_UNLIMITED);
    if (!is_v1)
        level->limit = least(level->limit, read_bytes(level, "memory.high", PRESSURE_UNLIMITED));
    struct pressure_stat stat;
    bool has_stat = is_v1 && is_own;
    if (has_stat) {
        read_stat(level, &stat);
        level->limit = least(level->limit, stat.limit);
    }
    level->usage = 0;
    level->reclaim = 0;
    if (level->limit == PRESSURE_UNLIMITED)
        return;
    level->usage = read_bytes(level, is_v1 ? "memory.usage_in_bytes" : "memory.current", 0);
    if (available_of(level->limit, level->usage, 0) > level->limit / 4)
        return;
    if (!has_stat)
        read_stat(level, &stat);
    level->reclaim = least(reclaimable(&stat, own_lazy_bytes), level->usage);
}

// Of a thousand parts of the limit: how much is left.
static uint64_t share_left(const struct level *level)
{
    return available_of(level->limit, level->usage, level->reclaim) / (level->limit / 1024 + 1);
}

// From the group up: a parent may be full by what others in it use, with room in the group itself.
static void read_group(const struct pressure_source *source, struct pressure_reading *reading)
{
    struct level tightest = {.limit = PRESSURE_UNLIMITED};
    struct level level = {.source = source, .len = strlen(source->group_path)};
    for (bool is_own = true; level.len && level.len >= source->mount_bytes; is_own = false) {
        read_level(&level, is_own, reading->own_lazy_bytes);
        if (level.limit != PRESSURE_UNLIMITED &&
            (tightest.limit == PRESSURE_UNLIMITED || share_left(&level) < share_left(&tightest)))
            tightest = level;
        do
            level.len--;
        while (level.len && source->group_path[level.len] != '/');
    }
    reading->group_limit = tightest.limit;
    reading->group_usage = tightest.usage;
    reading->group_reclaim = tightest.reclaim;
}

// Version 1 has no such file per group; nor has a group where stalls are not counted (psi=0).
static void read_stalls(const struct pressure_source *source, struct pressure_reading *reading)
{
    struct level own = {.source = source, .len = strlen(source->group_path)};
    char path[PATH_MAX_BYTES];
    char text[VALUE_MAX_BYTES];
    reading->stalls_are_hosts = false;
    if (own.len && !source->is_v1 && make_path(&own, "memory.pressure", path) &&
        pressure_parse_psi_some(text, read_small(path, text, sizeof text), &reading->stalled_us) ==
            0)
        return;
    reading->stalls_are_hosts = true;
    size_t len = read_small("/proc/pressure/memory", text, sizeof text);
    if (pressure_parse_psi_some(text, len, &reading->stalled_us) < 0)
        reading->stalled_us = 0;
}

// Whatever is missing reads as no limit and no stall: pressure is never made up.
void pressure_read(const struct pressure_source *source, struct pressure_reading *reading)
{
    char text[VALUE_MAX_BYTES];
    read_group(source, reading);
    read_stalls(source, reading);
    size_t len = read_small("/proc/meminfo", text, sizeof text);
    if (pressure_parse_meminfo(text, len, &reading->host_total, &reading->host_available) < 0) {
        reading->host_total = 0;
        reading->host_available = 0;
    }
}

int pressure_hide_files(bool keeps_stderr)
{
    enum { CLOSE_RANGE = 436, UNSHARE = 2 };
    // From the end, so that the copy which the kernel makes for us holds but what is to stay.
    long result =
        syscall_make(CLOSE_RANGE, keeps_stderr ? 3 : 0, (long)UINT32_MAX, UNSHARE, 0, 0, 0);
    if (result < 0 || !keeps_stderr)
        return (int)result;
    return (int)syscall_make(CLOSE_RANGE, 0, 1, 0, 0, 0, 0);
}

// A sixteenth of 1 TiB is no shortage: hence the bound.
static uint64_t room_of(uint64_t total, uint64_t available)
{
    uint64_t margin = least(total / 16, MARGIN_MAX_BYTES);
    return available - least(available, margin);
}

// What can still be used before memory counts as short; the smaller of group and host.
uint64_t pressure_headroom(const struct pressure_reading *reading)
{
    uint64_t group = PRESSURE_UNLIMITED;
    uint64_t host = PRESSURE_UNLIMITED;
    if (reading->group_limit != PRESSURE_UNLIMITED)
        group =
            room_of(reading->group_limit, available_of(reading->group_limit, reading->group_usage,
                                                       reading->group_reclaim));
    if (reading->host_total && reading->host_total != PRESSURE_UNLIMITED)
        host = room_of(reading->host_total, reading->host_available);
    return least(group, host);
}

// Counters of different places are not compared, nor ones that began anew.
static bool is_stalled(const struct pressure_reading *reading, const struct pressure_reading *last,
                       uint64_t elapsed_us)
{
    if (reading->stalls_are_hosts != last->stalls_are_hosts ||
        reading->stalled_us <= last->stalled_us)
        return false;
    if (reading->stalls_are_hosts && reading->host_available > reading->host_total / 4)
        return false;
    uint64_t stalled_us = reading->stalled_us - last->stalled_us;
    uint64_t taken = last->own_lazy_bytes - least(last->own_lazy_bytes, reading->own_lazy_bytes);
    uint64_t excused_us = taken / TAKE_PAGE_BYTES * 1000 / TAKE_PAGES_PER_MS;
    return stalled_us - least(stalled_us, excused_us) > elapsed_us / 10;
}

enum wire_pressure pressure_judge(const struct pressure_reading *reading,
                                  const struct pressure_reading *last, uint64_t elapsed_us)
{
    // Room first: stalls tell of the time before, room of what comes.
    if (pressure_headroom(reading) == 0)
        return WIRE_PRESSURE_SHORT;
    if (last && elapsed_us && is_stalled(reading, last, elapsed_us))
        return WIRE_PRESSURE_SHORT;
    return WIRE_PRESSURE_NONE;
}
