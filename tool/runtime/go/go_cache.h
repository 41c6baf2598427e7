// SPDX-License-Identifier: Apache-2.0
// What took long to find in an image, kept in files by build id. Tool world.
//
// A cache only saves time: every failure means that there is no entry. What is loaded is checked
// like anything that comes from outside, and the layout is proven against the live target
// afterwards.
#ifndef EBB_RUNTIME_GO_GO_CACHE_H
#define EBB_RUNTIME_GO_GO_CACHE_H

#include "runtime/go/go_dwarf.h"

struct image;

struct go_cache_key {
    char name[160]; // of the file: hexadecimal digits
};

// By the ELF build id, or Go's own. 0; -ENOENT for an image that has neither. Of one image both may
// be kept: its debug information with all offsets, and the addresses that its code led to, whose
// offsets are those of the table and not to be taken from the entry.
enum go_cache_kind { GO_CACHE_DWARF, GO_CACHE_CODE };
int go_cache_key_of(const struct image *image, enum go_cache_kind kind,
                    struct go_cache_key *ret_key);

// The directory: ${XDG_CACHE_HOME:-$HOME/.cache}/ebb/go. 0; -ENOENT; -E2BIG.
int go_cache_directory(char *ret_path, size_t size);

// 0; -ENOENT for a missing, foreign or damaged entry, or a directory that others may write.
int go_cache_load(const struct go_cache_key *key, struct go_layout *ret_layout);

// Writes beside the entry and renames. 0 or -errno. The directory is made; one that belongs to
// somebody else, or that others may write, is not used.
int go_cache_save(const struct go_cache_key *key, const struct go_layout *layout);

#endif
