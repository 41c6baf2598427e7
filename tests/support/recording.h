// SPDX-License-Identifier: Apache-2.0
// Rounds of readings that nobody took, for tests of recordings. Test code.
#ifndef EBB_TESTS_SUPPORT_RECORDING_H
#define EBB_TESTS_SUPPORT_RECORDING_H

#include "history/history.h"

enum { RECORDING_SUBJECTS_MAX = 8, RECORDING_EVENTS_MAX = 8 };

// Owns its arrays; round.batch and round.subjects are what history_add() takes.
struct round {
    struct batch batch;
    struct sample samples[RECORDING_SUBJECTS_MAX];
    struct event events[RECORDING_EVENTS_MAX];
    struct subject subjects[RECORDING_SUBJECTS_MAX];
    size_t subject_count;
    struct digest digests[RECORDING_SUBJECTS_MAX];
    struct digest_figure figures[RECORDING_SUBJECTS_MAX][2];
};

// 2026-01-01 10:00:00 UTC, and a boot time.
#define RECORDING_TIME_MS INT64_C(1767261600000)
enum { RECORDING_BOOT_MS = 5000000, RECORDING_MIB = 1 << 20 };

// `count` subjects, ids from 1; named "proc-1", ...
void round_init(struct round *round, size_t count);
// Empties the batch for a round so many milliseconds after the first.
void round_begin(struct round *round, int64_t after_ms);
// A cheap sample of so many MiB; the rest of its figures follows from these.
struct sample *round_sample(struct round *round, unsigned subject, uint64_t rss_mib,
                            uint64_t lazy_mib);
// Makes the last sample of that subject an account with two figures.
struct digest *round_account(struct round *round, unsigned subject, enum verdict_code verdict);
void round_event(struct round *round, unsigned subject, enum event_kind kind, uint64_t value,
                 const char *text);
// history_add(); asserts that it succeeds.
void round_write(struct round *round, struct history *history);

#endif
