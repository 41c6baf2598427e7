// SPDX-License-Identifier: Apache-2.0
// One process under one alarm: its figures, and where it stands. Tool world; pure; internal to
// alarm.
#ifndef EBB_ALARM_WATCH_H
#define EBB_ALARM_WATCH_H

#include "account/swing.h"
#include "alarm/expression.h"
#include "sample/sample.h"

struct watch {
    unsigned subject;
    bool is_pending, is_raised, is_told, was_told;
    bool is_doubted;   // it would change, but by figures that a deeper look must confirm
    uint64_t doubt_ms; // boot time since when; with is_doubted
    bool is_calming;   // beyond the clear level, but not for long enough
    uint64_t calm_ms;  // boot time since when; with is_calming
    double error;      // of the value, as the last step had it
    uint64_t since_ms; // boot time when the condition was first met; while pending or raised
    uint64_t told_ms;  // boot time of the last beginning that was told; with was_told
    uint64_t held_back;
    struct sample last;
    // Of its last account, since samples in between have none.
    bool has_account;
    uint64_t kept_bytes, in_use_bytes, usage_bytes, working_set_bytes, limit_bytes;
    // Lows and falls of effective RSS; only for growth, else NULL.
    struct swings *swings;
    double grown_s; // the time over which it grew, when it did last
};

// Takes the figures of a sample over. 0 or -ENOMEM.
int alarm_watch_take(struct watch *watch, const struct alarm_condition *condition,
                     const struct sample *sample);

// Forgets what came before a gap: nobody knows what happened in it.
void alarm_watch_forget(struct watch *watch);

// The metric now, and its standard error where it has one, else 0. False where it is not known
// (yet). Growth is the slope of the lows, of a figure whose lows rise (swings_rise()), and 0 of any
// other: a wave that goes up is no growth.
bool alarm_watch_value(struct watch *watch, const struct alarm_condition *condition,
                       double *ret_value, double *ret_error);

// Does the metric rest on what is lazily freed, of which the last sample has an old figure alone?
// Cheap samples have: memory that was freed or written again since then is counted wrongly.
bool alarm_watch_is_stale(const struct watch *watch, const struct alarm_condition *condition);

// Boot time since when a slope that is known now has been observed: for growth, whose value is of a
// length of time already.
uint64_t alarm_watch_since_ms(const struct watch *watch);

// A level in the metric's unit. False where its base is not known.
bool alarm_watch_level(const struct watch *watch, const struct alarm_level *level,
                       const struct host_sample *host, double *ret_level);

#endif
