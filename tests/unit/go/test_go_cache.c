// SPDX-License-Identifier: Apache-2.0
// Unit tests of the layouts kept by build id, and of the walk in a child. Test world; writes below
// a temporary directory.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/go/go_cache.h"

static char directory[64], entry_path[512];
static const struct go_cache_key key = {"00112233"};

static struct go_layout layout_sample(void)
{
    struct go_layout layout;
    memset(&layout, 0, sizeof layout);
    for (unsigned i = 0; i < GO_FIELD_COUNT; i++)
        layout.fields[i] = (struct go_field){-1, 0};
    layout.fields[GO_MEMSTATS_MSPAN_SYS] = (struct go_field){3552, 8};
    layout.address[GO_OBJECT_MEMSTATS] = 0x566280;
    layout.address[GO_OBJECT_HEAP] = 0x54c420;
    layout.marks = GO_LAYOUT_RACE;
    return layout;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/ebb-go-cache-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(entry_path, sizeof entry_path, "%s/ebb/go/%s", directory, key.name);
    return setenv("XDG_CACHE_HOME", directory, 1);
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

static void test_saved_is_loaded(void **state)
{
    (void)state;
    struct go_layout layout = layout_sample(), loaded;
    assert_int_equal(go_cache_load(&key, &loaded), -ENOENT);
    assert_int_equal(go_cache_save(&key, &layout), 0);
    assert_int_equal(go_cache_load(&key, &loaded), 0);
    assert_memory_equal(&loaded, &layout, sizeof layout);
    struct stat status;
    assert_int_equal(stat(entry_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

// Every single damaged byte makes the entry no entry.
static void test_damage_is_noticed(void **state)
{
    (void)state;
    struct go_layout layout = layout_sample(), loaded;
    assert_int_equal(go_cache_save(&key, &layout), 0);
    struct stat status;
    assert_int_equal(stat(entry_path, &status), 0);
    int fd = open(entry_path, O_RDWR);
    assert_true(fd >= 0);
    for (off_t at = 0; at < status.st_size; at += 13) {
        uint8_t byte, changed;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        changed = (uint8_t)~byte;
        assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        assert_int_equal(go_cache_load(&key, &loaded), -ENOENT);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    assert_int_equal(go_cache_load(&key, &loaded), 0);
    assert_int_equal(ftruncate(fd, status.st_size - 1), 0);
    assert_int_equal(go_cache_load(&key, &loaded), -ENOENT);
    close(fd);
}

static void test_foreign_entry_is_ignored(void **state)
{
    (void)state;
    struct go_layout layout = layout_sample(), loaded;
    const struct go_cache_key other = {"44556677"};
    char other_path[600];
    assert_int_equal(go_cache_save(&key, &layout), 0);
    snprintf(other_path, sizeof other_path, "%s/ebb/go/%s", directory, other.name);
    assert_int_equal(rename(entry_path, other_path), 0);
    assert_int_equal(go_cache_load(&other, &loaded), -ENOENT);
}

static void test_directory_of_everybody_is_not_used(void **state)
{
    (void)state;
    struct go_layout layout = layout_sample(), loaded;
    assert_int_equal(go_cache_save(&key, &layout), 0);
    char path[128];
    snprintf(path, sizeof path, "%s/ebb/go", directory);
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(go_cache_load(&key, &loaded), -ENOENT);
    assert_int_equal(go_cache_save(&key, &layout), -EPERM);
}

static void test_insane_layouts(void **state)
{
    (void)state;
    struct go_layout layout = layout_sample();
    assert_true(go_layout_is_sane(&layout));
    layout.fields[GO_ALLP] = (struct go_field){INT32_MAX, 8};
    assert_false(go_layout_is_sane(&layout));
    layout = layout_sample();
    layout.fields[GO_ALLP] = (struct go_field){-2, 8};
    assert_false(go_layout_is_sane(&layout));
    layout = layout_sample();
    layout.address[GO_OBJECT_HEAP] = 0;
    assert_false(go_layout_is_sane(&layout));
}

// This test is no Go program; a file that is cut off or no ELF at all has no layout either.
static void test_walk_of_other_files(void **state)
{
    (void)state;
    struct go_layout layout;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(go_dwarf_walk_apart(fd, 10000, &layout), -ENOENT);
    char path[128], bytes[5000];
    snprintf(path, sizeof path, "%s/cut", directory);
    ssize_t got = pread(fd, bytes, sizeof bytes, 0);
    assert_int_equal(got, (ssize_t)sizeof bytes);
    close(fd);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, sizeof bytes), (ssize_t)sizeof bytes);
    assert_int_equal(go_dwarf_walk_apart(fd, 10000, &layout), -ENOENT);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_saved_is_loaded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign_entry_is_ignored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_directory_of_everybody_is_not_used, set_up, tear_down),
        cmocka_unit_test(test_insane_layouts),
        cmocka_unit_test_setup_teardown(test_walk_of_other_files, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
