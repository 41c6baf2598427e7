// SPDX-License-Identifier: Apache-2.0
// Unit tests of the journal of levers: what is written is read by whoever began before; nothing is
// written through links. Test code.
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

#include "lever/journal.h"

static char folder[256];

static int make_folder(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.200s/journal-XXXXXX", base ? base : "/tmp");
    return mkdtemp(folder) && setenv("XDG_RUNTIME_DIR", folder, 1) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static const char *place(const char *name)
{
    static char path[320];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void test_lines(void **state)
{
    (void)state;
    char line[JOURNAL_LINE_MAX];
    struct journal_entry entry = {.time_ms = 1234567890123, .pid = 4121, .start_ticks = 99}, back;
    snprintf(entry.text, sizeof entry.text, "reclaim: a\tname\nof \x7f lines \xc3\xa4");
    journal_print(&entry, line);
    assert_string_equal(line, "1234567890123\t4121\t99\treclaim: a name of   lines \xc3\xa4\n");
    struct text text = {line, strlen(line) - 1};
    assert_true(journal_parse(text, &back));
    assert_int_equal(back.pid, 4121);
    assert_int_equal(back.start_ticks, 99);
    // Cut before its text, it is none; behind that, it is a shorter one.
    for (size_t len = 0; len < strlen("1234567890123\t4121\t99\t"); len++)
        assert_false(journal_parse((struct text){line, len}, &back));
    static const char *const wrong[] = {"-1\t1\t1\tx", "1\t99999999999\t1\tx", "1 1 1 x",
                                        "1\t1\t1\t", "1\t1\t1\tx\x01"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(journal_parse(text_of(wrong[i]), &back));
}

static void append(const char *lever, int pid)
{
    struct lever_report report = {.lever = lever, .pid = pid, .outcome = LEVER_DONE};
    report.before.rss_bytes = 10 << 20;
    report.after.rss_bytes = 5 << 20;
    report.has_before = report.has_after = true;
    journal_append(&report, 77);
}

static size_t read_own(struct journal *journal, const struct journal_entry **ret_last)
{
    const struct journal_entry *entries;
    size_t count, own = 0;
    assert_int_equal(journal_read(journal, &entries, &count), 0);
    // As root, others' lines come as well.
    for (size_t i = 0; i < count; i++) {
        if (entries[i].start_ticks == 77 && entries[i].pid > 4000000) {
            own++;
            *ret_last = &entries[i];
        }
    }
    return own;
}

static void test_append_and_read(void **state)
{
    (void)state;
    const struct journal_entry *last = NULL;
    struct stat status;
    append("reclaim", 4000001);
    struct journal *journal = journal_open();
    assert_non_null(journal);
    // What was before is passed over.
    assert_int_equal(read_own(journal, &last), 0);
    append("tune", 4000002);
    append("reclaim", 4000003);
    assert_int_equal(read_own(journal, &last), 2);
    assert_int_equal(last->pid, 4000003);
    assert_string_equal(last->text, "reclaim: done, RSS 10.0 MiB to 5.00 MiB");
    assert_int_equal(read_own(journal, &last), 0);
    assert_int_equal(stat(place("ebb"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(stat(place("ebb/levers"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    // It is started anew when it is long, and read from its start.
    for (int i = 0; i < 6000; i++)
        append("tune", 4000004);
    assert_int_equal(stat(place("ebb/levers"), &status), 0);
    assert_true(status.st_size < 300 << 10);
    assert_true(read_own(journal, &last) > 0);
    append("balloon", 4000005);
    assert_int_equal(read_own(journal, &last), 1);
    journal_close(journal);
    journal_close(NULL);
}

static void test_links(void **state)
{
    (void)state;
    struct stat status;
    const struct journal_entry *last = NULL;
    FILE *victim = fopen(place("victim"), "w");
    assert_non_null(victim);
    fclose(victim);
    assert_int_equal(unlink(place("ebb/levers")), 0);
    assert_int_equal(symlink("../victim", place("ebb/levers")), 0);
    append("reclaim", 4000006);
    assert_int_equal(stat(place("victim"), &status), 0);
    assert_int_equal(status.st_size, 0);
    // Neither is one followed that is to be read, nor a second name written to.
    struct journal *journal = journal_open();
    assert_int_equal(read_own(journal, &last), 0);
    assert_int_equal(unlink(place("ebb/levers")), 0);
    char first[320];
    snprintf(first, sizeof first, "%s", place("victim"));
    assert_int_equal(link(first, place("ebb/levers")), 0);
    append("reclaim", 4000007);
    assert_int_equal(stat(place("victim"), &status), 0);
    assert_int_equal(status.st_size, 0);
    // A folder that others may write to is nobody's.
    assert_int_equal(unlink(place("ebb/levers")), 0);
    assert_int_equal(chmod(place("ebb"), 0777), 0);
    append("reclaim", 4000008);
    assert_int_equal(access(place("ebb/levers"), F_OK), -1);
    journal_close(journal);
}

// Whoever floods a journal fills no recording.
static void test_flood(void **state)
{
    (void)state;
    const struct journal_entry *last = NULL;
    assert_int_equal(chmod(place("ebb"), 0700), 0);
    append("reclaim", 4000009);
    struct journal *journal = journal_open();
    assert_non_null(journal);
    FILE *file = fopen(place("ebb/levers"), "a");
    assert_non_null(file);
    for (int i = 0; i < 4000; i++)
        fputs("1234567890123\t4000010\t77\tx\n", file);
    fclose(file);
    assert_int_equal(read_own(journal, &last), 256);
    // The rest is passed over, and what comes later is told.
    assert_int_equal(read_own(journal, &last), 0);
    append("tune", 4000011);
    assert_int_equal(read_own(journal, &last), 1);
    assert_int_equal(last->pid, 4000011);
    journal_close(journal);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_lines),
    cmocka_unit_test(test_append_and_read),
    cmocka_unit_test(test_links),
    cmocka_unit_test(test_flood),
};

int main(void)
{
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
