// SPDX-License-Identifier: Apache-2.0
// CSV's cells, for whoever writes samples as CSV. Tool world; pure. Source: RFC 4180.
#ifndef EBB_RENDER_CSV_WRITE_H
#define EBB_RENDER_CSV_WRITE_H

#include <stdint.h>

#include "base/buffer.h"

// Appends a name in quotes, escaped as format_escaped() does. One that a spreadsheet would take for
// a formula gets an apostrophe in front, as spreadsheets themselves mark text. 0 or -ENOMEM.
int csv_write_name(struct buffer *buffer, const char *name);

// "cheap", "lazy", "account" for what is in SERIES_KIND.
const char *csv_kind_name(uint64_t kind);

#endif
