// SPDX-License-Identifier: Apache-2.0
// What the balloon calls its ends. Tool world; constant.
#include "lever/balloon/judge.h"

// The words follow "stopped: " and stand in reports: what was seen, in the field's own terms.
static const char *const stop_words[BALLOON_STOP_COUNT] = {
    [BALLOON_GOES_ON] = "it goes on",
    [BALLOON_REACHED] = "lazily freed memory is below the wanted size",
    [BALLOON_SIZED] = "it is as large as it may become",
    [BALLOON_EMPTY] = "hardly any lazily freed memory is left",
    [BALLOON_STALLED] = "lazily freed memory falls no further",
    [BALLOON_RESERVE] = "what is left is the margin that it never takes",
    [BALLOON_SHARED] = "what is left is shared with a fork, or may not be read",
    [BALLOON_HOST] = "the host itself runs short of memory",
    [BALLOON_SWAP] = "swap is on: live memory would be swapped out",
    [BALLOON_CACHE] = "the kernel takes live page cache rather than lazily freed pages",
    [BALLOON_REWRITTEN] = "the target writes to its lazily freed pages again",
    [BALLOON_PRESSURE] = "tasks wait for memory (PSI)",
    [BALLOON_SLOW] = "a step waited for more than a second",
    [BALLOON_BEHIND] = "the kernel's background reclaim makes no more room",
    [BALLOON_SWAPPED] = "something was swapped out",
    [BALLOON_OOM] = "the OOM killer was called",
    [BALLOON_TIME] = "the time limit is over",
    [BALLOON_UNREADABLE] = "a reading failed or contradicts the one before",
    [BALLOON_NO_MEMORY] = "the kernel refused the balloon more memory",
    [BALLOON_ENDED] = "somebody ended the balloon",
    [BALLOON_INTERRUPTED] = "interrupted",
    [BALLOON_GONE] = "the watched process ended",
};

// Static, and never NULL: every end has its words, which a test goes through.
const char *balloon_stop_words(enum balloon_stop stop)
{
    return stop_words[stop];
}

// Without a wanted size, all that can be had within the margin is what was asked for.
bool balloon_stop_is_good(enum balloon_stop stop, const struct balloon_limits *limits)
{
    switch (stop) {
    case BALLOON_REACHED:
    case BALLOON_EMPTY:
        return true;
    // With --until, the size is a brake like the others.
    case BALLOON_SIZED:
    case BALLOON_STALLED:
    case BALLOON_RESERVE:
        return limits->until_bytes == BALLOON_NO_LIMIT;
    default:
        return false;
    }
}
