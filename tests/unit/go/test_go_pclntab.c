// SPDX-License-Identifier: Apache-2.0
// Unit tests of Go's function table: all four formats, truncated and hostile ones. Test world;
// pure.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/go/go_pclntab.h"

enum { TABLE_BYTES = 4096, FUNCTIONS = 4, BASE = 0x500000, TEXT = 0x401000 };
static const char *const function_names[FUNCTIONS] = {"main.main", "runtime.alpha", "runtime.beta",
                                                      "runtime.alphabet"};

static void put(uint8_t *data, size_t offset, uint64_t value, size_t len)
{
    memcpy(data + offset, &value, len);
}

// Lays out a table: header, names at 256, entries at 1024, records from 2048 on. Function i begins
// at TEXT + i * 256.
static void make_table(uint8_t *data, enum go_pclntab_format format)
{
    bool relative = format >= GO_PCLNTAB_1_18;
    size_t entries = format == GO_PCLNTAB_1_2 ? 16 : 1024;
    size_t functions = format == GO_PCLNTAB_1_2 ? 0 : 1024;
    memset(data, 0, TABLE_BYTES);
    go_pclntab_magic(format, 1, data);
    put(data, 8, FUNCTIONS, 8);
    if (format == GO_PCLNTAB_1_16) {
        put(data, 24, 256, 8);
        put(data, 32, 1024, 8);
        put(data, 56, 1024, 8);
    } else if (relative) {
        put(data, 24, TEXT, 8);
        put(data, 32, 256, 8);
        put(data, 40, 1024, 8);
        put(data, 64, 1024, 8);
    }
    size_t name = 257;
    size_t names = format == GO_PCLNTAB_1_2 ? 0 : 256;
    for (size_t i = 0; i <= FUNCTIONS; i++) {
        size_t record = 2048 + i * 64;
        uint64_t pc = i * 256;
        if (relative) {
            put(data, entries + i * 8, pc, 4);
            put(data, entries + i * 8 + 4, record - functions, 4);
        } else {
            put(data, entries + i * 16, TEXT + pc, 8);
            put(data, entries + i * 16 + 8, record - functions, 8);
        }
        if (i == FUNCTIONS)
            break;
        put(data, record + (relative ? 4 : 8), name - names, 4);
        memcpy(data + name, function_names[i], strlen(function_names[i]) + 1);
        name += strlen(function_names[i]) + 1;
    }
}

static int find(const uint8_t *data, size_t len, struct go_function *ret_functions)
{
    static const char *const wanted[] = {"runtime.alpha", "runtime.nowhere", "runtime.alphabet"};
    struct go_buffer_memory buffer = {BASE, data, len};
    struct go_memory memory = go_memory_of_buffer(&buffer);
    struct go_pclntab table;
    int error = go_pclntab_open(&memory, BASE, len, &table);
    return error ? error : go_pclntab_find(&memory, &table, wanted, 3, 0, ret_functions);
}

static void test_all_formats(void **state)
{
    (void)state;
    uint8_t data[TABLE_BYTES];
    for (int format = GO_PCLNTAB_1_2; format <= GO_PCLNTAB_1_20; format++) {
        make_table(data, (enum go_pclntab_format)format);
        struct go_function functions[3];
        assert_int_equal(find(data, sizeof data, functions), 2);
        uint64_t text = format >= GO_PCLNTAB_1_18 ? 0 : TEXT;
        assert_int_equal(functions[0].entry, text + 256);
        assert_int_equal(functions[0].end, text + 512);
        assert_int_equal(functions[1].end, 0);
        assert_int_equal(functions[2].entry, text + 768);
        assert_int_equal(functions[2].end, text + 1024);
    }
}

// Names are read a window at a time: one that lies across two windows is found wherever it is cut,
// and behind bytes that are no part of it.
static void test_names_across_windows(void **state)
{
    (void)state;
    enum { NAMES = 4096, NAMES_BYTES = GO_WINDOW_BYTES + 4096, BYTES = NAMES + NAMES_BYTES };
    static const char *const name = "runtime.alpha";
    uint8_t *data = malloc(BYTES);
    assert_non_null(data);
    for (size_t back = 0; back <= strlen(name) + 2; back++) {
        make_table(data, GO_PCLNTAB_1_20);
        memset(data + TABLE_BYTES, 'x', BYTES - TABLE_BYTES);
        size_t offset = GO_WINDOW_BYTES - back;
        // A byte that ends nothing and is in no name stands before it.
        data[NAMES + offset - 1] = back % 2 ? 0 : 0x81;
        memcpy(data + NAMES + offset, name, strlen(name) + 1);
        put(data, 32, NAMES, 8);
        put(data, 40, BYTES, 8);
        put(data, 2048 + 4, offset, 4);
        struct go_function functions[3];
        assert_int_equal(find(data, BYTES, functions), 1);
        assert_int_equal(functions[0].entry, 0);
        assert_int_equal(functions[0].end, 256);
    }
    free(data);
}

// No truncation reads behind the end, and each says so or finds less.
static void test_every_truncation(void **state)
{
    (void)state;
    uint8_t data[TABLE_BYTES];
    for (int format = GO_PCLNTAB_1_2; format <= GO_PCLNTAB_1_20; format++) {
        make_table(data, (enum go_pclntab_format)format);
        for (size_t cut = 0; cut < 2400; cut += 7) {
            uint8_t *copy = malloc(cut ? cut : 1);
            assert_non_null(copy);
            memcpy(copy, data, cut);
            struct go_function functions[3];
            assert_true(find(copy, cut, functions) <= 2);
            free(copy);
        }
    }
}

static void test_hostile_headers(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        uint64_t value;
    } changes[] = {
        {8, UINT64_MAX},
        {8, GO_PCLNTAB_FUNCTIONS_MAX + 1},
        {8, 0},
        {32, UINT64_MAX},
        {40, UINT64_MAX},
        {40, 10},
        {64, UINT64_MAX - 100},
        {64, TABLE_BYTES},
        {0, 0x0801000012345678},
    };
    uint8_t data[TABLE_BYTES];
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        make_table(data, GO_PCLNTAB_1_20);
        put(data, changes[i].offset, changes[i].value, 8);
        struct go_function functions[3];
        assert_int_equal(find(data, sizeof data, functions), -EBADMSG);
    }
}

// A record outside the table costs that function, not the others.
static void test_bad_record_is_skipped(void **state)
{
    (void)state;
    uint8_t data[TABLE_BYTES];
    make_table(data, GO_PCLNTAB_1_20);
    put(data, 1024 + 8 + 4, 0xfffffff0u, 4);
    struct go_function functions[3];
    assert_int_equal(find(data, sizeof data, functions), 1);
    assert_int_equal(functions[0].end, 0);
    assert_int_equal(functions[2].entry, 768);
}

static void test_deadline(void **state)
{
    (void)state;
    uint8_t data[TABLE_BYTES];
    make_table(data, GO_PCLNTAB_1_20);
    struct go_buffer_memory buffer = {BASE, data, sizeof data};
    struct go_memory memory = go_memory_of_buffer(&buffer);
    struct go_pclntab table;
    struct go_function function;
    const char *name = "main.main";
    assert_int_equal(go_pclntab_open(&memory, BASE, sizeof data, &table), 0);
    // One nanosecond after boot is long past.
    assert_int_equal(go_pclntab_find(&memory, &table, &name, 1, 1, &function), -ETIME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_formats),           cmocka_unit_test(test_names_across_windows),
        cmocka_unit_test(test_every_truncation),      cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test(test_bad_record_is_skipped), cmocka_unit_test(test_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
