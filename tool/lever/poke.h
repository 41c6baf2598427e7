// SPDX-License-Identifier: Apache-2.0
// Writing single values into a running target. Tool world; internal to levers.
//
// Through /proc/PID/mem, which belongs to the address space that was opened: after an exec, or in a
// process that got the PID later, nothing is written. The target is not stopped. A value of 4 or 8
// aligned bytes lies within one page, and is copied by the kernel in one piece of work that a
// signal to ebb does not interrupt; a thread that reads it in that very nanosecond may see some
// bytes old and some new.
#ifndef EBB_LEVER_POKE_H
#define EBB_LEVER_POKE_H

#include <stddef.h>
#include <stdint.h>

#include "proc/mappings.h"
#include "proc/process.h"

struct poke {
    int fd;
    const struct mappings *mappings;
};

// 0; -EPERM without the right to attach (ptrace), or where the kernel forbids it to everybody;
// -ESRCH; -errno. Opening changes nothing. `mappings` are borrowed.
int poke_open(struct process *process, const struct mappings *mappings, struct poke *ret_poke);
void poke_close(struct poke *poke);

// Reads an aligned value of 4 or 8 bytes, zero-extended. Unlike process_peek() it brings a page in
// that was swapped out: as the store behind it would. 0; -EFAULT; -ESTALE when the address space is
// gone.
int poke_read(const struct poke *poke, uint64_t address, size_t bytes, uint64_t *ret_value);

// Writes one. -EROFS when the target itself may not write there, or others share the page: the
// kernel would let a tracer do it all the same. -EFAULT, -ESTALE, -EINVAL not aligned.
int poke_write(const struct poke *poke, uint64_t address, size_t bytes, uint64_t value);

#endif
