// SPDX-License-Identifier: Apache-2.0
// The tables of a recording. Tool world; constant. docs/recording.md explains them.
#ifndef EBB_HISTORY_SCHEMA_H
#define EBB_HISTORY_SCHEMA_H

#include "history/store.h"

// "ebbR": what file(1) and we know a recording by, in SQLite's header.
enum { HISTORY_APPLICATION_ID = 0x65626252 };

// Makes tables and views in an empty database. 0 or -errno.
int schema_make(struct history *history);

// Are our tables there, those of history->schema, word for word as schema_make() makes them? What
// else is in the file is nobody's business: nothing of it is ever used. 0; -EBADMSG; -errno.
int schema_check(struct history *history);

#endif
