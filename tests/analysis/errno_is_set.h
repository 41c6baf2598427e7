// SPDX-License-Identifier: Apache-2.0
// For clang-tidy alone: after a failed call errno is positive, which the analyzer does not know, so
// it follows "return -errno" as if it could be success. It cannot negate a range either: so two
// values stand for all, the one that loops retry and one of an ordinary failure.
#ifndef EBB_ANALYSIS_ERRNO_IS_SET_H
#define EBB_ANALYSIS_ERRNO_IS_SET_H

#include <errno.h>

static inline int *errno_of_failure(void)
{
    int *location = __errno_location();
    switch (*location) {
    case EINTR:
    case EIO:
        return location;
    default:
        __builtin_unreachable();
    }
}

#undef errno
#define errno (*errno_of_failure())

#endif
