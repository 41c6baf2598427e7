// SPDX-License-Identifier: Apache-2.0
// Columns that characters take on a terminal: none, one or two. Tool world; pure; any thread.
#ifndef EBB_BASE_COLUMNS_H
#define EBB_BASE_COLUMNS_H

#include <stdint.h>

#include "base/text.h"

// 0 for marks that combine with the character before, 2 for wide ones, else 1. Source: Unicode 15,
// as glibc 2.36 has it.
unsigned columns_of_character(uint32_t character);

// Takes the next character off a UTF-8 text that is not empty. Broken UTF-8 gives some character,
// and at least one byte is taken.
uint32_t columns_next_character(struct text *rest);

#endif
