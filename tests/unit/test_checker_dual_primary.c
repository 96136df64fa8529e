/* Two primaries at once, and the many handovers that only look like it. */
#include "checkers/checkers.h"
#include "support/synthetic.h"
#include "support/test.h"

struct reign {
  double from_s, to_s, latency_s;
  uint16_t host;
  uint32_t timeline;
};

static void add(struct synthetic *it, struct reign reign) {
  const struct synthetic_span span = {.from_s = 0,
                                      .latency_s = reign.latency_s,
                                      .host = reign.host,
                                      .timeline = reign.timeline,
                                      .rows = ALL_HOSTS};
  const struct synthetic_load load = {.route = ROUTE_PINNED,
                                      .from_s = reign.from_s,
                                      .to_s = reign.to_s,
                                      .spans = &span,
                                      .span_count = 1};
  synthetic_add_load(it, &load);
}

static void judge(struct synthetic *it) {
  synthetic_judge(it, &checker_dual_primary, NULL);
}

static void expect_innocent(struct synthetic *it) {
  judge(it);
  EXPECT(it, {"dual_primary", FAULT_NONE, 0}, {"dual_primary.writes", FAULT_NONE, 0});
  assert_int_equal(synthetic_finding(it, "dual-primary")->interval_count, 0);
  assert_null(synthetic_witness(it, "dual_primary"));
  assert_int_equal(it->result.verdict, VERDICT_PASS);
  synthetic_release(it);
}

static void test_handovers_and_a_return_are_innocent(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add(&it, (struct reign){10, 20, 0.002, PG1, 1});
  add(&it, (struct reign){21, 30, 0.002, PG2, 2});
  add(&it, (struct reign){31, 40, 0.002, PG1, 3});
  add(&it, (struct reign){41, 50, 0.002, PG2, 4});
  expect_innocent(&it);
}

/* The old primary's last answers are read after the new one's first, but were sent before. */
static void test_an_answer_read_late_is_innocent(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add(&it, (struct reign){10, 20, 1.5, PG1, 1});
  add(&it, (struct reign){20.1, 30, 0.002, PG2, 2});
  expect_innocent(&it);
}

static void test_a_restart_in_place_is_innocent(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add(&it, (struct reign){10, 20, 0.002, PG1, 1});
  add(&it, (struct reign){25, 30, 0.002, PG1, 1});
  expect_innocent(&it);
}

/* pg1 is cut off and goes on for 5 s after pg2 took over. */
static void test_guilty_of_two_primaries(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 25, 60);
  add(&it, (struct reign){10, 45, 0.002, PG1, 1});
  add(&it, (struct reign){40, 70, 0.002, PG2, 2});
  judge(&it);
  /* From the first stale one sent (40.0101) until the last was acknowledged (44.992). */
  EXPECT(&it, {"dual_primary", FAULT_NONE, 44.992 - 40.0101},
         {"dual_primary.writes", FAULT_NONE, 499});
  const struct finding *finding = synthetic_finding(&it, "dual-primary");
  assert_int_equal(finding->interval_count, 1);
  assert_int_equal(finding->intervals[0].host, PG1);
  assert_int_equal(finding->intervals[0].other_host, PG2);
  assert_int_equal(finding->intervals[0].fault, 0);
  assert_string_equal(synthetic_witness(&it, "dual_primary"),
                      "pg1 (timeline 1) acknowledged write (identity 1, sequence 3002) sent at "
                      "40.010100 s, after pg2 (timeline 2) had acknowledged one at 40.002000 s");
  /* Convicted though the scenario says nothing of it. */
  assert_int_equal(it.result.verdict, VERDICT_FAIL);
  assert_int_equal(it.result.objective_count, 1);
  synthetic_release(&it);
}

/* A frozen primary thaws 20 s after it was replaced: only what it acknowledges then counts. */
static void test_a_thawed_primary_is_dual_only_while_it_acknowledges(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add(&it, (struct reign){10, 20, 0.002, PG1, 1});
  add(&it, (struct reign){40, 70, 0.002, PG2, 2});
  add(&it, (struct reign){60, 60.5, 0.002, PG1, 1});
  judge(&it);
  NEAR(synthetic_value_of(&it, "dual_primary", FAULT_NONE), 60.492 - 60.0001);
  synthetic_release(&it);
}

/* The old primary is heard of only after the new one: the timelines say which is which. */
static void test_the_lower_timeline_is_the_stale_one(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add(&it, (struct reign){20, 70, 0.002, PG2, 2});
  add(&it, (struct reign){30, 31, 0.002, PG1, 1});
  judge(&it);
  EXPECT(&it, {"dual_primary", FAULT_NONE, 30.992 - 30.0001},
         {"dual_primary.writes", FAULT_NONE, 100});
  synthetic_release(&it);
}

/* Two replicas were both promoted: both are on timeline 2, and both acknowledge from 40 to 45 s. */
static void test_two_on_one_timeline_are_dual_while_both_acknowledge(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add(&it, (struct reign){20, 70, 0.002, PG2, 2});
  add(&it, (struct reign){40, 45, 0.002, PG3, 2});
  judge(&it);
  const double seconds = synthetic_value_of(&it, "dual_primary", FAULT_NONE);
  assert_true(seconds > 4.9 && seconds < 5.01);
  synthetic_release(&it);
}

/* A frozen primary thaws, takes its role back, and goes on alone: history goes back, and what the
 * other had acknowledged is lost, but there were never two at once. */
static void test_a_primary_that_takes_its_role_back_is_alone(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add(&it, (struct reign){10, 20, 0.002, PG1, 1});
  add(&it, (struct reign){40, 60, 0.002, PG2, 2});
  add(&it, (struct reign){61, 70, 0.002, PG1, 1});
  expect_innocent(&it);
}

/* As before, but for a second the other had not noticed. */
static void test_only_the_time_of_both_counts(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add(&it, (struct reign){10, 20, 0.002, PG1, 1});
  add(&it, (struct reign){40, 62, 0.002, PG2, 2});
  add(&it, (struct reign){61, 70, 0.002, PG1, 1});
  judge(&it);
  const double seconds = synthetic_value_of(&it, "dual_primary", FAULT_NONE);
  const double writes = synthetic_value_of(&it, "dual_primary.writes", FAULT_NONE);
  assert_true(seconds > 0.98 && seconds < 1.01);
  assert_true(writes >= 99 && writes <= 100);
  assert_true(synthetic_finding(&it, "dual-primary")->witness_count <= 101);
  synthetic_release(&it);
}

static void test_without_timelines_taking_turns_is_undecided(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add(&it, (struct reign){10, 20, 0.002, PG1, 0});
  add(&it, (struct reign){21, 30, 0.002, PG2, 0});
  add(&it, (struct reign){31, 40, 0.002, PG1, 0});
  judge(&it);
  assert_false(synthetic_measure(&it, "dual_primary", FAULT_NONE)->known);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  synthetic_release(&it);
}

static void test_without_timelines_one_handover_is_innocent(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add(&it, (struct reign){10, 20, 0.002, PG1, 0});
  add(&it, (struct reign){21, 30, 0.002, PG2, 0});
  expect_innocent(&it);
}

/* Demoted: it still answers its pinned client, but refuses each write. */
static void test_a_replaced_primary_that_refuses_is_innocent(void **state) {
  struct synthetic it;
  const struct synthetic_span refusing = {.outcome = OUTCOME_FAIL,
                                          .latency_s = 0.002,
                                          .host = PG1,
                                          .timeline = 1,
                                          .code = CODE_READ_ONLY};
  const struct synthetic_load load = {
      .route = ROUTE_PINNED, .from_s = 22, .to_s = 30, .spans = &refusing, .span_count = 1};
  (void)state;
  synthetic_begin(&it, NULL);
  add(&it, (struct reign){10, 20, 0.002, PG1, 1});
  add(&it, (struct reign){21, 30, 0.002, PG2, 2});
  synthetic_add_load(&it, &load);
  expect_innocent(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_handovers_and_a_return_are_innocent),
      cmocka_unit_test(test_an_answer_read_late_is_innocent),
      cmocka_unit_test(test_a_restart_in_place_is_innocent),
      cmocka_unit_test(test_guilty_of_two_primaries),
      cmocka_unit_test(test_a_thawed_primary_is_dual_only_while_it_acknowledges),
      cmocka_unit_test(test_the_lower_timeline_is_the_stale_one),
      cmocka_unit_test(test_two_on_one_timeline_are_dual_while_both_acknowledge),
      cmocka_unit_test(test_a_primary_that_takes_its_role_back_is_alone),
      cmocka_unit_test(test_only_the_time_of_both_counts),
      cmocka_unit_test(test_without_timelines_taking_turns_is_undecided),
      cmocka_unit_test(test_without_timelines_one_handover_is_innocent),
      cmocka_unit_test(test_a_replaced_primary_that_refuses_is_innocent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
