/* Distributions over the repeats of a scenario. */
#include "report/statistics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/format.h"

static const struct {
  const char *measure, *label;
  bool optional; /* not listed when no checker gave it */
  bool of_loss;  /* not listed when nothing was lost */
} data_value_table[] = {
    {.measure = "data_loss", .label = "acknowledged writes lost"},
    {.measure = "data_loss.primary",
     .label = "- by clients that follow the primary",
     .of_loss = true},
    {.measure = "loss_ratio.primary", .label = "- of what they had acknowledged", .of_loss = true},
    {.measure = "data_loss.pinned", .label = "- by clients bound to one host", .of_loss = true},
    {.measure = "loss_ratio.pinned", .label = "- of what they had acknowledged", .of_loss = true},
    {.measure = "recovery_point", .label = "recovery point before the fault", .optional = true},
    {.measure = "unknown_survived", .label = "unknown writes that survived"},
    {.measure = "unknown_vanished", .label = "unknown writes that did not", .optional = true},
    {.measure = "phantom", .label = "phantom rows (nobody wrote them)"},
    {.measure = "duplicate", .label = "duplicate rows"},
    {.measure = "corrupt", .label = "corrupt rows", .optional = true},
    {.measure = "diverged", .label = "rows that differ between hosts", .optional = true},
    {.measure = "dual_primary", .label = "two primaries acknowledged writes", .optional = true},
    {.measure = "stale_own_reads", .label = "stale reads of an own write", .optional = true},
    {.measure = "staleness.p99", .label = "staleness of reads, p99", .optional = true},
    {.measure = "replication_lag.p99",
     .label = "replication lag, p99, the worst",
     .optional = true},
};

void data_values(const struct run_result *result, data_value *each, void *data) {
  struct measure worst;
  const struct measure *loss = facts_worst(result, "data_loss", &worst);
  bool any_loss = loss && loss->known && loss->value > 0;
  for (size_t i = 0; i < sizeof data_value_table / sizeof data_value_table[0]; i++) {
    const struct measure *measure = facts_worst(result, data_value_table[i].measure, &worst);
    if (!measure && data_value_table[i].optional) continue;
    if (data_value_table[i].of_loss && (!measure || !measure->known || !any_loss)) continue;
    each(data, data_value_table[i].label, measure);
  }
}

void data_names(data_name *each, void *data) {
  for (size_t i = 0; i < sizeof data_value_table / sizeof data_value_table[0]; i++)
    each(data, data_value_table[i].measure, data_value_table[i].label);
}

const char *const data_witness_kinds[] = {"lost",     "corrupt",      "phantom", "duplicate",
                                          "diverged", "dual_primary", NULL};

size_t data_witnesses(const struct run_result *result, facts_witness *each, void *data) {
  size_t count = 0;
  for (const char *const *kind = data_witness_kinds; *kind; kind++) {
    count += facts_witnesses(result, *kind, each, data);
  }
  return count;
}

static int by_value(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

/* All values of one name in one run, known or not. */
static void collect(const struct run_result *result, const char *name, double *values, uint32_t max,
                    uint32_t *count, struct spread *spread) {
  for (uint32_t i = 0; i < result->finding_count; i++) {
    const struct finding *finding = &result->findings[i];
    for (uint32_t j = 0; j < finding->measure_count; j++) {
      const struct measure *measure = &finding->measures[j];
      if (strcmp(measure->name, name) != 0) continue;
      spread->unit = measure->unit;
      if (!measure->known || !isfinite(measure->value)) {
        spread->unknown++;
      } else if (*count < max) {
        values[(*count)++] = measure->value;
      }
    }
  }
}

uint32_t spread_values(const struct report_input *input, const char *name, double *ret_values,
                       uint32_t max) {
  struct spread ignored = {.count = 0};
  uint32_t count = 0;
  for (uint32_t i = 0; i < input->repeat_count; i++) {
    collect(&input->repeats[i], name, ret_values, max, &count, &ignored);
  }
  qsort(ret_values, count, sizeof *ret_values, by_value);
  return count;
}

/* Ranks l and n + 1 - l bracket the median with a probability of at least 95 %: the number of
 * values below the median is binomial with p = 1/2 (David and Nagaraja, Order Statistics, 7.1).
 * Returns l, from 1; 0: n is too small. */
static uint32_t median_rank(uint32_t n) {
  double below = 0, term = -(double)n * log(2.0); /* log of C(n, 0) / 2^n */
  uint32_t rank = 0;
  for (uint32_t k = 0; k <= n / 2; k++) {
    below += exp(term);
    if (below > 0.025) break;
    rank = k + 1;
    term += log((double)(n - k)) - log((double)(k + 1));
  }
  return rank;
}

/* `values` are in rising order; n > 0. */
static void spread_fill(struct spread *spread, const double *values, uint32_t n) {
  spread->count = n;
  spread->minimum = values[0];
  spread->maximum = values[n - 1];
  spread->median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
  spread->p95 = values[(uint32_t)ceil(0.95 * n) - 1];
  spread->has_p95 = n >= 20;
  uint32_t rank = median_rank(n);
  spread->has_interval = rank > 0;
  if (rank > 0) {
    spread->low = values[rank - 1];
    spread->high = values[n - rank];
  }
}

int spread_of_repeats(const struct report_input *input, const char *name, struct spread *ret,
                      struct error *err) {
  CLEANUP_FREE double *values = malloc(SPREAD_VALUES_MAX * sizeof *values);
  if (!values) return error_set(err, STATUS_MEMORY, "no memory for the values of all repeats");
  struct spread spread = {.count = 0};
  uint32_t n = 0;
  for (uint32_t i = 0; i < input->repeat_count; i++) {
    collect(&input->repeats[i], name, values, SPREAD_VALUES_MAX, &n, &spread);
  }
  qsort(values, n, sizeof *values, by_value);
  if (n > 0) spread_fill(&spread, values, n);
  *ret = spread;
  return 0;
}

int spread_phases(const struct report_input *input, spread_phase *each, void *data,
                  struct error *err) {
  for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
    struct spread spread;
    int status = spread_of_repeats(input, phase_table[phase].measure, &spread, err);
    if (status != 0) return status;
    each(data, &phase_table[phase], &spread);
  }
  return 0;
}

void spread_text(const struct spread *spread, char text[SPREAD_TEXT_SIZE]) {
  char median[FORMAT_SIZE], maximum[FORMAT_SIZE], value[FORMAT_SIZE], other[FORMAT_SIZE];
  char interval[2 * FORMAT_SIZE + 40] = "", p95[FORMAT_SIZE + 8] = "", unknown[64] = "";
  format_value(spread->median, spread->unit, median);
  format_value(spread->maximum, spread->unit, maximum);
  if (spread->has_interval) {
    format_value(spread->low, spread->unit, value);
    format_value(spread->high, spread->unit, other);
    snprintf(interval, sizeof interval, " (95 %% interval %s to %s)", value, other);
  }
  if (spread->has_p95) {
    format_value(spread->p95, spread->unit, value);
    snprintf(p95, sizeof p95, ", p95 %s", value);
  }
  if (spread->unknown > 0) {
    snprintf(unknown, sizeof unknown, "; %" PRIu32 " not measured", spread->unknown);
  }
  snprintf(text, SPREAD_TEXT_SIZE, "median %s%s%s, max %s of %" PRIu32 "%s", median, interval, p95,
           maximum, spread->count, unknown);
}
