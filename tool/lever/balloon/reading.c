// SPDX-License-Identifier: Apache-2.0
// Fresh readings of the place that is put under pressure, see reading.h. Tool world; the parsers
// are pure.
#include "lever/balloon/reading.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "base/number.h"
#include "lever/balloon/files.h"
#include "lever/lever.h"
#include "proc/cgroup.h"
#include "proc/host.h"
#include "proc/keyed.h"

static const uint64_t kib = 1 << 10;

// A group's reserve is for what the target does while we look: a walk takes 12 ms per GiB, in which
// memory can be written at 4 GiB/s, and so 5 % of it.
static const uint64_t group_reserve_least = 16 << 20;
// The host's reserve grows with the host: 5 %, but 256 MiB at least.
static const uint64_t host_reserve_least = 256 << 20;

// mm/vmstat.c; what is missing stays 0, and its brake is silent.
static const struct keyed_field vmstat_fields[] = {
    {"workingset_refault_file", offsetof(struct balloon_vmstat, refault_pages)},
    {"workingset_refault", offsetof(struct balloon_vmstat, refault_pages)}, // before 5.9
    {"pswpout", offsetof(struct balloon_vmstat, swapped_pages)},
    {"oom_kill", offsetof(struct balloon_vmstat, oom_kills)},
};
// Apart, because each makes no sense without the other.
static const struct keyed_field vmstat_taken_fields[] = {
    {"pglazyfreed", offsetof(struct balloon_vmstat, lazy_taken_pages)},
    {"pgsteal_file", offsetof(struct balloon_vmstat, file_taken_pages)},
};
// The total_ lines of version 1 include the groups below, as all of version 2 do.
static const struct keyed_field group_fields_v1[] = {
    {"total_inactive_file", offsetof(struct balloon_group, inactive_file_bytes)},
    {"total_active_file", offsetof(struct balloon_group, active_file_bytes)},
    {"total_shmem", offsetof(struct balloon_group, shmem_bytes)},
    {"total_dirty", offsetof(struct balloon_group, dirty_bytes)},
    {"total_writeback", offsetof(struct balloon_group, writeback_bytes)},
    {"total_mapped_file", offsetof(struct balloon_group, mapped_bytes)},
    {"total_swap", offsetof(struct balloon_group, swap_bytes)},
    {"total_workingset_refault_file", offsetof(struct balloon_group, refault_pages)},
};
static const struct keyed_field group_fields_v2[] = {
    {"inactive_file", offsetof(struct balloon_group, inactive_file_bytes)},
    {"active_file", offsetof(struct balloon_group, active_file_bytes)},
    {"shmem", offsetof(struct balloon_group, shmem_bytes)},
    {"file_dirty", offsetof(struct balloon_group, dirty_bytes)},
    {"file_writeback", offsetof(struct balloon_group, writeback_bytes)},
    {"file_mapped", offsetof(struct balloon_group, mapped_bytes)},
    {"workingset_refault_file", offsetof(struct balloon_group, refault_pages)},
};
// Without this line it is no memory.stat at all.
static const struct keyed_field group_cache_v1 = {"total_cache",
                                                  offsetof(struct balloon_group, cache_bytes)};
static const struct keyed_field group_cache_v2 = {"file",
                                                  offsetof(struct balloon_group, cache_bytes)};

// Kernels differ in what they count: a brake without its counter is silent, and others remain.
void balloon_parse_vmstat(struct text file, struct balloon_vmstat *vmstat)
{
    keyed_parse(file, ' ', vmstat_fields, sizeof vmstat_fields / sizeof *vmstat_fields, vmstat);
    vmstat->has_taken = keyed_parse(file, ' ', vmstat_taken_fields, 2, vmstat) == 2;
}

// One struct for both versions, so that the judge never learns which it is.
int balloon_parse_group(struct text file, int version, struct balloon_group *ret_group)
{
    struct balloon_group group = {0};
    const struct keyed_field *cache = version == 1 ? &group_cache_v1 : &group_cache_v2;
    if (keyed_parse(file, ' ', cache, 1, &group) == 0)
        return -EBADMSG;
    if (version == 1)
        keyed_parse(file, ' ', group_fields_v1, sizeof group_fields_v1 / sizeof *group_fields_v1,
                    &group);
    else
        keyed_parse(file, ' ', group_fields_v2, sizeof group_fields_v2 / sizeof *group_fields_v2,
                    &group);
    *ret_group = group;
    return 0;
}

// The first of that name: later ones would be somebody else's lines.
bool balloon_parse_key(struct text file, const char *key, uint64_t *ret_value)
{
    struct text found, value;
    while (keyed_next(&file, ' ', &found, &value)) {
        if (text_equals(found, key))
            return text_take_u64(&value, ret_value);
    }
    return false;
}

// Two files that are read one after the other may contradict each other by a page: that is 0.
static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

// The limit of one level. In version 1 the sum of memory and swap has a limit of its own; in
// version 2 memory.high reclaims, and slows all down, before the limit is met.
static int read_limit(int version, const char *directory, uint64_t *ret_limit_bytes)
{
    // The second may be missing (no swap accounting, no memory.high): it limits nothing then.
    static const char *const names[][2] = {{"", ""},
                                           {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"},
                                           {"memory.max", "memory.high"}};
    uint64_t limit = CGROUP_NO_LIMIT, other = CGROUP_NO_LIMIT;
    int error = balloon_file_number(directory, names[version][0], &limit);
    // The root group of version 2 has no such file: it has no limit.
    if (error && !(version == 2 && error == -ENOENT))
        return error;
    balloon_file_number(directory, names[version][1], &other);
    *ret_limit_bytes = number_least(limit, other);
    return 0;
}

// With all that is charged to the groups below.
static int read_usage(int version, const char *directory, uint64_t *ret_usage_bytes)
{
    return balloon_file_number(directory, version == 1 ? "memory.usage_in_bytes" : "memory.current",
                               ret_usage_bytes);
}

// memory.stat flushes what processors have not reported yet, so the figures are of now.
static int read_group(int version, const char *directory, struct balloon_group *ret_group)
{
    struct buffer file = {.limit = BALLOON_FILE_MAX_BYTES};
    int error = balloon_file_below(directory, "memory.stat", &file);
    if (!error)
        error = balloon_parse_group(buffer_text(&file), version, ret_group);
    buffer_free(&file);
    return error;
}

// Page cache that can be dropped without writing and without anybody's next instruction missing.
static uint64_t easy_cache(const struct balloon_group *group)
{
    uint64_t cache = less(group->cache_bytes, group->shmem_bytes);
    return less(less(less(cache, group->dirty_bytes), group->writeback_bytes), group->mapped_bytes);
}

// The level with the least room is the one that the balloon will press on.
int balloon_place_room(struct balloon_place *place, struct balloon_room *ret_room)
{
    char directory[sizeof place->directory];
    struct balloon_room room = {.limit_bytes = CGROUP_NO_LIMIT};
    uint64_t best = UINT64_MAX;
    text_copy(text_of(place->directory), directory, sizeof directory);
    do {
        uint64_t limit, usage;
        int error = read_limit(place->version, directory, &limit);
        if (error)
            return error;
        if (limit == CGROUP_NO_LIMIT)
            continue;
        error = read_usage(place->version, directory, &usage);
        if (error)
            return error;
        // Of two with the same room the inner one is closer to what was meant.
        if (less(limit, usage) >= best)
            continue;
        best = less(limit, usage);
        room.limit_bytes = limit;
        room.usage_bytes = usage;
        text_copy(text_of(directory), room.directory, sizeof room.directory);
    } while (balloon_level_up(directory));
    if (best == UINT64_MAX)
        return -ENODATA;
    room.reserve_bytes = balloon_reserve(room.limit_bytes, group_reserve_least, UINT64_MAX);
    place->tightest_len = strlen(room.directory);
    *ret_room = room;
    return 0;
}

// Adds one level with a limit to the reading.
static int add_level(const struct balloon_place *place, const char *directory, uint64_t limit,
                     struct balloon_reading *reading)
{
    struct balloon_group group;
    // Two files and two moments: what is charged in between is in the next reading.
    uint64_t usage = 0;
    int error = read_usage(place->version, directory, &usage);
    if (!error)
        error = read_group(place->version, directory, &group);
    if (error)
        return error;
    // Both may change between the two reads: a usage above the limit is no room, not a huge one.
    uint64_t room = less(limit, usage), easy = easy_cache(&group) / 2;
    uint64_t reserve = balloon_reserve(limit, group_reserve_least, UINT64_MAX);
    // Nothing real reaches 2^61; what is larger says no more than that.
    const uint64_t most = (uint64_t)1 << 61;
    int64_t slack =
        (int64_t)(number_least(room, most) + number_least(easy, most)) - (int64_t)reserve;
    if (slack < reading->slack_bytes) {
        reading->slack_bytes = slack;
        reading->reserve_bytes = reserve;
    }
    reading->free_bytes = number_least(reading->free_bytes, room);
    // One level's figures throughout: those of two would make a difference of nothing.
    if (strlen(directory) == place->tightest_len) {
        reading->cache_bytes = less(group.cache_bytes, group.shmem_bytes);
        reading->refault_pages = group.refault_pages;
    }
    return 0;
}

// OOM kills of a level, so that those of strangers elsewhere on the host do not count.
static uint64_t read_oom_kills(int version, const char *directory)
{
    struct buffer file = {.limit = BALLOON_FILE_MAX_BYTES};
    // Version 1 counts them from 4.13 on; before that the kernel's log alone knows.
    uint64_t kills = 0;
    const char *name = version == 1 ? "memory.oom_control" : "memory.events";
    if (balloon_file_below(directory, name, &file) == 0)
        balloon_parse_key(buffer_text(&file), "oom_kill", &kills);
    buffer_free(&file);
    return kills;
}

// Lists minus cache, as meminfo_lazy_bound_kib() of the host.
static int read_own(const struct balloon_place *place, struct balloon_reading *reading)
{
    struct balloon_group group;
    int error = read_group(place->version, place->directory, &group);
    if (error)
        return error;
    uint64_t listed;
    if (__builtin_add_overflow(group.inactive_file_bytes, group.active_file_bytes, &listed))
        return -EBADMSG;
    reading->lazy_bytes = less(listed, less(group.cache_bytes, group.shmem_bytes));
    uint64_t swap_bytes = group.swap_bytes;
    if (place->version == 2)
        balloon_file_number(place->directory, "memory.swap.current", &swap_bytes);
    reading->swapped_pages = swap_bytes / (4 * kib);
    return 0;
}

// The group and all above it; the balloon is charged to each.
static int read_levels(const struct balloon_place *place, struct balloon_reading *reading)
{
    char directory[sizeof place->directory];
    int error = read_own(place, reading);
    text_copy(text_of(place->directory), directory, sizeof directory);
    bool has_limit = false;
    while (!error) {
        uint64_t limit;
        error = read_limit(place->version, directory, &limit);
        if (!error && limit != CGROUP_NO_LIMIT) {
            has_limit = true;
            error = add_level(place, directory, limit, reading);
        }
        // Version 2 counts a level's descendants already.
        if (place->version == 1 || strlen(directory) == strlen(place->directory))
            reading->oom_kills += read_oom_kills(place->version, directory);
        if (!balloon_level_up(directory))
            break;
    }
    // A limit that was lifted meanwhile: pressure would be the host's.
    return error ? error : has_limit ? 0 : -ENODATA;
}

// Would pressure here make the kernel swap? Swappiness 0 and memory.swap.max 0 say that it cannot,
// but a tighter limit above presses on other groups too, whose settings are not looked at.
static bool can_swap(const struct balloon_place *place, const struct meminfo *meminfo)
{
    if (meminfo->swap_total_kib == 0)
        return false;
    if (place->version == 0 || strlen(place->directory) != place->tightest_len)
        return true;
    uint64_t value = 1;
    balloon_file_number(place->directory,
                        place->version == 1 ? "memory.swappiness" : "memory.swap.max", &value);
    return value != 0;
}

// Not in every kernel, and not in version 1: then it stays unknown.
static void read_psi(const char *directory, const char *name, struct balloon_psi *psi)
{
    struct buffer file = {.limit = BALLOON_FILE_MAX_BYTES};
    struct pressure pressure;
    if (balloon_file_below(directory, name, &file) == 0 &&
        pressure_parse(buffer_text(&file), &pressure) == 0)
        *psi = (struct balloon_psi){true, pressure.some_total_us, pressure.some_avg10};
    buffer_free(&file);
}

// The host as the place itself. What the kernel keeps back for itself (min_free_kbytes) is no room:
// down there every allocation of everybody waits.
static void read_host_room(const struct balloon_place *place, const struct meminfo *meminfo,
                           const struct balloon_vmstat *vmstat, struct balloon_reading *reading)
{
    char name[PATH_MAX];
    uint64_t kept_kib = meminfo->total_kib / 100, reserve_kib;
    text_format(name, sizeof name, "%s/sys/vm", place->proc_root);
    balloon_file_number(name, "min_free_kbytes", &kept_kib);
    reserve_kib = balloon_reserve(meminfo->total_kib * kib, host_reserve_least, UINT64_MAX) / kib;
    // MemAvailable counts what is lazily freed as inactive file pages; here it stands by itself.
    uint64_t lazy_kib = meminfo_lazy_bound_kib(meminfo);
    reading->free_bytes = less(meminfo->free_kib, kept_kib) * kib;
    reading->lazy_bytes = lazy_kib * kib;
    reading->slack_bytes =
        ((int64_t)meminfo->available_kib - (int64_t)lazy_kib - (int64_t)reserve_kib) * (int64_t)kib;
    uint64_t cache_kib = meminfo->cached_kib + meminfo->buffers_kib;
    reading->reserve_bytes = reserve_kib * kib;
    reading->cache_bytes = less(cache_kib, meminfo->shmem_kib) * kib;
    reading->refault_pages = vmstat->refault_pages;
    reading->swapped_pages = vmstat->swapped_pages;
    reading->oom_kills = vmstat->oom_kills;
}

// meminfo and vmstat; more than 2^43 KiB is no host's memory and would wrap.
static int read_host(const struct balloon_place *place, struct meminfo *ret_meminfo,
                     struct balloon_vmstat *ret_vmstat)
{
    struct buffer file = {.limit = BALLOON_FILE_MAX_BYTES};
    int error = balloon_file_below(place->proc_root, "meminfo", &file);
    if (!error)
        error = meminfo_parse(buffer_text(&file), ret_meminfo);
    const uint64_t most_kib = (uint64_t)1 << 43;
    if (!error &&
        (ret_meminfo->total_kib > most_kib || ret_meminfo->available_kib > most_kib ||
         ret_meminfo->cached_kib > most_kib || ret_meminfo->buffers_kib > most_kib ||
         ret_meminfo->free_kib > most_kib || meminfo_lazy_bound_kib(ret_meminfo) > most_kib))
        error = -EBADMSG;
    if (!error)
        error = balloon_file_below(place->proc_root, "vmstat", &file);
    if (!error)
        balloon_parse_vmstat(buffer_text(&file), ret_vmstat);
    buffer_free(&file);
    return error;
}

// In one go and in one order: the gauges that fall fastest come last, closest to the decision.
void balloon_read(const struct balloon_place *place, struct balloon_reading *reading)
{
    // What cannot be read makes the reading incomplete; a line that this kernel lacks is 0 from the
    // first reading on, so that no difference comes of it.
    struct meminfo meminfo = {0};
    struct balloon_vmstat vmstat = {0};
    // Until everything has been read.
    reading->is_complete = false;
    reading->now_ns = lever_now_ns();
    reading->oom_kills = 0;
    if (read_host(place, &meminfo, &vmstat) < 0)
        return;
    reading->has_taken = vmstat.has_taken;
    reading->lazy_taken_pages = vmstat.lazy_taken_pages;
    reading->file_taken_pages = vmstat.file_taken_pages;
    reading->can_swap = can_swap(place, &meminfo);
    read_psi(place->proc_root, "pressure/memory", &reading->host_psi);
    if (place->version == 0) {
        reading->host_bytes = UINT64_MAX;
        read_host_room(place, &meminfo, &vmstat, reading);
        reading->is_complete = true;
        return;
    }
    // Whatever the group may take, the host has to have it.
    uint64_t reserve = balloon_reserve(meminfo.total_kib * kib, host_reserve_least, UINT64_MAX);
    reading->host_bytes = less(meminfo.available_kib * kib, reserve);
    reading->free_bytes = UINT64_MAX;
    reading->slack_bytes = INT64_MAX;
    reading->reserve_bytes = 0;
    if (place->version == 2)
        read_psi(place->directory, "memory.pressure", &reading->group_psi);
    reading->is_complete = read_levels(place, reading) == 0;
}
