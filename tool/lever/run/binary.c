// SPDX-License-Identifier: Apache-2.0
// Facts of an ELF file before it runs, see binary.h. Tool world; no state.
//
// Files are read in bounded pieces through tool/image, and every field is doubted: a command may be
// anybody's file.
#include "lever/run/binary.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "image/image.h"
#include "runtime/locate.h"
#include "runtime/settings.h"

enum { INTERPRETER_MAX = 4096, DYNAMIC_MAX = 1024, NAME_MAX_BYTES = 256 };

// Both classes' program header, as far as it is of interest.
struct segment {
    uint32_t type;
    uint64_t offset, size;
};

// One header by its offset, as one struct for both classes.
static bool read_segment(const struct image *image, uint64_t offset, struct segment *ret)
{
    // The fields stand in another order in each class.
    Elf64_Phdr wide;
    Elf32_Phdr narrow;
    if (image->is_64bit) {
        if (image_read_at(image, offset, &wide, sizeof wide))
            return false;
        *ret = (struct segment){wide.p_type, wide.p_offset, wide.p_filesz};
        return true;
    }
    if (image_read_at(image, offset, &narrow, sizeof narrow))
        return false;
    *ret = (struct segment){narrow.p_type, narrow.p_offset, narrow.p_filesz};
    return true;
}

// The first segment of a type. image_open_fd() has seen to it that the table is sound.
static bool find_segment(const struct image *image, uint32_t type, struct segment *ret)
{
    Elf64_Ehdr wide;
    Elf32_Ehdr narrow;
    uint64_t offset, size;
    unsigned count;
    if (image->is_64bit) {
        if (image_read_at(image, 0, &wide, sizeof wide))
            return false;
        offset = wide.e_phoff, count = wide.e_phnum, size = sizeof(Elf64_Phdr);
    } else {
        if (image_read_at(image, 0, &narrow, sizeof narrow))
            return false;
        offset = narrow.e_phoff, count = narrow.e_phnum, size = sizeof(Elf32_Phdr);
    }
    // A table of at most IMAGE_SEGMENTS_MAX entries, since a longer one was refused.
    for (unsigned i = 0; i < count; i++) {
        uint64_t at;
        if (__builtin_add_overflow(offset, i * size, &at) || !read_segment(image, at, ret))
            return false;
        if (ret->type == type)
            return true;
    }
    return false;
}

// A string of the file by linked address, cut to `size`.
static bool read_name(const struct image *image, uint64_t address, char *ret_name, size_t size)
{
    // Byte by byte: names are short, and a longer read could leave the segment.
    for (size_t i = 0; i + 1 < size; i++) {
        if (image_read(image, address + i, &ret_name[i], 1))
            return false;
        if (ret_name[i] == '\0')
            return true;
    }
    return false;
}

// Both classes' entry of the dynamic section.
struct dynamic {
    int64_t tag;
    uint64_t value;
};

// Entry number `index`; false at the end of the table, or of the file.
static bool read_dynamic(const struct image *image, const struct segment *segment, size_t index,
                         struct dynamic *ret)
{
    Elf64_Dyn wide;
    Elf32_Dyn narrow;
    size_t size = image->is_64bit ? sizeof wide : sizeof narrow;
    uint64_t at;
    if (index >= segment->size / size || __builtin_add_overflow(segment->offset, index * size, &at))
        return false;
    if (image->is_64bit && image_read_at(image, at, &wide, sizeof wide) == 0)
        *ret = (struct dynamic){wide.d_tag, wide.d_un.d_val};
    else if (!image->is_64bit && image_read_at(image, at, &narrow, sizeof narrow) == 0)
        *ret = (struct dynamic){narrow.d_tag, narrow.d_un.d_val};
    else
        return false;
    return ret->tag != DT_NULL;
}

// By the soname of the C library itself, which every shared library needs.
static enum binary_libc libc_of_name(const char *name)
{
    if (strncmp(name, "libc.musl", 9) == 0 || strcmp(name, "libc.so") == 0)
        return BINARY_LIBC_MUSL;
    // Debian's glibc is libc.so.6, on some machines libc.so.6.1.
    return strncmp(name, "libc.so.6", 9) == 0 ? BINARY_LIBC_GLIBC : BINARY_LIBC_UNKNOWN;
}

// A library says by what it needs which C library it is made for.
static enum binary_libc libc_by_needs(const struct image *image)
{
    struct segment segment;
    struct dynamic entry;
    // Names are offsets into a table that may be told of behind them: two passes.
    uint64_t strings = 0;
    if (!find_segment(image, PT_DYNAMIC, &segment))
        return BINARY_LIBC_UNKNOWN;
    for (size_t i = 0; i < DYNAMIC_MAX && read_dynamic(image, &segment, i, &entry); i++) {
        if (entry.tag == DT_STRTAB)
            strings = entry.value;
    }
    enum binary_libc libc = BINARY_LIBC_UNKNOWN;
    for (size_t i = 0; strings && libc == BINARY_LIBC_UNKNOWN && i < DYNAMIC_MAX &&
                       read_dynamic(image, &segment, i, &entry);
         i++) {
        char name[NAME_MAX_BYTES];
        if (entry.tag == DT_NEEDED && read_name(image, strings + entry.value, name, sizeof name))
            libc = libc_of_name(name);
    }
    return libc;
}

// A program says by its loader.
static enum binary_libc libc_by_loader(const struct image *image, bool *ret_has_loader)
{
    struct segment segment;
    char path[INTERPRETER_MAX] = "";
    *ret_has_loader = find_segment(image, PT_INTERP, &segment);
    if (!*ret_has_loader || segment.size == 0 || segment.size >= sizeof path ||
        image_read_at(image, segment.offset, path, segment.size))
        return BINARY_LIBC_UNKNOWN;
    // "/lib/ld-musl-x86_64.so.1", "/lib64/ld-linux-x86-64.so.2", "/lib/ld.so.1".
    const char *name = locate_file_name(path);
    if (strncmp(name, "ld-musl", 7) == 0)
        return BINARY_LIBC_MUSL;
    return strncmp(name, "ld-linux", 8) == 0 || strncmp(name, "ld.so", 5) == 0
               ? BINARY_LIBC_GLIBC
               : BINARY_LIBC_UNKNOWN;
}

// Adds the name that ends at `end`, an address behind "MALLOC_CONF": its prefix is what stands
// between it and the NUL of the string before.
static void add_variable(struct binary *binary, const struct image *image, uint64_t address)
{
    // With the NUL behind it, so that the whole name is copied at once.
    static const char tail[] = "MALLOC_CONF";
    char name[BINARY_VARIABLE_MAX];
    // Backwards, as far as a name of a variable can reach.
    size_t prefix = 0, most = sizeof(name) - sizeof(tail);
    char byte;
    while (prefix < most && image_read(image, address - prefix - 1, &byte, 1) == 0 &&
           (isupper((unsigned char)byte) || isdigit((unsigned char)byte) || byte == '_'))
        prefix++;
    if (image_read(image, address - prefix, name, prefix + sizeof(tail)))
        return;
    // A text may be there twice: once for the name, once in a message.
    for (unsigned i = 0; i < binary->conf_variable_count; i++) {
        if (strcmp(binary->conf_variables[i], name) == 0)
            return;
    }
    if (binary->conf_variable_count < BINARY_VARIABLES_MAX)
        text_copy(text_of(name), binary->conf_variables[binary->conf_variable_count++],
                  BINARY_VARIABLE_MAX);
}

// A window of the read-only data that holds jemalloc's version ends the search.
static bool visit_version(void *context, const char *data, size_t len, uint64_t linked_address)
{
    (void)linked_address;
    struct text text;
    struct setting_version version;
    if (!settings_find_jemalloc_version(data, len, &text) || !setting_version_parse(text, &version))
        return false;
    *(unsigned *)context = version.major;
    return true;
}

// Every jemalloc has the name of its variable in its read-only data, with the prefix that it was
// built with.
static void find_jemalloc(struct binary *binary, const struct image *image)
{
    static const char needle[] = "MALLOC_CONF";
    enum { OVERLAP = 128, HITS_MAX = 16 };
    // Each hit is behind the last one, so that the loop ends even without its bound.
    uint64_t from = 0, address;
    // With the NUL at its end: other texts speak of the variable.
    for (int i = 0; i < HITS_MAX &&
                    image_find_bytes(image, ".rodata", needle, sizeof(needle), from, &address) == 0;
         i++) {
        add_variable(binary, image, address);
        from = address + 1;
    }
    if (binary->conf_variable_count > 0)
        locate_scan(image, ".rodata", OVERLAP, visit_version, &binary->jemalloc_major);
}

int binary_read(int fd, struct binary *ret_binary)
{
    // The image owns its descriptor.
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return -errno;
    struct image image = {0};
    int error = image_open_fd(own, &image);
    if (error) {
        close(own);
        return error;
    }
    // What follows is best effort: a fact that cannot be read stays unknown.
    struct binary binary = {.machine = image.machine, .is_64bit = image.is_64bit};
    bool has_loader;
    binary.libc = libc_by_loader(&image, &has_loader);
    binary.is_static = !has_loader;
    if (!has_loader)
        binary.libc = libc_by_needs(&image);
    // The sections of a Go program are there in stripped ones too.
    binary.is_go = image_section(&image, ".go.buildinfo") || image_section(&image, ".gopclntab") ||
                   image_section(&image, ".note.go.buildid");
    // A Go program may be large, and has jemalloc in it only by way of cgo.
    if (!binary.is_go)
        find_jemalloc(&binary, &image);
    image_close(&image);
    *ret_binary = binary;
    return 0;
}

// The names that packages and documents use.
void binary_format_machine(const struct binary *binary, char *ret_text, unsigned long size)
{
    const char *name = NULL;
    switch (binary->machine) {
    case EM_X86_64:
        name = binary->is_64bit ? "x86-64" : "x32";
        break;
    case EM_386:
        name = "i386";
        break;
    case EM_AARCH64:
        name = "aarch64";
        break;
    case EM_ARM:
        name = "arm";
        break;
    default:
        break;
    }
    // What has no name here is told by its number, which readelf shows as well.
    if (name)
        text_copy(text_of(name), ret_text, size);
    else
        text_format(ret_text, size, "ELF machine %u, %u bit", binary->machine,
                    binary->is_64bit ? 64U : 32U);
}

// Debian's multiarch tuples; elsewhere such folders are not there, which does no harm.
const char *binary_library_folder(const struct binary *binary)
{
    switch (binary->machine) {
    case EM_X86_64:
        return binary->is_64bit ? "x86_64-linux-gnu" : "x86_64-linux-gnux32";
    case EM_386:
        return "i386-linux-gnu";
    case EM_AARCH64:
        return "aarch64-linux-gnu";
    case EM_ARM:
        return "arm-linux-gnueabihf";
    default:
        return NULL;
    }
}

// What does not say for which C library it is made is given the benefit of the doubt.
bool binary_fits(const struct binary *library, const struct binary *program)
{
    bool same_libc = library->libc == BINARY_LIBC_UNKNOWN || program->libc == BINARY_LIBC_UNKNOWN ||
                     library->libc == program->libc;
    return library->machine == program->machine && library->is_64bit == program->is_64bit &&
           same_libc;
}
