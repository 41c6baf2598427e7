// SPDX-License-Identifier: Apache-2.0
// Unit tests of the screen of ebb top: keys are pressed, and the screen is read. Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "render/top.h"

enum { LINES = 40, COLUMNS = 140, MIB = 1 << 20 };

// A screen of code points, to see what was written where, and that nothing was written beside it.
struct grid {
    char cells[LINES][COLUMNS][5];
    bool is_inverse[LINES][COLUMNS];
    unsigned lines, columns;
};

static void grid_put(void *context, unsigned line, unsigned column, enum render_color color,
                     bool is_inverse, const char *text)
{
    struct grid *grid = context;
    (void)color;
    assert_true(line < grid->lines);
    for (size_t i = 0; text[i];) {
        size_t len = 1;
        while (((unsigned char)text[i + len] & 0xC0) == 0x80)
            len++;
        // Marks are left out: they stand in the cell of their character.
        size_t wide = format_columns((struct text){text + i, len});
        if (wide == 0) {
            i += len;
            continue;
        }
        assert_true(column + wide <= grid->columns && len <= 4);
        assert_true((unsigned char)text[i] >= ' ' && text[i] != 0x7F);
        memcpy(grid->cells[line][column], text + i, len);
        grid->cells[line][column][len] = '\0';
        grid->is_inverse[line][column] = is_inverse;
        column += (unsigned)wide;
        i += len;
    }
}

// The line as one text, without blanks at its end; static, for one use.
static const char *grid_line(const struct grid *grid, unsigned line)
{
    static char text[COLUMNS * 4 + 1];
    text[0] = '\0';
    for (unsigned column = 0; column < grid->columns; column++) {
        const char *cell = grid->cells[line][column];
        strcat(text, cell[0] ? cell : " ");
        // A wide character has two cells.
        column += cell[0] && format_columns(text_of(cell)) == 2;
    }
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == ' ')
        text[--len] = '\0';
    return text;
}

static struct grid drawn(const struct top *top, struct top_view *view, unsigned lines,
                         unsigned columns)
{
    static struct grid grid;
    memset(&grid, 0, sizeof grid);
    grid.lines = lines;
    grid.columns = columns;
    struct canvas canvas = {
        .lines = lines, .columns = columns, .unicode = true, .context = &grid, .put = grid_put};
    assert_int_equal(top_draw(top, view, &canvas), 0);
    return grid;
}

static bool grid_has(const struct grid *grid, const char *text)
{
    for (unsigned line = 0; line < grid->lines; line++)
        if (strstr(grid_line(grid, line), text))
            return true;
    return false;
}

// Three processes: redis is large, a Go program has 300 MiB lazily freed, one may not be read.
static const struct digest go_digest = {
    .row_bytes = {[ROW_IN_USE] = 80ull * MIB, [ROW_KEPT] = 20ull * MIB, [ROW_LAZY] = 300ull * MIB},
    .verdict = VERDICT_LAZY,
    .headline = "lazy, not a leak",
    .next = "ebb reclaim 20",
    .runtimes = "Go 1.24.4",
};
static const struct digest redis_digest = {.row_bytes = {[ROW_IN_USE] = 600ull * MIB},
                                           .verdict = VERDICT_IN_USE,
                                           .runtimes = "jemalloc 5.3"};
static const struct subject subjects[] = {
    {.id = 1, .pid = 10, .name = "redis-server", .cmdline = "redis-server *:6379"},
    {.id = 2, .pid = 20, .name = "api\033[2J", .cmdline = "/srv/api"},
    {.id = 3, .pid = 30, .name = "secret", .cmdline = "secret"},
};

static void take_round(struct top *top, int64_t time_ms, bool with_digests)
{
    struct sample samples[] = {
        {.subject = 1,
         .time_ms = time_ms,
         .rss_bytes = 600ull * MIB,
         .effective_bytes = 600ull * MIB,
         .digest = with_digests ? &redis_digest : NULL},
        {.subject = 2,
         .time_ms = time_ms,
         .rss_bytes = 400ull * MIB,
         .lazy_bytes = 300ull * MIB,
         .effective_bytes = 100ull * MIB,
         .digest = with_digests ? &go_digest : NULL},
        {.subject = 3,
         .time_ms = time_ms,
         .rss_bytes = 10ull * MIB,
         .lazy_bytes = SAMPLE_UNKNOWN,
         .effective_bytes = 10ull * MIB},
    };
    struct batch batch = {.time_ms = time_ms,
                          .host = {.total_bytes = 1ull << 34, .pressure_some_avg10 = -1},
                          .samples = samples,
                          .sample_count = 3};
    assert_int_equal(top_update(top, &batch, subjects, 3), 0);
}

static struct top two_rounds(void)
{
    struct top top = {0};
    take_round(&top, 1000, true);
    take_round(&top, 3000, false);
    return top;
}

static void test_rows_stand_in_order(void **state)
{
    (void)state;
    struct top top = two_rounds();
    struct top_view view = {.order = TOP_BY_BACK};
    struct grid grid = drawn(&top, &view, 24, 100);
    assert_non_null(strstr(grid_line(&grid, 1), "3 processes (1 not read)  effective 710 MiB"));
    assert_non_null(strstr(grid_line(&grid, 4), "lazy"));
    assert_non_null(strstr(grid_line(&grid, 4), "300 MiB  20.0 MiB   100 MiB"));
    assert_non_null(strstr(grid_line(&grid, 5), "redis-server"));
    assert_non_null(strstr(grid_line(&grid, 6), "10.0 MiB         -         -"));
    top_press(&view, &top, 10, '>');
    grid = drawn(&top, &view, 24, 100);
    assert_non_null(strstr(grid_line(&grid, 4), "redis-server"));
    assert_non_null(strstr(grid_line(&grid, 3), "RSS▼"));
    top_press(&view, &top, 10, 'r');
    grid = drawn(&top, &view, 24, 100);
    assert_non_null(strstr(grid_line(&grid, 4), "secret"));
    top_free(&top);
}

// A large one that has not been read stands above small ones of which some KiB could be got back.
static void test_little_does_not_count(void **state)
{
    (void)state;
    struct top top = two_rounds();
    for (size_t i = 0; i < top.count; i++) {
        struct table_row *figures = &top.rows[i].figures;
        bool is_small = figures->rss_bytes < 100 * MIB;
        figures->lazy_bytes = is_small ? 900 << 10 : SAMPLE_UNKNOWN;
        figures->kept_bytes = is_small ? 0 : SAMPLE_UNKNOWN;
    }
    struct top_view view = {.order = TOP_BY_BACK};
    struct grid grid = drawn(&top, &view, 24, 100);
    assert_null(strstr(grid_line(&grid, 4), "900 KiB"));
    assert_non_null(strstr(grid_line(&grid, 6), "900 KiB"));
    top_free(&top);
}

static void test_names_are_escaped(void **state)
{
    (void)state;
    struct top top = two_rounds();
    struct top_view view = {.selected = 2, .shows_detail = true};
    struct grid grid = drawn(&top, &view, 40, 120);
    assert_true(grid_has(&grid, "api\\x1b[2J"));
    top_free(&top);
}

static void test_a_filter_narrows_while_it_is_typed(void **state)
{
    (void)state;
    struct top top = two_rounds();
    struct top_view view = {0};
    for (const char *key = "/6379"; *key; key++)
        assert_int_equal(top_press(&view, &top, 10, (uint32_t)*key), TOP_WISH_NONE);
    struct grid grid = drawn(&top, &view, 24, 100);
    assert_non_null(strstr(grid_line(&grid, 1), "1 of 3 processes"));
    assert_non_null(strstr(grid_line(&grid, 4), "redis-server"));
    top_press(&view, &top, 10, TOP_KEY_BACKSPACE);
    assert_string_equal(view.filter, "637");
    // A key that is a command elsewhere is a letter here.
    assert_int_equal(top_press(&view, &top, 10, 'q'), TOP_WISH_NONE);
    top_press(&view, &top, 10, TOP_KEY_ENTER);
    grid = drawn(&top, &view, 24, 100);
    assert_true(grid_has(&grid, "nothing matches the filter"));
    top_press(&view, &top, 10, TOP_KEY_ESCAPE);
    assert_string_equal(view.filter, "");
    // Characters of several bytes go as a whole, and no filter outgrows its room.
    top_press(&view, &top, 10, '/');
    top_press(&view, &top, 10, 0xE4);
    top_press(&view, &top, 10, TOP_KEY_BACKSPACE);
    assert_string_equal(view.filter, "");
    for (int i = 0; i < 200; i++)
        top_press(&view, &top, 10, 0x20AC);
    assert_true(strlen(view.filter) < sizeof view.filter);
    top_free(&top);
}

static void test_the_selection_holds_on_to_a_process(void **state)
{
    (void)state;
    struct top top = two_rounds();
    struct top_view view = {0};
    assert_int_equal(top_press(&view, &top, 10, 'a'), TOP_WISH_NONE);
    top_press(&view, &top, 10, TOP_KEY_DOWN);
    assert_int_equal(view.selected, 2);
    top_press(&view, &top, 10, TOP_KEY_DOWN);
    assert_int_equal(view.selected, 1);
    assert_int_equal(top_press(&view, &top, 10, 'a'), TOP_WISH_ACCOUNT);
    view.order = TOP_BY_RSS;
    top_press(&view, &top, 10, TOP_KEY_DOWN);
    assert_int_equal(view.selected, 2);
    top_press(&view, &top, 10, TOP_KEY_END);
    assert_int_equal(view.selected, 3);
    top_press(&view, &top, 10, TOP_KEY_PAGE_UP);
    assert_int_equal(view.selected, 1);
    assert_int_equal(top_press(&view, &top, 10, 'q'), TOP_WISH_QUIT);
    top_free(&top);
}

static void test_the_detail_shows_account_and_history(void **state)
{
    (void)state;
    struct top top = two_rounds();
    struct top_view view = {.selected = 2};
    assert_int_equal(top_press(&view, &top, 10, TOP_KEY_ENTER), TOP_WISH_ACCOUNT);
    struct grid grid = drawn(&top, &view, 40, 120);
    assert_true(grid_has(&grid, "lazy, not a leak"));
    assert_true(grid_has(&grid, "next: ebb reclaim 20"));
    assert_true(grid_has(&grid, "account of 2.0 s ago"));
    assert_true(grid_has(&grid, "highest 400 MiB"));
    // Of 9 lines a quarter is effective, the rest of the last two rounds is light.
    assert_true(grid_has(&grid, "░░"));
    assert_true(grid_has(&grid, "██"));
    top_press(&view, &top, 10, TOP_KEY_ESCAPE);
    assert_false(view.shows_detail);
    top_free(&top);
}

static void test_ended_processes_leave(void **state)
{
    (void)state;
    struct top top = two_rounds();
    struct subject ended[3];
    memcpy(ended, subjects, sizeof ended);
    ended[0].has_ended = true;
    struct batch batch = {.time_ms = 5000};
    assert_int_equal(top_update(&top, &batch, ended, 3), 0);
    assert_int_equal(top.count, 2);
    assert_int_equal(top.rows[0].subject, 2);
    // A subject that the sampler has forgotten is gone too.
    assert_int_equal(top_update(&top, &batch, ended + 2, 1), 0);
    assert_int_equal(top.count, 1);
    top_free(&top);
}

// The grid asserts that nothing is written outside of it.
static void test_any_size_and_any_key(void **state)
{
    (void)state;
    struct top top = two_rounds();
    struct top_view view = {0};
    srand(7);
    for (int i = 0; i < 4000; i++) {
        unsigned lines = 1 + (unsigned)rand() % LINES, columns = 1 + (unsigned)rand() % COLUMNS;
        uint32_t key = rand() % 2 ? TOP_KEY_UP + (uint32_t)rand() % 11 : (uint32_t)rand() % 0x3000;
        top_press(&view, &top, top_page(&view, lines), key);
        drawn(&top, &view, lines, columns);
        if (i % 50 == 0)
            take_round(&top, 5000 + i, i % 100 == 0);
    }
    top_free(&top);
}

static void test_the_table_has_the_same_order(void **state)
{
    (void)state;
    struct top top = two_rounds();
    struct top_view view = {.order = TOP_BY_NAME};
    struct table table;
    assert_int_equal(top_table(&top, &view, &table), 0);
    assert_int_equal(table.count, 3);
    assert_string_equal(table.rows[1].name, "redis-server");
    assert_true(table.rows[2].lazy_bytes == TABLE_UNKNOWN);
    table_free(&table);
    top_free(&top);
}

// Small screens have a row and what it is ordered by; none of it is cut.
static void test_a_small_screen_has_rows(void **state)
{
    (void)state;
    struct top top = two_rounds();
    struct top_view view = {.order = TOP_BY_RSS};
    struct grid grid = drawn(&top, &view, 5, 20);
    assert_string_equal(grid_line(&grid, 0), "NAME            RSS▼");
    assert_string_equal(grid_line(&grid, 1), "redis-s...   600 MiB");
    assert_string_equal(grid_line(&grid, 4), "q quit  ? help");
    // What is typed is seen where there is no line for the sums.
    top_press(&view, &top, 3, '/');
    top_press(&view, &top, 3, 'p');
    grid = drawn(&top, &view, 5, 40);
    assert_non_null(strstr(grid_line(&grid, 4), "filter: p▏"));
    top_press(&view, &top, 3, TOP_KEY_ESCAPE);
    for (unsigned lines = 1; lines < 24; lines++) {
        grid = drawn(&top, &view, lines, 80);
        assert_true(grid_has(&grid, "600 MiB"));
        assert_true(top_page(&view, lines) > 0);
        view.shows_detail = true;
        view.selected = 1;
        assert_true(top_page(&view, lines) > 0);
        drawn(&top, &view, lines, 80);
        view.shows_detail = false;
    }
    top_free(&top);
}

// Columns of figures stand below their headings, whatever the name is.
static void test_wide_names_take_their_columns(void **state)
{
    (void)state;
    static const struct subject odd[] = {
        {.id = 1, .pid = 10, .name = "中文进程名字很长的程序", .cmdline = "x"},
        {.id = 2, .pid = 20, .name = "e\xcc\x81t\xcc\x81", .cmdline = "x"},
        {.id = 3, .pid = 30, .name = "\xff\xfe\xff\xfe\xff\xfe", .cmdline = "x"},
    };
    struct top top = {0};
    struct sample samples[3];
    for (unsigned i = 0; i < 3; i++)
        samples[i] = (struct sample){.subject = i + 1,
                                     .rss_bytes = 7ull * MIB,
                                     .effective_bytes = 7ull * MIB,
                                     .lazy_bytes = SAMPLE_UNKNOWN};
    struct batch batch = {.time_ms = 1000, .samples = samples, .sample_count = 3};
    assert_int_equal(top_update(&top, &batch, odd, 3), 0);
    struct top_view view = {.order = TOP_BY_PID};
    struct grid grid = drawn(&top, &view, 24, 80);
    for (unsigned line = 4; line < 7; line++) {
        assert_string_equal(grid.cells[line][29], "7");
        assert_string_equal(grid.cells[line][36], "B");
    }
    assert_non_null(strstr(grid_line(&grid, 4), "中文进程名字很..."));
    top_free(&top);
}

// Makes a process that began at `start_ms`, or has ended.
static struct subject looping(unsigned id, int64_t start_ms, bool has_ended)
{
    struct subject subject = {
        .id = id, .pid = (int)(1000 + id), .start_ms = start_ms, .has_ended = has_ended};
    snprintf(subject.name, sizeof subject.name, "crasher");
    return subject;
}

static void test_a_crash_loop_is_one_row(void **state)
{
    (void)state;
    struct top top = {0};
    struct top_view view = {.order = TOP_BY_PID};
    struct subject known[9] = {{.id = 1, .pid = 7, .name = "steady", .start_ms = 1}};
    // Each round the crasher of the round before has ended, and another one runs.
    for (unsigned round = 0; round < 8; round++) {
        int64_t now_ms = 1000000 + round * 2000;
        for (unsigned i = 1; i <= round; i++)
            known[i].has_ended = true;
        known[round + 1] = looping(round + 2, now_ms - 500, false);
        struct sample samples[] = {
            {.subject = 1, .rss_bytes = MIB, .effective_bytes = MIB},
            {.subject = round + 2, .rss_bytes = MIB, .effective_bytes = MIB},
        };
        struct batch batch = {.time_ms = now_ms, .samples = samples, .sample_count = 2};
        assert_int_equal(top_update(&top, &batch, known, round + 2), 0);
    }
    struct grid grid = drawn(&top, &view, 24, 120);
    assert_true(grid_has(&grid, "×1  crasher"));
    assert_true(grid_has(&grid, "8 starts/min"));
    assert_false(grid_has(&grid, "1009"));
    // Also between two of them.
    struct batch batch = {.time_ms = 1016000};
    known[8].has_ended = true;
    assert_int_equal(top_update(&top, &batch, known, 9), 0);
    grid = drawn(&top, &view, 24, 120);
    assert_true(grid_has(&grid, "×0  crasher"));
    // By name it is a row among others.
    top_press(&view, &top, 10, 'n');
    grid = drawn(&top, &view, 24, 120);
    assert_true(grid_has(&grid, "COUNT"));
    assert_true(grid_has(&grid, "STARTS/MIN"));
    struct table table;
    view.is_grouped = true;
    assert_int_equal(top_table(&top, &view, &table), 0);
    assert_int_equal(table.count, 2);
    assert_true(table.rows[0].is_group && table.is_grouped);
    table_free(&table);
    // Nobody is there any more a minute later, and the name is forgotten.
    batch.time_ms += 120000;
    assert_int_equal(top_update(&top, &batch, known, 9), 0);
    assert_int_equal(top.group_count, 1);
    top_free(&top);
}

// A program whose processes each have another name is one row under its executable's.
static void test_ever_new_names_are_one_row(void **state)
{
    (void)state;
    struct top top = {0};
    struct top_view view = {.order = TOP_BY_PID};
    for (unsigned round = 0; round < 25; round++) {
        // The one before has left the list of those that are known.
        struct subject known[2] = {{.id = 1, .pid = 7, .name = "steady", .start_ms = 1},
                                   looping(round + 2, 1000000 + round * 500, false)};
        snprintf(known[1].name, sizeof known[1].name, "made-up-%u", round);
        snprintf(known[1].exe, sizeof known[1].exe, "forker");
        struct sample samples[] = {
            {.subject = 1, .rss_bytes = MIB, .effective_bytes = MIB},
            {.subject = round + 2, .rss_bytes = MIB, .effective_bytes = MIB},
        };
        struct batch batch = {
            .time_ms = known[1].start_ms + 100, .samples = samples, .sample_count = 2};
        assert_int_equal(top_update(&top, &batch, known, 2), 0);
    }
    struct grid grid = drawn(&top, &view, 24, 120);
    assert_true(grid_has(&grid, "×1  forker"));
    assert_true(grid_has(&grid, "25 starts/min"));
    assert_false(grid_has(&grid, "made-up"));
    assert_true(grid_has(&grid, "steady"));
    // By name it is what it calls itself.
    top_press(&view, &top, 10, 'n');
    grid = drawn(&top, &view, 24, 120);
    assert_true(grid_has(&grid, "made-up-24") && !grid_has(&grid, "forker"));
    top_free(&top);
}

// On a terminal of 40 columns and more a table breaks no line, and has what a line is for.
static void test_a_table_fits(void **state)
{
    (void)state;
    struct top top = two_rounds();
    for (unsigned i = 0; i < 2 * 80; i++) {
        struct top_view view = {.is_grouped = i % 2};
        struct render_style style = {.width = 40 + i / 2};
        struct table table;
        struct buffer buffer = {0};
        assert_int_equal(top_table(&top, &view, &table), 0);
        assert_int_equal(render_table_text(&table, &style, &buffer), 0);
        assert_non_null(strstr(buffer.data, "EFFECTIVE"));
        struct text rest = buffer_text(&buffer), line;
        while (text_next_line(&rest, &line))
            assert_true(format_columns(line) <= style.width);
        buffer_free(&buffer);
        table_free(&table);
    }
    top_free(&top);
}

// What explains the columns is read on the smallest of usual terminals.
static void test_the_help_fits(void **state)
{
    (void)state;
    struct top top = two_rounds();
    struct top_view view = {.shows_help = true};
    struct grid grid = drawn(&top, &view, 24, 120);
    for (unsigned line = 4; line < 23; line++)
        assert_true(strlen(grid_line(&grid, line)) <= 80);
    assert_true(grid_has(&grid, "the one number for alarms"));
    top_free(&top);
}

// A thousand names that are gone again leave no thousand groups.
static void test_names_do_not_pile_up(void **state)
{
    (void)state;
    struct top top = {0};
    for (unsigned round = 0; round < 3000; round++) {
        struct subject one = looping(round + 1, 1000000, false);
        snprintf(one.name, sizeof one.name, "made-up-%u", round);
        struct sample sample = {.subject = round + 1, .rss_bytes = MIB};
        struct batch batch = {.time_ms = 1000000, .samples = &sample, .sample_count = 1};
        assert_int_equal(top_update(&top, &batch, &one, 1), 0);
    }
    assert_true(top.group_count < 300);
    top_free(&top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_stand_in_order),
        cmocka_unit_test(test_little_does_not_count),
        cmocka_unit_test(test_a_small_screen_has_rows),
        cmocka_unit_test(test_wide_names_take_their_columns),
        cmocka_unit_test(test_a_crash_loop_is_one_row),
        cmocka_unit_test(test_the_help_fits),
        cmocka_unit_test(test_ever_new_names_are_one_row),
        cmocka_unit_test(test_a_table_fits),
        cmocka_unit_test(test_names_do_not_pile_up),
        cmocka_unit_test(test_names_are_escaped),
        cmocka_unit_test(test_a_filter_narrows_while_it_is_typed),
        cmocka_unit_test(test_the_selection_holds_on_to_a_process),
        cmocka_unit_test(test_the_detail_shows_account_and_history),
        cmocka_unit_test(test_ended_processes_leave),
        cmocka_unit_test(test_any_size_and_any_key),
        cmocka_unit_test(test_the_table_has_the_same_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
