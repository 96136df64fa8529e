/* Simulated PostgreSQL servers: the log, replication, life and death. */
#include "sim/service.h"
#include "sim/sim.h"
#include "support/sim_servers.h"
#include "support/test.h"

#define MEMBER_NONE UINT32_MAX

struct fixture {
  struct sim_servers servers;
  struct sim_client client; /* follows the primary, identity 7 */
};

static struct fixture *begin(uint32_t count) {
  struct fixture *f = calloc(1, sizeof *f);
  assert_non_null(f);
  sim_servers_init(&f->servers, count, 1, NULL);
  sim_client_init(&f->client, &f->servers, ROUTE_PRIMARY, HOST_NONE, 7);
  assert_true(sim_client_connect(&f->client));
  return f;
}

static void end(struct fixture *f) {
  sim_client_release(&f->client);
  sim_servers_release(&f->servers);
  free(f);
}

static struct sim_postgres *at(struct fixture *f, uint32_t member) {
  return sim_servers_at(&f->servers, member);
}

static void run(struct fixture *f, uint64_t for_ns) {
  sim_servers_run(&f->servers, for_ns);
}

static void append(struct sim_client *client, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    assert_int_equal(sim_client_do(client, STATEMENT_APPEND), OUTCOME_OK);
}

static int rows(struct fixture *f, uint32_t member) {
  return sim_servers_row_count(&f->servers, member);
}

static bool streams(struct fixture *f, uint32_t from, uint32_t to) {
  uint64_t replayed;
  bool synchronous;
  return sim_postgres_streams_to(at(f, from), to, &replayed, &synchronous);
}

static void power(struct fixture *f, uint8_t host, bool on) {
  if (on)
    sim_host_start(&f->servers.world, host);
  else
    sim_host_stop(&f->servers.world, host);
}

static void test_rows_reach_all_standbys(void **state) {
  (void)state;
  struct fixture *f = begin(3);
  char primary[256], standby[256];
  assert_int_equal(f->client.session->host, 0);
  append(&f->client, 10);
  run(f, 100 * NS_PER_MS);
  sim_servers_rows(&f->servers, 0, primary, sizeof primary);
  assert_string_equal(primary, "7/1 7/2 7/3 7/4 7/5 7/6 7/7 7/8 7/9 7/10 ");
  for (uint32_t i = 1; i < 3; i++) {
    sim_servers_rows(&f->servers, i, standby, sizeof standby);
    assert_string_equal(standby, primary);
    uint64_t replayed = 0;
    bool synchronous = true;
    assert_true(sim_postgres_streams_to(at(f, 0), i, &replayed, &synchronous));
    assert_int_equal(replayed, sim_postgres_position(at(f, 0)));
    assert_int_equal(replayed, sim_postgres_replayed(at(f, i)));
    assert_false(synchronous);
  }
  end(f);
}

/* A write costs the way there, its execution, one flush and the way back. */
static void test_acknowledged_after_one_flush(void **state) {
  (void)state;
  struct fixture *f = begin(1);
  sim_link(&f->servers.world, 0, 1)->jitter_ns = sim_link(&f->servers.world, 1, 0)->jitter_ns = 0;
  run(f, NS_PER_MS);
  append(&f->client, 1);
  assert_int_equal(f->client.reply.done_ns - f->client.request.sent_ns,
                   2 * 100 * NS_PER_US + sim_servers_costs.execute_ns + sim_servers_costs.fsync_ns);
  assert_int_equal(f->client.reply.timeline, 1);
  assert_int_equal(f->client.reply.host, 0);
  end(f);
}

/* Two that come while a third is flushed share the next flush. */
static void test_commits_share_a_flush(void **state) {
  (void)state;
  struct fixture *f = begin(1);
  struct sim_client others[2];
  for (uint32_t i = 0; i < 2; i++) {
    sim_client_init(&others[i], &f->servers, ROUTE_PRIMARY, HOST_NONE, 8 + i);
    assert_true(sim_client_connect(&others[i]));
  }
  sim_client_send(&f->client, STATEMENT_APPEND);
  run(f, 700 * NS_PER_US);
  sim_client_send(&others[0], STATEMENT_APPEND);
  run(f, 100 * NS_PER_US);
  sim_client_send(&others[1], STATEMENT_APPEND);
  run(f, 10 * NS_PER_MS);
  assert_int_equal(others[0].reply.outcome, OUTCOME_OK);
  assert_int_equal(others[1].reply.outcome, OUTCOME_OK);
  uint64_t apart_ns = others[1].reply.done_ns - others[0].reply.done_ns;
  assert_true(apart_ns < 50 * NS_PER_US); /* the network's jitter */
  for (uint32_t i = 0; i < 2; i++) sim_client_release(&others[i]);
  end(f);
}

/* What was not flushed goes with the power, and with nothing else. */
static void test_power_takes_what_was_not_flushed(void **state) {
  (void)state;
  for (int cut = 0; cut < 2; cut++) {
    struct fixture *f = begin(1);
    append(&f->client, 3);
    sim_client_send(&f->client, STATEMENT_APPEND);
    run(f, 500 * NS_PER_US); /* in the log, and being flushed */
    if (cut)
      power(f, 0, false);
    else
      sim_process_kill(sim_postgres_process(at(f, 0)));
    assert_int_equal(sim_postgres_state(at(f, 0)), SIM_PG_DOWN);
    run(f, NS_PER_S);
    power(f, 0, true);
    sim_postgres_start(at(f, 0), SIM_PG_AS_PRIMARY, MEMBER_NONE);
    run(f, sim_servers_costs.start_ns + sim_servers_costs.recovery_ns - 1);
    assert_int_equal(sim_postgres_state(at(f, 0)), SIM_PG_STARTING);
    run(f, 1);
    assert_int_equal(sim_postgres_state(at(f, 0)), SIM_PG_PRIMARY);
    assert_int_equal(rows(f, 0), cut ? 3 : 4);
    end(f);
  }
}

/* What a killed server had not flushed is lost when the power goes afterwards. */
static void test_power_after_a_kill(void **state) {
  (void)state;
  struct fixture *f = begin(1);
  append(&f->client, 3);
  sim_client_send(&f->client, STATEMENT_APPEND);
  run(f, 500 * NS_PER_US);
  sim_process_kill(sim_postgres_process(at(f, 0)));
  power(f, 0, false);
  power(f, 0, true);
  sim_postgres_start(at(f, 0), SIM_PG_AS_PRIMARY, MEMBER_NONE);
  run(f, 2 * NS_PER_S);
  assert_int_equal(rows(f, 0), 3);
  end(f);
}

static void test_promotion_begins_a_timeline(void **state) {
  (void)state;
  struct fixture *f = begin(3);
  append(&f->client, 5);
  run(f, 50 * NS_PER_MS);
  power(f, 0, false);
  sim_postgres_promote(at(f, 1));
  assert_int_equal(sim_postgres_state(at(f, 1)), SIM_PG_PROMOTING);
  run(f, sim_servers_costs.promote_ns);
  assert_int_equal(sim_postgres_state(at(f, 1)), SIM_PG_PRIMARY);
  assert_int_equal(sim_postgres_timeline(at(f, 1)), 2);
  assert_int_equal(sim_postgres_timeline(at(f, 2)), 1);
  sim_postgres_follow(at(f, 2), 1);
  run(f, NS_PER_S);
  assert_true(streams(f, 1, 2));
  assert_int_equal(sim_postgres_timeline(at(f, 2)), 2);
  driver_sim_postgres.session_close(f->client.session);
  assert_true(sim_client_connect(&f->client));
  assert_int_equal(f->client.session->host, 1);
  append(&f->client, 2);
  assert_int_equal(f->client.reply.timeline, 2);
  run(f, 50 * NS_PER_MS);
  assert_int_equal(rows(f, 1), 7);
  assert_int_equal(rows(f, 2), 7);
  end(f);
}

/* A primary whose standbys were cut off, and one that was promoted meanwhile. */
static struct fixture *part(void) {
  struct fixture *f = begin(2);
  append(&f->client, 5);
  run(f, 50 * NS_PER_MS);
  sim_servers_cut(&f->servers, 0, 1, true);
  append(&f->client, 3); /* reach nobody else */
  power(f, 0, false);
  sim_servers_cut(&f->servers, 0, 1, false);
  sim_postgres_promote(at(f, 1));
  run(f, NS_PER_S);
  power(f, 0, true);
  return f;
}

static void note_rebuilt(struct sim_process *self, const struct sim_args *args) {
  *(int *)self->owner = args->number ? 1 : 0;
}

static void test_a_diverged_server_must_be_rewound(void **state) {
  (void)state;
  for (int rewind = 0; rewind < 2; rewind++) {
    struct fixture *f = part();
    int rebuilt = -1;
    assert_true(sim_postgres_diverged(at(f, 0), 1));
    assert_false(sim_postgres_diverged(at(f, 1), 1));
    f->servers.clients[0].owner = &rebuilt;
    sim_postgres_rebuild(at(f, 0), 1, rewind, &f->servers.clients[0], note_rebuilt);
    uint64_t cost_ns = rewind ? sim_servers_costs.rewind_ns : sim_servers_costs.copy_ns;
    run(f, cost_ns - 1);
    assert_int_equal(rebuilt, -1);
    run(f, 1);
    assert_int_equal(rebuilt, 1);
    assert_false(sim_postgres_diverged(at(f, 0), 1));
    sim_postgres_start(at(f, 0), SIM_PG_AS_STANDBY, 1);
    run(f, 3 * NS_PER_S);
    assert_true(streams(f, 1, 0));
    assert_int_equal(rows(f, 0), 5);
    assert_int_equal(sim_postgres_timeline(at(f, 0)), 2);
    end(f);
  }
}

static void test_a_diverged_standby_cannot_stream(void **state) {
  (void)state;
  struct fixture *f = part();
  sim_postgres_start(at(f, 0), SIM_PG_AS_STANDBY, 1);
  run(f, 30 * NS_PER_S);
  assert_int_equal(sim_postgres_state(at(f, 0)), SIM_PG_STANDBY);
  assert_false(streams(f, 1, 0));
  assert_int_equal(rows(f, 0), 8);
  end(f);
}

/* A copy that is broken off leaves nothing to start from; a rewind leaves what was there. */
static void test_a_rebuild_needs_its_source(void **state) {
  (void)state;
  for (int rewind = 0; rewind < 2; rewind++) {
    struct fixture *f = part();
    int rebuilt = -1;
    f->servers.clients[0].owner = &rebuilt;
    sim_postgres_rebuild(at(f, 0), 1, rewind, &f->servers.clients[0], note_rebuilt);
    run(f, NS_PER_S / 2);
    sim_servers_cut(&f->servers, 0, 1, true);
    run(f, 3 * NS_PER_S);
    assert_int_equal(rebuilt, 0);
    assert_true(sim_postgres_diverged(at(f, 0), 1));
    sim_postgres_start(at(f, 0), SIM_PG_AS_STANDBY, 1);
    run(f, 3 * NS_PER_S);
    assert_int_equal(sim_postgres_state(at(f, 0)), rewind ? SIM_PG_STANDBY : SIM_PG_DOWN);
    end(f);
  }
}

static void test_synchronous_commits_wait(void **state) {
  (void)state;
  struct fixture *f = begin(3);
  sim_postgres_set_synchronous(at(f, 0), 1u << 1, 1, false);
  append(&f->client, 2);
  uint64_t took_ns = f->client.reply.done_ns - f->client.request.sent_ns;
  assert_true(took_ns > 2 * sim_servers_costs.fsync_ns + 4 * 100 * NS_PER_US);
  sim_servers_cut(&f->servers, 0, 1, true);
  sim_client_send(&f->client, STATEMENT_APPEND);
  run(f, NS_PER_S);
  assert_int_equal(f->client.answers, 2);
  /* Member 2 has the row, and shows it, long before the primary does. */
  assert_int_equal(rows(f, 2), 3);
  assert_int_equal(rows(f, 0), 2);
  sim_postgres_set_synchronous(at(f, 0), 1u << 2, 1, false);
  run(f, NS_PER_MS);
  assert_int_equal(f->client.answers, 3);
  assert_int_equal(f->client.reply.outcome, OUTCOME_OK);
  assert_int_equal(rows(f, 0), 3);
  end(f);
}

static void test_synchronous_count_and_strict(void **state) {
  (void)state;
  struct fixture *f = begin(3);
  sim_postgres_set_synchronous(at(f, 0), 3u << 1, 2, true);
  append(&f->client, 1);
  sim_process_freeze(sim_postgres_process(at(f, 2)), true);
  sim_client_send(&f->client, STATEMENT_APPEND);
  run(f, NS_PER_S);
  assert_int_equal(f->client.answers, 1);
  sim_process_freeze(sim_postgres_process(at(f, 2)), false);
  run(f, 10 * NS_PER_MS);
  assert_int_equal(f->client.answers, 2);
  sim_postgres_set_synchronous(at(f, 0), 0, 1, true);
  sim_client_send(&f->client, STATEMENT_APPEND);
  run(f, NS_PER_S);
  assert_int_equal(f->client.answers, 2);
  sim_postgres_set_synchronous(at(f, 0), 0, 1, false);
  run(f, NS_PER_MS);
  assert_int_equal(f->client.answers, 3);
  end(f);
}

/* A fast shutdown sends everything to the standbys before it ends. */
static void test_fast_shutdown_leaves_nothing_behind(void **state) {
  (void)state;
  struct fixture *f = begin(2);
  append(&f->client, 3);
  sim_client_send(&f->client, STATEMENT_APPEND);
  run(f, 400 * NS_PER_US);
  sim_postgres_stop(at(f, 0), false);
  assert_int_equal(sim_postgres_state(at(f, 0)), SIM_PG_STOPPING);
  run(f, NS_PER_S);
  assert_int_equal(sim_postgres_state(at(f, 0)), SIM_PG_DOWN);
  assert_int_equal(f->client.reply.outcome, OUTCOME_UNKNOWN);
  assert_int_equal(f->client.reply.code, code_pack("57P01"));
  assert_int_equal(rows(f, 1), 4);
  assert_false(sim_postgres_diverged(at(f, 0), 1));
  /* No recovery after it. */
  sim_postgres_start(at(f, 0), SIM_PG_AS_PRIMARY, MEMBER_NONE);
  run(f, sim_servers_costs.start_ns);
  assert_int_equal(sim_postgres_state(at(f, 0)), SIM_PG_PRIMARY);
  end(f);
}

/* A standby that does not answer holds a fast shutdown up, until wal_sender_timeout. */
static void test_fast_shutdown_waits_for_a_silent_standby(void **state) {
  (void)state;
  struct fixture *f = begin(2);
  append(&f->client, 3);
  run(f, 50 * NS_PER_MS);
  sim_servers_cut(&f->servers, 0, 1, true);
  append(&f->client, 1);
  sim_postgres_stop(at(f, 0), false);
  run(f, 40 * NS_PER_S);
  assert_int_equal(sim_postgres_state(at(f, 0)), SIM_PG_STOPPING);
  run(f, 21 * NS_PER_S);
  assert_int_equal(sim_postgres_state(at(f, 0)), SIM_PG_DOWN);
  assert_true(sim_postgres_diverged(at(f, 0), 1));
  end(f);
}

static void test_immediate_stop(void **state) {
  (void)state;
  struct fixture *f = begin(2);
  append(&f->client, 3);
  sim_postgres_stop(at(f, 0), false);
  sim_postgres_stop(at(f, 0), true);
  assert_int_equal(sim_postgres_state(at(f, 0)), SIM_PG_DOWN);
  sim_postgres_start(at(f, 0), SIM_PG_AS_PRIMARY, MEMBER_NONE);
  run(f, sim_servers_costs.start_ns + sim_servers_costs.recovery_ns - 1);
  assert_int_equal(sim_postgres_state(at(f, 0)), SIM_PG_STARTING);
  end(f);
}

/* What gathered while the network was cut comes when the kernel sends again. */
static void test_replication_goes_on_after_a_partition(void **state) {
  (void)state;
  struct fixture *f = begin(2);
  append(&f->client, 2);
  run(f, 50 * NS_PER_MS);
  sim_servers_cut(&f->servers, 0, 1, true);
  append(&f->client, 20);
  run(f, 10 * NS_PER_S);
  assert_int_equal(rows(f, 1), 2);
  assert_true(streams(f, 0, 1)); /* as far as the primary knows */
  sim_servers_cut(&f->servers, 0, 1, false);
  run(f, 10 * NS_PER_S); /* twice as long as it was cut, at most */
  assert_int_equal(rows(f, 1), 22);
  assert_true(streams(f, 0, 1));
  end(f);
}

static void test_replication_times_out(void **state) {
  (void)state;
  struct fixture *f = begin(2);
  sim_servers_cut(&f->servers, 0, 1, true);
  run(f, 71 * NS_PER_S);
  assert_false(streams(f, 0, 1));
  append(&f->client, 3);
  sim_servers_cut(&f->servers, 0, 1, false);
  run(f, 130 * NS_PER_S); /* a connect is given up after 127 s */
  assert_true(streams(f, 0, 1));
  assert_int_equal(rows(f, 1), 3);
  end(f);
}

/* Nothing is written for minutes: the connections live. */
static void test_idle_replication_lives(void **state) {
  (void)state;
  struct fixture *f = begin(3);
  run(f, 300 * NS_PER_S);
  assert_true(streams(f, 0, 1));
  assert_true(streams(f, 0, 2));
  end(f);
}

static void test_a_standby_that_was_killed_comes_back(void **state) {
  (void)state;
  struct fixture *f = begin(2);
  append(&f->client, 2);
  run(f, 50 * NS_PER_MS);
  sim_process_kill(sim_postgres_process(at(f, 1)));
  run(f, NS_PER_MS);
  assert_false(streams(f, 0, 1));
  append(&f->client, 2);
  sim_postgres_start(at(f, 1), SIM_PG_AS_STANDBY, 0);
  run(f, 3 * NS_PER_S);
  assert_true(streams(f, 0, 1));
  assert_int_equal(rows(f, 1), 4);
  end(f);
}

/* Back from a power cut before the primary's side has noticed, it is turned away until then: what
 * is sent again (after 0.2, 0.6, ... 6.2 s) meets a kernel that knows nothing of the connection. */
static void test_an_old_sender_keeps_the_slot(void **state) {
  (void)state;
  struct fixture *f = begin(2);
  uint32_t upstream = MEMBER_NONE;
  uint64_t connection = 0;
  append(&f->client, 2);
  run(f, 50 * NS_PER_MS);
  assert_true(sim_postgres_receives(at(f, 1), &upstream, &connection));
  power(f, 1, false);
  append(&f->client, 1);
  run(f, 4 * NS_PER_S);
  power(f, 1, true);
  sim_postgres_start(at(f, 1), SIM_PG_AS_STANDBY, 0);
  run(f, sim_servers_costs.start_ns + sim_servers_costs.recovery_ns + 100 * NS_PER_MS);
  assert_int_equal(sim_postgres_state(at(f, 1)), SIM_PG_STANDBY);
  assert_true(streams(f, 0, 1)); /* the primary's word */
  assert_false(sim_postgres_receives(at(f, 1), &upstream, &connection));
  run(f, 1500 * NS_PER_MS);
  assert_false(streams(f, 0, 1));
  run(f, 5 * NS_PER_S);
  assert_true(streams(f, 0, 1));
  assert_true(sim_postgres_receives(at(f, 1), &upstream, &connection));
  assert_int_equal(upstream, 0);
  assert_int_equal(rows(f, 1), 3);
  end(f);
}

/* A standby whose primary restarts in place finds it again within 5 s. */
static void test_a_primary_that_was_killed_is_found_again(void **state) {
  (void)state;
  struct fixture *f = begin(2);
  append(&f->client, 2);
  sim_process_kill(sim_postgres_process(at(f, 0)));
  run(f, 2 * NS_PER_S);
  sim_postgres_start(at(f, 0), SIM_PG_AS_PRIMARY, MEMBER_NONE);
  run(f, 8 * NS_PER_S);
  assert_true(streams(f, 0, 1));
  assert_int_equal(rows(f, 0), 2);
  assert_int_equal(rows(f, 1), 2);
  end(f);
}

/* Without a manager a standby looks for any primary. */
static void test_streaming_standbys_find_the_primary(void **state) {
  (void)state;
  struct fixture *f = calloc(1, sizeof *f);
  assert_non_null(f);
  struct postgres_config config = {.topology = TOPOLOGY_STREAMING, .max_connections = 100};
  sim_servers_init(&f->servers, 3, 1, &config);
  sim_client_init(&f->client, &f->servers, ROUTE_PRIMARY, HOST_NONE, 7);
  assert_true(sim_client_connect(&f->client));
  append(&f->client, 2);
  run(f, 50 * NS_PER_MS);
  power(f, 0, false);
  sim_postgres_promote(at(f, 1));
  run(f, 90 * NS_PER_S); /* the dead one must be found dead first */
  assert_true(streams(f, 1, 2));
  end(f);
}

/* A frozen server answers nothing, and everything afterwards. */
static void test_a_frozen_server(void **state) {
  (void)state;
  struct fixture *f = begin(2);
  append(&f->client, 2);
  sim_host_freeze(&f->servers.world, 0, true);
  sim_client_send(&f->client, STATEMENT_APPEND);
  run(f, 4 * NS_PER_S);
  assert_int_equal(f->client.answers, 2);
  sim_host_freeze(&f->servers.world, 0, false);
  run(f, 10 * NS_PER_MS);
  assert_int_equal(f->client.answers, 3);
  assert_int_equal(f->client.reply.outcome, OUTCOME_OK);
  run(f, NS_PER_S);
  assert_int_equal(rows(f, 1), 3);
  end(f);
}

/* --- truth ----------------------------------------------------------------------------------- */

struct truth {
  uint64_t acknowledged, received, promoted, accepting[POSTGRES_INSTANCES_MAX];
  const uint64_t *now_ns;
};

static void truth_acknowledged(void *data, const struct sim_record *record, uint32_t member) {
  struct truth *truth = data;
  assert_int_equal(record->identity, 7);
  assert_int_equal(member, 0);
  truth->acknowledged = *truth->now_ns;
}

static void truth_received(void *data, const struct sim_record *record, uint32_t member) {
  struct truth *truth = data;
  (void)record;
  (void)member;
  truth->received = *truth->now_ns;
}

static void truth_promoted(void *data, uint32_t member, uint32_t timeline) {
  struct truth *truth = data;
  assert_int_equal(member, 1);
  assert_int_equal(timeline, 2);
  truth->promoted = *truth->now_ns;
}

static void truth_accepting(void *data, uint32_t member, bool accepting) {
  struct truth *truth = data;
  (void)accepting;
  truth->accepting[member] = *truth->now_ns;
}

static void test_truth_is_told(void **state) {
  (void)state;
  struct fixture *f = begin(2);
  struct truth truth = {.now_ns = &f->servers.time.now_ns};
  sim_postgres_observe(f->servers.cluster,
                       &(struct sim_postgres_truth){.data = &truth,
                                                    .acknowledged = truth_acknowledged,
                                                    .received = truth_received,
                                                    .promoted = truth_promoted,
                                                    .accepting = truth_accepting});
  append(&f->client, 1);
  assert_int_equal(truth.received, f->client.reply.done_ns);
  assert_true(truth.acknowledged < truth.received);
  power(f, 0, false);
  assert_int_equal(truth.accepting[0], f->servers.time.now_ns);
  sim_postgres_promote(at(f, 1));
  run(f, NS_PER_S);
  assert_true(truth.promoted > truth.accepting[0]);
  assert_int_equal(truth.accepting[1], truth.promoted);
  end(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows_reach_all_standbys),
      cmocka_unit_test(test_acknowledged_after_one_flush),
      cmocka_unit_test(test_commits_share_a_flush),
      cmocka_unit_test(test_power_takes_what_was_not_flushed),
      cmocka_unit_test(test_power_after_a_kill),
      cmocka_unit_test(test_promotion_begins_a_timeline),
      cmocka_unit_test(test_a_diverged_server_must_be_rewound),
      cmocka_unit_test(test_a_diverged_standby_cannot_stream),
      cmocka_unit_test(test_a_rebuild_needs_its_source),
      cmocka_unit_test(test_synchronous_commits_wait),
      cmocka_unit_test(test_synchronous_count_and_strict),
      cmocka_unit_test(test_fast_shutdown_leaves_nothing_behind),
      cmocka_unit_test(test_fast_shutdown_waits_for_a_silent_standby),
      cmocka_unit_test(test_immediate_stop),
      cmocka_unit_test(test_replication_goes_on_after_a_partition),
      cmocka_unit_test(test_replication_times_out),
      cmocka_unit_test(test_idle_replication_lives),
      cmocka_unit_test(test_a_standby_that_was_killed_comes_back),
      cmocka_unit_test(test_an_old_sender_keeps_the_slot),
      cmocka_unit_test(test_a_primary_that_was_killed_is_found_again),
      cmocka_unit_test(test_streaming_standbys_find_the_primary),
      cmocka_unit_test(test_a_frozen_server),
      cmocka_unit_test(test_truth_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
