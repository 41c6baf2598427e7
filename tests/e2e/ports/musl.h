// SPDX-License-Identifier: Apache-2.0
// What musl's <malloc.h> does not declare of glibc's and libebb has, for the programs of tests/lib.
#ifndef EBB_TESTS_PORTS_MUSL_H
#define EBB_TESTS_PORTS_MUSL_H

#include <stdio.h>

#include "shim/mallinfo.h"

#define M_MMAP_THRESHOLD (-3)

struct mallinfo2 mallinfo2(void);
int malloc_info(int options, FILE *fp);
int malloc_trim(size_t pad);
int mallopt(int param, int val);
void *pvalloc(size_t size);

#endif
