// SPDX-License-Identifier: Apache-2.0
// What programs may do that allocators do not expect; each by its name:
//   data        memory is wanted in one size, freed, and wanted in another, near RLIMIT_DATA
//   keys        all thread-specific keys are taken before the first allocation
//   advise      the program advises, locks and protects its own live blocks, and forks
//   coroutines  that move between threads, on stacks of 16 KiB
//   dumped      what a debugger writes as a core is of the size of what is used
//   control     somebody writes garbage where libebb looks for words from outside
//   vforked     a child of vfork allocates more than all before, and before all else
//   filtered    under a filter that ends who makes a call not in every list, a child of fork works
// Prints "ok", or what went wrong. Status 2: there is no such name.
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "../../wire/ledger.h"

#define BLOCKS     64
#define COROUTINES 32
#define STACK      16384

// Without stdio, which allocates.
static int say(const char *text)
{
    (void)!write(1, text, strlen(text));
    return strcmp(text, "ok\n") != 0;
}

static uint32_t draw(uint32_t *state)
{
    *state = *state * 1103515245u + 12345u;
    return *state >> 8;
}

// A program that lives within its limit goes on living within it: 40 of 60 MiB at a time.
static int try_data(void)
{
    static const size_t sizes[] = {1u << 20, 100, 65536, 5u << 20, 5000, 300000, 1u << 20, 40};
    static void *blocks[(20u << 20) / 40];
    const struct rlimit limit = {(sizeof blocks) + (60u << 20), RLIM_INFINITY};
    if (setrlimit(RLIMIT_DATA, &limit) != 0)
        return say("no limit\n");
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t count = (sizes[i] < 100 ? 20u << 20 : 40u << 20) / sizes[i];
        for (size_t k = 0; k < count; k++) {
            blocks[k] = malloc(sizes[i]);
            if (!blocks[k])
                return say("malloc failed\n");
            memset(blocks[k], 1, 16);
        }
        for (size_t k = count; k-- > 0;)
            free(blocks[k]);
    }
    return say("ok\n");
}

// Not NULL where it can.
static void *allocate(void *self)
{
    char *block = malloc(100);
    if (!block)
        return NULL;
    memset(block, 1, 100);
    free(block);
    return self;
}

static int try_keys(void)
{
    pthread_key_t key;
    int self;
    while (pthread_key_create(&key, NULL) == 0)
        continue;
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        void *block = NULL;
        if (pthread_create(&thread, NULL, allocate, &self) != 0 ||
            pthread_join(thread, &block) != 0)
            return say("no thread\n");
        if (!block)
            return say("malloc failed\n");
    }
    return say(allocate(&self) ? "ok\n" : "malloc failed\n");
}

// Each leaves the block as it was, but for what is in it.
static void advise(char *block, size_t bytes, unsigned how)
{
    static const int advices[][2] = {
        {MADV_DONTFORK, MADV_DOFORK},   {MADV_WIPEONFORK, MADV_KEEPONFORK},
        {MADV_DONTDUMP, MADV_DODUMP},   {MADV_MERGEABLE, MADV_UNMERGEABLE},
        {MADV_DONTNEED, MADV_NORMAL},   {MADV_FREE, MADV_NORMAL},
        {MADV_SEQUENTIAL, MADV_NORMAL},
    };
    const unsigned count = sizeof advices / sizeof *advices;
    if (how < count) {
        (void)madvise(block, bytes, advices[how][0]);
        (void)madvise(block, bytes, advices[how][1]);
        return;
    }
    if (how == count) {
        (void)mlock(block, bytes);
        (void)munlock(block, bytes);
        return;
    }
    // Longer than the engine waits between its looks.
    (void)mprotect(block, bytes, how % 2 ? PROT_NONE : PROT_READ);
    usleep(2000);
    (void)mprotect(block, bytes, PROT_READ | PROT_WRITE);
}

static char *advised[BLOCKS];
static size_t advised_bytes[BLOCKS];

static int is_whole(unsigned i)
{
    for (size_t at = 0; at < advised_bytes[i]; at += 509) {
        if (advised[i][at] != (char)(i + 1))
            return 0;
    }
    return 1;
}

// In a child, which has the same blocks and makes others.
static int try_child(void)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        int good = 1;
        for (unsigned i = 0; i < BLOCKS; i++) {
            good &= !advised[i] || is_whole(i);
            free(advised[i]);
        }
        for (size_t i = 1; i < 200; i++)
            memset(malloc(i * 300), 1, i * 300);
        _exit(!good);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static int try_advise(void)
{
    uint32_t state = 5;
    for (int round = 0; round < 1200; round++) {
        unsigned i = draw(&state) % BLOCKS;
        if (round % 100 == 99 && !try_child())
            return say("spoiled in a child\n");
        if (advised[i]) {
            if (!is_whole(i))
                return say("spoiled\n");
            free(advised[i]);
            advised[i] = NULL;
            continue;
        }
        advised_bytes[i] = (size_t)4096 << draw(&state) % 10;
        advised[i] = aligned_alloc(4096, advised_bytes[i]);
        memset(advised[i], 9, advised_bytes[i]);
        advise(advised[i], advised_bytes[i], draw(&state) % 10);
        memset(advised[i], (int)(i + 1), advised_bytes[i]);
    }
    return say("ok\n");
}

// What gdb's gcore takes: all that is not marked, be it accessible or not.
static size_t dumped_kib(void)
{
    char line[512];
    size_t sum = 0;
    size_t last = 0;
    FILE *file = fopen("/proc/self/smaps", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "Size:", 5) == 0)
            last = strtoul(line + 5, NULL, 10);
        else if (strncmp(line, "VmFlags:", 8) == 0 && !strstr(line, " dd"))
            sum += last;
    }
    if (file)
        fclose(file);
    return sum;
}

static int try_dumped(void)
{
    free(malloc(1));
    size_t small = dumped_kib();
    // Twice, as what was asked for first may be in it already.
    void *blocks[] = {malloc(400u << 20), malloc(400u << 20)};
    size_t large = dumped_kib();
    int good = small < 1u << 20 && large > 800u << 10 && large < 4u << 20;
    free(blocks[0]);
    free(blocks[1]);
    return say(good ? "ok\n" : "too little or too much\n");
}

static struct coroutine {
    ucontext_t context;
    ucontext_t *back;
    pthread_mutex_t lock;
    int is_done;
} coroutines[COROUTINES];
static int left = COROUTINES;

// Takes blocks on one thread and frees them on others: it yields between its calls, never inside.
static void churn(int number)
{
    struct coroutine *own = &coroutines[number];
    uint32_t state = (uint32_t)number;
    int *blocks[40] = {NULL};
    for (int turn = 0; turn < 200; turn++) {
        for (int i = 0; i < 20; i++) {
            unsigned at = draw(&state) % 40;
            if (blocks[at] && *blocks[at] != number)
                abort();
            free(blocks[at]);
            blocks[at] = malloc(draw(&state) % (i % 4 ? 900 : 90000) + sizeof(int));
            *blocks[at] = number;
        }
        swapcontext(&own->context, own->back);
    }
    for (int i = 0; i < 40; i++)
        free(blocks[i]);
    own->is_done = 1;
    swapcontext(&own->context, own->back);
}

static void *run_coroutines(void *seed)
{
    uint32_t state = (uint32_t)(uintptr_t)seed;
    ucontext_t here;
    while (__atomic_load_n(&left, __ATOMIC_ACQUIRE) > 0) {
        struct coroutine *next = &coroutines[draw(&state) % COROUTINES];
        if (pthread_mutex_trylock(&next->lock) != 0)
            continue;
        if (!next->is_done) {
            next->back = &here;
            swapcontext(&here, &next->context);
            if (next->is_done)
                __atomic_sub_fetch(&left, 1, __ATOMIC_ACQ_REL);
        }
        pthread_mutex_unlock(&next->lock);
    }
    return NULL;
}

static int try_coroutines(void)
{
    pthread_t threads[3];
    for (int i = 0; i < COROUTINES; i++) {
        ucontext_t *context = &coroutines[i].context;
        pthread_mutex_init(&coroutines[i].lock, NULL);
        getcontext(context);
        context->uc_stack.ss_sp = malloc(STACK);
        context->uc_stack.ss_size = STACK;
        makecontext(context, (void (*)(void))(uintptr_t)churn, 1, i);
    }
    for (uintptr_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, run_coroutines, (void *)(i + 1));
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    return say("ok\n");
}

static int stops;

static void *exercise(void *seed)
{
    uint32_t state = (uint32_t)(uintptr_t)seed;
    char *blocks[200] = {NULL};
    while (!__atomic_load_n(&stops, __ATOMIC_RELAXED)) {
        unsigned at = draw(&state) % 200;
        free(blocks[at]);
        blocks[at] = malloc(draw(&state) % (at % 32 ? 2000 : 2000000) + 1);
        blocks[at][0] = 1;
    }
    for (int i = 0; i < 200; i++)
        free(blocks[i]);
    return NULL;
}

// After all that a word that makes sense is obeyed.
static int try_control(void)
{
    struct wire_ledger **found = dlsym(RTLD_DEFAULT, "ebb_ledger");
    pthread_t thread;
    uint64_t random = UINT64_C(88172645463325252);
    free(malloc(1));
    if (!found || pthread_create(&thread, NULL, exercise, &random) != 0)
        return say("no ledger\n");
    volatile struct wire_ledger *ledger = *found;
    for (int i = 0; i < 600; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        ledger->control = i % 3 == 0 ? random : i % 3 == 1 ? random & 0xff : random << 32;
        usleep(500);
    }
    ledger->control = wire_control_make(WIRE_POLICY_DONTNEED, 100, 9);
    for (int i = 0; i < 60 && ledger->control != ledger->control_obeyed; i++)
        usleep(50000);
    __atomic_store_n(&stops, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    return say(ledger->policy == WIRE_POLICY_DONTNEED && ledger->return_within_ms == 100
                   ? "ok\n"
                   : "not obeyed\n");
}

static size_t resident_pages(void)
{
    char text[64] = "";
    FILE *file = fopen("/proc/self/statm", "r");
    size_t got = file ? fread(text, 1, sizeof text - 1, file) : 0;
    const char *second = got ? strchr(text, ' ') : NULL;
    if (file)
        fclose(file);
    return second ? strtoul(second, NULL, 10) : 0;
}

#define SMALL_BLOCKS 40000
static char *small_blocks[SMALL_BLOCKS];

// 12 MB, of which one block in 64 stays. False where what is free does not go back when asked for.
static int returns_what_is_free(void)
{
    for (int i = 0; i < SMALL_BLOCKS; i++) {
        small_blocks[i] = malloc(300);
        memset(small_blocks[i], 1, 300);
    }
    size_t before = resident_pages();
    for (int i = 0; i < SMALL_BLOCKS; i++) {
        if (i % 64)
            free(small_blocks[i]);
    }
    (void)malloc_trim(0);
    return resident_pages() + 1000 < before;
}

// What a child of vfork shall not do, and does here and there: it allocates, in its parent's
// memory.
static int allocate_as_child(void *unused)
{
    (void)unused;
    for (int i = 0; i < 40; i++)
        small_blocks[i] = malloc(200000);
    return 0;
}

static int try_vforked(void)
{
    static _Alignas(16) char stack[4 * STACK];
    int status = 1;
    (void)allocate(&status);
    // As vfork, but on a stack of its own, as posix_spawn does it.
    pid_t child =
        clone(allocate_as_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        return say("no child\n");
    for (int i = 0; i < 40; i++)
        free(small_blocks[i]);
    return say(returns_what_is_free() ? "ok\n" : "what is free does not go back\n");
}

// A service manager's, which knows all calls of its time. 0, or there are no filters here.
static int forbid_new_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_madvise, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) | prctl(PR_SET_SECCOMP, 2, &program);
}

// A small parent, as of servers that fork their workers first.
static int try_filtered(void)
{
    int status = 1;
    if (forbid_new_calls() != 0)
        return say("ok\n");
    pid_t child = fork();
    if (child == 0) {
        // Begun anew, under the filter: then it is no filter of the program's own.
        execl("/proc/self/exe", "lib_hostile", "worker", (char *)NULL);
        _exit(1);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return say("no child\n");
    return status == 0 ? 0 : say("a child was ended\n");
}

static int try_worker(void)
{
    int status = 1;
    (void)allocate(&status);
    pid_t child = fork();
    if (child == 0)
        _exit(!returns_what_is_free());
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        return say(WIFSIGNALED(status) ? "killed\n" : "what is free does not go back\n");
    return say("ok\n");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } attacks[] = {
        {"data", try_data},       {"keys", try_keys},
        {"advise", try_advise},   {"coroutines", try_coroutines},
        {"dumped", try_dumped},   {"control", try_control},
        {"vforked", try_vforked}, {"filtered", try_filtered},
        {"worker", try_worker},
    };
    for (unsigned i = 0; argc > 1 && i < sizeof attacks / sizeof *attacks; i++) {
        if (strcmp(argv[1], attacks[i].name) == 0)
            return attacks[i].run();
    }
    return 2;
}
