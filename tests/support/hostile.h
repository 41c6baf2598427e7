// SPDX-License-Identifier: Apache-2.0
// A survey whose every text is hostile, for tests of renderers. Test code.
#ifndef EBB_SUPPORT_HOSTILE_H
#define EBB_SUPPORT_HOSTILE_H

#include "survey/survey.h"

// Escape sequences, newlines, quotes, broken UTF-8, marks that turn the direction of text.
extern const char hostile_text[];

// Fills in a survey with account, runtimes, growth, cgroup, verdict and unread entries; texts are
// as long as their arrays, figures reach NaN and UINT64_MAX. 0 or -ENOMEM; survey_free() frees it.
int hostile_survey(struct survey *ret_survey);

#endif
