// SPDX-License-Identifier: Apache-2.0
// When a verdict that has changed is told, see settle.h. Tool world; pure.
#include "sample/settle.h"

// Two accounts of a process that works are ten seconds apart, or a little more.
static const uint64_t settle_ms = 10000;
// Who has changed not long ago has to stand for longer: at the border it would go on and on.
static const uint64_t settle_again_ms = 60000, settle_recent_ms = 600000;

uint64_t settle_hold_ms(const struct settle *settle)
{
    if (settle->next == 0)
        return 0;
    bool is_recent = settle->was_told && settle->next_ms - settle->told_ms < settle_recent_ms;
    return is_recent ? settle_again_ms : settle_ms;
}

bool settle_verdict(struct settle *settle, enum verdict_code verdict, uint64_t now_ms)
{
    if (settle->told == 0)
        settle->told = verdict;
    // One account that says the old thing again ends the trial.
    if (verdict == settle->told) {
        settle->next = (enum verdict_code)0;
        return false;
    }
    if (verdict != settle->next) {
        settle->next = verdict;
        settle->next_ms = now_ms;
        return false;
    }
    if (now_ms - settle->next_ms < settle_hold_ms(settle))
        return false;
    settle->told = verdict;
    settle->next = (enum verdict_code)0;
    settle->was_told = true;
    settle->told_ms = now_ms;
    return true;
}
