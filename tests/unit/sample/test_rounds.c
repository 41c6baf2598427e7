// SPDX-License-Identifier: Apache-2.0
// Unit tests of the sampler's rounds over real processes: the last one, clocks that are set, hosts
// that sleep, processes that may not be read. Test world.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sample/sampler.h"
#include "support/child.h"

enum { MIB = 1 << 20, HERD = 12 };

static void fill(size_t len)
{
    void *block = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        _exit(1);
    memset(block, 1, len);
}

static void rest(struct child *self, void *argument)
{
    prctl(PR_SET_NAME, argument);
    fill(8 * MIB);
    child_step_done(self);
    fill(8 * MIB);
    child_step_done(self);
}

// The system's clocks, moved as the test likes.
struct moved {
    int64_t boot_ms, real_ms;
};

static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct sampler_clocks read_moved(void *context)
{
    const struct moved *moved = context;
    return (struct sampler_clocks){
        .mono_ns = now_ns(CLOCK_MONOTONIC),
        .boot_ms = now_ns(CLOCK_BOOTTIME) / 1000000 + (uint64_t)moved->boot_ms,
        .real_ms = (int64_t)(now_ns(CLOCK_REALTIME) / 1000000) + moved->real_ms,
    };
}

static struct sampler *open_name(const char *name, struct moved *moved, double share)
{
    struct selection selection;
    assert_int_equal(selection_parse(text_of(name), &selection), 0);
    const struct sampler_options options = {.proc_root = "/proc",
                                            .selections = &selection,
                                            .selection_count = 1,
                                            .interval_ms = 10,
                                            .find_ms = 1,
                                            .share = share,
                                            .clocks = moved ? read_moved : NULL,
                                            .clocks_context = moved};
    struct sampler *sampler;
    assert_int_equal(sampler_open(&options, &sampler), 0);
    return sampler;
}

static const struct batch *round_of(struct sampler *sampler)
{
    const struct batch *batch = NULL;
    usleep(11000);
    assert_int_equal(sampler_round(sampler, &batch), 0);
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

static size_t accounts_in(const struct batch *batch)
{
    size_t count = 0;
    for (size_t i = 0; i < batch->sample_count; i++)
        count += batch->samples[i].kind == SAMPLE_ACCOUNT;
    return count;
}

// What has changed since its account is read again, however little the plan would spend.
static void test_the_last_round(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, rest, "ebb_last");
    child_wait_step(&child);
    struct sampler *sampler = open_name("ebb_last", NULL, 0.0001);
    assert_int_equal(accounts_in(round_of(sampler)), 1);
    child_next_step(&child);
    const struct batch *batch = round_of(sampler);
    assert_int_equal(accounts_in(batch), 0);
    assert_int_equal(sampler_last_round(sampler, 1000, &batch), 0);
    assert_int_equal(accounts_in(batch), 1);
    assert_true(batch->samples[0].rss_bytes >= 16 * MIB);
    child_stop(&child);
    assert_int_equal(sampler_last_round(sampler, 1000, &batch), -ESRCH);
    assert_non_null(event_of(batch, EVENT_ENDED));
    sampler_close(sampler);
}

static void herd_start(struct child *herd, const char *name)
{
    char copy[16];
    snprintf(copy, sizeof copy, "%s", name);
    for (int i = 0; i < HERD; i++)
        child_start(&herd[i], rest, copy);
    for (int i = 0; i < HERD; i++)
        child_wait_step(&herd[i]);
}

static void herd_stop(struct child *herd)
{
    for (int i = 0; i < HERD; i++)
        child_stop(&herd[i]);
}

// Who has changed goes first; and there is an end to it.
static void test_the_last_round_of_many(void **state)
{
    (void)state;
    struct child herd[HERD];
    herd_start(herd, "ebb_last_h");
    struct sampler *sampler = open_name("ebb_last_h", NULL, 0.0001);
    const struct batch *batch = round_of(sampler);
    assert_true(accounts_in(batch) <= 1);
    // No time for any account at all.
    assert_int_equal(sampler_last_round(sampler, 0, &batch), 0);
    assert_int_equal(accounts_in(batch), 0);
    assert_int_equal(sampler_last_round(sampler, 10000, &batch), 0);
    assert_int_equal(accounts_in(batch), HERD);
    herd_stop(herd);
    sampler_close(sampler);
}

// First accounts of many do not come in one burst, but they come.
static void test_first_accounts_are_spread(void **state)
{
    (void)state;
    struct child herd[HERD];
    herd_start(herd, "ebb_spread");
    struct sampler *sampler = open_name("ebb_spread", NULL, 0.001);
    // Half a second for accounts: what keeps them from coming all at once is the plan alone.
    sampler_set_interval(sampler, 1000);
    // Six seconds' worth, at a thousandth: 6 ms, and the one account that came with it.
    size_t first = accounts_in(round_of(sampler));
    assert_true(first >= 1 && first < HERD);
    herd_stop(herd);
    sampler_close(sampler);
}

// A clock that is set is an event; time itself goes on.
static void test_the_clock_is_set(void **state)
{
    (void)state;
    struct child child;
    struct moved moved = {0};
    child_start(&child, rest, "ebb_clock");
    child_wait_step(&child);
    struct sampler *sampler = open_name("ebb_clock", &moved, 1);
    uint64_t boot_ms = round_of(sampler)->samples[0].boot_ms;
    static const int64_t steps_ms[] = {7200000, -3600000, 500};
    for (size_t i = 0; i < sizeof steps_ms / sizeof steps_ms[0]; i++) {
        moved.real_ms += steps_ms[i];
        const struct batch *batch = round_of(sampler);
        const struct event *event = event_of(batch, EVENT_CLOCK);
        assert_null(event_of(batch, EVENT_GAP));
        assert_true(batch->samples[0].boot_ms > boot_ms);
        boot_ms = batch->samples[0].boot_ms;
        // Half a second is slewing.
        assert_int_equal(event != NULL, i < 2);
        if (event)
            assert_true(llabs((int64_t)event->value - steps_ms[i]) < 500);
    }
    child_stop(&child);
    sampler_close(sampler);
}

// CLOCK_BOOTTIME goes on while a host sleeps, CLOCK_MONOTONIC does not: a gap, and no setting.
static void test_the_host_sleeps(void **state)
{
    (void)state;
    struct child child;
    struct moved moved = {0};
    child_start(&child, rest, "ebb_sleep");
    child_wait_step(&child);
    struct sampler *sampler = open_name("ebb_sleep", &moved, 1);
    round_of(sampler);
    moved.real_ms = moved.boot_ms = 28800000;
    const struct batch *batch = round_of(sampler);
    const struct event *gap = event_of(batch, EVENT_GAP);
    assert_null(event_of(batch, EVENT_CLOCK));
    assert_non_null(gap);
    assert_true(gap->value >= 28800000 && gap->value < 28801000);
    assert_string_equal(gap->text, "the host slept");
    assert_null(event_of(round_of(sampler), EVENT_GAP));
    child_stop(&child);
    sampler_close(sampler);
}

// A dozen that may not be read are one event; and are read once they may be.
static void test_many_unreadable(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("only root can become somebody else\n");
        skip();
    }
    struct child herd[HERD];
    herd_start(herd, "ebb_denied");
    assert_int_equal(seteuid(65534), 0);
    struct sampler *sampler = open_name("ebb_denied", NULL, 1);
    const struct batch *batch = round_of(sampler);
    const struct event *event = event_of(batch, EVENT_UNREADABLE);
    assert_non_null(event);
    assert_int_equal(event->subject, 0);
    assert_int_equal(event->value, HERD);
    assert_non_null(strstr(event->text, "run ebb as root"));
    assert_int_equal(batch->event_count, HERD + 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(round_of(sampler)->event_count, 0);
    assert_int_equal(seteuid(0), 0);
    // Tried again after a second.
    usleep(1050000);
    size_t accounts = 0;
    for (int i = 0; i < 100 && accounts < HERD; i++)
        accounts += accounts_in(round_of(sampler));
    assert_int_equal(accounts, HERD);
    herd_stop(herd);
    sampler_close(sampler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_round),
        cmocka_unit_test(test_the_last_round_of_many),
        cmocka_unit_test(test_first_accounts_are_spread),
        cmocka_unit_test(test_the_clock_is_set),
        cmocka_unit_test(test_the_host_sleeps),
        cmocka_unit_test(test_many_unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
