/* Two services in one run: pg1 pg2 pg3 with workload 0, and Redis on pg4 pg5 with workload 1. Each
 * is judged by itself. */
#include <string.h>

#include "checkers/checkers.h"
#include "support/synthetic.h"
#include "support/test.h"

#define REDIS1 3
#define REDIS2 4

static void begin(struct synthetic *it, uint32_t faults) {
  struct synthetic_options options = synthetic_defaults;
  options.hosts = 5;
  options.redis_from = REDIS1;
  options.faults = faults;
  synthetic_begin(it, &options);
  synthetic_role(it, 5, PG1, ROLE_PRIMARY);
  synthetic_role(it, 5, PG2, ROLE_REPLICA);
  synthetic_role(it, 5, PG3, ROLE_REPLICA);
  synthetic_role(it, 5, REDIS1, ROLE_PRIMARY);
  synthetic_role(it, 5, REDIS2, ROLE_REPLICA);
}

static void add_writes_at(struct synthetic *it, uint8_t workload, double rate,
                          const struct synthetic_span *spans, uint32_t count) {
  const struct synthetic_load load = {.client = (uint16_t)(1 + workload),
                                      .workload = workload,
                                      .rate = rate,
                                      .spans = spans,
                                      .span_count = count};
  synthetic_add_load(it, &load);
}

static void add_writes(struct synthetic *it, uint8_t workload, const struct synthetic_span *spans,
                       uint32_t count) {
  add_writes_at(it, workload, 50, spans, count);
}

static struct synthetic_span ok_on(double from_s, uint16_t host, uint32_t timeline) {
  return (struct synthetic_span){.from_s = from_s,
                                 .outcome = OUTCOME_OK,
                                 .latency_s = 0.002,
                                 .host = host,
                                 .timeline = timeline,
                                 .rows = host < REDIS1 ? ALL_HOSTS : 1u << REDIS1 | 1u << REDIS2};
}

static void postgres_well(struct synthetic *it) {
  const struct synthetic_span span = ok_on(0, PG1, 1);
  add_writes(it, 0, &span, 1);
}

/* Its primary crashes at 30 s, the other serves from 40 s. */
static void redis_crash(struct synthetic *it) {
  const struct synthetic_span spans[] = {ok_on(0, REDIS1, 1), DOWN(30), ok_on(40, REDIS2, 2)};
  add_writes(it, 1, spans, 3);
  synthetic_role(it, 31, REDIS1, ROLE_NONE);
  synthetic_event(it, 35, EVENT_LEADER_LOST, FAULT_NONE, REDIS1, 0, "");
  synthetic_role(it, 39, REDIS2, ROLE_PRIMARY);
  synthetic_event(it, 39, EVENT_PROMOTED, FAULT_NONE, REDIS2, 2, "");
  synthetic_role(it, 62, REDIS1, ROLE_REPLICA);
}

/* PostgreSQL is well, Redis fails over, and the one fault is of `host` at that time. */
static void begin_failover(struct synthetic *it, uint16_t host, double at_s) {
  begin(it, 1);
  postgres_well(it);
  redis_crash(it);
  synthetic_fault(it, 0, host, at_s, 60);
}

static void judge(struct synthetic *it) {
  synthetic_judge(it, NULL, NULL);
}

static void test_each_service_has_its_primary(void **state) {
  struct synthetic it;
  (void)state;
  begin_failover(&it, REDIS1, 30);
  judge(&it);
  const struct record_info *info = &it.record.info;
  assert_int_equal(info->service_count, 2);
  assert_string_equal(info->services[1], "redis");
  assert_int_equal(info->workload_count, 2);
  assert_int_equal(info->workloads[1].service, 1);
  assert_int_equal(info->set_count, 2);
  assert_string_equal(info->sets[0].name, "postgres");
  assert_int_equal(info->sets[0].final_primary, PG1);
  assert_int_equal(info->sets[1].final_primary, REDIS2);
  assert_int_equal(info->final_primary, HOST_NONE);
  assert_int_equal(info->faults[0].set, 1);
  EXPECT(&it, {"dual_primary", FAULT_NONE, 0}, {"data_loss", FAULT_NONE, 0},
         {"diverged", FAULT_NONE, 0}, {"write_outage", FAULT_NONE, 10.002},
         {"availability.writes", FAULT_NONE, 50.0 / 60}, {"availability", FAULT_NONE, 50.0 / 60},
         {"failover_time", 0, 10.002}, {"detection_time", 0, 5}, {"promotion_time", 0, 9});
  assert_string_equal(synthetic_witness(&it, "write_outage"),
                      "writes of redis were scheduled from 30.000000 s on, and the next success "
                      "came at 40.002000 s, 10.002 s later");
  assert_int_equal(it.result.verdict, VERDICT_PASS);
  synthetic_release(&it);
}

/* Ten seconds of slow writes are a sixth of those of PostgreSQL and less than a hundredth of all.
 */
static void test_quick_answers_of_one_service_do_not_hide_the_others(void **state) {
  struct synthetic it;
  const struct synthetic_span quick = ok_on(0, REDIS1, 1);
  struct synthetic_span spans[] = {ok_on(0, PG1, 1), ok_on(30, PG1, 1), ok_on(40, PG1, 1)};
  (void)state;
  spans[1].latency_s = 1.5;
  begin(&it, 0);
  add_writes(&it, 0, spans, COUNT(spans));
  add_writes_at(&it, 1, 1000, &quick, 1);
  judge(&it);
  assert_in_range(synthetic_value_of(&it, "write_latency.p99", FAULT_NONE) * 1000, 1480, 1520);
  assert_in_range(synthetic_value_of(&it, "write_latency.p50", FAULT_NONE) * 1000, 1, 3);
  /* Less the second and a half in which nothing was answered: an outage. */
  NEAR(synthetic_value_of(&it, "brownout", FAULT_NONE), 8.5);
  synthetic_release(&it);
}

/* PostgreSQL is hit and not disturbed, while Redis fails over for reasons of its own. */
static void test_a_failover_of_the_other_service_is_not_this_faults(void **state) {
  struct synthetic it;
  (void)state;
  begin_failover(&it, PG3, 29.99);
  judge(&it);
  NEAR(synthetic_value_of(&it, "failover_time", 0), 0);
  assert_true(synthetic_measure(&it, "promotion_time", 0)->not_applicable);
  assert_true(synthetic_measure(&it, "detection_time", 0)->not_applicable);
  synthetic_release(&it);
}

static void redundant(struct synthetic *it, double time_s, int service, bool redundant) {
  const struct event event = {.time_ns = SECONDS(time_s),
                              .kind = EVENT_REDUNDANT,
                              .fault = FAULT_NONE,
                              .host = HOST_NONE,
                              .number = redundant,
                              .number2 = service};
  it->sink->event(it->sink, &event);
}

static void test_redundancy_is_that_of_the_service(void **state) {
  struct synthetic it;
  (void)state;
  begin_failover(&it, REDIS1, 30);
  redundant(&it, 6, 1, true);
  redundant(&it, 6, 2, true);
  redundant(&it, 31, 2, false);
  redundant(&it, 33, 1, false);
  redundant(&it, 36, 1, true); /* the other's */
  redundant(&it, 64, 2, true);
  judge(&it);
  NEAR(synthetic_value_of(&it, "time_to_full_redundancy", 0), 34);
  synthetic_release(&it);
}

/* Looks at Redis, which knows no synchronous replicas, fall between those at PostgreSQL. */
static void test_a_synchronous_replica_is_not_missed_by_the_other_service(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it, 0);
  postgres_well(&it);
  for (uint32_t i = 0; i < 60; i++) {
    synthetic_sample(&it, 10 + i, METRIC_STREAMING, PG2, 1);
    synthetic_sample(&it, 10 + i, METRIC_SYNC_STATE, PG2, 2);
    synthetic_sample(&it, 10.5 + i, METRIC_STREAMING, REDIS2, 1);
  }
  judge(&it);
  NEAR(synthetic_value_of(&it, "sync_degraded", FAULT_NONE), 0);
  synthetic_release(&it);
}

/* Redis lost what PostgreSQL never had. */
static void test_rows_are_compared_within_a_service(void **state) {
  struct synthetic it;
  (void)state;
  begin_failover(&it, REDIS1, 30);
  synthetic_remove_row(&it, REDIS1, 2, 1000);
  synthetic_remove_row(&it, REDIS2, 2, 1000);
  synthetic_remove_row(&it, PG2, 1, 5);
  judge(&it);
  EXPECT(&it, {"data_loss", FAULT_NONE, 1}, {"diverged", FAULT_NONE, 1});
  assert_true(synthetic_measure(&it, "misplaced", FAULT_NONE)->not_applicable);
  assert_non_null(
      strstr(synthetic_witness(&it, "lost"), "is on none of the 2 hosts of redis read"));
  assert_non_null(strstr(synthetic_witness(&it, "diverged"), "is on 2 of 3 hosts"));
  synthetic_release(&it);
}

/* A cache may forget: nobody looks for what was written to it. */
static void test_what_is_not_read_back_is_not_missed(void **state) {
  struct synthetic it;
  const struct synthetic_span span = OK_ON(0, REDIS1, 1);
  (void)state;
  for (int unread = 0; unread <= 1; unread++) {
    begin(&it, 0);
    it.options.redis_unread = unread;
    postgres_well(&it);
    add_writes(&it, 1, &span, 1);
    judge(&it);
    NEAR(synthetic_value_of(&it, "data_loss", FAULT_NONE), unread ? 0 : 3000);
    synthetic_release(&it);
  }
}

static void test_load_is_needed_on_the_service_that_was_hit(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it, 1);
  postgres_well(&it);
  synthetic_fault(&it, 0, REDIS1, 30, 60);
  judge(&it);
  assert_string_equal(synthetic_finding(&it, "load")->why,
                      "too little load: 0 operations on redis were acknowledged before fault-0 "
                      "(fault 0, on pg4), and 10 are the least to go by");
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_service_has_its_primary),
      cmocka_unit_test(test_quick_answers_of_one_service_do_not_hide_the_others),
      cmocka_unit_test(test_a_failover_of_the_other_service_is_not_this_faults),
      cmocka_unit_test(test_redundancy_is_that_of_the_service),
      cmocka_unit_test(test_a_synchronous_replica_is_not_missed_by_the_other_service),
      cmocka_unit_test(test_rows_are_compared_within_a_service),
      cmocka_unit_test(test_what_is_not_read_back_is_not_missed),
      cmocka_unit_test(test_load_is_needed_on_the_service_that_was_hit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
