// SPDX-License-Identifier: Apache-2.0
// Layouts found in debug information, kept in files by build id. Tool world.
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

// By the ELF build id, or Go's own. 0; -ENOENT for an image that has neither.
int go_cache_key_of(const struct image *image, struct go_cache_key *ret_key);

// The directory: ${XDG_CACHE_HOME:-$HOME/.cache}/ebb/go. 0; -ENOENT; -E2BIG.
int go_cache_directory(char *ret_path, size_t size);

// 0; -ENOENT for a missing, foreign or damaged entry, or a directory that others may write.
int go_cache_load(const struct go_cache_key *key, struct go_layout *ret_layout);

// Writes beside the entry and renames. 0 or -errno. The directory is made; one that belongs to
// somebody else, or that others may write, is not used.
int go_cache_save(const struct go_cache_key *key, const struct go_layout *layout);

#endif
