/* The record of a run condensed for drawing. */
#include "report/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "report/beats.h"
#include "report/facts.h"

struct builder {
  const struct run_result *result;
  struct series *series;
};

uint32_t axis_index(const struct series_axis *axis, uint64_t time_ns) {
  if (time_ns < axis->begin_ns) return UINT32_MAX;
  if (time_ns >= axis->end_ns) return UINT32_MAX;
  uint64_t index = (time_ns - axis->begin_ns) / axis->step_ns;
  return index < axis->count ? (uint32_t)index : axis->count - 1;
}

double axis_seconds(const struct series_axis *axis, uint32_t index) {
  uint64_t time_ns = axis->begin_ns + axis->step_ns * index;
  bool within = index < axis->count && time_ns < axis->end_ns;
  return (double)(within ? time_ns : axis->end_ns) / (double)NS_PER_S;
}

double axis_middle(const struct series_axis *axis, uint32_t index) {
  return (axis_seconds(axis, index) + axis_seconds(axis, index + 1)) / 2;
}

/* The same as the checkers' bound of a brownout. */
uint64_t series_late_ns(const struct record_info *info) {
  return info->latency_bound_ns ? info->latency_bound_ns : NS_PER_S;
}

const char *probe_step_name(enum probe_step step) {
  static const char *const names[PROBE_STEP_COUNT] = {
      [PROBE_RESOLVE] = "resolve",           [PROBE_CONNECT] = "connect",
      [PROBE_AUTHENTICATE] = "authenticate", [PROBE_READ] = "first read",
      [PROBE_WRITE] = "first write",
  };
  return names[step];
}

const char *series_lag_name(enum series_lag lag) {
  static const char *const names[LAG_COUNT] = {
      [LAG_BYTES] = "server-reported, bytes",
      [LAG_SECONDS] = "server-reported, time",
      [LAG_HEARTBEAT] = "end to end, by heartbeat",
  };
  return names[lag];
}

/* The smallest step of 1, 2, 5, 10, 15, 30, 60 ... seconds (100, 200, 500 ms for short runs) that
 * covers `span_ns` in at most `most` intervals. */
static struct series_axis axis_choose(uint64_t begin_ns, uint64_t span_ns, uint64_t smallest_ns,
                                      uint32_t most) {
  static const uint64_t steps_ms[] = {100,    200,    250,    500,     1000,   2000,
                                      5000,   10000,  15000,  30000,   60000,  120000,
                                      300000, 600000, 900000, 1800000, 3600000};
  uint64_t step_ns = 0;
  for (size_t i = 0; i < sizeof steps_ms / sizeof steps_ms[0]; i++) {
    step_ns = steps_ms[i] * NS_PER_MS;
    if (step_ns >= smallest_ns && span_ns / step_ns < most) break;
  }
  while (span_ns / step_ns >= most) step_ns *= 2;
  return (struct series_axis){.begin_ns = begin_ns,
                              .step_ns = step_ns,
                              .end_ns = begin_ns + span_ns + 1,
                              .count = (uint32_t)(span_ns / step_ns) + 1};
}

/* A rate over the few milliseconds that are left at the end is a spike or a drop that was not
 * there: they belong to the interval before. */
static void axis_join_end(struct series_axis *axis) {
  uint64_t last_ns = axis->begin_ns + axis->step_ns * (axis->count - 1);
  if (axis->count > 1 && axis->end_ns - last_ns < axis->step_ns / 2) axis->count--;
}

/* The measured time; the whole run when it never began to be measured. */
static void axis_of_run(const struct record_info *info, uint64_t *ret_begin_ns,
                        uint64_t *ret_span_ns) {
  uint64_t end_ns = info->end_ns == TIME_NEVER ? 0 : info->end_ns;
  *ret_begin_ns = 0;
  if (info->load_begin_ns != TIME_NEVER && info->load_begin_ns < end_ns) {
    *ret_begin_ns = info->load_begin_ns;
    if (info->load_end_ns > info->load_begin_ns && info->load_end_ns < end_ns) {
      end_ns = info->load_end_ns;
    }
  }
  *ret_span_ns = end_ns - *ret_begin_ns;
  /* The end itself belongs to no interval. */
  if (*ret_span_ns > 0) (*ret_span_ns)--;
}

static bool in_fault(const struct run_result *result, uint64_t time_ns) {
  for (uint32_t i = 0; i < result->info.fault_count; i++) {
    const struct fault_info *fault = &result->info.faults[i];
    uint64_t end_ns = facts_phase_ns(result, i, PHASE_REDUNDANT);
    if (end_ns == TIME_NEVER) end_ns = fault->healed_ns;
    if (fault->confirmed_ns <= time_ns && time_ns < end_ns) return true;
  }
  return false;
}

static int histogram_at(struct histogram **slot, uint64_t value, struct error *err) {
  if (!*slot) {
    *slot = malloc(sizeof **slot);
    if (!*slot) return error_set(err, STATUS_MEMORY, "no memory for a latency histogram");
    histogram_init(*slot);
  }
  histogram_add(*slot, value);
  return 0;
}

static double *nan_array(uint32_t count) {
  double *array = calloc(count, sizeof *array);
  for (uint32_t i = 0; array && i < count; i++) array[i] = NAN;
  return array;
}

static void keep_largest(double *slot, double value) {
  if (isnan(*slot) || value > *slot) *slot = value;
}

static int lag_add(struct series *series, enum series_lag lag, uint16_t host, uint64_t time_ns,
                   double value, struct error *err) {
  uint32_t index = axis_index(&series->axis, time_ns);
  if (index == UINT32_MAX || host >= series->host_count || !isfinite(value)) return 0;
  double **slot = &series->lag[lag][host];
  if (!*slot) *slot = nan_array(series->axis.count);
  if (!*slot) return error_set(err, STATUS_MEMORY, "no memory for the lag of a host");
  keep_largest(&(*slot)[index], value);
  return 0;
}

static int step_add(struct builder *builder, enum probe_step step, const struct sample *sample,
                    struct error *err) {
  struct series *series = builder->series;
  uint32_t index = axis_index(&series->axis, sample->time_ns);
  if (index == UINT32_MAX || !isfinite(sample->value) || sample->value < 0) return 0;
  if (!series->steps[step]) series->steps[step] = nan_array(series->axis.count);
  if (!series->steps[step]) return error_set(err, STATUS_MEMORY, "no memory for connection times");
  keep_largest(&series->steps[step][index], sample->value);
  enum series_period period =
      in_fault(builder->result, sample->time_ns) ? PERIOD_FAULT : PERIOD_CALM;
  double ns = fmin(sample->value * (double)NS_PER_S, 9e18);
  return histogram_at(&series->step_times[step][period], (uint64_t)ns, err);
}

static void code_add(struct series *series, const struct operation *operation,
                     enum series_class class) {
  for (uint32_t i = 0; i < series->code_count; i++) {
    struct series_code *code = &series->codes[i];
    if (code->code == operation->code && code->class == class &&
        code->outcome == operation->outcome) {
      code->count++;
      code->last_ns = operation->done_ns;
      return;
    }
  }
  if (series->code_count == SERIES_CODES_MAX) {
    series->codes_beyond++;
    return;
  }
  series->codes[series->code_count++] = (struct series_code){.code = operation->code,
                                                             .class = (uint8_t) class,
                                                             .outcome = operation->outcome,
                                                             .count = 1,
                                                             .first_ns = operation->done_ns,
                                                             .last_ns = operation->done_ns};
}

static int load_add(struct builder *builder, const struct operation *operation,
                    enum series_class class, struct error *err) {
  struct series *series = builder->series;
  if (operation->route != ROUTE_PRIMARY || operation->outcome >= OUTCOME_COUNT) return 0;
  uint32_t index = axis_index(&series->axis, operation->scheduled_ns);
  if (index == UINT32_MAX) return 0;
  series->counts[index].outcomes[class][operation->outcome]++;
  if (operation->outcome != OUTCOME_OK) {
    code_add(series, operation, class);
    return 0;
  }
  uint64_t latency_ns = operation->done_ns > operation->scheduled_ns
                            ? operation->done_ns - operation->scheduled_ns
                            : 0;
  if (latency_ns > series_late_ns(&builder->result->info)) series->counts[index].late[class]++;
  uint32_t column = axis_index(&series->columns, operation->scheduled_ns);
  if (column == UINT32_MAX) return 0;
  int status = histogram_at(&series->latency[class][column], latency_ns, err);
  if (status == 0) status = histogram_at(&series->latency_total[class], latency_ns, err);
  return status;
}

static int heartbeat_add(struct builder *builder, const struct operation *operation,
                         struct error *err) {
  struct series *series = builder->series;
  if (operation->outcome != OUTCOME_OK || operation->host == HOST_NONE) return 0;
  uint16_t set = operation_set(&builder->result->info, operation);
  size_t index = (size_t)set * WORKLOADS_MAX + operation->workload;
  if (index >= series->pulse_count) return 0;
  struct series_pulse *pulse = &series->pulses[index];
  if (operation->kind == OPERATION_HEARTBEAT_WRITE) {
    if (!pulse->beats) pulse->beats = beats_new();
    if (!pulse->beats) return error_set(err, STATUS_MEMORY, "no memory for heartbeats");
    pulse->primary = operation->host;
    return beats_written(pulse->beats, operation->sequence, operation->done_ns, err);
  }
  /* The primary has no lag. */
  if (!pulse->beats || operation->host == pulse->primary) return 0;
  double age_s = beats_age_s(pulse->beats, operation->value, operation->sent_ns);
  return lag_add(series, LAG_HEARTBEAT, operation->host, operation->sent_ns, age_s, err);
}

static int operation_add(struct builder *builder, const struct operation *operation,
                         struct error *err) {
  struct series *series = builder->series;
  series->operations++;
  /* A record is input: a kind that this version does not know is none of these. */
  if (operation->kind == OPERATION_WRITE) {
    return load_add(builder, operation, SERIES_WRITES, err);
  }
  if (operation_is_read(operation)) {
    return load_add(builder, operation, SERIES_READS, err);
  }
  if (operation->kind == OPERATION_HEARTBEAT_WRITE || operation->kind == OPERATION_HEARTBEAT_READ) {
    return heartbeat_add(builder, operation, err);
  }
  return 0;
}

static int sample_add(struct builder *builder, const struct sample *sample, struct error *err) {
  struct series *series = builder->series;
  series->samples++;
  if (sample->metric == METRIC_LAG_BYTES) {
    return lag_add(series, LAG_BYTES, sample->host, sample->time_ns, sample->value, err);
  }
  if (sample->metric == METRIC_LAG_SECONDS) {
    return lag_add(series, LAG_SECONDS, sample->host, sample->time_ns, sample->value, err);
  }
  if (sample->metric >= METRIC_PROBE_RESOLVE && sample->metric <= METRIC_PROBE_WRITE) {
    return step_add(builder, (enum probe_step)(sample->metric - METRIC_PROBE_RESOLVE), sample, err);
  }
  return 0;
}

static int event_add(struct series *series, const struct event *event, struct error *err) {
  series->events++;
  if (event->kind != EVENT_WARNING) return 0;
  series->warnings_total++;
  if (series->warning_count == SERIES_WARNINGS_MAX) return 0;
  struct series_warning *warning = &series->warnings[series->warning_count];
  warning->time_ns = event->time_ns;
  warning->text = strndup(event->text, sizeof event->text);
  if (!warning->text) return error_set(err, STATUS_MEMORY, "no memory for a warning");
  series->warning_count++;
  return 0;
}

static int visit_item(void *data, const struct record_item *item, struct error *err) {
  struct builder *builder = data;
  if (item->operation) return operation_add(builder, item->operation, err);
  if (item->sample) return sample_add(builder, item->sample, err);
  if (item->event) return event_add(builder->series, item->event, err);
  return 0;
}

static int series_alloc(struct series *series, const struct record_info *info, struct error *err) {
  uint64_t begin_ns, span_ns;
  axis_of_run(info, &begin_ns, &span_ns);
  /* A second, or less where that would leave only few intervals. */
  uint64_t smallest_ns = span_ns < 5 * NS_PER_S    ? 100 * NS_PER_MS
                         : span_ns < 30 * NS_PER_S ? 500 * NS_PER_MS
                                                   : NS_PER_S;
  series->axis = axis_choose(begin_ns, span_ns, smallest_ns, SERIES_INTERVALS_MAX);
  axis_join_end(&series->axis);
  series->columns = axis_choose(begin_ns, span_ns, series->axis.step_ns, SERIES_COLUMNS_MAX);
  series->host_count = info->host_count;
  series->counts = calloc(series->axis.count, sizeof *series->counts);
  bool complete = series->counts != NULL;
  for (int i = 0; i < SERIES_CLASS_COUNT; i++) {
    series->latency[i] = calloc(series->columns.count, sizeof(struct histogram *));
    complete = complete && series->latency[i];
  }
  for (int i = 0; i < LAG_COUNT; i++) {
    series->lag[i] = calloc((size_t)info->host_count + 1, sizeof *series->lag[i]);
    complete = complete && series->lag[i];
  }
  uint32_t sets = info->set_count > 1 ? info->set_count : 1;
  series->pulses = calloc((size_t)sets * WORKLOADS_MAX, sizeof *series->pulses);
  if (series->pulses) series->pulse_count = sets * WORKLOADS_MAX;
  if (!complete || !series->pulses) {
    return error_set(err, STATUS_MEMORY, "no memory for the plots' data");
  }
  return 0;
}

int series_build(const struct report_input *input, struct series *ret_series, struct error *err) {
  struct series series = {.host_count = 0};
  int status = series_alloc(&series, &input->result->info, err);
  struct builder builder = {.result = input->result, .series = &series};
  if (status == 0) {
    status = input->visit(input->record, WANTS_OPERATIONS | WANTS_SAMPLES | WANTS_EVENTS,
                          visit_item, &builder, err);
  }
  if (status != 0) {
    series_release(&series);
    return status;
  }
  *ret_series = series;
  return 0;
}

int series_warnings(const struct report_input *input, struct series *ret_series,
                    struct error *err) {
  struct series series = {.host_count = 0};
  struct builder builder = {.result = input->result, .series = &series};
  int status = input->visit(input->record, WANTS_EVENTS, visit_item, &builder, err);
  if (status != 0) {
    series_release(&series);
    return status;
  }
  *ret_series = series;
  return 0;
}

void series_release(struct series *series) {
  if (!series) return;
  for (int i = 0; i < SERIES_CLASS_COUNT; i++) {
    for (uint32_t j = 0; series->latency[i] && j < series->columns.count; j++) {
      free(series->latency[i][j]);
    }
    free(series->latency[i]);
    free(series->latency_total[i]);
  }
  for (int i = 0; i < LAG_COUNT; i++) {
    for (uint32_t j = 0; series->lag[i] && j < series->host_count; j++) free(series->lag[i][j]);
    free(series->lag[i]);
  }
  for (int i = 0; i < PROBE_STEP_COUNT; i++) {
    free(series->steps[i]);
    for (int j = 0; j < PERIOD_COUNT; j++) free(series->step_times[i][j]);
  }
  for (uint32_t i = 0; i < series->warning_count; i++) free(series->warnings[i].text);
  free(series->counts);
  for (uint32_t i = 0; i < series->pulse_count; i++) beats_free(series->pulses[i].beats);
  free(series->pulses);
  *series = (struct series){.host_count = 0};
}
