/* driver_redis in a cluster of scripted nodes: the map, redirections, what waits for a connection.
 * Fakes 0 and 1 own a half of the slots each; 2 is a replica of the first. */
#include "support/redis_bench.h"
#include "support/test.h"

struct cluster_bench {
  struct redis_bench bench;
  char *slots, *slots_after; /* before and after fake 2 took over from fake 0 */
  int64_t first, second;     /* sequences of identity 1 whose keys are the one's and the other's */
};

static uint16_t slot_of(int64_t sequence) {
  char key[64];
  snprintf(key, sizeof key, "gd:w:1:%lld", (long long)sequence);
  return redis_key_slot(key, strlen(key));
}

static struct redis_bench *init(struct cluster_bench *cluster) {
  struct redis_bench *bench = &cluster->bench;
  redis_bench_init(bench, 3);
  bench->redis.topology = REDIS_CLUSTER;
  bench->redis.shards = 2;
  struct fake_redis *fakes = bench->fakes;
  cluster->slots = fake_redis_slots((const struct fake_redis *[]){&fakes[0], &fakes[1]}, 2);
  cluster->slots_after = fake_redis_slots((const struct fake_redis *[]){&fakes[2], &fakes[1]}, 2);
  for (uint32_t i = 0; i < 3; i++) fakes[i].slots = cluster->slots;
  fakes[2].role = "slave";
  cluster->first = cluster->second = 1;
  while (slot_of(cluster->first) >= REDIS_SLOTS / 2) cluster->first++;
  while (slot_of(cluster->second) < REDIS_SLOTS / 2) cluster->second++;
  return bench;
}

static struct redis_bench *open_cluster(struct cluster_bench *cluster, uint32_t depth) {
  struct redis_bench *bench = init(cluster);
  redis_bench_open(bench, ROUTE_PRIMARY, depth);
  return bench;
}

static void release(struct cluster_bench *cluster) {
  redis_bench_release(&cluster->bench);
  free(cluster->slots);
  free(cluster->slots_after);
}

/* Fake 0 is dead and 2 its successor; who is asked from now on knows it. */
static void fail_over(struct cluster_bench *cluster) {
  struct fake_redis *fakes = cluster->bench.fakes;
  fakes[2].role = "master";
  fakes[2].history = FAKE_REDIS_ID_B;
  for (uint32_t i = 0; i < 3; i++) fakes[i].slots = cluster->slots_after;
}

/* Appends that row of identity 1; this host acknowledges it. */
static void append_on(struct redis_bench *bench, int64_t sequence, uint16_t host) {
  redis_bench_append_gets(bench, 1, sequence, OUTCOME_OK, "");
  assert_int_equal(bench->last.host, host);
}

/* Node `from` says to every SET that node `to` is to be asked. */
static void moved(struct cluster_bench *cluster, uint32_t from, const char *what, uint32_t to,
                  int64_t sequence) {
  char text[128];
  snprintf(text, sizeof text, "-%s %u 127.0.0.1:%u\r\n", what, (unsigned)slot_of(sequence),
           (unsigned)cluster->bench.endpoints[to].port);
  fake_redis_reply_to(&cluster->bench.fakes[from], "SET", text);
}

static void test_routes_by_slot(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = open_cluster(&cluster, 1);
  append_on(bench, cluster.first, 0);
  assert_int_equal(bench->last.shard, 1);
  append_on(bench, cluster.second, 1);
  assert_int_equal(bench->last.shard, 2);
  assert_int_equal(fake_redis_seen(&bench->fakes[0], "SET"), 1);
  assert_int_equal(fake_redis_seen(&bench->fakes[1], "SET"), 1);
  assert_int_equal(bench->fakes[2].accepted, 0);
  release(&cluster);
}

static void test_a_replica_can_be_asked_for_the_map(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = init(&cluster);
  struct endpoint first = bench->endpoints[0];
  bench->endpoints[0] = bench->endpoints[2];
  bench->endpoints[2] = first;
  redis_bench_open(bench, ROUTE_PRIMARY, 1);
  append_on(bench, cluster.first, 0);
  /* It has done its part. */
  assert_int_equal(fake_redis_seen(&bench->fakes[2], "SET"), 0);
  release(&cluster);
}

static void test_next_server_when_one_is_dead_or_in_no_cluster(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = init(&cluster);
  fake_redis_stop_listening(&bench->fakes[0]);
  fake_redis_reply_to(&bench->fakes[1], "CLUSTER",
                      "-ERR This instance has cluster support off\r\n");
  redis_bench_open(bench, ROUTE_PRIMARY, 1);
  redis_bench_append_gets(bench, 1, cluster.second, OUTCOME_OK, "");
  release(&cluster);
}

static void test_moved_is_followed_and_remembered(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = open_cluster(&cluster, 1);
  moved(&cluster, 0, "MOVED", 2, cluster.first);
  fail_over(&cluster);
  append_on(bench, cluster.first, 2);
  assert_int_equal(bench->last.timeline, 2);
  redis_bench_append_gets(bench, 1, cluster.first, OUTCOME_OK, "");
  assert_int_equal(fake_redis_seen(&bench->fakes[0], "SET"), 1);
  redis_bench_await_seen(bench, 0, "CLUSTER SLOTS", 1);
  assert_int_equal(bench->lost, 0);
  release(&cluster);
}

static void test_moved_is_not_followed_for_ever(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = open_cluster(&cluster, 1);
  moved(&cluster, 0, "MOVED", 1, cluster.first);
  moved(&cluster, 1, "MOVED", 0, cluster.first);
  redis_bench_append_gets(bench, 1, cluster.first, OUTCOME_FAIL, "RDMOV");
  assert_int_equal(
      fake_redis_seen(&bench->fakes[0], "SET") + fake_redis_seen(&bench->fakes[1], "SET"),
      REDIRECTS_MAX + 1);
  release(&cluster);
}

static void test_ask_is_followed_once_with_asking(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = open_cluster(&cluster, 1);
  moved(&cluster, 0, "ASK", 1, cluster.first);
  append_on(bench, cluster.first, 1);
  assert_int_equal(fake_redis_seen(&bench->fakes[1], "ASKING"), 1);
  redis_bench_append(bench, 1, cluster.first);
  assert_int_equal(fake_redis_seen(&bench->fakes[0], "SET"), 2);
  release(&cluster);
}

static void test_wait_goes_along_with_a_redirection(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = open_cluster(&cluster, 1);
  moved(&cluster, 0, "MOVED", 1, cluster.first);
  fake_redis_reply_to(&bench->fakes[0], "WAIT", ":0\r\n");
  redis_bench_append_wait_gets(bench, 1, cluster.first, OUTCOME_OK, "");
  assert_int_equal(bench->last.host, 1);
  assert_int_equal(fake_redis_seen(&bench->fakes[1], "WAIT"), 1);
  release(&cluster);
}

static void test_lost_primary_costs_its_shard_only(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = open_cluster(&cluster, 2);
  redis_bench_append(bench, 1, cluster.first);
  fake_redis_rule(&bench->fakes[0], "SET", FAKE_REDIS_SILENCE, 0);
  redis_bench_send_append(bench, 1, cluster.first);
  redis_bench_await_seen(bench, 0, "SET", 2);
  fake_redis_kill(&bench->fakes[0]);
  redis_bench_await(bench, &bench->replies, 2);
  redis_bench_assert_reply(bench, OUTCOME_UNKNOWN, CODE_CONNECTION_LOST);
  assert_int_equal(bench->last.shard, 1);
  assert_int_equal(bench->lost, 0);
  /* No connection: it waits for the next attempt, and fails with it. */
  redis_bench_append_gets(bench, 1, cluster.first, OUTCOME_FAIL, CODE_NO_CONNECTION);
  assert_int_equal(bench->last.shard, 1);
  redis_bench_append_gets(bench, 1, cluster.second, OUTCOME_OK, "");
  /* The map is asked for until it is another one. */
  fail_over(&cluster);
  for (uint32_t tries = 0; tries < 1000 && bench->last.host != 2; tries++) {
    redis_bench_append(bench, 1, cluster.first);
  }
  redis_bench_assert_reply(bench, OUTCOME_OK, "");
  assert_int_equal(bench->last.host, 2);
  assert_int_equal(bench->lost, 0);
  release(&cluster);
}

static void test_silent_primary_costs_its_connection_only(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = open_cluster(&cluster, 2);
  redis_bench_append(bench, 1, cluster.first);
  fake_redis_rule(&bench->fakes[0], "SET", FAKE_REDIS_SILENCE, 1);
  bench->timeout_ns = 30 * NS_PER_MS;
  redis_bench_append_gets(bench, 1, cluster.first, OUTCOME_UNKNOWN, CODE_TIMEOUT);
  bench->timeout_ns = 20 * NS_PER_S;
  redis_bench_append_gets(bench, 1, cluster.second, OUTCOME_OK, "");
  redis_bench_append_gets(bench, 1, cluster.first, OUTCOME_OK, "");
  assert_int_equal(bench->lost, 0);
  assert_int_equal(bench->fakes[0].accepted, 2);
  release(&cluster);
}

static void test_cluster_down_fails_and_asks_for_the_map(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = open_cluster(&cluster, 1);
  fake_redis_reply_to(&bench->fakes[0], "SET", "-CLUSTERDOWN The cluster is down\r\n");
  redis_bench_append_gets(bench, 1, cluster.first, OUTCOME_FAIL, "RDDWN");
  redis_bench_await_seen(bench, 0, "CLUSTER SLOTS", 2);
  assert_int_equal(bench->lost, 0);
  release(&cluster);
}

static void test_all_lost_ends_the_session(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = open_cluster(&cluster, 2);
  redis_bench_append(bench, 1, cluster.first);
  redis_bench_append(bench, 1, cluster.second);
  for (uint32_t i = 0; i < 3; i++) fake_redis_kill(&bench->fakes[i]);
  redis_bench_await(bench, &bench->lost, 1);
  redis_bench_cannot_connect(bench);
  assert_non_null(strstr(bench->why.message, "redis1: cannot connect"));
  assert_non_null(strstr(bench->why.message, "redis3: cannot connect"));
  release(&cluster);
}

static void test_closing_gives_back_what_waits(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = open_cluster(&cluster, 2);
  redis_bench_append(bench, 1, cluster.first);
  redis_bench_append(bench, 1, cluster.second);
  bench->options.reconnect_delay_ns = 10 * NS_PER_S;
  fake_redis_kill(&bench->fakes[0]);
  redis_bench_append(bench, 1, cluster.second);
  while (bench->session->links[0].phase != LINK_CLOSED) redis_bench_turn(bench);
  redis_bench_send_append(bench, 1, cluster.first);
  driver_redis.session_close(&bench->session->base);
  assert_int_equal(bench->replies, 4);
  redis_bench_assert_reply(bench, OUTCOME_FAIL, CODE_NO_CONNECTION);
  assert_int_equal(bench->session->base.in_flight, 0);
  release(&cluster);
}

#define FIRST_SLOTS "1 connected 0-8191\n"
#define SECOND_SLOTS "2 connected 8192-16383\n"

static void test_own_slot_of_primaries_and_replicas(void **state) {
  (void)state;
  static const char nodes[] = FAKE_REDIS_ID_A
      " 127.0.0.1:1@2 master - 0 0 " FIRST_SLOTS
      "cccccccccccccccccccccccccccccccccccccccc 127.0.0.1:3@4 %sslave " FAKE_REDIS_ID_B
      " 0 0 2 connected\n" FAKE_REDIS_ID_B " 127.0.0.1:5@6 %smaster - 0 0 " SECOND_SLOTS;
  char text[512];
  uint16_t slot = 0;
  for (int replica = 0; replica <= 1; replica++) {
    slot = 0;
    snprintf(text, sizeof text, nodes, replica ? "myself," : "", replica ? "" : "myself,");
    assert_true(redis_cluster_own_slot(text, &slot));
    assert_int_equal(slot, 8192);
  }
  static const char *const unknown[] = {
      "",
      "\n",
      "what",
      FAKE_REDIS_ID_A " 127.0.0.1:1@2 myself,master - 0 0 1 connected\n",
      FAKE_REDIS_ID_A " :0@0 myself,slave " FAKE_REDIS_ID_B " 0 0 1 connected\n",
      FAKE_REDIS_ID_A " :0@0 myself,master - 0 0 1 connected [93->-" FAKE_REDIS_ID_B "]\n",
      FAKE_REDIS_ID_A " :0@0 myself,master - 0 0 1 connected 99999\n"};
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
    assert_false(redis_cluster_own_slot(unknown[i], &slot));
  }
}

static void test_pinned_session_writes_keys_of_its_shard(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = init(&cluster);
  static const char nodes_first[] =
      "$85\r\n" FAKE_REDIS_ID_A " :0@0 myself,master - 0 0 " FIRST_SLOTS "\r\n";
  static const char nodes_second[] =
      "$89\r\n" FAKE_REDIS_ID_A " :0@0 myself,master - 0 0 " SECOND_SLOTS "\r\n";
  for (uint32_t i = 0; i < 2; i++) {
    /* The pinned host is number 0: the first fake, then the second. */
    bench->endpoints[0].host = (uint16_t)i;
    bench->endpoints[1].host = (uint16_t)(1 - i);
    fake_redis_reply_to(&bench->fakes[i], "CLUSTER NODES", i == 0 ? nodes_first : nodes_second);
    redis_bench_open(bench, ROUTE_PINNED, 1);
    uint32_t replies = bench->replies;
    redis_bench_send(bench, REDIS_LEDGER_APPEND_HERE, (int64_t[]){3, 1, 5}, 3, "xyz");
    redis_bench_await(bench, &bench->replies, replies + 1);
    redis_bench_assert_reply(bench, OUTCOME_OK, "");
    assert_int_equal(bench->last.shard, i + 1);
    char tag[REDIS_TAG_SIZE], command[64];
    redis_shard_tag((uint16_t)(i + 1), 2, tag);
    snprintf(command, sizeof command, "SET gd:w:%s3:1 5:xyz\n", tag);
    assert_int_equal(fake_redis_seen(&bench->fakes[i], command), 1);
    assert_int_equal(fake_redis_seen(&bench->fakes[i], "READONLY"), 1);
    redis_bench_close(bench);
  }
  release(&cluster);
}

static void test_pinned_session_follows_no_redirection(void **state) {
  (void)state;
  struct cluster_bench cluster;
  struct redis_bench *bench = init(&cluster);
  redis_bench_open(bench, ROUTE_PINNED, 1);
  moved(&cluster, 0, "MOVED", 1, cluster.first);
  redis_bench_append_gets(bench, 1, cluster.first, OUTCOME_FAIL, "RDMOV");
  assert_int_equal(bench->lost, 0);
  assert_int_equal(bench->fakes[1].accepted, 0);
  release(&cluster);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_routes_by_slot),
      cmocka_unit_test(test_a_replica_can_be_asked_for_the_map),
      cmocka_unit_test(test_next_server_when_one_is_dead_or_in_no_cluster),
      cmocka_unit_test(test_moved_is_followed_and_remembered),
      cmocka_unit_test(test_moved_is_not_followed_for_ever),
      cmocka_unit_test(test_ask_is_followed_once_with_asking),
      cmocka_unit_test(test_wait_goes_along_with_a_redirection),
      cmocka_unit_test(test_lost_primary_costs_its_shard_only),
      cmocka_unit_test(test_silent_primary_costs_its_connection_only),
      cmocka_unit_test(test_cluster_down_fails_and_asks_for_the_map),
      cmocka_unit_test(test_all_lost_ends_the_session),
      cmocka_unit_test(test_closing_gives_back_what_waits),
      cmocka_unit_test(test_own_slot_of_primaries_and_replicas),
      cmocka_unit_test(test_pinned_session_writes_keys_of_its_shard),
      cmocka_unit_test(test_pinned_session_follows_no_redirection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
