/* The configuration files that the service `postgres` writes. */
#include "support/test.h"

#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "services/certificates.h"
#include "services/postgres.h"
#include "services/postgres_settings.h"

static const struct host hosts[] = {
    {.index = 0, .name = "pg1", .address = "10.0.0.11"},
    {.index = 1, .name = "pg2", .address = "10.0.0.12"},
    {.index = 2, .name = "pg3", .address = "10.0.0.13"},
    {.index = 3, .name = "pg4", .address = "10.0.0.14"},
};
static const struct host *const members[] = {&hosts[0], &hosts[1], &hosts[2], &hosts[3]};
static const struct postgres_host found = {.bin_directory = "/usr/lib/postgresql/15/bin",
                                           .patroni = "/usr/bin/patroni",
                                           .etcd = "/usr/bin/etcd",
                                           .etcd_user = "etcd",
                                           .major = 15};
static const struct postgres_secrets secrets = {.superuser = "secret-superuser",
                                                .replication = "secret-replication",
                                                .rewind = "secret-rewind",
                                                .client = "secret-client",
                                                .rest = "secret-rest"};

static struct postgres_config config_of(uint32_t instances, struct setting *setting) {
  return (struct postgres_config){.instances = instances,
                                  .version = "auto",
                                  .ttl_ns = 30 * NS_PER_S,
                                  .loop_wait_ns = 10 * NS_PER_S,
                                  .retry_timeout_ns = 10 * NS_PER_S,
                                  .primary_start_timeout_ns = 0,
                                  .maximum_lag_on_failover_bytes = 1 << 20,
                                  .synchronous_node_count = 1,
                                  .use_pg_rewind = true,
                                  .data_checksums = true,
                                  .max_connections = 77,
                                  .parameters = {.items = setting, .count = setting ? 1 : 0}};
}

static struct postgres_plan plan_of(const struct postgres_config *config) {
  return (struct postgres_plan){
      .config = config, .secrets = &secrets, .scope = "run-1", .members = members};
}

static json_t *at(json_t *root, const char *path) {
  char copy[128], *rest = copy;
  snprintf(copy, sizeof copy, "%s", path);
  for (char *key; root && (key = strsep(&rest, "/"));) root = json_object_get(root, key);
  if (!root) fail_msg("there is no %s", path);
  return root;
}
#define TEXT(root, path) json_string_value(at(root, path))
#define NUMBER(root, path) json_integer_value(at(root, path))

static void test_patroni(void **state) {
  (void)state;
  struct setting setting = {"shared_buffers", "it's \"64MB\": {x}"};
  const struct postgres_config config = config_of(4, &setting);
  const struct postgres_plan plan = plan_of(&config);
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(postgres_write_patroni(&plan, 3, &found, &text, &err), &err);
  json_t *root = json_loads(text.data, 0, NULL);
  assert_string_equal(TEXT(root, "name"), "pg4");
  assert_string_equal(TEXT(root, "scope"), "run-1");
  assert_string_equal(TEXT(root, "restapi/certfile"), "/etc/gameday/tls/server.crt");
  assert_string_equal(TEXT(root, "restapi/authentication/password"), "secret-rest");
  assert_string_equal(TEXT(root, "restapi/connect_address"), "10.0.0.14:8008");
  assert_int_equal(json_array_size(at(root, "etcd3/hosts")), 3); /* of four hosts three vote */
  assert_int_equal(NUMBER(root, "bootstrap/dcs/ttl"), 30);
  assert_int_equal(NUMBER(root, "bootstrap/dcs/primary_start_timeout"), 0);
  assert_int_equal(NUMBER(root, "bootstrap/dcs/postgresql/parameters/max_connections"), 77);
  assert_string_equal(TEXT(root, "bootstrap/dcs/postgresql/parameters/shared_buffers"),
                      setting.value);
  assert_string_equal(TEXT(root, "postgresql/parameters/ssl"), "on");
  assert_string_equal(TEXT(root, "postgresql/authentication/replication/sslmode"), "verify-full");
  json_t *hba = at(root, "postgresql/pg_hba");
  for (size_t i = 0; i < json_array_size(hba); i++) {
    const char *line = json_string_value(json_array_get(hba, i));
    assert_true(strncmp(line, "local", 5) == 0 || strncmp(line, "hostssl", 7) == 0);
    assert_null(strstr(line, "trust"));
    assert_null(strstr(line, "md5"));
  }
  json_decref(root);
}

static void test_etcd_arguments(void **state) {
  (void)state;
  const struct postgres_config config = config_of(4, NULL);
  const struct postgres_plan plan = plan_of(&config);
  struct error err = ERROR_INIT;
  const char *argv[ETCD_ARGUMENTS_MAX];
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(postgres_write_etcd(&plan, 1, &found, &text, argv, &err), &err);
  static const char *const expected[] = {
      "/usr/bin/etcd",
      "--name=pg2",
      "--data-dir=/var/lib/gameday/etcd",
      "--listen-peer-urls=http://10.0.0.12:2380",
      "--listen-client-urls=http://10.0.0.12:2379,http://127.0.0.1:2379",
      "--initial-advertise-peer-urls=http://10.0.0.12:2380",
      "--advertise-client-urls=http://10.0.0.12:2379",
      ("--initial-cluster=pg1=http://10.0.0.11:2380,pg2=http://10.0.0.12:2380,"
       "pg3=http://10.0.0.13:2380"),
      "--initial-cluster-state=new",
      "--initial-cluster-token=run-1",
      "--heartbeat-interval=100",
      "--election-timeout=1000",
  };
  size_t count = 0;
  for (; argv[count]; count++) {
    assert_null(strstr(argv[count], "secret"));
    if (count < sizeof expected / sizeof expected[0])
      assert_string_equal(argv[count], expected[count]);
  }
  assert_true(count >= sizeof expected / sizeof expected[0]);
}

static void test_postgresql_conf_quotes_values(void **state) {
  (void)state;
  struct setting setting = {"application_name", "it's \\ here"};
  struct postgres_config config = config_of(3, &setting);
  config.topology = TOPOLOGY_STREAMING;
  const struct postgres_plan plan = plan_of(&config);
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(postgres_write_conf(&plan, 1, &text, &err), &err);
  assert_non_null(strstr(text.data, "application_name = 'it''s \\\\ here'\n"));
  assert_non_null(strstr(text.data, "host=pg1,pg3 hostaddr=10.0.0.11,10.0.0.13 "));
  assert_non_null(strstr(text.data, "target_session_attrs=primary"));
  assert_non_null(strstr(text.data, "primary_slot_name = 'pg2'\n"));
  assert_null(strstr(text.data, "secret")); /* it is in the password file */
  config.topology = TOPOLOGY_SINGLE;
  buf_clear(&text);
  assert_ok(postgres_write_conf(&plan, 0, &text, &err), &err);
  assert_null(strstr(text.data, "primary_conninfo"));
}

static void test_bootstrap_makes_slots_of_the_others_and_logs_no_password(void **state) {
  (void)state;
  const struct postgres_config config = config_of(3, NULL);
  const struct postgres_plan plan = plan_of(&config);
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(postgres_write_post_bootstrap(&plan, 1, &found, &text, &err), &err);
  const char *role = strstr(text.data, "create role gameday login password 'secret-client'");
  const char *quiet = strstr(text.data, "set log_statement = 'none'");
  assert_non_null(role);
  assert_true(quiet && quiet < role);
  assert_non_null(strstr(text.data, "slot('pg1')"));
  assert_null(strstr(text.data, "slot('pg2')"));
  assert_non_null(strstr(text.data, "slot('pg3')"));
}

/* With synchronous_standby_names among the parameters the first commit waited for a replica that
 * could not be there yet, and the start ended with "did not end within 30 s". */
static void test_bootstrap_waits_for_no_replica(void **state) {
  (void)state;
  const struct postgres_config config = config_of(2, NULL);
  const struct postgres_plan plan = plan_of(&config);
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(postgres_write_bootstrap_sql(&plan, 0, &text, &err), &err);
  const char *local = strstr(text.data, "set synchronous_commit = local;");
  assert_true(local && local < strstr(text.data, "create role"));
}

/* A shell can read the programs that the service writes, and they name every other member. */
static void test_programs_are_shell(void **state) {
  (void)state;
  struct postgres_config config = config_of(3, NULL);
  config.topology = TOPOLOGY_STREAMING;
  const struct postgres_plan plan = plan_of(&config);
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf start;
  CLEANUP(buf_release) struct buf bootstrap;
  buf_init(&start);
  buf_init(&bootstrap);
  assert_ok(postgres_write_start(&plan, 1, &found, &start, &err), &err);
  assert_ok(postgres_write_post_bootstrap(&plan, 1, &found, &bootstrap, &err), &err);
  static const char *const argv[] = {"/bin/sh", "-n", NULL};
  struct process_spec spec = {.argv = argv, .input = start.data, .input_length = start.length};
  assert_ok(process_check(&spec, &err), &err);
  spec.input = bootstrap.data;
  spec.input_length = bootstrap.length;
  assert_ok(process_check(&spec, &err), &err);
  assert_non_null(strstr(start.data, "others=' pg1=10.0.0.11 pg3=10.0.0.13'\n"));
  assert_null(strstr(start.data, "secret"));
}

/* Numbers that the documentation states; a change of a term must change them knowingly. */
static void test_bounds(void **state) {
  (void)state;
  struct postgres_config config = config_of(3, NULL);
  json_t *patroni = json_loads("{\"ttl\": 20, \"loop_wait\": 5}", 0, NULL);
  struct postgres_timing timing = postgres_timing_of(patroni);
  json_decref(patroni);
  assert_true(timing.ttl_s == 20 && timing.loop_wait_s == 5);
  assert_true(timing.primary_start_timeout_s == 300); /* absent: Patroni's default */
  json_t *bounds = postgres_bounds(&config, &timing);
  assert_true(json_real_value(at(bounds, "failover_time_s")) == 20 + 5.5 + 5 + 2 + 5);
  assert_true(json_real_value(at(bounds, "process-kill/failover_time_s")) == 5 + 300 + 5 + 2 + 5);
  json_decref(bounds);
  timing.primary_start_timeout_s = 0;
  bounds = postgres_bounds(&config, &timing);
  assert_true(json_real_value(at(bounds, "process-kill/failover_time_s")) == 5 + 2 + 5);
  json_decref(bounds);
  config.topology = TOPOLOGY_STREAMING;
  bounds = postgres_bounds(&config, &timing);
  assert_true(json_is_null(at(bounds, "failover_time_s")));
  assert_non_null(strstr(TEXT(bounds, "because"), "promotes"));
  json_decref(bounds);
}

static void test_patroni_4_is_read_as_patroni_3(void **state) {
  (void)state;
  json_t *old = json_loads("{\"master_start_timeout\": 7}", 0, NULL);
  assert_true(postgres_timing_of(old).primary_start_timeout_s == 7);
  json_decref(old);
}

static void test_secrets_survive_a_file(void **state) {
  (void)state;
  char directory[] = "/tmp/gameday-unit-XXXXXX", path[64];
  struct error err = ERROR_INIT;
  struct postgres_secrets made, read;
  struct stat info;
  assert_non_null(mkdtemp(directory));
  snprintf(path, sizeof path, "%s/postgres.json", directory);
  assert_ok(secrets_make(&postgres_secret_table, &made, &err), &err);
  assert_ok(secrets_save(&postgres_secret_table, &made, path, &err), &err);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  assert_ok(secrets_load(&postgres_secret_table, path, &read, &err), &err);
  assert_memory_equal(&made, &read, sizeof made);
  assert_int_equal(strlen(made.superuser), 48);
  assert_string_not_equal(made.superuser, made.client);
  assert_ok(file_puts(path, "{\"superuser\": \"short\"}", 0600, &err), &err);
  assert_int_equal(secrets_load(&postgres_secret_table, path, &read, &err), STATUS_USAGE);
  directory_remove(directory, NULL);
}

static void verify(const char *directory, const char *name, const char *check,
                   const char *argument) {
  char certificate[16];
  struct error err = ERROR_INIT;
  snprintf(certificate, sizeof certificate, "%s.crt", name);
  const char *const argv[] = {"openssl",   "verify", "-CAfile", "ca.crt",    "-purpose",
                              "sslserver", check,    argument,  certificate, NULL};
  const struct process_spec spec = {.argv = argv, .directory = directory};
  assert_ok(process_check(&spec, &err), &err);
}

static void test_certificates_name_the_host_and_its_address(void **state) {
  (void)state;
  if (!process_exists("openssl")) skip_because("the program openssl is not installed");
  char directory[] = "/tmp/gameday-unit-XXXXXX", path[64];
  struct error err = ERROR_INIT;
  struct stat info;
  assert_non_null(mkdtemp(directory));
  assert_ok(certificates_make(directory, members, 2, &err), &err);
  verify(directory, "pg1", "-verify_hostname", "pg1");
  verify(directory, "pg1", "-verify_ip", "10.0.0.11");
  verify(directory, "pg2", "-verify_hostname", "localhost");
  snprintf(path, sizeof path, "%s/pg1.key", directory);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  snprintf(path, sizeof path, "%s/ca.key", directory);
  assert_false(file_exists(path)); /* nobody signs later */
  directory_remove(directory, NULL);
}

/* It used to say what is missing, and not how to get it. */
static void test_openssl_is_missing(void **state) {
  (void)state;
  char directory[] = "/tmp/gameday-unit-XXXXXX";
  struct error err = ERROR_INIT;
  CLEANUP_FREE char *path = strdup(getenv("PATH") ? getenv("PATH") : "");
  assert_non_null(path);
  assert_non_null(mkdtemp(directory));
  setenv("PATH", directory, 1);
  int status = certificates_make(directory, members, 2, &err);
  setenv("PATH", path, 1);
  assert_int_equal(status, STATUS_ENVIRONMENT);
  assert_non_null(strstr(err.message, "openssl is missing (Debian: apt-get install openssl)"));
  directory_remove(directory, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_patroni),
      cmocka_unit_test(test_etcd_arguments),
      cmocka_unit_test(test_postgresql_conf_quotes_values),
      cmocka_unit_test(test_bootstrap_makes_slots_of_the_others_and_logs_no_password),
      cmocka_unit_test(test_bootstrap_waits_for_no_replica),
      cmocka_unit_test(test_programs_are_shell),
      cmocka_unit_test(test_bounds),
      cmocka_unit_test(test_patroni_4_is_read_as_patroni_3),
      cmocka_unit_test(test_secrets_survive_a_file),
      cmocka_unit_test(test_certificates_name_the_host_and_its_address),
      cmocka_unit_test(test_openssl_is_missing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
