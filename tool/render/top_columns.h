// SPDX-License-Identifier: Apache-2.0
// Which columns the list of `ebb top` has room for. Tool world; pure; internal to top.
#ifndef EBB_RENDER_TOP_COLUMNS_H
#define EBB_RENDER_TOP_COLUMNS_H

#include "render/top_pen.h"

// In the order in which they stand.
enum top_column {
    TOP_COLUMN_PID, // of groups: how many processes
    TOP_COLUMN_NAME,
    TOP_COLUMN_RSS,
    TOP_COLUMN_LAZY,
    TOP_COLUMN_KEPT,
    TOP_COLUMN_EFFECTIVE,
    TOP_COLUMN_VERDICT,
    TOP_COLUMN_STARTS, // of groups alone
    TOP_COLUMN_RUNTIME,
    TOP_COLUMN_TREND,
    TOP_COLUMN_COUNT
};

// Their widths, blanks between them included; 0: there is no room for it.
struct top_columns {
    unsigned widths[TOP_COLUMN_COUNT];
};

// On a small screen the least important columns are left out, and none is cut. Of 20 columns the
// name is left, and what the rows are ordered by or else the effective RSS.
struct top_columns top_columns_for(unsigned columns, const struct top_view *view);

void top_draw_heading(struct pen *pen, const struct top_view *view,
                      const struct top_columns *columns);
void top_draw_row(struct pen *pen, const struct top_view *view, const struct top_columns *columns,
                  const struct top_row *row);

#endif
