// SPDX-License-Identifier: Apache-2.0
// Unit tests of one look of the engine: what it feels, in a group of the test's own; what it tells,
// and to whom; what it leaves for the next one, and for a child. Test code.
#include "engine_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap/count.h"
#include "heap/takeover.h"
#include "heap/thread.h"

#define MIB     ((size_t)1 << 20)
#define LONG_MS 2000u // longer than the bound
#define HEAPS   10    // more than are worked on at a time

// Whether there is something to look at again soon.
static bool look_again(struct fake_os *fake, uint64_t after_ms)
{
    size_t gone;
    fake->clock_ns += after_ms * 1000000;
    assert_true(engine_enter());
    lock_take(&engine.lock);
    bool is_waiting = engine_look(false, &gone);
    lock_release(&engine.lock);
    return is_waiting;
}

// A first look sees what is free, a second one finds it old.
static void look_twice(struct fake_os *fake)
{
    (void)engine_test_look(fake, 1);
    (void)engine_test_look(fake, LONG_MS);
}

static struct count counted(void)
{
    struct count count;
    count_heap(&count);
    return count;
}

static void make_and_drop(size_t bytes)
{
    heap_test_release(memset(heap_test_allocate(bytes), 1, bytes));
}

// A span of which every other page's blocks are free.
static struct wire_record *make_holes(size_t bytes)
{
    enum { BLOCKS = 64 };
    void *blocks[BLOCKS];
    int count = (int)(WIRE_SLOT_BYTES / bytes);
    assert_in_range(count, 2, BLOCKS);
    for (int i = 0; i < count; i++)
        blocks[i] = heap_test_allocate(bytes);
    for (int i = 0; i < count; i += 2)
        heap_test_release(blocks[i]);
    return space_record_at((uintptr_t)blocks[1]);
}

// What is lazy is known from look to look: the kernel's taking of it must not pass for pressure.
static void test_lazy_bytes(void **state)
{
    struct fake_os *fake = *state;
    assert_int_equal(engine_set_policy(WIRE_POLICY_FREE), 0);
    const struct wire_record *span = make_holes(4096);
    make_and_drop(700000);
    look_twice(fake);
    uint64_t lazy = counted().lazy;
    assert_true(span->lazy && lazy > 700000);
    assert_int_equal(engine.lazy_bytes, lazy);
    uint64_t returned = engine.plan.history.groups[CLASS_GROUP_RUNS].returned;
    // All of it goes, and has been told as given back before.
    assert_int_equal(engine_purge(), lazy);
    assert_int_equal(engine.lazy_bytes, 0);
    assert_int_equal(span->lazy, 0);
    assert_int_equal(engine.plan.history.groups[CLASS_GROUP_RUNS].returned, returned);
}

// Refused in the middle of a run: none of it is lazy, and nobody expects that the next time.
static void test_lazily_refused(void **state)
{
    struct fake_os *fake = *state;
    assert_int_equal(engine_set_policy(WIRE_POLICY_FREE), 0);
    fake->has_no_lazy = true;
    make_and_drop(700000);
    look_twice(fake);
    assert_true(fake->purges > 0);
    assert_int_equal(engine.lazy_bytes, 0);
    (void)engine_test_look(fake, 1);
    assert_int_equal(space.expects_reuse, 0);
}

// Of two sorts of spans of one heap one is expected back.
static void test_two_ways(void **state)
{
    struct fake_os *fake = *state;
    const struct wire_record *lazy = make_holes(4096);
    const struct wire_record *gone = make_holes(16384);
    unsigned group = class_group(lazy->block_bytes);
    assert_true(group != class_group(gone->block_bytes));
    (void)engine_test_look(fake, 1);
    plan_note_returned(&engine.plan, group, 64 * MIB);
    plan_note_reused(&engine.plan, group, 60 * MIB);
    plan_note_returned(&engine.plan, CLASS_GROUP_RUNS, 1024 * MIB);
    (void)engine_test_look(fake, LONG_MS);
    assert_true(lazy->off && lazy->lazy == lazy->off);
    assert_true(gone->off && gone->lazy == 0);
}

static void *leave_holes(void *span)
{
    *(struct wire_record **)span = make_holes(4096);
    return NULL;
}

// More heaps than a look gathers for at a time, of threads that have all been there together.
static void test_many_heaps(void **state)
{
    (void)state;
    struct wire_record *spans[HEAPS];
    for (int i = 0; i < HEAPS; i++) {
        pthread_t thread;
        // Taken: none is the next thread's.
        uint32_t abandoned = heaps.abandoned;
        assert_int_equal(pthread_create(&thread, NULL, leave_holes, &spans[i]), 0);
        pthread_join(thread, NULL);
        struct heap *heap = (struct heap *)(uintptr_t)spans[i]->heap;
        assert_int_equal(heaps.abandoned, abandoned + 1);
        assert_true(heap_claim(heap));
    }
    for (int i = 0; i < HEAPS; i++)
        heap_disown((struct heap *)(uintptr_t)spans[i]->heap);
    (void)engine_purge();
    for (int i = 0; i < HEAPS; i++)
        assert_true(spans[i]->off != 0);
}

// Somebody is about to fork: nothing is done, and nothing passes for done.
static void test_late(void **state)
{
    struct fake_os *fake = *state;
    const struct wire_record *span = make_holes(4096);
    (void)engine_test_look(fake, 1);
    heaps.forking = 1;
    assert_true(look_again(fake, LONG_MS));
    assert_int_equal(span->off, 0);
    heaps.forking = 0;
    assert_true(engine_test_look(fake, LONG_MS) > 0);
    assert_true(span->off != 0);
}

// What gets its turn by waiting is waited for, and nothing else.
static void test_waiting(void **state)
{
    struct fake_os *fake = *state;
    make_and_drop(700000);
    assert_true(look_again(fake, 1));
    assert_true(look_again(fake, LONG_MS));
    assert_false(look_again(fake, LONG_MS));
    assert_int_equal(engine_set_policy(WIRE_POLICY_KEEP), 0);
    make_and_drop(700000);
    assert_false(look_again(fake, 1));
    assert_int_equal(engine_set_policy(WIRE_POLICY_FREE), 0);
    (void)look_again(fake, LONG_MS);
    (void)look_again(fake, LONG_MS);
    assert_true(counted().lazy > 0);
    assert_false(look_again(fake, LONG_MS));
}

static void test_times(void **state)
{
    (void)state;
    assert_int_equal(engine_set_return_within(CONF_WITHIN_MIN_MS), 0);
    assert_int_equal(engine_set_return_within(CONF_WITHIN_MAX_MS), 0);
    assert_int_equal(engine_set_return_within(CONF_WITHIN_MIN_MS - 1), -EINVAL);
    assert_int_equal(engine_set_return_within(CONF_WITHIN_MAX_MS + 1), -EINVAL);
    assert_int_equal(space.ledger->return_within_ms, CONF_WITHIN_MAX_MS);
}

// Near the limit is short; what went during a look is no longer held after it.
static void test_near_limit(void **state)
{
    struct fake_os *fake = *state;
    const uint64_t far = UINT64_C(1) << 40;
    void *live = memset(heap_test_allocate(900000), 1, 900000);
    (void)engine_test_look(fake, 1);
    engine_set_limit(far);
    assert_int_equal(space.ledger->limit_bytes, far);
    (void)engine_test_look(fake, 1);
    uint64_t held = far - space.headroom;
    assert_true(held >= 900000);
    engine_set_limit(held + held / 10);
    (void)engine_test_look(fake, 1);
    (void)engine_test_look(fake, 1);
    assert_int_equal(space.ledger->pressure, WIRE_PRESSURE_UNKNOWN);
    assert_int_equal(space.headroom, held / 10);
    engine_set_limit(held + held / 20);
    (void)engine_test_look(fake, 1);
    (void)engine_test_look(fake, 1);
    assert_int_equal(space.ledger->pressure, WIRE_PRESSURE_SHORT);
    heap_test_release(live);
    assert_true(engine_test_look(fake, 1) > 0);
    uint64_t after = space.headroom;
    assert_int_equal(engine_test_look(fake, 1), 0);
    assert_int_equal(space.headroom, after);
}

static const struct os *below;
static size_t most_at_once;

static long purge_and_note(const struct os *os, const struct os_range *ranges, size_t count,
                           bool is_lazy)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += ranges[i].bytes;
    most_at_once = bytes > most_at_once ? bytes : most_at_once;
    return below->purge_ranges(os, ranges, count, is_lazy);
}

// The owner may be waiting: of long blocks fewer spans go at once.
static void test_long_blocks(void **state)
{
    enum { BLOCKS = 400, BYTES = 60000 };
    struct fake_os *fake = *state;
    static struct os saved;
    void *blocks[BLOCKS];
    saved = fake->os;
    below = &saved;
    most_at_once = 0;
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = heap_test_allocate(BYTES);
    for (int i = 0; i < BLOCKS; i++) {
        if (i % 4)
            heap_test_release(blocks[i]);
    }
    fake->os.purge_ranges = purge_and_note;
    look_twice(fake);
    // The last span may go beyond.
    assert_in_range(most_at_once, TAKEOVER_BYTES / 2, TAKEOVER_BYTES + SPAN_BYTES_MAX);
}

// A word that comes during a look is for the next one.
static int purge_and_write(const struct os *os, uintptr_t address, size_t bytes)
{
    space.ledger->control = wire_control_make(WIRE_POLICY_KEEP, 77, 0);
    return below->purge_now(os, address, bytes);
}

static void test_word_during_look(void **state)
{
    struct fake_os *fake = *state;
    static struct os saved;
    saved = fake->os;
    below = &saved;
    make_and_drop(700000);
    (void)engine_test_look(fake, 1);
    fake->os.purge_now = purge_and_write;
    assert_true(engine_test_look(fake, LONG_MS) > 0);
    assert_int_equal(space.ledger->control_obeyed, 0);
    assert_int_equal(space.ledger->policy, WIRE_POLICY_AUTO);
    fake->os.purge_now = saved.purge_now;
    (void)engine_test_look(fake, 1);
    assert_int_equal(space.ledger->policy, WIRE_POLICY_KEEP);
    assert_int_equal(space.ledger->control_obeyed, space.ledger->control);
}

// The files of a group, in a folder.
static void write_file(const char *name, const char *text)
{
    char path[sizeof engine.source.group_path + 32];
    (void)snprintf(path, sizeof path, "%s/%s", engine.source.group_path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

// 1 GiB, half of it used, in stalls for long before anybody looked.
static void enter_group(void)
{
    const char *folder = getenv("TMPDIR");
    char *path = engine.source.group_path;
    assert_true(engine_enter());
    (void)snprintf(path, sizeof engine.source.group_path, "%s/ebb-look-XXXXXX",
                   folder ? folder : "/tmp");
    assert_non_null(mkdtemp(path));
    engine.source.mount_bytes = strlen(path);
    engine.source.is_found = true;
    engine.reads_files = true;
    write_file("memory.max", "1073741824\n");
    write_file("memory.current", "536870912\n");
    write_file("memory.pressure", "some avg10=0 avg60=0 avg300=0 total=9000000000\n");
}

static void leave_group(void)
{
    static const char *const names[] = {"memory.max", "memory.current", "memory.pressure",
                                        "memory.stat"};
    char path[sizeof engine.source.group_path + 32];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", engine.source.group_path, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(engine.source.group_path), 0);
}

static void test_group(void **state)
{
    struct fake_os *fake = *state;
    enter_group();
    make_and_drop(100);
    fake->clock_ns = UINT64_C(5000000000);
    // Who asks for all does not open files on the program's thread.
    (void)engine_purge();
    assert_int_equal(engine.read_at_ms, 0);
    (void)engine_test_look(fake, 1);
    assert_int_equal(space.ledger->pressure, WIRE_PRESSURE_NONE);
    assert_int_equal(space.headroom, (512 - 64) * MIB);
    // Half a percent of the time in stalls.
    write_file("memory.pressure", "some avg10=0 avg60=0 avg300=0 total=9000005000\n");
    (void)engine_test_look(fake, 1000);
    assert_int_equal(space.ledger->pressure, WIRE_PRESSURE_NONE);
    write_file("memory.pressure", "some avg10=0 avg60=0 avg300=0 total=9000205000\n");
    (void)engine_test_look(fake, 1000);
    assert_int_equal(space.ledger->pressure, WIRE_PRESSURE_SHORT);
    // `keep` is not bounded by it.
    assert_int_equal(engine_set_policy(WIRE_POLICY_KEEP), 0);
    (void)engine_test_look(fake, 1000);
    assert_int_equal(space.headroom, UINT64_MAX);
    // Nor is who reads no files.
    assert_int_equal(engine_set_policy(WIRE_POLICY_AUTO), 0);
    (void)engine_test_look(fake, 1000);
    assert_int_equal(space.headroom, (512 - 64) * MIB);
    engine.reads_files = false;
    (void)engine_test_look(fake, 1000);
    assert_int_equal(space.headroom, UINT64_MAX);
    assert_int_equal(space.ledger->pressure, WIRE_PRESSURE_UNKNOWN);
    leave_group();
}

// Of a full group all that is inactive can be had, as far as it is lazy.
static void test_own_lazy_bytes(void **state)
{
    struct fake_os *fake = *state;
    enter_group();
    write_file("memory.current", "1073000000\n");
    write_file("memory.stat", "file 0\nshmem 0\ninactive_file 536870912\n");
    engine.lazy_bytes = 512 * MIB;
    (void)engine_test_look(fake, 1);
    assert_int_equal(space.ledger->pressure, WIRE_PRESSURE_NONE);
    // Nothing of it was there, as the look has found.
    (void)engine_test_look(fake, 1);
    assert_int_equal(space.ledger->pressure, WIRE_PRESSURE_SHORT);
    leave_group();
}

// Without a helper, as if nothing had been read yet. Returns what was said on stderr.
static void read_settings(const char *conf, char *said, size_t room)
{
    int ends[2];
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0 && pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    (void)setenv("EBB_CONF", conf, 1);
    engine_stop();
    bool is_entered = engine_enter();
    (void)unsetenv("EBB_CONF");
    (void)dup2(saved, STDERR_FILENO);
    close(ends[1]);
    ssize_t got = read(ends[0], said, room - 1);
    said[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    close(saved);
    assert_true(is_entered);
}

// A reader outside sees the limit that was set; what is wrong is told by its beginning.
static void test_settings(void **state)
{
    char said[400];
    char conf[100] = "limit:7M,helper:off,";
    char wanted[100] = "ebb: EBB_CONF: cannot use '";
    (void)state;
    heap_test_release(heap_test_allocate(1));
    read_settings("limit:7M,helper:off", said, sizeof said);
    assert_string_equal(said, "");
    assert_int_equal(space.ledger->limit_bytes, 7 * MIB);
    memset(conf + strlen(conf), 'x', 79);
    memset(wanted + strlen(wanted), 'x', 63);
    strcat(wanted, "';");
    read_settings(conf, said, sizeof said);
    assert_memory_equal(said, wanted, strlen(wanted));
}

static void *hold_locks(void *unused)
{
    lock_take(&engine.lock);
    lock_take(&engine.thread_lock);
    return unused;
}

// All that was the parent's, and a helper that was on its way.
static bool is_forgotten(enum engine_thread thread)
{
    return engine.pid == getpid() && engine.thread == thread && !engine.tid && !engine.ends &&
           !space.ledger->helper_tid && !engine.source.is_found && !engine.reads_files &&
           lock_try(&engine.lock) && lock_try(&engine.thread_lock);
}

// By the handler alone: nobody has called the engine yet.
static void test_child(void **state)
{
    (void)state;
    heap_test_release(heap_test_allocate(1));
    for (int has_helper = 0; has_helper < 2; has_helper++) {
        pthread_t thread;
        assert_true(engine_enter());
        engine.conf.has_helper = has_helper;
        engine.thread = has_helper ? ENGINE_RUNS : ENGINE_CANNOT;
        engine.tid = 4711;
        engine.ends = 1;
        space.ledger->helper_tid = 4711;
        engine.source.is_found = true;
        engine.reads_files = true;
        assert_int_equal(pthread_create(&thread, NULL, hold_locks, NULL), 0);
        pthread_join(thread, NULL);
        pid_t child = fork();
        if (child == 0) {
            (void)alarm(20);
            _exit(!is_forgotten(has_helper ? ENGINE_NO_THREAD : ENGINE_CANNOT));
        }
        int status = 1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        engine_stop();
    }
    // The same memory and another process, as after vfork(): hands off.
    assert_true(engine_enter());
    engine.pid++;
    assert_false(engine_enter());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lazy_bytes, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_lazily_refused, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_two_ways, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_many_heaps, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_late, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_waiting, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_times, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_near_limit, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_long_blocks, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_word_during_look, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_group, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_own_lazy_bytes, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_settings, engine_test_begin, engine_test_end),
        cmocka_unit_test_setup_teardown(test_child, engine_test_begin, engine_test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
