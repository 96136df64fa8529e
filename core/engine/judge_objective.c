/* One objective: its values gathered, its statistic taken, its bound held against it. What is
 * not known is carried as a range: an objective is met when the whole range meets it, missed
 * when none of it can, and unknown in between. */
#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "engine/judge_internal.h"

/* The statistic lies between these; equal when everything is known. */
struct range {
  double low, high;
};

/* The values of one objective. A value that is not known is a range: from its floor (all measures
 * are at least 0) to infinity. */
struct gathered {
  double *low, *high;
  uint32_t count;
  const char *why; /* of the first value that is not known */
};

static void gathered_release(struct gathered *gathered) {
  free(gathered->low);
  free(gathered->high);
}

/* --- gathering ------------------------------------------------------------------------------- */

enum scope { SCOPE_FAULT, SCOPE_RUN, SCOPE_HOST, SCOPE_COUNT };

static enum scope scope_of(const struct measure *measure) {
  if (measure->fault != FAULT_NONE) return SCOPE_FAULT;
  return measure->host == HOST_NONE ? SCOPE_RUN : SCOPE_HOST;
}

/* Calls `each` for every measure of that name in the runs, with what is known of its run. */
typedef void measure_visit(void *data, const struct measure *measure,
                           const struct record_info *info);
static void for_each(const struct run_result *runs, uint32_t run_count, const char *name,
                     measure_visit *each, void *data) {
  for (uint32_t r = 0; r < run_count; r++)
    for (uint32_t f = 0; f < runs[r].finding_count; f++)
      for (uint32_t m = 0; m < runs[r].findings[f].measure_count; m++) {
        const struct measure *measure = &runs[r].findings[f].measures[m];
        if (strcmp(measure->name, name) == 0) each(data, measure, &runs[r].info);
      }
}

struct census {
  uint32_t total, none;
  uint32_t scopes[SCOPE_COUNT]; /* those that apply */
  const char *why_none;
};

static void count_measure(void *data, const struct measure *measure,
                          const struct record_info *info) {
  struct census *census = data;
  (void)info;
  census->total++;
  if (!measure->not_applicable) {
    census->scopes[scope_of(measure)]++;
    return;
  }
  census->none++;
  if (!census->why_none) census->why_none = measure->why;
}

struct gathering {
  struct gathered *into;
  bool all;
  enum scope scope;
};

/* Whether more of the run could have made it smaller: a share, so many a piece, a percentile. */
static bool may_shrink(const struct measure *measure) {
  const char *suffix = strrchr(measure->name, '.');
  bool percentile = suffix && suffix[1] == 'p' && isdigit((unsigned char)suffix[2]);
  return percentile || measure->unit == UNIT_RATIO || measure->unit == UNIT_NONE;
}

/* Whether what is missing in the middle of a record can only have made it smaller: what is found
 * wrong in the rest stays wrong. An outage, or any time until something succeeded, may not be one:
 * the success may be what is missing. */
static bool stays_wrong(const struct measure *measure) {
  static const char *const names[] = {"data_loss", "lost_", "corrupt", "duplicate", "dual_primary"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strncmp(measure->name, names[i], strlen(names[i])) == 0) return true;
  return false;
}

static void gather_measure(void *data, const struct measure *measure,
                           const struct record_info *info) {
  const struct gathering *gathering = data;
  struct gathered *into = gathering->into;
  if (measure->not_applicable) return;
  if (!gathering->all && scope_of(measure) != gathering->scope) return;
  into->low[into->count] = measure->value;
  into->high[into->count] = measure->value;
  if (info->holes && !stays_wrong(measure)) {
    into->low[into->count] = 0;
    into->high[into->count] = INFINITY;
    if (!into->why) into->why = "a part of the record could not be written";
  } else if (!measure->known) {
    if (!measure->floor) into->low[into->count] = 0;
    into->high[into->count] = INFINITY;
    if (!into->why) into->why = measure->why ? measure->why : "it could not be measured";
  } else if (!info->complete) {
    /* What would have come after is not in it. */
    if (may_shrink(measure)) into->low[into->count] = 0;
    into->high[into->count] = INFINITY;
    if (!into->why) into->why = "the record is incomplete";
  }
  into->count++;
}

/* A largest or smallest value is sought among all there are: of the run, of each fault, of each
 * host. Any other statistic needs values of one kind: faults where there are any. */
static int gather(const struct scenario_objective *objective, const struct run_result *runs,
                  uint32_t run_count, const struct census *census, struct gathered *ret,
                  struct error *err) {
  ret->low = calloc((size_t)census->total + 1, sizeof *ret->low);
  ret->high = calloc((size_t)census->total + 1, sizeof *ret->high);
  if (!ret->low || !ret->high) return error_set(err, STATUS_MEMORY, "out of memory for values");
  struct gathering gathering = {.into = ret};
  const char *statistic = objective->statistic;
  gathering.all = strcmp(statistic, "max") == 0 || strcmp(statistic, "min") == 0;
  for (int scope = SCOPE_COUNT - 1; scope >= 0; scope--)
    if (census->scopes[scope] > 0) gathering.scope = (enum scope)scope;
  for_each(runs, run_count, objective->name, gather_measure, &gathering);
  return 0;
}

/* --- statistics ------------------------------------------------------------------------------ */

static int compare_numbers(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return a < b ? -1 : a > b;
}

/* "p99.9" -> 0.999; negative when it is no percentile. */
static double percentile_of(const char *statistic) {
  if (statistic[0] != 'p') return -1;
  char *end = NULL;
  double percent = strtod(statistic + 1, &end);
  return end != statistic + 1 && *end == '\0' && percent > 0 && percent <= 100 ? percent / 100 : -1;
}

/* Of sorted values; count > 0. NAN: no such statistic. */
static double statistic_of(const char *statistic, const double *sorted, uint32_t count) {
  if (strcmp(statistic, "max") == 0) return sorted[count - 1];
  if (strcmp(statistic, "min") == 0) return sorted[0];
  if (strcmp(statistic, "median") == 0)
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
  if (strcmp(statistic, "mean") == 0) {
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += sorted[i];
    return sum / count;
  }
  double q = percentile_of(statistic);
  if (q < 0) return NAN;
  double rank = ceil(q * count * (1 - 1e-12)); /* nearest rank, unmoved by rounding */
  return sorted[rank < 1 ? 0 : (uint32_t)rank - 1];
}

bool judge_median_interval(double *values, uint32_t count, double *ret_low, double *ret_high) {
  const double tail = 0.025;
  if (count > 1) qsort(values, count, sizeof *values, compare_numbers);
  /* The largest k with P(Binomial(count, 1/2) < k) <= tail; then [k, count + 1 - k], from 1. */
  double below = 0;
  uint32_t k = 0;
  for (; k < count; k++) {
    double ways = lgamma(count + 1.0) - lgamma(k + 1.0) - lgamma((double)(count - k) + 1.0);
    below += exp(ways - count * log(2));
    if (below > tail) break;
  }
  if (k == 0) return false;
  *ret_low = values[k - 1];
  *ret_high = values[count - k];
  return true;
}

/* --- judging --------------------------------------------------------------------------------- */

static int say(struct objective_result *ret, enum verdict verdict, const char *text,
               struct error *err) {
  ret->verdict = verdict;
  ret->why = text;
  return text ? 0 : error_set(err, STATUS_MEMORY, "out of memory for an objective");
}

/* Measures of time are in seconds; quantities of the language in nanoseconds. */
static void format_measure(double value, enum unit unit, char text[32]) {
  value_format(unit == UNIT_DURATION ? value * (double)NS_PER_S : value, unit, text);
}

/* So near each other that rounding hides the difference: as many digits as show it. */
static void format_apart(double measured, double bound, enum unit unit, char measured_text[32],
                         char bound_text[32]) {
  const char *suffix = unit == UNIT_DURATION ? " s" : unit == UNIT_SIZE ? " B" : "";
  for (int digits = 9; digits <= 17; digits++) {
    snprintf(measured_text, 32, "%.*g%s", digits, measured, suffix);
    snprintf(bound_text, 32, "%.*g%s", digits, bound, suffix);
    if (strcmp(measured_text, bound_text) != 0) return;
  }
}

static int hold(const struct scenario_objective *objective, const struct range *range,
                const char *why, struct arena *arena, struct objective_result *ret,
                struct error *err) {
  bool at_least = objective->at_least;
  double bound = objective->bound;
  bool met = at_least ? range->low >= bound : range->high <= bound;
  bool missed = at_least ? range->high < bound : range->low > bound;
  if (met) {
    ret->verdict = VERDICT_PASS;
    return 0;
  }
  char measured[32], allowed[32];
  format_measure(at_least ? range->high : range->low, objective->unit, measured);
  format_measure(bound, objective->unit, allowed);
  if (strcmp(measured, allowed) == 0)
    format_apart(at_least ? range->high : range->low, bound, objective->unit, measured, allowed);
  const char *end = ret->known ? "" : at_least ? "at most " : "at least ";
  if (missed)
    return say(ret, VERDICT_FAIL,
               arena_printf(arena, "%s%s, %s than %s%s%s", end, measured,
                            at_least ? "less" : "more", allowed, why ? ": " : "", why ? why : ""),
               err);
  return say(ret, VERDICT_UNKNOWN,
             arena_printf(arena, "not known: %s", why ? why : "it could not be measured"), err);
}

static int give_interval(struct gathered *gathered, struct objective_result *ret) {
  if (gathered->why) return 0;
  ret->interval_known = judge_median_interval(gathered->low, gathered->count, &ret->interval_low,
                                              &ret->interval_high);
  return 0;
}

int judge_objective(const struct scenario_objective *objective, const struct run_result *runs,
                    uint32_t run_count, struct arena *arena, struct objective_result *ret,
                    struct error *err) {
  struct objective_result result = {.name = objective->name,
                                    .bound = objective->text,
                                    .unit = objective->unit,
                                    .bound_value = objective->bound,
                                    .at_least = objective->at_least,
                                    .statistic = objective->statistic};
  struct census census = {.total = 0};
  for_each(runs, run_count, objective->name, count_measure, &census);
  int status = 0;
  if (census.total == census.none) {
    const char *why = census.total == 0 ? "no checker measured it" : census.why_none;
    status =
        say(&result, VERDICT_UNKNOWN,
            arena_printf(arena, "not known: %s", why ? why : "there was nothing to measure"), err);
    if (status == 0) *ret = result;
    return status;
  }
  CLEANUP(gathered_release) struct gathered gathered = {.low = NULL};
  status = gather(objective, runs, run_count, &census, &gathered, err);
  if (status < 0) return status;
  qsort(gathered.low, gathered.count, sizeof *gathered.low, compare_numbers);
  qsort(gathered.high, gathered.count, sizeof *gathered.high, compare_numbers);
  const struct range range = {
      .low = statistic_of(objective->statistic, gathered.low, gathered.count),
      .high = statistic_of(objective->statistic, gathered.high, gathered.count)};
  if (isnan(range.low))
    return error_set(err, STATUS_INTERNAL, "objective %s: '%s' is no statistic", objective->name,
                     objective->statistic);
  result.known = range.low == range.high;
  result.measured = objective->at_least && !result.known ? range.high : range.low;
  if (isinf(result.measured)) result.measured = range.low;
  result.count = gathered.count;
  (void)give_interval(&gathered, &result);
  status = hold(objective, &range, gathered.why, arena, &result, err);
  if (status == 0) *ret = result;
  return status;
}
