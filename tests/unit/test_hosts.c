/* Hosts: which ones a scenario wants, and how services find theirs again. */
#include <ctype.h>

#include "engine/hosts.h"
#include "support/fake.h"
#include "support/test.h"

struct many_config {
  uint32_t count;
};

/* As many hosts as it is told, all at once named in the same buffers: names are copied, or lost. */
static int many_plan(const void *config, struct host_spec *ret_hosts, uint32_t *ret_count,
                     struct error *err) {
  static char names[HOSTS_MAX][16];
  const struct many_config *many = config;
  (void)err;
  for (uint32_t i = 0; i < many->count; i++) {
    snprintf(names[i], sizeof names[i], "many%u", i + 1);
    ret_hosts[i] = (struct host_spec){
        .name = names[i], .kind = HOST_SERVER, .memory_bytes = 1u << 20, .disk_bytes = 1u << 21};
  }
  *ret_count = many->count;
  return 0;
}

static const struct service service_many = {
    .plugin = {.name = "many", .config_size = sizeof(struct many_config), .state_size = 64},
    .plan = many_plan};

static int failing_plan(const void *config, struct host_spec *ret_hosts, uint32_t *ret_count,
                        struct error *err) {
  (void)config;
  (void)ret_hosts;
  (void)ret_count;
  return error_set(err, STATUS_USAGE, "no plan");
}

static const struct service service_without_plan = {.plugin = {.name = "none"},
                                                    .plan = failing_plan};

static int setup(void **state) {
  struct arena *arena = calloc(1, sizeof *arena);
  assert_non_null(arena);
  arena_init(arena, 0);
  *state = arena;
  return 0;
}

static int teardown(void **state) {
  arena_release(*state);
  free(*state);
  return 0;
}

static void test_servers_then_clients_then_monitor(void **state) {
  struct many_config config = {.count = 2};
  struct scenario_service rows[] = {{.service = &service_many, .config = &config},
                                    {.service = &fake_service}};
  struct scenario scenario = {.services = rows, .service_count = 2, .client_hosts = 2};
  static const char *const names[] = {"many1", "many2",   "db1",     "db2",
                                      "db3",   "client1", "client2", "monitor"};
  struct host_spec hosts[HOSTS_MAX];
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  assert_ok(hosts_plan(&scenario, *state, hosts, &count, &err), &err);
  assert_int_equal(count, 8);
  for (uint32_t i = 0; i < count; i++) {
    assert_string_equal(hosts[i].name, names[i]);
    assert_int_equal(hosts[i].kind, i < 5 ? HOST_SERVER : i < 7 ? HOST_CLIENT : HOST_MONITOR);
  }
  assert_int_equal(hosts[0].memory_bytes, 1u << 20);
  assert_int_equal(hosts[0].disk_bytes, 1u << 21);
}

static void test_as_many_hosts_as_there_may_be(void **state) {
  struct many_config config = {.count = HOSTS_MAX - 3};
  struct scenario_service row = {.service = &service_many, .config = &config};
  struct scenario scenario = {.services = &row, .service_count = 1, .client_hosts = 2};
  struct host_spec hosts[HOSTS_MAX];
  struct error err = ERROR_INIT;
  uint32_t count = 77;
  assert_ok(hosts_plan(&scenario, *state, hosts, &count, &err), &err);
  assert_int_equal(count, HOSTS_MAX);
  scenario.client_hosts = 3;
  count = 77;
  assert_int_equal(hosts_plan(&scenario, *state, hosts, &count, &err), STATUS_USAGE);
  assert_non_null(strstr(err.message, "more than 1024 hosts"));
  assert_int_equal(count, 77);
}

/* Only a service that was planned made the clients count: without one the table overflowed. */
static void test_client_hosts_alone_are_counted(void **state) {
  struct scenario scenario = {.client_hosts = HOSTS_MAX};
  struct host_spec hosts[HOSTS_MAX];
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  assert_int_equal(hosts_plan(&scenario, *state, hosts, &count, &err), STATUS_USAGE);
  scenario.client_hosts = UINT32_MAX;
  assert_int_equal(hosts_plan(&scenario, *state, hosts, &count, &err), STATUS_USAGE);
  scenario.client_hosts = HOSTS_MAX - 1;
  assert_ok(hosts_plan(&scenario, *state, hosts, &count, &err), &err);
  assert_int_equal(count, HOSTS_MAX);
}

static void test_plan_that_fails_is_passed_on(void **state) {
  struct scenario_service row = {.service = &service_without_plan};
  struct scenario scenario = {.services = &row, .service_count = 1};
  struct host_spec hosts[HOSTS_MAX];
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  assert_int_equal(hosts_plan(&scenario, *state, hosts, &count, &err), STATUS_USAGE);
  assert_string_equal(err.message, "no plan");
}

static void test_services_are_bound_to_their_hosts(void **state) {
  static struct fake fake;
  struct scenario_service row = {.service = &fake_service, .config = &fake};
  struct scenario scenario = {
      .services = &row, .service_count = 1, .start_timeout_ns = 5 * NS_PER_S};
  struct service_instance bound = {.service = NULL};
  struct error err = ERROR_INIT;
  fake_init(&fake, "");
  assert_ok(
      hosts_bind(&scenario, &fake.cluster, *state, &fake.sink, &clock_monotonic, 42, &bound, &err),
      &err);
  assert_ptr_equal(bound.service, &fake_service);
  assert_ptr_equal(bound.config, &fake);
  assert_ptr_equal(bound.cluster, &fake.cluster);
  assert_ptr_equal(bound.sink, &fake.sink);
  assert_int_equal(bound.start_ns, 42);
  assert_int_equal(bound.deadline_ns_start, 5 * NS_PER_S);
  assert_int_equal(bound.member_count, FAKE_SERVERS);
  for (uint32_t i = 0; i < FAKE_SERVERS; i++) assert_ptr_equal(bound.members[i], &fake.hosts[i]);
  assert_non_null(bound.state);
}

static void test_host_that_the_cluster_has_not(void **state) {
  static struct fake fake;
  struct many_config config = {.count = 1};
  struct scenario_service row = {.service = &service_many, .config = &config};
  struct scenario scenario = {.services = &row, .service_count = 1};
  struct service_instance bound = {.service = NULL};
  struct error err = ERROR_INIT;
  fake_init(&fake, "");
  assert_int_equal(
      hosts_bind(&scenario, &fake.cluster, *state, &fake.sink, &clock_monotonic, 0, &bound, &err),
      STATUS_INTERNAL);
  assert_non_null(strstr(err.message, "many1"));
}

static void test_cluster_ids_differ(void **state) {
  char first[16], second[16];
  struct error err = ERROR_INIT;
  (void)state;
  assert_ok(cluster_id_make(first, &err), &err);
  assert_ok(cluster_id_make(second, &err), &err);
  assert_int_equal(strlen(first), 10);
  assert_memory_equal(first, "gd", 2);
  for (const char *c = first + 2; *c; c++) assert_true(isxdigit((unsigned char)*c));
  assert_string_not_equal(first, second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_servers_then_clients_then_monitor), TEST(test_as_many_hosts_as_there_may_be),
      TEST(test_client_hosts_alone_are_counted),    TEST(test_plan_that_fails_is_passed_on),
      TEST(test_services_are_bound_to_their_hosts), TEST(test_host_that_the_cluster_has_not),
      cmocka_unit_test(test_cluster_ids_differ),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
