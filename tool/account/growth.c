// SPDX-License-Identifier: Apache-2.0
// Least squares over the samples of an observation, see growth.h. Tool world; pure.
#include "account/growth.h"

#include <errno.h>
#include <math.h>

enum growth_figure { GROWTH_EFFECTIVE, GROWTH_RSS, GROWTH_IN_USE };

static double growth_value(const struct growth_sample *sample, enum growth_figure figure)
{
    switch (figure) {
    case GROWTH_EFFECTIVE:
        return (double)sample->effective_bytes;
    case GROWTH_RSS:
        return (double)sample->rss_bytes;
    case GROWTH_IN_USE:
        break;
    }
    return (double)sample->in_use_bytes;
}

// Slope and its standard error of an ordinary least-squares line.
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
    if (count > 2)
        line.slope_error_bytes_per_s = sqrt(residual_square / (double)(count - 2) / time_square);
    line.change_bytes = (int64_t)growth_value(&samples[count - 1], figure) -
                        (int64_t)growth_value(&samples[0], figure);
    return line;
}

// A rise counts when it is beyond twice its error, and large enough to matter: a percent of the
// figure or a megabyte over the observed time, whichever is less likely to be chance.
static bool growth_line_rises(const struct growth_line *line, double first_bytes)
{
    double least_change = first_bytes / 100 > 1048576 ? first_bytes / 100 : 1048576;
    return line->slope_bytes_per_s > 2 * line->slope_error_bytes_per_s &&
           (double)line->change_bytes >= least_change;
}

// In use is known only where a full account was made: at both ends at least.
static bool growth_fit_in_use(const struct growth_sample *samples, size_t count,
                              struct growth_line *ret_line)
{
    struct growth_sample known[GROWTH_ACCOUNTS_MAX];
    size_t known_count = 0;
    for (size_t i = 0; i < count && known_count < GROWTH_ACCOUNTS_MAX; i++)
        if (samples[i].has_in_use)
            known[known_count++] = samples[i];
    if (known_count < 2 || !(known[known_count - 1].time_s > known[0].time_s))
        return false;
    *ret_line = growth_line_fit(known, known_count, GROWTH_IN_USE);
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
    growth.has_in_use = growth_fit_in_use(samples, count, &growth.in_use);
    growth.is_growing = growth_line_rises(&growth.effective, (double)samples[0].effective_bytes) &&
                        (!growth.has_in_use || growth.in_use.slope_bytes_per_s > 0);
    *ret_growth = growth;
    return 0;
}
