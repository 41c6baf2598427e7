// SPDX-License-Identifier: Apache-2.0
// Reading the host, see host.h. Tool world; one thread.
#include "sample/host.h"

#include "proc/host.h"

// An unreadable file is an empty one: each parser refuses that.
static struct text host_file(int root_fd, struct buffer *scratch, const char *path)
{
    buffer_clear(scratch);
    if (buffer_read_at(scratch, root_fd, path) != 0)
        buffer_clear(scratch);
    return buffer_text(scratch);
}

// More than a petabyte is none that a kernel printed.
static uint64_t bytes_of_kib(uint64_t kib)
{
    const uint64_t most_kib = (uint64_t)1 << 40;
    return (kib < most_kib ? kib : most_kib) * 1024;
}

// Each file that is missing leaves its figures at 0, as a container's tree may.
void host_sample_read(int root_fd, struct buffer *scratch, struct host_sample *ret_sample)
{
    // Parsers leave these as they are when they fail.
    struct meminfo meminfo = {0};
    struct vmstat vmstat = {0};
    struct pressure pressure = {.some_avg10 = -1};
    meminfo_parse(host_file(root_fd, scratch, "meminfo"), &meminfo);
    vmstat_parse(host_file(root_fd, scratch, "vmstat"), &vmstat);
    pressure_parse(host_file(root_fd, scratch, "pressure/memory"), &pressure);
    uint64_t swap_total = bytes_of_kib(meminfo.swap_total_kib);
    uint64_t swap_free = bytes_of_kib(meminfo.swap_free_kib);
    *ret_sample = (struct host_sample){
        .time_ms = ret_sample->time_ms,
        .total_bytes = bytes_of_kib(meminfo.total_kib),
        .available_bytes = bytes_of_kib(meminfo.available_kib),
        .swap_used_bytes = swap_total > swap_free ? swap_total - swap_free : 0,
        .lazy_bound_bytes = bytes_of_kib(meminfo_lazy_bound_kib(&meminfo)),
        .lazily_freed_pages = vmstat.lazily_freed_pages,
        .lazily_taken_pages = vmstat.lazily_taken_pages,
        .pressure_some_avg10 = pressure.some_avg10,
    };
}
