// SPDX-License-Identifier: Apache-2.0
// One process that is followed, and what a round does with it. Tool world; internal to the sampler.
#ifndef EBB_SAMPLE_FOLLOW_H
#define EBB_SAMPLE_FOLLOW_H

#include "sample/batch.h"
#include "sample/deep.h"
#include "sample/find.h"
#include "sample/plan.h"
#include "sample/sampler.h"
#include "sample/settle.h"

struct follow {
    unsigned id;
    int pid;
    bool is_gone;               // to be taken out at the end of the round
    bool is_told;               // that it is unreadable
    struct cheap_reading cheap; // the last
    struct plan_subject plan;
    // At the last deep reading: what lazy_bytes of cheap samples is made of.
    uint64_t lazy_bytes, swap_bytes; // SAMPLE_UNKNOWN: none yet
    uint64_t lazy_rss_bytes, lazy_taken_pages;
    uint64_t group_read_ms; // when its group was read last, of CLOCK_BOOTTIME
    struct digest *digest;  // of the last account, NULL: none yet; samples point to it
    struct trend trend;
    struct settle verdict;
    size_t sample; // index of its sample in this round's batch
};

// What the readings of a round share.
struct follow_context {
    const struct survey_options *options;
    const struct cheap_reader *reader;
    struct plan *plan;
    struct batch *batch;
    struct buffer *scratch;
    struct survey *survey; // room for one
    struct sampler_cost *cost;
};

// The sample that a cheap reading gives: lazy is the last known, less what the kernel can have
// taken since, and cut to what fits. Pure.
struct sample follow_cheap_sample(const struct follow *follow, const struct host_sample *host);

// The figures by which the plan decides. Pure.
struct plan_figures follow_figures(const struct follow *follow, const struct host_sample *host,
                                   uint64_t now_ns);

// Makes the reading that was planned and puts it in the place of `*sample`; a failure leaves the
// cheap one there. Adds events. 0, or -ENOMEM.
int follow_read_deep(const struct follow_context *context, struct follow *follow,
                     struct subject *subject, enum sample_kind kind, struct sample *sample);

// Events that the difference of two accounts tells: collections, purges. 0 or -ENOMEM.
int follow_tell_changes(struct batch *batch, unsigned id, const struct digest *before,
                        const struct digest *now);

void follow_free(struct follow *follow);

#endif
