// SPDX-License-Identifier: Apache-2.0
// Unit tests of the settings in EBB_CONF. Test code; no state.
#include "release_test.h"

#include "release/conf.h"

// The text in a block of its exact length, so that a sanitizer sees a read behind it.
static int read_text(struct conf *conf, const char *text, char *wrong, size_t size)
{
    size_t len = strlen(text);
    char *copy = malloc(len + !len);
    assert_non_null(copy);
    memcpy(copy, text, len);
    const char *at = "untouched";
    size_t at_len = strlen(at);
    int result = conf_read(conf, copy, len, &at, &at_len);
    snprintf(wrong, size, "%.*s", (int)at_len, at);
    free(copy);
    return result;
}

static void expect_good(const char *text, struct conf want)
{
    struct conf conf;
    char wrong[64];
    conf_default(&conf);
    if (read_text(&conf, text, wrong, sizeof wrong) != 0)
        fail_msg("%s: refused at %s", text, wrong);
    assert_string_equal(wrong, "untouched");
    assert_int_equal(conf.policy, want.policy);
    assert_int_equal(conf.return_within_ms, want.return_within_ms);
    assert_int_equal(conf.limit_bytes, want.limit_bytes);
    assert_int_equal(conf.guard_one_in, want.guard_one_in);
    assert_int_equal(conf.has_helper, want.has_helper);
    assert_int_equal(conf.traces_purges, want.traces_purges);
}

static struct conf defaults(void)
{
    return (struct conf){WIRE_POLICY_AUTO, 1000, 0, 0, true, false};
}

static void test_defaults(void **state)
{
    (void)state;
    expect_good("", defaults());
    expect_good(",,,", defaults());
}

static void test_policies(void **state)
{
    (void)state;
    struct conf want = defaults();
    expect_good("policy:auto", want);
    want.policy = WIRE_POLICY_FREE;
    expect_good("policy:free", want);
    want.policy = WIRE_POLICY_DONTNEED;
    expect_good("policy:dontneed", want);
    want.policy = WIRE_POLICY_KEEP;
    expect_good("policy:keep", want);
}

static void test_times(void **state)
{
    (void)state;
    struct conf want = defaults();
    want.return_within_ms = 10;
    expect_good("return_within:10", want);
    expect_good("return_within:10ms", want);
    want.return_within_ms = 2000;
    expect_good("return_within:2s", want);
    want.return_within_ms = 3600000;
    expect_good("return_within:3600s", want);
    expect_good("return_within:3600000", want);
}

static void test_sizes(void **state)
{
    (void)state;
    struct conf want = defaults();
    expect_good("limit:0", want);
    want.limit_bytes = 4097;
    expect_good("limit:4097", want);
    want.limit_bytes = 64 << 10;
    expect_good("limit:64K", want);
    want.limit_bytes = 512 * MIB;
    expect_good("limit:512M", want);
    want.limit_bytes = 3 * GIB;
    expect_good("limit:3G", want);
    want.limit_bytes = UINT64_MAX;
    expect_good("limit:18446744073709551615", want);
}

static void test_switches(void **state)
{
    (void)state;
    struct conf want = defaults();
    expect_good("helper:on", want);
    want.has_helper = false;
    expect_good("helper:off", want);
    want = defaults();
    expect_good("trace:off", want);
    want.traces_purges = true;
    expect_good("trace:purge", want);
    want = defaults();
    expect_good("guard:off", want);
    expect_good("guard:0", want);
    want.guard_one_in = 1000;
    expect_good("guard:1000", want);
    want.guard_one_in = UINT32_MAX;
    expect_good("guard:4294967295", want);
}

static void test_lists(void **state)
{
    (void)state;
    struct conf want = {WIRE_POLICY_FREE, 500, 100 * MIB, 7, false, true};
    expect_good("policy:free,return_within:500ms,limit:100M,helper:off,trace:purge,guard:7", want);
    expect_good(",trace:purge,,guard:7,policy:free,limit:100M,return_within:500,helper:off,", want);
    // The later one wins.
    want = defaults();
    want.return_within_ms = 20;
    expect_good("return_within:2s,policy:keep,policy:auto,return_within:20", want);
}

static void test_wrong_items(void **state)
{
    (void)state;
    static const char *const wrong_items[] = {
        "policy",
        "policy:",
        "policy:Auto",
        "policy:autom",
        "policy:aut",
        "policy:none",
        "polic:auto",
        " policy:auto",
        "policy:auto ",
        "policy=auto",
        ":",
        ":auto",
        "return_within:",
        "return_within:9",
        "return_within:3600001",
        "return_within:3601s",
        "return_within:1h",
        "return_within:-5",
        "return_within:1.5s",
        "return_within:s",
        "return_within:5 s",
        "return_within:99999999999999999999",
        "return_within:18446744073709551s",
        "limit:",
        "limit:M",
        "limit:1T",
        "limit:1MB",
        "limit:1m",
        "limit:18446744073709551616",
        "limit:18446744073709551615K",
        "limit:17179869184G",
        "helper:",
        "helper:yes",
        "helper:On",
        "trace:",
        "trace:on",
        "trace:purges",
        "guard:",
        "guard:x",
        "guard:4294967296",
        "guard:1K",
        "other:1",
    };
    for (size_t i = 0; i < sizeof wrong_items / sizeof *wrong_items; i++) {
        struct conf conf = {WIRE_POLICY_FREE, 77, 1, 2, false, false};
        const struct conf before = conf;
        char wrong[64];
        if (read_text(&conf, wrong_items[i], wrong, sizeof wrong) != -EINVAL)
            fail_msg("accepted: %s", wrong_items[i]);
        assert_string_equal(wrong, wrong_items[i]);
        assert_memory_equal(&conf, &before, sizeof conf);
    }
}

// The first wrong item is named; what stands around it counts.
static void test_around_wrong_items(void **state)
{
    (void)state;
    struct conf conf;
    char wrong[64];
    conf_default(&conf);
    assert_int_equal(read_text(&conf, "policy:keep,limit:x,guard:5,trace:y", wrong, sizeof wrong),
                     -EINVAL);
    assert_string_equal(wrong, "limit:x");
    assert_int_equal(conf.policy, WIRE_POLICY_KEEP);
    assert_int_equal(conf.guard_one_in, 5);
    assert_int_equal(conf.limit_bytes, 0);
}

// Cut anywhere, the text reads as its whole items and perhaps a wrong one.
static void test_cut_text(void **state)
{
    (void)state;
    const char *text = "policy:free,return_within:500ms,limit:100M,helper:off,trace:purge,guard:70";
    for (size_t len = 0; len <= strlen(text); len++) {
        char cut[128];
        char wrong[64];
        struct conf conf;
        snprintf(cut, sizeof cut, "%.*s", (int)len, text);
        conf_default(&conf);
        (void)read_text(&conf, cut, wrong, sizeof wrong);
        assert_int_equal(conf.policy, len >= 11 ? WIRE_POLICY_FREE : WIRE_POLICY_AUTO);
        assert_int_equal(conf.has_helper, len < 53);
        assert_in_range(conf.return_within_ms, 10, 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_policies),
        cmocka_unit_test(test_times),       cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_switches),    cmocka_unit_test(test_lists),
        cmocka_unit_test(test_wrong_items), cmocka_unit_test(test_around_wrong_items),
        cmocka_unit_test(test_cut_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
