/* The load under failing allocations; and that it makes none once it has begun. */
#include "engine/load_group.h"
#include "support/fake_driver.h"
#include "support/virtual_time.h"
#include "torture/allocations.h"
#include "workload/pg_client.h"
#include "workload/pg_ledger.h"

struct bench {
  struct virtual_time time;
  struct workload_env env;
  struct load_roster roster;
  struct load_group group;
  _Atomic uint32_t identities;
  struct sink sink;
  uint64_t operations;
  bool ready, drained, stopped;
};

static void ignore_event(struct sink *sink, const struct event *event) {
  (void)sink;
  (void)event;
}
static void ignore_sample(struct sink *sink, const struct sample *sample) {
  (void)sink;
  (void)sample;
}
static void count(void *data, const struct operation *operation) {
  (void)operation;
  ((struct bench *)data)->operations++;
}
static void is_ready(void *data) {
  ((struct bench *)data)->ready = true;
}
static void is_drained(void *data) {
  ((struct bench *)data)->drained = true;
}
static void is_stopped(void *data) {
  ((struct bench *)data)->stopped = true;
}

static int make(struct bench *bench, struct error *err) {
  int status = load_roster_init(&bench->roster, &bench->env, 1, err);
  if (status < 0) return status;
  bench->identities = bench->roster.client_count;
  bench->sink = (struct sink){.event = ignore_event, .sample = ignore_sample};
  struct load_group_spec spec = {.roster = &bench->roster,
                                 .first = 0,
                                 .step = 1,
                                 .loop = bench->time.loop,
                                 .seed = 1,
                                 .sink = &bench->sink,
                                 .record = count,
                                 .record_data = bench,
                                 .identities = &bench->identities,
                                 .ready = is_ready,
                                 .drained = is_drained,
                                 .stopped = is_stopped,
                                 .data = bench};
  status = load_group_init(&bench->group, &spec, err);
  if (status < 0) load_roster_release(&bench->roster);
  return status;
}

static int attempt_load(void *data, struct error *err) {
  struct bench *bench = data;
  int status = make(bench, err);
  if (status < 0) return status;
  load_group_release(&bench->group);
  load_roster_release(&bench->roster);
  return 0;
}

static void test_making_the_clients_survives_each_failure(void **state) {
  (void)state;
  const struct endpoint endpoints[2] = {{.host = 0, .name = "pg1", .address = "127.0.0.1"},
                                        {.host = 1, .name = "pg2", .address = "127.0.0.1"}};
  const struct access access = {.driver = &driver_pg, .endpoints = endpoints, .endpoint_count = 2};
  const struct pg_ledger_config config = {
      .rate = 100,
      .clients = 3,
      .payload = 10,
      .options = {.operation_timeout_ns = NS_PER_S, .pipeline_depth = 4},
      .pinned_rate = 1,
      .replica_rate = 1,
      .heartbeat_ns = NS_PER_S,
      .probe_interval_ns = NS_PER_S};
  struct bench bench = {
      .env = {.workload = &workload_pg_ledger, .config = &config, .access = &access}};
  virtual_time_begin(&bench.time);
  fail_each_allocation(attempt_load, &bench);
  virtual_time_release(&bench.time);
}

static void run_for(struct bench *bench, uint64_t duration_ns) {
  virtual_time_run(&bench->time, bench->time.now_ns + duration_ns, NULL);
}

static void test_no_allocation_after_the_beginning(void **state) {
  (void)state;
  struct fake_database database = {.connect_ns = NS_PER_MS, .service_ns = NS_PER_MS};
  struct access access;
  fake_access_init(&access, &database);
  const struct fake_config config = {
      .options = {.operation_timeout_ns = NS_PER_S,
                  .reconnect_delay_ns = 10 * NS_PER_MS,
                  .pipeline_depth = 4},
      .classes = {{.name = "writer", .count = 4, .rate = 1000, .host = HOST_NONE},
                  {.name = "probe", .count = 1, .rate = 10, .host = HOST_NONE, .fresh = true}},
      .payload = 100};
  struct error err = ERROR_INIT;
  struct bench bench = {.env = {.workload = &fake_workload, .config = &config, .access = &access}};
  virtual_time_begin(&bench.time);
  assert_ok(make(&bench, &err), &err);
  load_group_connect(&bench.group);
  virtual_time_run(&bench.time, bench.time.now_ns + NS_PER_S, &bench.ready);
  load_group_begin(&bench.group, bench.time.now_ns);
  const long allowed = 1000000;
  allocations_left = allowed;
  run_for(&bench, 5 * NS_PER_S);
  database.stalled = database.down = true; /* outages too */
  run_for(&bench, 5 * NS_PER_S);
  database.stalled = database.down = false;
  run_for(&bench, 5 * NS_PER_S);
  assert_int_equal(allocations_left, allowed);
  allocations_left = -1;
  assert_true(bench.operations > 10000);
  load_group_stop(&bench.group, NS_PER_S);
  run_for(&bench, 2 * NS_PER_S);
  assert_true(bench.stopped);
  load_group_release(&bench.group);
  load_roster_release(&bench.roster);
  virtual_time_release(&bench.time);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_making_the_clients_survives_each_failure),
      cmocka_unit_test(test_no_allocation_after_the_beginning),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
