// SPDX-License-Identifier: Apache-2.0
// What can be tuned, as text and as JSON. Tool world; pure.
#ifndef EBB_RENDER_TUNE_H
#define EBB_RENDER_TUNE_H

#include "lever/tune/tune.h"
#include "render/render.h"

// Appends the list: each option, its present value, and why it cannot be changed where it cannot.
// 0, -ENOMEM, -EFBIG.
int render_tune_text(const struct tune_list *list, const struct render_style *style,
                     struct buffer *buffer);
// One object and a newline (docs/json.md). 0, -ENOMEM; -ENOTSUP without JSON.
int render_tune_json(const struct tune_list *list, struct buffer *buffer);

#endif
