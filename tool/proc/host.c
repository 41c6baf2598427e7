// SPDX-License-Identifier: Apache-2.0
// The host's state from /proc, see host.h. Tool world; the parsers are pure, host_read() does the
// I/O.
#include "proc/host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "proc/keyed.h"

// /proc/stat grows with the number of interrupts and processors; the others stay far below.
enum { HOST_FILE_MAX_BYTES = 4 << 20 };

// Names as fs/proc/meminfo.c prints them; all are older than MADV_FREE but MemAvailable (3.14).
#define MEMINFO_FIELD(key, member)                                                                 \
    {                                                                                              \
        key, offsetof(struct meminfo, member)                                                      \
    }
static const struct keyed_field meminfo_fields[] = {
    MEMINFO_FIELD("MemTotal", total_kib),
    MEMINFO_FIELD("MemFree", free_kib),
    MEMINFO_FIELD("MemAvailable", available_kib),
    MEMINFO_FIELD("Buffers", buffers_kib),
    MEMINFO_FIELD("Cached", cached_kib),
    MEMINFO_FIELD("Shmem", shmem_kib),
    MEMINFO_FIELD("Active(file)", active_file_kib),
    MEMINFO_FIELD("Inactive(file)", inactive_file_kib),
    MEMINFO_FIELD("AnonPages", anon_kib),
    MEMINFO_FIELD("AnonHugePages", anon_huge_kib),
    MEMINFO_FIELD("SwapTotal", swap_total_kib),
    MEMINFO_FIELD("SwapFree", swap_free_kib),
};
#undef MEMINFO_FIELD

// MemTotal is in every meminfo and never 0.
int meminfo_parse(struct text file, struct meminfo *ret_meminfo)
{
    struct meminfo meminfo = {0};
    keyed_parse(file, ':', meminfo_fields, sizeof meminfo_fields / sizeof *meminfo_fields,
                &meminfo);
    if (meminfo.total_kib == 0)
        return -EBADMSG;
    *ret_meminfo = meminfo;
    return 0;
}

// Lazily freed pages move to the inactive file list without being page cache: what the file lists
// hold beyond the cache is theirs at most. Shmem counts as Cached but lies on the anonymous lists.
uint64_t meminfo_lazy_bound_kib(const struct meminfo *meminfo)
{
    // Fake trees may hold any number: every sum saturates in the harmless direction.
    uint64_t listed, cache;
    if (__builtin_add_overflow(meminfo->active_file_kib, meminfo->inactive_file_kib, &listed))
        return 0;
    if (__builtin_add_overflow(meminfo->cached_kib, meminfo->buffers_kib, &cache))
        return 0;
    cache = cache > meminfo->shmem_kib ? cache - meminfo->shmem_kib : 0;
    return listed > cache ? listed - cache : 0;
}

// pgscan_* has many siblings (per list, per reason); these two are their sum by who scans.
struct vmstat_raw {
    uint64_t lazily_freed, lazily_taken, swapped_out, scanned_kswapd, scanned_direct;
};
#define VMSTAT_FIELD(key, member)                                                                  \
    {                                                                                              \
        key, offsetof(struct vmstat_raw, member)                                                   \
    }
static const struct keyed_field vmstat_fields[] = {
    VMSTAT_FIELD("pglazyfreed", lazily_taken),
    VMSTAT_FIELD("pswpout", swapped_out),
    VMSTAT_FIELD("pgscan_kswapd", scanned_kswapd),
    VMSTAT_FIELD("pgscan_direct", scanned_direct),
};
static const struct keyed_field vmstat_lazy = VMSTAT_FIELD("pglazyfree", lazily_freed);
#undef VMSTAT_FIELD

int vmstat_parse(struct text file, struct vmstat *ret_vmstat)
{
    struct vmstat_raw raw = {0};
    // Apart, because its absence tells of a kernel before 4.12.
    bool has_lazy = keyed_parse(file, ' ', &vmstat_lazy, 1, &raw) > 0;
    size_t stored =
        keyed_parse(file, ' ', vmstat_fields, sizeof vmstat_fields / sizeof *vmstat_fields, &raw);
    if (!has_lazy && stored == 0)
        return -EBADMSG;
    // A fake tree may claim anything; the sum must not wrap to something small.
    uint64_t scanned;
    if (__builtin_add_overflow(raw.scanned_kswapd, raw.scanned_direct, &scanned))
        scanned = UINT64_MAX;
    *ret_vmstat = (struct vmstat){
        .lazily_freed_pages = raw.lazily_freed,
        .lazily_taken_pages = raw.lazily_taken,
        .swapped_out_pages = raw.swapped_out,
        .scanned_pages = scanned,
        .has_lazy = has_lazy,
    };
    return 0;
}

// "12.34", always with a point whatever the locale says.
static bool pressure_take_decimal(struct text *rest, double *ret_value)
{
    uint64_t whole, part;
    if (!text_take_u64(rest, &whole) || !text_take_prefix(rest, "."))
        return false;
    // The number of digits is the scale: "05" is 5 hundredths.
    size_t digits = rest->len;
    if (!text_take_u64(rest, &part))
        return false;
    double fraction = (double)part;
    for (digits -= rest->len; digits > 0; digits--)
        fraction /= 10;
    *ret_value = (double)whole + fraction;
    return true;
}

// "avg10=0.00 avg60=0.00 avg300=0.00 total=0"
static bool pressure_take_line(struct text line, double *ret_avg10, uint64_t *ret_total_us)
{
    struct text field;
    // Both must be there: an average without its total is a torn line.
    bool has_average = false, has_total = false;
    while (text_next_field(&line, ' ', &field)) {
        if (text_take_prefix(&field, "avg10="))
            has_average = pressure_take_decimal(&field, ret_avg10);
        else if (text_take_prefix(&field, "total="))
            has_total = text_take_u64(&field, ret_total_us);
    }
    return has_average && has_total;
}

// "full" may be missing without harm; "some" is what every reader wants.
int pressure_parse(struct text file, struct pressure *ret_pressure)
{
    struct pressure pressure = {0};
    bool has_some = false;
    struct text kind, value;
    while (keyed_next(&file, ' ', &kind, &value)) {
        if (text_equals(kind, "some"))
            has_some = pressure_take_line(value, &pressure.some_avg10, &pressure.some_total_us);
        else if (text_equals(kind, "full"))
            pressure_take_line(value, &pressure.full_avg10, &pressure.full_total_us);
    }
    if (!has_some)
        return -EBADMSG;
    *ret_pressure = pressure;
    return 0;
}

int kernel_version_parse(struct text release, struct kernel_version *ret_version)
{
    // "6.18.44-fc", "4.18.0-80.el8", "6.1-rc1": two numbers, perhaps a third, then anything.
    uint64_t major, minor, patch = 0;
    if (!text_take_u64(&release, &major) || !text_take_prefix(&release, ".") ||
        !text_take_u64(&release, &minor))
        return -EBADMSG;
    // A third number that is missing or too large does not spoil the other two.
    if (text_take_prefix(&release, "."))
        text_take_u64(&release, &patch);
    // Only a hostile tree has such a version.
    if (major > UINT16_MAX || minor > UINT16_MAX)
        return -EBADMSG;
    *ret_version = (struct kernel_version){(unsigned)major, (unsigned)minor,
                                           patch <= UINT16_MAX ? (unsigned)patch : UINT16_MAX};
    return 0;
}

// Patch levels do not matter: facilities come with minor versions.
bool kernel_at_least(struct kernel_version version, unsigned major, unsigned minor)
{
    return version.major > major || (version.major == major && version.minor >= minor);
}

// The mode in force is the one in brackets.
enum thp_mode thp_mode_parse(struct text file)
{
    if (text_contains(file, "[always]"))
        return THP_ALWAYS;
    if (text_contains(file, "[madvise]"))
        return THP_MADVISE;
    return text_contains(file, "[never]") ? THP_NEVER : THP_UNKNOWN;
}

// Reads one file below the root, forgetting the one before; an unreadable one is an empty view.
static struct text host_file(struct buffer *scratch, int root_fd, const char *path)
{
    buffer_clear(scratch);
    // A file that broke off in the middle is not used at all.
    if (buffer_read_at(scratch, root_fd, path) < 0)
        buffer_clear(scratch);
    return buffer_text(scratch);
}

// A file that holds one number, as those below /proc/sys.
static int host_number(struct buffer *scratch, int root_fd, const char *path, int missing)
{
    struct text file = host_file(scratch, root_fd, path);
    int64_t value;
    if (!text_take_i64(&file, &value) || value < INT16_MIN || value > INT16_MAX)
        return missing;
    return (int)value;
}

// The other clock: start times in /proc count from boot.
static uint64_t host_boot_time_s(struct text stat)
{
    struct text key, value;
    uint64_t time_s;
    while (keyed_next(&stat, ' ', &key, &value)) {
        if (text_equals(key, "btime") && text_take_u64(&value, &time_s))
            return time_s;
    }
    return 0;
}

static void host_read_release(struct buffer *scratch, int root_fd, struct host *host)
{
    struct text file = host_file(scratch, root_fd, "sys/kernel/osrelease"), line = {"", 0};
    text_next_line(&file, &line);
    text_copy(line, host->release, sizeof host->release);
    // Without a version it stays 0.0, which has none of the facilities.
    kernel_version_parse(text_of(host->release), &host->kernel);
}

// Everything but meminfo may be missing.
static void host_read_rest(struct buffer *scratch, int root_fd, struct host *host)
{
    host_read_release(scratch, root_fd, host);
    vmstat_parse(host_file(scratch, root_fd, "vmstat"), &host->vmstat);
    struct text pressure = host_file(scratch, root_fd, "pressure/memory");
    host->has_pressure = pressure_parse(pressure, &host->pressure) == 0;
    host->ptrace_scope = host_number(scratch, root_fd, "sys/kernel/yama/ptrace_scope", -1);
    host->overcommit = host_number(scratch, root_fd, "sys/vm/overcommit_memory", -1);
    host->boot_time_s = host_boot_time_s(host_file(scratch, root_fd, "stat"));
    struct text uptime = host_file(scratch, root_fd, "uptime");
    text_take_u64(&uptime, &host->uptime_s);
    host->thp = thp_mode_parse(
        host_file(scratch, root_fd, "../sys/kernel/mm/transparent_hugepage/enabled"));
}

int host_read(const char *proc_root, struct host *ret_host)
{
    // One descriptor for all: a tree that is unmounted meanwhile does not mix with another.
    int root_fd = open(proc_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return -errno;
    struct buffer scratch = {.limit = HOST_FILE_MAX_BYTES};
    struct host host = {0};
    int error = buffer_read_at(&scratch, root_fd, "meminfo");
    if (!error)
        error = meminfo_parse(buffer_text(&scratch), &host.meminfo);
    if (!error) {
        host_read_rest(&scratch, root_fd, &host);
        *ret_host = host;
    }
    buffer_free(&scratch);
    close(root_fd);
    return error;
}

// A whole reading: what asks is about to walk through gigabytes.
bool host_has_swap(const char *proc_root)
{
    struct host host;
    return host_read(proc_root, &host) < 0 || host.meminfo.swap_total_kib > 0;
}
