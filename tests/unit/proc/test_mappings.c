// SPDX-License-Identifier: Apache-2.0
// The table of mappings: from text in any pieces, from odd names, and from live processes. Test
// code.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "proc/mappings.h"
#include "proc/process.h"
#include "proc/status.h"
#include "support/child.h"
#include "support/fixture.h"

// As Linux 6.18 prints it, and one mapping without figures behind.
static const char sample[] =
    "55e24e2d3000-55e24e2d5000 r-xp 00002000 fe:01 247498                     /usr/bin/head\n"
    "Size:                  8 kB\n"
    "KernelPageSize:        4 kB\n"
    "MMUPageSize:           4 kB\n"
    "Rss:                   8 kB\n"
    "Pss:                   7 kB\n"
    "Pss_Dirty:            99 kB\n"
    "Shared_Clean:          1 kB\n"
    "Shared_Dirty:          2 kB\n"
    "Private_Clean:         3 kB\n"
    "Private_Dirty:         4 kB\n"
    "Referenced:           99 kB\n"
    "Anonymous:             5 kB\n"
    "KSM:                  99 kB\n"
    "LazyFree:              6 kB\n"
    "AnonHugePages:      2048 kB\n"
    "ShmemPmdMapped:       99 kB\n"
    "FilePmdMapped:        99 kB\n"
    "Shared_Hugetlb:       99 kB\n"
    "Private_Hugetlb:      99 kB\n"
    "Swap:                 10 kB\n"
    "SwapPss:              99 kB\n"
    "Locked:               11 kB\n"
    "THPeligible:           0\n"
    "VmFlags: rd ex mr mw me lo ht \n"
    "7f0000000000-7f0000001000 rw-s 00000000 00:01 9  /memfd:a\\012b (deleted)\n"
    "Rss:                   4 kB\n"
    "VmFlags: hg nh\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n"
    "NewFigureOfTheFuture:  1 kB\n";

static int parse_pieces(const char *text, size_t len, size_t piece, struct mappings *mappings)
{
    struct smaps_parser parser;
    smaps_parser_init(&parser, mappings);
    int error = 0;
    for (size_t at = 0; at < len && !error; at += piece)
        error = smaps_parser_feed(&parser, text + at, len - at < piece ? len - at : piece);
    return error ? error : smaps_parser_finish(&parser);
}

static int parse(const char *text, struct mappings *mappings)
{
    return parse_pieces(text, strlen(text), SIZE_MAX / 2, mappings);
}

static void check_sample(const struct mappings *mappings)
{
    assert_int_equal(mappings->count, 3);
    assert_true(mappings->has_sizes);
    assert_true(mappings->has_lazy_free);
    const struct mapping *head = &mappings->items[0];
    assert_int_equal(head->start, 0x55e24e2d3000);
    assert_int_equal(head->end, 0x55e24e2d5000);
    assert_int_equal(head->offset, 0x2000);
    assert_int_equal(head->inode, 247498);
    assert_int_equal(head->device, 0xfe << 20 | 1);
    const uint32_t figures[] = {
        head->rss_kib,          head->pss_kib,           head->shared_clean_kib,
        head->shared_dirty_kib, head->private_clean_kib, head->private_dirty_kib,
        head->anonymous_kib,    head->lazy_free_kib,     head->anon_huge_kib,
        head->swap_kib,         head->locked_kib,
    };
    const uint32_t expected[] = {8, 7, 1, 2, 3, 4, 5, 6, 2048, 10, 11};
    assert_memory_equal(figures, expected, sizeof expected);
    assert_int_equal(head->flags, MAPPING_READ | MAPPING_EXEC | MAPPING_LOCKED | MAPPING_HUGETLB);
    assert_int_equal(head->kind, MAPPING_FILE);
    assert_string_equal(mappings_path(mappings, head), "/usr/bin/head");
    const struct mapping *memory = &mappings->items[1];
    assert_string_equal(mappings_path(mappings, memory), "/memfd:a\nb");
    assert_int_equal(memory->flags, MAPPING_READ | MAPPING_WRITE | MAPPING_SHARED |
                                        MAPPING_DELETED | MAPPING_HUGEPAGE | MAPPING_NOHUGEPAGE);
    assert_int_equal(memory->kind, MAPPING_SHMEM);
    assert_int_equal(mappings->items[2].kind, MAPPING_KERNEL);
    assert_int_equal(mappings->items[2].end, UINT64_C(0xffffffffff601000));
    assert_int_equal(mappings->total.rss_kib, 12);
    assert_int_equal(mappings->total.locked_kib, 11);
}

static void test_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= sizeof sample; piece++) {
        struct mappings mappings;
        assert_int_equal(parse_pieces(sample, sizeof sample - 1, piece, &mappings), 0);
        check_sample(&mappings);
        mappings_free(&mappings);
    }
}

static void parse_truncated(struct text file)
{
    struct mappings mappings;
    int error = parse_pieces(file.data, file.len, 61, &mappings);
    assert_true(error == 0 || error == -EBADMSG);
    assert_true(mappings.count <= 3);
    mappings_free(&mappings);
}

static void test_every_truncation(void **state)
{
    (void)state;
    fixture_text_prefixes((struct text){sample, sizeof sample - 1}, parse_truncated);
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        enum mapping_kind kind;
        const char *path;
    } cases[] = {
        {"rw-p 0 00:00 0", MAPPING_ANONYMOUS, ""},
        {"rw-p 0 00:00 0 ", MAPPING_ANONYMOUS, ""},
        {"rw-p 0 00:00 0    [heap]", MAPPING_BRK, "[heap]"},
        {"rw-p 0 fe:00 12   [heap]", MAPPING_FILE, "[heap]"},
        {"rw-p 0 fe:00 12   /tmp/[heap]", MAPPING_FILE, "/tmp/[heap]"},
        {"rw-p 0 00:00 0    [stack]", MAPPING_STACK, "[stack]"},
        {"rw-p 0 00:00 0    [stack:123]", MAPPING_STACK, "[stack:123]"},
        {"rw-p 0 00:00 0    [anon:glibc: malloc]", MAPPING_ANONYMOUS, "[anon:glibc: malloc]"},
        {"rw-s 0 00:01 77   [anon_shmem:dalvik]", MAPPING_SHMEM, "[anon_shmem:dalvik]"},
        {"r--p 0 00:00 0    [vvar]", MAPPING_KERNEL, "[vvar]"},
        {"r--p 0 00:00 0    [vvar_vclock]", MAPPING_KERNEL, "[vvar_vclock]"},
        {"r-xp 0 00:00 0    [vdso]", MAPPING_KERNEL, "[vdso]"},
        {"--xp 0 00:00 0    [uprobes]", MAPPING_KERNEL, "[uprobes]"},
        {"rw-s 0 00:01 9    /memfd:x y (deleted)", MAPPING_SHMEM, "/memfd:x y"},
        {"rw-s 0 fe:00 9    /memfd:x", MAPPING_FILE, "/memfd:x"},
        {"rw-s 0 00:01 9    /dev/zero (deleted)", MAPPING_SHMEM, "/dev/zero"},
        {"rw-p 0 00:06 5    /dev/zero", MAPPING_ANONYMOUS, "/dev/zero"},
        {"rw-s 0 00:01 9    /SYSV00000000 (deleted)", MAPPING_SHMEM, "/SYSV00000000"},
        {"rw-s 0 00:17 9    /dev/shm/x", MAPPING_SHMEM, "/dev/shm/x"},
        {"rw-s 0 00:17 9    /dev/shm/x (deleted)", MAPPING_SHMEM, "/dev/shm/x"},
        {"rw-s 0 00:06 9    /dev/dri/card0", MAPPING_DEVICE, "/dev/dri/card0"},
        {"rw-s 0 00:0f 9    anon_inode:[io_uring]", MAPPING_DEVICE, "anon_inode:[io_uring]"},
        {"rw-s 0 00:0f 9    socket:[99]", MAPPING_DEVICE, "socket:[99]"},
        {"rw-s 0 00:12 9    /[aio] (deleted)", MAPPING_DEVICE, "/[aio]"},
        {"rw-p 0 00:10 9    /anon_hugepage (deleted)", MAPPING_ANONYMOUS, "/anon_hugepage"},
        {"rw-s 0 00:10 9    /anon_hugepage (deleted)", MAPPING_SHMEM, "/anon_hugepage"},
        {"r-xp 0 fe:00 9    /usr/lib/a b.so (deleted)", MAPPING_FILE, "/usr/lib/a b.so"},
        {"r-xp 0 fe:00 9    /a\\012b\\134\\01", MAPPING_FILE, "/a\nb\\134\\01"},
        {"r-xp 0 fe:00 9     (deleted)", MAPPING_DEVICE, "(deleted)"},
        {"r-xp 0 fe:00 9", MAPPING_FILE, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[256];
        snprintf(line, sizeof line, "1000-2000 %s\n", cases[i].rest);
        struct mappings mappings;
        assert_int_equal(parse(line, &mappings), 0);
        assert_int_equal(mappings.count, 1);
        assert_string_equal(mappings_path(&mappings, mappings.items), cases[i].path);
        assert_int_equal(mappings.items[0].kind, cases[i].kind);
        assert_false(mappings.has_sizes);
        mappings_free(&mappings);
    }
}

static void test_unsound_text(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Rss: 4 kB\n",
        "hello\n",
        " 1000-2000 rw-p 0 00:00 0\n",
        "1000-1000 rw-p 0 00:00 0\n",
        "2000-1000 rw-p 0 00:00 0\n",
        "1000-2000 rw-x 0 00:00 0\n",
        "1000-2000 rw-p 0 00:00\n",
        "1000-2000 rw-p 0 0000 0\n",
        "10000000000000000-20000000000000000 rw-p 0 00:00 0\n",
        "1000-2000 rw-p 0 00:00 0\n1000-2000 rw-p 0 00:00 0\n",
        "3000-4000 rw-p 0 00:00 0\n1000-2000 rw-p 0 00:00 0\n",
        "1000-2000 rw-p 0 00:00 0\nRss: x kB\n",
        "1000-2000 rw-p 0 00:00 0\nRss:  kB\n",
        "1000-2000 rw-p 0 00:00 0\nRss: 12\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mappings mappings;
        assert_int_equal(parse(bad[i], &mappings), -EBADMSG);
        mappings_free(&mappings);
    }
}

static void test_overlap_and_saturation(void **state)
{
    (void)state;
    struct mappings mappings;
    assert_int_equal(parse("1000-4000 rw-p 0 00:00 0\nRss: 4294967294 kB\nSwap: 0004294967296 kB\n"
                           "2000-8000 rw-p 0 00:00 0\nRss: 99999999999999999999999999 kB\n"
                           "Locked: 10000000000 kB\n",
                           &mappings),
                     0);
    // A third of the first one is left.
    assert_int_equal(mappings.items[0].end, 0x2000);
    assert_int_equal(mappings.items[1].start, 0x2000);
    assert_int_equal(mappings.items[0].rss_kib, (UINT32_MAX - 1) / 3);
    assert_int_equal(mappings.items[0].swap_kib, UINT32_MAX / 3);
    assert_int_equal(mappings.items[1].rss_kib, UINT32_MAX);
    assert_int_equal(mappings.items[1].locked_kib, UINT32_MAX);
    assert_int_equal(mappings.total.rss_kib, UINT32_MAX);
    mappings_free(&mappings);
}

// A heap that grows while it is read: the kernel tells the merged mapping from its start, with all
// that it has told before.
static void test_merged_mappings_count_once(void **state)
{
    (void)state;
    struct mappings mappings;
    assert_int_equal(parse("1000-2000 rw-p 0 00:00 0\nRss: 4 kB\n"
                           "c000-e000 rw-p 0 00:00 0\nRss: 8 kB\nLazyFree: 4 kB\n"
                           "e000-f000 rw-p 0 00:00 0\nRss: 4 kB\n"
                           "c000-14000 rw-p 0 00:00 0\nRss: 24 kB\nLazyFree: 4 kB\n"
                           "20000-21000 rw-p 0 00:00 0\nRss: 4 kB\n",
                           &mappings),
                     0);
    assert_int_equal(mappings.count, 3);
    assert_int_equal(mappings.items[1].start, 0xc000);
    assert_int_equal(mappings.items[1].end, 0x14000);
    assert_int_equal(mappings.items[1].rss_kib, 24);
    assert_int_equal(mappings.total.rss_kib, 32);
    assert_int_equal(mappings.total.lazy_free_kib, 4);
    mappings_free(&mappings);
}

static void test_long_names(void **state)
{
    (void)state;
    // A path of 4095 newlines is the longest line that a kernel writes; the other one is nonsense.
    struct buffer text = {0};
    buffer_printf(&text, "1000-2000 r--p 00000000 fe:00 1 /");
    for (int i = 0; i < 4094; i++)
        buffer_printf(&text, "\\012");
    buffer_printf(&text, " (deleted)\nRss: 4 kB\n2000-3000 r--p 0 fe:00 2 /");
    for (int i = 0; i < 50000; i++)
        buffer_printf(&text, "x");
    buffer_printf(&text, "\nRss: 8 kB\n");
    for (size_t piece = 1; piece < 70000; piece = piece * 3 + 1) {
        struct mappings mappings;
        assert_int_equal(parse_pieces(text.data, text.len, piece, &mappings), 0);
        assert_int_equal(mappings.count, 2);
        assert_int_equal(strlen(mappings_path(&mappings, &mappings.items[0])), 4095);
        assert_true(mappings.items[0].flags & MAPPING_DELETED);
        assert_true(strlen(mappings_path(&mappings, &mappings.items[1])) > 4096);
        assert_int_equal(mappings.total.rss_kib, 12);
        mappings_free(&mappings);
    }
    buffer_free(&text);
}

static void test_many_mappings(void **state)
{
    (void)state;
    struct buffer text = {0};
    for (unsigned i = 0; i < 60000; i++)
        buffer_printf(&text, "%x-%x rw-p 00000000 fe:00 %u /lib/number %u of many\nRss: 4 kB\n",
                      0x1000 * (2 * i + 1), 0x1000 * (2 * i + 2), 1 + i % 500, i % 500);
    struct mappings mappings;
    assert_int_equal(parse_pieces(text.data, text.len, 4000, &mappings), 0);
    assert_int_equal(mappings.count, 60000);
    assert_int_equal(mappings.total.rss_kib, 240000);
    assert_true(mappings.count * sizeof(struct mapping) < 5300000);
    // Each name once.
    assert_true(mappings.names_len < 500 * 30);
    for (size_t i = 0; i < mappings.count; i += 101) {
        char name[64];
        snprintf(name, sizeof name, "/lib/number %zu of many", i % 500);
        assert_string_equal(mappings_path(&mappings, &mappings.items[i]), name);
        uint64_t start = mappings.items[i].start;
        assert_ptr_equal(mappings_find(&mappings, start), &mappings.items[i]);
        assert_ptr_equal(mappings_find(&mappings, start + 0xfff), &mappings.items[i]);
        assert_null(mappings_find(&mappings, start + 0x1000));
        assert_null(mappings_find(&mappings, start - 1));
        assert_int_equal(mappings_lower_bound(&mappings, start + 0x1000), i + 1);
        assert_int_equal(mappings_lower_bound(&mappings, start - 1), i);
    }
    mappings_free(&mappings);
    buffer_free(&text);
}

static void test_names_have_a_budget(void **state)
{
    (void)state;
    struct buffer text = {0};
    for (unsigned i = 0; i < 2000; i++)
        buffer_printf(&text, "%x000-%x000 rw-p 0 fe:00 1 /%04000u\n", 2 * i + 1, 2 * i + 2, i);
    struct mappings mappings;
    assert_int_equal(parse(text.data, &mappings), 0);
    assert_int_equal(mappings.count, 2000);
    assert_true(mappings.names_len <= MAPPINGS_NAMES_MAX);
    assert_string_equal(mappings_path(&mappings, &mappings.items[1999]), "(name not kept)");
    assert_int_equal(mappings.items[1999].kind, MAPPING_FILE);
    mappings_free(&mappings);
    buffer_free(&text);
}

static void wait_only(struct child *self, void *argument)
{
    (void)argument;
    child_step_done(self);
}

// Reads smaps and its sum. A child that has just said that it stands still touches a last page now
// and then on its way to sleep: until two sums agree they are read again.
static void read_both(struct process *process, struct mappings *mappings,
                      struct proc_rollup *rollup)
{
    struct buffer file = {0};
    for (int tries = 0; tries < 100; tries++) {
        assert_int_equal(mappings_read(process, mappings), 0);
        assert_int_equal(process_read_file(process, "smaps_rollup", 1 << 16, &file), 0);
        assert_int_equal(proc_rollup_parse(buffer_text(&file), rollup), 0);
        if (mappings->total.rss_kib == rollup->rss_kib || tries == 99)
            break;
        mappings_free(mappings);
        usleep(10000);
    }
    buffer_free(&file);
}

static void test_live_sum_is_the_rollup(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, wait_only, NULL);
    child_wait_step(&child);
    struct process *process;
    assert_int_equal(process_open("/proc", child.pid, &process), 0);
    struct mappings mappings;
    struct proc_rollup rollup;
    read_both(process, &mappings, &rollup);
    assert_true(rollup.rss_kib > 0);
    assert_int_equal(mappings.total.rss_kib, rollup.rss_kib);
    assert_int_equal(mappings.total.anonymous_kib, rollup.anonymous_kib);
    assert_int_equal(mappings.total.lazy_free_kib, rollup.lazy_free_kib);
    assert_int_equal(mappings.total.swap_kib, rollup.swap_kib);
    // This function's own code and frame.
    const struct mapping *code =
        mappings_find(&mappings, (uint64_t)(uintptr_t)test_live_sum_is_the_rollup);
    assert_non_null(code);
    assert_int_equal(code->kind, MAPPING_FILE);
    assert_true(code->flags & MAPPING_EXEC);
    const struct mapping *stack = mappings_find(&mappings, (uint64_t)(uintptr_t)&rollup);
    assert_non_null(stack);
    assert_int_equal(stack->kind, MAPPING_STACK);
    mappings_free(&mappings);
    child_stop(&child);
    assert_int_equal(mappings_read(process, &mappings), -ESRCH);
    process_close(process);
}

static void put_file(const char *directory, const char *name, const char *contents)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(contents, file);
    fclose(file);
}

static void test_maps_where_smaps_is_missing(void **state)
{
    (void)state;
    char root[] = "/tmp/ebb-maps-XXXXXX", directory[64], command[96];
    assert_non_null(mkdtemp(root));
    snprintf(directory, sizeof directory, "%s/9", root);
    assert_int_equal(mkdir(directory, 0755), 0);
    put_file(directory, "stat",
             "9 (x) S 1 9 9 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 4096 1 0 0 0 0 0 0 0 0 0 0 0 0 0 17 "
             "0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
    struct process *process;
    struct mappings mappings = {.count = 77};
    assert_int_equal(process_open(root, 9, &process), 0);
    assert_int_equal(mappings_read(process, &mappings), -ENOENT);
    assert_int_equal(mappings.count, 77);
    put_file(directory, "maps", "1000-2000 rw-p 00000000 00:00 0   [heap]\n");
    assert_int_equal(mappings_read(process, &mappings), 0);
    assert_int_equal(mappings.count, 1);
    assert_false(mappings.has_sizes);
    mappings_free(&mappings);
    put_file(directory, "smaps", sample);
    assert_int_equal(mappings_read(process, &mappings), 0);
    check_sample(&mappings);
    mappings_free(&mappings);
    put_file(directory, "smaps", "garbage\n");
    assert_int_equal(mappings_read(process, &mappings), -EBADMSG);
    process_close(process);
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_of_any_size),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_unsound_text),
        cmocka_unit_test(test_overlap_and_saturation),
        cmocka_unit_test(test_merged_mappings_count_once),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_many_mappings),
        cmocka_unit_test(test_names_have_a_budget),
        cmocka_unit_test(test_live_sum_is_the_rollup),
        cmocka_unit_test(test_maps_where_smaps_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
