// SPDX-License-Identifier: Apache-2.0
// What the heap tells about itself: mallinfo and friends, from the span table.
// Library world. malloc_info() alone uses stdio: its caller hands in a FILE.
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/die.h"
#include "heap/count.h"
#include "shim/mallinfo.h"
#include "shim/shim.h"

// The fields that mean something without chunks and bins; the others are 0, as in glibc.
static struct mallinfo2 take_info(void)
{
    struct count count;
    count_heap(&count);
    struct mallinfo2 info = {0};
    // Without blocks that are mappings of their own, as glibc has it.
    info.arena = count.in_use - count.guarded + count.free_in_spans + count.kept;
    info.ordblks = count.free_runs;
    info.hblks = count.guarded_blocks;
    info.hblkhd = count.guarded;
    // As in glibc, the blocks that are mappings of their own are not in uordblks.
    info.uordblks = count.in_use - count.guarded;
    info.fordblks = count.free_in_spans + count.kept;
    info.keepcost = count.kept;
    return info;
}

EXPORT struct mallinfo2 mallinfo2(void)
{
    return take_info();
}

static int cut_to_int(size_t value)
{
    return value > INT_MAX ? INT_MAX : (int)value;
}

// Deprecated since its fields are int: what does not fit is told as the most that does.
EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 wide = take_info();
    struct mallinfo info = {0};
    info.arena = cut_to_int(wide.arena);
    info.ordblks = cut_to_int(wide.ordblks);
    info.hblks = cut_to_int(wide.hblks);
    info.hblkhd = cut_to_int(wide.hblkhd);
    info.uordblks = cut_to_int(wide.uordblks);
    info.fordblks = cut_to_int(wide.fordblks);
    info.keepcost = cut_to_int(wide.keepcost);
    return info;
}

// A line per figure, on stderr as glibc does it, without stdio.
static void write_pair(const char *name, uint64_t value)
{
    struct line line = {.len = 0};
    line_add(&line, name);
    line_add_decimal(&line, value);
    line_write(&line);
}

EXPORT void malloc_stats(void)
{
    struct count count;
    count_heap(&count);
    write_pair("ebb: bytes in use          ", count.in_use);
    write_pair("ebb: bytes free in spans   ", count.free_in_spans);
    write_pair("ebb:   of these purged     ", count.off_in_spans);
    write_pair("ebb: bytes kept            ", count.kept);
    write_pair("ebb: bytes lazily freed    ", count.lazy);
    write_pair("ebb: bytes of metadata     ", count.metadata);
    write_pair("ebb: blocks live           ", count.live_blocks);
    write_pair("ebb: mallocs               ", count.mallocs);
    write_pair("ebb: frees                 ", count.frees);
}

// The line's buffer has room for the NUL: no name here is long.
static void print_pair(FILE *stream, const char *name, uint64_t value)
{
    struct line line = {.len = 0};
    line_add(&line, "<");
    line_add(&line, name);
    line_add(&line, " bytes=\"");
    line_add_decimal(&line, value);
    line_add(&line, "\"/>\n");
    line.text[line.len] = '\0';
    (void)fputs(line.text, stream);
}

// The document is libebb's own; glibc's promises no more than that it is XML.
EXPORT int malloc_info(int options, FILE *fp)
{
    if (options != 0)
        // The number itself, as glibc returns it.
        return EINVAL;
    struct count count;
    count_heap(&count);
    (void)fputs("<malloc version=\"ebb-1\">\n", fp);
    print_pair(fp, "in-use", count.in_use);
    print_pair(fp, "free-in-spans", count.free_in_spans);
    print_pair(fp, "purged-in-spans", count.off_in_spans);
    print_pair(fp, "kept", count.kept);
    print_pair(fp, "lazy", count.lazy);
    print_pair(fp, "metadata", count.metadata);
    (void)fputs("</malloc>\n", fp);
    return 0;
}

EXPORT int malloc_trim(size_t pad)
{
    // There is no top of a heap to leave `pad` bytes at.
    (void)pad;
    // 1 where anything went. Source: malloc_trim(3).
    return engine_purge() > 0;
}

// Accepted and without effect, as for most parameters in glibc: none of them has a meaning here.
EXPORT int mallopt(int param, int val)
{
    (void)param;
    (void)val;
    return 1;
}
