// SPDX-License-Identifier: Apache-2.0
// Alarms over samples: which condition begins and ends for which process, and what is told of it.
// Tool world; pure: no clock, no I/O; one thread uses an alarm.
//
// Per process: quiet -> pending (crossed) -> raised (crossed for `for_ms`) -> quiet (crossed back
// over the clear level). Between the two levels nothing changes, so that a figure that swings about
// the threshold gives one message and not hundreds. A beginning that comes sooner than `every_ms`
// after the last one told is held back; it is told, with the number of those held back, once that
// time is over, if it still lasts. The end of what was told is told at once. No alarm begins or
// ends by a figure that is only guessed: see alarm_wants().
#ifndef EBB_ALARM_ALARM_H
#define EBB_ALARM_ALARM_H

#include <stddef.h>

#include "alarm/expression.h"
#include "sample/sample.h"

struct alarm;

enum alarm_state { ALARM_BEGAN, ALARM_ENDED };

// What is to be told. Whoever tells it adds the last account of the subject, which its sampler has.
struct alarm_message {
    enum alarm_state state;
    const struct alarm_condition *condition; // the alarm's
    int64_t time_ms;
    struct subject subject;
    struct sample sample; // the last one; its digest is NULL
    double value;         // of the metric: bytes, or bytes per second
    double error;         // of a growth: its standard error; else 0
    double level;         // what it crossed, in the same unit: the threshold; the clear level at
                          // the end
    uint64_t lasted_ms;   // since the condition was first met
    uint64_t held_back;   // beginnings that were not told since the last one
    bool process_ended;   // that is why it ended
};

// 0 and an alarm that alarm_free() frees; -ENOMEM. Copies the condition.
int alarm_new(const struct alarm_condition *condition, struct alarm **ret_alarm);
void alarm_free(struct alarm *alarm);

// Takes one round over. Subjects are the sampler's. The messages (often none) are the alarm's until
// the next step. 0; -ENOMEM: then the round counts for those processes that were looked at. Cost:
// well below a microsecond a sample; growth some 10.
int alarm_step(struct alarm *alarm, const struct batch *batch, const struct subject *subjects,
               size_t subject_count, const struct alarm_message **ret_messages, size_t *ret_count);

// The subjects that would begin or end an alarm, if what was last known to be lazily freed still
// held: whoever has the sampler should have them looked at more deeply in the next round. The
// alarm's until the next step. Returns how many.
size_t alarm_wants(const struct alarm *alarm, const unsigned **ret_subjects);

// The message as an event for a recording (EVENT_ALARM).
void alarm_event(const struct alarm_message *message, struct event *ret_event);

// "effective RSS is 1.62 GiB: above 80 % of the limit (1.60 GiB), for 31 s", or how it ended: one
// sentence without names.
void alarm_describe(const struct alarm_message *message, char *ret_text, size_t size);

#endif
