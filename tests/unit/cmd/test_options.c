// SPDX-License-Identifier: Apache-2.0
// Unit tests of the option tables' parser. Test world; pure.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/options.h"

static const char *const shapes[] = {"round", "square", NULL};

static const struct option_spec verb_options[] = {
    {.name = "all", .letter = 'a', .kind = OPTION_FLAG, .help = "All."},
    {.name = "deep", .letter = 'd', .kind = OPTION_FLAG, .help = "Deep."},
    {.name = "file", .letter = 'f', .kind = OPTION_STRING, .argument = "FILE", .help = "A file."},
    {.name = "limit", .kind = OPTION_SIZE, .argument = "SIZE", .fallback = "4K", .help = "Size."},
    {.name = "for", .kind = OPTION_DURATION, .argument = "DURATION", .help = "How long."},
    {.name = "watch",
     .letter = 'w',
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .bare = "5s",
     .help = "Watch."},
    {.name = "count", .letter = 'n', .kind = OPTION_COUNT, .argument = "N", .help = "How many."},
    {.name = NULL},
};

static const struct option_spec global_options[] = {
    {.name = "shape",
     .kind = OPTION_CHOICE,
     .choices = shapes,
     .fallback = "square",
     .help = "Shape."},
    {.name = NULL},
};

enum { WORDS_MAX = 12 };

// A command line, parsed: what the tests look at.
struct line {
    char *words[WORDS_MAX];
    size_t count;
    struct options options;
    char error[OPTIONS_ERROR_MAX];
    int result;
};

static void parse(struct line *line, char **words)
{
    *line = (struct line){0};
    for (; words[line->count]; line->count++)
        line->words[line->count] = words[line->count];
    line->result = options_parse(verb_options, global_options, line->count, line->words,
                                 &line->options, line->error);
}

#define PARSE(line, ...) parse(line, (char *[]){__VA_ARGS__, NULL})

static void assert_refused(char **words, const char *sentence)
{
    struct line line;
    parse(&line, words);
    assert_int_equal(line.result, -EINVAL);
    assert_string_equal(line.error, sentence);
}

#define REFUSED(sentence, ...) assert_refused((char *[]){__VA_ARGS__, NULL}, sentence)

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"4096", 4096},
        {"17B", 17},
        {"512MiB", 512ULL << 20},
        {"512M", 512ULL << 20},
        {"1.5GiB", 3ULL << 29},
        {"0.25K", 256},
        {"2T", 2ULL << 40},
        {"18446744073709551615", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        uint64_t bytes = 1;
        assert_int_equal(options_parse_size(text_of(good[i].text), &bytes), 0);
        assert_int_equal(bytes, good[i].bytes);
    }
    static const char *const bad[] = {"",    "M",     "-1",  "1.",   "1.x",           "1MB", "1 M",
                                      "1Mx", "1.5.5", "0x1", "1mib", "1.0000000001G", "+1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        uint64_t bytes = 7;
        assert_int_equal(options_parse_size(text_of(bad[i]), &bytes), -EINVAL);
        assert_int_equal(bytes, 7);
    }
    uint64_t bytes = 7;
    assert_int_equal(options_parse_size(text_of("18446744073709551616"), &bytes), -ERANGE);
    assert_int_equal(options_parse_size(text_of("16777216T"), &bytes), -ERANGE);
    assert_int_equal(bytes, 7);
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"10", 10000000000ULL},    {"10s", 10000000000ULL},
        {"250ms", 250000000ULL},   {"1m30s", 90000000000ULL},
        {"1.5s", 1500000000ULL},   {"2h", 7200000000000ULL},
        {"1d", 86400000000000ULL}, {"0", 0},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        uint64_t ns = 1;
        assert_int_equal(options_parse_duration(text_of(good[i].text), &ns), 0);
        assert_int_equal(ns, good[i].ns);
    }
    static const char *const bad[] = {"", "s", "1m30", "10x", "-1s", "1s ", "1.s", "1sm"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        uint64_t ns = 7;
        assert_int_equal(options_parse_duration(text_of(bad[i]), &ns), -EINVAL);
        assert_int_equal(ns, 7);
    }
    uint64_t ns = 7;
    assert_int_equal(options_parse_duration(text_of("213504d"), &ns), -ERANGE);
    assert_int_equal(options_parse_duration(text_of("213503d213503d"), &ns), -ERANGE);
    assert_int_equal(ns, 7);
}

static void test_every_spelling(void **state)
{
    (void)state;
    struct line line;
    PARSE(&line, "--file", "x", "--limit=2M", "-n3", "-ad", "--for", "10s", "--shape", "round");
    assert_int_equal(line.result, 0);
    assert_string_equal(options_get(&line.options, "file")->string, "x");
    assert_int_equal(options_get(&line.options, "limit")->number, 2 << 20);
    assert_int_equal(options_get(&line.options, "count")->number, 3);
    assert_int_equal(options_get(&line.options, "for")->number, 10000000000ULL);
    assert_int_equal(options_get(&line.options, "shape")->number, 0);
    assert_string_equal(options_get(&line.options, "shape")->string, "round");
    assert_true(options_flag(&line.options, "all"));
    assert_true(options_flag(&line.options, "deep"));
    PARSE(&line, "-afx", "-n", "4", "--file=a=b");
    assert_int_equal(line.result, 0);
    assert_string_equal(options_get(&line.options, "file")->string, "a=b");
    assert_int_equal(options_get(&line.options, "count")->number, 4);
}

static void test_defaults(void **state)
{
    (void)state;
    struct line line;
    PARSE(&line, "target");
    assert_int_equal(options_get(&line.options, "limit")->number, 4096);
    assert_false(options_get(&line.options, "limit")->given);
    assert_int_equal(options_get(&line.options, "shape")->number, 1);
    assert_null(options_get(&line.options, "file")->string);
    assert_false(options_flag(&line.options, "all"));
    PARSE(&line, "--limit=4K");
    assert_true(options_get(&line.options, "limit")->given);
}

static void test_operands(void **state)
{
    (void)state;
    struct line line;
    PARSE(&line, "one", "--all", "-5", "-", "--", "--deep", "two");
    assert_int_equal(line.result, 0);
    assert_int_equal(line.options.operand_count, 5);
    assert_string_equal(line.options.operands[0], "one");
    assert_string_equal(line.options.operands[1], "-5");
    assert_string_equal(line.options.operands[2], "-");
    assert_string_equal(line.options.operands[3], "--deep");
    assert_string_equal(line.options.operands[4], "two");
    assert_true(line.options.has_separator);
    assert_int_equal(line.options.separated_count, 2);
    assert_true(options_flag(&line.options, "all"));
    assert_false(options_flag(&line.options, "deep"));
}

static void test_refusals(void **state)
{
    (void)state;
    REFUSED("unknown option '--fiel'; did you mean '--file'?", "--fiel");
    REFUSED("unknown option '--wholly-other'", "--wholly-other");
    REFUSED("unknown option '--'", "--=x");
    REFUSED("unknown option '-z'", "-z");
    REFUSED("unknown option '-z' in '-az'", "-az");
    REFUSED("unknown option '-\\xff'", "-\xff");
    REFUSED("--all takes no argument", "--all=yes");
    REFUSED("--file needs its argument: FILE", "--file");
    REFUSED("-n needs its argument: N", "-n");
    REFUSED("--file needs a value, not an empty one", "--file=");
    REFUSED("--limit needs a size such as 512MiB or 2G, not '1MB'", "--limit=1MB");
    REFUSED("--for needs a duration such as 10s or 1m30s, not '10x'", "--for", "10x");
    REFUSED("-n needs a whole number, not 'many'", "-n", "many");
    REFUSED("--count '99999999999999999999' is too large", "--count=99999999999999999999");
    REFUSED("--shape takes round|square, not 'sqare'; did you mean 'square'?", "--shape=sqare");
    REFUSED("--shape takes round|square, not 'x'", "--shape=x");
    REFUSED("unknown option '--a\\x1b[31m'", "--a\x1b[31m");
    // Abbreviations are proposed, never taken.
    REFUSED("unknown option '--cou'; did you mean '--count'?", "--cou=3");
}

// Output stays as it was when the line is refused.
static void test_refusal_leaves_result(void **state)
{
    (void)state;
    struct options options = {.operand_count = 77};
    char error[OPTIONS_ERROR_MAX];
    char *words[] = {"x", "--nonsense"};
    assert_int_equal(options_parse(verb_options, NULL, 2, words, &options, error), -EINVAL);
    assert_int_equal(options.operand_count, 77);
}

static void test_long_words(void **state)
{
    (void)state;
    static char word[100000];
    memset(word, 'x', sizeof(word) - 1);
    struct line line;
    word[0] = '-';
    word[1] = '-';
    PARSE(&line, word);
    assert_int_equal(line.result, -EINVAL);
    assert_true(strlen(line.error) < OPTIONS_ERROR_MAX);
    memcpy(word, "--shape=", 8);
    PARSE(&line, word);
    assert_int_equal(line.result, -EINVAL);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const verbs[] = {"explain", "doctor", "top", "report", "record", NULL};
    assert_string_equal(options_nearest("explian", verbs), "explain");
    assert_string_equal(options_nearest("exp", verbs), "explain");
    assert_string_equal(options_nearest("docter", verbs), "doctor");
    assert_string_equal(options_nearest("reprot", verbs), "report");
    assert_string_equal(options_nearest("tpo", verbs), "top");
    assert_null(options_nearest("reclaim", verbs));
    assert_null(options_nearest("x", verbs));
    assert_null(options_nearest("", verbs));
}

// An argument that may be left out is attached or not there at all.
static void test_bare(void **state)
{
    (void)state;
    struct line line;
    PARSE(&line, "--watch", "10s", "--watch=2s");
    assert_int_equal(line.result, 0);
    assert_int_equal(line.options.operand_count, 1);
    assert_int_equal(options_get(&line.options, "watch")->number, 2000000000ULL);
    PARSE(&line, "-aw", "x");
    assert_int_equal(line.result, 0);
    assert_int_equal(options_get(&line.options, "watch")->number, 5000000000ULL);
    assert_true(options_get(&line.options, "watch")->given);
    PARSE(&line, "-w1s");
    assert_int_equal(options_get(&line.options, "watch")->number, 1000000000ULL);
    PARSE(&line, "x");
    assert_false(options_get(&line.options, "watch")->given);
    assert_int_equal(options_get(&line.options, "watch")->number, 0);
    REFUSED("--watch needs a duration such as 10s or 1m30s, not an empty one", "--watch=");
}

// What follows a command is the command's.
static void test_command_ends_options(void **state)
{
    (void)state;
    static const struct {
        char *words[6];
        size_t operands;
        bool is_all;
    } rows[] = {
        {{"-a", "cmd", "-d", "--", "--file"}, 4, true},
        {{"--file", "x", "--", "cmd", "-a"}, 2, false},
        {{"--", "--all", "--"}, 2, false},
        {{"-5", "-a"}, 2, false},
        {{"-a"}, 0, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct options options;
        char error[OPTIONS_ERROR_MAX], *words[6];
        size_t count = 0;
        for (; count < 6 && rows[i].words[count]; count++)
            words[count] = rows[i].words[count];
        assert_int_equal(
            options_parse_command(verb_options, global_options, count, words, &options, error), 0);
        assert_int_equal(options.operand_count, rows[i].operands);
        assert_int_equal(options_flag(&options, "all"), rows[i].is_all);
        assert_false(options_flag(&options, "deep"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_every_spelling),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_operands),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_refusal_leaves_result),
        cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_bare),
        cmocka_unit_test(test_command_ends_options),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
