/* The n-th allocation fails, for every n, while a record is written, opened and judged: an error or
 * an unknown verdict, never a crash and never a pass. */
#include "allocations.h"
#include "support/synthetic.h"

static int make_recorder(void *data, struct error *err) {
  const struct synthetic *it = data;
  struct recorder *recorder = NULL;
  int status = recorder_new(&(struct recorder_spec){.run_directory = it->directory,
                                                    .clock = &clock_monotonic,
                                                    .start_ns = 0,
                                                    .wall_start_ns = 0,
                                                    .producers = 2,
                                                    .ring_count = 16},
                            &recorder, err);
  recorder_free(recorder);
  return status;
}

static void test_recorder(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  fail_each_allocation(make_recorder, &it);
  synthetic_release(&it);
}

static int open_record(void *data, struct error *err) {
  const struct synthetic *it = data;
  struct record record;
  int status = record_open(it->directory, &record, err);
  if (status == 0) record_close(&record);
  return status;
}

/* Everything that some checker keeps memory for. */
static void make_rich(struct synthetic *it) {
  static const struct synthetic_span stale = {
      .outcome = OUTCOME_OK, .latency_s = 0.002, .host = PG1, .timeline = 1, .rows = 1};
  const struct synthetic_load loads[] = {
      {.kind = OPERATION_WRITE, .route = ROUTE_PINNED, .rate = 5, .from_s = 53, .to_s = 54},
      {.kind = OPERATION_READ_NEWEST, .route = ROUTE_REPLICA, .rate = 1, .from_s = 53, .to_s = 55},
      {.kind = OPERATION_READ_OWN, .route = ROUTE_PRIMARY, .rate = 1, .from_s = 11, .to_s = 15},
      {.kind = OPERATION_HEARTBEAT_WRITE,
       .route = ROUTE_PRIMARY,
       .rate = 1,
       .from_s = 11,
       .to_s = 15},
      {.kind = OPERATION_HEARTBEAT_READ,
       .route = ROUTE_REPLICA,
       .rate = 1,
       .from_s = 53,
       .to_s = 55}};
  synthetic_crash(it, 10);
  for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
    struct synthetic_load load = loads[i];
    load.spans = &stale;
    load.span_count = 1;
    synthetic_add_load(it, &load);
  }
  synthetic_sample(it, 20, METRIC_HARNESS_DELAY, HOST_NONE, 0.2);
  synthetic_sample(it, 20, METRIC_LAG_BYTES, PG2, 100);
  synthetic_sample(it, 20, METRIC_SYNC_STATE, PG2, 2);
  synthetic_sample(it, 21, METRIC_SYNC_STATE, PG2, 0);
  synthetic_finish(it);
}

static void test_opening(void **state) {
  struct synthetic it;
  (void)state;
  synthetic_begin(&it, NULL);
  make_rich(&it);
  fail_each_allocation(open_record, &it);
  synthetic_release(&it);
}

/* Judges with the n-th allocation failing. Returns whether one failed. */
static bool judge_once(const struct synthetic *it, long n) {
  struct error err = ERROR_INIT;
  struct run_result result;
  struct arena arena;
  arena_init(&arena, 0);
  allocations_left = n;
  int status = judge_run(&it->record, NULL, checkers, &arena, &result, &err);
  bool failed = n >= 0 && allocations_left < 0;
  allocations_left = -1;
  if (status < 0)
    assert_int_equal(status, STATUS_MEMORY);
  else if (failed)
    assert_int_not_equal(result.verdict, VERDICT_PASS);
  arena_release(&arena);
  return failed;
}

static void test_judging(void **state) {
  struct synthetic it;
  long n = 0;
  (void)state;
  synthetic_begin(&it, NULL);
  make_rich(&it);
  while (judge_once(&it, n)) n++;
  assert_true(n > 50);
  synthetic_release(&it);
}

/* A run that passes when memory is there must not pass when it is not. */
static void test_no_memory_is_no_pass(void **state) {
  struct synthetic it;
  long n = 0;
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 10);
  synthetic_judge(&it, NULL, NULL);
  assert_int_equal(it.result.verdict, VERDICT_PASS);
  while (judge_once(&it, n)) n++;
  assert_true(n > 50);
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_recorder),
      cmocka_unit_test(test_opening),
      cmocka_unit_test(test_judging),
      cmocka_unit_test(test_no_memory_is_no_pass),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
