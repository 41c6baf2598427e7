// SPDX-License-Identifier: Apache-2.0
// Unit tests of digests and batches: what stays of a survey, and what two digests tell. Test world.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sample/digest.h"
#include "sample/follow.h"

// A survey of two runtimes, made by hand; survey_free() frees it.
static struct survey *survey_new(uint64_t collections, enum verdict_code verdict)
{
    struct survey *survey = calloc(1, sizeof *survey);
    assert_non_null(survey);
    survey->has_account = true;
    survey->account.row_bytes[ROW_LAZY] = 4096;
    survey->account.row_error_bytes[ROW_LAZY] = 7;
    survey->account.swap_bytes = 1;
    survey->verdict.code = verdict;
    strcpy(survey->verdict.headline, "kept, not a leak.");
    strcpy(survey->verdict.next.text[0], "Nothing is lost.");
    strcpy(survey->verdict.next.text[1], "ebb reclaim 1");
    survey->verdict.next.count = 2;
    survey->report_count = 2;
    survey->reports = calloc(2, sizeof *survey->reports);
    assert_non_null(survey->reports);
    strcpy(survey->reports[0].name, "Go");
    strcpy(survey->reports[0].version, "1.24.4");
    strcpy(survey->reports[1].name, "glibc");
    assert_int_equal(report_add_count(&survey->reports[0], "NumGC", collections), 0);
    assert_int_equal(report_add_bytes(&survey->reports[0], "Sys", 70), 0);
    assert_int_equal(report_add_bytes(&survey->reports[1], "Sys", 80), 0);
    survey->cgroup = (struct cgroup){.version = 2, .limit_bytes = CGROUP_NO_LIMIT};
    return survey;
}

static struct digest digest_of(struct survey *survey)
{
    struct digest digest;
    assert_int_equal(digest_make(survey, &digest), 0);
    survey_free(survey);
    free(survey);
    return digest;
}

static void test_what_stays(void **state)
{
    (void)state;
    struct digest digest = digest_of(survey_new(5, VERDICT_KEPT));
    assert_int_equal(digest.row_bytes[ROW_LAZY], 4096);
    assert_int_equal(digest.row_error_bytes[ROW_LAZY], 7);
    assert_string_equal(digest.runtimes, "Go 1.24.4, glibc");
    assert_string_equal(digest.next, "ebb reclaim 1");
    assert_true(digest.is_complete);
    assert_true(digest.group_usage_bytes == SAMPLE_UNKNOWN);
    assert_true(digest.group_limit_bytes == SAMPLE_UNKNOWN);
    assert_int_equal(digest.figure_count, 3);
    assert_int_equal(digest_figure(&digest, NULL, "Sys")->value, 70);
    assert_int_equal(digest_figure(&digest, "glibc", "Sys")->value, 80);
    assert_null(digest_figure(&digest, "glibc", "NumGC"));
    struct digest copy;
    assert_int_equal(digest_copy(&digest, &copy), 0);
    digest_free(&digest);
    assert_int_equal(digest_figure(&copy, "Go", "NumGC")->value, 5);
    digest_free(&copy);
    assert_null(copy.figures);
}

static void test_no_account_no_digest(void **state)
{
    (void)state;
    struct survey *survey = survey_new(0, VERDICT_UNKNOWN);
    struct digest digest = {.swap_bytes = 77};
    survey->has_account = false;
    assert_int_equal(digest_make(survey, &digest), -ENODATA);
    assert_int_equal(digest.swap_bytes, 77);
    survey_free(survey);
    free(survey);
}

// Sixteen runtimes with long versions do not fit: cut, and terminated.
static void test_many_runtimes_are_cut(void **state)
{
    (void)state;
    struct survey *survey = survey_new(0, VERDICT_KEPT);
    struct runtime_report reports[16];
    memset(reports, 0, sizeof reports);
    for (size_t i = 0; i < 16; i++) {
        strcpy(reports[i].name, "a runtime of a long name");
        memset(reports[i].version, '9', sizeof reports[i].version - 1);
    }
    struct runtime_report *own = survey->reports;
    survey->reports = reports;
    survey->report_count = 16;
    struct digest digest;
    assert_int_equal(digest_make(survey, &digest), 0);
    assert_int_equal(strlen(digest.runtimes), sizeof digest.runtimes - 1);
    digest_free(&digest);
    survey->reports = own;
    survey->report_count = 2;
    survey_free(survey);
    free(survey);
}

static void test_what_changes_tell(void **state)
{
    (void)state;
    struct digest before = digest_of(survey_new(5, VERDICT_KEPT));
    struct digest now = digest_of(survey_new(9, VERDICT_LAZY));
    struct batch batch = {.time_ms = 77};
    assert_int_equal(follow_tell_changes(&batch, 3, &before, &now), 0);
    assert_int_equal(batch.event_count, 1);
    assert_int_equal(batch.events[0].kind, EVENT_GC);
    assert_int_equal(batch.events[0].value, 4);
    assert_int_equal(batch.events[0].subject, 3);
    assert_int_equal(batch.events[0].time_ms, 77);
    batch_clear(&batch);
    // Nothing new, and a counter that began anew.
    assert_int_equal(follow_tell_changes(&batch, 3, &now, &now), 0);
    assert_int_equal(batch.event_count, 0);
    assert_int_equal(follow_tell_changes(&batch, 3, &now, &before), 0);
    assert_int_equal(batch.event_count, 0);
    batch_free(&batch);
    digest_free(&before);
    digest_free(&now);
}

static void test_batches_grow(void **state)
{
    (void)state;
    struct batch batch = {0};
    for (unsigned i = 0; i < 1000; i++) {
        struct sample sample = {.subject = i};
        assert_int_equal(batch_add_sample(&batch, &sample), 0);
    }
    assert_int_equal(batch.sample_count, 1000);
    assert_int_equal(batch.samples[999].subject, 999);
    size_t capacity = batch.sample_capacity;
    batch_clear(&batch);
    assert_int_equal(batch.sample_count, 0);
    assert_int_equal(batch.sample_capacity, capacity);
    char endless[EVENT_TEXT_MAX + 10];
    memset(endless, 'x', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(batch_tell(&batch, 1, EVENT_LEVER, 0, endless), 0);
    assert_int_equal(strlen(batch.events[0].text), EVENT_TEXT_MAX - 1);
    batch_free(&batch);
    for (int kind = 0; kind < EVENT_COUNT; kind++)
        assert_true(strcmp(event_kind_name((enum event_kind)kind), "unknown") != 0);
    assert_string_equal(event_kind_name((enum event_kind)999), "unknown");
}

// What a cheap sample makes of the lazy bytes that are known.
static void test_lazy_of_cheap_samples(void **state)
{
    (void)state;
    const uint64_t mib = 1 << 20;
    struct host_sample host = {.lazily_taken_pages = 1000};
    struct follow follow = {
        .cheap = {.rss_bytes = 100 * mib, .anon_bytes = 90 * mib},
        .lazy_bytes = SAMPLE_UNKNOWN,
        .swap_bytes = SAMPLE_UNKNOWN,
    };
    struct sample sample = follow_cheap_sample(&follow, &host);
    assert_true(sample.lazy_bytes == SAMPLE_UNKNOWN);
    assert_int_equal(sample.effective_bytes, 100 * mib);
    follow.lazy_bytes = 40 * mib;
    follow.lazy_rss_bytes = 100 * mib;
    follow.lazy_taken_pages = 1000;
    assert_int_equal(follow_cheap_sample(&follow, &host).effective_bytes, 60 * mib);
    // RSS fell, and the kernel took nothing: the program unmapped something.
    follow.cheap.rss_bytes = 80 * mib;
    assert_int_equal(follow_cheap_sample(&follow, &host).lazy_bytes, 40 * mib);
    // The kernel took as much as went: that was lazy.
    host.lazily_taken_pages += 20 * mib / 4096;
    assert_int_equal(follow_cheap_sample(&follow, &host).lazy_bytes, 20 * mib);
    // Never more than is anonymous.
    follow.cheap.anon_bytes = 5 * mib;
    assert_int_equal(follow_cheap_sample(&follow, &host).lazy_bytes, 5 * mib);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_stays),
        cmocka_unit_test(test_no_account_no_digest),
        cmocka_unit_test(test_many_runtimes_are_cut),
        cmocka_unit_test(test_what_changes_tell),
        cmocka_unit_test(test_batches_grow),
        cmocka_unit_test(test_lazy_of_cheap_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
