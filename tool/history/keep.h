// SPDX-License-Identifier: Apache-2.0
// Retention: what is older than wanted goes, a little with each flush. Tool world; one thread.
//
// Of subjects that live, samples, accounts and events go after keep_ms, minutes after that too but
// not before 62 days, hours never; in memory these two go after keep_ms as well. Subjects that
// ended before keep_ms go with all that is theirs. The pages that this empties are used again: the
// file stays as large as it was at its largest.
#ifndef EBB_HISTORY_KEEP_H
#define EBB_HISTORY_KEEP_H

#include "history/store.h"

struct keep {
    uint64_t keep_ms; // 0: nothing goes
    size_t living;    // the place of the next one that lives
    unsigned ended;   // the last id of those that have ended that was looked at
    unsigned known;   // the highest id at the last step
};

// Looks at the next few subjects, and at the host's rows. 0 or -errno. Cost: some deletes for each
// of them, bounded. It runs inside of the flush's transaction, so that what goes and what comes are
// one commit.
int keep_step(struct history *history, struct keep *keep, int64_t now_ms);

#endif
