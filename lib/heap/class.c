// SPDX-License-Identifier: Apache-2.0
// The table of size classes. Library world; constant.
#include "heap/class.h"

#include "base/bits.h"

// The last in each row is a power of two, so that every alignment finds a class.
const uint32_t class_block_bytes[CLASS_COUNT] = {
    16,     32,     48,     64,     80,    96,    112,    128,    // steps of 16
    144,    160,    176,    192,    208,   224,   240,    256,    // eight per doubling
    288,    320,    352,    384,    416,   448,   480,    512,    //
    576,    640,    704,    768,    832,   896,   960,    1024,   //
    1056,   1280,   1536,   1792,   2048,  2560,  3072,           // four, and 1 KiB with a header
    4096,   4368,   5120,   6144,   7168,  8192,                  // a page and some more
    12288,  16384,  20480,  24576,  28672, 32768,                 // medium
    40960,  49152,  57344,  65536,  81920, 98304, 114688, 131072, //
    163840, 196608, 229376, 262144,
};

// One walk along both: sizes and classes rise together.
void class_fill_steps(uint8_t steps[CLASS_STEPS])
{
    unsigned size_class = 0;
    for (unsigned step = 0; step < CLASS_STEPS; step++) {
        if (step * 16 > class_block_bytes[size_class])
            size_class++;
        steps[step] = (uint8_t)size_class;
    }
}

unsigned class_of_size(size_t size)
{
    if (size <= 128)
        return size ? (unsigned)(size - 1) / 16 : 0;
    // The doubling, and in it the eighth or the fourth.
    unsigned highest = bits_highest(size - 1);
    size_t rest = size - 1;
    if (size <= 1024)
        return 8 + (highest - 7) * 8 + (unsigned)(rest >> (highest - 3) & 7);
    // What databases and buffers ask for: a power of two and a header.
    if (size <= 1056)
        return 32;
    if (size <= PAGE_BYTES)
        return size > 3072 ? 39 : 33 + (highest - 10) * 4 + (unsigned)(rest >> (highest - 2) & 3);
    if (size <= 5120)
        return 40 + (size > 4368);
    if (size <= 2 * PAGE_BYTES)
        return 41 + (unsigned)(rest - 4096) / 1024;
    if (size <= 4 * PAGE_BYTES)
        return 45 + (size > 3 * PAGE_BYTES);
    return 47 + (highest - 14) * 4 + (unsigned)(rest >> (highest - 2) & 3);
}

unsigned class_of_aligned(size_t size, size_t align)
{
    if (size > CLASS_MEDIUM_MAX || align > WIRE_SLOT_BYTES)
        return CLASS_COUNT;
    unsigned size_class = class_of_size(size);
    for (; size_class < CLASS_COUNT; size_class++) {
        if (class_block_bytes[size_class] % align == 0)
            break;
    }
    return size_class;
}

uint32_t class_slots(unsigned size_class)
{
    if (size_class < CLASS_SMALL)
        return 1;
    // cppcheck-suppress arrayIndexOutOfBoundsCond ; callers pass a class
    // At least eight blocks up to 64 KiB, four above: what a bitmap of 64 can hold in any case.
    return class_block_bytes[size_class] <= WIRE_SLOT_BYTES ? 8 : 16;
}

// What is left behind the last block is never touched.
uint32_t class_capacity(unsigned size_class)
{
    return class_slots(size_class) * WIRE_SLOT_BYTES / class_block_bytes[size_class];
}

uint32_t class_reciprocal(unsigned size_class)
{
    return (uint32_t)bits_ceil_div(UINT64_C(1) << 32, class_block_bytes[size_class]);
}
