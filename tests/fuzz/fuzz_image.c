// SPDX-License-Identifier: Apache-2.0
// The reader of ELF files: headers, contents, symbols and search. Test code.
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes);

static void check_tables(const struct image *image)
{
    if (image->low >= image->high || image->segment_count == 0 ||
        image->section_count > IMAGE_SECTIONS_MAX || image->build_id_len > IMAGE_BUILD_ID_MAX)
        abort();
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        if (segment->file_bytes > segment->memory_bytes || segment->address < image->low ||
            segment->address + segment->memory_bytes > image->high)
            abort();
        if (i > 0 && segment->address < segment[-1].address)
            abort();
    }
}

static void use_image(const struct image *image)
{
    static const char *const names[] = {"main", "malloc", "x", "data_start", "_IO_stdin_used"};
    struct image_symbol symbols[5];
    char bytes[64];
    uint64_t address = 0;
    check_tables(image);
    image_find_symbols(image, names, 5, symbols);
    image_find_symbols(image, (const char *const[]){"*ain"}, 1, symbols);
    image_find_bytes(image, ".rodata", "hello", 5, 0, &address);
    if (image_find_bytes(image, NULL, "lib", 3, address, &address) == 0) {
        // What was found by search must be there by address, unless segments overlap.
        image_read(image, address, bytes, 3);
    }
    image_read(image, image->entry, bytes, sizeof bytes);
    image_read(image, image->high - 1, bytes, sizeof bytes);
    image_read_at(image, UINT64_MAX - 3, bytes, sizeof bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length_bytes)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, length_bytes) != (ssize_t)length_bytes)
        abort();
    struct image image;
    if (image_open_fd(fd, &image) != 0) {
        close(fd);
        return 0;
    }
    use_image(&image);
    image_close(&image);
    return 0;
}
