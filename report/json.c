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
#include "report/json_parts.h"
#include "report/output.h"
#include "report/series.h"
#include "report/statistics.h"
#include "report/writers.h"

static json_t *host_json(const struct run_result *result, uint16_t host) {
  return host < result->info.host_count ? text_json(result->info.hosts[host]) : json_null();
}

/* `key` gets the value, or null and the reason, in the words of facts_text(). */
static void put_measure(struct maker *maker, json_t *object, json_t *reasons, const char *key,
                        const struct measure *measure) {
  if (measure && measure->known && isfinite(measure->value)) {
    maker_put(maker, object, key, number_json(measure->value));
  } else {
    char text[FACTS_TEXT_SIZE];
    facts_text(measure, text);
    maker_put(maker, object, key, json_null());
    maker_put(maker, reasons, key, text_json(text));
  }
}

static json_t *objectives_json(struct maker *maker, const struct run_result *result) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < result->objective_count; i++) {
    const struct objective_result *objective = &result->objectives[i];
    json_t *object = json_object();
    maker_put(maker, object, "name", text_json(objective->name));
    maker_put(maker, object, "statistic", text_json(objective->statistic));
    maker_put(maker, object, "bound", text_json(objective->bound));
    maker_put(maker, object, "unit", text_json(unit_name(objective->unit)));
    maker_put(maker, object, "comparison", text_json(objective->at_least ? ">=" : "<="));
    maker_put(maker, object, "bound_value", number_json(objective->bound_value));
    bool known = objective->known && isfinite(objective->measured);
    maker_put(maker, object, "measured", known ? number_json(objective->measured) : json_null());
    maker_put(maker, object, "verdict", text_json(verdict_name(objective->verdict)));
    const char *why = objective->why && *objective->why ? objective->why : NULL;
    if (!why && !known) why = "no reason was given";
    maker_put(maker, object, "why", text_json(why));
    maker_push(maker, array, object);
  }
  return array;
}

static void put_moment(struct maker *maker, json_t *object, json_t *reasons, const char *key,
                       uint64_t time_ns, const char *why) {
  maker_put(maker, object, key, moment_json(time_ns));
  if (time_ns == TIME_NEVER) maker_put(maker, reasons, key, text_json(why));
}

static json_t *fault_json(struct maker *maker, const struct run_result *result, uint32_t index) {
  const struct fault_info *fault = &result->info.faults[index];
  json_t *object = json_object(), *reasons = json_object();
  maker_put(maker, object, "index", count_json(index));
  maker_put(maker, object, "name", text_json(fault->name));
  maker_put(maker, object, "injector", text_json(fault->injector));
  maker_put(maker, object, "planned_step", json_boolean(fault->planned));
  maker_put(maker, object, "target", text_json(fault->target));
  maker_put(maker, object, "host", host_json(result, fault->host));
  if (fault->host == HOST_NONE) {
    maker_put(maker, reasons, "host", text_json("the target was never resolved to a host"));
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
  maker_put(maker, object, "reasons", reasons);
  return object;
}

static json_t *faults_json(struct maker *maker, const struct run_result *result) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < result->info.fault_count; i++) {
    maker_push(maker, array, fault_json(maker, result, i));
  }
  return array;
}

static json_t *counts_json(struct maker *maker, const struct operation_counts *counts,
                           json_t *reasons) {
  json_t *object = json_object();
  maker_put(maker, object, "counts_of", text_json(LOAD_POPULATION));
  maker_put(maker, object, "scheduled", count_json(counts->scheduled));
  maker_put(maker, object, "ok", count_json(counts->ok));
  maker_put(maker, object, "fail", count_json(counts->fail));
  maker_put(maker, object, "unknown", count_json(counts->unknown));
  maker_put(maker, object, "skipped", count_json(counts->skipped));
  double ratio;
  bool known = facts_availability(counts, &ratio);
  maker_put(maker, object, "availability", known ? number_json(ratio) : json_null());
  if (!known) maker_put(maker, reasons, "availability", text_json("nothing was scheduled"));
  return object;
}

/* The counts are of other clients than what became of the rows: each says of whom it is, and each
 * number that may be divided by another has its like. */
static json_t *writes_json(struct maker *maker, const struct run_result *result) {
  static const struct {
    const char *key, *measure;
  } data[] = {{"lost_primary", "data_loss.primary"},
              {"lost", "data_loss"},
              {"loss_ratio", "loss_ratio"},
              {"unknown_survived", "unknown_survived"},
              {"phantom", "phantom"},
              {"duplicate", "duplicate"},
              {"recovery_point_s", "recovery_point"}};
  json_t *reasons = json_object();
  json_t *object = counts_json(maker, &result->writes, reasons);
  maker_put(maker, object, "rows_of", text_json(DATA_POPULATION));
  for (size_t i = 0; i < sizeof data / sizeof data[0]; i++) {
    struct measure worst;
    put_measure(maker, object, reasons, data[i].key, facts_worst(result, data[i].measure, &worst));
  }
  maker_put(maker, object, "reasons", reasons);
  return object;
}

static json_t *reads_json(struct maker *maker, const struct run_result *result) {
  json_t *reasons = json_object();
  json_t *object = counts_json(maker, &result->reads, reasons);
  maker_put(maker, object, "reasons", reasons);
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
  maker_put(list->maker, object, "begin_s", moment_json(interval->begin_ns));
  maker_put(list->maker, object, "end_s", moment_json(interval->end_ns));
  maker_put(list->maker, object, "duration_s", number_json(facts_span_s(list->result, interval)));
  maker_put(list->maker, object, "open", json_boolean(interval->end_ns == TIME_NEVER));
  bool charged = interval->fault >= 0;
  maker_put(list->maker, object, "fault", charged ? json_integer(interval->fault) : json_null());
  if (interval->of) maker_put(list->maker, object, "of", text_json(interval->of));
  if (list->hosts) {
    maker_put(list->maker, object, "host", host_json(list->result, interval->host));
    maker_put(list->maker, object, "other_host", host_json(list->result, interval->other_host));
  }
  maker_push(list->maker, list->array, object);
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
  maker_put(maker, object, "write", intervals_json(maker, result, "write_outage", false));
  maker_put(maker, object, "read", intervals_json(maker, result, "read_outage", false));
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
      struct measure worst;
      put_measure(maker, object, reasons, statistic, facts_worst(result, have, &worst));
    }
  }
  if (json_object_size(object) == 0) {
    json_decref(object);
    json_decref(reasons);
    return json_null();
  }
  maker_put(maker, object, "reasons", reasons);
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
      maker_put(maker, reasons, kinds[i].key, text_json("no checker measured it"));
    }
    maker_put(maker, object, kinds[i].key, kind);
  }
  maker_put(maker, object, "reasons", reasons);
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
      maker_put(maker, object, "name", text_json(measure->name));
      maker_put(maker, object, "unit", text_json(unit_name(measure->unit)));
      maker_put(maker, object, "value", known ? number_json(measure->value) : json_null());
      maker_put(maker, object, "fault",
                measure->fault >= 0 ? json_integer(measure->fault) : json_null());
      maker_put(maker, object, "host", host_json(result, measure->host));
      maker_put(maker, object, "why", known ? json_null() : text_json(facts_why(measure)));
      bool floor = !known && measure->floor && isfinite(measure->value);
      maker_put(maker, object, "at_least", floor ? number_json(measure->value) : json_null());
      maker_put(maker, object, "applies", json_boolean(known || !measure->not_applicable));
      maker_put(maker, object, "checker",
                text_json(finding->checker ? finding->checker->plugin.name : NULL));
      maker_push(maker, array, object);
    }
  }
  return array;
}

static json_t *findings_json(struct maker *maker, const struct run_result *result) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < result->finding_count; i++) {
    const struct finding *finding = &result->findings[i];
    json_t *object = json_object();
    maker_put(maker, object, "checker",
              text_json(finding->checker ? finding->checker->plugin.name : NULL));
    maker_put(maker, object, "verdict", text_json(verdict_name(finding->verdict)));
    maker_put(maker, object, "why", text_json(finding->why));
    maker_push(maker, array, object);
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
  maker_put(list->maker, object, "what", text_json(witness->what));
  maker_put(list->maker, object, "time_s", moment_json(witness->time_ns));
  maker_put(list->maker, object, "text", text_json(witness->text));
  maker_put(list->maker, object, "checker", text_json(checker ? checker->plugin.name : NULL));
  maker_push(list->maker, list->array, object);
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
    maker_put(maker, reasons, key, text_json(why));
    value = json_null();
  }
  maker_put(maker, root, key, value);
}

static json_t *repeats_json(struct maker *maker, const struct report_input *input) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < input->repeat_count; i++) {
    const struct run_result *result = &input->repeats[i];
    json_t *object = json_object();
    maker_put(maker, object, "index", count_json(i));
    maker_put(maker, object, "repeat", count_json(result->repeat));
    maker_put(maker, object, "seed", count_json(result->seed));
    maker_put(maker, object, "verdict", text_json(verdict_name(result->verdict)));
    maker_put(maker, object, "why", text_json(result->why));
    maker_put(maker, object, "trusted", json_boolean(result->trusted));
    maker_put(maker, object, "duration_s", number_json(result->duration_s));
    maker_put(maker, object, "objectives", objectives_json(maker, result));
    maker_put(maker, object, "faults", faults_json(maker, result));
    maker_put(maker, object, "writes", writes_json(maker, result));
    maker_put(maker, object, "reads", reads_json(maker, result));
    maker_put(maker, object, "outages", outages_json(maker, result));
    maker_push(maker, array, object);
  }
  return array;
}

struct spread_list {
  struct maker *maker;
  json_t *object;
};

static void spread_put(void *data, const struct phase_info *phase, const struct spread *spread) {
  const struct spread_list *list = data;
  struct maker *maker = list->maker;
  bool any = spread->count > 0;
  json_t *one = json_object();
  maker_put(maker, one, "count", count_json(spread->count));
  maker_put(maker, one, "not_measured", count_json(spread->unknown));
  maker_put(maker, one, "min", any ? number_json(spread->minimum) : json_null());
  maker_put(maker, one, "median", any ? number_json(spread->median) : json_null());
  maker_put(maker, one, "p95", any ? number_json(spread->p95) : json_null());
  maker_put(maker, one, "max", any ? number_json(spread->maximum) : json_null());
  bool has = any && spread->has_interval;
  maker_put(maker, one, "median_low95", has ? number_json(spread->low) : json_null());
  maker_put(maker, one, "median_high95", has ? number_json(spread->high) : json_null());
  maker_put(maker, list->object, phase->measure, one);
}

static int spreads_put(struct maker *maker, json_t *root, const struct report_input *input,
                       struct error *err) {
  CLEANUP(cleanup_json) json_t *object = json_object();
  struct spread_list list = {.maker = maker, .object = object};
  int status = spread_phases(input, spread_put, &list, err);
  if (status != 0) return status;
  maker_put(maker, root, "distributions", json_incref(object));
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
    maker_put(maker, object, "time_s", moment_json(series.warnings[i].time_ns));
    maker_put(maker, object, "text", text_json(series.warnings[i].text));
    maker_push(maker, array, object);
  }
  maker_put(maker, root, "warnings", array);
  maker_put(maker, root, "warnings_total", count_json(series.warnings_total));
  return 0;
}

static void head_put(struct maker *maker, json_t *root, const struct run_result *result) {
  char when[32];
  clock_format_wall(result->wall_start_ns, when);
  maker_put(maker, root, "schema", text_json("gameday/result/v1"));
  maker_put(maker, root, "scenario", text_json(result->scenario));
  maker_put(maker, root, "scenario_file", text_json(result->scenario_file));
  maker_put(maker, root, "provider", text_json(result->provider));
  maker_put(maker, root, "seed", count_json(result->seed));
  maker_put(maker, root, "started_at", text_json(when));
  maker_put(maker, root, "duration_s", number_json(result->duration_s));
  maker_put(maker, root, "measured_from_s", moment_json(result->info.load_begin_ns));
  maker_put(maker, root, "measured_to_s", moment_json(result->info.load_end_ns));
  maker_put(maker, root, "verdict", text_json(verdict_name(result->verdict)));
  maker_put(maker, root, "why", text_json(result->why));
  maker_put(maker, root, "trusted", json_boolean(result->trusted));
}

static int json_write(const struct report_input *input, struct error *err) {
  const struct run_result *result = input->result;
  struct maker maker = {.lost = false};
  CLEANUP(cleanup_json) json_t *root = json_object();
  head_put(&maker, root, result);
  maker_put(&maker, root, "objectives", objectives_json(&maker, result));
  maker_put(&maker, root, "faults", faults_json(&maker, result));
  maker_put(&maker, root, "writes", writes_json(&maker, result));
  maker_put(&maker, root, "reads", reads_json(&maker, result));
  maker_put(&maker, root, "outages", outages_json(&maker, result));
  maker_put(&maker, root, "brownouts", intervals_json(&maker, result, "brownout", false));
  maker_put(&maker, root, "replication_lag", lag_json(&maker, result));
  maker_put(&maker, root, "dual_primary", intervals_json(&maker, result, "dual_primary", true));
  maker_put(&maker, root, "repeats", repeats_json(&maker, input));
  int status = spreads_put(&maker, root, input, err);
  if (status != 0) return status;
  maker_put(&maker, root, "findings", findings_json(&maker, result));
  maker_put(&maker, root, "measures", measures_json(&maker, result));
  maker_put(&maker, root, "witnesses", witnesses_json(&maker, result));
  status = warnings_put(&maker, root, input, err);
  if (status != 0) return status;
  json_t *reasons = json_object();
  put_embedded(&maker, root, reasons, "settings", result->settings_json);
  put_embedded(&maker, root, reasons, "versions", result->versions_json);
  maker_put(&maker, root, "reasons", reasons);
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  status = maker_print(&maker, root, &content, err);
  if (status != 0) return status;
  return output_write(input, report_json.file, &content, err);
}

const struct report report_json = {
    .plugin = {.name = "json", .summary = "The result for programs (gameday/result/v1)"},
    .file = "result.json",
    .write = json_write,
};
