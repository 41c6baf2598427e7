// SPDX-License-Identifier: Apache-2.0
// What is inside a sampler. Tool world; internal to sampler*.c, one thread uses a sampler.
//
// sampler.c opens, closes and answers; sampler_round.c makes rounds; sampler_visit.c is what they
// do with each process: cheap readings, ends, execs, and those that are new.
#ifndef EBB_SAMPLE_SAMPLER_INTERNAL_H
#define EBB_SAMPLE_SAMPLER_INTERNAL_H

#include <time.h>

#include "sample/follow.h"
#include "sample/sampler.h"

struct sampler {
    struct sampler_options options;
    char *proc_root;
    struct selection *selections;
    struct find find;
    struct find_matches matches; // found, but not followed yet
    struct subject *subjects;    // ascending by id
    size_t subject_count, subject_capacity;
    struct follow *follows; // those that live, ascending by id
    size_t follow_count, follow_capacity;
    struct plan_turn *turns; // of one round
    size_t turn_capacity;
    unsigned last_id;
    struct plan plan;
    struct batch batch;
    struct buffer scratch;
    struct survey *survey; // room for one
    struct survey_options survey_options;
    struct host host; // of this round, once survey_options points to it
    struct sampler_cost cost;
    struct sampler_clocks last; // of the round before; boot_ms 0: none yet
    uint64_t due_ns, find_due_ns;
    // Processes of which no account is possible: told one by one at first, then by their number.
    uint64_t denied_told, denied_waiting, denied_told_ms;
    char denied_text[EVENT_TEXT_MAX];
};

uint64_t sampler_clock_ns(clockid_t clock);
// As its options say.
struct sampler_clocks sampler_read_clocks(const struct sampler *sampler);

// By id, or NULL: a subject may have been forgotten, and only those that live are followed. Good
// until one is added.
struct subject *sampler_get_subject(const struct sampler *sampler, unsigned id);
struct follow *sampler_get_follow(const struct sampler *sampler, unsigned id);

// The moment of a reading, for its sample and its subject.
void sampler_stamp(const struct sampler *sampler, struct sample *sample, struct subject *subject);

// Cheap readings of all that are followed, with their samples and events. 0 or -ENOMEM.
int sampler_visit_all(struct sampler *sampler);
// Makes subjects of those that were found, with their first samples. 0 or -ENOMEM.
int sampler_adopt_matches(struct sampler *sampler);

#endif
