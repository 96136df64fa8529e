/* Clients of the load in virtual time, against a database in memory that fails them: outcomes, and
 * how sessions and probes connect again. */
#include "support/load_bench.h"
#include "support/test.h"

#define SEED LOAD_BENCH_SEED
#define MS NS_PER_MS

/* --- outcomes -------------------------------------------------------------------------------- */

static void test_full_queue_skips(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(1, 100000);
  load_bench_start(bench, SEED);
  bench->database.stalled = bench->database.down = true;
  load_bench_run(bench, NS_PER_S);
  load_bench_finish(bench);
  uint32_t skipped = load_bench_count(bench, OUTCOME_SKIPPED, CODE_QUEUE_FULL);
  assert_in_range(skipped, 30000, 36000);
  assert_int_equal(load_bench_count(bench, OUTCOME_SKIPPED, NULL), skipped);
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    if (operation->outcome == OUTCOME_SKIPPED) assert_int_equal(operation->sequence, 0);
  }
  load_bench_free(bench);
}

static void test_without_a_connection_operations_fail_before_their_deadline(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(1, 100);
  load_bench_start(bench, SEED);
  load_bench_run(bench, 995 * MS);
  bench->database.down = true;
  fake_session_break(bench->group.clients[0].client.session);
  load_bench_run(bench, 5 * NS_PER_S);
  load_bench_finish(bench);
  uint32_t failed = load_bench_count(bench, OUTCOME_FAIL, CODE_NO_CONNECTION);
  assert_in_range(failed, 499, 502);
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    if (operation->outcome != OUTCOME_FAIL) continue;
    assert_int_equal(operation->sent_ns, 0);
    assert_int_equal(operation->sequence, 0);
    assert_int_equal(operation->host, HOST_NONE);
    assert_int_equal(operation->done_ns - operation->scheduled_ns, 1800 * MS);
  }
  load_bench_free(bench);
}

static void test_unknown_write_retires_the_identity(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(1, 100);
  load_bench_start(bench, SEED);
  load_bench_run(bench, NS_PER_S);
  bench->database.stalled = true;
  load_bench_run(bench, 5 * NS_PER_S); /* reconnects, sends one, waits two seconds, ... */
  bench->database.stalled = false;
  fake_session_break(bench->group.clients[0].client.session);
  load_bench_run(bench, NS_PER_S);
  load_bench_finish(bench);
  uint32_t unknown = load_bench_count(bench, OUTCOME_UNKNOWN, NULL);
  assert_true(unknown >= 3);
  assert_true(load_bench_count(bench, OUTCOME_UNKNOWN, CODE_TIMEOUT) >= 2);
  assert_int_equal(bench->identity_events, unknown);
  assert_int_equal(bench->identities, 1 + unknown);
  /* In the order of sending: one identity after the other, each from sequence 1 without gaps. */
  uint32_t identity = 1;
  uint64_t sequence = 0;
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    if (operation->sequence == 0) continue;
    if (operation->identity != identity) {
      assert_int_equal(operation->identity, identity + 1);
      identity++;
      sequence = 0;
    }
    assert_int_equal(operation->sequence, ++sequence);
  }
  assert_int_equal(identity, 1 + unknown);
  load_bench_free(bench);
}

static void test_one_broken_pipeline_retires_one_identity(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(1, 1000);
  bench->config.options.pipeline_depth = 8;
  bench->database.service_ns = MS / 2;
  load_bench_start(bench, SEED);
  load_bench_run(bench, NS_PER_S);
  bench->database.stalled = true;
  load_bench_run(bench, 100 * MS);
  assert_int_equal(bench->group.clients[0].client.session->in_flight, 8);
  bench->database.stalled = false;
  fake_session_break(bench->group.clients[0].client.session);
  load_bench_run(bench, NS_PER_S);
  load_bench_finish(bench);
  assert_int_equal(load_bench_count(bench, OUTCOME_UNKNOWN, CODE_CONNECTION_LOST), 8);
  assert_int_equal(bench->identity_events, 1);
  assert_int_equal(bench->database.in_flight_most, 8);
  assert_int_equal(load_bench_count(bench, OUTCOME_OK, NULL), bench->count - 8);
  load_bench_free(bench);
}

static void test_unknown_reads_and_heartbeats_keep_the_identity(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(1, 100);
  bench->config.read_ratio = 1;
  bench->config.classes[1] = (struct client_class){
      .name = "heartbeat", .count = 1, .rate = 10, .host = HOST_NONE, .always_on = true};
  load_bench_start(bench, SEED);
  bench->database.stalled = true;
  load_bench_run(bench, 3 * NS_PER_S);
  bench->database.stalled = false;
  load_bench_run(bench, 3 * NS_PER_S);
  load_bench_finish(bench);
  assert_true(load_bench_count(bench, OUTCOME_UNKNOWN, CODE_TIMEOUT) >= 2);
  assert_int_equal(bench->identity_events, 0);
  /* Beats never go back. */
  uint64_t beat = 0;
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    if (operation->kind != OPERATION_HEARTBEAT_WRITE || operation->sent_ns == 0) continue;
    assert_true(operation->sequence > beat);
    beat = operation->sequence;
  }
  load_bench_free(bench);
}

/* A backlog whose operations are nearly too late must not keep a recovered server down. */
static void test_backlog_does_not_break_the_recovered_session(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(1, 100);
  bench->database.service_ns = 8 * MS;
  load_bench_start(bench, SEED);
  load_bench_run(bench, NS_PER_S);
  bench->database.down = true;
  fake_session_break(bench->group.clients[0].client.session);
  load_bench_run(bench, 10 * NS_PER_S);
  bench->database.down = false;
  uint32_t connects = bench->database.connects;
  load_bench_run(bench, 10 * NS_PER_S);
  assert_true(bench->database.connects <= connects + 1);
  load_bench_finish(bench);
  assert_int_equal(load_bench_count(bench, OUTCOME_UNKNOWN, CODE_TIMEOUT), 0);
  load_bench_free(bench);
}

/* --- connections ----------------------------------------------------------------------------- */

static void test_lost_session_reconnects_at_once_and_failed_rounds_wait(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(1, 100);
  load_bench_start(bench, SEED);
  load_bench_run(bench, NS_PER_S);
  assert_int_equal(bench->database.connects, 1);
  fake_session_break(bench->group.clients[0].client.session);
  load_bench_run(bench, 3 * MS);
  assert_int_equal(bench->group.clients[0].client.session->state, SESSION_READY);
  assert_int_equal(bench->database.connects, 2);
  /* It lived shorter than the delay: now it waits. */
  fake_session_break(bench->group.clients[0].client.session);
  load_bench_run(bench, 40 * MS);
  assert_int_equal(bench->database.connects, 2);
  bench->database.down = true;
  load_bench_run(bench, 100 * MS);
  assert_in_range(bench->database.connects, 3, 5);
  bench->database.down = false;
  load_bench_run(bench, NS_PER_S);
  assert_int_equal(bench->group.counters.ready, 1);
  load_bench_finish(bench);
  load_bench_free(bench);
}

static void test_reason_is_kept_while_nobody_is_ready(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_new(2, 100);
  bench->database.down = true;
  load_bench_prepare(bench, SEED);
  load_bench_run(bench, NS_PER_S);
  assert_false(bench->ready);
  assert_non_null(strstr(bench->group.context.why.message, "refused"));
  bench->database.down = false;
  load_bench_run(bench, NS_PER_S);
  assert_true(bench->ready);
  load_group_stop(&bench->group, NS_PER_S);
  load_bench_run(bench, NS_PER_S);
  assert_true(bench->stopped);
  load_bench_free(bench);
}

static struct load_bench *load_bench_with_probe(void) {
  struct load_bench *bench = load_bench_new(1, 10);
  bench->config.classes[0] = (struct client_class){
      .name = "probe", .count = 1, .rate = 5, .host = HOST_NONE, .fresh = true};
  return bench;
}

static void test_probe_takes_a_fresh_connection_each_time(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_with_probe();
  load_bench_start(bench, SEED);
  load_bench_run(bench, 4 * NS_PER_S);
  load_bench_finish(bench);
  assert_in_range(bench->count, 19, 21);
  assert_int_equal(load_bench_count(bench, OUTCOME_OK, NULL), bench->count);
  assert_int_equal(bench->database.connects, bench->count);
  assert_int_equal(bench->database.row_count, bench->count);
  assert_int_equal(bench->samples[METRIC_PROBE_CONNECT], bench->count);
  assert_int_equal(bench->samples[METRIC_PROBE_AUTHENTICATE], bench->count);
  assert_int_equal(bench->samples[METRIC_PROBE_READ], bench->count);
  assert_int_equal(bench->samples[METRIC_PROBE_WRITE], bench->count);
  assert_int_equal(bench->samples[METRIC_PROBE_RESOLVE], 0);
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    assert_int_equal(operation->kind, OPERATION_PROBE);
    assert_int_equal(operation->sequence, i + 1);
    assert_int_equal(operation->done_ns - operation->scheduled_ns, 4 * MS); /* 2 + read + write */
    assert_int_equal(operation->host, 0);
  }
  load_bench_free(bench);
}

static void test_probe_without_a_server_fails_and_one_cut_off_is_unknown(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_with_probe();
  load_bench_start(bench, SEED);
  bench->database.down = true;
  load_bench_run(bench, 5 * NS_PER_S);
  bench->database.down = false;
  load_bench_run(bench, 5 * NS_PER_S);
  assert_true(load_bench_count(bench, OUTCOME_FAIL, CODE_NO_CONNECTION) > 10);
  assert_int_equal(load_bench_count(bench, OUTCOME_UNKNOWN, NULL), 0);
  /* The read is answered, the write is not. */
  uint64_t rows = bench->database.row_count;
  while (bench->group.clients[0].probe != PROBE_WRITE) load_bench_run(bench, MS / 10);
  bench->database.stalled = true;
  load_bench_run(bench, 3 * NS_PER_S);
  bench->database.stalled = false;
  load_bench_run(bench, 3 * NS_PER_S);
  load_bench_finish(bench);
  assert_true(bench->database.row_count > rows);
  /* Those whose read was not answered failed: their write was never sent. */
  assert_int_equal(load_bench_count(bench, OUTCOME_UNKNOWN, CODE_TIMEOUT), 1);
  assert_int_equal(bench->identity_events, 1);
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    assert_int_equal(operation->kind, OPERATION_PROBE);
    if (operation->outcome == OUTCOME_FAIL) assert_int_equal(operation->sequence, 0);
  }
  load_bench_free(bench);
}

/* Connecting took longer than what the one before had left of its timeout, for ever. */
static void test_probes_behind_a_long_outage_get_their_connection(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_with_probe();
  bench->database.connect_ns = NS_PER_S; /* as long as it takes to get past a dead server */
  load_bench_start(bench, SEED);
  bench->database.down = true;
  load_bench_run(bench, 10 * NS_PER_S);
  assert_int_equal(load_bench_count(bench, OUTCOME_OK, NULL), 0);
  bench->database.down = false;
  load_bench_run(bench, 10 * NS_PER_S);
  assert_true(load_bench_count(bench, OUTCOME_OK, NULL) >= 7);
  load_bench_finish(bench);
  load_bench_free(bench);
}

static void test_stop_in_the_middle_accounts_for_everything(void **state) {
  (void)state;
  struct load_bench *bench = load_bench_with_probe();
  bench->config.classes[1] =
      (struct client_class){.name = "writer", .count = 3, .rate = 300, .host = HOST_NONE};
  load_bench_start(bench, SEED);
  load_bench_run(bench, 450 * MS);
  bench->database.stalled = true;
  load_bench_run(bench, 200 * MS);
  load_group_stop(&bench->group, 500 * MS);
  load_bench_run(bench, 600 * MS);
  assert_true(bench->stopped);
  assert_int_equal(bench->group.counters.outstanding, 0);
  assert_int_equal(bench->group.counters.scheduled, bench->count);
  assert_true(load_bench_count(bench, OUTCOME_SKIPPED, CODE_LOAD_ENDED) > 10);
  assert_in_range(load_bench_count(bench, OUTCOME_UNKNOWN, NULL), 3, 4);
  load_bench_free(bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_full_queue_skips),
      cmocka_unit_test(test_without_a_connection_operations_fail_before_their_deadline),
      cmocka_unit_test(test_unknown_write_retires_the_identity),
      cmocka_unit_test(test_one_broken_pipeline_retires_one_identity),
      cmocka_unit_test(test_unknown_reads_and_heartbeats_keep_the_identity),
      cmocka_unit_test(test_backlog_does_not_break_the_recovered_session),
      cmocka_unit_test(test_lost_session_reconnects_at_once_and_failed_rounds_wait),
      cmocka_unit_test(test_reason_is_kept_while_nobody_is_ready),
      cmocka_unit_test(test_probe_takes_a_fresh_connection_each_time),
      cmocka_unit_test(test_probe_without_a_server_fails_and_one_cut_off_is_unknown),
      cmocka_unit_test(test_probes_behind_a_long_outage_get_their_connection),
      cmocka_unit_test(test_stop_in_the_middle_accounts_for_everything),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
