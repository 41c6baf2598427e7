// SPDX-License-Identifier: Apache-2.0
// Go's build information, see go_version.h. Tool world; no state.
#include "runtime/go/go_version.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "image/image.h"

static const char BUILDINFO_MAGIC[] = "\xff Go buildinf:";
enum {
    BUILDINFO_MAGIC_BYTES = sizeof BUILDINFO_MAGIC - 1,
    FLAG_BIG_ENDIAN = 1,
    FLAG_INLINE = 2,
    // Two 16-byte marks stand around the module information.
    SETTINGS_MARK_BYTES = 16,
    // Go's own are a dozen bytes; vendors add a suffix.
    VERSION_MAX_BYTES = 256,
};

// A string with its length in front as a varint. What is cut off by the buffer's end is left out.
static int take_string(const uint8_t *data, size_t len, size_t *offset, const char **ret_string,
                       size_t *ret_len)
{
    uint64_t size = 0;
    for (unsigned shift = 0;; shift += 7) {
        // Five bytes hold 35 bits: more is no length that Go writes.
        if (*offset >= len || shift > 28)
            return -EBADMSG;
        uint8_t byte = data[(*offset)++];
        size |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            break;
    }
    // Cut and not refused: the version stands in front, and is all that must be whole.
    size_t left = len - *offset;
    *ret_string = (const char *)data + *offset;
    *ret_len = size < left ? (size_t)size : left;
    *offset += *ret_len;
    return 0;
}

// Version and settings of an inline record are optional: what is cut off is left out.
int go_buildinfo_parse(const uint8_t *data, size_t len, struct go_buildinfo *ret_info)
{
    if (len < GO_BUILDINFO_HEADER_BYTES ||
        memcmp(data, BUILDINFO_MAGIC, BUILDINFO_MAGIC_BYTES) != 0)
        return -EBADMSG;
    // debug/buildinfo of Go: at 14 and 15, behind the magic.
    uint8_t pointer_size = data[14], flags = data[15];
    struct go_buildinfo info = {.is_inline = flags & FLAG_INLINE};
    if (!info.is_inline) {
        if (pointer_size != 8 || (flags & FLAG_BIG_ENDIAN))
            return -EBADMSG;
        memcpy(&info.version_pointer, data + 16, sizeof info.version_pointer);
        *ret_info = info;
        return 0;
    }
    size_t offset = GO_BUILDINFO_HEADER_BYTES;
    int error = take_string(data, len, &offset, &info.version, &info.version_len);
    if (error)
        return error;
    if (take_string(data, len, &offset, &info.settings, &info.settings_len) != 0 ||
        info.settings_len < SETTINGS_MARK_BYTES) {
        info.settings = NULL;
        info.settings_len = 0;
    } else {
        info.settings += SETTINGS_MARK_BYTES;
        info.settings_len -= SETTINGS_MARK_BYTES;
    }
    *ret_info = info;
    return 0;
}

// Bytes that a terminal would act on are replaced at once.
int go_version_parse(const char *text, size_t len, struct go_version *ret_version)
{
    struct text rest = {text, len};
    // A development build says "devel go1.20-abcdef": the version is not in front.
    const char *start = len >= 4 ? memmem(text, len, "go1.", 4) : NULL;
    if (!start)
        return -EBADMSG;
    rest = (struct text){start + 2, len - (size_t)(start + 2 - text)};
    struct go_version version = {0};
    struct text word;
    // A toolchain's own suffix follows a blank: "go1.19 X:arenas", "go1.22.1 (Red Hat 1.22.1-2)".
    if (!text_next_field(&rest, ' ', &word))
        return -EBADMSG;
    text_copy(word, version.text, sizeof version.text);
    for (char *byte = version.text; *byte; byte++) {
        if ((unsigned char)*byte < 0x21 || (unsigned char)*byte > 0x7e)
            *byte = '?';
    }
    if (text_take_prefix(&rest, "X:"))
        text_copy(rest, version.experiment, sizeof version.experiment);
    struct text number = text_of(version.text);
    // Go 2 would be another runtime: its minor number stays 0, which no table has.
    uint64_t minor = 0;
    if (text_take_prefix(&number, "1.") && text_take_u64(&number, &minor) && minor < 1000)
        version.minor = (unsigned)minor;
    *ret_version = version;
    return 0;
}

// One line each, in any order; unknown ones are skipped.
void go_version_add_settings(struct go_version *version, const char *settings, size_t len)
{
    // Lines of other modules ("dep", "mod") are of no interest.
    struct text rest = {settings, len}, line;
    while (text_next_line(&rest, &line)) {
        if (!text_take_prefix(&line, "build\t"))
            continue;
        version->has_settings = true;
        if (text_equals(line, "-race=true"))
            version->race = true;
        else if (text_take_prefix(&line, "GOEXPERIMENT="))
            text_copy(line, version->experiment, sizeof version->experiment);
    }
}

// Linked address of the build information. Sections may be stripped; the linker puts it on a
// 16-byte border at the start of the data segment.
static int buildinfo_find(const struct image *image, uint64_t *ret_address)
{
    const struct image_section *section = image_section(image, ".go.buildinfo");
    if (section) {
        *ret_address = section->address;
        return 0;
    }
    // With sections, but without this one, there is none: searching would find a copy in some text.
    if (image->section_count > 0)
        return -ENOENT;
    // The magic alone may be a constant of a program that reads Go's binaries.
    uint64_t from = 0, address;
    while (image_find_bytes(image, NULL, BUILDINFO_MAGIC, BUILDINFO_MAGIC_BYTES, from, &address) ==
           0) {
        if (address % 16 == 0) {
            *ret_address = address;
            return 0;
        }
        from = address + 1;
    }
    return -ENOENT;
}

// gccgo has none of these, and another runtime.
bool go_version_is_go(const struct image *image)
{
    if (!image->is_64bit)
        return false;
    static const char *const names[] = {".go.buildinfo", ".gopclntab", ".data.rel.ro.gopclntab",
                                        ".note.go.buildid"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (image_section(image, names[i]))
            return true;
    }
    uint64_t address;
    return image->section_count == 0 && image->is_main && buildinfo_find(image, &address) == 0;
}

// Reads a constant of the image by run-time address: from memory, or from the file where the pages
// were never touched.
static int read_constant(const struct image *image, struct process *process, uint64_t address,
                         void *ret_data, size_t len)
{
    struct go_loaded_memory loaded = {process, image};
    struct go_memory memory = go_memory_of_loaded(&loaded);
    return go_memory_read(&memory, address, ret_data, len);
}

// Follows the pointer to a Go string that 1.13-1.17 keep.
static int read_pointed_version(const struct image *image, struct process *process,
                                uint64_t pointer, struct go_version *ret_version)
{
    uint64_t string[2];
    char text[VERSION_MAX_BYTES];
    int error = read_constant(image, process, pointer, string, sizeof string);
    if (error)
        return error;
    // A Go string: pointer and length.
    if (string[1] == 0 || string[1] > sizeof text)
        return -EBADMSG;
    error = read_constant(image, process, string[0], text, (size_t)string[1]);
    return error ? error : go_version_parse(text, (size_t)string[1], ret_version);
}

// 1.11 and 1.12 have no build information: runtime.buildVersion by its symbol, or, stripped, the
// version as it stands among the strings, where only the minor number can be told from what follows
// it.
static int read_old_version(const struct image *image, struct process *process,
                            struct go_version *ret_version)
{
    static const char *const name = "runtime.buildVersion";
    struct image_symbol symbol;
    if (image_find_symbols(image, &name, 1, &symbol) == 1 &&
        read_pointed_version(image, process, symbol.value + image->bias, ret_version) == 0)
        return 0;
    // 1.13 too, for images of it that have lost their build information.
    static const char *const minors[] = {"go1.11", "go1.12", "go1.13"};
    for (size_t i = 0; i < sizeof minors / sizeof minors[0]; i++) {
        uint64_t address;
        if (image_find_bytes(image, ".rodata", minors[i], strlen(minors[i]), 0, &address) == 0)
            return go_version_parse(minors[i], strlen(minors[i]), ret_version);
    }
    return -ENOENT;
}

// Settings list every module of the program, and matter less the longer they are.
static int read_inline(const struct image *image, uint64_t address, struct go_version *ret_version)
{
    const struct image_section *section = image_section(image, ".go.buildinfo");
    size_t size = GO_BUILDINFO_MAX_BYTES;
    if (section && section->size < size)
        size = (size_t)section->size;
    uint8_t *data = malloc(size ? size : 1);
    if (!data)
        return -ENOMEM;
    // Without a section the size is unknown: halve until it fits into the segment.
    int error = image_read(image, address, data, size);
    while (error && size > 2 * VERSION_MAX_BYTES) {
        size /= 2;
        error = image_read(image, address, data, size);
    }
    struct go_buildinfo info = {0};
    if (!error)
        error = go_buildinfo_parse(data, size, &info);
    // The header was read before, from memory; the file need not say the same.
    if (!error && !info.is_inline)
        error = -EBADMSG;
    if (!error)
        error = go_version_parse(info.version, info.version_len, ret_version);
    if (!error && info.settings)
        go_version_add_settings(ret_version, info.settings, info.settings_len);
    free(data);
    return error;
}

// The file is the first choice: its pages are there whether or not the target has touched them.
int go_version_read(const struct image *image, struct process *process,
                    struct go_version *ret_version)
{
    uint64_t address;
    int error = buildinfo_find(image, &address);
    if (error)
        return go_version_is_go(image) ? read_old_version(image, process, ret_version) : -ENOENT;
    uint8_t header[GO_BUILDINFO_HEADER_BYTES];
    struct go_buildinfo info;
    error = read_constant(image, process, address + image->bias, header, sizeof header);
    if (error)
        return error;
    // The strings of an inline header are behind it: the header alone cannot be parsed then.
    if (memcmp(header, BUILDINFO_MAGIC, BUILDINFO_MAGIC_BYTES) != 0)
        return -EBADMSG;
    if (header[15] & FLAG_INLINE)
        return read_inline(image, address, ret_version);
    error = go_buildinfo_parse(header, sizeof header, &info);
    return error ? error : read_pointed_version(image, process, info.version_pointer, ret_version);
}
