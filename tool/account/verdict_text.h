// SPDX-License-Identifier: Apache-2.0
// The sentences of a verdict, by section. Tool world; pure; internal to the account.
#ifndef EBB_ACCOUNT_VERDICT_TEXT_H
#define EBB_ACCOUNT_VERDICT_TEXT_H

#include "account/verdict.h"

// Adds a sentence; beyond VERDICT_LINES_MAX it is dropped, beyond VERDICT_TEXT_MAX cut. Sentences
// are for somebody who is woken up at night: a figure, what it means, no more. Names from a target
// may be in them, since renderers escape whole sentences.
void verdict_say(struct verdict_lines *lines, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Each section may be empty. Only reasons need an account; what the others say without one is said
// in their files.
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
// The runtime with more than half of a row, or NULL: a sentence names an owner only where it is
// true of the row.
const struct runtime_report *verdict_row_owner(const struct verdict_input *input,
                                               enum account_row row);

#endif
