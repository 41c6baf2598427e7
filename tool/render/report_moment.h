// SPDX-License-Identifier: Apache-2.0
// The accounts of a recording at one moment. Tool world; internal to renderers.
#ifndef EBB_RENDER_REPORT_MOMENT_H
#define EBB_RENDER_REPORT_MOMENT_H

#include "history/report.h"

// Calls `take` with the last account at or before `at_ms` of each subject of the report that was
// there at that moment; the digest is lent. 0, the first failure of `take` or of the reading.
int report_each_moment(struct history *history, const struct report *report, int64_t at_ms,
                       int (*take)(void *context, const struct report_subject *entry,
                                   int64_t time_ms, const struct digest *digest),
                       void *context);

// How old an account of `time_ms` was at `at_ms`, or at the end of its process where that came
// before.
uint64_t report_moment_age_ms(const struct report_subject *entry, int64_t at_ms, int64_t time_ms);

#endif
