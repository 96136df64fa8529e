/* The clients of redis-ledger, and its final read, under failing allocations. */
#include "gameday/drivers.h"
#include "gameday/redis_access.h"
#include "support/load_bench.h"
#include "torture/making.h"
#include "workload/redis_ledger.h"

static const struct endpoint endpoints[4] = {{.host = 0, .name = "redis1", .address = "127.0.0.1"},
                                             {.host = 1, .name = "redis2", .address = "127.0.0.1"},
                                             {.host = 2, .name = "redis3", .address = "127.0.0.1"},
                                             {.host = 3, .name = "redis4", .address = "127.0.0.1"}};

static const struct redis_ledger_config config = {
    .common.rate = 100,
    .common.clients = 2,
    .common.payload = 10,
    .common.options = {.operation_timeout_ns = NS_PER_S, .pipeline_depth = 4},
    .common.pinned_rate = 1,
    .common.heartbeat_ns = NS_PER_S,
    .common.probe_interval_ns = NS_PER_S};

static void test_making_the_clients_survives_each_failure(void **state) {
  (void)state;
  struct redis_access redis[] = {{.topology = REDIS_SINGLE},
                                 {.topology = REDIS_SENTINEL,
                                  .sentinels = endpoints,
                                  .sentinel_count = 3,
                                  .master_name = "gameday"},
                                 {.topology = REDIS_CLUSTER, .shards = 3}};
  for (size_t i = 0; i < sizeof redis / sizeof *redis; i++) {
    const struct access access = {.driver = &driver_redis,
                                  .endpoints = endpoints,
                                  .endpoint_count = redis[i].topology == REDIS_SINGLE ? 1 : 4,
                                  .context = &redis[i],
                                  .shards = redis[i].shards};
    fail_making(&workload_redis_ledger, &config, &access);
  }
}

/* Stands for a server with more keys than the first table holds. */
static int give_rows(const struct access *access, const struct endpoint *endpoint, const char *text,
                     uint64_t timeout_ns, row_callback *row, void *data, struct error *err) {
  (void)access;
  (void)endpoint;
  (void)text;
  (void)timeout_ns;
  for (int i = 1; i <= 5000; i++) {
    char key[32];
    snprintf(key, sizeof key, "gd:w:1:%d", i);
    const char *const columns[] = {key, "1:x"};
    int status = row(data, columns, 2, err);
    if (status != 0) return status;
  }
  return 0;
}

static int take_row(struct final_reader *reader, const struct final_row *row, struct error *err) {
  (void)reader;
  (void)row;
  (void)err;
  return 0;
}

static int attempt_final_read(void *data, struct error *err) {
  (void)data;
  static const struct driver driver = {.name = "given", .read_rows = give_rows};
  const struct access access = {.driver = &driver, .endpoints = endpoints, .endpoint_count = 1};
  struct workload_env env = {.access = &access, .config = &config};
  struct final_reader reader = {.row = take_row};
  return workload_redis_ledger.final_read(&env, &endpoints[0], &reader, err);
}

static void test_final_read_survives_each_failure(void **state) {
  (void)state;
  fail_each_allocation(attempt_final_read, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_making_the_clients_survives_each_failure),
      cmocka_unit_test(test_final_read_survives_each_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
