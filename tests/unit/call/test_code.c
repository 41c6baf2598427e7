// SPDX-License-Identifier: Apache-2.0
// Instructions that a call goes through: what is recognised, and what must not be. Test code.
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "call/call.h"
#include "call/code.h"

static const struct {
    const char *code;
    uint8_t len, base;
    int32_t displacement;
    uint32_t popped;
} values[] = {
    {"\x48\x89\x03\x5b\xc3", 5, 3, 0, 8},
    {"\x48\x89\x43\x10\xc3", 5, 3, 16, 0},
    {"\x48\x89\x45\xf8\x31\xc0\x48\x83\xc4\x18\x5b\x41\x5c\xc3", 14, 5, -8, 40},
    {"\x49\x89\x04\x24\x5d\xc3", 6, 12, 0, 8},
    {"\x49\x89\x45\x00\xc3", 5, 13, 0, 0},
    {"\x49\x89\x87\x00\x01\x00\x00\xc3", 8, 15, 256, 0},
};

static void test_value_stores(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct frame_store store = {0};
        const uint8_t *code = (const uint8_t *)values[i].code;
        assert_true(frame_parse_value_store(code, values[i].len, &store));
        assert_int_equal(store.base, values[i].base);
        assert_int_equal(store.displacement, values[i].displacement);
        assert_int_equal(store.popped_bytes, values[i].popped);
        for (size_t len = 0; len < values[i].len; len++) {
            uint8_t *cut = malloc(len + 1);
            memcpy(cut, code, len);
            assert_false(frame_parse_value_store(cut, len, &store));
            free(cut);
        }
    }
}

static void test_what_is_no_store(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        uint8_t len;
    } others[] = {
        {"\x48\x89\x07\xc3", 4},                 // rdi is the function's to change
        {"\x48\x89\x05\x00\x00\x00\x00\xc3", 8}, // relative to rip
        {"\x48\x89\x04\x24\xc3", 5},             // the stack
        {"\x48\x89\xc3\xc3", 4},                 // between registers
        {"\x48\x89\x0b\xc3", 4},                 // rcx
        {"\x48\x89\x03\x5c\xc3", 5},             // pops the stack pointer
        {"\x48\x89\x03\xe8\x00\x00\x00\x00\xc3", 9},
        {"\x48\x89\x03\x48\x83\xc4\xf8\xc3", 8}, // takes more stack
        {"\x48\x89\x03\x48\x83\xc4\x07\xc3", 8},
        {"\x49\x89\x04\x64\xc3", 5}, // with an index
    };
    struct frame_store store;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(
            frame_parse_value_store((const uint8_t *)others[i].code, others[i].len, &store));
}

static void test_word_stores(void **state)
{
    (void)state;
    struct frame_store store = {0};
    assert_true(frame_parse_word_store((const uint8_t *)"\x89\x07\xc3", 3, &store));
    assert_int_equal(store.base, 7);
    assert_true(frame_parse_word_store((const uint8_t *)"\x89\x42\x04\x5b\xc3", 5, &store));
    assert_int_equal(store.base, 2);
    assert_int_equal(store.displacement, 4);
    assert_int_equal(store.popped_bytes, 8);
    assert_false(frame_parse_word_store((const uint8_t *)"\x88\x07\xc3", 3, &store));
    assert_false(frame_parse_word_store((const uint8_t *)"\x89\x07", 2, &store));
}

static void test_restorers(void **state)
{
    (void)state;
    static const uint8_t long_form[] = {0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05};
    static const uint8_t short_form[] = {0xb8, 15, 0, 0, 0, 0x0f, 0x05};
    assert_true(frame_parse_restorer(long_form, sizeof long_form));
    assert_true(frame_parse_restorer(short_form, sizeof short_form));
    assert_false(frame_parse_restorer(long_form, sizeof long_form - 1));
    assert_false(frame_parse_restorer(short_form, sizeof short_form - 1));
    assert_false(frame_parse_restorer(short_form + 1, sizeof short_form - 1));
}

// As compilers write __errno_location, of glibc and musl, shared and static.
static void test_thread_variables(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        uint8_t len;
        int64_t offset;
        uint64_t slot;
    } cases[] = {
        {"\x48\x8b\x05\x79\xb7\x1a\x00\x64\x48\x03\x04\x25\0\0\0\0\xc3", 17, 0,
         0x1000 + 7 + 0x1ab779},
        {"\x48\xc7\xc0\xb0\xff\xff\xff\x64\x48\x03\x04\x25\0\0\0\0\xc3", 17, -0x50, 0},
        {"\x64\x48\x8b\x04\x25\0\0\0\0\x48\x83\xc0\x34\xc3", 14, 0x34, 0},
        {"\xf3\x0f\x1e\xfa\x55\x64\x48\x8b\x04\x25\0\0\0\0\x48\x89\xe5\x48\x8d\x80\xfc\xff\xff\xff"
         "\x5d\xc3",
         26, -4, 0},
        {"\x64\x48\x8b\x04\x25\0\0\0\0\x48\x03\x05\x10\0\0\0\xc3", 17, 0, 0x1000 + 16 + 0x10},
    };
    struct frame_thread_variable found;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint8_t *code = (const uint8_t *)cases[i].code;
        assert_true(frame_parse_thread_variable(code, cases[i].len, 0x1000, &found));
        assert_int_equal((int64_t)found.offset, cases[i].offset);
        assert_int_equal(found.slot, cases[i].slot);
        for (size_t len = 0; len < cases[i].len; len++)
            assert_false(frame_parse_thread_variable(code, len, 0x1000, &found));
    }
    // No thread, two of them, two slots, and other instructions.
    static const struct {
        const char *code;
        uint8_t len;
    } others[] = {
        {"\xc3", 1},
        {"\x48\xc7\xc0\1\0\0\0\xc3", 8},
        {"\x64\x48\x8b\x04\x25\0\0\0\0\x64\x48\x03\x04\x25\0\0\0\0\xc3", 19},
        {"\x48\x8b\x05\0\0\0\0\x48\x03\x05\0\0\0\0\x64\x48\x03\x04\x25\0\0\0\0\xc3", 24},
        {"\x64\x48\x8b\x04\x25\0\0\0\0\x48\x8b\x00\xc3", 13},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(
            frame_parse_thread_variable((const uint8_t *)others[i].code, others[i].len, 0, &found));
}

struct own {
    struct process *process;
    struct mappings mappings;
    struct images images;
};

static void open_own(struct own *own)
{
    size_t skipped;
    memset(own, 0, sizeof *own);
    assert_int_equal(process_open("/proc", getpid(), &own->process), 0);
    assert_int_equal(mappings_read(own->process, &own->mappings), 0);
    assert_int_equal(images_open(own->process, &own->mappings, &own->images, &skipped), 0);
}

static void close_own(struct own *own)
{
    images_close(&own->images);
    mappings_free(&own->mappings);
    process_close(own->process);
}

// What is found in this program is what stands there.
static void test_own_code(void **state)
{
    (void)state;
    struct own own;
    struct frame_code code;
    open_own(&own);
    const struct image *main_image = images_main(&own.images);
    if (!main_image || main_image->machine != EM_X86_64) {
        close_own(&own);
        print_message("not on x86-64\n");
        skip();
    }
    assert_int_equal(code_find(getpid(), &own.images, &code), 0);
    assert_true(frame_parse_restorer((const uint8_t *)(uintptr_t)code.restorer, 9));
    assert_true(code.word.address != 0);
    struct frame_store store;
    assert_true(frame_parse_word_store((const uint8_t *)(uintptr_t)code.word.address,
                                       FRAME_CODE_BYTES, &store));
    uint8_t byte;
    assert_int_equal(code_read_memory(getpid(), 8, &byte, 1), -EFAULT);
    assert_int_equal(code_write_memory(getpid(), code.restorer, "x", 1), -EFAULT);
    close_own(&own);
}

int ebb_test_function(void);
int ebb_test_data = 1;

int ebb_test_function(void)
{
    return ebb_test_data;
}

static void test_functions(void **state)
{
    (void)state;
    struct own own;
    uint64_t address = 0;
    const struct image *image = NULL;
    open_own(&own);
    const char *const names[] = {"no_such_function", "ebb_test_function", NULL};
    assert_int_equal(call_find_function(&own.images, names, &address, &image), 0);
    assert_ptr_equal((void *)(uintptr_t)address, (void *)(uintptr_t)ebb_test_function);
    assert_true(image->is_main);
    const char *const any[] = {"*b_test_function", NULL};
    address = 0;
    assert_int_equal(call_find_function(&own.images, any, &address, NULL), 0);
    assert_ptr_equal((void *)(uintptr_t)address, (void *)(uintptr_t)ebb_test_function);
    // Data is no function, and memcpy of glibc only chooses one.
    const char *const data[] = {"ebb_test_data", "no_such_function", NULL};
    assert_int_equal(call_find_function(&own.images, data, &address, &image), -ENOENT);
    close_own(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_stores),     cmocka_unit_test(test_what_is_no_store),
        cmocka_unit_test(test_word_stores),      cmocka_unit_test(test_restorers),
        cmocka_unit_test(test_thread_variables), cmocka_unit_test(test_own_code),
        cmocka_unit_test(test_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
