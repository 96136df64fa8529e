/* The model of etcd: elections, what is committed stays, leases, and the client that goes from
 * voter to voter. Then everything at once, many seeds. */
#include "sim/etcd.h"

#include "support/test.h"
#include "support/virtual_time.h"

#define VOTERS 3
#define CLIENTS 2
#define SECONDS(n) ((n)*NS_PER_S)

struct caller {
  struct sim_process process;
  struct sim_etcd_client client;
  struct sim_result result;
  uint32_t answers, news;
};

struct store {
  struct virtual_time time;
  struct sim_world world;
  struct host hosts[VOTERS + CLIENTS];
  const struct host *voters[VOTERS];
  struct sim_etcd etcd;
  struct caller callers[CLIENTS];
  uint64_t lease; /* of the key in the beginning */
};

static const struct sim_process_kind caller_kind = {.name = "patroni"};

static void cached(struct sim_etcd_client *client) {
  (void)client;
}

static void news(struct sim_etcd_client *client, uint32_t leader_before, uint64_t position_before) {
  struct caller *caller = client->process->owner;
  (void)leader_before;
  (void)position_before;
  caller->news++;
}

static void begin(struct store *store, uint64_t seed) {
  struct error err = ERROR_INIT;
  struct sim_keys keys;
  uint64_t ends_ns[SIM_LEASES_MAX] = {0};
  memset(store, 0, sizeof *store);
  virtual_time_begin(&store->time);
  assert_ok(sim_world_init(&store->world, store->time.loop, seed, VOTERS + CLIENTS, 100 * NS_PER_US,
                           20 * NS_PER_US, &err),
            &err);
  for (uint16_t i = 0; i < VOTERS + CLIENTS; i++) store->hosts[i].index = i;
  for (uint32_t i = 0; i < VOTERS; i++) store->voters[i] = &store->hosts[i];
  sim_etcd_init(&store->etcd, &store->world, NS_PER_MS, VOTERS, store->voters);
  for (uint32_t i = 0; i < CLIENTS; i++) {
    struct caller *caller = &store->callers[i];
    sim_process_add(&store->world, &caller->process, &caller_kind, (uint16_t)(VOTERS + i), caller);
    caller->client.cached = cached;
    caller->client.news = news;
    sim_etcd_client_init(&caller->client, &store->etcd, &caller->process, SECONDS(10), SECONDS(20),
                         SECONDS(30));
    sim_process_start(&caller->process);
  }
  sim_keys_init(&keys);
  keys.index = 10;
  keys.leader = 0;
  keys.leader_lease = store->lease = 1;
  keys.leader_modified = 2;
  keys.leases[0] = (struct sim_lease){.id = 1, .ttl_ns = SECONDS(30)};
  ends_ns[0] = store->time.now_ns + SECONDS(30);
  sim_etcd_bootstrap(&store->etcd, &keys, ends_ns);
  for (uint32_t i = 0; i < CLIENTS; i++) sim_etcd_client_bootstrap(&store->callers[i].client);
}

static void end(struct store *store) {
  assert_false(store->world.out_of_memory);
  sim_world_release(&store->world);
  sim_etcd_release(&store->etcd);
  virtual_time_release(&store->time);
}

static void run(struct store *store, uint64_t for_ns) {
  virtual_time_run(&store->time, store->time.now_ns + for_ns, NULL);
}

static uint32_t leader_of(const struct store *store) {
  for (uint32_t i = 0; i < VOTERS; i++) {
    const struct sim_voter *v = &store->etcd.voters[i];
    if (v->process.running && !v->process.frozen && v->role == SIM_RAFT_LEADER && v->lessor)
      return i;
  }
  return NOBODY;
}

static struct sim_process *voter_at(struct store *store, uint32_t voter) {
  return &store->etcd.voters[voter].process;
}

static void isolate(struct store *store, uint16_t host, bool isolated) {
  for (uint16_t i = 0; i < VOTERS + CLIENTS; i++) {
    if (i == host) continue;
    sim_link(&store->world, host, i)->cut = isolated;
    sim_link(&store->world, i, host)->cut = isolated;
  }
}

static void called(struct sim_etcd_client *client, const struct sim_result *result) {
  struct caller *caller = client->process->owner;
  caller->result = *result;
  caller->answers++;
}

/* Runs a command to its end; how long that took. */
static uint64_t call(struct store *store, uint32_t caller, const struct sim_command *command,
                     bool retry) {
  struct caller *it = &store->callers[caller];
  uint64_t begin_ns = store->time.now_ns;
  uint32_t before = it->answers;
  sim_etcd_client_call(&it->client, command, retry ? begin_ns + SECONDS(10) : 0, called);
  while (it->answers == before && store->time.now_ns - begin_ns < SECONDS(60))
    run(store, NS_PER_MS);
  assert_int_equal(it->answers, before + 1);
  return store->time.now_ns - begin_ns;
}

static const struct sim_command keepalive = {.kind = SIM_STORE_KEEPALIVE, .lease = 1};

static struct sim_command status(uint64_t position) {
  return (struct sim_command){.kind = SIM_STORE_STATUS, .number = position};
}

/* --- commands -------------------------------------------------------------------------------- */

static void test_commands_cost_round_trips_and_a_flush(void **state) {
  struct store store;
  (void)state;
  begin(&store, 1);
  const struct sim_command write = status(4711);
  run(&store, NS_PER_S);
  store.callers[0].news = store.callers[1].news = 0;
  uint64_t took_ns = call(&store, 0, &write, true);
  assert_int_equal(store.callers[0].result.kind, SIM_RESULT_OK);
  assert_in_range(took_ns, NS_PER_MS, 5 * NS_PER_MS);
  assert_int_equal(store.callers[0].client.keys.status_position, 4711); /* its own, at once */
  assert_int_equal(store.callers[0].news, 0);
  run(&store, 100 * NS_PER_MS);
  assert_int_equal(store.callers[1].client.keys.status_position, 4711); /* by its watch */
  assert_true(store.callers[1].news > 0);
  end(&store);
}

static void test_compares(void **state) {
  struct store store;
  (void)state;
  begin(&store, 2);
  struct sim_command command = {.kind = SIM_STORE_GRANT, .number = SECONDS(20)};
  call(&store, 1, &command, true);
  uint64_t lease = store.callers[1].result.number;
  assert_true(lease > 10);
  command = (struct sim_command){.kind = SIM_STORE_CREATE_LEADER, .member = 1, .lease = lease};
  call(&store, 1, &command, true);
  assert_int_equal(store.callers[1].result.kind, SIM_RESULT_REFUSED);
  command.kind = SIM_STORE_UPDATE_LEADER;
  call(&store, 1, &command, true);
  assert_int_equal(store.callers[1].result.kind, SIM_RESULT_REFUSED);
  command.lease = 999;
  call(&store, 1, &command, true);
  assert_int_equal(store.callers[1].result.kind, SIM_RESULT_NO_LEASE);
  command = (struct sim_command){.kind = SIM_STORE_DELETE_LEADER, .compare = 1};
  call(&store, 1, &command, true);
  assert_int_equal(store.callers[1].result.kind, SIM_RESULT_REFUSED);
  command.compare = 2;
  call(&store, 1, &command, true);
  assert_int_equal(store.callers[1].result.kind, SIM_RESULT_OK);
  assert_int_equal(store.etcd.seen_leader, NOBODY);
  command = (struct sim_command){.kind = SIM_STORE_PUT_LEADER, .member = 1, .lease = lease};
  call(&store, 1, &command, true);
  assert_int_equal(store.etcd.seen_leader, 1);
  run(&store, SECONDS(21));
  assert_int_equal(store.etcd.seen_leader, NOBODY); /* nobody has kept the lease alive */
  end(&store);
}

/* --- leases ---------------------------------------------------------------------------------- */

static void test_a_lease_ends_by_itself(void **state) {
  struct store store;
  (void)state;
  begin(&store, 3);
  run(&store, SECONDS(20));
  call(&store, 0, &keepalive, true);
  assert_int_equal(store.callers[0].result.kind, SIM_RESULT_OK);
  run(&store, SECONDS(29));
  assert_int_equal(store.etcd.seen_leader, 0);
  run(&store, 1600 * NS_PER_MS);
  assert_int_equal(store.etcd.seen_leader, NOBODY);
  call(&store, 0, &keepalive, true);
  assert_int_equal(store.callers[0].result.kind, SIM_RESULT_NO_LEASE);
  end(&store);
}

static void test_a_new_leader_extends_the_leases(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct store store;
    begin(&store, seed);
    run(&store, SECONDS(25));
    uint32_t old = leader_of(&store);
    sim_process_kill(voter_at(&store, old));
    uint64_t begin_ns = store.time.now_ns;
    while (leader_of(&store) == NOBODY) run(&store, 10 * NS_PER_MS);
    assert_in_range(store.time.now_ns - begin_ns, 900 * NS_PER_MS, SECONDS(6));
    run(&store, SECONDS(30));
    assert_int_equal(store.etcd.seen_leader, 0);
    run(&store, SECONDS(2));
    assert_int_equal(store.etcd.seen_leader, NOBODY);
    end(&store);
  }
}

/* --- voters come and go ---------------------------------------------------------------------- */

static void test_without_a_majority_nothing_is_written(void **state) {
  struct store store;
  (void)state;
  begin(&store, 4);
  sim_host_stop(&store.world, 0);
  sim_host_stop(&store.world, 1);
  const struct sim_command write = status(1);
  uint64_t took_ns = call(&store, 0, &write, true);
  assert_int_equal(store.callers[0].result.kind, SIM_RESULT_FAILED);
  assert_in_range(took_ns, SECONDS(6), SECONDS(16)); /* retry_timeout, and who the voters are */
  assert_false(sim_etcd_alive(&store.etcd));
  sim_host_start(&store.world, 0);
  run(&store, SECONDS(8));
  assert_true(sim_etcd_alive(&store.etcd));
  call(&store, 0, &write, true);
  assert_int_equal(store.callers[0].result.kind, SIM_RESULT_OK);
  end(&store);
}

/* A leader that is asked to end hands over: no election time-out passes. */
static void test_a_terminated_leader_hands_over(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct store store;
    begin(&store, seed);
    run(&store, NS_PER_S);
    uint32_t old = leader_of(&store);
    sim_etcd_terminate(&store.etcd.voters[old]);
    run(&store, 100 * NS_PER_MS);
    assert_false(voter_at(&store, old)->running);
    assert_int_not_equal(leader_of(&store), NOBODY);
    assert_int_not_equal(leader_of(&store), old);
    end(&store);
  }
}

/* The client's voter dies: with its host it costs a time-out, alone a reset. */
static void test_the_next_voter_is_tried(void **state) {
  (void)state;
  for (int power = 0; power < 2; power++) {
    struct store store;
    begin(&store, 5);
    uint32_t base = store.callers[0].client.base;
    if (leader_of(&store) == base) sim_process_freeze(voter_at(&store, base), true);
    run(&store, SECONDS(5));
    sim_process_freeze(voter_at(&store, base), false);
    run(&store, NS_PER_S);
    if (power)
      sim_host_stop(&store.world, (uint16_t)base);
    else
      sim_process_kill(voter_at(&store, base));
    const struct sim_command write = status(2);
    uint64_t took_ns = call(&store, 0, &write, true);
    assert_int_equal(store.callers[0].result.kind, SIM_RESULT_OK);
    assert_int_not_equal(store.callers[0].client.base, base);
    if (power)
      assert_in_range(took_ns, SECONDS(1), SECONDS(4)); /* a third of retry_timeout */
    else
      assert_in_range(took_ns, 0, 500 * NS_PER_MS);
    run(&store, NS_PER_S);
    assert_true(store.callers[0].client.ready); /* and the watch is at another voter */
    end(&store);
  }
}

/* A command without retries fails with its voter, and the next goes elsewhere. */
static void test_a_single_attempt_fails(void **state) {
  struct store store;
  (void)state;
  begin(&store, 6);
  uint32_t base = store.callers[0].client.base;
  sim_process_freeze(voter_at(&store, base), true);
  const struct sim_command write = status(3);
  uint64_t took_ns = call(&store, 0, &write, false);
  assert_int_equal(store.callers[0].result.kind, SIM_RESULT_FAILED);
  assert_in_range(took_ns, SECONDS(3), SECONDS(4));
  run(&store, SECONDS(5));
  call(&store, 0, &write, false);
  assert_int_equal(store.callers[0].result.kind, SIM_RESULT_OK);
  end(&store);
}

/* What a leader without followers took is not in the log of those who go on without it. */
static void test_an_isolated_leader_commits_nothing(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct store store;
    begin(&store, seed);
    uint32_t old = leader_of(&store);
    isolate(&store, (uint16_t)old, true);
    struct sim_voter *v = &store.etcd.voters[old];
    sim_raft_propose(v, &(struct sim_command){.kind = SIM_STORE_STATUS, .number = 666}, NULL);
    run(&store, SECONDS(6));
    assert_int_not_equal(leader_of(&store), NOBODY);
    assert_int_not_equal(leader_of(&store), old);
    assert_int_equal(v->role == SIM_RAFT_LEADER, false); /* check-quorum */
    isolate(&store, (uint16_t)old, false);
    run(&store, SECONDS(10));
    for (uint32_t i = 0; i < VOTERS; i++)
      assert_int_not_equal(store.etcd.voters[i].keys.status_position, 666);
    end(&store);
  }
}

/* --- everything at once ---------------------------------------------------------------------- */

struct chaos {
  struct store store;
  struct prng prng;
  uint64_t acknowledged; /* the last position whose write was acknowledged */
  uint64_t next;
  uint64_t terms[4096]; /* who leads a term, plus 1 */
};

static void trouble(struct chaos *chaos) {
  struct store *store = &chaos->store;
  uint32_t voter = (uint32_t)prng_below(&chaos->prng, VOTERS);
  struct sim_process *process = voter_at(store, voter);
  switch (prng_below(&chaos->prng, 8)) {
    case 0:
      if (process->running && !process->frozen && prng_below(&chaos->prng, 2))
        sim_etcd_terminate(&store->etcd.voters[voter]);
      else
        sim_process_kill(process);
      break;
    case 1:
    case 2: sim_process_start(process); break;
    case 3: sim_process_freeze(process, true); break;
    case 4: sim_process_freeze(process, false); break;
    case 5: sim_host_stop(&store->world, (uint16_t)voter); break;
    case 6: sim_host_start(&store->world, (uint16_t)voter); break;
    default: isolate(store, (uint16_t)voter, prng_below(&chaos->prng, 2) == 0); break;
  }
}

static void calm(struct chaos *chaos) {
  for (uint16_t i = 0; i < VOTERS; i++) {
    sim_host_start(&chaos->store.world, i);
    sim_process_freeze(voter_at(&chaos->store, i), false);
    sim_process_start(voter_at(&chaos->store, i));
    isolate(&chaos->store, i, false);
  }
}

/* One leader a term, ever. */
static void check_terms(struct chaos *chaos) {
  for (uint32_t i = 0; i < VOTERS; i++) {
    const struct sim_voter *v = &chaos->store.etcd.voters[i];
    if (!v->process.running || v->role != SIM_RAFT_LEADER) continue;
    assert_true(v->term < 4096);
    if (chaos->terms[v->term] == 0) chaos->terms[v->term] = i + 1;
    assert_int_equal(chaos->terms[v->term], i + 1);
  }
}

static void chaos_called(struct sim_etcd_client *client, const struct sim_result *result) {
  struct caller *caller = client->process->owner;
  caller->result = *result;
  caller->answers++;
}

/* One writer: positions grow, so what was acknowledged last must be there, or a later one. */
static void write_next(struct chaos *chaos) {
  struct caller *caller = &chaos->store.callers[0];
  if (caller->client.main.active) return;
  if (chaos->next > 0 && caller->result.kind == SIM_RESULT_OK) chaos->acknowledged = chaos->next;
  const struct sim_command write = status(++chaos->next);
  caller->result.kind = SIM_RESULT_FAILED;
  sim_etcd_client_call(&caller->client, &write, chaos->store.time.now_ns + SECONDS(10),
                       chaos_called);
}

static uint64_t one_chaos(uint64_t seed) {
  struct chaos *chaos = calloc(1, sizeof *chaos);
  assert_non_null(chaos);
  begin(&chaos->store, seed);
  prng_init(&chaos->prng, seed, "test");
  for (int step = 0; step < 400; step++) {
    if (step % 4 == 0) trouble(chaos);
    run(&chaos->store, prng_below(&chaos->prng, 800) * NS_PER_MS);
    check_terms(chaos);
    write_next(chaos);
  }
  calm(chaos);
  run(&chaos->store, SECONDS(40));
  write_next(chaos);
  run(&chaos->store, SECONDS(5));
  const struct sim_voter *voters = chaos->store.etcd.voters;
  assert_true(chaos->acknowledged > 0);
  for (uint32_t i = 0; i < VOTERS; i++) {
    assert_true(voters[i].keys.status_position >= chaos->acknowledged);
    assert_memory_equal(&voters[i].keys, &voters[0].keys, sizeof voters[i].keys);
  }
  for (uint32_t i = 0; i < CLIENTS; i++) {
    assert_true(chaos->store.callers[i].client.ready);
    assert_int_equal(chaos->store.callers[i].client.keys.index, voters[0].keys.index);
  }
  uint64_t trace = voters[0].keys.index << 32 ^ chaos->acknowledged << 8 ^ voters[0].term;
  end(&chaos->store);
  free(chaos);
  return trace;
}

static void test_chaos(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 300; seed++) {
    uint64_t trace = one_chaos(seed);
    if (seed <= 3) assert_int_equal(one_chaos(seed), trace);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_commands_cost_round_trips_and_a_flush),
      cmocka_unit_test(test_compares),
      cmocka_unit_test(test_a_lease_ends_by_itself),
      cmocka_unit_test(test_a_new_leader_extends_the_leases),
      cmocka_unit_test(test_without_a_majority_nothing_is_written),
      cmocka_unit_test(test_a_terminated_leader_hands_over),
      cmocka_unit_test(test_the_next_voter_is_tried),
      cmocka_unit_test(test_a_single_attempt_fails),
      cmocka_unit_test(test_an_isolated_leader_commits_nothing),
      cmocka_unit_test(test_chaos),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
