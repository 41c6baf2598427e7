// SPDX-License-Identifier: Apache-2.0
// A program that fills memory, frees most of it and then does nothing, in many ways of life; for
// tests/e2e/lib-release.t, which looks at it from outside. Says a line at each stage, and waits for
// one of its input before it goes on.
//
//   idle [MIB [WAY...]]
//
//   threads   four threads fill and sleep, in a system call each, with what is theirs
//   active    one more thread allocates and frees a little, all the time
//   locked    mlockall(MCL_CURRENT | MCL_FUTURE) first
//   filter    under a seccomp filter of its own that kills for what only libebb may call; then the
//             first thread allocates and frees for a while
//   setuid    setuid(65534) while all is idle; says whether each thread is
//   huge      the heap asks for huge pages
//   daemon    twice forked, before the memory is filled
//   fork      once forked, after: the child has it and frees it
//   again     after each line of input 90 % of what is left is freed, on the fast path
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 4

struct worker {
    pthread_t thread;
    uint64_t random;
    unsigned char **blocks;
    size_t count;
    size_t live_bytes;
    int number;
};

static struct worker workers[WORKERS];
static size_t mib = 64;
static int argument_count;
static char **arguments;
static pthread_barrier_t filled;

static bool has_way(const char *way)
{
    for (int i = 2; i < argument_count; i++) {
        if (strcmp(arguments[i], way) == 0)
            return true;
    }
    return false;
}

static uint64_t next(struct worker *worker)
{
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return worker->random;
}

// 16 bytes to 32 KiB, each doubling as likely as the other.
static size_t any_size(struct worker *worker)
{
    return ((size_t)16 << next(worker) % 11) + next(worker) % 16;
}

static unsigned char mark_of(const struct worker *worker, size_t i)
{
    return (unsigned char)(i % 251 + (size_t)worker->number);
}

static void fill(struct worker *worker)
{
    size_t room = mib * 1048576 / WORKERS / 32;
    size_t bytes = 0;
    worker->random = (uint64_t)worker->number * 7919 + 12345;
    worker->blocks = mmap(NULL, room * sizeof(void *), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    while (bytes < mib * 1048576 / WORKERS && worker->count < room) {
        size_t size = any_size(worker);
        unsigned char *block = malloc(size);
        memset(block, mark_of(worker, worker->count), size);
        worker->blocks[worker->count++] = block;
        bytes += size;
    }
}

// 90 %, at random.
static void drop(struct worker *worker)
{
    worker->live_bytes = 0;
    for (size_t i = 0; i < worker->count; i++) {
        unsigned char *block = worker->blocks[i];
        if (!block)
            continue;
        if (block[0] != mark_of(worker, i) || block[15] != mark_of(worker, i))
            abort();
        if (next(worker) % 10) {
            free(block);
            worker->blocks[i] = NULL;
        } else {
            worker->live_bytes += malloc_usable_size(block);
        }
    }
}

static void *work(void *pointer)
{
    struct worker *worker = pointer;
    fill(worker);
    drop(worker);
    pthread_barrier_wait(&filled);
    if (worker->number % 2)
        poll(NULL, 0, 1000000);
    for (;;)
        nanosleep(&(struct timespec){1000, 0}, NULL);
    return NULL;
}

static void *stay_active(void *unused)
{
    (void)unused;
    void *blocks[200] = {NULL};
    for (unsigned i = 0;; i = (i + 1) % 200) {
        free(blocks[i]);
        blocks[i] = malloc(100 + i * 91);
        if (i % 50 == 0)
            nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return NULL;
}

static void say(const char *stage)
{
    size_t live = 0;
    for (int i = 0; i < WORKERS; i++)
        live += workers[i].live_bytes;
    printf("%s %d %zu\n", stage, (int)getpid(), live);
    fflush(stdout);
    char line[16];
    if (!fgets(line, sizeof line, stdin))
        exit(0);
}

// What a sandboxed program would not think of.
static void install_filter(void)
{
    enum { PROCESS_MADVISE = 440, CLOSE_RANGE = 436, CLONE3 = 435 };
    static const unsigned killing[] = {SYS_membarrier,  SYS_clone,   CLONE3,   SYS_openat,
                                       PROCESS_MADVISE, CLOSE_RANGE, SYS_prctl};
    enum { CALLS = sizeof killing / sizeof *killing };
    struct sock_filter filter[2 * CALLS + 2];
    struct sock_fprog program = {2 * CALLS + 2, filter};
    filter[0] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < CALLS; i++) {
        filter[2 * i + 1] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, killing[i], 0, 1);
        filter[2 * i + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    }
    filter[2 * CALLS + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
        exit(3);
}

static void churn(void)
{
    void *blocks[500] = {NULL};
    for (unsigned i = 0; i < 200000; i++) {
        free(blocks[i % 500]);
        blocks[i % 500] = malloc(16 + i % 97 * 1003);
        if (i % 1000 == 0)
            nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    for (unsigned i = 0; i < 500; i++)
        free(blocks[i]);
}

// And so does a child, which has no helper and would start one.
static void be_filtered(void)
{
    int status;
    pid_t child = fork();
    install_filter();
    churn();
    if (child == 0)
        _exit(0);
    if (waitpid(child, &status, 0) != child || status != 0)
        exit(4);
}

// Where the heap's first block is, its mapping goes on: all of it may be made of huge pages.
static void ask_for_huge(void)
{
    uintptr_t first = (uintptr_t)malloc(100000) & ~(uintptr_t)0x1fffff;
    if (madvise((void *)(first + 0x200000), (size_t)4 << 30, MADV_HUGEPAGE) != 0)
        perror("madvise");
}

static void prepare(void)
{
    if (has_way("daemon") && (fork() != 0 || setsid() < 0 || fork() != 0)) {
        while (wait(NULL) > 0 || errno == EINTR)
            continue;
        _exit(0);
    }
    if (has_way("locked") && mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        exit(3);
    if (has_way("huge"))
        ask_for_huge();
}

int main(int argc, char **argv)
{
    argument_count = argc;
    arguments = argv;
    mib = argc > 1 ? strtoul(argv[1], NULL, 10) : mib;
    setvbuf(stdout, NULL, _IONBF, 0);
    prepare();
    bool has_threads = has_way("threads");
    pthread_barrier_init(&filled, NULL, WORKERS + 1);
    for (int i = 0; i < WORKERS; i++) {
        workers[i].number = i;
        if (has_threads)
            pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        else
            fill(&workers[i]);
    }
    if (has_threads)
        pthread_barrier_wait(&filled);
    if (has_way("filter"))
        be_filtered();
    pthread_t active;
    if (has_way("active"))
        pthread_create(&active, NULL, stay_active, NULL);
    if (has_way("fork") && fork() != 0) {
        while (wait(NULL) > 0 || errno == EINTR)
            continue;
        return 0;
    }
    for (int i = 0; i < WORKERS && !has_threads; i++)
        drop(&workers[i]);
    say("idle");
    if (has_way("setuid") && setuid(65534) != 0)
        perror("setuid");
    if (has_way("setuid"))
        say("setuid");
    while (has_way("again")) {
        for (int i = 0; i < WORKERS; i++)
            drop(&workers[i]);
        say("again");
    }
    say("end");
    return 0;
}
