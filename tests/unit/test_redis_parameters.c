/* The service `redis` before any server: parameters, contradictions, hosts, connections, bounds. */
#include "support/test.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "services/redis.h"
#include "services/redis_settings.h"
#include "support/config.h"

extern const struct service service_redis;

static struct arena arena;

static int make_arena(void **state) {
  (void)state;
  arena_init(&arena, 0);
  return 0;
}

static int free_arena(void **state) {
  (void)state;
  arena_release(&arena);
  return 0;
}

static struct redis_config defaults(enum redis_topology topology) {
  struct redis_config config = {.topology = 0};
  config_defaults(&service_redis.plugin, &arena, &config);
  config.topology = (int)topology;
  return config;
}

static void expect_mistake(const struct redis_config *config, const char *words) {
  struct error err = ERROR_INIT;
  assert_int_equal(redis_validate(config, &err), STATUS_USAGE);
  if (!strstr(err.message, words)) fail_msg("'%s' is not in '%s'", words, err.message);
}

static void test_defaults_are_redis_own_and_valid(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  for (int topology = REDIS_SENTINEL; topology <= REDIS_SINGLE; topology++) {
    const struct redis_config config = defaults((enum redis_topology)topology);
    assert_ok(redis_validate(&config, &err), &err);
    assert_int_equal(config.down_after_ns, 30 * NS_PER_S);
    assert_int_equal(config.failover_timeout_ns, 180 * NS_PER_S);
    assert_int_equal(config.node_timeout_ns, 15 * NS_PER_S);
    assert_int_equal(config.min_replicas_max_lag_ns, 10 * NS_PER_S);
    assert_int_equal(config.appendfsync, REDIS_FSYNC_EVERYSEC);
    assert_string_equal(redis_policies[config.maxmemory_policy], "noeviction");
  }
}

static void test_contradictions(void **state) {
  (void)state;
  struct redis_config config = defaults(REDIS_SENTINEL);
  config.quorum = 4;
  expect_mistake(&config, "quorum 4 is more than the 3 sentinels");
  config = defaults(REDIS_SENTINEL);
  config.down_after_ns = 1500 * NS_PER_US;
  expect_mistake(&config, "down_after must be whole milliseconds");
  config = defaults(REDIS_SENTINEL);
  config.min_replicas_to_write = 3;
  expect_mistake(&config, "min_replicas_to_write 3 needs more than the 2 replicas");
  config = defaults(REDIS_SINGLE);
  config.min_replicas_to_write = 1;
  expect_mistake(&config, "no write would ever be accepted");
  config = defaults(REDIS_SENTINEL);
  config.min_replicas_max_lag_ns = 1500 * NS_PER_MS;
  expect_mistake(&config, "min_replicas_max_lag must be whole seconds");
  config = defaults(REDIS_CLUSTER);
  config.masters = 400;
  config.replicas = 2;
  expect_mistake(&config, "1200 data servers, 1000 is the most");
}

static void test_snapshots_come_in_pairs(void **state) {
  (void)state;
  static const char *const good[] = {"", "3600 1", "3600 1 300 100", "60  10000 "};
  static const char *const bad[] = {"60", "60 10 5", "60 x", "-1 1", "0 1", "60,1", "1e3 1"};
  struct error err = ERROR_INIT;
  struct redis_config config = defaults(REDIS_SINGLE);
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    config.save = good[i];
    assert_ok(redis_validate(&config, &err), &err);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    config.save = bad[i];
    expect_mistake(&config, "save must be seconds and changes in pairs");
  }
}

static void expect_setting(const char *name, const char *value, const char *words) {
  struct setting settings[] = {{name, value}, {"hz", "20"}, {"HZ", "30"}};
  struct redis_config config = defaults(REDIS_SENTINEL);
  config.settings = (struct settings){.items = settings, .count = words ? 1 : 2};
  struct error err = ERROR_INIT;
  if (words)
    expect_mistake(&config, words);
  else
    assert_ok(redis_validate(&config, &err), &err);
}

static void test_settings_of_the_service_are_refused(void **state) {
  (void)state;
  expect_setting("repl-backlog-size", "64mb", NULL);
  expect_setting("Port", "1", "the setting Port cannot be set: the service sets it");
  expect_setting("replicaof", "a 1", "the topology sets it");
  expect_setting("slaveof", "a 1", "the topology sets it");
  expect_setting("requirepass", "x", "users are made for the run");
  expect_setting("tls-port", "1", "it is a parameter of the service: tls");
  expect_setting("tls-auth-clients", "yes", "clients have passwords, and no certificates");
  expect_setting("maxmemory", "1gb", "it is a parameter of the service: maxmemory");
  expect_setting("hz", "10\nport 1", "has a line break");
  expect_setting("hz 10\nport", "1", "is no name of a setting");
  expect_setting("", "1", "is no name of a setting");
  struct setting twice[] = {{"hz", "20"}, {"HZ", "30"}};
  struct redis_config config = defaults(REDIS_SENTINEL);
  config.settings = (struct settings){.items = twice, .count = 2};
  expect_mistake(&config, "HZ is given twice");
}

static void plan(const struct redis_config *config, const char *expected) {
  struct host_spec hosts[HOSTS_MAX];
  struct error err = ERROR_INIT;
  char text[256] = "";
  uint32_t count = 0;
  assert_ok(redis_plan_hosts(config, hosts, &count, &err), &err);
  for (uint32_t i = 0; i < count; i++) {
    assert_int_equal(hosts[i].memory_bytes, config->memory_bytes);
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", hosts[i].name);
  }
  assert_string_equal(text, expected);
}

static void test_hosts(void **state) {
  (void)state;
  struct redis_config config = defaults(REDIS_SENTINEL);
  plan(&config, "redis1 redis2 redis3");
  assert_int_equal(redis_quorum(&config), 2);
  config.instances = 2;
  config.sentinels = 5;
  plan(&config, "redis1 redis2 sentinel1 sentinel2 sentinel3");
  assert_int_equal(redis_quorum(&config), 3);
  config.quorum = 5;
  assert_int_equal(redis_quorum(&config), 5);
  config = defaults(REDIS_CLUSTER);
  plan(&config, "redis1 redis2 redis3 redis4 redis5 redis6");
  config = defaults(REDIS_SINGLE);
  plan(&config, "redis1");
}

static void test_shards_of_hosts(void **state) {
  (void)state;
  struct redis_config config = defaults(REDIS_CLUSTER);
  config.replicas = 2;
  assert_int_equal(redis_shards(&config), 3);
  static const uint16_t shards[] = {1, 2, 3, 1, 2, 3, 1, 2, 3, 0};
  for (uint32_t i = 0; i < sizeof shards / sizeof *shards; i++)
    assert_int_equal(redis_first_shard(&config, i), shards[i]);
  config = defaults(REDIS_SENTINEL);
  assert_int_equal(redis_shards(&config), 0);
  assert_int_equal(redis_first_shard(&config, 0), 0);
}

static void test_steps_and_processes(void **state) {
  (void)state;
  struct redis_config config = defaults(REDIS_SENTINEL);
  assert_true(redis_can_step(&config, STEP_SWITCHOVER) && redis_can_step(&config, STEP_RESTART));
  assert_false(redis_can_step(&config, STEP_PROMOTE));
  assert_non_null(service_process_find(&service_redis, &config, "sentinel"));
  config = defaults(REDIS_CLUSTER);
  assert_true(redis_can_step(&config, STEP_SWITCHOVER));
  assert_null(service_process_find(&service_redis, &config, "sentinel"));
  config.replicas = 0;
  assert_false(redis_can_step(&config, STEP_SWITCHOVER));
  config = defaults(REDIS_SINGLE);
  assert_false(redis_can_step(&config, STEP_SWITCHOVER));
  assert_true(redis_can_step(&config, STEP_RESTART));
}

static void test_connections_left_for_clients(void **state) {
  (void)state;
  char because[160];
  struct redis_config config = defaults(REDIS_SENTINEL);
  config.maxclients = 100;
  assert_int_equal(redis_connections(&config, because, sizeof because), 100 - 6 - 2 - 2);
  assert_non_null(strstr(because, "maxclients 100"));
  config = defaults(REDIS_SINGLE);
  config.maxclients = 2;
  assert_int_equal(redis_connections(&config, because, sizeof because), 0);
}

static double bound_of(const struct redis_config *config, const char *injector) {
  const struct redis_timing timing = {
      .down_after_s = 2, .failover_timeout_s = 10, .node_timeout_s = 4};
  json_t *bounds = redis_bounds(config, &timing);
  assert_non_null(bounds);
  assert_non_null(json_object_get(bounds, "because"));
  const json_t *own = injector ? json_object_get(bounds, injector) : bounds;
  double seconds = json_number_value(json_object_get(own, "failover_time_s"));
  json_decref(bounds);
  return seconds;
}

static void test_bounds_follow_from_settings(void **state) {
  (void)state;
  struct redis_config config = defaults(REDIS_SENTINEL);
  assert_float_equal(bound_of(&config, NULL), 6.5, 1e-9);
  assert_float_equal(bound_of(&config, "process-pause"), 6.5, 1e-9);
  assert_float_equal(bound_of(&config, "switchover"), 1.5, 1e-9);
  config.min_replicas_to_write = 1;
  assert_float_equal(bound_of(&config, "host-crash"), 8.5, 1e-9);
  config = defaults(REDIS_CLUSTER);
  assert_float_equal(bound_of(&config, NULL), 9.5, 1e-9);
  config.replicas = 2;
  assert_float_equal(bound_of(&config, NULL), 10.5, 1e-9);
  config.replicas = 0; /* null: nothing fails over */
  assert_float_equal(bound_of(&config, NULL), 0, 1e-9);
  config = defaults(REDIS_SINGLE);
  assert_float_equal(bound_of(&config, NULL), 0, 1e-9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults_are_redis_own_and_valid),
      cmocka_unit_test(test_contradictions),
      cmocka_unit_test(test_snapshots_come_in_pairs),
      cmocka_unit_test(test_settings_of_the_service_are_refused),
      cmocka_unit_test(test_hosts),
      cmocka_unit_test(test_shards_of_hosts),
      cmocka_unit_test(test_steps_and_processes),
      cmocka_unit_test(test_connections_left_for_clients),
      cmocka_unit_test(test_bounds_follow_from_settings),
  };
  return cmocka_run_group_tests(tests, make_arena, free_arena);
}
