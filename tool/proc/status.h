// SPDX-License-Identifier: Apache-2.0
// Parsers of the small files of /proc/PID: status, stat, statm, auxv, smaps_rollup. Tool world;
// pure.
//
// Each takes (buffer, length), survives any truncation, and fills in only what it found; the others
// stay 0.
#ifndef EBB_PROC_STATUS_H
#define EBB_PROC_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct proc_status {
    char name[64];      // unescaped comm
    char state;         // 'R', 'S', 'Z', ...; 0 unknown
    uint32_t uid, euid; // real, effective
    uint64_t vm_peak_kib, vm_size_kib, vm_hwm_kib, vm_rss_kib, vm_swap_kib, vm_locked_kib;
    uint64_t rss_anon_kib, rss_file_kib, rss_shmem_kib, hugetlb_kib;
    uint64_t threads;
    uint64_t cap_effective;
    int32_t ns_pid;          // innermost pid of NSpid
    uint32_t seccomp;        // 0 none, 1 strict, 2 filter
    int32_t tracer_pid;      // who traces it; 0 nobody
    uint64_t signals_caught; // SigCgt: bit N - 1 is signal N
    bool has_shadow_stack;   // x86_Thread_features lists shstk
    bool has_memory;         // false for kernel threads and zombies: no Vm lines
};
// -EBADMSG when it is not a status file at all.
int proc_status_parse(struct text file, struct proc_status *ret_status);

struct proc_stat {
    char comm[64]; // may hold any byte, ')' and blanks too
    char state;
    int32_t ppid;
    uint64_t flags; // PF_*; PF_KTHREAD 0x00200000 marks kernel threads
    uint64_t minor_faults, major_faults, user_ticks, system_ticks;
    uint64_t threads;
    uint64_t start_ticks; // after boot
    uint64_t vsize_bytes, rss_pages;
    uint64_t start_code, end_code, start_stack; // 0 or 1 without the right to see them
    uint64_t start_data, end_data, start_brk;
};
int proc_stat_parse(struct text file, struct proc_stat *ret_stat);

struct proc_statm {
    uint64_t size_pages, resident_pages, shared_pages, text_pages, data_pages;
};
int proc_statm_parse(struct text file, struct proc_statm *ret_statm);

struct proc_rollup {
    uint64_t rss_kib, pss_kib, private_clean_kib, private_dirty_kib, anonymous_kib, lazy_free_kib;
    uint64_t anon_huge_kib, swap_kib, locked_kib;
    bool has_lazy_free;
};
int proc_rollup_parse(struct text file, struct proc_rollup *ret_rollup);

// Looks `key` (AT_*) up in an auxv of 64-bit words. 0, -ENOENT.
int proc_auxv_find(struct text file, uint64_t key, uint64_t *ret_value);

// Finds `name` in an environ or any NUL-separated NAME=VALUE list. Borrowed view into `file`. False
// if unset.
bool proc_environ_find(struct text file, const char *name, struct text *ret_value);

// The part of a NUL-separated cmdline as one line, arguments parted by blanks, control bytes as
// '?'.
void proc_cmdline_join(struct text file, char *ret_line, size_t size);

#endif
