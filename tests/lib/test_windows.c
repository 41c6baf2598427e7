// SPDX-License-Identifier: Apache-2.0
// Two threads in the heap's own code, instruction by instruction: one is stopped at each
// instruction of a malloc or free in turn, another one then gets so far with what it does to the
// same span, the first goes on to its end, and the other to its own. What otherwise takes a window
// of nanoseconds is met each time. Test code: what each does by itself is learned by single steps;
// then breakpoints are written into the code. Who waits for a lock lets the other one go on.
// EBB_WINDOWS=all: each stop of the one with each stop of the other.
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "stage_test.h"

#include "base/lock.h"
#include "heap/hold.h"
#include "heap/lists.h"
#include "heap/takeover.h"
#include "heap/thread.h"

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#include <x86intrin.h>

// The linker's names for the program's code.
extern unsigned char __executable_start[];
extern unsigned char etext[];

void __real_lock_take(struct lock *lock);
void __wrap_lock_take(struct lock *lock);
void __real_lock_sleep_while(uint32_t *word, uint32_t value);
void __wrap_lock_sleep_while(uint32_t *word, uint32_t value);

enum { FIRST, SECOND };

#define TRAP_FLAG  0x100
#define BREAKPOINT 0xcc
#define STEPS_MAX  8000u
#define STOPS_MAX  1000u
#define SHORT      200u // an operation of so many steps is stopped after each of them
#define PASSES_MAX 4u   // a loop's instruction is met so often
#define ROUNDS     2u   // an operation is stopped so often, at most
#define FEW_STOPS  2u   // of the second one, for each of the first, unless all are asked for
#define FEW_PAIRS  150u // of two stops of each, unless all are asked for
#define HEAP_USES  20u  // runs on one heap
#define BLOCK_FEW  3000u
#define BLOCK_MANY 20480u

// An operation by itself: after each step, where it goes on, and whether a word was changed that
// others look at.
struct trail {
    unsigned steps;
    uintptr_t at[STEPS_MAX];
    bool is_change[STEPS_MAX];
};

// What others see of the span and of the heap that it belongs to.
struct sight {
    struct wire_record span;
    uint64_t words[6];
};

// Just before an instruction, when it has been passed so often.
struct stop {
    uintptr_t at;
    unsigned passes;
    bool is_set;
};

// Of one thread in one run. A stop of no instruction is none.
struct stops {
    struct stop of[ROUNDS];
    unsigned next;
    unsigned char byte; // of the code, where the breakpoint is
};

static struct {
    sem_t turns[2];
    uint32_t is_free; // atomic: nobody waits for its turn any more
    struct stops stops[2];
    void (*second)(void);
    void (*prepare_second)(void);
    unsigned runs;
    unsigned met; // stops of the second one, while the first was stopped
} play;

// Of each of the two threads.
static _Thread_local struct {
    int number;
    struct trail *trail; // while it is traced
    struct sight seen;
    struct stops *passing; // this breakpoint is away for one step
} self;

// From here on each goes on by itself, and to its end.
static void free_both(void)
{
    if (atomic_swap32(&play.is_free, 1))
        return;
    sem_post(&play.turns[FIRST]);
    sem_post(&play.turns[SECOND]);
}

static void wait_for_turn(void)
{
    while (sem_wait(&play.turns[self.number]) != 0)
        continue;
}

static void hand_over(void)
{
    if (atomic_load32(&play.is_free))
        return;
    play.met += self.number == SECOND;
    sem_post(&play.turns[!self.number]);
    wait_for_turn();
}

void __wrap_lock_take(struct lock *lock)
{
    if (lock_try(lock))
        return;
    free_both();
    __real_lock_take(lock);
}

void __wrap_lock_sleep_while(uint32_t *word, uint32_t value)
{
    free_both();
    __real_lock_sleep_while(word, value);
}

static struct sight take_sight(void)
{
    const struct heap *heap = stage.heap;
    unsigned size_class = class_of_size(stage.block_bytes);
    return (struct sight){
        .span = *stage.span,
        .words = {(uintptr_t)heap->current[size_class], heap->is_held, heap->is_busy,
                  heap->is_wanted, heap->inbox, heap->state},
    };
}

static void write_code(uintptr_t at, unsigned char byte)
{
    *(volatile unsigned char *)at = byte;
}

// Writes the breakpoint of the next stop, if there is one.
static void set_stop(struct stops *stops)
{
    struct stop *stop = &stops->of[stops->next];
    if (stops->next == ROUNDS || !stop->at)
        return;
    stops->byte = *(const unsigned char *)stop->at;
    stop->is_set = true;
    write_code(stop->at, BREAKPOINT);
}

static void remove_stop(struct stops *stops)
{
    struct stop *stop = &stops->of[stops->next];
    if (stops->next == ROUNDS || !stop->is_set)
        return;
    write_code(stop->at, stops->byte);
    stop->is_set = false;
}

// The present one of either thread; NULL where the other has just taken it away.
static struct stops *find_stops(uintptr_t at)
{
    for (int i = 0; i < 2; i++) {
        struct stops *stops = &play.stops[i];
        if (stops->next < ROUNDS && stops->of[stops->next].is_set &&
            stops->of[stops->next].at == at)
            return stops;
    }
    return NULL;
}

// One's own; or the other's, which is passed: without it for one step.
static void meet_breakpoint(greg_t *registers)
{
    registers[REG_RIP]--;
    struct stops *stops = find_stops((uintptr_t)registers[REG_RIP]);
    if (!stops)
        return;
    remove_stop(stops);
    if (stops == &play.stops[self.number] && stops->of[stops->next].passes-- == 0) {
        stops->next++;
        // Where it is the same instruction, it is met when it comes again.
        set_stop(stops);
        hand_over();
        return;
    }
    self.passing = stops;
    registers[REG_EFL] |= TRAP_FLAG;
}

static void note_step(struct trail *trail, uintptr_t at)
{
    const struct sight now = take_sight();
    assert_true(trail->steps < STEPS_MAX);
    trail->at[trail->steps] = at;
    trail->is_change[trail->steps++] = memcmp(&now, &self.seen, sizeof now) != 0;
    self.seen = now;
}

// After a step, or at a breakpoint.
static void note_trap(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)signal;
    if (info->si_code == SI_KERNEL) {
        meet_breakpoint(registers);
    } else if (self.trail) {
        note_step(self.trail, (uintptr_t)registers[REG_RIP]);
    } else {
        registers[REG_EFL] &= ~(greg_t)TRAP_FLAG;
        if (self.passing)
            set_stop(self.passing);
        self.passing = NULL;
    }
}

static void trace(void (*act)(void), struct trail *trail)
{
    self.trail = trail;
    self.seen = take_sight();
    __writeeflags(__readeflags() | TRAP_FLAG);
    act();
    self.trail = NULL;
}

static void *run_second(void *trail)
{
    self.number = SECOND;
    wait_for_turn();
    if (play.prepare_second)
        play.prepare_second();
    if (trail)
        trace(play.second, trail);
    else
        play.second();
    free_both();
    return NULL;
}

static pthread_t begin_second(struct trail *trail)
{
    pthread_t thread;
    play.is_free = 0;
    assert_int_equal(sem_init(&play.turns[FIRST], 0, 0), 0);
    assert_int_equal(sem_init(&play.turns[SECOND], 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_second, trail), 0);
    return thread;
}

// What the two threads do to one span, from its setting to the look at what came of it.
struct piece {
    void (*set)(const struct piece *piece);
    void (*first)(void);
    void (*end_first)(void); // what the program does with the result
    void (*prepare_second)(void);
    void (*second)(void);
    void (*check)(void);
    struct scene scene;
    bool is_alone; // each run has a heap of its own
    bool is_read;  // the second one follows links that the first one's program writes over
};

static void set_piece(const struct piece *piece)
{
    static struct fake_os fake;
    if (play.runs++ % (piece->is_alone ? 1 : HEAP_USES) == 0) {
        heap_stop();
        fake_os_start(&fake);
        assert_int_equal(heap_start_on(&fake.os), 0);
    }
    piece->set(piece);
    play.second = piece->second;
    play.prepare_second = piece->prepare_second;
}

static void play_once(const struct piece *piece, const struct stops *first,
                      const struct stops *second)
{
    set_piece(piece);
    play.stops[FIRST] = *first;
    play.stops[SECOND] = *second;
    set_stop(&play.stops[FIRST]);
    set_stop(&play.stops[SECOND]);
    pthread_t thread = begin_second(NULL);
    piece->first();
    piece->end_first();
    free_both();
    pthread_join(thread, NULL);
    remove_stop(&play.stops[FIRST]);
    remove_stop(&play.stops[SECOND]);
    piece->check();
}

static void learn(const struct piece *piece, struct trail trails[2])
{
    trails[FIRST].steps = 0;
    trails[SECOND].steps = 0;
    // What is set is not played to its end: each begins with a heap of its own.
    play.runs = 0;
    set_piece(piece);
    trace(piece->first, &trails[FIRST]);
    piece->end_first();
    play.runs = 0;
    set_piece(piece);
    pthread_t thread = begin_second(&trails[SECOND]);
    sem_post(&play.turns[SECOND]);
    pthread_join(thread, NULL);
    play.runs = 0;
}

// libc's code is left as it is.
static bool make_stop(const struct trail *trail, unsigned step, unsigned passes, struct stop *stop)
{
    *stop = (struct stop){.at = trail->at[step]};
    for (unsigned i = 0; i < step; i++)
        stop->passes += trail->at[i] == stop->at;
    return stop->at >= (uintptr_t)__executable_start && stop->at < (uintptr_t)etext &&
           stop->passes < passes;
}

enum choice { EVERY_STEP, EVERY_PLACE, AROUND_CHANGES, BEFORE_CHANGES };

// Just before a change all that led to it is in registers.
static unsigned list_stops(const struct trail *trail, enum choice choice,
                           struct stop stops[STOPS_MAX])
{
    unsigned count = 0;
    unsigned passes = choice == EVERY_PLACE ? 1 : PASSES_MAX;
    for (unsigned step = 0; step + 1 < trail->steps && count < STOPS_MAX; step++) {
        bool is_one = choice <= EVERY_PLACE || trail->is_change[step + 1] ||
                      (choice == AROUND_CHANGES && trail->is_change[step]);
        count += is_one && make_stop(trail, step, passes, &stops[count]);
    }
    return count;
}

// Each stop of the first, once: with some of the second, or with all.
static void play_stops(const struct piece *piece, const struct trail trails[2], bool takes_all)
{
    struct stop stops[2][STOPS_MAX + 1];
    uint64_t random = 4711;
    enum choice choice = trails[FIRST].steps <= SHORT ? EVERY_STEP : AROUND_CHANGES;
    unsigned firsts = list_stops(&trails[FIRST], choice, stops[FIRST]);
    unsigned seconds = list_stops(&trails[SECOND], AROUND_CHANGES, stops[SECOND]);
    assert_true(firsts > 0 && seconds > 0);
    // Or it goes on to its end.
    stops[SECOND][seconds++] = (struct stop){.at = 0};
    unsigned most = takes_all || seconds < FEW_STOPS ? seconds : FEW_STOPS;
    for (unsigned i = 0; i < firsts * most; i++) {
        unsigned at = most == seconds ? i % most : (unsigned)(heap_test_next(&random) % seconds);
        play_once(piece, &(struct stops){.of = {stops[FIRST][i / most]}},
                  &(struct stops){.of = {stops[SECOND][at]}});
    }
}

// All pairs of one list, by number.
static struct stops pair_of(const struct stop *stops, unsigned count, unsigned number)
{
    unsigned first = 0;
    for (; number >= count - 1 - first; first++)
        number -= count - 1 - first;
    return (struct stops){.of = {stops[first], stops[first + 1 + number]}};
}

// Both are stopped twice, in turns.
static void play_pairs(const struct piece *piece, const struct trail trails[2], bool takes_all)
{
    struct stop stops[2][STOPS_MAX];
    unsigned pairs[2];
    unsigned counts[2];
    uint64_t random = 4711;
    for (int i = 0; i < 2; i++) {
        counts[i] = list_stops(&trails[i], BEFORE_CHANGES, stops[i]);
        pairs[i] = counts[i] * (counts[i] - 1) / 2;
    }
    unsigned all = pairs[FIRST] * pairs[SECOND];
    for (unsigned i = 0; i < all; i++) {
        if (!takes_all && heap_test_next(&random) % all >= FEW_PAIRS)
            continue;
        struct stops first = pair_of(stops[FIRST], counts[FIRST], i / pairs[SECOND]);
        struct stops second = pair_of(stops[SECOND], counts[SECOND], i % pairs[SECOND]);
        play_once(piece, &first, &second);
    }
}

// The second one at each place on its way, also where it only reads what the first one changes.
static void play_reads(const struct piece *piece, const struct trail trails[2])
{
    struct stop stops[2][STOPS_MAX];
    unsigned firsts = list_stops(&trails[FIRST], BEFORE_CHANGES, stops[FIRST]);
    unsigned seconds = list_stops(&trails[SECOND], EVERY_PLACE, stops[SECOND]);
    for (unsigned i = 0; i < firsts * seconds; i++)
        play_once(piece, &(struct stops){.of = {stops[FIRST][i / seconds]}},
                  &(struct stops){.of = {stops[SECOND][i % seconds]}});
}

static void play_piece(const struct piece *piece, bool takes_all)
{
    static struct trail trails[2];
    // Cmocka's handler would leave the other thread where it is.
    (void)signal(SIGSEGV, SIG_DFL);
    learn(piece, trails);
    play.met = 0;
    play_stops(piece, trails, takes_all);
    play_pairs(piece, trails, takes_all);
    if (piece->is_read)
        play_reads(piece, trails);
    assert_true(play.met > 0);
}

// What the first thread and the second one have in their hands.
static unsigned char *held[2];

static unsigned char *take_object(void)
{
    struct object *object = stage_any();
    assert_non_null(object);
    unsigned char *block = object->at;
    stage_remove(object);
    return block;
}

static void set_scene(const struct piece *piece)
{
    stage_set(&piece->scene);
    held[FIRST] = piece->scene.way == IS_FREE ? take_object() : NULL;
    held[SECOND] = piece->scene.has_remote ? take_object() : NULL;
}

static void do_malloc(void)
{
    held[FIRST] = heap_test_allocate(stage.block_bytes);
}

static void use_block(void)
{
    stage_add(held[FIRST]);
}

static void do_free(void)
{
    heap_test_release(held[FIRST]);
}

static void do_nothing(void)
{
}

static void do_free_remotely(void)
{
    heap_test_release(held[SECOND]);
}

static struct takeover takeover_of_stage(void)
{
    struct takeover takeover = {.heap = stage.heap, .count = 1};
    takeover.slots[0] = space_slot(stage.span);
    return takeover;
}

static void do_purge(void)
{
    struct takeover takeover = takeover_of_stage();
    (void)takeover_purge(&takeover);
}

static void do_close(void)
{
    struct takeover takeover = takeover_of_stage();
    takeover_close(&takeover);
}

static const struct {
    enum way way;
    enum fill fill;
    size_t bytes;
    bool is_current;
    void (*second)(void);
    bool is_read;
} windows[] = {
    {IS_FREE, HALF, BLOCK_MANY, true, do_purge, false},
    {IS_MALLOC, HALF, BLOCK_MANY, true, do_purge, false},
    {IS_MALLOC, ONE_FREE, BLOCK_MANY, true, do_purge, false},
    {IS_FREE, HALF, BLOCK_MANY, false, do_purge, false},
    {IS_FREE, HALF, BLOCK_FEW, true, do_purge, false},
    {IS_FREE, HALF, BLOCK_FEW, false, do_purge, false},
    {IS_MALLOC, THREE_FREE, BLOCK_FEW, true, do_purge, true},
    {IS_FREE, ONE_LIVE, BLOCK_FEW, false, do_purge, false},
    {IS_FREE, HALF, BLOCK_FEW, true, do_close, false},
};

// The owner's malloc or free, and a helper.
static void test_windows(void **state)
{
    (void)state;
    const char *all = getenv("EBB_WINDOWS");
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        bool is_free = windows[i].way == IS_FREE;
        const struct piece piece = {.set = set_scene,
                                    .first = is_free ? do_free : do_malloc,
                                    .end_first = is_free ? do_nothing : use_block,
                                    .second = windows[i].second,
                                    .check = stage_check,
                                    .is_read = windows[i].is_read,
                                    .scene = {.way = windows[i].way,
                                              .fill = windows[i].fill,
                                              .bytes = windows[i].bytes,
                                              .is_current = windows[i].is_current}};
        play_piece(&piece, all && strcmp(all, "all") == 0);
    }
    heap_stop();
}

#define LEFT_BLOCKS 9 // a span of them and one more
#define LEFT_BYTES  8192u

static unsigned char *left[LEFT_BLOCKS];

static void *leave(void *heap)
{
    for (int i = 0; i < LEFT_BLOCKS; i++)
        left[i] = heap_test_allocate(LEFT_BYTES);
    for (int i = 0; i < LEFT_BLOCKS / 2; i++)
        heap_test_release(left[i]);
    *(struct heap **)heap = heap_of_thread;
    return NULL;
}

// A thread has left a span with room in it, which the first thread will come to need.
static void set_theft(const struct piece *piece)
{
    pthread_t thread;
    (void)piece;
    heap_test_release(heap_test_allocate(16));
    assert_int_equal(pthread_create(&thread, NULL, leave, &stage.heap), 0);
    pthread_join(thread, NULL);
    stage.random = 1;
    stage.count = 0;
    stage.block_bytes = LEFT_BYTES;
    stage.span = space_record_at((uintptr_t)left[0]);
    assert_int_equal(stage.span->state, WIRE_SPAN_PARTIAL);
    for (int i = LEFT_BLOCKS / 2; i < LEFT_BLOCKS; i++)
        stage_add(left[i]);
    held[SECOND] = take_object();
}

static void use_more(void)
{
    stage_add(held[FIRST]);
    for (int i = 0; i < 2; i++)
        stage_add(heap_test_allocate(LEFT_BYTES));
}

// Where it can it goes on as the one who has left the span.
static void get_heap(void)
{
    heap_test_release(heap_test_allocate(16));
}

// A heap without a thread gives a span away, and has a thread again a moment later, which frees
// there what its predecessor has left.
static void test_theft(void **state)
{
    (void)state;
    const struct piece theft = {.set = set_theft,
                                .first = do_malloc,
                                .end_first = use_more,
                                .prepare_second = get_heap,
                                .second = do_free_remotely,
                                .check = stage_check,
                                .is_alone = true};
    play_piece(&theft, true);
    heap_stop();
}

static struct wire_record *queued;

static void do_drain(void)
{
    hold_own(heap_of_thread);
    lists_drain_inbox(heap_of_thread);
    hold_own_end(heap_of_thread);
}

// Two full spans in the inbox, of which the first comes in once more.
static void set_inbox(const struct piece *piece)
{
    (void)piece;
    stage.random = 1;
    stage.count = 0;
    stage.block_bytes = LEFT_BYTES;
    for (int i = 0; i < 2 * LEFT_BLOCKS; i++)
        stage_add(heap_test_allocate(LEFT_BYTES));
    stage.heap = heap_of_thread;
    stage.span = space_record_at((uintptr_t)stage.objects[0].at);
    queued = space_record_at((uintptr_t)stage.objects[LEFT_BLOCKS].at);
    stage_free_remotely(&stage.objects[LEFT_BLOCKS]);
    stage_free_remotely(stage_any());
    assert_int_equal(stage.heap->inbox, space_slot(stage.span));
    assert_int_equal(stage.span->queue_next, space_slot(queued));
    held[SECOND] = take_object();
}

static void check_inbox(void)
{
    do_drain();
    // What stays there has been counted.
    const uint64_t waits = WIRE_REMOTE_QUEUED | ~(2 * WIRE_REMOTE_QUEUED - 1);
    assert_int_equal(stage.span->remote & waits, 0);
    assert_int_equal(queued->remote & waits, 0);
    stage_check();
}

// A span that has been taken in comes in again, before the next one of the inbox is looked at.
static void test_inbox(void **state)
{
    (void)state;
    const struct piece inbox = {.set = set_inbox,
                                .first = do_drain,
                                .end_first = do_nothing,
                                .second = do_free_remotely,
                                .check = check_inbox,
                                .is_alone = true};
    play_piece(&inbox, true);
    heap_stop();
}

// On one processor, since they take turns anyway: that is faster.
static int begin_breakpoints(void **state)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((unsigned)sched_getcpu(), &one);
    (void)sched_setaffinity(0, sizeof one, &one);
    struct sigaction action = {.sa_sigaction = note_trap, .sa_flags = SA_SIGINFO};
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)__executable_start & ~(page - 1);
    (void)state;
    if (mprotect((void *)begin, (uintptr_t)etext - begin, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        return -1;
    return sigaction(SIGTRAP, &action, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_theft),
        cmocka_unit_test(test_inbox),
    };
    return cmocka_run_group_tests(tests, begin_breakpoints, NULL);
}

#else

static void test_windows(void **state)
{
    (void)state;
    print_message("breakpoints need an x86-64 without a sanitizer\n");
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_windows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
