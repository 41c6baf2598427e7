// SPDX-License-Identifier: Apache-2.0
// prctl() as libc has it, in the shared library alone: who sets up a seccomp filter comes by here.
// Library world.
//
// From then on each system call may end the process, and so may the question whether there is a
// filter. It is installed by PR_SET_SECCOMP, or by seccomp(2), which no libc has a function for and
// which asks for PR_SET_NO_NEW_PRIVS before.
#include <errno.h>
#include <stdarg.h>
#include <sys/prctl.h>

#include "base/syscall.h"
#include "shim/shim.h"

EXPORT int prctl(int option, ...)
{
    va_list words;
    unsigned long word[4];
    va_start(words, option);
    // As libc does it: the kernel ignores what an option does not take.
    for (int i = 0; i < 4; i++)
        word[i] = va_arg(words, unsigned long);
    va_end(words);
    if (option == PR_SET_SECCOMP || option == PR_SET_NO_NEW_PRIVS)
        engine_expect_filter();
    long result = syscall_make(SYS_prctl, option, (long)word[0], (long)word[1], (long)word[2],
                               (long)word[3], 0);
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    return (int)result;
}
