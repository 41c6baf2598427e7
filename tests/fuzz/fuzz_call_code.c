// SPDX-License-Identifier: Apache-2.0
// The parsers of instructions and of frames that a call looks for in its target. Test code.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "call/frame_x86_64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

static void check_store(const struct frame_store *store)
{
    if (store->base > 15 || store->popped_bytes % 8 != 0 || store->popped_bytes > 256)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    struct frame_store store;
    struct frame_thread_variable variable;
    if (frame_parse_value_store(data, length_bytes, &store))
        check_store(&store);
    if (frame_parse_word_store(data, length_bytes, &store))
        check_store(&store);
    frame_parse_restorer(data, length_bytes);
    frame_parse_thread_variable(data, length_bytes, UINT64_MAX - 8, &variable);
    if (length_bytes >= FRAME_SIGNAL_BYTES)
        frame_is_signal_frame(data, 0x7ffd00000000);
    if (length_bytes >= 7) {
        struct frame_registers registers = {.orig_rax = FRAME_RESTART_SYSCALL};
        frame_syscall_of(&registers, data);
    }
    return 0;
}
