// SPDX-License-Identifier: Apache-2.0
// Unit tests of settings in environment variables: text in, text out. Test code; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lever/run/environment.h"
#include "lever/run/merge.h"

static void assert_text(struct buffer *buffer, const char *wanted)
{
    assert_string_equal(buffer->data, wanted);
    buffer_free(buffer);
}

static void test_godebug(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "madvdontneed=1"},
        {"gctrace=1", "gctrace=1,madvdontneed=1"},
        {"madvdontneed=0", "madvdontneed=1"},
        {"a=1,madvdontneed=0,b=2,madvdontneed=0", "a=1,b=2,madvdontneed=1"},
        {"xmadvdontneed=0,madvdontneedx=0", "xmadvdontneed=0,madvdontneedx=0,madvdontneed=1"},
        {"madvdontneed", "madvdontneed,madvdontneed=1"},
        {",,a=1,", "a=1,madvdontneed=1"},
        {"http2client=0,panicnil=1", "http2client=0,panicnil=1,madvdontneed=1"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buffer merged = {0};
        assert_int_equal(merge_godebug(text_of(rows[i][0]), "madvdontneed", "1", &merged), 0);
        assert_text(&merged, rows[i][1]);
    }
}

static void test_malloc_conf(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "muzzy_decay_ms:0"},
        {"narenas:1", "muzzy_decay_ms:0,narenas:1"},
        {"muzzy_decay_ms:5000", "muzzy_decay_ms:0"},
        {"narenas:1,muzzy_decay_ms:-1,dirty_decay_ms:9", "muzzy_decay_ms:0,narenas:1,"
                                                         "dirty_decay_ms:9"},
        // jemalloc reads no further than the malformed pair.
        {"narenas:1, oops,tcache:false", "muzzy_decay_ms:0,narenas:1, oops,tcache:false"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buffer merged = {0};
        assert_int_equal(merge_malloc_conf(text_of(rows[i][0]), "muzzy_decay_ms", "0", &merged), 0);
        assert_text(&merged, rows[i][1]);
    }
}

static void test_preload(void **state)
{
    (void)state;
    static const struct {
        const char *old, *added, *wanted;
        size_t removed;
    } rows[] = {
        {"", "/l/libjemalloc.so.2", "/l/libjemalloc.so.2", 0},
        {"/a/libfoo.so", "/l/m.so", "/l/m.so:/a/libfoo.so", 0},
        {"/a/libfoo.so /b/libbar.so", "/l/m.so", "/l/m.so:/a/libfoo.so:/b/libbar.so", 0},
        {"/x/libtcmalloc_minimal.so.4:/a/libfoo.so", "/l/m.so", "/l/m.so:/a/libfoo.so", 1},
        {"libjemalloc.so.2", NULL, "", 1},
        {"::  libmimalloc.so libfoo.so:", NULL, "libfoo.so", 1},
        // A folder's name is no library's.
        {"/opt/libjemalloc/libfoo.so", NULL, "/opt/libjemalloc/libfoo.so", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buffer merged = {0};
        size_t removed = 0;
        assert_int_equal(merge_preload(text_of(rows[i].old), rows[i].added, &merged, &removed), 0);
        assert_int_equal(removed, rows[i].removed);
        assert_text(&merged, rows[i].wanted);
    }
    assert_true(merge_preload_can_hold("/usr/lib/libjemalloc.so.2"));
    assert_false(merge_preload_can_hold("/my libs/libjemalloc.so.2"));
    assert_false(merge_preload_can_hold("/a:b/libjemalloc.so.2"));
}

static void test_environment(void **state)
{
    (void)state;
    char *source[] = {"A=1", "B=", "A=2", "odd", "C=x=y", NULL};
    struct environment environment;
    assert_int_equal(environment_copy(source, &environment), 0);
    assert_string_equal(environment_get(&environment, "A"), "1");
    assert_string_equal(environment_get(&environment, "B"), "");
    assert_string_equal(environment_get(&environment, "C"), "x=y");
    assert_null(environment_get(&environment, "odd"));
    assert_null(environment_get(&environment, "AB"));
    assert_int_equal(environment_text(&environment, "AB").len, 0);
    // In its place, and the second one goes.
    assert_int_equal(environment_set(&environment, "A", "3"), 0);
    assert_string_equal(environment.items[0], "A=3");
    assert_int_equal(environment.count, 4);
    assert_int_equal(environment_set(&environment, "D", "4"), 0);
    assert_string_equal(environment.items[4], "D=4");
    environment_unset(&environment, "B");
    environment_unset(&environment, "nothing");
    assert_int_equal(environment.count, 4);
    assert_string_equal(environment.items[1], "odd");
    assert_null(environment.items[4]);
    environment_free(&environment);
}

static void test_empty_environment(void **state)
{
    (void)state;
    char *source[] = {NULL}, name[16];
    struct environment environment;
    assert_int_equal(environment_copy(source, &environment), 0);
    assert_null(environment.items[0]);
    for (int i = 0; i < 100; i++) {
        text_format(name, sizeof name, "V%d", i);
        assert_int_equal(environment_set(&environment, name, "x"), 0);
        assert_null(environment.items[environment.count]);
    }
    assert_int_equal(environment.count, 100);
    environment_free(&environment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_godebug),           cmocka_unit_test(test_malloc_conf),
        cmocka_unit_test(test_preload),           cmocka_unit_test(test_environment),
        cmocka_unit_test(test_empty_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
