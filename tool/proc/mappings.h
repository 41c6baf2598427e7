// SPDX-License-Identifier: Apache-2.0
// The mappings of one process with what the kernel knows of each: the table behind the account.
// Tool world.
//
// Filled by one walk of /proc/PID/smaps (or of a buffer). Sixty thousand mappings take about 5 MiB,
// since sizes are kept in KiB, as the kernel prints them, and each path is stored once. A figure
// saturates at 4 TiB - 1 KiB, those of `total` too: who may meet more must add the items up in 64
// bits.
#ifndef EBB_PROC_MAPPINGS_H
#define EBB_PROC_MAPPINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

// What kind of memory a mapping is, from its name, inode and flags alone.
enum mapping_kind {
    MAPPING_ANONYMOUS, // no name, or "[anon:...]"
    MAPPING_BRK,       // "[heap]"
    MAPPING_STACK,     // "[stack]" or "[stack:TID]"
    MAPPING_FILE,      // a file of a file system
    MAPPING_SHMEM,     // shared memory: memfd, tmpfs below /dev/shm, SysV, "/dev/zero (deleted)",
                       // "[anon_shmem:...]"
    MAPPING_KERNEL,    // vdso, vvar, vsyscall, uprobes: any other name in brackets without an inode
    MAPPING_DEVICE,    // a device or other special file ("/dev/...", "anon_inode:...")
};

enum {
    MAPPING_READ = 1,
    MAPPING_WRITE = 2,
    MAPPING_EXEC = 4,
    MAPPING_SHARED = 8,      // 's' in the permissions
    MAPPING_LOCKED = 16,     // VmFlags lo
    MAPPING_HUGEPAGE = 32,   // VmFlags hg
    MAPPING_NOHUGEPAGE = 64, // VmFlags nh
    MAPPING_HUGETLB = 128,   // VmFlags ht: its pages are not in Rss
    MAPPING_DELETED = 256,   // the path ended in " (deleted)", which is cut off
};

struct mapping {
    uint64_t start, end; // [start, end)
    uint64_t offset;     // in the file
    uint64_t inode;
    uint32_t device; // major << 20 | minor
    uint32_t path;   // index for mappings_path()
    uint32_t rss_kib, pss_kib;
    uint32_t private_clean_kib, private_dirty_kib, shared_clean_kib, shared_dirty_kib;
    uint32_t anonymous_kib, lazy_free_kib, anon_huge_kib, swap_kib, locked_kib;
    uint16_t flags;
    uint8_t kind;
};

struct mappings {
    struct mapping *items; // ascending addresses
    size_t count, capacity;
    struct mapping total; // sums of the _kib fields over all items (saturating)
    char *names;          // NUL-separated pool behind mappings_path()
    size_t names_len, names_capacity;
    uint32_t *name_index; // hash table over the pool
    size_t name_index_size, name_count;
    bool has_lazy_free; // the kernel prints LazyFree (4.12 and later)
    bool has_sizes;     // false when only "maps" could be read: every _kib is 0
};

// The name as the kernel prints it, without " (deleted)"; "" for none. Escapes (\012) are decoded.
// May hold any byte but NUL: renderers must escape it. Borrowed from the table. Names beyond
// MAPPINGS_NAMES_MAX bytes in all are "(name not kept)".
const char *mappings_path(const struct mappings *mappings, const struct mapping *mapping);

// The mapping that holds `address`, or NULL. Binary search.
const struct mapping *mappings_find(const struct mappings *mappings, uint64_t address);

// The first mapping whose end is above `address`, as an index (count when none).
size_t mappings_lower_bound(const struct mappings *mappings, uint64_t address);

void mappings_free(struct mappings *mappings);

// An incremental parser of smaps (and of maps, which is smaps without the figures): feed pieces of
// any size, then finish. Lines that it does not know are skipped; a line that cannot be a mapping
// is -EBADMSG. Mappings must ascend. One that begins below the end of its predecessor, as a merge
// between two read() calls can make it, takes the place of those that lie in it, and the end of one
// that does in part, whose figures shrink with it; one that also ends below it is -EBADMSG.
struct smaps_parser {
    struct mappings *mappings;
    char carry[20480]; // an unfinished line: a path of 4095 newlines takes 16380 bytes when escaped
    size_t carry_len;
    bool skipping; // the rest of an overlong line, whose beginning has been parsed
};

void smaps_parser_init(struct smaps_parser *parser, struct mappings *mappings);
// 0, -ENOMEM, -EBADMSG, or -E2BIG beyond MAPPINGS_MAX.
int smaps_parser_feed(struct smaps_parser *parser, const char *data, size_t len);
// Ends the last line and the sums. 0 or as smaps_parser_feed().
int smaps_parser_finish(struct smaps_parser *parser);

enum { MAPPINGS_MAX = 1 << 20, MAPPINGS_NAMES_MAX = 4 << 20 };

struct process;

// One walk of smaps; where that is forbidden or missing, of maps (has_sizes false then).
// 0 with a table that mappings_free() frees (empty for a kernel thread); -errno as
// process_read_file(); -ESRCH or -ESTALE when it ended or called exec meanwhile, which would cut
// the table short. Cost: the kernel's walk of the page tables, about 12 ms per GiB of small pages,
// during which the target's own mmap and munmap wait: call it once.
int mappings_read(struct process *process, struct mappings *ret_mappings);

// The same of maps alone, for who may not make the target wait: has_sizes is false, and so are the
// flags that only smaps has (locked, huge pages, hugetlb). Cost: 1 µs for each mapping.
int mappings_list(struct process *process, struct mappings *ret_mappings);

#endif
