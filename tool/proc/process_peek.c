// SPDX-License-Identifier: Apache-2.0
// Reading a target's memory without bringing a page of it in, see process.h. Tool world; one
// thread.
//
// Reading /proc/PID/mem faults absent pages in, on behalf of the target. So every page is looked up
// in pagemap first, and what is not present is not read.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "proc/process_internal.h"

// Documentation/admin-guide/mm/pagemap.rst: bit 63 present, bit 62 swapped.
static const uint64_t entry_present = UINT64_C(1) << 63;
static const uint64_t entry_swapped = UINT64_C(1) << 62;

// A page that was present may be taken at any time: old knowledge would fault it in again.
enum { WINDOW_LIFE_MS = 8 };

// Of one call for many: no more are worth it, and they take 3 KiB of stack.
enum { PEEK_PIECES = 64 };

// The coarse clock costs a few nanoseconds and is right to a tick (1 to 10 ms), which the life of
// a window allows for.
static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// Guard pages and pages on their way elsewhere have the swap bit, and reading them would wait or
// fail.
static bool entry_is_resident(uint64_t entry)
{
    return (entry & (entry_present | entry_swapped)) == entry_present;
}

// The address space is empty where it should not be: say why.
static int gone_error(const struct process *process)
{
    int error = process_check(process);
    return error ? error : -ESTALE;
}

// The offset has been proved to be positive.
static ssize_t pread_retry(int fd, void *data, size_t len, uint64_t offset)
{
    ssize_t got;
    do
        got = pread(fd, data, len, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got;
}

// Opened when first needed: most commands read text files only, and the right to this one is the
// rarest.
static int open_memory(struct process *process)
{
    if (process->mem_fd >= 0)
        return 0;
    if (process->mem_error)
        return process->mem_error;
    if (process->pagemap_fd < 0)
        return process->pagemap_error;
    if (!process->windows)
        process->windows = calloc(PEEK_WINDOWS, sizeof *process->windows);
    if (!process->windows)
        return -ENOMEM;
    int fd = openat(process->dir_fd, "mem", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int error = errno == EACCES || errno == EPERM ? -EPERM : -errno;
        // A process that ended answers ENOENT too, and a zombie EPERM to all but root: neither must
        // pass for a tree without mem or for a want of rights.
        if ((error == -ENOENT || error == -EPERM) && process_check(process))
            error = gone_error(process);
        process->mem_error = error;
        return error;
    }
    // Opened after an exec, it would be another program's memory.
    if (!process_has_same_memory(process)) {
        close(fd);
        process->mem_error = gone_error(process);
        return process->mem_error;
    }
    process->mem_fd = fd;
    return 0;
}

// Reads `count` pagemap entries; *ret_got may be less at the end of the address space.
static int read_entries(struct process *process, uint64_t first_page, uint64_t *entries,
                        size_t count, size_t *ret_got)
{
    ssize_t got = pread_retry(process->pagemap_fd, entries, count * sizeof *entries,
                              first_page * sizeof *entries);
    if (got < 0)
        return errno == EINVAL ? -EFAULT : -errno;
    if (got == 0)
        return process_has_same_memory(process) ? -EFAULT : gone_error(process);
    *ret_got = (size_t)got / sizeof *entries;
    return 0;
}

// Loads the block around entry `at`, or all entries when the window is already in use.
static int load_window(struct process *process, struct peek_window *window, size_t at, bool whole)
{
    size_t begin = whole ? 0 : at - at % PEEK_BLOCK_PAGES;
    size_t count = whole ? PEEK_WINDOW_PAGES : PEEK_BLOCK_PAGES;
    window->end = 0;
    size_t got;
    int error =
        read_entries(process, window->first_page + begin, window->entries + begin, count, &got);
    if (error)
        return error;
    window->begin = begin;
    window->end = begin + got;
    return 0;
}

// 0 when the page is in memory, -ENODATA when not.
static int check_page(struct process *process, uint64_t page)
{
    uint64_t first_page = page - page % PEEK_WINDOW_PAGES;
    size_t at = (size_t)(page - first_page);
    struct peek_window *window = &process->windows[first_page / PEEK_WINDOW_PAGES % PEEK_WINDOWS];
    uint64_t now = now_ms();
    bool same = window->end > 0 && window->first_page == first_page;
    bool fresh = same && now - window->read_at_ms < WINDOW_LIFE_MS;
    size_t got;
    int error = 0;
    if (!fresh || at < window->begin || at >= window->end) {
        window->first_page = first_page;
        error = load_window(process, window, at, same);
        window->read_at_ms = now;
    } else if (!entry_is_resident(window->entries[at])) {
        // The target may have touched it since; one entry is cheap to read again.
        error = read_entries(process, page, &window->entries[at], 1, &got);
    }
    if (error)
        return error;
    if (at >= window->end)
        return -EFAULT;
    return entry_is_resident(window->entries[at]) ? 0 : -ENODATA;
}

// A short read is a page that went away; the next turn says why.
static int read_memory(struct process *process, uint64_t address, char *data, size_t len)
{
    while (len > 0) {
        ssize_t got = pread_retry(process->mem_fd, data, len, address);
        if (got == 0)
            return process->is_procfs ? gone_error(process) : -EFAULT;
        if (got < 0)
            return errno == ESRCH ? gone_error(process) : errno == EIO ? -EFAULT : -errno;
        address += (uint64_t)got;
        data += got;
        len -= (size_t)got;
    }
    return 0;
}

// Looking up and reading alternate, so that a long read does not trust old knowledge.
int process_peek(struct process *process, uint64_t address, void *ret_data, size_t len)
{
    // Offsets are signed, and the upper half is the kernel's anyway.
    if (len > INT64_MAX || address > (uint64_t)INT64_MAX - len)
        return -EFAULT;
    int error = open_memory(process);
    char *data = ret_data;
    while (!error && len > 0) {
        // Check and read go window by window, so that what is read was looked up just now.
        uint64_t window_bytes = PEEK_WINDOW_PAGES * process->page_bytes;
        uint64_t room = window_bytes - address % window_bytes;
        size_t take = len < room ? len : (size_t)room;
        uint64_t last_page = (address + take - 1) / process->page_bytes;
        for (uint64_t page = address / process->page_bytes; !error && page <= last_page; page++)
            error = check_page(process, page);
        if (!error)
            error = read_memory(process, address, data, take);
        address += take;
        data += take;
        len -= take;
    }
    return error;
}

// Pieces that are fetched by one call.
struct peek_batch {
    struct iovec local[PEEK_PIECES], remote[PEEK_PIECES];
    bool *present[PEEK_PIECES];
    size_t count;
};

// By one call where the kernel lets us. It goes by number, and after an exec that is other memory:
// what is read while the old one is still in use is the old one's.
static bool batch_read_at_once(struct process *process, const struct peek_batch *batch, size_t len)
{
    ssize_t got = process->is_live ? process_vm_readv(process->pid, batch->local, batch->count,
                                                      batch->remote, batch->count, 0)
                                   : -1;
    return got >= 0 && (size_t)got == batch->count * len && process_has_same_memory(process);
}

// One by one it tells which of them cannot be read, and why.
static int batch_read(struct process *process, const struct peek_batch *batch, size_t len)
{
    if (batch->count == 0 || batch_read_at_once(process, batch, len))
        return 0;
    for (size_t i = 0; i < batch->count; i++) {
        uint64_t address = (uintptr_t)batch->remote[i].iov_base;
        int error = read_memory(process, address, batch->local[i].iov_base, len);
        if (error && error != -EFAULT)
            return error;
        *batch->present[i] = !error;
    }
    return 0;
}

// Adds the piece where its page is in memory.
static int batch_add(struct process *process, struct peek_batch *batch, uint64_t address,
                     size_t len, void *data, bool *ret_present)
{
    *ret_present = false;
    if (address > (uint64_t)INT64_MAX - len)
        return 0;
    int error = check_page(process, address / process->page_bytes);
    if (error)
        return error == -ENODATA || error == -EFAULT ? 0 : error;
    *ret_present = true;
    batch->local[batch->count] = (struct iovec){data, len};
    batch->remote[batch->count] = (struct iovec){(void *)(uintptr_t)address, len};
    batch->present[batch->count++] = ret_present;
    return 0;
}

int process_peek_each(struct process *process, uint64_t address, uint64_t stride, size_t count,
                      size_t len, void *ret_data, bool *ret_present)
{
    int error = open_memory(process);
    char *data = ret_data;
    for (size_t done = 0; !error && done < count;) {
        struct peek_batch batch = {.count = 0};
        // Looking up and reading alternate here as well.
        for (size_t i = 0; !error && i < PEEK_PIECES && done < count; i++, done++)
            error = batch_add(process, &batch, address + done * stride, len, data + done * len,
                              &ret_present[done]);
        if (!error)
            error = batch_read(process, &batch, len);
    }
    return error;
}

// The caller's word stays as it was unless all of it was read.
int process_peek_u64(struct process *process, uint64_t address, uint64_t *ret_value)
{
    uint64_t value;
    int error = process_peek(process, address, &value, sizeof value);
    if (!error)
        *ret_value = value;
    return error;
}

// As above.
int process_peek_u32(struct process *process, uint64_t address, uint32_t *ret_value)
{
    uint32_t value;
    int error = process_peek(process, address, &value, sizeof value);
    if (!error)
        *ret_value = value;
    return error;
}

int process_peek_string(struct process *process, uint64_t address, char *ret_string, size_t size)
{
    size_t len = 0;
    while (len < size) {
        // The page after the string's end need not be there.
        uint64_t room = process->page_bytes - (address + len) % process->page_bytes;
        size_t take = size - len < room ? size - len : (size_t)room;
        int error = process_peek(process, address + len, ret_string + len, take);
        if (error)
            return error;
        if (memchr(ret_string + len, '\0', take))
            return 0;
        len += take;
    }
    return -E2BIG;
}

// The entries themselves may stay: a window without an end is never looked into.
void process_forget_residency(struct process *process)
{
    for (size_t i = 0; process->windows && i < PEEK_WINDOWS; i++)
        process->windows[i].end = 0;
}
