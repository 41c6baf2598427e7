// SPDX-License-Identifier: Apache-2.0
// A pen on a canvas: writes along a line, cuts at its end. Tool world; pure; internal to top.
#ifndef EBB_RENDER_TOP_PEN_H
#define EBB_RENDER_TOP_PEN_H

#include "render/top.h"

struct pen {
    const struct canvas *canvas;
    unsigned line, column;
    enum render_color color;
    bool is_inverse;
};

// Our own words: no control bytes. What does not fit on the line is cut.
void pen_text(struct pen *pen, const char *text);
// Nothing, where the line has no room for all of it: half a figure is none.
void pen_whole(struct pen *pen, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pen_format(struct pen *pen, const char *format, ...) __attribute__((format(printf, 2, 3)));
// A name from a target, escaped; at most `columns`, the dots of what is cut included.
void pen_name(struct pen *pen, const char *name, size_t columns);
// A text in so many columns, flush right or left; longer text takes what it needs.
void pen_right(struct pen *pen, const char *text, unsigned columns);
void pen_left(struct pen *pen, const char *text, unsigned columns);
void pen_blanks(struct pen *pen, unsigned columns);
void pen_to(struct pen *pen, unsigned column); // blanks up to there

#endif
