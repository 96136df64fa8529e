/* driver_redis behind Sentinel, with scripted servers and sentinels: fakes 0 and 1 are servers, 2
 * and 3 sentinels. */
#include "support/redis_bench.h"
#include "support/test.h"

static void init(struct redis_bench *bench) {
  redis_bench_init(bench, 4);
  bench->access.endpoint_count = 2;
  bench->redis.topology = REDIS_SENTINEL;
  bench->redis.sentinels = &bench->endpoints[2];
  bench->redis.sentinel_count = 2;
  bench->redis.master_name = "gameday";
  bench->fakes[1].role = "slave";
  bench->fakes[2].primary = bench->fakes[3].primary = &bench->endpoints[0];
  redis_bench_session(bench, ROUTE_PRIMARY, 2);
}

/* The second server is the primary now. */
static void promote(struct redis_bench *bench) {
  bench->fakes[0].role = "slave";
  bench->fakes[1].role = "master";
  bench->fakes[1].history = FAKE_REDIS_ID_B;
}

static void publish_switch(struct redis_bench *bench, uint32_t fake, const char *name) {
  char text[128];
  snprintf(text, sizeof text, "%s 127.0.0.1 %u 127.0.0.1 %u", name,
           (unsigned)bench->endpoints[0].port, (unsigned)bench->endpoints[1].port);
  fake_redis_publish(&bench->fakes[fake], "+switch-master", text);
}

static void await_subscriptions(struct redis_bench *bench) {
  redis_bench_await_seen(bench, 2, "SUBSCRIBE", 1);
  redis_bench_await_seen(bench, 3, "SUBSCRIBE", 1);
}

static void test_asks_a_sentinel_and_subscribes_to_all(void **state) {
  (void)state;
  struct redis_bench bench;
  init(&bench);
  redis_bench_connect_to(&bench, 0);
  assert_true(bench.session->base.timing.resolve_ns > 0);
  assert_int_equal(fake_redis_seen(&bench.fakes[2], "SENTINEL get-master-addr-by-name gameday"), 1);
  assert_int_equal(bench.fakes[3].accepted, 0);
  redis_bench_append_gets(&bench, 1, 1, OUTCOME_OK, "");
  await_subscriptions(&bench);
  assert_int_equal(bench.fakes[2].accepted, 1);
  redis_bench_release(&bench);
}

static void test_sentinels_have_a_password_of_their_own(void **state) {
  (void)state;
  struct redis_bench bench;
  redis_bench_init(&bench, 2);
  bench.access.endpoint_count = 1;
  bench.access.user = "app";
  bench.access.password = "one";
  bench.redis = (struct redis_access){.topology = REDIS_SENTINEL,
                                      .sentinels = &bench.endpoints[1],
                                      .sentinel_count = 1,
                                      .master_name = "gameday",
                                      .sentinel_user = "watcher",
                                      .sentinel_password = "two"};
  bench.fakes[1].primary = &bench.endpoints[0];
  redis_bench_open(&bench, ROUTE_PRIMARY, 1);
  assert_int_equal(fake_redis_seen(&bench.fakes[0], "AUTH app one\n"), 1);
  assert_int_equal(fake_redis_seen(&bench.fakes[1], "AUTH watcher two\n"), 1);
  redis_bench_release(&bench);
}

static void test_next_sentinel_when_one_is_dead_or_knows_nothing(void **state) {
  (void)state;
  struct redis_bench bench;
  init(&bench);
  bench.fakes[2].primary = NULL;
  redis_bench_connect_to(&bench, 0);
  driver_redis.session_close(&bench.session->base);
  /* The one that answered is asked first the next time. */
  redis_bench_connect(&bench);
  assert_int_equal(fake_redis_seen(&bench.fakes[2], "SENTINEL"), 1);
  assert_int_equal(fake_redis_seen(&bench.fakes[3], "SENTINEL"), 2);
  driver_redis.session_close(&bench.session->base);
  fake_redis_kill(&bench.fakes[3]);
  bench.fakes[2].primary = &bench.endpoints[0];
  redis_bench_connect(&bench);
  redis_bench_release(&bench);
}

static void test_no_sentinel_says_why_of_each(void **state) {
  (void)state;
  struct redis_bench bench;
  init(&bench);
  fake_redis_stop_listening(&bench.fakes[2]);
  bench.fakes[3].primary = &bench.endpoints[1]; /* it is a replica */
  redis_bench_cannot_connect(&bench);
  assert_non_null(strstr(bench.why.message, "redis3: cannot connect"));
  assert_non_null(strstr(bench.why.message, "redis2: is a replica"));
  redis_bench_release(&bench);
}

static void test_silent_sentinel_is_passed_by(void **state) {
  (void)state;
  struct redis_bench bench;
  init(&bench);
  bench.options.connect_timeout_ns = 200 * NS_PER_MS;
  fake_redis_rule(&bench.fakes[2], "SENTINEL", FAKE_REDIS_SILENCE, 0);
  redis_bench_connect_to(&bench, 0);
  redis_bench_release(&bench);
}

static void test_switch_leaves_the_old_primary_at_once(void **state) {
  (void)state;
  struct redis_bench bench;
  init(&bench);
  redis_bench_connect(&bench);
  await_subscriptions(&bench);
  fake_redis_rule(&bench.fakes[0], "SET", FAKE_REDIS_SILENCE, 0);
  redis_bench_send_append(&bench, 1, 1);
  redis_bench_await_seen(&bench, 0, "SET", 1);
  promote(&bench);
  /* The sentinel that was asked is on the old side, and will say so if it is asked again. */
  publish_switch(&bench, 3, "another");
  publish_switch(&bench, 3, "gameday");
  redis_bench_await(&bench, &bench.lost, 1);
  redis_bench_assert_reply(&bench, OUTCOME_UNKNOWN, CODE_CONNECTION_LOST);
  assert_non_null(strstr(bench.why.message, "redis4: switched the primary to redis2"));
  redis_bench_connect_to(&bench, 1);
  assert_int_equal(bench.session->base.timeline, 2);
  assert_int_equal(fake_redis_seen(&bench.fakes[2], "SENTINEL"), 1);
  /* The news that came late is no news. */
  redis_bench_await_seen(&bench, 2, "SUBSCRIBE", 2);
  publish_switch(&bench, 2, "gameday");
  redis_bench_append_gets(&bench, 2, 1, OUTCOME_OK, "");
  assert_int_equal(bench.lost, 1);
  redis_bench_release(&bench);
}

static void test_named_primary_that_is_dead_sends_back_to_the_sentinels(void **state) {
  (void)state;
  struct redis_bench bench;
  init(&bench);
  redis_bench_connect(&bench);
  await_subscriptions(&bench);
  fake_redis_stop_listening(&bench.fakes[1]);
  publish_switch(&bench, 2, "gameday");
  redis_bench_await(&bench, &bench.lost, 1);
  redis_bench_connect_to(&bench, 0);
  redis_bench_release(&bench);
}

static void test_subscription_is_renewed(void **state) {
  (void)state;
  struct redis_bench bench;
  init(&bench);
  redis_bench_connect(&bench);
  await_subscriptions(&bench);
  fake_redis_drop(&bench.fakes[3]);
  redis_bench_await_seen(&bench, 3, "SUBSCRIBE", 2);
  assert_int_equal(bench.lost, 0);
  promote(&bench);
  publish_switch(&bench, 3, "gameday");
  redis_bench_await(&bench, &bench.lost, 1);
  redis_bench_connect_to(&bench, 1);
  redis_bench_release(&bench);
}

/* Its host lost power: nothing comes, not even an end. */
static void test_subscription_that_fell_silent_is_renewed(void **state) {
  (void)state;
  struct redis_bench bench;
  init(&bench);
  redis_bench_connect(&bench);
  bench.options.connect_timeout_ns = 200 * NS_PER_MS;
  await_subscriptions(&bench);
  redis_bench_await_seen(&bench, 3, "PING", 3);
  assert_int_equal(fake_redis_seen(&bench.fakes[3], "SUBSCRIBE"), 1);
  fake_redis_rule(&bench.fakes[3], "PING", FAKE_REDIS_SILENCE, 1);
  redis_bench_await_seen(&bench, 3, "SUBSCRIBE", 2);
  assert_int_equal(bench.lost, 0);
  redis_bench_release(&bench);
}

static void test_dead_sentinels_do_not_end_the_session(void **state) {
  (void)state;
  struct redis_bench bench;
  init(&bench);
  redis_bench_connect(&bench);
  await_subscriptions(&bench);
  for (uint32_t i = 2; i < 4; i++) fake_redis_kill(&bench.fakes[i]);
  for (int64_t i = 1; i <= 20; i++) redis_bench_append_gets(&bench, 1, i, OUTCOME_OK, "");
  assert_int_equal(bench.lost, 0);
  redis_bench_release(&bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_asks_a_sentinel_and_subscribes_to_all),
      cmocka_unit_test(test_sentinels_have_a_password_of_their_own),
      cmocka_unit_test(test_next_sentinel_when_one_is_dead_or_knows_nothing),
      cmocka_unit_test(test_no_sentinel_says_why_of_each),
      cmocka_unit_test(test_silent_sentinel_is_passed_by),
      cmocka_unit_test(test_switch_leaves_the_old_primary_at_once),
      cmocka_unit_test(test_named_primary_that_is_dead_sends_back_to_the_sentinels),
      cmocka_unit_test(test_subscription_is_renewed),
      cmocka_unit_test(test_subscription_that_fell_silent_is_renewed),
      cmocka_unit_test(test_dead_sentinels_do_not_end_the_session),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
