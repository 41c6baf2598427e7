// SPDX-License-Identifier: Apache-2.0
// The ELF files that a process has mapped: which they are, where they sit, what they name. Tool world.
//
// An image is opened from the very file that is mapped (through /proc/PID/exe, map_files or root, with device and
// inode compared), so a deleted or replaced file is either read as mapped or refused. Hostile files are expected:
// every table is bounded, every offset is checked, contents are read in windows and never mapped, so that a
// gigabyte of symbols costs no memory.
#ifndef EBB_IMAGE_IMAGE_H
#define EBB_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/mappings.h"

struct process;

enum { IMAGE_SECTIONS_MAX = 256, IMAGE_BUILD_ID_MAX = 64 };

struct image_section {
    char name[48];
    uint32_t type;    // SHT_*
    uint64_t flags;   // SHF_*
    uint64_t address; // as linked
    uint64_t offset, size;
    uint64_t entry_size;
    uint32_t link;
};

struct image {
    int fd;
    const char *path;  // as mapped; borrowed from the mappings
    uint64_t device_inode_key; // identity within one target
    uint64_t file_size;
    uint64_t bias;     // run-time address - linked address
    uint64_t low, high; // run-time span of its PT_LOAD segments, [low, high), .bss included
    uint16_t machine;  // EM_X86_64, EM_AARCH64, ...
    bool is_64bit;
    bool is_static;    // no PT_INTERP and no PT_DYNAMIC with needed libraries
    bool is_main;      // the process's executable
    struct image_section *sections;
    size_t section_count; // 0 when the section table is stripped or damaged
    uint8_t build_id[IMAGE_BUILD_ID_MAX];
    size_t build_id_len;
};

struct images {
    struct image *items;
    size_t count, capacity;
};

struct image_unread { // a mapped executable file that could not be opened or is not sound ELF
    const char *path;
    int error;
};

// Opens every ELF file that has an executable mapping (and the executable itself), at most 1024.
// Files that cannot be read are skipped; *ret_skipped counts them. 0 or -ENOMEM.
int images_open(struct process *process, const struct mappings *mappings, struct images *ret_images,
                size_t *ret_skipped);
void images_close(struct images *images);

const struct image *images_main(const struct images *images); // may be NULL
// The image whose file name (last path component) starts with `prefix` ("libjemalloc.so"), or NULL.
const struct image *images_by_name(const struct images *images, const char *prefix);

const struct image_section *image_section(const struct image *image, const char *name); // or NULL

// Copies bytes of the file by linked address, from the section or segment that holds them.
// 0; -ENXIO not in the file (.bss, unmapped); -EIO, -errno.
int image_read(const struct image *image, uint64_t linked_address, void *ret_data, size_t len);
// Copies bytes by file offset. 0, -ENXIO beyond the end, -errno.
int image_read_at(const struct image *image, uint64_t offset, void *ret_data, size_t len);

// A symbol as linked (add image->bias for the run-time address).
struct image_symbol {
    uint64_t value, size;
    uint8_t type; // STT_*
};
// Looks names up in .symtab, then .dynsym, in one pass over each, in windows. `names` has `count` entries;
// `ret_symbols[i].value` is 0 for those not found. Returns how many were found, or -errno.
// Budget: at most 64 MiB of symbols and 256 MiB of strings are walked.
int image_find_symbols(const struct image *image, const char *const *names, size_t count,
                       struct image_symbol *ret_symbols);

// Finds a byte string in a section (or, with section NULL, in every allocated section with contents).
// `from` is where to start, as a linked address (0: at the beginning). 0 and its linked address; -ENOENT.
int image_find_bytes(const struct image *image, const char *section, const void *needle, size_t len,
                     uint64_t from, uint64_t *ret_linked_address);

#endif
