// SPDX-License-Identifier: Apache-2.0
// The time that a subject was above a size. Tool world; one thread.
#include "history/sum.h"

// Some of it above, some below: then only time can tell how much.
static bool is_mixed(const struct rollup_figure *figure, uint64_t limit_bytes)
{
    return figure->high_bytes > limit_bytes && figure->low_bytes <= limit_bytes;
}

// A row that is wholly above or below is told by its extremes; in any other, the smaller parts tell
// both figures. Stretches of samples come by hold_above(). Strictly above: a process that stays
// exactly at the limit is not over it.
static bool take_above(struct sum *sum, const struct rollup *part, int64_t length_ms)
{
    if (length_ms == 0)
        return true;
    if (is_mixed(&part->rss, sum->limit_bytes) || is_mixed(&part->effective, sum->limit_bytes))
        return false;
    sum->told_ms += part->covered_ms;
    if (part->rss.low_bytes > sum->limit_bytes)
        sum->rss_above_ms += part->covered_ms;
    if (part->effective.low_bytes > sum->limit_bytes)
        sum->effective_above_ms += part->covered_ms;
    return true;
}

// The samples know when each value began and ended: here nothing is guessed.
static void hold_above(struct sum *sum, const struct rollup_values *values, uint64_t held_ms)
{
    sum->told_ms += held_ms;
    if (values->rss_bytes > sum->limit_bytes)
        sum->rss_above_ms += held_ms;
    if (values->effective_bytes > sum->limit_bytes)
        sum->effective_above_ms += held_ms;
}

// By the means, as if they had stood all the time.
static void guess_above(struct sum *sum, const struct rollup *part)
{
    const struct rollup_values values = {
        .rss_bytes = (uint64_t)rollup_mean(part, &part->rss),
        .effective_bytes = (uint64_t)rollup_mean(part, &part->effective),
    };
    hold_above(sum, &values, part->covered_ms);
}

// RSS and effective RSS in one walk: whoever asks for one wants the other.
int history_time_above(struct history *history, unsigned subject, int64_t from_ms, int64_t to_ms,
                       uint64_t bytes, uint64_t *ret_rss_ms, uint64_t *ret_effective_ms)
{
    struct subject found;
    struct sum sum;
    // Its first and last moments bound what is walked.
    int error = history_subject(history, subject, &found);
    if (!error)
        error = sum_open(history, &sum);
    if (error)
        return error;
    // Rows first, samples where a row is mixed, its means where the samples are gone.
    sum.take = take_above;
    sum.hold = hold_above;
    sum.guess = guess_above;
    sum.limit_bytes = bytes;
    struct sum_range range;
    // A subject that has nothing in the range was above for no time at all: that is no error.
    if (sum_cut(&sum, from_ms, to_ms, &found, &range))
        error = sum_range(&sum, &range);
    sum_close(&sum);
    if (error)
        return error;
    *ret_rss_ms = sum.rss_above_ms;
    *ret_effective_ms = sum.effective_above_ms;
    return 0;
}
