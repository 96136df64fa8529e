/* The driver of simulated PostgreSQL servers: routes, outcomes, deadlines and ends of connections,
 * as the real driver has them. */
#include "sim/sim.h"
#include "support/sim_servers.h"
#include "support/test.h"

static uint64_t now(const struct sim_bench *f) {
  return f->servers.time.now_ns;
}

static void kill_server(struct sim_bench *f, uint32_t member) {
  sim_process_kill(sim_postgres_process(sim_bench_at(f, member)));
}

static bool why_has(const struct sim_bench *f, const char *text) {
  return strstr(f->client.why.message, text) != NULL;
}

/* --- connecting ------------------------------------------------------------------------------ */

static void test_primary_route_passes_replicas_by(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(3, ROUTE_PRIMARY, HOST_NONE);
  sim_host_stop(&f->servers.world, 0);
  sim_postgres_promote(sim_bench_at(f, 2));
  sim_bench_run(f, NS_PER_S);
  uint64_t begin_ns = now(f);
  assert_true(sim_client_connect(&f->client));
  assert_int_equal(f->client.session->host, 2);
  assert_int_equal(f->client.session->timeline, 2);
  /* The dead one for its whole timeout, the replica for a whole connect. */
  uint64_t took_ns = now(f) - begin_ns;
  assert_true(took_ns > f->servers.options.connect_timeout_ns + 16 * NS_PER_MS);
  assert_true(took_ns < f->servers.options.connect_timeout_ns + 30 * NS_PER_MS);
  /* The last good one comes first. */
  driver_sim_postgres.session_close(f->client.session);
  assert_int_equal(f->client.session->state, SESSION_IDLE);
  begin_ns = now(f);
  assert_true(sim_client_connect(&f->client));
  assert_int_equal(f->client.session->host, 2);
  assert_true(now(f) - begin_ns < 20 * NS_PER_MS);
  sim_bench_free(f);
}

static void test_why_nobody_was_good_enough(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(3, ROUTE_PRIMARY, HOST_NONE);
  sim_host_stop(&f->servers.world, 0);
  kill_server(f, 1);
  assert_false(sim_client_connect(&f->client));
  assert_string_equal(f->client.why.message,
                      "pg1: no connection until the connect timeout; pg2: connection refused; "
                      "pg3: is in recovery");
  assert_int_equal(f->client.session->state, SESSION_LOST);
  sim_bench_free(f);
}

static void test_timing_of_a_connect(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(1, ROUTE_PRIMARY, HOST_NONE);
  sim_link(&f->servers.world, 0, 1)->jitter_ns = sim_link(&f->servers.world, 1, 0)->jitter_ns = 0;
  uint64_t begin_ns = now(f), trip_ns = 200 * NS_PER_US;
  assert_true(sim_client_connect(&f->client));
  const struct connect_timing *timing = &f->client.session->timing;
  assert_int_equal(timing->host, 0);
  assert_int_equal(timing->connect_ns, trip_ns);
  assert_int_equal(timing->authenticate_ns, trip_ns + sim_servers_costs.authenticate_ns);
  assert_int_equal(now(f) - begin_ns, timing->connect_ns + timing->authenticate_ns + trip_ns +
                                          sim_servers_costs.execute_ns);
  sim_bench_free(f);
}

static void test_a_server_that_starts_refuses(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(1, ROUTE_PINNED, 0);
  kill_server(f, 0);
  sim_postgres_start(sim_bench_at(f, 0), SIM_PG_AS_PRIMARY, UINT32_MAX);
  assert_false(sim_client_connect(&f->client));
  assert_true(why_has(f, "does not accept connections now"));
  sim_bench_free(f);
}

static void test_too_many_connections(void **state) {
  (void)state;
  struct sim_bench *f = calloc(1, sizeof *f);
  assert_non_null(f);
  struct postgres_config config = {.max_connections = 5}; /* 3 of them for superusers */
  struct sim_client others[2];
  sim_servers_init(&f->servers, 1, 1, &config);
  sim_client_init(&f->client, &f->servers, ROUTE_PINNED, 0, 7);
  for (uint32_t i = 0; i < 2; i++) {
    sim_client_init(&others[i], &f->servers, ROUTE_PINNED, 0, 8);
    assert_true(sim_client_connect(&others[i]));
  }
  assert_false(sim_client_connect(&f->client));
  assert_true(why_has(f, "too many clients"));
  /* The place is free again when one has gone, and its goodbye has arrived. */
  driver_sim_postgres.session_close(others[0].session);
  sim_bench_run(f, NS_PER_MS);
  assert_true(sim_client_connect(&f->client));
  for (uint32_t i = 0; i < 2; i++) sim_client_release(&others[i]);
  sim_bench_free(f);
}

static void test_replica_route(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(3, ROUTE_REPLICA, HOST_NONE);
  assert_true(sim_client_connect(&f->client));
  assert_true(f->client.session->host > 0);
  assert_int_equal(f->client.session->timeline, 0);
  sim_bench_free(f);
}

/* A frozen server's kernel accepts the connection, and nobody answers. */
static void test_a_frozen_server_keeps_a_connect_waiting(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(1, ROUTE_PINNED, 0);
  sim_host_freeze(&f->servers.world, 0, true);
  uint64_t begin_ns = now(f);
  assert_false(sim_client_connect(&f->client));
  assert_true(why_has(f, "connected, but no answer"));
  assert_int_equal(now(f) - begin_ns, f->servers.options.connect_timeout_ns);
  sim_host_freeze(&f->servers.world, 0, false);
  sim_bench_run(f, NS_PER_S);
  sim_bench_free(f);
}

/* --- statements ------------------------------------------------------------------------------ */

static void test_reads(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(2, ROUTE_PRIMARY, HOST_NONE);
  struct sim_client other, replica;
  sim_client_init(&other, &f->servers, ROUTE_PRIMARY, HOST_NONE, 8);
  sim_client_init(&replica, &f->servers, ROUTE_REPLICA, 1, 9);
  assert_true(sim_client_connect(&f->client));
  assert_true(sim_client_connect(&other));
  assert_true(sim_client_connect(&replica));
  assert_int_equal(sim_client_do(&replica, STATEMENT_READ_NEWEST), OUTCOME_OK);
  assert_false(replica.reply.has_row);
  assert_int_equal(sim_client_do(&replica, STATEMENT_HEARTBEAT_GET), OUTCOME_OK);
  assert_true(replica.reply.has_row);
  assert_int_equal(replica.reply.values[0], 0);
  assert_int_equal(sim_client_do(&f->client, STATEMENT_READ_OWN), OUTCOME_OK);
  assert_false(f->client.reply.has_row);
  for (int i = 0; i < 3; i++) sim_client_do(&f->client, STATEMENT_APPEND);
  assert_int_equal(sim_client_do(&other, STATEMENT_APPEND), OUTCOME_OK);
  assert_int_equal(sim_client_do(&other, STATEMENT_HEARTBEAT_SET), OUTCOME_OK);
  assert_false(other.reply.has_row);
  assert_int_equal(sim_client_do(&f->client, STATEMENT_READ_OWN), OUTCOME_OK);
  assert_int_equal(f->client.reply.values[0], 7);
  assert_int_equal(f->client.reply.values[1], 3);
  sim_bench_run(f, 10 * NS_PER_MS);
  assert_int_equal(sim_client_do(&replica, STATEMENT_READ_NEWEST), OUTCOME_OK);
  assert_int_equal(replica.reply.values[0], 8);
  assert_int_equal(replica.reply.values[1], 1);
  assert_int_equal(replica.reply.host, 1);
  assert_int_equal(replica.reply.timeline, 0);
  assert_int_equal(sim_client_do(&replica, STATEMENT_HEARTBEAT_GET), OUTCOME_OK);
  assert_int_equal(replica.reply.values[0], 2);
  sim_client_release(&other);
  sim_client_release(&replica);
  sim_bench_free(f);
}

/* A pinned client stays on a server that refuses writes, and through its promotion. */
static void test_pinned_through_a_promotion(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(2, ROUTE_PINNED, 1);
  assert_true(sim_client_connect(&f->client));
  assert_int_equal(sim_client_do(&f->client, STATEMENT_APPEND), OUTCOME_FAIL);
  assert_int_equal(f->client.reply.code, code_pack(CODE_READ_ONLY));
  assert_int_equal(sim_client_do(&f->client, STATEMENT_HEARTBEAT_SET), OUTCOME_FAIL);
  sim_host_stop(&f->servers.world, 0);
  sim_postgres_promote(sim_bench_at(f, 1));
  assert_int_equal(sim_client_do(&f->client, STATEMENT_APPEND), OUTCOME_FAIL);
  sim_bench_run(f, NS_PER_S);
  assert_int_equal(sim_client_do(&f->client, STATEMENT_APPEND), OUTCOME_OK);
  assert_int_equal(f->client.reply.timeline, 2);
  assert_int_equal(f->client.lost, 0);
  assert_int_equal(sim_servers_row_count(&f->servers, 1), 1);
  sim_bench_free(f);
}

/* What the client read as its own is gone after a power cut that took it. */
static void test_own_reads_follow_a_truncated_log(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(1, ROUTE_PRIMARY, HOST_NONE);
  assert_true(sim_client_connect(&f->client));
  for (int i = 0; i < 3; i++) sim_client_do(&f->client, STATEMENT_APPEND);
  sim_client_do(&f->client, STATEMENT_READ_OWN);
  assert_int_equal(f->client.reply.values[1], 3);
  sim_client_send(&f->client, STATEMENT_APPEND);
  sim_bench_run(f, 300 * NS_PER_US);
  sim_host_stop(&f->servers.world, 0);
  sim_host_start(&f->servers.world, 0);
  sim_postgres_start(sim_bench_at(f, 0), SIM_PG_AS_PRIMARY, UINT32_MAX);
  sim_bench_run(f, 10 * NS_PER_S);
  assert_true(sim_client_connect(&f->client));
  sim_client_do(&f->client, STATEMENT_READ_OWN);
  assert_int_equal(f->client.reply.values[1], 3);
  sim_bench_free(f);
}

static void test_tables_are_made_anew(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(2, ROUTE_PRIMARY, HOST_NONE);
  struct error err = ERROR_INIT;
  assert_true(sim_client_connect(&f->client));
  sim_client_do(&f->client, STATEMENT_APPEND);
  sim_client_do(&f->client, STATEMENT_HEARTBEAT_SET);
  sim_bench_run(f, 10 * NS_PER_MS);
  assert_ok(driver_sim_postgres.execute(&f->servers.access, NULL, "create", NS_PER_S, &err), &err);
  for (uint32_t i = 0; i < 2; i++) assert_int_equal(sim_servers_row_count(&f->servers, i), 0);
  sim_client_do(&f->client, STATEMENT_READ_OWN);
  assert_false(f->client.reply.has_row);
  sim_client_do(&f->client, STATEMENT_HEARTBEAT_GET);
  assert_int_equal(f->client.reply.values[0], 0);
  sim_client_do(&f->client, STATEMENT_APPEND);
  assert_int_equal(sim_servers_row_count(&f->servers, 0), 1);
  sim_client_do(&f->client, STATEMENT_READ_OWN);
  assert_int_equal(f->client.reply.values[1], 3);
  sim_bench_free(f);
}

/* --- the end of connections ------------------------------------------------------------------ */

static void test_a_kill_resets_connections(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(1, ROUTE_PRIMARY, HOST_NONE);
  struct sim_client idle;
  sim_client_init(&idle, &f->servers, ROUTE_PRIMARY, HOST_NONE, 8);
  assert_true(sim_client_connect(&f->client));
  assert_true(sim_client_connect(&idle));
  sim_client_send(&f->client, STATEMENT_APPEND);
  sim_bench_run(f, 300 * NS_PER_US);
  kill_server(f, 0);
  sim_bench_run(f, NS_PER_MS);
  assert_int_equal(f->client.reply.outcome, OUTCOME_UNKNOWN);
  assert_int_equal(f->client.reply.code, code_pack(CODE_CONNECTION_LOST));
  assert_int_equal(f->client.reply.host, HOST_NONE);
  assert_int_equal(f->client.session->state, SESSION_LOST);
  assert_int_equal(idle.session->state, SESSION_LOST);
  assert_true(strstr(idle.why.message, "pg1: server closed the connection unexpectedly") != NULL);
  assert_false(sim_client_connect(&f->client));
  assert_true(why_has(f, "refused"));
  sim_client_release(&idle);
  sim_bench_free(f);
}

static void test_power_loss_says_nothing(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(1, ROUTE_PRIMARY, HOST_NONE);
  struct sim_client idle;
  sim_client_init(&idle, &f->servers, ROUTE_PRIMARY, HOST_NONE, 8);
  assert_true(sim_client_connect(&f->client));
  assert_true(sim_client_connect(&idle));
  sim_host_stop(&f->servers.world, 0);
  sim_client_send(&f->client, STATEMENT_APPEND);
  uint64_t sent_ns = now(f);
  sim_bench_run(f, 4 * NS_PER_S);
  assert_int_equal(f->client.answers, 0);
  sim_bench_run(f, 2 * NS_PER_S);
  assert_int_equal(f->client.reply.outcome, OUTCOME_UNKNOWN);
  assert_int_equal(f->client.reply.code, code_pack(CODE_TIMEOUT));
  assert_int_equal(f->client.lost_ns - sent_ns, f->servers.options.operation_timeout_ns);
  assert_int_equal(idle.session->state, SESSION_READY);
  /* The host is back, the server is not: whoever speaks to it gets a reset. */
  sim_host_start(&f->servers.world, 0);
  sim_client_send(&idle, STATEMENT_APPEND);
  sim_bench_run(f, NS_PER_MS);
  assert_int_equal(idle.reply.code, code_pack(CODE_CONNECTION_LOST));
  assert_int_equal(idle.session->state, SESSION_LOST);
  sim_client_release(&idle);
  sim_bench_free(f);
}

/* The kernel sends again while the host boots, and is answered by a reset. */
static void test_a_retransmission_meets_a_new_kernel(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(1, ROUTE_PRIMARY, HOST_NONE);
  assert_true(sim_client_connect(&f->client));
  sim_host_stop(&f->servers.world, 0);
  sim_client_send(&f->client, STATEMENT_APPEND);
  sim_bench_run(f, NS_PER_S);
  sim_host_start(&f->servers.world, 0);
  sim_bench_run(f, 2 * NS_PER_S);
  assert_int_equal(f->client.reply.code, code_pack(CODE_CONNECTION_LOST));
  sim_bench_free(f);
}

static void test_a_fast_stop_says_goodbye(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(1, ROUTE_PRIMARY, HOST_NONE);
  assert_true(sim_client_connect(&f->client));
  sim_client_send(&f->client, STATEMENT_APPEND);
  sim_bench_run(f, 300 * NS_PER_US);
  sim_postgres_stop(sim_bench_at(f, 0), false);
  sim_bench_run(f, NS_PER_MS);
  assert_int_equal(f->client.reply.outcome, OUTCOME_UNKNOWN);
  assert_int_equal(f->client.reply.code, code_pack("57P01"));
  assert_true(why_has(f, "administrator command"));
  sim_bench_free(f);
}

/* The client has given up long ago; its kernel has not. */
static void test_an_orphan_write_arrives_late(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(1, ROUTE_PRIMARY, HOST_NONE);
  assert_true(sim_client_connect(&f->client));
  sim_servers_cut(&f->servers, 0, 1, true);
  sim_client_send(&f->client, STATEMENT_APPEND);
  sim_bench_run(f, 10 * NS_PER_S);
  assert_int_equal(f->client.reply.code, code_pack(CODE_TIMEOUT));
  assert_int_equal(sim_servers_row_count(&f->servers, 0), 0);
  sim_servers_cut(&f->servers, 0, 1, false);
  sim_bench_run(f, 10 * NS_PER_S);
  assert_int_equal(sim_servers_row_count(&f->servers, 0), 1);
  sim_bench_free(f);
}

static void test_tcp_user_timeout(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(1, ROUTE_PRIMARY, HOST_NONE);
  f->servers.options.tcp_user_timeout_ns = NS_PER_S;
  assert_true(sim_client_connect(&f->client));
  sim_servers_cut(&f->servers, 0, 1, true);
  sim_client_send(&f->client, STATEMENT_APPEND);
  uint64_t sent_ns = now(f);
  sim_bench_run(f, 2 * NS_PER_S);
  assert_int_equal(f->client.lost_ns - sent_ns, NS_PER_S);
  assert_int_equal(f->client.reply.code, code_pack(CODE_CONNECTION_LOST));
  sim_servers_cut(&f->servers, 0, 1, false);
  /* A frozen server has a kernel that acknowledges. */
  sim_bench_run(f, NS_PER_S);
  assert_true(sim_client_connect(&f->client));
  sim_host_freeze(&f->servers.world, 0, true);
  sim_client_send(&f->client, STATEMENT_APPEND);
  sim_bench_run(f, 4 * NS_PER_S);
  assert_int_equal(f->client.session->state, SESSION_READY);
  sim_bench_free(f);
}

/* --- pipelining ------------------------------------------------------------------------------ */

struct many {
  struct sim_bench *f;
  struct request requests[8];
  char texts[8][8];
  uint32_t done, order[8];
  enum outcome outcomes[8];
};

static void many_done(struct request *request, const struct reply *reply) {
  struct many *many = request->owner;
  uint32_t index = (uint32_t)(request - many->requests);
  many->order[many->done++] = index;
  many->outcomes[index] = reply->outcome;
}

static void send_many(struct many *many, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    snprintf(many->texts[i], sizeof many->texts[i], "p%u", i % 10);
    many->requests[i] = (struct request){.statement = STATEMENT_APPEND,
                                         .numbers = {7, 1 + (int64_t)i, 4711},
                                         .number_count = 3,
                                         .text = many->texts[i],
                                         .deadline_ns = now(many->f) + 5 * NS_PER_S,
                                         .complete = many_done,
                                         .owner = many};
    driver_sim_postgres.session_send(many->f->client.session, &many->requests[i]);
  }
}

static struct sim_bench *begin_pipeline(uint32_t depth) {
  struct sim_bench *f = sim_bench_new(1, ROUTE_PRIMARY, HOST_NONE);
  sim_client_release(&f->client);
  f->servers.options.pipeline_depth = depth;
  sim_client_init(&f->client, &f->servers, ROUTE_PRIMARY, HOST_NONE, 7);
  assert_true(sim_client_connect(&f->client));
  return f;
}

/* Each statement of a connection commits before the next one begins. */
static void test_a_pipeline_commits_one_by_one(void **state) {
  (void)state;
  struct many many = {.f = begin_pipeline(8)};
  uint64_t begin_ns = now(many.f);
  char rows[128];
  send_many(&many, 8);
  while (many.done < 8) sim_bench_run(many.f, 100 * NS_PER_US);
  assert_true(now(many.f) - begin_ns >=
              8 * (sim_servers_costs.fsync_ns + sim_servers_costs.execute_ns));
  for (uint32_t i = 0; i < 8; i++) {
    assert_int_equal(many.order[i], i);
    assert_int_equal(many.outcomes[i], OUTCOME_OK);
  }
  sim_servers_rows(&many.f->servers, 0, rows, sizeof rows);
  assert_string_equal(rows, "7/1 7/2 7/3 7/4 7/5 7/6 7/7 7/8 ");
  sim_bench_free(many.f);
}

static void test_a_pipeline_breaks(void **state) {
  (void)state;
  struct many many = {.f = begin_pipeline(8)};
  send_many(&many, 8);
  while (many.done < 3) sim_bench_run(many.f, 50 * NS_PER_US);
  kill_server(many.f, 0);
  sim_bench_run(many.f, 10 * NS_PER_MS);
  assert_int_equal(many.done, 8);
  for (uint32_t i = 0; i < 8; i++)
    assert_int_equal(many.outcomes[i], i < 3 ? OUTCOME_OK : OUTCOME_UNKNOWN);
  sim_bench_free(many.f);
}

/* Deadlines of what is behind in the pipeline hold too. */
static void test_a_pipeline_times_out(void **state) {
  (void)state;
  struct many many = {.f = begin_pipeline(4)};
  sim_host_freeze(&many.f->servers.world, 0, true);
  send_many(&many, 4);
  sim_bench_run(many.f, 6 * NS_PER_S);
  assert_int_equal(many.done, 4);
  assert_int_equal(many.f->client.lost, 1);
  sim_bench_free(many.f);
}

/* --- closing --------------------------------------------------------------------------------- */

static void test_close_completes_what_is_in_flight(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(1, ROUTE_PRIMARY, HOST_NONE);
  assert_true(sim_client_connect(&f->client));
  sim_client_send(&f->client, STATEMENT_APPEND);
  driver_sim_postgres.session_close(f->client.session);
  assert_int_equal(f->client.answers, 1);
  assert_int_equal(f->client.reply.outcome, OUTCOME_UNKNOWN);
  assert_int_equal(f->client.session->state, SESSION_IDLE);
  assert_int_equal(f->client.lost, 0);
  sim_bench_run(f, NS_PER_S);
  assert_int_equal(sim_servers_row_count(&f->servers, 0), 1);
  sim_bench_free(f);
}

static void test_rows_of_a_server_that_is_down(void **state) {
  (void)state;
  struct sim_bench *f = sim_bench_new(2, ROUTE_PRIMARY, HOST_NONE);
  kill_server(f, 1);
  assert_int_equal(sim_servers_row_count(&f->servers, 1), -1);
  sim_host_freeze(&f->servers.world, 0, true);
  assert_int_equal(sim_servers_row_count(&f->servers, 0), -1);
  sim_bench_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_primary_route_passes_replicas_by),
      cmocka_unit_test(test_why_nobody_was_good_enough),
      cmocka_unit_test(test_timing_of_a_connect),
      cmocka_unit_test(test_a_server_that_starts_refuses),
      cmocka_unit_test(test_too_many_connections),
      cmocka_unit_test(test_replica_route),
      cmocka_unit_test(test_a_frozen_server_keeps_a_connect_waiting),
      cmocka_unit_test(test_reads),
      cmocka_unit_test(test_pinned_through_a_promotion),
      cmocka_unit_test(test_own_reads_follow_a_truncated_log),
      cmocka_unit_test(test_tables_are_made_anew),
      cmocka_unit_test(test_a_kill_resets_connections),
      cmocka_unit_test(test_power_loss_says_nothing),
      cmocka_unit_test(test_a_retransmission_meets_a_new_kernel),
      cmocka_unit_test(test_a_fast_stop_says_goodbye),
      cmocka_unit_test(test_an_orphan_write_arrives_late),
      cmocka_unit_test(test_tcp_user_timeout),
      cmocka_unit_test(test_a_pipeline_commits_one_by_one),
      cmocka_unit_test(test_a_pipeline_breaks),
      cmocka_unit_test(test_a_pipeline_times_out),
      cmocka_unit_test(test_close_completes_what_is_in_flight),
      cmocka_unit_test(test_rows_of_a_server_that_is_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
