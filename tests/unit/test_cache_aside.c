/* cache-aside and operations of several steps, in virtual time against a cache and a database in
 * memory: the calls of the database are counted there, and must be those in the record. */
#include <math.h>

#include "support/fake_cache.h"
#include "support/load_bench.h"
#include "support/test.h"
#include "workload/cache_aside.h"
#include "workload/cache_process.h"

#define MS NS_PER_MS
#define KEYS 4
#define CLIENTS 200
#define RATE 400.0
#define COST (200 * MS)

struct bench {
  struct load_bench *load;
  struct fake_server cache, database;
  struct access cache_access, database_access;
  struct service_instance service;
  struct cache_aside_config config;
  struct host hosts[2];
  const struct host *client_hosts[2];
};

static void bench_init(struct bench *bench, enum cache_mitigation mitigation) {
  struct load_bench *load = load_bench_new(1, 1);
  *bench = (struct bench){.load = load};
  bench->cache =
      (struct fake_server){.clock = &load->time.clock, .connect_ns = 2 * MS, .service_ns = MS / 4};
  bench->database =
      (struct fake_server){.clock = &load->time.clock, .connect_ns = 5 * MS, .service_ns = MS};
  fake_cache_access(&bench->cache_access, &bench->cache);
  fake_cache_access(&bench->database_access, &bench->database);
  bench->service = (struct service_instance){.start_ns = load->start_ns};
  bench->config = (struct cache_aside_config){
      .rate = RATE,
      .clients = CLIENTS,
      .arrival = 1,
      .keys = KEYS,
      .popularity = CACHE_UNIFORM,
      .payload = 10,
      .ttl_ns = 1000 * NS_PER_S,
      .cost_ns = COST,
      .mitigation = (int)mitigation,
      .jitter = 0.5,
      .beta = 1,
      .stale_for_ns = 1000 * NS_PER_S,
      .lock_timeout_ns = 3 * NS_PER_S,
      .lock_poll_ns = 20 * MS,
      .cache_timeout_ns = 500 * MS,
      .options = {.connect_timeout_ns = NS_PER_S,
                  .operation_timeout_ns = 2 * NS_PER_S,
                  .reconnect_delay_ns = 50 * MS},
      .origin = {.client = {.connect_timeout_ns = NS_PER_S}, .idle_ns = NS_PER_S}};
  for (int i = 0; i < 2; i++) {
    bench->hosts[i] = (struct host){.index = (uint16_t)(3 + i), .kind = HOST_CLIENT};
    bench->client_hosts[i] = &bench->hosts[i];
  }
  load->env.workload = &workload_cache_aside;
  load->env.config = &bench->config;
  load->env.access = &bench->cache_access;
  load->env.origin = &bench->database_access;
  load->env.service = &bench->service;
  load->client_hosts = bench->client_hosts;
  load->client_host_count = 2;
}

/* `seconds` of load, by the end of which the cache is warm. */
static void bench_start(struct bench *bench, double seconds) {
  load_bench_start(bench->load, LOAD_BENCH_SEED);
  load_bench_run(bench->load, (uint64_t)(seconds * 1e9));
}

static void bench_release(struct bench *bench) {
  load_bench_free(bench->load);
}

static void forget_calls(struct bench *bench) {
  for (int i = 0; i < FAKE_CACHE_KEYS; i++) bench->database.calls[i] = 0;
  bench->database.running_most = 0;
}

static uint32_t calls(const struct bench *bench) {
  uint32_t count = 0;
  for (int i = 0; i < FAKE_CACHE_KEYS; i++) count += bench->database.calls[i];
  return count;
}

static uint32_t recorded(const struct bench *bench, enum operation_kind kind,
                         enum cache_source source) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < bench->load->count; i++) {
    const struct operation *operation = &bench->load->operations[i];
    bool sourced = source == CACHE_SOURCE_COUNT || operation->sequence == source;
    count += operation->kind == kind && sourced ? 1 : 0;
  }
  return count;
}

static void check_stamps(const struct bench *bench) {
  for (uint32_t i = 0; i < bench->load->count; i++) {
    const struct operation *operation = &bench->load->operations[i];
    assert_in_range(operation->read_identity, 1, KEYS);
    assert_true(operation->done_ns >= operation->scheduled_ns);
    assert_true(operation->done_ns >= operation->sent_ns);
    if (operation->sent_ns > 0) assert_true(operation->sent_ns >= operation->scheduled_ns);
    if (operation->kind == OPERATION_ORIGIN) continue;
    assert_int_equal(operation->kind, OPERATION_READ_NEWEST);
    if (operation->outcome == OUTCOME_OK) assert_true(operation->value <= operation->done_ns);
  }
}

/* A warm cache is emptied; how many calls for each key that cost. */
static double stampede(struct bench *bench) {
  bench_start(bench, 3);
  forget_calls(bench);
  fake_cache_flush(&bench->cache);
  load_bench_run(bench->load, 3 * NS_PER_S);
  double each = (double)calls(bench) / KEYS;
  load_bench_finish(bench->load);
  assert_int_equal(bench->load->group.counters.fail, 0);
  assert_int_equal(bench->load->group.counters.unknown, 0);
  check_stamps(bench);
  return each;
}

/* 100 reads a second of each key, made in 0.2 s: twenty, and the time to connect. */
static void test_without_mitigation_every_reader_calls(void **state) {
  struct bench bench;
  (void)state;
  bench_init(&bench, CACHE_NO_MITIGATION);
  double each = stampede(&bench);
  assert_true(each > 15 && each < 27);
  assert_true(bench.database.running_most > 50);
  assert_int_equal(recorded(&bench, OPERATION_ORIGIN, CACHE_SOURCE_COUNT),
                   recorded(&bench, OPERATION_READ_NEWEST, CACHE_MISS));
  bench_release(&bench);
}

static void test_single_flight_calls_once_a_process(void **state) {
  struct bench bench;
  (void)state;
  bench_init(&bench, CACHE_SINGLE_FLIGHT);
  double each = stampede(&bench);
  assert_true(each >= 2 && each <= 2.5);
  assert_true(recorded(&bench, OPERATION_READ_NEWEST, CACHE_WAITED) > 30);
  bench_release(&bench);
}

static void test_lock_calls_once(void **state) {
  struct bench bench;
  (void)state;
  bench_init(&bench, CACHE_LOCK);
  double each = stampede(&bench);
  assert_true(each >= 1 && each <= 1.5);
  assert_true(recorded(&bench, OPERATION_READ_NEWEST, CACHE_WAITED) > 30);
  bench_release(&bench);
}

/* Ten times to live, one after the other; the calls of a time and key. */
static double expiries(struct bench *bench) {
  bench->config.ttl_ns = 2 * NS_PER_S;
  bench_start(bench, 1);
  forget_calls(bench);
  load_bench_run(bench->load, 20 * NS_PER_S);
  double each = (double)calls(bench) / KEYS / 10;
  load_bench_finish(bench->load);
  check_stamps(bench);
  return each;
}

static void test_expiry_without_mitigation(void **state) {
  struct bench bench;
  (void)state;
  bench_init(&bench, CACHE_NO_MITIGATION);
  assert_true(expiries(&bench) > 10);
  bench_release(&bench);
}

static void test_stale_values_are_served_while_one_reader_refreshes(void **state) {
  struct bench bench;
  (void)state;
  bench_init(&bench, CACHE_STALE_WHILE_REVALIDATE);
  double each = expiries(&bench);
  assert_true(each >= 1 && each <= 2.2);
  assert_true(recorded(&bench, OPERATION_READ_NEWEST, CACHE_STALE) > 100);
  for (uint32_t i = 0; i < bench.load->count; i++) {
    const struct operation *operation = &bench.load->operations[i];
    if (operation->kind != OPERATION_READ_NEWEST || operation->sequence != CACHE_STALE) continue;
    assert_true(operation->done_ns - operation->scheduled_ns < 50 * MS); /* nobody waits */
    assert_true(operation->done_ns - operation->value >= 2 * NS_PER_S);
    assert_true(operation->done_ns - operation->value < 3 * NS_PER_S);
  }
  bench_release(&bench);
}

static void test_early_recomputation(void **state) {
  struct bench bench;
  (void)state;
  bench_init(&bench, CACHE_XFETCH);
  double each = expiries(&bench);
  assert_true(each >= 0.9 && each <= 8);
  assert_true(recorded(&bench, OPERATION_READ_NEWEST, CACHE_EARLY) >= 30);
  bench_release(&bench);
}

/* -1 x 1 s x ln(1/e) = 1 s. */
static void test_the_formula_of_xfetch(void **state) {
  (void)state;
  double random = exp(-1);
  assert_true(cache_aside_early(1, random, NS_PER_S, NS_PER_S - 1000));
  assert_false(cache_aside_early(1, random, NS_PER_S, NS_PER_S + 1000));
  assert_true(cache_aside_early(2, random, NS_PER_S, 2 * NS_PER_S - 1000));
  assert_false(cache_aside_early(1, 1, NS_PER_S, 1));
  assert_true(cache_aside_early(1, 1, NS_PER_S, 0));
}

static void test_a_database_without_room_refuses(void **state) {
  struct bench bench;
  (void)state;
  bench_init(&bench, CACHE_NO_MITIGATION);
  bench.database.connections_max = 10;
  bench_start(&bench, 5);
  load_bench_finish(bench.load);
  assert_true(bench.database.refused > 10);
  assert_true(bench.database.running_most <= 10);
  /* Each is counted twice: the call, and the read that wanted it. */
  assert_int_equal(load_bench_count(bench.load, OUTCOME_FAIL, CODE_TOO_MANY),
                   2 * bench.database.refused);
  check_stamps(&bench);
  bench_release(&bench);
}

static void test_connections_that_are_idle_are_closed(void **state) {
  struct bench bench;
  (void)state;
  bench_init(&bench, CACHE_NO_MITIGATION);
  bench_start(&bench, 0.5);
  assert_true(bench.database.connections > 50);
  load_bench_run(bench.load, 2 * NS_PER_S);
  assert_int_equal(bench.database.connections, 0);
  load_bench_finish(bench.load);
  bench_release(&bench);
}

static void cache_is_down(struct bench *bench, int on_cache_error) {
  bench->config.on_cache_error = on_cache_error;
  bench_start(bench, 2);
  bench->cache.down = true;
  load_bench_run(bench->load, 2 * NS_PER_S);
  bench->cache.down = false;
  load_bench_run(bench->load, 2 * NS_PER_S);
  load_bench_finish(bench->load);
  check_stamps(bench);
}

static void test_the_database_is_read_when_the_cache_is_down(void **state) {
  struct bench bench;
  (void)state;
  bench_init(&bench, CACHE_NO_MITIGATION);
  cache_is_down(&bench, 0);
  uint32_t bypassed = recorded(&bench, OPERATION_READ_NEWEST, CACHE_BYPASS);
  assert_in_range(bypassed, 700, 900); /* two seconds of reads */
  assert_int_equal(bench.load->group.counters.fail, 0);
  bench_release(&bench);
}

static void test_reads_fail_when_the_cache_is_down_and_that_is_wanted(void **state) {
  struct bench bench;
  (void)state;
  bench_init(&bench, CACHE_NO_MITIGATION);
  cache_is_down(&bench, 1);
  assert_int_equal(recorded(&bench, OPERATION_READ_NEWEST, CACHE_BYPASS), 0);
  assert_true(load_bench_count(bench.load, OUTCOME_FAIL, CODE_NO_CONNECTION) > 500);
  bench_release(&bench);
}

/* The leader's call is not answered: those that wait for it are given up with it, in time. */
static void test_deadlines_cover_the_whole_operation(void **state) {
  for (int mitigation = CACHE_NO_MITIGATION; mitigation <= CACHE_XFETCH; mitigation++) {
    struct bench bench;
    (void)state;
    bench_init(&bench, (enum cache_mitigation)mitigation);
    bench_start(&bench, 2);
    bench.database.stalled = true;
    fake_cache_flush(&bench.cache);
    load_bench_run(bench.load, 5 * NS_PER_S);
    bench.database.stalled = false;
    load_bench_run(bench.load, 6 * NS_PER_S);
    uint32_t before = bench.load->count;
    load_bench_run(bench.load, NS_PER_S);
    for (uint32_t i = before; i < bench.load->count; i++)
      assert_int_equal(bench.load->operations[i].outcome, OUTCOME_OK);
    load_bench_finish(bench.load);
    assert_true(load_bench_count(bench.load, OUTCOME_UNKNOWN, CODE_TIMEOUT) > 0);
    check_stamps(&bench);
    for (uint32_t i = 0; i < bench.load->count; i++) {
      const struct operation *operation = &bench.load->operations[i];
      assert_true(operation->done_ns - operation->scheduled_ns <= 2 * NS_PER_S + MS);
    }
    bench_release(&bench);
  }
}

/* The cache takes requests and does not answer: cache_timeout, then the database. */
static void test_a_silent_cache_is_waited_for_no_longer_than_its_timeout(void **state) {
  struct bench bench;
  (void)state;
  bench_init(&bench, CACHE_NO_MITIGATION);
  bench_start(&bench, 2);
  bench.cache.stalled = true;
  load_bench_run(bench.load, 2 * NS_PER_S);
  bench.cache.stalled = false;
  load_bench_run(bench.load, 2 * NS_PER_S);
  load_bench_finish(bench.load);
  assert_true(recorded(&bench, OPERATION_READ_NEWEST, CACHE_BYPASS) > 100);
  /* But for those that had been behind such a wait and had no time left for another. */
  assert_true(load_bench_count(bench.load, OUTCOME_UNKNOWN, NULL) < 10);
  check_stamps(&bench);
  bench_release(&bench);
}

/* In the middle of a stampede, whoever leads and waits. */
static void test_the_load_can_end_at_any_moment(void **state) {
  for (int mitigation = CACHE_NO_MITIGATION; mitigation <= CACHE_XFETCH; mitigation++) {
    for (uint64_t after_ms = 1; after_ms < 250; after_ms += 37) {
      struct bench bench;
      (void)state;
      bench_init(&bench, (enum cache_mitigation)mitigation);
      bench_start(&bench, 2);
      fake_cache_flush(&bench.cache);
      load_bench_run(bench.load, after_ms * MS);
      if (after_ms % 2)
        load_bench_finish(bench.load);
      else
        bench.database.stalled = true;
      bench_release(&bench); /* the second half: as after a failure of the loop */
    }
  }
}

static void test_the_schedule_depends_on_the_seed_alone(void **state) {
  struct bench calm, troubled;
  (void)state;
  bench_init(&calm, CACHE_XFETCH);
  bench_start(&calm, 4);
  load_bench_finish(calm.load);
  load_bench_sort(calm.load);
  bench_init(&troubled, CACHE_LOCK);
  troubled.database.connections_max = 5;
  bench_start(&troubled, 4);
  load_bench_finish(troubled.load);
  load_bench_sort(troubled.load);
  uint32_t i = 0, j = 0, reads = 0;
  for (;; i++, j++, reads++) {
    const struct operation *a = calm.load->operations, *b = troubled.load->operations;
    while (i < calm.load->count && a[i].kind == OPERATION_ORIGIN) i++;
    while (j < troubled.load->count && b[j].kind == OPERATION_ORIGIN) j++;
    if (i == calm.load->count || j == troubled.load->count) break;
    assert_int_equal(a[i].scheduled_ns, b[j].scheduled_ns);
    assert_int_equal(a[i].read_identity, b[j].read_identity);
  }
  assert_true(i == calm.load->count && j == troubled.load->count && reads > 1000);
  bench_release(&calm);
  bench_release(&troubled);
}

static void test_popularity(void **state) {
  struct cache_aside_config config = {.keys = 3, .popularity = CACHE_ZIPF, .skew = 1};
  struct workload_env env = {.config = &config, .seed = 1};
  struct error err = ERROR_INIT;
  void *process = NULL;
  (void)state;
  assert_ok(cache_process_new(&env, &process, &err), &err); /* 6/11, 3/11, 2/11 */
  assert_int_equal(cache_process_draw(process, 0), 1);
  assert_int_equal(cache_process_draw(process, 6.0 / 11 - 0.001), 1);
  assert_int_equal(cache_process_draw(process, 6.0 / 11 + 0.001), 2);
  assert_int_equal(cache_process_draw(process, 9.0 / 11 - 0.001), 2);
  assert_int_equal(cache_process_draw(process, 9.0 / 11 + 0.001), 3);
  assert_int_equal(cache_process_draw(process, 1 - 1e-16), 3);
  cache_process_free(process);
  cache_process_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_without_mitigation_every_reader_calls),
      cmocka_unit_test(test_single_flight_calls_once_a_process),
      cmocka_unit_test(test_lock_calls_once),
      cmocka_unit_test(test_expiry_without_mitigation),
      cmocka_unit_test(test_stale_values_are_served_while_one_reader_refreshes),
      cmocka_unit_test(test_early_recomputation),
      cmocka_unit_test(test_the_formula_of_xfetch),
      cmocka_unit_test(test_a_database_without_room_refuses),
      cmocka_unit_test(test_connections_that_are_idle_are_closed),
      cmocka_unit_test(test_the_database_is_read_when_the_cache_is_down),
      cmocka_unit_test(test_reads_fail_when_the_cache_is_down_and_that_is_wanted),
      cmocka_unit_test(test_deadlines_cover_the_whole_operation),
      cmocka_unit_test(test_a_silent_cache_is_waited_for_no_longer_than_its_timeout),
      cmocka_unit_test(test_the_load_can_end_at_any_moment),
      cmocka_unit_test(test_the_schedule_depends_on_the_seed_alone),
      cmocka_unit_test(test_popularity),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
