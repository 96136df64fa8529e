/* Outages, failovers and load where keys are spread over several primaries: what happens to one
 * shard is neither hidden nor answered by the others. */
#include "checkers/checkers.h"
#include "support/shards.h"
#include "support/test.h"

static void judge(struct synthetic *it) {
  synthetic_judge(it, NULL, NULL);
}

static void judge_crash(struct synthetic *it) {
  shards_begin(it, 1);
  shards_crash(it);
  judge(it);
}

static const struct interval *interval_of(const struct synthetic *it, const char *checker,
                                          const char *what) {
  const struct finding *finding = synthetic_finding(it, checker);
  for (uint32_t i = 0; i < finding->interval_count; i++)
    if (strcmp(finding->intervals[i].what, what) == 0) return &finding->intervals[i];
  return NULL;
}

static void test_facts_of_shards(void **state) {
  struct synthetic it;
  (void)state;
  judge_crash(&it);
  const struct record_info *info = &it.record.info;
  assert_int_equal(info->service_count, 1);
  assert_int_equal(info->set_count, SHARD_COUNT);
  assert_int_equal(info->final_primary, HOST_NONE);
  const uint16_t primaries[] = {PG1, PG5, PG3};
  for (uint16_t i = 0; i < SHARD_COUNT; i++) {
    assert_int_equal(info->sets[i].shard, i + 1);
    assert_int_equal(info->sets[i].hosts.words[0], shard_hosts((uint16_t)(i + 1)));
    assert_int_equal(info->sets[i].final_primary, primaries[i]);
    assert_true(info->sets[i].write_rate > 49.9 && info->sets[i].write_rate < 50.1);
  }
  assert_string_equal(info->sets[1].name, "shard 2");
  assert_int_equal(info->host_sets[PG6], 2);
  assert_int_equal(info->host_sets[6], SET_NONE); /* client1 */
  assert_int_equal(info->faults[0].set, 1);
  synthetic_release(&it);
}

static void test_three_primaries_are_innocent(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 0);
  shards_all_well(&it);
  judge(&it);
  assert_int_equal(it.result.verdict, VERDICT_PASS);
  const char *const zeros[] = {"write_outage",   "slots_unserved", "slots_unserved.sum",
                               "dual_primary",   "data_loss",      "diverged",
                               "recovery_point", "misplaced",      "write_outage.count"};
  for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
    NEAR(synthetic_value_of(&it, zeros[i], FAULT_NONE), 0);
  synthetic_release(&it);
}

/* 100 writes a second succeed on the other shards all the time. */
static void test_the_outage_of_one_shard_is_found(void **state) {
  struct synthetic it;
  (void)state;
  judge_crash(&it);
  EXPECT(&it, {"write_outage", FAULT_NONE, 22.002}, {"write_outage", 0, 22.002},
         {"write_outage.sum", FAULT_NONE, 22.002}, {"write_outage.count", FAULT_NONE, 1});
  const struct interval *outage = interval_of(&it, "availability", "write_outage");
  assert_int_equal(outage->shard, 2);
  assert_string_equal(outage->of, "shard 2");
  assert_int_equal(outage->fault, 0);
  assert_string_equal(synthetic_witness(&it, "write_outage"),
                      "writes of shard 2 were scheduled from 30.000000 s on, and the next success "
                      "came at 52.002000 s, 22.002 s later");
  EXPECT(&it, {"failover_time", 0, 22.002}, {"client_recovery_time", 0, 22.002},
         {"detection_time", 0, 20}, {"promotion_time", 0, 21}, {"data_loss", FAULT_NONE, 0},
         {"dual_primary", FAULT_NONE, 0});
  assert_int_equal(it.result.verdict, VERDICT_PASS);
  synthetic_release(&it);
}

/* Another shard's primary changes at the same time: that is no promotion of this fault's. */
static void test_a_promotion_elsewhere_ends_no_failover(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 1);
  shards_crash(&it);
  synthetic_event(&it, 35, EVENT_LEADER_LOST, FAULT_NONE, PG1, 0, "");
  synthetic_event(&it, 36, EVENT_PROMOTED, FAULT_NONE, PG4, 9, "");
  judge(&it);
  EXPECT(&it, {"detection_time", 0, 20}, {"promotion_time", 0, 21});
  synthetic_release(&it);
}

/* A replica of shard 1 crashes while the primary of shard 2 is gone for other reasons. */
static void test_a_fault_of_another_shard_is_not_blamed(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 2);
  shards_failover(&it, shard_hosts(2));
  synthetic_fault(&it, 0, PG2, 29.9, 60);
  synthetic_fault(&it, 1, PG4, 29.95, 60);
  judge(&it);
  EXPECT(&it, {"write_outage", 0, 22.002}, {"write_outage", 1, 0}, {"failover_time", 0, 22.102},
         {"failover_time", 1, 0});
  synthetic_release(&it);
}

/* A cut between many hosts is of no single shard: it lasts as long as where it was worst. */
static void test_a_fault_of_all_lasts_as_long_as_the_worst(void **state) {
  struct synthetic it;
  const struct synthetic_span two[] = {shard_ok(0, PG2, 2, 2), DOWN(30), shard_ok(52, PG5, 4, 2)};
  const struct synthetic_span three[] = {shard_ok(0, PG3, 3, 3), DOWN(30), shard_ok(40, PG6, 5, 3)};
  (void)state;
  shards_begin(&it, 1);
  shards_well(&it, 1);
  shards_load(&it, 2, OPERATION_WRITE, two, 3);
  shards_load(&it, 3, OPERATION_WRITE, three, 3);
  synthetic_fault(&it, 0, HOST_NONE, 30, 60);
  judge(&it);
  assert_int_equal(it.record.info.faults[0].set, SET_NONE);
  EXPECT(&it, {"failover_time", 0, 22.002}, {"write_outage", 0, 22.002});
  /* Both were out from 30 to 40 s: one outage, and its time is counted once. */
  EXPECT(&it, {"write_outage.sum", 0, 22.002}, {"write_outage.count", FAULT_NONE, 1},
         {"slots_unserved.sum", 0, 22.002});
  synthetic_release(&it);
}

/* What could not be sent has no key: it is an outage of all shards when nothing else succeeds. */
static void test_what_was_never_sent_is_demand_on_all(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 0);
  shards_writes(&it, 1, 10, 30, shard_ok(0, PG1, 1, 1));
  shards_writes(&it, 1, 40, 70, shard_ok(0, PG1, 1, 1));
  shards_writes(&it, 0, 30, 40, (struct synthetic_span)DOWN(0));
  judge(&it);
  NEAR(synthetic_value_of(&it, "write_outage", FAULT_NONE), 10.002);
  assert_string_equal(synthetic_witness(&it, "write_outage"),
                      "writes of all shards were scheduled from 30.000000 s on, and the next "
                      "success came at 40.002000 s, 10.002 s later");
  assert_int_equal(interval_of(&it, "availability", "write_outage")->shard, 0);
  synthetic_release(&it);
}

/* A client with one operation at a time waits for shard 2 from 30 to 35 s. What it has for shard 1
 * is sent, and answered, after that: shard 1 was not out, the service was for those who use it so.
 */
static void test_waiting_behind_another_shard_is_no_outage_of_this_one(void **state) {
  struct synthetic it;
  struct synthetic_span waited = shard_ok(0, PG1, 1, 1);
  const struct synthetic_span two[] = {shard_ok(0, PG2, 2, 2), DOWN(30),
                                       shard_ok(35.01, PG2, 2, 2)};
  (void)state;
  waited.until_s = 35.01;
  shards_begin(&it, 0);
  shards_writes(&it, 1, 10, 30, shard_ok(0, PG1, 1, 1));
  shards_writes(&it, 1, 35.02, 70, shard_ok(0, PG1, 1, 1));
  shards_writes(&it, 1, 30, 35, waited);
  shards_load(&it, 2, OPERATION_WRITE, two, 3);
  judge(&it);
  const struct finding *finding = synthetic_finding(&it, "slot-coverage");
  assert_int_equal(finding->interval_count, 1);
  assert_int_equal(finding->intervals[0].shard, 2);
  finding = synthetic_finding(&it, "availability");
  bool whole = false;
  for (uint32_t i = 0; i < finding->interval_count; i++) {
    assert_int_not_equal(finding->intervals[i].shard, 1);
    whole = whole || finding->intervals[i].shard == 0;
  }
  assert_true(whole);
  synthetic_release(&it);
}

/* Reads of one shard wait behind nothing and are answered by nobody. */
static void test_reads_of_a_shard_have_their_own_outage(void **state) {
  struct synthetic it;
  const struct synthetic_span down[] = {shard_ok(0, PG2, 2, 2), DOWN(30), shard_ok(35, PG2, 2, 2)};
  (void)state;
  shards_begin(&it, 0);
  for (uint16_t shard = 1; shard <= SHARD_COUNT; shard++) {
    const struct synthetic_span ok = shard_ok(0, (uint16_t)(shard - 1), shard, shard);
    shards_load(&it, shard, OPERATION_READ_OWN, shard == 2 ? down : &ok, shard == 2 ? 3 : 1);
  }
  judge(&it);
  EXPECT(&it, {"read_outage", FAULT_NONE, 5.002}, {"read_outage.unblocked", FAULT_NONE, 5.002},
         {"slots_unserved", FAULT_NONE, 5.002});
  synthetic_release(&it);
}

/* Thousands of operations on the other shards, none on the one that was hit. */
static void test_load_is_needed_on_the_shard_that_was_hit(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 1);
  shards_well(&it, 1);
  shards_well(&it, 3);
  synthetic_fault(&it, 0, PG2, 30, 60);
  judge(&it);
  NEAR(synthetic_value_of(&it, "load_before", 0), 0);
  assert_int_equal(synthetic_finding(&it, "load")->verdict, VERDICT_UNKNOWN);
  assert_string_equal(synthetic_finding(&it, "load")->why,
                      "too little load: 0 operations on shard 2 were acknowledged before fault-0 "
                      "(fault 0, on pg2), and 10 are the least to go by");
  assert_true(synthetic_measure(&it, "failover_time", 0)->not_applicable);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  synthetic_release(&it);
}

/* --- slots ----------------------------------------------------------------------------------- */

static void test_an_unserved_shard_is_found_by_its_operations(void **state) {
  struct synthetic it;
  (void)state;
  judge_crash(&it);
  EXPECT(&it, {"slots_unserved", FAULT_NONE, 22.002}, {"slots_unserved", 0, 22.002},
         {"slots_unserved.sum", FAULT_NONE, 22.002});
  const struct interval *interval = interval_of(&it, "slot-coverage", "slots_unserved");
  assert_int_equal(interval->shard, 2);
  assert_string_equal(synthetic_witness(&it, "slots_unserved"),
                      "from 30.000000 s until 52.002000 s, for 22.002 s, no primary of shard 2 "
                      "acknowledged anything");
  synthetic_release(&it);
}

/* Nobody asks for a key of shard 3; its primary was gone from 30 to 40 s. */
static void test_an_unserved_shard_is_found_by_its_roles(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 0);
  shards_well(&it, 1);
  shards_well(&it, 2);
  synthetic_shard_role(&it, 30, PG3, ROLE_NONE, 3);
  synthetic_shard_role(&it, 40, PG6, ROLE_PRIMARY, 3);
  judge(&it);
  EXPECT(&it, {"slots_unserved", FAULT_NONE, 10}, {"write_outage", FAULT_NONE, 0});
  synthetic_release(&it);
}

/* The observer had lost sight of it, the clients had not. */
static void test_a_shard_that_answers_is_served_whatever_is_said_of_it(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 0);
  shards_all_well(&it);
  synthetic_shard_role(&it, 30, PG3, ROLE_NONE, 3);
  synthetic_shard_role(&it, 40, PG3, ROLE_PRIMARY, 3);
  judge(&it);
  NEAR(synthetic_value_of(&it, "slots_unserved", FAULT_NONE), 0);
  synthetic_release(&it);
}

static void test_a_shard_that_stays_unserved_is_at_least_so_long(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {shard_ok(0, PG2, 2, 2), DOWN(30)};
  (void)state;
  shards_begin(&it, 0);
  shards_well(&it, 1);
  shards_load(&it, 2, OPERATION_WRITE, spans, 2);
  judge(&it);
  const struct measure *measure = synthetic_measure(&it, "slots_unserved", FAULT_NONE);
  assert_true(!measure->known && measure->floor);
  NEAR(measure->value, 40);
  synthetic_release(&it);
}

static void test_without_shards_there_are_no_slots(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  judge(&it);
  assert_true(synthetic_measure(&it, "slots_unserved", FAULT_NONE)->not_applicable);
  assert_true(synthetic_measure(&it, "misplaced", FAULT_NONE)->not_applicable);
  assert_int_equal(it.record.info.set_count, 1);
  assert_string_equal(it.record.info.sets[0].name, "");
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_facts_of_shards),
      cmocka_unit_test(test_three_primaries_are_innocent),
      cmocka_unit_test(test_the_outage_of_one_shard_is_found),
      cmocka_unit_test(test_a_promotion_elsewhere_ends_no_failover),
      cmocka_unit_test(test_a_fault_of_another_shard_is_not_blamed),
      cmocka_unit_test(test_a_fault_of_all_lasts_as_long_as_the_worst),
      cmocka_unit_test(test_what_was_never_sent_is_demand_on_all),
      cmocka_unit_test(test_waiting_behind_another_shard_is_no_outage_of_this_one),
      cmocka_unit_test(test_reads_of_a_shard_have_their_own_outage),
      cmocka_unit_test(test_load_is_needed_on_the_shard_that_was_hit),
      cmocka_unit_test(test_an_unserved_shard_is_found_by_its_operations),
      cmocka_unit_test(test_an_unserved_shard_is_found_by_its_roles),
      cmocka_unit_test(test_a_shard_that_answers_is_served_whatever_is_said_of_it),
      cmocka_unit_test(test_a_shard_that_stays_unserved_is_at_least_so_long),
      cmocka_unit_test(test_without_shards_there_are_no_slots),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
