// SPDX-License-Identifier: Apache-2.0
// Making a digest of a survey. Tool world; pure.
#ifndef EBB_SAMPLE_DIGEST_H
#define EBB_SAMPLE_DIGEST_H

#include "sample/sample.h"
#include "survey/survey.h"

// What stays of a survey that has an account. 0 and a digest that digest_free() empties; -ENODATA
// without an account; -ENOMEM.
int digest_make(const struct survey *survey, struct digest *ret_digest);
int digest_copy(const struct digest *digest, struct digest *ret_copy); // 0, -ENOMEM
void digest_free(struct digest *digest);

// The figure of that name, of `runtime` or, with NULL, of the first that has it; or NULL.
const struct runtime_figure *digest_figure(const struct digest *digest, const char *runtime,
                                           const char *name);

// A figure as one integer: a ratio in millionths, SAMPLE_UNKNOWN for one that is no number.
uint64_t digest_figure_value(const struct runtime_figure *figure);

#endif
