// SPDX-License-Identifier: Apache-2.0
// Rounds of readings that nobody took, see recording.h. Test code.
#ifdef EBB_WITH_SQLITE
#include "support/recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void round_init(struct round *round, size_t count)
{
    memset(round, 0, sizeof *round);
    round->subject_count = count;
    for (size_t i = 0; i < count; i++) {
        struct subject *subject = &round->subjects[i];
        subject->id = (unsigned)i + 1;
        subject->pid = 4121 + (int)i;
        subject->uid = 1000;
        subject->start_ticks = 777 + i;
        subject->start_ms = RECORDING_TIME_MS - 60000;
        snprintf(subject->name, sizeof subject->name, "proc-%zu", i + 1);
        snprintf(subject->cmdline, sizeof subject->cmdline, "/usr/bin/proc-%zu --serve", i + 1);
        snprintf(subject->cgroup, sizeof subject->cgroup, "/system.slice/proc-%zu", i + 1);
    }
    round_begin(round, 0);
}

void round_begin(struct round *round, int64_t after_ms)
{
    round->batch = (struct batch){
        .time_ms = RECORDING_TIME_MS + after_ms,
        .samples = round->samples,
        .events = round->events,
        .host = {.time_ms = RECORDING_TIME_MS + after_ms,
                 .total_bytes = (uint64_t)8 << 30,
                 .available_bytes = ((uint64_t)4 << 30) - (uint64_t)after_ms,
                 .lazy_bound_bytes = 5 << 20,
                 .lazily_freed_pages = (uint64_t)after_ms,
                 .pressure_some_avg10 = 1.25},
    };
}

struct sample *round_sample(struct round *round, unsigned subject, uint64_t rss_mib,
                            uint64_t lazy_mib)
{
    struct batch *batch = &round->batch;
    struct sample *sample = &batch->samples[batch->sample_count++];
    *sample = (struct sample){
        .subject = subject,
        .time_ms = batch->time_ms,
        .boot_ms = (uint64_t)(batch->time_ms - RECORDING_TIME_MS) + RECORDING_BOOT_MS,
        .kind = SAMPLE_CHEAP,
        .rss_bytes = rss_mib * RECORDING_MIB,
        .lazy_bytes = lazy_mib * RECORDING_MIB,
        .effective_bytes = (rss_mib - lazy_mib) * RECORDING_MIB,
        .anon_bytes = rss_mib * RECORDING_MIB / 2,
        .virtual_bytes = rss_mib * RECORDING_MIB * 4,
        .minor_faults = 1000,
        .cpu_ms = 10,
        .threads = 3,
    };
    return sample;
}

struct digest *round_account(struct round *round, unsigned subject, enum verdict_code verdict)
{
    struct sample *sample = &round->samples[round->batch.sample_count - 1];
    struct digest *digest = &round->digests[subject - 1];
    struct digest_figure *figures = round->figures[subject - 1];
    *digest = (struct digest){.verdict = verdict,
                              .is_complete = true,
                              .figures = figures,
                              .figure_count = 2,
                              .group_usage_bytes = 77 << 20,
                              .group_working_set_bytes = 66 << 20,
                              .group_inactive_file_bytes = 11 << 20,
                              .group_limit_bytes = SAMPLE_UNKNOWN};
    digest->row_bytes[ROW_IN_USE] = sample->effective_bytes;
    digest->row_bytes[ROW_LAZY] = sample->lazy_bytes;
    digest->row_error_bytes[ROW_IN_USE] = 4096;
    snprintf(digest->headline, sizeof digest->headline, "verdict %d of %u", (int)verdict, subject);
    snprintf(digest->next, sizeof digest->next, "ebb reclaim %u", subject);
    snprintf(digest->runtimes, sizeof digest->runtimes, "Go 1.24.4");
    figures[0] = (struct digest_figure){
        "Go", {.name = "HeapAlloc", .unit = FIGURE_BYTES, .value = sample->effective_bytes - 5}};
    figures[1] = (struct digest_figure){
        "Go", {.name = "GCCPUFraction", .unit = FIGURE_RATIO, .ratio = 0.25}};
    sample->kind = SAMPLE_ACCOUNT;
    sample->digest = digest;
    return digest;
}

void round_event(struct round *round, unsigned subject, enum event_kind kind, uint64_t value,
                 const char *text)
{
    struct event *event = &round->events[round->batch.event_count++];
    *event = (struct event){
        .subject = subject, .time_ms = round->batch.time_ms, .kind = kind, .value = value};
    snprintf(event->text, sizeof event->text, "%s", text);
}

void round_write(struct round *round, struct history *history)
{
    assert_int_equal(history_add(history, &round->batch, round->subjects, round->subject_count), 0);
}
#else
// A build without recordings: nothing to help with.
typedef int recording_is_left_out;
#endif
