/* The service `postgres` before any server: parameters, contradictions, the plan of hosts. */
#include "support/test.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "gameday/service.h"
#include "services/postgres.h"
#include "support/config.h"

extern const struct service service_postgres;

static struct postgres_config defaults(void) {
  static struct arena arena;
  struct postgres_config config = {.topology = 0};
  config_defaults(&service_postgres.plugin, &arena, &config);
  arena_release(&arena); /* the only text is "auto": set again below */
  config.version = "auto";
  return config;
}

static void expect_mistake(const struct postgres_config *config, const char *words) {
  struct error err = ERROR_INIT;
  assert_int_equal(postgres_validate(config, &err), STATUS_USAGE);
  if (!strstr(err.message, words)) fail_msg("'%s' is not in '%s'", words, err.message);
}

static void test_defaults_are_patronis_and_valid(void **state) {
  (void)state;
  struct postgres_config config = defaults();
  struct error err = ERROR_INIT;
  assert_ok(postgres_validate(&config, &err), &err);
  assert_int_equal(config.topology, TOPOLOGY_PATRONI);
  assert_int_equal(config.instances, 3);
  assert_int_equal(config.ttl_ns, 30 * NS_PER_S);
  assert_int_equal(config.loop_wait_ns, 10 * NS_PER_S);
  assert_int_equal(config.retry_timeout_ns, 10 * NS_PER_S);
  assert_int_equal(config.primary_start_timeout_ns, 300 * NS_PER_S);
  assert_int_equal(config.maximum_lag_on_failover_bytes, 1 << 20);
}

static void test_ttl_below_two_retries_and_a_loop(void **state) {
  (void)state;
  struct postgres_config config = defaults();
  config.ttl_ns = 29 * NS_PER_S;
  expect_mistake(&config, "ttl must be at least loop_wait + 2 x retry_timeout (30 s), it is 29 s");
  config.topology = TOPOLOGY_STREAMING; /* no Patroni, no rule */
  struct error err = ERROR_INIT;
  assert_ok(postgres_validate(&config, &err), &err);
}

static void test_fractions_of_a_second(void **state) {
  (void)state;
  struct postgres_config config = defaults();
  config.loop_wait_ns = 1500 * NS_PER_MS;
  expect_mistake(&config, "loop_wait must be whole seconds");
}

static void test_synchronous_contradictions(void **state) {
  (void)state;
  struct postgres_config config = defaults();
  config.synchronous_mode_strict = true;
  expect_mistake(&config, "needs synchronous_mode");
  config.synchronous_mode = true;
  config.synchronous_node_count = 3;
  expect_mistake(&config, "synchronous_node_count 3");
  config.synchronous_node_count = 1;
  config.instances = 1;
  expect_mistake(&config, "never accept a write");
  config = defaults();
  config.topology = TOPOLOGY_STREAMING;
  config.synchronous_mode = true;
  expect_mistake(&config, "synchronous_mode is Patroni's");
}

static void test_parameters_refused(void **state) {
  (void)state;
  static const struct {
    const char *name, *value, *words;
  } cases[] = {
      {"ssl", "off", "always TLS"},
      {"SSL", "off", "always TLS"},
      {"port", "5433", "the service sets it"},
      {"max_connections", "10", "parameter of the service"},
      {"wal_log_hints", "off", "Patroni sets it"},
      {"work mem", "1MB", "no name of a server parameter"},
      {"", "1", "no name of a server parameter"},
      {"work_mem", "1MB\nssl = off", "line break"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct postgres_config config = defaults();
    struct setting setting = {.name = cases[i].name, .value = cases[i].value};
    config.parameters = (struct settings){.items = &setting, .count = 1};
    expect_mistake(&config, cases[i].words);
  }
  struct postgres_config config = defaults();
  struct setting twice[] = {{"work_mem", "1MB"}, {"Work_Mem", "2MB"}};
  config.parameters = (struct settings){.items = twice, .count = 2};
  expect_mistake(&config, "given twice");
}

static void test_versions(void **state) {
  (void)state;
  struct postgres_config config = defaults();
  static const char *const bad[] = {"12", "fifteen", "15.4", "-15", " 15", ""};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    config.version = bad[i];
    expect_mistake(&config, "version must be auto or a major version");
  }
  config.version = "17";
  assert_int_equal(postgres_validate(&config, NULL), 0);
}

static void test_voters_are_odd_and_a_majority_survives(void **state) {
  (void)state;
  static const uint32_t voters[] = {0, 1, 3, 3, 3, 5, 5, 7}, hosts[] = {0, 1, 3, 3, 4, 5, 6, 7};
  for (uint32_t n = 1; n <= 7; n++) {
    struct postgres_config config = defaults();
    struct host_spec specs[HOSTS_MAX];
    struct error err = ERROR_INIT;
    uint32_t count = 0;
    config.instances = n;
    assert_int_equal(postgres_etcd_count(&config), voters[n]);
    assert_ok(service_postgres.plan(&config, specs, &count, &err), &err);
    assert_int_equal(count, hosts[n]);
    assert_string_equal(specs[0].name, "pg1");
    assert_string_equal(specs[count - 1].name, n == 2 ? "etcd1" : specs[count - 1].name);
    assert_int_equal(specs[0].memory_bytes, config.memory_bytes);
  }
  struct postgres_config config = defaults();
  config.topology = TOPOLOGY_SINGLE;
  assert_int_equal(postgres_host_count(&config), 1);
  config.topology = TOPOLOGY_STREAMING;
  assert_int_equal(postgres_host_count(&config), 3);
  assert_int_equal(postgres_etcd_count(&config), 0);
}

static void test_steps_follow_the_topology(void **state) {
  (void)state;
  struct postgres_config config = defaults();
  assert_true(service_postgres.can_step(&config, STEP_SWITCHOVER));
  assert_false(service_postgres.can_step(&config, STEP_PROMOTE));
  config.instances = 1;
  assert_false(service_postgres.can_step(&config, STEP_SWITCHOVER));
  config.instances = 3;
  config.topology = TOPOLOGY_STREAMING;
  assert_false(service_postgres.can_step(&config, STEP_SWITCHOVER));
  assert_true(service_postgres.can_step(&config, STEP_PROMOTE));
  config.topology = TOPOLOGY_SINGLE;
  assert_false(service_postgres.can_step(&config, STEP_PROMOTE));
  assert_true(service_postgres.can_step(&config, STEP_RESTART));
}

/* Under Patroni the manager brings the server back, otherwise its unit does. */
static void test_who_brings_the_postmaster_back(void **state) {
  (void)state;
  struct postgres_config config = defaults();
  assert_null(service_postgres.processes_for(&config)[0].unit);
  config.topology = TOPOLOGY_SINGLE;
  assert_string_equal(service_postgres.processes_for(&config)[0].name, "postmaster");
  assert_string_equal(service_postgres.processes_for(&config)[0].unit, "postgres");
}

/* What superusers, Patroni and the observer hold is not the clients'. */
static void test_connections_left_for_clients(void **state) {
  (void)state;
  struct postgres_config config = defaults();
  char because[128];
  assert_int_equal(service_postgres.connections(&config, because, sizeof because), 94);
  assert_string_equal(because,
                      "max_connections 100, less 3 reserved and 3 of Patroni and the observer");
  config.topology = TOPOLOGY_SINGLE;
  struct setting settings[] = {{"Superuser_Reserved_Connections", "7"},
                               {"reserved_connections", "2"}};
  config.parameters = (struct settings){.items = settings, .count = 2};
  assert_int_equal(service_postgres.connections(&config, because, sizeof because), 90);
  assert_string_equal(because, "max_connections 100, less 9 reserved and 1 of the observer");
  settings[0].value = "99999999999999999999";
  assert_int_equal(service_postgres.connections(&config, because, sizeof because), 0);
}

static const char *value_of(const struct postgres_conninfo *info, const char *keyword) {
  for (size_t i = 0; info->keywords[i]; i++)
    if (strcmp(info->keywords[i], keyword) == 0) return info->values[i];
  return "(libpq's own)";
}

/* A certificate of the user's own, for other servers, made ours turn away whom they asked for one:
 * no service became ready. */
static void test_nothing_is_taken_from_the_home_directory(void **state) {
  (void)state;
  struct host host = {.name = "pg1", .address = "10.0.0.1"};
  const struct host *members[] = {&host};
  struct postgres_state *made = calloc(1, sizeof *made);
  assert_non_null(made);
  const struct service_instance service = {.members = members, .member_count = 1, .state = made};
  struct postgres_conninfo info;
  postgres_conninfo(&service, 0, &info);
  assert_string_equal(value_of(&info, "hostaddr"), "10.0.0.1");
  assert_string_equal(value_of(&info, "sslcert"), "/nonexistent");
  assert_string_equal(value_of(&info, "sslkey"), "/nonexistent");
  assert_string_equal(value_of(&info, "sslcrl"), "/nonexistent");
  free(made);
}

/* "WARNING: terminating connection due to immediate shutdown command" stood among the progress of a
 * run: libpq prints what nobody takes. */
static void test_notices_are_not_printed(void **state) {
  (void)state;
  struct host host = {.name = "pg1", .address = "127.0.0.1"};
  const struct host *members[] = {&host};
  struct postgres_state *made = calloc(1, sizeof *made);
  assert_non_null(made);
  const struct service_instance service = {.members = members, .member_count = 1, .state = made};
  PGconn *ours = postgres_connection_start(&service, 0);
  PGconn *plain = PQconnectStart("host=/nonexistent");
  assert_non_null(ours);
  assert_non_null(plain);
  PQnoticeReceiver printing = PQsetNoticeReceiver(plain, NULL, NULL);
  assert_true(PQsetNoticeReceiver(ours, NULL, NULL) != printing);
  PQfinish(ours);
  PQfinish(plain);
  free(made);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults_are_patronis_and_valid),
      cmocka_unit_test(test_ttl_below_two_retries_and_a_loop),
      cmocka_unit_test(test_fractions_of_a_second),
      cmocka_unit_test(test_synchronous_contradictions),
      cmocka_unit_test(test_parameters_refused),
      cmocka_unit_test(test_versions),
      cmocka_unit_test(test_voters_are_odd_and_a_majority_survives),
      cmocka_unit_test(test_steps_follow_the_topology),
      cmocka_unit_test(test_who_brings_the_postmaster_back),
      cmocka_unit_test(test_connections_left_for_clients),
      cmocka_unit_test(test_nothing_is_taken_from_the_home_directory),
      cmocka_unit_test(test_notices_are_not_printed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
