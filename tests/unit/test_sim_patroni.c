/* The model of Patroni: who takes over, when, and who must not. */
#include "support/sim_managed.h"
#include "support/test.h"

#define SECONDS(n) ((n)*NS_PER_S)

/* A host loses power, the primary's, and nobody tells anybody. */
static void test_idle_cluster_keeps_its_leader(void **state) {
  struct sim_managed managed = {.version = SIM_PATRONI_3_2};
  (void)state;
  sim_managed_init(&managed, 3, 1, NULL);
  sim_managed_write(&managed, true);
  sim_managed_run(&managed, SECONDS(3600));
  assert_int_equal(managed.changes, 0);
  assert_int_equal(sim_managed_primary(&managed), 0);
  sim_managed_release(&managed);
}

/* The key lives for ttl after its last renewal, which happens every loop_wait; then one look of the
 * lessor, one question to a dead member (2 s), the promotion. */
static void test_crash_is_seen_when_the_lease_ends(void **state) {
  (void)state;
  uint64_t least_ns = UINT64_MAX, most_ns = 0;
  for (uint64_t seed = 1; seed <= 60; seed++) {
    struct sim_managed managed = {.version = SIM_PATRONI_3_2};
    sim_managed_init(&managed, 3, seed, NULL);
    sim_managed_write(&managed, true);
    sim_managed_make_raft_leader(&managed, 1);
    sim_managed_run(&managed, SECONDS(20) + seed * 157 * NS_PER_MS);
    uint64_t crash_ns = sim_managed_now_ns(&managed);
    sim_host_stop(&managed.servers.world, 0);
    sim_managed_failover(&managed, NOBODY, SECONDS(60));
    uint64_t lost_ns = managed.lost_ns - crash_ns;
    assert_in_range(lost_ns, SECONDS(19) + 900 * NS_PER_MS, SECONDS(30) + 600 * NS_PER_MS);
    assert_in_range(managed.gained_ns - managed.lost_ns, SECONDS(2), SECONDS(2) + 300 * NS_PER_MS);
    assert_in_range(managed.promoted_ns - managed.gained_ns, sim_servers_costs.promote_ns,
                    sim_servers_costs.promote_ns + 100 * NS_PER_MS);
    assert_int_equal(managed.primaries_max, 1);
    if (lost_ns < least_ns) least_ns = lost_ns;
    if (lost_ns > most_ns) most_ns = lost_ns;
    sim_managed_release(&managed);
  }
  assert_true(least_ns < SECONDS(22) && most_ns > SECONDS(28)); /* the phase is everywhere */
}

/* A new leader of etcd gives each lease its whole ttl again and an election time-out more. */
static void test_etcds_leader_gone_too_costs_an_election(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= MODEL_SEEDS(20); seed++) {
    struct sim_managed managed = {.version = SIM_PATRONI_3_2};
    sim_managed_init(&managed, 3, seed, NULL);
    sim_managed_make_raft_leader(&managed, 0);
    sim_managed_run(&managed, SECONDS(20));
    uint64_t crash_ns = sim_managed_now_ns(&managed);
    sim_host_stop(&managed.servers.world, 0);
    sim_managed_failover(&managed, NOBODY, SECONDS(60));
    assert_in_range(managed.lost_ns - crash_ns, SECONDS(32) - 100 * NS_PER_MS, SECONDS(36));
    sim_managed_release(&managed);
  }
}

/* Comes back when the new leader's next cycle has made its slot, and is rewound because crash
 * recovery has put a checkpoint behind its log. */
static void test_former_primary_returns(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= MODEL_SEEDS(20); seed++) {
    struct sim_managed managed;
    sim_managed_begin(&managed, seed, NULL);
    sim_host_stop(&managed.servers.world, 0);
    uint32_t primary =
        (sim_managed_failover(&managed, NOBODY, SECONDS(60)), sim_managed_primary(&managed));
    sim_managed_run(&managed, SECONDS(40));
    sim_host_start(&managed.servers.world, 0);
    sim_managed_converge(&managed, SECONDS(30));
    assert_int_equal(sim_managed_primary(&managed), primary);
    assert_int_equal(sim_postgres_timeline(sim_servers_at(&managed.servers, 0)), 2);
    assert_int_equal(sim_managed_at(&managed, 0)->role, BELIEF_REPLICA);
    sim_managed_release(&managed);
  }
}

static void test_a_replicas_crash_disturbs_nobody(void **state) {
  struct sim_managed managed;
  (void)state;
  sim_managed_begin(&managed, 3, NULL);
  sim_host_stop(&managed.servers.world, 1);
  sim_managed_run(&managed, SECONDS(60));
  sim_host_start(&managed.servers.world, 1);
  sim_managed_run(&managed, SECONDS(20));
  sim_managed_converge(&managed, SECONDS(10));
  assert_int_equal(managed.changes, 0);
  sim_managed_release(&managed);
}

/* --- the server dies, its manager lives ------------------------------------------------------- */

/* In place, as a standby of nobody that is promoted: on a new timeline. */
static void test_crashed_server_recovers_in_place(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= MODEL_SEEDS(20); seed++) {
    struct sim_managed managed;
    sim_managed_begin(&managed, seed, NULL);
    uint64_t kill_ns = sim_managed_now_ns(&managed);
    managed.promoted = NOBODY;
    sim_process_kill(sim_postgres_process(sim_servers_at(&managed.servers, 0)));
    sim_managed_failover(&managed, NOBODY, SECONDS(30));
    assert_int_equal(sim_managed_primary(&managed), 0);
    assert_in_range(managed.promoted_ns - kill_ns, SECONDS(1), SECONDS(15));
    assert_int_equal(sim_postgres_timeline(sim_servers_at(&managed.servers, 0)), 2);
    assert_int_equal(managed.changes, 0);
    sim_managed_converge(&managed, SECONDS(20));
    sim_managed_release(&managed);
  }
}

static void test_primary_start_timeout_0_fails_over(void **state) {
  struct postgres_config config = sim_managed_config;
  struct sim_managed managed;
  (void)state;
  config.primary_start_timeout_ns = 0;
  sim_managed_begin(&managed, 5, &config);
  sim_process_kill(sim_postgres_process(sim_servers_at(&managed.servers, 0)));
  assert_in_range(sim_managed_failover(&managed, 0, SECONDS(20)), 0, SECONDS(13));
  sim_managed_converge(&managed, SECONDS(40));
  sim_managed_release(&managed);
}

/* With nobody to fail over to it recovers in place all the same. */
static void test_primary_start_timeout_0_alone(void **state) {
  struct postgres_config config = sim_managed_config;
  struct sim_managed managed = {.version = SIM_PATRONI_3_2};
  (void)state;
  config.primary_start_timeout_ns = 0;
  sim_managed_init(&managed, 1, 5, &config);
  sim_managed_run(&managed, SECONDS(12));
  sim_process_kill(sim_postgres_process(sim_servers_at(&managed.servers, 0)));
  sim_managed_failover(&managed, NOBODY, SECONDS(20));
  assert_int_equal(sim_managed_primary(&managed), 0);
  sim_managed_release(&managed);
}

/* --- the store ------------------------------------------------------------------------------- */

/* A primary that cannot reach etcd within retry_timeout steps down; when etcd is back it takes the
 * key again. Nobody else could: there is no store for them either. */
static void test_without_the_store_there_is_no_primary(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= MODEL_SEEDS(10); seed++) {
    struct sim_managed managed;
    sim_managed_begin(&managed, seed, NULL);
    for (uint32_t i = 1; i < 3; i++) sim_process_kill(&managed.patroni->etcd.voters[i].process);
    sim_managed_run(&managed, SECONDS(10));
    sim_managed_run(&managed, SECONDS(16));
    assert_int_equal(sim_managed_primary(&managed), NOBODY);
    for (uint32_t i = 1; i < 3; i++) sim_process_start(&managed.patroni->etcd.voters[i].process);
    sim_managed_failover(&managed, NOBODY, SECONDS(60));
    sim_managed_converge(&managed, SECONDS(60));
    assert_int_equal(managed.primaries_max, 1);
    sim_managed_release(&managed);
  }
}

/* Cut off with its client and its own voter, the primary steps down before the others' lease ends.
 */
static void test_isolated_primary_steps_down_in_time(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= MODEL_SEEDS(40); seed++) {
    struct sim_managed managed;
    sim_managed_begin(&managed, seed, NULL);
    sim_managed_run(&managed, seed * 211 * NS_PER_MS);
    sim_managed_isolate(&managed, 0, true);
    sim_managed_failover(&managed, 0, SECONDS(60));
    assert_int_equal(managed.primaries_max, 1);
    sim_managed_isolate(&managed, 0, false);
    sim_managed_run(&managed, SECONDS(20));
    sim_managed_converge(&managed, SECONDS(60));
    assert_int_equal(managed.primaries_max, 1);
    sim_managed_release(&managed);
  }
}

/* One voter less is none of Patroni's business. */
static void test_a_voters_death_disturbs_nobody(void **state) {
  (void)state;
  for (uint32_t voter = 0; voter < 3; voter++)
    for (uint64_t seed = 1; seed <= MODEL_SEEDS(10); seed++) {
      struct sim_managed managed;
      sim_managed_begin(&managed, seed, NULL);
      sim_process_kill(&managed.patroni->etcd.voters[voter].process);
      sim_managed_run(&managed, SECONDS(120));
      assert_int_equal(managed.changes, 0);
      assert_int_equal(sim_managed_primary(&managed), 0);
      sim_managed_release(&managed);
    }
}

/* --- freezing -------------------------------------------------------------------------------- */

static uint32_t freeze_host(enum sim_patroni_version version, uint64_t seed,
                            struct sim_managed *managed) {
  *managed = (struct sim_managed){.version = version};
  sim_managed_init(managed, 3, seed, NULL);
  sim_managed_write(managed, true);
  sim_managed_run(managed, SECONDS(12));
  sim_host_freeze(&managed->servers.world, 0, true);
  sim_managed_run(managed, SECONDS(60));
  uint32_t next = managed->leader;
  sim_host_freeze(&managed->servers.world, 0, false);
  sim_managed_run(managed, SECONDS(30));
  return next;
}

static void test_thawed_leader_finds_its_key_gone(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= MODEL_SEEDS(20); seed++) {
    struct sim_managed managed;
    uint32_t next = freeze_host(SIM_PATRONI_3_2, seed, &managed);
    assert_int_not_equal(next, 0);
    assert_int_equal(sim_managed_primary(&managed), next);
    sim_managed_converge(&managed, SECONDS(60));
    sim_managed_release(&managed);
  }
}

/* What Debian 12's Patroni does: the new leader is deposed, and rewound to the old one, unless the
 * old one reads the news before it looks at its key. */
static void test_patroni_3_0_takes_its_key_back(void **state) {
  (void)state;
  uint32_t taken = 0;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct sim_managed managed;
    uint32_t next = freeze_host(SIM_PATRONI_3_0, seed, &managed);
    assert_int_not_equal(next, 0);
    sim_managed_converge(&managed, SECONDS(60));
    taken += sim_managed_primary(&managed) == 0;
    sim_managed_release(&managed);
  }
  assert_in_range(taken, 8, 18);
}

/* Nobody demotes a primary whose manager sleeps. The others compare positions while the log grows:
 * often one passes in the first race, else in the second. */
static uint64_t freeze_manager(uint64_t seed) {
  struct sim_managed managed;
  sim_managed_begin(&managed, seed, NULL);
  sim_process_freeze(&sim_managed_at(&managed, 0)->process, true);
  sim_managed_run(&managed, SECONDS(60));
  assert_int_equal(managed.primaries_max, 2);
  uint64_t race_ns = managed.gained_ns - managed.lost_ns;
  sim_process_freeze(&sim_managed_at(&managed, 0)->process, false);
  sim_managed_run(&managed, SECONDS(30));
  sim_managed_converge(&managed, SECONDS(60));
  assert_int_not_equal(sim_managed_primary(&managed), 0);
  sim_managed_release(&managed);
  return race_ns;
}

static void test_frozen_manager_makes_two_primaries(void **state) {
  uint32_t first = 0;
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    uint64_t race_ns = freeze_manager(seed);
    assert_in_range(race_ns, SECONDS(2), SECONDS(16));
    if (race_ns < SECONDS(3))
      first++;
    else
      assert_in_range(race_ns, SECONDS(9), SECONDS(16));
  }
  assert_in_range(first, 5, 20);
}

/* --- who may take over ----------------------------------------------------------------------- */

static void test_only_a_synchronous_standby_takes_over(void **state) {
  struct postgres_config config = sim_managed_config;
  (void)state;
  config.synchronous_mode = true;
  for (uint64_t seed = 1; seed <= MODEL_SEEDS(20); seed++) {
    struct sim_managed managed;
    sim_managed_begin(&managed, seed, &config);
    assert_int_equal(sim_patroni_synchronous(managed.patroni), 2);
    sim_host_stop(&managed.servers.world, 0);
    sim_managed_failover(&managed, NOBODY, SECONDS(60));
    assert_int_equal(sim_managed_primary(&managed), 1);
    sim_managed_run(&managed, SECONDS(25));
    assert_int_equal(sim_patroni_synchronous(managed.patroni), 4); /* and has found another one */
    sim_managed_release(&managed);
  }
}

/* The asynchronous one stays what it is, for ever. */
static void test_nobody_takes_over_who_was_not_synchronous(void **state) {
  struct postgres_config config = sim_managed_config;
  struct sim_managed managed = {.version = SIM_PATRONI_3_2};
  (void)state;
  config.synchronous_mode = true;
  sim_managed_init(&managed, 5, 8, &config);
  sim_managed_write(&managed, true);
  sim_managed_run(&managed, SECONDS(12));
  sim_host_stop(&managed.servers.world, 0);
  sim_host_stop(&managed.servers.world, 1);
  sim_managed_run(&managed, SECONDS(120));
  assert_int_equal(sim_managed_primary(&managed), NOBODY);
  sim_host_start(&managed.servers.world, 1);
  sim_managed_failover(&managed, NOBODY, SECONDS(60));
  assert_int_equal(sim_managed_primary(&managed), 1);
  sim_managed_release(&managed);
}

/* A synchronous standby that is lost is struck off and another one named; strict, writes wait when
 * there is none. */
static void test_synchronous_standby_is_replaced(void **state) {
  struct postgres_config config = sim_managed_config;
  struct sim_managed managed;
  (void)state;
  config.synchronous_mode = config.synchronous_mode_strict = true;
  sim_managed_begin(&managed, 9, &config);
  sim_process_kill(sim_postgres_process(sim_servers_at(&managed.servers, 1)));
  sim_process_kill(&sim_managed_at(&managed, 1)->process);
  sim_managed_run(&managed, SECONDS(15));
  assert_int_equal(sim_patroni_synchronous(managed.patroni), 4);
  sim_process_kill(sim_postgres_process(sim_servers_at(&managed.servers, 2)));
  sim_process_kill(&sim_managed_at(&managed, 2)->process);
  sim_managed_run(&managed, SECONDS(15));
  assert_int_equal(sim_patroni_synchronous(managed.patroni), 0);
  assert_int_equal(sim_managed_primary(&managed), 0);
  sim_managed_run(&managed, SECONDS(12));
  assert_int_not_equal(managed.writer.reply.outcome, OUTCOME_OK);
  sim_process_start(&sim_managed_at(&managed, 2)->process);
  sim_managed_run(&managed, SECONDS(40));
  assert_int_equal(sim_patroni_synchronous(managed.patroni), 4);
  assert_int_equal(managed.writer.reply.outcome, OUTCOME_OK);
  sim_managed_release(&managed);
}

/* maximum_lag_on_failover: too far behind the position that the leader told last. */
static void test_a_lagging_replica_takes_nothing_over(void **state) {
  struct postgres_config config = sim_managed_config;
  struct sim_managed managed;
  (void)state;
  config.maximum_lag_on_failover_bytes = 1000;
  sim_managed_begin(&managed, 10, &config);
  for (uint32_t i = 1; i < 3; i++)
    sim_process_freeze(sim_postgres_process(sim_servers_at(&managed.servers, i)), true);
  sim_managed_run(&managed, SECONDS(25));
  sim_host_stop(&managed.servers.world, 0);
  for (uint32_t i = 1; i < 3; i++) { /* what is on its way to them has never arrived */
    sim_process_kill(sim_postgres_process(sim_servers_at(&managed.servers, i)));
  }
  sim_managed_run(&managed, SECONDS(120));
  assert_int_equal(sim_managed_primary(&managed), NOBODY);
  sim_managed_release(&managed);
}

/* Of two replicas the one that has more. */
static void test_the_replica_that_is_ahead_takes_over(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= MODEL_SEEDS(20); seed++) {
    struct sim_managed managed;
    sim_managed_begin(&managed, seed, NULL);
    sim_servers_cut(&managed.servers, 0, 1, true); /* member 1 hears no more of the primary */
    sim_managed_run(&managed, SECONDS(2));
    sim_host_stop(&managed.servers.world, 0);
    sim_managed_failover(&managed, NOBODY, SECONDS(90));
    assert_int_equal(sim_managed_primary(&managed), 2);
    sim_managed_release(&managed);
  }
}

/* Without pg_rewind Patroni leaves histories that have parted alone: the former primary does not
 * come back by itself. */
static void test_without_rewind_a_parted_history_stays(void **state) {
  struct postgres_config config = sim_managed_config;
  struct sim_managed managed;
  (void)state;
  config.use_pg_rewind = false;
  sim_managed_begin(&managed, 11, &config);
  sim_process_freeze(&sim_managed_at(&managed, 0)->process, true); /* it goes on alone */
  sim_managed_run(&managed, SECONDS(60));
  sim_process_freeze(&sim_managed_at(&managed, 0)->process, false);
  sim_managed_run(&managed, SECONDS(120));
  uint32_t primary = sim_managed_primary(&managed);
  uint64_t replayed;
  bool synchronous;
  assert_int_not_equal(primary, NOBODY);
  assert_false(sim_postgres_streams_to(sim_servers_at(&managed.servers, primary), 0, &replayed,
                                       &synchronous));
  sim_managed_release(&managed);
}

/* --- what people ask for --------------------------------------------------------------------- */

static void test_switchover_to_a_candidate(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= MODEL_SEEDS(20); seed++) {
    struct sim_managed managed;
    sim_managed_begin(&managed, seed, NULL);
    uint32_t candidate = 1 + (uint32_t)(seed % 2);
    assert_true(sim_patroni_switchover(managed.patroni, candidate));
    assert_in_range(sim_managed_failover(&managed, 0, SECONDS(20)), SECONDS(1), SECONDS(4));
    assert_int_equal(sim_managed_primary(&managed), candidate);
    sim_managed_converge(&managed, SECONDS(30));
    assert_int_equal(managed.primaries_max, 1);
    assert_false(sim_managed_at(&managed, 0)->client.keys.failover);
    sim_managed_release(&managed);
  }
}

static void test_switchover_to_anybody(void **state) {
  struct sim_managed managed;
  (void)state;
  sim_managed_begin(&managed, 13, NULL);
  assert_true(sim_patroni_switchover(managed.patroni, NOBODY));
  sim_managed_failover(&managed, 0, SECONDS(20));
  sim_managed_converge(&managed, SECONDS(30));
  sim_managed_release(&managed);
}

/* Asked twice, and for a restart of another member, while the first is under way. */
static void test_requests_at_once(void **state) {
  struct postgres_config config = sim_managed_config;
  struct sim_managed managed;
  (void)state;
  config.synchronous_mode = true;
  sim_managed_begin(&managed, 19, &config);
  for (int i = 0; i < 3; i++) {
    (void)sim_patroni_switchover(managed.patroni, NOBODY);
    (void)sim_patroni_restart(managed.patroni, 0);
    (void)sim_patroni_restart(managed.patroni, 1);
    sim_managed_run(&managed, 200 * NS_PER_MS);
  }
  assert_true(sim_patroni_terminate(managed.patroni, &sim_managed_at(&managed, 2)->process));
  sim_managed_run(&managed, SECONDS(30));
  assert_true(sim_managed_at(&managed, 2)->process.running == false);
  sim_process_start(&sim_managed_at(&managed, 2)->process);
  sim_managed_run(&managed, SECONDS(60));
  sim_managed_converge(&managed, SECONDS(60));
  assert_int_equal(managed.primaries_max, 1);
  sim_managed_release(&managed);
}

static void test_switchover_is_refused_without_a_candidate(void **state) {
  struct sim_managed managed = {.version = SIM_PATRONI_3_2};
  (void)state;
  sim_managed_init(&managed, 3, 14, NULL);
  sim_managed_run(&managed, SECONDS(12));
  sim_process_kill(&sim_managed_at(&managed, 1)->process);
  sim_process_kill(sim_postgres_process(sim_servers_at(&managed.servers, 1)));
  assert_false(sim_patroni_switchover(managed.patroni, 1));
  assert_true(sim_patroni_switchover(managed.patroni, 2));
  sim_managed_failover(&managed, 0, SECONDS(20));
  sim_managed_release(&managed);
}

/* A synchronous standby is let go before it restarts: commits do not wait for it. */
static void test_restart_of_a_synchronous_standby(void **state) {
  struct postgres_config config = sim_managed_config;
  struct sim_managed managed;
  (void)state;
  config.synchronous_mode = true;
  sim_managed_begin(&managed, 15, &config);
  assert_true(sim_patroni_restart(managed.patroni, 1));
  assert_false(sim_patroni_restart(managed.patroni, 1)); /* one at a time */
  while (sim_patroni_busy(managed.patroni, 1)) sim_managed_run(&managed, 10 * NS_PER_MS);
  assert_int_equal(sim_postgres_state(sim_servers_at(&managed.servers, 1)), SIM_PG_STANDBY);
  assert_false(sim_patroni_synchronous(managed.patroni) & 2);
  sim_managed_run(&managed, SECONDS(5));
  assert_int_equal(sim_patroni_synchronous(managed.patroni), 4);
  sim_managed_converge(&managed, SECONDS(20));
  sim_managed_release(&managed);
}

static void test_restart_of_the_primary_keeps_the_key(void **state) {
  struct sim_managed managed;
  (void)state;
  sim_managed_begin(&managed, 16, NULL);
  assert_true(sim_patroni_restart(managed.patroni, 0));
  while (sim_patroni_busy(managed.patroni, 0)) sim_managed_run(&managed, 10 * NS_PER_MS);
  sim_managed_run(&managed, SECONDS(20));
  assert_int_equal(sim_managed_primary(&managed), 0);
  assert_int_equal(managed.changes, 0);
  assert_int_equal(sim_postgres_timeline(sim_servers_at(&managed.servers, 0)), 1);
  sim_managed_release(&managed);
}

/* A manager that is asked to end stops its server and gives the key back: over in seconds. */
static void test_terminated_manager_hands_over(void **state) {
  struct sim_managed managed;
  (void)state;
  sim_managed_begin(&managed, 17, NULL);
  assert_true(sim_patroni_terminate(managed.patroni, &sim_managed_at(&managed, 0)->process));
  sim_managed_failover(&managed, 0, SECONDS(6));
  assert_false(sim_managed_at(&managed, 0)->process.running);
  sim_process_start(&sim_managed_at(&managed, 0)->process);
  sim_managed_run(&managed, SECONDS(5));
  sim_managed_converge(&managed, SECONDS(40));
  sim_managed_release(&managed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_idle_cluster_keeps_its_leader),
      cmocka_unit_test(test_crash_is_seen_when_the_lease_ends),
      cmocka_unit_test(test_etcds_leader_gone_too_costs_an_election),
      cmocka_unit_test(test_former_primary_returns),
      cmocka_unit_test(test_a_replicas_crash_disturbs_nobody),
      cmocka_unit_test(test_crashed_server_recovers_in_place),
      cmocka_unit_test(test_primary_start_timeout_0_fails_over),
      cmocka_unit_test(test_primary_start_timeout_0_alone),
      cmocka_unit_test(test_without_the_store_there_is_no_primary),
      cmocka_unit_test(test_isolated_primary_steps_down_in_time),
      cmocka_unit_test(test_a_voters_death_disturbs_nobody),
      cmocka_unit_test(test_thawed_leader_finds_its_key_gone),
      cmocka_unit_test(test_patroni_3_0_takes_its_key_back),
      cmocka_unit_test(test_frozen_manager_makes_two_primaries),
      cmocka_unit_test(test_only_a_synchronous_standby_takes_over),
      cmocka_unit_test(test_nobody_takes_over_who_was_not_synchronous),
      cmocka_unit_test(test_synchronous_standby_is_replaced),
      cmocka_unit_test(test_a_lagging_replica_takes_nothing_over),
      cmocka_unit_test(test_the_replica_that_is_ahead_takes_over),
      cmocka_unit_test(test_without_rewind_a_parted_history_stays),
      cmocka_unit_test(test_switchover_to_a_candidate),
      cmocka_unit_test(test_switchover_to_anybody),
      cmocka_unit_test(test_requests_at_once),
      cmocka_unit_test(test_switchover_is_refused_without_a_candidate),
      cmocka_unit_test(test_restart_of_a_synchronous_standby),
      cmocka_unit_test(test_restart_of_the_primary_keeps_the_key),
      cmocka_unit_test(test_terminated_manager_hands_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
