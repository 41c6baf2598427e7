// SPDX-License-Identifier: Apache-2.0
// Parsers of /proc/PID/status and smaps_rollup, see status.h. Tool world; pure, no state.
//
// Source of the formats: Documentation/filesystems/proc.rst, fs/proc/array.c, fs/proc/task_mmu.c.
#include "proc/status.h"

#include <errno.h>

#include "proc/keyed.h"

// The macro only writes down an offset; no function takes a member's name.
#define STATUS_FIELD(key, member)                                                                  \
    {                                                                                              \
        key, offsetof(struct proc_status, member)                                                  \
    }
static const struct keyed_field status_fields[] = {
    STATUS_FIELD("VmPeak", vm_peak_kib),     STATUS_FIELD("VmSize", vm_size_kib),
    STATUS_FIELD("VmHWM", vm_hwm_kib),       STATUS_FIELD("VmRSS", vm_rss_kib),
    STATUS_FIELD("VmSwap", vm_swap_kib),     STATUS_FIELD("VmLck", vm_locked_kib),
    STATUS_FIELD("RssAnon", rss_anon_kib),   STATUS_FIELD("RssFile", rss_file_kib),
    STATUS_FIELD("RssShmem", rss_shmem_kib), STATUS_FIELD("HugetlbPages", hugetlb_kib),
    STATUS_FIELD("Threads", threads),
};
#undef STATUS_FIELD

// Name has exactly two escapes, \n and \\ (seq_escape_str() in proc_task_name()); other bytes are
// raw.
static void status_unescape_name(struct text value, char *ret_name, size_t size)
{
    // A backslash at the very end has lost its partner and is kept as it is.
    size_t used = 0;
    for (size_t i = 0; i < value.len && used + 1 < size; i++) {
        char c = value.data[i];
        if (c == '\\' && i + 1 < value.len) {
            i++;
            c = value.data[i] == 'n' ? '\n' : value.data[i];
        }
        ret_name[used++] = c;
    }
    ret_name[used] = '\0';
}

// "Uid:" holds real, effective, saved and file system uid.
static void status_take_uids(struct text value, struct proc_status *status)
{
    uint64_t real, effective;
    if (!text_take_u64(&value, &real))
        return;
    text_skip_blanks(&value);
    if (!text_take_u64(&value, &effective))
        return;
    status->uid = (uint32_t)real;
    status->euid = (uint32_t)effective;
}

// "NSpid:" goes from the namespace of the proc mount inwards: the last number is the process's own
// view.
static int32_t status_last_pid(struct text value)
{
    uint64_t pid, last = 0;
    while (text_take_u64(&value, &pid)) {
        last = pid;
        text_skip_blanks(&value);
    }
    // A PID beyond that is none.
    return last <= INT32_MAX ? (int32_t)last : 0;
}

// The lines that are not a plain number.
static void status_take_special(struct text key, struct text value, struct proc_status *status)
{
    uint64_t number;
    // The letter is enough; the word behind it has changed over the years.
    if (text_equals(key, "State") && value.len > 0)
        status->state = value.data[0];
    else if (text_equals(key, "Uid"))
        status_take_uids(value, status);
    else if (text_equals(key, "NSpid"))
        status->ns_pid = status_last_pid(value);
    else if (text_equals(key, "CapEff") && text_take_hex(&value, &number))
        status->cap_effective = number;
    else if (text_equals(key, "Seccomp") && text_take_u64(&value, &number))
        status->seccomp = (uint32_t)number;
    else if (text_equals(key, "TracerPid") && text_take_u64(&value, &number))
        status->tracer_pid = (int32_t)(number <= INT32_MAX ? number : 0);
    else if (text_equals(key, "SigCgt") && text_take_hex(&value, &number))
        status->signals_caught = number;
    else if (text_equals(key, "x86_Thread_features"))
        status->has_shadow_stack = text_contains(value, "shstk");
}

int proc_status_parse(struct text file, struct proc_status *ret_status)
{
    struct proc_status status = {0};
    struct text key, value;
    // Name leads the file. Its value is not trimmed: a comm may begin with blanks.
    struct text line, rest = file;
    if (!text_next_line(&rest, &line) || !text_take_prefix(&line, "Name:\t") ||
        line.data + line.len == file.data + file.len)
        return -EBADMSG;
    status_unescape_name(line, status.name, sizeof status.name);
    // Order of lines differs between kernels, so each is looked up.
    const size_t count = sizeof status_fields / sizeof *status_fields;
    while (keyed_next(&rest, ':', &key, &value)) {
        if (!keyed_store(status_fields, count, key, value, &status))
            status_take_special(key, value, &status);
        else if (text_equals(key, "VmRSS"))
            // Kernel threads and zombies have no Vm lines at all.
            status.has_memory = true;
    }
    *ret_status = status;
    return 0;
}

#define ROLLUP_FIELD(key, member)                                                                  \
    {                                                                                              \
        key, offsetof(struct proc_rollup, member)                                                  \
    }
static const struct keyed_field rollup_fields[] = {
    ROLLUP_FIELD("Pss", pss_kib),
    ROLLUP_FIELD("Private_Clean", private_clean_kib),
    ROLLUP_FIELD("Private_Dirty", private_dirty_kib),
    ROLLUP_FIELD("Anonymous", anonymous_kib),
    ROLLUP_FIELD("AnonHugePages", anon_huge_kib),
    ROLLUP_FIELD("Swap", swap_kib),
    ROLLUP_FIELD("Locked", locked_kib),
};
static const struct keyed_field rollup_rss = ROLLUP_FIELD("Rss", rss_kib);
static const struct keyed_field rollup_lazy = ROLLUP_FIELD("LazyFree", lazy_free_kib);
#undef ROLLUP_FIELD

// Rss tells a rollup from anything else, LazyFree a kernel that can show it from one that cannot.
int proc_rollup_parse(struct text file, struct proc_rollup *ret_rollup)
{
    struct proc_rollup rollup = {0};
    if (keyed_parse(file, ':', &rollup_rss, 1, &rollup) == 0)
        return -EBADMSG;
    rollup.has_lazy_free = keyed_parse(file, ':', &rollup_lazy, 1, &rollup) > 0;
    keyed_parse(file, ':', rollup_fields, sizeof rollup_fields / sizeof *rollup_fields, &rollup);
    *ret_rollup = rollup;
    return 0;
}
