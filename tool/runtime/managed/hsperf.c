// SPDX-License-Identifier: Apache-2.0
// The parser of hsperfdata, see hsperf.h. Tool world; pure, no state.
#include "runtime/managed/hsperf.h"

#include <errno.h>
#include <string.h>

// Offsets in the prologue and in an entry.
// Source: PerfDataPrologue is magic (4), byte order (1), major (1), minor (1), accessible (1), used
// (4), overflow (4), time stamp (8), entry offset (4), entries (4). PerfDataEntry is length (4),
// name offset (4), vector length (4), type, flags, unit, variability (1 each), data offset (4).
enum {
    AT_BYTE_ORDER = 4,
    AT_MAJOR = 5,
    AT_ACCESSIBLE = 7,
    AT_FIRST_ENTRY = 24,
    AT_ENTRY_COUNT = 28,
    PROLOGUE_BYTES = 32,
    ENTRY_NAME = 4,
    ENTRY_VECTOR = 8,
    ENTRY_TYPE = 12,
    ENTRY_DATA = 16,
    ENTRY_BYTES = 20,
};

// Words may lie unaligned and in the other byte order.
static uint32_t word_at(const struct hsperf *hsperf, size_t offset)
{
    uint32_t word;
    memcpy(&word, hsperf->file.data + offset, sizeof word);
    return hsperf->swapped ? __builtin_bswap32(word) : word;
}

// Every offset is checked against the bytes that are there: the JVM may be anybody's.
// The magic is written byte by byte in one order on all machines; all other words are in the order
// that the fifth byte names.
int hsperf_open(struct text file, struct hsperf *ret_hsperf)
{
    static const unsigned char magic[4] = {0xca, 0xfe, 0xc0, 0xc0};
    if (file.len < PROLOGUE_BYTES || memcmp(file.data, magic, sizeof magic) != 0)
        return -EBADMSG;
    if (file.data[AT_MAJOR] != 2)
        return -EPROTONOSUPPORT;
    // Set when the JVM has made its counters: before that there may be none.
    if (!file.data[AT_ACCESSIBLE])
        return -EAGAIN;
    bool is_little = file.data[AT_BYTE_ORDER] == 1;
    struct hsperf hsperf = {.file = file,
                            .swapped = is_little != (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)};
    hsperf.first_entry = word_at(&hsperf, AT_FIRST_ENTRY);
    hsperf.entry_count = word_at(&hsperf, AT_ENTRY_COUNT);
    if (hsperf.first_entry < PROLOGUE_BYTES || hsperf.first_entry > file.len ||
        hsperf.entry_count > HSPERF_ENTRIES_MAX)
        return -EBADMSG;
    *ret_hsperf = hsperf;
    return 0;
}

struct entry {
    struct text name, data;
    uint32_t vector_len;
    char type; // as in a Java signature: 'J' long, 'B' byte
};

// A NUL-terminated text inside [offset, end) of the file.
// A name that does not end inside its entry would run on into the next one's.
static bool text_at(const struct hsperf *hsperf, size_t offset, size_t end, struct text *ret_text)
{
    const char *start = hsperf->file.data + offset;
    const char *stop = memchr(start, '\0', end - offset);
    if (!stop)
        return false;
    *ret_text = (struct text){start, (size_t)(stop - start)};
    return true;
}

// Reads the entry at `offset` and tells its length. -EBADMSG when it does not fit.
// Lengths and offsets are unsigned here, so that negative ones of a hostile file are too large.
static int entry_at(const struct hsperf *hsperf, size_t offset, struct entry *ret_entry,
                    size_t *ret_len)
{
    if (hsperf->file.len - offset < ENTRY_BYTES)
        return -EBADMSG;
    size_t len = word_at(hsperf, offset), name = word_at(hsperf, offset + ENTRY_NAME);
    size_t data = word_at(hsperf, offset + ENTRY_DATA);
    if (len < ENTRY_BYTES || len > hsperf->file.len - offset || name < ENTRY_BYTES || name >= len ||
        data >= len)
        return -EBADMSG;
    struct entry entry = {.vector_len = word_at(hsperf, offset + ENTRY_VECTOR),
                          .type = hsperf->file.data[offset + ENTRY_TYPE]};
    if (!text_at(hsperf, offset + name, offset + len, &entry.name))
        return -EBADMSG;
    entry.data = (struct text){hsperf->file.data + offset + data, len - data};
    *ret_entry = entry;
    *ret_len = len;
    return 0;
}

// Entries follow each other by their lengths, which are at least an entry's head: the walk ends.
// The order of entries differs by version and collector, so each look-up walks: a few hundred
// entries are usual.
static int find_entry(const struct hsperf *hsperf, const char *name, struct entry *ret_entry)
{
    size_t offset = hsperf->first_entry;
    for (uint32_t i = 0; i < hsperf->entry_count; i++) {
        struct entry entry;
        size_t len;
        int error = entry_at(hsperf, offset, &entry, &len);
        if (error)
            return error;
        if (text_equals(entry.name, name)) {
            *ret_entry = entry;
            return 0;
        }
        offset += len;
    }
    return -ENOENT;
}

// The value may be unaligned in a damaged file: it is copied out.
// A counter may change while it is copied; it is eight aligned bytes in the JVM, so the peek sees
// one value or the other.
int hsperf_find_long(const struct hsperf *hsperf, const char *name, int64_t *ret_value)
{
    struct entry entry;
    int error = find_entry(hsperf, name, &entry);
    if (error)
        return error;
    int64_t value;
    if (entry.type != 'J' || entry.data.len < sizeof value)
        return -EBADMSG;
    memcpy(&value, entry.data.data, sizeof value);
    *ret_value = hsperf->swapped ? (int64_t)__builtin_bswap64((uint64_t)value) : value;
    return 0;
}

// The vector is as long as the longest value could be, with NULs behind what is in it.
int hsperf_find_string(const struct hsperf *hsperf, const char *name, struct text *ret_value)
{
    struct entry entry;
    int error = find_entry(hsperf, name, &entry);
    if (error)
        return error;
    if (entry.type != 'B')
        return -EBADMSG;
    struct text text = entry.data;
    if (text.len > entry.vector_len)
        text.len = entry.vector_len;
    text.len = strnlen(text.data, text.len);
    *ret_value = text;
    return 0;
}
