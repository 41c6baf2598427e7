// SPDX-License-Identifier: Apache-2.0
// The line per purge: see trace.h. Library world; pure but for trace_write().
#include "release/trace.h"

// To the nearest, so that nothing of half a MiB and more reads as 0.
static void add_mib(struct line *line, uint64_t bytes)
{
    line_add_decimal(line, (bytes >> 20) + (bytes >> 19 & 1));
}

// `value` thousandths, with `places` of them shown; what is cut is dropped.
static void add_thousandths(struct line *line, uint64_t value, unsigned places)
{
    line_add_decimal(line, value / 1000);
    line_add(line, ".");
    for (unsigned unit = 100; places > 0; places--, unit /= 10)
        line_add_decimal(line, value / unit % 10);
}

// "512->128": as gctrace prints a heap.
static void add_change(struct line *line, uint64_t before, uint64_t after, const char *what)
{
    add_mib(line, before);
    line_add(line, "->");
    add_mib(line, after);
    line_add(line, what);
}

// No default, so that the compiler asks for a word when there is one more.
static const char *name_of(enum wire_pressure pressure)
{
    switch (pressure) {
    case WIRE_PRESSURE_NONE:
        return "plenty";
    case WIRE_PRESSURE_SHORT:
        return "short";
    case WIRE_PRESSURE_UNKNOWN:
        break;
    }
    return "unknown";
}

// Into a line of fixed size: tests compare it without a file.
void trace_format(const struct trace_purge *purge, struct line *line)
{
    line->len = 0;
    line_add(line, "purge ");
    line_add_decimal(line, purge->number);
    line_add(line, " @");
    add_thousandths(line, purge->at_ns / 1000000, 3);
    // Go's order: before, then after, then what was done and what it cost.
    line_add(line, "s ");
    add_change(line, purge->kept_before, purge->kept_after, " MiB kept, ");
    add_change(line, purge->lazy_before, purge->lazy_after, " MiB lazy, ");
    add_mib(line, purge->returned_bytes);
    line_add(line, " MiB returned, ");
    line_add_decimal(line, purge->pages);
    line_add(line, " pages, ");
    add_thousandths(line, purge->took_ns / 1000, 1);
    line_add(line, " ms, ");
    line_add(line, name_of(purge->pressure));
}

// On stderr, in one write.
void trace_write(const struct trace_purge *purge)
{
    struct line line;
    trace_format(purge, &line);
    line_write(&line);
}
