/* The service `postgres` on real local hosts: every topology is started, watched and acted on. */
#include "support/test.h"

#include <jansson.h>
#include <signal.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "services/postgres.h"
#include "support/service_fixture.h"

extern const struct service service_postgres;

static struct error err;

static struct postgres_config *config_of(struct service_fixture *f) {
  return f->config;
}

/* The settings are JSON, know the version, and hold no password. */
static void read_settings(struct service_fixture *f, const char *topology) {
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(f->service.service->settings(&f->service, &text, &err), &err);
  assert_null(strstr(text.data, postgres_state(&f->service)->secrets.superuser));
  assert_null(strstr(text.data, postgres_state(&f->service)->secrets.client));
  json_t *root = json_loads(text.data, 0, NULL);
  const json_t *settings = json_object_get(root, "settings");
  const json_t *bounds = json_object_get(root, "bounds");
  const json_t *pg1 = json_object_get(json_object_get(settings, "hosts"), "pg1");
  const json_t *wal = json_object_get(json_object_get(pg1, "parameters"), "wal_level");
  assert_string_equal(json_string_value(json_object_get(settings, "topology")), topology);
  assert_string_equal(json_string_value(json_object_get(wal, "value")), "replica");
  assert_non_null(json_object_get(json_object_get(settings, "versions"), "postgresql"));
  if (strcmp(topology, "patroni") == 0) {
    assert_non_null(json_object_get(json_object_get(settings, "versions"), "patroni"));
    assert_non_null(json_object_get(json_object_get(settings, "versions"), "etcd"));
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(settings, "patroni"), "ttl")), 30);
    assert_true(json_real_value(json_object_get(bounds, "failover_time_s")) > 30);
  }
  assert_non_null(json_object_get(bounds, "because"));
  if (getenv("GAMEDAY_TEST_VERBOSE")) print_message("%s\n", text.data);
  json_decref(root);
}

/* A process that the service names is found by its match, and is the only one when it should be. */
static void count_processes(struct service_fixture *f) {
  const struct service_process *p = f->service.service->processes_for(f->config);
  for (; p->name; p++) {
    struct process_match match = p->match;
    uint32_t count = 0;
    match.tree = false;
    assert_ok(
        f->cluster->provider->process_signal(f->cluster, f->members[0], &match, 0, &count, &err),
        &err);
    if (count != 1) fail_msg("%u processes match %s", count, p->name);
  }
}

/* Programs' arguments and environments on every host, and all logs, hold no password. */
static void find_no_secret(struct service_fixture *f) {
  static const char *const argv[] = {
      "/bin/sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'",
      NULL};
  const struct process_spec spec = {.argv = argv};
  const struct postgres_secrets *s = &postgres_state(&f->service)->secrets;
  const char *const secrets[] = {s->superuser, s->replication, s->rewind, s->client, s->rest};
  for (uint32_t i = 0; i < f->service.member_count; i++) {
    CLEANUP(process_result_release) struct process_result result;
    CLEANUP(buf_release) struct buf log;
    char path[256];
    process_result_init(&result);
    buf_init(&log);
    const struct host *host = f->members[i];
    assert_ok(f->cluster->provider->exec(f->cluster, host, NULL, &spec, &result, &err), &err);
    assert_non_null(strstr(result.out.data, "/postgres"));
    snprintf(path, sizeof path, "%s/logs/%s/patroni.log", f->directory, host->name);
    assert_ok(file_read(path, 64u << 20, &log, &err), &err);
    for (size_t j = 0; j < sizeof secrets / sizeof secrets[0]; j++) {
      assert_null(strstr(result.out.data, secrets[j]));
      assert_null(memmem(log.data, log.length, secrets[j], strlen(secrets[j])));
    }
  }
}

static void patroni(struct service_fixture *f) {
  struct service_view view;
  /* Even so no password must be logged. */
  struct setting setting = {.name = "log_statement", .value = "all"};
  config_of(f)->parameters = (struct settings){.items = &setting, .count = 1};
  service_fixture_start(f, "patroni, 3 hosts");
  const struct service *service = f->service.service;
  service_fixture_execute(f, "create schema gameday; create table gameday.t (i int)");
  service_fixture_execute(f, "insert into gameday.t select generate_series(1, 1000)");

  service_fixture_watch(f);
  uint32_t promoted = service_fixture_wait_event(f, 0, EVENT_PROMOTED, HOST_NONE, 0);
  service_fixture_wait_event(f, 0, EVENT_LEADER, HOST_NONE, 5 * NS_PER_S);
  service->view(&f->service, &view);
  assert_int_equal(view.primary, view.leader);
  assert_int_equal(f->events[promoted].host, view.primary);
  assert_true(service_fixture_wait_converged(f, 10 * NS_PER_S));
  count_processes(f);

  /* A switchover to a named replica: the key moves, the timeline rises, all stream again. */
  uint16_t old = view.primary;
  const struct host *target = f->members[(old + 1) % 3];
  uint32_t from = service_fixture_event_count(f);
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(service->step(&f->service, STEP_SWITCHOVER, target, &err), &err);
  print_message("switchover: %.2f s\n", (double)(clock_now_ns(&clock_monotonic) - begin_ns) / 1e9);
  uint32_t lost = service_fixture_wait_event(f, from, EVENT_LEADER_LOST, old, 5 * NS_PER_S);
  service_fixture_wait_event(f, lost, EVENT_LEADER, target->index, 5 * NS_PER_S);
  promoted = service_fixture_wait_event(f, from, EVENT_PROMOTED, target->index, 5 * NS_PER_S);
  assert_int_equal(f->events[promoted].number, 2);
  assert_true(service_fixture_wait_converged(f, 60 * NS_PER_S));
  assert_true(service_fixture_wait_redundant(f, 10 * NS_PER_S));
  assert_int_equal(service_fixture_primary(f), target->index);
  assert_true(service->step(&f->service, STEP_SWITCHOVER, target, &err) < 0);

  /* A restart of a replica. */
  from = service_fixture_event_count(f);
  const struct host *replica = f->members[(target->index + 1) % 3];
  assert_ok(service->step(&f->service, STEP_RESTART, replica, &err), &err);
  service_fixture_wait_event(f, from, EVENT_ROLE, replica->index, 5 * NS_PER_S);
  assert_true(service_fixture_wait_converged(f, 60 * NS_PER_S));

  read_settings(f, "patroni");
  find_no_secret(f);
}

static void test_patroni(void **state) {
  (void)state;
  static struct service_fixture f;
  service_fixture_begin(&f, &service_postgres);
  patroni(&f);
  service_fixture_down(&f);
}

/* Two instances, synchronous, the shortest times that Patroni allows: a third host votes. */
static void test_patroni_synchronous(void **state) {
  (void)state;
  static struct service_fixture f;
  service_fixture_begin(&f, &service_postgres);
  config_of(&f)->instances = 2;
  config_of(&f)->synchronous_mode = true;
  config_of(&f)->ttl_ns = 20 * NS_PER_S;
  config_of(&f)->loop_wait_ns = 2 * NS_PER_S;
  config_of(&f)->retry_timeout_ns = 5 * NS_PER_S;
  service_fixture_start(&f, "patroni, 2 hosts, synchronous");
  assert_int_equal(f.service.member_count, 3);
  assert_int_equal(f.service.access.endpoint_count, 2);
  service_fixture_watch(&f);
  service_fixture_execute(&f, "create table t as select generate_series(1, 1000)");
  uint16_t old = service_fixture_primary(&f);
  uint32_t from = service_fixture_event_count(&f);
  uint32_t promoted = service_fixture_crash(&f, old);
  assert_true(service_fixture_find_event(&f, from, EVENT_LEADER_LOST, old, 0) < promoted);
  service_fixture_down(&f);
}

static uint32_t processes_of(struct service_fixture *f, const char *name, int signal) {
  const struct service_process *p = service_process_find(&service_postgres, f->config, name);
  uint32_t count = 0;
  assert_non_null(p);
  assert_ok(f->cluster->provider->process_signal(f->cluster, f->members[0], &p->match, signal,
                                                 &count, &err),
            &err);
  return count;
}

/* Each process that a fault can name is killed, and brought back by whom the service says. */
static void kill_processes(struct service_fixture *f) {
  const struct provider *provider = f->cluster->provider;
  uint32_t from = service_fixture_event_count(f);
  assert_true(processes_of(f, "postmaster", SIGKILL) > 3); /* with its children */
  uint32_t none = service_fixture_wait_event(f, from, EVENT_ROLE, 0, 5 * NS_PER_S);
  assert_int_equal(f->events[none].role, ROLE_NONE);
  service_fixture_wait_event(f, none, EVENT_PROMOTED, 0, 30 * NS_PER_S);
  assert_int_equal(processes_of(f, "patroni", SIGKILL), 1);
  assert_ok(provider->unit_start(f->cluster, f->members[0], "patroni", &err), &err);
  assert_int_equal(processes_of(f, "etcd", SIGKILL), 1);
  assert_ok(provider->unit_start(f->cluster, f->members[0], "etcd", &err), &err);
  from = service_fixture_event_count(f);
  service_fixture_wait_event(f, from, EVENT_MANAGER, 0, 30 * NS_PER_S);
  assert_true(service_fixture_wait_redundant(f, 60 * NS_PER_S));
}

static void test_one_instance(void **state) {
  (void)state;
  static struct service_fixture f;
  service_fixture_begin(&f, &service_postgres);
  config_of(&f)->instances = 1;
  config_of(&f)->loop_wait_ns = NS_PER_S;
  service_fixture_start(&f, "patroni, 1 host");
  assert_true(service_fixture_wait_converged(&f, 5 * NS_PER_S));
  service_fixture_watch(&f);
  kill_processes(&f);
  service_fixture_down(&f);
}

static void test_bad_parameter(void **state) {
  (void)state;
  static const struct {
    enum postgres_topology topology;
    struct setting setting;
    const char *words;
  } cases[] = {
      {TOPOLOGY_PATRONI, {"shared_preload_libraries", "nonsense"}, "nonsense"},
      {TOPOLOGY_PATRONI, {"shared_bufers", "64MB"}, "shared_bufers"},
      {TOPOLOGY_STREAMING, {"shared_buffers", "64TB"}, "FATAL"},
      {TOPOLOGY_SINGLE,
       {"shared_bufers", "64MB"},
       "unrecognized configuration parameter \"shared_bufers\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    static struct service_fixture f;
    const struct setting *setting = &cases[i].setting;
    service_fixture_begin(&f, &service_postgres);
    config_of(&f)->topology = (int)cases[i].topology;
    config_of(&f)->instances = 2;
    config_of(&f)->parameters = (struct settings){.items = setting, .count = 1};
    service_fixture_refused(&f, setting, cases[i].words, 90);
  }
}

static void test_streaming(void **state) {
  (void)state;
  static struct service_fixture f;
  service_fixture_begin(&f, &service_postgres);
  /* A replica notices a silent primary after this; the default is 60 s. */
  struct setting setting = {.name = "wal_receiver_timeout", .value = "3s"};
  config_of(&f)->topology = TOPOLOGY_STREAMING;
  config_of(&f)->parameters = (struct settings){.items = &setting, .count = 1};
  service_fixture_start(&f, "streaming, 3 hosts");
  const struct provider *provider = f.cluster->provider;
  const struct service *service = f.service.service;
  service_fixture_watch(&f);
  service_fixture_execute(&f, "create table t as select generate_series(1, 1000)");
  assert_true(service_fixture_wait_converged(&f, 10 * NS_PER_S));
  count_processes(&f);
  read_settings(&f, "streaming");
  assert_true(service->step(&f.service, STEP_SWITCHOVER, NULL, &err) < 0);
  assert_ok(service->step(&f.service, STEP_RESTART, f.members[2], &err), &err);
  assert_true(service_fixture_wait_redundant(&f, 30 * NS_PER_S));

  /* The primary is gone for good; a replica is promoted, the other one finds it by itself. */
  uint32_t from = service_fixture_event_count(&f);
  assert_ok(provider->host_stop(f.cluster, f.members[0], &err), &err);
  service_fixture_wait_event(&f, from, EVENT_ROLE, 0, 10 * NS_PER_S);
  assert_ok(service->step(&f.service, STEP_PROMOTE, f.members[1], &err), &err);
  uint32_t promoted = service_fixture_wait_event(&f, from, EVENT_PROMOTED, 1, 5 * NS_PER_S);
  assert_int_equal(f.events[promoted].number, 2);
  uint32_t follows = service_fixture_wait_event(&f, promoted, EVENT_ROLE, 2, 30 * NS_PER_S);
  assert_int_equal(f.events[follows].number, 2);

  /* The former primary comes back as a replica of the new one. */
  assert_ok(provider->host_start(f.cluster, f.members[0], &err), &err);
  assert_true(service_fixture_wait_redundant(&f, 60 * NS_PER_S));
  assert_int_equal(service_fixture_primary(&f), 1);
  assert_true(service_fixture_wait_converged(&f, 10 * NS_PER_S));
  service_fixture_down(&f);
}

static void test_single(void **state) {
  (void)state;
  static struct service_fixture f;
  service_fixture_begin(&f, &service_postgres);
  config_of(&f)->topology = TOPOLOGY_SINGLE;
  service_fixture_start(&f, "single");
  service_fixture_watch(&f);
  service_fixture_wait_event(&f, 0, EVENT_PROMOTED, 0, 5 * NS_PER_S);
  static const struct process_match match = {
      .program = "postgres", .argument = " -D ", .tree = true};
  service_fixture_freeze(&f, 0, &match);
  uint32_t first = service_fixture_event_count(&f);
  assert_ok(f.service.service->step(&f.service, STEP_RESTART, NULL, &err), &err);
  service_fixture_wait_event(&f, first, EVENT_PROMOTED, 0, 10 * NS_PER_S);
  assert_true(service_fixture_wait_converged(&f, 5 * NS_PER_S));
  service_fixture_attach(&f);
  service_fixture_down(&f);
}

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]); /* one test by name: test_single */
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_patroni),      cmocka_unit_test(test_patroni_synchronous),
      cmocka_unit_test(test_one_instance), cmocka_unit_test(test_streaming),
      cmocka_unit_test(test_single),       cmocka_unit_test(test_bad_parameter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
