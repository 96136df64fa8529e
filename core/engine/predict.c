/* One job a run: each gives a verdict, the worst of each value, and the verdict on each objective;
 * the parent lays them side by side. */
#include "engine/predict.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "engine/batch.h"
#include "engine/distribution.h"
#include "engine/judge.h"
#include "engine/trial.h"

/* Far beyond any simulated run: one that is still going has lost its way. */
#define JOB_TIMEOUT_NS (600 * NS_PER_S)
#define WHY_SIZE 240

/* What a prediction always tells; what the objectives name comes on top. */
static const char *const main_values[] = {
    "failover_time",           "client_recovery_time", "write_outage",
    "time_to_full_redundancy", "availability.writes",  "data_loss",
    "recovery_point",          "loss_window",          "dual_primary",
};
#define LOSS "data_loss"

enum known { KNOWN_NONE, KNOWN_NOT, KNOWN_YES };

/* One value of a run, or (KNOWN_YES and a verdict) one objective. */
struct slot {
  double value; /* KNOWN_NOT: it is at least so much, 0 when nothing is known */
  enum known known;
  enum verdict verdict;
};

/* The result of a job. Slots: the values; then the scenario's objectives; then the standing ones.
 */
struct trial_result {
  enum verdict verdict;
  char why[WHY_SIZE];
  struct slot slots[];
};

struct predict {
  const struct predict_spec *spec;
  struct arena *arena;
  struct prediction_point *points;
  struct predicted_value *values;                        /* value_count of each point */
  struct predicted_objective *objectives;                /* objective_count of each point */
  uint32_t value_count, standing_count, objective_count; /* the latter with the standing ones */
  uint32_t loss;                                         /* the value LOSS */
  double **cells;         /* of each point: its values, each of all seeds; NULL: refused */
  uint32_t *lost, *whole; /* of each point: runs that lost writes, runs that lost none for sure */
  double *sort;           /* room for one value of all seeds */
  uint64_t done;
};

/* --- what is asked --------------------------------------------------------------------------- */

static bool has_name(const struct predicted_value *values, uint32_t count, const char *name) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(values[i].name, name) == 0) return true;
  return false;
}

static void add_value(struct predicted_value *values, uint32_t *count, const char *name) {
  if (has_name(values, *count, name)) return;
  struct predicted_value *value = &values[(*count)++];
  *value = (struct predicted_value){.name = name};
  bool known = measure_lookup(name, &value->unit, &value->at_least);
  assert(known);
}

/* The same names at every point, so that they can be laid side by side. */
static int list_values(struct predict *predict, struct predicted_value **ret_values,
                       struct error *err) {
  const struct predict_spec *spec = predict->spec;
  size_t room = sizeof main_values / sizeof *main_values + predict->standing_count;
  for (uint32_t p = 0; p < spec->point_count; p++)
    if (spec->scenarios[p]) room += spec->scenarios[p]->objective_count;
  struct predicted_value *values = arena_calloc(predict->arena, room, sizeof *values);
  if (!values) return error_set(err, STATUS_MEMORY, "out of memory for a prediction");
  uint32_t count = 0;
  for (size_t i = 0; i < sizeof main_values / sizeof *main_values; i++)
    add_value(values, &count, main_values[i]);
  for (uint32_t i = 0; i < predict->standing_count; i++)
    add_value(values, &count, judge_standing(i)->name);
  for (uint32_t p = 0; p < spec->point_count; p++)
    for (uint32_t i = 0; spec->scenarios[p] && i < spec->scenarios[p]->objective_count; i++)
      add_value(values, &count, spec->scenarios[p]->objectives[i].name);
  predict->value_count = count;
  while (strcmp(values[predict->loss].name, LOSS) != 0) predict->loss++;
  *ret_values = values;
  return 0;
}

static struct predicted_objective describe(const struct scenario_objective *objective) {
  return (struct predicted_objective){.name = objective->name,
                                      .bound = objective->text,
                                      .statistic = objective->statistic,
                                      .unit = objective->unit,
                                      .at_least = objective->at_least,
                                      .bound_value = objective->bound};
}

static int fill_point(struct predict *predict, uint32_t index, const struct predicted_value *names,
                      struct error *err) {
  const struct scenario *scenario = predict->spec->scenarios[index];
  struct prediction_point *point = &predict->points[index];
  struct predicted_value *values = &predict->values[index * predict->value_count];
  struct predicted_objective *objectives = &predict->objectives[index * predict->objective_count];
  size_t seeds = predict->spec->seeds;
  if (!scenario) return 0;
  double *cells = arena_calloc(predict->arena, predict->value_count * seeds, sizeof *cells);
  if (!cells) return error_set(err, STATUS_MEMORY, "out of memory for a prediction");
  predict->cells[index] = cells;
  for (uint32_t i = 0; i < predict->value_count; i++) {
    values[i] = names[i];
    values[i].by_seed = cells + i * seeds;
  }
  uint32_t own = scenario->objective_count;
  for (uint32_t i = 0; i < own; i++) objectives[i] = describe(&scenario->objectives[i]);
  for (uint32_t i = 0; i < predict->standing_count; i++)
    objectives[own + i] = describe(judge_standing(i));
  point->values = values;
  point->value_count = predict->value_count;
  point->objectives = objectives;
  point->objective_count = own + predict->standing_count;
  return 0;
}

static int prepare(struct predict *predict, struct error *err) {
  const struct predict_spec *spec = predict->spec;
  struct predicted_value *names = NULL;
  while (judge_standing(predict->standing_count)) predict->standing_count++;
  for (uint32_t p = 0; p < spec->point_count; p++)
    if (spec->scenarios[p] && spec->scenarios[p]->objective_count > predict->objective_count)
      predict->objective_count = spec->scenarios[p]->objective_count;
  predict->objective_count += predict->standing_count;
  int status = list_values(predict, &names, err);
  if (status < 0) return status;
  size_t points = spec->point_count;
  predict->points = arena_calloc(predict->arena, points, sizeof *predict->points);
  predict->values =
      arena_calloc(predict->arena, points * predict->value_count, sizeof *predict->values);
  predict->objectives =
      arena_calloc(predict->arena, points * predict->objective_count, sizeof *predict->objectives);
  predict->sort = arena_calloc(predict->arena, spec->seeds, sizeof *predict->sort);
  predict->cells = arena_calloc(predict->arena, points, sizeof *predict->cells);
  predict->lost = arena_calloc(predict->arena, points, sizeof *predict->lost);
  predict->whole = arena_calloc(predict->arena, points, sizeof *predict->whole);
  if (!predict->points || !predict->values || !predict->objectives || !predict->sort ||
      !predict->cells || !predict->lost || !predict->whole)
    return error_set(err, STATUS_MEMORY, "out of memory for a prediction");
  for (uint32_t p = 0; p < spec->point_count && status == 0; p++)
    status = fill_point(predict, p, names, err);
  return status;
}

/* --- a job, in a child ----------------------------------------------------------------------- */

/* The worst of all measures of that name. One that is not known may be worse than all others. */
static void take_value(const struct run_result *run, const char *name, bool at_least,
                       struct slot *slot) {
  for (uint32_t f = 0; f < run->finding_count; f++)
    for (uint32_t m = 0; m < run->findings[f].measure_count; m++) {
      const struct measure *measure = &run->findings[f].measures[m];
      if (strcmp(measure->name, name) != 0 || measure->not_applicable) continue;
      bool known = measure->known && isfinite(measure->value);
      double value = known || measure->floor ? measure->value : 0;
      bool first = slot->known == KNOWN_NONE;
      if (first || (at_least ? value < slot->value : value > slot->value)) slot->value = value;
      if (first) slot->known = KNOWN_YES;
      if (!known) slot->known = KNOWN_NOT;
    }
}

static void take_objective(const struct objective_result *objective, struct slot *slot) {
  *slot = (struct slot){.known = KNOWN_YES, .verdict = objective->verdict};
}

/* The scenario's own come first, then those of the standing ones that apply. */
static void take_objectives(const struct run_result *run, uint32_t own, uint32_t standing_count,
                            struct slot *slots) {
  for (uint32_t i = 0; i < run->objective_count; i++) {
    if (i < own) {
      take_objective(&run->objectives[i], &slots[i]);
      continue;
    }
    for (uint32_t s = 0; s < standing_count; s++)
      if (strcmp(judge_standing(s)->name, run->objectives[i].name) == 0)
        take_objective(&run->objectives[i], &slots[own + s]);
  }
}

static int do_trial(void *data, uint64_t index, const char *directory, void *ret_result,
                    struct error *err) {
  const struct predict *predict = data;
  const struct predict_spec *spec = predict->spec;
  struct trial_result *result = ret_result;
  const struct scenario *scenario = spec->scenarios[index / spec->seeds];
  const struct predicted_value *values =
      &predict->values[index / spec->seeds * predict->value_count];
  if (!scenario) return 0; /* the point was refused */
  const struct trial_spec trial_spec = {.scenario = scenario,
                                        .seed = spec->first_seed + index % spec->seeds,
                                        .directory = directory,
                                        .checkers = spec->checkers};
  CLEANUP(trial_release) struct trial trial = {.opened = false};
  int status = trial_run(&trial_spec, &trial, err);
  if (status < 0) return status;
  const struct run_result *run = &trial.result;
  result->verdict = run->verdict;
  snprintf(result->why, sizeof result->why, "%.*s", WHY_SIZE - 1, run->why);
  for (uint32_t i = 0; i < predict->value_count; i++)
    take_value(run, values[i].name, values[i].at_least, &result->slots[i]);
  take_objectives(run, scenario->objective_count, predict->standing_count,
                  &result->slots[predict->value_count]);
  return 0;
}

/* --- laying side by side, in the parent ------------------------------------------------------ */

static int keep_example(struct predict *predict, struct predicted_example *example, uint64_t seed,
                        const char *why, struct error *err) {
  if (example->why) return 0;
  char *copy = arena_strdup(predict->arena, why);
  if (!copy) return error_set(err, STATUS_MEMORY, "out of memory for a prediction");
  *example = (struct predicted_example){.seed = seed, .why = copy};
  return 0;
}

/* `slots` NULL: the run gave nothing. */
static void add_values(struct predict *predict, uint32_t index, uint32_t run,
                       const struct slot *slots) {
  struct predicted_value *values = &predict->values[index * predict->value_count];
  for (uint32_t i = 0; i < predict->value_count; i++) {
    struct distribution *distribution = &values[i].distribution;
    enum known known = slots ? slots[i].known : KNOWN_NOT;
    predict->cells[index][(size_t)i * predict->spec->seeds + run] =
        known == KNOWN_YES ? slots[i].value : NAN;
    distribution->unknown += known == KNOWN_NOT;
    distribution->none += known == KNOWN_NONE;
  }
  if (!slots) return;
  const struct slot *loss = &slots[predict->loss];
  predict->lost[index] += loss->value > 0;
  predict->whole[index] += loss->known == KNOWN_YES && loss->value <= 0;
}

static void add_objectives(struct predicted_objective *objectives, uint32_t count,
                           const struct slot *slots) {
  for (uint32_t i = 0; i < count; i++) {
    if (!slots) {
      objectives[i].unknown++;
    } else if (slots[i].known == KNOWN_NONE) {
      objectives[i].none++;
    } else {
      objectives[i].met += slots[i].verdict == VERDICT_PASS;
      objectives[i].missed += slots[i].verdict == VERDICT_FAIL;
      objectives[i].unknown += slots[i].verdict == VERDICT_UNKNOWN;
    }
  }
}

static void explain(const struct batch_outcome *outcome, char why[WHY_SIZE]) {
  if (outcome->end == BATCH_FAILED)
    snprintf(why, WHY_SIZE, "%.*s", WHY_SIZE - 1, outcome->error->message);
  else if (outcome->end == BATCH_HUNG)
    snprintf(why, WHY_SIZE, "the simulation did not come to its end in %d s of real time",
             (int)(JOB_TIMEOUT_NS / NS_PER_S));
  else if (outcome->signal)
    snprintf(why, WHY_SIZE, "the simulation died of signal %d", outcome->signal);
  else
    snprintf(why, WHY_SIZE, "the simulation ended with exit code %d", outcome->exit_code);
}

static int take_outcome(void *data, const struct batch_outcome *outcome, struct error *err) {
  struct predict *predict = data;
  const struct predict_spec *spec = predict->spec;
  uint32_t index = (uint32_t)(outcome->index / spec->seeds);
  uint32_t run = (uint32_t)(outcome->index % spec->seeds);
  uint64_t seed = spec->first_seed + run;
  struct prediction_point *point = &predict->points[index];
  const struct trial_result *result = outcome->result;
  predict->done++;
  if (!spec->scenarios[index]) return 0;
  const struct slot *slots = result ? result->slots : NULL;
  add_values(predict, index, run, slots);
  add_objectives(&predict->objectives[index * predict->objective_count], point->objective_count,
                 slots ? slots + predict->value_count : NULL);
  enum verdict verdict = result ? result->verdict : VERDICT_UNKNOWN;
  point->met += verdict == VERDICT_PASS;
  point->missed += verdict == VERDICT_FAIL;
  point->unknown += verdict == VERDICT_UNKNOWN;
  if (verdict == VERDICT_PASS) return 0;
  char why[WHY_SIZE];
  snprintf(why, sizeof why, "%s", result ? result->why : "");
  if (!result) explain(outcome, why);
  if (verdict == VERDICT_FAIL) return keep_example(predict, &point->first_missed, seed, why, err);
  if (outcome->end == BATCH_CRASHED || outcome->end == BATCH_HUNG) {
    point->crashed++;
    int status = keep_example(predict, &point->first_crashed, seed, why, err);
    if (status < 0) return status;
  }
  return keep_example(predict, &point->first_unknown, seed, why, err);
}

static void sum_up(struct predict *predict, uint32_t index) {
  struct prediction_point *point = &predict->points[index];
  struct predicted_value *values = &predict->values[index * predict->value_count];
  if (!predict->spec->scenarios[index]) return;
  for (uint32_t i = 0; i < predict->value_count; i++) {
    uint32_t count = 0;
    for (uint32_t run = 0; run < predict->spec->seeds; run++)
      if (!isnan(values[i].by_seed[run])) predict->sort[count++] = values[i].by_seed[run];
    distribution_fill(predict->sort, count, &values[i].distribution);
  }
  uint32_t lost = predict->lost[index];
  point->lost_share = share_of(lost, lost + predict->whole[index]);
  point->missed_share = share_of(point->missed, point->met + point->missed);
}

static void tell(void *data) {
  const struct predict *predict = data;
  const struct predict_spec *spec = predict->spec;
  if (spec->progress)
    spec->progress(spec->data, predict->done, (uint64_t)spec->seeds * spec->point_count);
}

int predict_run(const struct predict_spec *spec, struct arena *arena,
                struct prediction_point **ret_points, int *ret_signal, struct error *err) {
  struct predict predict = {.spec = spec, .arena = arena};
  struct batch_summary summary;
  assert((uint64_t)spec->seeds * spec->point_count <= PREDICT_RUNS_MAX);
  int status = prepare(&predict, err);
  if (status < 0) return status;
  size_t slots = (size_t)predict.value_count + predict.objective_count;
  const struct batch_spec batch = {
      .workers = spec->workers,
      .count = (uint64_t)spec->seeds * spec->point_count,
      .job_timeout_ns = JOB_TIMEOUT_NS,
      .result_size = sizeof(struct trial_result) + slots * sizeof(struct slot),
      .job = do_trial,
      .deliver = take_outcome,
      .tick = tell,
      .data = &predict};
  status = batch_run(&batch, &summary, err);
  if (status < 0) return status;
  if (summary.signal) {
    *ret_signal = summary.signal;
    return error_set(err, STATUS_INTERRUPTED, "interrupted after %llu runs",
                     (unsigned long long)summary.delivered);
  }
  for (uint32_t i = 0; i < spec->point_count; i++) sum_up(&predict, i);
  *ret_points = predict.points;
  return 0;
}
