/* Recovery after faults: known truths, and the ways in which a first success is no recovery. */
#include "checkers/checkers.h"
#include "support/synthetic.h"
#include "support/test.h"

static void add_writes(struct synthetic *it, double rate, const struct synthetic_span *spans,
                       uint32_t count) {
  const struct synthetic_load load = {.rate = rate, .spans = spans, .span_count = count};
  synthetic_add_load(it, &load);
}

static void judge(struct synthetic *it) {
  synthetic_judge(it, &checker_failover, NULL);
}

/* The failover time of a fault of pg1 from 30 s to 60 s, with writes that fare as the spans say. */
static double failover_s(const struct synthetic_span *spans, uint32_t count) {
  struct synthetic it;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 60);
  add_writes(&it, 100, spans, count);
  judge(&it);
  const double value_s = synthetic_value_of(&it, "failover_time", 0);
  synthetic_release(&it);
  return value_s;
}

static void test_clocks_of_a_crash(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  judge(&it);
  assert_int_equal(it.result.verdict, VERDICT_PASS);
  EXPECT(&it, {"failover_time", 0, 22.002}, {"detection_time", 0, 20}, {"promotion_time", 0, 21},
         {"time_to_full_redundancy", 0, 35});
  assert_string_equal(synthetic_witness(&it, "failover"),
                      "fault-0 (fault 0, on pg1) was in effect at 30.000000 s; none of the writes "
                      "scheduled from 30.000000 s on succeeded; the recovery began with the write "
                      "scheduled at 52.000000 s and acknowledged at 52.002000 s");
  synthetic_release(&it);
}

static void test_a_fault_without_effect_has_no_failover(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG3, 30, 40);
  add_writes(&it, 100, spans, COUNT(spans));
  synthetic_event(&it, 6, EVENT_REDUNDANT, FAULT_NONE, HOST_NONE, 1, "");
  judge(&it);
  EXPECT(&it, {"failover_time", 0, 0}, {"time_to_full_redundancy", 0, 0});
  assert_true(synthetic_measure(&it, "detection_time", 0)->not_applicable);
  assert_true(synthetic_measure(&it, "promotion_time", 0)->not_applicable);
  assert_null(synthetic_witness(&it, "failover"));
  synthetic_release(&it);
}

static void test_recovery_that_never_came_is_a_lower_bound(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(30)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 80);
  add_writes(&it, 100, spans, COUNT(spans));
  synthetic_event(&it, 6, EVENT_REDUNDANT, FAULT_NONE, HOST_NONE, 1, "");
  synthetic_event(&it, 31, EVENT_REDUNDANT, FAULT_NONE, HOST_NONE, 0, "");
  judge(&it);
  const struct measure *measure = synthetic_measure(&it, "failover_time", 0);
  assert_false(measure->known);
  assert_true(measure->floor);
  NEAR(measure->value, 40);
  measure = synthetic_measure(&it, "promotion_time", 0);
  assert_true(measure->floor && !measure->not_applicable);
  measure = synthetic_measure(&it, "time_to_full_redundancy", 0);
  assert_true(measure->floor);
  NEAR(measure->value, 60);
  synthetic_release(&it);
}

static void test_recovery_just_before_the_end_is_not_shown_to_last(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(30), OK_ON(69.5, PG2, 2)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 80);
  add_writes(&it, 100, spans, COUNT(spans));
  judge(&it);
  const struct measure *measure = synthetic_measure(&it, "failover_time", 0);
  assert_false(measure->known);
  assert_true(measure->floor);
  NEAR(measure->value, 39.502);
  synthetic_release(&it);
}

/* The service comes back for 0.3 s and is gone again. */
static void test_first_success_is_not_recovery(void **state) {
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(30), OK_ON(35, PG2, 2), DOWN(35.3),
                                         OK_ON(50, PG3, 3)};
  (void)state;
  NEAR(failover_s(spans, COUNT(spans)), 20.002);
}

/* As before, but the writes of the second outage wait in a queue and succeed in the end: a ratio of
 * successes alone would call 35 s the recovery. */
static void test_late_successes_do_not_make_a_recovery(void **state) {
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1),
                                         DOWN(30),
                                         OK_ON(35, PG2, 2),
                                         {.from_s = 35.3,
                                          .outcome = OUTCOME_OK,
                                          .latency_s = 0.002,
                                          .host = PG2,
                                          .timeline = 2,
                                          .until_s = 50},
                                         OK_ON(50.1, PG2, 2)};
  (void)state;
  const double time_s = failover_s(spans, COUNT(spans));
  assert_true(time_s >= 20 && time_s < 20.01);
}

/* Writes scheduled in the outage wait for its whole length and then succeed: the recovery is when
 * they were acknowledged. */
static void test_queued_writes_recover_when_acknowledged(void **state) {
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1),
                                         {.from_s = 30,
                                          .outcome = OUTCOME_OK,
                                          .latency_s = 0.002,
                                          .host = PG2,
                                          .timeline = 2,
                                          .until_s = 48},
                                         OK_ON(48.1, PG2, 2)};
  (void)state;
  const double time_s = failover_s(spans, COUNT(spans));
  assert_true(time_s >= 18 && time_s < 18.01);
}

/* The old primary still acknowledges for 100 ms what was scheduled before, and after, the fault. */
static void test_writes_in_flight_at_the_fault_are_no_recovery(void **state) {
  const struct synthetic_span spans[] = {
      OK_ON(0, PG1, 1),
      {.from_s = 29.9, .outcome = OUTCOME_OK, .latency_s = 0.15, .host = PG1, .timeline = 1},
      OK_ON(30, PG1, 1),
      DOWN(30.1),
      OK_ON(45, PG2, 2)};
  (void)state;
  NEAR(failover_s(spans, COUNT(spans)), 15.002);
}

/* A fault from 30 s to 60 s, whose leader is lost at 40 s; pg2 is promoted at 44 s. */
static void judge_late_failover(struct synthetic *it, const struct synthetic_span *spans,
                                uint32_t count) {
  synthetic_begin(it, NULL);
  synthetic_fault(it, 0, PG1, 30, 60);
  synthetic_event(it, 5, EVENT_LEADER, FAULT_NONE, PG1, 0, "");
  synthetic_event(it, 40, EVENT_LEADER_LOST, FAULT_NONE, PG1, 0, "");
  synthetic_event(it, 44, EVENT_PROMOTED, FAULT_NONE, PG2, 0, "");
  add_writes(it, 100, spans, count);
  judge(it);
}

/* The manager is frozen: writes go on for 10 s, until the leader's lease ends. */
static void test_a_delayed_failover_is_the_faults_doing(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(40), OK_ON(45, PG2, 2)};
  (void)state;
  judge_late_failover(&it, spans, COUNT(spans));
  EXPECT(&it, {"failover_time", 0, 15.002}, {"detection_time", 0, 10}, {"promotion_time", 0, 14});
  synthetic_release(&it);
}

/* A cut is felt at once, for a moment, and bites when the lease ends. */
static void test_a_stall_before_the_failover_is_not_the_failover(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(30), OK_ON(30.7, PG1, 1), DOWN(40),
                                         OK_ON(45, PG2, 2)};
  (void)state;
  judge_late_failover(&it, spans, COUNT(spans));
  NEAR(synthetic_value_of(&it, "failover_time", 0), 15.002);
  synthetic_release(&it);
  /* Without a change of leader the stall is all that there was. */
  NEAR(failover_s(spans, COUNT(spans)), 0.702);
}

/* The observer lost sight of the primary for a moment: it answers again, on the timeline it had. */
static void test_a_primary_that_answers_again_was_not_promoted(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(40), OK_ON(41, PG1, 1)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_event(&it, 5, EVENT_PROMOTED, FAULT_NONE, PG1, 1, "");
  synthetic_fault(&it, 0, PG3, 30, 60);
  synthetic_event(&it, 41, EVENT_PROMOTED, FAULT_NONE, PG1, 1, "");
  add_writes(&it, 100, spans, COUNT(spans));
  judge(&it);
  NEAR(synthetic_value_of(&it, "failover_time", 0), 0);
  assert_true(synthetic_measure(&it, "promotion_time", 0)->not_applicable);
  synthetic_release(&it);
}

/* A stall long after a replica's crash, without any change of leader, is not its failover; nor is
 * what happens when the replica is healed. */
static void test_an_unexplained_stall_is_not_the_faults_failover(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(40), OK_ON(41, PG1, 1), DOWN(50.5),
                                         OK_ON(52, PG1, 1)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG3, 30, 50);
  synthetic_event(&it, 51, EVENT_PROMOTED, FAULT_NONE, PG1, 0, "");
  add_writes(&it, 100, spans, COUNT(spans));
  judge(&it);
  NEAR(synthetic_value_of(&it, "failover_time", 0), 0);
  synthetic_release(&it);
}

/* A third of the writes fail for 5 s; there is no outage, and yet the service was hurt. */
static void test_partial_failure_counts(void **state) {
  struct synthetic it;
  const struct synthetic_span good[] = {OK_ON(0, PG1, 1)};
  const struct synthetic_span bad[] = {OK_ON(0, PG1, 1), DOWN(30), OK_ON(35, PG1, 1)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 60);
  add_writes(&it, 100, good, COUNT(good));
  add_writes(&it, 50, bad, COUNT(bad));
  judge(&it);
  const double time_s = synthetic_value_of(&it, "failover_time", 0);
  assert_true(time_s > 4.9 && time_s < 5.1);
  synthetic_release(&it);
}

/* Restart in place: the leader stays who it was, and the same host answers as primary again. */
static void test_restart_in_place(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(30), OK_ON(33, PG1, 1)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_event(&it, 5, EVENT_LEADER, FAULT_NONE, PG1, 0, "");
  synthetic_fault(&it, 0, PG1, 30, 31);
  synthetic_event(&it, 32.8, EVENT_PROMOTED, FAULT_NONE, PG1, 0, "");
  add_writes(&it, 100, spans, COUNT(spans));
  judge(&it);
  EXPECT(&it, {"failover_time", 0, 3.002}, {"promotion_time", 0, 2.8});
  const struct measure *detection = synthetic_measure(&it, "detection_time", 0);
  assert_true(detection->not_applicable);
  assert_string_equal(detection->why, "no loss of the leader was seen after this fault");
  synthetic_release(&it);
}

/* SIGTERM: the leader hands over before the process is seen to be gone. */
static void test_a_handover_before_the_confirmation_took_no_time(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(29.993), OK_ON(31, PG2, 2)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_event(&it, 5, EVENT_LEADER, FAULT_NONE, PG1, 0, "");
  synthetic_fault(&it, 0, PG1, 30, 60);
  synthetic_event(&it, 29.995, EVENT_LEADER_LOST, FAULT_NONE, PG1, 0, "");
  synthetic_event(&it, 30.8, EVENT_PROMOTED, FAULT_NONE, PG2, 0, "");
  add_writes(&it, 100, spans, COUNT(spans));
  judge(&it);
  EXPECT(&it, {"detection_time", 0, 0}, {"failover_time", 0, 1.002});
  synthetic_release(&it);
}

static void test_two_faults_have_their_own_clocks(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(20), OK_ON(25, PG2, 2), DOWN(45),
                                         OK_ON(52, PG3, 3)};
  (void)state;
  options.faults = 2;
  synthetic_begin(&it, &options);
  synthetic_event(&it, 5, EVENT_REDUNDANT, FAULT_NONE, HOST_NONE, 1, "");
  synthetic_event(&it, 5, EVENT_LEADER, FAULT_NONE, PG1, 0, "");
  synthetic_fault(&it, 0, PG1, 20, 30);
  synthetic_event(&it, 20.1, EVENT_REDUNDANT, FAULT_NONE, HOST_NONE, 0, "");
  synthetic_event(&it, 23, EVENT_LEADER, FAULT_NONE, PG2, 0, "");
  synthetic_event(&it, 24, EVENT_PROMOTED, FAULT_NONE, PG2, 0, "");
  synthetic_event(&it, 35, EVENT_REDUNDANT, FAULT_NONE, HOST_NONE, 1, "");
  synthetic_event(&it, 35.2, EVENT_REDUNDANT, FAULT_NONE, HOST_NONE, 0, ""); /* a flicker */
  synthetic_event(&it, 36, EVENT_REDUNDANT, FAULT_NONE, HOST_NONE, 1, "");
  synthetic_fault(&it, 1, PG2, 45, 60);
  synthetic_event(&it, 45.1, EVENT_REDUNDANT, FAULT_NONE, HOST_NONE, 0, "");
  synthetic_event(&it, 50, EVENT_LEADER, FAULT_NONE, PG3, 0, "");
  synthetic_event(&it, 51, EVENT_PROMOTED, FAULT_NONE, PG3, 0, "");
  synthetic_event(&it, 66, EVENT_REDUNDANT, FAULT_NONE, HOST_NONE, 1, "");
  add_writes(&it, 100, spans, COUNT(spans));
  judge(&it);
  EXPECT(&it, {"failover_time", 0, 5.002}, {"detection_time", 0, 3}, {"promotion_time", 0, 4},
         {"time_to_full_redundancy", 0, 16}, {"failover_time", 1, 7.002}, {"detection_time", 1, 5},
         {"promotion_time", 1, 6}, {"time_to_full_redundancy", 1, 21});
  synthetic_release(&it);
}

/* A replica crashes just before the primary does: the failover is the second one's. */
static void test_a_replica_is_not_charged_with_the_primarys_failover(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(33), OK_ON(40, PG2, 2)};
  (void)state;
  options.faults = 2;
  synthetic_begin(&it, &options);
  synthetic_fault(&it, 0, PG3, 30, 60);
  synthetic_fault(&it, 1, PG1, 33, 60);
  synthetic_event(&it, 39, EVENT_PROMOTED, FAULT_NONE, PG2, 0, "");
  add_writes(&it, 100, spans, COUNT(spans));
  judge(&it);
  NEAR(synthetic_value_of(&it, "failover_time", 0), 0);
  assert_true(synthetic_measure(&it, "promotion_time", 0)->not_applicable);
  EXPECT(&it, {"failover_time", 1, 7.002}, {"promotion_time", 1, 6});
  synthetic_release(&it);
}

static void test_an_unconfirmed_fault_has_no_clocks(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_event(&it, 30, EVENT_FAULT_JOURNALED, 0, PG1, 0, "");
  synthetic_event(&it, 30.1, EVENT_FAULT_INJECTED, 0, PG1, 0, "");
  synthetic_event(&it, 40, EVENT_FAULT_UNCONFIRMED, 0, PG1, 0, "no effect seen");
  add_writes(&it, 100, spans, COUNT(spans));
  judge(&it);
  const struct measure *measure = synthetic_measure(&it, "failover_time", 0);
  assert_false(measure->known || measure->floor || measure->not_applicable);
  assert_string_equal(measure->why, "the fault was not confirmed in effect");
  synthetic_release(&it);
}

static void test_no_load_after_the_fault_is_no_failover_time(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1)};
  const struct synthetic_load load = {.from_s = 10, .to_s = 29, .spans = spans, .span_count = 1};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 60);
  synthetic_add_load(&it, &load);
  judge(&it);
  assert_false(synthetic_measure(&it, "failover_time", 0)->known);
  assert_false(synthetic_measure(&it, "failover_time", 0)->not_applicable);
  synthetic_release(&it);
}

/* A promotion without any outage used to be charged with the stall of a busy machine, seconds
 * later. */
static void test_a_stall_after_a_step_is_not_the_step(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), OK_ON(31, PG2, 2), DOWN(36),
                                         OK_ON(37, PG2, 2)};
  (void)state;
  options.planned[0] = true;
  synthetic_begin(&it, &options);
  synthetic_event(&it, 5, EVENT_LEADER, FAULT_NONE, PG1, 0, "");
  synthetic_event(&it, 30, EVENT_FAULT_INJECTED, 0, PG1, 0, "");
  synthetic_event(&it, 30, EVENT_FAULT_CONFIRMED, 0, PG1, 0, "");
  synthetic_event(&it, 30.8, EVENT_PROMOTED, FAULT_NONE, PG2, 0, "");
  synthetic_event(&it, 31, EVENT_FAULT_HEALED, 0, PG1, 0, "");
  synthetic_event(&it, 31, EVENT_FAULT_HEAL_CONFIRMED, 0, PG1, 0, "");
  add_writes(&it, 100, spans, COUNT(spans));
  judge(&it);
  NEAR(synthetic_value_of(&it, "failover_time", 0), 0);
  synthetic_release(&it);
}

/* A step has no journal entry; it is counted from when it was asked for. */
static void test_a_step_is_timed_from_the_request(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(31), OK_ON(32, PG2, 2)};
  (void)state;
  options.planned[0] = true;
  synthetic_begin(&it, &options);
  synthetic_event(&it, 5, EVENT_LEADER, FAULT_NONE, PG1, 0, "");
  synthetic_event(&it, 30, EVENT_FAULT_INJECTED, 0, PG1, 0, "");
  synthetic_event(&it, 30, EVENT_FAULT_CONFIRMED, 0, PG1, 0, "");
  synthetic_event(&it, 31.2, EVENT_LEADER, FAULT_NONE, PG2, 0, "");
  synthetic_event(&it, 31.8, EVENT_PROMOTED, FAULT_NONE, PG2, 0, "");
  synthetic_event(&it, 32.5, EVENT_FAULT_HEALED, 0, PG1, 0, "");
  synthetic_event(&it, 32.5, EVENT_FAULT_HEAL_CONFIRMED, 0, PG1, 0, "");
  add_writes(&it, 100, spans, COUNT(spans));
  judge(&it);
  EXPECT(&it, {"failover_time", 0, 2.002}, {"detection_time", 0, 1.2}, {"promotion_time", 0, 1.8});
  synthetic_release(&it);
}

static void test_a_starved_harness_gives_no_failover_time(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  for (int i = 0; i < 20; i++) synthetic_sample(&it, 31 + i, METRIC_HARNESS_DELAY, HOST_NONE, 0.4);
  judge(&it);
  assert_false(synthetic_measure(&it, "failover_time", 0)->known);
  synthetic_release(&it);
}

/* Two writes a second: a second holds too few of them to tell, so that ten writes' time is looked
 * at.
 */
static void test_a_slow_load_is_watched_longer(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(30), OK_ON(35, PG2, 2), DOWN(35.5),
                                         OK_ON(50, PG3, 3)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 29.9, 60);
  add_writes(&it, 2, spans, COUNT(spans));
  judge(&it);
  NEAR(synthetic_value_of(&it, "failover_time", 0), 20.102);
  synthetic_release(&it);
}

/* A replica crashes while writes are down: the promotion is the first fault's too. */
static void test_a_fault_keeps_its_events_while_writes_are_down(void **state) {
  struct synthetic it;
  struct synthetic_options options = synthetic_defaults;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1), DOWN(30), OK_ON(45, PG2, 2)};
  (void)state;
  options.faults = 2;
  synthetic_begin(&it, &options);
  synthetic_fault(&it, 0, PG1, 30, 60);
  synthetic_fault(&it, 1, PG3, 40, 60);
  synthetic_event(&it, 44, EVENT_PROMOTED, FAULT_NONE, PG2, 2, "");
  add_writes(&it, 100, spans, COUNT(spans));
  judge(&it);
  EXPECT(&it, {"failover_time", 0, 15.002}, {"promotion_time", 0, 14},
         {"failover_time", 1, 5.002}); /* down when it struck */
  NEAR(synthetic_value_of(&it, "promotion_time", 1), 4);
  synthetic_release(&it);
}

/* The manager is frozen and its primary goes on: clients notice nothing while another is promoted.
 */
static void test_a_promotion_that_no_client_noticed_is_timed(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK_ON(0, PG1, 1)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_event(&it, 5, EVENT_PROMOTED, FAULT_NONE, PG1, 1, "");
  synthetic_fault(&it, 0, PG1, 30, 60);
  synthetic_event(&it, 31, EVENT_PROMOTED, FAULT_NONE, PG1, 1, ""); /* answers again */
  synthetic_event(&it, 42, EVENT_PROMOTED, FAULT_NONE, PG2, 2, "");
  add_writes(&it, 100, spans, COUNT(spans));
  judge(&it);
  EXPECT(&it, {"failover_time", 0, 0}, {"promotion_time", 0, 12});
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_clocks_of_a_crash),
      cmocka_unit_test(test_a_fault_without_effect_has_no_failover),
      cmocka_unit_test(test_recovery_that_never_came_is_a_lower_bound),
      cmocka_unit_test(test_recovery_just_before_the_end_is_not_shown_to_last),
      cmocka_unit_test(test_first_success_is_not_recovery),
      cmocka_unit_test(test_late_successes_do_not_make_a_recovery),
      cmocka_unit_test(test_queued_writes_recover_when_acknowledged),
      cmocka_unit_test(test_writes_in_flight_at_the_fault_are_no_recovery),
      cmocka_unit_test(test_a_delayed_failover_is_the_faults_doing),
      cmocka_unit_test(test_a_stall_before_the_failover_is_not_the_failover),
      cmocka_unit_test(test_a_primary_that_answers_again_was_not_promoted),
      cmocka_unit_test(test_an_unexplained_stall_is_not_the_faults_failover),
      cmocka_unit_test(test_partial_failure_counts),
      cmocka_unit_test(test_restart_in_place),
      cmocka_unit_test(test_a_handover_before_the_confirmation_took_no_time),
      cmocka_unit_test(test_two_faults_have_their_own_clocks),
      cmocka_unit_test(test_a_replica_is_not_charged_with_the_primarys_failover),
      cmocka_unit_test(test_an_unconfirmed_fault_has_no_clocks),
      cmocka_unit_test(test_no_load_after_the_fault_is_no_failover_time),
      cmocka_unit_test(test_a_step_is_timed_from_the_request),
      cmocka_unit_test(test_a_stall_after_a_step_is_not_the_step),
      cmocka_unit_test(test_a_starved_harness_gives_no_failover_time),
      cmocka_unit_test(test_a_slow_load_is_watched_longer),
      cmocka_unit_test(test_a_fault_keeps_its_events_while_writes_are_down),
      cmocka_unit_test(test_a_promotion_that_no_client_noticed_is_timed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
