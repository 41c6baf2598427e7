// SPDX-License-Identifier: Apache-2.0
// The pane below the list of `ebb top`: account and history of one process. Tool world; pure;
// internal to top.
#ifndef EBB_RENDER_TOP_DETAIL_H
#define EBB_RENDER_TOP_DETAIL_H

#include "render/top_pen.h"

enum { TOP_DETAIL_LINES = 14 };

// Fills `lines` lines from `first` on; `now_ms` tells how old the account is.
void top_draw_detail(const struct canvas *canvas, unsigned first, unsigned lines,
                     const struct top_row *row, int64_t now_ms);

// Effective RSS of the last `columns` rounds as a line of blocks, from 0 to its highest.
void top_draw_trend(struct pen *pen, const struct top_row *row, unsigned columns);

#endif
