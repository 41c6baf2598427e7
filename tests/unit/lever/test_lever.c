// SPDX-License-Identifier: Apache-2.0
// The protocol of levers: what is run when, what is told, and that two ebbs keep out of each
// other's way. Test code.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lever/lever.h"
#include "support/child.h"

// A lever that notes how often it was asked, and fails where it is told to.
struct probe {
    int planned, acted;
    int steps;      // that plan() adds
    int failing;    // of them, how many fail
    int plan_error; // 0: none
    int act_error;
    bool says_nothing; // an error without words
};

static int probe_plan(void *context, struct process *process, struct lever_report *report)
{
    (void)process;
    struct probe *probe = context;
    probe->planned++;
    for (int i = 0; i < probe->steps; i++)
        assert_int_equal(lever_add_step(report, "do the thing number %d", i), 0);
    if (probe->plan_error && !probe->says_nothing)
        return lever_refuse(report, probe->plan_error, "it would hurt", "a bandage");
    return probe->plan_error;
}

static int probe_act(void *context, struct process *process, struct lever_report *report)
{
    (void)process;
    struct probe *probe = context;
    probe->acted++;
    for (int i = 0; i < probe->steps && !probe->act_error; i++)
        lever_end_step(&report->steps[i], i < probe->failing ? LEVER_STEP_FAILED : LEVER_STEP_DONE,
                       "went %d", i);
    return probe->act_error;
}

static const struct lever probe_lever = {.name = "probe", .plan = probe_plan, .act = probe_act};

static void sleep_on(struct child *self, void *argument)
{
    (void)argument;
    child_step_done(self);
    pause();
}

static struct process *start_target(struct child *child)
{
    struct process *process = NULL;
    child_start(child, sleep_on, NULL);
    child_wait_step(child);
    assert_int_equal(process_open("/proc", child->pid, &process), 0);
    return process;
}

// Each row: what the lever does, and what the report must say then.
static void test_outcomes(void **state)
{
    (void)state;
    static const struct {
        struct probe probe;
        bool is_dry_run;
        enum lever_outcome outcome;
        int acted;
    } rows[] = {
        {{.steps = 2}, false, LEVER_DONE, 1},
        {{.steps = 2}, true, LEVER_PLANNED, 0},
        {{.steps = 0}, false, LEVER_NOTHING, 0},
        {{.steps = 0}, true, LEVER_NOTHING, 0},
        {{.steps = 2, .failing = 1}, false, LEVER_PARTLY, 1},
        {{.steps = 2, .failing = 2}, false, LEVER_FAILED, 1},
        {{.steps = 1, .plan_error = -EPERM}, false, LEVER_REFUSED, 0},
        {{.steps = 1, .plan_error = -EIO, .says_nothing = true}, false, LEVER_REFUSED, 0},
        {{.steps = 1, .act_error = -EIO}, false, LEVER_FAILED, 1},
    };
    struct child child;
    struct process *process = start_target(&child);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct probe probe = rows[i].probe;
        struct lever_report report = {0};
        assert_int_equal(lever_pull(&probe_lever, &probe, process, rows[i].is_dry_run, &report), 0);
        assert_int_equal(report.outcome, rows[i].outcome);
        assert_int_equal(probe.planned, 1);
        assert_int_equal(probe.acted, rows[i].acted);
        assert_int_equal(report.has_after, rows[i].acted == 1);
        assert_int_equal(report.pid, child.pid);
        assert_true(report.before.rss_bytes > 0 && report.before.virtual_bytes > 0);
        // Who refuses or fails as a whole says why.
        bool must_tell = rows[i].probe.plan_error || rows[i].probe.act_error;
        assert_int_equal(report.refusal[0] != '\0', must_tell);
        lever_report_free(&report);
    }
    process_close(process);
    child_stop(&child);
}

// The lock goes with its holder, and a plan alone does not need it.
static void test_two_at_once(void **state)
{
    (void)state;
    struct child child;
    struct process *process = start_target(&child);
    int lock = lever_lock(process);
    assert_true(lock >= 0);
    struct probe probe = {.steps = 1};
    struct lever_report report = {0};
    assert_int_equal(lever_pull(&probe_lever, &probe, process, false, &report), 0);
    assert_int_equal(report.outcome, LEVER_REFUSED);
    assert_int_equal(report.error, -EBUSY);
    assert_int_equal(probe.planned, 0);
    lever_report_free(&report);
    assert_int_equal(lever_pull(&probe_lever, &probe, process, true, &report), 0);
    assert_int_equal(report.outcome, LEVER_PLANNED);
    lever_report_free(&report);
    close(lock);
    assert_int_equal(lever_pull(&probe_lever, &probe, process, false, &report), 0);
    assert_int_equal(report.outcome, LEVER_DONE);
    lever_report_free(&report);
    process_close(process);
    child_stop(&child);
}

// A lever that reads its target itself is asked before and after.
static int read_by_turns(void *context, struct process *process, struct lever_reading *ret_reading)
{
    (void)process;
    struct probe *probe = context;
    *ret_reading = (struct lever_reading){.rss_bytes = probe->acted ? 7 : 9};
    return 0;
}

static void test_own_reading(void **state)
{
    (void)state;
    const struct lever lever = {"probe", probe_plan, probe_act, read_by_turns};
    struct child child;
    struct process *process = start_target(&child);
    struct probe probe = {.steps = 1};
    struct lever_report report = {0};
    assert_int_equal(lever_pull(&lever, &probe, process, false, &report), 0);
    assert_int_equal(report.before.rss_bytes, 9);
    assert_int_equal(report.after.rss_bytes, 7);
    lever_report_free(&report);
    process_close(process);
    child_stop(&child);
}

// Nothing is planned for a process that is gone.
static void test_target_ends(void **state)
{
    (void)state;
    struct child child;
    struct process *process = start_target(&child);
    child_stop(&child);
    struct probe probe = {.steps = 1};
    struct lever_report report = {0};
    assert_int_equal(lever_pull(&probe_lever, &probe, process, false, &report), -ESRCH);
    assert_int_equal(probe.planned, 0);
    lever_report_free(&report);
    process_close(process);
}

// Texts are cut, never overrun; the first refusal and the longest wait stand.
static void test_report(void **state)
{
    (void)state;
    struct lever_report report = {0};
    char longer[4 * LEVER_WHAT_MAX];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_null(lever_last_step(&report));
    assert_int_equal(lever_add_step(&report, "%s", longer), 0);
    assert_int_equal(strlen(lever_last_step(&report)->what), LEVER_WHAT_MAX - 1);
    assert_int_equal(lever_add_untouched(&report, 1, longer, longer), 0);
    assert_int_equal(lever_add_warning(&report, "%s", longer), 0);
    assert_true(report.notes[0].is_warning);
    // What two changes at once both say is told once.
    assert_int_equal(lever_add_note(&report, "it lasts"), 0);
    assert_int_equal(lever_add_note(&report, "it holds"), 0);
    assert_int_equal(lever_add_note(&report, "it %s", "lasts"), 0);
    assert_int_equal(report.note_count, 3);
    assert_int_equal(lever_refuse(&report, -EPERM, longer, ""), -EPERM);
    assert_int_equal(lever_refuse(&report, -EIO, "later", "later"), -EIO);
    assert_int_equal(report.error, -EPERM);
    assert_int_equal(report.refusal[0], 'x');
    lever_add_wait(&report, "a", 5, 10);
    lever_add_wait(&report, "b", 3, 10);
    assert_string_equal(report.waited, "a");
    assert_int_equal(report.longest_wait_ns, 5);
    assert_int_equal(report.total_wait_ns, 20);
    lever_report_free(&report);
    assert_int_equal(report.step_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),    cmocka_unit_test(test_two_at_once),
        cmocka_unit_test(test_own_reading), cmocka_unit_test(test_target_ends),
        cmocka_unit_test(test_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
