/* The service `postgres` on real local hosts: every topology is started, watched and acted on. */
#include "support/test.h"

#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "gameday/driver.h"
#include "support/postgres_fixture.h"

static struct error err;

static void say_times(const struct postgres_fixture *f, const char *what) {
  print_message("%s: hosts up %.2f s, service ready %.2f s\n", what, f->up_s, f->start_s);
}

static bool begin(struct postgres_fixture *f) {
  assert_ok(fixture_init(f, &err), &err);
  if (fixture_probe(f, &err) < 0) {
    print_message("skipped: %s\n", err.message);
    return false;
  }
  return true;
}

/* The settings are JSON, know the version, and hold no password. */
static void read_settings(struct postgres_fixture *f, const char *topology) {
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
static void count_processes(struct postgres_fixture *f) {
  const struct service_process *p = f->service.service->processes_for(&f->config);
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
static void find_no_secret(struct postgres_fixture *f) {
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

static uint8_t primary_of(struct postgres_fixture *f) {
  struct service_view view;
  f->service.service->view(&f->service, &view);
  return view.primary;
}

static void patroni(struct postgres_fixture *f) {
  struct service_view view;
  /* Even so no password must be logged. */
  struct setting setting = {.name = "log_statement", .value = "all"};
  f->config.parameters = (struct settings){.items = &setting, .count = 1};
  assert_ok(fixture_up(f, &err), &err);
  assert_ok(fixture_start(f, &err), &err);
  say_times(f, "patroni, 3 hosts");
  const struct service *service = f->service.service;
  assert_ok(fixture_sql(f, "create schema gameday; create table gameday.t (i int)", &err), &err);
  assert_ok(fixture_sql(f, "insert into gameday.t select generate_series(1, 1000)", &err), &err);

  assert_ok(fixture_watch(f, &err), &err);
  assert_true(fixture_wait_redundant(f, 10 * NS_PER_S));
  uint32_t promoted = fixture_wait_event(f, 0, EVENT_PROMOTED, HOST_NONE, 0);
  assert_int_not_equal(promoted, UINT32_MAX);
  assert_int_not_equal(fixture_wait_event(f, 0, EVENT_LEADER, HOST_NONE, 5 * NS_PER_S), UINT32_MAX);
  service->view(&f->service, &view);
  assert_int_equal(view.primary, view.leader);
  assert_int_equal(f->events[promoted].host, view.primary);
  assert_true(fixture_wait_converged(f, 10 * NS_PER_S));
  count_processes(f);

  /* A switchover to a named replica: the key moves, the timeline rises, all stream again. */
  uint8_t old = view.primary;
  const struct host *target = f->members[(old + 1) % 3];
  uint32_t from = fixture_event_count(f);
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(service->step(&f->service, STEP_SWITCHOVER, target, &err), &err);
  print_message("switchover: %.2f s\n", (double)(clock_now_ns(&clock_monotonic) - begin_ns) / 1e9);
  uint32_t lost = fixture_wait_event(f, from, EVENT_LEADER_LOST, old, 5 * NS_PER_S);
  assert_int_not_equal(lost, UINT32_MAX);
  assert_int_not_equal(fixture_wait_event(f, lost, EVENT_LEADER, target->index, 5 * NS_PER_S),
                       UINT32_MAX);
  promoted = fixture_wait_event(f, from, EVENT_PROMOTED, target->index, 5 * NS_PER_S);
  assert_int_not_equal(promoted, UINT32_MAX);
  assert_int_equal(f->events[promoted].number, 2);
  assert_true(fixture_wait_converged(f, 60 * NS_PER_S));
  assert_true(fixture_wait_redundant(f, 10 * NS_PER_S));
  assert_int_equal(primary_of(f), target->index);
  assert_true(service->step(&f->service, STEP_SWITCHOVER, target, &err) < 0);

  /* A restart of a replica. */
  from = fixture_event_count(f);
  const struct host *replica = f->members[(target->index + 1) % 3];
  assert_ok(service->step(&f->service, STEP_RESTART, replica, &err), &err);
  assert_int_not_equal(fixture_wait_event(f, from, EVENT_ROLE, replica->index, 5 * NS_PER_S),
                       UINT32_MAX);
  assert_true(fixture_wait_converged(f, 60 * NS_PER_S));

  read_settings(f, "patroni");
  find_no_secret(f);
}

static void test_patroni(void **state) {
  (void)state;
  static struct postgres_fixture f;
  if (!begin(&f)) skip();
  patroni(&f);
  fixture_down(&f);
}

/* Power off at the primary's host: the others lose the leader, promote, and take it back. */
static void crash(struct postgres_fixture *f) {
  const struct provider *provider = f->cluster->provider;
  uint8_t old = primary_of(f);
  const struct host *host = fixture_host(f, old);
  uint32_t from = fixture_event_count(f);
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider->host_stop(f->cluster, host, &err), &err);
  uint32_t lost = fixture_wait_event(f, from, EVENT_LEADER_LOST, old, 60 * NS_PER_S);
  assert_int_not_equal(lost, UINT32_MAX);
  uint32_t promoted = fixture_wait_event(f, lost, EVENT_PROMOTED, HOST_NONE, 20 * NS_PER_S);
  assert_int_not_equal(promoted, UINT32_MAX);
  assert_int_not_equal(f->events[promoted].host, old);
  uint64_t zero_ns = begin_ns - f->service.start_ns;
  print_message("host crash: leader lost after %.2f s, promoted after %.2f s\n",
                (double)(f->events[lost].time_ns - zero_ns) / 1e9,
                (double)(f->events[promoted].time_ns - zero_ns) / 1e9);
  begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider->host_start(f->cluster, host, &err), &err);
  assert_true(fixture_wait_redundant(f, 90 * NS_PER_S));
  print_message("host returned: redundant after %.2f s\n",
                (double)(clock_now_ns(&clock_monotonic) - begin_ns) / 1e9);
  assert_true(fixture_wait_converged(f, 30 * NS_PER_S));
}

/* Two instances, synchronous, the shortest times that Patroni allows: a third host votes. */
static void test_patroni_synchronous(void **state) {
  (void)state;
  static struct postgres_fixture f;
  if (!begin(&f)) skip();
  f.config.instances = 2;
  f.config.synchronous_mode = true;
  f.config.ttl_ns = 20 * NS_PER_S;
  f.config.loop_wait_ns = 2 * NS_PER_S;
  f.config.retry_timeout_ns = 5 * NS_PER_S;
  assert_ok(fixture_up(&f, &err), &err);
  assert_int_equal(f.service.member_count, 3);
  assert_ok(fixture_start(&f, &err), &err);
  say_times(&f, "patroni, 2 hosts, synchronous");
  assert_int_equal(f.service.access.endpoint_count, 2);
  assert_ok(fixture_watch(&f, &err), &err);
  assert_true(fixture_wait_redundant(&f, 10 * NS_PER_S));
  assert_ok(fixture_sql(&f, "create table t as select generate_series(1, 1000)", &err), &err);
  crash(&f);
  fixture_down(&f);
}

/* A frozen server falls silent after a second and is heard again at once after the thaw. */
static void freeze(struct postgres_fixture *f, uint8_t index) {
  static const struct process_match match = {
      .program = "postgres", .argument = " -D ", .tree = true};
  const struct provider *provider = f->cluster->provider;
  const struct host *host = fixture_host(f, index);
  uint32_t from = fixture_event_count(f);
  assert_ok(provider->freeze(f->cluster, host, &match, true, &err), &err);
  uint32_t none = fixture_wait_event(f, from, EVENT_ROLE, index, 5 * NS_PER_S);
  assert_int_not_equal(none, UINT32_MAX);
  assert_int_equal(f->events[none].role, ROLE_NONE);
  uint64_t thaw_ns = clock_now_ns(&clock_monotonic) - f->service.start_ns;
  assert_ok(provider->freeze(f->cluster, host, &match, false, &err), &err);
  uint32_t again = fixture_wait_event(f, none, EVENT_PROMOTED, index, 5 * NS_PER_S);
  assert_int_not_equal(again, UINT32_MAX);
  print_message("thawed server heard after %.0f ms\n",
                ((double)f->events[again].time_ns - (double)thaw_ns) / 1e6);
}

static uint32_t processes_of(struct postgres_fixture *f, const char *name, int signal) {
  const struct service_process *p = f->service.service->processes_for(&f->config);
  uint32_t count = 0;
  while (p->name && strcmp(p->name, name) != 0) p++;
  assert_non_null(p->name);
  assert_ok(f->cluster->provider->process_signal(f->cluster, f->members[0], &p->match, signal,
                                                 &count, &err),
            &err);
  return count;
}

/* Each process that a fault can name is killed, and brought back by whom the service says. */
static void kill_processes(struct postgres_fixture *f) {
  const struct provider *provider = f->cluster->provider;
  uint32_t from = fixture_event_count(f);
  assert_true(processes_of(f, "postmaster", SIGKILL) > 3); /* with its children */
  uint32_t none = fixture_wait_event(f, from, EVENT_ROLE, 0, 5 * NS_PER_S);
  assert_int_not_equal(none, UINT32_MAX);
  assert_int_equal(f->events[none].role, ROLE_NONE);
  assert_int_not_equal(fixture_wait_event(f, none, EVENT_PROMOTED, 0, 30 * NS_PER_S), UINT32_MAX);
  assert_int_equal(processes_of(f, "patroni", SIGKILL), 1);
  assert_ok(provider->unit_start(f->cluster, f->members[0], "patroni", &err), &err);
  assert_int_equal(processes_of(f, "etcd", SIGKILL), 1);
  assert_ok(provider->unit_start(f->cluster, f->members[0], "etcd", &err), &err);
  from = fixture_event_count(f);
  assert_int_not_equal(fixture_wait_event(f, from, EVENT_MANAGER, 0, 30 * NS_PER_S), UINT32_MAX);
  assert_true(fixture_wait_redundant(f, 60 * NS_PER_S));
}

static void test_one_instance(void **state) {
  (void)state;
  static struct postgres_fixture f;
  if (!begin(&f)) skip();
  f.config.instances = 1;
  f.config.loop_wait_ns = NS_PER_S;
  assert_ok(fixture_up(&f, &err), &err);
  assert_ok(fixture_start(&f, &err), &err);
  say_times(&f, "patroni, 1 host");
  assert_true(fixture_wait_converged(&f, 5 * NS_PER_S));
  assert_ok(fixture_watch(&f, &err), &err);
  assert_true(fixture_wait_redundant(&f, 10 * NS_PER_S));
  kill_processes(&f);
  fixture_down(&f);
}

/* A server that cannot start: its own words, long before the deadline. */
static void expect_refused(enum postgres_topology topology, const char *name, const char *value,
                           const char *words) {
  static struct postgres_fixture f;
  struct setting setting = {.name = name, .value = value};
  assert_ok(fixture_init(&f, &err), &err);
  f.config.topology = (int)topology;
  f.config.instances = 2;
  f.config.parameters = (struct settings){.items = &setting, .count = 1};
  assert_ok(fixture_up(&f, &err), &err);
  int status = fixture_start(&f, &err);
  print_message("%s = %s refused after %.2f s: %s\n", name, value, f.start_s, err.message);
  assert_int_equal(status, STATUS_SERVER);
  assert_non_null(strstr(err.message, words));
  assert_true(f.start_s < 90); /* of 120 */
  fixture_down(&f);
}

static void test_bad_parameter(void **state) {
  (void)state;
  static struct postgres_fixture f;
  if (!begin(&f)) skip();
  fixture_down(&f);
  expect_refused(TOPOLOGY_PATRONI, "shared_preload_libraries", "nonsense", "nonsense");
  expect_refused(TOPOLOGY_PATRONI, "shared_bufers", "64MB", "shared_bufers");
  expect_refused(TOPOLOGY_STREAMING, "shared_buffers", "64TB", "FATAL");
  expect_refused(TOPOLOGY_SINGLE, "shared_bufers", "64MB",
                 "unrecognized configuration parameter \"shared_bufers\"");
}

static void test_streaming(void **state) {
  (void)state;
  static struct postgres_fixture f;
  if (!begin(&f)) skip();
  /* A replica notices a silent primary after this; the default is 60 s. */
  struct setting setting = {.name = "wal_receiver_timeout", .value = "3s"};
  f.config.topology = TOPOLOGY_STREAMING;
  f.config.parameters = (struct settings){.items = &setting, .count = 1};
  assert_ok(fixture_up(&f, &err), &err);
  const struct provider *provider = f.cluster->provider;
  const struct service *service = f.service.service;
  assert_ok(fixture_start(&f, &err), &err);
  say_times(&f, "streaming, 3 hosts");
  assert_ok(fixture_watch(&f, &err), &err);
  assert_true(fixture_wait_redundant(&f, 10 * NS_PER_S));
  assert_ok(fixture_sql(&f, "create table t as select generate_series(1, 1000)", &err), &err);
  assert_true(fixture_wait_converged(&f, 10 * NS_PER_S));
  count_processes(&f);
  read_settings(&f, "streaming");
  assert_true(service->step(&f.service, STEP_SWITCHOVER, NULL, &err) < 0);
  assert_ok(service->step(&f.service, STEP_RESTART, f.members[2], &err), &err);
  assert_true(fixture_wait_redundant(&f, 30 * NS_PER_S));

  /* The primary is gone for good; a replica is promoted, the other one finds it by itself. */
  uint32_t from = fixture_event_count(&f);
  assert_ok(provider->host_stop(f.cluster, f.members[0], &err), &err);
  assert_int_not_equal(fixture_wait_event(&f, from, EVENT_ROLE, 0, 10 * NS_PER_S), UINT32_MAX);
  assert_ok(service->step(&f.service, STEP_PROMOTE, f.members[1], &err), &err);
  uint32_t promoted = fixture_wait_event(&f, from, EVENT_PROMOTED, 1, 5 * NS_PER_S);
  assert_int_not_equal(promoted, UINT32_MAX);
  assert_int_equal(f.events[promoted].number, 2);
  uint32_t follows = fixture_wait_event(&f, promoted, EVENT_ROLE, 2, 30 * NS_PER_S);
  assert_int_not_equal(follows, UINT32_MAX);
  assert_int_equal(f.events[follows].number, 2);

  /* The former primary comes back as a replica of the new one. */
  assert_ok(provider->host_start(f.cluster, f.members[0], &err), &err);
  assert_true(fixture_wait_redundant(&f, 60 * NS_PER_S));
  assert_int_equal(primary_of(&f), 1);
  assert_true(fixture_wait_converged(&f, 10 * NS_PER_S));
  fixture_down(&f);
}

static void test_single(void **state) {
  (void)state;
  static struct postgres_fixture f;
  if (!begin(&f)) skip();
  f.config.topology = TOPOLOGY_SINGLE;
  assert_ok(fixture_up(&f, &err), &err);
  assert_ok(fixture_start(&f, &err), &err);
  say_times(&f, "single");
  assert_ok(fixture_watch(&f, &err), &err);
  assert_int_not_equal(fixture_wait_event(&f, 0, EVENT_PROMOTED, 0, 5 * NS_PER_S), UINT32_MAX);
  freeze(&f, 0);
  uint32_t first = fixture_event_count(&f);
  assert_ok(f.service.service->step(&f.service, STEP_RESTART, NULL, &err), &err);
  assert_int_not_equal(fixture_wait_event(&f, first, EVENT_PROMOTED, 0, 10 * NS_PER_S), UINT32_MAX);
  assert_true(fixture_wait_converged(&f, 5 * NS_PER_S));

  /* A second handle from the run directory knows the secrets. */
  struct service_instance again = f.service;
  again.state = calloc(1, sizeof(struct postgres_state));
  again.access = (struct access){.driver = NULL};
  assert_ok(again.service->attach(&again, &err), &err);
  assert_string_equal(again.access.password, f.service.access.password);
  bool converged = false;
  char why[128] = "";
  assert_ok(again.service->converged(&again, &converged, why, sizeof why, &err), &err);
  assert_true(converged);
  again.service->release(&again);
  free(again.state);
  fixture_down(&f);
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
