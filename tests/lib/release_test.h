// SPDX-License-Identifier: Apache-2.0
// What the unit tests of lib/release share: cmocka's includes. Test code; no state.
#ifndef EBB_TESTS_LIB_RELEASE_TEST_H
#define EBB_TESTS_LIB_RELEASE_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

#endif
