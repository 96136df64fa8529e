/* What checkers share for adding to their findings. */
#include "measures.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct quantile quantiles_all[] = {{"p50", 0.5},    {"p95", 0.95}, {"p99", 0.99},
                                         {"p999", 0.999}, {"max", 2},    {NULL, 0}};
const struct quantile quantiles_four[] = {
    {"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}, {"max", 2}, {NULL, 0}};

int measure_known(struct finding *finding, const char *name, enum unit unit, double value,
                  int32_t fault, struct error *err) {
  const struct measure measure = {
      .name = name, .unit = unit, .value = value, .known = true, .fault = fault, .host = HOST_NONE};
  return finding_measure(finding, &measure, err);
}

int measure_floor(struct finding *finding, const char *name, enum unit unit, double value,
                  int32_t fault, const char *why, struct error *err) {
  const struct measure measure = {.name = name,
                                  .unit = unit,
                                  .value = value,
                                  .fault = fault,
                                  .host = HOST_NONE,
                                  .why = why,
                                  .floor = true};
  return finding_measure(finding, &measure, err);
}

int measure_unknown(struct finding *finding, const char *name, enum unit unit, int32_t fault,
                    const char *why, struct error *err) {
  const struct measure measure = {
      .name = name, .unit = unit, .fault = fault, .host = HOST_NONE, .why = why};
  return finding_measure(finding, &measure, err);
}

int measure_none(struct finding *finding, const char *name, enum unit unit, int32_t fault,
                 const char *why, struct error *err) {
  const struct measure measure = {.name = name,
                                  .unit = unit,
                                  .fault = fault,
                                  .host = HOST_NONE,
                                  .why = why,
                                  .not_applicable = true};
  return finding_measure(finding, &measure, err);
}

/* A 99th percentile of fifty values is their maximum under another name. That is no harm to the run
 * as a whole, but a host that was a replica for seconds only would decide for all. */
static bool too_few(const struct histogram *histogram, double q, uint16_t host) {
  return host != HOST_NONE && q <= 1 && (double)histogram->count * (1 - q) < 1;
}

uint64_t quantile_of(const struct histogram *histogram, const struct quantile *quantile) {
  return quantile->q > 1 ? histogram->maximum : histogram_quantile(histogram, quantile->q);
}

int measure_quantiles(struct finding *finding, const char *name, const struct quantile *quantiles,
                      enum unit unit, const struct histogram *histogram, double scale,
                      uint16_t host, const char *why, struct error *err) {
  bool some = histogram && histogram->count > 0;
  int status = 0;
  for (; quantiles->suffix && status == 0; quantiles++) {
    char full[96];
    snprintf(full, sizeof full, "%s.%s", name, quantiles->suffix);
    uint64_t value = some ? quantile_of(histogram, quantiles) : 0;
    bool few = some && too_few(histogram, quantiles->q, host);
    const struct measure measure = {.name = full,
                                    .unit = unit,
                                    .value = (double)value / scale,
                                    .known = some && !few,
                                    .fault = FAULT_NONE,
                                    .host = host,
                                    .why = few    ? "too few values for this percentile"
                                           : some ? NULL
                                                  : why,
                                    .not_applicable = !some || few};
    status = finding_measure(finding, &measure, err);
  }
  return status;
}

int witness_add(struct finding *finding, const char *what, uint64_t time_ns, struct error *err,
                const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  const struct witness witness = {.what = what, .text = text, .time_ns = time_ns};
  return finding_witness(finding, &witness, err);
}

int finding_raise(struct finding *finding, enum verdict verdict, struct error *err,
                  const char *format, ...) {
  if (verdict <= finding->verdict) return 0;
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  const char *why = arena_strdup(finding->arena, text);
  if (!why) return error_set(err, STATUS_MEMORY, "out of memory for a finding");
  finding->verdict = verdict;
  finding->why = why;
  return 0;
}

const char *host_name_of(const struct record_info *info, uint16_t host) {
  return host < info->host_count ? info->hosts[host] : "no host";
}

bool is_measured(const struct record_info *info, const struct operation *operation) {
  return info->load_begin_ns != TIME_NEVER && operation->scheduled_ns >= info->load_begin_ns &&
         operation->scheduled_ns < info->load_end_ns;
}

bool appends_row(const struct operation *operation) {
  return operation->sequence > 0 &&
         (operation->kind == OPERATION_WRITE || operation->kind == OPERATION_PROBE);
}
