// SPDX-License-Identifier: Apache-2.0
// The ELF files that a process has mapped: which they are, where they sit, what they name. Tool
// world.
//
// An image is opened from the very file that is mapped (through /proc/PID/exe, map_files or root,
// with device and inode compared), so a deleted or replaced file is either read as mapped or
// refused. Hostile files are expected: every table is bounded, every offset is checked, contents
// are read in windows and never mapped, so that a gigabyte of symbols costs no memory.
#ifndef EBB_IMAGE_IMAGE_H
#define EBB_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/mappings.h"

struct process;

enum {
    IMAGES_MAX = 1024,
    IMAGE_SECTIONS_MAX = 256, // those behind are left out
    IMAGE_SEGMENTS_MAX = 64,  // a file with more program headers is refused
    IMAGE_BUILD_ID_MAX = 64,
    IMAGE_NEEDLE_MAX = 4096,
};

// At its index in the file; one that lies outside of the file is SHT_NULL and empty.
struct image_section {
    char name[48];    // cut when longer
    uint32_t type;    // SHT_*
    uint64_t flags;   // SHF_*
    uint64_t address; // as linked
    uint64_t offset, size;
    uint64_t entry_size;
    uint32_t link;
};

// A PT_LOAD.
struct image_segment {
    uint64_t address; // as linked
    uint64_t offset, file_bytes, memory_bytes;
    uint32_t flags; // PF_*
};

struct image {
    int fd;
    const char *path; // as mapped, borrowed from the mappings; "" when opened by descriptor
    uint64_t device_inode_key; // identity within one target
    uint64_t file_size;
    uint64_t bias;      // run-time address - linked address
    uint64_t low, high; // run-time span of its segments, whole pages, [low, high), .bss included
    uint64_t entry;     // e_entry, as linked
    uint16_t machine;   // EM_X86_64, EM_AARCH64, ...
    bool is_64bit;
    bool is_position_independent;   // ET_DYN
    bool is_static;                 // no PT_INTERP and no PT_DYNAMIC with needed libraries
    bool is_main;                   // the process's executable
    struct image_section *sections; // by index in the file
    size_t section_count;           // 0 when the section table is stripped or damaged
    struct image_segment *segments; // ascending by address
    size_t segment_count;
    uint8_t build_id[IMAGE_BUILD_ID_MAX]; // NT_GNU_BUILD_ID; Go's own linker writes none
    size_t build_id_len;                  // 0: none
    uint64_t build_id_address;            // as linked
};

// A mapped executable file that could not be opened or is not sound ELF. Errors: -ENOEXEC not ELF,
// or not as it is mapped; -ESTALE replaced since it was mapped; -ENOENT deleted, and map_files is
// not allowed; -EACCES; -EMFILE too many files; other -errno.
struct image_unread {
    const char *path; // borrowed from the mappings
    int error;
};

struct images {
    struct image *items; // the executable first where exe can be followed, then by address
    size_t count, capacity;
    struct image_unread *unread; // not complete when there are more than IMAGES_MAX of them
    size_t unread_count, unread_capacity;
};

// Opens every ELF file that has an executable mapping (and the executable itself), at most
// IMAGES_MAX and no more than half the descriptors that this process may have. Files that cannot be
// read are listed as unread; *ret_skipped counts them. 0 or -ENOMEM.
// In a tree of plain files, a path below root is taken as it is found, without comparing inodes.
// Cost: about 20 preads per file.
int images_open(struct process *process, const struct mappings *mappings, struct images *ret_images,
                size_t *ret_skipped);
void images_close(struct images *images);

const struct image *images_main(const struct images *images); // may be NULL
// The image whose file name (last path component) starts with `prefix` ("libjemalloc.so"), or NULL.
const struct image *images_by_name(const struct images *images, const char *prefix);
// The image whose run-time span holds `address`, or NULL.
const struct image *images_by_address(const struct images *images, uint64_t address);

// An ELF file by descriptor, which the image owns from then on (on failure it stays the caller's).
// bias is 0, and low and high are as linked. 0; -ENOEXEC for what is unsound, of the other byte
// order, or neither executable nor shared object; -ENOMEM, -errno.
int image_open_fd(int fd, struct image *ret_image);
void image_close(struct image *image);

const struct image_section *image_section(const struct image *image, const char *name); // or NULL

// Copies bytes of the file by linked address, from the one segment that holds them all.
// 0; -ENXIO not in the file (.bss, unmapped, cut off); -errno. Undefined data after a failure.
int image_read(const struct image *image, uint64_t linked_address, void *ret_data, size_t len);
// Copies bytes by file offset. 0, -ENXIO beyond the end, -errno. Undefined data after a failure.
int image_read_at(const struct image *image, uint64_t offset, void *ret_data, size_t len);

// A symbol as linked (add image->bias for the run-time address).
struct image_symbol {
    uint64_t value, size;
    uint8_t type; // STT_*
};
// Looks defined names up in .symtab, then .dynsym, in one pass over each, in windows; a global
// symbol goes before a local one. `names` has `count` different entries without versions;
// `ret_symbols[i].value` is 0 for those not found. Returns how many were found, or -errno.
// With `count` 1, the name may begin with '*', which stands for any prefix, none too, and finds
// functions only (STT_FUNC).
// Budget: at most 64 MiB of symbols and 256 MiB of strings are walked, twice.
int image_find_symbols(const struct image *image, const char *const *names, size_t count,
                       struct image_symbol *ret_symbols);

// Finds a byte string in a section (or, with section NULL, in every segment's contents, ascending).
// `from` is where to start, as a linked address (0: at the beginning). In a section that is not
// loaded, addresses count from its beginning. 0 and its linked address; -ENOENT; -ENXIO no such
// section, or one without contents or compressed; -EINVAL for an empty needle or one above
// IMAGE_NEEDLE_MAX; -E2BIG after 1 GiB without a match; -ENOMEM, -errno.
int image_find_bytes(const struct image *image, const char *section, const void *needle, size_t len,
                     uint64_t from, uint64_t *ret_linked_address);

#endif
