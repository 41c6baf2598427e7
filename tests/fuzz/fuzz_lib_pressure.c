// SPDX-License-Identifier: Apache-2.0
// Fuzz target: what libebb reads of the kernel about memory, and its judgement of any figures. Test
// code; no state.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "release/pressure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

static void check_within(size_t offset, size_t len, size_t length_bytes)
{
    if (offset > length_bytes || len > length_bytes - offset)
        abort();
}

// One input serves as both files, so that groups of the one meet mounts of the other.
static void map_group(const char *text, size_t len)
{
    size_t group;
    size_t group_len;
    struct pressure_source source;
    struct pressure_mount mount;
    if (pressure_parse_cgroup(text, len, &group, &group_len, &source.is_v1) < 0)
        return;
    check_within(group, group_len, len);
    for (int is_v1 = 0; is_v1 < 2; is_v1++) {
        size_t point;
        size_t root;
        if (pressure_parse_mountinfo(text, len, is_v1, &point, &mount.point_len, &root,
                                     &mount.root_len) < 0)
            continue;
        check_within(point, mount.point_len, len);
        check_within(root, mount.root_len, len);
        mount.point = text + point;
        mount.root = text + root;
        if (pressure_map(&source, text + group, group_len, &mount) < 0)
            continue;
        const char *end = memchr(source.group_path, '\0', sizeof source.group_path);
        if (!end || source.mount_bytes > sizeof source.group_path - 1)
            abort();
    }
}

// The bytes of the input as the figures themselves.
static void judge(const uint8_t *data, size_t length_bytes)
{
    struct pressure_reading readings[2] = {{0}, {0}};
    uint64_t numbers[2][6] = {{0}, {0}};
    memcpy(numbers, data, length_bytes < sizeof numbers ? length_bytes : sizeof numbers);
    for (int i = 0; i < 2; i++)
        readings[i] = (struct pressure_reading){numbers[i][0],     numbers[i][1], numbers[i][2],
                                                numbers[i][3],     numbers[i][4], numbers[i][5],
                                                numbers[i][5] & 1, numbers[i][4]};
    uint64_t headroom = pressure_headroom(&readings[0]);
    enum wire_pressure pressure = pressure_judge(&readings[0], &readings[1], numbers[1][0]);
    if (headroom == 0 && pressure != WIRE_PRESSURE_SHORT)
        abort();
    if (readings[0].group_limit != PRESSURE_UNLIMITED && headroom > readings[0].group_limit)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    const char *text = (const char *)data;
    uint64_t numbers[2];
    struct pressure_stat stat = {0, 0, 0, 0};
    (void)pressure_parse_meminfo(text, length_bytes, &numbers[0], &numbers[1]);
    (void)pressure_parse_bytes(text, length_bytes, &numbers[0]);
    (void)pressure_parse_psi_some(text, length_bytes, &numbers[0]);
    (void)pressure_parse_stat(text, length_bytes, &stat);
    map_group(text, length_bytes);
    judge(data, length_bytes);
    return 0;
}
