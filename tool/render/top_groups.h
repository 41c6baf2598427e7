// SPDX-License-Identifier: Apache-2.0
// Processes of one name as one row of `ebb top`. Tool world; pure; internal to top.
//
// Each group has two rows: `all` of its processes, for the list by name; and `brief`, of those that
// have begun in the last minute, which stands in the plain list for them where processes of that
// name keep ending: a crash loop, or a program that starts another one for each piece of work,
// would else fill the list with rows that are gone at the next look. A program whose processes give
// themselves ever new names has such a row as well, under the name of its executable.
#ifndef EBB_RENDER_TOP_GROUPS_H
#define EBB_RENDER_TOP_GROUPS_H

#include "render/top.h"

// A minute in slots of five seconds.
enum { TOP_RATE_SLOTS = 12, TOP_RATE_SLOT_MS = 5000, TOP_BRIEF_MS = 60000 };

// How often something happened, by the time of day over TOP_RATE_SLOT_MS. Zeros are never.
struct top_rate {
    int64_t newest;
    uint32_t counts[TOP_RATE_SLOTS];
};

struct top_group {
    struct top_row all, brief;
    struct top_rate starts, ends; // ends of those that lived for less than TOP_BRIEF_MS
    bool is_churning;             // `brief` stands in the plain list
    bool is_program;              // of an executable: `all` is nobody's
    uint64_t largest_bytes;       // the largest process's effective RSS: it speaks for the group
};

// The group that a row belongs to gets another start; a new group, if need be. 0, -ENOMEM.
int top_groups_start(struct top *top, const struct top_row *row, int64_t now_ms);
// A process ended.
void top_groups_end(struct top *top, const struct top_row *row, int64_t now_ms);
// Sums the rows of a round up, and lets go of groups without processes that nothing is to be told
// of. 0; cost: a search for each row.
void top_groups_sum(struct top *top);

// The group row with that id (top_row_is_group()), or NULL.
const struct top_row *top_groups_find(const struct top *top, unsigned subject);

// Is it a row of a group? Subjects are counted from 1 on and never get so far.
bool top_row_is_group(unsigned subject);

// The id of the group's row of a name, as `all`.
unsigned top_group_id(const char *name);

// The same of an executable.
unsigned top_program_id(const char *exe);

// What stands for the verdicts of several: growing first, none last.
int top_verdict_rank(enum verdict_code verdict);

#endif
