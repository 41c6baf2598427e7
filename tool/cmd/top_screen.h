// SPDX-License-Identifier: Apache-2.0
// The terminal of `ebb top`, by ncursesw. Tool world; one at a time, for its library has one state.
#ifndef EBB_CMD_TOP_SCREEN_H
#define EBB_CMD_TOP_SCREEN_H

#include "render/top.h"

struct top_screen;

// Takes the terminal over; SIGINT, SIGTERM and SIGHUP end the waiting for a key from now on. 0;
// -ENOTTY or -EINVAL when the terminal is not known; -ENOMEM.
int top_screen_open(bool color, bool unicode, struct top_screen **ret_screen);
// Gives the terminal back as it was. NULL is fine.
void top_screen_close(struct top_screen *screen);

// Paints all; only what changed is sent. 0, -ENOMEM.
int top_screen_draw(struct top_screen *screen, const struct top *top, struct top_view *view);
unsigned top_screen_lines(const struct top_screen *screen);

// Waits so long for a key. True with it as top_press() takes it; false after the time, a change of
// size, or a signal.
bool top_screen_key(struct top_screen *screen, uint64_t wait_ms, uint32_t *ret_key);
// A signal asked for the end, or the terminal is gone.
bool top_screen_ends(const struct top_screen *screen);

#endif
