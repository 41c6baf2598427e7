// SPDX-License-Identifier: Apache-2.0
// Opening, closing and asking a sampler, see sampler.h. Tool world; one thread uses a sampler.
#include "sample/sampler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/locate_memory.h"
#include "sample/sampler_internal.h"

enum {
    // A hundred rounds a second: below that the rounds themselves are what is measured.
    SAMPLER_LEAST_INTERVAL_MS = 10,
    // A walk of /proc costs more than a round of a few processes: who is new is met within a
    // second.
    SAMPLER_FIND_MS = 1000,
    // For each runtime reader of an account. A heap of tens of gigabytes with millions of chunks
    // takes longer than is worth a sample; what it could not reach it says itself.
    SAMPLER_BUDGET_MS = 250,
};
static const double sampler_share = 0.01;

// None of these clocks can fail on Linux.
uint64_t sampler_clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// Not in one call, but a microsecond apart: nothing here is compared more closely.
static struct sampler_clocks system_clocks(void)
{
    return (struct sampler_clocks){
        .mono_ns = sampler_clock_ns(CLOCK_MONOTONIC),
        .boot_ms = sampler_clock_ns(CLOCK_BOOTTIME) / 1000000,
        .real_ms = (int64_t)(sampler_clock_ns(CLOCK_REALTIME) / 1000000),
    };
}

struct sampler_clocks sampler_read_clocks(const struct sampler *sampler)
{
    const struct sampler_options *options = &sampler->options;
    return options->clocks ? options->clocks(options->clocks_context) : system_clocks();
}

// An upper bound keeps products with nanoseconds within 64 bits.
static bool interval_is_good(uint64_t interval_ms)
{
    return interval_ms >= SAMPLER_LEAST_INTERVAL_MS && interval_ms <= UINT32_MAX;
}

static int sampler_check_options(const struct sampler_options *options)
{
    // NaN is refused by these comparisons.
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
    // With the pointers of the caller in it for a moment; both are replaced below.
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
    bool is_empty = !error && sampler->matches.count == 0;
    // Any folder can be opened; one of a host or of processes is a proc tree.
    if (is_empty && !sampler->find.has_host && sampler->find.known_count == 0)
        error = -ENOENT;
    else if (is_empty && !options->follow)
        error = -ESRCH;
    uint64_t now_ns = sampler_clock_ns(CLOCK_MONOTONIC);
    // The first round is due at once.
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

bool sampler_misses(const struct sampler *sampler, size_t selection)
{
    const struct selection *wanted = &sampler->selections[selection];
    bool is_found = sampler->options.follow && wanted->kind != SELECT_PID;
    for (size_t i = 0; i < sampler->matches.count && !is_found; i++)
        is_found = selection_matches(wanted, 1, &sampler->matches.items[i].subject);
    return !is_found;
}

void sampler_set_interval(struct sampler *sampler, uint64_t interval_ms)
{
    if (!interval_is_good(interval_ms))
        return;
    // A new grid begins now: lines of the old one mean nothing in it.
    sampler->options.interval_ms = interval_ms;
    sampler->due_ns = sampler_clock_ns(CLOCK_MONOTONIC);
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

// Whoever is followed has a subject; others may have been forgotten. The pointer is good until a
// subject is added or forgotten.
struct subject *sampler_get_subject(const struct sampler *sampler, unsigned id)
{
    size_t at =
        id_lower_bound(sampler->subjects, sampler->subject_count, sizeof(struct subject), id);
    bool has = at < sampler->subject_count && sampler->subjects[at].id == id;
    return has ? &sampler->subjects[at] : NULL;
}

// Those that live: one that has just ended has nothing more to read.
struct follow *sampler_get_follow(const struct sampler *sampler, unsigned id)
{
    size_t at = id_lower_bound(sampler->follows, sampler->follow_count, sizeof(struct follow), id);
    bool has = at < sampler->follow_count && sampler->follows[at].id == id;
    return has && !sampler->follows[at].is_gone ? &sampler->follows[at] : NULL;
}

uint64_t sampler_due_ms(const struct sampler *sampler)
{
    uint64_t now_ns = sampler_clock_ns(CLOCK_MONOTONIC);
    // Rounded up: who sleeps so long wakes up when it is due, not a moment before.
    return now_ns < sampler->due_ns ? (sampler->due_ns - now_ns + 999999) / 1000000 : 0;
}

void sampler_want_account(struct sampler *sampler, unsigned subject)
{
    // It may have ended since the caller saw it.
    struct follow *follow = sampler_get_follow(sampler, subject);
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
    return sampler_get_subject(sampler, id);
}

const struct digest *sampler_digest(const struct sampler *sampler, unsigned id)
{
    const struct follow *follow = sampler_get_follow(sampler, id);
    return follow ? follow->digest : NULL;
}

void sampler_forget(struct sampler *sampler, int64_t time_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < sampler->subject_count; i++) {
        const struct subject *subject = &sampler->subjects[i];
        if (!subject->has_ended || subject->last_ms >= time_ms)
            // Compacted in place: the order by id stays.
            sampler->subjects[kept++] = *subject;
    }
    sampler->subject_count = kept;
}

struct sampler_cost sampler_cost(const struct sampler *sampler)
{
    return sampler->cost;
}
