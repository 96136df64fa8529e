/* Replication lag, three ways: bytes and replay time as the servers report them, and end to end by
 * heartbeats. They are different things and are never mixed. */
#include <stdio.h>
#include <stdlib.h>

#include "checkers.h"
#include "heartbeats.h"
#include "measures.h"
#include "sets.h"

#define PULSES_A_SET WORKLOADS_MAX /* one a workload */

enum lag_kind { LAG_HEARTBEAT, LAG_BYTES, LAG_SECONDS, LAG_KINDS };

struct lag_info {
  const char *name;
  enum unit unit;
  double scale; /* of what the histogram counts */
  const char *none;
};
static const struct lag_info lag_infos[LAG_KINDS] = {
    [LAG_HEARTBEAT] = {"replication_lag", UNIT_DURATION, 1e9,
                       "no heartbeat was read on a replica in the measured time"},
    [LAG_BYTES] = {"replication_lag.bytes", UNIT_SIZE, 1,
                   "no server reported its lag in bytes in the measured time"},
    [LAG_SECONDS] = {"replication_lag.seconds", UNIT_DURATION, 1e9,
                     "no server reported its replay lag in the measured time"},
};

/* The heartbeat of one workload on one primary. */
struct pulse {
  struct heartbeats beats;
  uint16_t primary; /* who acknowledged the latest beat */
};
struct lag {
  const struct record_info *info;
  struct pulse *pulses;        /* by workload, then by set of hosts: each shard has its own */
  uint64_t sent_ns[HOSTS_MAX]; /* by host: of the last read that counted */
  struct histogram *hosts[LAG_KINDS][HOSTS_MAX];
  struct histogram all[LAG_KINDS];
};

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct lag *it = state;
  it->info = info;
  it->pulses = calloc((size_t)PULSES_A_SET * set_count_of(info), sizeof *it->pulses);
  if (!it->pulses) return error_set(err, STATUS_MEMORY, "out of memory for heartbeats");
  for (size_t i = 0; i < (size_t)PULSES_A_SET * set_count_of(info); i++)
    it->pulses[i].primary = HOST_NONE;
  for (int i = 0; i < LAG_KINDS; i++) histogram_init(&it->all[i]);
  return 0;
}

static int add(struct lag *it, enum lag_kind kind, uint16_t host, uint64_t value,
               struct error *err) {
  histogram_add(&it->all[kind], value);
  if (host >= it->info->host_count) return 0; /* of no single host */
  struct histogram **histogram = &it->hosts[kind][host];
  if (!*histogram) {
    *histogram = malloc(sizeof **histogram);
    if (!*histogram) return error_set(err, STATUS_MEMORY, "out of memory for a histogram");
    histogram_init(*histogram);
  }
  histogram_add(*histogram, value);
  return 0;
}

static int take_operation(struct lag *it, const struct operation *operation, struct error *err) {
  if (operation->outcome != OUTCOME_OK || operation->host == HOST_NONE) return 0;
  uint16_t set = operation_set(it->info, operation);
  if (set == SET_NONE) return 0;
  struct pulse *pulse = &it->pulses[(size_t)set * PULSES_A_SET + operation->workload];
  struct heartbeats *beats = &pulse->beats;
  if (operation->kind == OPERATION_HEARTBEAT_WRITE) {
    pulse->primary = operation->host;
    return heartbeats_written(beats, operation->sequence, operation->done_ns, err);
  }
  if (operation->kind != OPERATION_HEARTBEAT_READ || !is_measured(it->info, operation)) return 0;
  /* The primary has no lag; its zeros would hide the replicas'. */
  if (operation->host == pulse->primary || beats->count == 0) return 0;
  /* What waited already when the last one was sent tells of the same moment: a reader that was cut
   * off for long catches up in no time, and that moment would count a hundred times. */
  uint64_t *sent_ns = &it->sent_ns[operation->host];
  if (operation->scheduled_ns < *sent_ns) return 0;
  *sent_ns = operation->sent_ns;
  return add(it, LAG_HEARTBEAT, operation->host,
             heartbeats_age_ns(beats, operation->value, operation->sent_ns), err);
}

static int take_sample(struct lag *it, const struct sample *sample, struct error *err) {
  const struct record_info *info = it->info;
  if (sample->metric != METRIC_LAG_BYTES && sample->metric != METRIC_LAG_SECONDS) return 0;
  if (info->load_begin_ns == TIME_NEVER || sample->time_ns < info->load_begin_ns ||
      sample->time_ns >= info->load_end_ns)
    return 0;
  enum lag_kind kind = sample->metric == METRIC_LAG_BYTES ? LAG_BYTES : LAG_SECONDS;
  double value = sample->value * lag_infos[kind].scale;
  if (!(value >= 0 && value < 9e18)) return 0; /* no lag: a server's slip */
  return add(it, kind, sample->host, (uint64_t)value, err);
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct lag *it = state;
  return item->operation ? take_operation(it, item->operation, err)
                         : take_sample(it, item->sample, err);
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct lag *it = state;
  int status = 0;
  for (int kind = 0; kind < LAG_KINDS && status == 0; kind++) {
    const struct lag_info *lag = &lag_infos[kind];
    status = measure_quantiles(finding, lag->name, quantiles_four, lag->unit, &it->all[kind],
                               lag->scale, HOST_NONE, lag->none, err);
    for (uint32_t h = 0; h < it->info->host_count && status == 0; h++)
      if (it->hosts[kind][h])
        status = measure_quantiles(finding, lag->name, quantiles_four, lag->unit,
                                   it->hosts[kind][h], lag->scale, (uint16_t)h, lag->none, err);
  }
  return status;
}

static void release(void *state) {
  struct lag *it = state;
  for (size_t i = 0; it->pulses && i < (size_t)PULSES_A_SET * set_count_of(it->info); i++)
    heartbeats_release(&it->pulses[i].beats);
  free(it->pulses);
  for (int i = 0; i < HOSTS_MAX; i++) {
    for (int kind = 0; kind < LAG_KINDS; kind++) free(it->hosts[kind][i]);
  }
}

static const char *const measures[] = {"replication_lag.p50",
                                       "replication_lag.p95",
                                       "replication_lag.p99",
                                       "replication_lag.max",
                                       "replication_lag.bytes.p50",
                                       "replication_lag.bytes.p95",
                                       "replication_lag.bytes.p99",
                                       "replication_lag.bytes.max",
                                       "replication_lag.seconds.p50",
                                       "replication_lag.seconds.p95",
                                       "replication_lag.seconds.p99",
                                       "replication_lag.seconds.max",
                                       NULL};

const struct checker checker_lag = {
    .plugin = {.name = "lag",
               .summary = "Replication lag: by heartbeat, in bytes, and as replay time",
               .state_size = sizeof(struct lag)},
    .wants = WANTS_OPERATIONS | WANTS_SAMPLES,
    .measures = measures,
    .begin = begin,
    .item = item,
    .finish = finish,
    .release = release,
};
