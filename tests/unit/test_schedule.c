/* Drawn schedules stay within the bounds of their scenario, print, and parse back to the same. */
#include "engine/schedule.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "support/scenario_fixture.h"
#include "support/test.h"

#define SECONDS(n) ((n)*NS_PER_S)

struct bench {
  struct scenario scenario;
  struct schedule_rules rules;
  struct arena arena;
  struct error err;
  int status; /* of making the rules */
};

/* `cluster` (its services) and `explore` are flow mappings of YAML. */
static void bench_init(struct bench *bench, const char *cluster, const char *explore) {
  struct scenario_errors *errors = calloc(1, sizeof *errors);
  char *yaml = NULL;
  *bench = (struct bench){.err = ERROR_INIT};
  assert_non_null(errors);
  assert_true(asprintf(&yaml,
                       "name: small\n"
                       "cluster: {provider: lab, services: %s}\n"
                       "workloads: [ledger: {rate: 200/s}]\n"
                       "explore: %s\n"
                       "objectives: {data_loss: 0}\n",
                       cluster, explore) > 0);
  arena_init(&bench->arena, 0);
  assert_ok(scenario_parse("s.yaml", yaml, strlen(yaml), &fixture_tables, NULL, 0, &bench->scenario,
                           errors, &bench->err),
            &bench->err);
  bench->status = schedule_rules_init(&bench->rules, &bench->scenario, fixture_tables.injectors,
                                      &bench->arena, &bench->err);
  free(yaml);
  free(errors);
}

static void bench_release(struct bench *bench) {
  scenario_release(&bench->scenario);
  arena_release(&bench->arena);
}

static void assert_kinds(struct bench *bench, const char *expected) {
  CLEANUP_FREE char *names = strdup("");
  assert_ok(bench->status, &bench->err);
  for (uint32_t i = 0; i < bench->rules.kind_count; i++) {
    char *more = NULL;
    assert_true(asprintf(&more, "%s%s%s", names, i ? ", " : "", bench->rules.kinds[i].name) >= 0);
    free(names);
    names = more;
  }
  assert_string_equal(names, expected);
}

static void test_kinds_are_what_the_provider_and_the_service_have(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, "{store: {}}", "{}");
  assert_kinds(&bench, "host-crash, process-kill server, process-kill manager, freeze");
  assert_int_equal(bench.rules.services[0].down_max, 1);
  bench_release(&bench);
  bench_init(&bench, "{store: {instances: 7}}", "{injectors: [freeze]}");
  assert_kinds(&bench, "freeze");
  assert_int_equal(bench.rules.services[0].down_max, 3);
  bench_release(&bench);
  bench_init(&bench, "{store: {}, cache: }", "{injectors: [freeze, process-kill]}");
  assert_kinds(&bench,
               "process-kill store server, process-kill store manager, freeze store, freeze cache");
  bench_release(&bench);
}

static void test_steps_only_when_wanted_and_possible(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, "{store: {}}", "{steps: true}");
  assert_kinds(&bench, "host-crash, process-kill server, process-kill manager, freeze, switchover");
  bench_release(&bench);
  bench_init(&bench, "{store: {topology: pair, instances: 2}}", "{steps: true}");
  assert_kinds(&bench, "host-crash, process-kill server, process-kill manager, freeze");
  bench_release(&bench);
}

static void test_nothing_to_draw_is_an_error(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, "{store: {topology: pair, instances: 2}}",
             "{steps: true, injectors: [switchover]}");
  assert_int_equal(bench.status, STATUS_USAGE);
  assert_string_equal(bench.err.message,
                      "s.yaml: provider 'lab' can make no fault here that a rule could draw");
  bench_release(&bench);
}

/* --- bounds ---------------------------------------------------------------------------------- */

/* Written again, without the rules' own function: hosts down at each begin of a fault. */
static void check_hosts(const struct bench *bench, const struct schedule *schedule) {
  const struct scenario_explore *bounds = &bench->rules.bounds;
  for (uint32_t i = 0; i < schedule->count; i++) {
    uint64_t named = 0, now_ns = schedule->faults[i].at_ns;
    uint32_t down = 0, service = bench->rules.kinds[schedule->faults[i].kind].service;
    for (uint32_t j = 0; j < schedule->count; j++) {
      const struct schedule_fault *fault = &schedule->faults[j];
      if (bench->rules.kinds[fault->kind].service != service) continue;
      if (fault->at_ns > now_ns) continue;
      if (j != i && fault->at_ns + fault->for_ns + bounds->rest_ns <= now_ns) continue;
      if (fault->target != TARGET_HOST)
        down++;
      else
        named |= UINT64_C(1) << fault->index;
    }
    down += (uint32_t)__builtin_popcountll(named);
    assert_true(down <= bench->rules.services[service].down_max);
  }
}

static void check_bounds(const struct bench *bench, const struct schedule *schedule) {
  const struct scenario_explore *bounds = &bench->rules.bounds;
  assert_true(schedule->count >= bounds->faults.low && schedule->count <= bounds->faults.high);
  assert_true(schedule_is_allowed(&bench->rules, schedule));
  for (uint32_t i = 0; i < schedule->count; i++) {
    const struct schedule_fault *fault = &schedule->faults[i];
    const struct schedule_kind *kind = &bench->rules.kinds[fault->kind];
    const struct schedule_service *service = &bench->rules.services[kind->service];
    assert_true(fault->at_ns >= bounds->window_ns.low && fault->at_ns <= bounds->window_ns.high);
    if (kind->injector->flags & INJECTOR_PLANNED)
      assert_int_equal(fault->for_ns, 0);
    else
      assert_true(fault->for_ns >= bounds->for_ns.low && fault->for_ns <= bounds->for_ns.high);
    if (fault->target == TARGET_REPLICA) assert_true(fault->index + 1 < service->host_count);
    if (fault->target == TARGET_HOST) assert_true(fault->index < service->host_count);
  }
  if (!bounds->allow_quorum_loss) check_hosts(bench, schedule);
}

/* The file of the schedule is right by the parser's own checks, and says the same. */
static void check_round_trip(const struct bench *bench, const struct schedule *schedule,
                             uint64_t seed) {
  struct scenario made, parsed;
  struct arena arena;
  struct buf once, twice;
  struct error err = ERROR_INIT;
  CLEANUP_FREE struct scenario_errors *errors = calloc(1, sizeof *errors);
  assert_non_null(errors);
  arena_init(&arena, 0);
  buf_init(&once);
  buf_init(&twice);
  assert_ok(schedule_apply(&bench->rules, schedule, seed, &bench->scenario, &arena, &made, &err),
            &err);
  assert_ok(scenario_print(&made, &once, &err), &err);
  int status = scenario_parse("s.yaml", once.data, once.length, &fixture_tables, NULL, 0, &parsed,
                              errors, &err);
  if (status < 0) fail_msg("%d:%d: %s in\n%s", err.line, err.column, err.message, once.data);
  const char *difference = fixture_difference(&made, &parsed);
  if (difference) fail_msg("%s differs in\n%s", difference, once.data);
  assert_int_equal(parsed.seed, seed);
  assert_int_equal(parsed.repeat, 1);
  assert_ok(scenario_print(&parsed, &twice, &err), &err);
  assert_string_equal(once.data, twice.data);
  scenario_release(&parsed);
  arena_release(&arena);
  buf_release(&once);
  buf_release(&twice);
}

static void check_seeds(const char *cluster, const char *explore, uint64_t seeds) {
  struct bench bench;
  uint32_t counts[SCHEDULE_FAULTS_MAX + 1] = {0};
  bench_init(&bench, cluster, explore);
  assert_ok(bench.status, &bench.err);
  for (uint64_t seed = 0; seed < seeds; seed++) {
    struct schedule schedule, again;
    struct error err = ERROR_INIT;
    assert_ok(schedule_draw(&bench.rules, seed, &schedule, &err), &err);
    assert_ok(schedule_draw(&bench.rules, seed, &again, &err), &err);
    assert_true(schedule_is_equal(&schedule, &again));
    check_bounds(&bench, &schedule);
    if (seed % 10 == 0) check_round_trip(&bench, &schedule, seed);
    counts[schedule.count]++;
  }
  const struct param_range *faults = &bench.rules.bounds.faults;
  assert_true(counts[faults->low] > 0); /* and what the bounds allow comes up */
  if (faults->low < 3 && faults->high > 3) assert_true(counts[3] > 0);
  bench_release(&bench);
}

static void test_10000_seeds_stay_within_bounds(void **state) {
  (void)state;
  check_seeds("{store: {}}", "{faults: 1..4, window: 5s..3min}", 10000);
}

static void test_other_bounds(void **state) {
  (void)state;
  check_seeds("{store: {}}", "{faults: 1..16, allow_quorum_loss: true}", 2000);
  check_seeds("{store: {instances: 7}}", "{faults: 2..8, steps: true}", 2000);
  check_seeds("{store: {instances: 5}, cache: }", "{faults: 1..5, for: 1s, rest: 0s}", 2000);
  check_seeds("{store: {topology: pair, instances: 2}}", "{}", 2000);
  check_seeds("{store: {}}", "{faults: 1, window: 7s, for: 1ms..1d}", 2000);
  check_seeds("{store: {instances: 5}}", "{window: 1ns..2ns, for: 3ms..4ms, rest: 0s}", 2000);
}

static void test_bounds_that_leave_no_room_are_an_error(void **state) {
  (void)state;
  struct bench bench;
  struct schedule schedule;
  struct error err = ERROR_INIT;
  bench_init(&bench, "{store: {}}", "{faults: 3, window: 10s..20s, for: 30s}");
  assert_int_equal(schedule_draw(&bench.rules, 1, &schedule, &err), STATUS_USAGE);
  assert_string_equal(err.message,
                      "explore: there is no room for 3 faults; expected a wider window, a shorter "
                      "'for' or 'rest', or allow_quorum_loss");
  bench_release(&bench);
}

static void test_all_kinds_and_targets_come_up(void **state) {
  (void)state;
  struct bench bench;
  uint32_t kinds[16] = {0}, targets[TARGET_ANY + 1] = {0};
  bench_init(&bench, "{store: {}}", "{steps: true}");
  assert_int_equal(bench.rules.kind_count, 5);
  for (uint64_t seed = 0; seed < 300; seed++) {
    struct schedule schedule;
    assert_ok(schedule_draw(&bench.rules, seed, &schedule, &bench.err), &bench.err);
    for (uint32_t i = 0; i < schedule.count; i++) {
      kinds[schedule.faults[i].kind]++;
      targets[schedule.faults[i].target]++;
      if (bench.rules.kinds[schedule.faults[i].kind].injector->flags & INJECTOR_PLANNED)
        assert_int_equal(schedule.faults[i].target, TARGET_REPLICA);
    }
  }
  for (uint32_t i = 0; i < 5; i++) assert_true(kinds[i] > 30);
  assert_true(targets[TARGET_PRIMARY] > 60);
  assert_true(targets[TARGET_REPLICA] > 60);
  assert_true(targets[TARGET_HOST] > 60);
  bench_release(&bench);
}

static void test_every_shard_is_aimed_at(void **state) {
  (void)state;
  struct bench bench;
  uint32_t primaries[3] = {0}, replicas[3] = {0};
  bench_init(&bench, "{store: {suite: ring, instances: 6}}", "{}");
  assert_int_equal(bench.rules.services[0].shards, 3);
  assert_int_equal(bench.rules.services[0].down_max, 1);
  for (uint64_t seed = 0; seed < 300; seed++) {
    struct schedule schedule;
    assert_ok(schedule_draw(&bench.rules, seed, &schedule, &bench.err), &bench.err);
    for (uint32_t i = 0; i < schedule.count; i++) {
      const struct schedule_fault *fault = &schedule.faults[i];
      if (fault->target == TARGET_HOST) continue;
      assert_true(fault->index < 3);
      (fault->target == TARGET_PRIMARY ? primaries : replicas)[fault->index]++;
    }
  }
  for (int i = 0; i < 3; i++) assert_true(primaries[i] > 20 && replicas[i] > 20);
  struct buf text;
  const struct schedule_fault fault = {
      .kind = 1, .target = TARGET_PRIMARY, .index = 2, .at_ns = SECONDS(10), .for_ns = SECONDS(3)};
  buf_init(&text);
  schedule_print_fault(&bench.rules, &fault, &text);
  assert_string_equal(text.data, "process-kill server store.primary[2] at 10s for 3s");
  buf_release(&text);
  bench_release(&bench);
}

static int refuses_replicas(const void *config, const struct fault_place *place,
                            struct error *err) {
  const struct injector *freeze = fixture_tables.injectors[2];
  struct target target;
  (void)place;
  memcpy(&target, (const char *)config + freeze->target_offset, sizeof target);
  return target.kind == TARGET_REPLICA ? error_set(err, STATUS_USAGE, "target: no replica") : 0;
}

static void test_what_takes_no_replica_is_aimed_at_primaries(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, "{store: {}}", "{injectors: [freeze]}");
  struct injector freeze = *fixture_tables.injectors[2];
  assert_string_equal(freeze.plugin.name, "freeze");
  freeze.fits = refuses_replicas;
  const struct injector *const table[] = {&freeze, NULL};
  bench.scenario.explore.injectors[0] = &freeze;
  assert_ok(schedule_rules_init(&bench.rules, &bench.scenario, table, &bench.arena, &bench.err),
            &bench.err);
  for (uint64_t seed = 0; seed < 100; seed++) {
    struct schedule schedule;
    assert_ok(schedule_draw(&bench.rules, seed, &schedule, &bench.err), &bench.err);
    assert_true(schedule.count > 0);
    for (uint32_t i = 0; i < schedule.count; i++)
      assert_int_equal(schedule.faults[i].target, TARGET_PRIMARY);
  }
  bench_release(&bench);
}

/* --- what contradicts itself ----------------------------------------------------------------- */

static bool allowed(const struct bench *bench, struct schedule_fault first,
                    struct schedule_fault second) {
  struct schedule schedule = {.count = 2, .faults = {first, second}};
  return schedule_is_allowed(&bench->rules, &schedule);
}

static void test_contradictions(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, "{store: {}}", "{steps: true, allow_quorum_loss: true, rest: 5s}");
  enum { CRASH, KILL_SERVER, KILL_MANAGER, FREEZE, SWITCHOVER };
  struct schedule_fault crash = {
      .kind = CRASH, .target = TARGET_HOST, .at_ns = SECONDS(10), .for_ns = SECONDS(10)};
  struct schedule_fault other = {
      .kind = FREEZE, .target = TARGET_HOST, .at_ns = SECONDS(12), .for_ns = SECONDS(1)};
  assert_false(allowed(&bench, crash, other)); /* the host is off */
  other.index = 1;
  assert_true(allowed(&bench, crash, other));
  other = (struct schedule_fault){.kind = FREEZE, .target = TARGET_HOST, .at_ns = SECONDS(24)};
  assert_false(allowed(&bench, crash, other)); /* it is still resting */
  other.at_ns = SECONDS(25);
  assert_true(allowed(&bench, crash, other));
  other = (struct schedule_fault){.kind = CRASH, .at_ns = SECONDS(9)};
  assert_false(allowed(&bench, crash, other)); /* not in order */

  struct schedule_fault server = crash, manager = crash;
  server.kind = KILL_SERVER;
  manager.kind = KILL_MANAGER;
  assert_true(allowed(&bench, server, manager));
  assert_false(allowed(&bench, server, server));

  struct schedule_fault step = {.kind = SWITCHOVER, .target = TARGET_REPLICA, .at_ns = SECONDS(12)};
  assert_false(allowed(&bench, crash, step));
  step.at_ns = SECONDS(25);
  assert_true(allowed(&bench, crash, step));
  bench_release(&bench);
}

static void test_a_schedule_in_words(void **state) {
  (void)state;
  struct bench bench;
  struct buf text;
  struct schedule_fault fault = {.kind = 1,
                                 .target = TARGET_REPLICA,
                                 .index = 1,
                                 .at_ns = 10250 * NS_PER_MS,
                                 .for_ns = SECONDS(3)};
  bench_init(&bench, "{store: {}}", "{}");
  buf_init(&text);
  schedule_print_fault(&bench.rules, &fault, &text);
  assert_string_equal(text.data, "process-kill server store.replica[1] at 10250ms for 3s");
  buf_release(&text);
  bench_release(&bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kinds_are_what_the_provider_and_the_service_have),
      cmocka_unit_test(test_steps_only_when_wanted_and_possible),
      cmocka_unit_test(test_nothing_to_draw_is_an_error),
      cmocka_unit_test(test_10000_seeds_stay_within_bounds),
      cmocka_unit_test(test_other_bounds),
      cmocka_unit_test(test_bounds_that_leave_no_room_are_an_error),
      cmocka_unit_test(test_all_kinds_and_targets_come_up),
      cmocka_unit_test(test_every_shard_is_aimed_at),
      cmocka_unit_test(test_what_takes_no_replica_is_aimed_at_primaries),
      cmocka_unit_test(test_contradictions),
      cmocka_unit_test(test_a_schedule_in_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
