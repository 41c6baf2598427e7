// SPDX-License-Identifier: Apache-2.0
// Unit tests of the search for runtimes' texts: found wherever they lie, within the budget, and
// believed only with a proof. Test world.
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/locate.h"
#include "runtime/locate_memory.h"

enum { FILE_BYTES = 700 << 10, WINDOW = 256 << 10, HEADERS = 120 };

static const char jemalloc_text[] = "<jemalloc>: Malformed conf string";

// An ELF file without sections, one segment of FILE_BYTES, all 'x' but for one text.
static void make_image(const char *text, size_t offset, uint32_t flags, struct image *ret_image)
{
    char *data = malloc(FILE_BYTES);
    assert_non_null(data);
    memset(data, 'x', FILE_BYTES);
    Elf64_Ehdr head = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_DYN,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof head,
        .e_ehsize = sizeof head,
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 1};
    Elf64_Phdr load = {.p_type = PT_LOAD,
                       .p_flags = flags,
                       .p_filesz = FILE_BYTES,
                       .p_memsz = FILE_BYTES,
                       .p_align = 4096};
    memcpy(data, &head, sizeof head);
    memcpy(data + sizeof head, &load, sizeof load);
    memcpy(data + offset, text, strlen(text));
    int fd = memfd_create("image", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, FILE_BYTES), FILE_BYTES);
    free(data);
    assert_int_equal(image_open_fd(fd, ret_image), 0);
}

static uint32_t search(const char *text, size_t offset, uint32_t flags, uint64_t budget_bytes)
{
    struct image image;
    make_image(text, offset, flags, &image);
    uint32_t marks = locate_search(&image, &budget_bytes);
    image_close(&image);
    return marks;
}

static void test_texts_are_found_anywhere(void **state)
{
    (void)state;
    size_t len = sizeof jemalloc_text - 1;
    assert_int_equal(search(jemalloc_text, HEADERS, PF_R, UINT64_MAX), MARK_JEMALLOC_CONF);
    assert_int_equal(search(jemalloc_text, FILE_BYTES - len, PF_R, UINT64_MAX), MARK_JEMALLOC_CONF);
    // Around the first window's end, and around the place where the second one begins.
    for (size_t offset = WINDOW - 2 * 64 - len; offset < WINDOW + 8; offset++)
        assert_int_equal(search(jemalloc_text, offset, PF_R, UINT64_MAX), MARK_JEMALLOC_CONF);
}

static void test_each_text_is_its_own_mark(void **state)
{
    (void)state;
    assert_int_equal(search("tcmalloc.per_cpu_caches_active", 5000, PF_R, UINT64_MAX),
                     MARK_TCMALLOC_PER_CPU);
    assert_int_equal(search("TCMALLOC_RELEASE_RATE", 5000, PF_R, UINT64_MAX), MARK_TCMALLOC_RATE);
    assert_int_equal(search("free(): invalid pointer", 5000, PF_R | PF_X, UINT64_MAX),
                     MARK_GLIBC_FREE);
    assert_int_equal(search("free(): invalid pointe", 5000, PF_R, UINT64_MAX), 0);
    assert_int_equal(search("No error informationSymbolic link loop", 5000, PF_R, UINT64_MAX),
                     MARK_MUSL_NO_ERROR | MARK_MUSL_LOOP);
}

static void test_search_stays_within_its_bounds(void **state)
{
    (void)state;
    assert_int_equal(search(jemalloc_text, 5000, PF_R, 4096), 0);
    assert_int_equal(search(jemalloc_text, 5000, PF_R, 0), 0);
    // What is written is no program text.
    assert_int_equal(search(jemalloc_text, 5000, PF_R | PF_W, UINT64_MAX), 0);
    // Cut off behind the headers: nothing is there, nothing breaks.
    struct image image;
    make_image(jemalloc_text, WINDOW + 5000, PF_R, &image);
    assert_int_equal(ftruncate(image.fd, WINDOW), 0);
    uint64_t budget_bytes = UINT64_MAX;
    assert_int_equal(locate_search(&image, &budget_bytes), 0);
    image_close(&image);
}

static bool prove(const struct target *target, const struct image *image)
{
    (void)image;
    int *calls = (int *)(uintptr_t)target->environ_text.data;
    return ++*calls != 1;
}

static void test_texts_are_no_proof(void **state)
{
    (void)state;
    static const struct locate_rule rule = {.marks = MARK_JEMALLOC_CONF, .proves = prove};
    static const struct locate_rule other = {.marks = MARK_GLIBC_FREE};
    static const struct locate_rule by_name = {.names = {"lib"}};
    struct image image;
    make_image(jemalloc_text, 5000, PF_R, &image);
    image.path = "/usr/bin/speaks";
    struct images images = {.items = &image, .count = 1};
    static struct locate_cache cache;
    int calls = 0;
    struct target target = {.images = &images, .environ_text = {(const char *)&calls, 0}};
    // Without a cache it is asked each time: the first proof fails, the next does not.
    assert_null(locate_image(&target, &rule));
    assert_ptr_equal(locate_image(&target, &rule), &image);
    assert_null(locate_image(&target, &other));
    assert_null(locate_image(&target, &by_name));
    target.located = &cache;
    calls = 1;
    assert_ptr_equal(locate_image(&target, &rule), &image);
    assert_ptr_equal(locate_image(&target, &rule), &image);
    assert_int_equal(calls, 2);
    // A failure is remembered too.
    memset(&cache, 0, sizeof cache);
    calls = 0;
    assert_null(locate_image(&target, &rule));
    assert_null(locate_image(&target, &rule));
    assert_int_equal(calls, 1);
    image_close(&image);
}

// A file is known until it changes; a copy of it is another file.
static void test_files_are_remembered(void **state)
{
    (void)state;
    struct locate_memory *memory;
    struct image image, other;
    uint32_t marks = 7;
    assert_int_equal(locate_memory_open(&memory), 0);
    make_image(jemalloc_text, WINDOW, PF_R, &image);
    make_image(jemalloc_text, WINDOW, PF_R, &other);
    assert_false(locate_memory_get(memory, &image, &marks));
    assert_int_equal(marks, 7);
    locate_memory_put(memory, &image, MARK_JEMALLOC_CONF);
    assert_true(locate_memory_get(memory, &image, &marks));
    assert_int_equal(marks, MARK_JEMALLOC_CONF);
    assert_false(locate_memory_get(memory, &other, &marks));
    // A version is kept beside the marks, and is not known with them.
    assert_null(locate_memory_get_version(memory, &image));
    locate_memory_put_version(memory, &image, "12.4.254.20-node.38");
    locate_memory_put_version(memory, &image,
                              "a version that is longer than any that was ever seen");
    assert_string_equal(locate_memory_get_version(memory, &image), "12.4.254.20-node.38");
    assert_true(locate_memory_get(memory, &image, &marks));
    assert_null(locate_memory_get_version(NULL, &image));
    // Times of files have the steps of the kernel's clock.
    usleep(20000);
    assert_int_equal(pwrite(image.fd, "y", 1, HEADERS), 1);
    assert_false(locate_memory_get(memory, &image, &marks));
    assert_null(locate_memory_get_version(memory, &image));
    image_close(&image);
    image_close(&other);
    locate_memory_close(memory);
}

// More files than there is room for: those asked for last stay.
static void test_memory_is_bounded(void **state)
{
    (void)state;
    enum { FILES = 3000 };
    struct locate_memory *memory;
    struct image image = {.fd = -1}, first = {.fd = memfd_create("first", MFD_CLOEXEC)};
    uint32_t marks;
    assert_int_equal(locate_memory_open(&memory), 0);
    locate_memory_put(memory, &image, 1); // cannot be known
    assert_false(locate_memory_get(memory, &image, &marks));
    locate_memory_put(memory, &first, 77);
    size_t last_known = 0;
    for (uint32_t i = 0; i < FILES; i++) {
        image.fd = memfd_create("file", MFD_CLOEXEC);
        locate_memory_put(memory, &image, i);
        assert_true(locate_memory_get(memory, &image, &marks));
        last_known += marks == i;
        assert_true(locate_memory_get(memory, &first, &marks));
        assert_int_equal(marks, 77);
        close(image.fd);
    }
    assert_int_equal(last_known, FILES);
    close(first.fd);
    locate_memory_close(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_are_found_anywhere),
        cmocka_unit_test(test_each_text_is_its_own_mark),
        cmocka_unit_test(test_search_stays_within_its_bounds),
        cmocka_unit_test(test_texts_are_no_proof),
        cmocka_unit_test(test_files_are_remembered),
        cmocka_unit_test(test_memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
