// SPDX-License-Identifier: Apache-2.0
// Making a digest of a survey, see digest.h. Tool world; pure.
#include "sample/digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// "Go 1.24.4, glibc 2.36": in the order of the reports, cut where there is no more room.
static void digest_name_runtimes(const struct survey *survey, struct digest *digest)
{
    size_t len = 0;
    for (size_t i = 0; i < survey->report_count && len + 1 < sizeof digest->runtimes; i++) {
        const struct runtime_report *report = &survey->reports[i];
        const char *blank = report->version[0] ? " " : "";
        text_format(digest->runtimes + len, sizeof digest->runtimes - len, "%s%s%s%s",
                    len > 0 ? ", " : "", report->name, blank, report->version);
        len += strlen(digest->runtimes + len);
    }
}

// Counted first, so that a digest is one block beside its figures: there may be thousands of them.
static size_t digest_count_figures(const struct survey *survey)
{
    size_t count = 0;
    for (size_t i = 0; i < survey->report_count; i++)
        count += survey->reports[i].figure_count;
    return count;
}

// Under their runtimes' names: two runtimes of a process may call a figure alike.
static int digest_take_figures(const struct survey *survey, struct digest *digest)
{
    size_t count = digest_count_figures(survey), at = 0;
    if (count == 0)
        return 0;
    digest->figures = calloc(count, sizeof *digest->figures);
    if (!digest->figures)
        return -ENOMEM;
    for (size_t i = 0; i < survey->report_count; i++) {
        const struct runtime_report *report = &survey->reports[i];
        for (size_t k = 0; k < report->figure_count; k++) {
            struct digest_figure *figure = &digest->figures[at++];
            text_copy(text_of(report->name), figure->runtime, sizeof figure->runtime);
            figure->figure = report->figures[k];
        }
    }
    digest->figure_count = count;
    return 0;
}

// A group without figures (the root, or one out of sight) has no usage, but may have a limit.
static void digest_take_group(const struct cgroup *cgroup, struct digest *digest)
{
    bool has = cgroup->version != 0 && cgroup->has_usage;
    digest->group_usage_bytes = has ? cgroup->usage_bytes : SAMPLE_UNKNOWN;
    digest->group_working_set_bytes = has ? cgroup->working_set_bytes : SAMPLE_UNKNOWN;
    digest->group_inactive_file_bytes = has ? cgroup->inactive_file_bytes : SAMPLE_UNKNOWN;
    digest->group_limit_bytes = cgroup->version != 0 && cgroup->limit_bytes != CGROUP_NO_LIMIT
                                    ? cgroup->limit_bytes
                                    : SAMPLE_UNKNOWN;
}

// Advice comes before commands at times; of one line, a command that can be copied is worth more.
static const char *first_next(const struct verdict_lines *next)
{
    for (size_t i = 0; i < next->count; i++) {
        if (text_starts_with(text_of(next->text[i]), "ebb "))
            return next->text[i];
    }
    return next->count > 0 ? next->text[0] : "";
}

// Reasons, traps and entries are left out: twenty times as much again, and `ebb explain` has them.
int digest_make(const struct survey *survey, struct digest *ret_digest)
{
    if (!survey->has_account)
        return -ENODATA;
    const struct account *account = &survey->account;
    struct digest digest = {
        .swap_bytes = account->swap_bytes,
        .huge_bytes = account->huge_bytes,
        .locked_bytes = account->locked_bytes,
        .verdict = survey->verdict.code,
        .is_complete = !survey->lacks_rights,
    };
    memcpy(digest.row_bytes, account->row_bytes, sizeof digest.row_bytes);
    memcpy(digest.row_error_bytes, account->row_error_bytes, sizeof digest.row_error_bytes);
    text_copy(text_of(survey->verdict.headline), digest.headline, sizeof digest.headline);
    text_copy(text_of(first_next(&survey->verdict.next)), digest.next, sizeof digest.next);
    digest_name_runtimes(survey, &digest);
    digest_take_group(&survey->cgroup, &digest);
    int error = digest_take_figures(survey, &digest);
    if (!error)
        *ret_digest = digest;
    return error;
}

int digest_copy(const struct digest *digest, struct digest *ret_copy)
{
    struct digest copy = *digest;
    // Nobody frees the other's.
    copy.figures = NULL;
    if (digest->figure_count > 0) {
        size_t bytes = digest->figure_count * sizeof *digest->figures;
        copy.figures = malloc(bytes);
        if (!copy.figures)
            return -ENOMEM;
        memcpy(copy.figures, digest->figures, bytes);
    }
    *ret_copy = copy;
    return 0;
}

void digest_free(struct digest *digest)
{
    free(digest->figures);
    *digest = (struct digest){0};
}

// A linear search: there are some twenty of them.
const struct runtime_figure *digest_figure(const struct digest *digest, const char *runtime,
                                           const char *name)
{
    for (size_t i = 0; i < digest->figure_count; i++) {
        const struct digest_figure *figure = &digest->figures[i];
        if ((!runtime || strcmp(figure->runtime, runtime) == 0) &&
            strcmp(figure->figure.name, name) == 0)
            return &figure->figure;
    }
    return NULL;
}

// Integers throughout: a recording would need eight bytes for each real number.
uint64_t digest_figure_value(const struct runtime_figure *figure)
{
    if (figure->unit != FIGURE_RATIO)
        return figure->value;
    // What a ledger says may be no number at all: NaN answers no to every comparison.
    if (!(figure->ratio >= 0 && figure->ratio < 1e12))
        return SAMPLE_UNKNOWN;
    return (uint64_t)(figure->ratio * 1e6 + 0.5);
}
