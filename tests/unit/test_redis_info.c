/* What Redis says of itself, read from texts as servers send them. */
#include "support/test.h"

#include "base/prng.h"
#include "services/redis_info.h"

#define REPLID "372ebac3373505bfc381974fe9c4a380447e51e7"

static const char primary_text[] =
    "# Server\r\nredis_version:7.0.15\r\n\r\n# Clients\r\nconnected_clients:9\r\n"
    "# Memory\r\nused_memory:1048576\r\nused_memory_human:1.00M\r\n"
    "maxmemory:2097152\r\nmaxmemory_human:2.00M\r\n"
    "# Persistence\r\nloading:0\r\nasync_loading:0\r\nrdb_last_bgsave_status:err\r\n"
    "# Stats\r\nexpired_keys:3\r\nevicted_keys:2\r\nkeyspace_hits:10\r\nkeyspace_misses:4\r\n"
    "# Errorstats\r\nerrorstat_ERR:count=1\r\nerrorstat_OOM:count=12\r\n"
    "# Replication\r\nrole:master\r\nconnected_slaves:2\r\nmin_slaves_good_slaves:2\r\n"
    "slave0:ip=10.0.0.12,port=6379,state=online,offset=420,lag=1\r\n"
    "slave1:ip=10.0.0.13,port=6379,state=wait_bgsave,offset=0,lag=0\r\n"
    "master_failover_state:no-failover\r\nmaster_replid:" REPLID
    "\r\n"
    "master_replid2:0000000000000000000000000000000000000000\r\nmaster_repl_offset:434\r\n";
static const char replica_text[] =
    "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.11\r\nmaster_port:6379\r\n"
    "master_link_status:up\r\nmaster_sync_in_progress:0\r\nslave_read_repl_offset:421\r\n"
    "slave_repl_offset:420\r\nslave_priority:100\r\nslave_read_only:1\r\nconnected_slaves:0\r\n"
    "master_replid:" REPLID "\r\nmaster_repl_offset:420\r\n";

static void test_info_of_a_primary(void **state) {
  (void)state;
  struct redis_info info;
  assert_true(redis_parse_info(primary_text, strlen(primary_text), &info));
  assert_true(info.primary);
  assert_string_equal(info.history, REPLID);
  assert_int_equal(info.offset, 434);
  assert_int_equal(info.listed_count, 2);
  assert_string_equal(info.listed[0].address, "10.0.0.12");
  assert_true(info.listed[0].online);
  assert_int_equal(info.listed[0].offset, 420);
  assert_int_equal(info.listed[0].lag_s, 1);
  assert_false(info.listed[1].online);
  assert_true(info.has_good_replicas && info.good_replicas == 2);
  assert_true(info.has_stats && !info.loading);
  assert_int_equal(info.memory_used, 1048576);
  assert_int_equal(info.memory_limit, 2097152);
  assert_int_equal(info.memory_refusals, 12);
  assert_true(info.snapshot_failed);
  assert_int_equal(info.evicted_keys, 2);
  assert_int_equal(info.expired_keys, 3);
  assert_int_equal(info.keyspace_hits, 10);
  assert_int_equal(info.keyspace_misses, 4);
  assert_int_equal(info.clients, 9);
  assert_string_equal(info.version, "7.0.15");
}

static void test_info_of_a_replica(void **state) {
  (void)state;
  struct redis_info info;
  assert_true(redis_parse_info(replica_text, strlen(replica_text), &info));
  assert_false(info.primary || info.has_stats || info.syncing);
  assert_true(info.link_up);
  assert_string_equal(info.from, "10.0.0.11");
  assert_int_equal(info.offset, 420);
  assert_int_equal(info.listed_count, 0); /* slave_priority is no replica */
}

/* Valkey says Redis's version for old clients, and its own beside it, in either order. */
static void test_valkey_is_told_by_its_own_version(void **state) {
  (void)state;
  static const char *const texts[] = {
      "role:master\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\n",
      "role:master\r\nvalkey_version:8.0.1\r\nredis_version:7.2.4\r\n"};
  for (size_t i = 0; i < 2; i++) {
    struct redis_info info;
    assert_true(redis_parse_info(texts[i], strlen(texts[i]), &info));
    assert_true(info.valkey);
    assert_string_equal(info.version, "8.0.1");
  }
}

static void test_info_of_anything(void **state) {
  (void)state;
  struct redis_info info;
  assert_false(redis_parse_info("", 0, &info));
  assert_false(redis_parse_info("role:sentinel\r\n", 15, &info));
  static const char odd[] =
      "role:master\nslave0:\nslave1:ip=\nmaster_repl_offset:99999999999999999999"
      "\nslave2:ip=a,lag=-1\nmaster_replid:" REPLID REPLID "\n:\n::\n";
  assert_true(redis_parse_info(odd, strlen(odd), &info));
  assert_int_equal(info.offset, UINT64_MAX);
  assert_int_equal(info.listed_count, 1);
  assert_int_equal(info.listed[0].lag_s, 0);
  assert_string_equal(info.history, "");
}

static const char nodes_text[] =
    "07c37dfeb235213a872192d90877d0cd55635b91 10.0.0.14:6379@16379 slave "
    "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 0 1426238317239 4 connected\n"
    "67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 10.0.0.12:6379@16379,redis2 master,fail - "
    "1426238316232 0 2 disconnected 5461-10922 11000 [93->-67ed2db8d677e59ec4a4cefb06858cf2a1a]\n"
    "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 10.0.0.11:6379@16379 myself,master - 0 0 9 connected "
    "5460 0-5459\n"
    "6ec23923021cf3ffec47632106199cb7f496ce01 :0@0 master,noaddr,fail? - 1 2 0 disconnected\n"
    "a 1.2.3.4:5@6 handshake\n";

static void test_nodes_of_a_cluster(void **state) {
  (void)state;
  struct redis_node nodes[8];
  assert_int_equal(redis_parse_nodes(nodes_text, strlen(nodes_text), nodes, 8), 4);
  assert_false(nodes[0].master);
  assert_string_equal(nodes[0].master_id, "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca");
  assert_string_equal(nodes[1].address, "10.0.0.12");
  assert_true(nodes[1].master && nodes[1].failed && !nodes[1].connected && !nodes[1].suspected);
  assert_int_equal(nodes[1].slot_count, 10922 - 5461 + 2); /* one that moves does not count */
  assert_int_equal(nodes[1].first_slot, 5461);
  assert_true(nodes[2].myself && nodes[2].master && !nodes[2].failed);
  assert_int_equal(nodes[2].epoch, 9);
  assert_int_equal(nodes[2].slot_count, 5461);
  assert_int_equal(nodes[2].first_slot, 0);
  assert_true(nodes[3].suspected && !nodes[3].failed);
  assert_string_equal(nodes[3].address, "");
  assert_int_equal(redis_parse_nodes(nodes_text, strlen(nodes_text), nodes, 2), 2);
}

static void test_address_of_version_6(void **state) {
  (void)state;
  struct redis_node node;
  static const char text[] =
      "x fe80::1:6379@16379 master - 0 0 1 connected 16383 16384 5-4 0-99999\n";
  assert_int_equal(redis_parse_nodes(text, strlen(text), &node, 1), 1);
  assert_string_equal(node.address, "fe80::1");
  assert_int_equal(node.slot_count, 1); /* what is no slot is none */
}

static void test_state_of_a_cluster(void **state) {
  (void)state;
  struct redis_cluster_info info;
  static const char text[] =
      "cluster_state:ok\r\ncluster_slots_assigned:16384\r\n"
      "cluster_known_nodes:6\r\ncluster_size:3\r\n";
  assert_true(redis_parse_cluster_info(text, strlen(text), &info));
  assert_true(info.ok);
  assert_int_equal(info.slots_assigned, 16384);
  assert_int_equal(info.known_nodes, 6);
  assert_int_equal(info.size, 3);
  assert_true(redis_parse_cluster_info("cluster_state:fail\r\n", 20, &info));
  assert_false(info.ok);
  assert_false(redis_parse_cluster_info("", 0, &info));
}

static void test_messages_of_a_sentinel(void **state) {
  (void)state;
  struct redis_message news;
  redis_parse_message("+odown", "master gameday 10.0.0.11 6379 #quorum 2/2", "gameday", &news);
  assert_int_equal(news.notice, REDIS_NOTICE_DOWN);
  assert_string_equal(news.address, "10.0.0.11");
  redis_parse_message("-odown", "master gameday 10.0.0.11 6379", "gameday", &news);
  assert_int_equal(news.notice, REDIS_NOTICE_BACK);
  redis_parse_message("+switch-master", "gameday 10.0.0.11 6379 10.0.0.12 6379", "gameday", &news);
  assert_int_equal(news.notice, REDIS_NOTICE_SWITCH);
  assert_string_equal(news.address, "10.0.0.11");
  assert_string_equal(news.new_address, "10.0.0.12");
  static const char *const others[][2] = {
      {"+sdown", "master gameday 10.0.0.11 6379"},
      {"+odown", "master other 10.0.0.11 6379"},
      {"+odown", "slave 10.0.0.12:6379 10.0.0.12 6379 @ gameday 10.0.0.11 6379"},
      {"+switch-master", "other 10.0.0.11 6379 10.0.0.12 6379"},
      {"+switch-master", "gameday 10.0.0.11 6379"},
      {"", ""}};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    redis_parse_message(others[i][0], others[i][1], "gameday", &news);
    assert_int_equal(news.notice, REDIS_NOTICE_OTHER);
  }
}

/* Cut anywhere and damaged anywhere: no read beyond the end, which the sanitizers watch. */
static void test_damaged_texts(void **state) {
  (void)state;
  static const char *const texts[] = {primary_text, replica_text, nodes_text};
  struct prng prng;
  prng_init(&prng, 1, "damage");
  for (uint32_t round = 0; round < 3000; round++) {
    const char *text = texts[round % 3];
    size_t length = prng_below(&prng, strlen(text) + 1);
    char *copy = malloc(length + 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    for (uint32_t i = 0; length > 0 && i < round % 5; i++)
      copy[prng_below(&prng, length)] = (char)prng_next(&prng);
    char *exact = realloc(copy, length ? length : 1);
    assert_non_null(exact);
    struct redis_info info;
    struct redis_node nodes[4];
    struct redis_cluster_info cluster;
    redis_parse_info(exact, length, &info);
    assert_true(redis_parse_nodes(exact, length, nodes, 4) <= 4);
    redis_parse_cluster_info(exact, length, &cluster);
    free(exact);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_info_of_a_primary),
      cmocka_unit_test(test_info_of_a_replica),
      cmocka_unit_test(test_valkey_is_told_by_its_own_version),
      cmocka_unit_test(test_info_of_anything),
      cmocka_unit_test(test_nodes_of_a_cluster),
      cmocka_unit_test(test_address_of_version_6),
      cmocka_unit_test(test_state_of_a_cluster),
      cmocka_unit_test(test_messages_of_a_sentinel),
      cmocka_unit_test(test_damaged_texts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
