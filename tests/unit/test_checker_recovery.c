/* Whose acknowledgement ends a failover: pinned clients see the cluster come back before those that
 * have to find it, and only where they see the same recovery do they count. */
#include "checkers/checkers.h"
#include "support/synthetic.h"
#include "support/test.h"

#define REFUSED(from, where)                                                    \
  {                                                                             \
    .from_s = from, .outcome = OUTCOME_FAIL, .latency_s = 0.001, .host = where, \
    .code = CODE_READ_ONLY                                                      \
  }

/* Answered only then; a microsecond apart for each operation since the load began. */
#define HUNG(from, until)                                                                  \
  {                                                                                        \
    .from_s = from, .outcome = OUTCOME_OK, .latency_s = 0.002, .host = PG1, .timeline = 1, \
    .until_s = until                                                                       \
  }

static void add_writes(struct synthetic *it, enum route route, uint16_t client,
                       const struct synthetic_span *spans, uint32_t count) {
  const struct synthetic_load load = {
      .route = route, .client = client, .spans = spans, .span_count = count};
  synthetic_add_load(it, &load);
}

/* pg1 crashes at 30 s; the clients find pg2, on timeline 2, at 52 s. The pinned client of pg2 fares
 * as the spans say. */
static void begin(struct synthetic *it, const struct synthetic_span *pinned, uint32_t count) {
  static const struct synthetic_span route[] = {OK_ON(0, PG1, 1), DOWN(30), OK_ON(52, PG2, 2)};
  synthetic_begin(it, NULL);
  synthetic_fault(it, 0, PG1, 30, 60);
  add_writes(it, ROUTE_PRIMARY, 1, route, COUNT(route));
  add_writes(it, ROUTE_PINNED, 2, pinned, count);
  synthetic_judge(it, &checker_failover, NULL);
}

static void assert_times(const struct synthetic *it, double failover_s, double clients_s) {
  EXPECT(it, {"failover_time", 0, failover_s}, {"client_recovery_time", 0, clients_s});
}

static void test_a_pinned_client_sees_the_cluster_come_back(void **state) {
  struct synthetic it;
  const struct synthetic_span pinned[] = {REFUSED(0, PG2), OK_ON(51.5, PG2, 2)};
  (void)state;
  begin(&it, pinned, COUNT(pinned));
  assert_times(&it, 21.502, 22.002);
  assert_string_equal(synthetic_witness(&it, "failover"),
                      "fault-0 (fault 0, on pg1) was in effect at 30.000000 s; none of the writes "
                      "scheduled from 30.000000 s on succeeded; the recovery began with the write "
                      "of a pinned client scheduled at 51.500000 s and acknowledged at 51.502000 "
                      "s, and reached the clients that follow the primary at 52.002000 s");
  synthetic_release(&it);
}

/* pg2 serves for a second, is gone again, and comes back: the recovery is the second one. */
static void test_a_pinned_client_that_was_cut_off_again(void **state) {
  struct synthetic it;
  const struct synthetic_span pinned[] = {REFUSED(0, PG2), OK_ON(45, PG2, 2), DOWN(46),
                                          OK_ON(51, PG2, 2)};
  (void)state;
  begin(&it, pinned, COUNT(pinned));
  assert_times(&it, 21.002, 22.002);
  synthetic_release(&it);
}

/* It is still out when the clients are back already. */
static void test_a_pinned_client_that_comes_later(void **state) {
  struct synthetic it;
  const struct synthetic_span pinned[] = {REFUSED(0, PG2), OK_ON(45, PG2, 2), DOWN(46),
                                          OK_ON(53, PG2, 2)};
  (void)state;
  begin(&it, pinned, COUNT(pinned));
  assert_times(&it, 22.002, 22.002);
  synthetic_release(&it);
}

/* Another host acknowledged for a while, on a timeline that nobody went on with. */
static void test_another_primary_is_another_recovery(void **state) {
  struct synthetic it;
  const struct synthetic_span other_host[] = {REFUSED(0, PG3), OK_ON(45, PG3, 2)};
  const struct synthetic_span other_timeline[] = {REFUSED(0, PG2), OK_ON(45, PG2, 3)};
  (void)state;
  begin(&it, other_host, COUNT(other_host));
  assert_times(&it, 22.002, 22.002);
  synthetic_release(&it);
  begin(&it, other_timeline, COUNT(other_timeline));
  assert_times(&it, 22.002, 22.002);
  synthetic_release(&it);
}

/* Who was served all the time says nothing of when the others were served again. */
static void test_a_pinned_client_without_an_outage(void **state) {
  struct synthetic it;
  const struct synthetic_span pinned[] = {OK_ON(0, PG2, 2)};
  (void)state;
  begin(&it, pinned, COUNT(pinned));
  assert_times(&it, 22.002, 22.002);
  synthetic_release(&it);
}

/* The same host again after a freeze. What hung since before the fault is answered first, and does
 * not count; nor does what was acknowledged in the moment before the fault was felt. */
static void test_a_thaw_in_place(void **state) {
  struct synthetic it;
  const struct synthetic_span route[] = {OK_ON(0, PG1, 1), DOWN(30), OK_ON(40, PG1, 1)};
  const struct synthetic_span pinned[] = {OK_ON(0, PG1, 1), HUNG(29.995, 39.5), HUNG(30.005, 39.7),
                                          OK_ON(39.705, PG1, 1)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30.004, 39);
  add_writes(&it, ROUTE_PRIMARY, 1, route, COUNT(route));
  add_writes(&it, ROUTE_PINNED, 2, pinned, COUNT(pinned));
  synthetic_judge(&it, &checker_failover, NULL);
  assert_times(&it, 39.702 - 30.004, 40.002 - 30.004);
  synthetic_release(&it);
}

/* Where the clients never come back nothing has recovered, whoever else is served. */
static void test_clients_that_never_come_back(void **state) {
  struct synthetic it;
  const struct synthetic_span route[] = {OK_ON(0, PG1, 1), DOWN(30)};
  const struct synthetic_span pinned[] = {REFUSED(0, PG2), OK_ON(50, PG2, 2)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 60);
  add_writes(&it, ROUTE_PRIMARY, 1, route, COUNT(route));
  add_writes(&it, ROUTE_PINNED, 2, pinned, COUNT(pinned));
  synthetic_judge(&it, &checker_failover, NULL);
  for (int i = 0; i < 2; i++) {
    const struct measure *measure =
        synthetic_measure(&it, i ? "client_recovery_time" : "failover_time", 0);
    assert_true(!measure->known && measure->floor);
    NEAR(measure->value, 40);
  }
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_pinned_client_sees_the_cluster_come_back),
      cmocka_unit_test(test_a_pinned_client_that_was_cut_off_again),
      cmocka_unit_test(test_a_pinned_client_that_comes_later),
      cmocka_unit_test(test_another_primary_is_another_recovery),
      cmocka_unit_test(test_a_pinned_client_without_an_outage),
      cmocka_unit_test(test_a_thaw_in_place),
      cmocka_unit_test(test_clients_that_never_come_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
