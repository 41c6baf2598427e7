// SPDX-License-Identifier: Apache-2.0
// A target of levers: lazily freed memory beside live memory whose every word is known. Arguments:
// MiB lazily freed, MiB live. Orders on stdin, each answered by a line: c checks every word, w
// writes the lazily freed part again, f forks a child that stays, q ends.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

static const size_t mib = 1 << 20, page_words = 512;

static uint64_t word_at(size_t index, uint64_t salt)
{
    return (index + 1) * 0x9e3779b97f4a7c15U ^ salt;
}

static uint64_t *make(size_t bytes, uint64_t salt)
{
    uint64_t *words =
        mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (words == MAP_FAILED)
        exit(1);
    madvise(words, bytes, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < bytes / sizeof *words; i++)
        words[i] = word_at(i, salt);
    return words;
}

// A lazily freed page is as it was or all zero; anything else is lost data.
static size_t count_wrong(const uint64_t *words, size_t bytes, uint64_t salt, int may_be_zero)
{
    size_t wrong = 0;
    for (size_t i = 0; i < bytes / sizeof *words; i++) {
        size_t first = i / page_words * page_words;
        if (may_be_zero && words[first] == 0)
            wrong += words[i] != 0;
        else
            wrong += words[i] != word_at(i, salt);
    }
    return wrong;
}

int main(int argc, char **argv)
{
    size_t lazy_bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 256) * mib;
    size_t live_bytes = (argc > 2 ? strtoul(argv[2], NULL, 10) : 64) * mib;
    uint64_t *live = make(live_bytes, 1), *lazy = make(lazy_bytes, 2);
    int is_lazy = 1, order;
    if (lazy_bytes > 0 && madvise(lazy, lazy_bytes, MADV_FREE) < 0)
        return 1;
    puts("ready");
    fflush(stdout);
    while ((order = getchar()) != EOF && order != 'q') {
        if (order == 'c') {
            printf("%zu wrong\n",
                   count_wrong(live, live_bytes, 1, 0) + count_wrong(lazy, lazy_bytes, 2, is_lazy));
        } else if (order == 'w') {
            for (size_t i = 0; i < lazy_bytes / sizeof *lazy; i++)
                lazy[i] = word_at(i, 2);
            is_lazy = 0;
            puts("done");
        } else if (order == 'f') {
            pid_t parent = getpid();
            if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                while (getppid() == parent)
                    pause();
                _exit(0);
            }
            puts("done");
        }
        fflush(stdout);
    }
    return 0;
}
