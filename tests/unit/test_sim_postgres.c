/* Simulated PostgreSQL servers: the log, replication, life and death. */
#include "sim/service.h"
#include "sim/sim.h"
#include "support/sim_servers.h"
#include "support/test.h"

#define MEMBER_NONE UINT32_MAX

/* Its client follows the primary. */
static struct sim_bench *following(uint32_t count) {
  struct sim_bench *f = sim_bench_new(count, ROUTE_PRIMARY, HOST_NONE);
  assert_true(sim_client_connect(&f->client));
  return f;
}

static void append(struct sim_client *client, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    assert_int_equal(sim_client_do(client, STATEMENT_APPEND), OUTCOME_OK);
}

static int rows(struct sim_bench *f, uint32_t member) {
  return sim_servers_row_count(&f->servers, member);
}

static bool streams(struct sim_bench *f, uint32_t from, uint32_t to) {
  uint64_t replayed;
  bool synchronous;
  return sim_postgres_streams_to(sim_bench_at(f, from), to, &replayed, &synchronous);
}

static void power(struct sim_bench *f, uint16_t host, bool on) {
  if (on)
    sim_host_start(&f->servers.world, host);
  else
    sim_host_stop(&f->servers.world, host);
}

static void test_rows_reach_all_standbys(void **state) {
  (void)state;
  struct sim_bench *f = following(3);
  char primary[256], standby[256];
  assert_int_equal(f->client.session->host, 0);
  append(&f->client, 10);
  sim_bench_run(f, 100 * NS_PER_MS);
  sim_servers_rows(&f->servers, 0, primary, sizeof primary);
  assert_string_equal(primary, "7/1 7/2 7/3 7/4 7/5 7/6 7/7 7/8 7/9 7/10 ");
  for (uint32_t i = 1; i < 3; i++) {
    sim_servers_rows(&f->servers, i, standby, sizeof standby);
    assert_string_equal(standby, primary);
    uint64_t replayed = 0;
    bool synchronous = true;
    assert_true(sim_postgres_streams_to(sim_bench_at(f, 0), i, &replayed, &synchronous));
    assert_int_equal(replayed, sim_postgres_position(sim_bench_at(f, 0)));
    assert_int_equal(replayed, sim_postgres_replayed(sim_bench_at(f, i)));
    assert_false(synchronous);
  }
  sim_bench_free(f);
}

/* A write costs the way there, its execution, one flush and the way back. */
static void test_acknowledged_after_one_flush(void **state) {
  (void)state;
  struct sim_bench *f = following(1);
  sim_link(&f->servers.world, 0, 1)->jitter_ns = sim_link(&f->servers.world, 1, 0)->jitter_ns = 0;
  sim_bench_run(f, NS_PER_MS);
  append(&f->client, 1);
  assert_int_equal(f->client.reply.done_ns - f->client.request.sent_ns,
                   2 * 100 * NS_PER_US + sim_servers_costs.execute_ns + sim_servers_costs.fsync_ns);
  assert_int_equal(f->client.reply.timeline, 1);
  assert_int_equal(f->client.reply.host, 0);
  sim_bench_free(f);
}

/* Two that come while a third is flushed share the next flush. */
static void test_commits_share_a_flush(void **state) {
  (void)state;
  struct sim_bench *f = following(1);
  struct sim_client others[2];
  for (uint32_t i = 0; i < 2; i++) {
    sim_client_init(&others[i], &f->servers, ROUTE_PRIMARY, HOST_NONE, 8 + i);
    assert_true(sim_client_connect(&others[i]));
  }
  sim_client_send(&f->client, STATEMENT_APPEND);
  sim_bench_run(f, 700 * NS_PER_US);
  sim_client_send(&others[0], STATEMENT_APPEND);
  sim_bench_run(f, 100 * NS_PER_US);
  sim_client_send(&others[1], STATEMENT_APPEND);
  sim_bench_run(f, 10 * NS_PER_MS);
  assert_int_equal(others[0].reply.outcome, OUTCOME_OK);
  assert_int_equal(others[1].reply.outcome, OUTCOME_OK);
  uint64_t apart_ns = others[1].reply.done_ns - others[0].reply.done_ns;
  assert_true(apart_ns < 50 * NS_PER_US); /* the network's jitter */
  for (uint32_t i = 0; i < 2; i++) sim_client_release(&others[i]);
  sim_bench_free(f);
}

/* What was not flushed goes with the power, and with nothing else. */
static void test_power_takes_what_was_not_flushed(void **state) {
  (void)state;
  for (int cut = 0; cut < 2; cut++) {
    struct sim_bench *f = following(1);
    append(&f->client, 3);
    sim_client_send(&f->client, STATEMENT_APPEND);
    sim_bench_run(f, 500 * NS_PER_US); /* in the log, and being flushed */
    if (cut)
      power(f, 0, false);
    else
      sim_process_kill(sim_postgres_process(sim_bench_at(f, 0)));
    assert_int_equal(sim_postgres_state(sim_bench_at(f, 0)), SIM_PG_DOWN);
    sim_bench_run(f, NS_PER_S);
    power(f, 0, true);
    sim_postgres_start(sim_bench_at(f, 0), SIM_PG_AS_PRIMARY, MEMBER_NONE);
    sim_bench_run(f, sim_servers_costs.start_ns + sim_servers_costs.recovery_ns - 1);
    assert_int_equal(sim_postgres_state(sim_bench_at(f, 0)), SIM_PG_STARTING);
    sim_bench_run(f, 1);
    assert_int_equal(sim_postgres_state(sim_bench_at(f, 0)), SIM_PG_PRIMARY);
    assert_int_equal(rows(f, 0), cut ? 3 : 4);
    sim_bench_free(f);
  }
}

/* What a killed server had not flushed is lost when the power goes afterwards. */
static void test_power_after_a_kill(void **state) {
  (void)state;
  struct sim_bench *f = following(1);
  append(&f->client, 3);
  sim_client_send(&f->client, STATEMENT_APPEND);
  sim_bench_run(f, 500 * NS_PER_US);
  sim_process_kill(sim_postgres_process(sim_bench_at(f, 0)));
  power(f, 0, false);
  power(f, 0, true);
  sim_postgres_start(sim_bench_at(f, 0), SIM_PG_AS_PRIMARY, MEMBER_NONE);
  sim_bench_run(f, 2 * NS_PER_S);
  assert_int_equal(rows(f, 0), 3);
  sim_bench_free(f);
}

static void test_promotion_begins_a_timeline(void **state) {
  (void)state;
  struct sim_bench *f = following(3);
  append(&f->client, 5);
  sim_bench_run(f, 50 * NS_PER_MS);
  power(f, 0, false);
  sim_postgres_promote(sim_bench_at(f, 1));
  assert_int_equal(sim_postgres_state(sim_bench_at(f, 1)), SIM_PG_PROMOTING);
  sim_bench_run(f, sim_servers_costs.promote_ns);
  assert_int_equal(sim_postgres_state(sim_bench_at(f, 1)), SIM_PG_PRIMARY);
  assert_int_equal(sim_postgres_timeline(sim_bench_at(f, 1)), 2);
  assert_int_equal(sim_postgres_timeline(sim_bench_at(f, 2)), 1);
  sim_postgres_follow(sim_bench_at(f, 2), 1);
  sim_bench_run(f, NS_PER_S);
  assert_true(streams(f, 1, 2));
  assert_int_equal(sim_postgres_timeline(sim_bench_at(f, 2)), 2);
  driver_sim_postgres.session_close(f->client.session);
  assert_true(sim_client_connect(&f->client));
  assert_int_equal(f->client.session->host, 1);
  append(&f->client, 2);
  assert_int_equal(f->client.reply.timeline, 2);
  sim_bench_run(f, 50 * NS_PER_MS);
  assert_int_equal(rows(f, 1), 7);
  assert_int_equal(rows(f, 2), 7);
  sim_bench_free(f);
}

/* A primary whose standbys were cut off, and one that was promoted meanwhile. */
static struct sim_bench *part(void) {
  struct sim_bench *f = following(2);
  append(&f->client, 5);
  sim_bench_run(f, 50 * NS_PER_MS);
  sim_servers_cut(&f->servers, 0, 1, true);
  append(&f->client, 3); /* reach nobody else */
  power(f, 0, false);
  sim_servers_cut(&f->servers, 0, 1, false);
  sim_postgres_promote(sim_bench_at(f, 1));
  sim_bench_run(f, NS_PER_S);
  power(f, 0, true);
  return f;
}

static void note_rebuilt(struct sim_process *self, const struct sim_args *args) {
  *(int *)self->owner = args->number ? 1 : 0;
}

static void test_a_diverged_server_must_be_rewound(void **state) {
  (void)state;
  for (int rewind = 0; rewind < 2; rewind++) {
    struct sim_bench *f = part();
    int rebuilt = -1;
    assert_true(sim_postgres_diverged(sim_bench_at(f, 0), 1));
    assert_false(sim_postgres_diverged(sim_bench_at(f, 1), 1));
    f->servers.clients[0].owner = &rebuilt;
    sim_postgres_rebuild(sim_bench_at(f, 0), 1, rewind, &f->servers.clients[0], note_rebuilt);
    uint64_t cost_ns = rewind ? sim_servers_costs.rewind_ns : sim_servers_costs.copy_ns;
    sim_bench_run(f, cost_ns - 1);
    assert_int_equal(rebuilt, -1);
    sim_bench_run(f, 1);
    assert_int_equal(rebuilt, 1);
    assert_false(sim_postgres_diverged(sim_bench_at(f, 0), 1));
    sim_postgres_start(sim_bench_at(f, 0), SIM_PG_AS_STANDBY, 1);
    sim_bench_run(f, 3 * NS_PER_S);
    assert_true(streams(f, 1, 0));
    assert_int_equal(rows(f, 0), 5);
    assert_int_equal(sim_postgres_timeline(sim_bench_at(f, 0)), 2);
    sim_bench_free(f);
  }
}

static void test_a_diverged_standby_cannot_stream(void **state) {
  (void)state;
  struct sim_bench *f = part();
  sim_postgres_start(sim_bench_at(f, 0), SIM_PG_AS_STANDBY, 1);
  sim_bench_run(f, 30 * NS_PER_S);
  assert_int_equal(sim_postgres_state(sim_bench_at(f, 0)), SIM_PG_STANDBY);
  assert_false(streams(f, 1, 0));
  assert_int_equal(rows(f, 0), 8);
  sim_bench_free(f);
}

/* A copy that is broken off leaves nothing to start from; a rewind leaves what was there. */
static void test_a_rebuild_needs_its_source(void **state) {
  (void)state;
  for (int rewind = 0; rewind < 2; rewind++) {
    struct sim_bench *f = part();
    int rebuilt = -1;
    f->servers.clients[0].owner = &rebuilt;
    sim_postgres_rebuild(sim_bench_at(f, 0), 1, rewind, &f->servers.clients[0], note_rebuilt);
    sim_bench_run(f, NS_PER_S / 2);
    sim_servers_cut(&f->servers, 0, 1, true);
    sim_bench_run(f, 3 * NS_PER_S);
    assert_int_equal(rebuilt, 0);
    assert_true(sim_postgres_diverged(sim_bench_at(f, 0), 1));
    sim_postgres_start(sim_bench_at(f, 0), SIM_PG_AS_STANDBY, 1);
    sim_bench_run(f, 3 * NS_PER_S);
    assert_int_equal(sim_postgres_state(sim_bench_at(f, 0)), rewind ? SIM_PG_STANDBY : SIM_PG_DOWN);
    sim_bench_free(f);
  }
}

static void test_synchronous_commits_wait(void **state) {
  (void)state;
  struct sim_bench *f = following(3);
  sim_postgres_set_synchronous(sim_bench_at(f, 0), 1u << 1, 1, false);
  append(&f->client, 2);
  uint64_t took_ns = f->client.reply.done_ns - f->client.request.sent_ns;
  assert_true(took_ns > 2 * sim_servers_costs.fsync_ns + 4 * 100 * NS_PER_US);
  sim_servers_cut(&f->servers, 0, 1, true);
  sim_client_send(&f->client, STATEMENT_APPEND);
  sim_bench_run(f, NS_PER_S);
  assert_int_equal(f->client.answers, 2);
  /* Member 2 has the row, and shows it, long before the primary does. */
  assert_int_equal(rows(f, 2), 3);
  assert_int_equal(rows(f, 0), 2);
  sim_postgres_set_synchronous(sim_bench_at(f, 0), 1u << 2, 1, false);
  sim_bench_run(f, NS_PER_MS);
  assert_int_equal(f->client.answers, 3);
  assert_int_equal(f->client.reply.outcome, OUTCOME_OK);
  assert_int_equal(rows(f, 0), 3);
  sim_bench_free(f);
}

static void test_synchronous_count_and_strict(void **state) {
  (void)state;
  struct sim_bench *f = following(3);
  sim_postgres_set_synchronous(sim_bench_at(f, 0), 3u << 1, 2, true);
  append(&f->client, 1);
  sim_process_freeze(sim_postgres_process(sim_bench_at(f, 2)), true);
  sim_client_send(&f->client, STATEMENT_APPEND);
  sim_bench_run(f, NS_PER_S);
  assert_int_equal(f->client.answers, 1);
  sim_process_freeze(sim_postgres_process(sim_bench_at(f, 2)), false);
  sim_bench_run(f, 10 * NS_PER_MS);
  assert_int_equal(f->client.answers, 2);
  sim_postgres_set_synchronous(sim_bench_at(f, 0), 0, 1, true);
  sim_client_send(&f->client, STATEMENT_APPEND);
  sim_bench_run(f, NS_PER_S);
  assert_int_equal(f->client.answers, 2);
  sim_postgres_set_synchronous(sim_bench_at(f, 0), 0, 1, false);
  sim_bench_run(f, NS_PER_MS);
  assert_int_equal(f->client.answers, 3);
  sim_bench_free(f);
}

/* A fast shutdown sends everything to the standbys before it ends. */
static void test_fast_shutdown_leaves_nothing_behind(void **state) {
  (void)state;
  struct sim_bench *f = following(2);
  append(&f->client, 3);
  sim_client_send(&f->client, STATEMENT_APPEND);
  sim_bench_run(f, 400 * NS_PER_US);
  sim_postgres_stop(sim_bench_at(f, 0), false);
  assert_int_equal(sim_postgres_state(sim_bench_at(f, 0)), SIM_PG_STOPPING);
  sim_bench_run(f, NS_PER_S);
  assert_int_equal(sim_postgres_state(sim_bench_at(f, 0)), SIM_PG_DOWN);
  assert_int_equal(f->client.reply.outcome, OUTCOME_UNKNOWN);
  assert_int_equal(f->client.reply.code, code_pack("57P01"));
  assert_int_equal(rows(f, 1), 4);
  assert_false(sim_postgres_diverged(sim_bench_at(f, 0), 1));
  /* No recovery after it. */
  sim_postgres_start(sim_bench_at(f, 0), SIM_PG_AS_PRIMARY, MEMBER_NONE);
  sim_bench_run(f, sim_servers_costs.start_ns);
  assert_int_equal(sim_postgres_state(sim_bench_at(f, 0)), SIM_PG_PRIMARY);
  sim_bench_free(f);
}

/* A standby that does not answer holds a fast shutdown up, until wal_sender_timeout. */
static void test_fast_shutdown_waits_for_a_silent_standby(void **state) {
  (void)state;
  struct sim_bench *f = following(2);
  append(&f->client, 3);
  sim_bench_run(f, 50 * NS_PER_MS);
  sim_servers_cut(&f->servers, 0, 1, true);
  append(&f->client, 1);
  sim_postgres_stop(sim_bench_at(f, 0), false);
  sim_bench_run(f, 40 * NS_PER_S);
  assert_int_equal(sim_postgres_state(sim_bench_at(f, 0)), SIM_PG_STOPPING);
  sim_bench_run(f, 21 * NS_PER_S);
  assert_int_equal(sim_postgres_state(sim_bench_at(f, 0)), SIM_PG_DOWN);
  assert_true(sim_postgres_diverged(sim_bench_at(f, 0), 1));
  sim_bench_free(f);
}

static void test_immediate_stop(void **state) {
  (void)state;
  struct sim_bench *f = following(2);
  append(&f->client, 3);
  sim_postgres_stop(sim_bench_at(f, 0), false);
  sim_postgres_stop(sim_bench_at(f, 0), true);
  assert_int_equal(sim_postgres_state(sim_bench_at(f, 0)), SIM_PG_DOWN);
  sim_postgres_start(sim_bench_at(f, 0), SIM_PG_AS_PRIMARY, MEMBER_NONE);
  sim_bench_run(f, sim_servers_costs.start_ns + sim_servers_costs.recovery_ns - 1);
  assert_int_equal(sim_postgres_state(sim_bench_at(f, 0)), SIM_PG_STARTING);
  sim_bench_free(f);
}

/* What gathered while the network was cut comes when the kernel sends again. */
static void test_replication_goes_on_after_a_partition(void **state) {
  (void)state;
  struct sim_bench *f = following(2);
  append(&f->client, 2);
  sim_bench_run(f, 50 * NS_PER_MS);
  sim_servers_cut(&f->servers, 0, 1, true);
  append(&f->client, 20);
  sim_bench_run(f, 10 * NS_PER_S);
  assert_int_equal(rows(f, 1), 2);
  assert_true(streams(f, 0, 1)); /* as far as the primary knows */
  sim_servers_cut(&f->servers, 0, 1, false);
  sim_bench_run(f, 10 * NS_PER_S); /* twice as long as it was cut, at most */
  assert_int_equal(rows(f, 1), 22);
  assert_true(streams(f, 0, 1));
  sim_bench_free(f);
}

static void test_replication_times_out(void **state) {
  (void)state;
  struct sim_bench *f = following(2);
  sim_servers_cut(&f->servers, 0, 1, true);
  sim_bench_run(f, 71 * NS_PER_S);
  assert_false(streams(f, 0, 1));
  append(&f->client, 3);
  sim_servers_cut(&f->servers, 0, 1, false);
  sim_bench_run(f, 130 * NS_PER_S); /* a connect is given up after 127 s */
  assert_true(streams(f, 0, 1));
  assert_int_equal(rows(f, 1), 3);
  sim_bench_free(f);
}

/* Nothing is written for minutes: the connections live. */
static void test_idle_replication_lives(void **state) {
  (void)state;
  struct sim_bench *f = following(3);
  sim_bench_run(f, 300 * NS_PER_S);
  assert_true(streams(f, 0, 1));
  assert_true(streams(f, 0, 2));
  sim_bench_free(f);
}

static void test_a_standby_that_was_killed_comes_back(void **state) {
  (void)state;
  struct sim_bench *f = following(2);
  append(&f->client, 2);
  sim_bench_run(f, 50 * NS_PER_MS);
  sim_process_kill(sim_postgres_process(sim_bench_at(f, 1)));
  sim_bench_run(f, NS_PER_MS);
  assert_false(streams(f, 0, 1));
  append(&f->client, 2);
  sim_postgres_start(sim_bench_at(f, 1), SIM_PG_AS_STANDBY, 0);
  sim_bench_run(f, 3 * NS_PER_S);
  assert_true(streams(f, 0, 1));
  assert_int_equal(rows(f, 1), 4);
  sim_bench_free(f);
}

/* Back from a power cut before the primary's side has noticed, it is turned away until then: what
 * is sent again (after 0.2, 0.6, ... 6.2 s) meets a kernel that knows nothing of the connection. */
static void test_an_old_sender_keeps_the_slot(void **state) {
  (void)state;
  struct sim_bench *f = following(2);
  uint32_t upstream = MEMBER_NONE;
  uint64_t connection = 0;
  append(&f->client, 2);
  sim_bench_run(f, 50 * NS_PER_MS);
  assert_true(sim_postgres_receives(sim_bench_at(f, 1), &upstream, &connection));
  power(f, 1, false);
  append(&f->client, 1);
  sim_bench_run(f, 4 * NS_PER_S);
  power(f, 1, true);
  sim_postgres_start(sim_bench_at(f, 1), SIM_PG_AS_STANDBY, 0);
  sim_bench_run(f, sim_servers_costs.start_ns + sim_servers_costs.recovery_ns + 100 * NS_PER_MS);
  assert_int_equal(sim_postgres_state(sim_bench_at(f, 1)), SIM_PG_STANDBY);
  assert_true(streams(f, 0, 1)); /* the primary's word */
  assert_false(sim_postgres_receives(sim_bench_at(f, 1), &upstream, &connection));
  sim_bench_run(f, 1500 * NS_PER_MS);
  assert_false(streams(f, 0, 1));
  sim_bench_run(f, 5 * NS_PER_S);
  assert_true(streams(f, 0, 1));
  assert_true(sim_postgres_receives(sim_bench_at(f, 1), &upstream, &connection));
  assert_int_equal(upstream, 0);
  assert_int_equal(rows(f, 1), 3);
  sim_bench_free(f);
}

/* A standby whose primary restarts in place finds it again within 5 s. */
static void test_a_primary_that_was_killed_is_found_again(void **state) {
  (void)state;
  struct sim_bench *f = following(2);
  append(&f->client, 2);
  sim_process_kill(sim_postgres_process(sim_bench_at(f, 0)));
  sim_bench_run(f, 2 * NS_PER_S);
  sim_postgres_start(sim_bench_at(f, 0), SIM_PG_AS_PRIMARY, MEMBER_NONE);
  sim_bench_run(f, 8 * NS_PER_S);
  assert_true(streams(f, 0, 1));
  assert_int_equal(rows(f, 0), 2);
  assert_int_equal(rows(f, 1), 2);
  sim_bench_free(f);
}

/* Without a manager a standby looks for any primary. */
static void test_streaming_standbys_find_the_primary(void **state) {
  (void)state;
  struct sim_bench *f = calloc(1, sizeof *f);
  assert_non_null(f);
  struct postgres_config config = {.topology = TOPOLOGY_STREAMING, .max_connections = 100};
  sim_servers_init(&f->servers, 3, 1, &config);
  sim_client_init(&f->client, &f->servers, ROUTE_PRIMARY, HOST_NONE, 7);
  assert_true(sim_client_connect(&f->client));
  append(&f->client, 2);
  sim_bench_run(f, 50 * NS_PER_MS);
  power(f, 0, false);
  sim_postgres_promote(sim_bench_at(f, 1));
  sim_bench_run(f, 90 * NS_PER_S); /* the dead one must be found dead first */
  assert_true(streams(f, 1, 2));
  sim_bench_free(f);
}

/* A frozen server answers nothing, and everything afterwards. */
static void test_a_frozen_server(void **state) {
  (void)state;
  struct sim_bench *f = following(2);
  append(&f->client, 2);
  sim_host_freeze(&f->servers.world, 0, true);
  sim_client_send(&f->client, STATEMENT_APPEND);
  sim_bench_run(f, 4 * NS_PER_S);
  assert_int_equal(f->client.answers, 2);
  sim_host_freeze(&f->servers.world, 0, false);
  sim_bench_run(f, 10 * NS_PER_MS);
  assert_int_equal(f->client.answers, 3);
  assert_int_equal(f->client.reply.outcome, OUTCOME_OK);
  sim_bench_run(f, NS_PER_S);
  assert_int_equal(rows(f, 1), 3);
  sim_bench_free(f);
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
  struct sim_bench *f = following(2);
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
  sim_postgres_promote(sim_bench_at(f, 1));
  sim_bench_run(f, NS_PER_S);
  assert_true(truth.promoted > truth.accepting[0]);
  assert_int_equal(truth.accepting[1], truth.promoted);
  sim_bench_free(f);
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
