// SPDX-License-Identifier: Apache-2.0
// A process to make calls in: threads that allocate, verify and free without pause, and threads
// that wait and check what they are told and what they own. Test code.
//   subject CHURNERS KIND...
// A KIND is a thread; "main:KIND" is the first thread. SIGTERM ends it: prints "bad=N ..." and
// exits 0 when nothing was wrong.
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "guarded.h"

enum { WAITERS_MAX = 32, SLOTS = 64, BLOCK_MAX = 40000, TIMER_NS = 1000000 };

static atomic_bool is_over;
static atomic_ulong bad_count, wait_count, churn_count, interrupted_count, told_count;

struct waiter {
    const char *kind;
    int in, out; // a pipe or socket pair: something to read, and where the poster writes
    int epoll;
    pthread_t thread;
    unsigned seed;
    unsigned long bad;
};

static _Thread_local volatile sig_atomic_t handled;

static void on_signal(int signal)
{
    (void)signal;
    handled++;
}

static void complain(struct waiter *waiter, const char *what, long result)
{
    fprintf(stderr, "%s: %s (%ld)\n", waiter->kind, what, result);
    waiter->bad++;
}

// EINTR without a handler. epoll_wait() and sigtimedwait() answer it to any stop (signal(7)); ebb
// hides it, unless it is killed just then.
static bool is_told(long result)
{
    told_count += result == -EINTR;
    return result == -EINTR;
}

static long guarded(struct waiter *waiter, long number, long a, long b, long c, long d, long e,
                    long f)
{
    return guarded_syscall(waiter->seed++, &waiter->bad, number, a, b, c, d, e, f);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// 1 kHz of `signal` for this thread alone.
static void start_timer(int signal, int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal};
    struct itimerspec time = {{0, TIMER_NS}, {0, TIMER_NS}};
    event._sigev_un._tid = gettid();
    timer_t timer;
    sigaction(signal, &action, NULL);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &time, NULL))
        abort();
}

static void take(struct waiter *waiter)
{
    char byte;
    if (read(waiter->in, &byte, 1) != 1 || byte != 'x')
        complain(waiter, "read after a wait", errno);
}

// A wait without a limit: only what it waits for may end it.
static void wait_epoll(struct waiter *waiter)
{
    struct epoll_event event = {0};
    long got = guarded(waiter, SYS_epoll_wait, waiter->epoll, (long)&event, 1, -1, 0, 0);
    if (is_told(got))
        return;
    if (got != 1 || event.data.u64 != 0x1234567890abcdef)
        complain(waiter, "epoll_wait", got);
    else
        take(waiter);
}

static void wait_epoll_limited(struct waiter *waiter)
{
    struct epoll_event event = {0};
    uint64_t start = now_ns();
    long got = guarded(waiter, SYS_epoll_wait, waiter->epoll, (long)&event, 1, 15, 0, 0);
    if (got == 1)
        take(waiter);
    else if (!is_told(got) && (got != 0 || now_ns() - start < 14900000))
        complain(waiter, "epoll_wait with a limit", got);
}

static void wait_poll(struct waiter *waiter)
{
    struct pollfd set = {.fd = waiter->in, .events = POLLIN};
    long got = guarded(waiter, SYS_poll, (long)&set, 1, -1, 0, 0, 0);
    if (got != 1 || set.revents != POLLIN)
        complain(waiter, "poll", got);
    else
        take(waiter);
}

static void wait_poll_limited(struct waiter *waiter)
{
    struct pollfd set = {.fd = waiter->in, .events = POLLIN};
    uint64_t start = now_ns();
    long got = guarded(waiter, SYS_poll, (long)&set, 1, 15, 0, 0, 0);
    if (got == 1)
        take(waiter);
    else if (got != 0 || now_ns() - start < 14900000)
        complain(waiter, "poll with a limit", got);
}

static void wait_read(struct waiter *waiter)
{
    char byte = 0;
    long got = guarded(waiter, SYS_read, waiter->in, (long)&byte, 1, 0, 0, 0);
    if (got != 1 || byte != 'x')
        complain(waiter, "read", got);
}

static void wait_recv(struct waiter *waiter)
{
    char byte = 0;
    long got = guarded(waiter, SYS_recvfrom, waiter->in, (long)&byte, 1, 0, 0, 0);
    if (got != 1 || byte != 'x')
        complain(waiter, "recvfrom", got);
}

static void wait_select(struct waiter *waiter)
{
    fd_set set;
    struct timeval time = {0, 15000};
    uint64_t start = now_ns();
    FD_ZERO(&set);
    FD_SET(waiter->in, &set);
    long got = guarded(waiter, SYS_select, waiter->in + 1, (long)&set, 0, 0, (long)&time, 0);
    uint64_t took = now_ns() - start;
    if (got == 1)
        take(waiter);
    else if (got != 0 || took < 14900000)
        complain(waiter, "select", got);
}

static void wait_sleep(struct waiter *waiter)
{
    struct timespec time = {0, 3000000};
    uint64_t start = now_ns();
    long got = guarded(waiter, SYS_nanosleep, (long)&time, 0, 0, 0, 0, 0);
    if (got != 0 || now_ns() - start < 3000000)
        complain(waiter, "nanosleep", got);
}

// Signals as in `man 2 ppoll`: SIGUSR2 comes in only while it waits. It comes from a timer.
static void wait_ppoll(struct waiter *waiter)
{
    struct pollfd set = {.fd = waiter->in, .events = POLLIN};
    sigset_t open;
    pthread_sigmask(SIG_SETMASK, NULL, &open);
    sigdelset(&open, SIGUSR2);
    sig_atomic_t before = handled;
    long got = guarded(waiter, SYS_ppoll, (long)&set, 1, 0, (long)&open, 8, 0);
    if (got == 1)
        take(waiter);
    if (got == -EINTR && handled != before)
        interrupted_count++;
    else if (got != 1 || handled != before)
        complain(waiter, "ppoll", got);
}

// A handler without SA_RESTART: EINTR, but only when it ran.
static void wait_signalled(struct waiter *waiter)
{
    struct epoll_event event = {0};
    sig_atomic_t before = handled;
    long got = guarded(waiter, SYS_epoll_wait, waiter->epoll, (long)&event, 1, -1, 0, 0);
    if (got == -EINTR && handled != before)
        interrupted_count++;
    else if (got == 1)
        take(waiter);
    else if (!is_told(got))
        complain(waiter, "epoll_wait with signals", got);
}

static void wait_sigwait(struct waiter *waiter)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    long got = guarded(waiter, SYS_rt_sigtimedwait, (long)&set, 0, 0, 8, 0, 0);
    if (got != SIGRTMIN && !is_told(got))
        complain(waiter, "sigwait", got);
}

// A wait that only a handler ends, by EINTR: none may be lost.
static void wait_pause(struct waiter *waiter)
{
    sig_atomic_t before = handled;
    long got = guarded(waiter, SYS_pause, 0, 0, 0, 0, 0, 0);
    if (got != -EINTR || handled == before)
        complain(waiter, "pause", got);
    interrupted_count++;
}

static const struct kind {
    const char *name;
    void (*wait)(struct waiter *waiter);
    int timer, flags;
} kinds[] = {
    {"epoll", wait_epoll, 0, 0},
    {"epoll-limited", wait_epoll_limited, 0, 0},
    {"poll", wait_poll, 0, 0},
    {"poll-limited", wait_poll_limited, 0, 0},
    {"read", wait_read, 0, 0},
    {"recv", wait_recv, 0, 0},
    {"select", wait_select, 0, 0},
    {"sleep", wait_sleep, 0, 0},
    {"ppoll", wait_ppoll, 12, 0},             // SIGUSR2
    {"signalled", wait_signalled, 10, 0},     // SIGUSR1
    {"restarted", wait_read, 14, SA_RESTART}, // SIGALRM
    {"pause", wait_pause, 10, 0},
    {"sigwait", wait_sigwait, 0, 0},
};

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    fprintf(stderr, "no such kind: %s\n", name);
    exit(2);
}

static void *wait_loop(void *argument)
{
    struct waiter *waiter = argument;
    const struct kind *kind = find_kind(waiter->kind);
    sigset_t set;
    sigfillset(&set);
    sigdelset(&set, SIGSEGV);
    if (kind->timer) {
        if (kind->wait != wait_ppoll)
            sigdelset(&set, kind->timer);
        start_timer(kind->timer, kind->flags);
    }
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    while (!is_over) {
        kind->wait(waiter);
        wait_count++;
    }
    bad_count += waiter->bad;
    return NULL;
}

static void *churn_loop(void *argument)
{
    static const size_t sizes[] = {24, 100, 700, 3000, 17000, BLOCK_MAX};
    struct {
        uint64_t *words;
        size_t count;
        uint64_t seed;
    } slots[SLOTS] = {0};
    uint64_t state = (uintptr_t)argument * 7919 + 1;
    while (!is_over) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t i = state >> 33 & (SLOTS - 1);
        for (size_t w = 0; w < slots[i].count; w++)
            if (slots[i].words[w] != slots[i].seed + w) {
                fprintf(stderr, "a word of the heap changed\n");
                bad_count++;
                break;
            }
        free(slots[i].words);
        slots[i].count = sizes[(state >> 40) % 6] / 8;
        slots[i].seed = state;
        slots[i].words = malloc(slots[i].count * 8);
        for (size_t w = 0; slots[i].words && w < slots[i].count; w++)
            slots[i].words[w] = state + w;
        churn_count++;
    }
    return NULL;
}

static void on_term(int signal)
{
    (void)signal;
    is_over = true;
}

// Wakes the waiters now and then. The only thread that takes SIGTERM.
static void post_loop(struct waiter *waiters, int count)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    unsigned seed = 1;
    for (int after = 0; after < 100;) {
        struct timespec time = {0, 200000 + rand_r(&seed) % 3000000};
        nanosleep(&time, NULL);
        after += is_over ? 1 : 0;
        for (int i = 0; i < count; i++) {
            bool is_limited =
                strstr(waiters[i].kind, "limited") || !strcmp(waiters[i].kind, "select");
            bool is_needed = strcmp(waiters[i].kind, "sleep") && strcmp(waiters[i].kind, "pause");
            if (!is_needed || (!is_over && is_limited && rand_r(&seed) % 10))
                continue;
            if (!strcmp(waiters[i].kind, "sigwait"))
                pthread_kill(waiters[i].thread, SIGRTMIN);
            else if (write(waiters[i].out, "x", 1) != 1 && errno != EAGAIN)
                abort();
        }
    }
}

static void prepare(struct waiter *waiter, const char *kind, unsigned seed)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        abort();
    *waiter = (struct waiter){.kind = kind, .in = ends[0], .out = ends[1], .seed = seed};
    waiter->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x1234567890abcdef};
    epoll_ctl(waiter->epoll, EPOLL_CTL_ADD, waiter->in, &event);
}

struct posting {
    struct waiter *waiters;
    int count;
};

static void *post_thread(void *argument)
{
    struct posting *posting = argument;
    post_loop(posting->waiters, posting->count);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct waiter waiters[WAITERS_MAX];
    pthread_t churners[64], poster;
    int churner_count = argc > 1 ? atoi(argv[1]) : 0, count = 0;
    struct sigaction term = {.sa_handler = on_term};
    sigset_t set;
    sigaction(SIGTERM, &term, NULL);
    sigfillset(&set);
    sigdelset(&set, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    struct waiter *first = NULL;
    for (int i = 2; i < argc && count < WAITERS_MAX; i++) {
        bool is_first = strncmp(argv[i], "main:", 5) == 0;
        prepare(&waiters[count], argv[i] + (is_first ? 5 : 0), (unsigned)i * 1000003u);
        if (is_first) {
            first = &waiters[count];
            first->thread = pthread_self();
        } else {
            pthread_create(&waiters[count].thread, NULL, wait_loop, &waiters[count]);
        }
        count++;
    }
    for (int i = 0; i < churner_count; i++)
        pthread_create(&churners[i], NULL, churn_loop, (void *)(intptr_t)(i + 1));
    struct posting posting = {waiters, count};
    pthread_create(&poster, NULL, post_thread, &posting);
    printf("ready\n");
    fflush(stdout);
    if (first)
        wait_loop(first);
    // The poster first: it may not signal a thread that has been joined.
    pthread_join(poster, NULL);
    for (int i = 0; i < count; i++)
        if (&waiters[i] != first)
            pthread_join(waiters[i].thread, NULL);
    for (int i = 0; i < churner_count; i++)
        pthread_join(churners[i], NULL);
    printf("bad=%lu told=%lu waits=%lu churns=%lu interrupted=%lu\n", bad_count, told_count,
           wait_count, churn_count, interrupted_count);
    return bad_count ? 1 : 0;
}
