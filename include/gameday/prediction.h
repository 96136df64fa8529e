/* A prediction: what many simulated runs of a scenario gave, at one setting or at each value of a
 * sweep. Data only: made by the engine (engine/predict.h), told by the reports
 * (report/prediction.h). All of it lives in one arena, the maker's caller's. */
#ifndef GAMEDAY_PREDICTION_H
#define GAMEDAY_PREDICTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/value.h"

/* `count` of `of` runs, and where the true share lies: a 95 % confidence interval after Clopper and
 * Pearson. Of no runs: from 0 to 1. */
struct share {
  uint32_t count, of;
  double low, high;
};

/* Of the known values of one name, one a run. Durations in seconds, sizes in bytes, ratios as
 * fractions. With known 0 only the counts mean something. */
struct distribution {
  uint32_t known;
  uint32_t unknown;                     /* could not be measured */
  uint32_t none;                        /* there was nothing to measure */
  double minimum, median, p95, maximum; /* p95 by nearest rank */
  bool interval_known;                  /* six values or more */
  double low, high;                     /* 95 % confidence interval of the median */
};

/* One measured value: of each run the worst of its faults and hosts. */
struct predicted_value {
  const char *name; /* as objectives name it */
  enum unit unit;
  bool at_least; /* more is better, the worst is the smallest */
  struct distribution distribution;
  const double *by_seed; /* in the order of the seeds; NAN: not known, or nothing to measure */
};

/* One objective, held against each run alone. */
struct predicted_objective {
  const char *name, *bound, *statistic;
  enum unit unit;
  bool at_least;
  double bound_value;
  uint32_t met, missed, unknown;
  uint32_t none; /* it did not apply */
};

/* A run that shows something; `why` NULL: there was none. */
struct predicted_example {
  uint64_t seed;
  const char *why;
};

/* All runs at one setting. The verdict of a run is the highest of its objectives and checkers. */
struct prediction_point {
  const char *value;   /* of the sweep, as --set takes it; NULL: no sweep */
  double number;       /* the same as a number, if the sweep is one of numbers */
  const char *refused; /* why the scenario is none with this value: nothing else is set then */
  uint32_t met, missed, unknown; /* runs, by verdict */
  uint32_t crashed;              /* of the unknown ones: the simulation itself died or hung */
  struct share missed_share;     /* of the runs that were decided: met or missed */
  struct share lost_share;       /* runs that lost acknowledged writes, of those that could tell */
  struct predicted_example first_missed, first_unknown, first_crashed;
  const struct predicted_value *values; /* the same names at every point */
  uint32_t value_count;
  const struct predicted_objective *objectives;
  uint32_t objective_count;
};

struct modelled_program;
struct prediction {
  const char *scenario, *file;
  uint64_t first_seed;
  uint32_t seeds;      /* runs at each point, with seeds that follow from the first */
  const char *command; /* runs one of them again, without its seed and the sweep's value */
  const struct modelled_program *modelled; /* what is simulated (gameday/provider.h); the sweep may
                                              be of it: then none is told */
  uint32_t modelled_count;
  const char *parameter; /* the path that is swept; NULL: no sweep, and just one point */
  bool numeric;
  enum unit unit; /* of the numbers */
  const struct prediction_point *points;
  uint32_t point_count;
};

#endif
