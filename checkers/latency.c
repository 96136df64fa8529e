/* Latency of what succeeded, from when it should have been sent and from when it was sent; the
 * steps of a fresh connection; and brownouts: operations succeed, but too slowly. */
#include <stdio.h>

#include "checkers.h"
#include "grid.h"
#include "measures.h"
#include "outage.h"

#define WINDOW_NS NS_PER_S
#define BOUND_DEFAULT_NS NS_PER_S

enum latency_kind {
  LATENCY_WRITE,
  LATENCY_WRITE_SENT,
  LATENCY_READ,
  LATENCY_READ_SENT,
  LATENCY_REPLICA_READ,
  LATENCY_PROBE,
  LATENCY_RESOLVE,
  LATENCY_CONNECT,
  LATENCY_AUTHENTICATE,
  LATENCY_FIRST_READ,
  LATENCY_FIRST_WRITE,
  LATENCY_KINDS,
};
static const struct latency_info {
  const char *name, *none;
} latency_infos[LATENCY_KINDS] = {
    [LATENCY_WRITE] = {"write_latency", "no write succeeded on the primary"},
    [LATENCY_WRITE_SENT] = {"write_latency.sent", "no write succeeded on the primary"},
    [LATENCY_READ] = {"read_latency", "no read succeeded on the primary"},
    [LATENCY_READ_SENT] = {"read_latency.sent", "no read succeeded on the primary"},
    [LATENCY_REPLICA_READ] = {"replica_read_latency", "no read succeeded on a replica"},
    [LATENCY_PROBE] = {"probe_latency", "no fresh-connection probe succeeded"},
    [LATENCY_RESOLVE] = {"probe_resolve", "no probe resolved a name"},
    [LATENCY_CONNECT] = {"probe_connect", "no probe connected"},
    [LATENCY_AUTHENTICATE] = {"probe_authenticate", "no probe authenticated"},
    [LATENCY_FIRST_READ] = {"probe_read", "no probe read"},
    [LATENCY_FIRST_WRITE] = {"probe_write", "no probe wrote"},
};

struct latency {
  const struct record_info *info;
  uint64_t bound_ns;
  struct histogram histograms[LATENCY_KINDS];
  struct grid windows; /* writes on the primary that succeeded, by scheduled second */
  struct outage_tracker outages;
  uint64_t writes;
};

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct latency *it = state;
  (void)err;
  it->info = info;
  it->bound_ns = info->latency_bound_ns ? info->latency_bound_ns : BOUND_DEFAULT_NS;
  for (int i = 0; i < LATENCY_KINDS; i++) histogram_init(&it->histograms[i]);
  grid_init(&it->windows, WINDOW_NS);
  outage_init(&it->outages, info, SET_NONE);
  return 0;
}

static int take_sample(struct latency *it, const struct sample *sample) {
  const struct record_info *info = it->info;
  if (sample->metric < METRIC_PROBE_RESOLVE || sample->metric > METRIC_PROBE_WRITE) return 0;
  if (info->load_begin_ns == TIME_NEVER || sample->time_ns < info->load_begin_ns ||
      sample->time_ns >= info->load_end_ns)
    return 0;
  double value = sample->value * (double)NS_PER_S;
  if (value >= 0 && value < 9e18)
    histogram_add(&it->histograms[LATENCY_RESOLVE + sample->metric - METRIC_PROBE_RESOLVE],
                  (uint64_t)value);
  return 0;
}

static int take_write(struct latency *it, const struct operation *operation, struct error *err) {
  int status = outage_operation(&it->outages, operation, err);
  if (status < 0 || !is_measured(it->info, operation)) return status;
  it->writes++;
  if (operation->outcome != OUTCOME_OK) return 0;
  struct grid_cell *window = grid_cell(&it->windows, operation->scheduled_ns, err);
  if (!window) return STATUS_MEMORY;
  window->ok++;
  if (difference_ns(operation->done_ns, operation->scheduled_ns) > it->bound_ns) window->slow++;
  return 0;
}

static void add_both(struct latency *it, const struct operation *operation,
                     enum latency_kind scheduled, enum latency_kind sent) {
  histogram_add(&it->histograms[scheduled],
                difference_ns(operation->done_ns, operation->scheduled_ns));
  histogram_add(&it->histograms[sent], difference_ns(operation->done_ns, operation->sent_ns));
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct latency *it = state;
  if (item->sample) return take_sample(it, item->sample);
  const struct operation *operation = item->operation;
  bool primary = operation->route == ROUTE_PRIMARY;
  bool read = operation_is_read(operation);
  if (operation->kind == OPERATION_WRITE && primary) {
    int status = take_write(it, operation, err);
    if (status < 0) return status;
  }
  if (!is_measured(it->info, operation) || operation->outcome != OUTCOME_OK) return 0;
  uint64_t total_ns = difference_ns(operation->done_ns, operation->scheduled_ns);
  if (operation->kind == OPERATION_WRITE && primary)
    add_both(it, operation, LATENCY_WRITE, LATENCY_WRITE_SENT);
  else if (read && primary)
    add_both(it, operation, LATENCY_READ, LATENCY_READ_SENT);
  else if (read)
    histogram_add(&it->histograms[LATENCY_REPLICA_READ], total_ns);
  else if (operation->kind == OPERATION_PROBE)
    histogram_add(&it->histograms[LATENCY_PROBE], total_ns);
  return 0;
}

/* --- brownouts ------------------------------------------------------------------------------- */

/* Whether the 99th percentile (nearest rank) of the window is above the bound. */
static bool is_slow(const struct grid_cell *window) {
  if (!window || window->ok == 0) return false;
  uint64_t rank = ((uint64_t)window->ok * 99 + 99) / 100;
  return window->ok - window->slow < rank;
}

struct brownouts {
  struct finding *finding;
  uint64_t sum_ns;
  struct interval open; /* end_ns 0: none */
};

static int close_interval(struct brownouts *brownouts, struct error *err) {
  if (brownouts->open.end_ns == 0) return 0;
  int status = finding_interval(brownouts->finding, &brownouts->open, err);
  if (status == 0)
    status = witness_add(brownouts->finding, "brownout", brownouts->open.begin_ns, err,
                         "between %.3f s and %.3f s writes succeeded, but more than one in a "
                         "hundred took longer than the bound",
                         seconds_of(brownouts->open.begin_ns), seconds_of(brownouts->open.end_ns));
  brownouts->open.end_ns = 0;
  return status;
}

static int add_piece(struct brownouts *brownouts, uint64_t begin_ns, uint64_t end_ns,
                     struct error *err) {
  if (end_ns <= begin_ns) return 0;
  brownouts->sum_ns += end_ns - begin_ns;
  if (brownouts->open.end_ns == begin_ns) {
    brownouts->open.end_ns = end_ns;
    return 0;
  }
  int status = close_interval(brownouts, err);
  brownouts->open = (struct interval){.what = "brownout",
                                      .begin_ns = begin_ns,
                                      .end_ns = end_ns,
                                      .fault = FAULT_NONE,
                                      .host = HOST_NONE,
                                      .other_host = HOST_NONE};
  return status;
}

/* The slow window less the outages in it: an outage is no brownout. */
static int add_window(const struct latency *it, struct brownouts *brownouts, uint64_t begin_ns,
                      uint64_t end_ns, struct error *err) {
  int status = 0;
  for (uint32_t i = 0; i < it->outages.count && status == 0; i++) {
    const struct outage *outage = &it->outages.outages[i];
    if (outage->end_ns <= begin_ns) continue;
    if (outage->begin_ns >= end_ns) break;
    status = add_piece(brownouts, begin_ns, outage->begin_ns, err);
    begin_ns = outage->end_ns < end_ns ? outage->end_ns : end_ns;
  }
  return status < 0 ? status : add_piece(brownouts, begin_ns, end_ns, err);
}

static int give_brownouts(struct latency *it, struct finding *finding, struct error *err) {
  if (it->writes == 0)
    return measure_none(finding, "brownout", UNIT_DURATION, FAULT_NONE,
                        "no writes were scheduled on the primary in the measured time", err);
  struct brownouts brownouts = {.finding = finding};
  const struct record_info *info = it->info;
  int status = outage_finish(&it->outages, err);
  uint64_t first = info->load_begin_ns / WINDOW_NS, last = info->load_end_ns / WINDOW_NS;
  for (uint64_t window = first; window <= last && status == 0; window++) {
    if (!is_slow(grid_look(&it->windows, window))) continue;
    uint64_t begin_ns = window * WINDOW_NS, end_ns = begin_ns + WINDOW_NS;
    if (begin_ns < info->load_begin_ns) begin_ns = info->load_begin_ns;
    if (end_ns > info->load_end_ns) end_ns = info->load_end_ns;
    status = add_window(it, &brownouts, begin_ns, end_ns, err);
  }
  if (status == 0) status = close_interval(&brownouts, err);
  if (status < 0) return status;
  return measure_known(finding, "brownout", UNIT_DURATION, seconds_of(brownouts.sum_ns), FAULT_NONE,
                       err);
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct latency *it = state;
  int status = 0;
  for (int i = 0; i < LATENCY_KINDS && status == 0; i++)
    status = measure_quantiles(finding, latency_infos[i].name, quantiles_all, UNIT_DURATION,
                               &it->histograms[i], 1e9, HOST_NONE, latency_infos[i].none, err);
  return status < 0 ? status : give_brownouts(it, finding, err);
}

static void release(void *state) {
  struct latency *it = state;
  grid_release(&it->windows);
  outage_release(&it->outages);
}

#define QUANTILES(name) name ".p50", name ".p95", name ".p99", name ".p999", name ".max"
static const char *const measures[] = {QUANTILES("write_latency"),
                                       QUANTILES("write_latency.sent"),
                                       QUANTILES("read_latency"),
                                       QUANTILES("read_latency.sent"),
                                       QUANTILES("replica_read_latency"),
                                       QUANTILES("probe_latency"),
                                       QUANTILES("probe_resolve"),
                                       QUANTILES("probe_connect"),
                                       QUANTILES("probe_authenticate"),
                                       QUANTILES("probe_read"),
                                       QUANTILES("probe_write"),
                                       "brownout",
                                       NULL};

const struct checker checker_latency = {
    .plugin = {.name = "latency",
               .summary = "Latency of successes, steps of fresh connections, brownouts",
               .state_size = sizeof(struct latency)},
    .wants = WANTS_OPERATIONS | WANTS_SAMPLES,
    .measures = measures,
    .begin = begin,
    .item = item,
    .finish = finish,
    .release = release,
};
