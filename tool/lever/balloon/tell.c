// SPDX-License-Identifier: Apache-2.0
// What came of the balloon, in words. Tool world; no state.
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/number.h"
#include "base/units.h"
#include "lever/balloon/balloon.h"

// The steps in the order in which the plan added them.
enum { STEP_START, STEP_GROW, STEP_LET_GO, STEP_COUNT };

// Nothing was taken yet, whichever step failed.
int balloon_refuse_start(struct lever_report *report, const struct balloon *balloon, int error,
                         enum balloon_child_step step)
{
    // Which preparation failed decides what would help.
    char why[LEVER_WHAT_MAX];
    const char *needs = "";
    switch (step) {
    case BALLOON_CHILD_SCORE:
        text_format(why, sizeof why,
                    "the balloon cannot make itself the OOM killer's first choice "
                    "(oom_score_adj 1000): %s",
                    strerror(-error));
        needs = "a /proc that may be written to";
        break;
    case BALLOON_CHILD_JOIN:
        text_format(why, sizeof why, "the balloon cannot move into %s: %s",
                    balloon->place.directory, strerror(-error));
        needs = "root, or write access to its cgroup.procs";
        break;
    default:
        text_format(why, sizeof why, "the balloon cannot be started: %s", strerror(-error));
        break;
    }
    return lever_refuse(report, error, why, needs);
}

// Behind the words of the judge: what only the engine knows.
static void format_stop(const struct balloon *balloon, char *ret_text, size_t size)
{
    const char *words = balloon_stop_words(balloon->stop);
    if (balloon->stop == BALLOON_ENDED && balloon->child.was_killed)
        text_format(ret_text, size, "%s (%s)", words, strsignal(balloon->child.signal));
    else if (balloon->stop == BALLOON_NO_MEMORY)
        text_format(ret_text, size, "%s: %s", words, strerror(-balloon->error));
    else
        text_format(ret_text, size, "%s", words);
}

// What would go on where this stopped.
static int add_advice(const struct balloon *balloon, struct lever_report *report)
{
    switch (balloon->stop) {
    case BALLOON_CACHE:
    case BALLOON_PRESSURE:
    case BALLOON_SLOW:
        return lever_add_note(report,
                              "--force goes on at the cost of slowness; 'ebb reclaim %d' "
                              "takes lazily freed pages alone",
                              (int)balloon->watched);
    case BALLOON_RESERVE:
    case BALLOON_STALLED:
    case BALLOON_HOST:
    case BALLOON_BEHIND:
        return lever_add_note(report, "'ebb reclaim %d' takes what is left without pressure",
                              (int)balloon->watched);
    case BALLOON_TIME:
        return lever_add_note(report, "a longer --for gives it more time");
    case BALLOON_OOM:
        return lever_add_warning(report, "the OOM killer was called meanwhile: see the kernel's "
                                         "log for whom it took");
    default:
        return 0;
    }
}

// What is still there, and why.
static int add_untouched(const struct balloon *balloon, struct lever_report *report)
{
    // The walk after the balloon: what stands here is there now.
    const struct balloon_reading *reading = &balloon->reading;
    // Each of the two shows all of it; the bound counts it once.
    uint64_t shared = 0;
    if (reading->has_sure && reading->has_target && !balloon->options.watches_one &&
        reading->target_bytes > reading->sure_bytes)
        shared = number_least(reading->target_bytes - reading->sure_bytes, reading->lazy_bytes);
    int error = 0;
    if (reading->has_sure && reading->sure_bytes >= (uint64_t)BALLOON_STEP_LEAST_MIB << 20)
        error = lever_add_untouched(report, reading->sure_bytes, "lazily freed pages",
                                    "the balloon had stopped");
    if (!error && shared > 0)
        error = lever_add_untouched(report, shared, "lazily freed pages shared with a fork",
                                    "the kernel takes them only when one of the two has ended");
    if (!error && reading->cache_bytes > 0)
        error = lever_add_untouched(report, reading->cache_bytes, "live page cache",
                                    "the balloon stops before much of it goes");
    return error;
}

// Told even when it is little: it is what the balloon costs others.
static int add_taken(const struct balloon *balloon, struct lever_report *report)
{
    char text[UNITS_TEXT_MAX];
    uint64_t cache_bytes = balloon_cache_taken(&balloon->state);
    if (cache_bytes < (uint64_t)BALLOON_STEP_LEAST_MIB << 20)
        return 0;
    units_format_bytes(cache_bytes, text, sizeof text);
    return lever_add_note(report, "%s of live page cache went as well", text);
}

// Usage afterwards: the balloon's memory is back.
static void end_let_go(const struct balloon *balloon, struct lever_step *step)
{
    char usage[UNITS_TEXT_MAX];
    struct balloon_place place = balloon->place;
    struct balloon_room room;
    step->state = LEVER_STEP_DONE;
    if (place.version == 0 || balloon_place_room(&place, &room) < 0)
        return;
    units_format_bytes(room.usage_bytes, usage, sizeof usage);
    lever_end_step(step, LEVER_STEP_DONE, "%s is at %s now", room.directory, usage);
}

// The balloon has gone; the reading is the one after it.
int balloon_tell(const struct balloon *balloon, struct lever_report *report)
{
    char held[UNITS_TEXT_MAX], taken[UNITS_TEXT_MAX], why[LEVER_WHAT_MAX / 2];
    if (report->step_count < STEP_COUNT)
        return -EINVAL;
    // A brake is no failure of the lever, but the wish was not fulfilled: "partly".
    bool is_good = balloon_stop_is_good(balloon->stop, &balloon->limits);
    format_stop(balloon, why, sizeof why);
    units_format_bytes(balloon->child.held_bytes, held, sizeof held);
    units_format_bytes(balloon_lazy_taken(&balloon->state), taken, sizeof taken);
    lever_end_step(&report->steps[STEP_START], LEVER_STEP_DONE, "oom_score_adj 1000");
    struct lever_step *grow = &report->steps[STEP_GROW];
    lever_end_step(grow, is_good ? LEVER_STEP_DONE : LEVER_STEP_FAILED,
                   "%s in %u steps, lazily freed memory fell by %s; stopped: %s", held,
                   balloon->steps, taken, why);
    grow->took_ns = balloon->state.last.now_ns - balloon->state.start.now_ns;
    end_let_go(balloon, &report->steps[STEP_LET_GO]);
    // At most: only if it called one of the two just then.
    lever_add_wait(report, "its mmap and munmap", balloon->holders.longest_ns,
                   balloon->holders.total_ns);
    int error = add_taken(balloon, report);
    if (!error)
        error = add_advice(balloon, report);
    return error ? error : add_untouched(balloon, report);
}
