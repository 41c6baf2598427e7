// SPDX-License-Identifier: Apache-2.0
// mimalloc's segments, read from outside without symbols: which memory is its own, and what of it
// is used. Tool world.
#ifndef EBB_RUNTIME_ALLOCATORS_MIMALLOC_SEGMENTS_H
#define EBB_RUNTIME_ALLOCATORS_MIMALLOC_SEGMENTS_H

#include "runtime/target.h"

// Claims the segments of mimalloc 2.0 and adds their parts. 0; -ENOENT where the version's
// structures are not known or none was found; -EBADMSG; -ETIME; -ENOMEM. On failure the report
// holds no claims and parts of this reader.
int mimalloc_segments_read(const struct target *target, const char *version,
                           struct runtime_report *report);

#endif
