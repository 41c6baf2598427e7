// SPDX-License-Identifier: Apache-2.0
// The structs of mallinfo(3), which musl does not declare. Library world; layout as in glibc.
#ifndef EBB_SHIM_MALLINFO_H
#define EBB_SHIM_MALLINFO_H

#include <malloc.h>
#include <stddef.h>

#ifndef __GLIBC__
struct mallinfo {
    int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};

struct mallinfo2 {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
#endif

#endif
