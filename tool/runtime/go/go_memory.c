// SPDX-License-Identifier: Apache-2.0
// Sources of bytes for the Go reader, see go_memory.h. Tool world; no state of its own.
#include "runtime/go/go_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "image/image.h"
#include "proc/mappings.h"
#include "proc/process.h"

// The smallest page of any kernel that ebb runs on: steps of it never straddle two pages.
enum { PAGE_BYTES = 4096 };

// One name for all sources.
int go_memory_read(const struct go_memory *memory, uint64_t address, void *ret_data, size_t len)
{
    return memory->read(memory->context, address, ret_data, len);
}

// Little endian, like every machine that is read here.
int go_memory_u64(const struct go_memory *memory, uint64_t address, uint64_t *ret_value)
{
    uint64_t value;
    int error = memory->read(memory->context, address, &value, sizeof value);
    if (!error)
        *ret_value = value;
    return error;
}

// Never faults a page in.
static int read_process(void *context, uint64_t address, void *ret_data, size_t len)
{
    return process_peek(context, address, ret_data, len);
}

struct go_memory go_memory_of_process(struct process *process)
{
    return (struct go_memory){read_process, process};
}

// Absent pages of [address, address + len), which lies within one page, are zeros if no page of
// their mapping can be in swap.
static int read_page(void *context, uint64_t address, void *data, size_t len)
{
    const struct go_live_memory *live = context;
    int error = process_peek(live->process, address, data, len);
    if (error != -ENODATA)
        return error;
    const struct mapping *mapping = mappings_find(live->mappings, address);
    // A page in swap looks absent too, and is anything but zeros.
    if (!mapping || mapping->swap_kib > 0 || !live->mappings->has_sizes ||
        (mapping->kind != MAPPING_ANONYMOUS && mapping->kind != MAPPING_BRK) ||
        (mapping->flags & (MAPPING_SHARED | MAPPING_READ)) != MAPPING_READ)
        return error;
    memset(data, 0, len);
    return 0;
}

// Reads what lies within one page, when the range as a whole could not be read.
typedef int page_reader(void *context, uint64_t address, void *data, size_t len);

// Stops at the first page that has no answer.
static int read_by_pages(page_reader *read_one, void *context, uint64_t address, void *ret_data,
                         size_t len)
{
    uint8_t *out = ret_data;
    while (len > 0) {
        size_t left = PAGE_BYTES - (size_t)(address % PAGE_BYTES);
        size_t step = left < len ? left : len;
        int error = read_one(context, address, out, step);
        if (error)
            return error;
        out += step;
        address += step;
        len -= step;
    }
    return 0;
}

// Pages one by one only after the whole was refused: mostly all of it is there.
static int read_live(void *context, uint64_t address, void *ret_data, size_t len)
{
    const struct go_live_memory *live = context;
    int error = process_peek(live->process, address, ret_data, len);
    return error == -ENODATA ? read_by_pages(read_page, context, address, ret_data, len) : error;
}

struct go_memory go_memory_of_live(struct go_live_memory *live)
{
    return (struct go_memory){read_live, live};
}

// A page of the image that was never touched cannot have been relocated.
static int read_loaded_page(void *context, uint64_t address, void *data, size_t len)
{
    const struct go_loaded_memory *loaded = context;
    int error = process_peek(loaded->process, address, data, len);
    if (error)
        error = image_read(loaded->image, address - loaded->image->bias, data, len);
    return error;
}

// As read_live(), with the file behind it.
static int read_loaded(void *context, uint64_t address, void *ret_data, size_t len)
{
    const struct go_loaded_memory *loaded = context;
    int error = process_peek(loaded->process, address, ret_data, len);
    return error ? read_by_pages(read_loaded_page, context, address, ret_data, len) : 0;
}

struct go_memory go_memory_of_loaded(struct go_loaded_memory *loaded)
{
    return (struct go_memory){read_loaded, loaded};
}

static int read_image(void *context, uint64_t address, void *ret_data, size_t len)
{
    return image_read(context, address, ret_data, len);
}

struct go_memory go_memory_of_image(const struct image *image)
{
    // The context of the interface is not const; image_read() takes it as const again.
    return (struct go_memory){read_image, (void *)(uintptr_t)image};
}

// Checked like memory of a process: nothing partial.
static int read_buffer(void *context, uint64_t address, void *ret_data, size_t len)
{
    const struct go_buffer_memory *buffer = context;
    if (address < buffer->base || address - buffer->base > buffer->len)
        return -ENXIO;
    size_t offset = (size_t)(address - buffer->base);
    if (len > buffer->len - offset)
        return -ENXIO;
    memcpy(ret_data, buffer->data + offset, len);
    return 0;
}

struct go_memory go_memory_of_buffer(struct go_buffer_memory *buffer)
{
    return (struct go_memory){read_buffer, buffer};
}

// Too large for the stack of a reader that nests two of them.
struct go_window *go_window_new(const struct go_memory *memory, uint64_t limit)
{
    struct go_window *window = malloc(sizeof *window);
    if (!window)
        return NULL;
    window->memory = memory;
    window->limit = limit;
    window->start = 0;
    window->len = 0;
    return window;
}

// Moves the window to `address`. A full window may reach into pages that cannot be read: then a
// page, then eight bytes are tried.
static int window_fill(struct go_window *window, uint64_t address)
{
    // Behind the limit is memory of somebody else.
    if (address >= window->limit)
        return -ENXIO;
    uint64_t left = window->limit - address;
    const size_t sizes[] = {GO_WINDOW_BYTES, 4096 - (size_t)(address & 4095), 8, 1};
    int error = -ENXIO;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i] < left ? sizes[i] : (size_t)left;
        error = go_memory_read(window->memory, address, window->data, size);
        window->start = address;
        window->len = error ? 0 : size;
        if (!error)
            return 0;
    }
    return error;
}

// The view lasts until the window moves.
int go_window_view(struct go_window *window, uint64_t address, const uint8_t **ret_data,
                   size_t *ret_len)
{
    if (address < window->start || address - window->start >= window->len) {
        int error = window_fill(window, address);
        if (error)
            return error;
    }
    size_t offset = (size_t)(address - window->start);
    *ret_data = window->data + offset;
    *ret_len = window->len - offset;
    return 0;
}

// Reads across the window's end move it on.
int go_window_read(struct go_window *window, uint64_t address, void *ret_data, size_t len)
{
    uint8_t *out = ret_data;
    while (len > 0) {
        const uint8_t *data;
        size_t available;
        int error = go_window_view(window, address, &data, &available);
        if (error)
            return error;
        size_t step = available < len ? available : len;
        memcpy(out, data, step);
        out += step;
        address += step;
        len -= step;
    }
    return 0;
}

// Not the clock of the day, which may be set.
uint64_t go_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Cheap enough for every window, not for every entry.
bool go_deadline_passed(uint64_t deadline_ns)
{
    return deadline_ns != 0 && go_now_ns() > deadline_ns;
}
