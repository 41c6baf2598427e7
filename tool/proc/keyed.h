// SPDX-License-Identifier: Apache-2.0
// Files of "Key: value" or "key value" lines, read into a struct through a table. Tool world; pure,
// no state.
#ifndef EBB_PROC_KEYED_H
#define EBB_PROC_KEYED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

// One line that is wanted: its key, and the offset of the uint64_t it goes to.
struct keyed_field {
    const char *key;
    size_t offset;
};

// Takes the next complete line off `rest` and splits it at the first `separator`; blanks before the
// value are dropped. Lines without the separator are skipped. False at the end. A last line without
// '\n' is left out: a torn number is worse than a missing one.
bool keyed_next(struct text *rest, char separator, struct text *ret_key, struct text *ret_value);

// Stores the value of a wanted key into `record`; a unit behind the number is ignored.
// False for a key that is not in the table and for a value that is no number.
bool keyed_store(const struct keyed_field *fields, size_t count, struct text key, struct text value,
                 void *record);

// keyed_store() over a whole file. Returns how many lines were stored; unknown lines are skipped.
size_t keyed_parse(struct text file, char separator, const struct keyed_field *fields, size_t count,
                   void *record);

#endif
