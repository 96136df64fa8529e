/* Clients of the load in virtual time, against a database in memory: the schedule, and how a load
 * ends. Trouble is in test_load_client_trouble.c. */
#include "support/load_bench.h"
#include "support/test.h"

#define SEED LOAD_BENCH_SEED
#define MS NS_PER_MS

/* --- schedule -------------------------------------------------------------------------------- */

static struct load_bench *run_for_schedule(uint64_t seed, bool trouble, bool poisson) {
  struct load_bench *bench = load_bench_new(4, 400);
  bench->config.read_ratio = 0.3;
  bench->config.classes[0].poisson = poisson;
  load_bench_start(bench, seed);
  load_bench_run(bench, NS_PER_S);
  if (trouble) {
    bench->database.stalled = bench->database.down = true;
    load_bench_run(bench, 3 * NS_PER_S);
    bench->database.stalled = bench->database.down = false;
    load_bench_run(bench, NS_PER_S);
  } else {
    load_bench_run(bench, 4 * NS_PER_S);
  }
  load_bench_finish(bench);
  load_bench_sort(bench);
  return bench;
}

static bool same_schedule(const struct load_bench *a, const struct load_bench *b) {
  if (a->count != b->count) return false;
  for (uint32_t i = 0; i < a->count; i++) {
    const struct operation *x = &a->operations[i], *y = &b->operations[i];
    if (x->scheduled_ns != y->scheduled_ns || x->client != y->client || x->kind != y->kind) {
      return false;
    }
  }
  return true;
}

static void test_schedule_depends_on_the_seed_alone(void **state) {
  (void)state;
  for (int poisson = 0; poisson <= 1; poisson++) {
    struct load_bench *calm = run_for_schedule(SEED, false, poisson);
    struct load_bench *troubled = run_for_schedule(SEED, true, poisson);
    struct load_bench *other = run_for_schedule(SEED + 1, false, poisson);
    assert_true(troubled->group.counters.ok < calm->group.counters.ok);
    assert_true(same_schedule(calm, troubled));
    assert_false(same_schedule(calm, other));
    load_bench_free(calm);
    load_bench_free(troubled);
    load_bench_free(other);
  }
}

static void test_even_gaps_are_even_and_the_rate_is_kept(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(3, 300);
  load_bench_start(bench, SEED);
  load_bench_run(bench, 10 * NS_PER_S);
  load_bench_finish(bench);
  load_bench_sort(bench);
  assert_in_range(bench->count, 2997, 3003);
  uint64_t last[3] = {0};
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    uint64_t *before = &last[operation->client];
    if (*before) assert_in_range(operation->scheduled_ns - *before, 10 * MS - 1, 10 * MS + 1);
    *before = operation->scheduled_ns;
    assert_int_equal(operation->workload, 3);
  }
  load_bench_free(bench);
}

static void test_the_shard_of_the_key_is_recorded(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(3, 300);
  bench->database.shard = 2;
  load_bench_start(bench, SEED);
  load_bench_run(bench, NS_PER_S);
  load_bench_finish(bench);
  assert_true(bench->count > 200);
  for (uint32_t i = 0; i < bench->count; i++)
    if (bench->operations[i].outcome == OUTCOME_OK) assert_int_equal(bench->operations[i].shard, 2);
  load_bench_free(bench);
}

static void test_random_gaps_have_the_right_mean(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(2, 500);
  bench->config.classes[0].poisson = true;
  load_bench_start(bench, SEED);
  load_bench_run(bench, 60 * NS_PER_S);
  load_bench_finish(bench);
  /* 30,000 expected, standard deviation 173: four of them. */
  assert_in_range(bench->count, 29300, 30700);
  load_bench_free(bench);
}

static void test_latency_counts_from_the_schedule_when_the_server_stalls(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(1, 100);
  load_bench_start(bench, SEED);
  load_bench_run(bench, NS_PER_S);
  bench->database.stalled = true;
  uint64_t stall_ns = bench->time.now_ns - bench->start_ns;
  load_bench_run(bench, NS_PER_S);
  bench->database.stalled = false;
  uint64_t end_ns = bench->time.now_ns - bench->start_ns;
  fake_session_go_on(bench->group.clients[0].client.session);
  load_bench_run(bench, NS_PER_S);
  load_bench_finish(bench);
  uint32_t during = 0;
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    assert_int_equal(operation->outcome, OUTCOME_OK);
    if (operation->scheduled_ns < stall_ns || operation->scheduled_ns >= end_ns) continue;
    during++;
    uint64_t latency_ns = operation->done_ns - operation->scheduled_ns;
    assert_true(latency_ns >= end_ns - operation->scheduled_ns);
  }
  assert_in_range(during, 99, 101); /* a closed loop would have seen one */
  load_bench_free(bench);
}

static void test_late_timers_become_a_sample(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(1, 10);
  load_bench_start(bench, SEED);
  load_bench_run(bench, 1500 * MS);
  assert_int_equal(bench->last_sample[METRIC_HARNESS_DELAY] * 1e9, 0);
  bench->time.now_ns += 300 * MS; /* the harness did not run */
  load_bench_run(bench, NS_PER_S);
  assert_true(bench->last_sample[METRIC_HARNESS_DELAY] > 0.2);
  load_bench_run(bench, NS_PER_S);
  assert_true(bench->last_sample[METRIC_HARNESS_DELAY] < 0.001);
  load_bench_finish(bench);
  assert_in_range(bench->count, 37, 39); /* nothing was left out */
  load_bench_free(bench);
}

/* --- the end --------------------------------------------------------------------------------- */

static void test_always_on_goes_on_until_the_stop(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(2, 100);
  bench->config.classes[1] = (struct client_class){
      .name = "heartbeat", .count = 1, .rate = 10, .host = HOST_NONE, .always_on = true};
  load_bench_start(bench, SEED);
  load_bench_run(bench, NS_PER_S);
  uint64_t end_ns = bench->time.now_ns;
  load_group_end(&bench->group, end_ns);
  load_bench_run(bench, 5 * NS_PER_S);
  assert_true(bench->drained);
  load_bench_finish(bench);
  uint32_t writes = 0, beats = 0;
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    if (operation->kind == OPERATION_HEARTBEAT_WRITE) {
      beats++;
    } else {
      writes++;
      assert_true(operation->scheduled_ns < end_ns - bench->start_ns);
    }
  }
  assert_in_range(writes, 98, 102);
  assert_in_range(beats, 59, 61);
  load_bench_free(bench);
}

static void test_drain_waits_for_the_last_answer(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(4, 400);
  load_bench_start(bench, SEED);
  load_bench_run(bench, 500 * MS);
  bench->database.stalled = true;
  load_bench_run(bench, 100 * MS);
  load_group_end(&bench->group, bench->time.now_ns);
  load_bench_run(bench, 100 * MS);
  assert_false(bench->drained);
  assert_true(bench->group.counters.outstanding > 0);
  load_bench_run(bench, 3 * NS_PER_S);
  assert_true(bench->drained);
  assert_int_equal(bench->group.counters.outstanding, 0);
  load_bench_finish(bench);
  load_bench_free(bench);
}

static void test_saturating_clients_are_a_closed_loop(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(2, 0);
  bench->config.classes[0].saturate = true;
  load_bench_start(bench, SEED);
  load_bench_run(bench, NS_PER_S);
  bench->database.down = true;
  for (uint32_t i = 0; i < 2; i++) fake_session_break(bench->group.clients[i].client.session);
  load_bench_run(bench, NS_PER_S);
  bench->database.down = false;
  load_bench_run(bench, NS_PER_S);
  load_bench_finish(bench);
  assert_in_range(load_bench_count(bench, OUTCOME_OK, NULL), 3890, 4010);
  assert_int_equal(load_bench_count(bench, OUTCOME_UNKNOWN, NULL), 2);
  assert_int_equal(bench->group.counters.skipped + bench->group.counters.fail, 0);
  load_bench_free(bench);
}

static void test_too_many_clients_are_refused(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(10, 100);
  bench->config.classes[1] =
      (struct client_class){.name = "more", .count = CLIENTS_MAX - 9, .rate = 1};
  struct workload_env env = {.workload = &fake_workload, .config = &bench->config};
  struct error err = ERROR_INIT;
  assert_int_equal(load_roster_init(&bench->roster, &env, 1, &err), STATUS_USAGE);
  assert_non_null(strstr(err.message, "more than 1048576 clients"));
  load_bench_free(bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_schedule_depends_on_the_seed_alone),
      cmocka_unit_test(test_even_gaps_are_even_and_the_rate_is_kept),
      cmocka_unit_test(test_the_shard_of_the_key_is_recorded),
      cmocka_unit_test(test_random_gaps_have_the_right_mean),
      cmocka_unit_test(test_latency_counts_from_the_schedule_when_the_server_stalls),
      cmocka_unit_test(test_late_timers_become_a_sample),
      cmocka_unit_test(test_always_on_goes_on_until_the_stop),
      cmocka_unit_test(test_drain_waits_for_the_last_answer),
      cmocka_unit_test(test_saturating_clients_are_a_closed_loop),
      cmocka_unit_test(test_too_many_clients_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
