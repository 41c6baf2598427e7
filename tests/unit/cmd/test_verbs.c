// SPDX-License-Identifier: Apache-2.0
// Unit tests of the verbs' tables: help, man page and completions say what the tables say, no more
// and no less. Test world; pure.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/help.h"

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

// What a renderer wrote; free with buffer_free().
static struct buffer help_of(const struct verb *verb)
{
    struct output output = {0};
    help_render(verb, &output);
    assert_int_equal(output.error, 0);
    return output.buffer;
}

static struct buffer man_of(const struct verb *verb)
{
    struct output output = {0};
    help_render_man(verb, &output);
    assert_int_equal(output.error, 0);
    return output.buffer;
}

static struct buffer completion_of(const char *shell)
{
    struct output output = {0};
    assert_int_equal(help_render_completion(shell, &output), 0);
    assert_int_equal(output.error, 0);
    return output.buffer;
}

static void assert_has(const struct buffer *buffer, const char *needle, const char *where)
{
    if (!text_contains(buffer_text(buffer), needle))
        fail_msg("'%s' is missing in %s", needle, where);
}

// Is `--name` an option of the verb, or of all verbs?
static bool is_option(const struct verb *verb, const char *name, size_t len)
{
    const struct option_spec *tables[] = {verb->options, verb_global_options()};
    for (size_t t = 0; t < 2; t++) {
        for (const struct option_spec *spec = tables[t]; spec && spec->name; spec++) {
            if (strlen(spec->name) == len && memcmp(spec->name, name, len) == 0)
                return true;
        }
    }
    return false;
}

static void check_option(const struct option_spec *spec)
{
    assert_non_null(spec->help);
    assert_int_equal(spec->help[strlen(spec->help) - 1], '.');
    // Flags are off by default; what has an argument says what it is.
    assert_true(spec->kind != OPTION_FLAG || (!spec->argument && !spec->fallback));
    assert_true((spec->kind == OPTION_CHOICE) == (spec->choices != NULL));
    assert_true(spec->kind == OPTION_FLAG || spec->kind == OPTION_CHOICE || spec->argument);
}

static void test_tables_are_sound(void **state)
{
    (void)state;
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        assert_ptr_equal(verb_find(verb->name), verb);
        assert_non_null(verb->run);
        assert_non_null(verb->usage[0]);
        assert_true(verb->is_hidden == (verb->name[0] == '_'));
        assert_true(verb->is_hidden || (verb->description && verb->examples));
        assert_true(options_count(verb->options) <= OPTIONS_MAX);
        for (const struct option_spec *spec = verb->options; spec && spec->name; spec++)
            check_option(spec);
    }
    for (const struct option_spec *spec = verb_global_options(); spec->name; spec++)
        check_option(spec);
}

static void test_names_are_unique(void **state)
{
    (void)state;
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        bool letters[256] = {false};
        const struct option_spec *tables[] = {verb->options, verb_global_options()};
        for (size_t t = 0; t < 2; t++) {
            for (const struct option_spec *spec = tables[t]; spec && spec->name; spec++) {
                assert_false(spec->letter && letters[(unsigned char)spec->letter]);
                letters[(unsigned char)spec->letter] = true;
                if (t == 0 && is_option(&(struct verb){0}, spec->name, strlen(spec->name)))
                    fail_msg("%s --%s hides a global option", verb->name, spec->name);
                for (const struct option_spec *other = spec + 1; other->name; other++)
                    assert_string_not_equal(spec->name, other->name);
            }
        }
    }
}

// What one learned at one verb holds at all others: a letter stands for one name, and a name that
// several verbs have has the same letter in each.
static void check_same(const struct verb *verb, const struct option_spec *spec,
                       const struct verb *other_verb)
{
    for (const struct option_spec *other = other_verb->options; other && other->name; other++) {
        bool same_name = strcmp(spec->name, other->name) == 0;
        bool same_letter = spec->letter && spec->letter == other->letter;
        if (same_letter && !same_name)
            fail_msg("-%c is %s --%s and %s --%s", spec->letter, verb->name, spec->name,
                     other_verb->name, other->name);
        if (same_name && spec->letter != other->letter)
            fail_msg("--%s has another letter in %s than in %s", spec->name, verb->name,
                     other_verb->name);
        if (same_name && spec->kind != other->kind)
            fail_msg("--%s of %s is of another kind than that of %s", spec->name, verb->name,
                     other_verb->name);
    }
}

static void test_letters_mean_the_same(void **state)
{
    (void)state;
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb))
        for (const struct option_spec *spec = verb->options; spec && spec->name; spec++)
            for (const struct verb *other = verb_next(verb); other; other = verb_next(other))
                check_same(verb, spec, other);
}

// Every default is a value that the option itself would take: the parser aborts otherwise.
static void test_defaults_parse(void **state)
{
    (void)state;
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        struct options options;
        char error[OPTIONS_ERROR_MAX];
        char *none[] = {NULL};
        assert_int_equal(
            options_parse(verb->options, verb_global_options(), 0, none, &options, error), 0);
    }
}

static void check_texts(const struct verb *verb, const struct option_spec *table)
{
    struct buffer help = help_of(verb), man = man_of(verb);
    for (; table && table->name; table++) {
        char spelled[64], argument[160];
        snprintf(spelled, sizeof(spelled), "--%s", table->name);
        assert_has(&help, spelled, "help");
        options_argument(table, argument, sizeof(argument));
        assert_has(&help, argument, "help");
        // troff wants its dashes escaped.
        char escaped[128] = "\\fB\\-\\-";
        for (const char *c = table->name; *c; c++)
            snprintf(escaped + strlen(escaped), sizeof(escaped) - strlen(escaped), "%s%c",
                     *c == '-' ? "\\" : "", *c);
        assert_has(&man, escaped, "the man page");
        if (table->fallback) {
            assert_has(&help, table->fallback, "help");
            assert_has(&man, table->fallback, "the man page");
        }
    }
    buffer_free(&help);
    buffer_free(&man);
}

static void test_texts_have_every_option(void **state)
{
    (void)state;
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        check_texts(verb, verb->options);
        check_texts(verb, verb_global_options());
    }
}

// What help mentions exists: an option that was renamed or dropped is not left behind in prose.
static void test_help_names_only_options(void **state)
{
    (void)state;
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        struct buffer help = help_of(verb);
        for (const char *at = help.data; (at = strstr(at, "--")) != NULL;) {
            at += 2;
            size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz-");
            if (len > 0 && !is_option(verb, at, len))
                fail_msg("help of %s tells of --%.*s", verb->name, (int)len, at);
            at += len;
        }
        buffer_free(&help);
    }
}

static void test_help_fits_terminal(void **state)
{
    (void)state;
    const struct verb *verb = NULL;
    do {
        struct buffer help = help_of(verb);
        struct text rest = buffer_text(&help), line;
        while (text_next_line(&rest, &line)) {
            if (line.len > 80 || text_ends_with(line, " "))
                fail_msg("%zu columns: '%.*s'", line.len, (int)line.len, line.data);
        }
        buffer_free(&help);
        verb = verb ? verb_next(verb) : verb_first();
    } while (verb);
}

// The list of verbs names the visible ones and hides the others.
static void test_lists_show_verbs(void **state)
{
    (void)state;
    struct buffer help = help_of(NULL), man = man_of(NULL);
    for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
        char line[64];
        snprintf(line, sizeof(line), "\n  %s ", verb->name);
        assert_int_equal(text_contains(buffer_text(&help), line), !verb->is_hidden);
        snprintf(line, sizeof(line), "\n.B %s\n", verb->name);
        assert_int_equal(text_contains(buffer_text(&man), line), !verb->is_hidden);
    }
    buffer_free(&help);
    buffer_free(&man);
}

static void test_completions_have_every_option(void **state)
{
    (void)state;
    for (size_t s = 0; shells[s]; s++) {
        struct buffer script = completion_of(shells[s]);
        for (const struct verb *verb = verb_first(); verb; verb = verb_next(verb)) {
            const struct option_spec *spec = verb->is_hidden ? NULL : verb->options;
            for (; spec && spec->name; spec++) {
                char spelled[64];
                // fish lists long names without their dashes.
                bool is_fish = strcmp(shells[s], "fish") == 0;
                snprintf(spelled, sizeof(spelled), "%s%s", is_fish ? " -l " : "--", spec->name);
                assert_has(&script, spelled, shells[s]);
            }
            assert_int_equal(text_contains(buffer_text(&script), verb->name),
                             !verb->is_hidden || strcmp(verb->name, "__completion") == 0);
        }
        buffer_free(&script);
    }
    struct output output = {0};
    assert_int_equal(help_render_completion("tcsh", &output), -EINVAL);
}

static void test_escaping(void **state)
{
    (void)state;
    char shown[16];
    message_escape("a\033[2Jb", shown, sizeof(shown));
    assert_string_equal(shown, "a\\x1b[2Jb");
    message_escape("a long name that does not fit", shown, sizeof(shown));
    assert_int_equal(strlen(shown), 15);
    assert_string_equal(shown + 12, "...");
    message_escape("", shown, sizeof(shown));
    assert_string_equal(shown, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_are_sound),
        cmocka_unit_test(test_names_are_unique),
        cmocka_unit_test(test_letters_mean_the_same),
        cmocka_unit_test(test_defaults_parse),
        cmocka_unit_test(test_texts_have_every_option),
        cmocka_unit_test(test_help_names_only_options),
        cmocka_unit_test(test_help_fits_terminal),
        cmocka_unit_test(test_lists_show_verbs),
        cmocka_unit_test(test_completions_have_every_option),
        cmocka_unit_test(test_escaping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
