// SPDX-License-Identifier: Apache-2.0
// Which heap is whose: start, threads' first and last moments, fork. Library world.
//
// A forked child has one thread and no lock of ours was held for its sake, so any operation of
// another thread may have stopped half-way. What such a thread did on its fast path is a prefix of
// ordered stores and at worst loses one block: a pop that was cut off has taken it from the list
// and not counted it, so it is in nobody's hands and its span can still become empty; a push that
// was cut off has counted it down late, so its span never becomes empty. Neither gives a block out
// twice. The stores of one thread reach the child in order, since a page that fork has already
// protected makes the writer wait until fork is through. A heap whose lock was held is lost: its
// spans stay as they are, for ever. All this is put right by a fork handler in the child, or, where
// there was none to call, by the first slow path, which finds a page wiped.
#include "heap/thread.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/atomic.h"
#include "heap/guard.h"
#include "heap/hold.h"
#include "heap/lists.h"

struct heaps heaps;

const struct wire_record heap_no_span = {.run = 0};

#define NO_SPAN ((struct wire_record *)&heap_no_span)

// So long fork() waits for a helper, which mostly needs 100 µs.
#define FORK_WAIT_MS 100u

// Heaps that a thread looks at for the one that its predecessor left.
#define PLACE_LOOKS 64

const struct heap heap_empty = {
    .current = {[0 ... CLASS_COUNT] = NO_SPAN},
};

_Thread_local struct heap *heap_of_thread __attribute__((tls_model("initial-exec"))) =
    (struct heap *)&heap_empty;

// The thread's destructor has run: what it still allocates comes from heaps borrowed for one call.
static _Thread_local __attribute__((tls_model("initial-exec"))) bool has_ended;

// Before the first allocation of a thread, and after its end.
static bool is_empty_heap(const struct heap *heap)
{
    return heap == &heap_empty;
}

struct heap *heaps_first(void)
{
    return (struct heap *)(uintptr_t)atomic_load64(&heaps.first);
}

bool heap_claim(struct heap *heap)
{
    uint32_t abandoned = HEAP_ABANDONED;
    if (!atomic_replace32(&heap->state, &abandoned, HEAP_OWNED))
        return false;
    atomic_add32(&heaps.abandoned, (uint32_t)-1);
    lock_take(&heap->lock);
    return true;
}

void heap_disown(struct heap *heap)
{
    lock_release(&heap->lock);
    atomic_store32(&heap->state, HEAP_ABANDONED);
    atomic_add32(&heaps.abandoned, 1);
}

// Where the thread's variables are: with its stack, which its successor gets.
static uint64_t place_of_thread(void)
{
    return (uintptr_t)&heap_of_thread;
}

// What a thread has left behind in its place. libc gives the stack of a thread that was waited for
// to the one that is made next, mostly by who waited, for the same work and with the same blocks:
// in another heap these would be in the way, and freed from afar.
static struct heap *claim_predecessor(void)
{
    struct heap *heap = heaps_first();
    for (int looks = 0; heap && looks < PLACE_LOOKS; looks++, heap = heap->next) {
        if (atomic_peek64(&heap->place) == place_of_thread() && heap_claim(heap))
            return heap;
    }
    return NULL;
}

// A new thread goes on where one that has ended left off, with its partial spans.
static struct heap *claim_any(void)
{
    if (!atomic_load32(&heaps.abandoned))
        return NULL;
    struct heap *heap = claim_predecessor();
    if (heap)
        return heap;
    for (heap = heaps_first(); heap; heap = heap->next) {
        if (atomic_load32(&heap->state) == HEAP_ABANDONED && heap_claim(heap))
            return heap;
    }
    return NULL;
}

// A new heap, owned and with its lock taken.
static struct heap *make_heap(void)
{
    struct heap *heap = space_take_meta(sizeof *heap);
    if (!heap)
        return NULL;
    for (unsigned size_class = 0; size_class <= CLASS_COUNT; size_class++)
        heap->current[size_class] = NO_SPAN;
    heap->random = space.os->random(space.os) | 1;
    heap->guard_random = heap->random;
    guard_fit_heap(heap);
    heap->state = HEAP_OWNED;
    lock_take(&heap->lock);
    uint64_t first = atomic_load64(&heaps.first);
    do
        heap->next = (struct heap *)(uintptr_t)first;
    while (!atomic_replace64(&heaps.first, &first, (uint64_t)(uintptr_t)heap));
    return heap;
}

// The heap stays whole, but for what would keep memory from others: current and spare spans.
static void abandon(struct heap *heap)
{
    lock_take(&heap->lock);
    uint32_t spans = lists_settle(heap);
    // One heap for many small threads, one after another, takes less than one for each.
    atomic_poke64(&heap->place, spans > LISTS_FEW ? place_of_thread() : 0);
    heap_disown(heap);
}

// Runs among other destructors of the thread, which may allocate before and after.
static void end_thread(void *pointer)
{
    has_ended = true;
    heap_of_thread = (struct heap *)&heap_empty;
    abandon(pointer);
    void (*note_last)(void) = __atomic_load_n(&heaps.note_last, __ATOMIC_ACQUIRE);
    if (__atomic_sub_fetch(&heaps.threads, 1, __ATOMIC_ACQ_REL) == 0 && note_last)
        note_last();
}

// A page that reads 0 in a child: for one that was made without libc's fork(). Kernels before 4.14
// refuse, and then only the handler below is left.
static int make_canary(void)
{
    uint32_t *page = space_take_meta_page();
    if (!page)
        return -ENOMEM;
    heaps.canary = page;
    (void)space.os->wipe_on_fork(space.os, (uintptr_t)page, space.page_bytes);
    *heaps.canary = 1;
    return 0;
}

// Each step may be tried again by a later allocation where memory was short.
static int start_locked(const struct os *os)
{
    if (heaps.is_started)
        return 0;
    if (!space_base) {
        int error = space_start(os);
        if (error)
            return error;
    }
    if (!heaps.canary) {
        int error = make_canary();
        if (error)
            return error;
    }
    heaps.has_key = pthread_key_create(&heaps.key, end_thread) == 0;
    atomic_store32(&heaps.is_started, 1);
    return 0;
}

// What the thread's end shall abandon. Not every libc checks the number.
static void set_key(const struct heap *heap)
{
    if (heaps.has_key)
        (void)pthread_setspecific(heaps.key, heap);
}

// A helper was at work on it: its spans stay as they are, for ever.
static void lose_heap(struct heap *heap)
{
    heap->state = HEAP_LOST;
    lock_reset(&heap->lock);
    heap->is_held = 0;
    heap->is_wanted = 0;
    if (heap != heap_of_thread)
        return;
    heap_of_thread = (struct heap *)&heap_empty;
    set_key(NULL);
}

// What a thread that is not in this process left: nobody else runs.
static void repair_heap(struct heap *heap)
{
    // Somebody was about to help, and saw that the thread was gone.
    if (heap->state == HEAP_ABANDONED && lock_is_foreign(&heap->lock))
        lock_reset(&heap->lock);
    if (heap->state != HEAP_OWNED)
        return;
    // The others are left as they are, with their current spans: whoever claims one goes on there.
    if (lock_is_foreign(&heap->lock) || (heap->is_held && heap != heap_of_thread))
        lose_heap(heap);
    else if (heap != heap_of_thread)
        heap->state = HEAP_ABANDONED;
}

void heaps_repair(void)
{
    if (lock_is_foreign(&heaps.start_lock))
        lock_reset(&heaps.start_lock);
    lock_reset(&heaps.help_lock);
    heaps.forking = 0;
    space_repair();
    guard_repair();
    // Anew, since another thread may have been about to change it.
    uint32_t abandoned = 0;
    for (struct heap *heap = heaps_first(); heap; heap = heap->next) {
        repair_heap(heap);
        abandoned += heap->state == HEAP_ABANDONED;
    }
    heaps.abandoned = abandoned;
    heaps.threads = !is_empty_heap(heap_of_thread);
    heaps.forks++;
    space.is_quiet = 1;
    *heaps.canary = 1;
}

void heaps_notice_fork(void)
{
    if (__builtin_expect(__atomic_load_n(heaps.canary, __ATOMIC_RELAXED) == 0, 0))
        heaps_repair();
}

// This thread helps, and may be interrupted by a handler that forks.
static _Thread_local __attribute__((tls_model("initial-exec"))) bool is_helping;
static _Thread_local __attribute__((tls_model("initial-exec"))) bool has_stopped_help;

bool heaps_help(bool waits)
{
    is_helping = true;
    if (waits)
        lock_take(&heaps.help_lock);
    else if (atomic_load32(&heaps.forking) || !lock_try(&heaps.help_lock))
        is_helping = false;
    return is_helping;
}

void heaps_help_end(void)
{
    lock_release(&heaps.help_lock);
    is_helping = false;
}

// Not for ever: a helper waits for an owner's slow path, and a signal handler may have interrupted
// that, and fork here, or sleep. Then the child does without the heap that is being helped.
static void stop_help(void)
{
    atomic_add32(&heaps.forking, 1);
    has_stopped_help = !is_helping && lock_take_within(&heaps.help_lock, FORK_WAIT_MS);
}

static void allow_help(void)
{
    if (has_stopped_help)
        lock_release(&heaps.help_lock);
    atomic_add32(&heaps.forking, (uint32_t)-1);
}

// In the child, on the thread that forked, before there is another: only there is it certain whose
// locks are whose, and that nobody works meanwhile.
static void repair_child(void)
{
    if (lock_is_foreign(&heaps.start_lock))
        lock_reset(&heaps.start_lock);
    if (!atomic_load32(&heaps.is_started))
        return;
    *heaps.canary = 0;
    heaps_notice_fork();
}

// Once in a process, without a lock: it may allocate.
static void handle_forks(void)
{
    static uint32_t is_handled;
    if (!atomic_swap32(&is_handled, 1))
        (void)pthread_atfork(stop_help, allow_help, repair_child);
}

int heaps_start(const struct os *os)
{
    lock_take(&heaps.start_lock);
    int error = start_locked(os);
    lock_release(&heaps.start_lock);
    if (!error)
        handle_forks();
    return error;
}

// For a thread without a heap, and in a child that has to be repaired first.
static struct heap *enter_first(void)
{
    if (!atomic_load32(&heaps.is_started) && heaps_start(&os_real) != 0)
        return NULL;
    heaps_notice_fork();
    struct heap *heap = heap_of_thread;
    if (!is_empty_heap(heap)) {
        hold_own(heap);
        return heap;
    }
    heap = claim_any();
    if (!heap)
        heap = make_heap();
    if (!heap || has_ended)
        return heap;
    heap_of_thread = heap;
    atomic_add32(&heaps.threads, 1);
    // pthread_setspecific() may allocate, and then comes through here again: with a heap, but the
    // lock must be open.
    lock_release(&heap->lock);
    set_key(heap);
    hold_own(heap);
    return heap;
}

struct heap *heap_enter(void)
{
    struct heap *heap = heap_of_thread;
    // A heap was had after the start only.
    if (__builtin_expect(
            is_empty_heap(heap) || __atomic_load_n(heaps.canary, __ATOMIC_RELAXED) == 0, 0))
        return enter_first();
    hold_own(heap);
    return heap;
}

void heap_leave(struct heap *heap)
{
    if (heap == heap_of_thread) {
        hold_own_end(heap);
        return;
    }
    (void)lists_settle(heap);
    heap_disown(heap);
}

int heap_start_on(const struct os *os)
{
    return heaps_start(os);
}

void heap_stop(void)
{
    if (heaps.is_started && heaps.has_key)
        (void)pthread_key_delete(heaps.key);
    heap_of_thread = (struct heap *)&heap_empty;
    guard_stop();
    space_stop();
    memset(&heaps, 0, sizeof heaps);
}
