// SPDX-License-Identifier: Apache-2.0
// jemalloc's radix tree from page to extent, and the extents behind it. Tool world; the walker
// guards it.
#ifndef EBB_RUNTIME_ALLOCATORS_JEMALLOC_TREE_H
#define EBB_RUNTIME_ALLOCATORS_JEMALLOC_TREE_H

#include "image/image.h"
#include "runtime/pages.h"
#include "runtime/target.h"

// As in enum extent_state_e of edata.h.
enum extent_state {
    EXTENT_ACTIVE,
    EXTENT_DIRTY,
    EXTENT_MUZZY,
    EXTENT_RETAINED,
    EXTENT_STATES_KNOWN
};

struct jemalloc_extent {
    uint64_t address, bytes;
    uint64_t record; // where its edata_t lies
    enum extent_state state;
    unsigned arena, size_class, free_regions;
    bool is_slab;
};

struct jemalloc_tree {
    uint64_t root; // run-time address of the 2^18 root elements
};

// Takes an edata_t's first three words apart. False when they cannot be an extent's: no whole
// pages, an unknown state or size class, a slab that does not divide into its regions. Pure.
bool jemalloc_extent_decode(const uint64_t words[3], struct jemalloc_extent *ret_extent);

// Finds the tree of the jemalloc inside `image`. 0; -ENOENT; -ETIME; -errno of reading.
int jemalloc_tree_find(const struct target *target, const struct image *image, struct pages *pages,
                       struct jemalloc_tree *ret_tree);

// The extent that begins at `address`. 0; -ENOENT when the tree has no entry for this page;
// -EBADMSG when it has one that is not sound or names another page; -errno of reading (-ENODATA:
// the entry's page is not in memory).
int jemalloc_tree_at(const struct jemalloc_tree *tree, struct pages *pages, uint64_t address,
                     struct jemalloc_extent *ret_extent);

// A second look at an entry that -EBADMSG was said of, past the cache: the target may have changed
// it between the reads of leaf and record. 0 with the extent that holds `address`, which may begin
// before it; otherwise as jemalloc_tree_at(). Cost: two or three reads of the target.
int jemalloc_tree_look_again(const struct jemalloc_tree *tree, struct pages *pages,
                             uint64_t address, struct jemalloc_extent *ret_extent);

// The leaf that covers `address`. 0; -ENOENT when there is none; -errno of reading.
int jemalloc_tree_leaf(const struct jemalloc_tree *tree, struct pages *pages, uint64_t address,
                       uint64_t *ret_leaf);

// A block of jemalloc's own tables (base_block_t) that begins at `block`: its size and the next
// one, or 0. False when there is none. Blocks are aligned to JEMALLOC_BLOCK_ALIGN.
enum { JEMALLOC_BLOCK_ALIGN = 2 << 20 };
bool jemalloc_block_read(struct pages *pages, uint64_t block, uint64_t *ret_size,
                         uint64_t *ret_next);

// Bytes of a size class index, as sz_index2size() gives them; 0 beyond the classes. Pure.
uint64_t jemalloc_class_bytes(unsigned index);

#endif
