// SPDX-License-Identifier: Apache-2.0
// Subjects by their id. Tool world; pure.
#ifndef EBB_SAMPLE_SUBJECTS_H
#define EBB_SAMPLE_SUBJECTS_H

#include "sample/sample.h"

// The one with that id, or NULL: samplers forget those that ended. Ids ascend, as in every list of
// a sampler or a recording. Cost: a binary search, since a host has thousands.
const struct subject *subjects_find(const struct subject *subjects, size_t count, unsigned id);

#endif
