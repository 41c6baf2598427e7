// SPDX-License-Identifier: Apache-2.0
// Makes a recording of processes that never were, for tests and measurements of what shows it.
// Test code.
//
//   recording FILE SUBJECTS SAMPLES [more]     samples a second apart, an account each tenth;
//                                              `more`: then goes on, four times a second
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "history/history.h"
#include "sample/digest.h"

enum { ACCOUNT_EVERY = 10, FIGURES = 8, START_S = 1700000000, PEAK_AT = 100 };

// Memory that goes up and down, of which a part is lazily freed.
static uint64_t rss_of(unsigned subject, size_t n)
{
    uint64_t swing = (n * 7919 + subject * 131) % 1000;
    return (UINT64_C(100) << 20) + swing * 65536;
}

// What the kernel says of the first one: twice it was higher than any reading saw.
static uint64_t highest_of(size_t n)
{
    uint64_t mib = n < PEAK_AT ? 165 : n < 2 * PEAK_AT ? 260 : 330;
    return mib << 20;
}

static struct digest make_digest(uint64_t rss_bytes, struct digest_figure *figures)
{
    struct digest digest = {
        .verdict = VERDICT_LAZY,
        .headline = "lazy, not a leak. <b>\"quoted\"</b>",
        .next = "ebb reclaim 1",
        .runtimes = "Go 1.12",
        .figures = figures,
        .figure_count = FIGURES,
        .group_usage_bytes = rss_bytes,
        .group_limit_bytes = SAMPLE_UNKNOWN,
    };
    digest.row_bytes[ROW_LAZY] = rss_bytes / 4;
    digest.row_bytes[ROW_IN_USE] = rss_bytes - rss_bytes / 4;
    for (int i = 0; i < FIGURES; i++) {
        snprintf(figures[i].runtime, sizeof figures[i].runtime, "Go");
        snprintf(figures[i].figure.name, sizeof figures[i].figure.name, "Figure%d", i);
        figures[i].figure.unit = FIGURE_BYTES;
        figures[i].figure.value = rss_bytes / (uint64_t)(i + 1);
    }
    return digest;
}

static void fill_in_subjects(struct subject *subjects, unsigned count, int64_t last_ms)
{
    for (unsigned i = 0; i < count; i++) {
        subjects[i].id = i + 1;
        subjects[i].pid = (int)i + 4000000;
        // As hostile as a comm can be.
        snprintf(subjects[i].name, sizeof subjects[i].name, "</script>%u\x1b[31m\xff", i);
        snprintf(subjects[i].cmdline, sizeof subjects[i].cmdline, "=cmd|'/c calc'!A%u", i);
        subjects[i].start_ms = subjects[i].first_ms = (int64_t)START_S * 1000;
        subjects[i].last_ms = last_ms;
    }
}

// One round of all subjects. 0 or -errno.
static int add_round(struct history *history, struct subject *subjects, unsigned count, size_t n,
                     int64_t time_ms)
{
    struct sample *samples = calloc(count, sizeof *samples);
    struct digest *digests = calloc(count, sizeof *digests);
    struct digest_figure *figures = calloc((size_t)count * FIGURES, sizeof *figures);
    struct batch batch = {.time_ms = time_ms, .samples = samples, .sample_count = count};
    struct event event = {.subject = 1, .time_ms = time_ms, .kind = EVENT_GC, .value = n};
    batch.host.time_ms = time_ms;
    batch.host.total_bytes = UINT64_C(8) << 30;
    if (n % 100 == 0) {
        batch.events = &event;
        batch.event_count = 1;
    }
    if (!samples || !digests || !figures)
        exit(1);
    fill_in_subjects(subjects, count, time_ms);
    for (unsigned i = 0; i < count; i++) {
        bool is_account = n % ACCOUNT_EVERY == 0;
        uint64_t rss_bytes = rss_of(i, n);
        digests[i] = make_digest(rss_bytes, figures + (size_t)i * FIGURES);
        samples[i] = (struct sample){.subject = i + 1,
                                     .time_ms = time_ms,
                                     .boot_ms = (uint64_t)time_ms - (START_S - 1000) * 1000ull,
                                     .kind = is_account ? SAMPLE_ACCOUNT : SAMPLE_CHEAP,
                                     .rss_bytes = rss_bytes,
                                     .lazy_bytes = rss_bytes / 4,
                                     .effective_bytes = rss_bytes - rss_bytes / 4,
                                     .anon_bytes = rss_bytes,
                                     .virtual_bytes = 2 * rss_bytes,
                                     .minor_faults = n,
                                     .cpu_ms = n,
                                     .threads = 4,
                                     .peak_rss_bytes = i == 0 ? highest_of(n) : 0,
                                     .digest = is_account ? &digests[i] : NULL};
    }
    int error = history_add(history, &batch, subjects, count);
    free(figures);
    free(digests);
    free(samples);
    return error;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
    size_t samples = strtoul(argv[3], NULL, 10), n = 0;
    struct history_options options = {.interval_ms = 1000, .title = "processes that never were"};
    struct history *history;
    struct subject *subjects = calloc(count, sizeof *subjects);
    int error = subjects ? history_create(argv[1], &options, &history) : -1;
    for (; n < samples && !error; n++)
        error = add_round(history, subjects, count, n, (START_S + (int64_t)n) * 1000);
    while (argc > 4 && !error) {
        usleep(250000);
        error = add_round(history, subjects, count, n, (START_S + (int64_t)n) * 1000);
        n++;
        if (!error)
            error = history_flush(history);
        // Who started it hears that it goes on, and ends it by closing the pipe.
        if (write(STDOUT_FILENO, ".", 1) != 1)
            break;
    }
    if (!error)
        error = history_close(history);
    free(subjects);
    if (error)
        fprintf(stderr, "recording: %s\n", strerror(-error));
    return error ? 1 : 0;
}
