// SPDX-License-Identifier: Apache-2.0
// The parser of smaps and maps, see mappings.h. Tool world; pure, its state is the caller's.
//
// It runs over some 25 lines per mapping, so a line is told by its first bytes and most are skipped
// without being looked into.
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "proc/mappings.h"
#include "proc/mappings_names.h"

void smaps_parser_init(struct smaps_parser *parser, struct mappings *mappings)
{
    // Not the carry: clearing 20 KiB serves nobody.
    parser->mappings = mappings;
    parser->carry_len = 0;
    parser->skipping = false;
    *mappings = (struct mappings){0};
}

// 4 TiB and more are shown as just below that, never as little.
static uint32_t saturate_u32(uint64_t value)
{
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

// One expected byte.
static bool take_char(struct text *rest, char c)
{
    if (rest->len == 0 || rest->data[0] != c)
        return false;
    rest->data++;
    rest->len--;
    return true;
}

// "rw-p"
static bool take_permissions(struct text *rest, uint16_t *ret_flags)
{
    if (rest->len < 4)
        return false;
    // Whatever is not the letter itself counts as a dash.
    const char *c = rest->data;
    unsigned flags = (c[0] == 'r' ? MAPPING_READ : 0U) | (c[1] == 'w' ? MAPPING_WRITE : 0U) |
                     (c[2] == 'x' ? MAPPING_EXEC : 0U) | (c[3] == 's' ? MAPPING_SHARED : 0U);
    if (c[3] != 's' && c[3] != 'p')
        return false;
    rest->data += 4;
    rest->len -= 4;
    *ret_flags = (uint16_t)flags;
    return true;
}

// "fe:00", as major << 20 | minor.
static bool take_device(struct text *rest, uint32_t *ret_device)
{
    uint64_t major, minor;
    if (!text_take_hex(rest, &major) || !take_char(rest, ':') || !text_take_hex(rest, &minor))
        return false;
    // As the kernel's own dev_t has them.
    *ret_device = (uint32_t)((major & 0xfff) << 20 | (minor & 0xfffff));
    return true;
}

// The mapping without its name, which is left in `rest`.
static bool take_mapping(struct text *rest, struct mapping *ret)
{
    bool good = text_take_hex(rest, &ret->start) && take_char(rest, '-') &&
                text_take_hex(rest, &ret->end) && take_char(rest, ' ') &&
                take_permissions(rest, &ret->flags) && take_char(rest, ' ') &&
                text_take_hex(rest, &ret->offset) && take_char(rest, ' ') &&
                take_device(rest, &ret->device) && take_char(rest, ' ') &&
                text_take_u64(rest, &ret->inode);
    if (!good || ret->start >= ret->end)
        return false;
    // The name is aligned with blanks, and may begin with none of its own.
    while (take_char(rest, ' '))
        continue;
    return true;
}

// A share of a figure.
static void keep_share(uint32_t *figure, uint64_t part, uint64_t whole)
{
    *figure = (uint32_t)((double)*figure * ((double)part / (double)whole));
}

// What is left of a mapping whose end another one has taken: where in it its pages lie is not told.
static void cut_end(struct mapping *mapping, uint64_t end)
{
    uint64_t part = end - mapping->start, whole = mapping->end - mapping->start;
    uint32_t *const figures[] = {
        &mapping->rss_kib,           &mapping->pss_kib,          &mapping->private_clean_kib,
        &mapping->private_dirty_kib, &mapping->shared_clean_kib, &mapping->shared_dirty_kib,
        &mapping->anonymous_kib,     &mapping->lazy_free_kib,    &mapping->anon_huge_kib,
        &mapping->swap_kib,          &mapping->locked_kib,
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        keep_share(figures[i], part, whole);
    mapping->end = end;
}

// Between two read() calls a mapping that was told may be merged with the next one, which then
// comes whole, figures and all: what was told of it must not count twice.
// Source: fs/proc/task_mmu.c, m_start() goes on with whatever holds the address where it stopped.
static void drop_overlapped(struct mappings *mappings, uint64_t start)
{
    while (mappings->count > 0 && mappings->items[mappings->count - 1].start >= start)
        mappings->count--;
    if (mappings->count > 0 && mappings->items[mappings->count - 1].end > start)
        cut_end(&mappings->items[mappings->count - 1], start);
}

// Begins the next mapping. The figures that follow belong to it, until another header comes.
static int parse_header(struct mappings *mappings, struct text line)
{
    struct mapping mapping = {0};
    if (!take_mapping(&line, &mapping))
        return -EBADMSG;
    if (mappings->count > 0) {
        uint64_t last_end = mappings->items[mappings->count - 1].end;
        // Whoever goes back is no list of the kernel's.
        if (mapping.end <= last_end)
            return -EBADMSG;
        drop_overlapped(mappings, mapping.start);
    }
    // The kernel's default limit is 65,530; a tree of files may hold any number.
    if (mappings->count >= MAPPINGS_MAX)
        return -E2BIG;
    int error = array_reserve_one(&mappings->items, &mappings->capacity, mappings->count,
                                  sizeof *mappings->items);
    if (!error)
        error = mappings_set_name(mappings, &mapping, line);
    if (!error)
        mappings->items[mappings->count++] = mapping;
    return error;
}

// Inlined, so that length and comparison are settled when compiling.
static inline bool line_is(struct text line, const char *key)
{
    size_t len = strlen(key);
    return line.len >= len && memcmp(line.data, key, len) == 0;
}

// Where the figure of this line belongs; NULL for those that nobody asked for. By the first letter:
// most of the 25 lines are ruled out by it.
static uint32_t *figure_of(struct mapping *mapping, struct text line)
{
    switch (line.data[0]) {
    case 'R':
        return line_is(line, "Rss:") ? &mapping->rss_kib : NULL;
    case 'P':
        if (line_is(line, "Pss:"))
            return &mapping->pss_kib;
        if (line_is(line, "Private_Clean:"))
            return &mapping->private_clean_kib;
        return line_is(line, "Private_Dirty:") ? &mapping->private_dirty_kib : NULL;
    case 'S':
        if (line_is(line, "Shared_Clean:"))
            return &mapping->shared_clean_kib;
        if (line_is(line, "Shared_Dirty:"))
            return &mapping->shared_dirty_kib;
        return line_is(line, "Swap:") ? &mapping->swap_kib : NULL;
    case 'A':
        if (line_is(line, "Anonymous:"))
            return &mapping->anonymous_kib;
        return line_is(line, "AnonHugePages:") ? &mapping->anon_huge_kib : NULL;
    case 'L':
        if (line_is(line, "LazyFree:"))
            return &mapping->lazy_free_kib;
        return line_is(line, "Locked:") ? &mapping->locked_kib : NULL;
    default:
        return NULL;
    }
}

// "Rss:                  12 kB", from its end, which saves stepping over the blanks. False without
// a number or when cut.
static bool take_kib(struct text line, uint32_t *ret_kib)
{
    if (line.len < 4 || memcmp(line.data + line.len - 3, " kB", 3) != 0)
        return false;
    const char *at = line.data + line.len - 3;
    uint64_t value = 0, scale = 1;
    size_t digits = 0;
    while (at > line.data && at[-1] >= '0' && at[-1] <= '9') {
        // Eleven digits are above the limit whatever the others are.
        uint64_t digit = (uint64_t)(at[-1] - '0');
        if (digits >= 10 && digit != 0)
            value = UINT32_MAX;
        else if (digits < 10)
            value += digit * scale;
        scale *= 10;
        digits++;
        at--;
    }
    if (digits == 0)
        return false;
    *ret_kib = saturate_u32(value);
    return true;
}

// "VmFlags: rd wr mr mw me lo ac ": two letters each.
static void parse_vm_flags(struct mapping *mapping, struct text line)
{
    unsigned found = 0;
    for (size_t at = strlen("VmFlags:"); at + 3 <= line.len; at += 3) {
        const char *flag = line.data + at + 1;
        if (memcmp(flag, "lo", 2) == 0)
            found |= MAPPING_LOCKED;
        else if (memcmp(flag, "hg", 2) == 0)
            found |= MAPPING_HUGEPAGE;
        else if (memcmp(flag, "nh", 2) == 0)
            found |= MAPPING_NOHUGEPAGE;
        else if (memcmp(flag, "ht", 2) == 0)
            found |= MAPPING_HUGETLB;
    }
    mapping->flags = (uint16_t)(mapping->flags | found);
}

// A figure needs a mapping before it and a number behind; what is unknown is left to newer
// versions.
static int parse_figure(struct mappings *mappings, struct text line)
{
    if (mappings->count == 0)
        return -EBADMSG;
    struct mapping *mapping = &mappings->items[mappings->count - 1];
    if (line_is(line, "VmFlags:")) {
        parse_vm_flags(mapping, line);
        return 0;
    }
    uint32_t *figure = figure_of(mapping, line);
    if (!figure)
        return 0;
    if (!take_kib(line, figure))
        return -EBADMSG;
    mappings->has_lazy_free |= figure == &mapping->lazy_free_kib;
    mappings->has_sizes |= figure == &mapping->rss_kib;
    return 0;
}

// A blank line says nothing, and is what is left when text ends in a newline.
static int parse_line(struct mappings *mappings, struct text line)
{
    if (line.len == 0)
        return 0;
    // Addresses are printed in lower case, and every figure's name begins with a capital.
    char first = line.data[0];
    if ((first >= '0' && first <= '9') || (first >= 'a' && first <= 'f'))
        return parse_header(mappings, line);
    if (first >= 'A' && first <= 'Z')
        return parse_figure(mappings, line);
    return -EBADMSG;
}

// Adds up to `len` bytes without a newline to the unfinished line; what is too long is parsed as
// far as it came.
static int carry_on(struct smaps_parser *parser, const char *data, size_t len)
{
    if (parser->skipping)
        return 0;
    size_t room = sizeof parser->carry - parser->carry_len;
    size_t take = len < room ? len : room;
    memcpy(parser->carry + parser->carry_len, data, take);
    parser->carry_len += take;
    if (take == len)
        return 0;
    parser->skipping = true;
    size_t carried = parser->carry_len;
    parser->carry_len = 0;
    return parse_line(parser->mappings, (struct text){parser->carry, carried});
}

// The carried line is complete.
static int end_carry(struct smaps_parser *parser)
{
    size_t carried = parser->carry_len;
    parser->carry_len = 0;
    parser->skipping = false;
    return parse_line(parser->mappings, (struct text){parser->carry, carried});
}

// Lines that lie whole in the piece are parsed where they are; only those across a border are
// copied.
int smaps_parser_feed(struct smaps_parser *parser, const char *data, size_t len)
{
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t piece = end ? (size_t)(end - data) : len;
        int error;
        if (!end || parser->carry_len > 0 || parser->skipping) {
            error = carry_on(parser, data, piece);
            if (!error && end)
                error = end_carry(parser);
        } else {
            error = parse_line(parser->mappings, (struct text){data, piece});
        }
        if (error)
            return error;
        size_t used = end ? piece + 1 : piece;
        data += used;
        len -= used;
    }
    return 0;
}

// Sums saturate as their parts do.
static void add_u32(uint32_t *sum, uint32_t value)
{
    *sum = saturate_u32((uint64_t)*sum + value);
}

// All of them, so that the total may be used as a mapping like any other.
static void add_figures(struct mapping *total, const struct mapping *item)
{
    add_u32(&total->rss_kib, item->rss_kib);
    add_u32(&total->pss_kib, item->pss_kib);
    add_u32(&total->private_clean_kib, item->private_clean_kib);
    add_u32(&total->private_dirty_kib, item->private_dirty_kib);
    add_u32(&total->shared_clean_kib, item->shared_clean_kib);
    add_u32(&total->shared_dirty_kib, item->shared_dirty_kib);
    add_u32(&total->anonymous_kib, item->anonymous_kib);
    add_u32(&total->lazy_free_kib, item->lazy_free_kib);
    add_u32(&total->anon_huge_kib, item->anon_huge_kib);
    add_u32(&total->swap_kib, item->swap_kib);
    add_u32(&total->locked_kib, item->locked_kib);
}

// The last line may have come without its newline.
int smaps_parser_finish(struct smaps_parser *parser)
{
    int error = end_carry(parser);
    if (error)
        return error;
    struct mappings *mappings = parser->mappings;
    mappings->total = (struct mapping){0};
    for (size_t i = 0; i < mappings->count; i++)
        add_figures(&mappings->total, &mappings->items[i]);
    return 0;
}
