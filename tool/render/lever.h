// SPDX-License-Identifier: Apache-2.0
// What levers did, as text and as JSON. Tool world; pure.
#ifndef EBB_RENDER_LEVER_H
#define EBB_RENDER_LEVER_H

#include "lever/lever.h"
#include "render/render.h"

// Appends the report: what was (or will be) done, before and after, what was not touched, how long
// the target waited, what makes it last. 0, -ENOMEM, -EFBIG.
int render_lever_text(const struct lever_report *report, const struct render_style *style,
                      struct buffer *buffer);
// One object and a newline (docs/json.md). 0, -ENOMEM; -ENOTSUP without JSON.
int render_lever_json(const struct lever_report *report, struct buffer *buffer);

// Many targets (a group's): a table with a sum below it; one JSON object with an array of reports.
int render_levers_text(const struct lever_report *reports, size_t count,
                       const struct render_style *style, struct buffer *buffer);
int render_levers_json(const struct lever_report *reports, size_t count, struct buffer *buffer);

#endif
