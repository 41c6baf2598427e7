// SPDX-License-Identifier: Apache-2.0
// The sampler: follows processes and reads each as often and as deep as it costs little. Tool
// world; one thread uses a sampler. Read-only, as a survey is: no target is stopped or written to.
//
// Each round takes a cheap reading of every process that is followed (some 15 µs each), and deeper
// ones where something changed, as far as two budgets allow: a share of one core for all accounts
// together, and the same share of each target's time for its own, since a walk of smaps makes its
// mmap and munmap wait. What a process costs is learnt from its own readings (plan.h).
#ifndef EBB_SAMPLE_SAMPLER_H
#define EBB_SAMPLE_SAMPLER_H

#include "sample/sample.h"
#include "sample/select.h"

struct sampler;

// All three clocks at one moment.
struct sampler_clocks {
    uint64_t mono_ns, boot_ms; // CLOCK_MONOTONIC; CLOCK_BOOTTIME
    int64_t real_ms;           // since the epoch
};

struct sampler_options {
    const char *proc_root; // "/proc"
    const struct selection *selections;
    size_t selection_count;
    uint64_t interval_ms; // between rounds; at least 10
    // Look for new processes that match; else only those of the first round, and what they become
    // by exec. Of no use where all are selected by number.
    bool follow;
    double share;     // of one core, for deeper readings; 0: 0.01
    bool no_accounts; // never a survey: SAMPLE_LAZY is the deepest
    bool has_self;    // ebb itself is a subject too, where it matches
    uint64_t find_ms; // between two looks for new processes; 0: the interval, at least 1 s
    // What time it is, for who wants to see a clock set or a host sleep; NULL: the system's clocks.
    // mono_ns must be CLOCK_MONOTONIC's, by which rounds are due.
    struct sampler_clocks (*clocks)(void *context);
    void *clocks_context;
};

// 0 and a sampler that sampler_close() frees; -ENOENT without a proc tree; -ESRCH when nothing
// matches and `follow` is off; -EINVAL; -ENOMEM. Copies what it needs of the options.
int sampler_open(const struct sampler_options *options, struct sampler **ret_sampler);
void sampler_close(struct sampler *sampler);

// Nobody matched the selection of this number when the sampler was opened, and nobody who comes
// later will: a number, or nothing is followed. Asked before the first round.
bool sampler_misses(const struct sampler *sampler, size_t selection);

// One round, now. `*ret_batch` is the sampler's and stands until the next call. 0; -ESRCH when
// nothing is left to follow and nothing new is looked for: the batch is given all the same, and
// tells the ends; -errno (and no batch) where nothing at all could be read.
// Cost: about 15 µs for each subject, 20 µs for each process of the host where new ones are looked
// for, and what the budgets allow.
int sampler_round(struct sampler *sampler, const struct batch **ret_batch);

// The last round of all: as sampler_round(), and as many accounts as fit into `budget_ms` of time:
// of all that have none yet, and then of those that have changed since their last one, as far as
// the plan's budget for the end goes (plan_last_budget_ns(): some fifty always). So what is stored
// last is of the end, and not of some time before; of the others it is as old as its time says.
int sampler_last_round(struct sampler *sampler, uint64_t budget_ms, const struct batch **ret_batch);

// Milliseconds until the next round is due, 0 if it is; rounds keep to a grid and are left out, not
// made up for, after a gap.
uint64_t sampler_due_ms(const struct sampler *sampler);

// Another time between rounds, from the next one on; as in the options, else it stays as it is.
void sampler_set_interval(struct sampler *sampler, uint64_t interval_ms);

// Takes an account of this subject in the next round, whatever the budget says (a user looks at
// it); but no sooner than ten times as long as the last one took, for the target's sake.
void sampler_want_account(struct sampler *sampler, unsigned subject);

// The subjects so far, ended ones too (the last 8,192 of these at least), ascending by id; the
// pointer stands until the next round.
const struct subject *sampler_subjects(const struct sampler *sampler, size_t *ret_count);
const struct subject *sampler_subject(const struct sampler *sampler, unsigned id); // or NULL
// The last account of a subject, or NULL; the sampler's until the next round.
const struct digest *sampler_digest(const struct sampler *sampler, unsigned id);
// Forgets subjects that ended before `time_ms`: for who runs for months.
void sampler_forget(struct sampler *sampler, int64_t time_ms);

// What the sampler cost so far.
struct sampler_cost {
    uint64_t rounds, cheap, lazy, accounts; // readings of each kind
    uint64_t missed_rounds;                 // that did not fit into the interval
    uint64_t deep_ns;                       // spent on lazy readings and accounts
    uint64_t longest_walk_ns;               // one target's smaps
};
struct sampler_cost sampler_cost(const struct sampler *sampler);

#endif
