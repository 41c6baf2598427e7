// SPDX-License-Identifier: Apache-2.0
// Who a process is, see reading.h. Tool world; one thread.
//
// Only stat and status are required: they tell what the process is and may be read by everybody.
// Whatever else is missing leaves a gap in the report, never no report.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "survey/reading.h"

enum {
    // stat and status take some 2 KiB; a command line may have megabytes and is cut here.
    SMALL_FILE_BYTES = 1 << 16,
    KERNEL_THREAD_FLAG = 0x00200000, // PF_KTHREAD, include/linux/sched.h
};

int survey_add_unread(struct survey *survey, const char *what, const char *needs)
{
    int error = array_reserve_one(&survey->unread, &survey->unread_capacity, survey->unread_count,
                                  sizeof *survey->unread);
    if (error)
        return error;
    struct survey_unread *unread = &survey->unread[survey->unread_count++];
    text_copy(text_of(what), unread->what, sizeof unread->what);
    text_copy(text_of(needs), unread->needs, sizeof unread->needs);
    return 0;
}

const char *survey_needs(int error)
{
    // Root may lack the right too: in a user namespace, or where a security module says no.
    if ((error == -EACCES || error == -EPERM) && geteuid() == 0)
        return "a right that root lacks here: a security module or another namespace denies it";
    if (error == -EACCES || error == -EPERM)
        return "the right to read it: run ebb as root, or as the process's user";
    if (error == -ENOENT || error == -ENOSYS)
        return "a kernel that has it";
    if (error == -EMFILE)
        return "more open files for ebb: ulimit -n 64";
    // The error alone would read as if it helped; EFBIG, EIO and the like are seen nowhere but in
    // damaged trees.
    return "nothing that is known: reading it failed";
}

// The state of the process, and whether it can hold memory at all.
static int identity_read_stat(struct process *process, struct buffer *file, struct survey *survey)
{
    int error = process_read_file(process, "stat", SMALL_FILE_BYTES, file);
    struct proc_stat stat = {0};
    if (!error)
        error = proc_stat_parse(buffer_text(file), &stat);
    if (error)
        return error;
    // Both have stat and status like everybody, but no address space to give an account of.
    if (stat.flags & KERNEL_THREAD_FLAG)
        return -ENOEXEC;
    if (stat.state == 'Z' || stat.state == 'X')
        return -ECHILD;
    survey->start_ticks = stat.start_ticks;
    text_copy(text_of(stat.comm), survey->name, sizeof survey->name);
    error = process_read_file(process, "status", SMALL_FILE_BYTES, file);
    if (!error)
        error = proc_status_parse(buffer_text(file), &survey->status);
    // Stands in until, and unless, an account is made. It is less exact than smaps: split over
    // per-thread or per-CPU counters that are added up late (mm/memory.c, SPLIT_RSS_COUNTING).
    survey->rss_bytes = survey->status.vm_rss_kib * 1024;
    return error;
}

// The names that people know it by; a process may hide or overwrite them, so none is required.
static void identity_read_names(struct process *process, struct buffer *file, struct survey *survey)
{
    if (process_read_file(process, "cmdline", SMALL_FILE_BYTES, file) == 0 ||
        file->len == SMALL_FILE_BYTES)
        proc_cmdline_join(buffer_text(file), survey->cmdline, sizeof survey->cmdline);
    if (process_read_link(process, "exe", survey->exe, sizeof survey->exe) != 0)
        survey->exe[0] = '\0';
}

// Ticks are USER_HZ, which sysconf() tells; 100 on every architecture that ebb is built for.
static void identity_read_times(struct survey *survey)
{
    long ticks_per_second = sysconf(_SC_CLK_TCK);
    double started =
        (double)survey->start_ticks / (double)(ticks_per_second > 0 ? ticks_per_second : 100);
    survey->start_time_s = (double)survey->host.boot_time_s + started;
    survey->uptime_s = (double)survey->host.uptime_s - started;
}

// Host and cgroup belong here because they are read once for a process, whatever becomes of memory.
int survey_read_identity(const struct survey_options *options, struct process *process,
                         struct survey *survey)
{
    struct buffer file = {0};
    survey->pid = process_pid(process);
    int error = identity_read_stat(process, &file, survey);
    if (!error)
        identity_read_names(process, &file, survey);
    buffer_free(&file);
    if (error)
        return error;
    // Kernel and boot time: a verdict without them leaves out some traps, and ages are unknown.
    if (options->host)
        survey->host = *options->host;
    else
        error = host_read(options->proc_root, &survey->host);
    if (error)
        error = survey_add_unread(survey, "the host's memory figures", survey_needs(error));
    identity_read_times(survey);
    // A process without a memory cgroup is nothing unusual, and one whose group is out of sight
    // has no limit that could be shown.
    if (!error && cgroup_read(process, &survey->cgroup) != 0)
        survey->cgroup = (struct cgroup){.limit_bytes = CGROUP_NO_LIMIT};
    return error;
}
