// SPDX-License-Identifier: Apache-2.0
// When a verdict that has changed is told. Tool world; pure.
//
// At the border of two verdicts each account may come to the other one. A change is told once the
// new verdict has stood for a while in every account, and for longer where the one before was told
// not long ago; so an event is worth reading, and a page does not flicker.
#ifndef EBB_SAMPLE_SETTLE_H
#define EBB_SAMPLE_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "account/verdict.h"

// Zero-initialised is before the first account.
struct settle {
    enum verdict_code told, next; // 0: none; `next` is on trial
    bool was_told;                // a change
    uint64_t next_ms, told_ms;    // since when it is on trial; when a change was told last
};

// The verdict of an account at `now_ms` of a clock that never goes back. True: the change is to be
// told now, and was first seen at settle->next_ms. The first verdict of all is no change.
bool settle_verdict(struct settle *settle, enum verdict_code verdict, uint64_t now_ms);

// Milliseconds from its first sight that the one on trial must stand; 0 where none is.
uint64_t settle_hold_ms(const struct settle *settle);

#endif
