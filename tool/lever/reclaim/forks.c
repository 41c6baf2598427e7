// SPDX-License-Identifier: Apache-2.0
// Finding forks by their auxiliary vectors, see forks.h. Tool world; no state.
#include "lever/reclaim/forks.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "proc/find.h"

enum { AUXV_MAX_BYTES = 4096, SHOWN_FORKS = 3 };

// Whoever may not be read, or has ended, shares nothing that could be told.
static bool has_auxv(pid_t pid, struct text auxv)
{
    struct process *other;
    if (process_open("/proc", pid, &other) < 0)
        return false;
    struct buffer file = {0};
    bool is_same = process_read_file(other, "auxv", AUXV_MAX_BYTES, &file) == 0 &&
                   file.len == auxv.len && memcmp(file.data, auxv.data, auxv.len) == 0;
    buffer_free(&file);
    process_close(other);
    return is_same;
}

// The first ones by name, the others by number.
static void append(struct text entry, size_t shown, char *text, size_t size)
{
    size_t len = strlen(text);
    text_format(text + len, size - len, "%s%.*s", shown == 0 ? "PID " : ", ", (int)entry.len,
                entry.data);
}

// Children and parents alike: both keep the pages.
static void list_forks(const struct proc_entry *entries, size_t count, pid_t self, struct text auxv,
                       char *text, size_t size)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].pid == self || !has_auxv(entries[i].pid, auxv))
            continue;
        char entry[sizeof entries[i].name + 16];
        snprintf(entry, sizeof entry, "%d (%s)", (int)entries[i].pid, entries[i].name);
        if (found < SHOWN_FORKS)
            append(text_of(entry), found, text, size);
        found++;
    }
    size_t len = strlen(text);
    if (found > SHOWN_FORKS)
        text_format(text + len, size - len, " and %zu more", found - SHOWN_FORKS);
}

void forks_describe(struct process *process, char *ret_text, size_t size)
{
    struct buffer auxv = {0};
    struct proc_entry *entries;
    size_t count;
    ret_text[0] = '\0';
    // A process that may not be read has no vector to compare with.
    if (process_read_file(process, "auxv", AUXV_MAX_BYTES, &auxv) == 0 && auxv.len > 0 &&
        proc_list("/proc", &entries, &count) == 0) {
        list_forks(entries, count, process_pid(process), buffer_text(&auxv), ret_text, size);
        free(entries);
    }
    buffer_free(&auxv);
}
