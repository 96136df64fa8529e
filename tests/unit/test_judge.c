/* Objectives, statistics, repeats, and the table of measures. */
#include <math.h>

#include "engine/judge.h"
#include "support/synthetic.h"
#include "support/test.h"

/* --- the table ------------------------------------------------------------------------------- */

static void test_every_name_of_every_checker_is_in_the_table(void **state) {
  (void)state;
  for (const struct checker *const *checker = checkers; *checker; checker++)
    for (const char *const *name = (*checker)->measures; *name; name++) {
      enum unit unit;
      bool at_least;
      if (!measure_lookup(*name, &unit, &at_least))
        fail_msg("%s gives %s, which is not in measure_table", (*checker)->plugin.name, *name);
    }
}

static void test_every_name_of_the_table_is_some_checkers(void **state) {
  (void)state;
  for (const struct measure_info *info = measure_table; info->name; info++) {
    int givers = 0;
    for (const struct checker *const *checker = checkers; *checker; checker++)
      for (const char *const *name = (*checker)->measures; *name; name++)
        if (strcmp(*name, info->name) == 0) givers++;
    if (givers != 1) fail_msg("%s is given by %d checkers", info->name, givers);
    assert_true(strlen(info->help) > 10);
  }
}

/* What checkers really give is what they say they give, in the unit of the table. */
static void test_checkers_give_what_they_list(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  synthetic_judge(&it, NULL, NULL);
  for (uint32_t f = 0; f < it.result.finding_count; f++) {
    const struct finding *finding = &it.result.findings[f];
    for (uint32_t m = 0; m < finding->measure_count; m++) {
      bool listed = false;
      for (const char *const *name = finding->checker->measures; *name; name++)
        listed = listed || strcmp(*name, finding->measures[m].name) == 0;
      if (!listed) fail_msg("%s is not listed", finding->measures[m].name);
      enum unit unit;
      bool at_least;
      assert_true(measure_lookup(finding->measures[m].name, &unit, &at_least));
      assert_int_equal(unit, finding->measures[m].unit);
    }
    for (const char *const *name = finding->checker->measures; *name; name++) {
      bool given = false;
      for (uint32_t m = 0; m < finding->measure_count; m++)
        given = given || strcmp(*name, finding->measures[m].name) == 0;
      if (!given) fail_msg("%s was not given", *name);
    }
  }
  assert_int_equal(it.result.verdict, VERDICT_PASS);
  synthetic_release(&it);
}

/* --- objectives ------------------------------------------------------------------------------ */

#define MEASURES_MAX 128
/* Runs made of nothing but measures. */
struct made {
  struct arena arena;
  struct checker checker;
  struct measure measures[8][MEASURES_MAX];
  struct finding findings[8];
  struct run_result runs[8];
  uint32_t run_count;
};

static void made_init(struct made *made) {
  memset(made, 0, sizeof *made);
  arena_init(&made->arena, 0);
  made->checker.plugin.name = "made";
}

static struct measure *add(struct made *made, uint32_t run, const char *name, int32_t fault,
                           double value) {
  struct finding *finding = &made->findings[run];
  finding->checker = &made->checker;
  finding->measures = made->measures[run];
  made->runs[run].findings = finding;
  made->runs[run].finding_count = 1;
  made->runs[run].trusted = made->runs[run].info.complete = true;
  if (run >= made->run_count) made->run_count = run + 1;
  struct measure *measure = &finding->measures[finding->measure_count++];
  *measure = (struct measure){.name = name,
                              .unit = UNIT_DURATION,
                              .value = value,
                              .known = true,
                              .fault = fault,
                              .host = HOST_NONE};
  return measure;
}

static struct objective_result judge(struct made *made, const char *name, const char *statistic,
                                     bool at_least, double bound) {
  struct error err = ERROR_INIT;
  struct scenario_objective objective = {.name = name,
                                         .statistic = statistic,
                                         .text = "made",
                                         .unit = UNIT_DURATION,
                                         .at_least = at_least,
                                         .bound = bound};
  const struct scenario scenario = {.objectives = &objective, .objective_count = 1};
  struct run_result result;
  assert_int_equal(
      judge_repeats(made->runs, made->run_count, &scenario, &made->arena, &result, &err), 0);
  assert_int_equal(result.objective_count, 1);
  assert_int_equal(result.verdict, result.objectives[0].verdict);
  return result.objectives[0];
}

/* A record that broke off a second after the fault said "failover_time 0 s: pass". What it shows to
 * be missed is missed all the same, unless the rest of the run could have made it good. */
static void test_a_broken_off_record_passes_nothing(void **state) {
  struct made made;
  (void)state;
  made_init(&made);
  add(&made, 0, "failover_time", 0, 0);
  add(&made, 0, "write_outage", FAULT_NONE, 40);
  add(&made, 0, "write_latency.p99", FAULT_NONE, 40);
  add(&made, 0, "availability", FAULT_NONE, 0.5)->unit = UNIT_RATIO;
  add(&made, 0, "origin_amplification", 0, 50)->unit = UNIT_NONE;
  assert_int_equal(judge(&made, "failover_time", "max", false, 30).verdict, VERDICT_PASS);
  made.runs[0].info.complete = false;
  const struct objective_result failover = judge(&made, "failover_time", "max", false, 30);
  assert_int_equal(failover.verdict, VERDICT_UNKNOWN);
  assert_false(failover.known);
  assert_string_equal(failover.why, "not known: the record is incomplete");
  assert_int_equal(judge(&made, "write_outage", "max", false, 30).verdict, VERDICT_FAIL);
  assert_int_equal(judge(&made, "write_latency.p99", "max", false, 30).verdict, VERDICT_UNKNOWN);
  assert_int_equal(judge(&made, "availability", "min", true, 0.9).verdict, VERDICT_UNKNOWN);
  assert_int_equal(judge(&made, "origin_amplification", "max", false, 5).verdict, VERDICT_UNKNOWN);
  arena_release(&made.arena);
}

/* The disk was full when the writes came back: "writes did not come back, at least 37 s: fail".
 * What was lost is lost all the same. */
static void test_holes_prove_no_outage(void **state) {
  struct made made;
  (void)state;
  made_init(&made);
  struct measure *failover = add(&made, 0, "failover_time", 0, 37);
  failover->known = false;
  failover->floor = true;
  failover->why = "writes did not come back";
  add(&made, 0, "write_outage", FAULT_NONE, 40);
  add(&made, 0, "data_loss", FAULT_NONE, 40);
  assert_int_equal(judge(&made, "failover_time", "max", false, 20).verdict, VERDICT_FAIL);
  made.runs[0].info.complete = false;
  assert_int_equal(judge(&made, "failover_time", "max", false, 20).verdict, VERDICT_FAIL);
  made.runs[0].info.holes = true;
  const struct objective_result result = judge(&made, "failover_time", "max", false, 20);
  assert_int_equal(result.verdict, VERDICT_UNKNOWN);
  assert_string_equal(result.why, "not known: a part of the record could not be written");
  assert_int_equal(judge(&made, "write_outage", "max", false, 30).verdict, VERDICT_UNKNOWN);
  assert_int_equal(judge(&made, "data_loss", "max", false, 30).verdict, VERDICT_FAIL);
  assert_int_equal(judge(&made, "data_loss", "max", false, 50).verdict, VERDICT_UNKNOWN);
  arena_release(&made.arena);
}

static void test_bounds_are_inclusive(void **state) {
  struct made made;
  (void)state;
  made_init(&made);
  add(&made, 0, "x", FAULT_NONE, 45);
  assert_int_equal(judge(&made, "x", "max", false, 45).verdict, VERDICT_PASS);
  assert_int_equal(judge(&made, "x", "max", false, 44.9).verdict, VERDICT_FAIL);
  assert_int_equal(judge(&made, "x", "min", true, 45).verdict, VERDICT_PASS);
  struct objective_result result = judge(&made, "x", "min", true, 46);
  assert_int_equal(result.verdict, VERDICT_FAIL);
  assert_string_equal(result.why, "45 s, less than 46 s");
  assert_true(result.known && result.measured == 45 && result.count == 1);
  result = judge(&made, "x", "max", false, 44.99);
  assert_string_equal(result.why, "45 s, more than 44.99 s"); /* both are "45 s" when rounded */
  result = judge(&made, "x", "max", false, 44.999999999);     /* it was "45, more than 45" */
  assert_string_equal(result.why, "45 s, more than 44.999999999 s");
  arena_release(&made.arena);
}

static void test_statistics(void **state) {
  static const struct {
    const char *statistic;
    double value;
  } cases[] = {{"max", 20}, {"min", 1},   {"median", 10.5}, {"mean", 10.5}, {"p50", 10},
               {"p95", 19}, {"p100", 20}, {"p5", 1},        {"p99.9", 20}};
  struct made made;
  (void)state;
  made_init(&made);
  for (int i = 0; i < 20; i++) add(&made, (uint32_t)i % 4, "x", i / 4, (i * 7) % 20 + 1);
  for (size_t i = 0; i < COUNT(cases); i++) {
    struct objective_result result = judge(&made, "x", cases[i].statistic, false, 100);
    assert_true(result.known);
    assert_float_equal((float)result.measured, (float)cases[i].value, 1e-6F);
    assert_int_equal(result.count, 20);
  }
  arena_release(&made.arena);
}

static void test_a_statistic_that_is_none(void **state) {
  struct error err = ERROR_INIT;
  struct made made;
  static const char *const wrong[] = {"mode", "p0", "p101", "p", "p95x", "p-5"};
  struct run_result result;
  (void)state;
  made_init(&made);
  add(&made, 0, "x", FAULT_NONE, 45);
  for (size_t i = 0; i < COUNT(wrong); i++) {
    struct scenario_objective objective = {.name = "x", .statistic = wrong[i], .text = ""};
    const struct scenario scenario = {.objectives = &objective, .objective_count = 1};
    assert_int_equal(judge_repeats(made.runs, 1, &scenario, &made.arena, &result, &err),
                     STATUS_INTERNAL);
  }
  arena_release(&made.arena);
}

/* The largest is sought among run and faults; a median is one of faults alone. */
static void test_scopes_are_not_mixed_in_a_median(void **state) {
  struct made made;
  (void)state;
  made_init(&made);
  add(&made, 0, "x", FAULT_NONE, 100);
  for (int32_t f = 0; f < 3; f++) add(&made, 0, "x", f, 1 + f);
  assert_true(judge(&made, "x", "max", false, 5).measured == 100);
  assert_true(judge(&made, "x", "median", false, 5).measured == 2);
  arena_release(&made.arena);
}

static void test_unknown_is_unknown(void **state) {
  struct made made;
  (void)state;
  made_init(&made);
  struct measure *measure = add(&made, 0, "x", 0, 0);
  measure->known = false;
  measure->why = "the dog ate it";
  struct objective_result result = judge(&made, "x", "max", false, 45);
  assert_int_equal(result.verdict, VERDICT_UNKNOWN);
  assert_string_equal(result.why, "not known: the dog ate it");
  assert_false(result.known);
  /* One that is known to be above the bound decides for the largest, but not for the smallest. */
  add(&made, 0, "x", 1, 50);
  assert_int_equal(judge(&made, "x", "max", false, 45).verdict, VERDICT_FAIL);
  assert_int_equal(judge(&made, "x", "min", false, 45).verdict, VERDICT_UNKNOWN);
  assert_int_equal(judge(&made, "x", "min", true, 45).verdict, VERDICT_UNKNOWN);
  result = judge(&made, "x", "min", true, 55); /* it was "at least 50 s, less than 55 s" */
  assert_int_equal(result.verdict, VERDICT_FAIL);
  assert_string_equal(result.why, "at most 50 s, less than 55 s: the dog ate it");
  assert_int_equal(judge(&made, "x", "max", true, 45).verdict, VERDICT_PASS);
  arena_release(&made.arena);
}

/* Recovery never came: at least 40 s. That misses 30 s, and says nothing of 60 s. */
static void test_a_lower_bound_can_miss_but_not_meet(void **state) {
  struct made made;
  (void)state;
  made_init(&made);
  struct measure *measure = add(&made, 0, "x", 0, 40);
  measure->known = false;
  measure->floor = true;
  measure->why = "writes did not come back";
  struct objective_result result = judge(&made, "x", "max", false, 30);
  assert_int_equal(result.verdict, VERDICT_FAIL);
  assert_string_equal(result.why, "at least 40 s, more than 30 s: writes did not come back");
  assert_int_equal(judge(&made, "x", "max", false, 60).verdict, VERDICT_UNKNOWN);
  assert_int_equal(judge(&made, "x", "median", false, 30).verdict, VERDICT_FAIL);
  arena_release(&made.arena);
}

static void test_what_does_not_apply_is_skipped(void **state) {
  struct made made;
  (void)state;
  made_init(&made);
  struct measure *measure = add(&made, 0, "x", 0, 0);
  measure->known = false;
  measure->not_applicable = true;
  measure->why = "no promotion was seen after this fault";
  struct objective_result result = judge(&made, "x", "max", false, 45);
  assert_int_equal(result.verdict, VERDICT_UNKNOWN);
  assert_string_equal(result.why, "not known: no promotion was seen after this fault");
  add(&made, 0, "x", 1, 10);
  assert_int_equal(judge(&made, "x", "max", false, 45).verdict, VERDICT_PASS);
  arena_release(&made.arena);
}

static void test_nobody_measured_it(void **state) {
  struct made made;
  (void)state;
  made_init(&made);
  add(&made, 0, "x", 0, 0);
  struct objective_result result = judge(&made, "y", "max", false, 45);
  assert_int_equal(result.verdict, VERDICT_UNKNOWN);
  assert_string_equal(result.why, "not known: no checker measured it");
  arena_release(&made.arena);
}

/* Ranks from the binomial distribution: 6 values give [1, 6], 10 [2, 9], 20 [6, 15], 100 [40, 61].
 */
static void test_confidence_interval_of_the_median(void **state) {
  static const struct {
    uint32_t count, low, high;
  } cases[] = {{6, 1, 6}, {8, 1, 8}, {9, 2, 8}, {10, 2, 9}, {20, 6, 15}, {100, 40, 61}};
  double values[2000], low, high;
  (void)state;
  for (size_t i = 0; i < COUNT(cases); i++) {
    for (uint32_t j = 0; j < cases[i].count; j++) values[j] = cases[i].count - j;
    assert_true(judge_median_interval(values, cases[i].count, &low, &high));
    assert_true(low == cases[i].low && high == cases[i].high);
  }
  for (uint32_t j = 0; j < 2000; j++) values[j] = j + 1;
  assert_true(judge_median_interval(values, 2000, &low, &high));
  assert_true(low > 950 && low < 960 && low + high == 2001);
  assert_false(judge_median_interval(values, 5, &low, &high));
  assert_false(judge_median_interval(values, 0, &low, &high));
}

static void test_objectives_carry_their_interval(void **state) {
  struct made made;
  (void)state;
  made_init(&made);
  for (uint32_t i = 0; i < 6; i++) add(&made, i, "x", 0, 10 + i);
  struct objective_result result = judge(&made, "x", "p95", false, 100);
  assert_true(result.interval_known);
  assert_true(result.interval_low == 10 && result.interval_high == 15);
  arena_release(&made.arena);
}

/* --- runs and repeats ------------------------------------------------------------------------ */

/* A run that misses the bound on its own does not spoil a median over all; a finding does. */
static void test_repeats(void **state) {
  struct error err = ERROR_INIT;
  struct made made;
  struct scenario_objective objective = {
      .name = "x", .statistic = "median", .text = "<= 12 s", .unit = UNIT_DURATION, .bound = 12};
  const struct scenario scenario = {.objectives = &objective, .objective_count = 1};
  struct run_result result;
  (void)state;
  made_init(&made);
  add(&made, 0, "x", 0, 10);
  add(&made, 1, "x", 0, 99);
  add(&made, 2, "x", 0, 11);
  made.runs[1].verdict = VERDICT_FAIL;
  made.runs[1].scenario = "the worst";
  assert_int_equal(judge_repeats(made.runs, 3, &scenario, &made.arena, &result, &err), 0);
  assert_int_equal(result.verdict, VERDICT_PASS);
  assert_string_equal(result.why, "every objective was met");
  assert_string_equal(result.scenario, "the worst");
  made.findings[2].verdict = VERDICT_FAIL;
  made.findings[2].why = "a row was damaged";
  assert_int_equal(judge_repeats(made.runs, 3, &scenario, &made.arena, &result, &err), 0);
  assert_int_equal(result.verdict, VERDICT_FAIL);
  assert_string_equal(result.why, "made: a row was damaged");
  /* It was "the worst" alone, whose findings are all fine: no report had a check that failed. */
  assert_ptr_equal(result.findings, made.runs[2].findings);
  assert_int_equal(result.objective_count, 1);
  objective.bound = 10; /* now it is for the objective, too */
  assert_int_equal(judge_repeats(made.runs, 3, &scenario, &made.arena, &result, &err), 0);
  assert_string_equal(result.scenario, "the worst");
  objective.bound = 12;
  made.findings[2].verdict = VERDICT_PASS;
  made.runs[0].trusted = false;
  assert_int_equal(judge_repeats(made.runs, 3, &scenario, &made.arena, &result, &err), 0);
  assert_int_equal(result.verdict, VERDICT_UNKNOWN);
  assert_false(result.trusted);
  arena_release(&made.arena);
}

/* Its bits may say anything: it neither acquits nor convicts. */
static void test_a_repeat_whose_record_was_changed(void **state) {
  struct error err = ERROR_INIT;
  struct made made;
  struct scenario_objective objective = {
      .name = "x", .statistic = "max", .text = "<= 12 s", .unit = UNIT_DURATION, .bound = 12};
  const struct scenario scenario = {.objectives = &objective, .objective_count = 1};
  struct run_result result;
  (void)state;
  made_init(&made);
  add(&made, 0, "x", 0, 10);
  add(&made, 1, "x", 0, 99);
  made.runs[1].changed = true;
  made.runs[1].trusted = false;
  made.runs[1].verdict = VERDICT_UNKNOWN;
  made.runs[1].why = "record: bits";
  made.findings[1].verdict = VERDICT_FAIL;
  assert_int_equal(judge_repeats(made.runs, 2, &scenario, &made.arena, &result, &err), 0);
  assert_int_equal(result.verdict, VERDICT_UNKNOWN);
  assert_string_equal(result.why, "repeat 2: record: bits");
  /* Where one is missing, the next one took its number. */
  made.runs[0].repeat = 1;
  made.runs[1].repeat = 3;
  assert_int_equal(judge_repeats(made.runs, 2, &scenario, &made.arena, &result, &err), 0);
  assert_string_equal(result.why, "repeat 3: record: bits");
  assert_int_equal(result.objectives[0].verdict, VERDICT_PASS);
  made.runs[0] = made.runs[1];
  assert_int_equal(judge_repeats(made.runs, 1, &scenario, &made.arena, &result, &err), 0);
  assert_string_equal(result.why, "record: bits");
  arena_release(&made.arena);
}

static void judge_crash(struct synthetic *it, const char *name, bool at_least, double bound) {
  struct scenario_objective objective = {.name = name,
                                         .statistic = at_least ? "min" : "max",
                                         .text = "made",
                                         .unit = UNIT_DURATION,
                                         .at_least = at_least,
                                         .bound = bound};
  const struct scenario scenario = {.objectives = &objective, .objective_count = 1};
  synthetic_judge(it, NULL, &scenario);
}

static void test_a_run_against_its_objectives(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  synthetic_finish(&it);
  judge_crash(&it, "failover_time", false, 45);
  assert_int_equal(it.result.verdict, VERDICT_PASS);
  assert_true(it.result.trusted);
  assert_int_equal(it.result.objective_count,
                   3); /* and no two primaries, no writes into the void */
  assert_string_equal(it.result.objectives[1].name, "dual_primary");
  assert_string_equal(it.result.objectives[2].name, "lost_after_fault");
  assert_int_equal(it.result.writes.scheduled, 6000);
  assert_float_equal((float)it.result.duration_s, 90, 1e-6F);
  judge_crash(&it, "failover_time", false, 20);
  assert_int_equal(it.result.verdict, VERDICT_FAIL);
  assert_string_equal(it.result.why, "failover_time: 22 s, more than 20 s");
  judge_crash(&it, "availability", true, 0.5);
  assert_int_equal(it.result.verdict, VERDICT_PASS);
  judge_crash(&it, "data_loss", false, 0);
  assert_int_equal(it.result.verdict, VERDICT_PASS);
  judge_crash(&it, "staleness.p99", false, 1);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  synthetic_release(&it);
}

static void test_a_scenario_may_allow_two_primaries(void **state) {
  struct synthetic it;
  const struct synthetic_span old = {.latency_s = 0.002, .host = PG1, .timeline = 1, .rows = 0};
  const struct synthetic_load pinned = {.kind = OPERATION_WRITE,
                                        .route = ROUTE_PINNED,
                                        .rate = 10,
                                        .from_s = 53,
                                        .to_s = 54,
                                        .spans = &old,
                                        .span_count = 1};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  synthetic_add_load(&it, &pinned);
  synthetic_finish(&it);
  judge_crash(&it, "dual_primary", false, 5);
  assert_int_equal(it.result.objective_count,
                   2); /* but what was acknowledged there is still lost */
  assert_string_equal(it.result.objectives[1].name, "lost_after_fault");
  assert_int_equal(it.result.objectives[0].verdict, VERDICT_PASS);
  assert_int_equal(it.result.verdict, VERDICT_FAIL);
  judge_crash(&it, "loss_window", false, 60);
  assert_int_equal(it.result.objective_count, 2);
  assert_string_equal(it.result.objectives[1].name, "dual_primary");
  assert_int_equal(it.result.objectives[0].verdict, VERDICT_PASS);
  judge_crash(&it, "failover_time", false, 45);
  assert_int_equal(it.result.verdict, VERDICT_FAIL);
  assert_non_null(strstr(it.result.why, "dual_primary: "));
  synthetic_release(&it);
}

static void test_an_unfinished_run_is_never_a_pass(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  (void)state;
  options.unfinished = true;
  synthetic_begin(&it, &options);
  synthetic_crash(&it, 100);
  synthetic_finish(&it);
  judge_crash(&it, "failover_time", false, 45);
  assert_int_equal(it.result.objectives[0].verdict, VERDICT_UNKNOWN);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  assert_string_equal(it.result.why, "record: the run did not come to its end");
  judge_crash(&it, "failover_time", false, 20); /* but what is missed is missed */
  assert_int_equal(it.result.verdict, VERDICT_FAIL);
  synthetic_release(&it);
}

/* --- checkers that fail ---------------------------------------------------------------------- */

static int fail_item(void *state, const struct record_item *item, struct error *err) {
  (void)state;
  (void)item;
  return error_set(err, STATUS_MEMORY, "no more room");
}
static int never_finish(void *state, struct finding *finding, struct error *err) {
  (void)state;
  (void)finding;
  (void)err;
  fail_msg("a checker that failed is not asked for its finding");
  return 0;
}

static void test_a_checker_that_fails_says_so(void **state) {
  static const char *const names[] = {"failover_time", NULL};
  static const struct checker broken = {.plugin = {.name = "broken", .state_size = 0},
                                        .wants = WANTS_EVENTS,
                                        .measures = names,
                                        .item = fail_item,
                                        .finish = never_finish};
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 10);
  synthetic_judge(&it, &broken, NULL);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  assert_string_equal(synthetic_finding(&it, "broken")->why,
                      "the checker could not finish: no more room");
  assert_false(synthetic_measure(&it, "failover_time", FAULT_NONE)->known);
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_name_of_every_checker_is_in_the_table),
      cmocka_unit_test(test_every_name_of_the_table_is_some_checkers),
      cmocka_unit_test(test_checkers_give_what_they_list),
      cmocka_unit_test(test_holes_prove_no_outage),
      cmocka_unit_test(test_bounds_are_inclusive),
      cmocka_unit_test(test_a_broken_off_record_passes_nothing),
      cmocka_unit_test(test_statistics),
      cmocka_unit_test(test_a_statistic_that_is_none),
      cmocka_unit_test(test_scopes_are_not_mixed_in_a_median),
      cmocka_unit_test(test_unknown_is_unknown),
      cmocka_unit_test(test_a_lower_bound_can_miss_but_not_meet),
      cmocka_unit_test(test_what_does_not_apply_is_skipped),
      cmocka_unit_test(test_nobody_measured_it),
      cmocka_unit_test(test_confidence_interval_of_the_median),
      cmocka_unit_test(test_objectives_carry_their_interval),
      cmocka_unit_test(test_repeats),
      cmocka_unit_test(test_a_repeat_whose_record_was_changed),
      cmocka_unit_test(test_a_run_against_its_objectives),
      cmocka_unit_test(test_a_scenario_may_allow_two_primaries),
      cmocka_unit_test(test_an_unfinished_run_is_never_a_pass),
      cmocka_unit_test(test_a_checker_that_fails_says_so),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
