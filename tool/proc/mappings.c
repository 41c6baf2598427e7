// SPDX-License-Identifier: Apache-2.0
// Reading and searching the table of mappings, see mappings.h. Tool world; the table's owner guards
// it.
#include "proc/mappings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "proc/process.h"

// The kernel hands out about a page per read(), more for a mapping with a long path.
enum { READ_BYTES = 65536 };

struct reading {
    struct smaps_parser parser;
    char bytes[READ_BYTES];
};

// An index from elsewhere is answered with no name rather than with other memory.
const char *mappings_path(const struct mappings *mappings, const struct mapping *mapping)
{
    return mapping->path < mappings->names_len ? mappings->names + mapping->path : "";
}

// Mappings ascend and do not overlap, so their ends ascend too.
size_t mappings_lower_bound(const struct mappings *mappings, uint64_t address)
{
    size_t low = 0, high = mappings->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mappings->items[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

// The first that ends above the address holds it, or nothing does.
const struct mapping *mappings_find(const struct mappings *mappings, uint64_t address)
{
    size_t at = mappings_lower_bound(mappings, address);
    if (at == mappings->count || mappings->items[at].start > address)
        return NULL;
    return &mappings->items[at];
}

// Leaves an empty table.
void mappings_free(struct mappings *mappings)
{
    free(mappings->items);
    free(mappings->names);
    free(mappings->name_index);
    *mappings = (struct mappings){0};
}

// Line by line as it comes: 60,000 mappings are 40 MB of text, of which one buffer's worth is ever
// kept.
static int parse_fd(struct reading *reading, int fd)
{
    for (;;) {
        ssize_t got = read(fd, reading->bytes, sizeof reading->bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return smaps_parser_finish(&reading->parser);
        int error = smaps_parser_feed(&reading->parser, reading->bytes, (size_t)got);
        if (error)
            return error;
    }
}

// A table that could not be finished is not handed out: its sums would be wrong without looking
// wrong.
static int read_table(struct process *process, const char *name, struct reading *reading,
                      struct mappings *ret_mappings)
{
    int fd = openat(process_dir_fd(process), name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    smaps_parser_init(&reading->parser, ret_mappings);
    int error = parse_fd(reading, fd);
    close(fd);
    if (error)
        mappings_free(ret_mappings);
    return error;
}

// maps needs the same right as smaps, but some kernels and containers leave out or hide smaps
// alone.
static int read_either(struct process *process, bool has_sizes, struct mappings *ret_mappings)
{
    struct reading *reading = malloc(sizeof *reading);
    if (!reading)
        return -ENOMEM;
    struct mappings table;
    int error = has_sizes ? read_table(process, "smaps", reading, &table) : -ENOENT;
    if (error == -EACCES || error == -EPERM || error == -ENOENT)
        error = read_table(process, "maps", reading, &table);
    free(reading);
    // The file of a process that ends just stops: only the process itself tells that something is
    // missing.
    int ended = process_check(process);
    if (!error && ended)
        mappings_free(&table);
    if (!error && !ended)
        *ret_mappings = table;
    // A missing file of a process that is gone is no missing file; a refusal stays one.
    bool refused = error == -EACCES || error == -EPERM;
    return ended && !refused ? ended : error;
}

int mappings_read(struct process *process, struct mappings *ret_mappings)
{
    return read_either(process, true, ret_mappings);
}

int mappings_list(struct process *process, struct mappings *ret_mappings)
{
    return read_either(process, false, ret_mappings);
}
