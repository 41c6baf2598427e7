// SPDX-License-Identifier: Apache-2.0
// A survey whose every text is hostile, see hostile.h. Test code.
#include "support/hostile.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "survey/reading.h"

const char hostile_text[] = "\033[31m\"\n\r\t\\ \xff\xc0\x80\xed\xa0\x80 \xe2\x80\xae \xd8\x9c "
                            "\xc2\x9b\x7f </script> %s%n \xf0\x9f";

// Repeats the text until the array is full, so that it ends in the middle of something.
static void fill(char *array, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++)
        array[i] = hostile_text[i % (sizeof hostile_text - 1)];
    array[size - 1] = '\0';
}

static int fill_report(struct runtime_report *report, size_t index)
{
    fill(report->name, sizeof report->name);
    report->name[0] = (char)('a' + index);
    fill(report->version, sizeof report->version);
    fill(report->place, sizeof report->place);
    report->approximate = true;
    int error = report_add_setting(report, hostile_text, hostile_text, hostile_text);
    if (!error)
        error = report_add_ratio(report, hostile_text, NAN);
    if (!error)
        error = report_add_ratio(report, "infinite", INFINITY);
    if (!error)
        error = report_add_bytes(report, "most", UINT64_MAX);
    if (!error)
        error = report_add_count(report, "count", 1);
    if (!error)
        error = report_add_part(report, ROW_IN_USE, 3 << 20, UINT64_MAX, hostile_text);
    return error ? error : report_add_unread(report, hostile_text, hostile_text);
}

static int fill_account(struct survey *survey)
{
    struct mapping item = {.start = 0x10000000,
                           .end = 0x20000000,
                           .rss_kib = 65536,
                           .lazy_free_kib = 32768,
                           .swap_kib = 65536,
                           .anon_huge_kib = 65536,
                           .kind = MAPPING_ANONYMOUS};
    struct runtime_claim claim = {0x10000000, 0x11000000, 16 << 20, 4 << 20, UINT64_MAX};
    struct mappings mappings = {.items = &item, .count = 1, .has_sizes = true};
    // The claims are borrowed for the moment; a survey never owns those of a test.
    survey->reports[0].claims = &claim;
    survey->reports[0].claim_count = 1;
    struct account_input input = {&mappings, survey->reports, survey->report_count, UINT64_MAX};
    int error = account_build(&input, &survey->account);
    survey->reports[0].claims = NULL;
    survey->reports[0].claim_count = 0;
    survey->has_account = error == 0;
    survey->rss_bytes = survey->account.rss_bytes;
    return error;
}

static void fill_identity(struct survey *survey)
{
    survey->pid = 1;
    fill(survey->name, sizeof survey->name);
    fill(survey->cmdline, sizeof survey->cmdline);
    fill(survey->exe, sizeof survey->exe);
    fill(survey->cgroup.path, sizeof survey->cgroup.path);
    survey->start_time_s = NAN;
    survey->uptime_s = INFINITY;
    survey->cgroup.version = 2;
    survey->cgroup.limit_bytes = 1;
    survey->cgroup.has_usage = true;
    survey->cgroup.usage_bytes = UINT64_MAX;
    survey->has_growth = true;
    survey->growth = (struct growth){.seconds = NAN, .has_in_use = true, .has_busy = true};
    survey->growth.effective =
        (struct growth_line){-INFINITY, NAN, INT64_MIN, true}; // only the renderers' problem
}

int hostile_survey(struct survey *ret_survey)
{
    enum { REPORTS = 2 };
    struct survey survey = {0};
    fill_identity(&survey);
    survey.reports = calloc(REPORTS, sizeof *survey.reports);
    int error = survey.reports ? 0 : -ENOMEM;
    for (size_t i = 0; i < REPORTS && !error; i++)
        error = fill_report(&survey.reports[survey.report_count++], i);
    if (!error)
        error = fill_account(&survey);
    if (!error)
        error = survey_add_unread(&survey, hostile_text, hostile_text);
    if (!error)
        error = survey_add_unread(&survey, "another", "nothing");
    if (error) {
        survey_free(&survey);
        return error;
    }
    struct verdict_input input = {.account = &survey.account,
                                  .reports = survey.reports,
                                  .report_count = survey.report_count,
                                  .growth = &survey.growth,
                                  .cgroup = &survey.cgroup,
                                  .host = &survey.host,
                                  .pid = 1,
                                  .is_live = true,
                                  .lacks_rights = true};
    verdict_reach(&input, &survey.verdict);
    fill(survey.verdict.headline, sizeof survey.verdict.headline);
    for (size_t i = survey.verdict.next.count; i < VERDICT_LINES_MAX; i++)
        fill(survey.verdict.next.text[i], VERDICT_TEXT_MAX);
    survey.verdict.next.count = VERDICT_LINES_MAX;
    *ret_survey = survey;
    return 0;
}
