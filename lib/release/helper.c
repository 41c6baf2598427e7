// SPDX-License-Identifier: Apache-2.0
// The helper thread: its start, its sleep and its end; and looks without one. Library world.
// Guarded by engine.thread_lock, but for the looks themselves.
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#include "base/atomic.h"
#include "base/die.h"
#include "base/syscall.h"
#include "heap/guard.h"
#include "heap/sweep.h"
#include "heap/thread.h"
#include "release/engine_state.h"

#define STACK_BYTES   (128u << 10)
#define WORTH_SLOTS   64u   // 4 MiB: less is not worth a thread
#define QUIET_MS      1000u // nothing to do for so long: the helper waits to be called
#define LINGER_MS     10000u
#define RETRY_MS      30000u
#define CONTROL_MS    1000u // how often a waiting helper looks for a word from outside
#define END_MS        2000  // the program's last thread waits so long for the helper's end, at most
#define SECCOMP_QUERY 21    // PR_GET_SECCOMP

enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129, SET_NAME = 15 };

// Libc frees a few things when a thread ends: the helper's own shall not call the next one.
static _Thread_local __attribute__((tls_model("initial-exec"))) bool is_helper;

static void complain(const char *wrong, size_t len)
{
    struct line line = {.len = 0};
    char item[64];
    size_t shown = len < sizeof item - 1 ? len : sizeof item - 1;
    memcpy(item, wrong, shown);
    item[shown] = '\0';
    line_add(&line, "ebb: EBB_CONF: cannot use '");
    line_add(&line, item);
    line_add(&line, "'; known are policy, return_within, limit, helper, trace, guard");
    line_write(&line);
}

// 0 none, 1 strict, 2 a filter; negative where the kernel has none.
static long filter_mode(void)
{
    return syscall_make(SYS_prctl, SECCOMP_QUERY, 0, 0, 0, 0, 0);
}

// The program has put itself under a filter that knows nothing of us and may kill: hands off. One
// that it was started under is a container's or a service manager's, and made for threads.
static bool is_filtered(void)
{
    // To ask may be what the filter kills for.
    return atomic_load32(&engine.expects_filter) || filter_mode() > engine.filter_at_start;
}

void engine_expect_filter(void)
{
    atomic_store32(&engine.expects_filter, 1);
}

// The settings count from the first line of main() on; a program with raised rights has none.
static void read_settings(void)
{
    const char *wrong;
    size_t wrong_len;
    conf_default(&engine.conf);
    const char *text = getauxval(AT_SECURE) ? NULL : getenv("EBB_CONF");
    if (text && conf_read(&engine.conf, text, strlen(text), &wrong, &wrong_len) != 0)
        complain(wrong, wrong_len);
    engine.plan.settings.policy = engine.conf.policy;
    engine.plan.settings.return_within_ms = engine.conf.return_within_ms;
    engine.plan.settings.can_free_lazily = true;
    if (engine.conf.guard_one_in)
        guard_set(engine.conf.guard_one_in);
    if (!engine.conf.has_helper)
        engine.thread = ENGINE_CANNOT;
}

// What a reader outside sees, and by which calls pages go. The heap has been started.
static void publish(void)
{
    engine.is_published = true;
    (void)engine_apply_policy(engine.plan.settings.policy);
    (void)engine_apply_within(engine.plan.settings.return_within_ms);
    space.ledger->limit_bytes = engine.conf.limit_bytes;
    // Plain madvise() is in every list; the newer call may not be.
    if (engine.filter_at_start)
        atomic_store32(&space.has_no_vectors, 1);
}

// Or by the first allocation, whichever comes first: constructors of others allocate.
__attribute__((constructor)) static void set_up(void)
{
    lock_take(&engine.thread_lock);
    if (!engine.is_set_up) {
        read_settings();
        engine.filter_at_start = filter_mode();
        atomic_store32(&engine.is_set_up, 1);
    }
    lock_release(&engine.thread_lock);
}

// By a raw call: older libcs keep the number, also across a clone that they know nothing of.
static int own_pid(void)
{
    return (int)syscall_make(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

// Whose memory this is: before a child of vfork, which uses it too, can take it for its own.
static void note_pid(void)
{
    if (!engine.pid)
        engine.pid = own_pid();
}

// A forked child begins without a helper, and with locks that nobody holds.
static void forget_parent(void)
{
    lock_reset(&engine.lock);
    lock_reset(&engine.thread_lock);
    engine.forks = heaps.forks;
    engine.pid = own_pid();
    // It may be put into another group right after the fork.
    engine.source.is_found = false;
    engine.reads_files = false;
    if (engine.thread != ENGINE_CANNOT || engine.conf.has_helper)
        engine.thread = ENGINE_NO_THREAD;
    engine.tid = 0;
    engine.ends = 0;
    space.ledger->helper_tid = 0;
}

bool engine_enter(void)
{
    if (!atomic_load32(&heaps.is_started))
        return false;
    heaps_notice_fork();
    if (engine.forks != heaps.forks)
        forget_parent();
    if (!atomic_load32(&engine.is_set_up))
        set_up();
    note_pid();
    // The same memory and another process: a child of vfork.
    if (engine.pid != own_pid())
        return false;
    // Not by the number: a child of fork has got its own before it comes here.
    if (!engine.is_published)
        publish();
    return true;
}

// In the child, on the thread that forked: of several that came here later each would reset what
// another has begun with.
static void enter_child(void)
{
    (void)engine_enter();
}

__attribute__((constructor)) static void handle_forks(void)
{
    (void)pthread_atfork(NULL, NULL, enter_child);
}

static bool look_now(bool takes_all, size_t *gone)
{
    lock_take(&engine.lock);
    bool is_waiting = engine_look(takes_all, gone);
    lock_release(&engine.lock);
    return is_waiting;
}

// Until called, or for so long.
static void sleep_ms(uint32_t calls, uint64_t ms)
{
    struct timespec time = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)syscall_make(SYS_futex, (long)(uintptr_t)&engine.calls, FUTEX_WAIT_PRIVATE, (long)calls,
                       (long)(uintptr_t)&time, 0, 0);
}

// Looks until nothing has been worth it for a while.
static void look_while_busy(void)
{
    uint64_t busy_at = engine_now_ms();
    for (;;) {
        size_t gone;
        if (look_now(false, &gone))
            busy_at = engine_now_ms();
        if (engine_now_ms() - busy_at >= QUIET_MS || is_filtered() || atomic_load32(&engine.ends))
            return;
        sleep_ms(atomic_load32(&engine.calls), engine.plan.period_ms);
    }
}

// By a thread of ours that has freed something, or through the ledger from outside.
static bool is_called(void)
{
    return !atomic_load32(&space.is_quiet) ||
           atomic_load64(&space.ledger->control) != space.ledger->control_obeyed;
}

// Under `keep` somebody may change their mind from outside as long as there is something to give.
static bool must_stay(void)
{
    return engine.plan.settings.policy == WIRE_POLICY_KEEP;
}

// Under the thread lock, before another helper can be started.
static void note_end(enum engine_thread thread)
{
    atomic_store32(&space.ledger->helper_tid, 0);
    engine.thread = thread;
}

// False where a call has come meanwhile.
static bool try_end(void)
{
    lock_take(&engine.thread_lock);
    bool ends = atomic_load32(&engine.ends) || !is_called();
    if (ends) {
        note_end(ENGINE_NO_THREAD);
        atomic_store32(&space.is_quiet, 1);
    }
    lock_release(&engine.thread_lock);
    return ends;
}

// Waits for a call. False if none came for long: then the thread is no more.
static bool wait_for_call(void)
{
    uint64_t since = engine_now_ms();
    size_t gone;
    if (atomic_load32(&engine.ends))
        return !try_end();
    atomic_store32(&space.is_quiet, 1);
    sweep_arm();
    // What was freed after the last look and before the span was closed has called nobody. Who did
    // not see it quiet is seen by this look: without the barrier each could miss the other's store.
    (void)space.os->fence_threads(space.os);
    if (look_now(false, &gone))
        atomic_store32(&space.is_quiet, 0);
    for (;;) {
        // Read before the question: a call in between ends the sleep at once.
        uint32_t calls = atomic_load32(&engine.calls);
        bool is_last = atomic_load32(&engine.ends) != 0;
        if (!is_last && is_called())
            break;
        if (!is_last)
            sleep_ms(calls, CONTROL_MS);
        if (!is_last && (engine_now_ms() - since < LINGER_MS || must_stay()))
            continue;
        if (try_end())
            return false;
    }
    atomic_store32(&space.is_quiet, 0);
    return true;
}

// From now on looks ride on slow paths, if at all.
static void give_up(void)
{
    lock_take(&engine.thread_lock);
    note_end(ENGINE_CANNOT);
    lock_release(&engine.thread_lock);
    engine.reads_files = false;
    engine.next_start_ms = engine_now_ms() + RETRY_MS;
    // Nothing may be kept for a look that does not come.
    atomic_store32(&space.expects_reuse, 0);
    atomic_store32(&space.is_quiet, 1);
}

static void *help(void *unused)
{
    (void)unused;
    // First of all, since everything below may free.
    is_helper = true;
    (void)syscall_make(SYS_prctl, SET_NAME, (long)(uintptr_t) "ebb-helper", 0, 0, 0, 0);
    // Its open files must not take numbers that the program counts on.
    engine.reads_files = pressure_hide_files(engine.conf.traces_purges) == 0;
    atomic_store32(&engine.tid, (uint32_t)syscall_make(SYS_gettid, 0, 0, 0, 0, 0, 0));
    atomic_store32(&space.ledger->helper_tid, engine.tid);
    // The first one registers the process, which takes milliseconds: not while an owner waits.
    (void)space.os->fence_threads(space.os);
    do {
        look_while_busy();
        if (is_filtered()) {
            give_up();
            return NULL;
        }
    } while (wait_for_call());
    return NULL;
}

// Threads of libebb take no signals of the program's.
static int create_thread(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int error = pthread_attr_init(&attributes);
    if (error)
        return -error;
    (void)sigfillset(&all);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, help, NULL);
    if (error == EINVAL) {
        // glibc takes thread-local memory from the stack: with much of it ours is too small.
        (void)pthread_attr_setstacksize(&attributes, 16 * STACK_BYTES);
        error = pthread_create(&thread, &attributes, help, NULL);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return -error;
}

// All that sleep there: end_helper() may be one of them.
static void call_helper(void)
{
    (void)syscall_make(SYS_futex, (long)(uintptr_t)&engine.calls, FUTEX_WAKE_PRIVATE, INT_MAX, 0, 0,
                       0);
}

// No helper that was started is still known to the kernel, nor counted by libc.
static bool is_helper_gone(void)
{
    lock_take(&engine.thread_lock);
    bool is_over = engine.thread != ENGINE_RUNS;
    lock_release(&engine.thread_lock);
    long tid = atomic_load32(&engine.tid);
    return is_over && (!tid || syscall_make(SYS_tgkill, engine.pid, tid, 0, 0, 0, 0) == -ESRCH);
}

// The thread that ends the process calls exit(), and that must not be a helper: it would keep the
// process until its own end, and has no open file that could be flushed.
static void end_helper(void)
{
    // In a child of fork there is none.
    if (!engine_enter())
        return;
    atomic_store32(&engine.ends, 1);
    uint64_t since = engine_now_ms();
    while (!is_helper_gone() && engine_now_ms() - since < END_MS) {
        atomic_add32(&engine.calls, 1);
        call_helper();
        sleep_ms(atomic_load32(&engine.calls), 1);
    }
}

// Outside of the thread lock, as pthread_create() may allocate and so come back here.
static void start_thread(void)
{
    __atomic_store_n(&heaps.note_last, end_helper, __ATOMIC_RELEASE);
    int error = is_filtered() ? -EPERM : create_thread();
    if (error)
        give_up();
}

// A refusal may pass: tried again after a while.
static bool may_start_again(void)
{
    uint64_t now = engine_now_ms();
    if (!engine.conf.has_helper || now < engine.next_start_ms || is_filtered())
        return false;
    engine.next_start_ms = now + RETRY_MS;
    engine.thread = ENGINE_NO_THREAD;
    return true;
}

// Without a helper: a look now and then by who allocates or frees anyway.
static void ride(void)
{
    uint64_t now = engine_now_ms();
    size_t gone;
    if (now < atomic_peek64(&engine.next_ride_ms) || !lock_try(&engine.lock))
        return;
    // A filter that is there stays.
    bool is_allowed = !is_filtered();
    if (is_allowed)
        (void)engine_look(false, &gone);
    atomic_poke64(&engine.next_ride_ms, now + (is_allowed ? engine.plan.period_ms : RETRY_MS));
    lock_release(&engine.lock);
}

// Where there is nobody to call, each slow path asks: so it has to be cheap.
static bool is_too_early(void)
{
    return __atomic_load_n(&engine.thread, __ATOMIC_RELAXED) == ENGINE_CANNOT &&
           engine_now_ms() < atomic_peek64(&engine.next_ride_ms);
}

// Where the kernel has put the dynamic loader: 0 where there is none, or it was started by name.
// Source: elf(5), getauxval(3).
static bool is_in_loader(uintptr_t base, uintptr_t address)
{
    const ElfW(Ehdr) *header = (const void *)base;
    const ElfW(Phdr) *segments = (const void *)(base + header->e_phoff);
    uintptr_t bytes = 0;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD && segments[i].p_vaddr + segments[i].p_memsz > bytes)
            bytes = segments[i].p_vaddr + segments[i].p_memsz;
    }
    return address - base < bytes;
}

// Of a free in a static program nobody can tell whose it is: there mallocs alone start a helper.
static bool may_start(const void *freer)
{
    uintptr_t base = getauxval(AT_BASE);
    return !freer || (base && !is_in_loader(base, (uintptr_t)freer));
}

static void wake(const void *freer)
{
    note_pid();
    // Threads that have no heap, or have ended, may be the process's last.
    if (is_helper || !atomic_peek32(&heaps.threads) || sweep_slots_used() < WORTH_SLOTS ||
        is_too_early() || !engine_enter())
        return;
    lock_take(&engine.thread_lock);
    if (engine.thread == ENGINE_CANNOT && !may_start_again()) {
        lock_release(&engine.thread_lock);
        ride();
        return;
    }
    bool starts = engine.thread == ENGINE_NO_THREAD;
    if (starts && !may_start(freer)) {
        // It stays quiet: the next one asks again.
        lock_release(&engine.thread_lock);
        return;
    }
    engine.thread = ENGINE_RUNS;
    if (starts)
        engine.ends = 0;
    atomic_store32(&space.is_quiet, 0);
    atomic_add32(&engine.calls, 1);
    lock_release(&engine.thread_lock);
    if (starts)
        start_thread();
    else
        call_helper();
}

// Who frees finds errno as it was, whatever libc does with it on the way.
void engine_wake(const void *freer)
{
    int saved = errno;
    wake(freer);
    errno = saved;
}

// On the caller's thread: when it returns, the memory is gone.
size_t engine_purge(void)
{
    size_t gone = 0;
    if (engine_enter())
        (void)look_now(true, &gone);
    return gone;
}

// As engine_purge(), but by the plan: what is young stays.
size_t engine_look_once(void)
{
    size_t gone = 0;
    if (engine_enter())
        (void)look_now(false, &gone);
    return gone;
}

int engine_set_policy(enum wire_policy policy)
{
    if (!engine_enter())
        return -EINVAL;
    lock_take(&engine.lock);
    int error = engine_apply_policy(policy);
    lock_release(&engine.lock);
    return error;
}

int engine_set_return_within(uint32_t milliseconds)
{
    if (!engine_enter())
        return -EINVAL;
    lock_take(&engine.lock);
    int error = engine_apply_within(milliseconds);
    lock_release(&engine.lock);
    return error;
}

void engine_set_limit(uint64_t bytes)
{
    if (!engine_enter())
        return;
    lock_take(&engine.lock);
    engine.conf.limit_bytes = bytes;
    space.ledger->limit_bytes = bytes;
    lock_release(&engine.lock);
}

// For tests alone, where each begins with a heap of its own.
void engine_stop(void)
{
    memset(&engine, 0, sizeof engine);
}
