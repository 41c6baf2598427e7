// SPDX-License-Identifier: Apache-2.0
// Subjects by their id, see subjects.h. Tool world; pure.
#include "sample/subjects.h"

// The first that is not below: a list that is out of order, as a damaged file may have it, only
// makes that one is not found.
const struct subject *subjects_find(const struct subject *subjects, size_t count, unsigned id)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (subjects[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && subjects[low].id == id ? &subjects[low] : NULL;
}
