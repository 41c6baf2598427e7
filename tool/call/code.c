// SPDX-License-Identifier: Apache-2.0
// Instructions of the target, see code.h. Tool world; no state.
#include "call/code.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/text.h"

enum { WINDOW_BYTES = 64 << 10, SEARCHED_MAX_BYTES = 64 << 20 };

struct search {
    pid_t pid;
    struct frame_code *code;
    int error; // of reading the target's memory, where that is forbidden
    uint8_t window[WINDOW_BYTES];
};

// The addresses are the target's: they are no pointers of ours.
static struct iovec remote_at(uint64_t address, size_t len)
{
    return (struct iovec){(void *)(uintptr_t)address, len};
}

// Short reads are none: what was asked for is needed whole.
int code_read_memory(pid_t pid, uint64_t address, void *ret_data, size_t len)
{
    struct iovec local = {ret_data, len}, remote = remote_at(address, len);
    ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    if (got < 0)
        return -errno;
    return (size_t)got == len ? 0 : -EFAULT;
}

// process_vm_writev() respects what is read-only, which /proc/PID/mem does not.
int code_write_memory(pid_t pid, uint64_t address, const void *data, size_t len)
{
    struct iovec local = {(void *)(uintptr_t)data, len};
    struct iovec remote = remote_at(address, len);
    ssize_t put = process_vm_writev(pid, &local, 1, &remote, 1, 0);
    if (put < 0)
        return -errno;
    return (size_t)put == len ? 0 : -EFAULT;
}

// What the file says must also be what the thread will execute: code may be patched at run time.
static bool is_live(struct search *search, uint64_t address, const uint8_t *code, size_t len)
{
    uint8_t live[FRAME_CODE_BYTES];
    int error = code_read_memory(search->pid, address, live, len);
    if (error && error != -EFAULT)
        search->error = error;
    return !error && memcmp(live, code, len) == 0;
}

// Nothing more to look for.
static bool has_all(const struct frame_code *code)
{
    return code->restorer && code->value.address && code->word.address;
}

// One place may serve for several, and the first of each kind is taken.
static void look_at(struct search *search, const uint8_t *at, size_t len, uint64_t address)
{
    struct frame_code *code = search->code;
    struct frame_store store;
    if (!code->restorer && frame_parse_restorer(at, len) && is_live(search, address, at, len))
        code->restorer = address;
    if (!code->value.address && frame_parse_value_store(at, len, &store) &&
        is_live(search, address, at, len)) {
        code->value = store;
        code->value.address = address;
    }
    if (!code->word.address && frame_parse_word_store(at, len, &store) &&
        is_live(search, address, at, len)) {
        code->word = store;
        code->word.address = address;
    }
}

// A window at a time; gadgets across a border are seen in the next one, which begins earlier.
static int search_segment(struct search *search, const struct image *image,
                          const struct image_segment *segment)
{
    uint64_t bytes = segment->file_bytes;
    if (bytes > SEARCHED_MAX_BYTES)
        bytes = SEARCHED_MAX_BYTES;
    for (uint64_t done = 0; done < bytes && !has_all(search->code) && !search->error;) {
        // No more than the segment has in the file: what is behind it is other things.
        size_t take = bytes - done < WINDOW_BYTES ? (size_t)(bytes - done) : WINDOW_BYTES;
        int error = image_read_at(image, segment->offset + done, search->window, take);
        if (error)
            return error;
        for (size_t i = 0; i < take && !has_all(search->code); i++) {
            size_t len = take - i < FRAME_CODE_BYTES ? take - i : FRAME_CODE_BYTES;
            look_at(search, search->window + i, len, image->bias + segment->address + done + i);
        }
        if (done + take >= bytes)
            break;
        done += take - FRAME_CODE_BYTES;
    }
    return search->error;
}

// Code of another architecture would be found and mean something else.
static int search_image(struct search *search, const struct image *image)
{
    if (image->machine != EM_X86_64 || !image->is_64bit)
        return 0;
    for (size_t i = 0; i < image->segment_count && !has_all(search->code); i++) {
        if (!(image->segments[i].flags & PF_X))
            continue;
        int error = search_segment(search, image, &image->segments[i]);
        // A file that was cut since it was mapped has nothing more.
        if (error && error != -ENXIO)
            return error;
    }
    return 0;
}

// The C library has them all, and is small.
static bool is_c_library(const struct image *image)
{
    struct text name = text_base_name(text_of(image->path));
    return text_starts_with(name, "libc.so") || text_starts_with(name, "libc-") ||
           text_starts_with(name, "ld-musl") || text_starts_with(name, "libc.musl");
}

// The window is too large for a stack.
int code_find(pid_t pid, const struct images *images, struct frame_code *ret_code)
{
    struct frame_code code = {0};
    struct search *search = malloc(sizeof *search);
    if (!search)
        return -ENOMEM;
    search->pid = pid;
    search->code = &code;
    search->error = 0;
    int error = 0;
    // First round: the C library. Second: all others.
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < images->count && !error && !has_all(&code); i++)
            if (is_c_library(&images->items[i]) == (round == 0))
                error = search_image(search, &images->items[i]);
    free(search);
    if (error)
        return error;
    if (!code.restorer)
        return -ENOENT;
    *ret_code = code;
    return 0;
}
