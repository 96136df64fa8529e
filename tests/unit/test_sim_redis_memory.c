/* The memory of simulated Redis servers: counted as a real one counts it, and what goes when it is
 * full, by each policy. */
#include "sim/redis_memory.h"

#include "support/test.h"
#include "support/virtual_time.h"

#define MEMBERS 2
#define LIMIT (UINT64_C(4) << 20)
#define VALUE 1000u /* bytes; 1,376 of memory with key and table */

struct bench {
  struct virtual_time time;
  struct sim_world world;
  struct redis_config config;
  struct host hosts[MEMBERS];
  const struct host *members[MEMBERS];
  struct sim_redis_cluster *cluster;
};

static struct sim_redis *server_at(struct bench *bench, uint32_t member) {
  return &bench->cluster->servers[member];
}

/* `replica`: a second server follows the first. */
static struct bench *begin(enum redis_policy policy, bool replica) {
  static const struct sim_redis_costs costs = {.start_ns = 30 * NS_PER_MS,
                                               .copy_ns = 150 * NS_PER_MS,
                                               .execute_ns = 30 * NS_PER_US,
                                               .fsync_ns = NS_PER_MS};
  struct error err = ERROR_INIT;
  struct bench *bench = calloc(1, sizeof *bench);
  assert_non_null(bench);
  bench->config = (struct redis_config){.topology = replica ? REDIS_SENTINEL : REDIS_SINGLE,
                                        .instances = MEMBERS,
                                        .sentinels = 1,
                                        .down_after_ns = 30 * NS_PER_S,
                                        .failover_timeout_ns = 180 * NS_PER_S,
                                        .parallel_syncs = 1,
                                        .appendonly = true,
                                        .appendfsync = REDIS_FSYNC_EVERYSEC,
                                        .maxclients = 100,
                                        .maxmemory_bytes = LIMIT,
                                        .maxmemory_policy = (int)policy};
  virtual_time_begin(&bench->time);
  assert_ok(sim_world_init(&bench->world, bench->time.loop, 1, MEMBERS, 100 * NS_PER_US,
                           20 * NS_PER_US, &err),
            &err);
  for (uint32_t i = 0; i < MEMBERS; i++) {
    bench->hosts[i].index = (uint16_t)i;
    bench->members[i] = &bench->hosts[i];
  }
  assert_ok(sim_redis_cluster_new(&bench->world, &bench->config, &costs, bench->members,
                                  &bench->cluster, &err),
            &err);
  sim_redis_bootstrap(bench->cluster);
  return bench;
}

static void end(struct bench *bench) {
  assert_false(bench->world.out_of_memory);
  sim_world_release(&bench->world);
  sim_redis_cluster_free(bench->cluster);
  virtual_time_release(&bench->time);
  free(bench);
}

static void pass(struct bench *bench, uint64_t for_ns) {
  virtual_time_run(&bench->time, bench->time.now_ns + for_ns, NULL);
}

/* As SET KEY VALUE [PX]; false: refused. */
static bool put(struct bench *bench, const char *class, uint32_t number, uint64_t ttl_ns) {
  static const char value[VALUE];
  struct sim_redis *server = server_at(bench, 0);
  char key[32];
  int length = snprintf(key, sizeof key, "%s:%05u", class, (unsigned)number);
  if (memory_evict(server, memory_of_write((uint64_t)length, VALUE))) return false;
  uint64_t until_ns = ttl_ns ? bench->time.now_ns + ttl_ns : 0;
  assert_non_null(data_append_until(server, key, (size_t)length, value, VALUE, until_ns));
  stream_push(server, false);
  return true;
}

static void use(struct bench *bench, const char *class, uint32_t number) {
  char key[32];
  int length = snprintf(key, sizeof key, "%s:%05u", class, (unsigned)number);
  memory_look_up(server_at(bench, 0), key, (size_t)length, true);
}

static uint32_t count_at(struct bench *bench, uint32_t member, const char *pattern) {
  return (uint32_t)sim_redis_keys(bench->cluster, member, pattern, false);
}

static struct sim_redis_memory memory_at(struct bench *bench, uint32_t member) {
  struct sim_redis_memory memory;
  sim_redis_memory(bench->cluster, member, &memory);
  return memory;
}

/* --- counting -------------------------------------------------------------------------------- */

/* Seen on redis-server 7.0.15 (Debian, jemalloc): used_memory after 300 such keys less that before,
 * by 300; with a time to live less the places of the second table. */
static void test_keys_take_what_they_take_in_a_real_server(void **state) {
  static const struct {
    uint64_t key, value;
    bool expires;
    uint32_t bytes;
  } seen[] = {{11, 1, false, 80},      {11, 44, false, 112},  {11, 45, false, 128},
              {11, 100, false, 176},   {11, 512, false, 704}, {11, 4096, false, 5184},
              {11, 5000, false, 5184}, {11, 1, true, 112},    {11, 4096, true, 5216},
              {10, 100, false, 176},   {14, 100, false, 176}, {15, 100, false, 192},
              {30, 100, false, 192},   {31, 100, false, 208}, {32, 100, false, 208},
              {40, 100, false, 208},   {60, 100, false, 224}, {27, 131072, false, 163920}};
  const struct redis_config config = {.topology = REDIS_SINGLE};
  (void)state;
  for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
    assert_int_equal(memory_of_key(&config, seen[i].key, seen[i].value, seen[i].expires),
                     seen[i].bytes);
}

/* http://jemalloc.net/jemalloc.3.html, "Size classes". */
static void test_sizes_are_rounded_as_by_jemalloc(void **state) {
  static const uint64_t pairs[][2] = {{1, 8},       {8, 8},         {9, 16},         {17, 32},
                                      {128, 128},   {129, 160},     {160, 160},      {161, 192},
                                      {257, 320},   {4096, 4096},   {4097, 5120},    {5121, 6144},
                                      {8192, 8192}, {65537, 81920}, {131082, 163840}};
  (void)state;
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    assert_int_equal(memory_rounded(pairs[i][0]), pairs[i][1]);
}

static void test_what_is_removed_is_free_again(void **state) {
  struct bench *bench = begin(REDIS_NOEVICTION, false);
  uint64_t before = memory_at(bench, 0).used_bytes;
  (void)state;
  for (uint32_t i = 0; i < 100; i++) assert_true(put(bench, "a", i, 0));
  for (uint32_t i = 0; i < 100; i++) assert_true(put(bench, "a", i, 0)); /* once more */
  assert_true(memory_at(bench, 0).used_bytes >= before + 100 * VALUE);
  assert_true(memory_at(bench, 0).used_bytes < before + 150 * VALUE);
  assert_int_equal(sim_redis_keys(bench->cluster, 0, "a:*", true), 100);
  assert_int_equal(memory_at(bench, 0).used_bytes, before);
  end(bench);
}

/* --- what goes ------------------------------------------------------------------------------- */

/* Until something went or was refused: how many fit. */
static uint32_t fill(struct bench *bench, const char *class, uint64_t ttl_ns) {
  uint32_t count = 0;
  while (memory_at(bench, 0).evicted == 0 && put(bench, class, count, ttl_ns)) count++;
  assert_true(count > 100);
  return count;
}

static void test_noeviction_refuses_and_keeps_all(void **state) {
  struct bench *bench = begin(REDIS_NOEVICTION, false);
  (void)state;
  uint32_t count = fill(bench, "a", 0);
  assert_int_equal(memory_at(bench, 0).evicted, 0);
  assert_int_equal(count_at(bench, 0, "a:*"), count);
  assert_true(memory_at(bench, 0).used_bytes <= LIMIT);
  assert_false(put(bench, "b", 0, 0));
  end(bench);
}

static void test_lru_takes_what_nobody_has_used(void **state) {
  struct bench *bench = begin(REDIS_ALLKEYS_LRU, false);
  (void)state;
  uint32_t count = fill(bench, "a", 0);
  pass(bench, 10 * NS_PER_S);
  for (uint32_t i = 0; i < count; i += 2) use(bench, "a", i);
  for (uint32_t i = 0; i < count / 4; i++) assert_true(put(bench, "new", i, 0));
  uint32_t used = 0, unused = 0;
  for (uint32_t i = 0; i < count; i++) {
    char key[32];
    snprintf(key, sizeof key, "a:%05u", (unsigned)i);
    *(i % 2 ? &unused : &used) += count_at(bench, 0, key);
  }
  uint32_t used_gone = (count + 1) / 2 - used, unused_gone = count / 2 - unused;
  assert_in_range(used_gone + unused_gone, count / 4 - 20, count / 4 + 20);
  /* An approximation, but with a pool a good one. */
  assert_true(used_gone * 20 < unused_gone);
  assert_true(memory_at(bench, 0).used_bytes <= LIMIT + 2 * VALUE);
  end(bench);
}

static void test_lfu_takes_what_is_seldom_used(void **state) {
  struct bench *bench = begin(REDIS_ALLKEYS_LFU, false);
  (void)state;
  uint32_t count = fill(bench, "a", 0);
  for (uint32_t n = 0; n < 50; n++)
    for (uint32_t i = 0; i < 100; i++) use(bench, "a", count / 2 + i);
  for (uint32_t i = 0; i < count / 2; i++) put(bench, "new", i, 0);
  uint32_t often = 0;
  for (uint32_t i = 0; i < 100; i++) {
    char key[32];
    snprintf(key, sizeof key, "a:%05u", (unsigned)(count / 2 + i));
    often += count_at(bench, 0, key);
  }
  assert_true(often >= 98);
  end(bench);
}

static void test_random_takes_any(void **state) {
  struct bench *bench = begin(REDIS_ALLKEYS_RANDOM, false);
  (void)state;
  uint32_t count = fill(bench, "a", 0);
  for (uint32_t i = 0; i < count; i++) assert_true(put(bench, "new", i, 0));
  /* Each of them outlives `count` draws among `count` with a chance of 1 / e or so. */
  assert_in_range(count_at(bench, 0, "a:*"), count * 33 / 100, count * 41 / 100);
  end(bench);
}

static void test_volatile_ttl_takes_what_ends_soonest(void **state) {
  struct bench *bench = begin(REDIS_VOLATILE_TTL, false);
  (void)state;
  for (uint32_t i = 0; i < 1000; i++) assert_true(put(bench, "stays", i, 0));
  for (uint32_t i = 0; i < 500; i++) assert_true(put(bench, "late", i, 600 * NS_PER_S));
  for (uint32_t i = 0; i < 500; i++) assert_true(put(bench, "soon", i, 60 * NS_PER_S));
  uint32_t count = fill(bench, "more", 0);
  for (uint32_t i = 0; i < 300; i++) assert_true(put(bench, "more", count + i, 0));
  assert_int_equal(count_at(bench, 0, "stays:*"), 1000);
  assert_in_range(count_at(bench, 0, "soon:*"), 180, 220);
  assert_true(count_at(bench, 0, "late:*") >= 495);
  end(bench);
}

static void refuse_when_only_keys_that_stay_are_left(enum redis_policy policy) {
  struct bench *bench = begin(policy, false);
  for (uint32_t i = 0; i < 500; i++) assert_true(put(bench, "stays", i, 0));
  for (uint32_t i = 0; i < 500; i++) assert_true(put(bench, "goes", i, 60 * NS_PER_S));
  uint32_t more = 0;
  while (put(bench, "more", more, 0)) more++;
  assert_int_equal(count_at(bench, 0, "goes:*"), 0);
  assert_int_equal(count_at(bench, 0, "stays:*"), 500);
  assert_int_equal(count_at(bench, 0, "more:*"), more);
  assert_int_equal(memory_at(bench, 0).evicted, 500);
  end(bench);
}

static void test_volatile_policies_keep_what_has_no_time_to_live(void **state) {
  (void)state;
  refuse_when_only_keys_that_stay_are_left(REDIS_VOLATILE_TTL);
  refuse_when_only_keys_that_stay_are_left(REDIS_VOLATILE_LRU);
  refuse_when_only_keys_that_stay_are_left(REDIS_VOLATILE_LFU);
  refuse_when_only_keys_that_stay_are_left(REDIS_VOLATILE_RANDOM);
}

/* One large key needs more room than is made at once: others are served meanwhile. */
static void test_a_large_key_makes_room_over_time(void **state) {
  struct bench *bench = begin(REDIS_ALLKEYS_LRU, false);
  struct sim_redis *server = server_at(bench, 0);
  bool refused = true;
  (void)state;
  fill(bench, "a", 0);
  pass(bench, 5 * NS_PER_S);
  sim_redis_fill(bench->cluster, 0, "large", LIMIT / 2, &refused);
  assert_false(refused);
  assert_false(memory_evict(server, 0));
  assert_true(memory_at(bench, 0).used_bytes > LIMIT);
  assert_in_range(memory_at(bench, 0).evicted, 100, 300);
  pass(bench, NS_PER_S);
  assert_true(memory_at(bench, 0).used_bytes <= LIMIT);
  assert_true(memory_at(bench, 0).evicted > 1000);
  end(bench);
}

/* --- replicas, time, restarts ---------------------------------------------------------------- */

static void test_replicas_evict_what_their_primary_does(void **state) {
  struct bench *bench = begin(REDIS_ALLKEYS_RANDOM, true);
  (void)state;
  pass(bench, 2 * NS_PER_S);
  uint32_t count = fill(bench, "a", 0);
  for (uint32_t i = 0; i < count / 2; i++) assert_true(put(bench, "b", i, 0));
  pass(bench, NS_PER_S);
  assert_true(memory_at(bench, 0).evicted > 0);
  assert_int_equal(memory_at(bench, 1).evicted, 0);
  assert_int_equal(count_at(bench, 1, "a:*"), count_at(bench, 0, "a:*"));
  assert_int_equal(count_at(bench, 1, "b:*"), count_at(bench, 0, "b:*"));
  for (uint32_t i = 0; i < count; i++) {
    char key[32];
    snprintf(key, sizeof key, "a:%05u", (unsigned)i);
    assert_int_equal(count_at(bench, 1, key), count_at(bench, 0, key));
  }
  end(bench);
}

static void test_what_is_over_goes_and_is_free(void **state) {
  struct bench *bench = begin(REDIS_NOEVICTION, true);
  (void)state;
  pass(bench, 2 * NS_PER_S);
  uint64_t before = memory_at(bench, 0).used_bytes;
  for (uint32_t i = 0; i < 500; i++) assert_true(put(bench, "a", i, 5 * NS_PER_S));
  for (uint32_t i = 0; i < 500; i++) assert_true(put(bench, "b", i, 60 * NS_PER_S));
  pass(bench, 4 * NS_PER_S);
  assert_int_equal(memory_at(bench, 0).expired, 0);
  pass(bench, 20 * NS_PER_S);
  assert_int_equal(memory_at(bench, 0).expired, 500);
  assert_int_equal(count_at(bench, 0, "*"), 500);
  assert_int_equal(server_at(bench, 0)->data.present, 500);
  assert_int_equal(memory_at(bench, 1).expired, 0);
  assert_int_equal(server_at(bench, 1)->data.present, 500); /* by its primary's word */
  assert_in_range(memory_at(bench, 0).used_bytes - before, 500 * VALUE, 1900 * VALUE);
  end(bench);
}

/* Who asks for a key whose time is over removes it, and finds nothing. */
static void test_a_read_removes_what_is_over(void **state) {
  struct bench *bench = begin(REDIS_NOEVICTION, false);
  (void)state;
  assert_true(put(bench, "a", 0, 10 * NS_PER_MS));
  use(bench, "a", 0);
  pass(bench, 10 * NS_PER_MS);
  use(bench, "a", 0);
  struct sim_redis_memory memory = memory_at(bench, 0);
  assert_int_equal(memory.hits, 1);
  assert_int_equal(memory.misses, 1);
  assert_int_equal(memory.expired, 1);
  assert_int_equal(server_at(bench, 0)->data.present, 0);
  end(bench);
}

static void test_a_restart_keeps_keys_and_forgets_counters(void **state) {
  struct bench *bench = begin(REDIS_ALLKEYS_LRU, false);
  struct sim_process *process = sim_redis_process(bench->cluster, 0);
  (void)state;
  fill(bench, "a", 0);
  put(bench, "b", 0, 0);
  uint32_t count = count_at(bench, 0, "*");
  uint64_t used = memory_at(bench, 0).used_bytes;
  assert_true(memory_at(bench, 0).evicted > 0);
  sim_process_kill(process);
  assert_int_equal(sim_redis_resident(bench->cluster, process), 0);
  sim_process_start(process);
  pass(bench, NS_PER_S);
  assert_int_equal(memory_at(bench, 0).evicted, 0);
  assert_int_equal(count_at(bench, 0, "*"), count);
  assert_int_equal(memory_at(bench, 0).used_bytes, used);
  assert_true(sim_redis_resident(bench->cluster, process) > used);
  end(bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_keys_take_what_they_take_in_a_real_server),
      cmocka_unit_test(test_sizes_are_rounded_as_by_jemalloc),
      cmocka_unit_test(test_what_is_removed_is_free_again),
      cmocka_unit_test(test_noeviction_refuses_and_keeps_all),
      cmocka_unit_test(test_lru_takes_what_nobody_has_used),
      cmocka_unit_test(test_lfu_takes_what_is_seldom_used),
      cmocka_unit_test(test_random_takes_any),
      cmocka_unit_test(test_volatile_ttl_takes_what_ends_soonest),
      cmocka_unit_test(test_volatile_policies_keep_what_has_no_time_to_live),
      cmocka_unit_test(test_a_large_key_makes_room_over_time),
      cmocka_unit_test(test_replicas_evict_what_their_primary_does),
      cmocka_unit_test(test_what_is_over_goes_and_is_free),
      cmocka_unit_test(test_a_read_removes_what_is_over),
      cmocka_unit_test(test_a_restart_keeps_keys_and_forgets_counters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
