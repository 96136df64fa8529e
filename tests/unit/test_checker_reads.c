/* Lag and staleness: how old is what a replica shows, and is the answer right when nothing
 * moves? */
#include "checkers/checkers.h"
#include "support/synthetic.h"
#include "support/test.h"

static void add(struct synthetic *it, enum operation_kind kind, enum route route, uint16_t host,
                double sent_s, double latency_s, uint32_t identity, uint64_t number) {
  bool write = kind == OPERATION_WRITE || kind == OPERATION_HEARTBEAT_WRITE;
  const struct operation operation = {.scheduled_ns = SECONDS(sent_s),
                                      .sent_ns = SECONDS(sent_s),
                                      .done_ns = SECONDS(sent_s + latency_s),
                                      .sequence = write ? number : 0,
                                      .value = write ? 0 : number,
                                      .identity = identity,
                                      .read_identity = write ? 0 : identity,
                                      .client = 3,
                                      .kind = kind,
                                      .outcome = OUTCOME_OK,
                                      .route = route,
                                      .host = host,
                                      .timeline = 1};
  if (identity > it->identities) it->identities = identity;
  synthetic_operation(it, &operation);
}

static void judge(struct synthetic *it, const struct checker *checker) {
  synthetic_judge(it, checker, NULL);
}

static double host_value(const struct synthetic *it, const char *name, uint16_t host) {
  for (uint32_t i = 0; i < it->result.finding_count; i++)
    for (uint32_t j = 0; j < it->result.findings[i].measure_count; j++) {
      const struct measure *measure = &it->result.findings[i].measures[j];
      if (measure->host == host && strcmp(measure->name, name) == 0) return measure->value;
    }
  fail_msg("there is no %s of host %u", name, host);
  return 0;
}

/* A beat every 100 ms, acknowledged after 1 ms. pg2 shows each at once; pg3 is five beats
 * behind. */
static void add_heartbeats(struct synthetic *it) {
  for (uint64_t beat = 1; beat <= 600; beat++) {
    double sent_s = 10 + (double)beat * 0.1;
    add(it, OPERATION_HEARTBEAT_WRITE, ROUTE_PRIMARY, PG1, sent_s, 0.001, 1, beat);
    if (beat <= 5 || sent_s >= 69.9) continue;
    add(it, OPERATION_HEARTBEAT_READ, ROUTE_PINNED, PG1, sent_s + 0.05, 0.001, 1, beat);
    add(it, OPERATION_HEARTBEAT_READ, ROUTE_REPLICA, PG2, sent_s + 0.05, 0.001, 1, beat);
    add(it, OPERATION_HEARTBEAT_READ, ROUTE_REPLICA, PG3, sent_s + 0.05, 0.001, 1, beat - 5);
  }
}

static void test_lag_by_heartbeat(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_heartbeats(&it);
  judge(&it, &checker_lag);
  /* Beat b - 4, the first that pg3 does not show, was acknowledged 0.449 s before the read. */
  NEAR(synthetic_value_of(&it, "replication_lag.max", FAULT_NONE), 0.449);
  NEAR(host_value(&it, "replication_lag.max", PG2), 0);
  NEAR(host_value(&it, "replication_lag.max", PG3), 0.449);
  assert_true(host_value(&it, "replication_lag.p50", PG3) >= 0.449 - 1e-6);
  NEAR(synthetic_value_of(&it, "replication_lag.p50", FAULT_NONE), 0);
  assert_true(synthetic_measure(&it, "replication_lag.bytes.max", FAULT_NONE)->not_applicable);
  synthetic_release(&it);
}

/* pg3 is cut off for 20 s; then 200 reads that waited are answered within 20 ms, all with an old
 * beat, before it has caught up: that is one moment of large lag, and not a quarter of all reads.
 */
static void test_reads_that_waited_are_one_moment(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  for (uint64_t beat = 1; beat <= 600; beat++) {
    double sent_s = 10 + (double)beat * 0.1;
    add(&it, OPERATION_HEARTBEAT_WRITE, ROUTE_PRIMARY, PG1, sent_s, 0.001, 1, beat);
    if (sent_s >= 69.9) continue;
    bool waits = beat > 200 && beat <= 400;
    struct operation read = {.scheduled_ns = SECONDS(sent_s + 0.05),
                             .value = waits ? 200 : beat,
                             .client = 3,
                             .kind = OPERATION_HEARTBEAT_READ,
                             .outcome = OUTCOME_OK,
                             .route = ROUTE_REPLICA,
                             .host = PG3,
                             .timeline = 1};
    double at_s = waits ? 50.06 + (double)(beat - 200) * 0.0001 : sent_s + 0.05;
    read.sent_ns = SECONDS(at_s);
    read.done_ns = SECONDS(at_s + 0.0001);
    synthetic_operation(&it, &read);
  }
  judge(&it, &checker_lag);
  EXPECT(&it, {"replication_lag.max", FAULT_NONE, 19.9591}, {"replication_lag.p99", FAULT_NONE, 0});
  synthetic_release(&it);
}

/* Fifty reads have no 99th percentile; all replicas together have one. */
static void test_a_host_that_was_read_seldom_has_no_percentile(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_heartbeats(&it);
  for (int i = 0; i < 50; i++)
    add(&it, OPERATION_HEARTBEAT_READ, ROUTE_REPLICA, 3, 40 + i * 0.1, 0.001, 1, 1);
  judge(&it, &checker_lag);
  bool seen = false;
  for (uint32_t j = 0; j < it.result.findings[0].measure_count; j++) {
    const struct measure *measure = &it.result.findings[0].measures[j];
    if (measure->host != 3 || strcmp(measure->name, "replication_lag.p99") != 0) continue;
    seen = true;
    assert_true(!measure->known && measure->not_applicable);
  }
  assert_true(seen);
  assert_true(host_value(&it, "replication_lag.max", 3) > 20);
  synthetic_release(&it);
}

/* now() - last replay would grow here; nothing was written, so nothing lags. */
static void test_lag_does_not_grow_while_idle(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add(&it, OPERATION_HEARTBEAT_WRITE, ROUTE_PRIMARY, PG1, 10, 0.001, 1, 1);
  for (int i = 0; i < 50; i++)
    add(&it, OPERATION_HEARTBEAT_READ, ROUTE_REPLICA, PG2, 11 + i, 0.001, 1, 1);
  judge(&it, &checker_lag);
  NEAR(synthetic_value_of(&it, "replication_lag.max", FAULT_NONE), 0);
  synthetic_release(&it);
}

static void test_lag_as_servers_report_it(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  for (int i = 0; i < 100; i++) {
    synthetic_sample(&it, 15 + i * 0.1, METRIC_LAG_BYTES, PG2, i < 99 ? 100 : 5e6);
    synthetic_sample(&it, 15 + i * 0.1, METRIC_LAG_SECONDS, PG2, i < 99 ? 0.25 : 3);
  }
  synthetic_sample(&it, 5, METRIC_LAG_BYTES, PG2, 1e12);  /* before the load */
  synthetic_sample(&it, 80, METRIC_LAG_BYTES, PG2, 1e12); /* after it */
  judge(&it, &checker_lag);
  EXPECT(&it, {"replication_lag.bytes.max", FAULT_NONE, 5e6},
         {"replication_lag.bytes.p50", FAULT_NONE, 100},
         {"replication_lag.seconds.max", FAULT_NONE, 3});
  assert_true(synthetic_value_of(&it, "replication_lag.seconds.p99", FAULT_NONE) < 0.26);
  synthetic_release(&it);
}

/* Rows 1 .. 100, one every 100 ms. */
static void add_rows(struct synthetic *it) {
  for (uint64_t i = 1; i <= 100; i++)
    add(it, OPERATION_WRITE, ROUTE_PRIMARY, PG1, 20 + (double)i * 0.1, 0.002, 1, i);
}

static void test_fresh_reads_are_innocent(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_rows(&it);
  for (uint64_t i = 1; i <= 100; i++)
    add(&it, OPERATION_READ_NEWEST, ROUTE_REPLICA, PG2, 20.05 + (double)i * 0.1, 0.001, 1, i);
  /* Row 51 is read while its own acknowledgement is still on the way. */
  add(&it, OPERATION_READ_NEWEST, ROUTE_REPLICA, PG2, 25.1005, 0.001, 1, 51);
  /* What the primary itself answers to a client pinned to it counts for no replica. */
  add(&it, OPERATION_READ_NEWEST, ROUTE_REPLICA, PG1, 29, 0.001, 1, 1);
  judge(&it, &checker_staleness);
  NEAR(synthetic_value_of(&it, "staleness.max", FAULT_NONE), 0);
  assert_null(synthetic_witness(&it, "stale"));
  synthetic_release(&it);
}

static void test_guilty_of_stale_reads(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_rows(&it);
  add(&it, OPERATION_READ_NEWEST, ROUTE_REPLICA, PG2, 27.05, 0.001, 1, 40);
  judge(&it, &checker_staleness);
  /* Row 41 was acknowledged at 24.102. */
  NEAR(synthetic_value_of(&it, "staleness.max", FAULT_NONE), 2.948);
  assert_string_equal(synthetic_witness(&it, "stale"),
                      "pg2 answered the read sent at 27.050000 s with row (identity 1, sequence "
                      "40), though a newer one had been acknowledged at 24.102000 s, 2.948 s "
                      "before");
  synthetic_release(&it);
}

static void test_an_empty_replica_is_stale_since_the_first_write(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_rows(&it);
  add(&it, OPERATION_READ_NEWEST, ROUTE_REPLICA, PG3, 30.102, 0.001, 0, 0);
  judge(&it, &checker_staleness);
  NEAR(synthetic_value_of(&it, "staleness.max", FAULT_NONE), 10);
  synthetic_release(&it);
}

/* Of a concurrent write nobody can say that it was newer. */
static void test_concurrent_writes_are_not_newer(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add(&it, OPERATION_WRITE, ROUTE_PRIMARY, PG1, 20, 0.5, 1, 1);
  add(&it, OPERATION_WRITE, ROUTE_PRIMARY, PG1, 20.4, 0.2, 2, 1);
  add(&it, OPERATION_READ_NEWEST, ROUTE_REPLICA, PG2, 25, 0.001, 1, 1);
  judge(&it, &checker_staleness);
  NEAR(synthetic_value_of(&it, "staleness.max", FAULT_NONE), 0);
  synthetic_release(&it);
}

static void test_own_reads(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_rows(&it);
  add(&it, OPERATION_READ_OWN, ROUTE_PRIMARY, PG1, 24.05, 0.001, 1, 40);
  add(&it, OPERATION_READ_OWN, ROUTE_PRIMARY, PG1, 25.1, 0.05, 1, 50); /* 51 is in flight */
  judge(&it, &checker_staleness);
  NEAR(synthetic_value_of(&it, "stale_own_reads", FAULT_NONE), 0);
  synthetic_release(&it);
}

static void test_guilty_of_a_stale_own_read(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_rows(&it);
  add(&it, OPERATION_READ_OWN, ROUTE_PRIMARY, PG1, 24.05, 0.001, 1, 39);
  judge(&it, &checker_staleness);
  NEAR(synthetic_value_of(&it, "stale_own_reads", FAULT_NONE), 1);
  assert_string_equal(synthetic_witness(&it, "stale_own_read"),
                      "client 3 read its own last write from pg1 at 24.050000 s and got sequence "
                      "39 of identity 1, though 40 had been acknowledged to it at 24.002000 s");
  synthetic_release(&it);
}

/* The row that is read left the history long ago: its age is at least so much. */
static void test_very_old_rows_give_lower_bounds(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  for (uint64_t i = 1; i <= 300000; i++)
    add(&it, OPERATION_WRITE, ROUTE_PRIMARY, PG1, 10 + (double)i * 1e-4, 0.00005, 1, i);
  add(&it, OPERATION_READ_NEWEST, ROUTE_REPLICA, PG2, 45, 0.001, 1, 10);
  judge(&it, &checker_staleness);
  const struct measure *measure = synthetic_measure(&it, "staleness.max", FAULT_NONE);
  assert_true(!measure->known && measure->floor);
  assert_true(measure->value > 31 && measure->value <= 35);
  synthetic_release(&it);
}

/* --- synchrony ------------------------------------------------------------------------------- */

/* A look at both replicas every half second; pg2 is synchronous but for [from_s, to_s). */
static void add_looks(struct synthetic *it, double from_s, double to_s) {
  for (int i = 10; i < 160; i++) {
    double time_s = i * 0.5;
    bool sync = time_s < from_s || time_s >= to_s;
    synthetic_sample(it, time_s, METRIC_STREAMING, PG2, 1);
    synthetic_sample(it, time_s, METRIC_SYNC_STATE, PG2, sync ? 2 : 0);
    synthetic_sample(it, time_s, METRIC_STREAMING, PG3, 1);
    synthetic_sample(it, time_s, METRIC_SYNC_STATE, PG3, 0);
  }
}

static void test_always_synchronous(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_looks(&it, 0, 0);
  judge(&it, &checker_synchrony);
  NEAR(synthetic_value_of(&it, "sync_degraded", FAULT_NONE), 0);
  assert_null(synthetic_witness(&it, "sync_degraded"));
  synthetic_release(&it);
}

static void test_guilty_of_degrading(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_looks(&it, 30, 42.5);
  judge(&it, &checker_synchrony);
  NEAR(synthetic_value_of(&it, "sync_degraded", FAULT_NONE), 12.5);
  assert_string_equal(synthetic_witness(&it, "sync_degraded"),
                      "from 30.000 s to 42.500 s the primary reported no synchronous replica");
  synthetic_release(&it);
}

static void test_never_synchronous_is_not_degraded(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  add_looks(&it, 0, 1000);
  judge(&it, &checker_synchrony);
  assert_true(synthetic_measure(&it, "sync_degraded", FAULT_NONE)->not_applicable);
  synthetic_release(&it);
}

/* Nobody was primary for 20 s and nobody reported: that is an outage, not a degradation. */
static void test_silence_is_not_degraded(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_sample(&it, 20, METRIC_SYNC_STATE, PG2, 2);
  synthetic_sample(&it, 21, METRIC_SYNC_STATE, PG2, 0);
  synthetic_sample(&it, 41, METRIC_SYNC_STATE, PG2, 2);
  judge(&it, &checker_synchrony);
  NEAR(synthetic_value_of(&it, "sync_degraded", FAULT_NONE), 0);
  synthetic_release(&it);
}

/* Beats and reads that were not acknowledged tell nothing. */
static void test_failed_reads_tell_nothing(void **state) {
  struct synthetic it;
  const struct operation beat = {.scheduled_ns = SECONDS(20),
                                 .sent_ns = SECONDS(20),
                                 .done_ns = SECONDS(20.1),
                                 .sequence = 1000,
                                 .kind = OPERATION_HEARTBEAT_WRITE,
                                 .outcome = OUTCOME_UNKNOWN,
                                 .host = PG1};
  struct operation read = {.scheduled_ns = SECONDS(30),
                           .sent_ns = SECONDS(30),
                           .done_ns = SECONDS(30.1),
                           .kind = OPERATION_HEARTBEAT_READ,
                           .outcome = OUTCOME_FAIL,
                           .route = ROUTE_REPLICA,
                           .host = PG2};
  (void)state;
  synthetic_begin(&it, NULL);
  add_heartbeats(&it);
  add_rows(&it);
  synthetic_operation(&it, &beat);
  synthetic_operation(&it, &read);
  read.kind = OPERATION_READ_NEWEST;
  synthetic_operation(&it, &read);
  read.kind = OPERATION_READ_OWN;
  read.route = ROUTE_PRIMARY;
  read.identity = 1;
  synthetic_operation(&it, &read);
  synthetic_judge(&it, &checker_lag, NULL);
  NEAR(synthetic_value_of(&it, "replication_lag.max", FAULT_NONE), 0.449);
  synthetic_judge(&it, &checker_staleness, NULL);
  assert_true(synthetic_measure(&it, "staleness.max", FAULT_NONE)->not_applicable);
  assert_true(synthetic_measure(&it, "stale_own_reads", FAULT_NONE)->not_applicable);
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lag_by_heartbeat),
      cmocka_unit_test(test_reads_that_waited_are_one_moment),
      cmocka_unit_test(test_a_host_that_was_read_seldom_has_no_percentile),
      cmocka_unit_test(test_lag_does_not_grow_while_idle),
      cmocka_unit_test(test_lag_as_servers_report_it),
      cmocka_unit_test(test_fresh_reads_are_innocent),
      cmocka_unit_test(test_guilty_of_stale_reads),
      cmocka_unit_test(test_an_empty_replica_is_stale_since_the_first_write),
      cmocka_unit_test(test_concurrent_writes_are_not_newer),
      cmocka_unit_test(test_own_reads),
      cmocka_unit_test(test_guilty_of_a_stale_own_read),
      cmocka_unit_test(test_very_old_rows_give_lower_bounds),
      cmocka_unit_test(test_always_synchronous),
      cmocka_unit_test(test_guilty_of_degrading),
      cmocka_unit_test(test_never_synchronous_is_not_degraded),
      cmocka_unit_test(test_silence_is_not_degraded),
      cmocka_unit_test(test_failed_reads_tell_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
