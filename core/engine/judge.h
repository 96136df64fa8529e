/* From a record, or several repeats, to a verdict: findings, objectives, exit code. */
#ifndef GAMEDAY_ENGINE_JUDGE_H
#define GAMEDAY_ENGINE_JUDGE_H

#include "base/arena.h"
#include "engine/record.h"
#include "gameday/checker.h"
#include "gameday/report.h"
#include "scenario/scenario.h"

/* What a scenario must have for a value to be measured. */
enum measure_needs {
  NEEDS_FAULT = 1,     /* it counts from a fault or step on, or is of it */
  NEEDS_SHARDS = 2,    /* of a service */
  NEEDS_ORIGIN = 4,    /* a service behind a workload's first one */
  NEEDS_SESSIONS = 8,  /* of a workload, or its cache */
  NEEDS_REPLICAS = 16, /* of a service */
};
/* Units and natural directions of every value that objectives may name. */
struct measure_info {
  const char *name;
  enum unit unit;
  bool at_least;  /* availability: more is better */
  uint32_t needs; /* enum measure_needs */
  const char *help;
};
extern const struct measure_info measure_table[]; /* ended by a NULL name */
bool measure_lookup(const char *name, enum unit *ret_unit, bool *ret_at_least);
/* As scenario_tables.measure_missing. */
const char *measure_missing(const char *name, const struct scenario *scenario);

/* Judges one run: runs the checkers over the record, then the scenario's objectives (NULL: none).
 * `ret` and all it points to live in `arena`, but for record fields, which are borrowed from
 * `record`. The verdict is the maximum over findings and objectives; an untrusted record is never a
 * pass. Two primaries at once are an objective of every run: `dual_primary <= 0s`, unless the
 * scenario has one of its own. */
int judge_run(const struct record *record, const struct scenario *scenario,
              const struct checker *const *table, struct arena *arena, struct run_result *ret,
              struct error *err);

/* The objectives of every run to which they apply; a result has them after the scenario's own. From
 * 0; NULL: no more. */
const struct scenario_objective *judge_standing(uint32_t index);

/* A distribution-free 95 % confidence interval for the median: the order statistics whose ranks a
 * binomial(n, 1/2) number falls between in at least 95 of 100 cases (Conover, Practical
 * Nonparametric Statistics, section 3.2). Sorts `values`. False: fewer than six values. */
bool judge_median_interval(double *values, uint32_t count, double *ret_low, double *ret_high);

/* Objectives over all repeats, by each objective's statistic; the combined verdict goes to
 * `ret->verdict`, the objectives to `ret->objectives`; the rest of `ret` is a copy of the repeat
 * with the worst verdict (the first of these), or, where findings and not the objectives give the
 * combined verdict, of one that has such findings. */
int judge_repeats(const struct run_result *repeats, uint32_t count, const struct scenario *scenario,
                  struct arena *arena, struct run_result *ret, struct error *err);

#endif
