/* What became of every write. Each kind of guilt has its innocent twin. */
#include "checkers/checkers.h"
#include "support/synthetic.h"
#include "support/test.h"

static void add_load(struct synthetic *it, const struct synthetic_span *spans, uint32_t count) {
  const struct synthetic_load load = {.client = 3, .spans = spans, .span_count = count};
  synthetic_role(it, 5, PG1, ROLE_PRIMARY);
  synthetic_add_load(it, &load);
}

static void judge(struct synthetic *it) {
  synthetic_judge(it, &checker_loss, NULL);
}

static void test_innocent(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  judge(&it);
  static const char *const names[] = {
      "data_loss", "lost_everywhere", "lost_after_fault", "loss_window",      "phantom",
      "duplicate", "corrupt",         "unknown_survived", "unknown_vanished", "diverged"};
  for (size_t i = 0; i < COUNT(names); i++) EXPECT(&it, {names[i], FAULT_NONE, 0});
  EXPECT(&it, {"recovery_point", 0, 0});
  assert_int_equal(synthetic_finding(&it, "loss")->verdict, VERDICT_PASS);
  assert_int_equal(synthetic_finding(&it, "loss")->witness_count, 0);
  synthetic_release(&it);
}

/* Asynchronous replication: the last half second before the crash never left pg1. */
static void add_crash_with_loss(struct synthetic *it) {
  const struct synthetic_span spans[] = {KEPT_ON(0, PG1, 1),
                                         OK_ON(29.5, PG1, 1),
                                         {.from_s = 30,
                                          .outcome = OUTCOME_UNKNOWN,
                                          .latency_s = 10,
                                          .host = HOST_NONE,
                                          .code = CODE_TIMEOUT},
                                         DOWN(30.01),
                                         KEPT_ON(52, PG2, 2)};
  synthetic_fault(it, 0, PG1, 30, 60);
  synthetic_role(it, 31, PG1, ROLE_NONE);
  synthetic_role(it, 51, PG2, ROLE_PRIMARY);
  synthetic_event(it, 51, EVENT_PROMOTED, FAULT_NONE, PG2, 0, "");
  synthetic_role(it, 62, PG1, ROLE_REPLICA);
  add_load(it, spans, COUNT(spans));
}

static void test_guilty_of_loss(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_crash_with_loss(&it);
  judge(&it);
  const double ratio = synthetic_value_of(&it, "loss_ratio", FAULT_NONE);
  assert_true(ratio > 0 && ratio < 1);
  EXPECT(&it, {"loss_ratio.primary", FAULT_NONE, ratio}, {"data_loss.primary", FAULT_NONE, 50},
         {"data_loss", FAULT_NONE, 50}, {"lost_everywhere", FAULT_NONE, 50},
         {"lost_after_fault", FAULT_NONE, 0}, {"recovery_point", 0, 30 - 29.492},
         {"loss_window", FAULT_NONE, 29.992 - 29.492}, {"unknown_vanished", FAULT_NONE, 1});
  assert_string_equal(synthetic_witness(&it, "lost"),
                      "row (identity 1, sequence 1951), acknowledged by pg1 (timeline 1) at "
                      "29.502000 s (sent 29.500100 s, client 3, route primary), is on none of the "
                      "3 hosts read");
  synthetic_release(&it);
}

static void test_sequence_gaps_are_not_loss(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  for (uint64_t i = 1; i <= 100; i++) {
    const struct operation operation = {.scheduled_ns = SECONDS(10) + i * 1000000,
                                        .sent_ns = SECONDS(10) + i * 1000000,
                                        .done_ns = SECONDS(10.1) + i * 1000000,
                                        .sequence = i * 1000003,
                                        .value = i,
                                        .identity = 1,
                                        .outcome = OUTCOME_OK,
                                        .host = PG1,
                                        .timeline = 1};
    const struct final_row row = {.identity = 1, .sequence = i * 1000003, .value = i};
    synthetic_operation(&it, &operation);
    for (uint16_t h = 0; h < SYNTHETIC_HOSTS; h++) synthetic_row(&it, h, &row);
  }
  synthetic_role(&it, 5, PG1, ROLE_PRIMARY);
  it.identities = 1;
  judge(&it);
  EXPECT(&it, {"data_loss", FAULT_NONE, 0}, {"phantom", FAULT_NONE, 0});
  synthetic_release(&it);
}

/* A client pinned to the old primary is still acknowledged for 5 s after the partition. */
static void test_what_the_old_primary_acknowledged_is_lost_after_the_fault(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {KEPT_ON(0, PG1, 1), OK_ON(30, PG1, 1)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  synthetic_add_load(&it, &(struct synthetic_load){.route = ROUTE_PINNED,
                                                   .client = 3,
                                                   .from_s = 10,
                                                   .to_s = 56,
                                                   .spans = spans,
                                                   .span_count = COUNT(spans)});
  judge(&it);
  EXPECT(&it, {"data_loss", FAULT_NONE, 2600}, {"lost_after_fault", FAULT_NONE, 2600},
         {"lost_after_fault", 0, 2600},
         {"recovery_point", 0, 0}); /* all that was acknowledged before the fault is there */
  assert_true(synthetic_value_of(&it, "loss_window", FAULT_NONE) > 25.9);
  synthetic_release(&it);
}

static void test_unknown_writes_are_resolved_by_the_final_state(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {
      KEPT_ON(0, PG1, 1),
      {.from_s = 30, .outcome = OUTCOME_UNKNOWN, .latency_s = 5, .rows = ALL_HOSTS},
      {.from_s = 30.05, .outcome = OUTCOME_UNKNOWN, .latency_s = 5, .rows = 0},
      KEPT_ON(30.12, PG1, 1)};
  (void)state;
  synthetic_begin(&it, NULL);
  add_load(&it, spans, COUNT(spans));
  judge(&it);
  EXPECT(&it, {"unknown_survived", FAULT_NONE, 5}, {"unknown_vanished", FAULT_NONE, 7},
         {"data_loss", FAULT_NONE, 0}, {"phantom", FAULT_NONE, 0});
  synthetic_release(&it);
}

static void add_good_load(struct synthetic *it) {
  static const struct synthetic_span spans[] = {KEPT_ON(0, PG1, 1)};
  add_load(it, spans, COUNT(spans));
}

static void expect_fail(struct synthetic *it, const char *measure, double value,
                        const char *witness, const char *text) {
  judge(it);
  NEAR(synthetic_value_of(it, measure, FAULT_NONE), value);
  assert_int_equal(synthetic_finding(it, "loss")->verdict, VERDICT_FAIL);
  assert_string_equal(synthetic_witness(it, witness), text);
  synthetic_release(it);
}

static void test_guilty_of_a_row_nobody_wrote(void **state) {
  struct synthetic it;
  const struct final_row row = {.identity = 1, .sequence = 999999, .value = 1};
  (void)state;
  synthetic_begin(&it, NULL);
  add_good_load(&it);
  for (uint16_t h = 0; h < SYNTHETIC_HOSTS; h++) synthetic_row(&it, h, &row);
  expect_fail(&it, "phantom", 1, "phantom",
              "row (identity 1, sequence 999999) is on 3 hosts, and no client ever wrote it");
}

static void test_guilty_of_a_refused_write_that_is_there(void **state) {
  struct synthetic it;
  const struct operation refused = {.scheduled_ns = SECONDS(20),
                                    .sent_ns = SECONDS(20),
                                    .done_ns = SECONDS(20.5),
                                    .sequence = 7,
                                    .value = 5,
                                    .identity = 2,
                                    .code = code_pack("40001"),
                                    .outcome = OUTCOME_FAIL,
                                    .host = PG1};
  const struct final_row row = {.identity = 2, .sequence = 7, .value = 5};
  (void)state;
  synthetic_begin(&it, NULL);
  add_good_load(&it);
  synthetic_identity(&it);
  synthetic_operation(&it, &refused);
  for (uint16_t h = 0; h < SYNTHETIC_HOSTS; h++) synthetic_row(&it, h, &row);
  expect_fail(&it, "phantom", 1, "phantom",
              "row (identity 2, sequence 7) is on 3 hosts, though the write was reported as fail "
              "(40001) at 20.500000 s");
}

static void test_guilty_of_duplicates(void **state) {
  struct synthetic it;
  const struct final_row row = {.identity = 1, .sequence = 12, .value = synthetic_value(1, 12)};
  (void)state;
  synthetic_begin(&it, NULL);
  add_good_load(&it);
  synthetic_row(&it, PG2, &row);
  expect_fail(&it, "duplicate", 1, "duplicate",
              "row (identity 1, sequence 12) is more than once on pg2");
}

static void test_guilty_of_a_damaged_row(void **state) {
  struct synthetic it;
  const struct final_row row = {
      .identity = 1, .sequence = 12, .value = synthetic_value(1, 12), .corrupt = 1};
  (void)state;
  synthetic_begin(&it, NULL);
  add_good_load(&it);
  synthetic_remove_row(&it, PG3, 1, 12);
  synthetic_row(&it, PG3, &row);
  expect_fail(&it, "corrupt", 1, "corrupt",
              "row (identity 1, sequence 12) on pg3 does not match the checksum stored with it");
}

static void test_guilty_of_another_value(void **state) {
  struct synthetic it;
  const struct final_row row = {.identity = 1, .sequence = 12, .value = 0xabc};
  (void)state;
  synthetic_begin(&it, NULL);
  add_good_load(&it);
  for (uint16_t h = 0; h < SYNTHETIC_HOSTS; h++) {
    synthetic_remove_row(&it, h, 1, 12);
    synthetic_row(&it, h, &row);
  }
  judge(&it);
  EXPECT(&it, {"corrupt", FAULT_NONE, 1}, {"diverged", FAULT_NONE, 0},
         {"data_loss", FAULT_NONE, 0});
  assert_non_null(strstr(synthetic_witness(&it, "corrupt"), "does not hold what was written at"));
  assert_int_equal(synthetic_finding(&it, "loss")->verdict, VERDICT_FAIL);
  synthetic_release(&it);
}

static void test_guilty_of_divergence(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_good_load(&it);
  synthetic_remove_row(&it, PG3, 1, 12);
  expect_fail(&it, "diverged", 1, "diverged",
              "row (identity 1, sequence 12) is on 2 of 3 hosts, and is on the primary (pg1)");
}

static void test_hosts_that_did_not_converge_are_not_judged_for_divergence(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_good_load(&it);
  synthetic_remove_row(&it, PG3, 1, 12);
  synthetic_event(&it, it.options.end_s - 3.5, EVENT_WARNING, FAULT_NONE, HOST_NONE, 0,
                  "not converged within measure.converge_timeout: pg3");
  judge(&it);
  assert_false(synthetic_measure(&it, "diverged", FAULT_NONE)->known);
  assert_int_equal(synthetic_finding(&it, "loss")->verdict, VERDICT_UNKNOWN);
  EXPECT(&it, {"data_loss", FAULT_NONE, 0});
  synthetic_release(&it);
}

/* A write that only a replica kept is lost for whoever asks the primary. */
static void test_a_write_that_only_a_replica_has_is_lost(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_good_load(&it);
  synthetic_remove_row(&it, PG1, 1, 12);
  synthetic_remove_row(&it, PG2, 1, 12);
  judge(&it);
  EXPECT(&it, {"data_loss", FAULT_NONE, 1}, {"lost_everywhere", FAULT_NONE, 0},
         {"diverged", FAULT_NONE, 1});
  assert_non_null(
      strstr(synthetic_witness(&it, "lost"), "is not on the primary pg1, but on 1 other hosts"));
  synthetic_release(&it);
}

static void test_without_a_primary_hosts_that_agree_tell_the_truth(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_good_load(&it);
  synthetic_role(&it, 80, PG1, ROLE_NONE);
  for (uint16_t h = 0; h < SYNTHETIC_HOSTS; h++) synthetic_remove_row(&it, h, 1, 12);
  judge(&it);
  assert_int_equal(it.record.info.final_primary, HOST_NONE);
  EXPECT(&it, {"data_loss", FAULT_NONE, 1});
  synthetic_release(&it);
}

static void test_two_primaries_that_differ_tell_nothing(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_good_load(&it);
  synthetic_role(&it, 80, PG2, ROLE_PRIMARY);
  synthetic_remove_row(&it, PG2, 1, 12);
  judge(&it);
  assert_false(synthetic_measure(&it, "data_loss", FAULT_NONE)->known);
  assert_null(synthetic_witness(&it, "lost"));
  assert_int_equal(synthetic_finding(&it, "loss")->verdict, VERDICT_FAIL); /* diverged */
  synthetic_release(&it);
}

static void test_an_unread_replica_leaves_the_primarys_word(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_good_load(&it);
  it.rows[PG3].failed = "connection refused";
  judge(&it);
  EXPECT(&it, {"data_loss", FAULT_NONE, 0});
  assert_false(synthetic_measure(&it, "lost_everywhere", FAULT_NONE)->known);
  assert_int_equal(synthetic_finding(&it, "loss")->verdict, VERDICT_UNKNOWN);
  assert_string_equal(synthetic_finding(&it, "loss")->why,
                      "the final rows of pg3 are missing: connection refused");
  synthetic_release(&it);
}

static void test_an_unread_primary_leaves_nothing_known(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_good_load(&it);
  it.rows[PG1].reported = 7; /* the file has more than were read: it is not that read's */
  judge(&it);
  const struct measure *measure = synthetic_measure(&it, "data_loss", FAULT_NONE);
  assert_false(measure->known || measure->floor || measure->not_applicable);
  assert_int_equal(synthetic_finding(&it, "loss")->verdict, VERDICT_UNKNOWN);
  synthetic_release(&it);
}

static void test_without_a_final_read_nothing_is_lost_or_kept(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  (void)state;
  options.no_final_read = true;
  synthetic_begin(&it, &options);
  add_good_load(&it);
  judge(&it);
  assert_false(synthetic_measure(&it, "data_loss", FAULT_NONE)->known);
  assert_null(synthetic_witness(&it, "lost"));
  assert_int_equal(synthetic_finding(&it, "loss")->verdict, VERDICT_UNKNOWN);
  synthetic_release(&it);
}

/* With operations missing, rows without a write prove nothing, and losses are at least so many. */
static void test_an_incomplete_record_gives_lower_bounds(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  const struct final_row row = {.identity = 1, .sequence = 999999, .value = 1};
  (void)state;
  options.dropped = 5;
  synthetic_begin(&it, &options);
  add_crash_with_loss(&it);
  for (uint16_t h = 0; h < SYNTHETIC_HOSTS; h++) synthetic_row(&it, h, &row);
  judge(&it);
  const struct measure *measure = synthetic_measure(&it, "data_loss", FAULT_NONE);
  assert_true(!measure->known && measure->floor);
  NEAR(measure->value, 50);
  assert_int_equal(synthetic_finding(&it, "loss")->verdict, VERDICT_PASS);
  assert_null(synthetic_witness(&it, "phantom"));
  assert_false(it.result.trusted);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  synthetic_release(&it);
}

static void test_probes_append_rows_too(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {
      {.from_s = 0, .latency_s = 0.02, .host = PG1, .timeline = 1, .rows = ALL_HOSTS},
      {.from_s = 40, .latency_s = 0.02, .host = PG1, .timeline = 1, .rows = 0},
      {.from_s = 41, .latency_s = 0.02, .host = PG1, .timeline = 1, .rows = ALL_HOSTS}};
  const struct synthetic_load load = {
      .kind = OPERATION_PROBE, .rate = 1, .spans = spans, .span_count = 3};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_role(&it, 5, PG1, ROLE_PRIMARY);
  synthetic_add_load(&it, &load);
  judge(&it);
  EXPECT(&it, {"data_loss", FAULT_NONE, 1}, {"phantom", FAULT_NONE, 0});
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_innocent),
      cmocka_unit_test(test_guilty_of_loss),
      cmocka_unit_test(test_sequence_gaps_are_not_loss),
      cmocka_unit_test(test_what_the_old_primary_acknowledged_is_lost_after_the_fault),
      cmocka_unit_test(test_unknown_writes_are_resolved_by_the_final_state),
      cmocka_unit_test(test_guilty_of_a_row_nobody_wrote),
      cmocka_unit_test(test_guilty_of_a_refused_write_that_is_there),
      cmocka_unit_test(test_guilty_of_duplicates),
      cmocka_unit_test(test_guilty_of_a_damaged_row),
      cmocka_unit_test(test_guilty_of_another_value),
      cmocka_unit_test(test_guilty_of_divergence),
      cmocka_unit_test(test_hosts_that_did_not_converge_are_not_judged_for_divergence),
      cmocka_unit_test(test_a_write_that_only_a_replica_has_is_lost),
      cmocka_unit_test(test_without_a_primary_hosts_that_agree_tell_the_truth),
      cmocka_unit_test(test_two_primaries_that_differ_tell_nothing),
      cmocka_unit_test(test_an_unread_replica_leaves_the_primarys_word),
      cmocka_unit_test(test_an_unread_primary_leaves_nothing_known),
      cmocka_unit_test(test_without_a_final_read_nothing_is_lost_or_kept),
      cmocka_unit_test(test_an_incomplete_record_gives_lower_bounds),
      cmocka_unit_test(test_probes_append_rows_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
