// SPDX-License-Identifier: Apache-2.0
// The Go versions that the table knows: what their offsets were taken from, and their size classes.
// Tool world; constant data, kept by hand. What each was tested with is told in
// docs/go-versions.md.
#include "runtime/go/go_table.h"

#include <elf.h>
#include <errno.h>

// Copied from runtime/sizeclasses.go; 1.16 added the class of 24 bytes.
static const struct go_size_classes classes_67 = {
    .count = 67,
    .bytes = {0,     8,     16,    32,    48,    64,    80,    96,    112,   128,   144,   160,
              176,   192,   208,   224,   240,   256,   288,   320,   352,   384,   416,   448,
              480,   512,   576,   640,   704,   768,   896,   1024,  1152,  1280,  1408,  1536,
              1792,  2048,  2304,  2688,  3072,  3200,  3456,  4096,  4864,  5376,  6144,  6528,
              6784,  6912,  8192,  9472,  9728,  10240, 10880, 12288, 13568, 14336, 16384, 18432,
              19072, 20480, 21760, 24576, 27264, 28672, 32768}};
static const struct go_size_classes classes_68 = {
    .count = 68,
    .bytes = {0,     8,     16,    24,    32,    48,    64,    80,    96,    112,   128,   144,
              160,   176,   192,   208,   224,   240,   256,   288,   320,   352,   384,   416,
              448,   480,   512,   576,   640,   704,   768,   896,   1024,  1152,  1280,  1408,
              1536,  1792,  2048,  2304,  2688,  3072,  3200,  3456,  4096,  4864,  5376,  6144,
              6528,  6784,  6912,  8192,  9472,  9728,  10240, 10880, 12288, 13568, 14336, 16384,
              18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768}};

// A row is added only with a binary or the source at hand: a version that is not listed is read by
// its debug information, or refused.
static const struct version {
    uint16_t minor;
    enum go_proven proven;
    const struct go_size_classes *classes;
    const char *from;
} versions[] = {
    {11, GO_PROVEN_SOURCE, &classes_67, "source and machine code of go1.11.2"},
    {12, GO_PROVEN_BINARY, &classes_67, "DWARF of go1.12.9"},
    {13, GO_PROVEN_BINARY, &classes_67, "DWARF of go1.13.8"},
    {14, GO_PROVEN_BINARY, &classes_67, "DWARF of go1.14.2"},
    {15, GO_PROVEN_RUN, &classes_67, "DWARF of go1.15.15"},
    {16, GO_PROVEN_BINARY, &classes_68, "DWARF of go1.16.5"},
    {17, GO_PROVEN_BINARY, &classes_68, "DWARF of go1.17.6"},
    {18, GO_PROVEN_SOURCE, &classes_68, "source and machine code of go1.18"},
    {19, GO_PROVEN_RUN, &classes_68, "DWARF of go1.19.8"},
    {20, GO_PROVEN_BINARY, &classes_68, "DWARF of go1.20.3"},
    {21, GO_PROVEN_RUN, &classes_68, "DWARF of go1.21.13"},
    {22, GO_PROVEN_RUN, &classes_68, "DWARF of go1.22.12"},
    {23, GO_PROVEN_RUN, &classes_68, "DWARF of go1.23.5"},
    {24, GO_PROVEN_RUN, &classes_68, "DWARF of go1.24.4"},
    {25, GO_PROVEN_RUN, &classes_68, "DWARF of go1.25.12"},
    {26, GO_PROVEN_RUN, &classes_68, "DWARF of go1.26.11"},
    {27, GO_PROVEN_RUN, &classes_68, "DWARF of go1.27.4"},
};

// The last change at or before a version holds; changes are in ascending order. -1 for a field that
// the version does not have.
static struct go_field field_at(enum go_field_id id, unsigned minor)
{
    struct go_field found = {.offset = -1, .size = 0};
    for (size_t i = 0; i < GO_CHANGES_MAX; i++) {
        const struct go_change *change = &go_table_changes[id][i];
        if (change->since == 0 || change->since > minor) {
            break;
        }
        found = change->field;
    }
    return found;
}

int go_table_find(unsigned minor, struct go_version_row *ret_row)
{
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        const struct version *version = &versions[i];
        if (version->minor != minor) {
            continue;
        }
        ret_row->minor = version->minor;
        ret_row->from = version->from;
        ret_row->proven = version->proven;
        ret_row->classes = version->classes;
        // A copy, so that a reader with debug information can fill in a row of the same shape.
        for (unsigned id = 0; id < GO_FIELD_COUNT; id++) {
            ret_row->fields[id] = field_at((enum go_field_id)id, minor);
        }
        return 0;
    }
    return -ENOENT;
}

// arenaBaseOffset (runtime/malloc.go): on amd64 addresses are signed, and index 0 is the lowest.
uint64_t go_table_arena_base(uint16_t elf_machine)
{
    return elf_machine == EM_X86_64 ? 0xffff800000000000u : 0;
}
