// SPDX-License-Identifier: Apache-2.0
// From a thread's first allocation to its end, and what a fork leaves. Library world. Between the
// files of the heap only.
#ifndef EBB_HEAP_THREAD_H
#define EBB_HEAP_THREAD_H

#include "heap/heap.h"

// All heaps, newest first, linked by `next`.
struct heap *heaps_first(void);

// Takes over a heap that no thread owns: true if the caller has it now, with its lock taken.
// heap_disown() gives it back.
bool heap_claim(struct heap *heap);
void heap_disown(struct heap *heap);

// Around a helper's work on one heap, so that no fork falls into it: the child could do nothing
// with that heap. False while a thread is about to fork, unless the caller `waits`: for that it
// must hold no lock of the program's, since libc takes such for the fork. In turn fork() waits for
// the helper, some 100 µs, which itself waits for slow paths; if one is stuck, 100 ms.
bool heaps_help(bool waits);
void heaps_help_end(void);

// Starts the heap on a system once; 0 or -ENOMEM.
int heaps_start(const struct os *os);

// In a child that has not been repaired yet: whatever other threads held is made whole or given up.
void heaps_repair(void);

// Does that where it has to be done. For who takes the space's lock without heap_enter().
void heaps_notice_fork(void);

#endif
