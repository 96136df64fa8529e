/* What a database behind a cache went through, held against records in which it is known. */
#include "checkers/checkers.h"
#include "support/synthetic.h"
#include "support/test.h"

#define DATABASE PG2

static void add(struct synthetic *it, const struct operation *given) {
  struct operation operation = *given;
  operation.identity = 1;
  operation.route = ROUTE_PRIMARY;
  synthetic_operation(it, &operation);
}

static void add_read(struct synthetic *it, double at_s, double latency_s, uint32_t key,
                     enum cache_source source) {
  const struct operation operation = {.kind = OPERATION_READ_NEWEST,
                                      .scheduled_ns = SECONDS(at_s),
                                      .sent_ns = SECONDS(at_s) + 1000,
                                      .done_ns = SECONDS(at_s + latency_s),
                                      .read_identity = key,
                                      .sequence = source,
                                      .outcome = source == CACHE_NONE ? OUTCOME_FAIL : OUTCOME_OK,
                                      .host = PG1};
  add(it, &operation);
}

static void add_call(struct synthetic *it, double at_s, double takes_s, uint32_t key) {
  const struct operation operation = {.kind = OPERATION_ORIGIN,
                                      .scheduled_ns = SECONDS(at_s),
                                      .sent_ns = SECONDS(at_s),
                                      .done_ns = SECONDS(at_s + takes_s),
                                      .read_identity = key,
                                      .host = DATABASE};
  add(it, &operation);
}

static void add_refused(struct synthetic *it, double at_s, uint32_t key) {
  const struct operation operation = {.kind = OPERATION_ORIGIN,
                                      .scheduled_ns = SECONDS(at_s),
                                      .done_ns = SECONDS(at_s + 0.01),
                                      .read_identity = key,
                                      .outcome = OUTCOME_FAIL,
                                      .code = code_pack(CODE_TOO_MANY),
                                      .host = HOST_NONE};
  add(it, &operation);
}

/* A hundred reads a second that the cache answers within a millisecond. */
static void hits(struct synthetic *it, double from_s, double to_s) {
  int count = (int)((to_s - from_s) * 100 + 0.5);
  for (int i = 0; i < count; i++) add_read(it, from_s + i * 0.01, 0.001, 1, CACHE_HIT);
}

static void begin(struct synthetic *it) {
  synthetic_begin(it, NULL);
  synthetic_fault(it, 0, PG1, 30, 30.001);
}

static void judge(struct synthetic *it) {
  synthetic_judge(it, &checker_stampede, NULL);
}

/* Two keys are gone at 30 s. For half a second every read misses and calls, each call takes 0.4 s;
 * then all is as before. */
static void test_guilty_every_read_calls(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it);
  hits(&it, 10, 30);
  for (int i = 0; i < 50; i++) {
    add_read(&it, 30 + i * 0.01, 0.4, 1 + (uint32_t)i % 2, CACHE_MISS);
    add_call(&it, 30 + i * 0.01, 0.4, 1 + (uint32_t)i % 2);
  }
  add_refused(&it, 30.2, 2);
  hits(&it, 30.5, 70);
  judge(&it);
  /* The last one may fall into the first second that is as before: one miss in a hundred. */
  EXPECT(&it, {"origin_calls", 0, 50}, {"origin_amplification", 0, 25},
         {"origin_concurrency", 0, 40}, {"origin_concurrency.later", 0, 1},
         {"origin_refused", 0, 1}, {"origin_failed", 0, 1}, {"hit_ratio.before", 0, 1},
         {"hit_ratio.worst", 0, 0});
  assert_true(synthetic_value_of(&it, "hit_ratio.after", 0) > 0.998);
  double recovery_s = synthetic_value_of(&it, "cache_recovery_time", 0);
  assert_true(recovery_s > 0.4 && recovery_s < 0.61); /* its grid is 0.1 s */
  NEAR(synthetic_value_of(&it, "cache_latency.max", 0), 0.4);
  assert_non_null(strstr(synthetic_witness(&it, "stampede"), "called 50 times for 2 keys"));
  assert_non_null(strstr(synthetic_witness(&it, "stampede"), "at most 40 at a time"));
  synthetic_release(&it);
}

/* One read makes the key, the others wait for it. */
static void test_innocent_one_call(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it);
  hits(&it, 10, 30);
  add_call(&it, 30.001, 0.4, 1);
  add_read(&it, 30, 0.401, 1, CACHE_MISS);
  for (int i = 1; i < 40; i++) add_read(&it, 30 + i * 0.01, 0.401 - i * 0.01, 1, CACHE_WAITED);
  hits(&it, 30.4, 70);
  judge(&it);
  EXPECT(&it, {"origin_amplification", 0, 1}, {"origin_concurrency", 0, 1},
         {"origin_refused", 0, 0}, {"hit_ratio.worst", 0, 0}); /* who waited had no hit */
  synthetic_release(&it);
}

/* Values beyond their time are hits, and counted. */
static void test_innocent_stale_values(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it);
  hits(&it, 10, 30);
  add_call(&it, 30.001, 0.2, 1);
  for (int i = 0; i < 20; i++) add_read(&it, 30 + i * 0.01, 0.001, 1, CACHE_STALE);
  hits(&it, 30.2, 70);
  judge(&it);
  EXPECT(&it, {"stale_reads", 0, 20}, {"hit_ratio.worst", 0, 1}, {"cache_recovery_time", 0, 0});
  synthetic_release(&it);
}

/* The keys that were made together expire together. */
static void test_guilty_echo(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it);
  hits(&it, 10, 30);
  add_call(&it, 30.001, 0.2, 1);
  add_read(&it, 30, 0.201, 1, CACHE_MISS);
  for (int i = 1; i < 20; i++) add_read(&it, 30 + i * 0.01, 0.201 - i * 0.01, 1, CACHE_WAITED);
  hits(&it, 30.2, 45);
  for (int i = 0; i < 30; i++) add_call(&it, 45 + i * 0.001, 0.2, 1);
  for (int i = 0; i < 30; i++) add_read(&it, 45 + i * 0.001, 0.2, 1, CACHE_MISS);
  hits(&it, 45.2, 70);
  judge(&it);
  EXPECT(&it, {"origin_concurrency", 0, 1}, {"origin_concurrency.later", 0, 30});
  synthetic_release(&it);
}

static void test_a_cache_that_never_comes_back(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it);
  hits(&it, 10, 30);
  for (int i = 0; i < 4000; i++) add_read(&it, 30 + i * 0.01, 0.1, 1, CACHE_BYPASS);
  for (int i = 0; i < 4000; i++) add_call(&it, 30 + i * 0.01, 0.1, 1);
  judge(&it);
  const struct measure *recovery = synthetic_measure(&it, "cache_recovery_time", 0);
  assert_true(!recovery->known && recovery->floor);
  NEAR(recovery->value, 40);
  /* Half of a stampede met an objective on the whole. */
  static const char *const floors[] = {"origin_calls", "origin_concurrency", "cache_latency.max"};
  static const char *const unknown[] = {"origin_amplification", "origin_concurrency.later",
                                        "hit_ratio.worst",      "hit_ratio.after",
                                        "cache_latency.p50",    "cache_latency.p99"};
  for (size_t i = 0; i < sizeof floors / sizeof floors[0]; i++) {
    const struct measure *measure = synthetic_measure(&it, floors[i], 0);
    assert_true(!measure->known && measure->floor && measure->value > 0);
  }
  for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
    const struct measure *measure = synthetic_measure(&it, unknown[i], 0);
    assert_true(!measure->known && !measure->floor && !measure->not_applicable);
  }
  synthetic_release(&it);
}

static void test_too_few_reads_say_nothing(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it);
  for (int i = 0; i < 10; i++) add_read(&it, 20 + i, 0.001, 1, CACHE_HIT);
  hits(&it, 31, 70);
  judge(&it);
  const struct measure *measure = synthetic_measure(&it, "origin_amplification", 0);
  assert_false(measure->known);
  assert_false(measure->not_applicable);
  synthetic_release(&it);
}

/* Reads of a ledger have no source. */
static void test_does_not_apply_without_a_cache(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it);
  for (int i = 0; i < 4000; i++) add_read(&it, 10 + i * 0.01, 0.001, 1, CACHE_NONE);
  judge(&it);
  assert_true(synthetic_measure(&it, "origin_amplification", FAULT_NONE)->not_applicable);
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_guilty_every_read_calls),
      cmocka_unit_test(test_innocent_one_call),
      cmocka_unit_test(test_innocent_stale_values),
      cmocka_unit_test(test_guilty_echo),
      cmocka_unit_test(test_a_cache_that_never_comes_back),
      cmocka_unit_test(test_too_few_reads_say_nothing),
      cmocka_unit_test(test_does_not_apply_without_a_cache),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
