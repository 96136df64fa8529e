/* driver_redis and redis-ledger against real Redis servers on loopback: alone, with a replica, with
 * Sentinel, as a cluster. */
#include <signal.h>

#include "support/redis_bench.h"
#include "support/redis_server.h"
#include "support/test.h"

#define SERVERS 6u

/* The servers of one test, and a session with them. */
struct place {
  struct redis_bench bench;
  struct redis_server servers[SERVERS];
  uint32_t count;
  struct endpoint endpoints[SERVERS];
};

static const char *const names[SERVERS] = {"one", "two", "three", "four", "five", "six"};

static struct redis_bench *place_init(struct place *place, uint32_t count) {
  *place = (struct place){.count = count};
  redis_bench_init(&place->bench, 0);
  for (uint32_t i = 0; i < count; i++) {
    struct error err = ERROR_INIT;
    int status = redis_server_make(&place->servers[i], names[i], (uint16_t)i, &err);
    if (status == STATUS_ENVIRONMENT) {
      redis_bench_release(&place->bench);
      skip_because("%s", err.message);
    }
    assert_ok(status, &err);
    place->endpoints[i] = place->servers[i].endpoint;
  }
  struct redis_bench *bench = &place->bench;
  bench->access.endpoints = place->endpoints;
  bench->access.endpoint_count = count;
  bench->access.password = REDIS_SERVER_PASSWORD;
  bench->options.connect_timeout_ns = NS_PER_S;
  bench->options.reconnect_delay_ns = 20 * NS_PER_MS;
  return bench;
}

static void start(struct place *place, uint32_t index, const char *lines) {
  struct error err = ERROR_INIT;
  assert_ok(redis_server_start(&place->servers[index], lines, false, &err), &err);
}

static void place_release(struct place *place) {
  redis_bench_release(&place->bench);
  for (uint32_t i = 0; i < place->count; i++) redis_server_remove(&place->servers[i]);
}

/* Waits until the answer to the command holds the text, the session going on meanwhile. */
static void await_says(struct place *place, uint32_t index, const char *command, const char *text) {
  struct redis_bench *bench = &place->bench;
  uint64_t give_up_ns = loop_now_ns(bench->loop) + 30 * NS_PER_S;
  while (!redis_server_says(&place->servers[index], command, text)) {
    assert_true(loop_now_ns(bench->loop) < give_up_ns);
    loop_turn(bench->loop, loop_now_ns(bench->loop) + 5 * NS_PER_MS, NULL);
  }
}

static void say(struct place *place, uint32_t index, const char *command) {
  redisReply *reply = redis_server_say(&place->servers[index], command);
  assert_non_null(reply);
  if (reply->type == REDIS_REPLY_ERROR) fail_msg("%s: %s", command, reply->str);
  freeReplyObject(reply);
}

/* The first is the primary of the second, which streams. */
static void start_pair(struct place *place) {
  char lines[128];
  start(place, 0, "repl-diskless-sync-delay 0\n");
  snprintf(lines, sizeof lines, "replicaof 127.0.0.1 %u\n", (unsigned)place->endpoints[0].port);
  start(place, 1, lines);
  await_says(place, 1, "INFO replication", "master_link_status:up");
}

/* --- the ledger ------------------------------------------------------------------------------ */

struct counter {
  struct final_reader reader;
  uint32_t rows, corrupt;
  uint64_t sequences;
};

static int count_row(struct final_reader *reader, const struct final_row *row, struct error *err) {
  struct counter *counter = (struct counter *)(void *)reader;
  (void)err;
  counter->rows++;
  counter->corrupt += row->corrupt;
  counter->sequences += row->sequence;
  return 0;
}

static struct counter read_ledger(struct place *place, uint32_t index) {
  struct workload_env env = {.workload = &workload_redis_ledger, .access = &place->bench.access};
  struct counter counter = {.reader = {.row = count_row}};
  struct error err = ERROR_INIT;
  assert_ok(workload_redis_ledger.final_read(&env, &place->endpoints[index], &counter.reader, &err),
            &err);
  return counter;
}

static void empty_ledger(struct place *place) {
  struct workload_env env = {.workload = &workload_redis_ledger, .access = &place->bench.access};
  struct error err = ERROR_INIT;
  assert_ok(workload_redis_ledger.prepare(&env, &err), &err);
}

/* --- alone ----------------------------------------------------------------------------------- */

static void test_ledger_is_read_back_whole_and_damage_is_seen(void **state) {
  (void)state;
  struct place place;
  struct redis_bench *bench = place_init(&place, 1);
  start(&place, 0, "");
  say(&place, 0, "MSET gd:w:9:9 1:x other x");
  empty_ledger(&place);
  redis_bench_open(bench, ROUTE_PRIMARY, 16);
  assert_int_equal(bench->session->base.timeline, 1);
  for (int64_t i = 1; i <= 200; i++) {
    if (bench->session->base.in_flight == 16)
      redis_bench_await(bench, &bench->replies, bench->replies + 1);
    redis_bench_send_append(bench, 4, i);
  }
  redis_bench_await(bench, &bench->replies, 200);
  assert_int_equal(bench->outcomes[OUTCOME_OK], 200);
  redis_bench_send(bench, REDIS_LEDGER_READ_OWN, (int64_t[]){4, 77}, 2, NULL);
  redis_bench_await(bench, &bench->replies, 201);
  assert_true(bench->last.has_row);
  struct counter counter = read_ledger(&place, 0);
  assert_int_equal(counter.rows, 200);
  assert_int_equal(counter.sequences, 200 * 201 / 2);
  assert_int_equal(counter.corrupt, 200); /* 5 is nobody's checksum */
  assert_true(redis_server_says(&place.servers[0], "GET other", "x"));
  place_release(&place);
}

static void test_killed_server_makes_unknowns(void **state) {
  (void)state;
  struct place place;
  struct redis_bench *bench = place_init(&place, 1);
  start(&place, 0, "");
  redis_bench_open(bench, ROUTE_PRIMARY, 4);
  redis_server_signal(&place.servers[0], SIGSTOP);
  for (int64_t i = 1; i <= 3; i++) redis_bench_send_append(bench, 4, i);
  redis_server_stop(&place.servers[0]);
  redis_bench_await(bench, &bench->lost, 1);
  assert_int_equal(bench->outcomes[OUTCOME_UNKNOWN], 3);
  redis_bench_assert_reply(bench, OUTCOME_UNKNOWN, CODE_CONNECTION_LOST);
  redis_bench_cannot_connect(bench);
  assert_non_null(strstr(bench->why.message, "refused"));
  /* Another life of it is another history. */
  start(&place, 0, "");
  redis_bench_connect(bench);
  assert_int_equal(bench->session->base.timeline, 2);
  place_release(&place);
}

static void test_frozen_server_ends_in_the_connect_timeout(void **state) {
  (void)state;
  struct place place;
  struct redis_bench *bench = place_init(&place, 1);
  start(&place, 0, "");
  bench->options.connect_timeout_ns = 100 * NS_PER_MS;
  redis_bench_session(bench, ROUTE_PRIMARY, 1);
  redis_server_signal(&place.servers[0], SIGSTOP);
  redis_bench_cannot_connect(bench);
  assert_non_null(strstr(bench->why.message, "connect timeout"));
  redis_server_signal(&place.servers[0], SIGCONT);
  redis_bench_connect(bench);
  place_release(&place);
}

/* --- with a replica -------------------------------------------------------------------------- */

static void test_wait_counts_replicas(void **state) {
  (void)state;
  struct place place;
  struct redis_bench *bench = place_init(&place, 2);
  start_pair(&place);
  redis_bench_open(bench, ROUTE_PRIMARY, 1);
  bench->wait_ms = 10000;
  redis_bench_append_wait_gets(bench, 1, 1, OUTCOME_OK, "");
  redis_server_signal(&place.servers[1], SIGSTOP);
  bench->wait_ms = 10;
  redis_bench_append_wait_gets(bench, 1, 2, OUTCOME_UNKNOWN, CODE_NOT_REPLICATED);
  redis_server_signal(&place.servers[1], SIGCONT);
  place_release(&place);
}

static void test_promotion_is_seen_with_the_first_success(void **state) {
  (void)state;
  struct place place;
  struct redis_bench *bench = place_init(&place, 2);
  start_pair(&place);
  redis_bench_session(bench, ROUTE_PRIMARY, 1);
  redis_bench_connect_to(bench, 0);
  bench->wait_ms = 10000;
  redis_bench_append_wait_gets(bench, 1, 1, OUTCOME_OK, "");
  redis_bench_close(bench);
  place.endpoints[0].host = 1;
  place.endpoints[1].host = 0; /* where pinned sessions of the bench are */
  redis_bench_open(bench, ROUTE_PINNED, 1);
  redis_bench_append_gets(bench, 1, 2, OUTCOME_FAIL, CODE_READ_ONLY);
  say(&place, 1, "REPLICAOF NO ONE");
  redis_bench_append_gets(bench, 1, 3, OUTCOME_OK, "");
  assert_int_equal(bench->last.timeline, 2);
  assert_int_equal(read_ledger(&place, 1).rows, 2);
  place_release(&place);
}

/* --- with Sentinel --------------------------------------------------------------------------- */

static void test_follows_sentinel(void **state) {
  (void)state;
  struct place place;
  struct redis_bench *bench = place_init(&place, 5);
  start_pair(&place);
  char lines[512];
  snprintf(lines, sizeof lines,
           "sentinel monitor gameday 127.0.0.1 %u 2\nsentinel auth-pass gameday %s\n"
           "sentinel down-after-milliseconds gameday 300\nsentinel failover-timeout gameday 3000\n",
           (unsigned)place.endpoints[0].port, REDIS_SERVER_PASSWORD);
  for (uint32_t i = 2; i < 5; i++) {
    struct error err = ERROR_INIT;
    assert_ok(redis_server_start(&place.servers[i], lines, true, &err), &err);
  }
  for (uint32_t i = 2; i < 5; i++) {
    await_says(&place, i, "INFO sentinel", "slaves=1,sentinels=3");
  }
  bench->access.endpoint_count = 2;
  bench->redis.topology = REDIS_SENTINEL;
  bench->redis.sentinels = &place.endpoints[2];
  bench->redis.sentinel_count = 3;
  bench->redis.master_name = "gameday";
  redis_bench_open(bench, ROUTE_PRIMARY, 1);
  redis_bench_append_gets(bench, 1, 1, OUTCOME_OK, "");
  assert_int_equal(bench->last.host, 0);
  for (uint32_t i = 2; i < 5; i++) {
    struct redis_link *link = &bench->session->sentinels[i - 2];
    while (link->phase != LINK_OPEN) loop_turn(bench->loop, TIME_NEVER, NULL);
  }
  redis_server_signal(&place.servers[0], SIGSTOP);
  redis_bench_await(bench, &bench->lost, 1);
  assert_non_null(strstr(bench->why.message, "switched the primary to two"));
  redis_bench_connect_to(bench, 1);
  assert_int_equal(bench->session->base.timeline, 2);
  redis_bench_append_gets(bench, 1, 2, OUTCOME_OK, "");
  redis_server_signal(&place.servers[0], SIGCONT);
  place_release(&place);
}

/* --- as a cluster ---------------------------------------------------------------------------- */

/* Three primaries, and a replica of the first. */
static void start_cluster(struct place *place) {
  static const char *const slots[] = {"CLUSTER ADDSLOTSRANGE 0 5460",
                                      "CLUSTER ADDSLOTSRANGE 5461 10921",
                                      "CLUSTER ADDSLOTSRANGE 10922 16383"};
  char command[128];
  for (uint32_t i = 0; i < 4; i++) {
    start(place, i, "cluster-enabled yes\ncluster-node-timeout 500\nrepl-diskless-sync-delay 0\n");
    if (i < 3) say(place, i, slots[i]);
    if (i == 0) continue;
    snprintf(command, sizeof command, "CLUSTER MEET 127.0.0.1 %u",
             (unsigned)place->endpoints[0].port);
    say(place, i, command);
  }
  for (uint32_t i = 0; i < 4; i++) await_says(place, i, "CLUSTER INFO", "cluster_state:ok");
  for (uint32_t i = 0; i < 4; i++) await_says(place, i, "CLUSTER INFO", "cluster_known_nodes:4");
  redisReply *id = redis_server_say(&place->servers[0], "CLUSTER MYID");
  assert_non_null(id);
  snprintf(command, sizeof command, "CLUSTER REPLICATE %s", id->str);
  freeReplyObject(id);
  say(place, 3, command);
  await_says(place, 3, "INFO replication", "master_link_status:up");
  /* The others' view, which the session asks for. */
  for (uint32_t i = 0; i < 4; i++) await_says(place, i, "CLUSTER NODES", "slave");
  place->bench.redis.topology = REDIS_CLUSTER;
  place->bench.redis.shards = 3;
  place->bench.access.shards = 3;
}

static void write_many(struct redis_bench *bench, int64_t identity, int64_t count) {
  for (int64_t i = 1; i <= count; i++) redis_bench_append(bench, identity, i);
}

static void test_cluster_is_served_by_all_primaries(void **state) {
  (void)state;
  struct place place;
  struct redis_bench *bench = place_init(&place, 4);
  start_cluster(&place);
  say(&place, 0, "SET gd:w:{3}:1:1 1:x"); /* slot 1584 */
  empty_ledger(&place);
  redis_bench_open(bench, ROUTE_PRIMARY, 1);
  write_many(bench, 1, 60);
  assert_int_equal(bench->outcomes[OUTCOME_OK], 60);
  uint32_t rows = 0;
  for (uint32_t i = 0; i < 3; i++) {
    struct counter counter = read_ledger(&place, i);
    assert_true(counter.rows > 0);
    rows += counter.rows;
  }
  assert_int_equal(rows, 60);
  place_release(&place);
}

static void test_cluster_fails_over(void **state) {
  (void)state;
  struct place place;
  struct redis_bench *bench = place_init(&place, 4);
  start_cluster(&place);
  redis_bench_open(bench, ROUTE_PRIMARY, 1);
  write_many(bench, 1, 30);
  assert_int_equal(bench->outcomes[OUTCOME_OK], 30);
  redis_server_stop(&place.servers[0]);
  bench->timeout_ns = NS_PER_S;
  uint64_t give_up_ns = loop_now_ns(bench->loop) + 20 * NS_PER_S;
  /* A key of the first shard. */
  int64_t sequence = 1;
  char key[64];
  do {
    snprintf(key, sizeof key, "gd:w:1:%lld", (long long)++sequence);
  } while (redis_slot_shard(redis_key_slot(key, strlen(key)), 3) != 1);
  do {
    assert_true(loop_now_ns(bench->loop) < give_up_ns);
    bench->sent = 0;
    redis_bench_append(bench, 1, sequence);
  } while (bench->last.outcome != OUTCOME_OK);
  assert_int_equal(bench->last.host, 3);
  assert_int_equal(bench->last.shard, 1);
  assert_int_equal(bench->lost, 0);
  place_release(&place);
}

static void test_pinned_session_is_at_its_shard(void **state) {
  (void)state;
  struct place place;
  struct redis_bench *bench = place_init(&place, 4);
  start_cluster(&place);
  for (uint32_t i = 0; i < 4; i++) {
    for (uint32_t j = 0; j < 4; j++) place.endpoints[j].host = j == i ? 0 : (uint16_t)(j + 1);
    redis_bench_open(bench, ROUTE_PINNED, 1);
    uint32_t replies = bench->replies;
    redis_bench_send(bench, REDIS_LEDGER_APPEND_HERE, (int64_t[]){i + 1, 1, 5}, 3, "xyz");
    redis_bench_await(bench, &bench->replies, replies + 1);
    assert_int_equal(bench->last.shard, i < 3 ? i + 1 : 1);
    redis_bench_assert_reply(bench, i < 3 ? OUTCOME_OK : OUTCOME_FAIL, i < 3 ? "" : "RDMOV");
    if (i < 3) assert_int_equal(read_ledger(&place, i).rows, 1);
    redis_bench_close(bench);
  }
  place_release(&place);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ledger_is_read_back_whole_and_damage_is_seen),
      cmocka_unit_test(test_killed_server_makes_unknowns),
      cmocka_unit_test(test_frozen_server_ends_in_the_connect_timeout),
      cmocka_unit_test(test_wait_counts_replicas),
      cmocka_unit_test(test_promotion_is_seen_with_the_first_success),
      cmocka_unit_test(test_follows_sentinel),
      cmocka_unit_test(test_cluster_is_served_by_all_primaries),
      cmocka_unit_test(test_cluster_fails_over),
      cmocka_unit_test(test_pinned_session_is_at_its_shard),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
