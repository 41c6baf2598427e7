// SPDX-License-Identifier: Apache-2.0
// The interpreter of seccomp filters, over any program and any call. Test code.
#include <stdint.h>
#include <string.h>

#include "call/bpf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    static struct bpf_instruction program[BPF_INSTRUCTIONS_MAX];
    struct bpf_call call;
    if (length_bytes < sizeof call)
        return 0;
    memcpy(&call, data, sizeof call);
    size_t count = (length_bytes - sizeof call) / sizeof *program;
    if (count > BPF_INSTRUCTIONS_MAX)
        count = BPF_INSTRUCTIONS_MAX;
    memcpy(program, data + sizeof call, count * sizeof *program);
    uint32_t answer;
    bpf_run(program, count, &call, &answer);
    return 0;
}
