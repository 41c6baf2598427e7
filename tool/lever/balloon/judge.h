// SPDX-License-Identifier: Apache-2.0
// The balloon's decisions: how much may be taken now, or why it stops. Tool world; pure: no input,
// no output, no clock. Every brake but those that the child carries itself is here, so that each is
// tested with made-up readings.
//
// The engine takes a fresh reading before every step and asks. What the answer rests on:
// - what may be taken is room below the limit, plus pages that the kernel may drop: lazily freed
//   ones. Live page cache may be dropped too, but it is not what the balloon is for: it counts only
//   as a cushion against the OOM killer, and half of it;
// - the figure for lazily freed pages that costs nothing, lists minus cache, is an upper bound:
//   pages that were written again stay in it until the kernel scans them. So walks of smaps say
//   what is truly there. From each is taken off what has been taken since, and what the target may
//   have written to since, at the speed of memory: no fault and no counter tells of such a write.
//   While a walk lasts the reserve covers that; a target that is seen writing ends it all.
#ifndef EBB_LEVER_BALLOON_JUDGE_H
#define EBB_LEVER_BALLOON_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BALLOON_NO_LIMIT UINT64_MAX

// The brakes' numbers, which docs/balloon.md and --dry-run tell.
enum {
    BALLOON_STEP_LARGEST_MIB = 16,  // one step, and no more than
    BALLOON_STEP_PART = 64,         // 1/64 of what may be taken, but
    BALLOON_STEP_LEAST_MIB = 1,     // not less than this
    BALLOON_RESERVE_PERCENT = 5,    // of the limit or of the host's memory is never taken
    BALLOON_CACHE_PERCENT = 25,     // of what was taken may be live page cache, from
    BALLOON_CACHE_LEAST_MIB = 16,   // this on
    BALLOON_STALL_MIB = 32,         // taken under pressure, and
    BALLOON_STALL_PERCENT = 25,     // of it at least must have come from lazily freed pages
    BALLOON_HOST_PSI_PERCENT = 20,  // of the last second, in which some task waited for memory
    BALLOON_GROUP_PSI_PERCENT = 40, // within the group the balloon's own waits count as well
    BALLOON_PSI_LEAST_MS = 200,     // below that a share of time says nothing
    BALLOON_PSI_MOST_MS = 1000,
    BALLOON_SLOW_STEP_MS = 1000,  // a step that takes that long waits for something
    BALLOON_WAIT_MOST_MS = 1000,  // for kswapd to make room
    BALLOON_WRITE_MIB_PER_MS = 4, // how fast a target may write to its lazily freed pages
    BALLOON_WRITE_MS = 2,         // so long the reserve alone covers it
    BALLOON_REWRITE_PARTS = 4,    // of the margin: one of them written again between two walks
};

enum balloon_stop {
    BALLOON_GOES_ON,
    // What it was asked for.
    BALLOON_REACHED, // lazily freed bytes are below the wanted size
    BALLOON_SIZED,   // as large as it may become
    BALLOON_EMPTY,   // nothing lazily freed is left
    // It can do no more.
    BALLOON_STALLED, // it grew under pressure, but lazily freed pages did not become fewer
    BALLOON_RESERVE, // what is left is the margin
    BALLOON_SHARED,  // what is left is shared, or not known well enough
    // Brakes.
    BALLOON_HOST,       // the host runs short
    BALLOON_CACHE,      // the kernel takes live page cache instead
    BALLOON_REWRITTEN,  // the target takes its pages back
    BALLOON_PRESSURE,   // tasks wait for memory (PSI)
    BALLOON_SLOW,       // a step took too long
    BALLOON_BEHIND,     // the kernel's background reclaim makes no room
    BALLOON_SWAP,       // swap is on, and would be used
    BALLOON_SWAPPED,    // something was swapped out
    BALLOON_OOM,        // the OOM killer was called
    BALLOON_TIME,       // the time limit
    BALLOON_UNREADABLE, // a reading failed, or contradicts the one before
    // What happened to it.
    BALLOON_NO_MEMORY,   // the kernel refused it memory
    BALLOON_ENDED,       // somebody ended the balloon
    BALLOON_INTERRUPTED, // SIGINT, SIGTERM, SIGHUP, SIGTSTP
    BALLOON_GONE,        // the watched process ended
    BALLOON_STOP_COUNT,
};

// How long some task waited for memory, see struct pressure.
struct balloon_psi {
    bool is_known;
    uint64_t some_us;
    double some_avg10; // percent of the last ten seconds, by the kernel
};

// One look at everything that a decision needs. Sizes in bytes; counters count from boot, or from
// wherever they like: only differences count.
struct balloon_reading {
    uint64_t now_ns;
    bool is_complete;       // false: something that must be known could not be read
    uint64_t balloon_bytes; // what the balloon holds
    uint64_t step_took_ns;  // the last step; 0 none

    // Of the group with those above it that have a limit, or of the host.
    uint64_t free_bytes; // the least room below a limit; host: above what the kernel keeps back
    int64_t slack_bytes; // the least of: room + half of the page cache that goes easily - reserve,
                         // which follows
    uint64_t reserve_bytes;
    uint64_t host_bytes;  // for a group: what the host has available, its reserve taken off
    uint64_t lazy_bytes;  // upper bound of lazily freed pages
    uint64_t cache_bytes; // live page cache, where the limit is the tightest
    uint64_t refault_pages;
    bool can_swap; // pressure here would make the kernel swap

    // Walks of smaps so far, and what the last one found.
    unsigned walks;
    uint64_t walked_ns; // when it ended
    uint64_t walk_took_ns;
    uint64_t sure_bytes;       // lazily freed and not shared: surely there to be taken
    uint64_t target_bytes;     // lazily freed of the watched processes
    bool has_sure, has_target; // false: only the bound is known

    // Of the host.
    uint64_t lazy_taken_pages, file_taken_pages; // pglazyfreed; pgsteal_file, which includes them
    bool has_taken;
    uint64_t swapped_pages, oom_kills; // of the group, or of the host
    struct balloon_psi host_psi, group_psi;
};

// What was asked for and what never changes.
struct balloon_limits {
    uint64_t until_bytes; // stop below that many lazily freed bytes; BALLOON_NO_LIMIT: not asked
    uint64_t size_bytes;  // the largest balloon; BALLOON_NO_LIMIT: as far as the brakes let it
    uint64_t time_ns;
    bool in_background; // host: only as fast as kswapd makes room, never by direct reclaim
    bool force;         // live page cache may go, and tasks may wait
};

struct balloon_state {
    bool has_start;
    struct balloon_reading start, last, walk; // `walk`: as it was at the last walk of smaps
    struct balloon_reading psi;               // where the share of time is counted from
    uint64_t stall_grown_bytes, stall_left_bytes;
    uint64_t rewritten_bytes; // between the last two walks, by the target
    uint64_t waits_since_ns;  // 0: it does not wait
};

enum balloon_action { BALLOON_GROW, BALLOON_WALK, BALLOON_WAIT, BALLOON_STOP };

struct balloon_decision {
    enum balloon_action action;
    uint64_t step_bytes;    // BALLOON_GROW: whole MiB
    uint64_t until_ns;      // and not after this moment: then the reading is too old
    enum balloon_stop stop; // BALLOON_STOP
};

// The margin that is never taken: BALLOON_RESERVE_PERCENT of `total_bytes`, within [least, most].
uint64_t balloon_reserve(uint64_t total_bytes, uint64_t least_bytes, uint64_t most_bytes);

// How much may be taken from here on at most: room and lazily freed pages, within the reserves and
// --size. What --dry-run tells.
uint64_t balloon_allowance(const struct balloon_limits *limits,
                           const struct balloon_reading *reading);

// What to do after this reading. `state` begins as zeros and belongs to one run; BALLOON_WALK asks
// for a walk of smaps, BALLOON_WAIT for a reading a little later.
struct balloon_decision balloon_judge(const struct balloon_limits *limits,
                                      struct balloon_state *state,
                                      const struct balloon_reading *reading);

// Is there no margin left? For a reading in the middle of a step, after a walk: true means to let
// go at once, for the child's next page may be the one too many.
bool balloon_must_let_go(struct balloon_state *state, const struct balloon_reading *reading);

// How long to wait after a walk for the next: as long as it took, and no longer than the reserve
// covers both. Nanoseconds.
uint64_t balloon_walk_pause(const struct balloon_reading *reading);

// Bytes of live page cache, and of lazily freed pages, that went since the start.
uint64_t balloon_cache_taken(const struct balloon_state *state);
uint64_t balloon_lazy_taken(const struct balloon_state *state);

// A part of a sentence: "the kernel takes live page cache rather than lazily freed pages".
const char *balloon_stop_words(enum balloon_stop stop);
// Did it do what it was asked for, or all that can be done?
bool balloon_stop_is_good(enum balloon_stop stop, const struct balloon_limits *limits);

#endif
