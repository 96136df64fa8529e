/* The load on real threads, against a database in memory: it starts, counts, drains, stops. */
#include "engine/load.h"

#include <sys/resource.h>
#include <unistd.h>

#include "support/fake.h"
#include "support/fake_driver.h"
#include "support/test.h"

#define WORKERS 2
#define CLIENTS 16

struct setup {
  char directory[TEMPORARY_SIZE];
  struct fake_database database;
  struct access access;
  struct fake_config config;
  struct workload_env env;
  struct recorder *recorder;
  struct load_spec spec;
};

static void setup_init(struct setup *setup) {
  struct error err = ERROR_INIT;
  uint64_t start_ns = clock_now_ns(&clock_monotonic);
  *setup = (struct setup){
      .database = {.connect_ns = NS_PER_MS, .service_ns = 100 * NS_PER_US},
      .config = {
          .options = {.connect_timeout_ns = NS_PER_S,
                      .operation_timeout_ns = 2 * NS_PER_S,
                      .reconnect_delay_ns = 10 * NS_PER_MS,
                      .pipeline_depth = 1},
          .classes =
              {{.name = "writer", .count = CLIENTS, .rate = 2000, .host = HOST_NONE},
               {.name = "heartbeat", .count = 1, .rate = 100, .host = HOST_NONE, .always_on = true},
               {.name = "probe", .count = 1, .rate = 50, .host = HOST_NONE, .fresh = true}},
          .read_ratio = 0.25}};
  temporary_make(setup->directory);
  fake_access_init(&setup->access, &setup->database);
  assert_ok(recorder_new(&(struct recorder_spec){.run_directory = setup->directory,
                                                 .clock = &clock_monotonic,
                                                 .start_ns = start_ns,
                                                 .wall_start_ns = clock_wall_ns(),
                                                 .producers = WORKERS,
                                                 .ring_count = 1 << 14},
                         &setup->recorder, &err),
            &err);
  setup->env = (struct workload_env){.workload = &fake_workload,
                                     .config = &setup->config,
                                     .seed = 1,
                                     .access = &setup->access,
                                     .clock = &clock_monotonic,
                                     .sink = recorder_sink(setup->recorder)};
  setup->spec = (struct load_spec){.workers = WORKERS,
                                   .envs = &setup->env,
                                   .env_count = 1,
                                   .recorder = setup->recorder,
                                   .sink = recorder_sink(setup->recorder),
                                   .clock = &clock_monotonic,
                                   .start_ns = start_ns,
                                   .seed = 1};
}

static void setup_release(struct setup *setup) {
  recorder_free(setup->recorder);
  temporary_remove(setup->directory);
}

static uint64_t in_ms(uint64_t ms) {
  return clock_now_ns(&clock_monotonic) + ms * NS_PER_MS;
}

static void test_every_operation_is_counted_and_recorded(void **state) {
  (void)state;
  struct setup setup;
  struct error err = ERROR_INIT;
  struct load *load = NULL;
  struct load_totals totals;
  setup_init(&setup);
  assert_ok(load_start(&setup.spec, in_ms(10000), &load, &err), &err);
  load_totals(load, &totals);
  assert_int_equal(totals.clients, CLIENTS + 2);
  assert_int_equal(totals.ready, CLIENTS + 2);
  assert_int_equal(totals.identities, CLIENTS + 2);
  assert_int_equal(totals.scheduled, 0);
  uint64_t begin_ns = in_ms(0);
  load_begin(load, begin_ns);
  /* The end is known before it comes: exactly this much is scheduled. */
  assert_ok(load_end(load, begin_ns + 400 * NS_PER_MS, &err), &err);
  assert_ok(load_stop(load, &err), &err);
  assert_ok(load_stop(load, &err), &err); /* once more changes nothing */
  load_totals(load, &totals);
  load_free(load);
  assert_in_range(totals.scheduled, 800 + 20 + 40 - CLIENTS - 2, 800 + 20 + 60 + CLIENTS + 20);
  assert_int_equal(totals.scheduled, totals.ok + totals.fail + totals.unknown + totals.skipped);
  assert_int_equal(totals.ready, 0);
  assert_true(totals.ok > 700);
  struct recorder_totals recorded;
  assert_ok(recorder_finish(setup.recorder, &recorded, &err), &err);
  assert_int_equal(recorded.operations, totals.scheduled);
  assert_int_equal(recorded.dropped, 0);
  setup_release(&setup);
}

static void expect_no_start(struct setup *setup, uint64_t deadline_ns, int status,
                            const char *words) {
  struct error err = ERROR_INIT;
  struct load *load = NULL;
  assert_int_equal(load_start(&setup->spec, deadline_ns, &load, &err), status);
  assert_null(load);
  assert_non_null(strstr(err.message, words));
}

static void test_clients_that_cannot_connect_are_named_with_the_reason(void **state) {
  (void)state;
  struct setup setup;
  setup_init(&setup);
  setup.database.down = true;
  /* The probe connects later. */
  expect_no_start(&setup, in_ms(100), STATUS_TIMEOUT, "17 of 18 clients");
  expect_no_start(&setup, in_ms(100), STATUS_TIMEOUT, "connection refused");
  setup_release(&setup);
}

static bool is_cancelled(void *data) {
  (void)data;
  return true;
}

static void test_a_cancelled_start_does_not_wait_for_clients(void **state) {
  (void)state;
  struct setup setup;
  setup_init(&setup);
  setup.database.down = true;
  setup.spec.cancelled = is_cancelled;
  expect_no_start(&setup, TIME_NEVER, STATUS_INTERRUPTED, "");
  setup_release(&setup);
}

static void test_stop_without_an_end_does_not_wait_for_timeouts(void **state) {
  (void)state;
  struct setup setup;
  struct error err = ERROR_INIT;
  struct load *load = NULL;
  struct load_totals totals;
  setup_init(&setup);
  setup.config.options.operation_timeout_ns = 600 * NS_PER_S;
  setup.database.stalled = true;
  assert_ok(load_start(&setup.spec, in_ms(10000), &load, &err), &err);
  load_begin(load, in_ms(0));
  do load_totals(load, &totals);
  while (totals.scheduled < 100);
  uint64_t begin_ns = in_ms(0);
  assert_ok(load_stop(load, &err), &err);
  assert_true(in_ms(0) - begin_ns < 60 * NS_PER_S);
  load_totals(load, &totals);
  assert_int_equal(totals.scheduled, totals.ok + totals.fail + totals.unknown + totals.skipped);
  assert_true(totals.unknown > 0);
  load_free(load);
  setup_release(&setup);
}

static int refuse_network(struct cluster *cluster, const struct host *host, struct error *err) {
  (void)cluster;
  return error_set(err, STATUS_ENVIRONMENT, "no network on %s", host->name);
}

static void test_worker_that_cannot_enter_its_network_fails_the_start(void **state) {
  (void)state;
  struct setup setup;
  setup_init(&setup);
  struct provider provider = {.can = CAN_NETWORK, .network_enter = refuse_network};
  struct cluster cluster = {.provider = &provider};
  struct host host = {.name = "client1"};
  const struct host *hosts[] = {&host};
  setup.spec.cluster = &cluster;
  setup.spec.client_hosts = hosts;
  setup.spec.client_host_count = 1;
  expect_no_start(&setup, in_ms(10000), STATUS_ENVIRONMENT, "no network on client1");
  setup_release(&setup);
}

static void test_file_limit_is_raised_to_what_is_allowed(void **state) {
  (void)state;
  struct rlimit before, limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  limit = (struct rlimit){.rlim_cur = before.rlim_max < 300 ? before.rlim_max : 300,
                          .rlim_max = before.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  struct setup setup;
  struct error err = ERROR_INIT;
  struct load *load = NULL;
  setup_init(&setup);
  assert_ok(load_start(&setup.spec, in_ms(10000), &load, &err), &err);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  assert_true(limit.rlim_cur == before.rlim_max);
  load_free(load);
  setup_release(&setup);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_operation_is_counted_and_recorded),
      cmocka_unit_test(test_clients_that_cannot_connect_are_named_with_the_reason),
      cmocka_unit_test(test_a_cancelled_start_does_not_wait_for_clients),
      cmocka_unit_test(test_stop_without_an_end_does_not_wait_for_timeouts),
      cmocka_unit_test(test_worker_that_cannot_enter_its_network_fails_the_start),
      cmocka_unit_test(test_file_limit_is_raised_to_what_is_allowed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
