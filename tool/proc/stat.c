// SPDX-License-Identifier: Apache-2.0
// Parsers of /proc/PID/stat and statm, see status.h. Tool world; pure, no state.
//
// Fields are numbered from 1 as in proc_pid_stat(5).
#include "proc/status.h"

#include <errno.h>
#include <string.h>

enum {
    STAT_STATE = 3,
    STAT_PPID = 4,
    STAT_REQUIRED = 28, // startstack: older than every kernel with MADV_FREE
    STAT_LAST = 52,
};

// Which number goes where; those up to STAT_REQUIRED must be there.
static const struct {
    unsigned field;
    size_t offset;
} stat_fields[] = {
    {9, offsetof(struct proc_stat, flags)},         {10, offsetof(struct proc_stat, minor_faults)},
    {12, offsetof(struct proc_stat, major_faults)}, {14, offsetof(struct proc_stat, user_ticks)},
    {15, offsetof(struct proc_stat, system_ticks)}, {20, offsetof(struct proc_stat, threads)},
    {22, offsetof(struct proc_stat, start_ticks)},  {23, offsetof(struct proc_stat, vsize_bytes)},
    {24, offsetof(struct proc_stat, rss_pages)},    {26, offsetof(struct proc_stat, start_code)},
    {27, offsetof(struct proc_stat, end_code)},     {28, offsetof(struct proc_stat, start_stack)},
    {45, offsetof(struct proc_stat, start_data)},   {46, offsetof(struct proc_stat, end_data)},
    {47, offsetof(struct proc_stat, start_brk)},
};

// At most 15 rows for 52 fields: a search is cheaper than a table with holes.
static void stat_store(struct proc_stat *stat, unsigned field, uint64_t value)
{
    for (size_t i = 0; i < sizeof stat_fields / sizeof *stat_fields; i++) {
        if (stat_fields[i].field == field)
            memcpy((char *)stat + stat_fields[i].offset, &value, sizeof value);
    }
}

// Takes one number and the blank or newline behind it; a number that the end cuts off does not
// count.
static bool stat_take_number(struct text *rest, uint64_t *ret_value)
{
    struct text cursor = *rest;
    uint64_t value;
    // Some fields are negative (nice, priority, tpgid); their bits are kept, nobody here uses them.
    bool negative = text_take_prefix(&cursor, "-");
    if (!text_take_u64(&cursor, &value))
        return false;
    if (!text_take_prefix(&cursor, " ") && !text_take_prefix(&cursor, "\n"))
        return false;
    *rest = cursor;
    *ret_value = negative ? -value : value;
    return true;
}

// Parts "PID (comm) " from the numbers: the comm ends at the last ')', since the rest holds none.
static bool stat_take_comm(struct text *rest, struct text *ret_comm)
{
    uint64_t pid;
    if (!text_take_u64(rest, &pid) || !text_take_prefix(rest, " ("))
        return false;
    // The first ")" may be part of the name.
    const char *end = memrchr(rest->data, ')', rest->len);
    if (!end)
        return false;
    *ret_comm = (struct text){rest->data, (size_t)(end - rest->data)};
    rest->len -= ret_comm->len;
    rest->data = end;
    // No digit follows directly where the file was cut inside of the name.
    return text_take_prefix(rest, ") ");
}

// Too few numbers mean a torn reading; more than are known are a newer kernel.
int proc_stat_parse(struct text file, struct proc_stat *ret_stat)
{
    struct proc_stat stat = {0};
    struct text comm, state;
    if (!stat_take_comm(&file, &comm) || !text_next_field(&file, ' ', &state) || state.len != 1)
        return -EBADMSG;
    text_copy(comm, stat.comm, sizeof stat.comm);
    stat.state = state.data[0];
    unsigned field = STAT_PPID;
    for (; field <= STAT_LAST; field++) {
        uint64_t value;
        if (!stat_take_number(&file, &value))
            break;
        // The one signed field that is kept.
        if (field == STAT_PPID)
            stat.ppid = (int32_t)value;
        stat_store(&stat, field, value);
    }
    if (field <= STAT_REQUIRED)
        return -EBADMSG;
    *ret_stat = stat;
    return 0;
}

// All seven numbers are printed in one go, so fewer mean that the view was cut.
int proc_statm_parse(struct text file, struct proc_statm *ret_statm)
{
    // size resident shared text lib data dt; lib and dt are always 0.
    uint64_t values[6];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (!stat_take_number(&file, &values[i]))
            return -EBADMSG;
    }
    *ret_statm = (struct proc_statm){values[0], values[1], values[2], values[3], values[5]};
    return 0;
}
