// SPDX-License-Identifier: Apache-2.0
// ELF files made by hand: sound ones, cut ones, and lies. Test code.
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "image/image.h"

enum { SECTIONS = 6, BASE = 0x400000 };

// A file with one segment over everything, and its parts, to be spoilt by the tests before they are
// put together.
struct maker {
    Elf64_Ehdr header;
    Elf64_Phdr programs[2];
    Elf64_Shdr sections[SECTIONS];
    struct buffer symbols, strings, contents;
};

static const char section_names[] = "\0.symtab\0.strtab\0.shstrtab\0.rodata\0.bss";
static const uint8_t build_id[] = {9, 8, 7, 6, 5, 4, 3, 2, 1};

static void add_symbol(struct maker *maker, const char *name, size_t name_at, uint64_t value,
                       unsigned binding, uint16_t section)
{
    Elf64_Sym symbol = {
        .st_name = (Elf64_Word)(name_at ? name_at : maker->strings.len),
        .st_info = (unsigned char)ELF64_ST_INFO(binding, STT_FUNC),
        .st_shndx = section,
        .st_value = value,
        .st_size = 16,
    };
    buffer_append(&maker->symbols, &symbol, sizeof symbol);
    // A name that is not given lies at `name_at`, which may be anywhere.
    if (name)
        buffer_append(&maker->strings, name, strlen(name) + 1);
}

static void maker_init(struct maker *maker)
{
    *maker = (struct maker){
        .header =
            {
                .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                .e_type = ET_DYN,
                .e_machine = EM_X86_64,
                .e_entry = BASE + 0x1234,
                .e_phoff = offsetof(struct maker, programs),
                .e_phentsize = sizeof(Elf64_Phdr),
                .e_phnum = 2,
                .e_shentsize = sizeof(Elf64_Shdr),
                .e_shnum = SECTIONS,
                .e_shstrndx = 3,
            },
    };
    buffer_append(&maker->strings, "", 1);
    buffer_append(&maker->symbols, &(Elf64_Sym){0}, sizeof(Elf64_Sym));
    buffer_append(&maker->contents, "hello", 6);
}

// Puts the parts into a memory file: headers, note, contents, symbols, strings, section headers.
static int maker_finish(struct maker *maker, struct buffer *ret_file)
{
    struct buffer file = {0};
    Elf64_Nhdr note = {4, sizeof build_id, NT_GNU_BUILD_ID};
    buffer_append(&file, maker, sizeof maker->header + sizeof maker->programs);
    size_t note_at = file.len;
    buffer_append(&file, &note, sizeof note);
    buffer_append(&file, "GNU", 4);
    buffer_append(&file, build_id, sizeof build_id);
    buffer_append(&file, "\0\0\0", 3);
    size_t contents_at = file.len;
    buffer_append(&file, maker->contents.data, maker->contents.len);
    size_t symbols_at = file.len;
    buffer_append(&file, maker->symbols.data, maker->symbols.len);
    size_t strings_at = file.len;
    buffer_append(&file, maker->strings.data, maker->strings.len);
    size_t names_at = file.len;
    buffer_append(&file, section_names, sizeof section_names);
    // Tests write to the table in place, as an array.
    buffer_append(&file, "\0\0\0\0\0\0\0", (8 - file.len % 8) % 8);
    maker->header.e_shoff = file.len;
    maker->programs[0] =
        (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0, BASE, 0, file.len, file.len + 4096, 4096};
    maker->programs[1] = (Elf64_Phdr){PT_NOTE, PF_R, note_at, BASE + note_at, 0, 28, 28, 4};
    maker->sections[1] = (Elf64_Shdr){
        1, SHT_SYMTAB, 0, 0, symbols_at, maker->symbols.len, 2, 0, 8, sizeof(Elf64_Sym)};
    maker->sections[2] =
        (Elf64_Shdr){9, SHT_STRTAB, 0, 0, strings_at, maker->strings.len, 0, 0, 1, 0};
    maker->sections[3] =
        (Elf64_Shdr){17, SHT_STRTAB, 0, 0, names_at, sizeof section_names, 0, 0, 1, 0};
    maker->sections[4] = (Elf64_Shdr){
        27, SHT_PROGBITS, SHF_ALLOC, BASE + contents_at, contents_at, maker->contents.len, 0, 0, 1,
        0};
    maker->sections[5] =
        (Elf64_Shdr){35, SHT_NOBITS, SHF_ALLOC, BASE + file.len, 0, 4096, 0, 0, 1, 0};
    buffer_append(&file, maker->sections, sizeof maker->sections);
    memcpy(file.data, maker, sizeof maker->header + sizeof maker->programs);
    buffer_free(&maker->symbols);
    buffer_free(&maker->strings);
    buffer_free(&maker->contents);
    *ret_file = file;
    return 0;
}

static int open_bytes(const void *data, size_t len, struct image *image)
{
    int fd = memfd_create("elf", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    int error = image_open_fd(fd, image);
    if (error)
        close(fd);
    return error;
}

static void open_made(struct maker *maker, struct image *image)
{
    struct buffer file;
    maker_finish(maker, &file);
    assert_int_equal(open_bytes(file.data, file.len, image), 0);
    buffer_free(&file);
}

static void test_headers(void **state)
{
    (void)state;
    struct maker maker;
    struct image image;
    maker_init(&maker);
    open_made(&maker, &image);
    assert_true(image.is_64bit);
    assert_true(image.is_position_independent);
    assert_true(image.is_static);
    assert_int_equal(image.machine, EM_X86_64);
    assert_int_equal(image.entry, BASE + 0x1234);
    assert_int_equal(image.low, BASE);
    assert_int_equal(image.high, BASE + 0x2000);
    assert_int_equal(image.build_id_len, sizeof build_id);
    assert_memory_equal(image.build_id, build_id, sizeof build_id);
    uint8_t read_id[sizeof build_id];
    assert_int_equal(image_read(&image, image.build_id_address, read_id, sizeof read_id), 0);
    assert_memory_equal(read_id, build_id, sizeof build_id);
    assert_int_equal(image.section_count, SECTIONS);
    const struct image_section *rodata = image_section(&image, ".rodata");
    assert_non_null(rodata);
    assert_int_equal(rodata->size, 6);
    assert_null(image_section(&image, ".text"));
    char hello[6];
    assert_int_equal(image_read(&image, rodata->address, hello, 6), 0);
    assert_string_equal(hello, "hello");
    // From the file's end on there is no more than zeros in memory.
    const struct image_section *bss = image_section(&image, ".bss");
    assert_int_equal(image_read(&image, bss->address, hello, 1), -ENXIO);
    assert_int_equal(image_read(&image, bss->address - 1, hello, 1), 0);
    assert_int_equal(image_read(&image, bss->address - 1, hello, 2), -ENXIO);
    assert_int_equal(image_read(&image, BASE - 1, hello, 1), -ENXIO);
    assert_int_equal(image_read(&image, UINT64_MAX, hello, 1), -ENXIO);
    assert_int_equal(image_read_at(&image, UINT64_MAX, hello, 2), -ENXIO);
    assert_int_equal(image_read_at(&image, image.file_size, hello, 1), -ENXIO);
    image_close(&image);
}

static void test_every_truncation(void **state)
{
    (void)state;
    struct maker maker;
    maker_init(&maker);
    add_symbol(&maker, "needle", 0, BASE + 1, STB_GLOBAL, 1);
    struct buffer file;
    maker_finish(&maker, &file);
    for (size_t len = 0; len < file.len; len++) {
        struct image image;
        int error = open_bytes(file.data, len, &image);
        if (len < sizeof maker.header + sizeof maker.programs) {
            assert_int_equal(error, -ENOEXEC);
            continue;
        }
        assert_int_equal(error, 0);
        // The section table comes last, and a part of it is worth nothing.
        assert_int_equal(image.section_count, 0);
        struct image_symbol symbol;
        assert_int_equal(image_find_symbols(&image, (const char *const[]){"needle"}, 1, &symbol),
                         0);
        image_close(&image);
    }
    buffer_free(&file);
}

// Whatever one byte says, nothing may crash, and the tables must keep their promises.
static void test_every_byte_spoilt(void **state)
{
    (void)state;
    struct maker maker;
    maker_init(&maker);
    add_symbol(&maker, "needle", 0, BASE + 1, STB_GLOBAL, 1);
    struct buffer file;
    maker_finish(&maker, &file);
    static const char values[] = {0, 1, 0x7f, (char)0x80, (char)0xff};
    for (size_t at = 0; at < file.len; at++) {
        char good = file.data[at];
        for (size_t i = 0; i < sizeof values; i++) {
            file.data[at] = values[i];
            struct image image;
            if (open_bytes(file.data, file.len, &image) != 0)
                continue;
            assert_true(image.low < image.high);
            struct image_symbol symbol;
            uint64_t address;
            image_find_symbols(&image, (const char *const[]){"needle"}, 1, &symbol);
            image_find_bytes(&image, ".rodata", "llo", 3, 0, &address);
            image_find_bytes(&image, NULL, "llo", 3, 0, &address);
            image_close(&image);
        }
        file.data[at] = good;
    }
    buffer_free(&file);
}

static void check_refused(void (*spoil)(Elf64_Ehdr *header, Elf64_Phdr *programs))
{
    struct maker maker;
    struct buffer file;
    struct image image;
    maker_init(&maker);
    maker_finish(&maker, &file);
    spoil((Elf64_Ehdr *)(void *)file.data, (Elf64_Phdr *)(void *)(file.data + sizeof(Elf64_Ehdr)));
    assert_int_equal(open_bytes(file.data, file.len, &image), -ENOEXEC);
    buffer_free(&file);
}

static void make_big_endian(Elf64_Ehdr *header, Elf64_Phdr *programs)
{
    (void)programs;
    header->e_ident[EI_DATA] = ELFDATA2MSB;
}

static void make_core(Elf64_Ehdr *header, Elf64_Phdr *programs)
{
    (void)programs;
    header->e_type = ET_CORE;
}

static void claim_many_segments(Elf64_Ehdr *header, Elf64_Phdr *programs)
{
    (void)programs;
    header->e_phnum = 65535;
}

static void wrap_segment(Elf64_Ehdr *header, Elf64_Phdr *programs)
{
    (void)header;
    programs[0].p_vaddr = UINT64_MAX - 4096;
}

static void wrap_offset(Elf64_Ehdr *header, Elf64_Phdr *programs)
{
    (void)header;
    programs[0].p_offset = UINT64_MAX - 16;
}

static void widen_span(Elf64_Ehdr *header, Elf64_Phdr *programs)
{
    (void)header;
    programs[0].p_memsz = UINT64_C(1) << 60;
}

static void put_more_than_memory(Elf64_Ehdr *header, Elf64_Phdr *programs)
{
    (void)header;
    programs[0].p_filesz = programs[0].p_memsz + 1;
}

static void load_nothing(Elf64_Ehdr *header, Elf64_Phdr *programs)
{
    (void)header;
    programs[0].p_memsz = 0;
}

static void test_unsound_files_are_refused(void **state)
{
    (void)state;
    check_refused(make_big_endian);
    check_refused(make_core);
    check_refused(claim_many_segments);
    check_refused(wrap_segment);
    check_refused(wrap_offset);
    check_refused(widen_span);
    check_refused(put_more_than_memory);
    check_refused(load_nothing);
    struct image image;
    assert_int_equal(open_bytes("#!/bin/sh\nexit 0\n", 17, &image), -ENOEXEC);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(image_open_fd(pipes[0], &image), -ENOEXEC);
    close(pipes[0]);
    close(pipes[1]);
}

static void test_lying_sections(void **state)
{
    (void)state;
    struct maker maker;
    struct buffer file;
    struct image image;
    maker_init(&maker);
    maker_finish(&maker, &file);
    Elf64_Ehdr *header = (Elf64_Ehdr *)(void *)file.data;
    Elf64_Shdr *sections = (Elf64_Shdr *)(void *)(file.data + header->e_shoff);
    uint64_t address;
    sections[4].sh_flags |= SHF_COMPRESSED;
    sections[2].sh_size = UINT64_MAX - 4;
    assert_int_equal(open_bytes(file.data, file.len, &image), 0);
    assert_int_equal(image_find_bytes(&image, ".rodata", "llo", 3, 0, &address), -ENXIO);
    assert_int_equal(image_find_bytes(&image, ".bss", "llo", 3, 0, &address), -ENXIO);
    assert_int_equal(image_find_bytes(&image, ".none", "llo", 3, 0, &address), -ENXIO);
    // Out of the file: nothing of it is believed, and its index stays.
    assert_int_equal(image.sections[2].type, SHT_NULL);
    assert_int_equal(image.section_count, SECTIONS);
    image_close(&image);
    // The real count and the real index of the names are in the first section.
    header->e_shnum = 0;
    header->e_shstrndx = SHN_XINDEX;
    sections[0].sh_size = SECTIONS;
    sections[0].sh_link = 3;
    assert_int_equal(open_bytes(file.data, file.len, &image), 0);
    assert_int_equal(image.section_count, SECTIONS);
    assert_non_null(image_section(&image, ".rodata"));
    image_close(&image);
    sections[0].sh_size = UINT64_MAX;
    assert_int_equal(open_bytes(file.data, file.len, &image), 0);
    assert_int_equal(image.section_count, 0);
    image_close(&image);
    buffer_free(&file);
}

static void test_symbols(void **state)
{
    (void)state;
    struct maker maker;
    struct image image;
    maker_init(&maker);
    // Enough names to cross several windows, one of them right at a border.
    char border_name[32] = "";
    for (int i = 0; i < 60000; i++) {
        char name[32];
        snprintf(name, sizeof name, "filler_%d", i);
        size_t at = maker.strings.len;
        add_symbol(&maker, name, 0, BASE + 8, STB_GLOBAL, 1);
        if (at < 256 << 10 && maker.strings.len > (256 << 10) + 1)
            strcpy(border_name, name);
    }
    add_symbol(&maker, "prefix_tail", 0, BASE + 16, STB_GLOBAL, 1);
    size_t tail = maker.strings.len - 5;
    add_symbol(&maker, NULL, tail, BASE + 32, STB_GLOBAL, 1);
    add_symbol(&maker, "twice", 0, BASE + 48, STB_LOCAL, 1);
    add_symbol(&maker, "twice", 0, BASE + 64, STB_GLOBAL, 1);
    add_symbol(&maker, "twice", 0, BASE + 80, STB_LOCAL, 1);
    add_symbol(&maker, "elsewhere", 0, BASE + 96, STB_GLOBAL, SHN_UNDEF);
    open_made(&maker, &image);
    static const char *const names[] = {
        "tail",     "prefix_tail",  "twice",        "elsewhere", "not there",
        "filler_0", "filler_59999", "filler_16382", "",          "iller_7",
    };
    static const uint64_t expected[] = {
        BASE + 32, BASE + 16, BASE + 64, 0, 0, BASE + 8, BASE + 8, BASE + 8, 0, 0,
    };
    struct image_symbol symbols[10];
    memset(symbols, 0xff, sizeof symbols);
    assert_int_equal(image_find_symbols(&image, names, 10, symbols), 6);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(symbols[i].value, expected[i]);
    assert_int_equal(symbols[0].type, STT_FUNC);
    assert_int_equal(symbols[0].size, 16);
    // Every one is found, wherever the windows end.
    assert_true(border_name[0] != '\0');
    assert_int_equal(image_find_symbols(&image, (const char *const[]){border_name}, 1, symbols), 1);
    for (int i = 0; i < 60000; i += 331) {
        char name[32];
        snprintf(name, sizeof name, "filler_%d", i);
        assert_int_equal(image_find_symbols(&image, (const char *const[]){name}, 1, symbols), 1);
    }
    assert_int_equal(image_find_symbols(&image, names, 0, symbols), 0);
    image_close(&image);
}

static uint64_t value_of(const struct image *image, const char *name)
{
    struct image_symbol symbol;
    int found = image_find_symbols(image, &name, 1, &symbol);
    assert_true(found == 0 || found == 1);
    return symbol.value;
}

static void test_symbols_with_any_prefix(void **state)
{
    (void)state;
    struct maker maker;
    struct image image;
    maker_init(&maker);
    add_symbol(&maker, "mallctlbymib", 0, BASE + 8, STB_GLOBAL, 1);
    add_symbol(&maker, "app_je_mallctl", 0, BASE + 16, STB_LOCAL, 1);
    // Beyond the first window, and sharing its tail with others.
    for (int i = 0; i < 30000; i++) {
        char name[32];
        snprintf(name, sizeof name, "filler_%d", i);
        add_symbol(&maker, name, 0, BASE + 8, STB_GLOBAL, 1);
    }
    add_symbol(&maker, "x_je_mallctl", 0, BASE + 24, STB_GLOBAL, SHN_UNDEF);
    add_symbol(&maker, "je_free", 0, BASE + 32, STB_GLOBAL, SHN_UNDEF);
    add_symbol(&maker, NULL, maker.strings.len - 5, BASE + 40, STB_GLOBAL, 1);
    open_made(&maker, &image);
    assert_int_equal(value_of(&image, "*mallctl"), BASE + 16);
    assert_int_equal(value_of(&image, "*je_mallctl"), BASE + 16);
    assert_int_equal(value_of(&image, "*mallctlbymib"), BASE + 8);
    assert_int_equal(value_of(&image, "*free"), BASE + 40);
    assert_int_equal(value_of(&image, "*z_mallctl"), 0);
    assert_int_equal(value_of(&image, "*"), 0);
    image_close(&image);
}

static void test_search_across_windows(void **state)
{
    (void)state;
    static const char needle[] = "needle in a haystack";
    size_t len = sizeof needle - 1;
    for (size_t at = (256 << 10) - 250; at < (256 << 10) + 10; at++) {
        struct maker maker;
        struct image image;
        maker_init(&maker);
        char *hay = calloc(1, 600 << 10);
        memcpy(hay + at, needle, len);
        memcpy(hay + at + 1000, needle, len);
        buffer_append(&maker.contents, hay, 600 << 10);
        open_made(&maker, &image);
        uint64_t base = image_section(&image, ".rodata")->address + 6, found;
        assert_int_equal(image_find_bytes(&image, ".rodata", needle, len, 0, &found), 0);
        assert_int_equal(found, base + at);
        assert_int_equal(image_find_bytes(&image, NULL, needle, len, 0, &found), 0);
        assert_int_equal(found, base + at);
        assert_int_equal(image_find_bytes(&image, NULL, needle, len, found + 1, &found), 0);
        assert_int_equal(found, base + at + 1000);
        assert_int_equal(image_find_bytes(&image, NULL, needle, len, found + 1, &found), -ENOENT);
        image_close(&image);
        free(hay);
    }
}

static void test_search_limits(void **state)
{
    (void)state;
    struct maker maker;
    struct image image;
    char needle[IMAGE_NEEDLE_MAX + 1] = "h";
    uint64_t found = 5;
    maker_init(&maker);
    open_made(&maker, &image);
    assert_int_equal(image_find_bytes(&image, NULL, "", 0, 0, &found), -EINVAL);
    assert_int_equal(image_find_bytes(&image, NULL, needle, sizeof needle, 0, &found), -EINVAL);
    assert_int_equal(image_find_bytes(&image, NULL, needle, sizeof needle - 1, 0, &found), -ENOENT);
    assert_int_equal(image_find_bytes(&image, NULL, "hello", 5, UINT64_MAX, &found), -ENOENT);
    assert_int_equal(found, 5);
    // A hole of many gigabytes costs no more than the budget.
    assert_int_equal(ftruncate(image.fd, INT64_C(1) << 40), 0);
    image.file_size = UINT64_C(1) << 40;
    image.segments[0].file_bytes = UINT64_C(1) << 40;
    assert_int_equal(image_find_bytes(&image, NULL, "not here", 8, 0, &found), -E2BIG);
    // The file was cut since it was opened.
    assert_int_equal(ftruncate(image.fd, 64), 0);
    assert_int_equal(image_find_bytes(&image, NULL, "hello", 5, 0, &found), -ENOENT);
    assert_int_equal(image_read_at(&image, 64, needle, 1), -ENXIO);
    image_close(&image);
}

static void test_narrow_class(void **state)
{
    (void)state;
    struct {
        Elf32_Ehdr header;
        Elf32_Phdr program;
        Elf32_Sym symbols[2];
        char strings[8];
        Elf32_Shdr sections[3];
    } file = {
        .header =
            {
                .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
                .e_type = ET_EXEC,
                .e_machine = EM_386,
                .e_entry = 0x8048100,
                .e_phoff = sizeof(Elf32_Ehdr),
                .e_phentsize = sizeof(Elf32_Phdr),
                .e_phnum = 1,
                .e_shentsize = sizeof(Elf32_Shdr),
                .e_shnum = 3,
            },
        .program = {PT_LOAD, 0, 0x8048000, 0, sizeof file, 0x3000, PF_R, 4096},
        .symbols = {{0}, {1, 0x8048111, 4, ELF32_ST_INFO(STB_GLOBAL, STT_OBJECT), 0, 1}},
        .strings = "\0main",
        .sections = {{0}, {0}, {0}},
    };
    size_t symbols_at = sizeof file.header + sizeof file.program;
    file.header.e_shoff = (Elf32_Off)((char *)file.sections - (char *)&file);
    file.sections[1] =
        (Elf32_Shdr){0, SHT_DYNSYM, 0, 0, (Elf32_Off)symbols_at, 32, 2, 0, 4, sizeof(Elf32_Sym)};
    file.sections[2] = (Elf32_Shdr){0, SHT_STRTAB, 0, 0, (Elf32_Off)symbols_at + 32, 8, 0, 0, 1, 0};
    struct image image;
    assert_int_equal(open_bytes(&file, sizeof file, &image), 0);
    assert_false(image.is_64bit);
    assert_false(image.is_position_independent);
    assert_int_equal(image.machine, EM_386);
    assert_int_equal(image.high, 0x804b000);
    struct image_symbol symbol;
    assert_int_equal(image_find_symbols(&image, (const char *const[]){"main"}, 1, &symbol), 1);
    assert_int_equal(symbol.value, 0x8048111);
    assert_int_equal(symbol.type, STT_OBJECT);
    image_close(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_byte_spoilt),
        cmocka_unit_test(test_unsound_files_are_refused),
        cmocka_unit_test(test_lying_sections),
        cmocka_unit_test(test_symbols),
        cmocka_unit_test(test_symbols_with_any_prefix),
        cmocka_unit_test(test_search_across_windows),
        cmocka_unit_test(test_search_limits),
        cmocka_unit_test(test_narrow_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
