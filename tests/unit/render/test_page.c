// SPDX-License-Identifier: Apache-2.0
// Unit tests of what the page reads: series in parts, batches, accounts, CSV; from a recording in
// memory. Test world.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "render/csv_write.h"
#include "render/json_write.h"
#include "render/page.h"
#include "render/report.h"
#include "sample/digest.h"

static void test_json_write(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(json_write_u64(&buffer, 0), 0);
    assert_int_equal(json_write_u64(&buffer, 1234567890123456789), 0);
    assert_int_equal(json_write_i64(&buffer, -5), 0);
    assert_int_equal(json_write_i64(&buffer, INT64_MIN), 0);
    assert_int_equal(json_write_u64(&buffer, UINT64_MAX), 0);
    assert_string_equal(buffer.data, "01234567890123456789-5-9223372036854775808null");
    buffer_clear(&buffer);
    assert_int_equal(json_write_name(&buffer, "a\"b\\</s>\x1b\xff\xc3\xa9"), 0);
    assert_string_equal(buffer.data, "\"a\\\"b\\\\\\\\\\u003c/s>\\\\x1b\\\\xff\xc3\xa9\"");
    buffer_clear(&buffer);
    assert_int_equal(csv_write_name(&buffer, "=1+\"x\""), 0);
    assert_string_equal(buffer.data, "\"'=1+\"\"x\"\"\"");
    buffer_free(&buffer);
}

#if defined(EBB_WITH_SQLITE) && defined(EBB_WITH_JSON)

#include <jansson.h>

enum { SAMPLES = 5000, ACCOUNT_EVERY = 50 };
static const int64_t start_ms = 1700000000000;

static uint64_t rss_of(int n)
{
    return (UINT64_C(100) << 20) + (uint64_t)(n * 7919 % 1000) * 4096;
}

// Adds one round of one subject.
static void add_round(struct history *history, int n)
{
    struct digest_figure figures[2] = {
        {.runtime = "Go", .figure = {.name = "HeapAlloc", .value = 1000}},
        {.runtime = "=Go", .figure = {.name = "Fraction", .unit = FIGURE_RATIO, .ratio = 0.25}},
    };
    struct digest digest = {.verdict = VERDICT_LAZY,
                            .headline = "lazy, not a leak",
                            .runtimes = "Go 1.12",
                            .figures = figures,
                            .figure_count = 2,
                            .group_limit_bytes = SAMPLE_UNKNOWN};
    digest.row_bytes[ROW_LAZY] = 4096;
    digest.row_bytes[ROW_IN_USE] = rss_of(n) - 4096;
    bool is_account = n % ACCOUNT_EVERY == 0;
    struct sample sample = {.subject = 1,
                            .time_ms = start_ms + n * 1000,
                            .boot_ms = (uint64_t)n * 1000 + 5000,
                            .kind = is_account ? SAMPLE_ACCOUNT : SAMPLE_CHEAP,
                            .rss_bytes = rss_of(n),
                            .lazy_bytes = 4096,
                            .effective_bytes = rss_of(n) - 4096,
                            .anon_bytes = rss_of(n),
                            .digest = is_account ? &digest : NULL};
    struct subject subject = {.id = 1,
                              .pid = 4121,
                              .name = "</script>",
                              .start_ms = start_ms,
                              .first_ms = start_ms,
                              .last_ms = sample.time_ms};
    struct event event = {.subject = 1, .time_ms = sample.time_ms, .kind = EVENT_GC, .value = 3};
    struct batch batch = {.time_ms = sample.time_ms,
                          .samples = &sample,
                          .sample_count = 1,
                          .events = &event,
                          .event_count = n == 0};
    assert_int_equal(history_add(history, &batch, &subject, 1), 0);
}

static struct history *make_recording(void)
{
    struct history_options options = {.interval_ms = 1000, .title = "a \"title\""};
    struct history *history;
    assert_int_equal(history_create(":memory:", &options, &history), 0);
    for (int n = 0; n < SAMPLES; n++)
        add_round(history, n);
    return history;
}

static json_t *parse(struct buffer *buffer)
{
    json_error_t error;
    json_t *tree = json_loadb(buffer->data, buffer->len, 0, &error);
    if (!tree)
        fail_msg("no JSON: %s in %.200s", error.text, buffer->data);
    buffer_clear(buffer);
    return tree;
}

// All parts. The most that one of them took is in `*ret_largest`.
static void write_series(struct history *history, struct page_series *series, struct buffer *buffer,
                         size_t *ret_largest)
{
    int result = 0;
    *ret_largest = 0;
    assert_int_equal(page_series_begin(history, series), 0);
    while (result == 0) {
        size_t before = buffer->len;
        result = page_series_next(history, series, buffer);
        assert_true(result >= 0);
        if (buffer->len - before > *ret_largest)
            *ret_largest = buffer->len - before;
    }
    page_series_end(series);
}

static size_t column_index(const json_t *series, const char *name)
{
    size_t i;
    json_t *column;
    json_array_foreach(json_object_get(series, "columns"), i, column)
    {
        if (strcmp(json_string_value(column), name) == 0)
            return i;
    }
    fail_msg("no column %s", name);
    return 0;
}

// Every stored sample once and in order; rows at accounts alone, and they sum up.
static void check_series(const json_t *series, size_t expected)
{
    size_t total = 0, accounts = 0, part_index;
    json_int_t last_ms = 0;
    json_t *part;
    size_t rss = column_index(series, "rss_bytes"), in_use = column_index(series, "in_use_bytes"),
           lazy = column_index(series, "lazy_row_bytes"), kind = column_index(series, "kind");
    json_array_foreach(json_object_get(series, "parts"), part_index, part)
    {
        const json_t *data = json_object_get(part, "data");
        assert_int_equal(json_array_size(data),
                         json_array_size(json_object_get(series, "columns")));
        size_t count = json_array_size(json_array_get(data, 0));
        for (size_t i = 0; i < count; i++) {
            json_int_t time_ms = json_integer_value(json_array_get(json_array_get(data, 0), i));
            assert_true(time_ms > last_ms);
            last_ms = time_ms;
            json_t *row = json_array_get(json_array_get(data, in_use), i);
            bool is_account =
                json_integer_value(json_array_get(json_array_get(data, kind), i)) == SAMPLE_ACCOUNT;
            assert_int_equal(json_is_integer(row), is_account);
            if (!is_account)
                continue;
            accounts++;
            assert_int_equal(json_integer_value(row) +
                                 json_integer_value(json_array_get(json_array_get(data, lazy), i)),
                             json_integer_value(json_array_get(json_array_get(data, rss), i)));
        }
        total += count;
    }
    assert_true(accounts > 0);
    if (expected > 0)
        assert_int_equal(total, expected);
}

static void test_series(void **state)
{
    (void)state;
    struct history *history = make_recording();
    struct buffer buffer = {0};
    size_t largest;
    struct page_series all = {
        .subject = 1, .from_ms = INT64_MIN / 4, .to_ms = INT64_MAX / 4, .points = 100000};
    write_series(history, &all, &buffer, &largest);
    assert_true(largest < buffer.len / 2);
    json_t *series = parse(&buffer);
    assert_int_equal(json_array_size(json_object_get(series, "parts")), 3);
    check_series(series, SAMPLES);
    json_t *figure = json_array_get(
        json_object_get(json_array_get(json_object_get(series, "parts"), 0), "figures"), 1);
    assert_string_equal(json_string_value(json_object_get(figure, "unit")), "ratio");
    assert_true(json_real_value(json_array_get(json_object_get(figure, "values"), 0)) == 0.25);
    assert_true(json_is_null(json_array_get(json_object_get(figure, "values"), 1)));
    json_decref(series);
    struct page_series few = all;
    few = (struct page_series){
        .subject = 1, .from_ms = INT64_MIN / 4, .to_ms = INT64_MAX / 4, .points = 300};
    write_series(history, &few, &buffer, &largest);
    series = parse(&buffer);
    size_t count = json_array_size(json_array_get(
        json_object_get(json_array_get(json_object_get(series, "parts"), 0), "data"), 0));
    assert_true(count > 50 && count <= 300);
    check_series(series, count);
    json_decref(series);
    // Nothing there, and nobody there.
    struct page_series none = {.subject = 1, .from_ms = 5, .to_ms = 1, .points = 10};
    write_series(history, &none, &buffer, &largest);
    series = parse(&buffer);
    assert_int_equal(json_array_size(json_object_get(series, "parts")), 0);
    json_decref(series);
    none.subject = 7;
    assert_int_equal(page_series_begin(history, &none), -ENOENT);
    buffer_free(&buffer);
    assert_int_equal(history_close(history), 0);
}

static void test_csv(void **state)
{
    (void)state;
    struct history *history = make_recording();
    struct buffer buffer = {0};
    size_t largest, lines = 0;
    struct page_series series = {
        .subject = 1, .from_ms = INT64_MIN / 4, .to_ms = INT64_MAX / 4, .is_csv = true};
    write_series(history, &series, &buffer, &largest);
    for (size_t i = 0; i < buffer.len; i++)
        lines += buffer.data[i] == '\n';
    assert_int_equal(lines, SAMPLES + 1);
    // A name that would be a formula is text; kinds and verdicts are words.
    assert_non_null(strstr(buffer.data, ",\"Go HeapAlloc\",\"'=Go Fraction\"\r\n"));
    assert_non_null(strstr(buffer.data, "\r\n1700000000000,account,104857600,4096,"));
    assert_non_null(strstr(buffer.data, ",lazy,"));
    assert_non_null(strstr(buffer.data, ",1000,0.250000\r\n1700000001000,cheap,"));
    buffer_free(&buffer);
    assert_int_equal(history_close(history), 0);
}

static int append(void *context, const char *data, size_t len)
{
    return buffer_append(context, data, len);
}

// JSON lines tell a ratio as one, not in the millionths of a series.
static void test_json_lines(void **state)
{
    (void)state;
    struct history *history = make_recording();
    struct buffer buffer = {0};
    struct report_subject entry = {
        .subject = {.id = 1, .name = "one", .first_ms = start_ms, .last_ms = start_ms + 1000}};
    struct report report = {
        .from_ms = start_ms, .to_ms = start_ms + 1000, .subjects = &entry, .subject_count = 1};
    struct export_sink sink = {.write = append, .context = &buffer};
    assert_int_equal(export_samples(history, &report, EXPORT_JSON_LINES, &sink), 0);
    assert_int_equal(buffer_append(&buffer, "", 1), 0);
    assert_non_null(strstr(buffer.data, "\"Go.HeapAlloc\":1000,\"=Go.Fraction\":0.25}\n"));
    buffer_free(&buffer);
    assert_int_equal(history_close(history), 0);
}

// A host without a clock of its own starts in 1970 and is set right after a while: the years in
// between are not walked, and no sample is told twice.
static void test_export_over_a_jump(void **state)
{
    (void)state;
    struct history_options options = {.interval_ms = 1000};
    struct history *history;
    struct buffer buffer = {0};
    struct subject subject = {.id = 1, .pid = 4121, .name = "one", .first_ms = 60000};
    size_t lines = 0;
    assert_int_equal(history_create(":memory:", &options, &history), 0);
    for (int n = 0; n < 20; n++) {
        struct sample sample = {.subject = 1,
                                .time_ms = (n < 10 ? 60000 : start_ms) + n * 1000,
                                .boot_ms = (uint64_t)n * 1000 + 60000,
                                .rss_bytes = rss_of(n),
                                .effective_bytes = rss_of(n)};
        struct batch batch = {.time_ms = sample.time_ms, .samples = &sample, .sample_count = 1};
        subject.last_ms = sample.time_ms;
        assert_int_equal(history_add(history, &batch, &subject, 1), 0);
    }
    struct report_subject entry = {.subject = subject};
    struct report report = {.from_ms = subject.first_ms,
                            .to_ms = subject.last_ms,
                            .subjects = &entry,
                            .subject_count = 1};
    struct export_sink sink = {.write = append, .context = &buffer};
    assert_int_equal(export_samples(history, &report, EXPORT_CSV, &sink), 0);
    for (size_t i = 0; i < buffer.len; i++)
        lines += buffer.data[i] == '\n';
    assert_int_equal(lines, 1 + 20);
    buffer_free(&buffer);
    assert_int_equal(history_close(history), 0);
}

static void test_about(void **state)
{
    (void)state;
    struct history *history = make_recording();
    struct buffer buffer = {0};
    struct page_view view = {.is_live = true, .now_ms = 77};
    assert_int_equal(page_write_about(history, &view, &buffer), 0);
    assert_null(strchr(buffer.data, '<'));
    json_t *about = parse(&buffer);
    assert_string_equal(json_string_value(json_object_get(about, "title")), "a \"title\"");
    assert_true(json_is_true(json_object_get(about, "live")));
    const json_t *subject = json_array_get(json_object_get(about, "subjects"), 0);
    assert_string_equal(json_string_value(json_object_get(subject, "name")), "</script>");
    assert_int_equal(json_integer_value(json_object_get(subject, "rss_bytes")),
                     rss_of(SAMPLES - 1));
    assert_string_equal(json_string_value(json_object_get(subject, "verdict")), "lazy");
    json_decref(about);
    assert_int_equal(page_write_account(history, 1, start_ms + 60000, &buffer), 0);
    json_t *account = parse(&buffer);
    assert_int_equal(json_integer_value(json_object_get(account, "time_ms")), start_ms + 50000);
    assert_int_equal(json_integer_value(json_object_get(account, "rss_bytes")), rss_of(50));
    assert_int_equal(json_array_size(json_object_get(account, "rows")), ROW_COUNT);
    json_decref(account);
    assert_int_equal(page_write_account(history, 1, start_ms - 1, &buffer), -ENOENT);
    assert_int_equal(page_write_events(history, 0, 0, INT64_MAX / 4, 0, &buffer), 0);
    json_t *events = parse(&buffer);
    assert_int_equal(json_array_size(events), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(events, 0), "kind")),
                        "gc");
    json_decref(events);
    buffer_free(&buffer);
    assert_int_equal(history_close(history), 0);
}

// An import tells RSS alone: its rows are unknown, which is not 0.
static void test_unknown_rows(void **state)
{
    (void)state;
    struct history_options options = {.interval_ms = 1000};
    struct history *history;
    struct buffer buffer = {0};
    struct digest digest = {.runtimes = "Go", .group_limit_bytes = SAMPLE_UNKNOWN}, read;
    for (int row = 0; row < ROW_COUNT; row++)
        digest.row_bytes[row] = SAMPLE_UNKNOWN;
    struct sample sample = {.subject = 1,
                            .time_ms = start_ms,
                            .kind = SAMPLE_ACCOUNT,
                            .rss_bytes = 4096,
                            .lazy_bytes = SAMPLE_UNKNOWN,
                            .effective_bytes = 4096,
                            .digest = &digest};
    struct subject subject = {.id = 1, .name = "old", .first_ms = start_ms, .last_ms = start_ms};
    struct batch batch = {.time_ms = start_ms, .samples = &sample, .sample_count = 1};
    int64_t time_ms;
    assert_int_equal(history_create(":memory:", &options, &history), 0);
    assert_int_equal(history_add(history, &batch, &subject, 1), 0);
    assert_int_equal(history_digest(history, 1, start_ms, &time_ms, &read), 0);
    for (int row = 0; row < ROW_COUNT; row++)
        assert_true(read.row_bytes[row] == SAMPLE_UNKNOWN);
    digest_free(&read);
    assert_int_equal(page_write_account(history, 1, start_ms, &buffer), 0);
    json_t *account = parse(&buffer);
    assert_int_equal(json_array_size(json_object_get(account, "rows")), 0);
    assert_true(json_is_null(json_object_get(account, "rss_bytes")));
    assert_true(json_is_null(json_object_get(account, "lazy_bytes")));
    assert_true(json_is_null(json_object_get(account, "effective_bytes")));
    json_decref(account);
    buffer_free(&buffer);
    assert_int_equal(history_close(history), 0);
}

// Of many events the newest, and the host's and rare ones however many others there are.
static void test_newest_events(void **state)
{
    (void)state;
    enum { ROUNDS = 100, MOST = 10 };
    struct history_options options = {.interval_ms = 1000};
    struct history *history;
    struct buffer buffer = {0};
    assert_int_equal(history_create(":memory:", &options, &history), 0);
    for (int n = 0; n < ROUNDS; n++) {
        int64_t at_ms = start_ms + n * 1000;
        struct event events[2] = {
            {.subject = 1, .time_ms = at_ms, .kind = EVENT_GC, .value = (uint64_t)n},
            {.time_ms = at_ms, .kind = EVENT_CLOCK, .value = 5000},
        };
        if (n >= 3)
            events[1] = (struct event){.subject = 1, .time_ms = at_ms, .kind = EVENT_EXEC};
        struct subject subject = {.id = 1, .name = "busy", .first_ms = start_ms, .last_ms = at_ms};
        struct sample sample = {.subject = 1, .time_ms = at_ms, .rss_bytes = 4096};
        // The host's come early, and seldom; then a few rare ones.
        struct batch batch = {.time_ms = at_ms,
                              .samples = &sample,
                              .sample_count = 1,
                              .events = events,
                              .event_count = n < 6 ? 2 : 1};
        assert_int_equal(history_add(history, &batch, &subject, 1), 0);
    }
    assert_int_equal(page_write_events(history, 0, 0, INT64_MAX / 4, MOST, &buffer), 0);
    json_t *list = parse(&buffer);
    assert_int_equal(json_array_size(list), MOST + 6);
    for (size_t i = 0; i < MOST + 6; i++) {
        const json_t *event = json_array_get(list, i);
        json_int_t subject = json_integer_value(json_object_get(event, "subject"));
        assert_int_equal(subject, i >= 3);
        int n = i < 6 ? (int)i : ROUNDS - MOST + (int)i - 6;
        // Two of one process at one moment are told a millisecond apart.
        json_int_t time_ms = json_integer_value(json_object_get(event, "time_ms"));
        assert_int_equal((time_ms - start_ms) / 1000, n);
    }
    json_decref(list);
    buffer_free(&buffer);
    assert_int_equal(history_close(history), 0);
}

static void test_batch(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    struct digest_figure figure = {.runtime = "Go", .figure = {.name = "Sys", .value = 9}};
    struct digest digest = {.verdict = VERDICT_KEPT, .figures = &figure, .figure_count = 1};
    struct sample samples[2] = {
        {.subject = 1, .time_ms = 5, .rss_bytes = 7, .lazy_bytes = SAMPLE_UNKNOWN},
        {.subject = 3, .time_ms = 5, .kind = SAMPLE_ACCOUNT, .rss_bytes = 8, .digest = &digest},
    };
    struct event events[2] = {
        {.subject = 3, .time_ms = 5, .kind = EVENT_APPEARED, .text = "line\nbreak"},
        {.subject = 0, .time_ms = 5, .kind = EVENT_CLOCK, .value = (uint64_t)INT64_C(-3600000)},
    };
    struct subject subjects[2] = {{.id = 1, .name = "one"}, {.id = 3, .name = "three"}};
    struct batch batch = {
        .time_ms = 5, .samples = samples, .sample_count = 2, .events = events, .event_count = 2};
    assert_int_equal(page_write_batch(&batch, subjects, 2, &buffer), 0);
    // One line: a message of a stream ends at a line's end.
    assert_null(strpbrk(buffer.data, "\r\n"));
    json_t *tree = parse(&buffer);
    const json_t *cheap = json_array_get(json_object_get(tree, "samples"), 0);
    const json_t *deep = json_array_get(json_object_get(tree, "samples"), 1);
    assert_true(json_is_null(json_object_get(cheap, "lazy_bytes")));
    assert_null(json_object_get(cheap, "in_use_bytes"));
    assert_true(json_is_integer(json_object_get(deep, "in_use_bytes")));
    assert_int_equal(json_integer_value(json_object_get(
                         json_array_get(json_object_get(tree, "events"), 1), "value")),
                     -3600000);
    const json_t *known = json_object_get(tree, "subjects");
    assert_int_equal(json_array_size(known), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(known, 0), "name")),
                        "three");
    const json_t *told = json_array_get(json_object_get(tree, "figures"), 0);
    assert_int_equal(json_integer_value(json_object_get(told, "subject")), 3);
    json_decref(tree);
    buffer_free(&buffer);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_write),
#if defined(EBB_WITH_SQLITE) && defined(EBB_WITH_JSON)
        cmocka_unit_test(test_series),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_json_lines),
        cmocka_unit_test(test_export_over_a_jump),
        cmocka_unit_test(test_about),
        cmocka_unit_test(test_unknown_rows),
        cmocka_unit_test(test_newest_events),
        cmocka_unit_test(test_batch),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
