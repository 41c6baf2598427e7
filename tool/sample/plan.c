// SPDX-License-Identifier: Apache-2.0
// The plan of readings, see plan.h. Tool world; pure.
#include "sample/plan.h"

#include <math.h>
#include <stdlib.h>

// Tokens are saved up for this long at most: a burst after a quiet time stays short.
static const double plan_saved_s = 10;
// And so many are there at the start, when every process is new: first accounts of a whole host
// come within half a minute, not in one burst.
static const double plan_first_s = 6;
// A change that matters: as much as an account's rows would move visibly.
static const uint64_t plan_least_bytes = 1 << 20;
// MADV_FREE of less than this, by the whole host, tells nothing of one process.
static const uint64_t plan_least_pages = 256;
static const double ns_per_s = 1e9;

// Ages in seconds. A process that ran but did not change in size may still have freed lazily or
// moved bytes between rows; one that did not run can only have lost pages to the kernel.
static const double age_account_active_s = 60, age_account_idle_s = 600;
static const double age_lazy_active_s = 10;
// Writing to lazily freed pages shows in no counter: RSS stands still, and nothing faults.
static const double age_lazy_rewriting_s = 1;
// What appears and ends within a blink is not worth an account while others wait.
static const double age_first_s = 10;
// But who was there when everything began has not just appeared.
static const uint64_t plan_start_ns = 1000000000;
// Of tries that were denied: doubled from a second on, up to this.
enum { PLAN_DENIALS_MAX = 9 };
static const double plan_denied_most_s = 300;
// Of the end: in parts of what the share gave; fifty accounts of usual processes at least.
static const double plan_last_part = 0.25, plan_last_least_s = 0.1;

// The guesses hold until the first readings have been paid for.
void plan_init(struct plan *plan, double share, uint64_t now_ns)
{
    const double gib = 1 << 30;
    *plan = (struct plan){
        .share = share,
        .tokens_ns = share * plan_first_s * ns_per_s,
        .capacity_ns = share * plan_saved_s * ns_per_s,
        .began_ns = now_ns,
        .refilled_ns = now_ns,
        // To begin with; measured on Linux 6.18, x86-64.
        .lazy = {.fixed_ns = 30e3, .ns_per_byte = 12e6 / gib},
        .account = {.fixed_ns = 4e6, .ns_per_byte = 20e6 / gib},
    };
}

void plan_refill(struct plan *plan, uint64_t now_ns)
{
    if (now_ns <= plan->refilled_ns)
        return;
    double income = (double)(now_ns - plan->refilled_ns) * plan->share;
    plan->refilled_ns = now_ns;
    // What was there from the start may be more than is ever saved up again: it is kept.
    if (plan->tokens_ns < plan->capacity_ns)
        plan->tokens_ns = fmin(plan->tokens_ns + income, plan->capacity_ns);
}

// A reading that costs more than can be saved begins with a full purse and is paid off afterwards.
bool plan_affords(const struct plan *plan, uint64_t cost_ns)
{
    return plan->tokens_ns >= fmin((double)cost_ns, plan->capacity_ns);
}

// The very first account of all is not waited for: who records one large process wants it now.
bool plan_may_begin(const struct plan *plan, const struct plan_wish *wish)
{
    bool is_first = !plan->has_begun && wish->kind == SAMPLE_ACCOUNT;
    return wish->is_wanted || is_first || plan_affords(plan, wish->cost_ns);
}

static int plan_compare(const void *left, const void *right)
{
    const struct plan_turn *a = left, *b = right;
    if (a->wish.urgency != b->wish.urgency)
        return a->wish.urgency > b->wish.urgency ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

void plan_sort(struct plan_turn *turns, size_t count)
{
    // qsort() must not be given NULL.
    if (count > 0)
        qsort(turns, count, sizeof *turns, plan_compare);
}

// Never negative: a clock that goes back makes nothing older.
static double plan_age_s(uint64_t since_ns, uint64_t now_ns)
{
    return now_ns > since_ns ? (double)(now_ns - since_ns) / ns_per_s : 0;
}

uint64_t plan_guess(const struct plan *plan, const struct plan_subject *subject,
                    enum sample_kind kind, uint64_t rss_bytes)
{
    bool is_account = kind == SAMPLE_ACCOUNT;
    const struct plan_cost *cost = is_account ? &plan->account : &plan->lazy;
    uint64_t own_ns = is_account ? subject->account_cost_ns : subject->lazy_cost_ns;
    uint64_t then_bytes = is_account ? subject->account_rss_bytes : subject->lazy_rss_bytes;
    if (own_ns == 0)
        return (uint64_t)(cost->fixed_ns + cost->ns_per_byte * (double)rss_bytes);
    // Its own last cost is the best guess, and for what has come since, the general one.
    double more = rss_bytes > then_bytes ? (double)(rss_bytes - then_bytes) : 0;
    return own_ns + (uint64_t)(more * cost->ns_per_byte);
}

// A fall tells as much as a rise.
static uint64_t plan_distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

// How much its memory has changed since a reading: 0 nothing that matters, else a weight.
static double plan_change(const struct plan_figures *then, const struct plan_figures *now)
{
    uint64_t moved = plan_distance(then->rss_bytes, now->rss_bytes);
    uint64_t larger = then->rss_bytes > now->rss_bytes ? then->rss_bytes : now->rss_bytes;
    if (moved <= plan_least_bytes || moved <= larger / 100)
        return 0;
    if (moved <= larger / 10)
        return 2;
    return moved <= larger / 2 ? 4 : 8;
}

// Did the process run at all? Times have steps of 10 ms, faults tell of less.
static bool plan_was_active(const struct plan_figures *then, const struct plan_figures *now)
{
    return then->cpu_ms != now->cpu_ms || then->minor_faults != now->minor_faults;
}

// Half of what can be saved: nobody else is kept waiting for what is spent now.
static bool plan_has_plenty(const struct plan *plan)
{
    return plan->tokens_ns * 2 >= plan->capacity_ns;
}

// The weight of an account's turn, 0 for none.
static double plan_weigh_account(const struct plan *plan, const struct plan_subject *subject,
                                 const struct plan_figures *now)
{
    bool is_plenty = plan_has_plenty(plan);
    if (!subject->has_account) {
        bool is_old = subject->since_ns - plan->began_ns < plan_start_ns ||
                      plan_age_s(subject->since_ns, now->now_ns) >= age_first_s;
        return is_plenty || is_old ? 16 : 0;
    }
    const struct plan_figures *then = &subject->account;
    double age_s = plan_age_s(then->now_ns, now->now_ns);
    if (subject->again_ns != 0 && now->now_ns >= subject->again_ns)
        return 2;
    double change = plan_change(then, now);
    // While tokens are plenty there is no reason to take less than an account.
    if (change > 0 && (is_plenty || age_s >= age_account_active_s))
        return change;
    bool is_active = plan_was_active(then, now);
    if (is_active && is_plenty && age_s >= age_lazy_active_s)
        return 1;
    return age_s >= (is_active ? age_account_active_s : age_account_idle_s) ? 1 : 0;
}

// Could it have written to pages that were lazily freed? That costs time of a core, and matters
// where there were many. Others are not kept waiting for it: tokens must be plenty.
static bool plan_may_rewrite(const struct plan *plan, const struct plan_figures *then,
                             const struct plan_figures *now)
{
    bool is_large = then->lazy_bytes != SAMPLE_UNKNOWN && then->lazy_bytes >= plan_least_bytes &&
                    then->lazy_bytes >= then->rss_bytes / 100;
    return is_large && then->cpu_ms != now->cpu_ms && plan_has_plenty(plan);
}

// The weight of a lazy reading's turn, 0 for none.
static double plan_weigh_lazy(const struct plan *plan, const struct plan_subject *subject,
                              const struct plan_figures *now)
{
    if (!subject->has_deep)
        return 16;
    const struct plan_figures *then = &subject->deep;
    double change = plan_change(then, now);
    if (change > 0 || !plan_was_active(then, now))
        return change;
    if (now->lazily_freed_pages - then->lazily_freed_pages >= plan_least_pages)
        return 2;
    double age_s = plan_may_rewrite(plan, then, now) ? age_lazy_rewriting_s : age_lazy_active_s;
    return plan_age_s(then->now_ns, now->now_ns) >= age_s ? 1 : 0;
}

// A wish of that weight, with its turn and its price.
static struct plan_wish plan_wish_for(const struct plan *plan, const struct plan_subject *subject,
                                      const struct plan_figures *now, enum sample_kind kind,
                                      double weight)
{
    bool is_account = kind == SAMPLE_ACCOUNT;
    bool has = is_account ? subject->has_account : subject->has_deep;
    uint64_t then_ns = is_account ? subject->account.now_ns : subject->deep.now_ns;
    double waited_s = plan_age_s(has ? then_ns : subject->since_ns, now->now_ns);
    uint64_t cost_ns = plan_guess(plan, subject, kind, now->rss_bytes);
    // One second and one millisecond more keep new and free ones comparable.
    double urgency = (waited_s + 1) * weight / sqrt((double)cost_ns / 1e6 + 1);
    return (struct plan_wish){.kind = kind, .urgency = urgency, .cost_ns = cost_ns};
}

// A user looks at it: only the target itself is spared.
static struct plan_wish plan_wish_wanted(const struct plan *plan,
                                         const struct plan_subject *subject,
                                         const struct plan_figures *now)
{
    struct plan_wish wish = plan_wish_for(plan, subject, now, SAMPLE_ACCOUNT, 16);
    wish.is_wanted = true;
    wish.urgency = INFINITY;
    return wish;
}

static bool plan_can_account(const struct plan_subject *subject, const struct plan_figures *now)
{
    return !subject->no_account && now->now_ns >= subject->denied_until_ns;
}

struct plan_wish plan_wish_last(const struct plan *plan, const struct plan_subject *subject,
                                const struct plan_figures *now)
{
    if (subject->no_account || subject->denials > 0)
        return (struct plan_wish){.kind = SAMPLE_CHEAP};
    const struct plan_figures *then = &subject->account;
    double weight = 1 + (subject->has_account ? plan_change(then, now) : 0);
    struct plan_wish wish = plan_wish_for(plan, subject, now, SAMPLE_ACCOUNT, weight);
    bool has_changed = plan_was_active(then, now) || then->rss_bytes != now->rss_bytes;
    double rank = !subject->has_account ? 2 : has_changed ? 1 : 0;
    // Below one, so that no wait makes up for a rank.
    wish.urgency = rank + wish.urgency / (wish.urgency + 1);
    return wish;
}

uint64_t plan_last_budget_ns(const struct plan *plan, uint64_t now_ns)
{
    double passed_s = plan_age_s(plan->began_ns, now_ns);
    double more_s = fmax(plan->share * passed_s * plan_last_part, plan_last_least_s);
    return (uint64_t)(more_s * ns_per_s);
}

struct plan_wish plan_wish(const struct plan *plan, const struct plan_subject *subject,
                           const struct plan_figures *now)
{
    bool can_account = plan_can_account(subject, now);
    if (subject->is_wanted && can_account && now->now_ns >= subject->account_until_ns)
        return plan_wish_wanted(plan, subject, now);
    struct plan_wish none = {.kind = SAMPLE_CHEAP};
    if (now->now_ns < subject->rest_until_ns)
        return none;
    // Both are weighed; the account tells all that the other does.
    double account = can_account ? plan_weigh_account(plan, subject, now) : 0;
    bool can_lazy = !subject->no_lazy && !subject->lazy_is_denied;
    double lazy = can_lazy ? plan_weigh_lazy(plan, subject, now) : 0;
    if (account == 0 && lazy == 0)
        return none;
    struct plan_wish deep = plan_wish_for(plan, subject, now, SAMPLE_ACCOUNT, account);
    struct plan_wish light = plan_wish_for(plan, subject, now, SAMPLE_LAZY, lazy);
    // One that cannot be paid for yet is waited for, but not in the dark: the light one is a first
    // answer, and where many wait for their first, everybody has that one before anybody has more.
    bool is_dear = !plan_may_begin(plan, &deep) || (plan->has_begun && !plan_has_plenty(plan));
    bool is_blind = !subject->has_deep && lazy > 0 && is_dear;
    return account > 0 && !is_blind ? deep : light;
}

// Moves a learnt figure an eighth of the way to what was seen.
static void plan_learn(double *estimate, double seen)
{
    *estimate += (fmax(seen, 0) - *estimate) / 8;
}

// Small processes tell what a reading costs at all, large ones what a byte costs.
static void plan_learn_cost(struct plan_cost *cost, uint64_t rss_bytes, uint64_t cpu_ns)
{
    double bytes = (double)rss_bytes, seen = (double)cpu_ns;
    double walk = cost->ns_per_byte * bytes;
    if (walk > cost->fixed_ns && bytes > 0)
        plan_learn(&cost->ns_per_byte, (seen - cost->fixed_ns) / bytes);
    else
        plan_learn(&cost->fixed_ns, seen - walk);
}

// Ends of rests are moments, not lengths: nothing has to be counted down.
static uint64_t plan_after(uint64_t now_ns, double rest_ns)
{
    // A reading of a century is a clock gone mad; the sum must not wrap.
    return now_ns + (uint64_t)fmin(rest_ns, 1e17);
}

void plan_spend(struct plan *plan, struct plan_subject *subject, enum sample_kind kind,
                const struct plan_figures *now, uint64_t cpu_ns, uint64_t walk_ns)
{
    bool is_account = kind == SAMPLE_ACCOUNT;
    // May go below nothing: then it is paid off first.
    plan->tokens_ns -= (double)cpu_ns;
    plan_learn_cost(is_account ? &plan->account : &plan->lazy, now->rss_bytes, cpu_ns);
    subject->rest_until_ns = plan_after(now->now_ns, (double)walk_ns / plan->share);
    subject->deep = *now;
    subject->has_deep = true;
    if (!is_account) {
        subject->lazy_cost_ns = cpu_ns;
        subject->lazy_rss_bytes = now->rss_bytes;
        return;
    }
    plan->has_begun = true;
    subject->denials = 0;
    subject->lazy_is_denied = false;
    // A user who looks on takes a tenth of the target's time at most.
    const double wanted_rest = 10;
    subject->account = *now;
    subject->has_account = true;
    subject->is_wanted = false;
    subject->account_cost_ns = cpu_ns;
    subject->account_rss_bytes = now->rss_bytes;
    subject->account_until_ns = plan_after(now->now_ns, (double)walk_ns * wanted_rest);
}

void plan_fail(struct plan *plan, struct plan_subject *subject, uint64_t now_ns, uint64_t cpu_ns)
{
    plan->tokens_ns -= (double)cpu_ns;
    subject->rest_until_ns = plan_after(now_ns, ns_per_s);
    subject->account_until_ns = subject->rest_until_ns;
}

void plan_deny(struct plan_subject *subject, uint64_t now_ns)
{
    double rest_s = ldexp(1, (int)subject->denials);
    if (subject->denials < PLAN_DENIALS_MAX)
        subject->denials++;
    subject->denied_until_ns = plan_after(now_ns, fmin(rest_s, plan_denied_most_s) * ns_per_s);
    // A user's wish is not repeated for ever.
    subject->is_wanted = false;
}
