// SPDX-License-Identifier: Apache-2.0
// Moments as people type them. Tool world; pure but for the time zone, which is the caller's own.
#ifndef EBB_BASE_WHEN_H
#define EBB_BASE_WHEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

// What a moment without a date or a sign is seen from: a recording, or the present.
struct when_frame {
    int64_t first_ms, last_ms; // since the epoch
};

// Reads one of
//   now, end, start
//   -10m, 10m ago       before the end            +90s       after the start
//   14:05, 14:05:30     the last one not behind the end
//   yesterday 14:05, today 14:05                  days as seen from the end
//   2026-11-21, 2026-11-21 14:05:30, 2026-11-21T14:05:30Z, ...+01:00
//   @1795500000         seconds since the epoch
// Times without a zone are in the caller's. A local time that a change of clocks leaves out is the
// one an hour later, as mktime(3) has it. 0; -EINVAL; -ERANGE for years before 1970 or after 9999.
int when_parse(struct text text, const struct when_frame *frame, int64_t *ret_ms);

enum { WHEN_TEXT_MAX = 40 };
// Times before 1970 or after 9999, which no clock says but a damaged file may, are "?" in both.
// "2026-11-21 14:05:30" in the caller's zone; the date is left out on the day of `near_ms` (0:
// never), and "CET" follows where the clocks were changed between the two.
void when_format(int64_t time_ms, int64_t near_ms, char *ret_text, size_t size);
// "2026-11-21T14:05:30.250Z"
void when_format_utc(int64_t time_ms, char *ret_text, size_t size);

#endif
