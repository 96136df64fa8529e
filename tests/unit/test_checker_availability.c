/* Availability and outages: what is an outage, where it begins and ends, and what is none. */
#include "base/prng.h"
#include "checkers/checkers.h"
#include "support/synthetic.h"
#include "support/test.h"

#define OK(from) OK_ON(from, PG1, 1)

static void add_load(struct synthetic *it, enum operation_kind kind, enum route route, double rate,
                     const struct synthetic_span *spans, uint32_t count) {
  const struct synthetic_load load = {
      .kind = kind, .route = route, .rate = rate, .spans = spans, .span_count = count};
  synthetic_add_load(it, &load);
}

static void judge(struct synthetic *it) {
  synthetic_judge(it, &checker_availability, NULL);
}

static const struct interval *interval_at(const struct synthetic *it, uint32_t index) {
  const struct finding *finding = synthetic_finding(it, "availability");
  assert_true(index < finding->interval_count);
  return &finding->intervals[index];
}

static void test_innocent(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK(0)};
  (void)state;
  synthetic_begin(&it, NULL);
  add_load(&it, OPERATION_WRITE, ROUTE_PRIMARY, 100, spans, COUNT(spans));
  add_load(&it, OPERATION_READ_OWN, ROUTE_PRIMARY, 50, spans, COUNT(spans));
  judge(&it);
  EXPECT(&it, {"availability", FAULT_NONE, 1}, {"write_outage", FAULT_NONE, 0},
         {"write_outage.count", FAULT_NONE, 0}, {"read_outage.sum", FAULT_NONE, 0});
  assert_null(synthetic_witness(&it, "write_outage"));
  synthetic_release(&it);
}

static void test_guilty_of_an_outage(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  judge(&it);
  EXPECT(&it, {"availability.writes", FAULT_NONE, 3800.0 / 6000},
         {"write_outage", FAULT_NONE, 22.002}, {"write_outage.sum", FAULT_NONE, 22.002},
         {"write_outage.count", FAULT_NONE, 1}, {"write_outage", 0, 22.002});
  assert_true(synthetic_measure(&it, "availability.reads", FAULT_NONE)->not_applicable);
  assert_true(synthetic_measure(&it, "read_outage", FAULT_NONE)->not_applicable);
  const struct interval *interval = interval_at(&it, 0);
  assert_string_equal(interval->what, "write_outage");
  assert_int_equal(interval->begin_ns, SECONDS(30));
  assert_int_equal(interval->end_ns, SECONDS(52.002));
  assert_int_equal(interval->fault, 0);
  assert_string_equal(synthetic_witness(&it, "write_outage"),
                      "writes were scheduled from 30.000000 s on, and the next success came at "
                      "52.002000 s, 22.002 s later");
  synthetic_release(&it);
}

static void test_absence_of_load_is_no_outage(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK(0)};
  (void)state;
  synthetic_begin(&it, NULL);
  add_load(&it, OPERATION_WRITE, ROUTE_PRIMARY, 0.5, spans, COUNT(spans)); /* gaps of 2 s */
  judge(&it);
  NEAR(synthetic_value_of(&it, "write_outage.count", FAULT_NONE), 0);
  synthetic_release(&it);
}

/* One stuck write of a slow client must not make an outage of every gap between others. */
static void test_one_stuck_client_is_no_outage(void **state) {
  struct synthetic it;
  const struct synthetic_span good[] = {OK(0)};
  const struct operation stuck = {.scheduled_ns = SECONDS(20),
                                  .sent_ns = SECONDS(20),
                                  .done_ns = SECONDS(50),
                                  .sequence = 1,
                                  .identity = 9,
                                  .kind = OPERATION_WRITE,
                                  .outcome = OUTCOME_UNKNOWN,
                                  .route = ROUTE_PRIMARY,
                                  .host = HOST_NONE};
  (void)state;
  synthetic_begin(&it, NULL);
  add_load(&it, OPERATION_WRITE, ROUTE_PRIMARY, 1, good, COUNT(good));
  synthetic_operation(&it, &stuck);
  judge(&it);
  /* 20.000 is when both were scheduled: one outage at most, of 2 ms, and that is too short. */
  NEAR(synthetic_value_of(&it, "write_outage.count", FAULT_NONE), 0);
  synthetic_release(&it);
}

/* Nothing completes in the outage, and the first success is of a write scheduled at its end: the
 * demand shows only when the others time out, long after. */
static void test_hung_operations_are_demand(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK(0),
                                         {.from_s = 30,
                                          .outcome = OUTCOME_UNKNOWN,
                                          .latency_s = 30,
                                          .host = HOST_NONE,
                                          .code = CODE_TIMEOUT},
                                         OK(52)};
  (void)state;
  synthetic_begin(&it, NULL);
  add_load(&it, OPERATION_WRITE, ROUTE_PRIMARY, 20, spans, COUNT(spans));
  judge(&it);
  EXPECT(&it, {"write_outage", FAULT_NONE, 22.002}, {"write_outage.count", FAULT_NONE, 1});
  synthetic_release(&it);
}

/* The measured time begins in the middle of a slow time: writes of the warm-up that were waiting
 * succeed in it, one after the other. There is no moment without success, so no outage. */
static void test_late_successes_of_the_warmup_end_outages(void **state) {
  struct synthetic it;
  const struct synthetic_span late[] = {
      {.from_s = 0, .outcome = OUTCOME_OK, .latency_s = 2, .host = PG1, .timeline = 1}};
  const struct synthetic_load warmup = {.kind = OPERATION_WRITE,
                                        .route = ROUTE_PRIMARY,
                                        .rate = 20,
                                        .from_s = 8,
                                        .to_s = 10,
                                        .spans = late,
                                        .span_count = COUNT(late)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_add_load(&it, &warmup);
  add_load(&it, OPERATION_WRITE, ROUTE_PRIMARY, 20, late, COUNT(late));
  judge(&it);
  EXPECT(&it, {"write_outage.count", FAULT_NONE, 0}, {"availability.writes", FAULT_NONE, 1});
  synthetic_release(&it);
}

static void test_flapping_gives_several_outages(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK(0), DOWN(30), OK(35), DOWN(35.3), OK(50)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 60);
  add_load(&it, OPERATION_WRITE, ROUTE_PRIMARY, 100, spans, COUNT(spans));
  judge(&it);
  EXPECT(&it, {"write_outage.count", FAULT_NONE, 2}, {"write_outage", 0, 14.702},
         {"write_outage.sum", 0, 5.002 + 14.702});
  synthetic_release(&it);
}

static void test_an_outage_that_is_not_over_is_a_lower_bound(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK(0), DOWN(60)};
  (void)state;
  synthetic_begin(&it, NULL);
  add_load(&it, OPERATION_WRITE, ROUTE_PRIMARY, 100, spans, COUNT(spans));
  judge(&it);
  const struct measure *measure = synthetic_measure(&it, "write_outage", FAULT_NONE);
  assert_false(measure->known);
  assert_true(measure->floor);
  NEAR(measure->value, 10);
  assert_true(interval_at(&it, 0)->end_ns == TIME_NEVER);
  NEAR(synthetic_value_of(&it, "write_outage.count", FAULT_NONE), 1);
  synthetic_release(&it);
}

/* The last write of the load hangs; nobody asked after it, so that nothing was seen to be down. */
static void test_a_last_write_that_hangs_is_no_outage(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {
      OK(0), {.from_s = 69.99, .outcome = OUTCOME_UNKNOWN, .latency_s = 10, .host = HOST_NONE}};
  (void)state;
  synthetic_begin(&it, NULL);
  add_load(&it, OPERATION_WRITE, ROUTE_PRIMARY, 100, spans, COUNT(spans));
  judge(&it);
  NEAR(synthetic_value_of(&it, "write_outage.count", FAULT_NONE), 0);
  synthetic_release(&it);
}

static void test_pinned_and_replica_operations_do_not_count(void **state) {
  struct synthetic it;
  const struct synthetic_span good[] = {OK(0)}, bad[] = {DOWN(0)};
  (void)state;
  synthetic_begin(&it, NULL);
  add_load(&it, OPERATION_WRITE, ROUTE_PRIMARY, 100, good, COUNT(good));
  add_load(&it, OPERATION_WRITE, ROUTE_PINNED, 100, bad, COUNT(bad));
  add_load(&it, OPERATION_READ_NEWEST, ROUTE_REPLICA, 100, bad, COUNT(bad));
  add_load(&it, OPERATION_PROBE, ROUTE_PRIMARY, 100, bad, COUNT(bad));
  add_load(&it, OPERATION_HEARTBEAT_WRITE, ROUTE_PRIMARY, 100, bad, COUNT(bad));
  judge(&it);
  EXPECT(&it, {"availability", FAULT_NONE, 1}, {"write_outage.count", FAULT_NONE, 0});
  synthetic_release(&it);
}

/* A write in flight when the fault struck was scheduled before it; the outage is the fault's. */
static void test_an_outage_is_charged_though_it_begins_in_flight(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK(0), DOWN(29.95), OK(40)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 60);
  add_load(&it, OPERATION_WRITE, ROUTE_PRIMARY, 100, spans, COUNT(spans));
  judge(&it);
  assert_int_equal(interval_at(&it, 0)->fault, 0);
  synthetic_release(&it);
}

static void test_an_outage_before_the_fault_is_nobodys(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK(0), DOWN(20), OK(22)};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_fault(&it, 0, PG1, 30, 60);
  add_load(&it, OPERATION_WRITE, ROUTE_PRIMARY, 100, spans, COUNT(spans));
  judge(&it);
  assert_int_equal(interval_at(&it, 0)->fault, FAULT_NONE);
  EXPECT(&it, {"write_outage", 0, 0}, {"write_outage", FAULT_NONE, 2.002});
  synthetic_release(&it);
}

static void test_a_starved_harness_is_not_an_outage_of_the_cluster(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK(0), DOWN(30), OK(31)};
  (void)state;
  synthetic_begin(&it, NULL);
  add_load(&it, OPERATION_WRITE, ROUTE_PRIMARY, 100, spans, COUNT(spans));
  synthetic_sample(&it, 30.9, METRIC_HARNESS_DELAY, HOST_NONE, 0.7);
  judge(&it);
  assert_false(synthetic_measure(&it, "write_outage", FAULT_NONE)->known);
  assert_int_equal(synthetic_finding(&it, "availability")->verdict, VERDICT_PASS);
  synthetic_release(&it);
}

/* A moment of starvation used to make a whole run inconclusive, whatever its objectives. */
static void test_a_starved_outage_does_not_hide_a_longer_one(void **state) {
  struct synthetic it;
  const struct synthetic_span spans[] = {OK(0), DOWN(30), OK(31), DOWN(40), OK(45)};
  (void)state;
  synthetic_begin(&it, NULL);
  add_load(&it, OPERATION_WRITE, ROUTE_PRIMARY, 100, spans, COUNT(spans));
  synthetic_sample(&it, 30.9, METRIC_HARNESS_DELAY, HOST_NONE, 0.7);
  judge(&it);
  NEAR(synthetic_value_of(&it, "write_outage", FAULT_NONE), 5.002);
  assert_false(synthetic_measure(&it, "write_outage.sum", FAULT_NONE)->known);
  synthetic_release(&it);
}

static void test_a_short_delay_in_a_long_outage_does_not_matter(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  synthetic_sample(&it, 40, METRIC_HARNESS_DELAY, HOST_NONE, 0.5);
  judge(&it);
  NEAR(synthetic_value_of(&it, "write_outage", FAULT_NONE), 22.002);
  assert_int_equal(it.result.verdict, VERDICT_PASS);
  synthetic_release(&it);
}

static void test_without_load_nothing_is_available(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  judge(&it);
  assert_true(synthetic_measure(&it, "availability", FAULT_NONE)->not_applicable);
  assert_true(synthetic_measure(&it, "write_outage.sum", FAULT_NONE)->not_applicable);
  synthetic_release(&it);
}

/* Two workers were late at the same time; that time counts once: 2 s of 22 are less than a tenth.
 */
static void test_delays_of_two_workers_count_once(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 100);
  synthetic_sample(&it, 40, METRIC_HARNESS_DELAY, HOST_NONE, 0.5);
  synthetic_sample(&it, 40, METRIC_HARNESS_DELAY, HOST_NONE, 2);
  synthetic_sample(&it, 40, METRIC_HARNESS_DELAY, HOST_NONE, 1.9);
  judge(&it);
  NEAR(synthetic_value_of(&it, "write_outage", FAULT_NONE), 22.002);
  synthetic_release(&it);
}

/* --- against the definition, word by word ---------------------------------------------------- */

#define RANDOM_OPERATIONS 300
#define MINIMUM_NS (200 * NS_PER_MS)

static struct operation random_operation(struct prng *prng) {
  struct operation operation = {.kind = OPERATION_WRITE, .route = ROUTE_PRIMARY, .host = PG1};
  /* Crowded and sparse times, quick and hung operations, many that fail. */
  uint64_t part = prng_below(prng, 6) * 10;
  operation.scheduled_ns = SECONDS(10 + (double)part) + prng_below(prng, 10 * NS_PER_S);
  uint64_t latency_ns =
      prng_below(prng, 10) < 8 ? prng_below(prng, 20 * NS_PER_MS) : prng_below(prng, 15 * NS_PER_S);
  operation.sent_ns = operation.scheduled_ns;
  operation.done_ns = operation.scheduled_ns + latency_ns;
  operation.outcome = (prng_below(prng, 3) == 0 ? OUTCOME_UNKNOWN : OUTCOME_OK);
  return operation;
}

static int compare_times(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return a < b ? -1 : a > b;
}

/* All gaps between successes, and what was scheduled in each, the slow way. */
static uint32_t outages_by_definition(const struct operation *operations, struct interval *ret) {
  uint64_t successes[RANDOM_OPERATIONS + 2] = {SECONDS(10)};
  uint32_t count = 1, found = 0;
  for (uint32_t i = 0; i < RANDOM_OPERATIONS; i++)
    if (operations[i].outcome == OUTCOME_OK) successes[count++] = operations[i].done_ns;
  qsort(successes, count, sizeof *successes, compare_times);
  successes[count] = TIME_NEVER;
  for (uint32_t i = 0; i < count; i++) {
    uint64_t begin_ns = TIME_NEVER;
    for (uint32_t j = 0; j < RANDOM_OPERATIONS; j++) {
      uint64_t scheduled_ns = operations[j].scheduled_ns;
      if (scheduled_ns >= successes[i] && scheduled_ns < successes[i + 1] &&
          scheduled_ns < begin_ns)
        begin_ns = scheduled_ns;
    }
    uint64_t end_ns = successes[i + 1] == TIME_NEVER ? SECONDS(70) : successes[i + 1];
    if (begin_ns == TIME_NEVER || end_ns < begin_ns + MINIMUM_NS) continue;
    ret[found++] = (struct interval){.begin_ns = begin_ns, .end_ns = successes[i + 1]};
  }
  return found;
}

static void test_random_records_agree_with_the_definition(void **state) {
  struct prng prng;
  (void)state;
  prng_init(&prng, 7, "outages");
  for (int round = 0; round < 60; round++) {
    struct synthetic it;
    struct operation operations[RANDOM_OPERATIONS];
    struct interval expected[RANDOM_OPERATIONS + 1];
    synthetic_begin(&it, NULL);
    for (uint32_t i = 0; i < RANDOM_OPERATIONS; i++) {
      operations[i] = random_operation(&prng);
      synthetic_operation(&it, &operations[i]);
    }
    uint32_t count = outages_by_definition(operations, expected);
    judge(&it);
    const struct finding *finding = synthetic_finding(&it, "availability");
    assert_int_equal(finding->interval_count, count);
    for (uint32_t i = 0; i < count; i++) {
      assert_int_equal(finding->intervals[i].begin_ns, expected[i].begin_ns);
      assert_int_equal(finding->intervals[i].end_ns, expected[i].end_ns);
    }
    synthetic_release(&it);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_innocent),
      cmocka_unit_test(test_guilty_of_an_outage),
      cmocka_unit_test(test_absence_of_load_is_no_outage),
      cmocka_unit_test(test_one_stuck_client_is_no_outage),
      cmocka_unit_test(test_hung_operations_are_demand),
      cmocka_unit_test(test_late_successes_of_the_warmup_end_outages),
      cmocka_unit_test(test_flapping_gives_several_outages),
      cmocka_unit_test(test_an_outage_that_is_not_over_is_a_lower_bound),
      cmocka_unit_test(test_a_last_write_that_hangs_is_no_outage),
      cmocka_unit_test(test_pinned_and_replica_operations_do_not_count),
      cmocka_unit_test(test_an_outage_is_charged_though_it_begins_in_flight),
      cmocka_unit_test(test_an_outage_before_the_fault_is_nobodys),
      cmocka_unit_test(test_a_starved_harness_is_not_an_outage_of_the_cluster),
      cmocka_unit_test(test_a_starved_outage_does_not_hide_a_longer_one),
      cmocka_unit_test(test_a_short_delay_in_a_long_outage_does_not_matter),
      cmocka_unit_test(test_without_load_nothing_is_available),
      cmocka_unit_test(test_delays_of_two_workers_count_once),
      cmocka_unit_test(test_random_records_agree_with_the_definition),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
