// SPDX-License-Identifier: Apache-2.0
// What is inside a process handle; for the reading of memory next to it only. Tool world; one
// thread.
#ifndef EBB_PROC_PROCESS_INTERNAL_H
#define EBB_PROC_PROCESS_INTERNAL_H

#include "proc/process.h"

// What a process was executing, as far as it may be seen. 0 in a field: unknown.
struct process_identity {
    uint64_t exe_device, exe_inode;
    uint64_t start_code, start_stack; // from stat
    uint64_t auxv_hash;               // AT_RANDOM, AT_PHDR, AT_ENTRY move with every exec
};

enum { PEEK_WINDOW_PAGES = 512, PEEK_BLOCK_PAGES = 16, PEEK_WINDOWS = 32 };

// Pagemap entries of 512 pages as they were a moment ago: all of them, or at first only the block
// of 16 around the page that was asked for, since a walk that jumps about would pay for 511 others
// each time.
struct peek_window {
    uint64_t first_page; // of the window
    uint64_t read_at_ms;
    size_t begin, end; // entries in use; end 0: none
    uint64_t entries[PEEK_WINDOW_PAGES];
};

struct process {
    pid_t pid;
    int dir_fd;
    int pid_fd;     // -1: none
    int pagemap_fd; // opened with the handle, so that it names the address space seen first; -1:
                    // none
    int pagemap_error;
    int mem_fd; // opened by the first peek; -1: not yet, or mem_error says why not
    int mem_error;
    bool is_procfs, is_live;
    uint64_t start_ticks;
    uint64_t page_bytes;
    struct process_identity identity;
    struct peek_window *windows; // PEEK_WINDOWS of them, from the first peek on
};

// Is the address space that process_open() saw still in use? A pagemap descriptor reads as empty
// once its address space is gone. True as well when that cannot be told.
bool process_has_same_memory(const struct process *process);

#endif
