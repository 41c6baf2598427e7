// SPDX-License-Identifier: Apache-2.0
// Unit tests of both renderings of a survey: hostile names everywhere, owners, what could not be
// read. Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "render/format.h"
#include "render/json.h"
#include "render/render.h"
#include "support/hostile.h"

// No byte moves a cursor, and every line that is there is one of ours.
static void assert_harmless(struct text text, bool unicode)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        assert_true(c == '\n' || (c >= 0x20 && c != 0x7F));
        assert_true(unicode || c < 0x80);
        assert_false(c == ' ' && i + 1 < text.len && text.data[i + 1] == '\n');
        assert_false(c == 0xC2 && (unsigned char)text.data[i + 1] < 0xA0);
    }
}

static void test_hostile_text(void **state)
{
    (void)state;
    struct survey survey;
    assert_int_equal(hostile_survey(&survey), 0);
    for (int unicode = 0; unicode < 2; unicode++) {
        struct render_style style = {.unicode = unicode};
        struct buffer buffer = {0};
        assert_int_equal(render_survey_text(&survey, &style, &buffer), 0);
        assert_harmless(buffer_text(&buffer), unicode);
        assert_non_null(strstr(buffer.data, "\\x1b[31m"));
        buffer_free(&buffer);
    }
    struct table table = {.denied = 2, .is_root = true};
    struct render_style style = {0};
    struct buffer buffer = {0};
    assert_int_equal(table_add(&table, &survey), 0);
    assert_int_equal(render_table_text(&table, &style, &buffer), 0);
    assert_harmless(buffer_text(&buffer), false);
    // Root is not sent to root.
    assert_non_null(strstr(buffer.data, "2 more may not be read; ebb explain PID"));
    buffer_free(&buffer);
    table_free(&table);
    survey_free(&survey);
}

#ifdef EBB_WITH_JSON

static uint64_t member_u64(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return (uint64_t)json_integer_value(value);
}

static json_t *parse(struct buffer *buffer)
{
    json_error_t error;
    json_t *tree = json_loads(buffer->data, JSON_REJECT_DUPLICATES, &error);
    if (!tree)
        fail_msg("line %d: %s", error.line, error.text);
    buffer_free(buffer);
    return tree;
}

static void test_hostile_json(void **state)
{
    (void)state;
    struct survey survey;
    assert_int_equal(hostile_survey(&survey), 0);
    struct buffer buffer = {0};
    assert_int_equal(render_survey_json(&survey, &buffer), 0);
    json_t *tree = parse(&buffer);
    assert_int_equal(member_u64(tree, "schema"), 1);
    const json_t *entry;
    size_t index;
    uint64_t sum = 0;
    json_array_foreach(json_object_get(tree, "account"), index, entry) sum +=
        member_u64(entry, "bytes");
    assert_int_equal(sum, member_u64(tree, "rss_bytes"));
    assert_true(json_is_null(json_object_get(tree, "start_time")));
    const json_t *runtimes = json_object_get(tree, "runtimes");
    assert_int_equal(json_array_size(runtimes), 2);
    const json_t *runtime = json_array_get(runtimes, 0);
    const json_t *ledger = json_object_get(runtime, "ledger");
    // The hostile name too, with null for what is no number.
    assert_int_equal(json_object_size(ledger), 4);
    assert_true(json_is_null(json_object_get(ledger, "infinite")));
    assert_true(member_u64(ledger, "most") == INT64_MAX);
    assert_int_equal(json_object_size(json_object_get(runtime, "settings")), 1);
    assert_int_equal(json_array_size(json_object_get(tree, "next")), VERDICT_LINES_MAX);
    json_decref(tree);
    survey_free(&survey);
}

#else

static void test_hostile_json(void **state)
{
    (void)state;
    print_message("this build has no JSON\n");
    skip();
}

#endif

// A survey with the row "in use" shared by these entries.
static struct survey survey_of(struct account_entry *entries, size_t count)
{
    struct survey survey = {.has_account = true, .cgroup = {.limit_bytes = CGROUP_NO_LIMIT}};
    survey.account.entries = entries;
    survey.account.entry_count = count;
    for (size_t i = 0; i < count; i++) {
        survey.account.row_bytes[entries[i].row] += entries[i].bytes;
        survey.account.rss_bytes += entries[i].bytes;
    }
    strcpy(survey.verdict.headline, "in use.");
    return survey;
}

static void assert_shows(const struct survey *survey, const char *needle, bool shows)
{
    struct render_style style = {0};
    struct buffer buffer = {0};
    assert_int_equal(render_survey_text(survey, &style, &buffer), 0);
    if ((strstr(buffer.data, needle) != NULL) != shows)
        fail_msg("\"%s\" in:\n%s", needle, buffer.data);
    buffer_free(&buffer);
}

// Several sources of one runtime are one owner, wherever they stand.
static void test_owners(void **state)
{
    (void)state;
    struct account_entry entries[] = {
        {.row = ROW_IN_USE, .bytes = 300 << 20, .runtime = "Go", .source = "a"},
        {.row = ROW_IN_USE, .bytes = 200 << 20, .runtime = "glibc", .source = "b"},
        {.row = ROW_IN_USE, .bytes = 100 << 20, .runtime = "Go", .source = "c"},
    };
    struct survey survey = survey_of(entries, 3);
    assert_shows(&survey, "  Go 400 MiB, glibc 200 MiB\n", true);
    strcpy(entries[1].runtime, "Go");
    assert_shows(&survey, "  Go\n", true);
    // The kernel's own knowledge has no name, but then the runtime does not own all of it.
    entries[1].runtime[0] = '\0';
    assert_shows(&survey, "  Go 400 MiB\n", true);
}

// A terminal breaks no line by itself; a file has each row on one.
static void test_rows_fit(void **state)
{
    (void)state;
    struct account_entry entries[] = {
        {.row = ROW_IN_USE, .bytes = 300 << 20, .runtime = "jemalloc"},
        {.row = ROW_IN_USE, .bytes = 200 << 20, .runtime = "glibc"},
        {.row = ROW_IN_USE, .bytes = 100 << 20, .runtime = "CPython"},
    };
    struct survey survey = survey_of(entries, 3);
    survey.account.row_error_bytes[ROW_IN_USE] = 100 << 20;
    survey.account.effective_bytes = survey.account.rss_bytes;
    assert_shows(&survey, "  jemalloc 300 MiB, glibc 200 MiB, CPython 100 MiB  +/- 100 MiB\n",
                 true);
    for (unsigned width = 40; width < 130; width++) {
        struct render_style style = {.unicode = true, .width = width};
        struct buffer buffer = {0};
        assert_int_equal(render_survey_text(&survey, &style, &buffer), 0);
        struct text rest = buffer_text(&buffer), line;
        while (text_next_line(&rest, &line))
            assert_true(format_columns(line) <= width);
        assert_non_null(strstr(buffer.data, "CPython 100 MiB"));
        buffer_free(&buffer);
    }
}

static void test_errors_are_shown_where_they_matter(void **state)
{
    (void)state;
    struct account_entry entry = {.row = ROW_IN_USE, .bytes = 100 << 20, .runtime = "Go"};
    struct survey survey = survey_of(&entry, 1);
    survey.account.row_error_bytes[ROW_IN_USE] = 1 << 20;
    assert_shows(&survey, "+/-", false);
    survey.account.row_error_bytes[ROW_IN_USE] = 2 << 20;
    assert_shows(&survey, "Go  +/- 2.00 MiB", true);
}

// Whatever a reader wrote, a sentence comes of it; the same twice is said once.
static void test_unread_sentences(void **state)
{
    (void)state;
    struct survey_unread unread[] = {
        {"its environment", "the right to read it"},
        {"the inside of x", "nothing that is known: it is closed"},
        {"its environment", "the right to read it"},
        {"a third thing", ""},
    };
    struct survey survey = survey_of(NULL, 0);
    survey.unread = unread;
    survey.unread_count = 4;
    assert_shows(&survey,
                 "Could not read:\n"
                 "  its environment. What would help: the right to read it.\n"
                 "  the inside of x. Nothing that is known: it is closed.\n"
                 "  a third thing.\n",
                 true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_hostile_json),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_rows_fit),
        cmocka_unit_test(test_errors_are_shown_where_they_matter),
        cmocka_unit_test(test_unread_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
