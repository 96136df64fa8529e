/* Predictions: a scenario, or several settings of it, over many seeds in virtual time. */
#ifndef GAMEDAY_ENGINE_PREDICT_H
#define GAMEDAY_ENGINE_PREDICT_H

#include "base/arena.h"
#include "gameday/checker.h"
#include "gameday/prediction.h"
#include "scenario/scenario.h"

/* Simulated runs of one prediction, over all of its points. */
#define PREDICT_RUNS_MAX 1000000

struct predict_spec {
  /* One a point; all with a provider in virtual time. NULL: refused, nothing is run there. At least
   * one is there. */
  const struct scenario *const *scenarios;
  uint32_t point_count;
  uint64_t first_seed;
  uint32_t seeds;   /* of each point, the same at all; seeds x point_count <= PREDICT_RUNS_MAX */
  uint32_t workers; /* child processes, 1 to BATCH_WORKERS_MAX */
  const struct checker *const *checkers;
  /* In the caller's process, a few times a second; NULL: no call. */
  void (*progress)(void *data, uint64_t done, uint64_t all);
  void *data;
};

/* Runs all, and fills `ret` with one point a scenario, in their order: counts, shares, values,
 * objectives, examples; what only the caller knows (`value`, `number`, `refused`) is left zero. All
 * of it lives in `arena`. The same spec gives the same points, whatever the number of workers.
 *
 * A run that breaks off, dies or hangs is an unknown one. STATUS_INTERRUPTED when a signal came;
 * then `ret_signal` has its number. Blocks; the caller has one thread. */
int predict_run(const struct predict_spec *spec, struct arena *arena,
                struct prediction_point **ret_points, int *ret_signal, struct error *err);

#endif
