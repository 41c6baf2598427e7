// SPDX-License-Identifier: Apache-2.0
// Rounds, see sampler.h: the clocks, the host, a cheap reading of everybody, a look for new ones,
// and as many deeper readings as the plan affords. Tool world; one thread uses a sampler.
#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "sample/host.h"
#include "sample/sampler_internal.h"

enum {
    SAMPLER_CLOCK_MS = 1000, // smaller steps are those of a clock that is kept right
    SAMPLER_GAP_MS = 2000,
    SAMPLER_ENDED_MAX = 8192, // 6 MiB
    SAMPLER_DENIED_MAX = 3,   // told one by one
    SAMPLER_DENIED_MS = 60000,
};

// New ones come after those that are known, so that ids ascend in the batch.
static int sampler_look(struct sampler *sampler)
{
    uint64_t now_ns = sampler_clock_ns(CLOCK_MONOTONIC);
    int error = 0;
    if (sampler->options.follow && now_ns >= sampler->find_due_ns) {
        sampler->find_due_ns = now_ns + sampler->options.find_ms * 1000000;
        error = find_look(&sampler->find, &sampler->matches);
    }
    return error ? error : sampler_adopt_matches(sampler);
}

// Those that wish for more than they have, the most urgent first.
static int sampler_gather(struct sampler *sampler, bool is_last, size_t *ret_count)
{
    size_t count = 0;
    uint64_t now_ns = sampler_clock_ns(CLOCK_MONOTONIC);
    for (size_t i = 0; i < sampler->follow_count; i++) {
        const struct follow *follow = &sampler->follows[i];
        if (follow->is_gone || follow->sample == SIZE_MAX)
            continue;
        struct plan_figures now = follow_figures(follow, &sampler->batch.host, now_ns);
        struct plan_wish wish = is_last ? plan_wish_last(&sampler->plan, &follow->plan, &now)
                                        : plan_wish(&sampler->plan, &follow->plan, &now);
        // Most of them, most of the time.
        if (wish.kind == SAMPLE_CHEAP)
            continue;
        int error = array_reserve_one(&sampler->turns, &sampler->turn_capacity, count,
                                      sizeof *sampler->turns);
        if (error)
            return error;
        sampler->turns[count++] = (struct plan_turn){i, wish};
    }
    plan_sort(sampler->turns, count);
    *ret_count = count;
    return 0;
}

// The host is read once for all accounts of a round: it was a tenth of what a small one costs.
// Where it cannot be read each account says so itself.
static void sampler_read_host(struct sampler *sampler)
{
    if (!sampler->survey_options.host && host_read(sampler->proc_root, &sampler->host) == 0)
        sampler->survey_options.host = &sampler->host;
}

// The deeper reading of one. Its cheap one is made again right before, so that all figures of the
// sample are of one moment.
static int sampler_deepen(struct sampler *sampler, const struct plan_turn *turn)
{
    struct follow *follow = &sampler->follows[turn->index];
    struct cheap_reading now;
    if (cheap_read(&sampler->find.reader, follow->pid, &follow->cheap, &now) != 0 ||
        cheap_compare(&follow->cheap.identity, &now.identity) != CHEAP_SAME)
        return 0; // the next round tells what became of it
    cheap_remember(&follow->cheap.identity, &now.identity);
    follow->cheap = now;
    if (turn->wish.kind == SAMPLE_ACCOUNT)
        sampler_read_host(sampler);
    const struct follow_context context = {
        .options = &sampler->survey_options,
        .reader = &sampler->find.reader,
        .plan = &sampler->plan,
        .batch = &sampler->batch,
        .scratch = &sampler->scratch,
        .survey = sampler->survey,
        .cost = &sampler->cost,
    };
    // Its own stamp: the readings of a round may be hundreds of milliseconds apart.
    struct subject *subject = sampler_get_subject(sampler, follow->id);
    struct sample sample = follow_cheap_sample(follow, &sampler->batch.host);
    sampler_stamp(sampler, &sample, subject);
    int error = follow_read_deep(&context, follow, subject, turn->wish.kind, &sample);
    sampler->batch.samples[follow->sample] = sample;
    return error;
}

// Half of the interval at most is spent on deeper readings, so that the next round can be on time.
static int sampler_deepen_all(struct sampler *sampler)
{
    plan_refill(&sampler->plan, sampler_clock_ns(CLOCK_MONOTONIC));
    size_t count;
    int error = sampler_gather(sampler, false, &count);
    uint64_t end_ns = sampler_clock_ns(CLOCK_MONOTONIC) + sampler->options.interval_ms * 500000;
    for (size_t i = 0; i < count && !error; i++) {
        const struct plan_turn *turn = &sampler->turns[i];
        bool is_late = !turn->wish.is_wanted && sampler_clock_ns(CLOCK_MONOTONIC) >= end_ns;
        if (is_late || !plan_may_begin(&sampler->plan, &turn->wish))
            break;
        error = sampler_deepen(sampler, turn);
    }
    return error;
}

// Accounts of the end, for as long as there is time; and those of whoever has one already within
// the plan's budget for them. One that would take too long is passed over: behind it may come one
// that has not changed, and is cheap.
static int sampler_deepen_last(struct sampler *sampler, uint64_t budget_ms)
{
    size_t count;
    int error = sampler_gather(sampler, true, &count);
    uint64_t now_ns = sampler_clock_ns(CLOCK_MONOTONIC), end_ns = now_ns + budget_ms * 1000000;
    uint64_t again_ns = 0, again_most_ns = plan_last_budget_ns(&sampler->plan, now_ns);
    for (size_t i = 0; i < count && !error; i++) {
        const struct plan_turn *turn = &sampler->turns[i];
        bool is_again = sampler->follows[turn->index].plan.has_account;
        now_ns = sampler_clock_ns(CLOCK_MONOTONIC);
        if (now_ns + turn->wish.cost_ns > end_ns ||
            (is_again && again_ns + turn->wish.cost_ns > again_most_ns))
            continue;
        uint64_t before_ns = sampler->cost.deep_ns;
        error = sampler_deepen(sampler, turn);
        again_ns += is_again ? sampler->cost.deep_ns - before_ns : 0;
    }
    return error;
}

// Takes the events of processes without accounts out of the batch, and counts them.
static uint64_t sampler_take_denied(struct sampler *sampler)
{
    struct batch *batch = &sampler->batch;
    size_t kept = 0;
    for (size_t i = 0; i < batch->event_count; i++) {
        if (batch->events[i].kind != EVENT_UNREADABLE)
            batch->events[kept++] = batch->events[i];
        else if (sampler->denied_waiting++ == 0)
            text_copy(text_of(batch->events[i].text), sampler->denied_text,
                      sizeof sampler->denied_text);
    }
    uint64_t taken = batch->event_count - kept;
    batch->event_count = kept;
    return taken;
}

// Without rights a host has hundreds of processes without accounts: the first few are told each,
// the others by one event of the host now and then.
static int sampler_sum_up_denied(struct sampler *sampler, bool is_last)
{
    uint64_t now_ms = sampler->last.boot_ms, count = 0;
    for (size_t i = 0; i < sampler->batch.event_count; i++)
        count += sampler->batch.events[i].kind == EVENT_UNREADABLE;
    if (sampler->denied_told + count <= SAMPLER_DENIED_MAX) {
        sampler->denied_told += count;
        return 0;
    }
    if (count > 0)
        sampler->denied_told += sampler_take_denied(sampler);
    bool is_due = sampler->denied_told_ms == 0 ||
                  now_ms - sampler->denied_told_ms >= SAMPLER_DENIED_MS || is_last;
    if (sampler->denied_waiting == 0 || !is_due)
        return 0;
    char text[EVENT_TEXT_MAX];
    text_format(text, sizeof text, "no account of %llu processes; of the first: %s",
                (unsigned long long)sampler->denied_waiting, sampler->denied_text);
    int error = batch_tell(&sampler->batch, 0, EVENT_UNREADABLE, sampler->denied_waiting, text);
    sampler->denied_waiting = 0;
    sampler->denied_told_ms = now_ms;
    return error;
}

// At the end of a round: indices into the array are good within one. Digests are where they were,
// since samples point to them.
static void sampler_drop_gone(struct sampler *sampler)
{
    size_t kept = 0;
    for (size_t i = 0; i < sampler->follow_count; i++) {
        if (sampler->follows[i].is_gone)
            follow_free(&sampler->follows[i]);
        else
            sampler->follows[kept++] = sampler->follows[i];
    }
    sampler->follow_count = kept;
}

// Where readings are missing, a line through the samples on both sides would be a guess.
static int sampler_tell_gap(struct sampler *sampler, const struct sampler_clocks *now)
{
    uint64_t away_ms = now->boot_ms - sampler->last.boot_ms;
    uint64_t interval_ms = sampler->options.interval_ms;
    if (away_ms < 3 * interval_ms || away_ms < interval_ms + SAMPLER_GAP_MS)
        return 0;
    // CLOCK_MONOTONIC stands still while the host sleeps.
    uint64_t awake_ms = (now->mono_ns - sampler->last.mono_ns) / 1000000;
    bool slept = awake_ms + SAMPLER_GAP_MS / 2 < away_ms;
    return batch_tell(&sampler->batch, 0, EVENT_GAP, away_ms, slept ? "the host slept" : "");
}

// CLOCK_BOOTTIME is never set: what the day's clock moved beyond it, somebody set.
static int sampler_tell_clock(struct sampler *sampler, const struct sampler_clocks *now)
{
    int64_t before = sampler->last.real_ms - (int64_t)sampler->last.boot_ms;
    int64_t set_ms = now->real_ms - (int64_t)now->boot_ms - before;
    if (set_ms < SAMPLER_CLOCK_MS && set_ms > -SAMPLER_CLOCK_MS)
        return 0;
    return batch_tell(&sampler->batch, 0, EVENT_CLOCK, (uint64_t)set_ms, "");
}

// On a host that starts ten processes a second whoever remembers all that ended runs out of memory:
// the oldest go. Not before there are some to spare, since it moves all of them.
static void sampler_forget_beyond(struct sampler *sampler)
{
    size_t ended = sampler->subject_count - sampler->follow_count, kept = 0;
    if (ended <= SAMPLER_ENDED_MAX + SAMPLER_ENDED_MAX / 8)
        return;
    for (size_t i = 0; i < sampler->subject_count; i++) {
        const struct subject *subject = &sampler->subjects[i];
        if (subject->has_ended && ended > SAMPLER_ENDED_MAX)
            ended--;
        else
            sampler->subjects[kept++] = *subject;
    }
    sampler->subject_count = kept;
}

// Begins a batch: what the clocks tell, and the host.
static int sampler_begin(struct sampler *sampler)
{
    struct sampler_clocks now = sampler_read_clocks(sampler);
    // Those that ended in the round before have been seen by now.
    sampler_forget_beyond(sampler);
    batch_clear(&sampler->batch);
    sampler->batch.time_ms = now.real_ms;
    sampler->batch.boot_ms = now.boot_ms;
    int error = 0;
    // The first round has nothing to compare with.
    if (sampler->last.boot_ms) {
        error = sampler_tell_gap(sampler, &now);
        if (!error)
            error = sampler_tell_clock(sampler, &now);
    }
    sampler->last = now;
    sampler->survey_options.host = NULL;
    host_sample_read(sampler->find.reader.root_fd, &sampler->scratch, &sampler->batch.host);
    sampler->batch.host.time_ms = now.real_ms;
    return error;
}

// The next line of the grid; those that have passed are left out.
static void sampler_set_due(struct sampler *sampler)
{
    uint64_t interval_ns = sampler->options.interval_ms * 1000000;
    uint64_t now_ns = sampler->last.mono_ns;
    uint64_t passed = now_ns > sampler->due_ns ? (now_ns - sampler->due_ns) / interval_ns : 0;
    sampler->cost.missed_rounds += passed;
    // Who comes early, on somebody's wish, does not move the grid.
    if (now_ns >= sampler->due_ns)
        sampler->due_ns += (passed + 1) * interval_ns;
}

// `last_ms` is the time for accounts of the end; 0: it is a round among others.
static int sampler_make_round(struct sampler *sampler, uint64_t last_ms,
                              const struct batch **ret_batch)
{
    int error = sampler_begin(sampler);
    sampler_set_due(sampler);
    if (!error)
        error = sampler_visit_all(sampler);
    if (!error)
        error = sampler_look(sampler);
    if (!error)
        error = last_ms ? sampler_deepen_last(sampler, last_ms) : sampler_deepen_all(sampler);
    if (!error)
        error = sampler_sum_up_denied(sampler, last_ms > 0);
    // Also after a failure: what is gone must not be visited again.
    sampler_drop_gone(sampler);
    if (error)
        return error;
    sampler->cost.rounds++;
    *ret_batch = &sampler->batch;
    bool is_over = sampler->follow_count == 0 && sampler->matches.count == 0;
    return is_over && !sampler->options.follow ? -ESRCH : 0;
}

int sampler_round(struct sampler *sampler, const struct batch **ret_batch)
{
    return sampler_make_round(sampler, 0, ret_batch);
}

int sampler_last_round(struct sampler *sampler, uint64_t budget_ms, const struct batch **ret_batch)
{
    return sampler_make_round(sampler, budget_ms ? budget_ms : 1, ret_batch);
}
