// SPDX-License-Identifier: Apache-2.0
// jemalloc's radix tree, see jemalloc_tree.h. Tool world; no state of its own.
//
// 48-bit addresses, two levels of 18 bits, one word per leaf element: size class << 48, the
// extent's record, and flags in the low seven bits (records are 128-aligned).
#include "runtime/allocators/jemalloc_tree.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

enum {
    PAGE_SHIFT = 12,
    LEVEL_BITS = 18,
    LEVEL_COUNT = 1 << LEVEL_BITS,
    LEAF_SHIFT = PAGE_SHIFT + LEVEL_BITS, // a leaf covers 1 GiB
    SLAB_CLASSES = 36,
    SIZE_CLASSES = 232,
    KEYS_MAX = 256,
    BLOCK_STEPS = 4,
    MAPPINGS_TRIED = 64,
    LOOKUPS_MAX = 4 << 20, // of all tries together, a fraction of a second
    PROBE_PAGES = 32,      // of a leaf, each 2 MiB of address space
};

// Root and leaves have the same size, 2 MiB.
static const uint64_t leaf_bytes = (uint64_t)LEVEL_COUNT * 8;

// Source: sc.h and sz.h, with a quantum of 16 bytes, 4 KiB pages and four classes in each group
// (SC_LG_NGROUP): 8, 16, 32, 48, 64, 80, 96, 112, 128, 160 ...
uint64_t jemalloc_class_bytes(unsigned index)
{
    if (index == 0)
        return 8;
    if (index <= 4)
        return 16u * (uint64_t)index;
    if (index >= SIZE_CLASSES)
        return 0;
    // Four classes for each doubling from 64 bytes on.
    unsigned group = (index - 5) / 4, step = (index - 5) % 4;
    uint64_t base = (uint64_t)64 << group;
    return base + base / 4 * (step + 1);
}

// A field of a packed word; widths are below 32.
static unsigned bits(uint64_t word, unsigned shift, unsigned width)
{
    return (unsigned)((word >> shift) & ((1u << width) - 1));
}

// e_bits: arena 12, slab 1, committed 1, pai 1, zeroed 1, guarded 1, state 3, size class 8, free
// regions 10.
// Source: edata_s in edata.h, 5.3.0; e_bits, e_addr and e_size_esn come first. The low bits of
// e_addr hold nothing, those of the size a serial number. All that can be checked is checked, since
// half of the words come from wrong trees.
bool jemalloc_extent_decode(const uint64_t words[3], struct jemalloc_extent *ret_extent)
{
    const uint64_t page_mask = (1u << PAGE_SHIFT) - 1;
    struct jemalloc_extent extent = {
        .address = words[1] & ~page_mask,
        .bytes = words[2] & ~page_mask,
        .arena = bits(words[0], 0, 12),
        .is_slab = bits(words[0], 12, 1),
        .size_class = bits(words[0], 20, 8),
        .free_regions = bits(words[0], 28, 10),
    };
    unsigned state = bits(words[0], 17, 3);
    if (state >= EXTENT_STATES_KNOWN || extent.bytes == 0 || extent.address == 0 ||
        extent.address >> 47 || extent.bytes >> 47)
        return false;
    extent.state = (enum extent_state)state;
    // A freed slab keeps its flag until it is used again.
    extent.is_slab = extent.is_slab && extent.state == EXTENT_ACTIVE;
    if (extent.is_slab) {
        uint64_t region =
            extent.size_class < SLAB_CLASSES ? jemalloc_class_bytes(extent.size_class) : 0;
        if (region == 0 || extent.bytes % region != 0 ||
            extent.free_regions > extent.bytes / region)
            return false;
    }
    *ret_extent = extent;
    return true;
}

// The extent record that a leaf element points to; 0 none. Addresses of user space have no sign to
// extend.
// Above the pointer lies the size class, below it state, is_head and slab
// (rtree_leaf_elm_bits_encode() in rtree.h).
static uint64_t element_record(uint64_t element)
{
    return element & 0x00007fffffffff80u;
}

// The proof that all trust rests on: the record that a page leads to names that very page.
static int extent_at(struct pages *pages, uint64_t element, uint64_t address,
                     struct jemalloc_extent *ret_extent)
{
    uint64_t words[3], record = element_record(element);
    if (record == 0)
        return -ENOENT;
    int error = pages_read(pages, record, words, sizeof words);
    if (error)
        return error == -EFAULT ? -EBADMSG : error;
    struct jemalloc_extent extent;
    if (!jemalloc_extent_decode(words, &extent) || extent.address != address)
        return -EBADMSG;
    extent.record = record;
    *ret_extent = extent;
    return 0;
}

// Nothing is cached here: a root's or a leaf's page that many extents share is in `pages`.
int jemalloc_tree_leaf(const struct jemalloc_tree *tree, struct pages *pages, uint64_t address,
                       uint64_t *ret_leaf)
{
    uint64_t leaf;
    int error = pages_read_u64(pages, tree->root + (address >> LEAF_SHIFT) * 8, &leaf);
    if (error || leaf == 0)
        return error ? error : -ENOENT;
    *ret_leaf = leaf;
    return 0;
}

// Where in a leaf the element of a page stands.
static uint64_t slot_of(uint64_t leaf, uint64_t address)
{
    return leaf + ((address >> PAGE_SHIFT) & (LEVEL_COUNT - 1)) * 8;
}

int jemalloc_tree_at(const struct jemalloc_tree *tree, struct pages *pages, uint64_t address,
                     struct jemalloc_extent *ret_extent)
{
    uint64_t leaf, element;
    int error = jemalloc_tree_leaf(tree, pages, address, &leaf);
    if (!error)
        error = pages_read_u64(pages, slot_of(leaf, address), &element);
    return error ? error : extent_at(pages, element, address, ret_extent);
}

// A leaf never moves (rtree_leaf_alloc() of src/rtree.c), so only element and record are read anew.
int jemalloc_tree_look_again(const struct jemalloc_tree *tree, struct pages *pages,
                             uint64_t address, struct jemalloc_extent *ret_extent)
{
    uint64_t leaf, element, words[3];
    int error = jemalloc_tree_leaf(tree, pages, address, &leaf);
    if (!error)
        error = process_peek_u64(pages->process, slot_of(leaf, address), &element);
    if (error)
        return error;
    uint64_t record = element_record(element);
    if (record == 0)
        return -ENOENT;
    error = process_peek(pages->process, record, words, sizeof words);
    if (error)
        return error == -EFAULT ? -EBADMSG : error;
    struct jemalloc_extent extent;
    // A slab's inner pages lead to it as well, and so does the last page of any extent.
    if (!jemalloc_extent_decode(words, &extent) || address < extent.address ||
        address - extent.address >= extent.bytes)
        return -EBADMSG;
    extent.record = record;
    *ret_extent = extent;
    return 0;
}

// Does this leaf lead from the pages of the mapping to extents that begin there? The first entry
// decides.
// An entry that leads nowhere condemns the leaf at once, so that wrong candidates cost one look
// each; a leaf without any entry is not this mapping's.
static bool leaf_fits(struct pages *pages, uint64_t leaf, const struct mapping *mapping,
                      uint64_t key)
{
    uint64_t first = mapping->start, end = mapping->end;
    if (first < key << LEAF_SHIFT)
        first = key << LEAF_SHIFT;
    if (end > (key + 1) << LEAF_SHIFT)
        end = (key + 1) << LEAF_SHIFT;
    unsigned probes = 0;
    for (uint64_t address = first; address < end && probes < PROBE_PAGES;) {
        uint64_t slot = slot_of(leaf, address), element = 0;
        int error = pages_read_u64(pages, slot, &element);
        if (error == -ETIME || pages->lookups > LOOKUPS_MAX)
            return false;
        if (error == 0 && element_record(element)) {
            struct jemalloc_extent extent;
            return extent_at(pages, element, address, &extent) == 0;
        }
        // An absent page of the leaf has no entries: on to the next one.
        uint64_t next = address + (1u << PAGE_SHIFT);
        if (error)
            next = (address | ((1u << (PAGE_SHIFT + 9)) - 1)) + 1;
        if (error || (slot & 4095) == 4088)
            probes++;
        address = next;
    }
    return false;
}

// Where extents can be: writable private memory of which something is resident.
static bool is_heap(const struct mapping *mapping)
{
    return mapping->kind == MAPPING_ANONYMOUS && (mapping->flags & MAPPING_WRITE) &&
           !(mapping->flags & MAPPING_SHARED) && mapping->rss_kib > 0;
}

// The distinct root indices of the target's anonymous memory.
struct keys {
    uint64_t key[KEYS_MAX];
    size_t count;
};

// Mappings are in order, so equal indices are neighbours.
// A key is an index in the root, one for each GiB: a word of .bss that is a leaf's pointer can only
// stand at one of these distances from the root's start.
static void keys_collect(const struct target *target, struct keys *keys)
{
    keys->count = 0;
    for (size_t i = 0; i < target->mappings->count && keys->count < KEYS_MAX; i++) {
        const struct mapping *mapping = &target->mappings->items[i];
        uint64_t key = mapping->start >> LEAF_SHIFT;
        bool known = keys->count && keys->key[keys->count - 1] == key;
        if (is_heap(mapping) && mapping->start >> 47 == 0 && !known)
            keys->key[keys->count++] = key;
    }
}

// Tries the leaf with the mappings that it would cover: not all of them need be jemalloc's.
static bool leaf_fits_any(const struct target *target, struct pages *pages, uint64_t leaf,
                          uint64_t key)
{
    const struct mappings *mappings = target->mappings;
    unsigned tries = 0;
    for (size_t i = mappings_lower_bound(mappings, key << LEAF_SHIFT);
         i < mappings->count && tries < MAPPINGS_TRIED; i++) {
        const struct mapping *mapping = &mappings->items[i];
        if (mapping->start >> LEAF_SHIFT > key)
            break;
        if (!is_heap(mapping))
            continue;
        tries++;
        if (leaf_fits(pages, leaf, mapping, key))
            return true;
    }
    return false;
}

struct bss {
    uint64_t start, end;
};

// Source: base_block_s in base.h and base_block_alloc() of src/base.c: the embedded edata_t
// describes what is left of the block, so it points inside or to its end.
bool jemalloc_block_read(struct pages *pages, uint64_t block, uint64_t *ret_size,
                         uint64_t *ret_next)
{
    // Size, next, then the block's own edata_t, whose address lies inside the block.
    uint64_t words[5]; // size, next, e_bits, e_addr, e_bsize
    if (pages_read(pages, block, words, sizeof words))
        return false;
    uint64_t size = words[0], next = words[1], address = words[3];
    if (size == 0 || size % JEMALLOC_BLOCK_ALIGN != 0 || size >> 40 ||
        next % JEMALLOC_BLOCK_ALIGN != 0 || next >> 47)
        return false;
    if (address <= block || address > block + size || words[4] > size)
        return false;
    *ret_size = size;
    *ret_next = next;
    return true;
}

// Leaves lie in blocks of jemalloc's tables: few other words of .bss point into one.
static bool is_in_block(struct pages *pages, uint64_t leaf)
{
    uint64_t block = leaf & ~(uint64_t)(JEMALLOC_BLOCK_ALIGN - 1), size, next;
    for (int step = 0; step < BLOCK_STEPS && block >= JEMALLOC_BLOCK_ALIGN;
         step++, block -= JEMALLOC_BLOCK_ALIGN)
        if (jemalloc_block_read(pages, block, &size, &next))
            return leaf - block < size;
    return false;
}

// Tries a word of .bss as the root's pointer to the leaf of each key.
// Cheap tests first: nearly all words of .bss fail the first of them.
static bool try_child(const struct target *target, struct pages *pages, const struct keys *keys,
                      const struct bss *bss, uint64_t slot, uint64_t leaf,
                      struct jemalloc_tree *ret_tree)
{
    const struct mapping *home = mappings_find(target->mappings, leaf);
    if (!home || leaf % 64 != 0 || home->kind != MAPPING_ANONYMOUS ||
        home->end - leaf < leaf_bytes || !is_in_block(pages, leaf))
        return false;
    // The whole root must lie in .bss, or the word is no element of it.
    for (size_t i = 0; i < keys->count; i++) {
        uint64_t offset = keys->key[i] * 8;
        if (slot - bss->start < offset || bss->end - (slot - offset) < leaf_bytes)
            continue;
        if (leaf_fits_any(target, pages, leaf, keys->key[i])) {
            ret_tree->root = slot - offset;
            return true;
        }
    }
    return false;
}

// The root is 2 MiB of .bss: a smaller section cannot have it.
// Source: the root is a member of rtree_s, and that of arena_emap_global, a global (src/emap.c).
static bool bss_of(const struct image *image, struct bss *ret_bss)
{
    const struct image_section *section = image_section(image, ".bss");
    if (!section || section->size < leaf_bytes)
        return false;
    uint64_t start;
    if (__builtin_add_overflow(section->address, image->bias, &start) ||
        __builtin_add_overflow(start, section->size, &ret_bss->end) || ret_bss->end >> 47)
        return false;
    ret_bss->start = (start + 7) & ~(uint64_t)7;
    return true;
}

// Absent pages of .bss were never written and hold no pointer; they are passed over, not faulted
// in.
int jemalloc_tree_find(const struct target *target, const struct image *image, struct pages *pages,
                       struct jemalloc_tree *ret_tree)
{
    struct bss bss;
    if (image->machine != EM_X86_64 || !bss_of(image, &bss))
        return -ENOENT;
    struct keys keys;
    keys_collect(target, &keys);
    uint64_t words[PAGES_SIZE / 8];
    for (uint64_t at = bss.start; at < bss.end;) {
        size_t len = PAGES_SIZE - (size_t)(at % PAGES_SIZE);
        if (len > bss.end - at)
            len = (size_t)(bss.end - at) & ~(size_t)7;
        if (len == 0)
            break;
        int error = pages_read(pages, at, words, len);
        if (error == -ETIME || error == -EPERM || error == -EACCES || error == -ESRCH)
            return error;
        for (size_t i = 0; !error && i < len / 8; i++) {
            if (pages->lookups > LOOKUPS_MAX)
                return -ETIME;
            if (words[i] < PAGES_SIZE || words[i] >> 47)
                continue;
            if (try_child(target, pages, &keys, &bss, at + i * 8, words[i], ret_tree))
                return 0;
        }
        at += len;
    }
    return -ENOENT;
}
