// SPDX-License-Identifier: Apache-2.0
// Unit tests of Go's build information. Test world; pure.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/go/go_version.h"

static const char settings[] = "path\tcommand-line-arguments\n"
                               "build\t-race=true\n"
                               "build\tCGO_ENABLED=1\n"
                               "build\tGOEXPERIMENT=arenas\n";

// An inline record as 1.18 and later write it. Returns its length.
static size_t make_inline(uint8_t *data, const char *version)
{
    size_t len = 0;
    memset(data, 0, 32);
    memcpy(data, "\xff Go buildinf:", 14);
    data[14] = 8;
    data[15] = 2;
    len = 32;
    data[len++] = (uint8_t)strlen(version);
    memcpy(data + len, version, strlen(version));
    len += strlen(version);
    size_t module_len = 32 + sizeof settings - 1;
    data[len++] = (uint8_t)(module_len | 0x80);
    data[len++] = (uint8_t)(module_len >> 7);
    memset(data + len, 'M', 16);
    memcpy(data + len + 16, settings, sizeof settings - 1);
    memset(data + len + 16 + sizeof settings - 1, 'N', 16);
    return len + module_len;
}

static void test_inline_record(void **state)
{
    (void)state;
    uint8_t data[512];
    size_t len = make_inline(data, "go1.24.4 X:arenas");
    struct go_buildinfo info;
    assert_int_equal(go_buildinfo_parse(data, len, &info), 0);
    assert_true(info.is_inline);
    struct go_version version;
    assert_int_equal(go_version_parse(info.version, info.version_len, &version), 0);
    assert_string_equal(version.text, "1.24.4");
    assert_int_equal(version.minor, 24);
    assert_string_equal(version.experiment, "arenas");
    assert_false(version.race);
    go_version_add_settings(&version, info.settings, info.settings_len);
    assert_true(version.has_settings);
    assert_true(version.race);
}

static void test_pointer_record(void **state)
{
    (void)state;
    uint8_t data[32] = {0};
    memcpy(data, "\xff Go buildinf:", 14);
    data[14] = 8;
    const uint64_t pointer = 0x5432a0;
    memcpy(data + 16, &pointer, sizeof pointer);
    struct go_buildinfo info;
    assert_int_equal(go_buildinfo_parse(data, sizeof data, &info), 0);
    assert_false(info.is_inline);
    assert_int_equal(info.version_pointer, pointer);
    // 32-bit and big-endian programs are not read.
    data[14] = 4;
    assert_int_equal(go_buildinfo_parse(data, sizeof data, &info), -EBADMSG);
    data[14] = 8;
    data[15] = 1;
    assert_int_equal(go_buildinfo_parse(data, sizeof data, &info), -EBADMSG);
}

// Whatever is cut off, nothing behind the end is read: the copy is of the exact length.
static void test_every_truncation(void **state)
{
    (void)state;
    uint8_t data[512];
    size_t len = make_inline(data, "go1.21.13");
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, data, cut);
        struct go_buildinfo info;
        int error = go_buildinfo_parse(copy, cut, &info);
        if (cut < 33)
            assert_int_equal(error, -EBADMSG);
        if (error == 0)
            assert_true(info.version_len <= cut && info.settings_len <= cut);
        free(copy);
    }
}

static void test_endless_varint_is_refused(void **state)
{
    (void)state;
    uint8_t data[64];
    memset(data, 0xff, sizeof data);
    memcpy(data, "\xff Go buildinf:", 14);
    data[14] = 8;
    data[15] = 2;
    struct go_buildinfo info;
    assert_int_equal(go_buildinfo_parse(data, sizeof data, &info), -EBADMSG);
}

static void test_odd_versions(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
        unsigned minor;
    } cases[] = {
        {"go1.15.15", "1.15.15", 15},
        {"go1.22.1 (Red Hat 1.22.1-2.el9)", "1.22.1", 22},
        {"devel go1.27-4a0115c886 Thu Jan 1", "1.27-4a0115c886", 27},
        {"go1.20rc2", "1.20rc2", 20},
        {"go1.\x1b[31m", "1.?[31m", 0},
        {"go1.99999999999999999999", "1.99999999999999999999", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct go_version version;
        assert_int_equal(go_version_parse(cases[i].text, strlen(cases[i].text), &version), 0);
        assert_string_equal(version.text, cases[i].shown);
        assert_int_equal(version.minor, cases[i].minor);
    }
    struct go_version version;
    assert_int_equal(go_version_parse("gccgo 12", 8, &version), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inline_record),    cmocka_unit_test(test_pointer_record),
        cmocka_unit_test(test_every_truncation), cmocka_unit_test(test_endless_varint_is_refused),
        cmocka_unit_test(test_odd_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
