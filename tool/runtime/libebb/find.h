// SPDX-License-Identifier: Apache-2.0
// Where libebb is in a target, and where its ledger. Tool world; no state.
#ifndef EBB_RUNTIME_LIBEBB_FIND_H
#define EBB_RUNTIME_LIBEBB_FIND_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "runtime/target.h"

struct libebb_found {
    const struct image *image;
    uint64_t ledger;    // its address; 0: nothing was allocated yet
    const char *method; // how it was found; static
    int error;          // -errno where the pointer to it could not be read; 0
};

// Is libebb in the target: its library, or an image that holds it? Cheap but for the first search
// through the images.
bool libebb_is_there(const struct target *target);

// Finds libebb and its ledger: of several copies the one that has a heap. False when there is none.
// By the symbol `ebb_ledger`, or in a program without symbols by the ledger's first word where the
// heap begins.
bool libebb_find(const struct target *target, struct libebb_found *ret_found);

// True for libebb.so itself, by its name: it serves the whole program.
bool libebb_is_library(const struct image *image);

// The thread that gives memory back, as this system numbers it; 0: none runs. By its name, since
// the ledger of a forked child may still have its parent's, and that of a container its own number.
// Cost: a read per thread, of a thousand at most.
pid_t libebb_find_helper(struct process *process, const struct proc_thread *threads, size_t count);

// "0.1.0"; "" unknown.
void libebb_read_version(const struct image *image, char *ret_version, size_t size);

#endif
