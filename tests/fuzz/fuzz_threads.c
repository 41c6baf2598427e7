// SPDX-License-Identifier: Apache-2.0
// The parser of task/TID/syscall. Test code.
#include <stdint.h>
#include <stdlib.h>

#include "base/text.h"
#include "proc/threads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    struct proc_syscall call = {.stack_pointer = 0x1234567};
    struct text line = {(const char *)data, length_bytes};
    int error = proc_thread_syscall_parse(line, &call);
    if (error && call.stack_pointer != 0x1234567)
        abort();
    return 0;
}
