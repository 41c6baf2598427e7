// SPDX-License-Identifier: Apache-2.0
// Writes a recording of many processes over days, as ebb record would have, but at once: the
// readings are made up. Usage: bench_week FILE DAYS PROCESSES
//
// Rounds are a second apart. Each process lies still for some minutes, then moves; every five
// minutes it has an account.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history/history.h"

static const int64_t start_ms = INT64_C(1767225600000);
enum { DAY_S = 86400, ACCOUNT_EVERY_S = 300, FLUSH_MS = 300000, MIB = 1 << 20 };

struct week {
    unsigned count;
    struct subject *subjects;
    struct sample *samples;
    struct digest digest;
    struct digest_figure figures[12];
};

static uint32_t next_random(void)
{
    static uint32_t seed = 1;
    seed = seed * 1664525U + 1013904223U;
    return seed >> 8;
}

static void make_digest(struct week *week)
{
    week->digest = (struct digest){.verdict = VERDICT_LAZY, .figures = week->figures};
    week->digest.figure_count = sizeof week->figures / sizeof week->figures[0];
    for (size_t i = 0; i < week->digest.figure_count; i++) {
        struct digest_figure *figure = &week->figures[i];
        snprintf(figure->runtime, sizeof figure->runtime, "Go");
        snprintf(figure->figure.name, sizeof figure->figure.name, "Figure%zu", i);
        figure->figure.value = 123456789 * (i + 1);
    }
}

static int make(struct week *week, unsigned count)
{
    week->count = count;
    week->subjects = calloc(count, sizeof *week->subjects);
    week->samples = calloc(count, sizeof *week->samples);
    if (!week->subjects || !week->samples)
        return -1;
    for (unsigned i = 0; i < count; i++) {
        struct subject *subject = &week->subjects[i];
        subject->id = i + 1;
        subject->pid = 1000 + (int)i;
        snprintf(subject->name, sizeof subject->name, "service-%u", i);
    }
    make_digest(week);
    return 0;
}

// What the subject shows in that second.
static void sample(struct week *week, unsigned index, int64_t second)
{
    struct sample *sample = &week->samples[index];
    bool is_account = (second + index) % ACCOUNT_EVERY_S == 0;
    if (sample->rss_bytes == 0 || next_random() % 200 == 0) {
        sample->rss_bytes = (uint64_t)(100 + next_random() % 400) * MIB;
        sample->lazy_bytes = (uint64_t)(next_random() % 50) * MIB;
    }
    sample->subject = index + 1;
    sample->time_ms = start_ms + second * 1000;
    sample->boot_ms = (uint64_t)second * 1000 + 1000;
    sample->effective_bytes = sample->rss_bytes - sample->lazy_bytes;
    sample->anon_bytes = sample->rss_bytes;
    sample->virtual_bytes = sample->rss_bytes * 3;
    sample->kind = is_account ? SAMPLE_ACCOUNT : SAMPLE_CHEAP;
    sample->digest = is_account ? &week->digest : NULL;
}

static int write_rounds(struct week *week, struct history *history, int64_t seconds)
{
    int error = 0;
    for (int64_t second = 0; second < seconds && !error; second++) {
        for (unsigned i = 0; i < week->count; i++)
            sample(week, i, second);
        const struct batch batch = {
            .time_ms = start_ms + second * 1000,
            .samples = week->samples,
            .sample_count = week->count,
            .host = {.total_bytes = (uint64_t)64 << 30, .available_bytes = next_random()}};
        error = history_add(history, &batch, week->subjects, week->count);
    }
    return error;
}

int main(int argc, char **argv)
{
    const struct history_options options = {
        .interval_ms = 1000, .flush_ms = FLUSH_MS, .title = "a week"};
    struct history *history = NULL;
    struct week week = {0};
    if (argc != 4 || make(&week, (unsigned)atoi(argv[3])) != 0)
        return 2;
    int error = history_create(argv[1], &options, &history);
    if (!error)
        error = write_rounds(&week, history, (int64_t)(atof(argv[2]) * DAY_S));
    int closed = history_close(history);
    error = error ? error : closed;
    if (error)
        fprintf(stderr, "%s: %s\n", argv[1], strerror(-error));
    free(week.subjects);
    free(week.samples);
    return error != 0;
}
