/* The configuration files that the service `redis` writes, and the lines it picks from logs. */
#include "support/test.h"

#include "base/cleanup.h"
#include "services/redis.h"

static const struct host hosts[] = {
    {.index = 0, .name = "redis1", .address = "10.0.0.11"},
    {.index = 1, .name = "redis2", .address = "10.0.0.12"},
    {.index = 2, .name = "redis3", .address = "10.0.0.13"},
};
static const struct host *const members[] = {&hosts[0], &hosts[1], &hosts[2]};
static const struct redis_secrets secrets = {.client = "secret-client",
                                             .replication = "secret-replication",
                                             .sentinel = "secret-sentinel",
                                             .observer = "secret-observer"};
static const char ids[REDIS_SENTINELS_MAX][REDIS_ID_SIZE] = {"id-one", "id-two", "id-three"};

static struct redis_config config_of(enum redis_topology topology) {
  return (struct redis_config){.topology = (int)topology,
                               .instances = 3,
                               .sentinels = 3,
                               .masters = 3,
                               .down_after_ns = 1500 * NS_PER_MS,
                               .failover_timeout_ns = 60 * NS_PER_S,
                               .parallel_syncs = 2,
                               .node_timeout_ns = 3 * NS_PER_S,
                               .replica_validity_factor = 7,
                               .min_replicas_to_write = 1,
                               .min_replicas_max_lag_ns = 3 * NS_PER_S,
                               .appendfsync = REDIS_FSYNC_ALWAYS,
                               .save = "3600 1 300 100",
                               .maxmemory_bytes = 12345,
                               .maxmemory_policy = 1,
                               .maxclients = 99};
}

static struct redis_plan plan_of(const struct redis_config *config) {
  return (struct redis_plan){
      .config = config, .secrets = &secrets, .members = members, .sentinel_ids = ids};
}

/* Whether the text has this line. */
static bool has(const struct buf *text, const char *line) {
  size_t length = strlen(line);
  for (const char *at = text->data; (at = strstr(at, line)); at++)
    if ((at == text->data || at[-1] == '\n') && (at[length] == '\n' || !at[length])) return true;
  return false;
}
#define HAS(text, line)                                                         \
  do {                                                                          \
    if (!has(text, line)) fail_msg("no line '%s' in:\n%s", line, (text)->data); \
  } while (0)

static void test_server_behind_sentinels(void **state) {
  (void)state;
  struct setting settings[] = {{"repl-diskless-sync-delay", "5"}, {"proc-title-template", ""}};
  struct redis_config config = config_of(REDIS_SENTINEL);
  struct redis_plan plan = plan_of(&config);
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf first;
  CLEANUP(buf_release) struct buf second;
  buf_init(&first);
  buf_init(&second);
  assert_ok(redis_write_conf(&plan, 0, &first, &err), &err);
  HAS(&first, "bind 10.0.0.11 127.0.0.1");
  HAS(&first, "aclfile /etc/gameday/redis/users.acl");
  HAS(&first, "dir /var/lib/gameday/redis");
  HAS(&first, "appendonly no");
  HAS(&first, "appendfsync always");
  HAS(&first, "save 3600 1");
  HAS(&first, "save 300 100");
  HAS(&first, "maxmemory 12345");
  HAS(&first, "maxmemory-policy allkeys-lru");
  HAS(&first, "maxclients 99");
  HAS(&first, "min-replicas-to-write 1");
  HAS(&first, "min-replicas-max-lag 3");
  HAS(&first, "masterauth secret-replication");
  HAS(&first, "replica-announce-ip 10.0.0.11");
  HAS(&first, "repl-diskless-sync-delay 0");
  assert_null(strstr(first.data, "replicaof"));
  assert_null(strstr(first.data, "cluster"));
  config.settings = (struct settings){.items = settings, .count = 2};
  config.save = "";
  assert_ok(redis_write_conf(&plan, 1, &second, &err), &err);
  HAS(&second, "replicaof 10.0.0.11 6379");
  HAS(&second, "save \"\"");
  HAS(&second, "repl-diskless-sync-delay 5"); /* the scenario's, once */
  assert_false(has(&second, "repl-diskless-sync-delay 0"));
  HAS(&second, "proc-title-template \"\"");
}

/* Nobody listens in the clear, and nobody asks in the clear. */
static void test_tls(void **state) {
  (void)state;
  struct redis_config config = config_of(REDIS_SENTINEL);
  struct error err = ERROR_INIT;
  config.tls = true;
  const struct redis_plan plan = plan_of(&config);
  CLEANUP(buf_release) struct buf server;
  CLEANUP(buf_release) struct buf sentinel;
  buf_init(&server);
  buf_init(&sentinel);
  assert_ok(redis_write_conf(&plan, 1, &server, &err), &err);
  assert_ok(redis_write_sentinel_conf(&plan, 1, &sentinel, &err), &err);
  HAS(&server, "tls-port 6379");
  HAS(&sentinel, "tls-port 26379");
  static const char *const lines[] = {"port 0",
                                      "tls-replication yes",
                                      "tls-cluster yes",
                                      "tls-auth-clients no",
                                      "tls-ca-cert-file /etc/gameday/redis/tls/ca.crt",
                                      "tls-cert-file /etc/gameday/redis/tls/server.crt",
                                      "tls-key-file /etc/gameday/redis/tls/server.key"};
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    HAS(&server, lines[i]);
    HAS(&sentinel, lines[i]);
  }
  assert_false(has(&server, "port 6379"));
  assert_false(has(&sentinel, "port 26379"));
}

static void test_node_of_a_cluster(void **state) {
  (void)state;
  const struct redis_config config = config_of(REDIS_CLUSTER);
  const struct redis_plan plan = plan_of(&config);
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(redis_write_conf(&plan, 2, &text, &err), &err);
  HAS(&text, "cluster-enabled yes");
  HAS(&text, "cluster-node-timeout 3000");
  HAS(&text, "cluster-replica-validity-factor 7");
  HAS(&text, "cluster-require-full-coverage no");
  HAS(&text, "cluster-announce-ip 10.0.0.13");
  assert_null(strstr(text.data, "replicaof"));
}

static void test_sentinel_knows_all_from_the_start(void **state) {
  (void)state;
  const struct redis_config config = config_of(REDIS_SENTINEL);
  const struct redis_plan plan = plan_of(&config);
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(redis_write_sentinel_conf(&plan, 1, &text, &err), &err);
  HAS(&text, "sentinel myid id-two");
  HAS(&text, "sentinel monitor gameday 10.0.0.11 6379 2");
  HAS(&text, "sentinel down-after-milliseconds gameday 1500");
  HAS(&text, "sentinel failover-timeout gameday 60000");
  HAS(&text, "sentinel parallel-syncs gameday 2");
  HAS(&text, "sentinel auth-pass gameday secret-sentinel");
  HAS(&text, "sentinel known-replica gameday 10.0.0.12 6379");
  HAS(&text, "sentinel known-replica gameday 10.0.0.13 6379");
  HAS(&text, "sentinel known-sentinel gameday 10.0.0.11 26379 id-one");
  HAS(&text, "sentinel known-sentinel gameday 10.0.0.13 26379 id-three");
  assert_null(strstr(text.data, "26379 id-two"));
}

/* Everybody needs a password, and each file holds only those that belong there. */
static void test_users(void **state) {
  (void)state;
  const struct redis_config config = config_of(REDIS_SENTINEL);
  const struct redis_plan plan = plan_of(&config);
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf server;
  CLEANUP(buf_release) struct buf sentinel;
  buf_init(&server);
  buf_init(&sentinel);
  assert_ok(redis_write_acl(&plan, &server, &err), &err);
  assert_ok(redis_write_sentinel_acl(&plan, &sentinel, &err), &err);
  HAS(&server, "user default off resetpass resetkeys resetchannels -@all");
  HAS(&sentinel, "user default off resetpass resetkeys resetchannels -@all");
  assert_null(strstr(server.data, "nopass"));
  assert_null(strstr(sentinel.data, "nopass"));
  assert_non_null(strstr(server.data, "user gameday on >secret-client"));
  assert_non_null(strstr(sentinel.data, "user gameday on >secret-client"));
  assert_null(strstr(sentinel.data, "secret-replication"));
  assert_null(strstr(server.data, "+@all"));
}

static void expect_pick(const char *log, const char *expected) {
  char text[800];
  server_log_pick(redis_log_choose, log, strlen(log), text, sizeof text);
  assert_string_equal(text, expected);
}

static void test_lines_of_a_log(void **state) {
  (void)state;
  expect_pick("", "");
  expect_pick(
      "7:C 21 Nov 2026 # oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo\n\n"
      "*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\n"
      "Reading the configuration file, at line 24\n>>> 'hz many'\n"
      "argument couldn't be parsed into an integer\n",
      "*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\n"
      "Reading the configuration file, at line 24\n>>> 'hz many'\n"
      "argument couldn't be parsed into an integer");
  expect_pick(
      "7:M 21 Nov # WARNING overcommit_memory is set to 0!\n7:M 21 Nov * Ready\n"
      "7:M 21 Nov # Fatal error loading the DB, check server logs. Exiting.\n"
      "7:M 21 Nov * afterwards\n",
      "7:M 21 Nov # Fatal error loading the DB, check server logs. Exiting.");
  expect_pick("7:M 21 Nov * one\n7:M 21 Nov # two\n", "7:M 21 Nov # two");
  expect_pick("one\ntwo", "one\ntwo");
}

/* What does not fit is cut, and never written beyond the end. */
static void test_long_lines_of_a_log(void **state) {
  (void)state;
  char log[4096], text[64];
  memset(log, 'x', sizeof log);
  log[2000] = '\n';
  server_log_pick(redis_log_choose, log, sizeof log, text, sizeof text);
  assert_true(strlen(text) > 0 && strlen(text) < sizeof text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_server_behind_sentinels),
      cmocka_unit_test(test_tls),
      cmocka_unit_test(test_node_of_a_cluster),
      cmocka_unit_test(test_sentinel_knows_all_from_the_start),
      cmocka_unit_test(test_users),
      cmocka_unit_test(test_lines_of_a_log),
      cmocka_unit_test(test_long_lines_of_a_log),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
