/* driver_redis with one scripted server on loopback: connecting, answers, errors, ends. */
#include "support/redis_bench.h"

#include "support/test.h"

static void test_connects_and_writes(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 1);
  bench.access.user = "app";
  bench.access.password = "secret";
  redis_bench_session(&bench, ROUTE_PRIMARY, 1);
  redis_bench_connect_to(&bench, 0);
  assert_int_equal(bench.session->base.timeline, 1);
  assert_true(bench.session->base.timing.connect_ns > 0);
  assert_true(bench.session->base.timing.authenticate_ns > 0);
  redis_bench_append_gets(&bench, 7, 1, OUTCOME_OK, "");
  assert_int_equal(bench.last.timeline, 1);
  assert_int_equal(bench.last.host, 0);
  assert_int_equal(bench.last.shard, 0);
  assert_int_equal(fake_redis_seen(&bench.fakes[0], "AUTH app secret"), 1);
  assert_int_equal(fake_redis_seen(&bench.fakes[0], "SET gd:w:7:1 5:xyz\n"), 1);
  redis_bench_release(&bench);
}

static void test_wrong_password_is_no_connection_and_is_not_told(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 1);
  bench.access.password = "secret";
  fake_redis_reply_to(&bench.fakes[0], "AUTH", "-WRONGPASS invalid username-password pair\r\n");
  redis_bench_session(&bench, ROUTE_PRIMARY, 1);
  redis_bench_cannot_connect(&bench);
  assert_non_null(strstr(bench.why.message, "redis1: "));
  assert_non_null(strstr(bench.why.message, "WRONGPASS"));
  assert_null(strstr(bench.why.message, "secret"));
  redis_bench_release(&bench);
}

static void test_route_to_the_primary_passes_by_replicas(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 3);
  bench.fakes[0].role = "slave";
  fake_redis_stop_listening(&bench.fakes[1]);
  redis_bench_session(&bench, ROUTE_PRIMARY, 1);
  redis_bench_connect_to(&bench, 2);
  /* The good one comes first the next time. */
  driver_redis.session_close(&bench.session->base);
  redis_bench_connect(&bench);
  assert_int_equal(bench.fakes[0].accepted, 1);
  redis_bench_release(&bench);
}

static void test_route_to_a_replica_refuses_the_primary(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 2);
  bench.fakes[1].role = "slave";
  redis_bench_session(&bench, ROUTE_REPLICA, 1);
  redis_bench_connect_to(&bench, 1);
  assert_int_equal(bench.session->base.timeline, 0);
  redis_bench_release(&bench);
}

static void test_no_server_says_why_of_each(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 2);
  bench.fakes[0].role = "slave";
  fake_redis_stop_listening(&bench.fakes[1]);
  redis_bench_session(&bench, ROUTE_PRIMARY, 1);
  redis_bench_cannot_connect(&bench);
  assert_non_null(strstr(bench.why.message, "redis1: is a replica"));
  assert_non_null(strstr(bench.why.message, "redis2: cannot connect"));
  redis_bench_release(&bench);
}

static void test_silent_server_ends_the_attempt(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 2);
  bench.options.connect_timeout_ns = 200 * NS_PER_MS;
  fake_redis_rule(&bench.fakes[0], "INFO", FAKE_REDIS_SILENCE, 0);
  redis_bench_session(&bench, ROUTE_PRIMARY, 1);
  redis_bench_connect_to(&bench, 1);
  redis_bench_release(&bench);
}

static void test_values_are_read(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 1);
  redis_bench_send(&bench, REDIS_LEDGER_READ_OWN, (int64_t[]){7, 3}, 2, NULL);
  redis_bench_await(&bench, &bench.replies, 1);
  redis_bench_assert_reply(&bench, OUTCOME_OK, "");
  assert_false(bench.last.has_row);
  fake_redis_reply_to(&bench.fakes[0], "GET gd:w:7:3", "$5\r\n5:xyz\r\n");
  redis_bench_send(&bench, REDIS_LEDGER_READ_OWN, (int64_t[]){7, 3}, 2, NULL);
  redis_bench_await(&bench, &bench.replies, 2);
  assert_true(bench.last.has_row);
  assert_int_equal(bench.last.values[0], 7);
  assert_int_equal(bench.last.values[1], 3);
  fake_redis_reply_to(&bench.fakes[0], "GET gd:beat:", "$4\r\n1234\r\n");
  redis_bench_send(&bench, REDIS_LEDGER_HEARTBEAT_GET, NULL, 0, NULL);
  redis_bench_await(&bench, &bench.replies, 3);
  assert_int_equal(bench.last.values[0], 1234);
  redis_bench_release(&bench);
}

/* The answer comes in the smallest pieces that there are. */
static void test_answer_in_pieces(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 4);
  fake_redis_rule(&bench.fakes[0], "GET", FAKE_REDIS_SILENCE, 0);
  for (uint32_t i = 0; i < 4; i++) {
    redis_bench_send(&bench, REDIS_LEDGER_HEARTBEAT_GET, NULL, 0, NULL);
  }
  redis_bench_await(&bench, &bench.fakes[0].commands, bench.fakes[0].commands + 4);
  static const char answers[] = "$2\r\n42\r\n:7\r\n*2\r\n:8\r\n$1\r\n9\r\n$1\r\n5\r\n";
  for (size_t i = 0; i < sizeof answers - 1; i++) {
    redis_bench_say(&bench, 0, answers + i, 1);
    redis_bench_turn(&bench);
  }
  redis_bench_await(&bench, &bench.replies, 4);
  assert_int_equal(bench.outcomes[OUTCOME_OK], 4);
  assert_int_equal(bench.sum, 42 + 7 + 8 + 5);
  redis_bench_release(&bench);
}

static void test_errors_by_their_first_word(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 1);
  fake_redis_reply_to(&bench.fakes[0], "SET", "-NOREPLICAS Not enough good replicas.\r\n");
  redis_bench_append_gets(&bench, 1, 1, OUTCOME_FAIL, "RDNRP");
  fake_redis_reply_to(&bench.fakes[0], "SET", "-WHATEVER this is\r\n");
  redis_bench_append_gets(&bench, 1, 2, OUTCOME_UNKNOWN, "RDOTH");
  fake_redis_reply_to(&bench.fakes[0], "GET", "-WHATEVER this is\r\n");
  redis_bench_send(&bench, REDIS_LEDGER_HEARTBEAT_GET, NULL, 0, NULL);
  redis_bench_await(&bench, &bench.replies, 3);
  redis_bench_assert_reply(&bench, OUTCOME_FAIL, "RDOTH");
  assert_int_equal(bench.lost, 0);
  redis_bench_release(&bench);
}

static void test_wait_must_see_enough_replicas(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 1);
  redis_bench_append_wait_gets(&bench, 1, 1, OUTCOME_OK, "");
  assert_int_equal(fake_redis_seen(&bench.fakes[0], "WAIT 1 100\n"), 1);
  fake_redis_reply_to(&bench.fakes[0], "WAIT", ":0\r\n");
  redis_bench_append_wait_gets(&bench, 1, 2, OUTCOME_UNKNOWN, CODE_NOT_REPLICATED);
  fake_redis_reply_to(&bench.fakes[0], "SET", "-OOM command not allowed\r\n");
  redis_bench_append_wait_gets(&bench, 1, 3, OUTCOME_FAIL, "RDOOM");
  fake_redis_reply_to(&bench.fakes[0], "SET", "+OK\r\n");
  fake_redis_reply_to(&bench.fakes[0], "WAIT", "-UNBLOCKED force unblock\r\n");
  redis_bench_append_wait_gets(&bench, 1, 4, OUTCOME_UNKNOWN, "RDUBL");
  /* Acknowledged, but what the WAIT would have said is not known. */
  fake_redis_rule(&bench.fakes[0], "WAIT", FAKE_REDIS_CLOSE, 0);
  redis_bench_append_wait_gets(&bench, 1, 5, OUTCOME_UNKNOWN, CODE_CONNECTION_LOST);
  redis_bench_release(&bench);
}

static void test_end_of_file_after_the_send_is_unknown(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 4);
  redis_bench_ends_after_sends(&bench);
  redis_bench_release(&bench);
}

static void test_silence_until_the_deadline_is_unknown(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 1);
  fake_redis_rule(&bench.fakes[0], "SET", FAKE_REDIS_SILENCE, 0);
  bench.timeout_ns = 20 * NS_PER_MS;
  redis_bench_append_gets(&bench, 1, 1, OUTCOME_UNKNOWN, CODE_TIMEOUT);
  assert_int_equal(bench.lost, 1);
  redis_bench_release(&bench);
}

/* The kernel's buffers are full: what has not left whole cannot have been run. */
static void test_what_was_not_sent_whole_has_failed(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 64);
  /* Nobody reads: the fake's connection is left alone. */
  assert_int_equal(loop_watch_set(bench.loop, &bench.fakes[0].connections[0].watch, 0, NULL), 0);
  enum { SIZE = 1 << 20 };
  char *text = malloc(SIZE + 1);
  assert_non_null(text);
  memset(text, 'x', SIZE);
  text[SIZE] = '\0';
  for (int64_t i = 1; i <= 64; i++) {
    redis_bench_send(&bench, REDIS_LEDGER_APPEND, (int64_t[]){1, i, 5}, 3, text);
  }
  driver_redis.session_close(&bench.session->base);
  assert_int_equal(bench.replies, 64);
  assert_true(bench.outcomes[OUTCOME_UNKNOWN] > 0);
  assert_true(bench.outcomes[OUTCOME_FAIL] > 32);
  redis_bench_assert_reply(&bench, OUTCOME_FAIL, CODE_NO_CONNECTION);
  free(text);
  redis_bench_release(&bench);
}

static void test_primary_that_became_a_replica_is_left(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 2);
  fake_redis_reply_to(&bench.fakes[0], "SET", "-READONLY You can't write\r\n");
  redis_bench_send_append(&bench, 1, 1);
  redis_bench_send_append(&bench, 1, 2);
  redis_bench_await(&bench, &bench.lost, 1);
  assert_int_equal(bench.outcomes[OUTCOME_FAIL], 2);
  redis_bench_assert_reply(&bench, OUTCOME_FAIL, CODE_READ_ONLY);
  redis_bench_release(&bench);
}

/* A pinned session lives through a promotion: the first success carries the new history. */
static void test_promotion_is_seen_with_the_first_success(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 1);
  struct fake_redis *fake = &bench.fakes[0];
  assert_int_equal(redis_histories_number(&bench.histories, FAKE_REDIS_ID_A), 1);
  fake->role = "slave";
  redis_bench_open(&bench, ROUTE_PINNED, 2);
  fake_redis_reply_to(fake, "SET", "-READONLY You can't write\r\n");
  redis_bench_append_gets(&bench, 1, 1, OUTCOME_FAIL, CODE_READ_ONLY);
  assert_int_equal(bench.last.timeline, 0);
  assert_int_equal(bench.lost, 0);
  fake->role = "master";
  fake->history = FAKE_REDIS_ID_B;
  fake_redis_reply_to(fake, "SET", "+OK\r\n");
  redis_bench_send_append(&bench, 1, 2);
  redis_bench_send_append(&bench, 1, 3);
  redis_bench_await(&bench, &bench.replies, 3);
  assert_int_equal(bench.outcomes[OUTCOME_OK], 2);
  assert_int_equal(bench.last.timeline, 2);
  assert_int_equal(bench.session->base.timeline, 2);
  assert_int_equal(fake_redis_seen(fake, "INFO"), 2);
  redis_bench_release(&bench);
}

static void test_promotion_that_cannot_be_asked_for_is_acknowledged_all_the_same(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 1);
  bench.fakes[0].role = "slave";
  redis_bench_open(&bench, ROUTE_PINNED, 1);
  fake_redis_rule(&bench.fakes[0], "INFO", FAKE_REDIS_CLOSE, 0);
  redis_bench_append_gets(&bench, 1, 1, OUTCOME_OK, "");
  assert_int_equal(bench.last.timeline, 0);
  assert_int_equal(bench.last.host, 0);
  redis_bench_release(&bench);
}

static void test_answers_to_nothing_end_the_session(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 1);
  redis_bench_say(&bench, 0, "-ERR max number of clients reached\r\n", 36);
  redis_bench_await(&bench, &bench.lost, 1);
  assert_non_null(strstr(bench.why.message, "max number of clients"));
  redis_bench_connect(&bench);
  redis_bench_say(&bench, 0, "what is this\r\n", 14);
  redis_bench_await(&bench, &bench.lost, 2);
  assert_non_null(strstr(bench.why.message, "no answer of a Redis server"));
  redis_bench_release(&bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_connects_and_writes),
      cmocka_unit_test(test_wrong_password_is_no_connection_and_is_not_told),
      cmocka_unit_test(test_route_to_the_primary_passes_by_replicas),
      cmocka_unit_test(test_route_to_a_replica_refuses_the_primary),
      cmocka_unit_test(test_no_server_says_why_of_each),
      cmocka_unit_test(test_silent_server_ends_the_attempt),
      cmocka_unit_test(test_values_are_read),
      cmocka_unit_test(test_answer_in_pieces),
      cmocka_unit_test(test_errors_by_their_first_word),
      cmocka_unit_test(test_wait_must_see_enough_replicas),
      cmocka_unit_test(test_end_of_file_after_the_send_is_unknown),
      cmocka_unit_test(test_silence_until_the_deadline_is_unknown),
      cmocka_unit_test(test_what_was_not_sent_whole_has_failed),
      cmocka_unit_test(test_primary_that_became_a_replica_is_left),
      cmocka_unit_test(test_promotion_is_seen_with_the_first_success),
      cmocka_unit_test(test_promotion_that_cannot_be_asked_for_is_acknowledged_all_the_same),
      cmocka_unit_test(test_answers_to_nothing_end_the_session),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
