// SPDX-License-Identifier: Apache-2.0
// Fuzz target: what ebb run reads before a command starts: first lines of scripts, the loader's
// cache, settings in variables. Test code; no state.
#include <stddef.h>
#include <stdint.h>

#include "lever/run/ldcache.h"
#include "lever/run/merge.h"
#include "lever/run/shebang.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

// A merged value is a fixed point: merging again changes nothing.
static void merge_twice(struct text file)
{
    struct buffer once = {0}, twice = {0};
    if (merge_godebug(file, "k", "1", &once) || merge_godebug(buffer_text(&once), "k", "1", &twice))
        __builtin_trap();
    if (!text_equals(buffer_text(&once), twice.data))
        __builtin_trap();
    if (merge_malloc_conf(file, "k", "1", &once) ||
        merge_malloc_conf(buffer_text(&once), "k", "1", &twice))
        __builtin_trap();
    if (!text_equals(buffer_text(&once), twice.data))
        __builtin_trap();
    size_t removed = 0;
    if (merge_preload(file, "/a.so", &once, &removed))
        __builtin_trap();
    buffer_free(&once);
    buffer_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    struct text file = {(const char *)data, length_bytes}, first, second;
    struct ldcache cache;
    if (ldcache_open(file, &cache) == 0) {
        while (ldcache_next(&cache, &first, &second))
            continue;
    }
    if (shebang_parse(file, &first, &second) == 0)
        (void)shebang_env_program(second, &first);
    // An environment holds no NUL.
    struct text value = {file.data, 0};
    while (value.len < file.len && value.data[value.len] != '\0')
        value.len++;
    merge_twice(value);
    return 0;
}
