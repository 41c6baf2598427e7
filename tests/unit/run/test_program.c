// SPDX-License-Identifier: Apache-2.0
// Unit tests of what a command will run: first lines of scripts, search along PATH, and facts of
// ELF files. Test code.
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
#include <elf.h>

#include "lever/run/ldcache.h"
#include "lever/run/library.h"
#include "lever/run/program.h"
#include "lever/run/shebang.h"
#include "support/fixture.h"

static void assert_view(struct text text, const char *wanted)
{
    assert_int_equal(text.len, strlen(wanted));
    assert_memory_equal(text.data, wanted, text.len);
}

static void test_first_lines(void **state)
{
    (void)state;
    static const struct {
        const char *start, *interpreter, *argument;
    } rows[] = {
        {"#!/bin/sh\n", "/bin/sh", ""},
        {"#! \t/bin/sh -eu \t\n", "/bin/sh", "-eu"},
        {"#!/usr/bin/env python3 -u\nprint()", "/usr/bin/env", "python3 -u"},
        {"#!/bin/sh", "/bin/sh", ""},
        {"#!relative\n", "relative", ""},
    };
    static const char *const bad[] = {"", "#", "#!", "#!\n/bin/sh", "#!   \n", " #!/bin/sh", "ELF"};
    struct text interpreter, argument;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(shebang_parse(text_of(rows[i].start), &interpreter, &argument), 0);
        assert_view(interpreter, rows[i].interpreter);
        assert_view(argument, rows[i].argument);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(shebang_parse(text_of(bad[i]), &interpreter, &argument), -ENOEXEC);
    // The kernel does not take a name that may have been cut.
    char longer[SHEBANG_MAX + 1];
    memset(longer, 'x', SHEBANG_MAX);
    longer[SHEBANG_MAX] = '\0';
    memcpy(longer, "#!/", 3);
    assert_int_equal(shebang_parse(text_of(longer), &interpreter, &argument), -ENOEXEC);
    longer[100] = ' ';
    assert_int_equal(shebang_parse(text_of(longer), &interpreter, &argument), 0);
    assert_int_equal(interpreter.len, 98);
}

static void test_env_programs(void **state)
{
    (void)state;
    static const struct {
        const char *argument, *program;
    } rows[] = {
        {"python3", "python3"},
        {"-S python3 -u", "python3"},
        {"-Spython3", "python3"},
        {"-S -i A=1 B=2 node", "node"},
        {"", NULL},
        {"-u X python3", NULL},
        {"-S -u X python3", NULL},
        {"-S", NULL},
        {"-S $PYTHON", NULL},
        {"--split-string=perl", "perl"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct text program;
        bool found = shebang_env_program(text_of(rows[i].argument), &program);
        assert_int_equal(found, rows[i].program != NULL);
        if (found)
            assert_view(program, rows[i].program);
    }
}

static char folder[] = "/tmp/ebb-run-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"plain", "script",    "loop", "env",
                                        "words", "sub/plain", "sub"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    return rmdir(folder);
}

static void put_file(const char *name, const char *contents, mode_t mode)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, contents, strlen(contents)), strlen(contents));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void test_search(void **state)
{
    (void)state;
    char search[PATH_MAX], path[PATH_MAX], wanted[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/sub", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    put_file("plain", "x", 0600);
    snprintf(search, sizeof search, "/nonexistent:%s:/bin", folder);
    // Not executable, and nothing behind it.
    assert_int_equal(program_find("plain", search, path), -EACCES);
    put_file("sub/plain", "x", 0700);
    snprintf(search, sizeof search, "/nonexistent:%s:%s/sub:/bin", folder, folder);
    assert_int_equal(program_find("plain", search, path), 0);
    snprintf(wanted, sizeof wanted, "%s/sub/plain", folder);
    assert_string_equal(path, wanted);
    assert_int_equal(program_find("nothing", search, path), -ENOENT);
    assert_int_equal(program_find("", search, path), -ENOENT);
    assert_int_equal(program_find("/nothing", search, path), -ENOENT);
    assert_int_equal(program_find(folder, search, path), -EACCES);
    assert_int_equal(program_find("sh", NULL, path), 0);
}

static void test_scripts(void **state)
{
    (void)state;
    char path[PATH_MAX], loop[PATH_MAX + 16];
    struct program program, shell;
    assert_int_equal(program_look("sh", "/bin", &shell), 0);
    assert_true(shell.is_known && !shell.is_script && !shell.binary.is_static);
    snprintf(path, sizeof path, "%s/script", folder);
    put_file("script", "#!/bin/sh\n", 0700);
    assert_int_equal(program_look(path, "/bin", &program), 0);
    assert_true(program.is_known && program.is_script);
    assert_string_equal(program.path, path);
    assert_string_equal(program.final_path, "/bin/sh");
    assert_int_equal(program.binary.machine, shell.binary.machine);
    // env(1) looks along PATH itself.
    put_file("env", "#!/usr/bin/env -S sh -e\n", 0700);
    snprintf(path, sizeof path, "%s/env", folder);
    assert_int_equal(program_look(path, "/bin", &program), 0);
    assert_string_equal(program.final_path, "/bin/sh");
    // Neither ELF nor a first line: execvp() asks the shell.
    put_file("words", "exit 0\n", 0700);
    snprintf(path, sizeof path, "%s/words", folder);
    assert_int_equal(program_look(path, "/bin", &program), 0);
    assert_true(program.is_known && program.is_script);
    // A script that interprets itself has no end.
    snprintf(path, sizeof path, "%s/loop", folder);
    snprintf(loop, sizeof loop, "#!%s\n", path);
    put_file("loop", loop, 0700);
    assert_int_equal(program_look(path, "/bin", &program), 0);
    assert_false(program.is_known);
    assert_int_equal(program.error, -ELOOP);
}

static void test_own_binary(void **state)
{
    (void)state;
    struct program program;
    assert_int_equal(program_look("/proc/self/exe", NULL, &program), 0);
    assert_true(program.is_known && !program.gains_privileges && !program.binary.is_go);
    assert_true(program.loser == PROGRAM_FALLS_BACK);
    char machine[64];
    binary_format_machine(&program.binary, machine, sizeof machine);
    assert_true(strlen(machine) > 0);
    struct binary other = program.binary;
    assert_true(binary_fits(&other, &program.binary));
    other.machine = EM_S390;
    assert_false(binary_fits(&other, &program.binary));
    binary_format_machine(&other, machine, sizeof machine);
    assert_string_equal(machine, "ELF machine 22, 64 bit");
    other = program.binary;
    other.is_64bit = !other.is_64bit;
    assert_false(binary_fits(&other, &program.binary));
    other = program.binary;
    other.libc = BINARY_LIBC_MUSL;
    struct binary glibc = program.binary;
    glibc.libc = BINARY_LIBC_GLIBC;
    assert_false(binary_fits(&other, &glibc));
    // One that does not say for which it is made may be for either.
    other.libc = BINARY_LIBC_UNKNOWN;
    assert_true(binary_fits(&other, &glibc));
}

// A cache as ldconfig writes it, of two libraries and one entry that leads out of the file.
struct cache_file {
    char magic[20];
    uint32_t count, strings_len, flags, extension, unused[3];
    struct {
        int32_t flags;
        uint32_t soname, path, os_version;
        uint64_t hardware;
    } entries[3];
    char strings[64];
};

static struct cache_file make_cache(void)
{
    struct cache_file file = {.count = 3};
    memcpy(file.magic, "glibc-ld.so.cache1.1", sizeof file.magic);
    uint32_t base = (uint32_t)offsetof(struct cache_file, strings);
    memcpy(file.strings, "liba.so.1\0/lib/liba.so.1\0libb.so\0/b", 36);
    file.entries[0].soname = base, file.entries[0].path = base + 10;
    file.entries[1].soname = 1U << 30, file.entries[1].path = base;
    file.entries[2].soname = base + 25, file.entries[2].path = base + 33;
    return file;
}

static void read_cache(struct text file)
{
    struct ldcache cache;
    struct text soname, path;
    size_t count = 0;
    if (ldcache_open(file, &cache))
        return;
    while (ldcache_next(&cache, &soname, &path))
        count += soname.len + path.len > 0;
    assert_true(count <= 2);
}

static void test_cache(void **state)
{
    (void)state;
    struct cache_file file = make_cache();
    struct text text = {(const char *)&file, sizeof file}, soname, path;
    struct ldcache cache;
    assert_int_equal(ldcache_open(text, &cache), 0);
    assert_true(ldcache_next(&cache, &soname, &path));
    assert_view(soname, "liba.so.1");
    assert_view(path, "/lib/liba.so.1");
    assert_true(ldcache_next(&cache, &soname, &path));
    assert_view(soname, "libb.so");
    assert_view(path, "/b");
    assert_false(ldcache_next(&cache, &soname, &path));
    assert_int_equal(ldcache_open(text_of("ld.so-1.7.0"), &cache), -EBADMSG);
    fixture_text_prefixes(text, read_cache);
    file.count = UINT32_MAX;
    read_cache(text);
}

static void test_kinds(void **state)
{
    (void)state;
    static const char *const names[] = {"jemalloc", "tcmalloc", "mimalloc", "ebb"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const struct library_kind *kind = library_kind_find(names[i]);
        assert_non_null(kind);
        assert_non_null(kind->sonames[0]);
        assert_non_null(strstr(library_names, names[i]));
    }
    assert_null(library_kind_find("glibc"));
    struct library_found found = {0};
    struct binary binary = {.machine = EM_S390, .is_64bit = true};
    assert_int_equal(library_check("/nonexistent", &binary, &found), -ENOENT);
    assert_int_equal(library_check("/proc/self/exe", &binary, &found), -EINVAL);
    assert_string_equal(found.misfit, "/proc/self/exe");
    assert_int_equal(library_check("/etc/passwd", &binary, &found), -ENOEXEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_lines), cmocka_unit_test(test_env_programs),
        cmocka_unit_test(test_search),      cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_own_binary),  cmocka_unit_test(test_cache),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
