/* The load alone against one server, as fast as it goes: what load.sh compares with pgbench, and
 * redis.sh with redis-benchmark. All recording is on. Prints one line: operations, seconds,
 * operations a second, what was not ok. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/load.h"
#include "gameday/drivers.h"
#include "workload/pg_ledger.h"
#include "workload/redis_ledger.h"

#define START_TIMEOUT_NS (30 * NS_PER_S)
#define RING_COUNT (1u << 16)
#define PAYLOAD 128

struct bench {
  uint32_t clients, workers;
  uint64_t duration_ns;
  const char *directory;
  struct endpoint endpoint;
  struct access access;
  struct pg_ledger_config postgres;
  struct redis_ledger_config redis;
  struct workload workload; /* with one class that saturates */
  struct workload_env env;
};

/* One class: writers that send as soon as they may. `append` is the statement that they use: on the
 * bench there is nothing else for it to be prepared for. */
static void saturate(struct client_class *class, uint32_t clients, uint32_t append) {
  *class = (struct client_class){.name = "writer",
                                 .count = clients,
                                 .route = ROUTE_PRIMARY,
                                 .host = HOST_NONE,
                                 .uses = UINT32_C(1) << append,
                                 .saturate = true};
}

static int postgres_class(const struct workload_env *env, struct client_class *ret_classes,
                          uint32_t max, uint32_t *ret_count, struct error *err) {
  const struct pg_ledger_config *config = env->config;
  (void)max;
  (void)err;
  saturate(&ret_classes[0], config->common.clients, PG_LEDGER_APPEND);
  *ret_count = 1;
  return 0;
}

static int redis_class(const struct workload_env *env, struct client_class *ret_classes,
                       uint32_t max, uint32_t *ret_count, struct error *err) {
  const struct redis_ledger_config *config = env->config;
  (void)max;
  (void)err;
  saturate(&ret_classes[0], config->common.clients, REDIS_LEDGER_APPEND);
  *ret_count = 1;
  return 0;
}

static int run_load(struct bench *bench, struct recorder *recorder, uint64_t start_ns,
                    struct load_totals *ret_totals, struct error *err) {
  bench->env.sink = recorder_sink(recorder);
  struct load_spec spec = {.workers = bench->workers,
                           .envs = &bench->env,
                           .env_count = 1,
                           .recorder = recorder,
                           .sink = bench->env.sink,
                           .clock = &clock_monotonic,
                           .start_ns = start_ns,
                           .seed = 1};
  struct load *load = NULL;
  int status = load_start(&spec, clock_now_ns(&clock_monotonic) + START_TIMEOUT_NS, &load, err);
  if (status < 0) return status;
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  load_begin(load, begin_ns);
  status = load_end(load, begin_ns + bench->duration_ns, err);
  int stopped = load_stop(load, status < 0 ? NULL : err);
  load_totals(load, ret_totals);
  load_free(load);
  return status < 0 ? status : stopped;
}

static int run(struct bench *bench, struct error *err) {
  struct recorder *recorder = NULL;
  struct load_totals totals = {0};
  struct recorder_totals recorded = {0};
  uint64_t start_ns = clock_now_ns(&clock_monotonic);
  int status = recorder_new(&(struct recorder_spec){.run_directory = bench->directory,
                                                    .clock = &clock_monotonic,
                                                    .start_ns = start_ns,
                                                    .wall_start_ns = clock_wall_ns(),
                                                    .producers = bench->workers,
                                                    .ring_count = RING_COUNT},
                            &recorder, err);
  if (status < 0) return status;
  status = run_load(bench, recorder, start_ns, &totals, err);
  int finished = recorder_finish(recorder, &recorded, status < 0 ? NULL : err);
  recorder_free(recorder);
  if (status == 0) status = finished;
  if (status < 0) return status;
  double seconds = (double)bench->duration_ns * 1e-9;
  printf("%" PRIu64 " %.3f %.1f fail=%" PRIu64 " unknown=%" PRIu64 " dropped=%" PRIu64 "\n",
         totals.ok, seconds, (double)totals.ok / seconds, totals.fail, totals.unknown,
         recorded.dropped);
  return 0;
}

static void make_workload(struct bench *bench, bool redis, uint32_t depth) {
  const struct client_options options = {.connect_timeout_ns = 10 * NS_PER_S,
                                         .operation_timeout_ns = 30 * NS_PER_S,
                                         .reconnect_delay_ns = 100 * NS_PER_MS,
                                         .pipeline_depth = depth};
  bench->postgres = (struct pg_ledger_config){
      .common.clients = bench->clients, .common.payload = PAYLOAD, .common.options = options};
  bench->redis = (struct redis_ledger_config){
      .common.clients = bench->clients, .common.payload = PAYLOAD, .common.options = options};
  bench->workload = redis ? workload_redis_ledger : workload_pg_ledger;
  bench->workload.classes = redis ? redis_class : postgres_class;
  bench->env = (struct workload_env){
      .workload = &bench->workload,
      .config = redis ? (const void *)&bench->redis : (const void *)&bench->postgres,
      .seed = 1,
      .access = &bench->access,
      .clock = &clock_monotonic};
}

int main(int argc, char **argv) {
  bool redis = argc > 1 && strcmp(argv[1], "redis") == 0;
  if ((argc != 8 && argc != 9) || (!redis && strcmp(argv[1], "postgres") != 0)) {
    fprintf(stderr,
            "usage: %s postgres|redis ADDRESS PORT CLIENTS WORKERS SECONDS DIRECTORY"
            " [PIPELINE_DEPTH]\n",
            argv[0]);
    return 2;
  }
  struct bench bench = {.clients = (uint32_t)strtoul(argv[4], NULL, 10),
                        .workers = (uint32_t)strtoul(argv[5], NULL, 10),
                        .duration_ns = (uint64_t)(strtod(argv[6], NULL) * 1e9),
                        .directory = argv[7]};
  bench.endpoint = (struct endpoint){
      .name = "server", .address = argv[2], .port = (uint16_t)strtoul(argv[3], NULL, 10)};
  bench.access = (struct access){.driver = redis ? &driver_redis : &driver_pg,
                                 .endpoints = &bench.endpoint,
                                 .endpoint_count = 1,
                                 .user = redis ? NULL : "gameday",
                                 .database = redis ? NULL : "postgres"};
  make_workload(&bench, redis, argc == 9 ? (uint32_t)strtoul(argv[8], NULL, 10) : 1);
  struct error err = ERROR_INIT;
  if (bench.clients == 0 || bench.workers == 0 || bench.duration_ns == 0) {
    fprintf(stderr, "CLIENTS, WORKERS and SECONDS are positive numbers\n");
    return 2;
  }
  int status = run(&bench, &err);
  if (status < 0) fprintf(stderr, "bench_load: %s\n", err.message);
  return status < 0 ? 1 : 0;
}
