/* What values of independent runs say of the values of all runs: order statistics and shares, with
 * confidence intervals that assume nothing of the distribution. Pure. */
#ifndef GAMEDAY_ENGINE_DISTRIBUTION_H
#define GAMEDAY_ENGINE_DISTRIBUTION_H

#include "gameday/prediction.h"

/* Sorts the values and fills all of `ret` but the counts of what is unknown or none. The interval
 * is that of judge_median_interval(). */
void distribution_fill(double *values, uint32_t count, struct distribution *ret);

/* `count` of `of` independent runs (count <= of). The interval holds the true share with at least
 * 95 %, whatever it is (Clopper and Pearson, "The Use of Confidence or Fiducial Limits Illustrated
 * in the Case of the Binomial", Biometrika 26, 1934): from the share with which `count` or more
 * come about in 2.5 of 100 cases, to that with which `count` or fewer do. */
struct share share_of(uint32_t count, uint32_t of);

#endif
