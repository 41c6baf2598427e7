// SPDX-License-Identifier: Apache-2.0
// Unit tests of the line per purge. Test code; no state.
#include "release_test.h"

#include <unistd.h>

#include "release/trace.h"

static const struct trace_purge purge = {
    .number = 12,
    .at_ns = UINT64_C(56573999999),
    .kept_before = 340 * MIB,
    .kept_after = 12 * MIB,
    .returned_bytes = 328 * MIB,
    .pages = 83968,
    .took_ns = 24199999,
    .pressure = WIRE_PRESSURE_SHORT,
};

static void expect(const struct trace_purge *one, const char *want)
{
    struct line line;
    trace_format(one, &line);
    assert_int_equal(line.len, strlen(want));
    assert_memory_equal(line.text, want, line.len);
}

static void test_format(void **state)
{
    (void)state;
    expect(&purge, "purge 12 @56.573s 340->12 MiB kept, 0->0 MiB lazy, 328 MiB returned, "
                   "83968 pages, 24.1 ms, short");
    struct trace_purge other = {.number = 1};
    expect(&other, "purge 1 @0.000s 0->0 MiB kept, 0->0 MiB lazy, 0 MiB returned, 0 pages, "
                   "0.0 ms, unknown");
    // Half a MiB is rounded up, and leading zeros of the fraction stay.
    other = (struct trace_purge){.number = 2,
                                 .at_ns = 7000000,
                                 .kept_before = MIB / 2,
                                 .kept_after = MIB / 2 - 1,
                                 .lazy_before = 3 * MIB,
                                 .lazy_after = 9 * MIB + MIB / 2,
                                 .took_ns = 90000,
                                 .pressure = WIRE_PRESSURE_NONE};
    expect(&other, "purge 2 @0.007s 1->0 MiB kept, 3->10 MiB lazy, 0 MiB returned, 0 pages, "
                   "0.0 ms, plenty");
}

// However large the figures, the line ends where it has to, with room for its newline.
static void test_largest(void **state)
{
    (void)state;
    struct trace_purge largest;
    memset(&largest, 0xff, sizeof largest);
    largest.pressure = WIRE_PRESSURE_SHORT;
    struct line line;
    trace_format(&largest, &line);
    assert_true(line.len < sizeof line.text);
    assert_memory_equal(line.text, "purge 18446744073709551615 @18446744073.709s 17592186044416",
                        59);
}

static void test_write(void **state)
{
    (void)state;
    int ends[2];
    char text[256] = {0};
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0 && pipe(ends) == 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    trace_write(&purge);
    (void)dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    ssize_t got = read(ends[0], text, sizeof text - 1);
    assert_true(got > 0);
    close(ends[0]);
    assert_string_equal(text,
                        "purge 12 @56.573s 340->12 MiB kept, 0->0 MiB lazy, 328 MiB returned, "
                        "83968 pages, 24.1 ms, short\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
