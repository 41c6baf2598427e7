// SPDX-License-Identifier: Apache-2.0
// Asking jemalloc, see jemalloc_ask.h. Tool world; no state.
#include "runtime/allocators/jemalloc_ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/allocators/mallctl.h"
#include "runtime/ask.h"

// Those that exist since 4.0 or came soon after, in the order in which they are shown.
enum statistic { ALLOCATED, ACTIVE, METADATA, RESIDENT, MAPPED, RETAINED, STATISTIC_COUNT };

// `figure` is the name under which people find it.
static const struct {
    const char *name, *figure;
} statistics[STATISTIC_COUNT] = {
    [ALLOCATED] = {"stats.allocated", "mallctl allocated"},
    [ACTIVE] = {"stats.active", "mallctl active"},
    [METADATA] = {"stats.metadata", "mallctl metadata"},
    [RESIDENT] = {"stats.resident", "mallctl resident"},
    [MAPPED] = {"stats.mapped", "mallctl mapped"},
    [RETAINED] = {"stats.retained", "mallctl retained"},
};

// dirty and muzzy are counted by arena; here they are of all of them.
struct jemalloc_answer {
    uint64_t values[STATISTIC_COUNT];
    uint64_t dirty_bytes, muzzy_bytes;
};

// Statistics are a picture of the moment in which the epoch was last written.
static int write_epoch(struct call_session *session, struct mallctl *mallctl)
{
    return mallctl_write_u64(session, mallctl, "epoch", 1);
}

// Those that came later than 4.0 may be missing: they count as nothing then.
static int read_statistic(struct call_session *session, struct mallctl *mallctl,
                          enum statistic statistic, uint64_t *ret_value)
{
    int error = mallctl_read_u64(session, mallctl, statistics[statistic].name, ret_value);
    bool is_optional = statistic != ALLOCATED && statistic != ACTIVE;
    if (error != -ENOENT || mallctl->call_error || !is_optional)
        return error;
    *ret_value = 0;
    return 0;
}

// Pages of all arenas together, "pdirty" or "pmuzzy"; 0 for those that this version does not count.
static int read_pages(struct call_session *session, struct mallctl *mallctl, const char *control,
                      uint64_t page_bytes, uint64_t *ret_bytes)
{
    // 5.0 gave all arenas together a number of their own, above any arena's.
    char name[MALLCTL_NAME_MAX];
    uint64_t pages;
    snprintf(name, sizeof name, "stats.arenas.%d.%s", MALLCTL_ARENAS_ALL, control);
    int error = mallctl_read_u64(session, mallctl, name, &pages);
    uint32_t arenas;
    if (error == -ENOENT && !mallctl->call_error &&
        mallctl_read_u32(session, mallctl, "arenas.narenas", &arenas) == 0) {
        snprintf(name, sizeof name, "stats.arenas.%u.%s", arenas, control);
        error = mallctl_read_u64(session, mallctl, name, &pages);
    }
    // Only jemalloc's own no means that there is nothing of the kind.
    if (mallctl->call_error)
        return mallctl->call_error;
    *ret_bytes = 0;
    if (!error && __builtin_mul_overflow(pages, page_bytes, ret_bytes))
        return -EBADMSG;
    return 0;
}

// In one stop, so that this thread at least changes nothing meanwhile.
static int read_all(struct call_session *session, struct mallctl *mallctl,
                    struct jemalloc_answer *ret_answer)
{
    struct jemalloc_answer answer = {0};
    uint64_t page_bytes = 4096;
    int error = write_epoch(session, mallctl);
    for (int i = 0; i < STATISTIC_COUNT && !error; i++)
        error = read_statistic(session, mallctl, (enum statistic)i, &answer.values[i]);
    if (!error)
        error = mallctl_read_u64(session, mallctl, "arenas.page", &page_bytes);
    if (!error)
        error = read_pages(session, mallctl, "pdirty", page_bytes, &answer.dirty_bytes);
    if (!error)
        error = read_pages(session, mallctl, "pmuzzy", page_bytes, &answer.muzzy_bytes);
    if (!error)
        *ret_answer = answer;
    // The session is none the worse when jemalloc itself says no.
    return error && !mallctl->call_error && error != -EBADMSG ? -ENOENT : error;
}

// Beside figures that were read under the plain names, hence the prefix.
static int add_figures(struct runtime_report *report, const struct jemalloc_answer *answer)
{
    int error = 0;
    for (int i = 0; i < STATISTIC_COUNT && !error; i++)
        error = report_add_bytes(report, statistics[i].figure, answer->values[i]);
    if (!error)
        error = report_add_bytes(report, "mallctl dirty", answer->dirty_bytes);
    return error ? error : report_add_bytes(report, "mallctl muzzy", answer->muzzy_bytes);
}

// Muzzy pages are lazily freed or gone: the kernel tells which.
static int add_parts(struct runtime_report *report, const struct jemalloc_answer *answer)
{
    const uint64_t *values = answer->values;
    // Extents were read: they tell what is resident, which no statistic does.
    if (report->part_count > 0 || report->claim_count == 0)
        return 0;
    const struct ask_answer parts = {
        .in_use_bytes = values[ALLOCATED],
        .slack_bytes = values[ACTIVE] - values[ALLOCATED],
        .kept_bytes = answer->dirty_bytes,
        .metadata_bytes = values[METADATA],
        .source = "asked: mallctl()",
    };
    return ask_add_parts(report, &parts);
}

int jemalloc_ask(const struct target *target, const struct image *image,
                 struct runtime_report *report)
{
    // This image's copy: another jemalloc of the process has other arenas.
    const struct images one = {.items = (struct image *)image, .count = 1};
    struct mallctl mallctl;
    if (mallctl_find(&one, &mallctl, 1) != 1)
        return -ENOENT;
    struct call_session *session;
    int error = ask_begin(target, &session);
    if (error)
        return error;
    struct jemalloc_answer answer;
    error = read_all(session, &mallctl, &answer);
    ask_end(target, mallctl.call_error);
    if (error)
        return error;
    // Both are of one epoch: what is allocated lies in active pages.
    if (answer.values[ALLOCATED] > answer.values[ACTIVE])
        return -EBADMSG;
    error = add_figures(report, &answer);
    return error ? error : add_parts(report, &answer);
}
