// SPDX-License-Identifier: Apache-2.0
// Unit tests of running out of memory: the n-th allocation fails, for every n, from the report's
// first claim to the last byte of JSON. Test world.
//
// This program's own malloc stands before glibc's, for jansson's calls too. A sanitizer has its own
// malloc, so these tests are skipped there.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "render/json.h"
#include "render/render.h"
#include "support/hostile.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

#if OWN_MALLOC

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

// Allocations to go until one fails; 0: none does. One thread.
static size_t left_to_failure;
static long live_blocks;

static bool fails(void)
{
    return left_to_failure > 0 && --left_to_failure == 0;
}

void *malloc(size_t size)
{
    void *block = fails() ? NULL : __libc_malloc(size);
    live_blocks += block != NULL;
    return block;
}

void *calloc(size_t count, size_t size)
{
    void *block = fails() ? NULL : __libc_calloc(count, size);
    live_blocks += block != NULL;
    return block;
}

void *realloc(void *block, size_t size)
{
    void *grown = fails() ? NULL : __libc_realloc(block, size);
    live_blocks += grown != NULL && block == NULL;
    return grown;
}

void free(void *block)
{
    live_blocks -= block != NULL;
    __libc_free(block);
}

enum rendering { RENDER_TEXT, RENDER_JSON, RENDER_TABLE_TEXT, RENDER_TABLE_JSON, RENDERINGS };

static int render_table(const struct survey *survey, enum rendering rendering,
                        struct buffer *buffer)
{
    struct render_style style = {.unicode = true};
    struct table table = {0};
    int error = table_add(&table, survey);
    if (!error)
        error = rendering == RENDER_TABLE_TEXT ? render_table_text(&table, &style, buffer)
                                               : render_table_json(&table, buffer);
    table_free(&table);
    return error;
}

static int render(const struct survey *survey, enum rendering rendering, struct buffer *buffer)
{
    struct render_style style = {.unicode = true, .color = true};
    if (rendering == RENDER_TEXT)
        return render_survey_text(survey, &style, buffer);
    if (rendering == RENDER_JSON)
        return render_survey_json(survey, buffer);
    return render_table(survey, rendering, buffer);
}

// From nothing to the rendered text: reports, account, verdict, output.
static int build_and_render(enum rendering rendering, struct buffer *buffer)
{
    struct survey survey;
    int error = hostile_survey(&survey);
    if (error)
        return error;
    error = render(&survey, rendering, buffer);
    survey_free(&survey);
    return error;
}

// Either it fails, or the result is the one that it always is; nothing is left behind.
static void fail_each(enum rendering rendering)
{
    struct buffer whole = {0};
    int error = build_and_render(rendering, &whole);
    if (error == -ENOTSUP)
        return;
    assert_int_equal(error, 0);
    size_t failures = 0;
    for (size_t n = 1;; n++) {
        struct buffer buffer = {0};
        long live_before = live_blocks;
        left_to_failure = n;
        error = build_and_render(rendering, &buffer);
        bool is_over = left_to_failure > 0;
        left_to_failure = 0;
        bool is_whole = buffer.len == whole.len && memcmp(buffer.data, whole.data, whole.len) == 0;
        buffer_free(&buffer);
        if (live_blocks != live_before)
            fail_msg("allocation %zu failed: %ld blocks leak", n, live_blocks - live_before);
        if (error == 0 && !is_whole)
            fail_msg("allocation %zu failed: success, but another result", n);
        assert_true(error == 0 || error == -ENOMEM);
        failures += error != 0;
        if (is_over)
            break;
    }
    assert_true(failures > 10);
    buffer_free(&whole);
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    for (int rendering = 0; rendering < RENDERINGS; rendering++)
        fail_each((enum rendering)rendering);
}

#else

static void test_every_allocation_fails(void **state)
{
    (void)state;
    print_message("malloc is the sanitizer's or not glibc's\n");
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
