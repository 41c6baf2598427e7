// SPDX-License-Identifier: Apache-2.0
// What a round does with one process, see follow.h. Tool world; internal to the sampler.
#include "sample/follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "sample/digest.h"

// A new account, or the end.
static void follow_drop_digest(struct follow *follow)
{
    if (follow->digest)
        digest_free(follow->digest);
    free(follow->digest);
    follow->digest = NULL;
}

void follow_free(struct follow *follow)
{
    follow_drop_digest(follow);
    trend_free(&follow->trend);
}

// What the kernel took of lazily freed pages lowers RSS by as much: the smaller of the process's
// loss and of what was taken in the whole host is taken off.
static uint64_t follow_lazy_now(const struct follow *follow, const struct host_sample *host)
{
    if (follow->lazy_bytes == SAMPLE_UNKNOWN)
        return SAMPLE_UNKNOWN;
    uint64_t rss = follow->cheap.rss_bytes, page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t lost = follow->lazy_rss_bytes > rss ? follow->lazy_rss_bytes - rss : 0;
    uint64_t pages = host->lazily_taken_pages > follow->lazy_taken_pages
                         ? host->lazily_taken_pages - follow->lazy_taken_pages
                         : 0;
    uint64_t taken = number_least(number_least(lost, number_least(pages, lost / page + 1) * page),
                                  follow->lazy_bytes);
    return number_least(follow->lazy_bytes - taken, follow->cheap.anon_bytes);
}

// Effective RSS is RSS where lazy is unknown: too high at worst, never an alarm that is not rung.
struct sample follow_cheap_sample(const struct follow *follow, const struct host_sample *host)
{
    const struct cheap_reading *cheap = &follow->cheap;
    uint64_t lazy = follow_lazy_now(follow, host);
    return (struct sample){
        .subject = follow->id,
        .kind = SAMPLE_CHEAP,
        .rss_bytes = cheap->rss_bytes,
        .lazy_bytes = lazy,
        .effective_bytes = cheap->rss_bytes - (lazy == SAMPLE_UNKNOWN ? 0 : lazy),
        .anon_bytes = cheap->anon_bytes,
        .virtual_bytes = cheap->virtual_bytes,
        .swap_bytes = follow->swap_bytes,
        .minor_faults = cheap->minor_faults,
        .major_faults = cheap->major_faults,
        .cpu_ms = cheap->cpu_ms,
        .threads = cheap->threads,
        .peak_rss_bytes = cheap->peak_rss_bytes,
    };
}

// The host's counter takes part: who has freed lazily shows nowhere else without a walk.
struct plan_figures follow_figures(const struct follow *follow, const struct host_sample *host,
                                   uint64_t now_ns)
{
    return (struct plan_figures){
        .now_ns = now_ns,
        .rss_bytes = follow->cheap.rss_bytes,
        .minor_faults = follow->cheap.minor_faults,
        .cpu_ms = follow->cheap.cpu_ms,
        .lazy_bytes = follow->lazy_bytes,
        .lazily_freed_pages = host->lazily_freed_pages,
    };
}

// Figures that count collections, by the names that their runtimes give them.
static const struct {
    const char *runtime, *name;
    enum event_kind kind;
} follow_counters[] = {
    {"Go", "NumGC", EVENT_GC},
    {"JVM", "young collections", EVENT_GC},
    {"JVM", "full collections", EVENT_GC},
    {"libebb", "Purges", EVENT_PURGE},
};

// What two ledgers tell by their difference only: when exactly it happened between them is not
// known, so the events bear the time of the later one.
int follow_tell_changes(struct batch *batch, unsigned id, const struct digest *before,
                        const struct digest *now)
{
    int error = 0;
    for (size_t i = 0; i < sizeof follow_counters / sizeof *follow_counters && !error; i++) {
        const char *runtime = follow_counters[i].runtime, *name = follow_counters[i].name;
        const struct runtime_figure *then = digest_figure(before, runtime, name);
        const struct runtime_figure *later = digest_figure(now, runtime, name);
        // A ledger that was not readable once, or began anew, counts nothing.
        if (!then || !later || later->value <= then->value)
            continue;
        char text[64];
        text_format(text, sizeof text, "%s %s", runtime, name);
        error = batch_tell(batch, id, follow_counters[i].kind, later->value - then->value, text);
    }
    return error;
}

// The plan's clock.
static uint64_t monotonic_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// Once for each subject, until an account of it was possible.
static int follow_tell_unreadable(const struct follow_context *context, struct follow *follow,
                                  const char *why)
{
    plan_deny(&follow->plan, monotonic_ns());
    if (follow->is_told)
        return 0;
    follow->is_told = true;
    return batch_tell(context->batch, follow->id, EVENT_UNREADABLE, 0, why);
}

// A reading that gave nothing: what it cost is charged, and it is not tried again at once.
static int follow_fail(const struct follow_context *context, struct follow *follow,
                       enum sample_kind kind, int error, struct deep_cost cost)
{
    plan_fail(context->plan, &follow->plan, monotonic_ns(), cost.cpu_ns);
    context->cost->deep_ns += cost.cpu_ns;
    if (error == -ENOMEM)
        return error;
    // Everything else may be better the next time: it called exec just now, or there was no memory
    // for it in the kernel.
    bool is_denied = error == -EACCES || error == -EPERM;
    // Without LazyFree in smaps_rollup an account is the only way to know.
    if (kind == SAMPLE_LAZY && (error == -ENOENT || error == -ENOTSUP))
        follow->plan.no_lazy = true;
    if (kind == SAMPLE_LAZY && is_denied)
        follow->plan.lazy_is_denied = true;
    return 0;
}

// From here on cheap samples lean on this one.
static void follow_keep(const struct follow_context *context, struct follow *follow,
                        const struct sample *sample, struct deep_cost cost)
{
    // Its RSS by statm, not by smaps: the two count a little differently, and the next cheap
    // reading is compared with this one.
    follow->lazy_bytes = sample->lazy_bytes;
    follow->swap_bytes = sample->swap_bytes;
    follow->lazy_rss_bytes = follow->cheap.rss_bytes;
    follow->lazy_taken_pages = context->batch->host.lazily_taken_pages;
    struct plan_figures now = follow_figures(follow, &context->batch->host, monotonic_ns());
    plan_spend(context->plan, &follow->plan, sample->kind, &now, cost.cpu_ns, cost.walk_ns);
    context->cost->deep_ns += cost.cpu_ns;
    if (cost.walk_ns > context->cost->longest_walk_ns)
        context->cost->longest_walk_ns = cost.walk_ns;
}

// smaps_rollup: what a target pays for it is the same walk, but none of the text.
static int follow_read_lazy(const struct follow_context *context, struct follow *follow,
                            struct sample *sample)
{
    struct deep_cost cost;
    int error = deep_read_lazy(context->reader, follow->pid, context->scratch, sample, &cost);
    if (error)
        return follow_fail(context, follow, SAMPLE_LAZY, error, cost);
    context->cost->lazy++;
    struct growth_sample now = {
        .time_s = (double)sample->boot_ms / 1000,
        .effective_bytes = sample->effective_bytes,
        .rss_bytes = sample->rss_bytes,
    };
    trend_add(&follow->trend, &now, sample);
    follow_keep(context, follow, sample, cost);
    return 0;
}

// A verdict that stands is told with the moment since when it does. One that is on trial is looked
// at again when its time is over, as far as the budget allows.
static int follow_settle(const struct follow_context *context, struct follow *follow,
                         const struct digest *digest, const struct sample *sample)
{
    struct batch *batch = context->batch;
    uint64_t since_ms = follow->verdict.next_ms;
    bool is_told = settle_verdict(&follow->verdict, digest->verdict, sample->boot_ms);
    uint64_t hold_ms = settle_hold_ms(&follow->verdict);
    follow->plan.again_ns = hold_ms ? monotonic_ns() + hold_ms * 1000000 : 0;
    if (!is_told)
        return 0;
    int error = batch_tell(batch, follow->id, EVENT_VERDICT, digest->verdict, digest->headline);
    if (!error)
        batch->events[batch->event_count - 1].time_ms =
            sample->time_ms - (int64_t)(sample->boot_ms - since_ms);
    return error;
}

// Takes over what an account gave; the digest before it has served its last purpose.
static int follow_take_digest(const struct follow_context *context, struct follow *follow,
                              struct digest *digest, const struct sample *sample)
{
    int error = follow_settle(context, follow, digest, sample);
    if (!error && follow->digest)
        error = follow_tell_changes(context->batch, follow->id, follow->digest, digest);
    // Not inside of the follow, which moves when others come and go.
    struct digest *kept = malloc(sizeof *kept);
    if (!kept || error) {
        free(kept);
        digest_free(digest);
        return -ENOMEM;
    }
    *kept = *digest;
    follow_drop_digest(follow);
    follow->digest = kept;
    return 0;
}

// Rights and trees stay as they are; a process that ended or called exec has its own event.
static bool follow_is_final(int error)
{
    return error == -EACCES || error == -EPERM || error == -ENOENT || error == -EBADMSG;
}

// Whether it may be read at all is asked first: a survey without rights costs a hundred times as
// much as the question.
static int follow_read_account(const struct follow_context *context, struct follow *follow,
                               struct subject *subject, struct sample *sample)
{
    struct deep_account account = {.why = "no account of it is possible"};
    struct deep_cost cost = {0};
    int error = deep_probe(context->reader, follow->pid, account.why, sizeof account.why);
    if (!error)
        error = deep_read_account(context->options, follow->pid, subject->start_ticks,
                                  context->survey, &follow->trend, sample, &account, &cost);
    if (error) {
        int failed = follow_fail(context, follow, SAMPLE_ACCOUNT, error, cost);
        return !failed && follow_is_final(error)
                   ? follow_tell_unreadable(context, follow, account.why)
                   : failed;
    }
    error = follow_take_digest(context, follow, &account.digest, sample);
    if (error)
        return error;
    // What it became unreadable by would be told again.
    follow->is_told = false;
    context->cost->accounts++;
    sample->digest = follow->digest;
    follow_keep(context, follow, sample, cost);
    return 0;
}

int follow_read_deep(const struct follow_context *context, struct follow *follow,
                     struct subject *subject, enum sample_kind kind, struct sample *sample)
{
    return kind == SAMPLE_ACCOUNT ? follow_read_account(context, follow, subject, sample)
                                  : follow_read_lazy(context, follow, sample);
}
