// SPDX-License-Identifier: Apache-2.0
// Fuzz target: the files that the balloon reads before each step, and its decision on whatever they
// say. Test code; no state.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lever/balloon/reading.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    struct text file = {(const char *)data, length_bytes};
    struct balloon_vmstat vmstat = {0};
    struct balloon_group group = {0};
    uint64_t value;
    balloon_parse_vmstat(file, &vmstat);
    balloon_parse_group(file, 1, &group);
    balloon_parse_group(file, 2, &group);
    balloon_parse_key(file, "oom_kill", &value);
    // The bytes as two readings, one after the other: steps stay within their bounds.
    const struct balloon_limits limits = {BALLOON_NO_LIMIT, BALLOON_NO_LIMIT, UINT64_MAX,
                                          length_bytes & 1, length_bytes & 2};
    struct balloon_state state = {0};
    for (int i = 0; i < 2; i++) {
        struct balloon_reading reading = {.is_complete = true, .has_sure = true};
        const size_t numbers = offsetof(struct balloon_reading, can_swap);
        const size_t from = offsetof(struct balloon_reading, balloon_bytes);
        size_t len = length_bytes < numbers - from ? length_bytes : numbers - from;
        memcpy((char *)&reading + from, data, len);
        reading.now_ns = (uint64_t)i;
        struct balloon_decision decision = balloon_judge(&limits, &state, &reading);
        if (decision.action == BALLOON_GROW && decision.step_bytes > 16 << 20)
            abort();
    }
    return 0;
}
