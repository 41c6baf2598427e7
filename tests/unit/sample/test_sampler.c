// SPDX-License-Identifier: Apache-2.0
// Unit tests of the sampler over real processes: it follows its own children through start, exec,
// fork, stop, a PID that is given again, and end. Test world.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sample/sampler.h"
#include "support/child.h"

enum { MIB = 1 << 20 };

static void *map_block(size_t len)
{
    void *block = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        _exit(1);
    memset(block, 1, len);
    return block;
}

static void rest(struct child *self, void *argument)
{
    prctl(PR_SET_NAME, argument);
    map_block(8 * MIB);
    child_step_done(self);
}

static struct sampler *open_text(const char *target, bool follow)
{
    struct selection selection;
    assert_int_equal(selection_parse(text_of(target), &selection), 0);
    const struct sampler_options options = {.proc_root = "/proc",
                                            .selections = &selection,
                                            .selection_count = 1,
                                            .interval_ms = 10,
                                            .find_ms = 1,
                                            .share = 1,
                                            .follow = follow};
    struct sampler *sampler;
    assert_int_equal(sampler_open(&options, &sampler), 0);
    return sampler;
}

static struct sampler *open_pid(pid_t pid)
{
    char number[32];
    snprintf(number, sizeof number, "%d", (int)pid);
    return open_text(number, false);
}

static const struct batch *round_of(struct sampler *sampler, int expected)
{
    const struct batch *batch = NULL;
    usleep(11000);
    assert_int_equal(sampler_round(sampler, &batch), expected);
    assert_non_null(batch);
    return batch;
}

static const struct event *event_of(const struct batch *batch, enum event_kind kind)
{
    for (size_t i = 0; i < batch->event_count; i++) {
        if (batch->events[i].kind == kind)
            return &batch->events[i];
    }
    return NULL;
}

static void test_start_account_and_end(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, rest, "ebb_follow_a");
    child_wait_step(&child);
    struct sampler *sampler = open_pid(child.pid);
    const struct batch *batch = round_of(sampler, 0);
    assert_non_null(event_of(batch, EVENT_APPEARED));
    assert_int_equal(batch->sample_count, 1);
    // There is nothing else to spend tokens on: an account at once.
    const struct sample *sample = &batch->samples[0];
    assert_int_equal(sample->kind, SAMPLE_ACCOUNT);
    assert_non_null(sample->digest);
    uint64_t sum = 0;
    for (int row = 0; row < ROW_COUNT; row++)
        sum += sample->digest->row_bytes[row];
    assert_int_equal(sum, sample->rss_bytes);
    assert_int_equal(sample->effective_bytes, sample->rss_bytes - sample->lazy_bytes);
    assert_true(sample->rss_bytes >= 8 * MIB && sample->anon_bytes >= 8 * MIB);
    assert_true(sample->virtual_bytes > sample->rss_bytes && sample->threads == 1);
    const struct subject *subject = sampler_subject(sampler, sample->subject);
    assert_string_equal(subject->name, "ebb_follow_a");
    assert_int_equal(subject->uid, getuid());
    assert_true(llabs(subject->start_ms - subject->first_ms) < 60000);
    assert_ptr_equal(sampler_digest(sampler, subject->id), sample->digest);
    // It stands still: cheap from now on, with what is known.
    batch = round_of(sampler, 0);
    assert_int_equal(batch->samples[0].kind, SAMPLE_CHEAP);
    assert_true(batch->samples[0].lazy_bytes != SAMPLE_UNKNOWN);
    assert_null(batch->samples[0].digest);
    child_stop(&child);
    batch = round_of(sampler, -ESRCH);
    assert_non_null(event_of(batch, EVENT_ENDED));
    assert_int_equal(batch->sample_count, 0);
    size_t count;
    assert_true(sampler_subjects(sampler, &count)[0].has_ended);
    assert_int_equal(count, 1);
    sampler_forget(sampler, INT64_MAX);
    sampler_subjects(sampler, &count);
    assert_int_equal(count, 0);
    sampler_close(sampler);
}

// What nobody has waited for is no process any more.
static void test_zombie_has_ended(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, rest, "ebb_follow_z");
    child_wait_step(&child);
    struct sampler *sampler = open_pid(child.pid);
    round_of(sampler, 0);
    kill(child.pid, SIGKILL);
    siginfo_t info;
    waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT);
    assert_non_null(event_of(round_of(sampler, -ESRCH), EVENT_ENDED));
    sampler_close(sampler);
    struct selection selection = {.kind = SELECT_PID, .pid = child.pid};
    const struct sampler_options options = {
        .proc_root = "/proc", .selections = &selection, .selection_count = 1, .interval_ms = 10};
    assert_int_equal(sampler_open(&options, &sampler), -ESRCH);
    child_stop(&child);
}

static void grow_lazily(struct child *self, void *argument)
{
    prctl(PR_SET_NAME, argument);
    char *block = map_block(32 * MIB);
    child_step_done(self);
    madvise(block, 16 * MIB, MADV_FREE);
    map_block(4 * MIB);
    child_step_done(self);
}

// A change wakes a deeper reading, which sees what is lazily freed.
static void test_change_is_seen(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, grow_lazily, "ebb_follow_g");
    child_wait_step(&child);
    struct sampler *sampler = open_pid(child.pid);
    round_of(sampler, 0);
    child_next_step(&child);
    const struct sample *sample = NULL;
    for (int i = 0; i < 100 && (!sample || sample->kind == SAMPLE_CHEAP); i++)
        sample = &round_of(sampler, 0)->samples[0];
    assert_int_not_equal(sample->kind, SAMPLE_CHEAP);
    assert_true(sample->lazy_bytes >= 15 * MIB);
    assert_true(sample->rss_bytes >= 36 * MIB);
    child_stop(&child);
    sampler_close(sampler);
}

static void test_stopped_process(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, rest, "ebb_follow_s");
    child_wait_step(&child);
    kill(child.pid, SIGSTOP);
    struct sampler *sampler = open_pid(child.pid);
    assert_int_equal(round_of(sampler, 0)->samples[0].kind, SAMPLE_ACCOUNT);
    assert_int_equal(round_of(sampler, 0)->sample_count, 1);
    kill(child.pid, SIGCONT);
    child_stop(&child);
    sampler_close(sampler);
}

static void become_sleep(struct child *self, void *argument)
{
    prctl(PR_SET_NAME, argument);
    child_step_done(self);
    // The test does not wait for this step: after an exec nobody is there to say so.
    execlp("sleep", "sleep", "1000", (char *)NULL);
    _exit(1);
}

static void let_go_on(struct child *child)
{
    assert_int_equal(write(child->to, "", 1), 1);
}

// One that is followed by its PID stays the one that was asked for.
static void test_exec_begins_a_new_subject(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, become_sleep, "ebb_follow_e");
    child_wait_step(&child);
    struct sampler *sampler = open_pid(child.pid);
    round_of(sampler, 0);
    let_go_on(&child);
    const struct batch *batch = NULL;
    const struct event *event = NULL;
    for (int i = 0; i < 200 && !event; i++) {
        batch = round_of(sampler, 0);
        event = event_of(batch, EVENT_EXEC);
    }
    assert_non_null(event);
    assert_int_equal(event->subject, 1);
    // In the very moment of the exec nothing of the new program can be read yet.
    if (batch->sample_count == 1) {
        assert_string_equal(event->text, "sleep");
        assert_int_equal(event_of(batch, EVENT_APPEARED)->subject, 2);
        assert_int_equal(batch->samples[0].subject, 2);
        assert_string_equal(sampler_subject(sampler, 2)->cmdline, "sleep 1000");
    }
    assert_true(sampler_subject(sampler, 1)->has_ended);
    child_stop(&child);
    sampler_close(sampler);
}

// Calls exec again and again, without a moment in between.
static void exec_often(struct child *self, void *argument)
{
    prctl(PR_SET_NAME, argument);
    child_step_done(self);
    static const char script[] =
        "[ $1 -gt 0 ] && exec sh -c \"$0\" \"$0\" $(($1 - 1)); exec sleep 1000";
    execlp("sh", "sh", "-c", script, script, "200", (char *)NULL);
    _exit(1);
}

// In whichever moment of its execs it is looked at, it is never taken for gone.
static void test_many_execs(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, exec_often, "ebb_follow_m");
    child_wait_step(&child);
    struct sampler *sampler = open_pid(child.pid);
    round_of(sampler, 0);
    let_go_on(&child);
    const struct subject *last = NULL;
    for (int i = 0; i < 2000 && !(last && strcmp(last->cmdline, "sleep 1000") == 0); i++) {
        const struct batch *batch;
        usleep(500);
        assert_int_equal(sampler_round(sampler, &batch), 0);
        size_t count;
        last = &sampler_subjects(sampler, &count)[0];
        for (size_t k = 0; k < count; k++) {
            assert_true(last[k].has_ended == (k + 1 < count));
            assert_int_equal(last[k].pid, child.pid);
        }
        last = &last[count - 1];
    }
    assert_true(last && strcmp(last->cmdline, "sleep 1000") == 0);
    assert_true(last->id > 2);
    child_stop(&child);
    sampler_close(sampler);
}

// What an exec has made a new subject is not found once more.
static void test_exec_is_found_once(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, become_sleep, "ebb_follow_o");
    child_wait_step(&child);
    struct selection selections[2];
    assert_int_equal(selection_parse(text_of("ebb_follow_o"), &selections[0]), 0);
    assert_int_equal(selection_parse(text_of("cmdline:sleep 1000"), &selections[1]), 0);
    const struct sampler_options options = {.proc_root = "/proc",
                                            .selections = selections,
                                            .selection_count = 2,
                                            .interval_ms = 10,
                                            .find_ms = 1,
                                            .follow = true};
    struct sampler *sampler;
    assert_int_equal(sampler_open(&options, &sampler), 0);
    round_of(sampler, 0);
    let_go_on(&child);
    size_t count = 0, own = 0;
    const struct subject *subjects = NULL;
    for (int i = 0; i < 200 && count < 2; i++) {
        round_of(sampler, 0);
        subjects = sampler_subjects(sampler, &count);
    }
    for (int i = 0; i < 20; i++)
        round_of(sampler, 0);
    // Other tests may have a sleep of their own.
    subjects = sampler_subjects(sampler, &count);
    for (size_t i = 0; i < count; i++)
        own += subjects[i].pid == child.pid;
    assert_int_equal(own, 2);
    child_stop(&child);
    sampler_close(sampler);
}

// A name that it gives itself is no exec, whoever looks.
static void rename_itself(struct child *self, void *argument)
{
    prctl(PR_SET_NAME, argument);
    child_step_done(self);
    prctl(PR_SET_NAME, "ebb_renamed");
    child_step_done(self);
}

static void test_rename_is_no_exec(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, rename_itself, "ebb_follow_r");
    child_wait_step(&child);
    struct sampler *sampler = open_pid(child.pid);
    round_of(sampler, 0);
    child_next_step(&child);
    const struct batch *batch = round_of(sampler, 0);
    assert_int_equal(batch->event_count, 0);
    assert_string_equal(sampler_subject(sampler, 1)->name, "ebb_renamed");
    child_stop(&child);
    sampler_close(sampler);
}

// Finds those that match by name, before and after an exec, and not those that do not.
static void test_new_ones_are_found(void **state)
{
    (void)state;
    char glob[24], names[2][32];
    // Another run of this very test may have its children beside ours.
    snprintf(glob, sizeof glob, "found%d*", (int)getpid());
    struct sampler *sampler = open_text(glob, true);
    assert_int_equal(round_of(sampler, 0)->sample_count, 0);
    struct child children[2], stranger;
    child_start(&stranger, rest, "ebb_stranger");
    for (int i = 0; i < 2; i++) {
        snprintf(names[i], sizeof names[i], "found%d_%d", (int)getpid(), i);
        child_start(&children[i], rest, names[i]);
    }
    child_wait_step(&stranger);
    for (int i = 0; i < 2; i++)
        child_wait_step(&children[i]);
    const struct batch *batch = round_of(sampler, 0);
    for (int i = 0; i < 20 && batch->sample_count < 2; i++)
        batch = round_of(sampler, 0);
    assert_int_equal(batch->sample_count, 2);
    child_stop(&children[0]);
    batch = round_of(sampler, 0);
    assert_int_equal(event_of(batch, EVENT_ENDED)->subject, 1);
    assert_int_equal(batch->sample_count, 1);
    child_stop(&children[1]);
    child_stop(&stranger);
    // Nobody is left, but somebody may come.
    assert_int_equal(round_of(sampler, 0)->sample_count, 0);
    sampler_close(sampler);
}

static void test_fork_is_found(void **state)
{
    (void)state;
    struct child parent;
    child_start(&parent, rest, "ebb_forking");
    child_wait_step(&parent);
    struct sampler *sampler = open_text("sleep", true);
    size_t before;
    round_of(sampler, 0);
    sampler_subjects(sampler, &before);
    struct child child;
    child_start(&child, become_sleep, "ebb_forked");
    child_wait_step(&child);
    round_of(sampler, 0); // seen under its old name
    let_go_on(&child);
    bool found = false;
    for (int i = 0; i < 200 && !found; i++) {
        const struct batch *batch = round_of(sampler, 0);
        for (size_t k = 0; k < batch->sample_count; k++)
            found |= sampler_subject(sampler, batch->samples[k].subject)->pid == child.pid;
    }
    assert_true(found);
    child_stop(&child);
    child_stop(&parent);
    sampler_close(sampler);
}

// Makes the next process take this number, if the kernel lets us.
static bool set_next_pid(pid_t pid)
{
    char text[32];
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    int len = snprintf(text, sizeof text, "%d", (int)pid - 1);
    bool done = write(fd, text, (size_t)len) == len;
    close(fd);
    return done;
}

// Others start processes as well: it may take some attempts.
static bool start_with_pid(struct child *child, pid_t pid)
{
    for (int i = 0; i < 50; i++) {
        if (!set_next_pid(pid))
            return false;
        child_start(child, rest, "ebb_reused");
        child_wait_step(child);
        if (child->pid == pid)
            return true;
        child_stop(child);
    }
    return false;
}

static void test_pid_is_given_again(void **state)
{
    (void)state;
    struct child child, other;
    child_start(&child, rest, "ebb_follow_p");
    child_wait_step(&child);
    struct sampler *sampler = open_pid(child.pid);
    round_of(sampler, 0);
    child_stop(&child);
    if (!start_with_pid(&other, child.pid)) {
        sampler_close(sampler);
        print_message("the next PID may not be chosen here\n");
        skip();
    }
    const struct batch *batch = round_of(sampler, -ESRCH);
    assert_non_null(event_of(batch, EVENT_ENDED));
    assert_int_equal(batch->sample_count, 0);
    child_stop(&other);
    sampler_close(sampler);
}

// No right to smaps: said once, and cheap readings go on.
static void test_unreadable_process(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("only root can become somebody else\n");
        skip();
    }
    struct child child;
    child_start(&child, rest, "ebb_follow_u");
    child_wait_step(&child);
    assert_int_equal(seteuid(65534), 0);
    struct sampler *sampler = open_pid(child.pid);
    const struct batch *batch = round_of(sampler, 0);
    const struct event *event = event_of(batch, EVENT_UNREADABLE);
    assert_non_null(event);
    assert_non_null(strstr(event->text, "run ebb as root"));
    assert_int_equal(batch->samples[0].kind, SAMPLE_CHEAP);
    assert_true(batch->samples[0].rss_bytes >= 8 * MIB);
    assert_true(batch->samples[0].lazy_bytes == SAMPLE_UNKNOWN);
    for (int i = 0; i < 5; i++)
        assert_int_equal(round_of(sampler, 0)->event_count, 0);
    assert_int_equal(sampler_cost(sampler).accounts, 0);
    assert_int_equal(seteuid(0), 0);
    child_stop(&child);
    sampler_close(sampler);
}

static void test_wanted_account(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, rest, "ebb_follow_w");
    child_wait_step(&child);
    struct sampler *sampler = open_pid(child.pid);
    round_of(sampler, 0);
    usleep(200000);
    sampler_want_account(sampler, 1);
    sampler_want_account(sampler, 99);
    uint64_t accounts = sampler_cost(sampler).accounts;
    for (int i = 0; i < 100 && sampler_cost(sampler).accounts == accounts; i++)
        round_of(sampler, 0);
    assert_int_equal(sampler_cost(sampler).accounts, accounts + 1);
    child_stop(&child);
    sampler_close(sampler);
}

static void test_no_accounts(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, rest, "ebb_follow_n");
    child_wait_step(&child);
    const struct selection selection = {.kind = SELECT_PID, .pid = child.pid};
    const struct sampler_options options = {.proc_root = "/proc",
                                            .selections = &selection,
                                            .selection_count = 1,
                                            .interval_ms = 10,
                                            .no_accounts = true};
    struct sampler *sampler;
    assert_int_equal(sampler_open(&options, &sampler), 0);
    assert_int_equal(round_of(sampler, 0)->samples[0].kind, SAMPLE_LAZY);
    sampler_want_account(sampler, 1);
    round_of(sampler, 0);
    assert_int_equal(sampler_cost(sampler).accounts, 0);
    child_stop(&child);
    sampler_close(sampler);
}

// Rounds that were not made are no reading: the gap is told, and the grid goes on.
static void test_gap_and_grid(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, rest, "ebb_follow_t");
    child_wait_step(&child);
    struct sampler *sampler = open_pid(child.pid);
    assert_int_equal(sampler_due_ms(sampler), 0);
    round_of(sampler, 0);
    assert_true(sampler_due_ms(sampler) <= 10);
    usleep(2100000);
    const struct event *gap = event_of(round_of(sampler, 0), EVENT_GAP);
    assert_non_null(gap);
    assert_true(gap->value >= 2100 && gap->subject == 0);
    assert_true(sampler_cost(sampler).missed_rounds >= 200);
    assert_true(sampler_due_ms(sampler) <= 10);
    child_stop(&child);
    sampler_close(sampler);
}

// Hundreds of subjects need no descriptor each.
static void test_few_descriptors(void **state)
{
    (void)state;
    enum { CHILDREN = 60 };
    struct child children[CHILDREN];
    char name[16];
    snprintf(name, sizeof name, "herd%d", (int)getpid());
    for (int i = 0; i < CHILDREN; i++)
        child_start(&children[i], rest, name);
    for (int i = 0; i < CHILDREN; i++)
        child_wait_step(&children[i]);
    struct sampler *sampler = open_text(name, true);
    struct rlimit old, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int next = dup(0);
    few = (struct rlimit){(rlim_t)next + 12, old.rlim_max};
    close(next);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    const struct batch *batch = NULL;
    assert_int_equal(sampler_round(sampler, &batch), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(batch->sample_count, CHILDREN);
    for (int i = 0; i < CHILDREN; i++)
        child_stop(&children[i]);
    batch = round_of(sampler, 0);
    assert_int_equal(batch->event_count, CHILDREN);
    sampler_close(sampler);
}

static void test_bad_options(void **state)
{
    (void)state;
    struct selection all = {.kind = SELECT_ALL};
    struct sampler_options options = {
        .proc_root = "/proc", .selections = &all, .selection_count = 1, .interval_ms = 9};
    struct sampler *sampler;
    assert_int_equal(sampler_open(&options, &sampler), -EINVAL);
    options.interval_ms = 1000;
    options.share = 2;
    assert_int_equal(sampler_open(&options, &sampler), -EINVAL);
    options.share = 0;
    options.selection_count = 0;
    assert_int_equal(sampler_open(&options, &sampler), -EINVAL);
    options.selection_count = 1;
    options.proc_root = "/nowhere";
    assert_int_equal(sampler_open(&options, &sampler), -ENOENT);
    options.proc_root = "/bin";
    options.follow = true;
    assert_int_equal(sampler_open(&options, &sampler), -ENOENT);
    options.proc_root = "/proc/version";
    assert_int_equal(sampler_open(&options, &sampler), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_account_and_end),
        cmocka_unit_test(test_zombie_has_ended),
        cmocka_unit_test(test_change_is_seen),
        cmocka_unit_test(test_stopped_process),
        cmocka_unit_test(test_exec_begins_a_new_subject),
        cmocka_unit_test(test_many_execs),
        cmocka_unit_test(test_exec_is_found_once),
        cmocka_unit_test(test_rename_is_no_exec),
        cmocka_unit_test(test_new_ones_are_found),
        cmocka_unit_test(test_fork_is_found),
        cmocka_unit_test(test_pid_is_given_again),
        cmocka_unit_test(test_unreadable_process),
        cmocka_unit_test(test_wanted_account),
        cmocka_unit_test(test_no_accounts),
        cmocka_unit_test(test_gap_and_grid),
        cmocka_unit_test(test_few_descriptors),
        cmocka_unit_test(test_bad_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
