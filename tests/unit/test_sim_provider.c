/* The provider `sim` through its interface, and the simulated service `postgres` through its own:
 * what injectors, the timeline and the engine see of them. */
#include <jansson.h>
#include <signal.h>

#include "gameday/injector.h"
#include "sim/service.h"
#include "support/config.h"
#include "support/scenario_fixture.h"
#include "support/sim_lab.h"
#include "support/test.h"

#define EVENTS_MAX 512

/* One simulated cluster as the engine makes it. */
struct lab {
  struct sink sink;
  struct sim_lab sim;
  struct sim_config *config;
  struct postgres_config *service_config;
  struct event events[EVENTS_MAX];
  uint32_t event_count, samples[METRIC_COUNT];
};

static void take_event(struct sink *sink, const struct event *event) {
  struct lab *lab = (struct lab *)sink;
  assert_true(lab->event_count < EVENTS_MAX);
  lab->events[lab->event_count++] = *event;
}

static void take_sample(struct sink *sink, const struct sample *sample) {
  ((struct lab *)sink)->samples[sample->metric]++;
}

static struct lab *lab_new(enum postgres_topology topology, uint32_t instances) {
  struct lab *lab = calloc(1, sizeof *lab);
  assert_non_null(lab);
  lab->sink = (struct sink){.event = take_event, .sample = take_sample};
  sim_lab_init(&lab->sim);
  lab->config = config_new(&provider_sim.plugin, &lab->sim.arena);
  lab->service_config = config_new(&sim_service_postgres.plugin, &lab->sim.arena);
  lab->service_config->topology = (int)topology;
  lab->service_config->instances = instances;
  sim_lab_begin(&lab->sim, lab->config, &sim_service_postgres, lab->service_config, &lab->sink);
  return lab;
}

static void lab_free(struct lab *lab) {
  sim_lab_end(&lab->sim);
  free(lab);
}

static void run(struct lab *lab, uint64_t for_ns) {
  sim_lab_run(&lab->sim, for_ns);
}

static struct service_view view_of(struct lab *lab) {
  struct service_view view;
  sim_service_postgres.view(&lab->sim.service, &view);
  return view;
}

static const struct process_match *process_named(const struct lab *lab, const char *name) {
  const struct service_process *process =
      service_process_find(&sim_service_postgres, lab->service_config, name);
  assert_non_null(process);
  return &process->match;
}

static uint32_t count_of(struct lab *lab, uint16_t host, const char *process) {
  struct error err = ERROR_INIT;
  uint32_t count = UINT32_MAX;
  assert_ok(provider_sim.process_signal(lab->sim.cluster, &lab->sim.cluster->hosts[host],
                                        process_named(lab, process), 0, &count, &err),
            &err);
  return count;
}

static void send_signal(struct lab *lab, uint16_t host, const char *process, int number) {
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  assert_ok(provider_sim.process_signal(lab->sim.cluster, &lab->sim.cluster->hosts[host],
                                        process_named(lab, process), number, &count, &err),
            &err);
  assert_int_equal(count, 1);
}

/* The first event of that kind from index `from` on; NULL: none. */
static const struct event *event_after(const struct lab *lab, uint32_t from, enum event_kind kind,
                                       uint16_t host) {
  for (uint32_t i = from; i < lab->event_count; i++)
    if (lab->events[i].kind == kind && lab->events[i].host == host) return &lab->events[i];
  return NULL;
}

/* --- the provider ---------------------------------------------------------------------------- */

static void test_a_simulated_cluster_ends_with_its_run(void **state) {
  struct lab *lab = lab_new(TOPOLOGY_PATRONI, 3);
  struct error err = ERROR_INIT;
  struct cluster *cluster = NULL;
  (void)state;
  assert_int_equal(provider_sim.attach("/run/1", &cluster, &err), STATUS_USAGE);
  assert_non_null(strstr(err.message, "ends with its run"));
  assert_int_equal(provider_sim.destroy("/run/1", "gd-test", &err), 0);
  const struct cluster_spec spec = {.id = "gd-test", .run_directory = "/nonexistent"};
  assert_int_equal(provider_sim.up(lab->config, &spec, &cluster, &err), STATUS_USAGE);
  const struct host_unit unit = {.name = "x", .argv = (const char *const[]){"/bin/x", NULL}};
  assert_int_equal(provider_sim.unit_define(lab->sim.cluster, lab->sim.members[0], &unit, &err),
                   STATUS_ENVIRONMENT);
  struct buf json;
  buf_init(&json);
  assert_ok(provider_sim.describe(lab->sim.cluster, &json, &err), &err);
  assert_non_null(strstr(json.data, "\"simulated\": true"));
  buf_release(&json);
  lab_free(lab);
}

static void test_power(void **state) {
  struct lab *lab = lab_new(TOPOLOGY_PATRONI, 3);
  const struct host *host = lab->sim.members[1];
  struct error err = ERROR_INIT;
  bool running = false;
  (void)state;
  run(lab, NS_PER_S);
  for (int i = 0; i < 2; i++) { /* already off is fine */
    assert_ok(provider_sim.host_stop(lab->sim.cluster, host, &err), &err);
    assert_ok(provider_sim.host_running(lab->sim.cluster, host, &running, &err), &err);
    assert_false(running);
  }
  assert_int_equal(count_of(lab, 1, "postmaster"), 0);
  assert_int_equal(count_of(lab, 1, "patroni"), 0);
  for (int i = 0; i < 2; i++)
    assert_ok(provider_sim.host_start(lab->sim.cluster, host, &err), &err);
  run(lab, lab->config->boot_ns - 1);
  assert_ok(provider_sim.host_running(lab->sim.cluster, host, &running, &err), &err);
  assert_false(running);
  run(lab, 1);
  assert_ok(provider_sim.host_running(lab->sim.cluster, host, &running, &err), &err);
  assert_true(running);
  assert_int_equal(count_of(lab, 1, "patroni"), 1);
  assert_int_equal(count_of(lab, 1, "etcd"), 1);
  const struct host *client = &lab->sim.cluster->hosts[3];
  assert_int_equal(provider_sim.host_stop(lab->sim.cluster, client, &err), STATUS_USAGE);
  /* Off while it boots: it stays off. */
  assert_ok(provider_sim.host_stop(lab->sim.cluster, host, &err), &err);
  assert_ok(provider_sim.host_start(lab->sim.cluster, host, &err), &err);
  assert_ok(provider_sim.host_stop(lab->sim.cluster, host, &err), &err);
  run(lab, NS_PER_S);
  assert_ok(provider_sim.host_running(lab->sim.cluster, host, &running, &err), &err);
  assert_false(running);
  lab_free(lab);
}

static void test_signals_find_processes_as_services_name_them(void **state) {
  struct lab *lab = lab_new(TOPOLOGY_PATRONI, 3);
  const struct host *host = lab->sim.members[0];
  struct error err = ERROR_INIT;
  bool running = false;
  (void)state;
  assert_int_equal(count_of(lab, 0, "postmaster"), 1);
  send_signal(lab, 0, "etcd", SIGKILL);
  assert_int_equal(count_of(lab, 0, "etcd"), 0);
  assert_int_equal(count_of(lab, 0, "postmaster"), 1);
  assert_ok(provider_sim.unit_running(lab->sim.cluster, host, "etcd", &running, &err), &err);
  assert_false(running);
  assert_ok(provider_sim.unit_start(lab->sim.cluster, host, "etcd", &err), &err);
  assert_int_equal(count_of(lab, 0, "etcd"), 1);
  assert_int_equal(provider_sim.unit_start(lab->sim.cluster, host, "redis", &err), STATUS_USAGE);
  send_signal(lab, 0, "patroni", SIGSTOP);
  bool frozen = false;
  assert_ok(
      provider_sim.frozen(lab->sim.cluster, host, process_named(lab, "patroni"), &frozen, &err),
      &err);
  assert_true(frozen);
  send_signal(lab, 0, "patroni", SIGCONT);
  assert_ok(
      provider_sim.frozen(lab->sim.cluster, host, process_named(lab, "patroni"), &frozen, &err),
      &err);
  assert_false(frozen);
  /* A signal that comes while it stands still is found at the thaw. */
  send_signal(lab, 1, "etcd", SIGSTOP);
  send_signal(lab, 1, "etcd", SIGTERM);
  run(lab, NS_PER_MS);
  assert_int_equal(count_of(lab, 1, "etcd"), 1);
  send_signal(lab, 1, "etcd", SIGCONT);
  run(lab, 100 * NS_PER_MS);
  assert_int_equal(count_of(lab, 1, "etcd"), 0);
  assert_ok(provider_sim.unit_start(lab->sim.cluster, lab->sim.members[1], "etcd", &err), &err);
  /* A fast shutdown takes its time; the manager starts the server again. */
  send_signal(lab, 2, "postmaster", SIGINT);
  assert_int_equal(count_of(lab, 2, "postmaster"), 1);
  run(lab, 400 * NS_PER_MS);
  assert_int_equal(count_of(lab, 2, "postmaster"), 0);
  run(lab, 15 * NS_PER_S);
  assert_int_equal(count_of(lab, 2, "postmaster"), 1);
  lab_free(lab);
}

static void test_freezing(void **state) {
  struct lab *lab = lab_new(TOPOLOGY_PATRONI, 3);
  const struct host *host = lab->sim.members[0];
  struct error err = ERROR_INIT;
  bool frozen = true;
  (void)state;
  assert_ok(provider_sim.frozen(lab->sim.cluster, host, NULL, &frozen, &err), &err);
  assert_false(frozen);
  assert_ok(provider_sim.freeze(lab->sim.cluster, host, NULL, true, &err), &err);
  assert_ok(provider_sim.frozen(lab->sim.cluster, host, NULL, &frozen, &err), &err);
  assert_true(frozen);
  assert_int_equal(count_of(lab, 0, "postmaster"), 1); /* it lives */
  uint32_t before = lab->event_count;
  run(lab, 3 * NS_PER_S);
  const struct event *role = event_after(lab, before, EVENT_ROLE, 0);
  assert_non_null(role); /* silent, after a second */
  assert_int_equal(role->role, ROLE_NONE);
  assert_string_equal(role->text, "no answer within 1 s");
  assert_ok(provider_sim.freeze(lab->sim.cluster, host, NULL, false, &err), &err);
  assert_ok(provider_sim.freeze(lab->sim.cluster, host, NULL, false, &err), &err);
  run(lab, NS_PER_S);
  assert_int_equal(view_of(lab).hosts[0].role, ROLE_PRIMARY);
  assert_ok(provider_sim.host_stop(lab->sim.cluster, host, &err), &err);
  assert_int_equal(provider_sim.freeze(lab->sim.cluster, host, NULL, true, &err), STATUS_SERVER);
  assert_int_equal(provider_sim.frozen(lab->sim.cluster, host, NULL, &frozen, &err), STATUS_SERVER);
  lab_free(lab);
}

/* A host that the monitor does not reach is silent to it, whatever it is to others. */
static void test_a_host_cut_off_from_the_monitor(void **state) {
  struct lab *lab = lab_new(TOPOLOGY_PATRONI, 3);
  struct sim_world *world = &sim_cluster_of(lab->sim.cluster)->world;
  (void)state;
  run(lab, NS_PER_S);
  sim_link(world, 4, 1)->cut = true;
  run(lab, 900 * NS_PER_MS);
  assert_int_equal(view_of(lab).hosts[1].role, ROLE_REPLICA);
  run(lab, 300 * NS_PER_MS);
  assert_int_equal(view_of(lab).hosts[1].role, ROLE_NONE);
  assert_false(view_of(lab).redundant);
  sim_link(world, 4, 1)->cut = false;
  run(lab, 100 * NS_PER_MS);
  assert_int_equal(view_of(lab).hosts[1].role, ROLE_REPLICA);
  assert_true(view_of(lab).redundant);
  lab_free(lab);
}

/* --- the service ----------------------------------------------------------------------------- */

static void test_starts_in_its_steady_state(void **state) {
  struct lab *lab = lab_new(TOPOLOGY_PATRONI, 3);
  (void)state;
  struct service_view view = view_of(lab);
  assert_int_equal(view.primary, 0);
  assert_int_equal(view.leader, 0);
  assert_true(view.redundant);
  for (uint16_t i = 1; i < 3; i++) {
    assert_int_equal(view.hosts[i].role, ROLE_REPLICA);
    assert_true(view.hosts[i].streaming);
  }
  assert_int_equal(lab->sim.service.access.endpoint_count, 3);
  assert_ptr_equal(lab->sim.service.access.driver, &driver_sim_postgres);
  run(lab, 10 * NS_PER_S);
  assert_in_range(lab->samples[METRIC_WAL_POSITION], 3 * 199, 3 * 201);
  assert_in_range(lab->samples[METRIC_STREAMING], 2 * 39, 2 * 41);
  assert_in_range(lab->samples[METRIC_CONNECTIONS], 3 * 9, 3 * 11);
  bool converged = false;
  char why[160] = "";
  struct error err = ERROR_INIT;
  assert_ok(sim_service_postgres.converged(&lab->sim.service, &converged, why, sizeof why, &err),
            &err);
  if (!converged) fail_msg("%s", why);
  lab_free(lab);
}

/* Events are of the tick at which it happened, not of the next look. */
static void test_events_are_exact(void **state) {
  struct lab *lab = lab_new(TOPOLOGY_PATRONI, 3);
  struct error err = ERROR_INIT;
  (void)state;
  run(lab, 12345678901);
  uint32_t before = lab->event_count;
  uint64_t crash_ns = lab->sim.time.now_ns - lab->sim.service.start_ns;
  assert_ok(provider_sim.host_stop(lab->sim.cluster, lab->sim.members[0], &err), &err);
  run(lab, 60 * NS_PER_S);
  const struct event *role = event_after(lab, before, EVENT_ROLE, 0);
  const struct event *lost = event_after(lab, before, EVENT_LEADER_LOST, 0);
  struct service_view view = view_of(lab);
  assert_int_not_equal(view.primary, 0);
  const struct event *leader = event_after(lab, before, EVENT_LEADER, view.primary);
  const struct event *promoted = event_after(lab, before, EVENT_PROMOTED, view.primary);
  assert_true(role && lost && leader && promoted);
  assert_int_equal(role->time_ns, crash_ns);
  assert_true(lost->time_ns > crash_ns && leader->time_ns > lost->time_ns);
  assert_true(promoted->time_ns >= leader->time_ns + lab->config->postgres.promote_ns);
  assert_int_equal(promoted->number, 2);
  assert_int_equal(view.leader, view.primary);
  assert_false(view.redundant);
  lab_free(lab);
}

static void test_settings_are_those_of_the_real_service(void **state) {
  struct lab *lab = lab_new(TOPOLOGY_PATRONI, 3);
  struct error err = ERROR_INIT;
  struct buf text;
  (void)state;
  buf_init(&text);
  assert_ok(sim_service_postgres.settings(&lab->sim.service, &text, &err), &err);
  json_t *root = json_loads(text.data, 0, NULL);
  assert_non_null(root);
  const json_t *settings = json_object_get(root, "settings");
  const json_t *hosts = json_object_get(settings, "hosts");
  assert_int_equal(json_object_size(hosts), 3);
  assert_string_equal(json_string_value(json_object_get(json_object_get(hosts, "pg1"), "role")),
                      "primary");
  assert_int_equal(json_integer_value(json_object_get(json_object_get(settings, "patroni"), "ttl")),
                   30);
  assert_int_equal(json_integer_value(json_object_get(json_object_get(settings, "etcd"), "voters")),
                   3);
  double bound =
      json_number_value(json_object_get(json_object_get(root, "bounds"), "failover_time_s"));
  assert_true(bound > 50 && bound < 55);
  json_decref(root);
  buf_release(&text);
  lab_free(lab);
}

static void test_steps_under_patroni(void **state) {
  struct lab *lab = lab_new(TOPOLOGY_PATRONI, 3);
  struct error err = ERROR_INIT;
  (void)state;
  run(lab, 5 * NS_PER_S);
  assert_ok(
      sim_service_postgres.step(&lab->sim.service, STEP_SWITCHOVER, lab->sim.members[2], &err),
      &err);
  assert_int_equal(view_of(lab).primary, 2);
  assert_int_equal(
      sim_service_postgres.step(&lab->sim.service, STEP_SWITCHOVER, lab->sim.members[2], &err),
      STATUS_SERVER);
  assert_int_equal(
      sim_service_postgres.step(&lab->sim.service, STEP_PROMOTE, lab->sim.members[1], &err),
      STATUS_USAGE);
  const struct host *client = &lab->sim.cluster->hosts[3];
  assert_int_equal(sim_service_postgres.step(&lab->sim.service, STEP_RESTART, client, &err),
                   STATUS_USAGE);
  run(lab, 10 * NS_PER_S);
  uint32_t before = lab->event_count;
  assert_ok(sim_service_postgres.step(&lab->sim.service, STEP_RESTART, NULL, &err), &err);
  assert_non_null(event_after(lab, before, EVENT_PROMOTED, 2)); /* in place */
  assert_int_equal(view_of(lab).leader, 2);
  lab_free(lab);
}

/* Two instances could not lose either voter: a third host votes. */
static void test_two_instances_and_a_voter(void **state) {
  struct lab *lab = lab_new(TOPOLOGY_PATRONI, 2);
  struct error err = ERROR_INIT;
  (void)state;
  assert_string_equal(lab->sim.members[2]->name, "etcd1");
  assert_int_equal(count_of(lab, 2, "etcd"), 1);
  assert_int_equal(count_of(lab, 2, "patroni"), 0);
  run(lab, 12 * NS_PER_S);
  assert_ok(provider_sim.host_stop(lab->sim.cluster, lab->sim.members[0], &err), &err);
  run(lab, 60 * NS_PER_S);
  assert_int_equal(view_of(lab).primary, 1);
  lab_free(lab);
}

/* --- without a manager ----------------------------------------------------------------------- */

static void test_streaming_is_promoted_by_hand(void **state) {
  struct lab *lab = lab_new(TOPOLOGY_STREAMING, 3);
  struct error err = ERROR_INIT;
  bool running = false;
  (void)state;
  run(lab, NS_PER_S);
  assert_int_equal(view_of(lab).leader, HOST_NONE);
  assert_ok(provider_sim.host_stop(lab->sim.cluster, lab->sim.members[0], &err), &err);
  run(lab, 60 * NS_PER_S);
  assert_int_equal(view_of(lab).primary, HOST_NONE); /* nobody does it for them */
  assert_ok(sim_service_postgres.step(&lab->sim.service, STEP_PROMOTE, lab->sim.members[1], &err),
            &err);
  assert_int_equal(view_of(lab).primary, 1);
  /* The former primary finds another one at work, and is copied from it. */
  assert_ok(provider_sim.host_start(lab->sim.cluster, lab->sim.members[0], &err), &err);
  run(lab, 2 * NS_PER_S);
  assert_ok(
      provider_sim.unit_running(lab->sim.cluster, lab->sim.members[0], "postgres", &running, &err),
      &err);
  assert_true(running);
  run(lab, 60 * NS_PER_S);
  struct service_view view = view_of(lab);
  assert_int_equal(view.primary, 1);
  assert_true(view.redundant);
  assert_int_equal(view.hosts[0].timeline, 2);
  lab_free(lab);
}

static void test_single_comes_back_with_its_unit(void **state) {
  struct lab *lab = lab_new(TOPOLOGY_SINGLE, 1);
  struct error err = ERROR_INIT;
  bool running = true;
  (void)state;
  run(lab, NS_PER_S);
  send_signal(lab, 0, "postmaster", SIGKILL);
  run(lab, 10 * NS_PER_S);
  assert_ok(
      provider_sim.unit_running(lab->sim.cluster, lab->sim.members[0], "postgres", &running, &err),
      &err);
  assert_false(running);
  assert_int_equal(view_of(lab).primary, HOST_NONE);
  assert_ok(provider_sim.unit_start(lab->sim.cluster, lab->sim.members[0], "postgres", &err), &err);
  run(lab, 2 * NS_PER_S);
  assert_int_equal(view_of(lab).primary, 0);
  assert_ok(sim_service_postgres.step(&lab->sim.service, STEP_RESTART, NULL, &err), &err);
  assert_int_equal(view_of(lab).primary, 0);
  assert_int_equal(view_of(lab).hosts[0].timeline, 1);
  lab_free(lab);
}

/* --- validation ------------------------------------------------------------------------------ */

/* A service that the provider has no model of is refused where it is named. */
static void test_a_service_without_a_model_is_refused(void **state) {
  static const struct provider *const only_sim[] = {&provider_sim, NULL};
  struct scenario_tables tables = fixture_tables;
  struct scenario scenario;
  struct error err = ERROR_INIT;
  (void)state;
  static const char yaml[] =
      "name: small\n"
      "cluster:\n"
      "  provider: sim\n"
      "  services: {store: {}}\n"
      "workloads:\n"
      "  - ledger: {rate: 200/s}\n";
  struct scenario_errors *errors = calloc(1, sizeof *errors);
  assert_non_null(errors);
  tables.providers = only_sim;
  assert_true(
      scenario_parse("s.yaml", yaml, strlen(yaml), &tables, NULL, 0, &scenario, errors, &err) < 0);
  uint32_t found = 0;
  for (uint32_t i = 0; i < errors->count; i++)
    found += errors->errors[i].line == 4 &&
             strstr(errors->errors[i].message, "provider 'sim' has no model of this service");
  assert_int_equal(found, 1);
  scenario_release(&scenario);
  free(errors);
}

/* What was not kept in mind for want of memory did not happen in the cluster: no verdict then. */
static void test_without_memory_nothing_is_trusted(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  struct lab *lab = lab_new(TOPOLOGY_PATRONI, 3);
  bool *lost = &sim_cluster_of(lab->sim.cluster)->world.out_of_memory;
  assert_ok(provider_sim.trustworthy(lab->sim.cluster, &err), &err);
  *lost = true;
  assert_int_equal(provider_sim.trustworthy(lab->sim.cluster, &err), STATUS_MEMORY);
  *lost = false;
  lab_free(lab);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_without_memory_nothing_is_trusted),
      cmocka_unit_test(test_a_simulated_cluster_ends_with_its_run),
      cmocka_unit_test(test_power),
      cmocka_unit_test(test_signals_find_processes_as_services_name_them),
      cmocka_unit_test(test_freezing),
      cmocka_unit_test(test_a_host_cut_off_from_the_monitor),
      cmocka_unit_test(test_starts_in_its_steady_state),
      cmocka_unit_test(test_events_are_exact),
      cmocka_unit_test(test_settings_are_those_of_the_real_service),
      cmocka_unit_test(test_steps_under_patroni),
      cmocka_unit_test(test_two_instances_and_a_voter),
      cmocka_unit_test(test_streaming_is_promoted_by_hand),
      cmocka_unit_test(test_single_comes_back_with_its_unit),
      cmocka_unit_test(test_a_service_without_a_model_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
