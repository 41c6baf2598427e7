// SPDX-License-Identifier: Apache-2.0
// One process, held so that it cannot be mistaken for another. Tool world; one thread uses a
// handle.
//
// A handle is a descriptor of /proc/PID, a pidfd where the kernel gives one, the start time, and
// what the process was executing when it was opened. Everything is read through the descriptor, so
// a PID that is given to somebody else answers ESRCH instead of the wrong process. Nothing here
// writes to, stops or traces the target, and no page of it is brought into memory.
#ifndef EBB_PROC_PROCESS_H
#define EBB_PROC_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"

struct process;

// Opens process `pid` below `proc_root` ("/proc", or a container's or a test's tree).
// 0 and a handle that process_close() frees; -ESRCH no such process; -EACCES/-EPERM (or hidden by
// the mount option hidepid); -ENOENT when `proc_root` is not a proc tree; -ENOMEM. A zombie or a
// kernel thread opens too, so that it can be named; it has no mappings and no memory.
int process_open(const char *proc_root, pid_t pid, struct process **ret_process);
void process_close(struct process *process);

pid_t process_pid(const struct process *process);
// Clock ticks after boot, field 22 of /proc/PID/stat.
uint64_t process_start_ticks(const struct process *process);
// The directory descriptor of /proc/PID; stays the handle's.
int process_dir_fd(const struct process *process);
// The pidfd, or -1; stays the handle's. Only live trees have one.
int process_pid_fd(const struct process *process);
// A descriptor of pagemap that belongs to the address space seen by process_open(); stays the
// handle's. Or -EPERM without ptrace read access, -ENOENT where the tree has none.
int process_pagemap_fd(const struct process *process);
// True when the tree is the live /proc of our own PID namespace, where levers and pidfds make
// sense.
bool process_is_live(const struct process *process);
// True when a kernel answers, of whichever PID namespace; false for a tree of plain files.
bool process_is_procfs(const struct process *process);

// Is it still the process, executing the same program, that process_open() saw?
// 0; -ESRCH it ended (or is a zombie now); -ESTALE it has called exec since. What may not be read
// is not compared. Cost: about 30 µs. Call it after a set of readings: what straddles an exec is
// refused, never mixed.
int process_check(const struct process *process);

// Reads a whole file of /proc/PID ("status", "task/12/stat") into `ret_buffer` (cleared first,
// limited to `limit_bytes`). 0 or -errno: -ESRCH when the process ended, -EACCES, -ENOENT, -EFBIG.
int process_read_file(const struct process *process, const char *name, size_t limit_bytes,
                      struct buffer *ret_buffer);

// Reads a link of /proc/PID ("exe", "cwd") into `ret_path`, always terminated. 0 or -errno.
int process_read_link(const struct process *process, const char *name, char *ret_path, size_t size);

// Copies `len` bytes of the target's memory. Pages that are not in memory are never faulted in.
// 0, or (what is in `ret_data` then is undefined):
//   -ENODATA  a byte's page is absent, swapped out or not mapped: pagemap does not tell these
//   apart,
//             the mappings do
//   -EFAULT   it can be no address of the target, or refuses to be read
//   -EPERM    no right: ptrace attach access, which Yama's ptrace_scope denies to strangers of the
//             same user
//   -ENOENT   the tree has no mem or no pagemap, or the process no memory
//   -ESRCH, -ESTALE  it ended, it called exec
// Do not peek at mappings of devices: a driver may answer, with side effects.
// Residency is known for at most 8 ms; a page that was absent is looked up again each time. Between
// look-up and read the kernel may still take a page: no call exists that excludes that.
// Cost: one pread of /proc/PID/mem, as dear for a word as for a page (about eight bare system
// calls: read blocks rather than words); and one of pagemap for 64 KiB at a new place, another for
// the 2 MiB around it when more of them are looked at.
int process_peek(struct process *process, uint64_t address, void *ret_data, size_t len);

// As process_peek() for `count` pieces of `len` bytes, `stride` apart from `address` on, each
// within one page: they come one behind the other in `ret_data`, and `ret_present[i]` says whether
// that piece is there at all: it is not where its page is not in memory, or no address. 0, or as
// process_peek() but for -ENODATA and -EFAULT. Cost: a third of as many peeks; one call for 64 of
// them where process_vm_readv() may be used.
int process_peek_each(struct process *process, uint64_t address, uint64_t stride, size_t count,
                      size_t len, void *ret_data, bool *ret_present);

// As process_peek() for one 8-byte word, one 4-byte word.
int process_peek_u64(struct process *process, uint64_t address, uint64_t *ret_value);
int process_peek_u32(struct process *process, uint64_t address, uint32_t *ret_value);

// Reads a NUL-terminated string of at most `size - 1` bytes, page by page. 0 or as process_peek();
// -E2BIG if none ends there.
int process_peek_string(struct process *process, uint64_t address, char *ret_string, size_t size);

// Forgets cached residency, for a second reading later on.
void process_forget_residency(struct process *process);

#endif
