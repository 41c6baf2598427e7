// SPDX-License-Identifier: Apache-2.0
// Sums for least squares, see fit.h. Tool world; pure.
#include "history/fit.h"

#include <math.h>

// Two groups become one as if they had been it from the start.
void fit_join(struct fit *fit, const struct fit *other)
{
    double count = fit->count + other->count;
    if (!(other->count > 0))
        return;
    // What the two groups' means differ by counts as well.
    double x = other->x - fit->x, y = other->y - fit->y;
    // Chan, Golub, LeVeque, equation 2.1b: what the distance of two means adds to the sums.
    double share = fit->count * other->count / count;
    fit->xx += other->xx + x * x * share;
    fit->xy += other->xy + x * y * share;
    fit->yy += other->yy + y * y * share;
    fit->x += x * other->count / count;
    fit->y += y * other->count / count;
    fit->count = count;
}

// A point is a group of its own.
void fit_add(struct fit *fit, double x, double y)
{
    fit_join(fit, &(struct fit){.count = 1, .x = x, .y = y});
}

// The usual two formulas; with two points there is no spread to judge by.
bool fit_slope(const struct fit *fit, double *ret_slope, double *ret_error)
{
    // Written so that NaN is refused as well: fits are read from files.
    if (!(fit->count >= 3) || !(fit->xx > 0))
        return false;
    double slope = fit->xy / fit->xx;
    // What the line leaves over; rounding may take it below 0.
    double rest = fit->yy - slope * fit->xy;
    double error = rest > 0 ? sqrt(rest / (fit->count - 2) / fit->xx) : 0;
    // A rest that is no number is neither above 0 nor below.
    if (!isfinite(slope) || !isfinite(rest) || !isfinite(error))
        return false;
    *ret_slope = slope;
    *ret_error = error;
    return true;
}
