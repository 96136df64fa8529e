/* Shrinking with a runner that knows what it wants: the known minimum is found. */
#include "engine/shrink.h"

#include "base/clock.h"
#include "scenario/scenario.h"
#include "support/scenario_fixture.h"
#include "support/test.h"

#define SECONDS(n) ((n)*NS_PER_S)

struct bench {
  struct scenario scenario;
  struct schedule_rules rules;
  struct arena arena;
  uint32_t calls;
  uint32_t fail_at; /* this call is an error; 0: none */
  /* Whether the schedule shows it. */
  uint32_t (*score)(const struct schedule_rules *rules, const struct schedule *schedule);
};

static void bench_init(struct bench *bench) {
  static const char yaml[] =
      "name: small\n"
      "cluster: {provider: lab, services: {store: {instances: 7}}}\n"
      "workloads: [ledger: {rate: 200/s}]\n"
      "explore: {faults: 1..16, window: 10s..5min, for: 1s..2min, allow_quorum_loss: true}\n"
      "objectives: {data_loss: 0}\n";
  struct scenario_errors *errors = calloc(1, sizeof *errors);
  struct error err = ERROR_INIT;
  assert_non_null(errors);
  *bench = (struct bench){.calls = 0};
  arena_init(&bench->arena, 0);
  assert_ok(scenario_parse("s.yaml", yaml, strlen(yaml), &fixture_tables, NULL, 0, &bench->scenario,
                           errors, &err),
            &err);
  assert_ok(schedule_rules_init(&bench->rules, &bench->scenario, fixture_tables.injectors,
                                &bench->arena, &err),
            &err);
  free(errors);
}

static void bench_release(struct bench *bench) {
  scenario_release(&bench->scenario);
  arena_release(&bench->arena);
}

static int score(void *data, const struct schedule *schedule, uint32_t least, uint32_t *ret_score,
                 struct error *err) {
  struct bench *bench = data;
  (void)least;
  assert_true(schedule_is_allowed(&bench->rules, schedule));
  if (++bench->calls == bench->fail_at) return error_set(err, STATUS_SERVER, "cannot run it");
  *ret_score = bench->score(&bench->rules, schedule);
  return 0;
}

static uint32_t kind_named(const struct schedule_rules *rules, const char *name) {
  for (uint32_t i = 0; i < rules->kind_count; i++)
    if (strcmp(rules->kinds[i].name, name) == 0) return i;
  fail_msg("no kind %s", name);
  return 0;
}

/* The first schedule of a seed that shows it. */
static struct schedule find(struct bench *bench, uint64_t *seed) {
  struct schedule schedule;
  struct error err = ERROR_INIT;
  do assert_ok(schedule_draw(&bench->rules, ++*seed, &schedule, &err), &err);
  while (bench->score(&bench->rules, &schedule) == 0);
  return schedule;
}

static struct schedule shrink(struct bench *bench, const struct schedule *from, uint32_t tries) {
  struct shrink_spec spec = {
      .rules = &bench->rules, .tries_max = tries, .score = score, .data = bench};
  struct schedule schedule = *from;
  struct error err = ERROR_INIT;
  uint32_t used = 0;
  bench->calls = 0;
  assert_ok(shrink_schedule(&spec, &schedule, &used, &err), &err);
  assert_int_equal(used, bench->calls);
  assert_true(used <= tries);
  return schedule;
}

/* A crash of whoever, of at least 17 s, and a freeze that begins later. */
static uint32_t crash_then_freeze(const struct schedule_rules *rules,
                                  const struct schedule *schedule) {
  uint32_t crash = kind_named(rules, "host-crash"), freeze = kind_named(rules, "freeze");
  for (uint32_t i = 0; i < schedule->count; i++)
    for (uint32_t j = i + 1; j < schedule->count; j++)
      if (schedule->faults[i].kind == crash && schedule->faults[i].for_ns >= SECONDS(17) &&
          schedule->faults[j].kind == freeze)
        return 1;
  return 0;
}

static void test_the_known_minimum_is_found(void **state) {
  (void)state;
  struct bench bench;
  uint64_t seed = 0;
  bench_init(&bench);
  bench.score = crash_then_freeze;
  for (int i = 0; i < 50; i++) {
    struct schedule found = find(&bench, &seed);
    struct schedule small = shrink(&bench, &found, 1000);
    assert_int_equal(small.count, 2);
    assert_int_equal(small.faults[0].kind, kind_named(&bench.rules, "host-crash"));
    assert_int_equal(small.faults[1].kind, kind_named(&bench.rules, "freeze"));
    assert_int_equal(small.faults[0].at_ns, SECONDS(10));
    assert_true(small.faults[0].for_ns >= SECONDS(17));
    assert_true(small.faults[0].for_ns <= SECONDS(20));
    assert_int_equal(small.faults[1].for_ns, SECONDS(1));
    assert_int_equal(small.faults[0].target, TARGET_PRIMARY);
    assert_int_equal(small.faults[1].target, TARGET_PRIMARY);
  }
  bench_release(&bench);
}

static uint32_t always(const struct schedule_rules *rules, const struct schedule *schedule) {
  (void)rules;
  (void)schedule;
  return 1;
}

static void test_what_needs_no_fault_shrinks_to_none(void **state) {
  (void)state;
  struct bench bench;
  uint64_t seed = 0;
  bench_init(&bench);
  bench.score = always;
  struct schedule found = find(&bench, &seed);
  assert_int_equal(shrink(&bench, &found, 100).count, 0);
  bench_release(&bench);
}

/* Shows only exactly as it was found. */
static struct schedule only;
static uint32_t nothing_else(const struct schedule_rules *rules, const struct schedule *schedule) {
  (void)rules;
  return schedule_is_equal(schedule, &only);
}

static void test_what_cannot_be_smaller_stays(void **state) {
  (void)state;
  struct bench bench;
  struct error err = ERROR_INIT;
  bench_init(&bench);
  bench.score = nothing_else;
  for (uint64_t seed = 1; seed <= 50; seed++) {
    assert_ok(schedule_draw(&bench.rules, seed, &only, &err), &err);
    struct schedule small = shrink(&bench, &only, 2000);
    assert_true(schedule_is_equal(&small, &only));
  }
  bench_release(&bench);
}

/* Shows with any crash; the longer, the more reliably. */
static uint32_t better_when_long(const struct schedule_rules *rules,
                                 const struct schedule *schedule) {
  uint32_t crash = kind_named(rules, "host-crash"), best = 0;
  for (uint32_t i = 0; i < schedule->count; i++) {
    uint64_t for_ns = schedule->faults[i].for_ns;
    uint32_t worth = for_ns >= SECONDS(10) ? 5 : 2;
    if (schedule->faults[i].kind == crash && worth > best) best = worth;
  }
  return best;
}

static void test_simplifying_does_not_make_it_less_reliable(void **state) {
  (void)state;
  struct bench bench;
  struct schedule found = {.count = 1};
  bench_init(&bench);
  bench.score = better_when_long;
  found.faults[0] = (struct schedule_fault){.kind = kind_named(&bench.rules, "host-crash"),
                                            .target = TARGET_HOST,
                                            .index = 3,
                                            .at_ns = SECONDS(31) + 7,
                                            .for_ns = SECONDS(44) + 9};
  struct schedule small = shrink(&bench, &found, 1000);
  assert_int_equal(small.faults[0].for_ns, SECONDS(10));
  assert_int_equal(small.faults[0].target, TARGET_PRIMARY);
  bench_release(&bench);
}

static void test_it_ends_after_so_many_tries(void **state) {
  (void)state;
  struct bench bench;
  uint64_t seed = 0;
  bench_init(&bench);
  bench.score = crash_then_freeze;
  struct schedule found = find(&bench, &seed);
  for (uint32_t tries = 1; tries < 40; tries++) {
    struct schedule small = shrink(&bench, &found, tries);
    assert_int_equal(crash_then_freeze(&bench.rules, &small), 1);
  }
  bench_release(&bench);
}

static void test_an_error_is_returned(void **state) {
  (void)state;
  struct bench bench;
  uint64_t seed = 0;
  bench_init(&bench);
  bench.score = crash_then_freeze;
  struct schedule found = find(&bench, &seed);
  for (uint32_t call = 1; call < 10; call++) {
    struct shrink_spec spec = {
        .rules = &bench.rules, .tries_max = 100, .score = score, .data = &bench};
    struct schedule schedule = found;
    struct error err = ERROR_INIT;
    uint32_t tries = 0;
    bench.calls = 0;
    bench.fail_at = call;
    assert_int_equal(shrink_schedule(&spec, &schedule, &tries, &err), STATUS_SERVER);
    assert_int_equal(crash_then_freeze(&bench.rules, &schedule), 1);
  }
  bench_release(&bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_known_minimum_is_found),
      cmocka_unit_test(test_what_needs_no_fault_shrinks_to_none),
      cmocka_unit_test(test_what_cannot_be_smaller_stays),
      cmocka_unit_test(test_simplifying_does_not_make_it_less_reliable),
      cmocka_unit_test(test_it_ends_after_so_many_tries),
      cmocka_unit_test(test_an_error_is_returned),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
