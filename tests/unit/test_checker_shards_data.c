/* What became of the writes of each shard, two primaries within one, and what replicas of a shard
 * are held against. */
#include <string.h>

#include "checkers/checkers.h"
#include "support/shards.h"
#include "support/test.h"

static void judge(struct synthetic *it) {
  synthetic_judge(it, NULL, NULL);
}

/* --- rows ------------------------------------------------------------------------------------ */

/* The last 20 writes that the primary of shard 2 acknowledged did not reach its replica. */
static void begin_loss(struct synthetic *it, uint32_t faults) {
  shards_begin(it, faults);
  shards_failover(it, 0);
  synthetic_fault(it, 0, PG2, 30, 60);
}

static void test_loss_of_one_shard_is_charged_to_its_fault(void **state) {
  struct synthetic it;
  (void)state;
  begin_loss(&it, 1);
  judge(&it);
  EXPECT(&it, {"data_loss", FAULT_NONE, 20}, {"lost_everywhere", FAULT_NONE, 20},
         {"lost_after_fault", 0, 0});
  /* From the survivor of the same shard, acknowledged at 29.582 s: the others' went on. */
  EXPECT(&it, {"recovery_point", 0, 30 - 29.582}, {"diverged", FAULT_NONE, 0});
  const char *text = synthetic_witness(&it, "lost");
  assert_non_null(strstr(text, "acknowledged by pg2 (timeline 2) at 29.602000 s"));
  assert_non_null(strstr(text, "is on none of the 2 hosts of shard 2 read"));
  synthetic_release(&it);
}

/* A later fault on another shard is not what took them. */
static void test_loss_is_not_charged_to_another_shards_fault(void **state) {
  struct synthetic it;
  (void)state;
  begin_loss(&it, 2);
  synthetic_fault(&it, 1, PG1, 29.8, 29.9);
  judge(&it);
  EXPECT(&it, {"data_loss", FAULT_NONE, 20}, {"recovery_point", 0, 30 - 29.582},
         {"recovery_point", 1, 0}, {"lost_after_fault", 1, 0});
  synthetic_release(&it);
}

/* The replaced primary of shard 2 comes back with rows that its successor never had. */
static void test_hosts_of_a_shard_that_differ_have_diverged(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 0);
  shards_failover(&it, 1u << PG2);
  judge(&it);
  EXPECT(&it, {"diverged", FAULT_NONE, 20}, {"data_loss", FAULT_NONE, 20},
         {"lost_everywhere", FAULT_NONE, 0});
  assert_non_null(strstr(synthetic_witness(&it, "diverged"),
                         "is on 1 of 2 hosts, and is not on the primary (pg5)"));
  assert_non_null(strstr(synthetic_witness(&it, "lost"), "is not on the primary pg5"));
  assert_int_equal(synthetic_finding(&it, "loss")->verdict, VERDICT_FAIL);
  synthetic_release(&it);
}

static void test_a_row_on_two_shards_is_misplaced(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 0);
  shards_all_well(&it);
  const struct final_row row = {.identity = 2, .sequence = 7, .value = synthetic_value(2, 7)};
  synthetic_row(&it, PG3, &row);
  judge(&it);
  EXPECT(&it, {"misplaced", FAULT_NONE, 1}, {"data_loss", FAULT_NONE, 0},
         {"diverged", FAULT_NONE, 0});
  assert_string_equal(synthetic_witness(&it, "misplaced"),
                      "row (identity 2, sequence 7) is on pg3 of shard 3, and on hosts of shard 2 "
                      "too");
  assert_int_equal(synthetic_finding(&it, "loss")->verdict, VERDICT_FAIL);
  synthetic_release(&it);
}

/* Clients of the key ask the shard that owns it, and do not find it there. */
static void test_a_row_on_the_wrong_shard_alone_is_lost(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 0);
  shards_all_well(&it);
  const struct final_row row = {.identity = 2, .sequence = 7, .value = synthetic_value(2, 7)};
  synthetic_remove_row(&it, PG2, 2, 7);
  synthetic_remove_row(&it, PG5, 2, 7);
  synthetic_row(&it, PG1, &row);
  synthetic_row(&it, PG4, &row);
  judge(&it);
  EXPECT(&it, {"misplaced", FAULT_NONE, 1}, {"data_loss", FAULT_NONE, 1});
  assert_string_equal(
      synthetic_witness(&it, "misplaced"),
      "row (identity 2, sequence 7) was written to shard 2, and is on hosts of shard 1 only");
  assert_non_null(strstr(synthetic_witness(&it, "lost"),
                         "is only on hosts of another shard than its own (shard 2)"));
  synthetic_release(&it);
}

/* Neither host of shard 2 says that it is primary, and they differ: what it lost is unknown. */
static void test_a_shard_without_a_primary_has_no_final_state(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 0);
  shards_all_well(&it);
  synthetic_remove_row(&it, PG2, 2, 7);
  synthetic_shard_role(&it, 80, PG2, ROLE_REPLICA, 2);
  judge(&it);
  assert_false(synthetic_measure(&it, "data_loss", FAULT_NONE)->known);
  synthetic_release(&it);
}

/* A replica that was given to another shard holds what that one holds. */
static void test_a_replica_that_changed_its_shard_is_of_the_last(void **state) {
  struct synthetic it;
  struct synthetic_span two = shard_ok(0, PG2, 2, 2), three = shard_ok(0, PG3, 3, 3);
  (void)state;
  two.rows |= 1u << PG6;
  three.rows = 1u << PG3;
  shards_begin(&it, 0);
  shards_well(&it, 1);
  shards_load(&it, 2, OPERATION_WRITE, &two, 1);
  shards_load(&it, 3, OPERATION_WRITE, &three, 1);
  synthetic_shard_role(&it, 30, PG6, ROLE_REPLICA, 2);
  judge(&it);
  EXPECT(&it, {"diverged", FAULT_NONE, 0}, {"misplaced", FAULT_NONE, 0},
         {"data_loss", FAULT_NONE, 0});
  synthetic_release(&it);
}

/* --- primaries ------------------------------------------------------------------------------- */

static void add_pinned(struct synthetic *it, uint16_t host, uint16_t shard, uint32_t timeline,
                       double from_s, double to_s) {
  const struct synthetic_span span = shard_ok(0, host, timeline, shard);
  const struct synthetic_load load = {.route = ROUTE_PINNED,
                                      .client = (uint16_t)(10 + host),
                                      .shard = shard,
                                      .from_s = from_s,
                                      .to_s = to_s,
                                      .spans = &span,
                                      .span_count = 1};
  synthetic_add_load(it, &load);
}

/* Cut off, pg2 goes on for 5 s after pg5 took its shard over. Numbers of histories are given in the
 * order in which they were first seen, whatever the shard. */
static void test_two_primaries_of_a_shard_are_guilty(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 1);
  shards_well(&it, 1);
  shards_well(&it, 3);
  synthetic_fault(&it, 0, PG2, 30, 60);
  add_pinned(&it, PG2, 2, 2, 10, 45);
  add_pinned(&it, PG5, 2, 4, 40, 70);
  judge(&it);
  const double seconds = synthetic_value_of(&it, "dual_primary", FAULT_NONE);
  assert_true(seconds > 4.9 && seconds < 5.01);
  const struct finding *finding = synthetic_finding(&it, "dual-primary");
  assert_int_equal(finding->interval_count, 1);
  assert_int_equal(finding->intervals[0].host, PG2);
  assert_int_equal(finding->intervals[0].other_host, PG5);
  assert_int_equal(finding->intervals[0].shard, 2);
  synthetic_release(&it);
}

/* Without a timeline, hosts of different shards that answer in turn take nobody's turn. */
static void test_shards_do_not_take_turns(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 0);
  add_pinned(&it, PG1, 1, 0, 10, 70);
  add_pinned(&it, PG2, 2, 0, 10, 70);
  judge(&it);
  NEAR(synthetic_value_of(&it, "dual_primary", FAULT_NONE), 0);
  assert_int_equal(synthetic_finding(&it, "dual-primary")->verdict, VERDICT_PASS);
  synthetic_release(&it);
}

/* --- replicas -------------------------------------------------------------------------------- */

static void add_beat(struct synthetic *it, uint16_t shard, uint16_t host, double time_s,
                     uint64_t written, uint64_t read) {
  const struct operation operation = {
      .scheduled_ns = SECONDS(time_s),
      .sent_ns = SECONDS(time_s),
      .done_ns = SECONDS(time_s + 0.001),
      .sequence = written,
      .value = read,
      .client = (uint16_t)(20 + host),
      .kind = written ? OPERATION_HEARTBEAT_WRITE : OPERATION_HEARTBEAT_READ,
      .route = written ? ROUTE_PRIMARY : ROUTE_REPLICA,
      .host = host,
      .shard = shard & SHARD_MASK};
  synthetic_operation(it, &operation);
}

/* The heart of shard 1 has beaten a thousand times when that of shard 2 begins. */
static void test_each_shard_has_its_own_heartbeat(void **state) {
  struct synthetic it;
  (void)state;
  shards_begin(&it, 0);
  for (uint32_t i = 0; i < 100; i++) {
    add_beat(&it, 1, PG1, 20 + i * 0.1, 1000 + i, 0);
    add_beat(&it, 2, PG2, 20 + i * 0.1, 1 + i, 0);
    add_beat(&it, 1, PG4, 20.05 + i * 0.1, 0, 1000 + i);
    add_beat(&it, 2, PG5, 20.05 + i * 0.1, 0, i > 20 ? i - 20 : 0); /* 2 s behind */
  }
  judge(&it);
  const double lag_s = synthetic_value_of(&it, "replication_lag.max", FAULT_NONE);
  assert_true(lag_s > 1.9 && lag_s < 2.2);
  const struct finding *finding = synthetic_finding(&it, "lag");
  bool seen = false;
  for (uint32_t i = 0; i < finding->measure_count; i++) {
    const struct measure *measure = &finding->measures[i];
    if (measure->host != PG4 || strcmp(measure->name, "replication_lag.max") != 0) continue;
    NEAR(measure->value, 0);
    seen = true;
  }
  assert_true(seen);
  synthetic_release(&it);
}

/* Of a replica of shard 1 that shows write `newest` at 40 s. Shard 1 was written 500 times until
 * 20 s, and shard 2 goes on. */
static double staleness_s(uint64_t newest) {
  struct synthetic it;
  const struct operation read = {.scheduled_ns = SECONDS(40),
                                 .sent_ns = SECONDS(40),
                                 .done_ns = SECONDS(40.001),
                                 .value = newest,
                                 .read_identity = 1,
                                 .client = 30,
                                 .kind = OPERATION_READ_NEWEST,
                                 .route = ROUTE_REPLICA,
                                 .host = PG4,
                                 .shard = 1};
  shards_begin(&it, 0);
  shards_writes(&it, 1, 10, 20, shard_ok(0, PG1, 1, 1));
  shards_well(&it, 2);
  synthetic_operation(&it, &read);
  judge(&it);
  const double age_s = synthetic_value_of(&it, "staleness.max", FAULT_NONE);
  synthetic_release(&it);
  return age_s;
}

static void test_a_replica_is_stale_by_its_own_shard(void **state) {
  (void)state;
  NEAR(staleness_s(500), 0);
  const double age_s = staleness_s(400);
  assert_true(age_s > 21.9 && age_s < 22.1); /* since write 401, acknowledged at 18.002 s */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_loss_of_one_shard_is_charged_to_its_fault),
      cmocka_unit_test(test_loss_is_not_charged_to_another_shards_fault),
      cmocka_unit_test(test_hosts_of_a_shard_that_differ_have_diverged),
      cmocka_unit_test(test_a_row_on_two_shards_is_misplaced),
      cmocka_unit_test(test_a_row_on_the_wrong_shard_alone_is_lost),
      cmocka_unit_test(test_a_shard_without_a_primary_has_no_final_state),
      cmocka_unit_test(test_a_replica_that_changed_its_shard_is_of_the_last),
      cmocka_unit_test(test_two_primaries_of_a_shard_are_guilty),
      cmocka_unit_test(test_shards_do_not_take_turns),
      cmocka_unit_test(test_each_shard_has_its_own_heartbeat),
      cmocka_unit_test(test_a_replica_is_stale_by_its_own_shard),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
