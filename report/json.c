/* Writer `json`: result.json, for programs. Described by docs/result.schema.json; the same record
 * always gives the same bytes. A value that is not known is null, and the reason stands beside it
 * under the same name in `reasons`. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "report/bounds.h"
#include "report/escape.h"
#include "report/facts.h"
#include "report/output.h"
#include "report/series.h"
#include "report/statistics.h"
#include "report/writers.h"

static void cleanup_json(json_t **json) {
  json_decref(*json);
}

/* Jansson takes NULL children and reports them, so that one check at the end finds any allocation
 * that failed: an object that lost a key is told by `*lost`. */
struct maker {
  bool lost;
};

static void put(struct maker *maker, json_t *object, const char *key, json_t *value) {
  if (json_object_set_new(object, key, value) != 0) maker->lost = true;
}

static void push(struct maker *maker, json_t *array, json_t *value) {
  if (json_array_append_new(array, value) != 0) maker->lost = true;
}

static json_t *text_json(const char *text) {
  if (!text) return json_null();
  CLEANUP(buf_release) struct buf plain;
  buf_init(&plain);
  escape_plain(&plain, text);
  return plain.failed ? NULL : json_string(plain.data);
}

static json_t *count_json(uint64_t count) {
  if (count <= INT64_MAX) return json_integer((json_int_t)count);
  char text[24]; /* beyond what JSON readers take as an integer */
  snprintf(text, sizeof text, "%" PRIu64, count);
  return json_string(text);
}

/* To the microsecond of the largest span, and no binary noise: 22.3, not 22.300000000000001. */
static json_t *number_json(double value) {
  if (!isfinite(value)) return json_null();
  if (value == floor(value) && fabs(value) < 9e15) return json_integer((json_int_t)value);
  return json_real(value);
}

static json_t *moment_json(uint64_t time_ns) {
  if (time_ns == TIME_NEVER) return json_null();
  return number_json((double)time_ns / (double)NS_PER_S);
}

static json_t *host_json(const struct run_result *result, uint8_t host) {
  return host < result->info.host_count ? text_json(result->info.hosts[host]) : json_null();
}

/* `key` gets the value, or null and the reason, in the words of facts_text(). */
static void put_measure(struct maker *maker, json_t *object, json_t *reasons, const char *key,
                        const struct measure *measure) {
  if (measure && measure->known && isfinite(measure->value)) {
    put(maker, object, key, number_json(measure->value));
  } else {
    char text[FACTS_TEXT_SIZE];
    facts_text(measure, text);
    put(maker, object, key, json_null());
    put(maker, reasons, key, text_json(text));
  }
}

static json_t *objectives_json(struct maker *maker, const struct run_result *result) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < result->objective_count; i++) {
    const struct objective_result *objective = &result->objectives[i];
    json_t *object = json_object();
    put(maker, object, "name", text_json(objective->name));
    put(maker, object, "statistic", text_json(objective->statistic));
    put(maker, object, "bound", text_json(objective->bound));
    put(maker, object, "unit", text_json(unit_name(objective->unit)));
    put(maker, object, "comparison", text_json(objective->at_least ? ">=" : "<="));
    put(maker, object, "bound_value", number_json(objective->bound_value));
    bool known = objective->known && isfinite(objective->measured);
    put(maker, object, "measured", known ? number_json(objective->measured) : json_null());
    put(maker, object, "verdict", text_json(verdict_name(objective->verdict)));
    const char *why = objective->why && *objective->why ? objective->why : NULL;
    if (!why && !known) why = "no reason was given";
    put(maker, object, "why", text_json(why));
    push(maker, array, object);
  }
  return array;
}

static void put_moment(struct maker *maker, json_t *object, json_t *reasons, const char *key,
                       uint64_t time_ns, const char *why) {
  put(maker, object, key, moment_json(time_ns));
  if (time_ns == TIME_NEVER) put(maker, reasons, key, text_json(why));
}

static json_t *fault_json(struct maker *maker, const struct run_result *result, uint32_t index) {
  const struct fault_info *fault = &result->info.faults[index];
  json_t *object = json_object(), *reasons = json_object();
  put(maker, object, "index", count_json(index));
  put(maker, object, "name", text_json(fault->name));
  put(maker, object, "injector", text_json(fault->injector));
  put(maker, object, "planned_step", json_boolean(fault->planned));
  put(maker, object, "target", text_json(fault->target));
  put(maker, object, "host", host_json(result, fault->host));
  if (fault->host == HOST_NONE) {
    put(maker, reasons, "host", text_json("the target was never resolved to a host"));
  }
  put_moment(maker, object, reasons, "planned_s", fault->planned_ns, "the record does not say");
  put_moment(maker, object, reasons, "injected_s", fault->injected_ns, "it was never injected");
  put_moment(maker, object, reasons, "confirmed_s", fault->confirmed_ns,
             "it was never seen in effect");
  const char *unhealed = fault->planned ? "a planned step has no heal" : "it was never healed";
  put_moment(maker, object, reasons, "healed_s", fault->healed_ns, unhealed);
  put_moment(maker, object, reasons, "heal_confirmed_s", fault->heal_confirmed_ns,
             fault->planned ? unhealed : "its heal was never seen in effect");
  for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
    char key[64];
    snprintf(key, sizeof key, "%s_s", phase_table[phase].measure);
    put_measure(maker, object, reasons, key, facts_phase(result, index, phase));
  }
  put(maker, object, "reasons", reasons);
  return object;
}

static json_t *faults_json(struct maker *maker, const struct run_result *result) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < result->info.fault_count; i++) {
    push(maker, array, fault_json(maker, result, i));
  }
  return array;
}

static json_t *counts_json(struct maker *maker, const struct operation_counts *counts,
                           json_t *reasons) {
  json_t *object = json_object();
  put(maker, object, "scheduled", count_json(counts->scheduled));
  put(maker, object, "ok", count_json(counts->ok));
  put(maker, object, "fail", count_json(counts->fail));
  put(maker, object, "unknown", count_json(counts->unknown));
  put(maker, object, "skipped", count_json(counts->skipped));
  double ratio;
  bool known = facts_availability(counts, &ratio);
  put(maker, object, "availability", known ? number_json(ratio) : json_null());
  if (!known) put(maker, reasons, "availability", text_json("nothing was scheduled"));
  return object;
}

static json_t *writes_json(struct maker *maker, const struct run_result *result) {
  static const struct {
    const char *key, *measure;
  } data[] = {{"lost", "data_loss"},
              {"unknown_survived", "unknown_survived"},
              {"phantom", "phantom"},
              {"duplicate", "duplicate"},
              {"recovery_point_s", "recovery_point"}};
  json_t *reasons = json_object();
  json_t *object = counts_json(maker, &result->writes, reasons);
  for (size_t i = 0; i < sizeof data / sizeof data[0]; i++) {
    put_measure(maker, object, reasons, data[i].key, facts_worst(result, data[i].measure));
  }
  put(maker, object, "reasons", reasons);
  return object;
}

static json_t *reads_json(struct maker *maker, const struct run_result *result) {
  json_t *reasons = json_object();
  json_t *object = counts_json(maker, &result->reads, reasons);
  put(maker, object, "reasons", reasons);
  return object;
}

struct interval_list {
  struct maker *maker;
  const struct run_result *result;
  json_t *array;
  bool hosts; /* with the hosts concerned */
};

static void interval_push(void *data, const struct interval *interval) {
  struct interval_list *list = data;
  json_t *object = json_object();
  put(list->maker, object, "begin_s", moment_json(interval->begin_ns));
  put(list->maker, object, "end_s", moment_json(interval->end_ns));
  put(list->maker, object, "duration_s", number_json(facts_span_s(list->result, interval)));
  put(list->maker, object, "open", json_boolean(interval->end_ns == TIME_NEVER));
  bool charged = interval->fault >= 0;
  put(list->maker, object, "fault", charged ? json_integer(interval->fault) : json_null());
  if (list->hosts) {
    put(list->maker, object, "host", host_json(list->result, interval->host));
    put(list->maker, object, "other_host", host_json(list->result, interval->other_host));
  }
  push(list->maker, list->array, object);
}

static json_t *intervals_json(struct maker *maker, const struct run_result *result,
                              const char *what, bool hosts) {
  struct interval_list list = {
      .maker = maker, .result = result, .array = json_array(), .hosts = hosts};
  facts_intervals(result, what, interval_push, &list);
  return list.array;
}

static json_t *outages_json(struct maker *maker, const struct run_result *result) {
  json_t *object = json_object();
  put(maker, object, "write", intervals_json(maker, result, "write_outage", false));
  put(maker, object, "read", intervals_json(maker, result, "read_outage", false));
  return object;
}

/* The worst of each statistic of one kind of lag: {"p99": 0.31, "max": 0.4}. */
static json_t *lag_kind_json(struct maker *maker, const struct run_result *result,
                             const char *name) {
  json_t *object = json_object(), *reasons = json_object();
  size_t length = strlen(name);
  for (uint32_t i = 0; i < result->finding_count; i++) {
    const struct finding *finding = &result->findings[i];
    for (uint32_t j = 0; j < finding->measure_count; j++) {
      const char *have = finding->measures[j].name;
      if (strncmp(have, name, length) != 0 || have[length] != '.') continue;
      const char *statistic = have + length + 1; /* "bytes.p99": of another kind */
      if (strchr(statistic, '.') || json_object_get(object, statistic)) continue;
      put_measure(maker, object, reasons, statistic, facts_worst(result, have));
    }
  }
  if (json_object_size(object) == 0) {
    json_decref(object);
    json_decref(reasons);
    return json_null();
  }
  put(maker, object, "reasons", reasons);
  return object;
}

static json_t *lag_json(struct maker *maker, const struct run_result *result) {
  static const struct {
    const char *key, *measure;
  } kinds[] = {{"bytes", "replication_lag.bytes"},
               {"seconds", "replication_lag.seconds"},
               {"heartbeat", "replication_lag"}};
  json_t *object = json_object(), *reasons = json_object();
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    json_t *kind = lag_kind_json(maker, result, kinds[i].measure);
    if (json_is_null(kind)) {
      put(maker, reasons, kinds[i].key, text_json("no checker measured it"));
    }
    put(maker, object, kinds[i].key, kind);
  }
  put(maker, object, "reasons", reasons);
  return object;
}

static json_t *measures_json(struct maker *maker, const struct run_result *result) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < result->finding_count; i++) {
    const struct finding *finding = &result->findings[i];
    for (uint32_t j = 0; j < finding->measure_count; j++) {
      const struct measure *measure = &finding->measures[j];
      bool known = measure->known && isfinite(measure->value);
      json_t *object = json_object();
      put(maker, object, "name", text_json(measure->name));
      put(maker, object, "unit", text_json(unit_name(measure->unit)));
      put(maker, object, "value", known ? number_json(measure->value) : json_null());
      put(maker, object, "fault", measure->fault >= 0 ? json_integer(measure->fault) : json_null());
      put(maker, object, "host", host_json(result, measure->host));
      put(maker, object, "why", known ? json_null() : text_json(facts_why(measure)));
      bool floor = !known && measure->floor && isfinite(measure->value);
      put(maker, object, "at_least", floor ? number_json(measure->value) : json_null());
      put(maker, object, "applies", json_boolean(known || !measure->not_applicable));
      put(maker, object, "checker",
          text_json(finding->checker ? finding->checker->plugin.name : NULL));
      push(maker, array, object);
    }
  }
  return array;
}

static json_t *findings_json(struct maker *maker, const struct run_result *result) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < result->finding_count; i++) {
    const struct finding *finding = &result->findings[i];
    json_t *object = json_object();
    put(maker, object, "checker",
        text_json(finding->checker ? finding->checker->plugin.name : NULL));
    put(maker, object, "verdict", text_json(verdict_name(finding->verdict)));
    put(maker, object, "why", text_json(finding->why));
    push(maker, array, object);
  }
  return array;
}

struct witness_list {
  struct maker *maker;
  json_t *array;
};

static void witness_push(void *data, const struct witness *witness, const struct checker *checker) {
  struct witness_list *list = data;
  json_t *object = json_object();
  put(list->maker, object, "what", text_json(witness->what));
  put(list->maker, object, "time_s", moment_json(witness->time_ns));
  put(list->maker, object, "text", text_json(witness->text));
  put(list->maker, object, "checker", text_json(checker ? checker->plugin.name : NULL));
  push(list->maker, list->array, object);
}

static json_t *witnesses_json(struct maker *maker, const struct run_result *result) {
  struct witness_list list = {.maker = maker, .array = json_array()};
  facts_witnesses(result, NULL, witness_push, &list);
  return list.array;
}

/* JSON that the servers gave, or null and the reason. */
static void put_embedded(struct maker *maker, json_t *root, json_t *reasons, const char *key,
                         const char *text) {
  json_t *value = recorded_json(text);
  if (!value) {
    const char *why = text ? RECORDED_UNREADABLE : "the record holds none";
    put(maker, reasons, key, text_json(why));
    value = json_null();
  }
  put(maker, root, key, value);
}

static json_t *repeats_json(struct maker *maker, const struct report_input *input) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < input->repeat_count; i++) {
    const struct run_result *result = &input->repeats[i];
    json_t *object = json_object();
    put(maker, object, "index", count_json(i));
    put(maker, object, "seed", count_json(result->seed));
    put(maker, object, "verdict", text_json(verdict_name(result->verdict)));
    put(maker, object, "why", text_json(result->why));
    put(maker, object, "trusted", json_boolean(result->trusted));
    put(maker, object, "duration_s", number_json(result->duration_s));
    put(maker, object, "objectives", objectives_json(maker, result));
    put(maker, object, "faults", faults_json(maker, result));
    put(maker, object, "writes", writes_json(maker, result));
    put(maker, object, "reads", reads_json(maker, result));
    put(maker, object, "outages", outages_json(maker, result));
    push(maker, array, object);
  }
  return array;
}

static int spreads_put(struct maker *maker, json_t *root, const struct report_input *input,
                       struct error *err) {
  CLEANUP(cleanup_json) json_t *object = json_object();
  for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
    struct spread spread;
    int status = spread_of_repeats(input, phase_table[phase].measure, &spread, err);
    if (status != 0) return status;
    bool any = spread.count > 0;
    json_t *one = json_object();
    put(maker, one, "count", count_json(spread.count));
    put(maker, one, "not_measured", count_json(spread.unknown));
    put(maker, one, "min", any ? number_json(spread.minimum) : json_null());
    put(maker, one, "median", any ? number_json(spread.median) : json_null());
    put(maker, one, "p95", any ? number_json(spread.p95) : json_null());
    put(maker, one, "max", any ? number_json(spread.maximum) : json_null());
    bool has = any && spread.has_interval;
    put(maker, one, "median_low95", has ? number_json(spread.low) : json_null());
    put(maker, one, "median_high95", has ? number_json(spread.high) : json_null());
    put(maker, object, phase_table[phase].measure, one);
  }
  put(maker, root, "distributions", json_incref(object));
  return 0;
}

static int warnings_put(struct maker *maker, json_t *root, const struct report_input *input,
                        struct error *err) {
  CLEANUP(series_release) struct series series = {.warning_count = 0};
  int status = series_warnings(input, &series, err);
  if (status != 0) return status;
  json_t *array = json_array();
  for (uint32_t i = 0; i < series.warning_count; i++) {
    json_t *object = json_object();
    put(maker, object, "time_s", moment_json(series.warnings[i].time_ns));
    put(maker, object, "text", text_json(series.warnings[i].text));
    push(maker, array, object);
  }
  put(maker, root, "warnings", array);
  put(maker, root, "warnings_total", count_json(series.warnings_total));
  return 0;
}

static void head_put(struct maker *maker, json_t *root, const struct run_result *result) {
  char when[32];
  clock_format_wall(result->wall_start_ns, when);
  put(maker, root, "schema", text_json("gameday/result/v1"));
  put(maker, root, "scenario", text_json(result->scenario));
  put(maker, root, "scenario_file", text_json(result->scenario_file));
  put(maker, root, "provider", text_json(result->provider));
  put(maker, root, "seed", count_json(result->seed));
  put(maker, root, "started_at", text_json(when));
  put(maker, root, "duration_s", number_json(result->duration_s));
  put(maker, root, "measured_from_s", moment_json(result->info.load_begin_ns));
  put(maker, root, "measured_to_s", moment_json(result->info.load_end_ns));
  put(maker, root, "verdict", text_json(verdict_name(result->verdict)));
  put(maker, root, "why", text_json(result->why));
  put(maker, root, "trusted", json_boolean(result->trusted));
}

static int json_write(const struct report_input *input, struct error *err) {
  const struct run_result *result = input->result;
  struct maker maker = {.lost = false};
  CLEANUP(cleanup_json) json_t *root = json_object();
  head_put(&maker, root, result);
  put(&maker, root, "objectives", objectives_json(&maker, result));
  put(&maker, root, "faults", faults_json(&maker, result));
  put(&maker, root, "writes", writes_json(&maker, result));
  put(&maker, root, "reads", reads_json(&maker, result));
  put(&maker, root, "outages", outages_json(&maker, result));
  put(&maker, root, "brownouts", intervals_json(&maker, result, "brownout", false));
  put(&maker, root, "replication_lag", lag_json(&maker, result));
  put(&maker, root, "dual_primary", intervals_json(&maker, result, "dual_primary", true));
  put(&maker, root, "repeats", repeats_json(&maker, input));
  int status = spreads_put(&maker, root, input, err);
  if (status != 0) return status;
  put(&maker, root, "findings", findings_json(&maker, result));
  put(&maker, root, "measures", measures_json(&maker, result));
  put(&maker, root, "witnesses", witnesses_json(&maker, result));
  status = warnings_put(&maker, root, input, err);
  if (status != 0) return status;
  json_t *reasons = json_object();
  put_embedded(&maker, root, reasons, "settings", result->settings_json);
  put_embedded(&maker, root, reasons, "versions", result->versions_json);
  put(&maker, root, "reasons", reasons);
  char *text = maker.lost ? NULL : json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
  if (!text) return error_set(err, STATUS_MEMORY, "no memory for result.json");
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  buf_puts(&content, text);
  buf_putc(&content, '\n');
  free(text);
  return output_write(input, report_json.file, &content, err);
}

const struct report report_json = {
    .plugin = {.name = "json", .summary = "The result for programs (gameday/result/v1)"},
    .file = "result.json",
    .write = json_write,
};
