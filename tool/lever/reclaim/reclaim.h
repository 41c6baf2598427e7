// SPDX-License-Identifier: Apache-2.0
// The lever that makes the kernel take lazily freed pages of a running process now. Tool world; one
// thread.
//
// Page by page: what the kernel itself holds to be lazily freed, mapped once and not locked is
// given to process_madvise(MADV_PAGEOUT); nothing else is. A page that is written between the look
// and the call is kept by the kernel. Without the right to see frame numbers it works by mappings,
// and only where no live page can come to harm by it (coarse.h).
#ifndef EBB_LEVER_RECLAIM_RECLAIM_H
#define EBB_LEVER_RECLAIM_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "lever/lever.h"
#include "lever/purge.h"
#include "proc/mappings.h"

struct reclaim_options {
    struct purge *purge; // asks the target's mallocs first; NULL not
    bool is_dry_run;     // as lever_pull() is told: the plan then looks at every page
    bool force;          // harm that is mere slowness is accepted
    uint64_t bite_bytes; // at most in one call; 0: BITES_BYTES_MAX
    bool (*is_stopped)(void *user);
    void (*show_progress)(void *user, uint64_t done_bytes, uint64_t total_bytes);
    void *user; // of the two above, which may be NULL
};

// What lever_pull() gets as context; fill in `options`, leave the rest 0.
struct reclaim {
    struct reclaim_options options;
    bool is_coarse;
    bool can_collapse;   // MADV_COLLAPSE, 6.1
    uint64_t huge_pages; // small pages in a huge one
    size_t step;         // of the report, from plan() to act()
    // Readings without smaps, during which the target's mmap would wait: what is lazily freed is
    // counted by the walk. Not with mallocs to be asked, nor in coarse mode.
    bool is_gentle;
    bool has_walked;          // then the next field is known
    uint64_t lazy_left_bytes; // after the walk
};

// How many bytes huge mappings hold of the candidates of `mappings`; 0 before 6.7, where it cannot
// be told without smaps. Cost: 4 ms for each GiB of small pages, in pieces.
uint64_t reclaim_count_huge(struct process *process, const struct mappings *mappings);
// The reading of the lever, see struct lever.
int reclaim_read(void *context, struct process *process, struct lever_reading *ret_reading);

// Refuses with -EACCES, -EPERM (a capability is missing), -ENOSYS (the kernel is older than 5.10),
// -ENOTSUP (coarse would harm), -ENOEXEC (a kernel thread), -ESRCH (a zombie).
extern const struct lever reclaim_lever;

#endif
