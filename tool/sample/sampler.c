// SPDX-License-Identifier: Apache-2.0
// The sampler, see sampler.h. Tool world; one thread uses a sampler.
//
// A round: the clocks, the host, a cheap reading of everybody, a look for new ones, and as many
// deeper readings as the plan affords.
#include "sample/sampler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "runtime/locate_memory.h"
#include "sample/follow.h"
#include "sample/host.h"

enum {
    SAMPLER_LEAST_INTERVAL_MS = 10,
    SAMPLER_FIND_MS = 1000,
    SAMPLER_GROUP_MS = 60000, // processes seldom change their group
    SAMPLER_CLOCK_MS = 1000,  // smaller steps are those of a clock that is kept right
    SAMPLER_GAP_MS = 2000,
    SAMPLER_ENDED_MAX = 8192, // 6 MiB
    // For each runtime reader of an account. A heap of tens of gigabytes with millions of chunks
    // takes longer than is worth a sample; what it could not reach it says itself.
    SAMPLER_BUDGET_MS = 250,
};
static const double sampler_share = 0.01;

// All three clocks at one moment.
struct sampler_clocks {
    uint64_t mono_ns, boot_ms;
    int64_t real_ms;
};

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
    struct sampler_cost cost;
    struct sampler_clocks last; // of the round before; boot_ms 0: none yet
    uint64_t due_ns, find_due_ns;
};

// None of these clocks can fail on Linux.
static uint64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// Not in one call, but a microsecond apart: nothing here is compared more closely.
static struct sampler_clocks clocks_read(void)
{
    return (struct sampler_clocks){
        .mono_ns = clock_ns(CLOCK_MONOTONIC),
        .boot_ms = clock_ns(CLOCK_BOOTTIME) / 1000000,
        .real_ms = (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000),
    };
}

// An upper bound keeps products with nanoseconds within 64 bits.
static bool interval_is_good(uint64_t interval_ms)
{
    return interval_ms >= SAMPLER_LEAST_INTERVAL_MS && interval_ms <= UINT32_MAX;
}

static int sampler_check_options(const struct sampler_options *options)
{
    bool is_share = options->share >= 0 && options->share <= 1;
    return options->proc_root && options->selections && options->selection_count > 0 && is_share &&
                   interval_is_good(options->interval_ms) && options->find_ms <= UINT32_MAX
               ? 0
               : -EINVAL;
}

// By number nobody can be found later: the same number will be another process's.
static bool selects_only_numbers(const struct sampler_options *options)
{
    for (size_t i = 0; i < options->selection_count; i++) {
        if (options->selections[i].kind != SELECT_PID)
            return false;
    }
    return true;
}

// What points to the caller's memory is copied.
static int sampler_copy_options(struct sampler *sampler, const struct sampler_options *options)
{
    size_t bytes = options->selection_count * sizeof *options->selections;
    sampler->proc_root = strdup(options->proc_root);
    sampler->selections = malloc(bytes);
    sampler->survey = calloc(1, sizeof *sampler->survey);
    if (!sampler->proc_root || !sampler->selections || !sampler->survey)
        return -ENOMEM;
    sampler->survey_options =
        (struct survey_options){.proc_root = sampler->proc_root, .budget_ms = SAMPLER_BUDGET_MS};
    int error = locate_memory_open(&sampler->survey_options.memory);
    if (error)
        return error;
    memcpy(sampler->selections, options->selections, bytes);
    sampler->options = *options;
    sampler->options.proc_root = sampler->proc_root;
    sampler->options.selections = sampler->selections;
    if (sampler->options.share == 0)
        sampler->options.share = sampler_share;
    if (selects_only_numbers(options))
        sampler->options.follow = false;
    if (sampler->options.find_ms == 0)
        sampler->options.find_ms =
            options->interval_ms > SAMPLER_FIND_MS ? options->interval_ms : SAMPLER_FIND_MS;
    return 0;
}

// The first look is made here, so that whoever names nothing that runs is told at once; who was
// found is met in the first round.
static int sampler_start(struct sampler *sampler)
{
    const struct sampler_options *options = &sampler->options;
    int error = find_open(sampler->proc_root, sampler->selections, options->selection_count,
                          options->has_self, &sampler->find);
    if (error)
        return error == -ENOTDIR ? -ENOENT : error;
    error = find_look(&sampler->find, &sampler->matches);
    if (!error && sampler->matches.count == 0 && !options->follow)
        error = -ESRCH;
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    sampler->due_ns = now_ns;
    sampler->find_due_ns = now_ns + options->find_ms * 1000000;
    plan_init(&sampler->plan, options->share, now_ns);
    return error;
}

int sampler_open(const struct sampler_options *options, struct sampler **ret_sampler)
{
    int error = sampler_check_options(options);
    if (error)
        return error;
    struct sampler *sampler = calloc(1, sizeof *sampler);
    if (!sampler)
        return -ENOMEM;
    // From here on closing it frees whatever is there.
    error = sampler_copy_options(sampler, options);
    if (!error)
        error = sampler_start(sampler);
    if (error) {
        sampler_close(sampler);
        return error;
    }
    *ret_sampler = sampler;
    return 0;
}

void sampler_set_interval(struct sampler *sampler, uint64_t interval_ms)
{
    if (!interval_is_good(interval_ms))
        return;
    // A new grid begins now: lines of the old one mean nothing in it.
    sampler->options.interval_ms = interval_ms;
    sampler->due_ns = clock_ns(CLOCK_MONOTONIC);
}

void sampler_close(struct sampler *sampler)
{
    if (!sampler)
        return;
    for (size_t i = 0; i < sampler->follow_count; i++)
        follow_free(&sampler->follows[i]);
    find_close(&sampler->find);
    free(sampler->matches.items);
    free(sampler->subjects);
    free(sampler->follows);
    free(sampler->turns);
    batch_free(&sampler->batch);
    buffer_free(&sampler->scratch);
    locate_memory_close(sampler->survey_options.memory);
    free(sampler->survey);
    free(sampler->selections);
    free(sampler->proc_root);
    free(sampler);
}

// Elements of both arrays begin with their id, and ascend by it: who is new has the highest, and
// who goes is taken out without a change of order.
static size_t id_lower_bound(const void *items, size_t count, size_t item_bytes, unsigned id)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        unsigned found;
        memcpy(&found, (const char *)items + middle * item_bytes, sizeof found);
        if (found < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Whoever is followed has a subject; others may have been forgotten.
static struct subject *subject_get(const struct sampler *sampler, unsigned id)
{
    size_t at =
        id_lower_bound(sampler->subjects, sampler->subject_count, sizeof(struct subject), id);
    bool has = at < sampler->subject_count && sampler->subjects[at].id == id;
    return has ? &sampler->subjects[at] : NULL;
}

// Those that live: one that has just ended has nothing more to read.
static struct follow *follow_get(const struct sampler *sampler, unsigned id)
{
    size_t at = id_lower_bound(sampler->follows, sampler->follow_count, sizeof(struct follow), id);
    bool has = at < sampler->follow_count && sampler->follows[at].id == id;
    return has && !sampler->follows[at].is_gone ? &sampler->follows[at] : NULL;
}

// The moment of a reading, for its sample and its subject.
static void sample_stamp(struct sample *sample, struct subject *subject)
{
    struct sampler_clocks now = clocks_read();
    sample->time_ms = now.real_ms;
    sample->boot_ms = now.boot_ms;
    subject->last_ms = now.real_ms;
}

// The cheap sample. A deeper reading later in the round takes its place.
static int follow_add_sample(struct sampler *sampler, struct follow *follow,
                             struct subject *subject)
{
    struct sample sample = follow_cheap_sample(follow, &sampler->batch.host);
    sample_stamp(&sample, subject);
    follow->sample = sampler->batch.sample_count;
    sampler->cost.cheap++;
    return batch_add_sample(&sampler->batch, &sample);
}

// Makes a subject of one that matches, with its first sample. 0 or -ENOMEM. Room comes first, so
// that there is never a subject that nobody follows.
static int sampler_adopt(struct sampler *sampler, const struct find_match *match,
                         const struct cheap_reading *cheap)
{
    int error = array_reserve_one(&sampler->subjects, &sampler->subject_capacity,
                                  sampler->subject_count, sizeof *sampler->subjects);
    if (!error)
        error = array_reserve_one(&sampler->follows, &sampler->follow_capacity,
                                  sampler->follow_count, sizeof *sampler->follows);
    if (error)
        return error;
    struct subject *subject = &sampler->subjects[sampler->subject_count++];
    *subject = match->subject;
    subject->id = ++sampler->last_id;
    subject->first_ms = (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000);
    struct follow *follow = &sampler->follows[sampler->follow_count++];
    *follow = (struct follow){
        .id = subject->id,
        .pid = subject->pid,
        .cheap = *cheap,
        .plan = {.since_ns = clock_ns(CLOCK_MONOTONIC), .no_account = sampler->options.no_accounts},
        .lazy_bytes = SAMPLE_UNKNOWN,
        .swap_bytes = SAMPLE_UNKNOWN,
        .group_read_ms = clock_ns(CLOCK_BOOTTIME) / 1000000,
    };
    error = batch_tell(&sampler->batch, subject->id, EVENT_APPEARED, 0, subject->name);
    return error ? error : follow_add_sample(sampler, follow, subject);
}

// Its first reading, if it is still who it was when it was described. 0, -ESRCH, -ESTALE, -errno.
static int sampler_meet(struct sampler *sampler, const struct find_match *match,
                        struct cheap_reading *ret_cheap)
{
    int error = cheap_read(&sampler->find.reader, match->subject.pid, NULL, ret_cheap);
    if (error)
        return error == -ENOEXEC ? -ESRCH : error;
    switch (cheap_compare(&match->identity, &ret_cheap->identity)) {
    case CHEAP_SAME:
        return 0;
    case CHEAP_OTHER:
        return -ESRCH;
    case CHEAP_RENAMED:
    case CHEAP_EXEC:
        break;
    }
    return -ESTALE;
}

// One that called exec since it was found is described anew and met in the next round: nobody is
// lost who may not be found again. True while it is worth waiting for.
static bool sampler_rewrite(struct sampler *sampler, struct find_match *match)
{
    int error = find_describe(&sampler->find, match->subject.pid, match);
    return error == -ESTALE || (!error && find_wants(&sampler->find, &match->subject, true));
}

// Those who have ended in the meantime have never been there.
static int sampler_adopt_matches(struct sampler *sampler)
{
    struct find_matches *matches = &sampler->matches;
    size_t kept = 0;
    int error = 0;
    for (size_t i = 0; i < matches->count && !error; i++) {
        struct find_match *match = &matches->items[i];
        struct cheap_reading cheap;
        int met = sampler_meet(sampler, match, &cheap);
        if (met == 0)
            error = sampler_adopt(sampler, match, &cheap);
        else if (met == -ESTALE && sampler_rewrite(sampler, match))
            matches->items[kept++] = *match;
        else
            find_forget(&sampler->find, match->subject.pid);
    }
    matches->count = kept;
    return error;
}

// The end of a subject: of its process, or of the program that it was.
static int follow_end(struct sampler *sampler, struct follow *follow, enum event_kind kind,
                      const char *text)
{
    subject_get(sampler, follow->id)->has_ended = true;
    follow->is_gone = true;
    return batch_tell(&sampler->batch, follow->id, kind, 0, text);
}

// It executes something else now, which is a subject of its own if it matches, even where no new
// ones are looked for: it is the process that was asked for. In the middle of the exec nothing is
// told yet; the next round sees the difference again.
static int follow_exec(struct sampler *sampler, size_t index)
{
    struct follow *follow = &sampler->follows[index];
    struct find_match match;
    struct cheap_reading cheap;
    if (find_describe(&sampler->find, follow->pid, &match) != 0 ||
        match.identity.start_ticks != follow->cheap.identity.start_ticks ||
        sampler_meet(sampler, &match, &cheap) != 0)
        return 0;
    int pid = follow->pid;
    int error = follow_end(sampler, follow, EVENT_EXEC, match.subject.name);
    if (!error && find_wants(&sampler->find, &match.subject, true))
        return sampler_adopt(sampler, &match, &cheap);
    // A stranger from now on, who may become one of ours again.
    find_forget(&sampler->find, pid);
    return error;
}

// Has it become something else since its last reading?
static bool follow_has_execed(struct sampler *sampler, const struct follow *follow,
                              const struct cheap_reading *now, const struct subject *subject)
{
    enum cheap_change change = cheap_compare(&follow->cheap.identity, &now->identity);
    // A new comm alone is a program that names itself; a new command line with it is an exec that
    // hides its addresses from us.
    if (change == CHEAP_RENAMED && !cheap_is_seen(&now->identity))
        return find_has_other_line(&sampler->find, subject);
    return change == CHEAP_EXEC;
}

// Names change with comm; and those read in the middle of an exec, when there is no address to be
// seen yet, are not all there.
static void follow_refresh_names(struct sampler *sampler, const struct follow *follow,
                                 const struct cheap_reading *now, struct subject *subject)
{
    const struct cheap_identity *before = &follow->cheap.identity;
    if (strcmp(before->comm, now->identity.comm) != 0 ||
        (!cheap_is_seen(before) && cheap_is_seen(&now->identity)))
        find_read_names(&sampler->find, now->identity.comm, subject);
}

// With an account the group is read as well, but not everybody gets accounts.
static void follow_refresh_group(struct sampler *sampler, struct follow *follow,
                                 struct subject *subject)
{
    uint64_t now_ms = sampler->last.boot_ms;
    // Not all of them in one round.
    if (now_ms - follow->group_read_ms < SAMPLER_GROUP_MS + follow->id % 64 * 256)
        return;
    follow->group_read_ms = now_ms;
    find_read_group(&sampler->find, subject);
}

// The cheap reading of one that is followed.
static int sampler_visit(struct sampler *sampler, size_t index)
{
    struct follow *follow = &sampler->follows[index];
    struct subject *subject = subject_get(sampler, follow->id);
    struct cheap_reading now;
    int error = cheap_read(&sampler->find.reader, follow->pid, &follow->cheap, &now);
    if (error == -ESRCH || error == -ENOEXEC ||
        (!error && cheap_compare(&follow->cheap.identity, &now.identity) == CHEAP_OTHER)) {
        // Who has its number now may match as well.
        find_forget(&sampler->find, follow->pid);
        return follow_end(sampler, follow, EVENT_ENDED, "");
    }
    // Whatever else it is (no descriptor, no memory), it tells nothing of the process.
    if (error)
        return 0;
    if (follow_has_execed(sampler, follow, &now, subject))
        return follow_exec(sampler, index);
    follow_refresh_names(sampler, follow, &now, subject);
    cheap_remember(&follow->cheap.identity, &now.identity);
    follow->cheap = now;
    follow_refresh_group(sampler, follow, subject);
    return follow_add_sample(sampler, follow, subject);
}

// In the order of their appearance, which is that of the samples in a batch.
static int sampler_visit_all(struct sampler *sampler)
{
    // What an exec appends has been read already.
    size_t count = sampler->follow_count;
    int error = 0;
    for (size_t i = 0; i < count && !error; i++) {
        // Whoever cannot be read this time has no sample.
        sampler->follows[i].sample = SIZE_MAX;
        error = sampler_visit(sampler, i);
    }
    return error;
}

// New ones come after those that are known, so that ids ascend in the batch.
static int sampler_look(struct sampler *sampler)
{
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    int error = 0;
    if (sampler->options.follow && now_ns >= sampler->find_due_ns) {
        sampler->find_due_ns = now_ns + sampler->options.find_ms * 1000000;
        error = find_look(&sampler->find, &sampler->matches);
    }
    return error ? error : sampler_adopt_matches(sampler);
}

// Those that wish for more than they have, the most urgent first.
static int sampler_gather(struct sampler *sampler, size_t *ret_count)
{
    size_t count = 0;
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    for (size_t i = 0; i < sampler->follow_count; i++) {
        const struct follow *follow = &sampler->follows[i];
        if (follow->is_gone || follow->sample == SIZE_MAX)
            continue;
        struct plan_figures now = follow_figures(follow, &sampler->batch.host, now_ns);
        struct plan_wish wish = plan_wish(&sampler->plan, &follow->plan, &now);
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
    struct subject *subject = subject_get(sampler, follow->id);
    struct sample sample = follow_cheap_sample(follow, &sampler->batch.host);
    sample_stamp(&sample, subject);
    int error = follow_read_deep(&context, follow, subject, turn->wish.kind, &sample);
    sampler->batch.samples[follow->sample] = sample;
    return error;
}

// Half of the interval at most is spent on deeper readings, so that the next round can be on time.
static int sampler_deepen_all(struct sampler *sampler)
{
    plan_refill(&sampler->plan, clock_ns(CLOCK_MONOTONIC));
    size_t count;
    int error = sampler_gather(sampler, &count);
    uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + sampler->options.interval_ms * 500000;
    for (size_t i = 0; i < count && !error; i++) {
        const struct plan_turn *turn = &sampler->turns[i];
        bool is_late = !turn->wish.is_wanted && clock_ns(CLOCK_MONOTONIC) >= end_ns;
        if (is_late || !plan_may_begin(&sampler->plan, &turn->wish))
            break;
        error = sampler_deepen(sampler, turn);
    }
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
    struct sampler_clocks now = clocks_read();
    // Those that ended in the round before have been seen by now.
    sampler_forget_beyond(sampler);
    batch_clear(&sampler->batch);
    sampler->batch.time_ms = now.real_ms;
    int error = 0;
    // The first round has nothing to compare with.
    if (sampler->last.boot_ms) {
        error = sampler_tell_gap(sampler, &now);
        if (!error)
            error = sampler_tell_clock(sampler, &now);
    }
    sampler->last = now;
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

int sampler_round(struct sampler *sampler, const struct batch **ret_batch)
{
    int error = sampler_begin(sampler);
    sampler_set_due(sampler);
    if (!error)
        error = sampler_visit_all(sampler);
    if (!error)
        error = sampler_look(sampler);
    if (!error)
        error = sampler_deepen_all(sampler);
    // Also after a failure: what is gone must not be visited again.
    sampler_drop_gone(sampler);
    if (error)
        return error;
    sampler->cost.rounds++;
    *ret_batch = &sampler->batch;
    bool is_over = sampler->follow_count == 0 && sampler->matches.count == 0;
    return is_over && !sampler->options.follow ? -ESRCH : 0;
}

uint64_t sampler_due_ms(const struct sampler *sampler)
{
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    // Rounded up: who sleeps so long wakes up when it is due, not a moment before.
    return now_ns < sampler->due_ns ? (sampler->due_ns - now_ns + 999999) / 1000000 : 0;
}

void sampler_want_account(struct sampler *sampler, unsigned subject)
{
    // It may have ended since the caller saw it.
    struct follow *follow = follow_get(sampler, subject);
    if (follow)
        follow->plan.is_wanted = true;
}

const struct subject *sampler_subjects(const struct sampler *sampler, size_t *ret_count)
{
    *ret_count = sampler->subject_count;
    return sampler->subjects;
}

const struct subject *sampler_subject(const struct sampler *sampler, unsigned id)
{
    return subject_get(sampler, id);
}

const struct digest *sampler_digest(const struct sampler *sampler, unsigned id)
{
    const struct follow *follow = follow_get(sampler, id);
    return follow ? follow->digest : NULL;
}

void sampler_forget(struct sampler *sampler, int64_t time_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < sampler->subject_count; i++) {
        const struct subject *subject = &sampler->subjects[i];
        if (!subject->has_ended || subject->last_ms >= time_ms)
            sampler->subjects[kept++] = *subject;
    }
    sampler->subject_count = kept;
}

struct sampler_cost sampler_cost(const struct sampler *sampler)
{
    return sampler->cost;
}
