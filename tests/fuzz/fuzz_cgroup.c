// SPDX-License-Identifier: Apache-2.0
// Fuzz target: membership, mounts, limits and statistics of memory groups. Test code; no state.
#include <stddef.h>
#include <stdint.h>

#include "proc/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    struct text file = {(const char *)data, length_bytes};
    int version;
    char path[512], mount[512], root[512], directory[512];
    uint64_t limit;
    struct cgroup cgroup = {0};
    cgroup_parse_limit(file, &limit);
    // One input serves as both files, so that paths of the one meet mounts of the other.
    if (cgroup_parse_membership(file, &version, path, sizeof path) < 0)
        text_copy(text_of("/"), path, sizeof path);
    for (version = 1; version <= 2; version++) {
        cgroup_parse_memory_stat(file, version, &cgroup);
        if (cgroup_parse_mountinfo(file, version, path, mount, sizeof mount, root, sizeof root) ==
            0)
            cgroup_join(mount, root, path, directory, sizeof directory);
    }
    return 0;
}
