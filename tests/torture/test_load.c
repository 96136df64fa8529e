/* The load under failing allocations; and that it makes none once it has begun. */
#include "support/load_bench.h"
#include "torture/making.h"
#include "workload/pg_client.h"
#include "workload/pg_ledger.h"

static void test_making_the_clients_survives_each_failure(void **state) {
  (void)state;
  const struct endpoint endpoints[2] = {{.host = 0, .name = "pg1", .address = "127.0.0.1"},
                                        {.host = 1, .name = "pg2", .address = "127.0.0.1"}};
  const struct access access = {.driver = &driver_pg, .endpoints = endpoints, .endpoint_count = 2};
  const struct pg_ledger_config config = {
      .common.rate = 100,
      .common.clients = 3,
      .common.payload = 10,
      .common.options = {.operation_timeout_ns = NS_PER_S, .pipeline_depth = 4},
      .common.pinned_rate = 1,
      .replica_rate = 1,
      .common.heartbeat_ns = NS_PER_S,
      .common.probe_interval_ns = NS_PER_S};
  fail_making(&workload_pg_ledger, &config, &access);
}

static void test_no_allocation_after_the_beginning(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(4, 1000);
  bench->database.connect_ns = NS_PER_MS;
  bench->config.options.reconnect_delay_ns = 10 * NS_PER_MS;
  bench->config.options.pipeline_depth = 4;
  bench->config.classes[1] = (struct client_class){
      .name = "probe", .count = 1, .rate = 10, .host = HOST_NONE, .fresh = true};
  bench->config.payload = 100;
  load_bench_start(bench, LOAD_BENCH_SEED);
  const long allowed = 1000000;
  allocations_left = allowed;
  load_bench_run(bench, 5 * NS_PER_S);
  bench->database.stalled = bench->database.down = true; /* outages too */
  load_bench_run(bench, 5 * NS_PER_S);
  bench->database.stalled = bench->database.down = false;
  load_bench_run(bench, 5 * NS_PER_S);
  assert_int_equal(allocations_left, allowed);
  allocations_left = -1;
  assert_true(bench->count > 10000);
  load_group_stop(&bench->group, NS_PER_S);
  load_bench_run(bench, 2 * NS_PER_S);
  assert_true(bench->stopped);
  load_bench_free(bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_making_the_clients_survives_each_failure),
      cmocka_unit_test(test_no_allocation_after_the_beginning),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
