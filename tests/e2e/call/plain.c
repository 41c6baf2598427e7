// SPDX-License-Identifier: Apache-2.0
// A small process for hostile surroundings: waits for lines, one way or another, and tells what it
// got. Also the functions that are called in it. Test code; glibc and musl, static too.
//   plain MODE
// For each line on stdin: "got LINE calls N errno E".
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
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

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#if defined(__GLIBC__)
#include <ucontext.h>
#endif

// What the tests call by name, in static programs too.
long bump(long a, long b, long c, long d, long e, long f);
long spoil_errno(void);
long fault(void);
long sleep_ms(long ms);
long wait_for_ever(void);
long leave(long status);
long use_stack(long bytes);

static volatile long calls;

long bump(long a, long b, long c, long d, long e, long f)
{
    calls++;
    return a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f;
}

long spoil_errno(void)
{
    calls++;
    errno = 4321;
    return -1;
}

long fault(void)
{
    calls++;
    *(volatile int *)16 = 1;
    return 0;
}

long sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&time, &time) != 0)
        ;
    calls++;
    return ms;
}

long wait_for_ever(void)
{
    for (;;)
        pause();
}

long leave(long status)
{
    _exit((int)status);
}

// As deep as a purge or a lazy binding may go.
long use_stack(long bytes)
{
    volatile char block[1024];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)i;
    calls += bytes <= 0;
    return bytes <= 0 ? block[7] : use_stack(bytes - (long)sizeof block) + 0 * block[1];
}

static int serve_fd;

// The wait is a bare read(), restarted by nobody but the kernel.
static void serve(void)
{
    char line[128];
    for (;;) {
        errno = 77;
        long got = syscall(SYS_read, serve_fd, line, sizeof line - 1);
        int after = errno;
        if (got == 0)
            return;
        if (got < 0) {
            printf("read failed %d\n", after);
            continue;
        }
        line[strcspn(line, "\n")] = '\0';
        line[got] = '\0';
        printf("got %s calls %ld errno %d\n", line, calls, after);
        fflush(stdout);
    }
}

static void on_signal(int signal)
{
    (void)signal;
    serve();
}

static void *serve_thread(void *unused)
{
    serve();
    return unused;
}

static void serve_in_handler(int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    stack_t stack = {.ss_size = 1 << 20};
    stack.ss_sp = malloc(stack.ss_size);
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
}

static void serve_in_thread(size_t bytes, int is_own)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    char *around = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (is_own)
        pthread_attr_setstack(&attributes, around + (8 << 20), bytes);
    else
        pthread_attr_setstacksize(&attributes, bytes);
    memset(around, 0x5a, 8 << 20);
    if (pthread_create(&thread, &attributes, serve_thread, NULL) != 0)
        abort();
    pthread_join(thread, NULL);
    for (size_t i = 0; i < 8 << 20; i++)
        if (around[i] != 0x5a)
            printf("memory below the stack changed\n");
}

static void serve_in_coroutine(void)
{
#if defined(__GLIBC__)
    static ucontext_t here, there;
    getcontext(&there);
    there.uc_stack.ss_size = 1 << 20;
    there.uc_stack.ss_sp = malloc(there.uc_stack.ss_size);
    there.uc_link = &here;
    makecontext(&there, serve, 0);
    swapcontext(&here, &there);
#endif
}

static void ignore(int signal)
{
    (void)signal;
}

static void serve_without_markers(void)
{
    signal(SIGURG, ignore);
    signal(SIGWINCH, ignore);
    signal(SIGCHLD, ignore);
    serve();
}

// madvise(): killed, or refused as a container's filter refuses what it does not know.
static void serve_filtered(unsigned answer)
{
#if defined(__x86_64__)
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &program))
        abort();
#else
    (void)answer;
#endif
    serve();
}

static volatile int is_over;

// Children must be born well whatever happens to their parent's other thread.
static void *fork_loop(void *unused)
{
    unsigned long forks = 0;
    while (!is_over) {
        pid_t child = fork();
        if (child == 0) {
            void *block = malloc(100000);
            _exit(block ? 42 : 1);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 42)
            printf("a child ended with %x\n", status);
        forks++;
    }
    printf("forks %lu\n", forks);
    return unused;
}

static void serve_and_fork(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, fork_loop, NULL);
    serve();
    is_over = 1;
    pthread_join(thread, NULL);
}

// The first thread executes the program anew when it is told to, by SIGUSR2.
static void exec_when_told(void)
{
    pthread_t thread;
    sigset_t set;
    int signal;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pthread_create(&thread, NULL, serve_thread, NULL);
    sigwait(&set, &signal);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    execl("/proc/self/exe", "plain", "read", (char *)NULL);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "read";
    printf("ready\n");
    fflush(stdout);
    if (strcmp(mode, "altstack") == 0)
        serve_in_handler(SA_ONSTACK);
    else if (strcmp(mode, "handler") == 0)
        serve_in_handler(0);
    else if (strcmp(mode, "small") == 0)
        serve_in_thread(16384 + 8192, 0);
    else if (strcmp(mode, "thread") == 0)
        serve_in_thread(262144, 0);
    else if (strcmp(mode, "own-small") == 0)
        serve_in_thread(32768, 1);
    else if (strcmp(mode, "own") == 0)
        serve_in_thread(262144, 1);
    else if (strcmp(mode, "coroutine") == 0)
        serve_in_coroutine();
    else if (strcmp(mode, "no-markers") == 0)
        serve_without_markers();
    else if (strcmp(mode, "filter-kill") == 0)
        serve_filtered(SECCOMP_RET_KILL_PROCESS);
    else if (strcmp(mode, "filter-errno") == 0)
        serve_filtered(SECCOMP_RET_ERRNO | EPERM);
    else if (strcmp(mode, "fork") == 0)
        serve_and_fork();
    else if (strcmp(mode, "exec") == 0)
        exec_when_told();
    else
        serve();
    return 0;
}
