// SPDX-License-Identifier: Apache-2.0
// A process handle against children of our own and against trees of plain files. Test code.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/process.h"
#include "support/child.h"

static struct process *open_live(pid_t pid)
{
    struct process *process = NULL;
    assert_int_equal(process_open("/proc", pid, &process), 0);
    return process;
}

static void wait_only(struct child *self, void *argument)
{
    (void)argument;
    for (;;)
        child_step_done(self);
}

static void test_open_self(void **state)
{
    (void)state;
    struct process *process = open_live(getpid());
    assert_int_equal(process_pid(process), getpid());
    assert_true(process_is_live(process));
    assert_true(process_is_procfs(process));
    assert_true(process_start_ticks(process) > 0);
    assert_true(process_pid_fd(process) >= 0);
    assert_true(process_pagemap_fd(process) >= 0);
    assert_int_equal(process_check(process), 0);
    char exe[4096], same[4096];
    assert_int_equal(process_read_link(process, "exe", exe, sizeof exe), 0);
    ssize_t len = readlink("/proc/self/exe", same, sizeof same - 1);
    same[len] = '\0';
    assert_string_equal(exe, same);
    assert_int_equal(process_read_link(process, "exe", exe, 3), -ENAMETOOLONG);
    process_close(process);
}

static void test_open_failures(void **state)
{
    (void)state;
    struct process *process = (struct process *)state;
    assert_int_equal(process_open("/proc", 0, &process), -ESRCH);
    assert_int_equal(process_open("/proc", -1, &process), -ESRCH);
    assert_int_equal(process_open("/proc", 0x7fffffff, &process), -ESRCH);
    assert_int_equal(process_open("/no/such/tree", 1, &process), -ENOENT);
    assert_int_equal(process_open("/etc/passwd", 1, &process), -ENOENT);
    assert_int_equal(process_open("/usr", 1, &process), -ENOENT);
    assert_ptr_equal(process, state);
}

static void test_ended_process(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, wait_only, NULL);
    child_wait_step(&child);
    struct process *process = open_live(child.pid);
    struct buffer file = {0};
    assert_int_equal(process_check(process), 0);
    assert_int_equal(process_read_file(process, "status", 1 << 20, &file), 0);
    assert_int_equal(process_read_file(process, "status", 16, &file), -EFBIG);
    assert_int_equal(process_read_file(process, "nothing", 16, &file), -ENOENT);
    // A zombie first: it can be named, but is not there any more.
    kill(child.pid, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(process_check(process), -ESRCH);
    uint64_t word;
    assert_int_equal(process_peek_u64(process, (uint64_t)(uintptr_t)&word, &word), -ESRCH);
    struct process *zombie = open_live(child.pid);
    assert_int_equal(process_check(zombie), -ESRCH);
    process_close(zombie);
    child_stop(&child);
    assert_int_equal(process_check(process), -ESRCH);
    assert_int_equal(process_read_file(process, "status", 1 << 20, &file), -ESRCH);
    assert_int_equal(process_read_link(process, "exe", (char[64]){0}, 64), -ESRCH);
    assert_int_equal(process_open("/proc", child.pid, &zombie), -ESRCH);
    process_close(process);
    buffer_free(&file);
}

// Becomes a shell that waits for a line.
static void exec_shell(struct child *self, void *argument)
{
    (void)argument;
    child_step_done(self);
    dup2(self->from, 0);
    dup2(self->to, 1);
    execl("/bin/sh", "sh", "-c", "echo; read x", NULL);
    _exit(1);
}

// Becomes a shell that becomes itself again with each line: the same file, arguments and
// environment, at the same addresses. Only the address space tells one from the next.
static void exec_same_shell(struct child *self, void *argument)
{
    (void)argument;
    personality(ADDR_NO_RANDOMIZE);
    child_step_done(self);
    dup2(self->from, 0);
    dup2(self->to, 1);
    static char again[] = "AGAIN=echo; read x; exec /bin/sh -c \"$AGAIN\"";
    execle("/bin/sh", "sh", "-c", again + strlen("AGAIN="), NULL, (char *[]){again, NULL});
    _exit(1);
}

static void check_exec_is_seen(struct child *child)
{
    static const char token[] = "before";
    struct process *process = open_live(child->pid);
    char copy[sizeof token] = "";
    // The parent's constant is at the same place in a fork.
    int error = process_peek(process, (uint64_t)(uintptr_t)token, copy, sizeof copy);
    assert_true(error == 0 || error == -ENODATA);
    struct process *unread = open_live(child->pid);
    child_next_step(child);
    assert_int_equal(process_check(process), -ESTALE);
    error = process_peek(process, (uint64_t)(uintptr_t)token, copy, sizeof copy);
    assert_int_equal(error, -ESTALE);
    error = process_peek(unread, (uint64_t)(uintptr_t)token, copy, sizeof copy);
    assert_int_equal(error, -ESTALE);
    process_close(process);
    process_close(unread);
}

static void test_exec_is_seen(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, exec_shell, NULL);
    child_wait_step(&child);
    check_exec_is_seen(&child);
    child_stop(&child);
}

static void send_line(struct child *child)
{
    assert_int_equal(write(child->to, "\n", 1), 1);
    child_wait_step(child);
}

static void test_exec_of_the_same_program_is_seen(void **state)
{
    (void)state;
    struct child child;
    child_start(&child, exec_same_shell, NULL);
    child_wait_step(&child);
    child_next_step(&child);
    // The first shell adds to the environment; from the second on all are alike.
    for (int i = 0; i < 2; i++)
        send_line(&child);
    struct process *process = open_live(child.pid);
    assert_int_equal(process_check(process), 0);
    send_line(&child);
    assert_int_equal(process_check(process), -ESTALE);
    process_close(process);
    child_stop(&child);
}

static void put_file(const char *directory, const char *name, const char *contents)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(contents, file);
    fclose(file);
}

static const char stat_line[] =
    "77 (a b) c) S 1 77 77 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 %d 4096 1 18446744073709551615 "
    "4194304 4198400 140737488000000 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

static void put_stat(const char *directory, int start)
{
    char line[512];
    snprintf(line, sizeof line, stat_line, start);
    put_file(directory, "stat", line);
}

struct tree {
    char root[64], process[96];
};

static void make_tree(struct tree *tree)
{
    strcpy(tree->root, "/tmp/ebb-tree-XXXXXX");
    assert_non_null(mkdtemp(tree->root));
    snprintf(tree->process, sizeof tree->process, "%s/77", tree->root);
    assert_int_equal(mkdir(tree->process, 0755), 0);
    put_stat(tree->process, 1000);
}

static void remove_tree(struct tree *tree)
{
    static const char *const names[] = {"stat", "mem", "pagemap", "exe"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", tree->process, names[i]);
        unlink(path);
    }
    rmdir(tree->process);
    rmdir(tree->root);
}

static void test_plain_tree(void **state)
{
    (void)state;
    struct tree tree;
    make_tree(&tree);
    struct process *process;
    assert_int_equal(process_open(tree.root, 78, &process), -ESRCH);
    assert_int_equal(process_open(tree.root, 77, &process), 0);
    assert_false(process_is_live(process));
    assert_false(process_is_procfs(process));
    assert_int_equal(process_start_ticks(process), 1000);
    assert_int_equal(process_pid_fd(process), -1);
    assert_int_equal(process_check(process), 0);
    uint64_t word;
    assert_int_equal(process_peek_u64(process, 4096, &word), -ENOENT);
    // Another process has the number now.
    put_stat(tree.process, 1001);
    assert_int_equal(process_check(process), -ESRCH);
    process_close(process);
    put_file(tree.process, "stat", "garbage");
    assert_int_equal(process_open(tree.root, 77, &process), -EBADMSG);
    remove_tree(&tree);
}

static void put_at(const char *directory, const char *name, off_t offset, const void *data,
                   size_t len)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    assert_int_equal(pwrite(fd, data, len, offset), (ssize_t)len);
    close(fd);
}

// Swapped pages cannot be had everywhere, so pagemap is a file here: page 4 is in memory, page 5 is
// swapped out, page 6 claims to be both.
static void test_swapped_pages_are_not_read(void **state)
{
    (void)state;
    struct tree tree;
    make_tree(&tree);
    off_t page = sysconf(_SC_PAGESIZE);
    uint64_t entries[] = {UINT64_C(1) << 63, UINT64_C(1) << 62, UINT64_C(3) << 62, 0};
    put_at(tree.process, "pagemap", 4 * 8, entries, sizeof entries);
    uint64_t word = 0;
    for (off_t i = 4; i < 8; i++)
        put_at(tree.process, "mem", i * page, &i, sizeof i);
    struct process *process;
    assert_int_equal(process_open(tree.root, 77, &process), 0);
    assert_int_equal(process_peek_u64(process, (uint64_t)page * 4, &word), 0);
    assert_int_equal(word, 4);
    assert_int_equal(process_peek_u64(process, (uint64_t)page * 5, &word), -ENODATA);
    assert_int_equal(process_peek_u64(process, (uint64_t)page * 6, &word), -ENODATA);
    assert_int_equal(process_peek_u64(process, (uint64_t)page * 5 - 4, &word), -ENODATA);
    assert_int_equal(process_peek_u64(process, (uint64_t)page * 7, &word), -ENODATA);
    assert_int_equal(process_peek_u64(process, (uint64_t)page * 600, &word), -EFAULT);
    assert_int_equal(word, 4);
    process_close(process);
    remove_tree(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_self),
        cmocka_unit_test(test_open_failures),
        cmocka_unit_test(test_ended_process),
        cmocka_unit_test(test_exec_is_seen),
        cmocka_unit_test(test_exec_of_the_same_program_is_seen),
        cmocka_unit_test(test_plain_tree),
        cmocka_unit_test(test_swapped_pages_are_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
