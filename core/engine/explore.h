/* Explores a scenario: many random fault schedules within its bounds, each run in virtual time and
 * judged; what violates an objective or convicts the cluster is shrunk to a minimal schedule and
 * written as a scenario file. */
#ifndef GAMEDAY_ENGINE_EXPLORE_H
#define GAMEDAY_ENGINE_EXPLORE_H

#include "base/buf.h"
#include "base/log.h"
#include "gameday/checker.h"
#include "scenario/scenario.h"

struct explore_spec {
  const struct scenario *scenario;  /* as it stands in the file: what is written out */
  const struct scenario *simulated; /* the same with a provider in virtual time: what is run */
  const struct injector *const *injectors;
  const struct checker *const *checkers;
  uint64_t first_seed, seed_count; /* seed_count UINT64_MAX: as many as the budget allows */
  uint64_t budget_ns;              /* of the search, shrinking comes on top; 0: no limit */
  uint32_t jobs;                   /* child processes */
  uint32_t shrink_count;           /* so many of the smallest schedules of each violation are looked
                                      at for the one to shrink; 0: none is shrunk */
  const char *directory;           /* for scenario files; made when there is something to write */
  struct log *log;
};
#define EXPLORE_SHRINK_MAX 10

struct explore_result {
  uint64_t schedules; /* run and judged, or tried to */
  uint64_t pass, fail, unknown;
  uint64_t crashed; /* the simulation itself died or hung: a bug in gameday */
  int signal;       /* that ended it early; 0: none */
};

/* Appends the summary to `ret_summary`: of the same seeds it is the same, whatever `jobs`. What
 * goes on is told on the log. Errors: STATUS_USAGE when the bounds leave nothing to draw, others of
 * the system; violations and crashes are no errors. The caller has one thread. Blocks. */
int explore_run(const struct explore_spec *spec, struct explore_result *ret,
                struct buf *ret_summary, struct error *err);

#endif
