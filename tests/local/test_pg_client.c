/* driver_pg against a real PostgreSQL server. */
#include "workload/pg_client.h"

#include <signal.h>
#include <sys/stat.h>

#include "base/process.h"
#include "support/postgres_server.h"
#include "support/test.h"
#include "workload/pg_ledger.h"
#include "workload/pg_ledger_row.h"

#define PATIENCE_NS (20 * NS_PER_S)

static struct postgres_server server;
static bool server_made;
static struct error server_error;

enum test_statement { APPEND, READ_OWN, SLOW_APPEND, BEAT };
static const struct statement statements[] = {
    [APPEND] = {.meaning = STATEMENT_APPEND,
                .text = "INSERT INTO gameday.ledger (identity, sequence, checksum, payload)"
                        " VALUES ($1, $2, $3, $4)",
                .parameter_count = 4},
    [READ_OWN] = {.meaning = STATEMENT_READ_OWN,
                  .text = "SELECT identity, sequence FROM gameday.ledger WHERE identity = $1"
                          " ORDER BY sequence DESC LIMIT 1",
                  .parameter_count = 1},
    /* Waits inside the server, so that things can happen to it meanwhile. */
    [SLOW_APPEND] = {.meaning = STATEMENT_APPEND,
                     .text = "INSERT INTO gameday.ledger (identity, sequence, checksum, payload)"
                             " SELECT $1, $2, $3, $4 FROM pg_sleep(60)",
                     .parameter_count = 4},
    [BEAT] = {.meaning = STATEMENT_HEARTBEAT_GET,
              .text = "SELECT beat FROM gameday.heartbeat",
              .parameter_count = 0},
};

/* A session and what happened to it. */
struct seen {
  struct loop *loop;
  struct client_options options;
  union {
    struct session base;
    struct pg_session pg;
  } session;
  uint32_t ready, lost;
  struct error why;
  uint32_t replies, outcomes[OUTCOME_COUNT];
  struct reply last;
};

static void changed(struct session *session, enum session_state state, const struct error *why) {
  struct seen *seen = session->spec.owner;
  assert_int_equal(session->state, state);
  if (state == SESSION_READY) seen->ready++;
  if (state == SESSION_LOST) seen->lost++;
  if (why) seen->why = *why;
}

static void complete(struct request *request, const struct reply *reply) {
  struct seen *seen = request->owner;
  seen->replies++;
  seen->outcomes[reply->outcome]++;
  seen->last = *reply;
}

static void seen_init_with(struct seen *seen, const struct access *access, enum route route,
                           uint32_t depth) {
  struct error err = ERROR_INIT;
  *seen = (struct seen){.options = {.connect_timeout_ns = 2 * NS_PER_S,
                                    .operation_timeout_ns = 5 * NS_PER_S,
                                    .reconnect_delay_ns = 10 * NS_PER_MS,
                                    .tcp_user_timeout_ns = 5 * NS_PER_S,
                                    .pipeline_depth = depth}};
  assert_ok(loop_new(&seen->loop, &err), &err);
  struct session_spec spec = {.access = access,
                              .options = &seen->options,
                              .route = route,
                              .pinned_host = route == ROUTE_PRIMARY ? HOST_NONE : 0,
                              .statements = statements,
                              .statement_count = sizeof statements / sizeof *statements,
                              .changed = changed,
                              .owner = seen};
  assert_ok(driver_pg.session_init(&seen->session.base, &spec, seen->loop, &err), &err);
}

static void seen_init(struct seen *seen, enum route route, uint32_t depth) {
  seen_init_with(seen, &server.access, route, depth);
}

static void seen_release(struct seen *seen) {
  driver_pg.session_release(&seen->session.base);
  loop_free(seen->loop);
}

static void wake(struct timer *timer, uint64_t now_ns) {
  (void)now_ns;
  *(bool *)timer->owner = true;
}

/* Turns the loop until `*counter` has reached `target`. */
static void await(struct seen *seen, const uint32_t *counter, uint32_t target) {
  struct error err = ERROR_INIT;
  bool late = false;
  struct timer end = {.fire = wake, .owner = &late};
  assert_ok(loop_timer_arm(seen->loop, &end, loop_now_ns(seen->loop) + PATIENCE_NS, &err), &err);
  while (*counter < target) {
    assert_ok(loop_turn(seen->loop, TIME_NEVER, &err), &err);
    if (late) fail_msg("waited too long; last reason: %s", seen->why.message);
  }
  loop_timer_cancel(seen->loop, &end);
}

static void connect_ready(struct seen *seen) {
  uint32_t ready = seen->ready;
  driver_pg.session_connect(&seen->session.base);
  uint32_t *settled = &seen->ready;
  await(seen, settled, ready + 1);
  assert_int_equal(seen->session.base.state, SESSION_READY);
}

static struct request append_request(struct seen *seen, uint32_t statement, int64_t identity,
                                     int64_t sequence) {
  return (struct request){.statement = statement,
                          .numbers = {identity, sequence, 42},
                          .number_count = 3,
                          .text = "some payload",
                          .deadline_ns = loop_now_ns(seen->loop) + 15 * NS_PER_S,
                          .complete = complete,
                          .owner = seen};
}

static void send_append(struct seen *seen, struct request *request, uint32_t statement,
                        int64_t identity, int64_t sequence) {
  *request = append_request(seen, statement, identity, sequence);
  driver_pg.session_send(&seen->session.base, request);
}

static void append_and_wait(struct seen *seen, int64_t identity, int64_t sequence) {
  struct request request;
  uint32_t replies = seen->replies;
  send_append(seen, &request, APPEND, identity, sequence);
  await(seen, &seen->replies, replies + 1);
}

static void assert_reply(const struct seen *seen, enum outcome outcome, const char *code) {
  char got[6];
  code_unpack(seen->last.code, got);
  assert_string_equal(got, code);
  assert_int_equal(seen->last.outcome, outcome);
}

static void run_sql(const char *text) {
  struct error err = ERROR_INIT;
  assert_ok(postgres_server_execute(&server, text, &err), &err);
}

static void start_server(const char *const *options, bool standby) {
  struct error err = ERROR_INIT;
  assert_ok(postgres_server_start(&server, options, standby, &err), &err);
}

static struct pg_ledger_config config = {.clients = 1, .payload = 64};
static struct workload_env env = {.workload = &workload_pg_ledger, .config = &config};

static int setup(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  if (!server_made) return 0;
  if (server.pid == 0) start_server(NULL, false);
  /* A statement that was given up goes on in the server, and holds its locks. */
  run_sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE application_name = 'gameday' AND pid <> pg_backend_pid()");
  env.access = &server.access;
  assert_ok(workload_pg_ledger.prepare(&env, &err), &err);
  return 0;
}

static int begin(void **state) {
  (void)state;
  server_error = ERROR_INIT;
  server_made = postgres_server_make(&server, &server_error) == 0;
  return server_made || server_error.status == STATUS_ENVIRONMENT ? 0 : -1;
}

static int end(void **state) {
  (void)state;
  if (server_made) postgres_server_remove(&server);
  return 0;
}

#define NEEDS_SERVER \
  if (!server_made) skip_because("%s", server_error.message)

/* Waits until the backend of a session waits for what `event` names in pg_stat_activity. */
static void await_backend(const char *event) {
  char text[512];
  snprintf(text, sizeof text,
           "DO $$ BEGIN FOR i IN 1..1000 LOOP"
           " PERFORM pg_stat_clear_snapshot();"
           " IF EXISTS (SELECT FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
           " AND application_name = 'gameday' AND wait_event = '%s') THEN RETURN; END IF;"
           " PERFORM pg_sleep(0.01); END LOOP; RAISE 'no backend waits'; END $$",
           event);
  run_sql(text);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void test_connects_writes_and_reads(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct seen seen;
  seen_init(&seen, ROUTE_PRIMARY, 1);
  connect_ready(&seen);
  assert_int_equal(seen.session.base.host, 0);
  assert_int_equal(seen.session.base.timeline, 1);
  assert_true(seen.session.base.timing.connect_ns > 0);
  assert_true(seen.session.base.timing.authenticate_ns > 0);
  append_and_wait(&seen, 7, 1);
  assert_reply(&seen, OUTCOME_OK, "");
  assert_int_equal(seen.last.timeline, 1);
  assert_int_equal(seen.last.host, 0);
  append_and_wait(&seen, 7, -9000000000);
  assert_reply(&seen, OUTCOME_OK, "");
  struct request read = {.statement = READ_OWN,
                         .numbers = {7},
                         .number_count = 1,
                         .deadline_ns = TIME_NEVER,
                         .complete = complete,
                         .owner = &seen};
  driver_pg.session_send(&seen.session.base, &read);
  await(&seen, &seen.replies, 3);
  assert_true(seen.last.has_row);
  assert_int_equal(seen.last.values[0], 7);
  assert_int_equal(seen.last.values[1], 1);
  assert_true(read.sent_ns > 0 && seen.last.done_ns > read.sent_ns);
  seen_release(&seen);
}

static void test_duplicate_key_fails_and_the_session_goes_on(void **state) {
  (void)state;
  NEEDS_SERVER;
  for (uint32_t depth = 1; depth <= 2; depth++) {
    struct seen seen;
    seen_init(&seen, ROUTE_PRIMARY, depth);
    connect_ready(&seen);
    append_and_wait(&seen, depth, 1);
    append_and_wait(&seen, depth, 1);
    assert_reply(&seen, OUTCOME_FAIL, "23505");
    append_and_wait(&seen, depth, 2);
    assert_reply(&seen, OUTCOME_OK, "");
    assert_int_equal(seen.lost, 0);
    seen_release(&seen);
  }
}

static void test_pipeline_commits_each_statement_alone(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct seen seen;
  seen_init(&seen, ROUTE_PRIMARY, 8);
  connect_ready(&seen);
  struct request requests[8];
  for (uint32_t round = 0; round < 50; round++) {
    for (uint32_t i = 0; i < 8; i++) {
      /* The fifth of each round comes twice: an error in the middle takes no neighbour with it. */
      int64_t sequence = i == 5 ? round * 8 + 4 : round * 8 + i;
      send_append(&seen, &requests[i], APPEND, 3, sequence);
    }
    assert_int_equal(seen.session.base.in_flight, 8);
    await(&seen, &seen.replies, (round + 1) * 8);
  }
  assert_int_equal(seen.outcomes[OUTCOME_OK], 350);
  assert_int_equal(seen.outcomes[OUTCOME_FAIL], 50);
  seen_release(&seen);
}

static void test_refused_connection_says_why(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct endpoint endpoint = server.endpoint;
  endpoint.port = 1; /* tcpmux: nobody listens */
  struct access access = server.access;
  access.endpoints = &endpoint;
  struct seen seen;
  seen_init_with(&seen, &access, ROUTE_PRIMARY, 1);
  driver_pg.session_connect(&seen.session.base);
  await(&seen, &seen.lost, 1);
  assert_non_null(strstr(seen.why.message, "refused"));
  assert_non_null(strstr(seen.why.message, "pg1"));
  access.password = "wrong";
  access.endpoints = &server.endpoint;
  driver_pg.session_connect(&seen.session.base);
  await(&seen, &seen.lost, 2);
  assert_non_null(strstr(seen.why.message, "password authentication failed"));
  assert_null(strstr(seen.why.message, "wrong"));
  seen_release(&seen);
}

static void test_next_endpoint_after_a_dead_one_and_the_last_good_first(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct endpoint endpoints[2] = {server.endpoint, server.endpoint};
  endpoints[0].port = 1;
  endpoints[0].host = 0;
  endpoints[1].host = 1;
  struct access access = server.access;
  access.endpoints = endpoints;
  access.endpoint_count = 2;
  struct seen seen;
  seen_init_with(&seen, &access, ROUTE_PRIMARY, 1);
  connect_ready(&seen);
  assert_int_equal(seen.session.base.host, 1);
  assert_int_equal(seen.session.pg.order_next, 2);
  driver_pg.session_close(&seen.session.base);
  assert_int_equal(seen.session.base.state, SESSION_IDLE);
  connect_ready(&seen);
  assert_int_equal(seen.session.base.host, 1);
  assert_int_equal(seen.session.pg.order_next, 1);
  seen_release(&seen);
}

static void test_frozen_server_ends_in_the_connect_timeout(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct seen seen;
  seen_init(&seen, ROUTE_PRIMARY, 1);
  seen.options.connect_timeout_ns = 100 * NS_PER_MS;
  kill(server.pid, SIGSTOP);
  driver_pg.session_connect(&seen.session.base);
  await(&seen, &seen.lost, 1);
  kill(server.pid, SIGCONT);
  assert_non_null(strstr(seen.why.message, "connect timeout"));
  seen.options.connect_timeout_ns = 5 * NS_PER_S;
  connect_ready(&seen);
  seen_release(&seen);
}

static void test_no_answer_until_the_deadline_is_unknown(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct seen seen;
  seen_init(&seen, ROUTE_PRIMARY, 4);
  connect_ready(&seen);
  struct request slow = append_request(&seen, SLOW_APPEND, 1, 1), behind;
  slow.deadline_ns = loop_now_ns(seen.loop) + 100 * NS_PER_MS;
  driver_pg.session_send(&seen.session.base, &slow);
  send_append(&seen, &behind, APPEND, 1, 2);
  await(&seen, &seen.lost, 1);
  assert_int_equal(seen.outcomes[OUTCOME_UNKNOWN], 2);
  assert_reply(&seen, OUTCOME_UNKNOWN, CODE_CONNECTION_LOST); /* the one behind, not yet late */
  assert_true(seen.last.done_ns >= slow.deadline_ns);
  seen_release(&seen);
}

static void test_killed_server_makes_unknowns(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct seen seen;
  seen_init(&seen, ROUTE_PRIMARY, 8);
  connect_ready(&seen);
  struct request requests[3];
  for (uint32_t i = 0; i < 3; i++) send_append(&seen, &requests[i], SLOW_APPEND, 5, i);
  await_backend("PgSleep");
  postgres_server_stop(&server, SIGKILL);
  await(&seen, &seen.lost, 1);
  assert_int_equal(seen.outcomes[OUTCOME_UNKNOWN], 3);
  assert_reply(&seen, OUTCOME_UNKNOWN, CODE_CONNECTION_LOST);
  assert_int_equal(seen.last.host, HOST_NONE);
  driver_pg.session_connect(&seen.session.base);
  await(&seen, &seen.lost, 2);
  start_server(NULL, false);
  connect_ready(&seen);
  seen_release(&seen);
}

static void test_terminated_backend_is_unknown_with_its_code(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct seen seen;
  seen_init(&seen, ROUTE_PRIMARY, 1);
  connect_ready(&seen);
  struct request request;
  send_append(&seen, &request, SLOW_APPEND, 5, 1);
  await_backend("PgSleep");
  run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
  await(&seen, &seen.lost, 1);
  assert_reply(&seen, OUTCOME_UNKNOWN, "57P01");
  /* And while idle: no request, but a reason. */
  connect_ready(&seen);
  run_sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE application_name = 'gameday' AND pid <> pg_backend_pid()");
  await(&seen, &seen.lost, 2);
  assert_int_equal(seen.replies, 1);
  seen_release(&seen);
}

/* Turns the loop for a while; true when `*counter` has reached `target`. */
static bool comes_soon(struct seen *seen, const uint32_t *counter, uint32_t target) {
  struct error err = ERROR_INIT;
  bool late = false;
  struct timer end = {.fire = wake, .owner = &late};
  uint64_t end_ns = loop_now_ns(seen->loop) + 200 * NS_PER_MS;
  assert_ok(loop_timer_arm(seen->loop, &end, end_ns, &err), &err);
  while (*counter < target && !late) assert_ok(loop_turn(seen->loop, TIME_NEVER, &err), &err);
  loop_timer_cancel(seen->loop, &end);
  return *counter >= target;
}

/* A success whose wait for the standby was cut short is only committed here. */
static void wait_for_standby(const char *ends_it, const char *code, uint32_t lost) {
  struct seen seen;
  seen_init(&seen, ROUTE_PRIMARY, 1);
  connect_ready(&seen);
  struct request request;
  run_sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  run_sql("SELECT pg_reload_conf()");
  /* The setting arrives with a signal: write until a write waits. */
  uint32_t sent = 0;
  do send_append(&seen, &request, APPEND, 9, sent++);
  while (comes_soon(&seen, &seen.replies, sent));
  await_backend("SyncRep");
  run_sql(ends_it);
  await(&seen, &seen.replies, sent);
  assert_reply(&seen, OUTCOME_UNKNOWN, code);
  run_sql("ALTER SYSTEM RESET synchronous_standby_names");
  run_sql("SELECT pg_reload_conf()");
  await(&seen, &seen.lost, lost);
  seen_release(&seen);
}

static void test_cancelled_wait_for_the_standby_is_unknown(void **state) {
  (void)state;
  NEEDS_SERVER;
  wait_for_standby(
      "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
      " WHERE wait_event = 'SyncRep'",
      "01000", 0);
}

static void test_terminated_wait_for_the_standby_is_unknown(void **state) {
  (void)state;
  NEEDS_SERVER;
  wait_for_standby(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE wait_event = 'SyncRep'",
      "57P01", 1);
}

static void test_primary_route_leaves_a_server_that_turned_read_only(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct seen primary, pinned;
  seen_init(&primary, ROUTE_PRIMARY, 4);
  seen_init(&pinned, ROUTE_PINNED, 1);
  connect_ready(&primary);
  connect_ready(&pinned);
  run_sql("ALTER SYSTEM SET default_transaction_read_only = on");
  run_sql("SELECT pg_reload_conf()");
  /* The setting arrives with a signal: write until it has. */
  for (int64_t i = 1; pinned.outcomes[OUTCOME_FAIL] == 0; i++) append_and_wait(&pinned, 1, i);
  assert_reply(&pinned, OUTCOME_FAIL, CODE_READ_ONLY);
  assert_int_equal(pinned.lost, 0);
  while (primary.lost == 0) {
    struct request requests[4];
    uint32_t sent = primary.replies;
    for (uint32_t i = 0; i < 4; i++) send_append(&primary, &requests[i], APPEND, 2, sent++);
    await(&primary, &primary.replies, sent);
  }
  assert_non_null(strstr(primary.why.message, "read-only"));
  assert_int_equal(primary.outcomes[OUTCOME_UNKNOWN], 0);
  driver_pg.session_connect(&primary.session.base);
  await(&primary, &primary.lost, 2);
  assert_non_null(strstr(primary.why.message, "is read-only"));
  run_sql("ALTER SYSTEM RESET default_transaction_read_only");
  run_sql("SELECT pg_reload_conf()");
  for (int64_t i = 1; pinned.last.outcome == OUTCOME_FAIL; i++) append_and_wait(&pinned, 3, i);
  connect_ready(&primary);
  seen_release(&primary);
  seen_release(&pinned);
}

static void test_session_that_saw_the_promotion_has_the_new_timeline(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct error err = ERROR_INIT;
  run_sql("CHECKPOINT");
  postgres_server_stop(&server, SIGINT);
  assert_ok(postgres_server_touch(&server, "standby.signal", &err), &err);
  start_server(NULL, true);
  struct seen pinned[2], primary;
  seen_init(&pinned[0], ROUTE_PINNED, 1);
  seen_init(&pinned[1], ROUTE_PINNED, 8);
  seen_init(&primary, ROUTE_PRIMARY, 1);
  driver_pg.session_connect(&primary.session.base);
  await(&primary, &primary.lost, 1);
  assert_non_null(strstr(primary.why.message, "in recovery"));
  for (uint32_t i = 0; i < 2; i++) {
    connect_ready(&pinned[i]);
    assert_int_equal(pinned[i].session.base.timeline, 0);
    append_and_wait(&pinned[i], i + 1, 1);
    assert_reply(&pinned[i], OUTCOME_FAIL, CODE_READ_ONLY);
    assert_int_equal(pinned[i].lost, 0);
  }
  run_sql("SELECT pg_promote()");
  append_and_wait(&pinned[0], 1, 2);
  assert_reply(&pinned[0], OUTCOME_OK, "");
  assert_int_equal(pinned[0].last.timeline, 2);
  struct request requests[8];
  for (uint32_t i = 0; i < 8; i++) send_append(&pinned[1], &requests[i], APPEND, 2, 2 + i);
  await(&pinned[1], &pinned[1].replies, 9);
  assert_int_equal(pinned[1].outcomes[OUTCOME_OK], 8);
  assert_int_equal(pinned[1].last.timeline, 2);
  assert_int_equal(pinned[1].session.base.timeline, 2);
  append_and_wait(&pinned[1], 2, 100);
  assert_int_equal(pinned[1].last.timeline, 2);
  connect_ready(&primary);
  assert_int_equal(primary.session.base.timeline, 2);
  seen_release(&pinned[0]);
  seen_release(&pinned[1]);
  seen_release(&primary);
}

/* What the environment holds for libpq is for other programs. */
static void test_environment_of_libpq_takes_no_part(void **state) {
  (void)state;
  NEEDS_SERVER;
  static const char *const names[] = {"PGHOST",
                                      "PGHOSTADDR",
                                      "PGPORT",
                                      "PGDATABASE",
                                      "PGUSER",
                                      "PGPASSWORD",
                                      "PGOPTIONS",
                                      "PGSSLMODE",
                                      "PGAPPNAME",
                                      "PGSSLROOTCERT",
                                      "PGTARGETSESSIONATTRS",
                                      "PGCONNECT_TIMEOUT",
                                      "PGCHANNELBINDING",
                                      "PGGSSENCMODE"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) setenv(names[i], "nonsense", 1);
  struct seen seen;
  seen_init(&seen, ROUTE_PRIMARY, 1);
  connect_ready(&seen);
  assert_string_equal(PQparameterStatus(seen.session.pg.conn, "application_name"), "gameday");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
  seen_release(&seen);
}

/* A certificate for the name pg1, signed by itself: its own authority. */
static void make_certificate(char ca_file[256]) {
  struct error err = ERROR_INIT;
  char key[256];
  snprintf(key, sizeof key, "%s/data/server.key", server.directory);
  snprintf(ca_file, 256, "%s/data/server.crt", server.directory);
  const char *const argv[] = {
      "openssl", "req",   "-x509", "-newkey", "ec",      "-pkeyopt", "ec_paramgen_curve:prime256v1",
      "-nodes",  "-days", "2",     "-subj",   "/CN=pg1", "-addext",  "subjectAltName=DNS:pg1",
      "-keyout", key,     "-out",  ca_file,   NULL};
  assert_ok(postgres_server_touch(&server, "server.key", &err), &err);
  struct process_spec spec = {.argv = argv};
  assert_ok(process_check(&spec, &err), &err);
  assert_int_equal(chmod(key, 0600), 0); /* the server takes no other */
}

static void test_tls_checks_the_name_and_the_authority(void **state) {
  (void)state;
  NEEDS_SERVER;
  if (!process_exists("openssl")) skip_because("there is no openssl to make a certificate with");
  char ca_file[256];
  make_certificate(ca_file);
  const char *const with_tls[] = {"-c", "ssl=on", NULL};
  postgres_server_stop(&server, SIGINT);
  start_server(with_tls, false);
  struct access access = server.access;
  struct endpoint endpoint = server.endpoint;
  access.ca_file = ca_file;
  access.endpoints = &endpoint;
  struct seen seen;
  seen_init_with(&seen, &access, ROUTE_PRIMARY, 1);
  connect_ready(&seen);
  assert_true(PQsslInUse(seen.session.pg.conn));
  append_and_wait(&seen, 1, 1);
  assert_reply(&seen, OUTCOME_OK, "");
  driver_pg.session_close(&seen.session.base);
  endpoint.name = "pg2";
  driver_pg.session_connect(&seen.session.base);
  await(&seen, &seen.lost, 1);
  assert_non_null(strstr(seen.why.message, "does not match host name"));
  endpoint.name = "pg1";
  access.ca_file = "/etc/hostname"; /* a file, but no authority */
  driver_pg.session_connect(&seen.session.base);
  await(&seen, &seen.lost, 2);
  access.ca_file = ca_file;
  connect_ready(&seen);
  seen_release(&seen);
  postgres_server_stop(&server, SIGINT);
}

struct counted {
  struct final_reader reader;
  uint32_t rows, corrupt;
  uint64_t values;
};

static int count_row(struct final_reader *reader, const struct final_row *row, struct error *err) {
  struct counted *counted = (struct counted *)reader;
  (void)err;
  counted->rows++;
  counted->corrupt += row->corrupt;
  counted->values += row->value;
  return 0;
}

static void test_ledger_is_read_back_whole_and_damage_is_seen(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct error err = ERROR_INIT;
  struct seen seen;
  seen_init(&seen, ROUTE_PRIMARY, 1);
  connect_ready(&seen);
  uint64_t values = 0;
  char payload[65];
  for (uint32_t i = 1; i <= 100; i++) {
    pg_ledger_payload(77, 4, i, 64, payload);
    uint32_t checksum = pg_ledger_checksum(4, i, payload, 64);
    values += checksum;
    struct request request = append_request(&seen, APPEND, 4, i);
    request.numbers[2] = checksum;
    request.text = payload;
    driver_pg.session_send(&seen.session.base, &request);
    await(&seen, &seen.replies, i);
  }
  struct counted counted = {.reader = {.row = count_row}};
  assert_ok(workload_pg_ledger.final_read(&env, &server.endpoint, &counted.reader, &err), &err);
  assert_int_equal(counted.rows, 100);
  assert_int_equal(counted.corrupt, 0);
  assert_int_equal(counted.values, values);
  run_sql("UPDATE gameday.ledger SET payload = E'tab\\tnew\\nline\\\\' WHERE sequence = 50");
  counted = (struct counted){.reader = {.row = count_row}};
  assert_ok(workload_pg_ledger.final_read(&env, &server.endpoint, &counted.reader, &err), &err);
  assert_int_equal(counted.rows, 100);
  assert_int_equal(counted.corrupt, 1);
  seen_release(&seen);
}

static void test_blocking_helpers_keep_their_deadline_and_say_what_failed(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct error err = ERROR_INIT;
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  int status =
      driver_pg.execute(&server.access, NULL, "SELECT pg_sleep(60)", 200 * NS_PER_MS, &err);
  assert_int_equal(status, STATUS_TIMEOUT);
  assert_true(clock_now_ns(&clock_monotonic) - begin_ns < 5 * NS_PER_S);
  status = driver_pg.execute(&server.access, NULL, "SELECT nothing", NS_PER_S, &err);
  assert_int_equal(status, STATUS_SERVER);
  assert_non_null(strstr(err.message, "42703"));
  struct endpoint nowhere = server.endpoint;
  nowhere.port = 1;
  status = driver_pg.execute(&server.access, &nowhere, "SELECT 1", NS_PER_S, &err);
  assert_int_equal(status, STATUS_SERVER);
  assert_non_null(strstr(err.message, "refused"));
}

#define TEST(function) cmocka_unit_test_setup(function, setup)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_connects_writes_and_reads),
      TEST(test_duplicate_key_fails_and_the_session_goes_on),
      TEST(test_pipeline_commits_each_statement_alone),
      TEST(test_refused_connection_says_why),
      TEST(test_next_endpoint_after_a_dead_one_and_the_last_good_first),
      TEST(test_frozen_server_ends_in_the_connect_timeout),
      TEST(test_no_answer_until_the_deadline_is_unknown),
      TEST(test_killed_server_makes_unknowns),
      TEST(test_terminated_backend_is_unknown_with_its_code),
      TEST(test_cancelled_wait_for_the_standby_is_unknown),
      TEST(test_terminated_wait_for_the_standby_is_unknown),
      TEST(test_primary_route_leaves_a_server_that_turned_read_only),
      TEST(test_environment_of_libpq_takes_no_part),
      TEST(test_tls_checks_the_name_and_the_authority),
      TEST(test_ledger_is_read_back_whole_and_damage_is_seen),
      TEST(test_blocking_helpers_keep_their_deadline_and_say_what_failed),
      TEST(test_session_that_saw_the_promotion_has_the_new_timeline),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
