// SPDX-License-Identifier: Apache-2.0
// A straight line through points by least squares, in sums that can be added up. Tool world; pure.
//
// Sums are kept about their means, so that large times and sizes lose no digits. Source: Chan,
// Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances"
// (1979).
#ifndef EBB_HISTORY_FIT_H
#define EBB_HISTORY_FIT_H

#include <stdbool.h>

// Zero is a fit through no points.
struct fit {
    double count, x, y; // points and their means
    double xx, xy, yy;  // sums of products of what they differ from the means by
};

void fit_add(struct fit *fit, double x, double y);
void fit_join(struct fit *fit, const struct fit *other);

// The slope and its standard error. False with fewer than three points, or all at one x.
bool fit_slope(const struct fit *fit, double *ret_slope, double *ret_error);

#endif
