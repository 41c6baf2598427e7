// SPDX-License-Identifier: Apache-2.0
// What the balloon will do, and why it will not. Tool world; no state but the context.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "lever/balloon/balloon.h"
#include "proc/status.h"

// Who holds nearly all of it makes pressure on all others pointless.
enum { ONE_HOLDER_PERCENT = 90, BEGIN_WALKS = 5 };

// What was seen and why it is a danger, what would help, and how it is reported.
struct danger_text {
    const char *why, *needs;
    int error;
};
static const struct danger_text danger_texts[] = {
    [BALLOON_WITHOUT_LIMIT] = {"neither the group nor one above it has a memory limit: pressure "
                               "there would be the host's",
                               "ebb balloon --host, or ebb reclaim", -EINVAL},
    [BALLOON_OOM_DISABLED] = {"the group's OOM killer is off (memory.oom_control): at its limit "
                              "every process of it would hang",
                              "ebb reclaim, which needs no pressure", -EBUSY},
    [BALLOON_OOM_GROUP] = {"memory.oom.group is set: the OOM killer would take the whole group, "
                           "not the balloon alone",
                           "ebb reclaim, which needs no pressure", -EBUSY},
    [BALLOON_OOM_PANICS] = {"vm.panic_on_oom is set: the OOM killer would stop the host", "",
                            -EBUSY},
    [BALLOON_CONFINED] = {"ebb itself runs in a group with a memory limit: the balloon would press "
                          "on that group and not on the host",
                          "running ebb outside of it, or --cgroup", -EINVAL},
    [BALLOON_NOT_A_LEAF] = {"the group has groups below it that share its memory: version 2 takes "
                            "no process there",
                            "naming one of the groups below it", -EBUSY},
};

// None of these can be forced.
static int refuse_danger(struct lever_report *report, enum balloon_danger danger)
{
    const struct danger_text *text = &danger_texts[danger];
    return lever_refuse(report, text->error, text->why, text->needs);
}

// At its start the judge knows only harm: nothing is acted on.
static int refuse_stop(struct lever_report *report, const struct balloon *balloon,
                       enum balloon_stop stop)
{
    // Only what can be the first answer: what needs a step before it cannot come here.
    switch (stop) {
    case BALLOON_SWAP:
        return lever_refuse(report, -EBUSY, "swap is on, and pressure would swap live memory out",
                            balloon->place.version == 0
                                ? "ebb reclaim; or swapoff for as long as it takes"
                                : "ebb reclaim; or swappiness 0 (version 1) or memory.swap.max 0 "
                                  "(version 2) of the group for as long as it takes");
    case BALLOON_UNREADABLE:
        return lever_refuse(report, -EIO,
                            "usage and limits of the group, or of the host, cannot be read", "");
    case BALLOON_HOST:
        return lever_refuse(report, -EBUSY, "the host itself is short of memory",
                            "ebb reclaim, which takes no memory");
    case BALLOON_SHARED:
        return lever_refuse(report, -EBUSY,
                            "what is lazily freed is shared with a fork, or belongs to processes "
                            "that may not be read: pressure would not take it",
                            balloon->holders.unknown > 0 ? "CAP_SYS_PTRACE"
                                                         : "the end of the fork");
    default:
        return lever_refuse(report, -EBUSY,
                            "there is no room for one step within the margin: the group is full "
                            "of live memory",
                            "ebb reclaim, which needs no room");
    }
}

// The kernel's own average: what it was like before we came.
static bool waits_already(const struct balloon *balloon)
{
    const struct balloon_psi *psi = &balloon->reading.host_psi;
    // Force is for those who know whose pressure it is.
    return !balloon->options.force && psi->is_known &&
           psi->some_avg10 > (double)BALLOON_HOST_PSI_PERCENT;
}

// Found out now, and not when the balloon has been started.
static int check_rights(struct lever_report *report, const struct balloon_place *place)
{
    char path[sizeof place->directory + 16], needs[LEVER_WHAT_MAX];
    // Whoever presses on the host needs no group to move into.
    if (place->version == 0)
        return 0;
    text_format(path, sizeof path, "%s/cgroup.procs", place->directory);
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0)
        return 0;
    text_format(needs, sizeof needs, "root, or write access to %s%s", path,
                place->version == 2 ? " and to that of the nearest group above both" : "");
    return lever_refuse(report, -EACCES, "the balloon may not be moved into the group", needs);
}

// As the user may check it, not as it was typed.
static const char *where(const struct balloon *balloon)
{
    return balloon->place.version == 0 ? "the host" : balloon->place.directory;
}

// "up to 312 MiB: 80 MiB of room and 252 MiB lazily freed, less a reserve of 20 MiB"
static int add_steps(struct lever_report *report, const struct balloon *balloon)
{
    // Three steps in the order in which the report ends them, see STEP_COUNT of tell.c.
    char most[UNITS_TEXT_MAX], room[UNITS_TEXT_MAX], lazy[UNITS_TEXT_MAX], until[UNITS_TEXT_MAX];
    const struct balloon_reading *reading = &balloon->reading;
    // Of what is lazily freed only as much as pressure would really take.
    uint64_t sure = reading->has_sure && reading->sure_bytes < reading->lazy_bytes
                        ? reading->sure_bytes
                        : reading->lazy_bytes;
    units_format_bytes(balloon_allowance(&balloon->limits, reading), most, sizeof most);
    units_format_bytes(reading->free_bytes, room, sizeof room);
    units_format_bytes(sure, lazy, sizeof lazy);
    char wanted[64] = "lazily freed memory falls no further";
    if (balloon->limits.until_bytes != BALLOON_NO_LIMIT) {
        units_format_bytes(balloon->limits.until_bytes, until, sizeof until);
        text_format(wanted, sizeof wanted, "lazily freed memory is below %s", until);
    }
    int error = lever_add_step(report, "start a balloon in %s, as the OOM killer's first choice",
                               where(balloon));
    if (!error)
        error = lever_add_step(report, "grow it until %s, to %s at most (room %s, lazily freed %s)",
                               wanted, most, room, lazy);
    return error ? error : lever_add_step(report, "let it go");
}

// With this group's numbers; docs/balloon.md has them all.
static int add_brakes(struct lever_report *report, const struct balloon *balloon)
{
    // From the constants themselves: words that repeat numbers would be wrong after the next
    // change.
    char reserve[UNITS_TEXT_MAX], limit[UNITS_TEXT_MAX];
    units_format_bytes(balloon->room.limit_bytes, limit, sizeof limit);
    units_format_bytes(balloon->room.reserve_bytes, reserve, sizeof reserve);
    int error = 0;
    if (balloon->place.version != 0)
        error = lever_add_note(report, "the tightest limit is %s, of %s; %s of it are never taken",
                               limit, balloon->room.directory, reserve);
    if (!error)
        error = lever_add_note(report,
                               "steps: 1/%d of what may be taken, %d MiB at most; everything is "
                               "read afresh before each",
                               BALLOON_STEP_PART, BALLOON_STEP_LARGEST_MIB);
    if (!error)
        error =
            lever_add_note(report,
                           "it stops when tasks wait for memory %d %% of a second (PSI%s), when "
                           "more than %d MiB and %d %% of what goes is live page cache, at any "
                           "swap-out, when a step takes %d ms, and after %.0f s",
                           BALLOON_HOST_PSI_PERCENT,
                           balloon->reading.host_psi.is_known ? "" : ": not known on this kernel",
                           BALLOON_CACHE_LEAST_MIB, BALLOON_CACHE_PERCENT, BALLOON_SLOW_STEP_MS,
                           (double)balloon->limits.time_ns / 1e9);
    return error;
}

// CAP_SYS_PTRACE, CAP_SYS_ADMIN and CAP_SYS_NICE: what page-precise reclaim needs.
static bool may_reclaim(const char *proc_root)
{
    // Of ebb as it runs, not of the file: ambient rights and containers change what root may do.
    struct process *self = NULL;
    struct buffer file = {0};
    struct proc_status status = {0};
    // Source: include/uapi/linux/capability.h.
    const uint64_t wanted = (uint64_t)1 << 19 | (uint64_t)1 << 21 | (uint64_t)1 << 23;
    if (process_open(proc_root, getpid(), &self) == 0 &&
        process_read_file(self, "status", 64 << 10, &file) == 0)
        proc_status_parse(buffer_text(&file), &status);
    buffer_free(&file);
    process_close(self);
    return (status.cap_effective & wanted) == wanted;
}

// When another lever does the same without pressure on anybody.
static int advise(struct lever_report *report, const struct balloon *balloon)
{
    const struct balloon_holders *holders = &balloon->holders;
    const struct balloon_holder *largest = balloon_holders_largest(holders);
    // Divided first, as everywhere: sums of hostile figures may be near the end of 64 bits.
    bool is_one = largest && largest->lazy_bytes > 0 &&
                  largest->lazy_bytes > holders->lazy_bytes / 100 * ONE_HOLDER_PERCENT;
    int error = 0;
    if (may_reclaim(balloon->place.proc_root) && is_one)
        error = lever_add_note(report,
                               "'ebb reclaim %d' would do better: one process holds nearly all of "
                               "it, and the rights to take it page by page are there, without "
                               "pressure on anybody",
                               (int)largest->pid);
    else if (may_reclaim(balloon->place.proc_root))
        error = lever_add_note(report,
                               "'ebb reclaim%s%s' would do better: the rights to take the pages "
                               "one by one are there, without pressure on anybody",
                               balloon->place.version == 0 ? "" : " --cgroup ",
                               balloon->place.directory);
    if (!error && holders->unknown > 0)
        error = lever_add_note(report,
                               "%zu of the processes may not be read (CAP_SYS_PTRACE would help): "
                               "what they hold is not counted on",
                               holders->unknown);
    return error;
}

// Nothing to do is no refusal: the wish is fulfilled.
static int tell_nothing(struct lever_report *report, const struct balloon *balloon,
                        enum balloon_stop stop)
{
    // The figure that the wish was compared with, which is the watched process's where one was
    // named.
    char lazy[UNITS_TEXT_MAX];
    units_format_bytes(balloon->reading.has_target ? balloon->reading.target_bytes
                                                   : balloon->reading.lazy_bytes,
                       lazy, sizeof lazy);
    return lever_add_note(report, "%s: %s", balloon_stop_words(stop), lazy);
}

// A state of its own: the run begins when the balloon does. A walk that is a few milliseconds old
// must be made again before anything is certain; on a busy host more than once.
static struct balloon_decision judge_beginning(struct balloon *balloon)
{
    struct balloon_decision decision = {.action = BALLOON_WALK};
    for (unsigned i = 0; i < BEGIN_WALKS && decision.action == BALLOON_WALK; i++) {
        struct balloon_state state = {0};
        balloon_walk(balloon);
        balloon_look(balloon);
        decision = balloon_judge(&balloon->limits, &state, &balloon->reading);
    }
    return decision;
}

// From what can never be forced to what depends on the moment, so that the first refusal is the one
// that matters most.
int balloon_plan(void *context, struct process *process, struct lever_report *report)
{
    struct balloon *balloon = context;
    (void)process;
    enum balloon_danger danger = balloon_place_danger(&balloon->place);
    if (danger != BALLOON_SAFE)
        return refuse_danger(report, danger);
    int error = check_rights(report, &balloon->place);
    if (error)
        return error;
    // Which level is the tightest decides what the readings look at.
    if (balloon->place.version != 0 && balloon_place_room(&balloon->place, &balloon->room) < 0)
        return refuse_stop(report, balloon, BALLOON_UNREADABLE);
    struct balloon_decision decision = judge_beginning(balloon);
    if (decision.action == BALLOON_STOP &&
        (decision.stop == BALLOON_REACHED || decision.stop == BALLOON_EMPTY))
        return tell_nothing(report, balloon, decision.stop);
    if (decision.action == BALLOON_STOP)
        return refuse_stop(report, balloon, decision.stop);
    // Whoever waits already would wait longer.
    if (waits_already(balloon))
        return lever_refuse(report, -EBUSY, "tasks of this host wait for memory already (PSI)",
                            "ebb reclaim, which takes no memory; --force presses all the same");
    error = add_steps(report, balloon);
    if (!error && balloon->options.is_dry_run)
        error = add_brakes(report, balloon);
    return error ? error : advise(report, balloon);
}
