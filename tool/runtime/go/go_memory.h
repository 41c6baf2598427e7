// SPDX-License-Identifier: Apache-2.0
// Where the Go reader takes bytes from: the target's memory, an ELF file, a test's buffer. Tool
// world.
//
// One small interface, so that every parser of hostile tables runs on plain buffers in tests.
#ifndef EBB_RUNTIME_GO_GO_MEMORY_H
#define EBB_RUNTIME_GO_GO_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;
struct mappings;
struct process;

struct go_memory {
    // Copies `len` bytes at `address`: all of them and 0, or -errno.
    int (*read)(void *context, uint64_t address, void *ret_data, size_t len);
    void *context;
};

int go_memory_read(const struct go_memory *memory, uint64_t address, void *ret_data, size_t len);
int go_memory_u64(const struct go_memory *memory, uint64_t address, uint64_t *ret_value);

// Live memory by run-time address; absent pages are errors, see process_peek(). Borrows `process`.
struct go_memory go_memory_of_process(struct process *process);

// The same, but pages of private anonymous mappings that were never touched read as zeros, as they
// would in the target; where a mapping has pages in swap, absent pages stay errors. Borrows `live`.
struct go_live_memory {
    struct process *process;
    const struct mappings *mappings;
};
struct go_memory go_memory_of_live(struct go_live_memory *live);

// Constants of an image by run-time address: from memory, where the loader has relocated them;
// pages that were never touched hold what the file holds. Borrows `loaded`.
struct go_loaded_memory {
    struct process *process;
    const struct image *image;
};
struct go_memory go_memory_of_loaded(struct go_loaded_memory *loaded);

// The file's bytes by linked address. Borrows `image`, which is only read.
struct go_memory go_memory_of_image(const struct image *image);

// A buffer that pretends to lie at `base`.
struct go_buffer_memory {
    uint64_t base;
    const uint8_t *data;
    size_t len;
};
struct go_memory go_memory_of_buffer(struct go_buffer_memory *buffer);

enum { GO_WINDOW_BYTES = 64 << 10 };

// A window over memory for many small reads at rising addresses; one system call per 64 KiB. It
// never asks for a byte at or behind `limit`.
struct go_window {
    const struct go_memory *memory;
    uint64_t limit;
    uint64_t start;
    size_t len;
    uint8_t data[GO_WINDOW_BYTES];
};

// malloc'ed, free() it; NULL without memory.
struct go_window *go_window_new(const struct go_memory *memory, uint64_t limit);
// As go_memory_read(); -ENXIO at or behind the limit.
int go_window_read(struct go_window *window, uint64_t address, void *ret_data, size_t len);
// A view of the bytes from `address` on, as many as the window holds, at least one. 0 or -errno.
int go_window_view(struct go_window *window, uint64_t address, const uint8_t **ret_data,
                   size_t *ret_len);

// Monotonic time; a deadline of 0 never passes.
uint64_t go_now_ns(void);
bool go_deadline_passed(uint64_t deadline_ns);

#endif
