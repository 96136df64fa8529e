/* What a scenario must have as a whole: existing targets, able providers, a possible timeline,
 * objectives that a run can meet. The messages, word for word. */
#include "support/scenario_fixture.h"
#include "support/test.h"

/* The mistakes of a scenario with this timeline (and these objectives) on three hosts. The first
 * line of the timeline is line 8. */
static char *mistakes_of(const char *provider, const char *service, const char *workload,
                         const char *timeline, const char *objectives) {
  char *yaml = NULL;
  assert_true(asprintf(&yaml,
                       "name: checked\n"
                       "cluster:\n"
                       "  provider: %s\n"
                       "  services: %s\n"
                       "workloads:\n"
                       "  - %s\n"
                       "timeline:\n%s"
                       "objectives:\n%s",
                       provider, service, workload, timeline, objectives) > 0);
  char *found = fixture_mistakes(yaml, NULL, 0);
  assert_non_null(found);
  free(yaml);
  return found;
}

#define LEDGER "ledger: {rate: 5/s}"
#define BOUND "  data_loss: 0\n"

static void check_timeline(const char *timeline, const char *expected) {
  char *found = mistakes_of("lab", "{store: {}}", LEDGER, timeline, BOUND);
  assert_string_equal(found, expected);
  free(found);
}

static void check_objectives(const char *objectives, const char *expected) {
  char *found = mistakes_of("lab", "{store: {}}", LEDGER,
                            "  - {at: 1s, host-crash: {target: store.any}}\n", objectives);
  assert_string_equal(found, expected);
  free(found);
}

static void test_possible_timelines_pass(void **state) {
  (void)state;
  check_timeline("", "");
  check_timeline("  - at: 10s\n    host-crash: {target: host/st3}\n", "");
  check_timeline("  - at: 10s\n    host-crash: {target: \"store.replica[1]\"}\n", "");
  check_timeline("  - at: 10s\n    process-kill: {target: store.any, process: manager}\n", "");
  check_timeline("  - at: 10s\n    noise:\n", "");
  check_timeline("  - at: 10s\n    switchover: {target: host/st2}\n", "");
  /* the new primary, after the old one is gone */
  check_timeline(
      "  - at: 10s\n    host-crash: {target: store.primary}\n"
      "  - at: recovery\n    host-crash: {target: store.primary}\n",
      "");
  /* after its end */
  check_timeline(
      "  - at: 10s\n    for: 5s\n    host-crash: {target: host/st1}\n"
      "  - at: 20s\n    host-crash: {target: host/st1}\n",
      "");
  /* two processes of one host; a process again and again */
  check_timeline(
      "  - at: 10s\n    process-kill: {target: host/st1, process: server}\n"
      "  - at: 10s\n    process-kill: {target: host/st1, process: manager}\n"
      "  - at: 12s\n    process-kill: {target: host/st1, process: manager}\n",
      "");
  /* different faults may come together */
  check_timeline(
      "  - at: 10s\n    freeze: {target: host/st1}\n"
      "  - at: 12s\n    process-kill: {target: host/st1, process: server}\n",
      "");
}

static void test_targets_must_exist(void **state) {
  (void)state;
  check_timeline("  - at: 10s\n    host-crash: {target: stoer.primary}\n",
                 "s.yaml:9:26: target: the cluster has no service \"stoer\"; did you mean "
                 "'store'?\n");
  check_timeline("  - at: 10s\n    host-crash: {target: cache.primary}\n",
                 "s.yaml:9:26: target: the cluster has no service \"cache\"; expected store\n");
  check_timeline("  - at: 10s\n    host-crash: {target: \"store.replica[2]\"}\n",
                 "s.yaml:9:26: target: replica[2] is beyond the 2 replicas of store; expected "
                 "replica[0] to replica[1]\n");
  check_timeline("  - at: 10s\n    host-crash: {target: host/st4}\n",
                 "s.yaml:9:26: target: the cluster has no host 'st4'; expected one of st1, st2, "
                 "st3\n");
  check_timeline("  - at: 10s\n    host-crash: {target: store.replica}\n",
                 "s.yaml:9:26: target: \"store.replica\" is no target; expected which replica as "
                 "an index below 1024, as in replica[0]\n");
  check_timeline("  - at: 10s\n    host-crash: {target: primary}\n",
                 "s.yaml:9:26: target: \"primary\" is no target; expected SERVICE.primary, "
                 "SERVICE.replica[0], SERVICE.any or host/NAME\n");
  check_timeline("  - at: 10s\n    process-kill: {target: store.any, process: manger}\n",
                 "s.yaml:9:48: process: store has no process \"manger\"; did you mean "
                 "'manager'?\n");
}

static void test_single_host_has_no_replica(void **state) {
  (void)state;
  char *found = mistakes_of("lab", "{cache: {}}", "pings: {}",
                            "  - at: 10s\n    freeze: {target: 'cache.replica[0]'}\n", BOUND);
  assert_string_equal(found,
                      "s.yaml:9:22: target: cache has one host and so no replica; expected "
                      "cache.primary\n");
  free(found);
}

static void check_ring(const char *target, const char *expected) {
  char *timeline = NULL;
  assert_true(asprintf(&timeline, "  - at: 10s\n    host-crash: {target: \"%s\"}\n", target) > 0);
  char *found = mistakes_of("lab", "{store: {suite: ring, instances: 6}}", LEDGER, timeline, BOUND);
  assert_string_equal(found, expected);
  free(found);
  free(timeline);
}

static void test_a_shard_has_a_primary_of_its_own(void **state) {
  (void)state;
  check_ring("store.primary", "");
  check_ring("store.primary[2]", "");
  check_ring("store.replica[2]", "");
  check_ring("store.primary[3]",
             "s.yaml:9:26: target: primary[3] is beyond the 3 shards of store; expected primary[0] "
             "to primary[2]\n");
  check_ring("store.replica[3]",
             "s.yaml:9:26: target: replica[3] is beyond the replicas of store, which has 6 hosts "
             "and 3 shards\n");
  check_ring(
      "store.primary[x]",
      "s.yaml:9:26: target: \"store.primary[x]\" is no target; expected of which shard as an "
      "index below 1024, as in primary[0]\n");
  check_timeline("  - at: 10s\n    host-crash: {target: \"store.primary[1]\"}\n",
                 "s.yaml:9:26: target: primary[1]: store has no shards and so one primary; "
                 "expected store.primary\n");
}

static void test_impossible_scenario_is_refused(void **state) {
  (void)state;
  char *found = mistakes_of("glass", "{store: {}}", LEDGER,
                            "  - at: 10s\n    host-crash: {target: store.primary}\n", BOUND);
  assert_string_equal(found,
                      "s.yaml:9:5: host-crash needs what provider 'glass' cannot do: host power; "
                      "expected a provider that can: lab\n");
  free(found);
}

static void test_workload_needs_its_service(void **state) {
  (void)state;
  char *found = mistakes_of("lab", "{cache: {}}", LEDGER, "", BOUND);
  assert_string_equal(found,
                      "s.yaml:6:5: ledger needs service 'store', which the cluster does not have; "
                      "expected it under cluster.services\n");
  free(found);
}

static void check_workloads(const char *list, const char *expected) {
  char *found = mistakes_of("lab", "{store: {}}", list, "", BOUND);
  assert_string_equal(found, expected);
  free(found);
}

/* Found before only when the cluster was up and the load started. */
static void test_more_clients_than_a_host_has_connections_for(void **state) {
  (void)state;
  check_workloads("ledger: {rate: 5/s, clients: 37}", "");
  check_workloads("ledger: {rate: 5/s, clients: 38}",
                  "s.yaml:6:5: ledger may open 39 connections to one host, of which store takes 38 "
                  "(40, less 2); expected fewer clients or a higher limit\n");
  check_workloads("ledger: {rate: 5/s, clients: 4294967295}",
                  "s.yaml:6:5: ledger may open 4294967296 connections to one host, of which store "
                  "takes 38 (40, less 2); expected fewer clients or a higher limit\n");
  check_workloads("ledger: {rate: 5/s, clients: 17}\n  - ledger: {rate: 5/s, clients: 20}",
                  "s.yaml:7:5: ledger and the other workloads may open 39 connections to one host, "
                  "of which store takes 38 (40, less 2); expected fewer clients or a higher "
                  "limit\n");
}

/* Of a service with shards those too that each shard has of its own. */
static void test_clients_of_shards_have_connections_too(void **state) {
  (void)state;
  char *found =
      mistakes_of("lab", "{store: {suite: ring}}", "ledger: {rate: 5/s, clients: 34}", "", BOUND);
  assert_string_equal(found, "");
  free(found);
  found =
      mistakes_of("lab", "{store: {suite: ring}}", "ledger: {rate: 5/s, clients: 35}", "", BOUND);
  assert_string_equal(
      found,
      "s.yaml:6:5: ledger may open 39 connections to one host, of which store takes "
      "38 (40, less 2); expected fewer clients or a higher limit\n");
  free(found);
}

static void test_more_clients_than_client_hosts_can_have(void **state) {
  (void)state;
  char *found = mistakes_of("glass", "{store: {}}", "ledger: {rate: 5/s, clients: 27}", "", BOUND);
  assert_string_equal(found, "");
  free(found);
  found = mistakes_of("glass", "{store: {}}", "ledger: {rate: 5/s, clients: 28}", "", BOUND);
  assert_string_equal(found,
                      "s.yaml:2:1: the workloads have 31 clients on 1 client hosts; expected at "
                      "most 30 on each with the provider glass, or more client hosts\n");
  free(found);
  found = mistakes_of("glass\n  client_hosts: 2", "{store: {}}", "ledger: {rate: 5/s, clients: 28}",
                      "", BOUND);
  assert_string_equal(found, "");
  free(found);
}

static void test_contradictory_timelines(void **state) {
  (void)state;
  check_timeline("  - at: recovery + 5s\n    noise: {}\n",
                 "s.yaml:8:9: at: no entry is before this one whose recovery could be awaited; "
                 "expected a duration such as 10s\n");
  check_timeline("  - at: 1s\n    name: a\n    noise: {}\n  - at: 2s\n    name: a\n    noise: {}\n",
                 "s.yaml:12:11: name: entry 1 of the timeline is named 'a' too; expected another "
                 "name\n");
  check_timeline("  - at: 1s\n    for: 5s\n    switchover: {target: host/st2}\n",
                 "s.yaml:9:10: for: switchover is a planned step, which is not healed; expected no "
                 "'for'\n");
  check_timeline(
      "  - at: 10s\n    for: 30s\n    host-crash: {target: host/st1}\n"
      "  - at: 20s\n    host-crash: {target: host/st1}\n",
      "s.yaml:12:26: target: 'host-crash-1' holds the same host at that time; expected a later "
      "'at' or a shorter 'for' there\n");
  check_timeline(
      "  - at: 10s\n    host-crash: {target: host/st1}\n"
      "  - at: recovery\n    freeze: {target: host/st1}\n",
      "s.yaml:11:22: target: 'host-crash-1' holds the same host at that time; expected a 'for' "
      "there, or another host or time\n");
  /* An `at` that is none was taken for 0 s, at which the target was free. */
  check_timeline(
      "  - at: 10s\n    host-crash: {target: host/st1}\n"
      "  - at: recovery - 5s\n    host-crash: {target: host/st1}\n",
      "s.yaml:10:9: at: \"recovery - 5s\" is no time; expected a duration such as 10s, or "
      "'recovery + 5s'\n");
  /* the list need not be in the order of time */
  check_timeline(
      "  - at: 20s\n    freeze: {target: host/st1}\n"
      "  - at: 10s\n    for: 1min\n    freeze: {target: host/st1}\n",
      "s.yaml:9:22: target: 'freeze-2' holds the same host at that time; expected a later 'at' or "
      "a shorter 'for' there\n");
  /* one role at one moment is one host */
  check_timeline(
      "  - at: 10s\n    freeze: {target: store.primary}\n"
      "  - at: 10s\n    freeze: {target: store.primary}\n",
      "s.yaml:11:22: target: 'freeze-1' holds the same host at that time; expected a 'for' there, "
      "or another host or time\n");
}

static void test_jitter_makes_overlaps_uncertain(void **state) {
  (void)state;
  check_timeline(
      "  - at: 10s\n    jitter: 20s\n    for: 5s\n    freeze: {target: host/st1}\n"
      "  - at: 20s\n    for: 5s\n    freeze: {target: host/st1}\n",
      "");
  check_timeline(
      "  - at: 10s\n    jitter: 20s\n    for: 5min\n    freeze: {target: host/st1}\n"
      "  - at: 1min\n    jitter: 20s\n    freeze: {target: host/st1}\n",
      "s.yaml:14:22: target: 'freeze-1' holds the same host at that time; expected a later 'at' or "
      "a shorter 'for' there\n");
}

static void test_entries_name_one_fault(void **state) {
  (void)state;
  check_timeline("  - at: 1s\n",
                 "s.yaml:8:5: the entry names no fault; expected one of host-crash, process-kill, "
                 "freeze, noise, switchover\n");
  check_timeline("  - at: 1s\n    noize: {}\n",
                 "s.yaml:9:5: unknown key \"noize\" in the entry; did you mean 'noise'?\n");
  check_timeline("  - at: 1s\n    noise: {}\n    freeze: {target: store.any}\n",
                 "s.yaml:9:5: 'noise' in an entry that has 'freeze' already; expected one of "
                 "them\n");
  check_timeline("  - noise: {}\n",
                 "s.yaml:8:5: 'at' is missing in the entry; expected a duration such as 10s, or "
                 "'recovery + 5s'\n");
  check_timeline("  - at: tomorrow\n    noise: {}\n",
                 "s.yaml:8:9: at: \"tomorrow\" is no time; expected a duration such as 10s, or "
                 "'recovery + 5s'\n");
  check_timeline("  - at: 5\n    noise: {}\n",
                 "s.yaml:8:9: at: \"5\" has no unit; expected a duration such as 30s or 250ms\n");
}

static void test_steps_the_service_cannot_do(void **state) {
  (void)state;
  char *found = mistakes_of("lab", "{store: {topology: pair, instances: 2}}", LEDGER,
                            "  - at: 10s\n    switchover: {target: host/st2}\n", BOUND);
  assert_string_equal(found,
                      "s.yaml:9:5: switchover is a step that store cannot do as it is configured; "
                      "expected another topology or step\n");
  free(found);
}

static void test_clusters_are_bounded(void **state) {
  (void)state;
  char *found = mistakes_of("lab\n  client_hosts: 17", "{store: {}}", LEDGER, "", BOUND);
  assert_string_equal(found, "s.yaml:4:17: client_hosts: \"17\" is too large; expected 1 to 16\n");
  free(found);
}

static void test_objectives(void **state) {
  (void)state;
  check_objectives("  failover_time: [<= 45s, p95 <= 1min, \"median>=1s\"]\n", "");
  /* Of 10 s and 30 s the median is 20 s and p50 10 s. */
  check_objectives("  failover_time: [\"median>=20s\", p50 <= 15s]\n", "");
  check_objectives("  failover_time: [\"p50>=20s\", median <= 15s]\n",
                   "s.yaml:10:31: failover_time: no run meets \"p50>=20s\" and \"median <= 15s\" "
                   "together; expected bounds that one can meet\n");
  check_objectives("  {}\n",
                   "s.yaml:10:3: objectives: none is given; expected at least one such as "
                   "'failover_time: <= 45s'\n");
  check_objectives("  failover_time: 45\n",
                   "s.yaml:10:18: failover_time: \"45\" has no unit; expected a duration such as "
                   "30s or 250ms\n");
  check_objectives("  availability: 101%\n",
                   "s.yaml:10:17: availability: \"101%\" is more than everything; expected at most "
                   "100%\n");
  check_objectives(
      "  data_loss: -1\n",
      "s.yaml:10:14: data_loss: \"-1\" is negative, which no run can measure; expected "
      "0 or more\n");
  check_objectives("  data_loss: 1.5\n",
                   "s.yaml:10:14: data_loss: \"1.5\" is not a multiple of 1; expected a whole "
                   "number such as 3\n");
  check_objectives("  failover_time: < 45s\n",
                   "s.yaml:10:18: failover_time: \"< 45s\" has no '<=' or '>='; expected a bound "
                   "such as \"<= 45s\" or \"p95 <= 45s\"\n");
  check_objectives("  failover_time: medain <= 45s\n",
                   "s.yaml:10:18: failover_time: \"medain\" is no statistic; did you mean "
                   "'median'?\n");
  check_objectives("  failover_time: p100 <= 45s\n",
                   "s.yaml:10:18: failover_time: \"p100\" is no statistic; expected one of max, "
                   "min, median, mean, p95\n");
  check_objectives("  failover_time: {max: 45s}\n",
                   "s.yaml:10:18: failover_time: found a mapping; expected a bound such as \"<= "
                   "45s\" or \"p95 <= 45s\"\n");
  check_objectives("  replication_lag: 5s\n",
                   "s.yaml:10:3: unknown measure \"replication_lag\"; did you mean "
                   "'replication_lag.p99'?\n");
}

/* The mistakes of the section `explore` with these lines, the first of which is line 11. */
static void check_explore(const char *provider, const char *explore, const char *expected) {
  char *objectives = NULL;
  assert_true(asprintf(&objectives, BOUND "explore:\n%s", explore) > 0);
  char *found = mistakes_of(provider, "{store: {}}", LEDGER, "", objectives);
  assert_string_equal(found, expected);
  free(found);
  free(objectives);
}

static void test_explore_draws_what_can_be_drawn(void **state) {
  (void)state;
  check_explore("lab", "", "");
  check_explore("lab", "  faults: 2\n  window: 5s..30s\n  injectors: [host-crash, freeze]\n", "");
  check_explore("lab", "  steps: true\n  injectors: [switchover]\n", "");
  check_explore("lab", "  injectors: [switchover]\n",
                "s.yaml:11:15: injectors: switchover is a planned step; expected 'steps: true' "
                "beside it\n");
  check_explore(
      "lab", "  injectors: [noise]\n",
      "s.yaml:11:15: injectors: noise cannot be drawn; expected one that has a target and "
      "requires no more than that and a process\n");
  check_explore("lab", "  injectors: [frieze, freeze, freeze]\n",
                "s.yaml:11:15: injectors: unknown injector \"frieze\"; did you mean 'freeze'?\n"
                "s.yaml:11:31: injectors: freeze is listed twice; expected it once\n");
  check_explore("lab", "  injectors: freeze\n",
                "s.yaml:11:14: injectors: found \"freeze\"; expected a list of names\n");
  check_explore("lab", "  injectors: [{a: b}]\n",
                "s.yaml:11:15: injectors: found a mapping; expected a name\n");
}

static void test_ranges(void **state) {
  (void)state;
  check_explore("lab", "  faults: 4..1\n",
                "s.yaml:11:11: faults: \"4..1\" runs backwards; expected the smaller one first\n");
  check_explore("lab", "  faults: 0..3\n",
                "s.yaml:11:11: faults: \"0..3\" is too small; expected 1 to 16\n");
  check_explore("lab", "  faults: 1..17\n",
                "s.yaml:11:11: faults: \"1..17\" is too large; expected 1 to 16\n");
  check_explore("lab", "  faults: 1..\n",
                "s.yaml:11:11: faults: \"\" is not a whole number; expected one such as 3\n");
  check_explore("lab", "  faults: {}\n",
                "s.yaml:11:11: faults: found a mapping; expected whole numbers such as 1..4\n");
  check_explore("lab", "  for: 1..3s\n",
                "s.yaml:11:8: for: \"1\" has no unit; expected a duration such as 30s or 250ms\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_possible_timelines_pass),
      cmocka_unit_test(test_targets_must_exist),
      cmocka_unit_test(test_single_host_has_no_replica),
      cmocka_unit_test(test_a_shard_has_a_primary_of_its_own),
      cmocka_unit_test(test_impossible_scenario_is_refused),
      cmocka_unit_test(test_workload_needs_its_service),
      cmocka_unit_test(test_more_clients_than_a_host_has_connections_for),
      cmocka_unit_test(test_clients_of_shards_have_connections_too),
      cmocka_unit_test(test_more_clients_than_client_hosts_can_have),
      cmocka_unit_test(test_contradictory_timelines),
      cmocka_unit_test(test_jitter_makes_overlaps_uncertain),
      cmocka_unit_test(test_entries_name_one_fault),
      cmocka_unit_test(test_steps_the_service_cannot_do),
      cmocka_unit_test(test_clusters_are_bounded),
      cmocka_unit_test(test_objectives),
      cmocka_unit_test(test_explore_draws_what_can_be_drawn),
      cmocka_unit_test(test_ranges),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
