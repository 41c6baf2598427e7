// SPDX-License-Identifier: Apache-2.0
// Unit tests of the decoders of mimalloc's segments: records as they were read from a process with
// 2.0.9, and damaged ones. Test world; pure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/allocators/mimalloc_segments.h"

static const uint64_t segment_address = 0x4df28000000, process_key = 0x0e408ddb0242991;

static void put_word(uint8_t *bytes, size_t offset, uint64_t word)
{
    memcpy(bytes + offset, &word, sizeof word);
}

// An ordinary segment: 46 pages in use, 512 slices of which the first is the header's.
static void make_header(uint8_t header[MIMALLOC_HEADER_BYTES])
{
    memset(header, 0, MIMALLOC_HEADER_BYTES);
    put_word(header, 8, 0x10000);
    put_word(header, 16, 0x2000000);
    put_word(header, 208, 0x2e);
    put_word(header, 216, segment_address ^ process_key);
    put_word(header, 224, 512);
    put_word(header, 232, 1);
    put_word(header, 248, 512);
    put_word(header, 256, 0x7f2e12062740);
}

static void test_segments_are_decoded(void **state)
{
    (void)state;
    uint8_t header[MIMALLOC_HEADER_BYTES];
    struct mimalloc_segment segment;
    make_header(header);
    assert_true(mimalloc_segment_decode(header, segment_address, &segment));
    assert_int_equal(segment.slices, 512);
    assert_int_equal(segment.info_slices, 1);
    assert_int_equal(segment.key, process_key);
    assert_false(segment.is_abandoned);
    // Its thread has ended.
    put_word(header, 256, 0);
    assert_true(mimalloc_segment_decode(header, segment_address, &segment));
    assert_true(segment.is_abandoned);
    // A huge one: a block of 80 MiB.
    put_word(header, 224, 1281);
    put_word(header, 240, 1);
    assert_true(mimalloc_segment_decode(header, segment_address, &segment));
    assert_int_equal(segment.slices, 1281);
    assert_int_equal(segment.entries, MIMALLOC_SLICES);
}

static void test_damaged_segments_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        uint64_t word;
    } damage[] = {
        {208, 513},        // more pages than slices
        {224, 0},          // no slices
        {224, 511},        // an ordinary one has 512
        {224, 1ULL << 40}, // beyond the address space
        {232, 0},          // no header
        {232, 512},        // nothing but header
        {240, 2},          // no kind
        {248, 511},        // a table of another size
        {248, UINT64_MAX}, // and of none at all
    };
    struct mimalloc_segment segment = {.slices = 7};
    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        uint8_t header[MIMALLOC_HEADER_BYTES];
        make_header(header);
        put_word(header, damage[i].offset, damage[i].word);
        assert_false(mimalloc_segment_decode(header, segment_address, &segment));
    }
    assert_int_equal(segment.slices, 7);
    // Zeros are what fresh memory is.
    const uint8_t zeros[MIMALLOC_HEADER_BYTES] = {0};
    assert_false(mimalloc_segment_decode(zeros, segment_address, &segment));
}

// Words 0, 1 and 3 of a slice.
static void make_slice(uint8_t slice[MIMALLOC_SLICE_BYTES], uint64_t first, uint64_t flags,
                       uint64_t sizes)
{
    memset(slice, 0, MIMALLOC_SLICE_BYTES);
    put_word(slice, 0, first);
    put_word(slice, 8, flags);
    put_word(slice, 24, sizes);
}

static void test_spans_are_decoded(void **state)
{
    (void)state;
    uint8_t slice[MIMALLOC_SLICE_BYTES];
    struct mimalloc_span span;
    // A page of one block of 256 KiB, in four slices.
    make_slice(slice, 4, 0x100010002, 0x0004000000000001);
    assert_true(mimalloc_span_decode(slice, &span));
    assert_int_equal(span.slices, 4);
    assert_int_equal(span.block_bytes, 0x40000);
    assert_int_equal(span.used, 1);
    assert_int_equal(span.reserved, 1);
    // A page of 64 blocks of 1 KiB, 10 in use.
    make_slice(slice, 1, 0x4000400002, 0x000004000000000a);
    assert_true(mimalloc_span_decode(slice, &span));
    assert_int_equal(span.block_bytes, 1024);
    assert_int_equal(span.used, 10);
    // Free: whatever an earlier page left in the counts.
    make_slice(slice, 30, 0x4000400002, 0x63);
    assert_true(mimalloc_span_decode(slice, &span));
    assert_int_equal(span.block_bytes, 0);
}

static void test_damaged_spans_are_refused(void **state)
{
    (void)state;
    static const uint64_t damaged[][3] = {
        {0, 0, 0},                                            // no slices
        {4 | 0x5000000000, 0x4000400002, 0x000004000000000a}, // inside another span
        {1, 0x4000410002, 0x000004000000000a},                // more committed than reserved
        {1, 0x4000400002, 0x0000040000000041},                // more used than there are
        {1, 0x4100410002, 0x000004000000000a},                // more than the slice holds
    };
    uint8_t slice[MIMALLOC_SLICE_BYTES];
    struct mimalloc_span span = {.slices = 9};
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        make_slice(slice, damaged[i][0], damaged[i][1], damaged[i][2]);
        assert_false(mimalloc_span_decode(slice, &span));
    }
    assert_int_equal(span.slices, 9);
}

// Whatever the bytes are, what is believed keeps its promises.
static void test_noise_is_harmless(void **state)
{
    (void)state;
    srand(1);
    for (int i = 0; i < 200000; i++) {
        uint8_t slice[MIMALLOC_SLICE_BYTES];
        struct mimalloc_span span;
        for (size_t k = 0; k < sizeof slice; k++)
            slice[k] = (uint8_t)(rand() % 4 ? 0 : rand());
        if (!mimalloc_span_decode(slice, &span))
            continue;
        assert_true(span.slices > 0);
        if (span.block_bytes > 0)
            assert_true(span.used <= span.reserved);
        if (span.reserved > 1)
            assert_true(span.used * span.block_bytes <= span.slices << 16 || span.block_bytes == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_are_decoded),
        cmocka_unit_test(test_damaged_segments_are_refused),
        cmocka_unit_test(test_spans_are_decoded),
        cmocka_unit_test(test_damaged_spans_are_refused),
        cmocka_unit_test(test_noise_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
