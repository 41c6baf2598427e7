// SPDX-License-Identifier: Apache-2.0
// The doctor's report as text for people. Tool world; pure.
#include "render/doctor.h"

#include <string.h>

#include "render/text.h"

// The mark and the widest title, with a blank behind each.
enum { MARK_COLUMNS = 8, TITLE_COLUMNS = 26 };

static const char *const headings[DOCTOR_SECTIONS] = {
    [DOCTOR_VERBS] = "Here and now", [DOCTOR_KERNEL] = "Kernel",
    [DOCTOR_MEMORY] = "Memory",      [DOCTOR_GROUP] = "Memory group of ebb",
    [DOCTOR_RIGHTS] = "Rights",      [DOCTOR_TRAPS] = "Traps of this host",
};

// Green, yellow, red as everywhere; a fact has no colour.
static enum render_color status_color(enum doctor_status status)
{
    switch (status) {
    case DOCTOR_OK:
        return COLOR_GOOD;
    case DOCTOR_LIMITED:
        return COLOR_WARN;
    case DOCTOR_MISSING:
        return COLOR_BAD;
    case DOCTOR_INFO:
        break;
    }
    return COLOR_NONE;
}

// A fact needs no mark; what has one stands out.
static void write_mark(struct writer *writer, enum doctor_status status)
{
    const char *mark = status == DOCTOR_INFO ? "" : doctor_status_name(status);
    write_blanks(writer, 2);
    write_colored(writer, status_color(status), mark);
    write_blanks(writer, MARK_COLUMNS - strlen(mark));
}

// "  ok      title      detail", and below it what would help, in the column of the detail.
static void write_item(struct writer *writer, const struct doctor_item *item)
{
    // Continued lines stand below the text, so that titles can be scanned.
    const size_t column = 2 + MARK_COLUMNS + TITLE_COLUMNS;
    size_t title_columns = strlen(item->title);
    write_mark(writer, item->status);
    write_text(writer, item->title);
    write_blanks(writer, title_columns < TITLE_COLUMNS ? TITLE_COLUMNS - title_columns : 1);
    write_wrapped(writer, item->detail, column, column);
    // Most items need none.
    if (!item->help[0])
        return;
    write_blanks(writer, column);
    write_colored(writer, COLOR_DIM, "helps:");
    write_blanks(writer, 1);
    write_wrapped(writer, item->help, column + strlen("helps: "), column);
}

// Items come by section: a heading stands where the section changes.
int render_doctor_text(const struct doctor_report *report, const struct render_style *style,
                       struct buffer *buffer)
{
    struct writer writer = {.buffer = buffer, .style = style};
    for (size_t i = 0; i < report->item_count; i++) {
        const struct doctor_item *item = &report->items[i];
        // A section without items has no heading either.
        bool begins = i == 0 || item->section != report->items[i - 1].section;
        if (begins) {
            write_text(&writer, i == 0 ? "" : "\n");
            write_colored(&writer, COLOR_BOLD, headings[item->section]);
            write_text(&writer, "\n");
        }
        write_item(&writer, item);
    }
    return writer.error;
}
