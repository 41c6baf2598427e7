// SPDX-License-Identifier: Apache-2.0
// Unit tests of surveys over time: growth that is there, that is not, exit and exec in the middle,
// trees without rollup. Test world; looks at its own children.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/child.h"
#include "support/fixture.h"
#include "survey/reading.h"

enum { BLOCK = 1 << 20 };

static void *map_block(size_t len)
{
    void *block = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        _exit(1);
    memset(block, 1, len);
    return block;
}

// A leak in mappings that no runtime claims.
static void leak(struct child *self, void *argument)
{
    (void)argument;
    map_block(16 * BLOCK);
    if (write(self->to, "", 1) != 1)
        _exit(1);
    for (int i = 0; i < 1000; i++) {
        map_block(BLOCK);
        usleep(10000);
    }
}

static void rest(struct child *self, void *argument)
{
    (void)argument;
    map_block(16 * BLOCK);
    child_step_done(self);
}

// Counts calls; the first one lets the child go on.
struct progress {
    struct child *child;
    int calls;
};

static void on_progress(void *context, double done_s, double total_s)
{
    struct progress *progress = context;
    assert_true(done_s > 0 && done_s <= total_s);
    if (progress->calls++ == 0 && progress->child)
        assert_int_equal(write(progress->child->to, "", 1), 1);
}

static int observe_child(struct child *child, bool lets_go, double seconds, struct survey *survey,
                         int *ret_calls)
{
    struct progress progress = {.child = lets_go ? child : NULL};
    struct survey_options options = {.proc_root = "/proc",
                                     .observe_s = seconds,
                                     .progress = on_progress,
                                     .progress_context = &progress};
    int error = survey_take(&options, child->pid, survey);
    *ret_calls = progress.calls;
    return error;
}

static void test_a_leak_is_growth(void **state)
{
    (void)state;
    struct child child;
    struct survey survey;
    int calls;
    child_start(&child, leak, NULL);
    child_wait_step(&child);
    assert_int_equal(observe_child(&child, false, 1.0, &survey, &calls), 0);
    child_stop(&child);
    if (!survey.has_account) {
        survey_free(&survey);
        print_message("smaps of a child may not be read here\n");
        skip();
    }
    assert_true(survey.has_growth);
    assert_true(survey.growth.seconds >= 0.9);
    // Identity is of the end as well: at the beginning there were 16 MiB.
    assert_true(survey.status.vm_rss_kib * 1024 + 64 * BLOCK > survey.account.rss_bytes);
    assert_true(survey.status.vm_rss_kib * 1024 > 26 * BLOCK);
    assert_true(survey.growth.sample_count >= 2);
    assert_true(calls >= 2);
    assert_true(survey.growth.has_busy);
    assert_true(survey.growth.is_growing);
    assert_int_equal(survey.verdict.code, VERDICT_GROWING);
    survey_free(&survey);
}

static void test_rest_is_none(void **state)
{
    (void)state;
    struct child child;
    struct survey survey;
    int calls;
    child_start(&child, rest, NULL);
    child_wait_step(&child);
    assert_int_equal(observe_child(&child, false, 0.5, &survey, &calls), 0);
    child_stop(&child);
    assert_false(survey.has_growth && survey.growth.is_growing);
    survey_free(&survey);
}

static void leave(struct child *self, void *argument)
{
    (void)argument;
    child_step_done(self);
}

static void replace(struct child *self, void *argument)
{
    (void)argument;
    child_step_done(self);
    execl("/bin/sleep", "sleep", "30", (char *)NULL);
}

static void test_exit_in_the_middle(void **state)
{
    (void)state;
    struct child child;
    struct survey survey = {.pid = 7};
    int calls;
    child_start(&child, leave, NULL);
    child_wait_step(&child);
    assert_int_equal(observe_child(&child, true, 30.0, &survey, &calls), -ESRCH);
    assert_int_equal(survey.pid, 7);
    child_stop(&child);
}

// The new program is observed from the start: never one account of two.
static void test_exec_in_the_middle(void **state)
{
    (void)state;
    struct child child;
    struct survey survey;
    int calls;
    child_start(&child, replace, NULL);
    child_wait_step(&child);
    assert_int_equal(observe_child(&child, true, 0.7, &survey, &calls), 0);
    child_stop(&child);
    assert_string_equal(survey.name, "sleep");
    assert_true(calls >= 3);
    survey_free(&survey);
}

// Plain files stand still, and have no rollup: both ends are compared all the same.
static void test_a_tree_without_rollup(void **state)
{
    (void)state;
    char *root = fixture_path("linux-4.4-cgroup1/proc");
    struct survey_options options = {.proc_root = root, .observe_s = 0.5};
    struct survey survey;
    assert_int_equal(survey_take(&options, 1412, &survey), 0);
    assert_true(survey.has_growth);
    assert_int_equal(survey.growth.sample_count, 2);
    assert_false(survey.growth.effective.has_error);
    assert_false(survey.growth.is_growing);
    survey_free(&survey);
    free(root);
}

static void test_what_would_help(void **state)
{
    (void)state;
    assert_non_null(strstr(survey_needs(-EACCES), "root"));
    assert_non_null(strstr(survey_needs(-ENOENT), "kernel"));
    // Whatever has no help says so in the words that renderers know.
    assert_int_equal(strncmp(survey_needs(-EIO), "nothing", 7), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_leak_is_growth),      cmocka_unit_test(test_rest_is_none),
        cmocka_unit_test(test_exit_in_the_middle),    cmocka_unit_test(test_exec_in_the_middle),
        cmocka_unit_test(test_a_tree_without_rollup), cmocka_unit_test(test_what_would_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
