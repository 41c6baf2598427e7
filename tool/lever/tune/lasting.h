// SPDX-License-Identifier: Apache-2.0
// Words for how long a change lasts, and what makes it last. Tool world; internal to tune.
#ifndef EBB_LEVER_TUNE_LASTING_H
#define EBB_LEVER_TUNE_LASTING_H

#include "base/text.h"
#include "lever/lever.h"

enum { LASTING_VALUE_MAX = 160 };

// A list of "key<assign>value" items parted by commas, as GODEBUG ('='), MALLOC_CONF (':') and
// GLIBC_TUNABLES know them: copies `list` without the items of `key`, and appends "key value" with
// `assign` between. Pure. False when it had to cut, or when the list holds a byte that unit files,
// pods or shells do not take as it is: the result is not to be used then.
bool lasting_merge(struct text list, char separator, const char *key, char assign,
                   const char *value, char *ret_list, size_t size);

// Notes: until when it lasts, and how to set `variable` for good, in a unit and in a pod. 0 or
// -ENOMEM.
int lasting_add_until(struct lever_report *report);
int lasting_add_variable(struct lever_report *report, const char *variable, const char *value);
// The same for a list; `is_merged` false: what the user has set there is not in it, and that is
// said.
int lasting_add_list(struct lever_report *report, const char *variable, const char *list,
                     bool is_merged);

#endif
