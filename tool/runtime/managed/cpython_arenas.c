// SPDX-License-Identifier: Apache-2.0
// pymalloc's arenas and pools, see cpython_arenas.h. Tool world; no state.
#include "runtime/managed/cpython_arenas.h"

#include <errno.h>
#include <string.h>

#include "runtime/pages.h"

// An array of arena objects is never shrunk: after a peak most of its elements are unused, in runs.
// Classes end at 512 bytes (SMALL_REQUEST_THRESHOLD), and 64 of them at 8 bytes each were the most.
enum {
    ARENAS_MAX = 1 << 20,
    EMPTY_RUN_MAX = 65536,
    CLASSES_MAX = 64,
    POOLS_MAX = 64, // of one arena, in both shapes
    BLOCK_MAX = 512,
    DATA_MAX = 16 << 20
};

// The radix tree of 3.10 brought larger arenas and pools.
// Source: ARENA_BITS and POOL_BITS of obmalloc.c (3.10), of pycore_obmalloc.h (3.12): a build
// without the radix tree keeps the old shape, and is refused by what its arenas look like.
bool pymalloc_shape_of(unsigned major, unsigned minor, struct pymalloc_shape *ret_shape)
{
    bool is_three = major == 3;
    if (!is_three && !(major == 2 && minor == 7))
        return false;
    bool is_large = is_three && minor >= 10;
    *ret_shape = (struct pymalloc_shape){
        .arena_bytes = is_large ? 1u << 20 : 256u << 10,
        .pool_bytes = is_large ? 16u << 10 : 4u << 10,
    };
    return true;
}

// struct arena_object: address, pool_address, nfreepools, ntotalpools, freepools, nextarena,
// prevarena.
// Source: new_arena() of obmalloc.c: pool_address is aligned to a pool first and goes up by one
// pool each time; an arena that was freed has address 0 and its link alone.
bool pymalloc_arena_decode(const uint64_t words[6], const struct pymalloc_shape *shape,
                           struct pymalloc_arena *ret_arena)
{
    struct pymalloc_arena arena = {
        .address = words[0],
        .pool_address = words[1],
        .free_pools = (unsigned)(words[2] & UINT32_MAX),
        .total_pools = (unsigned)(words[2] >> 32),
    };
    uint64_t pools = shape->arena_bytes / shape->pool_bytes;
    if (arena.address) {
        uint64_t end = arena.address + shape->arena_bytes;
        // An arena whose start is not aligned to a pool loses one.
        uint64_t lost = arena.address % shape->pool_bytes != 0;
        if (arena.address % 4096 != 0 || arena.address >> 47 || arena.total_pools != pools - lost ||
            arena.free_pools > arena.total_pools || arena.pool_address <= arena.address - 1 ||
            arena.pool_address > end || arena.pool_address % shape->pool_bytes != 0)
            return false;
    }
    *ret_arena = arena;
    return true;
}

// struct pool_header: count 4, freeblock 8, next 8, previous 8, arena index 4, size class 4, next
// offset 4, last offset
// 4. The last offset tells the block's size, which the class does not: late releases of 3.6 and 2.7
// align as 3.7 does.
// Source: init_pool in allocate_from_new_pool(), where maxnextoffset is set to pool size - block
// size and never changes again.
bool pymalloc_pool_decode(const uint64_t words[6], const struct pymalloc_shape *shape,
                          struct pymalloc_pool *ret_pool)
{
    uint32_t blocks = (uint32_t)words[0], size_class = (uint32_t)(words[4] >> 32);
    uint64_t last_offset = words[5] >> 32;
    if (last_offset >= shape->pool_bytes)
        return false;
    uint64_t bytes = shape->pool_bytes - last_offset;
    bool fits_class =
        bytes == (uint64_t)(size_class + 1) * 8 || bytes == (uint64_t)(size_class + 1) * 16;
    if (size_class >= CLASSES_MAX || !fits_class || bytes > BLOCK_MAX ||
        blocks > shape->pool_bytes / bytes)
        return false;
    *ret_pool = (struct pymalloc_pool){blocks, bytes, (uint32_t)words[4]};
    return true;
}

struct walk {
    const struct target *target;
    const struct pymalloc_shape *shape;
    struct pages pages;
    struct ranges arenas, used, idle; // arenas, pools with objects, pools without
    uint64_t object_bytes, arena_count, used_pools, bad_pools;
};

static void walk_free(struct walk *walk)
{
    pages_free(&walk->pages);
    ranges_free(&walk->arenas);
    ranges_free(&walk->used);
    ranges_free(&walk->idle);
}

// An arena lies in writable private memory, in one mapping.
// Source: _PyObject_ArenaMmap(), or malloc() where mmap was not found at build time.
static bool is_heap(const struct target *target, uint64_t start, uint64_t bytes)
{
    const struct mapping *mapping = mappings_find(target->mappings, start);
    return mapping && (mapping->kind == MAPPING_ANONYMOUS || mapping->kind == MAPPING_BRK) &&
           (mapping->flags & MAPPING_WRITE) && !(mapping->flags & MAPPING_SHARED) &&
           mapping->end - start >= bytes;
}

// Adds one pool that was carved off. Pools that do not know their arena are counted as bad.
// An empty pool keeps its header and waits in its arena's list of free pools; one that is not in
// memory was swapped out or never touched, and adds nothing that is resident.
static int add_pool(struct walk *walk, uint64_t pool, const uint64_t *words, uint32_t arena_index)
{
    struct pymalloc_pool header;
    if (!words || (uint32_t)words[0] == 0)
        return ranges_add(&walk->idle, pool, pool + walk->shape->pool_bytes);
    if (!pymalloc_pool_decode(words, walk->shape, &header) || header.arena_index != arena_index) {
        walk->bad_pools++;
        return 0;
    }
    walk->used_pools++;
    walk->object_bytes += header.blocks * header.block_bytes;
    return ranges_add(&walk->used, pool, pool + walk->shape->pool_bytes);
}

// Pools below pool_address were carved off and have headers, which are read all at once: page by
// page they were most of what a large heap cost. Above it memory was never touched.
static int add_arena(struct walk *walk, const struct pymalloc_arena *arena, uint32_t index)
{
    const struct pymalloc_shape *shape = walk->shape;
    uint64_t end = arena->address + shape->arena_bytes, step = shape->pool_bytes;
    uint64_t first = (arena->address + step - 1) / step * step;
    uint64_t limit = arena->pool_address < end ? arena->pool_address : end;
    size_t count = limit > first ? (size_t)((limit - first) / step) : 0;
    uint64_t words[POOLS_MAX][6];
    bool present[POOLS_MAX];
    walk->arena_count++;
    int error = count > POOLS_MAX ? -EBADMSG : 0;
    if (!error)
        error = pages_read_each(&walk->pages, first, step, count, sizeof words[0], words, present);
    for (size_t i = 0; i < count && !error; i++)
        error = add_pool(walk, first + i * step, present[i] ? words[i] : NULL, index);
    // What was never carved off is free as well.
    if (!error && first + count * step < end)
        error = ranges_add(&walk->idle, first + count * step, end);
    return error;
}

// Ranges join arenas that touch, so it is the inside of a range that counts.
static bool is_known_arena(const struct walk *walk, uint64_t address)
{
    for (size_t i = 0; i < walk->arenas.count; i++)
        if (address >= walk->arenas.items[i].start && address < walk->arenas.items[i].end)
            return true;
    return false;
}

// Does the arena's first pool say that it belongs to arena object `index`? 1 yes, 0 it is empty, -1
// no.
// The index in the pool's header is what free() finds the arena by (pool->arenaindex in
// insert_to_freepool()), so it is always right.
static int first_pool_agrees(struct walk *walk, const struct pymalloc_arena *arena, uint32_t index)
{
    uint64_t step = walk->shape->pool_bytes, words[6];
    uint64_t pool = (arena->address + step - 1) / step * step;
    if (pool >= arena->pool_address || pages_read(&walk->pages, pool, words, sizeof words))
        return 0;
    if ((uint32_t)words[0] == 0)
        return 0;
    return (uint32_t)words[4] == index ? 1 : -1;
}

// Reads the array at `array`. Elements end at the first one that cannot be an arena object.
// The number of elements (maxarenas) lies in no fixed place, so the contents end the array: what
// follows it in memory decodes as arenas only if it is an old copy.
static int read_array(struct walk *walk, uint64_t array)
{
    size_t empty = 0;
    for (uint32_t i = 0; i < ARENAS_MAX && empty < EMPTY_RUN_MAX; i++) {
        uint64_t words[6];
        struct pymalloc_arena arena;
        int error = pages_read(&walk->pages, array + (uint64_t)i * PYMALLOC_ARENA_OBJECT_BYTES,
                               words, sizeof words);
        if (error == -ETIME)
            return error;
        if (error || !pymalloc_arena_decode(words, walk->shape, &arena))
            break;
        empty = arena.address ? 0 : empty + 1;
        if (!arena.address)
            continue;
        // Behind the array's end an old copy of it may lie: its arenas are known already, or have
        // been moved to another index since.
        if (is_known_arena(walk, arena.address) ||
            !is_heap(walk->target, arena.address, walk->shape->arena_bytes) ||
            first_pool_agrees(walk, &arena, i) < 0)
            break;
        error = ranges_add(&walk->arenas, arena.address, arena.address + walk->shape->arena_bytes);
        if (!error)
            error = add_arena(walk, &arena, i);
        if (error)
            return error;
    }
    return 0;
}

// Is this word a pointer to the first element of the array, and not to one in its middle, as the
// lists have them? The first arena may be gone: then one of the next fifteen (the array is never
// smaller) is in use.
// Source: INITIAL_ARENA_OBJECTS is 16 in all versions; the array doubles from there on
// (new_arena()).
static bool is_array(struct walk *walk, uint64_t array)
{
    const struct mapping *home = mappings_find(walk->target->mappings, array);
    if (!home || array % 16 != 0 || (home->kind != MAPPING_ANONYMOUS && home->kind != MAPPING_BRK))
        return false;
    unsigned agreeing = 0;
    for (unsigned i = 0; i < 16; i++) {
        uint64_t words[6];
        struct pymalloc_arena arena;
        if (pages_read(&walk->pages, array + i * PYMALLOC_ARENA_OBJECT_BYTES, words,
                       sizeof words) ||
            !pymalloc_arena_decode(words, walk->shape, &arena))
            return false;
        if (!arena.address)
            continue;
        int verdict = is_heap(walk->target, arena.address, walk->shape->arena_bytes)
                          ? first_pool_agrees(walk, &arena, i)
                          : -1;
        if (verdict < 0)
            return false;
        agreeing += verdict > 0;
    }
    return agreeing > 0;
}

// The first word that proves to be the array ends the search: there is one main interpreter.
// Absent pages of the section were never written, and hold no pointer.
static int find_in_section(struct walk *walk, const struct image *image, const char *name)
{
    const struct image_section *section = image_section(image, name);
    uint64_t words[PAGES_SIZE / 8], start;
    if (!section || __builtin_add_overflow(section->address, image->bias, &start))
        return -ENOENT;
    uint64_t size = section->size < DATA_MAX ? section->size : DATA_MAX, end = start + size;
    for (uint64_t at = (start + 7) & ~(uint64_t)7; at + 8 <= end;) {
        size_t len = PAGES_SIZE - (size_t)(at % PAGES_SIZE);
        if (len > end - at)
            len = (size_t)(end - at) & ~(size_t)7;
        int error = pages_read(&walk->pages, at, words, len);
        if (error && error != -ENODATA && error != -EFAULT)
            return error;
        for (size_t i = 0; !error && i < len / 8; i++) {
            if (words[i] >> 47 || words[i] < PAGES_SIZE || !is_array(walk, words[i]))
                continue;
            error = read_array(walk, words[i]);
            return error ? error : walk->arena_count ? 0 : -ENOENT;
        }
        at += len;
    }
    return -ENOENT;
}

// Counts say what is in use, pagemap says what is resident; the smaller one is in the account.
// Blocks in use and free ones share pages: slack can be given back by nobody but pymalloc itself,
// which does so only for an arena whose pools are all empty.
static int fill_report(struct walk *walk, struct runtime_report *report)
{
    uint64_t used = 0, idle = 0;
    ranges_sort(&walk->arenas);
    ranges_sort(&walk->used);
    ranges_sort(&walk->idle);
    int error = ranges_resident(walk->target->process, &walk->used, &used);
    if (!error)
        error = ranges_resident(walk->target->process, &walk->idle, &idle);
    for (size_t i = 0; i < walk->arenas.count && !error; i++)
        error = target_claim(walk->target, report, walk->arenas.items[i].start,
                             walk->arenas.items[i].end);
    uint64_t objects = walk->object_bytes < used ? walk->object_bytes : used;
    if (!error)
        error =
            report_add_part(report, ROW_IN_USE, objects, 0, "blocks in use by the pools' counts");
    if (!error)
        error = report_add_part(report, ROW_SLACK, used - objects, 0,
                                "free blocks in pools with objects x pagemap");
    if (!error)
        error = report_add_part(report, ROW_KEPT, idle, 0, "pools without objects x pagemap");
    if (!error)
        error = report_add_count(report, "arenas", walk->arena_count);
    if (!error)
        error =
            report_add_bytes(report, "arena bytes", walk->arena_count * walk->shape->arena_bytes);
    if (!error)
        error = report_add_bytes(report, "pymalloc objects", walk->object_bytes);
    report->approximate |= walk->bad_pools > 0;
    return error;
}

// Pools that do not know their arena are a few in a running program. More of them mean a wrong
// shape.
int pymalloc_read(const struct target *target, const struct image *image,
                  const struct pymalloc_shape *shape, struct runtime_report *report)
{
    struct walk walk = {.target = target, .shape = shape};
    // Plain statics up to 3.11; from 3.12 on inside _PyRuntime, which has a section of its own.
    static const char *const sections[] = {".bss", ".PyRuntime", ".data"};
    int error = pages_init(&walk.pages, target->process, target->budget_ms);
    int found = error ? error : -ENOENT;
    for (size_t i = 0; i < 3 && found == -ENOENT; i++)
        found = find_in_section(&walk, image, sections[i]);
    error = found;
    if (!error && walk.bad_pools > 8 + walk.used_pools / 50)
        error = -EBADMSG;
    if (!error)
        error = fill_report(&walk, report);
    if (error) {
        report->claim_count = 0;
        report->part_count = 0;
        report->figure_count = 0;
    }
    walk_free(&walk);
    return error;
}
