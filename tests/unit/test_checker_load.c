/* Latency, load and confirmation: are the numbers those of the cluster, and do they mean
 * anything? */
#include "checkers/checkers.h"
#include "support/synthetic.h"
#include "support/test.h"

static void add_load(struct synthetic *it, enum operation_kind kind, double rate, double from_s,
                     double to_s, const struct synthetic_span *spans, uint32_t count) {
  const struct synthetic_load load = {.kind = kind,
                                      .rate = rate,
                                      .from_s = from_s,
                                      .to_s = to_s,
                                      .spans = spans,
                                      .span_count = count};
  synthetic_add_load(it, &load);
}

static void judge(struct synthetic *it, const struct checker *checker) {
  synthetic_judge(it, checker, NULL);
}

static const struct synthetic_span good[] = {
    {.from_s = 0, .latency_s = 0.002, .host = PG1, .timeline = 1}};

/* --- latency --------------------------------------------------------------------------------- */

/* Half the writes wait 0.5 s in a queue and are served in 2 ms: a user waits 0.5 s. */
static void test_latency_counts_from_the_schedule(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  for (uint64_t i = 0; i < 1000; i++) {
    double scheduled_s = 20 + (double)i * 0.01, wait_s = i % 2 ? 0.5 : 0;
    const struct operation operation = {.scheduled_ns = SECONDS(scheduled_s),
                                        .sent_ns = SECONDS(scheduled_s + wait_s),
                                        .done_ns = SECONDS(scheduled_s + wait_s + 0.002),
                                        .sequence = i + 1,
                                        .identity = 1,
                                        .outcome = OUTCOME_OK,
                                        .host = PG1};
    synthetic_operation(&it, &operation);
  }
  it.identities = 1;
  judge(&it, &checker_latency);
  NEAR(synthetic_value_of(&it, "write_latency.max", FAULT_NONE), 0.502);
  assert_true(synthetic_value_of(&it, "write_latency.p50", FAULT_NONE) < 0.0021);
  assert_true(synthetic_value_of(&it, "write_latency.p95", FAULT_NONE) > 0.5);
  assert_true(synthetic_value_of(&it, "write_latency.sent.p999", FAULT_NONE) < 0.0021);
  assert_true(synthetic_measure(&it, "read_latency.p50", FAULT_NONE)->not_applicable);
  NEAR(synthetic_value_of(&it, "brownout", FAULT_NONE), 0);
  synthetic_release(&it);
}

static void test_guilty_of_a_brownout(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {
      {.from_s = 0, .latency_s = 0.002, .host = PG1, .timeline = 1},
      {.from_s = 30, .latency_s = 1.2, .host = PG1, .timeline = 1},
      {.from_s = 34, .latency_s = 0.002, .host = PG1, .timeline = 1}};
  (void)state;
  synthetic_begin(&it, NULL);
  add_load(&it, OPERATION_WRITE, 100, 10, 70, spans, COUNT(spans));
  judge(&it, &checker_latency);
  const struct finding *finding = synthetic_finding(&it, "latency");
  /* Between 30 s, when the first slow one was scheduled, and 31.2, none succeeded: an outage. */
  NEAR(synthetic_value_of(&it, "brownout", FAULT_NONE), 2.8);
  assert_int_equal(finding->interval_count, 1);
  NEAR((double)finding->intervals[0].begin_ns / 1e9, 31.2);
  NEAR((double)finding->intervals[0].end_ns / 1e9, 34);
  assert_non_null(synthetic_witness(&it, "brownout"));
  synthetic_release(&it);
}

static void test_an_outage_is_no_brownout(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  judge(&it, &checker_latency);
  NEAR(synthetic_value_of(&it, "brownout", FAULT_NONE), 0);
  synthetic_release(&it);
}

static void test_one_slow_write_in_a_hundred_is_no_brownout(void **state) {
  struct synthetic it;
  const struct operation slow = {.scheduled_ns = SECONDS(30.5),
                                 .sent_ns = SECONDS(30.5),
                                 .done_ns = SECONDS(33),
                                 .sequence = 1,
                                 .identity = 2,
                                 .outcome = OUTCOME_OK,
                                 .host = PG1};
  (void)state;
  synthetic_begin(&it, NULL);
  add_load(&it, OPERATION_WRITE, 100, 10, 70, good, COUNT(good));
  synthetic_identity(&it);
  synthetic_operation(&it, &slow);
  judge(&it, &checker_latency);
  NEAR(synthetic_value_of(&it, "brownout", FAULT_NONE), 0);
  synthetic_release(&it);
}

static void test_steps_of_the_probe(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  for (int i = 0; i < 10; i++) {
    synthetic_sample(&it, 20 + i, METRIC_PROBE_CONNECT, PG1, 0.001);
    synthetic_sample(&it, 20 + i, METRIC_PROBE_AUTHENTICATE, PG1, i == 9 ? 0.5 : 0.01);
  }
  judge(&it, &checker_latency);
  EXPECT(&it, {"probe_connect.max", FAULT_NONE, 0.001},
         {"probe_authenticate.max", FAULT_NONE, 0.5});
  assert_true(synthetic_measure(&it, "probe_resolve.max", FAULT_NONE)->not_applicable);
  synthetic_release(&it);
}

/* --- load ------------------------------------------------------------------------------------ */

static void test_enough_load(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  judge(&it, &checker_load);
  NEAR(synthetic_value_of(&it, "load_before", 0), 1999); /* the last is done after the journal */
  EXPECT(&it, {"load_during", 0, 3000}, {"load_after", 0, 1800});
  assert_int_equal(it.result.findings[0].verdict, VERDICT_PASS);
  synthetic_release(&it);
}

static void expect_vacuous(double from_s, double to_s, const char *why) {
  struct synthetic it;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 40);
  add_load(&it, OPERATION_WRITE, 100, from_s, to_s, good, COUNT(good));
  judge(&it, &checker_load);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  assert_string_equal(synthetic_finding(&it, "load")->why, why);
  assert_non_null(synthetic_witness(&it, "vacuous"));
  synthetic_release(&it);
}

static void test_guilty_of_too_little_load(void **state) {
  (void)state;
  expect_vacuous(
      29.95, 70,
      "too little load: 4 operations were acknowledged before fault-0 (fault 0, on pg1), "
      "and 10 are the least to go by");
  expect_vacuous(10, 29,
                 "too little load: 0 operations were scheduled during fault-0 (fault 0, on pg1), "
                 "and 10 are the least to go by");
}

static void test_no_acknowledgement_after_the_fault(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {
      {.from_s = 0, .latency_s = 0.002, .host = PG1, .timeline = 1},
      {.from_s = 30, .outcome = OUTCOME_FAIL, .latency_s = 0.1, .host = HOST_NONE}};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 40);
  add_load(&it, OPERATION_WRITE, 100, 10, 70, spans, COUNT(spans));
  judge(&it, &checker_load);
  NEAR(synthetic_value_of(&it, "load_after", 0), 0);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  assert_string_equal(synthetic_finding(&it, "load")->why,
                      "too little load: 0 operations were scheduled after fault-0 (fault 0, on "
                      "pg1) and acknowledged, and 10 are the least to go by");
  synthetic_release(&it);
}

/* Nothing can succeed between the loss of a primary that nobody manages and the promotion by hand:
 * the run was called vacuous. */
static void test_a_step_that_answers_a_fault_shares_its_load(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  const struct synthetic_span spans[] = {
      {.from_s = 0, .latency_s = 0.002, .host = PG1, .timeline = 1},
      {.from_s = 30, .outcome = OUTCOME_FAIL, .latency_s = 0.1, .host = HOST_NONE},
      {.from_s = 37, .latency_s = 0.002, .host = PG2, .timeline = 2}};
  (void)state;
  options.faults = 2;
  options.planned[1] = true;
  synthetic_begin(&it, &options);
  synthetic_fault(&it, 0, PG1, 30, 60);
  synthetic_event(&it, 35, EVENT_FAULT_INJECTED, 1, PG2, 0, "");
  synthetic_event(&it, 35, EVENT_FAULT_CONFIRMED, 1, PG2, 0, "");
  synthetic_event(&it, 36, EVENT_FAULT_HEALED, 1, PG2, 0, "");
  add_load(&it, OPERATION_WRITE, 100, 10, 70, spans, COUNT(spans));
  judge(&it, &checker_load);
  for (int32_t fault = 0; fault < 2; fault++) {
    assert_true(synthetic_value_of(&it, "load_before", fault) > 1900);
    assert_true(synthetic_value_of(&it, "load_after", fault) > 3000);
  }
  assert_int_equal(synthetic_finding(&it, "load")->verdict, VERDICT_PASS);
  synthetic_release(&it);
}

/* Two faults that are planned for one moment are made some milliseconds apart: there were "0
 * operations during" the first, so that no run with two of them could pass. */
static void test_faults_in_the_outage_of_another_share_its_load(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  const struct synthetic_span spans[] = {
      {.from_s = 0, .latency_s = 0.002, .host = PG1, .timeline = 1},
      {.from_s = 30, .outcome = OUTCOME_FAIL, .latency_s = 0.1, .host = HOST_NONE},
      {.from_s = 52, .latency_s = 0.002, .host = PG1, .timeline = 1}};
  (void)state;
  options.faults = 4;
  synthetic_begin(&it, &options);
  synthetic_fault(&it, 0, PG1, 30, 49);
  synthetic_fault(&it, 1, PG2, 35, 37);
  synthetic_fault(&it, 2, PG2, 45, 47);
  synthetic_fault(&it, 3, PG2, 50, 51); /* healed, but nothing succeeds yet */
  add_load(&it, OPERATION_WRITE, 100, 10, 70, spans, COUNT(spans));
  judge(&it, &checker_load);
  for (int32_t fault = 0; fault < 4; fault++) {
    assert_true(synthetic_value_of(&it, "load_before", fault) > 1900);
    assert_true(synthetic_value_of(&it, "load_after", fault) > 1700);
  }
  assert_int_equal(synthetic_finding(&it, "load")->verdict, VERDICT_PASS);
  synthetic_release(&it);
}

static void test_faults_that_strike_together_share_their_load(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  const struct synthetic_span spans[] = {
      {.from_s = 0, .latency_s = 0.002, .host = PG1, .timeline = 1},
      {.from_s = 30, .outcome = OUTCOME_FAIL, .latency_s = 0.1, .host = HOST_NONE},
      {.from_s = 50, .latency_s = 0.002, .host = PG1, .timeline = 1}};
  (void)state;
  options.faults = 2;
  synthetic_begin(&it, &options);
  synthetic_fault(&it, 0, PG1, 30, 50);
  synthetic_fault(&it, 1, PG2, 30.03, 40);
  add_load(&it, OPERATION_WRITE, 100, 10, 70, spans, COUNT(spans));
  judge(&it, &checker_load);
  for (int32_t fault = 0; fault < 2; fault++) {
    assert_true(synthetic_value_of(&it, "load_before", fault) > 1900);
    assert_true(synthetic_value_of(&it, "load_after", fault) > 1900);
  }
  EXPECT(&it, {"load_during", 0, 2000}, {"load_during", 1, 997});
  assert_int_equal(synthetic_finding(&it, "load")->verdict, VERDICT_PASS);
  synthetic_release(&it);
}

static void test_a_run_without_faults_needs_load_too(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  (void)state;
  options.faults = 0;
  synthetic_begin(&it, &options);
  add_load(&it, OPERATION_WRITE, 1, 10, 15, good, COUNT(good));
  judge(&it, &checker_load);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  synthetic_release(&it);
}

static void test_a_starved_harness_is_not_trusted(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  synthetic_sample(&it, 20, METRIC_HARNESS_DELAY, HOST_NONE, 0.02);
  synthetic_sample(&it, 21, METRIC_HARNESS_DELAY, HOST_NONE, 1.5);
  judge(&it, &checker_load);
  NEAR(synthetic_value_of(&it, "harness_delay.max", FAULT_NONE), 1.5);
  assert_false(it.result.trusted);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  synthetic_release(&it);
}

/* --- confirmation ---------------------------------------------------------------------------- */

static void test_confirmed_and_healed(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 40);
  judge(&it, &checker_confirmation);
  assert_int_equal(it.result.verdict, VERDICT_PASS);
  EXPECT(&it, {"injection_time", 0, 0.010}, {"faults_confirmed", FAULT_NONE, 1});
  synthetic_release(&it);
}

static void expect_doubt(struct synthetic *it, const char *why) {
  judge(it, &checker_confirmation);
  assert_int_equal(it->result.verdict, VERDICT_UNKNOWN);
  assert_string_equal(synthetic_finding(it, "confirmation")->why, why);
  assert_string_equal(synthetic_witness(it, "unconfirmed"), why);
  synthetic_release(it);
}

static void test_guilty_of_no_effect(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_event(&it, 30, EVENT_FAULT_JOURNALED, 0, PG1, 0, "");
  synthetic_event(&it, 30.1, EVENT_FAULT_INJECTED, 0, PG1, 0, "");
  synthetic_event(&it, 40, EVENT_FAULT_UNCONFIRMED, 0, PG1, 0, "no effect seen within 10 s");
  synthetic_event(&it, 50, EVENT_FAULT_HEALED, 0, PG1, 0, "");
  synthetic_event(&it, 50, EVENT_FAULT_HEAL_CONFIRMED, 0, PG1, 0, "");
  synthetic_judge(&it, &checker_confirmation, NULL);
  assert_false(synthetic_measure(&it, "injection_time", 0)->known);
  NEAR(synthetic_value_of(&it, "faults_confirmed", FAULT_NONE), 0);
  const char *why = "fault-0 (fault 0, on pg1) was not seen in effect: no effect seen within 10 s";
  assert_string_equal(synthetic_finding(&it, "confirmation")->why, why);
  assert_string_equal(synthetic_witness(&it, "unconfirmed"), why);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  synthetic_release(&it);
}

static void test_guilty_of_a_step_that_failed(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  (void)state;
  options.planned[0] = true;
  synthetic_begin(&it, &options);
  synthetic_event(&it, 30, EVENT_FAULT_INJECTED, 0, PG1, 0, "");
  synthetic_event(&it, 30, EVENT_FAULT_CONFIRMED, 0, PG1, 0, "");
  synthetic_event(&it, 33, EVENT_FAULT_UNCONFIRMED, 0, PG1, 0, "the manager refused");
  expect_doubt(&it, "fault-0 (fault 0, on pg1) was not seen in effect: the manager refused");
}

static void test_guilty_of_never_being_injected(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  expect_doubt(&it, "fault-0 (fault 0) was never injected");
}

static void test_guilty_of_not_being_healed(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 0);
  expect_doubt(&it, "fault-0 (fault 0, on pg1) was not healed");
}

static void test_guilty_of_being_in_effect_after_the_heal(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 0);
  synthetic_event(&it, 40, EVENT_FAULT_HEALED, 0, PG1, 0, "");
  synthetic_event(&it, 70, EVENT_FAULT_HEAL_FAILED, 0, PG1, 0, "still in effect");
  expect_doubt(&it,
               "fault-0 (fault 0, on pg1) was healed, but not seen to be gone: still in effect");
}

/* Each kind of operation has a latency of its own. */
static void test_kinds_are_not_mixed(void **state) {
  static const struct {
    enum operation_kind kind;
    enum route route;
    double latency_s;
    const char *measure;
  } cases[] = {{OPERATION_WRITE, ROUTE_PRIMARY, 0.010, "write_latency.max"},
               {OPERATION_WRITE, ROUTE_PINNED, 0.200, NULL},
               {OPERATION_READ_OWN, ROUTE_PRIMARY, 0.020, "read_latency.max"},
               {OPERATION_READ_NEWEST, ROUTE_REPLICA, 0.030, "replica_read_latency.max"},
               {OPERATION_PROBE, ROUTE_PRIMARY, 0.040, "probe_latency.max"},
               {OPERATION_HEARTBEAT_WRITE, ROUTE_PRIMARY, 0.300, NULL}};
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  for (size_t i = 0; i < COUNT(cases); i++) {
    const struct synthetic_span span = {
        .latency_s = cases[i].latency_s, .host = PG1, .timeline = 1};
    const struct synthetic_load load = {.kind = cases[i].kind,
                                        .route = cases[i].route,
                                        .rate = 10,
                                        .spans = &span,
                                        .span_count = 1};
    synthetic_add_load(&it, &load);
  }
  synthetic_sample(&it, 5, METRIC_PROBE_READ, PG1, 0.5); /* before the load */
  synthetic_sample(&it, 20, METRIC_PROBE_READ, PG1, 0.1);
  judge(&it, &checker_latency);
  for (size_t i = 0; i < COUNT(cases); i++)
    if (cases[i].measure)
      NEAR(synthetic_value_of(&it, cases[i].measure, FAULT_NONE), cases[i].latency_s);
  NEAR(synthetic_value_of(&it, "probe_read.max", FAULT_NONE), 0.1);
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_latency_counts_from_the_schedule),
      cmocka_unit_test(test_guilty_of_a_brownout),
      cmocka_unit_test(test_an_outage_is_no_brownout),
      cmocka_unit_test(test_one_slow_write_in_a_hundred_is_no_brownout),
      cmocka_unit_test(test_steps_of_the_probe),
      cmocka_unit_test(test_enough_load),
      cmocka_unit_test(test_guilty_of_too_little_load),
      cmocka_unit_test(test_no_acknowledgement_after_the_fault),
      cmocka_unit_test(test_a_step_that_answers_a_fault_shares_its_load),
      cmocka_unit_test(test_faults_in_the_outage_of_another_share_its_load),
      cmocka_unit_test(test_faults_that_strike_together_share_their_load),
      cmocka_unit_test(test_a_run_without_faults_needs_load_too),
      cmocka_unit_test(test_a_starved_harness_is_not_trusted),
      cmocka_unit_test(test_confirmed_and_healed),
      cmocka_unit_test(test_guilty_of_no_effect),
      cmocka_unit_test(test_guilty_of_a_step_that_failed),
      cmocka_unit_test(test_guilty_of_never_being_injected),
      cmocka_unit_test(test_guilty_of_not_being_healed),
      cmocka_unit_test(test_guilty_of_being_in_effect_after_the_heal),
      cmocka_unit_test(test_kinds_are_not_mixed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
