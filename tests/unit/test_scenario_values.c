/* A scenario that is right becomes the struct that was meant: values, defaults, merges, overrides.
 */
#include "support/scenario_fixture.h"
#include "support/test.h"

struct parsed {
  struct scenario scenario;
  struct scenario_errors errors;
};

static struct parsed *parse_with(const char *yaml, const struct scenario_override *overrides,
                                 uint32_t count) {
  struct parsed *parsed = calloc(1, sizeof *parsed);
  struct error err = ERROR_INIT;
  assert_non_null(parsed);
  assert_ok(scenario_parse("s.yaml", yaml, strlen(yaml), &fixture_tables, overrides, count,
                           &parsed->scenario, &parsed->errors, &err),
            &err);
  return parsed;
}

static struct parsed *parse(const char *yaml) {
  return parse_with(yaml, NULL, 0);
}

static void parsed_free(struct parsed *parsed) {
  scenario_release(&parsed->scenario);
  free(parsed);
}

static void test_defaults(void **state) {
  (void)state;
  struct parsed *parsed = parse(fixture_minimal);
  const struct scenario *s = &parsed->scenario;
  assert_string_equal(s->file, "s.yaml");
  assert_string_equal(s->name, "small");
  assert_null(s->description);
  assert_false(s->seed_given);
  assert_int_equal(s->repeat, 1);
  assert_string_equal(s->provider->plugin.name, "lab");
  assert_int_equal(((const struct lab_config *)s->provider_config)->memory_bytes, 1u << 30);
  assert_int_equal(((const struct lab_config *)s->provider_config)->shelf, 1);
  assert_int_equal(s->client_hosts, 1);
  assert_int_equal(s->workers, 0);
  assert_int_equal(s->start_timeout_ns, UINT64_C(120000000000));
  assert_int_equal(s->warmup_ns, UINT64_C(5000000000));
  assert_int_equal(s->settle_ns, UINT64_C(10000000000));
  assert_int_equal(s->duration_ns, 0);
  assert_int_equal(s->load_minimum, 100);
  assert_int_equal(s->outage_min_ns, 250000000);
  assert_int_equal(s->lag_bound_bytes, 1u << 20);
  assert_int_equal(s->service_count, 1);
  const struct store_config *store = s->services[0].config;
  assert_int_equal(store->topology, 1);
  assert_int_equal(store->instances, 3);
  assert_true(store->weight == 1.5);
  assert_int_equal(store->parameters.count, 0);
  assert_int_equal(s->services[0].line, 2);
  const struct ledger_config *ledger = s->workloads[0].config;
  assert_true(ledger->rate == 200 && ledger->reads == 0.2);
  assert_int_equal(ledger->clients, 8);
  assert_int_equal(s->timeline_count, 1);
  assert_string_equal(s->timeline[0].name, "host-crash-1");
  assert_int_equal(s->timeline[0].at_ns, UINT64_C(10000000000));
  assert_false(s->timeline[0].after_recovery);
  assert_int_equal(s->timeline[0].for_ns, 0);
  assert_int_equal(s->timeline[0].target->kind, TARGET_PRIMARY);
  assert_string_equal(s->timeline[0].target->service, "store");
  assert_int_equal(s->timeline[0].line, 6);
  assert_int_equal(s->timeline[0].column, 5);
  parsed_free(parsed);
}

static void test_every_value_arrives(void **state) {
  (void)state;
  static const char yaml[] =
      "name: full\n"
      "description: a text\n"
      "seed: 0\n"
      "repeat: 20\n"
      "cluster:\n"
      "  provider: lab\n"
      "  client_hosts: 2\n"
      "  workers: 4\n"
      "  start_timeout: 1.5min\n"
      "  services:\n"
      "    store:\n"
      "      topology: pair\n"
      "      instances: 2\n"
      "      ttl: 5s\n"
      "      synchronous: true\n"
      "      weight: -0.25\n"
      "      offset: -3\n"
      "      memory: 2MB\n"
      "      suite: 12\n"
      "      parameters: {fsync: on, wal: 'a b', limit: 1e3}\n"
      "    cache:\n"
      "  lab: {shelf: upper}\n"
      "  glass:\n"
      "workloads:\n"
      "  - ledger: {rate: 30/min, reads: 12.5%, patience: 250us}\n"
      "  - pings:\n"
      "load: {warmup: 0s, settle: 1s, duration: 1h, minimum: 0}\n"
      "timeline:\n"
      "  - {at: 500ms, jitter: 2s, name: kill, process-kill: {target: \"store.replica[0]\", "
      "process: manager, signal: SIGTERM}}\n"
      "  - {at: recovery +5s, for: 1d, host-crash: {target: host/ca1}}\n"
      "  - {at: recovery, noise: {level: 0.5%}}\n"
      "measure: {outage_min: 1ms, lag_bound: 1TiB, recovery_timeout: 1s, converge_timeout: 2s}\n"
      "objectives:\n"
      "  failover_time: [<= 45s, \"p99.9 >= 1ms\"]\n"
      "  availability: 99.9%\n"
      "  lag_size: 16MiB\n"
      "  write_rate: median 10/s\n";
  struct parsed *parsed = parse(yaml);
  const struct scenario *s = &parsed->scenario;
  assert_true(s->seed_given && s->seed == 0);
  assert_int_equal(s->repeat, 20);
  assert_int_equal(s->start_timeout_ns, UINT64_C(90000000000));
  const struct store_config *store = s->services[0].config;
  assert_int_equal(store->topology, 0);
  assert_true(store->synchronous);
  assert_true(store->weight == -0.25);
  assert_int_equal(store->offset, -3);
  assert_int_equal(store->memory_bytes, 2000000);
  assert_string_equal(store->suite, "12");
  assert_int_equal(store->parameters.count, 3);
  assert_string_equal(store->parameters.items[0].name, "fsync");
  assert_string_equal(store->parameters.items[0].value, "on");
  assert_string_equal(store->parameters.items[1].value, "a b");
  assert_string_equal(store->parameters.items[2].value, "1e3");
  const struct ledger_config *ledger = s->workloads[0].config;
  assert_true(ledger->rate == 0.5 && ledger->reads == 0.125);
  assert_int_equal(ledger->patience_ns, 250000);
  assert_int_equal(s->workload_count, 2);
  const struct timeline_entry *entry = s->timeline;
  assert_string_equal(entry[0].name, "kill");
  assert_int_equal(entry[0].jitter_ns, UINT64_C(2000000000));
  const struct fault_config *kill = entry[0].config;
  assert_int_equal(kill->target.kind, TARGET_REPLICA);
  assert_int_equal(kill->target.index, 0);
  assert_ptr_equal(&kill->target, entry[0].target);
  assert_string_equal(kill->process, "manager");
  assert_int_equal(kill->signal, 1);
  assert_true(entry[1].after_recovery && entry[1].at_ns == UINT64_C(5000000000));
  assert_int_equal(entry[1].for_ns, UINT64_C(86400000000000));
  assert_string_equal(entry[1].target->host, "ca1");
  assert_true(entry[2].after_recovery && entry[2].at_ns == 0);
  assert_null(entry[2].target);
  assert_int_equal(s->objective_count, 5);
  const struct scenario_objective *o = s->objectives;
  assert_string_equal(o[0].name, "failover_time");
  assert_string_equal(o[0].statistic, "max");
  assert_string_equal(o[0].text, "<= 45s");
  assert_true(o[0].bound == 45 && !o[0].at_least && o[0].unit == UNIT_DURATION);
  assert_string_equal(o[1].statistic, "p99.9");
  assert_true(o[1].bound == 0.001 && o[1].at_least);
  assert_string_equal(o[2].statistic, "min");
  assert_true(o[2].bound == 0.999 && o[2].at_least);
  assert_true(o[3].bound == 16.0 * 1024 * 1024 && !o[3].at_least);
  assert_string_equal(o[4].statistic, "median");
  assert_true(o[4].bound == 10 && o[4].at_least);
  parsed_free(parsed);
}

static void test_anchors_and_merges(void **state) {
  (void)state;
  static const char yaml[] =
      "name: merged\n"
      "cluster: {provider: lab, services: {store: {}}}\n"
      "workloads:\n"
      "  - ledger: &load {rate: 200/s, clients: 2}\n"
      "  - ledger: {<<: *load, clients: 3}\n"
      "timeline:\n"
      "  - &crash\n"
      "    at: 10s\n"
      "    for: 5s\n"
      "    host-crash: {target: &whom store.primary}\n"
      "  - <<: *crash\n"
      "    at: recovery\n"
      "  - at: 1min\n"
      "    freeze: {target: *whom}\n"
      "objectives: {data_loss: 0}\n";
  struct parsed *parsed = parse(yaml);
  const struct scenario *s = &parsed->scenario;
  const struct ledger_config *second = s->workloads[1].config;
  assert_true(second->rate == 200);
  assert_int_equal(second->clients, 3);
  assert_int_equal(s->timeline_count, 3);
  assert_true(s->timeline[1].after_recovery);
  assert_int_equal(s->timeline[1].for_ns, UINT64_C(5000000000));
  assert_string_equal(s->timeline[1].name, "host-crash-2");
  assert_int_equal(s->timeline[2].target->kind, TARGET_PRIMARY);
  parsed_free(parsed);
}

static void test_mistake_in_an_anchor_is_told_once(void **state) {
  (void)state;
  static const char yaml[] =
      "name: merged\n"
      "cluster: {provider: lab, services: {store: {}}}\n"
      "workloads:\n"
      "  - ledger: {<<: &load {rate: 200}}\n"
      "  - ledger: {<<: *load}\n"
      "objectives: {data_loss: 0}\n";
  char *found = fixture_mistakes(yaml, NULL, 0);
  assert_string_equal(found,
                      "s.yaml:4:31: rate: \"200\" has no unit; expected a rate such as 500/s or "
                      "30/min\n");
  free(found);
}

static void test_overrides_change_the_tree(void **state) {
  (void)state;
  static const struct scenario_override overrides[] = {
      {.path = "cluster.services.store.ttl", .value = "60s"},
      {.path = "cluster.services.store.parameters.\"a.b\"", .value = "1"},
      {.path = "timeline[0].for", .value = "20s"},
      {.path = "timeline[0].host-crash", .value = "{target: host/st2}"},
      {.path = "objectives.replication_lag.p99", .value = "<= 2s"},
      {.path = "objectives.availability", .value = ">= 90%"},
      {.path = "load.duration", .value = "1h"},
      {.path = "load.duration", .value = " 2h "},
      {.path = "workloads", .value = "[ledger: {rate: 1/s}]"},
      {.path = "name", .value = "'other'"},
  };
  struct parsed *parsed =
      parse_with(fixture_minimal, overrides, sizeof overrides / sizeof overrides[0]);
  const struct scenario *s = &parsed->scenario;
  const struct store_config *store = s->services[0].config;
  assert_int_equal(store->ttl_ns, UINT64_C(60000000000));
  assert_string_equal(store->parameters.items[0].name, "a.b");
  assert_int_equal(s->timeline[0].for_ns, UINT64_C(20000000000));
  assert_string_equal(s->timeline[0].target->host, "st2");
  assert_int_equal(s->objective_count, 3);
  assert_string_equal(s->objectives[1].name, "replication_lag.p99");
  assert_true(s->objectives[2].bound == 0.9);
  assert_int_equal(s->objectives[2].line, 0);
  assert_int_equal(s->duration_ns, UINT64_C(7200000000000));
  assert_true(((const struct ledger_config *)s->workloads[0].config)->rate == 1);
  assert_string_equal(s->name, "other");
  parsed_free(parsed);
}

/* --provider was shown as "--set cluster.provider=glas", which nobody had written. */
static void test_an_option_of_its_own_is_named(void **state) {
  (void)state;
  const struct scenario_override override = {
      .path = "cluster.provider", .value = "glas", .argument = "--provider"};
  char *found = fixture_mistakes(fixture_minimal, &override, 1);
  assert_string_equal(found, "--provider: unknown provider \"glas\"; did you mean 'glass'?\n");
  free(found);
}

static void check_override(const char *path, const char *value, const char *expected) {
  const struct scenario_override override = {.path = path, .value = value};
  char *found = fixture_mistakes(fixture_minimal, &override, 1);
  assert_string_equal(found, expected);
  free(found);
}

static void test_wrong_overrides_name_the_argument(void **state) {
  (void)state;
  check_override("cluster.wrkers", "3",
                 "--set cluster.wrkers=3: unknown key \"wrkers\" in cluster; did you mean "
                 "'workers'?\n");
  check_override("repeat", "many",
                 "--set repeat=many: repeat: \"many\" is not a whole number; expected one such as "
                 "3\n");
  check_override("timeline[1].at", "5s",
                 "--set timeline[1].at=5s: [1] is beyond the list; expected [0] to [0]\n");
  check_override("timeline.at", "5s",
                 "--set timeline.at=5s: \"at\" follows a list; expected an index such as [0]\n");
  check_override("name[0]", "5s", "--set name[0]=5s: [0] does not follow a list; expected a key\n");
  check_override("name.x", "5s",
                 "--set name.x=5s: \"x\" follows a single value; expected the path to end there\n");
  check_override("", "5s", "--set =5s: the path is empty; expected one such as load.warmup\n");
  check_override("load..warmup", "5s",
                 "--set load..warmup=5s: not a path; expected keys and indexes such as "
                 "timeline[0].for\n");
  check_override("timeline[x]", "5s",
                 "--set timeline[x]=5s: not a path; expected keys and indexes such as "
                 "timeline[0].for\n");
  check_override("load", "{warmup: 5s",
                 "--set load={warmup: 5s: expected ',' or '}' here: '{' on line 1 is not closed; "
                 "between '{' and '}' a value that holds any of [ ] { } , must be quoted\n");
  check_override("cluster.provider", "glas",
                 "--set cluster.provider=glas: unknown provider \"glas\"; did you mean 'glass'?\n");
  check_override("repeat", "-1",
                 "--set repeat=-1: repeat: \"-1\" is too small; expected 1 to 1000\n");
  check_override("load.warmup", "",
                 "--set load.warmup=: warmup: found nothing; expected a duration such as 30s\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults),
      cmocka_unit_test(test_every_value_arrives),
      cmocka_unit_test(test_anchors_and_merges),
      cmocka_unit_test(test_mistake_in_an_anchor_is_told_once),
      cmocka_unit_test(test_overrides_change_the_tree),
      cmocka_unit_test(test_wrong_overrides_name_the_argument),
      cmocka_unit_test(test_an_option_of_its_own_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
