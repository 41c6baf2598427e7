// SPDX-License-Identifier: Apache-2.0
// Least squares over the samples of an observation, see growth.h. Tool world; pure.
//
// A line, and not last minus first: one sample that falls into a garbage collection must not
// decide. Values are doubles, which hold sizes up to 8 PiB to the byte.
#include "account/growth.h"

#include <errno.h>
#include <math.h>

#include "account/swing.h"

enum growth_figure { GROWTH_EFFECTIVE, GROWTH_RSS, GROWTH_IN_USE, GROWTH_BUSY };

// Of the rise in effective RSS at least this share must be memory that can be leaked; where it is
// less, the runtime fills up its reserves, or files are read in.
static const double busy_share = 0.25;
// The least rise that matters, in bytes and as a share of the figure.
static const double least_rise_bytes = 1048576;
static const double least_rise_share = 0.01;

static double growth_value(const struct growth_sample *sample, enum growth_figure figure)
{
    switch (figure) {
    case GROWTH_EFFECTIVE:
        return (double)sample->effective_bytes;
    case GROWTH_RSS:
        return (double)sample->rss_bytes;
    case GROWTH_IN_USE:
        return (double)sample->in_use_bytes;
    case GROWTH_BUSY:
        break;
    }
    return (double)sample->busy_bytes;
}

// Slope and its standard error of an ordinary least-squares line. Precondition: at least two
// samples, not all at one time. Times are taken from their mean first, which keeps the sums of
// squares small and the differences exact.
static struct growth_line growth_line_fit(const struct growth_sample *samples, size_t count,
                                          enum growth_figure figure)
{
    double mean_time = 0, mean_value = 0;
    for (size_t i = 0; i < count; i++) {
        mean_time += samples[i].time_s / (double)count;
        mean_value += growth_value(&samples[i], figure) / (double)count;
    }
    double time_square = 0, product = 0;
    for (size_t i = 0; i < count; i++) {
        double time = samples[i].time_s - mean_time;
        time_square += time * time;
        product += time * (growth_value(&samples[i], figure) - mean_value);
    }
    double slope = product / time_square;
    double residual_square = 0;
    for (size_t i = 0; i < count; i++) {
        double fitted = mean_value + slope * (samples[i].time_s - mean_time);
        double residual = growth_value(&samples[i], figure) - fitted;
        residual_square += residual * residual;
    }
    struct growth_line line = {.slope_bytes_per_s = slope};
    // n - 2 degrees of freedom: through two samples any line is perfect, so they tell no spread.
    line.has_error = count > 2;
    if (line.has_error)
        line.slope_error_bytes_per_s = sqrt(residual_square / (double)(count - 2) / time_square);
    line.change_bytes = (int64_t)growth_value(&samples[count - 1], figure) -
                        (int64_t)growth_value(&samples[0], figure);
    return line;
}

// Student's t, one in forty on the upper side, by degrees of freedom: a spread that few samples
// tell is itself uncertain. Two samples tell none: there only the size of the rise decides.
static double growth_errors_wanted(size_t count)
{
    static const double quantiles[] = {0,    12.71, 4.30, 3.18, 2.78, 2.57, 2.45,
                                       2.36, 2.31,  2.26, 2.23, 2.20, 2.18, 2.16};
    size_t freedom = count - 2, known = sizeof quantiles / sizeof quantiles[0];
    return freedom < known ? quantiles[freedom] : 2.1;
}

// A rise counts when it is beyond its error (of a line through noise about one in forty is), and
// large enough to matter: a percent of the figure or a mebibyte over the observed time, whichever
// is more.
static bool growth_line_rises(const struct growth_line *line, size_t count, double first_bytes)
{
    double least_change = first_bytes * least_rise_share;
    least_change = least_change > least_rise_bytes ? least_change : least_rise_bytes;
    return line->slope_bytes_per_s > growth_errors_wanted(count) * line->slope_error_bytes_per_s &&
           (double)line->change_bytes >= least_change;
}

// Lines through the figures that only a full account has: of the first and of the last one. There
// are no accounts in between, since each costs a walk of smaps. False with less than two.
static bool growth_fit_rows(const struct growth_sample *samples, size_t count,
                            struct growth *growth)
{
    struct growth_sample known[2];
    size_t known_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!samples[i].has_rows)
            continue;
        // The second place is taken again and again, so that it ends up with the last one.
        known[known_count > 0] = samples[i];
        known_count++;
    }
    if (known_count < 2 || !(known[1].time_s > known[0].time_s))
        return false;
    growth->busy = growth_line_fit(known, 2, GROWTH_BUSY);
    growth->in_use = growth_line_fit(known, 2, GROWTH_IN_USE);
    growth->has_in_use = known[0].in_use_bytes > 0 || known[1].in_use_bytes > 0;
    return true;
}

int growth_fit(const struct growth_sample *samples, size_t count, struct growth *ret_growth)
{
    if (count < 2 || !(samples[count - 1].time_s > samples[0].time_s))
        return -EINVAL;
    struct growth growth = {
        .seconds = samples[count - 1].time_s - samples[0].time_s,
        .sample_count = count,
        .effective = growth_line_fit(samples, count, GROWTH_EFFECTIVE),
        .rss = growth_line_fit(samples, count, GROWTH_RSS),
    };
    growth.has_busy = growth_fit_rows(samples, count, &growth);
    double wanted = busy_share * (double)growth.effective.change_bytes;
    growth.is_rising =
        growth_line_rises(&growth.effective, count, (double)samples[0].effective_bytes);
    growth.is_growing =
        growth.is_rising && (!growth.has_busy || (double)growth.busy.change_bytes >= wanted);
    *ret_growth = growth;
    return 0;
}

// A line through a cache that filled up and stands still rises for as long as anybody looks.
void growth_doubt(const struct growth_sample *samples, size_t count, struct growth *growth)
{
    struct swings swings = {0};
    if (!growth->is_growing || growth->seconds < swings_least_s())
        return;
    for (size_t i = 0; i < count; i++) {
        const struct swing swing = {
            .time_s = samples[i].time_s,
            .low_bytes = samples[i].effective_bytes,
            .high_bytes = samples[i].effective_bytes,
            .busy_low_bytes = samples[i].has_rows ? samples[i].busy_bytes : SWING_UNKNOWN,
        };
        swings_add(&swings, &swing);
    }
    double from_s = samples[0].time_s, to_s = samples[count - 1].time_s;
    growth->is_growing = swings_rise(&swings, from_s, to_s);
    growth->swing_count = swings_count(&swings, from_s, to_s);
    growth->is_doubted = !growth->is_growing;
}
