// SPDX-License-Identifier: Apache-2.0
// Fixture trees and cut inputs for parser tests. Test code; failures end the test through cmocka.
#ifndef EBB_SUPPORT_FIXTURE_H
#define EBB_SUPPORT_FIXTURE_H

#include <stddef.h>

#include "base/buffer.h"

// Reads tests/fixtures/proc/`path`; the buffer is the caller's to free.
struct buffer fixture_read(const char *path);

// The absolute path of tests/fixtures/proc/`path`. malloc'ed.
char *fixture_path(const char *path);

// Calls `use` with every prefix of every fixture file named `name` ("stat", or with a part of its
// path: "proc/stat"). Each prefix ends right before a page that may not be read, so a parser that
// looks behind its view dies even without a sanitizer. Returns how many files there were.
size_t fixture_each_prefix(const char *name, void (*use)(struct text file));

// The same for the prefixes of one text.
void fixture_text_prefixes(struct text file, void (*use)(struct text file));

#endif
