// SPDX-License-Identifier: Apache-2.0
// The rounds of ebb record. Tool world; one thread.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cmd/record_parts.h"

static const uint64_t ns_per_ms = 1000000;

enum {
    // Subjects that ended are known to the file: here they are forgotten after a while.
    FORGET_AFTER_MS = 600000,
    FORGET_EVERY_ROUNDS = 100,
    // poll() takes an int of milliseconds, and rounds are an hour apart at most.
    WAIT_MAX_MS = 3600000,
    // What accounts of the end may take: who pressed Ctrl-C waits for it, and so does a command
    // for its signal.
    LAST_MS = 1000,
    LAST_BEFORE_SIGNAL_MS = 200,
};

// Goes on while the clock of the day is set, and while the host is suspended: an hour is one on the
// wall.
uint64_t record_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

// A batch that gets one more event.
struct alarm_events {
    struct record *record;
    struct batch *batch;
};

// Without memory the alarm is told all the same, and missing in the file alone.
static void add_alarm(void *context, const struct event *event)
{
    const struct alarm_events *events = context;
    (void)journal_add_event(&events->record->events, event, events->batch);
}

// Before the round is written, so that an alarm is in the file in the same round as its reason.
static void step_alarms(struct record *record, struct batch *batch)
{
    struct alarm_events events = {record, batch};
    if (!record->alarms)
        return;
    // Its messages get lines of their own.
    progress_end(&record->progress);
    alarms_step(record->alarms, record->sampler, batch, add_alarm, &events);
}

// For the line that moves; the file has it all anyway.
static void count_round(struct record *record, const struct batch *batch)
{
    struct record_totals *totals = &record->totals;
    size_t subject_count = 0;
    const struct subject *subjects = sampler_subjects(record->sampler, &subject_count);
    // Of this round alone, unlike the counters.
    totals->effective_bytes = 0;
    for (size_t i = 0; i < batch->sample_count; i++) {
        totals->samples++;
        totals->accounts += batch->samples[i].kind == SAMPLE_ACCOUNT;
        totals->effective_bytes += batch->samples[i].effective_bytes;
    }
    // Ids are given in order and never again.
    if (subject_count > 0)
        totals->processes = subjects[subject_count - 1].id;
    // With the second process there is no name that would be true of all.
    totals->name[0] = '\0';
    if (totals->processes == 1)
        text_copy(text_of(subjects[subject_count - 1].name), totals->name, sizeof totals->name);
    for (size_t i = 0; i < batch->event_count; i++) {
        const struct event *event = &batch->events[i];
        // The first reason stands for all: it is nearly always the same.
        if (event->kind != EVENT_UNREADABLE)
            continue;
        if (totals->unreadable == 0)
            text_copy(text_of(event->text), totals->unreadable_text,
                      sizeof totals->unreadable_text);
        // One of the host stands for many.
        totals->unreadable += event->subject ? 1 : event->value;
    }
}

// -ESRCH comes with a last batch, which tells the ends.
int record_take(struct record *record, const struct batch **ret_batch)
{
    const struct batch *batch = NULL;
    int error = sampler_round(record->sampler, &batch);
    if (error && error != -ESRCH)
        return error;
    count_round(record, batch);
    *ret_batch = batch;
    return error;
}

// A copy of the batch: the sampler's own is not ours to change.
void record_write(struct record *record, const struct batch *batch)
{
    size_t subject_count = 0;
    const struct subject *subjects = sampler_subjects(record->sampler, &subject_count);
    struct batch whole = *batch;
    record->error =
        journal_add_events(record->journal, subjects, subject_count, &record->events, &whole);
    step_alarms(record, &whole);
    if (!record->error)
        record->error = history_add(record->history, &whole, subjects, subject_count);
    // Not in each round: forgetting walks all subjects.
    if (sampler_cost(record->sampler).rounds % FORGET_EVERY_ROUNDS == 0)
        sampler_forget(record->sampler, batch->time_ms - FORGET_AFTER_MS);
}

// One round, from reading to file. What the writing met is in record->error; what is returned is
// the reading's.
static int take_and_write(struct record *record)
{
    const struct batch *batch = NULL;
    int error = record_take(record, &batch);
    if (batch)
        record_write(record, batch);
    return error;
}

// The accounts of the end: who ends a recording looks at how it was then, and an account may be
// minutes old. Not of what is gone, and not where nothing can be written any more.
static void take_last(struct record *record, uint64_t budget_ms)
{
    const struct batch *batch = NULL;
    if (!record->sampler || !record->history || record->error)
        return;
    progress_end(&record->progress);
    int error = sampler_last_round(record->sampler, budget_ms, &batch);
    if (error && error != -ESRCH)
        return;
    count_round(record, batch);
    record_write(record, batch);
}

// A command that is about to be ended by a signal is still there to be read; one that was sent by
// a terminal has gone to it already.
static void hand_on(struct record *record, const struct signalfd_siginfo *info)
{
    bool is_user = info->ssi_signo == SIGUSR1 || info->ssi_signo == SIGUSR2;
    if (!is_user && record->child.is_running)
        take_last(record, LAST_BEFORE_SIGNAL_MS);
    record_signal_child(record, info);
}

// All that have come: several may wait.
static void take_signals(struct record *record)
{
    struct signalfd_siginfo info;
    while (read(record->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        // With a command, signals are its own affair: it ends or does not, and ebb ends after it.
        if (info.ssi_signo == SIGCHLD)
            record_reap(record);
        else if (record->child.argv)
            hand_on(record, &info);
        else
            record->is_stopped = true;
    }
}

// Until the next round, the end of --for, or a signal. With a negative time: until a signal.
static void wait_ms(struct record *record, int ms)
{
    struct pollfd signals = {.fd = record->signal_fd, .events = POLLIN};
    // A poll() that fails or is interrupted is as good as one that ran out.
    if (poll(&signals, 1, ms) > 0)
        take_signals(record);
}

// There may be nothing to record any more; the command is waited for all the same.
void record_wait_child(struct record *record)
{
    wait_ms(record, -1);
}

// Milliseconds to what comes first; 0: it is the end.
static uint64_t time_left_ms(const struct record *record)
{
    uint64_t due_ms = sampler_due_ms(record->sampler);
    if (record->for_ns > 0) {
        uint64_t passed_ns = record_now_ns() - record->started_ns;
        // Rounded up, or the last millisecond would be spent in a loop without a wait.
        uint64_t left_ms =
            passed_ns < record->for_ns ? (record->for_ns - passed_ns) / ns_per_ms + 1 : 0;
        due_ms = due_ms < left_ms ? due_ms : left_ms;
    }
    return due_ms < WAIT_MAX_MS ? due_ms : WAIT_MAX_MS;
}

// Whatever comes first.
static bool is_over(const struct record *record)
{
    if (record->is_stopped || record->error)
        return true;
    if (record->child.argv && !record->child.is_running)
        return true;
    return record->for_ns > 0 && record_now_ns() - record->started_ns >= record->for_ns;
}

// A round that failed may be followed by one that does not: what there is to read decides.
void record_go_on(struct record *record)
{
    int error = 0;
    while (!is_over(record) && error != -ESRCH) {
        wait_ms(record, (int)time_left_ms(record));
        if (!is_over(record) && sampler_due_ms(record->sampler) == 0)
            error = take_and_write(record);
        // After signals too, which end waits early: the line is drawn as often as something
        // happened.
        record_tell_progress(record);
    }
    // The command's end is part of its story; of what goes on, the last moment is.
    if (record->child.argv && !record->child.is_running && !record->error)
        (void)take_and_write(record);
    else if (error != -ESRCH)
        take_last(record, LAST_MS);
    progress_end(&record->progress);
    if (record->error)
        record_tell_error(record);
}
