// SPDX-License-Identifier: Apache-2.0
// May lazily freed pages be taken without knowing which they are? Tool world.
//
// Without frame numbers every page of a mapping is offered to the kernel. It drops the free ones;
// what it does with live ones decides: with swap it would write them out, a large page that is no
// huge one it would split. No other file tells more: pagemap without frames knows present and
// mapped once, PAGEMAP_SCAN has no category for it, soft-dirty is set before as after, and smaps
// counts by mapping.
#ifndef EBB_LEVER_RECLAIM_COARSE_H
#define EBB_LEVER_RECLAIM_COARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COARSE_WHY_MAX = 160 };

// 0 when only free pages can come to harm here; -ENOTSUP with the reason. With `force`, splitting
// live large pages (slowness) is accepted; swapping never.
int coarse_check(bool force, char ret_why[COARSE_WHY_MAX]);

// The pure part: is a large page of another size than `huge_bytes` in use on this host? `names` and
// `settings` are those of /sys/kernel/mm/transparent_hugepage/hugepages-*kB/enabled.
bool coarse_size_is_used(const char *name, const char *setting, uint64_t huge_bytes,
                         const char *global_setting);

#endif
