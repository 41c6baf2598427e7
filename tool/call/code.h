// SPDX-License-Identifier: Apache-2.0
// Finds the few instructions of the target that a call returns through. Tool world; no state.
#ifndef EBB_CALL_CODE_H
#define EBB_CALL_CODE_H

#include <sys/types.h>

#include "call/frame_x86_64.h"
#include "image/image.h"

// Looks through the executable segments of the images, the C library first, and proves each find in
// the memory of `pid`. 0 with ret_code->restorer set, and the stores where there are any; -ENOENT
// without a restorer; -EPERM, -ESRCH when the memory cannot be read; -ENOMEM.
// Cost: a pass over the C library's code, 10 ms; at most 64 MiB of each image until all are found.
int code_find(pid_t pid, const struct images *images, struct frame_code *ret_code);

// Copies bytes of the target's memory, bringing pages in where they are absent. 0, -EFAULT, -EPERM,
// -ESRCH.
int code_read_memory(pid_t pid, uint64_t address, void *ret_data, size_t len);
// Writes what may be written; nothing is forced. 0, -EFAULT, -EPERM, -ESRCH.
int code_write_memory(pid_t pid, uint64_t address, const void *data, size_t len);

#endif
