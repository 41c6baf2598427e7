// SPDX-License-Identifier: Apache-2.0
// A system call with everything that a thread owns filled with patterns, which must be there
// afterwards: registers, extended state, red zone, errno, signal mask, alternate stack. Test code.
#ifndef EBB_CALL_GUARDED_H
#define EBB_CALL_GUARDED_H

// What the kernel answers, -errno for failures; `seed` makes the patterns differ. Counts what was
// not as before in *bad, and says on stderr what it was.
long guarded_syscall(unsigned seed, unsigned long *bad, long number, long a, long b, long c, long d,
                     long e, long f);

#endif
