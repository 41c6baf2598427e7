// SPDX-License-Identifier: Apache-2.0
// What a lever reads of its target before and after. Tool world; no state.
#include "lever/lever.h"

#include <errno.h>
#include <stddef.h>

#include "lever/urgent.h"
#include "proc/keyed.h"
#include "proc/status.h"

// smaps_rollup and status are a few KiB.
enum { LEVER_FILE_MAX_BYTES = 64 << 10 };

// In KiB, as the kernel prints them.
struct rollup {
    uint64_t rss, lazy, huge, swap, locked;
};

// Rss is in every rollup, 0 included; whether LazyFree is there depends on the kernel (4.12).
static int parse_rollup(struct text file, struct rollup *ret_rollup)
{
    static const struct keyed_field fields[] = {
        {"Rss", offsetof(struct rollup, rss)},
        {"LazyFree", offsetof(struct rollup, lazy)},
        {"Swap", offsetof(struct rollup, swap)},
        {"AnonHugePages", offsetof(struct rollup, huge)},
        {"Locked", offsetof(struct rollup, locked)},
    };
    struct rollup rollup = {0};
    if (keyed_parse(file, ':', fields, sizeof fields / sizeof *fields, &rollup) == 0)
        return -EBADMSG;
    *ret_rollup = rollup;
    return 0;
}

static int read_rollup(struct process *process, struct rollup *ret_rollup)
{
    struct buffer file = {0};
    struct urgent urgent;
    // The kernel holds the target's mmap_lock while it counts.
    urgent_begin(&urgent);
    int error = process_read_file(process, "smaps_rollup", LEVER_FILE_MAX_BYTES, &file);
    urgent_end(&urgent);
    if (error == 0)
        error = parse_rollup(buffer_text(&file), ret_rollup);
    buffer_free(&file);
    return error;
}

static int read_status(struct process *process, struct proc_status *ret_status)
{
    struct buffer file = {0};
    int error = process_read_file(process, "status", LEVER_FILE_MAX_BYTES, &file);
    if (error == 0)
        error = proc_status_parse(buffer_text(&file), ret_status);
    buffer_free(&file);
    return error;
}

// Kernel threads and zombies have no mappings to read: they are still there to be refused.
static int read_small(struct process *process, struct lever_reading *ret_reading,
                      bool *ret_has_memory)
{
    struct proc_status status = {0};
    int error = read_status(process, &status);
    if (error)
        return error;
    *ret_reading = (struct lever_reading){
        .rss_bytes = status.vm_rss_kib * 1024,
        .swap_bytes = status.vm_swap_kib * 1024,
        .locked_bytes = status.vm_locked_kib * 1024,
        .virtual_bytes = status.vm_size_kib * 1024,
    };
    *ret_has_memory = status.has_memory;
    return 0;
}

// Anybody may read it, even of root's processes: a refusal still shows how large the target is.
int lever_read_status(struct process *process, struct lever_reading *ret_reading)
{
    bool has_memory;
    return read_small(process, ret_reading, &has_memory);
}

// status counts RSS by batches that lag; where the rollup may be read, its figures go first.
int lever_read(struct process *process, struct lever_reading *ret_reading)
{
    struct lever_reading reading;
    bool has_memory;
    int error = read_small(process, &reading, &has_memory);
    if (error)
        return error;
    struct rollup rollup;
    error = has_memory ? read_rollup(process, &rollup) : -ENODATA;
    if (error == -ESRCH || error == -ENOMEM)
        return error;
    if (error == 0) {
        reading.rss_bytes = rollup.rss * 1024;
        reading.lazy_bytes = rollup.lazy * 1024;
        reading.anon_huge_bytes = rollup.huge * 1024;
        reading.swap_bytes = rollup.swap * 1024;
        reading.locked_bytes = rollup.locked * 1024;
        reading.has_details = true;
    }
    *ret_reading = reading;
    return 0;
}
