// SPDX-License-Identifier: Apache-2.0
// Calls on behalf of readers, see ask.h. Tool world; the survey owns the state.
#include "runtime/ask.h"

#include <errno.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"

// One session for all readers: opening one reads symbols and filters, which takes longer than the
// calls themselves.
int ask_begin(const struct target *target, struct call_session **ret_session)
{
    struct ask *ask = target->ask;
    // Refused once, refused for all: rights and filters do not change within a reading.
    if (ask->error)
        return ask->error;
    if (!ask->session) {
        ask->error = call_open(target->process, target->mappings, target->images, NULL,
                               &ask->session, &ask->refusal);
        if (ask->error) {
            ask->session = NULL;
            return ask->error;
        }
    }
    // A thread that was busy for one reader may be fit for the next: that is no lasting refusal.
    int error = call_begin(ask->session);
    if (error) {
        ask->refusal = *call_why(ask->session);
        return error;
    }
    *ret_session = ask->session;
    return 0;
}

// The words are copied, since the session's own hold only until its next call.
void ask_end(const struct target *target, int error)
{
    struct ask *ask = target->ask;
    // Words of an earlier failure are not this one's.
    ask->refusal = (struct call_refusal){0};
    if (error)
        ask->refusal = *call_why(ask->session);
    call_end(ask->session);
}

// Mappings and images, which the session borrows, are the caller's and still there.
void ask_close(struct ask *ask)
{
    if (ask->session)
        call_close(ask->session);
    *ask = (struct ask){0};
}

// Made to fit the two halves of an unread entry, which renderers join to a sentence.
int ask_add_unread(const struct target *target, struct runtime_report *report, const char *what,
                   int error)
{
    const struct call_refusal *refusal = &target->ask->refusal;
    const char *why = refusal->why[0] ? refusal->why : strerror(-error);
    // Where nothing would help, the reason takes the place of the help.
    char text[2 * CALL_WHY_MAX];
    if (refusal->needs[0]) {
        text_format(text, sizeof text, "%s: %s", what, why);
        return report_add_unread(report, text, refusal->needs);
    }
    text_format(text, sizeof text, "nothing: %s", why);
    return report_add_unread(report, what, text);
}

uint64_t ask_find_function(const struct image *image, const char *name)
{
    // A view of one image: its own copy is asked, whichever others the process has.
    const char *const names[] = {name, NULL};
    struct images one = {.items = (struct image *)image, .count = 1};
    const struct image *found;
    uint64_t address;
    return call_find_function(&one, names, &address, &found) == 0 ? address : 0;
}

// Resident in the claims and not lazily freed, as the account will see it.
static uint64_t claimed_bytes(const struct runtime_report *report)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < report->claim_count; i++) {
        const struct runtime_claim *claim = &report->claims[i];
        bytes += claim->rss_bytes - number_least(claim->lazy_bytes, claim->rss_bytes);
    }
    return bytes;
}

// One part, less what is not resident: `*excess` goes down by what was cut.
static int add_cut(struct runtime_report *report, enum account_row row, uint64_t bytes,
                   uint64_t error_bytes, uint64_t *excess, const char *source)
{
    uint64_t cut = number_least(bytes, *excess);
    *excess -= cut;
    if (bytes == 0)
        return 0;
    if (__builtin_add_overflow(error_bytes, cut, &error_bytes))
        error_bytes = UINT64_MAX;
    return report_add_part(report, row, bytes - cut, error_bytes, source);
}

int ask_add_parts(struct runtime_report *report, const struct ask_answer *answer)
{
    const uint64_t parts[] = {answer->in_use_bytes, answer->slack_bytes, answer->kept_bytes,
                              answer->metadata_bytes};
    // Claims are of the smaps that was read before the calls: a program at work has moved on since.
    uint64_t sum = 0, resident = claimed_bytes(report);
    // Answers come from hostile memory: a sum beyond any size tells nothing.
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (__builtin_add_overflow(sum, parts[i], &sum))
            return 0;
    // The order in which memory that was never touched is likely: free pages before objects.
    uint64_t excess = sum > resident ? sum - resident : 0;
    int error = add_cut(report, ROW_KEPT, answer->kept_bytes, 0, &excess, answer->source);
    if (!error)
        error = add_cut(report, ROW_SLACK, answer->slack_bytes, 0, &excess, answer->source);
    if (!error)
        error = add_cut(report, ROW_IN_USE, answer->in_use_bytes, answer->error_bytes, &excess,
                        answer->source);
    if (!error)
        error = add_cut(report, ROW_METADATA, answer->metadata_bytes, 0, &excess, answer->source);
    return error;
}
