/* Eviction: sessions that were gone before their time, and what a cache may lose. */
#include "checkers/checkers.h"
#include "support/synthetic.h"
#include "support/test.h"

#define TTL_MS 5000

static struct operation operation_at(enum operation_kind kind, double sent_s, uint32_t owner,
                                     uint64_t sequence) {
  return (struct operation){.scheduled_ns = SECONDS(sent_s),
                            .sent_ns = SECONDS(sent_s),
                            .done_ns = SECONDS(sent_s + 0.001),
                            .sequence = sequence,
                            .identity = owner,
                            .read_identity = owner,
                            .client = 3,
                            .kind = kind,
                            .outcome = OUTCOME_OK,
                            .route = ROUTE_PRIMARY,
                            .host = PG1,
                            .timeline = 1};
}

static void add(struct synthetic *it, const struct operation *operation) {
  if (operation->identity > it->identities) it->identities = operation->identity;
  synthetic_operation(it, operation);
}

/* A session of identity 1, to live for TTL_MS. */
static void write_session(struct synthetic *it, double sent_s, uint64_t sequence) {
  struct operation write = operation_at(OPERATION_WRITE, sent_s, 1, sequence);
  write.read_identity = TTL_MS;
  add(it, &write);
}

static void read_session(struct synthetic *it, double sent_s, uint64_t sequence, bool found) {
  struct operation read = operation_at(OPERATION_READ_KEY, sent_s, 1, sequence);
  read.value = found ? sequence : 0;
  add(it, &read);
}

static void write_entry(struct synthetic *it, double sent_s, uint64_t key, uint32_t ttl_ms) {
  struct operation write = operation_at(OPERATION_CACHE_WRITE, sent_s, 2, key);
  write.read_identity = ttl_ms;
  add(it, &write);
}

static void look_up(struct synthetic *it, double sent_s, uint64_t key, bool found) {
  struct operation read = operation_at(OPERATION_CACHE_READ, sent_s, 2, key);
  read.value = found ? key : 0;
  add(it, &read);
}

static void judge(struct synthetic *it) {
  synthetic_judge(it, &checker_eviction, NULL);
}

static double value_of(const struct synthetic *it, const char *name) {
  return synthetic_value_of(it, name, FAULT_NONE);
}

static void begin(struct synthetic *it, uint32_t faults) {
  struct synthetic_options options = synthetic_defaults;
  options.faults = faults;
  synthetic_begin(it, &options);
}

/* Sixty sessions, each read while it lives and once more when its time is over. */
static void add_sessions(struct synthetic *it, uint64_t lost) {
  for (uint64_t i = 1; i <= 55; i++) {
    double written_s = 10 + (double)i;
    write_session(it, written_s, i);
    read_session(it, written_s + 1, i, true);
    read_session(it, written_s + 2.25, i, i != lost);
    read_session(it, written_s + 4.5, i, i != lost);
    read_session(it, written_s + 6, i, false);
  }
}

static void test_sessions_that_live_their_time_are_innocent(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it, 0);
  add_sessions(&it, 0);
  judge(&it);
  NEAR(value_of(&it, "sessions_lost"), 0);
  NEAR(value_of(&it, "session_loss_ratio"), 0);
  NEAR(value_of(&it, "sessions_checked"), 3 * 55);
  NEAR(value_of(&it, "oom_errors"), 0);
  assert_null(synthetic_witness(&it, "session_lost"));
  assert_int_equal(it.result.verdict, VERDICT_PASS);
  synthetic_release(&it);
}

static void test_a_session_gone_before_its_time_is_lost_once(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it, 1);
  synthetic_fault(&it, 0, PG1, 30, 40);
  add_sessions(&it, 22);
  judge(&it);
  NEAR(value_of(&it, "sessions_lost"), 1);
  NEAR(synthetic_value_of(&it, "sessions_lost", 0), 1);
  NEAR(value_of(&it, "session_loss_ratio"), 1.0 / 55);
  NEAR(value_of(&it, "sessions_checked"), 3 * 55);
  assert_string_equal(synthetic_witness(&it, "session_lost"),
                      "session (identity 1, sequence 22), written at 32.001000 s to live until "
                      "37.000000 s, was found at 33.001000 s and was missing at 34.251000 s on "
                      "pg1");
  synthetic_release(&it);
}

/* What proves nothing: asked while it was being written, or so near to its end that the server may
 * have been right; never acknowledged; not answered. */
static void test_doubtful_reads_accuse_nobody(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it, 0);
  struct operation slow = operation_at(OPERATION_WRITE, 20, 1, 1);
  slow.done_ns = SECONDS(20.5);
  slow.read_identity = TTL_MS;
  add(&it, &slow);
  read_session(&it, 20.4, 1, false);
  read_session(&it, 24.96, 1, false);
  struct operation refused = operation_at(OPERATION_WRITE, 21, 1, 2);
  refused.outcome = OUTCOME_FAIL;
  refused.read_identity = TTL_MS;
  add(&it, &refused);
  read_session(&it, 22, 2, false);
  read_session(&it, 22, 0, false); /* there was none to ask for */
  write_session(&it, 23, 3);
  struct operation lost = operation_at(OPERATION_READ_KEY, 24, 1, 3);
  lost.outcome = OUTCOME_UNKNOWN;
  add(&it, &lost);
  read_session(&it, 25, 3, true);
  judge(&it);
  NEAR(value_of(&it, "sessions_lost"), 0);
  NEAR(value_of(&it, "sessions_checked"), 1);
  synthetic_release(&it);
}

static void test_sessions_that_nobody_could_check_are_unknown(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it, 0);
  write_session(&it, 20, 1);
  read_session(&it, 30, 1, false);
  judge(&it);
  assert_false(synthetic_measure(&it, "sessions_lost", FAULT_NONE)->known);
  assert_false(synthetic_measure(&it, "sessions_lost", FAULT_NONE)->not_applicable);
  synthetic_release(&it);
}

/* More than one table of keys takes: what is over goes, what lives stays known. */
static void test_a_long_run_forgets_only_what_is_over(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it, 0);
  for (uint64_t i = 1; i <= 20000; i++) {
    double written_s = 10 + (double)i * 0.0025;
    write_session(&it, written_s, i);
    read_session(&it, written_s + 4.5, i, i % 1000 != 0);
  }
  judge(&it);
  NEAR(value_of(&it, "sessions_lost"), 20);
  NEAR(value_of(&it, "sessions_checked"), 20000);
  synthetic_release(&it);
}

static void test_a_cache_may_lose_but_is_counted(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it, 0);
  look_up(&it, 19, 7, false); /* never written: a miss, and no eviction */
  write_entry(&it, 20, 7, 0);
  look_up(&it, 21, 7, true);
  look_up(&it, 22, 7, false);
  look_up(&it, 23, 7, false); /* the same eviction */
  write_entry(&it, 24, 7, 0);
  look_up(&it, 25, 7, false);
  write_entry(&it, 26, 8, 1000);
  look_up(&it, 26.5, 8, true);
  look_up(&it, 28, 8, false); /* its time was over */
  judge(&it);
  NEAR(value_of(&it, "cache_evicted"), 2);
  NEAR(value_of(&it, "hit_ratio"), 2.0 / 7);
  assert_true(synthetic_measure(&it, "sessions_lost", FAULT_NONE)->not_applicable);
  synthetic_release(&it);
}

/* 50 lookups a second, all found but in [miss_from_s, miss_to_s), where half are. */
static void add_lookups(struct synthetic *it, double miss_from_s, double miss_to_s) {
  for (uint32_t i = 0; i < 60 * 50; i++) {
    double sent_s = 10.01 + i * 0.02;
    look_up(it, sent_s, 1, sent_s < miss_from_s || sent_s >= miss_to_s || i % 2 == 0);
  }
}

static void refuse_at(struct synthetic *it, double sent_s) {
  struct operation write = operation_at(OPERATION_CACHE_WRITE, sent_s, 2, 9);
  write.outcome = OUTCOME_FAIL;
  write.code = code_pack(CODE_OUT_OF_MEMORY);
  add(it, &write);
}

static void test_recovery_ends_with_the_last_refusal(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it, 1);
  synthetic_fault(&it, 0, PG1, 30, 40);
  add_lookups(&it, 30, 40);
  for (int i = 0; i < 14; i++) refuse_at(&it, 30.2 + i);
  judge(&it);
  NEAR(value_of(&it, "oom_errors"), 14);
  EXPECT(&it, {"oom_errors", 0, 14}, {"memory_recovery_time", 0, 4});
  assert_string_equal(synthetic_witness(&it, "oom_error"),
                      "a cache_write of client 3 was refused by pg1 at 30.201000 s for want of "
                      "memory");
  synthetic_release(&it);
}

static void test_recovery_waits_for_the_cache(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it, 1);
  synthetic_fault(&it, 0, PG1, 30, 40);
  add_lookups(&it, 30, 46);
  judge(&it);
  EXPECT(&it, {"memory_recovery_time", 0, 6}, {"hit_ratio", 0, 32.0 / 40});
  synthetic_release(&it);
}

static void test_recovery_that_does_not_come_is_a_floor(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it, 1);
  synthetic_fault(&it, 0, PG1, 30, 40);
  add_lookups(&it, 30, 99);
  judge(&it);
  const struct measure *measure = synthetic_measure(&it, "memory_recovery_time", 0);
  assert_false(measure->known);
  assert_true(measure->floor);
  NEAR(measure->value, 30);
  synthetic_release(&it);
}

static void test_counters_of_servers(void **state) {
  static const double evicted[] = {0, 5, 9, 2}, failed[] = {0, 1, 1, 0, 1};
  struct synthetic it;
  (void)state;
  begin(&it, 0);
  add_sessions(&it, 0);
  for (size_t i = 0; i < COUNT(evicted); i++) /* started again before the last */
    synthetic_sample(&it, 20 + (double)i, METRIC_EVICTED_KEYS, PG1, evicted[i]);
  for (size_t i = 0; i < COUNT(failed); i++)
    synthetic_sample(&it, 20 + (double)i, METRIC_SNAPSHOT_FAILED, PG1, failed[i]);
  judge(&it);
  NEAR(value_of(&it, "evicted_keys"), 11);
  NEAR(value_of(&it, "snapshot_failures"), 2);
  assert_string_equal(synthetic_witness(&it, "snapshot_failure"),
                      "pg1 said at 21.000000 s that its last snapshot could not be made");
  synthetic_release(&it);
}

static void test_a_ledger_keeps_no_sessions(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it, 1);
  synthetic_crash(&it, 100);
  judge(&it);
  for (const char *const *name = checker_eviction.measures; *name; name++)
    assert_true(synthetic_measure(&it, *name, FAULT_NONE)->not_applicable);
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sessions_that_live_their_time_are_innocent),
      cmocka_unit_test(test_a_session_gone_before_its_time_is_lost_once),
      cmocka_unit_test(test_doubtful_reads_accuse_nobody),
      cmocka_unit_test(test_sessions_that_nobody_could_check_are_unknown),
      cmocka_unit_test(test_a_long_run_forgets_only_what_is_over),
      cmocka_unit_test(test_a_cache_may_lose_but_is_counted),
      cmocka_unit_test(test_recovery_ends_with_the_last_refusal),
      cmocka_unit_test(test_recovery_waits_for_the_cache),
      cmocka_unit_test(test_recovery_that_does_not_come_is_a_floor),
      cmocka_unit_test(test_counters_of_servers),
      cmocka_unit_test(test_a_ledger_keeps_no_sessions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
