// SPDX-License-Identifier: Apache-2.0
// The sentences of a verdict, by section. Tool world; pure; internal to the account.
#ifndef EBB_ACCOUNT_VERDICT_TEXT_H
#define EBB_ACCOUNT_VERDICT_TEXT_H

#include "account/verdict.h"

// Adds a sentence; beyond VERDICT_LINES_MAX it is dropped.
void verdict_say(struct verdict_lines *lines, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void verdict_give_reasons(const struct verdict_input *input, enum verdict_code code,
                          struct verdict_lines *lines);
void verdict_name_traps(const struct verdict_input *input, struct verdict_lines *lines);
void verdict_advise(const struct verdict_input *input, enum verdict_code code,
                    struct verdict_lines *lines);

// The report with all of these facts, or NULL.
const struct runtime_report *verdict_find_fact(const struct verdict_input *input, uint32_t facts);
// The report with this name, or NULL.
const struct runtime_report *verdict_find_runtime(const struct verdict_input *input,
                                                  const char *name);
// The runtime with most bytes in a row, or NULL when it belongs to none.
const struct runtime_report *verdict_row_owner(const struct verdict_input *input,
                                               enum account_row row);

#endif
