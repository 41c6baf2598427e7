// SPDX-License-Identifier: Apache-2.0
// Contents of an ELF file, by address and by search, see image.h. Tool world; no state.
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/image.h"

enum { WINDOW_BYTES = 256 << 10 };

// Segments of a hostile file may all cover the same huge hole.
static const uint64_t search_max_bytes = UINT64_C(1) << 30;

// Few sections: a walk is as quick as any index.
const struct image_section *image_section(const struct image *image, const char *name)
{
    for (size_t i = 0; i < image->section_count; i++) {
        // Names that had to be cut are longer than any that is asked for.
        if (strcmp(image->sections[i].name, name) == 0)
            return &image->sections[i];
    }
    return NULL;
}

// pread until all is there: a signal or a file system may cut a read short. The size is the one at
// opening, so that a file that grows does not change what it holds.
int image_read_at(const struct image *image, uint64_t offset, void *ret_data, size_t len)
{
    uint64_t end;
    if (__builtin_add_overflow(offset, (uint64_t)len, &end) || end > image->file_size)
        return -ENXIO;
    char *data = ret_data;
    while (len > 0) {
        ssize_t got = pread(image->fd, data, len, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        // Cut off since it was opened.
        if (got == 0)
            return -ENXIO;
        data += got;
        offset += (uint64_t)got;
        len -= (size_t)got;
    }
    return 0;
}

// Segments ascend, so those behind the address cannot hold it; they may overlap in a hostile file,
// where the first one that holds it all counts.
int image_read(const struct image *image, uint64_t linked_address, void *ret_data, size_t len)
{
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        if (linked_address < segment->address)
            break;
        // Compared by what is left, for a sum of address and length might wrap.
        uint64_t skip = linked_address - segment->address;
        if (skip <= segment->file_bytes && len <= segment->file_bytes - skip)
            return image_read_at(image, segment->offset + skip, ret_data, len);
    }
    return -ENXIO;
}

struct search {
    const struct image *image;
    const void *needle;
    size_t len;
    uint64_t budget_bytes;
    char *window;
};

// Looks through `size` bytes at `offset`. 0 and how far in; -ENOENT; -E2BIG; -errno.
static int search_range(struct search *search, uint64_t offset, uint64_t size, uint64_t *ret_at)
{
    // `kept` bytes of the last window are in front of this one.
    size_t kept = 0;
    uint64_t done = 0;
    while (done < size) {
        if (search->budget_bytes == 0)
            return -E2BIG;
        uint64_t take = size - done;
        if (take > WINDOW_BYTES - kept)
            take = WINDOW_BYTES - kept;
        // The budget ends the search in the middle of a window, if need be.
        if (take > search->budget_bytes)
            take = search->budget_bytes;
        int error = image_read_at(search->image, offset + done, search->window + kept, take);
        if (error)
            return error == -ENXIO ? -ENOENT : error;
        search->budget_bytes -= take;
        size_t filled = kept + (size_t)take;
        const char *hit = memmem(search->window, filled, search->needle, search->len);
        if (hit) {
            *ret_at = done - kept + (uint64_t)(hit - search->window);
            return 0;
        }
        // A match may begin in the last bytes of this window.
        done += take;
        kept = filled < search->len - 1 ? filled : search->len - 1;
        memmove(search->window, search->window + filled - kept, kept);
    }
    return -ENOENT;
}

// As search_range(), for contents that are linked at `address`, from the linked address `from` on.
static int search_linked(struct search *search, uint64_t address, uint64_t offset, uint64_t size,
                         uint64_t from, uint64_t *ret_address)
{
    // A start before the contents is a start at their beginning.
    uint64_t skip = from > address ? from - address : 0;
    if (skip >= size)
        return -ENOENT;
    uint64_t at;
    int error = search_range(search, offset + skip, size - skip, &at);
    if (!error)
        *ret_address = address + skip + at;
    return error;
}

// What of a segment is in the file; a cut file has less than it says.
static uint64_t segment_contents(const struct image *image, const struct image_segment *segment)
{
    if (segment->offset >= image->file_size)
        return 0;
    uint64_t room = image->file_size - segment->offset;
    return segment->file_bytes < room ? segment->file_bytes : room;
}

// In the order of addresses, so that a caller who goes on behind a match sees each one once.
static int search_segments(struct search *search, uint64_t from, uint64_t *ret_address)
{
    int error = -ENOENT;
    for (size_t i = 0; i < search->image->segment_count && error == -ENOENT; i++) {
        const struct image_segment *segment = &search->image->segments[i];
        error = search_linked(search, segment->address, segment->offset,
                              segment_contents(search->image, segment), from, ret_address);
    }
    return error;
}

// One window serves the whole search; the needle is far smaller, so each window brings something
// new.
int image_find_bytes(const struct image *image, const char *section, const void *needle, size_t len,
                     uint64_t from, uint64_t *ret_linked_address)
{
    // A longer needle would leave no room for anything new in a window.
    if (len == 0 || len > IMAGE_NEEDLE_MAX)
        return -EINVAL;
    // Contents that are compressed would have to be unpacked in memory: who needs them uses libdw.
    const struct image_section *in = section ? image_section(image, section) : NULL;
    if (section && (!in || in->type == SHT_NOBITS || (in->flags & SHF_COMPRESSED)))
        return -ENXIO;
    struct search search = {
        .image = image,
        .needle = needle,
        .len = len,
        .budget_bytes = search_max_bytes,
        .window = malloc(WINDOW_BYTES),
    };
    if (!search.window)
        return -ENOMEM;
    int error;
    if (in)
        error = search_linked(&search, in->address, in->offset, in->size, from, ret_linked_address);
    else
        error = search_segments(&search, from, ret_linked_address);
    free(search.window);
    return error;
}
