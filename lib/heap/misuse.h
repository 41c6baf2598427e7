// SPDX-License-Identifier: Apache-2.0
// Telling a live block from everything else that a program may hand in. Library world; no state.
//
// Any address may come: what is outside the reservation is refused by a comparison, what is inside
// always has a record that can be read, and only a record that says "span" lets the block be
// touched.
#ifndef EBB_HEAP_MISUSE_H
#define EBB_HEAP_MISUSE_H

#include "heap/space.h"

// The record of a live block; whatever is not one ends the process: "ebb: fatal: double free of
// 0x… (size class 48)", "invalid free of 0x… (inside a block of size class 48)" and so on. `verb`
// is what was tried: "free", "realloc".
struct wire_record *misuse_check(const void *pointer, const char *verb);

#endif
