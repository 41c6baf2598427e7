// SPDX-License-Identifier: Apache-2.0
// Alarms over samples, see alarm.h. Tool world; pure; one thread uses an alarm.
#include "alarm/alarm.h"

#include <errno.h>
#include <stdlib.h>

#include "alarm/watch.h"
#include "base/array.h"
#include "sample/subjects.h"

// An expression, and one watch for each process that had a sample. The lists of a step keep their
// room for the next one: most steps have nothing to tell.
struct alarm {
    struct alarm_condition condition;
    struct watch *watches; // ascending by subject
    size_t watch_count, watch_capacity;
    struct alarm_message *messages; // of the last step
    size_t message_count, message_capacity;
    unsigned *wants; // subjects; of the last step
    size_t want_count, want_capacity;
};

// A deeper look that does not come (the target is too large, or the host too busy) is not waited
// for any longer: an alarm too many is better than none. By the samples' own clock: time that the
// host sleeps through counts.
enum { DOUBT_MAX_MS = 30000 };
// A minute of a slope below its level.
enum { CALM_MS = 60000 };

// The condition is copied: expressions come from a command line that may be gone.
int alarm_new(const struct alarm_condition *condition, struct alarm **ret_alarm)
{
    struct alarm *alarm = calloc(1, sizeof *alarm);
    if (!alarm)
        return -ENOMEM;
    alarm->condition = *condition;
    *ret_alarm = alarm;
    return 0;
}

// Trails belong to the watches, all else to the alarm.
void alarm_free(struct alarm *alarm)
{
    if (!alarm)
        return;
    for (size_t i = 0; i < alarm->watch_count; i++)
        free(alarm->watches[i].swings);
    free(alarm->watches);
    free(alarm->messages);
    free(alarm->wants);
    free(alarm);
}

// Where the watch of a subject is, or belongs.
static size_t alarm_watch_place(const struct alarm *alarm, unsigned subject)
{
    size_t low = 0, high = alarm->watch_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (alarm->watches[middle].subject < subject)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The watch of a subject, a new one if need be. NULL without memory.
static struct watch *alarm_watch_of(struct alarm *alarm, unsigned subject)
{
    size_t place = alarm_watch_place(alarm, subject);
    if (place < alarm->watch_count && alarm->watches[place].subject == subject)
        return &alarm->watches[place];
    if (array_reserve_one(&alarm->watches, &alarm->watch_capacity, alarm->watch_count,
                          sizeof *alarm->watches))
        return NULL;
    // Subjects come in ascending order, so there is seldom anything to move.
    for (size_t i = alarm->watch_count; i > place; i--)
        alarm->watches[i] = alarm->watches[i - 1];
    // Only now is there one more, with its place already free.
    alarm->watch_count++;
    alarm->watches[place] = (struct watch){.subject = subject};
    return &alarm->watches[place];
}

// What one step works with.
struct step {
    struct alarm *alarm;
    const struct batch *batch;
    const struct subject *subjects;
    size_t subject_count;
};

static int tell(const struct step *step, const struct watch *watch, const struct subject *subject,
                struct alarm_message message)
{
    struct alarm *alarm = step->alarm;
    if (array_reserve_one(&alarm->messages, &alarm->message_capacity, alarm->message_count,
                          sizeof *alarm->messages))
        return -ENOMEM;
    // What all messages have; value and level are the caller's.
    message.condition = &alarm->condition;
    message.time_ms = step->batch->time_ms;
    message.sample = watch->last;
    message.error = watch->error;
    // Of an end as well: since the alarm's condition became true, not since it was told.
    message.lasted_ms = watch->last.boot_ms - watch->since_ms;
    // A sampler that knows a sample's subject no more is not ours; its number still tells.
    message.subject = subject ? *subject : (struct subject){.id = watch->subject};
    alarm->messages[alarm->message_count++] = message;
    return 0;
}

// Told for good: what was held back before is said with it, and counted anew.
static int tell_begin(const struct step *step, struct watch *watch, double value, double level)
{
    const struct subject *subject =
        subjects_find(step->subjects, step->subject_count, watch->subject);
    int error = tell(
        step, watch, subject,
        (struct alarm_message){
            .state = ALARM_BEGAN, .value = value, .level = level, .held_back = watch->held_back});
    // Without memory it stays untold, and is tried again in the next round.
    if (error)
        return error;
    // From here on the next beginning has to keep its distance.
    watch->is_told = watch->was_told = true;
    watch->told_ms = watch->last.boot_ms;
    watch->held_back = 0;
    return 0;
}

// A beginning is told unless another one was told not long ago.
static int begin(const struct step *step, struct watch *watch, double value, double level)
{
    watch->is_raised = true;
    if (watch->was_told && watch->last.boot_ms - watch->told_ms < step->alarm->condition.every_ms) {
        watch->held_back++;
        return 0;
    }
    return tell_begin(step, watch, value, level);
}

// Only what was told to begin is told to end: an end out of the blue helps nobody.
static int end(const struct step *step, struct watch *watch, double value, double level)
{
    const struct subject *subject =
        subjects_find(step->subjects, step->subject_count, watch->subject);
    // Quiet again in any case, whether anybody hears of it or not.
    bool was_told = watch->is_told;
    watch->is_raised = watch->is_pending = watch->is_told = watch->is_calming = false;
    if (!was_told)
        return 0;
    return tell(step, watch, subject,
                (struct alarm_message){.state = ALARM_ENDED,
                                       .value = value,
                                       .level = level,
                                       .process_ended = subject && subject->has_ended});
}

// Beyond the level, on the alarm's side of it.
static bool is_crossed(const struct alarm_condition *condition, double value, double level)
{
    if (condition->or_equal && !(value < level) && !(value > level))
        return true;
    return condition->is_above ? value > level : value < level;
}

// Must a change wait for a deeper look? Then that look is asked for.
static bool must_wait(struct alarm *alarm, struct watch *watch)
{
    uint64_t now_ms = watch->last.boot_ms;
    if (!alarm_watch_is_stale(watch, &alarm->condition)) {
        watch->is_doubted = false;
        return false;
    }
    // The wait is counted from the first doubt on, not from the last.
    if (!watch->is_doubted) {
        watch->is_doubted = true;
        watch->doubt_ms = now_ms;
    }
    // Without memory nobody is asked, and time decides.
    if (array_reserve_one(&alarm->wants, &alarm->want_capacity, alarm->want_count,
                          sizeof *alarm->wants) == 0)
        alarm->wants[alarm->want_count++] = watch->subject;
    return now_ms - watch->doubt_ms < DOUBT_MAX_MS;
}

// Pending becomes raised once it has lasted.
static int step_quiet(const struct step *step, struct watch *watch, double value, double level)
{
    // A peak that was too short leaves no trace.
    if (!is_crossed(&step->alarm->condition, value, level)) {
        watch->is_pending = watch->is_doubted = false;
        return 0;
    }
    if (!watch->is_pending) {
        watch->is_pending = true;
        // A slope has lasted for as long as it was taken over.
        watch->since_ms = step->alarm->condition.metric == ALARM_GROWTH
                              ? alarm_watch_since_ms(watch)
                              : watch->last.boot_ms;
    }
    bool has_lasted = step->alarm->condition.metric == ALARM_GROWTH ||
                      watch->last.boot_ms - watch->since_ms >= step->alarm->condition.for_ms;
    // Asked in this order: a deeper look is not wanted for a peak that may pass.
    if (!has_lasted || must_wait(step->alarm, watch))
        return 0;
    return begin(step, watch, value, level);
}

// A slope comes and goes with where its line begins: its end must last for a while.
static bool is_calm(const struct alarm_condition *condition, struct watch *watch)
{
    if (condition->metric != ALARM_GROWTH)
        return true;
    if (!watch->is_calming) {
        watch->is_calming = true;
        watch->calm_ms = watch->last.boot_ms;
    }
    return watch->last.boot_ms - watch->calm_ms >= CALM_MS;
}

// Raised ends beyond the clear level; one that was held back is told when its time has come.
static int step_raised(const struct step *step, struct watch *watch, double value, double level)
{
    const struct alarm_condition *condition = &step->alarm->condition;
    double clear;
    // The clear level itself does not end it, as the threshold alone does not begin it.
    if (alarm_watch_level(watch, &condition->clear, &step->batch->host, &clear) &&
        (condition->is_above ? value < clear : value > clear))
        return is_calm(condition, watch) && !must_wait(step->alarm, watch)
                   ? end(step, watch, value, clear)
                   : 0;
    watch->is_doubted = watch->is_calming = false;
    if (watch->is_told || watch->last.boot_ms - watch->told_ms < condition->every_ms)
        return 0;
    // It counts itself among those held back until now; one that failed for want of memory was not.
    if (watch->held_back > 0)
        watch->held_back--;
    return tell_begin(step, watch, value, level);
}

// One process of a round: figures first, then what they mean for where it stands.
static int step_sample(const struct step *step, const struct sample *sample)
{
    const struct alarm_condition *condition = &step->alarm->condition;
    struct watch *watch = alarm_watch_of(step->alarm, sample->subject);
    double value, value_error, level;
    int error = watch ? alarm_watch_take(watch, condition, sample) : -ENOMEM;
    if (error)
        return error;
    // What is not known neither begins nor ends an alarm.
    if (!alarm_watch_value(watch, condition, &value, &value_error) ||
        !alarm_watch_level(watch, &condition->threshold, &step->batch->host, &level))
        return 0;
    watch->error = value_error;
    return watch->is_raised ? step_raised(step, watch, value, level)
                            : step_quiet(step, watch, value, level);
}

// The end of a process ends its alarm.
static int step_ends(const struct step *step)
{
    struct alarm *alarm = step->alarm;
    size_t kept = 0;
    int error = 0;
    for (size_t i = 0; i < alarm->watch_count; i++) {
        struct watch *watch = &alarm->watches[i];
        const struct subject *subject =
            subjects_find(step->subjects, step->subject_count, watch->subject);
        if (subject && !subject->has_ended) {
            // Compacted in place: those that live move to the front.
            alarm->watches[kept++] = *watch;
            continue;
        }
        // Its last figures, as far as they are known: it has no others any more.
        double value = 0, value_error, level = 0;
        (void)alarm_watch_value(watch, &alarm->condition, &value, &value_error);
        (void)alarm_watch_level(watch, &alarm->condition.clear, &step->batch->host, &level);
        if (!error)
            error = end(step, watch, value, level);
        free(watch->swings);
    }
    alarm->watch_count = kept;
    return error;
}

int alarm_step(struct alarm *alarm, const struct batch *batch, const struct subject *subjects,
               size_t subject_count, const struct alarm_message **ret_messages, size_t *ret_count)
{
    const struct step step = {alarm, batch, subjects, subject_count};
    int error = 0;
    alarm->message_count = alarm->want_count = 0;
    // Before the samples: the first one behind a gap begins anew.
    for (size_t i = 0; i < batch->event_count; i++) {
        if (batch->events[i].kind != EVENT_GAP)
            continue;
        for (size_t w = 0; w < alarm->watch_count; w++)
            alarm_watch_forget(&alarm->watches[w]);
    }
    for (size_t i = 0; i < batch->sample_count && !error; i++)
        error = step_sample(&step, &batch->samples[i]);
    if (!error)
        error = step_ends(&step);
    // Also after a failure: what was found so far is to be told.
    *ret_messages = alarm->messages;
    *ret_count = alarm->message_count;
    return error;
}

// Borrowed, like the messages.
size_t alarm_wants(const struct alarm *alarm, const unsigned **ret_subjects)
{
    *ret_subjects = alarm->wants;
    return alarm->want_count;
}
