// SPDX-License-Identifier: Apache-2.0
// glibc's own statistics by a call in the target: mallinfo2(), beside what was read from outside.
// Tool world; internal to glibc.
#ifndef EBB_RUNTIME_GLIBC_ASK_H
#define EBB_RUNTIME_GLIBC_ASK_H

#include "image/image.h"
#include "runtime/target.h"

// Adds the figures as "mallinfo2 arena", "... uordblks", "... fordblks", "... hblkhd". They count
// bytes, resident or not, so no part comes of them. 0; -ENOENT without the function (before 2.33,
// or static without symbols); -EBADMSG for an answer that contradicts itself; -errno as ask_begin()
// and call_make(). Precondition: target->ask. Cost: the thread walks all free lists, each arena
// locked meanwhile: some 10 ms for a million free chunks.
int glibc_ask(const struct target *target, const struct image *image,
              struct runtime_report *report);

#endif
