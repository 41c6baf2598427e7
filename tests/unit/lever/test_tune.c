// SPDX-License-Identifier: Apache-2.0
// The parts of tune that need no target of their own: arithmetic, texts, single stores. Test world.
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

#include "lever/tune/lasting.h"
#include "lever/poke.h"
#include "lever/tune/tune_call.h"
#include "lever/tune/tune_go.h"
#include "support/child.h"

// 4 MiB * GOGC / 100, as setGCPercent() computes it, wrapped around for -1.
static void test_heap_minimum(void **state)
{
    (void)state;
    assert_true(tune_go_heap_minimum(100) == 4 << 20);
    assert_true(tune_go_heap_minimum(50) == 2 << 20);
    assert_true(tune_go_heap_minimum(0) == 0);
    assert_true(tune_go_heap_minimum(-1) == UINT64_C(0xffffffffffc00000) / 100);
}

static void test_heap_goal(void **state)
{
    (void)state;
    const uint64_t mib = 1 << 20;
    assert_true(tune_go_heap_goal(100 * mib, 100) / mib == 200);
    assert_true(tune_go_heap_goal(1000 * mib, 50) / mib == 1500);
    assert_true(tune_go_heap_goal(mib, 100) == 4 * mib);
    assert_true(tune_go_heap_goal(100 * mib, 0) == 100 * mib);
    assert_true(tune_go_heap_goal(100 * mib, -1) == UINT64_MAX);
    assert_true(tune_go_heap_goal(UINT64_MAX / 2, 100000000) == INT64_MAX);
}

static void test_limit_floor(void **state)
{
    (void)state;
    const struct tune_go_floor figures = {
        .marked = 100, .mapped_ready = 500, .in_use = 300, .free = 150};
    assert_true(tune_go_limit_floor(&figures) == 150);
    // Figures of a moment in which they do not add up.
    const struct tune_go_floor torn = {
        .marked = 100, .mapped_ready = 400, .in_use = 300, .free = 150};
    assert_true(tune_go_limit_floor(&torn) == 100);
}

static void test_merge(void **state)
{
    (void)state;
    char list[64];
    assert_true(lasting_merge(text_of(""), ',', "madvdontneed", '=', "1", list, sizeof list));
    assert_string_equal(list, "madvdontneed=1");
    assert_true(lasting_merge(text_of("gctrace=1,madvdontneed=0,gc=2"), ',', "madvdontneed", '=',
                              "1", list, sizeof list));
    assert_string_equal(list, "gctrace=1,gc=2,madvdontneed=1");
    // A name that only begins alike stays.
    assert_true(lasting_merge(text_of("gctrace=1"), ',', "gc", '=', "3", list, sizeof list));
    assert_string_equal(list, "gctrace=1,gc=3");
    assert_true(lasting_merge(text_of("a:1:b"), ':', "c", '=', "2", list, sizeof list));
    assert_string_equal(list, "a:1:b:c=2");
    // What does not fit is not half of it.
    char small[12];
    assert_false(lasting_merge(text_of("gctrace=1"), ',', "gc", '=', "3", small, sizeof small));
    // A target's environment that would say more in a unit file than it says here.
    static const char *const hostile[] = {"a=1\"",   "a=1\\n",   "a=%H",
                                          "a=$HOME", "a=1\nb=2", "a=\xff"};
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++)
        assert_false(lasting_merge(text_of(hostile[i]), ',', "gc", '=', "3", list, sizeof list));
    const struct text with_nul = {"a=\0b", 4};
    assert_false(lasting_merge(with_nul, ',', "gc", '=', "3", list, sizeof list));
}

static void test_mallopt(void **state)
{
    (void)state;
    int parameter;
    const struct {
        struct tune_setting setting;
        int error, parameter;
    } rows[] = {
        {{"trim_threshold", -1}, 0, -1},
        {{"top_pad", 131072}, 0, -2},
        {{"mmap_threshold", 32 << 20}, 0, -3},
        {{"mmap_threshold", (32 << 20) + 1}, -ERANGE, 0},
        {{"mmap_max", 0}, 0, -4},
        {{"arena_max", 2}, 0, -8},
        {{"arena_max", -1}, -ERANGE, 0},
        {{"arena_max", (int64_t)1 << 31}, -ERANGE, 0},
        {{"mxfast", 1}, -ENOENT, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        parameter = 0;
        assert_int_equal(tune_mallopt_check(&rows[i].setting, &parameter), rows[i].error);
        assert_int_equal(parameter, rows[i].parameter);
    }
    const struct glibc_par par = {.trim_threshold = 1,
                                  .top_pad = 2,
                                  .mmap_threshold = 3,
                                  .arena_max = 4,
                                  .mmapped_chunks_limit = 5};
    uint64_t value;
    assert_true(tune_mallopt_value(&par, "arena_max", &value) && value == 4);
    assert_true(tune_mallopt_value(&par, "mmap_max", &value) && value == 5);
    assert_false(tune_mallopt_value(&par, "mxfast", &value));
}

// Pages of each kind, which a child inherits at the same addresses.
struct pages {
    uint32_t *writable, *readable, *shared;
};

static void sleep_on(struct child *self, void *argument)
{
    (void)argument;
    child_step_done(self);
    pause();
}

static uint32_t *map_page(int protection, int sharing)
{
    uint32_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    memset(page, 0x11, 4096);
    assert_int_equal(mprotect(page, 4096, protection), 0);
    return page;
}

static void test_poke(void **state)
{
    (void)state;
    const struct pages pages = {map_page(PROT_READ | PROT_WRITE, MAP_PRIVATE),
                                map_page(PROT_READ, MAP_PRIVATE),
                                map_page(PROT_READ | PROT_WRITE, MAP_SHARED)};
    struct child child;
    struct process *process;
    struct mappings mappings = {0};
    struct poke poke;
    uint64_t value = 0;
    child_start(&child, sleep_on, NULL);
    child_wait_step(&child);
    assert_int_equal(process_open("/proc", child.pid, &process), 0);
    assert_int_equal(mappings_read(process, &mappings), 0);
    assert_int_equal(poke_open(process, &mappings, &poke), 0);
    uint64_t at = (uint64_t)(uintptr_t)pages.writable;
    assert_int_equal(poke_write(&poke, at + 8, 4, 7), 0);
    assert_int_equal(poke_read(&poke, at + 8, 8, &value), 0);
    // Four bytes and no more.
    assert_true(value == UINT64_C(0x1111111100000007));
    assert_int_equal(poke_write(&poke, at + 2, 4, 7), -EINVAL);
    assert_int_equal(poke_write(&poke, at, 2, 7), -EINVAL);
    assert_int_equal(poke_write(&poke, 0, 8, 7), -EFAULT);
    assert_int_equal(poke_write(&poke, (uint64_t)(uintptr_t)pages.readable, 4, 7), -EROFS);
    assert_int_equal(poke_write(&poke, (uint64_t)(uintptr_t)pages.shared, 4, 7), -EROFS);
    // The child's page, not ours.
    assert_true(pages.writable[2] == 0x11111111 && pages.shared[0] == 0x11111111);
    child_stop(&child);
    assert_int_equal(poke_read(&poke, at, 4, &value), -ESTALE);
    assert_int_equal(poke_write(&poke, at, 4, 7), -ESTALE);
    poke_close(&poke);
    mappings_free(&mappings);
    process_close(process);
}

// A child that sleeps over pages of ours, and the way to write into it.
struct sleeper {
    struct child child;
    struct process *process;
    struct mappings mappings;
    struct poke poke;
};

static void sleeper_start(struct sleeper *sleeper)
{
    *sleeper = (struct sleeper){0};
    child_start(&sleeper->child, sleep_on, NULL);
    child_wait_step(&sleeper->child);
    assert_int_equal(process_open("/proc", sleeper->child.pid, &sleeper->process), 0);
    assert_int_equal(mappings_read(sleeper->process, &sleeper->mappings), 0);
    assert_int_equal(poke_open(sleeper->process, &sleeper->mappings, &sleeper->poke), 0);
}

static void sleeper_stop(struct sleeper *sleeper)
{
    child_stop(&sleeper->child);
    poke_close(&sleeper->poke);
    mappings_free(&sleeper->mappings);
    process_close(sleeper->process);
}

// Pulls one change of two stores and looks at what is in the child then.
static void check_act(const struct tune_go_change *change, enum lever_step_state state,
                      const struct sleeper *sleeper, uint64_t first, uint64_t second)
{
    struct lever_report report = {0};
    // Without addresses of its own: a percentage finds no goal to follow it.
    struct tune_go *go = calloc(1, sizeof *go);
    assert_non_null(go);
    go->changes[go->change_count++] = *change;
    assert_int_equal(lever_add_step(&report, "write two"), 0);
    assert_int_equal(tune_go_act(go, &sleeper->poke, &report), 0);
    assert_int_equal(report.steps[0].state, state);
    assert_int_equal(report.change_count, state == LEVER_STEP_DONE);
    uint64_t value;
    assert_int_equal(poke_read(&sleeper->poke, change->stores[0].address, 4, &value), 0);
    assert_true(value == first);
    assert_int_equal(poke_read(&sleeper->poke, change->stores[1].address, 4, &value), 0);
    assert_true(value == second);
    lever_report_free(&report);
    free(go);
}

// All stores of a change or none of them.
static void test_go_change_whole(void **state)
{
    (void)state;
    const uint64_t old = 0x11111111;
    uint64_t at = (uint64_t)(uintptr_t)map_page(PROT_READ | PROT_WRITE, MAP_PRIVATE);
    uint64_t fixed = (uint64_t)(uintptr_t)map_page(PROT_READ, MAP_PRIVATE);
    struct sleeper sleeper;
    sleeper_start(&sleeper);
    struct tune_go_change change = {.store_count = 2,
                                    .stores = {{at, 4, old, 1}, {at + 8, 4, old, 2}}};
    // The goal that would follow is not found: both are put back.
    change.is_percent = true;
    check_act(&change, LEVER_STEP_FAILED, &sleeper, old, old);
    // The second may not be written, or has changed: the first is put back.
    change.is_percent = false;
    change.stores[1].address = fixed;
    check_act(&change, LEVER_STEP_FAILED, &sleeper, old, old);
    change.stores[1] = (struct tune_store){at + 8, 4, old + 1, 2};
    check_act(&change, LEVER_STEP_FAILED, &sleeper, old, old);
    change.stores[1].before = old;
    check_act(&change, LEVER_STEP_DONE, &sleeper, 1, 2);
    sleeper_stop(&sleeper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap_minimum),    cmocka_unit_test(test_heap_goal),
        cmocka_unit_test(test_limit_floor),     cmocka_unit_test(test_merge),
        cmocka_unit_test(test_mallopt),         cmocka_unit_test(test_poke),
        cmocka_unit_test(test_go_change_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
