/* Questions that every writer asks of a result. */
#include "report/facts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

const struct phase_info phase_table[PHASE_COUNT] = {
    [PHASE_DETECTED] = {.measure = "detection_time",
                        .label = "detected",
                        .meaning = "the cluster's manager treats the primary as gone"},
    [PHASE_PROMOTED] = {.measure = "promotion_time",
                        .label = "promoted",
                        .meaning = "a host answers as a writable primary"},
    [PHASE_WRITTEN] = {.measure = "failover_time",
                       .label = "writes back",
                       .meaning = "first acknowledged write of a sustained recovery"},
    [PHASE_CLIENTS] = {.measure = "client_recovery_time",
                       .label = "clients back",
                       .meaning = "the same for clients that have to find the primary first"},
    [PHASE_REDUNDANT] = {.measure = "time_to_full_redundancy",
                         .label = "full redundancy",
                         .meaning = "all replicas stream again under the lag bound"},
};

const struct measure *facts_host_measure(const struct run_result *result, const char *name,
                                         int32_t fault, uint16_t host) {
  for (uint32_t i = 0; i < result->finding_count; i++) {
    const struct finding *finding = &result->findings[i];
    for (uint32_t j = 0; j < finding->measure_count; j++) {
      const struct measure *measure = &finding->measures[j];
      if (measure->fault == fault && measure->host == host && strcmp(measure->name, name) == 0) {
        return measure;
      }
    }
  }
  return NULL;
}

const struct measure *facts_measure(const struct run_result *result, const char *name,
                                    int32_t fault) {
  return facts_host_measure(result, name, fault, HOST_NONE);
}

/* A floor counts as its value: the truth is no better. */
static bool has_value(const struct measure *measure) {
  return measure->known || measure->floor;
}

/* What more of a run can only make larger. (What became of rows is not known without its end, and
 * a percentile may fall.) */
static bool only_grows(const char *name) {
  static const char *const names[] = {"dual_primary", "dual_primary.writes", "stale_own_reads"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(names[i], name) == 0) return true;
  return false;
}

const struct measure *facts_worst(const struct run_result *result, const char *name,
                                  struct measure *ret) {
  const struct measure *largest = NULL, *unknown = NULL, *none = NULL;
  for (uint32_t i = 0; i < result->finding_count; i++) {
    const struct finding *finding = &result->findings[i];
    for (uint32_t j = 0; j < finding->measure_count; j++) {
      const struct measure *measure = &finding->measures[j];
      if (strcmp(measure->name, name) != 0) continue;
      if (has_value(measure) && (!largest || measure->value > largest->value)) largest = measure;
      if (measure->known) continue;
      if (measure->not_applicable && !none) none = measure;
      if (!measure->not_applicable && !unknown) unknown = measure;
    }
  }
  if (!largest) return unknown ? unknown : none;
  bool broke_off = !result->info.complete && only_grows(name);
  if ((!unknown && !broke_off) || !largest->known) return largest;
  *ret = *largest; /* what is not known may be worse */
  ret->known = false;
  ret->floor = true;
  ret->why = unknown ? unknown->why : "the record is incomplete";
  return ret;
}

const struct measure *facts_phase(const struct run_result *result, uint32_t fault,
                                  enum phase phase) {
  return facts_measure(result, phase_table[phase].measure, (int32_t)fault);
}

uint64_t facts_phase_ns(const struct run_result *result, uint32_t fault, enum phase phase) {
  const struct measure *measure = facts_phase(result, fault, phase);
  uint64_t confirmed_ns = result->info.faults[fault].confirmed_ns;
  if (!measure || !measure->known || confirmed_ns == TIME_NEVER) return TIME_NEVER;
  double time_ns = (double)confirmed_ns + measure->value * (double)NS_PER_S;
  return time_ns >= 0 && time_ns < 9e18 ? (uint64_t)time_ns : TIME_NEVER;
}

const char *facts_why(const struct measure *measure) {
  if (!measure) return "no checker measured it";
  return measure->why && *measure->why ? measure->why : "no reason was given";
}

void facts_text(const struct measure *measure, char text[FACTS_TEXT_SIZE]) {
  char value[FORMAT_SIZE];
  if (measure && has_value(measure)) {
    format_value(measure->value, measure->unit, value);
    if (measure->known) {
      snprintf(text, FACTS_TEXT_SIZE, "%s", value);
    } else {
      snprintf(text, FACTS_TEXT_SIZE, "at least %s: %.190s", value, facts_why(measure));
    }
  } else if (measure && measure->not_applicable) {
    snprintf(text, FACTS_TEXT_SIZE, "does not apply: %.200s", facts_why(measure));
  } else {
    snprintf(text, FACTS_TEXT_SIZE, "not measured: %.200s", facts_why(measure));
  }
}

size_t facts_intervals(const struct run_result *result, const char *what, facts_interval *each,
                       void *data) {
  size_t count = 0;
  for (uint32_t i = 0; i < result->finding_count; i++) {
    const struct finding *finding = &result->findings[i];
    for (uint32_t j = 0; j < finding->interval_count; j++) {
      if (strcmp(finding->intervals[j].what, what) != 0) continue;
      if (each) each(data, &finding->intervals[j]);
      count++;
    }
  }
  return count;
}

struct longest {
  const struct run_result *result;
  size_t max, count;
  const struct interval *kept[FACTS_LONGEST_MAX]; /* the longest first; of equals the first */
};

static void keep_longest(void *data, const struct interval *interval) {
  struct longest *longest = data;
  double span_s = facts_span_s(longest->result, interval);
  size_t at = longest->count;
  while (at > 0 && facts_span_s(longest->result, longest->kept[at - 1]) < span_s) at--;
  if (at >= longest->max) return;
  if (longest->count < longest->max) longest->count++;
  memmove(&longest->kept[at + 1], &longest->kept[at],
          (longest->count - 1 - at) * sizeof longest->kept[0]);
  longest->kept[at] = interval;
}

static int by_begin(const void *left, const void *right) {
  const struct interval *const *a = left, *const *b = right;
  return ((*a)->begin_ns > (*b)->begin_ns) - ((*a)->begin_ns < (*b)->begin_ns);
}

size_t facts_longest(const struct run_result *result, const char *what, size_t max,
                     facts_interval *each, void *data) {
  struct longest longest = {.result = result, .max = max};
  assert(max <= FACTS_LONGEST_MAX);
  size_t total = facts_intervals(result, what, keep_longest, &longest);
  qsort(longest.kept, longest.count, sizeof longest.kept[0], by_begin);
  for (size_t i = 0; i < longest.count; i++) each(data, longest.kept[i]);
  return total;
}

bool facts_none(const struct run_result *result, const char *what, int32_t fault,
                char text[FACTS_TEXT_SIZE]) {
  const struct measure *measure = facts_measure(result, what, fault);
  if (!measure) measure = facts_measure(result, what, FAULT_NONE);
  facts_text(measure, text);
  return measure && measure->known;
}

size_t facts_witnesses(const struct run_result *result, const char *what, facts_witness *each,
                       void *data) {
  size_t count = 0;
  for (uint32_t i = 0; i < result->finding_count; i++) {
    const struct finding *finding = &result->findings[i];
    for (uint32_t j = 0; j < finding->witness_count; j++) {
      if (what && strcmp(finding->witnesses[j].what, what) != 0) continue;
      if (each) each(data, &finding->witnesses[j], finding->checker);
      count++;
    }
  }
  return count;
}

static uint64_t begin_of(const struct run_result *result, uint32_t fault) {
  const struct fault_info *info = &result->info.faults[fault];
  if (info->injected_ns != TIME_NEVER) return info->injected_ns;
  return info->confirmed_ns != TIME_NEVER ? info->confirmed_ns : info->planned_ns;
}

uint32_t facts_faults(const struct run_result *result, uint32_t max, uint32_t *ret_faults) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < result->info.fault_count; i++) {
    uint32_t at = count;
    while (at > 0 && begin_of(result, ret_faults[at - 1]) > begin_of(result, i)) at--;
    if (at >= max) continue;
    if (count < max) count++;
    memmove(&ret_faults[at + 1], &ret_faults[at], (count - 1 - at) * sizeof *ret_faults);
    ret_faults[at] = i;
  }
  return count;
}

const char *facts_host(const struct run_result *result, uint16_t host) {
  return host < result->info.host_count ? result->info.hosts[host] : "-";
}

const char *facts_fault(const struct run_result *result, int32_t fault) {
  if (fault < 0 || (uint32_t)fault >= result->info.fault_count) return "-";
  const struct fault_info *info = &result->info.faults[fault];
  if (info->name && *info->name) return info->name;
  return info->injector ? info->injector : "-";
}

double facts_span_s(const struct run_result *result, const struct interval *interval) {
  uint64_t end_ns = interval->end_ns;
  if (end_ns == TIME_NEVER) end_ns = result->info.load_end_ns;
  if (end_ns == TIME_NEVER) end_ns = result->info.end_ns;
  if (end_ns <= interval->begin_ns) return 0.0;
  return (double)(end_ns - interval->begin_ns) / (double)NS_PER_S;
}

bool facts_availability(const struct operation_counts *counts, double *ret_ratio) {
  if (counts->scheduled == 0) return false;
  *ret_ratio = (double)counts->ok / (double)counts->scheduled;
  return true;
}

/* SQLSTATEs: https://www.postgresql.org/docs/15/errcodes-appendix.html */
const char *facts_code_meaning(const char code[6]) {
  static const struct {
    const char *code, *meaning;
  } table[] = {
      {CODE_NO_CONNECTION, "no connection until the operation's deadline"},
      {CODE_TIMEOUT, "sent, no answer until the deadline"},
      {CODE_CONNECTION_LOST, "the connection broke after the send"},
      {CODE_QUEUE_FULL, "the client was still busy with earlier operations"},
      {CODE_LOAD_ENDED, "the load was ended before its turn came"},
      {CODE_READ_ONLY, "the server is read-only (not the primary)"},
      {"08001", "the connection could not be made"},
      {"08003", "the connection does not exist"},
      {"08006", "the connection failed"},
      {"28000", "the server refused the login"},
      {"28P01", "wrong password"},
      {"3D000", "no such database"},
      {"40001", "serialization failure"},
      {"40P01", "deadlock"},
      {"42P01", "no such table"},
      {"53100", "the server's disk is full"},
      {"53200", "the server is out of memory"},
      {"53300", "too many connections"},
      {"55000", "the server is not in the state for it"},
      {"57014", "cancelled, or a statement timeout"},
      {"57P01", "the server was shut down"},
      {"57P02", "the server crashed"},
      {"57P03", "the server is starting, stopping or recovering"},
      {"58030", "input or output error on the server"},
      {"XX000", "internal error of the server"},
      {"XX001", "corrupt data on the server"},
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    if (strcmp(table[i].code, code) == 0) return table[i].meaning;
  }
  return "";
}
