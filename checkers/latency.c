/* Latency of what succeeded, from when it should have been sent and from when it was sent; the
 * steps of a fresh connection; and brownouts: operations succeed, but too slowly. Of several
 * services each is looked at by itself, so that the quick answers of one do not hide the slow ones
 * of another, and the worst is given. */
#include <stdio.h>
#include <stdlib.h>

#include "checkers.h"
#include "grid.h"
#include "measures.h"
#include "outage.h"
#include "sets.h"

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

struct service_latency {
  struct histogram histograms[LATENCY_KINDS];
  struct grid windows; /* writes on the primary that succeeded, by scheduled second */
  struct outage_tracker outages;
};
struct latency {
  const struct record_info *info;
  uint64_t bound_ns;
  uint64_t writes;
  struct service_latency *services; /* by index */
};

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct latency *it = state;
  it->bound_ns = info->latency_bound_ns ? info->latency_bound_ns : BOUND_DEFAULT_NS;
  it->services = calloc(service_count_of(info), sizeof *it->services);
  if (!it->services) return error_set(err, STATUS_MEMORY, "out of memory for latencies");
  it->info = info;
  for (uint32_t s = 0; s < service_count_of(info); s++) {
    struct service_latency *service = &it->services[s];
    for (int i = 0; i < LATENCY_KINDS; i++) histogram_init(&service->histograms[i]);
    grid_init(&service->windows, WINDOW_NS);
    outage_init(&service->outages, info, SET_NONE);
  }
  return 0;
}

static struct service_latency *service_of_host(const struct latency *it, uint16_t host) {
  const struct record_info *info = it->info;
  bool known = host < info->host_count && info->host_services[host] < info->service_count;
  return &it->services[known ? info->host_services[host] : 0];
}

static int take_sample(struct latency *it, const struct sample *sample) {
  const struct record_info *info = it->info;
  if (sample->metric < METRIC_PROBE_RESOLVE || sample->metric > METRIC_PROBE_WRITE) return 0;
  if (info->load_begin_ns == TIME_NEVER || sample->time_ns < info->load_begin_ns ||
      sample->time_ns >= info->load_end_ns)
    return 0;
  struct histogram *histograms = service_of_host(it, sample->host)->histograms;
  double value = sample->value * (double)NS_PER_S;
  if (value >= 0 && value < 9e18)
    histogram_add(&histograms[LATENCY_RESOLVE + sample->metric - METRIC_PROBE_RESOLVE],
                  (uint64_t)value);
  return 0;
}

static int take_write(struct latency *it, struct service_latency *service,
                      const struct operation *operation, struct error *err) {
  int status = outage_operation(&service->outages, operation, err);
  if (status < 0 || !is_measured(it->info, operation)) return status;
  it->writes++;
  if (operation->outcome != OUTCOME_OK) return 0;
  struct grid_cell *window = grid_cell(&service->windows, operation->scheduled_ns, err);
  if (!window) return STATUS_MEMORY;
  window->ok++;
  if (difference_ns(operation->done_ns, operation->scheduled_ns) > it->bound_ns) window->slow++;
  return 0;
}

static void add_both(struct histogram *histograms, const struct operation *operation,
                     enum latency_kind scheduled, enum latency_kind sent) {
  histogram_add(&histograms[scheduled], difference_ns(operation->done_ns, operation->scheduled_ns));
  histogram_add(&histograms[sent], difference_ns(operation->done_ns, operation->sent_ns));
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct latency *it = state;
  if (item->sample) return take_sample(it, item->sample);
  const struct operation *operation = item->operation;
  struct service_latency *service = &it->services[operation_service(it->info, operation)];
  struct histogram *histograms = service->histograms;
  bool primary = operation->route == ROUTE_PRIMARY;
  bool read = operation_is_read(operation);
  if (operation->kind == OPERATION_WRITE && primary) {
    int status = take_write(it, service, operation, err);
    if (status < 0) return status;
  }
  if (!is_measured(it->info, operation) || operation->outcome != OUTCOME_OK) return 0;
  uint64_t total_ns = difference_ns(operation->done_ns, operation->scheduled_ns);
  if (operation->kind == OPERATION_WRITE && primary)
    add_both(histograms, operation, LATENCY_WRITE, LATENCY_WRITE_SENT);
  else if (read && primary)
    add_both(histograms, operation, LATENCY_READ, LATENCY_READ_SENT);
  else if (read)
    histogram_add(&histograms[LATENCY_REPLICA_READ], total_ns);
  else if (operation->kind == OPERATION_PROBE)
    histogram_add(&histograms[LATENCY_PROBE], total_ns);
  return 0;
}

/* --- brownouts ------------------------------------------------------------------------------- */

/* Whether the 99th percentile (nearest rank) of the window is above the bound. */
static bool is_slow(const struct grid_cell *window) {
  if (!window || window->ok == 0) return false;
  uint64_t rank = ((uint64_t)window->ok * 99 + 99) / 100;
  return window->ok - window->slow < rank;
}

/* Pieces of time in which a service was slow. */
struct piece {
  uint64_t begin_ns, end_ns;
};
struct pieces {
  struct piece *items;
  uint32_t count, capacity;
};

static int add_piece(struct pieces *pieces, uint64_t begin_ns, uint64_t end_ns, struct error *err) {
  if (end_ns <= begin_ns) return 0;
  if (pieces->count == pieces->capacity) {
    uint32_t capacity = pieces->capacity ? pieces->capacity * 2 : 64;
    struct piece *larger = realloc(pieces->items, capacity * sizeof *larger);
    if (!larger) return error_set(err, STATUS_MEMORY, "out of memory for brownouts");
    pieces->items = larger;
    pieces->capacity = capacity;
  }
  pieces->items[pieces->count++] = (struct piece){.begin_ns = begin_ns, .end_ns = end_ns};
  return 0;
}

/* The slow window less the outages in it: an outage is no brownout. */
static int add_window(const struct outage_tracker *outages, struct pieces *pieces,
                      uint64_t begin_ns, uint64_t end_ns, struct error *err) {
  int status = 0;
  for (uint32_t i = 0; i < outages->count && status == 0; i++) {
    const struct outage *outage = &outages->outages[i];
    if (outage->end_ns <= begin_ns) continue;
    if (outage->begin_ns >= end_ns) break;
    status = add_piece(pieces, begin_ns, outage->begin_ns, err);
    begin_ns = outage->end_ns < end_ns ? outage->end_ns : end_ns;
  }
  return status < 0 ? status : add_piece(pieces, begin_ns, end_ns, err);
}

static int add_service(const struct latency *it, struct service_latency *service,
                       struct pieces *pieces, struct error *err) {
  const struct record_info *info = it->info;
  int status = outage_finish(&service->outages, err);
  uint64_t first = info->load_begin_ns / WINDOW_NS, last = info->load_end_ns / WINDOW_NS;
  for (uint64_t window = first; window <= last && status == 0; window++) {
    if (!is_slow(grid_look(&service->windows, window))) continue;
    uint64_t begin_ns = window * WINDOW_NS, end_ns = begin_ns + WINDOW_NS;
    if (begin_ns < info->load_begin_ns) begin_ns = info->load_begin_ns;
    if (end_ns > info->load_end_ns) end_ns = info->load_end_ns;
    status = add_window(&service->outages, pieces, begin_ns, end_ns, err);
  }
  return status;
}

static int compare_pieces(const void *left, const void *right) {
  const struct piece *a = left, *b = right;
  return a->begin_ns < b->begin_ns ? -1 : a->begin_ns > b->begin_ns;
}

/* Pieces that meet, or overlap because they are of several services, are one. */
static void unite(struct pieces *pieces) {
  if (pieces->count == 0) return;
  qsort(pieces->items, pieces->count, sizeof *pieces->items, compare_pieces);
  struct piece *last = pieces->items;
  for (uint32_t i = 1; i < pieces->count; i++) {
    const struct piece *piece = &pieces->items[i];
    if (piece->begin_ns > last->end_ns)
      *++last = *piece;
    else if (piece->end_ns > last->end_ns)
      last->end_ns = piece->end_ns;
  }
  pieces->count = (uint32_t)(last - pieces->items) + 1;
}

static int give_brownout(struct finding *finding, const struct piece *piece, struct error *err) {
  const struct interval interval = {.what = "brownout",
                                    .begin_ns = piece->begin_ns,
                                    .end_ns = piece->end_ns,
                                    .fault = FAULT_NONE,
                                    .host = HOST_NONE,
                                    .other_host = HOST_NONE};
  int status = finding_interval(finding, &interval, err);
  if (status < 0) return status;
  return witness_add(finding, "brownout", piece->begin_ns, err,
                     "between %.3f s and %.3f s writes succeeded, but more than one in a "
                     "hundred took longer than the bound",
                     seconds_of(piece->begin_ns), seconds_of(piece->end_ns));
}

static int give_brownouts(struct latency *it, struct finding *finding, struct error *err) {
  if (it->writes == 0)
    return measure_none(finding, "brownout", UNIT_DURATION, FAULT_NONE,
                        "no writes were scheduled on the primary in the measured time", err);
  struct pieces pieces = {.items = NULL};
  int status = 0;
  for (uint32_t s = 0; s < service_count_of(it->info) && status == 0; s++)
    status = add_service(it, &it->services[s], &pieces, err);
  unite(&pieces);
  uint64_t sum_ns = 0;
  for (uint32_t i = 0; i < pieces.count && status == 0; i++) {
    sum_ns += pieces.items[i].end_ns - pieces.items[i].begin_ns;
    status = give_brownout(finding, &pieces.items[i], err);
  }
  free(pieces.items);
  if (status < 0) return status;
  return measure_known(finding, "brownout", UNIT_DURATION, seconds_of(sum_ns), FAULT_NONE, err);
}

/* Each percentile is that of the service in which it is worst. */
static int give_quantiles(const struct latency *it, int kind, struct finding *finding,
                          struct error *err) {
  int status = 0;
  for (const struct quantile *quantile = quantiles_all; quantile->suffix && status == 0;
       quantile++) {
    const struct histogram *worst = &it->services[0].histograms[kind];
    for (uint32_t s = 1; s < service_count_of(it->info); s++) {
      const struct histogram *other = &it->services[s].histograms[kind];
      if (quantile_of(other, quantile) > quantile_of(worst, quantile)) worst = other;
    }
    const struct quantile one[] = {*quantile, {.suffix = NULL}};
    status = measure_quantiles(finding, latency_infos[kind].name, one, UNIT_DURATION, worst, 1e9,
                               HOST_NONE, latency_infos[kind].none, err);
  }
  return status;
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct latency *it = state;
  int status = 0;
  for (int i = 0; i < LATENCY_KINDS && status == 0; i++)
    status = give_quantiles(it, i, finding, err);
  return status < 0 ? status : give_brownouts(it, finding, err);
}

static void release(void *state) {
  struct latency *it = state;
  for (uint32_t s = 0; it->services && s < service_count_of(it->info); s++) {
    grid_release(&it->services[s].windows);
    outage_release(&it->services[s].outages);
  }
  free(it->services);
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
