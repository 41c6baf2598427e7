// SPDX-License-Identifier: Apache-2.0
// An event of a recording as one line. Tool world; pure.
#include <inttypes.h>
#include <string.h>

#include "base/units.h"
#include "base/when.h"
#include "render/report_parts.h"

// Where value and kind say it all there is no text; the others bring their own, which is the
// target's or a user's and so is escaped.
static void write_what(struct writer *writer, const struct event *event)
{
    char took[UNITS_TEXT_MAX];
    // Of a gap only: other kinds have another meaning of the value.
    units_format_seconds((double)event->value / 1000, took, sizeof took);
    switch (event->kind) {
    case EVENT_GAP:
        write_format(writer, "no readings for %s", took);
        return;
    // With a sign: forth or back is what matters.
    case EVENT_CLOCK:
        write_format(writer, "the clock was set by %+.1f s", (double)(int64_t)event->value / 1000);
        return;
    case EVENT_APPEARED:
        // Its text is the name, which stands there already.
        write_text(writer, event_kind_name(event->kind));
        return;
    case EVENT_ALARM:
        write_text(writer, event->value ? "alarm" : "alarm over");
        break;
    default:
        write_text(writer, event_kind_name(event->kind));
        break;
    }
    if (event->text[0])
        write_text(writer, ": ");
}

// Has it words of its own behind the kind?
static bool has_text(const struct event *event)
{
    return event->text[0] && event->kind != EVENT_GAP && event->kind != EVENT_CLOCK &&
           event->kind != EVENT_APPEARED;
}

// The time first: events are read beside a log.
void write_event(struct writer *writer, const struct report *report, const struct event *event)
{
    char when[WHEN_TEXT_MAX];
    when_format(event->time_ms, report->to_ms, when, sizeof when);
    write_text(writer, when);
    write_text(writer, "  ");
    const struct report_subject *entry = report_find_subject(report, event->subject);
    if (entry) {
        write_name(writer, entry->subject.name, 32);
        write_format(writer, " (%d)  ", entry->subject.pid);
    } else if (event->subject != 0) {
        write_format(writer, "process %u  ", event->subject);
    }
    write_what(writer, event);
    // On a terminal broken at blanks, behind the time; what goes to a file has no width, and an
    // event is a line there.
    if (has_text(event) && writer->style->width > 0) {
        write_wrapped(writer, event->text, writer_column(writer), strlen(when) + 2);
        return;
    }
    if (has_text(event))
        write_name(writer, event->text, 0);
    write_text(writer, "\n");
}
