// SPDX-License-Identifier: Apache-2.0
// The cheap reading, see cheap.h. Tool world; one thread.
//
// Sources: proc_pid_stat(5), proc_pid_statm(5); flags from include/linux/sched.h.
#include "sample/cheap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "proc/status.h"

enum {
    CHEAP_EXITING = 0x4,              // PF_EXITING: the address space goes next
    CHEAP_FORKED = 0x40,              // PF_FORKNOEXEC
    CHEAP_KERNEL_THREAD = 0x00200000, // PF_KTHREAD
    CHEAP_FILE_BYTES = 2048,          // 52 numbers of 20 digits, and a comm
    CHEAP_STATUS_BYTES = 1024,        // VmHWM stands in its first half
};

// Reads the head of PID/NAME. The length, or -errno; -ESRCH where it is gone.
static ssize_t cheap_file(const struct cheap_reader *reader, int pid, const char *name, char *file,
                          size_t size)
{
    char path[64];
    text_format(path, sizeof path, "%d/%s", pid, name);
    int fd = openat(reader->root_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? -ESRCH : -errno;
    // The kernel prints these files in one go.
    ssize_t len = read(fd, file, size);
    if (len < 0)
        len = -errno;
    close(fd);
    return len;
}

// Trees of files may hold any number: more than a petabyte is none that a kernel printed.
static uint64_t cheap_bytes(uint64_t units, uint64_t unit_bytes)
{
    const uint64_t most = (uint64_t)1 << 50;
    return number_least(units, most / unit_bytes) * unit_bytes;
}

// Who has no memory of its own is no subject: kernel threads never had any, and what is ending is
// about to drop it.
static int cheap_stat(const struct cheap_reader *reader, int pid, struct proc_stat *ret_stat)
{
    // On the stack: thousands of these are read each round, and none needs an allocation.
    char file[CHEAP_FILE_BYTES];
    ssize_t len = cheap_file(reader, pid, "stat", file, sizeof file);
    if (len < 0)
        return (int)len;
    int error = proc_stat_parse((struct text){file, (size_t)len}, ret_stat);
    if (error)
        return error;
    if (ret_stat->flags & CHEAP_KERNEL_THREAD)
        return -ENOEXEC;
    bool ended =
        ret_stat->state == 'Z' || ret_stat->state == 'X' || (ret_stat->flags & CHEAP_EXITING) != 0;
    return ended ? -ESRCH : 0;
}

// Of all that tells one program from another, stat alone costs nothing more.
static void cheap_take_identity(const struct proc_stat *stat, struct cheap_identity *identity)
{
    *identity = (struct cheap_identity){
        .start_ticks = stat->start_ticks,
        // Who has no right to see them is shown 1 and 0.
        .start_code = stat->start_code > 1 ? stat->start_code : 0,
        .start_stack = stat->start_stack > 1 ? stat->start_stack : 0,
        .is_fork = (stat->flags & CHEAP_FORKED) != 0,
    };
    text_copy(text_of(stat->comm), identity->comm, sizeof identity->comm);
}

// Half of a cheap reading, for strangers.
int cheap_identify(const struct cheap_reader *reader, int pid, struct cheap_identity *ret_identity)
{
    struct proc_stat stat;
    int error = cheap_stat(reader, pid, &stat);
    if (!error)
        cheap_take_identity(&stat, ret_identity);
    return error;
}

// Sizes and times; ticks are summed below the point where their milliseconds would wrap.
static void cheap_take_stat(const struct cheap_reader *reader, const struct proc_stat *stat,
                            struct cheap_reading *reading)
{
    const uint64_t most_ticks = (uint64_t)1 << 50;
    cheap_take_identity(stat, &reading->identity);
    reading->stat_rss_bytes = cheap_bytes(stat->rss_pages, reader->page_bytes);
    reading->virtual_bytes = cheap_bytes(stat->vsize_bytes, 1);
    reading->minor_faults = stat->minor_faults;
    reading->major_faults = stat->major_faults;
    reading->threads = stat->threads;
    uint64_t ticks =
        number_least(stat->user_ticks, most_ticks) + number_least(stat->system_ticks, most_ticks);
    reading->cpu_ms = ticks * 1000 / reader->ticks_per_s;
}

// Without a fault and with the same sizes, what is resident is the same kind of pages as before.
static bool cheap_stood_still(const struct cheap_reading *last, const struct cheap_reading *now)
{
    return last->stat_rss_bytes == now->stat_rss_bytes &&
           last->virtual_bytes == now->virtual_bytes && last->minor_faults == now->minor_faults &&
           last->major_faults == now->major_faults &&
           last->identity.start_ticks == now->identity.start_ticks;
}

// RSS is taken from here: from 6.17 on the kernel adds up all processors' shares for this file,
// while stat may lag behind by a batch of each.
static int cheap_take_statm(const struct cheap_reader *reader, int pid,
                            struct cheap_reading *reading)
{
    char file[CHEAP_FILE_BYTES];
    struct proc_statm statm;
    ssize_t len = cheap_file(reader, pid, "statm", file, sizeof file);
    int error = len < 0 ? (int)len : proc_statm_parse((struct text){file, (size_t)len}, &statm);
    if (error)
        return error;
    // "shared" is pages of files and shared memory (RssFile + RssShmem), mapped by others or not.
    uint64_t shared = number_least(statm.shared_pages, statm.resident_pages);
    reading->rss_bytes = cheap_bytes(statm.resident_pages, reader->page_bytes);
    reading->anon_bytes = cheap_bytes(statm.resident_pages - shared, reader->page_bytes);
    return 0;
}

// Without a fault nothing came, so that this too is read of those that move alone. A tree without
// the file, or a kernel that hides it, has no peak to tell.
static void cheap_take_peak(const struct cheap_reader *reader, int pid,
                            struct cheap_reading *reading)
{
    char file[CHEAP_STATUS_BYTES];
    ssize_t len = cheap_file(reader, pid, "status", file, sizeof file);
    struct text rest = {file, len > 0 ? (size_t)len : 0}, line;
    uint64_t kib;
    while (text_next_line(&rest, &line)) {
        // One line of fifty: the rest is not worth a parser's time in each round.
        if (!text_take_prefix(&line, "VmHWM:"))
            continue;
        text_skip_blanks(&line);
        if (text_take_u64(&line, &kib))
            reading->peak_rss_bytes = cheap_bytes(kib, 1024);
        return;
    }
}

// Most processes stand still most of the time: for them one file of the three is enough.
int cheap_read(const struct cheap_reader *reader, int pid, const struct cheap_reading *last,
               struct cheap_reading *ret_reading)
{
    struct proc_stat stat;
    int error = cheap_stat(reader, pid, &stat);
    if (error)
        return error;
    struct cheap_reading reading = {0};
    cheap_take_stat(reader, &stat, &reading);
    if (last && cheap_stood_still(last, &reading)) {
        reading.rss_bytes = last->rss_bytes;
        reading.anon_bytes = last->anon_bytes;
        reading.peak_rss_bytes = last->peak_rss_bytes;
    } else {
        error = cheap_take_statm(reader, pid, &reading);
        if (error)
            return error;
        cheap_take_peak(reader, pid, &reading);
    }
    *ret_reading = reading;
    return 0;
}

void cheap_remember(const struct cheap_identity *before, struct cheap_identity *now)
{
    if (!now->start_code)
        now->start_code = before->start_code;
    if (!now->start_stack)
        now->start_stack = before->start_stack;
}

// 0 is unknown, and may be anything.
static bool cheap_may_equal(uint64_t a, uint64_t b)
{
    return a == b || a == 0 || b == 0;
}

// Both or none are shown; a tree of files may differ.
bool cheap_is_seen(const struct cheap_identity *identity)
{
    return identity->start_code != 0 && identity->start_stack != 0;
}

enum cheap_change cheap_compare(const struct cheap_identity *before,
                                const struct cheap_identity *now)
{
    if (before->start_ticks != now->start_ticks)
        return CHEAP_OTHER;
    // The mark of a fork goes with the first exec and never comes back.
    if ((before->is_fork && !now->is_fork) ||
        !cheap_may_equal(before->start_code, now->start_code) ||
        !cheap_may_equal(before->start_stack, now->start_stack))
        return CHEAP_EXEC;
    return strcmp(before->comm, now->comm) == 0 ? CHEAP_SAME : CHEAP_RENAMED;
}
