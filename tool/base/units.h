// SPDX-License-Identifier: Apache-2.0
// Sizes, times and shares as people read them. Tool world; pure.
#ifndef EBB_BASE_UNITS_H
#define EBB_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

enum { UNITS_TEXT_MAX = 32 }; // room for any of the texts below

// "2.57 GiB", "412 MiB", "8.00 KiB", "17 B": three digits, binary units.
void units_format_bytes(uint64_t bytes, char *ret_text, size_t size);

// The same with a sign: "+2.57 GiB".
void units_format_change(int64_t bytes, char *ret_text, size_t size);

// "3 d 4 h", "5 min 2 s", "0.8 s".
void units_format_seconds(double seconds, char *ret_text, size_t size);

// "79 %", "0.4 %"; of 0 it is "0 %".
void units_format_percent(uint64_t part, uint64_t whole, char *ret_text, size_t size);

#endif
