// SPDX-License-Identifier: Apache-2.0
// Unit tests of what a client sends: paths, queries, tokens, hosts, addresses. Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "serve/http.h"

static int parse(const char *raw, struct uri *uri)
{
    return uri_parse(text_of(raw), uri);
}

static void test_plain(void **state)
{
    (void)state;
    struct uri uri;
    assert_int_equal(parse("/", &uri), 0);
    assert_string_equal(uri.path, "/");
    assert_int_equal(uri.parameter_count, 0);
    assert_int_equal(parse("/api/series?subject=1&from=-5&name=a%20b+c&flag", &uri), 0);
    assert_string_equal(uri.path, "/api/series");
    assert_string_equal(uri_find(&uri, "subject"), "1");
    assert_string_equal(uri_find(&uri, "name"), "a b c");
    assert_string_equal(uri_find(&uri, "flag"), "");
    assert_null(uri_find(&uri, "to"));
    assert_int_equal(parse("/a?", &uri), 0);
    assert_int_equal(parse("/a?&&x=%C3%A9&", &uri), 0);
    assert_string_equal(uri_find(&uri, "x"), "\xc3\xa9");
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "",
        "x",
        "//",
        "/a//b",
        "/../etc/passwd",
        "/a/../b",
        "/.",
        "/a/.",
        "/%2e%2e/x",
        "/a/%2E%2E",
        "/..%2fx",
        "/a%00b",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a\\b",
        "/a%5cb",
        "/%252e",
        "/a b",
        "/a\x01",
        "/a\x7f",
        "/\xc3\xa9",
        "/a?x=%ff",
        "/a?x=%c0%af",
        "/a?x=%00",
        "/a?=1",
        "/a?x=1&x=2",
        "/a#b",
        "/a?x=%ed%a0%80",
        "/a?x=1#f",
        "http://a/",
        "*",
        "/a?x=%f4%90%80%80",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct uri uri = {.parameter_count = 77};
        if (parse(refused[i], &uri) != -EINVAL)
            fail_msg("not refused: %s", refused[i]);
        // Failure leaves the result alone.
        assert_int_equal(uri.parameter_count, 77);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct uri uri;
    char raw[3000];
    memset(raw, 'a', sizeof raw);
    raw[0] = '/';
    assert_int_equal(uri_parse((struct text){raw, URI_PATH_MAX - 1}, &uri), 0);
    assert_int_equal(uri_parse((struct text){raw, URI_PATH_MAX}, &uri), -ENAMETOOLONG);
    assert_int_equal(uri_parse((struct text){raw, sizeof raw}, &uri), -ENAMETOOLONG);
    assert_int_equal(parse("/?a&b&c&d&e&f&g&h", &uri), 0);
    assert_int_equal(parse("/?a&b&c&d&e&f&g&h&i", &uri), -E2BIG);
}

static void test_numbers(void **state)
{
    (void)state;
    struct uri uri;
    uint64_t number = 5;
    int64_t moment = 6;
    assert_int_equal(parse("/?n=12&m=-1700000000000&f=1.75&big=99999999999999999999&x=1x", &uri),
                     0);
    assert_true(uri_take_u64(&uri, "none", 10, &number));
    assert_int_equal(number, 5);
    assert_true(uri_take_u64(&uri, "n", 12, &number));
    assert_int_equal(number, 12);
    assert_false(uri_take_u64(&uri, "n", 11, &number));
    assert_false(uri_take_u64(&uri, "m", 11, &number));
    assert_false(uri_take_u64(&uri, "big", UINT64_MAX, &number));
    assert_false(uri_take_u64(&uri, "x", 10, &number));
    assert_true(uri_take_moment(&uri, "m", &moment));
    assert_int_equal(moment, -1700000000000);
    assert_true(uri_take_moment(&uri, "f", &moment));
    assert_int_equal(moment, 1);
    assert_false(uri_take_moment(&uri, "big", &moment));
    assert_false(uri_take_moment(&uri, "x", &moment));
    assert_int_equal(parse("/?m=9223372036854775807&e=", &uri), 0);
    assert_false(uri_take_moment(&uri, "m", &moment));
    assert_false(uri_take_moment(&uri, "e", &moment));
}

static void test_tokens(void **state)
{
    (void)state;
    struct text token;
    assert_true(uri_take_bearer(text_of("Bearer abc"), &token));
    assert_true(text_equals(token, "abc"));
    assert_true(uri_take_bearer(text_of("bearer  abc"), &token));
    assert_true(text_equals(token, "abc"));
    assert_false(uri_take_bearer(text_of("Bearer "), &token));
    assert_false(uri_take_bearer(text_of("Basic abc"), &token));
    assert_false(uri_take_bearer(text_of(""), &token));
    assert_true(uri_token_equals(text_of("abcdefgh"), "abcdefgh"));
    assert_false(uri_token_equals(text_of("abcdefgi"), "abcdefgh"));
    assert_false(uri_token_equals(text_of("abcdefg"), "abcdefgh"));
    assert_false(uri_token_equals(text_of("abcdefghabcdefgh"), "abcdefgh"));
    assert_false(uri_token_equals(text_of(""), ""));
    char made[HTTP_TOKEN_MAX], other[HTTP_TOKEN_MAX];
    assert_int_equal(http_token_make(made), 0);
    assert_int_equal(http_token_make(other), 0);
    assert_int_equal(strlen(made), 32);
    assert_string_not_equal(made, other);
    assert_true(http_token_is_valid(made));
    assert_false(http_token_is_valid("short"));
    assert_false(http_token_is_valid("with blank"));
    assert_false(http_token_is_valid("with#fragment"));
}

static void assert_host(const char *header, const char *name, bool is_address)
{
    struct text taken;
    bool taken_is_address;
    assert_true(uri_take_host(text_of(header), &taken, &taken_is_address));
    assert_true(text_equals(taken, name));
    assert_int_equal(taken_is_address, is_address);
}

static void test_hosts(void **state)
{
    (void)state;
    struct text name;
    bool is_address;
    assert_host("localhost", "localhost", false);
    assert_host("localhost:7878", "localhost", false);
    assert_host("127.0.0.1:80", "127.0.0.1", true);
    assert_host("[::1]:7878", "::1", true);
    assert_host("[::1]", "::1", true);
    static const char *const refused[] = {
        "",       ":80", "[::1", "a b", "a:",    "a:x",   "a:70000", "a@b",
        "[::1]x", "[]",  "a/b",  "::1", "a%2eb", "a:1:2", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (uri_take_host(text_of(refused[i]), &name, &is_address))
            fail_msg("not refused: %s", refused[i]);
    }
}

static void assert_address(const char *text, const char *shown, bool is_loopback)
{
    struct http_address address;
    char formatted[HTTP_ADDRESS_TEXT_MAX];
    assert_int_equal(http_address_parse(text_of(text), 7878, &address), 0);
    http_address_format(&address, formatted);
    assert_string_equal(formatted, shown);
    assert_int_equal(address.is_loopback, is_loopback);
}

static void test_addresses(void **state)
{
    (void)state;
    struct http_address address;
    assert_address("127.0.0.1", "127.0.0.1:7878", true);
    assert_address("127.0.0.1:80", "127.0.0.1:80", true);
    assert_address("127.8.0.1:0", "127.8.0.1:0", true);
    assert_address("localhost:81", "127.0.0.1:81", true);
    assert_address(":9100", "127.0.0.1:9100", true);
    assert_address("9100", "127.0.0.1:9100", true);
    assert_address("[::1]:80", "[::1]:80", true);
    assert_address("[::1]", "[::1]:7878", true);
    assert_address("0.0.0.0:80", "0.0.0.0:80", false);
    assert_address("[::]:80", "[::]:80", false);
    assert_address("192.0.2.1", "192.0.2.1:7878", false);
    assert_int_equal(http_address_parse(text_of(""), 1, &address), -EINVAL);
    assert_int_equal(http_address_parse(text_of("example.com:80"), 1, &address), -EINVAL);
    assert_int_equal(http_address_parse(text_of("127.0.0.1:"), 1, &address), -EINVAL);
    assert_int_equal(http_address_parse(text_of("127.0.0.1:x"), 1, &address), -EINVAL);
    assert_int_equal(http_address_parse(text_of("[::1"), 1, &address), -EINVAL);
    assert_int_equal(http_address_parse(text_of("127.0.0.1:65536"), 1, &address), -ERANGE);
    assert_int_equal(http_address_parse(text_of("65536"), 1, &address), -ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_tokens),    cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
