/* The service `redis` on real local hosts: every topology is started, watched and acted on. */
#include "support/test.h"

#include <jansson.h>
#include <poll.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "services/redis.h"
#include "support/service_fixture.h"

extern const struct service service_redis;

static struct error err;

static struct redis_config *config_of(struct service_fixture *f) {
  return f->config;
}

static void begin(struct service_fixture *f, enum redis_topology topology) {
  service_fixture_begin(f, &service_redis);
  config_of(f)->topology = (int)topology;
}

/* The primary of a shard, by the roles of its hosts; HOST_NONE when there is not exactly one. */
static uint16_t primary_of_shard(struct service_fixture *f, uint16_t shard) {
  struct service_view view;
  uint16_t found = HOST_NONE;
  service_redis.view(&f->service, &view);
  for (uint32_t i = 0; i < f->service.member_count; i++) {
    const struct host_view *host = &view.hosts[f->members[i]->index];
    if (host->shard != shard || host->role != ROLE_PRIMARY) continue;
    if (found != HOST_NONE) return HOST_NONE;
    found = f->members[i]->index;
  }
  return found;
}

/* The settings are JSON, know versions and bounds, and hold no password. */
static void read_settings(struct service_fixture *f, const char *topology, bool bounded) {
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  const struct redis_secrets *secrets = &redis_state(&f->service)->secrets;
  const char *const words[] = {secrets->client, secrets->replication, secrets->sentinel,
                               secrets->observer};
  assert_ok(service_redis.settings(&f->service, &text, &err), &err);
  if (getenv("GAMEDAY_TEST_VERBOSE")) print_message("%s\n", text.data);
  for (size_t i = 0; i < 4; i++) assert_null(strstr(text.data, words[i]));
  json_t *root = json_loads(text.data, 0, NULL);
  const json_t *settings = json_object_get(root, "settings");
  const json_t *bounds = json_object_get(root, "bounds");
  const json_t *host = json_object_get(json_object_get(settings, "hosts"), "redis1");
  const json_t *fsync = json_object_get(json_object_get(host, "parameters"), "appendfsync");
  assert_string_equal(json_string_value(json_object_get(settings, "topology")), topology);
  assert_string_equal(json_string_value(fsync), "everysec");
  assert_true(json_object_size(json_object_get(settings, "versions")) == 1);
  assert_non_null(json_object_get(bounds, "because"));
  assert_int_equal(json_is_number(json_object_get(bounds, "failover_time_s")), bounded);
  json_decref(root);
}

/* Programs' arguments and environments on every host, and all logs, hold no password. */
static void find_no_secret(struct service_fixture *f) {
  static const char *const argv[] = {
      "/bin/sh", "-c",
      "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n';"
      "stat -c '%a %n' /etc/gameday/redis/*;"
      "cd /etc/gameday/redis/tls 2>/dev/null && stat -c '%a %n' *.key",
      NULL};
  const struct process_spec spec = {.argv = argv};
  const struct redis_secrets *s = &redis_state(&f->service)->secrets;
  const char *const secrets[] = {s->client, s->replication, s->sentinel, s->observer};
  for (uint32_t i = 0; i < f->service.member_count; i++) {
    CLEANUP(process_result_release) struct process_result result;
    process_result_init(&result);
    const struct host *host = f->members[i];
    assert_ok(f->cluster->provider->exec(f->cluster, host, NULL, &spec, &result, &err), &err);
    assert_non_null(strstr(result.out.data, "600 /etc/gameday/redis/users.acl"));
    assert_null(strstr(result.out.data, "644 /etc"));
    if (config_of(f)->tls) assert_non_null(strstr(result.out.data, "600 server.key"));
    static const char *const units[] = {REDIS_UNIT, REDIS_SENTINEL_UNIT};
    for (size_t u = 0; u < 2; u++) {
      CLEANUP(buf_release) struct buf log;
      char path[256];
      buf_init(&log);
      snprintf(path, sizeof path, "%s/logs/%s/%s.log", f->directory, host->name, units[u]);
      if (file_exists(path)) assert_ok(file_read(path, 64u << 20, &log, &err), &err);
      for (size_t j = 0; j < 4; j++) {
        assert_null(strstr(result.out.data, secrets[j]));
        assert_null(memmem(log.data, log.length, secrets[j], strlen(secrets[j])));
      }
    }
  }
}

/* Runs a line of shell on the first host; what it prints lives as long as `result`. */
static const char *run_on_first(struct service_fixture *f, const char *line,
                                struct process_result *result) {
  const char *const argv[] = {"/bin/sh", "-c", line, NULL};
  const struct process_spec spec = {.argv = argv};
  const struct provider *provider = f->cluster->provider;
  process_result_init(result);
  assert_ok(provider->exec(f->cluster, f->members[0], NULL, &spec, result, &err), &err);
  if (getenv("GAMEDAY_TEST_VERBOSE")) print_message("%s", result->out.data);
  return result->out.data;
}

/* What the clients' user may do and what not. */
static void try_rights(struct service_fixture *f) {
  char line[1024];
  const char *tls = config_of(f)->tls ? "--tls --cacert /etc/gameday/redis/tls/ca.crt" : "";
  snprintf(line, sizeof line,
           "export REDISCLI_AUTH=%s; R='redis-cli %s --user %s --no-auth-warning';"
           "$R set a 1; $R get a; $R eval 'return redis.call(\"incr\",KEYS[1])' 1 a;"
           "$R wait 0 1; $R config get maxmemory; $R keys '*'; $R flushall; $R acl list;"
           "unset REDISCLI_AUTH; redis-cli %s ping",
           redis_state(&f->service)->secrets.client, tls, REDIS_CLIENT_USER, tls);
  CLEANUP(process_result_release) struct process_result result;
  const char *out = run_on_first(f, line, &result);
  assert_true(strncmp(out, "OK\n1\n2\n", 7) == 0);
  uint32_t refused = 0;
  for (const char *at = out; (at = strstr(at, "NOPERM")); at++) refused++;
  assert_int_equal(refused, 3); /* config, keys, acl */
  assert_non_null(strstr(out, "NOAUTH"));
}

/* Neither servers nor Sentinels take a connection that is not TLS, nor a TLS that is too old. */
static void try_in_the_clear(struct service_fixture *f) {
  static const char line[] =
      "for p in 6379 26379; do timeout 5 redis-cli -p $p ping 2>&1; echo ended $?;"
      " echo | timeout 5 openssl s_client -connect 127.0.0.1:$p -tls1_1 -cipher DEFAULT@SECLEVEL=0"
      " 2>&1 | grep -c 'Cipher is (NONE)'; done";
  CLEANUP(process_result_release) struct process_result result;
  const char *out = run_on_first(f, line, &result);
  assert_null(strstr(out, "PONG"));
  assert_null(strstr(out, "NOAUTH"));
  assert_null(strstr(out, "ended 0"));
  uint32_t too_old = 0;
  for (const char *at = out; (at = strstr(at, "\n1\n")); at++) too_old++;
  assert_int_equal(too_old, 2);
}

static void wait_event(struct service_fixture *f, uint32_t *from, enum event_kind kind,
                       uint16_t host, uint64_t timeout_ns) {
  *from = service_fixture_wait_event(f, *from, kind, host, timeout_ns);
}

static void crash(struct service_fixture *f, uint16_t old) {
  uint32_t promoted = service_fixture_crash(f, old);
  assert_true(f->events[promoted].number > 1);
}

static void switchover(struct service_fixture *f, uint16_t old, const struct host *target) {
  uint32_t from = service_fixture_event_count(f), lost = from;
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(service_redis.step(&f->service, STEP_SWITCHOVER, target, &err), &err);
  print_message("switchover: %.2f s\n", (double)(clock_now_ns(&clock_monotonic) - begin_ns) / 1e9);
  uint16_t wanted = target ? target->index : HOST_NONE;
  wait_event(f, &from, EVENT_PROMOTED, wanted, 5 * NS_PER_S);
  wait_event(f, &lost, EVENT_LEADER_LOST, old, 30 * NS_PER_S);
  wait_event(f, &lost, EVENT_LEADER, f->events[from].host, 5 * NS_PER_S);
  assert_true(service_fixture_wait_converged(f, 30 * NS_PER_S));
  assert_true(service_fixture_wait_redundant(f, 20 * NS_PER_S));
}

static void test_sentinel(void **state) {
  (void)state;
  static struct service_fixture f;
  begin(&f, REDIS_SENTINEL);
  config_of(&f)->down_after_ns = 2 * NS_PER_S;
  config_of(&f)->failover_timeout_ns = 10 * NS_PER_S;
  service_fixture_start(&f, "3 servers, 3 Sentinels");
  service_fixture_watch(&f);
  struct service_view view;
  service_redis.view(&f.service, &view);
  assert_int_equal(view.primary, f.members[0]->index);
  assert_int_equal(view.leader, view.primary);
  assert_int_equal(view.shards, 0);
  assert_true(service_fixture_wait_converged(&f, 5 * NS_PER_S));
  read_settings(&f, "sentinel", true);
  try_rights(&f);
  find_no_secret(&f);
  crash(&f, service_fixture_primary(&f));
  switchover(&f, service_fixture_primary(&f), NULL);
  uint16_t old = service_fixture_primary(&f);
  switchover(&f, old, f.members[(old + 1) % 3]);
  assert_int_equal(service_fixture_primary(&f), f.members[(old + 1) % 3]->index);
  assert_true(service_redis.step(&f.service, STEP_SWITCHOVER, f.members[(old + 1) % 3], &err) < 0);
  assert_true(f.samples[METRIC_MEMORY_USED] > 0 && f.samples[METRIC_KEYSPACE_HITS] > 0);
  assert_true(f.samples[METRIC_LAG_BYTES] > 0 && f.samples[METRIC_STREAMING] > 0);
  service_fixture_down(&f);
}

static void test_sentinel_tls(void **state) {
  (void)state;
  static struct service_fixture f;
  begin(&f, REDIS_SENTINEL);
  config_of(&f)->down_after_ns = 5 * NS_PER_S; /* longer than the freeze, and a busy machine */
  config_of(&f)->tls = true;
  service_fixture_start(&f, "3 servers, 3 Sentinels, TLS");
  service_fixture_watch(&f);
  read_settings(&f, "sentinel", true);
  try_rights(&f);
  try_in_the_clear(&f);
  find_no_secret(&f);
  service_fixture_freeze(&f, 0, &service_redis.processes_for(f.config)[0].match);
  crash(&f, service_fixture_primary(&f));
  switchover(&f, service_fixture_primary(&f), NULL);
  service_fixture_attach(&f);
  service_fixture_down(&f);
}

/* Two servers could not lose either Sentinel, so a third host has one. */
static void test_sentinel_on_its_own_host(void **state) {
  (void)state;
  static struct service_fixture f;
  begin(&f, REDIS_SENTINEL);
  config_of(&f)->instances = 2;
  config_of(&f)->down_after_ns = NS_PER_S;
  config_of(&f)->min_replicas_to_write = 1;
  config_of(&f)->min_replicas_max_lag_ns = 2 * NS_PER_S;
  service_fixture_start(&f, "2 servers, 3 Sentinels");
  assert_int_equal(f.service.member_count, 3);
  assert_int_equal(f.service.access.endpoint_count, 2);
  service_fixture_watch(&f);
  /* Without its replica the primary takes no writes after a while, and it is not promoted when it
   * takes them again. */
  uint32_t from = service_fixture_event_count(&f);
  const struct provider *provider = f.cluster->provider;
  assert_ok(provider->host_stop(f.cluster, f.members[1], &err), &err);
  wait_event(&f, &from, EVENT_ROLE, 1, 5 * NS_PER_S);
  struct service_view view;
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + 10 * NS_PER_S;
  do {
    poll(NULL, 0, 20); /* a server's state can only be asked for */
    service_redis.view(&f.service, &view);
    assert_true(clock_now_ns(&clock_monotonic) < deadline_ns);
  } while (view.hosts[0].writable);
  assert_int_equal(view.hosts[0].role, ROLE_PRIMARY);
  assert_int_equal(view.primary, HOST_NONE);
  assert_ok(provider->host_start(f.cluster, f.members[1], &err), &err);
  assert_true(service_fixture_wait_redundant(&f, 30 * NS_PER_S));
  assert_int_equal(service_fixture_find_event(&f, from, EVENT_PROMOTED, HOST_NONE, 0), UINT32_MAX);
  service_fixture_down(&f);
}

static void test_cluster(void **state) {
  (void)state;
  static struct service_fixture f;
  begin(&f, REDIS_CLUSTER);
  config_of(&f)->node_timeout_ns = 2 * NS_PER_S;
  service_fixture_start(&f, "cluster of 3 masters and 3 replicas");
  service_fixture_watch(&f);
  struct service_view view;
  service_redis.view(&f.service, &view);
  assert_int_equal(view.primary, HOST_NONE);
  assert_int_equal(view.shards, 3);
  for (uint16_t shard = 1; shard <= 3; shard++)
    assert_int_equal(primary_of_shard(&f, shard), f.members[shard - 1]->index);
  assert_true(service_fixture_wait_converged(&f, 5 * NS_PER_S));
  read_settings(&f, "cluster", true);
  find_no_secret(&f);
  crash(&f, primary_of_shard(&f, 2));
  assert_int_equal(primary_of_shard(&f, 2), f.members[4]->index);
  switchover(&f, f.members[0]->index, NULL);
  assert_int_equal(primary_of_shard(&f, 1), f.members[3]->index);
  switchover(&f, f.members[4]->index, f.members[1]);
  assert_int_equal(primary_of_shard(&f, 2), f.members[1]->index);
  service_fixture_down(&f);
}

static void test_cluster_tls(void **state) {
  (void)state;
  static struct service_fixture f;
  begin(&f, REDIS_CLUSTER);
  config_of(&f)->node_timeout_ns = 2 * NS_PER_S;
  config_of(&f)->tls = true;
  service_fixture_start(&f, "cluster of 3 masters and 3 replicas, TLS");
  service_fixture_watch(&f);
  assert_true(service_fixture_wait_converged(&f, 5 * NS_PER_S));
  read_settings(&f, "cluster", true);
  find_no_secret(&f);
  crash(&f, primary_of_shard(&f, 2));
  assert_int_equal(primary_of_shard(&f, 2), f.members[4]->index);
  switchover(&f, f.members[0]->index, NULL);
  service_fixture_down(&f);
}

static void test_single(void **state) {
  (void)state;
  static struct service_fixture f;
  begin(&f, REDIS_SINGLE);
  config_of(&f)->appendonly = true;
  config_of(&f)->maxmemory_bytes = 64 << 20;
  config_of(&f)->maxmemory_policy = 1;
  service_fixture_start(&f, "single");
  assert_int_equal(f.service.member_count, 1);
  service_fixture_watch(&f);
  assert_int_equal(service_fixture_primary(&f), 0);
  read_settings(&f, "single", false);
  service_fixture_freeze(&f, 0, &service_redis.processes_for(f.config)[0].match);
  uint32_t from = service_fixture_event_count(&f);
  assert_ok(service_redis.step(&f.service, STEP_RESTART, NULL, &err), &err);
  wait_event(&f, &from, EVENT_PROMOTED, 0, 10 * NS_PER_S);
  assert_true(service_fixture_wait_converged(&f, 5 * NS_PER_S));
  service_fixture_attach(&f);
  service_fixture_down(&f);
}

static void test_bad_setting(void **state) {
  (void)state;
  static const struct {
    enum redis_topology topology;
    struct setting setting;
    const char *words;
  } cases[] = {
      {REDIS_SENTINEL, {"repl-backlog-sise", "1mb"}, "repl-backlog-sise"},
      {REDIS_CLUSTER, {"hz", "many"}, "hz many"},
      {REDIS_SINGLE, {"loadmodule", "/nowhere.so"}, "/nowhere.so"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    static struct service_fixture f;
    const struct setting *setting = &cases[i].setting;
    begin(&f, cases[i].topology);
    config_of(&f)->settings = (struct settings){.items = setting, .count = 1};
    service_fixture_refused(&f, setting, cases[i].words, 20);
  }
}

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]); /* one test by name: test_single */
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sentinel),
      cmocka_unit_test(test_sentinel_tls),
      cmocka_unit_test(test_sentinel_on_its_own_host),
      cmocka_unit_test(test_cluster),
      cmocka_unit_test(test_cluster_tls),
      cmocka_unit_test(test_single),
      cmocka_unit_test(test_bad_setting),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
