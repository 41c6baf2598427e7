// SPDX-License-Identifier: Apache-2.0
// Where Go's runtime keeps its figures: offsets of fields by minor version. Tool world; constant
// data.
//
// The rows hold for 64-bit targets. Go lays structs out alike on amd64 and arm64; how a row was
// proven is said in the row. `scripts/go-offsets BINARY` makes a row from a binary's DWARF, with
// the names of go_fields[] below, which also serve a reader that walks the DWARF of its target
// itself.
#ifndef EBB_RUNTIME_GO_GO_TABLE_H
#define EBB_RUNTIME_GO_GO_TABLE_H

#include <stddef.h>
#include <stdint.h>

// What a field's offset counts from: a variable of package runtime, or any value of one of its
// types.
enum go_object {
    GO_OBJECT_MEMSTATS,                   // runtime.memstats
    GO_OBJECT_CONTROLLER,                 // runtime.gcController
    GO_OBJECT_HEAP,                       // runtime.mheap_
    GO_OBJECT_DEBUG,                      // runtime.debug
    GO_OBJECT_GCPERCENT,                  // runtime.gcpercent, a variable of its own up to 1.16
    GO_OBJECT_ALLP,                       // runtime.allp, a slice of *p
    GO_OBJECT_VARIABLES,                  // how many of the above there are; below: types
    GO_OBJECT_SPAN = GO_OBJECT_VARIABLES, // type mspan
    GO_OBJECT_P,                          // type p
    GO_OBJECT_CACHE,                      // type mcache
    GO_OBJECT_CENTRAL,                    // element of mheap_.central
    GO_OBJECT_ARENA,                      // type heapArena
    GO_OBJECT_CHUNK,                      // type pallocData, one 4 MiB chunk of the page bitmaps
    GO_OBJECT_RANGE,                      // type addrRange, element of mheap_.pages.inUse.ranges
    GO_OBJECT_COUNT
};

enum go_field_id {
    // 1.11-1.18 keep heap_* up to date at all times; alloc, total_alloc, nmalloc, nfree,
    // heap_alloc,
    // heap_objects, sys, mspan_inuse, mcache_inuse are written by ReadMemStats alone: never trust
    // them.
    GO_MEMSTATS_ALLOC,
    GO_MEMSTATS_TOTAL_ALLOC,
    GO_MEMSTATS_SYS,
    GO_MEMSTATS_NMALLOC,
    GO_MEMSTATS_NFREE,
    GO_MEMSTATS_HEAP_ALLOC,
    GO_MEMSTATS_HEAP_SYS,      // in use, free and given back; stacks are not in it
    GO_MEMSTATS_HEAP_IDLE,     // gone in 1.16: HeapSys - HeapInuse
    GO_MEMSTATS_HEAP_INUSE,    // whole spans of objects
    GO_MEMSTATS_HEAP_RELEASED, // part of HeapIdle
    GO_MEMSTATS_HEAP_OBJECTS,
    GO_MEMSTATS_STACKS_INUSE, // spans of stacks; 1.16 on: see GO_DELTA_IN_STACKS
    GO_MEMSTATS_STACKS_SYS,   // threads' own stacks (g0)
    GO_MEMSTATS_MSPAN_INUSE,
    GO_MEMSTATS_MSPAN_SYS, // fixalloc chunks, whole ones
    GO_MEMSTATS_MCACHE_INUSE,
    GO_MEMSTATS_MCACHE_SYS,   // the same
    GO_MEMSTATS_BUCKHASH_SYS, // profiles' buckets (runtime/mprof.go)
    GO_MEMSTATS_GC_SYS,    // gc_sys up to 1.15, gcMiscSys from 1.16 (without work buffers and type
                           // bitmaps)
    GO_MEMSTATS_OTHER_SYS, // persistentalloc without a counter of its own
    GO_MEMSTATS_NEXT_GC,   // all ones: collector off; 1.17 moved it to gcController
    GO_MEMSTATS_LAST_GC_UNIX,     // what MemStats.LastGC shows
    GO_MEMSTATS_LAST_GC_NANOTIME, // the same moment by the monotonic clock
    GO_MEMSTATS_PAUSE_TOTAL_NS,   // behind it pause_ns[256] and pause_end[256]
    GO_MEMSTATS_NUMGC,            // uint32, counted when a cycle is over
    GO_MEMSTATS_NUMFORCEDGC,      // uint32, runtime.GC() and debug.FreeOSMemory()
    GO_MEMSTATS_GC_CPU_FRACTION,  // float64, since the program started
    GO_MEMSTATS_HEAP_LIVE,        // the pacer's estimate; 1.17 moved it to gcController
    GO_MEMSTATS_TINYALLOCS,       // objects that share a block; 1.17 on: the shards
    GO_MEMSTATS_BY_SIZE,          // array of {uint32 size; uint64 nmalloc, nfree}
    // heapStatsDelta, 1.16 on. GO_DELTA's size is the stride of memstats.heapStats.stats[3]; the
    // other
    // offsets count from runtime.memstats too and name the first generation.
    GO_DELTA,
    GO_DELTA_COMMITTED,          // ready for use, of all kinds below
    GO_DELTA_RELEASED,           // HeapReleased
    GO_DELTA_IN_HEAP,            // HeapInuse
    GO_DELTA_IN_STACKS,          // StackInuse
    GO_DELTA_IN_WORK_BUFS,       // part of GCSys: the collector's grey objects
    GO_DELTA_IN_PTR_SCALAR_BITS, // part of GCSys: unrolled type bitmaps
    GO_DELTA_TINY_ALLOC_COUNT,   // in Mallocs and Frees alike
    GO_DELTA_LARGE_ALLOC,        // bytes of objects above 32 KiB, whole pages
    GO_DELTA_LARGE_ALLOC_COUNT,
    GO_DELTA_SMALL_ALLOC_COUNT, // array of 68 uint64
    GO_DELTA_LARGE_FREE,        // bytes
    GO_DELTA_LARGE_FREE_COUNT,
    GO_DELTA_SMALL_FREE_COUNT,            // array of 68 uint64
    GO_CONTROLLER_HEAP_IN_USE,            // HeapInuse, 1.19 on
    GO_CONTROLLER_HEAP_FREE,              // kept: HeapIdle - HeapReleased
    GO_CONTROLLER_HEAP_RELEASED,          // HeapReleased
    GO_CONTROLLER_HEAP_LIVE,              // estimate: spans in caches count in full
    GO_CONTROLLER_HEAP_MARKED,            // alive at the end of the last cycle
    GO_CONTROLLER_HEAP_GOAL,              // 1.17 and 1.18: NextGC itself
    GO_CONTROLLER_GC_PERCENT,             // int32, -1 is off; 1.17 on
    GO_CONTROLLER_GC_PERCENT_HEAP_GOAL,   // 1.19 on: NextGC where no memory limit bears on it
    GO_CONTROLLER_SWEEP_DIST_MIN_TRIGGER, // leaves the sweeper room: raises the goal
    GO_CONTROLLER_TRIGGERED,              // heapLive when the cycle began; all ones: none runs
    // Always 4 MiB * (uint64)gcPercent / 100, modulo 2^64 before the division: tells the address.
    GO_CONTROLLER_HEAP_MINIMUM,
    GO_CONTROLLER_MEMORY_LIMIT, // int64, max is off
    GO_CONTROLLER_TOTAL_ALLOC,  // bytes ever allocated, but for the caches
    GO_CONTROLLER_TOTAL_FREE,   // bytes ever freed
    GO_CONTROLLER_MAPPED_READY, // Sys - HeapReleased
    GO_HEAP_SPAN_INUSE,         // spanalloc.inuse: MSpanInuse
    GO_HEAP_CACHE_INUSE,        // cachealloc.inuse: MCacheInuse
    GO_HEAP_ALLSPANS,           // slice of *mspan
    GO_HEAP_CENTRAL,            // central[136]; GO_CENTRAL's size is the stride
    // 1.11-1.15: what ReadMemStats sums, beside central[].mcentral.nmalloc and the caches.
    GO_HEAP_LARGE_ALLOC, // bytes
    GO_HEAP_LARGE_ALLOC_COUNT,
    GO_HEAP_LARGE_FREE, // bytes
    GO_HEAP_LARGE_FREE_COUNT,
    GO_HEAP_SMALL_FREE_COUNT, // array of 67 uint64
    GO_HEAP_CHUNKS,           // 1.14 on: array of pointers to arrays of pallocData, see GO_CHUNK
    GO_HEAP_IN_USE_RANGES,    // slice of addrRange, see GO_RANGE
    GO_HEAP_CHUNKS_START,     // pages.start, a chunk index
    GO_HEAP_CHUNKS_END,
    GO_HEAP_ARENAS,         // array [L1] of pointers to [L2]*heapArena; L1 is 1 on Linux
    GO_HEAP_ALL_ARENAS,     // slice of arena index (uint); 1.11 has none
    GO_HEAP_CUR_ARENA_BASE, // what heap growth takes next
    GO_HEAP_CUR_ARENA_END,
    GO_DEBUG_MADVDONTNEED, // int32
    GO_DEBUG_GCTRACE,      // serves to tell the struct: a small number
    GO_GCPERCENT,          // int32
    GO_ALLP,               // one P for each of GOMAXPROCS
    GO_SPAN,               // its size is sizeof(mspan)
    GO_SPAN_START_ADDR,
    GO_SPAN_NPAGES,                   // of 8 KiB
    GO_SPAN_NELEMS,                   // objects that it has room for
    GO_SPAN_ALLOC_COUNT,              // objects in it; 16 bits
    GO_SPAN_ALLOC_COUNT_BEFORE_CACHE, // 1.19 on
    GO_SPAN_FREE_INDEX,               // where the search for a free slot goes on
    GO_SPAN_SPANCLASS,                // uint8: size class * 2 + noscan
    GO_SPAN_STATE, // uint8: 0 dead, 1 in use, 2 manual (stacks); 3 free, up to 1.13
    GO_SPAN_ELEMSIZE,
    GO_SPAN_SWEEPGEN,   // behind by 2: not yet swept in this cycle
    GO_SPAN_NPRELEASED, // 1.11: pages given back of a free span
    GO_SPAN_SCAVENGED,  // 1.12, 1.13: a free span's pages are all given back
    GO_SPAN_NEEDZERO,
    GO_P_MCACHE,
    GO_CACHE,
    // Array of 136 (134 up to 1.15) *mspan. From 1.19 on what these spans got is counted when they
    // leave the cache, allocCount - allocCountBeforeCache; before that all of nelems on entry.
    GO_CACHE_ALLOC,
    GO_CACHE_TINY_ALLOCS, // not yet in the counters
    GO_CACHE_LARGE_FREE,  // up to 1.15, like the two below
    GO_CACHE_LARGE_FREE_COUNT,
    GO_CACHE_SMALL_FREE_COUNT,
    GO_CENTRAL,
    GO_CENTRAL_NMALLOC, // objects handed to caches; up to 1.15
    GO_ARENA,
    GO_ARENA_SPANS,          // array of 8192 *mspan
    GO_CHUNK,                // its size is the stride of a chunk: 128
    GO_CHUNK_ALLOC_BITS,     // 512 bits, 1: page allocated
    GO_CHUNK_SCAVENGED_BITS, // 512 bits, 1: page given back
    GO_RANGE,
    GO_RANGE_BASE,
    GO_RANGE_LIMIT,
    GO_FIELD_COUNT
};

// A field that a version does not have has size 0 and offset -1. An atomic counts with its wrapper
// (same size, value at the same offset).
struct go_field {
    int32_t offset; // bytes
    int32_t size;   // bytes; of an array the whole array
};

// The field's names in DWARF, a few where Go renamed it, separated by spaces. "[]" is an array's
// element; "" is the object itself.
struct go_field_name {
    enum go_object object;
    const char *paths;
};
extern const struct go_field_name go_field_names[GO_FIELD_COUNT];

// The object's full names in DWARF ("runtime.memstats"), separated by spaces where it was renamed.
extern const char *const go_object_names[GO_OBJECT_COUNT];

// How sure a row is, surest first.
enum go_proven {
    GO_PROVEN_RUN, // from DWARF; every figure compared with ReadMemStats of programs built with it
    GO_PROVEN_BINARY, // from the DWARF of a real binary; the counters of a running one agree with
                      // its spans
    GO_PROVEN_SOURCE, // from Go's source and a real binary's machine code; counters and spans agree
};

enum { GO_SIZE_CLASSES_MAX = 68, GO_MINOR_FIRST = 11, GO_MINOR_LAST = 27 };

struct go_size_classes {
    uint16_t count;
    uint16_t bytes[GO_SIZE_CLASSES_MAX]; // [0] is 0: large objects
};

struct go_version_row {
    uint16_t minor;   // 24 for Go 1.24
    const char *from; // "DWARF of go1.24.4"
    enum go_proven proven;
    const struct go_size_classes *classes;
    struct go_field fields[GO_FIELD_COUNT];
};

// Where a field sits from a minor version on, until its next change. Ends with since = 0.
enum { GO_CHANGES_MAX = 16 };
struct go_change {
    uint8_t since;
    struct go_field field;
};
extern const struct go_change go_table_changes[GO_FIELD_COUNT][GO_CHANGES_MAX];

// Fills in the row of a minor version. 0, or -ENOENT for a version that the table does not have.
// Cost: one pass over the table.
int go_table_find(unsigned minor, struct go_version_row *ret_row);

// Fixed by Go's source for 64-bit Linux: a page of the heap and an arena; from 1.14 on a chunk of
// the page bitmaps, whose index (address - base) / chunk splits into mheap_.pages.chunks[index /
// L2][index % L2].
enum {
    GO_PAGE_BYTES = 8192,
    GO_CHUNK_PAGES = 512,
    GO_CHUNK_BYTES = GO_PAGE_BYTES * GO_CHUNK_PAGES,
    GO_CHUNKS_L2_COUNT = 8192,
    GO_ARENA_BYTES = 64 << 20,
    GO_ARENAS_L2_COUNT = 1 << 22,
};

// What an address is counted from in the chunk and arena indexes, by ELF machine (EM_X86_64: the
// sign extension of bit 47; others 0).
uint64_t go_table_arena_base(uint16_t elf_machine);

#endif
