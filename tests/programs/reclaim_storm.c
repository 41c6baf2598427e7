// SPDX-License-Identifier: Apache-2.0
// Free, rewrite, verify: threads whose pages must never hold anything but what they wrote last, or,
// while freed, that or zero. Arguments: seconds, then any of "huge" and "forks". Prints "ready",
// and at the end "words N wrong N dropped N".
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pthread.h>

enum {
    THREADS = 8,
    PAGE_BYTES = 4096,
    WORDS = PAGE_BYTES / 8,
    HUGE_PAGES = 512,
    AREA_PAGES = 16 * HUGE_PAGES,
    RANGE_PAGES = 64,
    CHILD_CHECKS = 200,
};

enum page_state { PAGE_LIVE, PAGE_FREED, PAGE_PARTLY };

// What a page must hold. PAGE_PARTLY: freed, then one word written.
struct shadow {
    enum page_state state;
    uint32_t version, word; // of what was written whole; which word was written since
    bool was_zero;          // seen dropped: it must stay so
};

struct worker {
    uint64_t seed;
    uint64_t (*pages)[WORDS];
    struct shadow *shadows;
    uint64_t words, wrong, dropped;
    unsigned number;
    bool is_huge, has_forks;
};

static atomic_bool is_over;

static uint64_t next(struct worker *worker)
{
    worker->seed ^= worker->seed << 13;
    worker->seed ^= worker->seed >> 7;
    worker->seed ^= worker->seed << 17;
    return worker->seed;
}

static uint64_t pattern(const struct worker *worker, size_t page, uint32_t version, size_t word)
{
    return (worker->number + 1ULL) << 56 | (uint64_t)page << 40 | (uint64_t)version << 12 | word;
}

static uint64_t mark(const struct worker *worker, size_t page, uint32_t version)
{
    return ~pattern(worker, page, version, 0);
}

static void write_page(struct worker *worker, size_t page)
{
    struct shadow *shadow = &worker->shadows[page];
    *shadow = (struct shadow){.state = PAGE_LIVE, .version = (shadow->version + 1) & 0xfffff};
    for (size_t i = 0; i < WORDS; i++)
        worker->pages[page][i] = pattern(worker, page, shadow->version, i);
}

// One word only: from now on the page is kept, be the rest of it old or zero.
static void write_word(struct worker *worker, size_t page)
{
    struct shadow *shadow = &worker->shadows[page];
    if (shadow->state != PAGE_FREED)
        return;
    shadow->word = (uint32_t)(next(worker) % WORDS);
    worker->pages[page][shadow->word] = mark(worker, page, shadow->version);
    shadow->state = PAGE_PARTLY;
}

// Counts words that are neither what they must be. A freed page may turn to zero while it is read.
static void verify_page(struct worker *worker, size_t page)
{
    struct shadow *shadow = &worker->shadows[page];
    volatile const uint64_t *words = worker->pages[page];
    bool saw_zero = shadow->was_zero, saw_old = false;
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t word = words[i], old = pattern(worker, page, shadow->version, i);
        bool is_mark = shadow->state == PAGE_PARTLY && i == shadow->word;
        worker->words++;
        if (is_mark) {
            worker->wrong += word != mark(worker, page, shadow->version);
        } else if (shadow->state == PAGE_LIVE) {
            worker->wrong += word != old;
        } else if (word == 0) {
            // A page that is kept is of one piece.
            worker->wrong += shadow->state == PAGE_PARTLY && saw_old;
            saw_zero = true;
        } else {
            worker->wrong += word != old || saw_zero;
            saw_old = true;
        }
    }
    if (shadow->state == PAGE_LIVE)
        return;
    worker->dropped += saw_zero && !shadow->was_zero;
    shadow->was_zero = saw_zero;
}

static void free_pages(struct worker *worker, size_t first, size_t count)
{
    // A page that is written once more first can be lost only if it is dropped too late.
    for (size_t i = first; i < first + count; i++) {
        if (worker->shadows[i].state != PAGE_LIVE)
            write_page(worker, i);
        worker->shadows[i].state = PAGE_FREED;
    }
    if (madvise(worker->pages[first], count * PAGE_BYTES, MADV_FREE)) {
        perror("madvise");
        exit(1);
    }
}

// A child sees what was there at the fork, and writes into its own copy.
static void fork_and_verify(struct worker *worker)
{
    pid_t pid = fork();
    if (pid == 0) {
        worker->wrong = 0;
        for (int i = 0; i < CHILD_CHECKS; i++) {
            size_t page = next(worker) % AREA_PAGES;
            verify_page(worker, page);
            if (i % 2)
                write_page(worker, page);
            verify_page(worker, page);
        }
        _exit(worker->wrong ? 1 : 0);
    }
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        worker->wrong++;
    worker->words += (uint64_t)CHILD_CHECKS * WORDS * 2;
}

static void step(struct worker *worker)
{
    uint64_t choice = next(worker);
    size_t count = 1 + next(worker) % RANGE_PAGES;
    size_t first = next(worker) % (AREA_PAGES - RANGE_PAGES);
    if (worker->is_huge && choice % 8 == 0) {
        count = HUGE_PAGES;
        first = next(worker) % (AREA_PAGES / HUGE_PAGES) * HUGE_PAGES;
    }
    if (worker->has_forks && choice % 2048 == 1) {
        fork_and_verify(worker);
        return;
    }
    switch (choice >> 32 & 3) {
    case 0:
        free_pages(worker, first, count);
        break;
    case 1:
        for (size_t i = first; i < first + count; i++)
            write_page(worker, i);
        break;
    case 2:
        for (size_t i = first; i < first + count; i++)
            write_word(worker, i);
        break;
    default:
        for (size_t i = first; i < first + count; i++)
            verify_page(worker, i);
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    while (!atomic_load(&is_over))
        step(worker);
    for (size_t i = 0; i < AREA_PAGES; i++)
        verify_page(worker, i);
    return NULL;
}

static void prepare(struct worker *worker)
{
    const size_t bytes = (size_t)AREA_PAGES * PAGE_BYTES, huge = HUGE_PAGES * PAGE_BYTES;
    char *area =
        mmap(NULL, bytes + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    worker->shadows = calloc(AREA_PAGES, sizeof *worker->shadows);
    if (area == MAP_FAILED || !worker->shadows)
        exit(1);
    area += huge - (uintptr_t)area % huge;
    madvise(area, bytes, worker->is_huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    worker->pages = (uint64_t(*)[WORDS])(void *)area;
    for (size_t i = 0; i < AREA_PAGES; i++)
        write_page(worker, i);
}

int main(int argc, char **argv)
{
    static struct worker workers[THREADS];
    pthread_t threads[THREADS];
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.seed = 0x9e3779b97f4a7c15ULL * (i + 1), .number = i};
        for (int k = 2; k < argc; k++) {
            workers[i].is_huge |= strcmp(argv[k], "huge") == 0;
            workers[i].has_forks |= strcmp(argv[k], "forks") == 0;
        }
        prepare(&workers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, &workers[i]);
    puts("ready");
    fflush(stdout);
    sleep(seconds);
    atomic_store(&is_over, true);
    uint64_t words = 0, wrong = 0, dropped = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        words += workers[i].words;
        wrong += workers[i].wrong;
        dropped += workers[i].dropped;
    }
    printf("words %llu wrong %llu dropped %llu\n", (unsigned long long)words,
           (unsigned long long)wrong, (unsigned long long)dropped);
    return wrong ? 1 : 0;
}
