// SPDX-License-Identifier: Apache-2.0
// The headers of an ELF file, see image.h. Tool world; no state.
//
// An own reader, since the file is hostile and may be huge: a few bounded preads, each field
// checked, nothing mapped. Both classes, little endian only.
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "image/image.h"

enum {
    // Names of sections take a few hundred bytes; notes of a core library some kilobytes.
    NAMES_MAX = 64 << 10,
    NOTES_MAX = 64 << 10,
    NOTE_SEGMENTS_MAX = 8,
    DYNAMIC_MAX = 4096,
};

// User addresses end far below; a wider span would be a lie that breaks sums later.
static const uint64_t span_max = UINT64_C(1) << 56;

// What both classes have in their file header.
struct elf_header {
    uint16_t type, machine;
    uint64_t entry, program_offset, section_offset;
    uint32_t program_count, program_size, section_count, section_size, names_index;
};

// The shorter header is read first: a file that holds no more is still a sound 32-bit one, and the
// class byte stands at the same place in both.
static int read_header(struct image *image, struct elf_header *ret)
{
    union {
        unsigned char ident[EI_NIDENT];
        Elf64_Ehdr e64;
        Elf32_Ehdr e32;
    } raw = {{0}};
    int error = image_read_at(image, 0, &raw, sizeof raw.e32);
    if (error)
        return error == -ENXIO ? -ENOEXEC : error;
    // Nothing behind the identification may be read before byte order and class are known.
    bool is_elf = memcmp(raw.ident, ELFMAG, SELFMAG) == 0 && raw.ident[EI_DATA] == ELFDATA2LSB;
    if (!is_elf || (raw.ident[EI_CLASS] != ELFCLASS64 && raw.ident[EI_CLASS] != ELFCLASS32))
        return -ENOEXEC;
    image->is_64bit = raw.ident[EI_CLASS] == ELFCLASS64;
    if (!image->is_64bit) {
        *ret = (struct elf_header){
            raw.e32.e_type,      raw.e32.e_machine,  raw.e32.e_entry,     raw.e32.e_phoff,
            raw.e32.e_shoff,     raw.e32.e_phnum,    raw.e32.e_phentsize, raw.e32.e_shnum,
            raw.e32.e_shentsize, raw.e32.e_shstrndx,
        };
        return 0;
    }
    // Both headers begin alike, so the longer one is read over the shorter.
    if (image_read_at(image, 0, &raw, sizeof raw.e64))
        return -ENOEXEC;
    *ret = (struct elf_header){
        raw.e64.e_type,      raw.e64.e_machine,  raw.e64.e_entry,     raw.e64.e_phoff,
        raw.e64.e_shoff,     raw.e64.e_phnum,    raw.e64.e_phentsize, raw.e64.e_shnum,
        raw.e64.e_shentsize, raw.e64.e_shstrndx,
    };
    return 0;
}

// Widens `count` program headers in place of what a 32-bit file has.
static void widen_program_headers(const Elf32_Phdr *narrow, size_t count, Elf64_Phdr *wide)
{
    for (size_t i = 0; i < count; i++)
        wide[i] = (Elf64_Phdr){
            .p_type = narrow[i].p_type,
            .p_flags = narrow[i].p_flags,
            .p_offset = narrow[i].p_offset,
            .p_vaddr = narrow[i].p_vaddr,
            .p_filesz = narrow[i].p_filesz,
            .p_memsz = narrow[i].p_memsz,
            .p_align = narrow[i].p_align,
        };
}

// All of them at once, widened where needed. A count or an entry size that no linker writes is
// refused here, so that nobody behind has to doubt them.
static int read_program_headers(const struct image *image, const struct elf_header *header,
                                Elf64_Phdr *ret_headers)
{
    size_t count = header->program_count;
    size_t size = image->is_64bit ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (count == 0 || count > IMAGE_SEGMENTS_MAX || header->program_size != size)
        return -ENOEXEC;
    if (image->is_64bit)
        return image_read_at(image, header->program_offset, ret_headers, count * size);
    // The order of the fields differs, not just their width.
    Elf32_Phdr narrow[IMAGE_SEGMENTS_MAX];
    int error = image_read_at(image, header->program_offset, narrow, count * size);
    if (!error)
        widen_program_headers(narrow, count, ret_headers);
    return error;
}

// gABI wants PT_LOADs ascending, which the kernel does not insist on.
static int compare_segments(const void *a, const void *b)
{
    uint64_t left = ((const struct image_segment *)a)->address;
    uint64_t right = ((const struct image_segment *)b)->address;
    return (left > right) - (left < right);
}

// Takes one PT_LOAD in, and widens the span by it. Every sum that is formed later on is proved
// here not to wrap; whether the contents are in the file shows when they are read, for the kernel
// accepts that too.
static int add_segment(struct image *image, const Elf64_Phdr *header)
{
    uint64_t end, file_end;
    // An empty one maps nothing; its other fields are often nonsense.
    if (header->p_memsz == 0)
        return 0;
    if (header->p_filesz > header->p_memsz ||
        __builtin_add_overflow(header->p_vaddr, header->p_memsz, &end) ||
        __builtin_add_overflow(header->p_offset, header->p_filesz, &file_end))
        return -ENOEXEC;
    image->segments[image->segment_count++] = (struct image_segment){
        .address = header->p_vaddr,
        .offset = header->p_offset,
        .file_bytes = header->p_filesz,
        .memory_bytes = header->p_memsz,
        .flags = header->p_flags,
    };
    // The span is of linked addresses here; whoever knows the bias moves it.
    if (image->segment_count == 1 || header->p_vaddr < image->low)
        image->low = header->p_vaddr;
    if (end > image->high)
        image->high = end;
    return 0;
}

// The segments are what the kernel maps, and so the truth about addresses; sections are only what
// the linker left for tools.
static int load_segments(struct image *image, const Elf64_Phdr *headers, size_t count)
{
    // Room for every program header: fewer than a hundred, and most are PT_LOAD in odd files only.
    image->segments = calloc(count, sizeof *image->segments);
    if (!image->segments)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int error = headers[i].p_type == PT_LOAD ? add_segment(image, &headers[i]) : 0;
        if (error)
            return error;
    }
    if (image->segment_count == 0 || image->high - image->low > span_max)
        return -ENOEXEC;
    qsort(image->segments, image->segment_count, sizeof *image->segments, compare_segments);
    // What is mapped begins and ends at whole pages.
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    image->low -= image->low % page_bytes;
    image->high += (page_bytes - image->high % page_bytes) % page_bytes;
    return image->low < image->high ? 0 : -ENOEXEC;
}

// `alignment` is a power of two.
static uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

// Takes the build id out of `len` bytes of notes that begin at a linked address.
static void parse_notes(struct image *image, const char *notes, uint64_t len, uint64_t alignment,
                        uint64_t address)
{
    uint64_t at = 0;
    while (at + sizeof(Elf64_Nhdr) <= len) {
        Elf64_Nhdr note;
        memcpy(&note, notes + at, sizeof note);
        // 32-bit lengths: their sums cannot overflow.
        uint64_t name = at + sizeof note;
        // Names and contents are padded, lengths are not.
        uint64_t contents = align_up(name + note.n_namesz, alignment);
        uint64_t end = contents + note.n_descsz;
        if (end > len)
            return;
        bool is_gnu = note.n_namesz == 4 && memcmp(notes + name, "GNU", 4) == 0;
        if (is_gnu && note.n_type == NT_GNU_BUILD_ID && note.n_descsz > 0 &&
            note.n_descsz <= IMAGE_BUILD_ID_MAX) {
            memcpy(image->build_id, notes + contents, note.n_descsz);
            image->build_id_len = note.n_descsz;
            image->build_id_address = address + contents;
            return;
        }
        // Always forward: a note is at least as long as its header.
        at = align_up(end, alignment);
    }
}

// By program header, since a stripped file keeps these. Notes are small: what exceeds the bounds
// is not read.
static int load_build_id(struct image *image, const Elf64_Phdr *headers, size_t count)
{
    size_t seen = 0;
    for (size_t i = 0; i < count && seen < NOTE_SEGMENTS_MAX && image->build_id_len == 0; i++) {
        const Elf64_Phdr *header = &headers[i];
        if (header->p_type != PT_NOTE || header->p_filesz == 0)
            continue;
        seen++;
        uint64_t len = header->p_filesz < NOTES_MAX ? header->p_filesz : NOTES_MAX;
        char *notes = malloc(len);
        if (!notes)
            return -ENOMEM;
        // A note that the file does not hold leaves the image without a build id, no more.
        if (image_read_at(image, header->p_offset, notes, len) == 0)
            parse_notes(image, notes, len, header->p_align == 8 ? 8 : 4, header->p_vaddr);
        free(notes);
    }
    return 0;
}

// One pread per entry is dear, but an executable's first entry decides in nearly all cases:
// linkers put DT_NEEDED first.
static bool has_needed_library(const struct image *image, const Elf64_Phdr *dynamic)
{
    size_t size = image->is_64bit ? sizeof(Elf64_Dyn) : sizeof(Elf32_Dyn);
    uint64_t count = dynamic->p_filesz / size;
    for (uint64_t i = 0; i < count && i < DYNAMIC_MAX; i++) {
        union {
            Elf64_Dyn d64;
            Elf32_Dyn d32;
        } entry;
        uint64_t offset;
        if (__builtin_add_overflow(dynamic->p_offset, i * size, &offset) ||
            image_read_at(image, offset, &entry, size))
            return false;
        // DT_NEEDED is 1 and DT_NULL is 0 in both classes.
        int64_t tag = image->is_64bit ? entry.d64.d_tag : entry.d32.d_tag;
        if (tag == DT_NEEDED)
            return true;
        if (tag == DT_NULL)
            return false;
    }
    return false;
}

// A static PIE has PT_DYNAMIC for its own relocations, so that alone proves nothing.
static bool find_is_static(const struct image *image, const Elf64_Phdr *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (headers[i].p_type == PT_INTERP)
            return false;
        if (headers[i].p_type == PT_DYNAMIC && has_needed_library(image, &headers[i]))
            return false;
    }
    return true;
}

// -ENXIO when the file does not hold it. `index` is below the bound on sections, or comes from a
// field of 16 or 32 bits, so the product cannot wrap.
static int read_section_header(const struct image *image, const struct elf_header *header,
                               uint64_t index, Elf64_Shdr *ret)
{
    uint64_t offset;
    if (__builtin_add_overflow(header->section_offset, index * header->section_size, &offset))
        return -ENXIO;
    if (image->is_64bit)
        return image_read_at(image, offset, ret, sizeof *ret);
    Elf32_Shdr narrow;
    int error = image_read_at(image, offset, &narrow, sizeof narrow);
    if (!error)
        *ret = (Elf64_Shdr){
            .sh_name = narrow.sh_name,
            .sh_type = narrow.sh_type,
            .sh_flags = narrow.sh_flags,
            .sh_addr = narrow.sh_addr,
            .sh_offset = narrow.sh_offset,
            .sh_size = narrow.sh_size,
            .sh_link = narrow.sh_link,
            .sh_entsize = narrow.sh_entsize,
        };
    return error;
}

// Contents must lie in the file, addresses must not wrap.
static bool section_is_sound(const struct image *image, const Elf64_Shdr *header)
{
    uint64_t end, address_end;
    if (__builtin_add_overflow(header->sh_offset, header->sh_size, &end) ||
        __builtin_add_overflow(header->sh_addr, header->sh_size, &address_end))
        return false;
    // .bss has a size, and nothing in the file for it.
    return header->sh_type == SHT_NOBITS || end <= image->file_size;
}

// A name that is outside of the table or was not read stays empty, which no look-up asks for.
static void set_section(struct image_section *section, const Elf64_Shdr *header, struct text names)
{
    *section = (struct image_section){
        .type = header->sh_type,
        .flags = header->sh_flags,
        .address = header->sh_addr,
        .offset = header->sh_offset,
        .size = header->sh_size,
        .entry_size = header->sh_entsize,
        .link = header->sh_link,
    };
    // A name must begin in the table, and ends with it if no NUL comes before.
    if (header->sh_name >= names.len)
        return;
    struct text rest = {names.data + header->sh_name, names.len - header->sh_name};
    struct text name;
    if (text_next_field(&rest, '\0', &name))
        text_copy(name, section->name, sizeof section->name);
}

// The names of all sections; what is beyond the bound stays nameless. Empty on failure.
static char *read_section_names(const struct image *image, const struct elf_header *header,
                                uint64_t index, size_t *ret_len)
{
    Elf64_Shdr section;
    if (read_section_header(image, header, index, &section) || section.sh_type != SHT_STRTAB ||
        !section_is_sound(image, &section))
        return NULL;
    size_t len = section.sh_size < NAMES_MAX ? (size_t)section.sh_size : NAMES_MAX;
    char *names = malloc(len + 1);
    if (!names || image_read_at(image, section.sh_offset, names, len)) {
        free(names);
        return NULL;
    }
    *ret_len = len;
    return names;
}

// Keeps a section's place even where it is not believed, because sections name each other by
// index.
static int load_section_table(struct image *image, const struct elf_header *header, size_t count,
                              struct text names)
{
    struct image_section *sections = calloc(count, sizeof *sections);
    if (!sections)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        Elf64_Shdr section;
        if (read_section_header(image, header, i, &section)) {
            // A table that the file does not hold says nothing at all.
            free(sections);
            return 0;
        }
        if (section_is_sound(image, &section))
            set_section(&sections[i], &section, names);
    }
    image->sections = sections;
    image->section_count = count;
    return 0;
}

// A missing or damaged table is no failure: stripped files run as well.
static int load_sections(struct image *image, const struct elf_header *header)
{
    size_t size = image->is_64bit ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
    Elf64_Shdr first;
    if (header->section_offset == 0 || header->section_size != size ||
        read_section_header(image, header, 0, &first))
        return 0;
    // Counts that do not fit their fields are in the first section (gABI, "Section Header").
    // 64 bits wide, and hostile until it has been bounded below.
    uint64_t count = header->section_count ? header->section_count : first.sh_size;
    uint64_t names_index = header->names_index == SHN_XINDEX ? first.sh_link : header->names_index;
    if (count > IMAGE_SECTIONS_MAX)
        count = IMAGE_SECTIONS_MAX;
    if (count == 0)
        return 0;
    // Without names the table is still of use: symbols are found by type.
    size_t names_len = 0;
    char *names = read_section_names(image, header, names_index, &names_len);
    int error = load_section_table(image, header, (size_t)count, (struct text){names, names_len});
    free(names);
    return error;
}

// What the kernel needs to run the file must be sound; what only tools need may be missing.
static int load_image(struct image *image)
{
    struct elf_header header;
    Elf64_Phdr programs[IMAGE_SEGMENTS_MAX];
    int error = read_header(image, &header);
    if (error)
        return error;
    // A relocatable file or a core has no place in a process.
    if (header.type != ET_EXEC && header.type != ET_DYN)
        return -ENOEXEC;
    // The machine need not be ours: it is for those who read code or registers.
    image->machine = header.machine;
    image->entry = header.entry;
    image->is_position_independent = header.type == ET_DYN;
    error = read_program_headers(image, &header, programs);
    if (error)
        return error == -ENXIO ? -ENOEXEC : error;
    error = load_segments(image, programs, header.program_count);
    if (!error)
        error = load_build_id(image, programs, header.program_count);
    if (error)
        return error;
    image->is_static = find_is_static(image, programs, header.program_count);
    return load_sections(image, &header);
}

// A pipe or a device would block, or answer differently each time: only regular files are looked
// into.
int image_open_fd(int fd, struct image *ret_image)
{
    struct stat file;
    if (fstat(fd, &file) != 0)
        return -errno;
    if (!S_ISREG(file.st_mode))
        return -ENOEXEC;
    // Built aside, so that the caller sees a whole image or none.
    struct image image = {.fd = fd, .path = "", .file_size = (uint64_t)file.st_size};
    int error = load_image(&image);
    if (error) {
        // The descriptor was lent until now.
        image.fd = -1;
        image_close(&image);
        return error;
    }
    *ret_image = image;
    return 0;
}

// Leaves an image that may be closed again.
void image_close(struct image *image)
{
    if (image->fd >= 0)
        close(image->fd);
    free(image->segments);
    free(image->sections);
    *image = (struct image){.fd = -1, .path = ""};
}
