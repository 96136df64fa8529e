/* driver_pg against a real PostgreSQL server: connecting, writing, reading. A server that fails is
 * the business of test_pg_client_trouble.c. */
#include <signal.h>
#include <sys/stat.h>

#include "base/process.h"
#include "support/seen.h"
#include "support/test.h"
#include "workload/ledger_row.h"

static void test_connects_writes_and_reads(void **state) {
  struct postgres_server *server = ledger_server(state);
  struct seen seen;
  seen_init(&seen, &server->access, ROUTE_PRIMARY, 1);
  seen_connect(&seen);
  assert_int_equal(seen.session.base.host, 0);
  assert_int_equal(seen.session.base.timeline, 1);
  assert_true(seen.session.base.timing.connect_ns > 0);
  assert_true(seen.session.base.timing.authenticate_ns > 0);
  seen_append(&seen, 7, 1);
  seen_assert_reply(&seen, OUTCOME_OK, "");
  assert_int_equal(seen.last.timeline, 1);
  assert_int_equal(seen.last.host, 0);
  seen_append(&seen, 7, -9000000000);
  seen_assert_reply(&seen, OUTCOME_OK, "");
  struct request read = {.statement = SEEN_READ_OWN,
                         .numbers = {7},
                         .number_count = 1,
                         .deadline_ns = TIME_NEVER,
                         .complete = seen_complete,
                         .owner = &seen};
  driver_pg.session_send(&seen.session.base, &read);
  seen_await(&seen, &seen.replies, 3);
  assert_true(seen.last.has_row);
  assert_int_equal(seen.last.values[0], 7);
  assert_int_equal(seen.last.values[1], 1);
  assert_true(read.sent_ns > 0 && seen.last.done_ns > read.sent_ns);
  seen_release(&seen);
}

static void test_duplicate_key_fails_and_the_session_goes_on(void **state) {
  struct postgres_server *server = ledger_server(state);
  for (uint32_t depth = 1; depth <= 2; depth++) {
    struct seen seen;
    seen_init(&seen, &server->access, ROUTE_PRIMARY, depth);
    seen_connect(&seen);
    seen_append(&seen, depth, 1);
    seen_append(&seen, depth, 1);
    seen_assert_reply(&seen, OUTCOME_FAIL, "23505");
    seen_append(&seen, depth, 2);
    seen_assert_reply(&seen, OUTCOME_OK, "");
    assert_int_equal(seen.lost, 0);
    seen_release(&seen);
  }
}

static void test_pipeline_commits_each_statement_alone(void **state) {
  struct postgres_server *server = ledger_server(state);
  struct seen seen;
  seen_init(&seen, &server->access, ROUTE_PRIMARY, 8);
  seen_connect(&seen);
  struct request requests[8];
  for (uint32_t round = 0; round < 50; round++) {
    for (uint32_t i = 0; i < 8; i++) {
      /* The fifth of each round comes twice: an error in the middle takes no neighbour with it. */
      int64_t sequence = i == 5 ? round * 8 + 4 : round * 8 + i;
      seen_send_append(&seen, &requests[i], SEEN_APPEND, 3, sequence);
    }
    assert_int_equal(seen.session.base.in_flight, 8);
    seen_await(&seen, &seen.replies, (round + 1) * 8);
  }
  assert_int_equal(seen.outcomes[OUTCOME_OK], 350);
  assert_int_equal(seen.outcomes[OUTCOME_FAIL], 50);
  seen_release(&seen);
}

static void test_refused_connection_says_why(void **state) {
  struct postgres_server *server = ledger_server(state);
  struct endpoint endpoint = server->endpoint;
  endpoint.port = 1; /* tcpmux: nobody listens */
  struct access access = server->access;
  access.endpoints = &endpoint;
  struct seen seen;
  seen_init(&seen, &access, ROUTE_PRIMARY, 1);
  driver_pg.session_connect(&seen.session.base);
  seen_await(&seen, &seen.lost, 1);
  assert_non_null(strstr(seen.why.message, "refused"));
  assert_non_null(strstr(seen.why.message, "pg1"));
  access.password = "wrong";
  access.endpoints = &server->endpoint;
  driver_pg.session_connect(&seen.session.base);
  seen_await(&seen, &seen.lost, 2);
  assert_non_null(strstr(seen.why.message, "password authentication failed"));
  assert_null(strstr(seen.why.message, "wrong"));
  seen_release(&seen);
}

static void test_next_endpoint_after_a_dead_one_and_the_last_good_first(void **state) {
  struct postgres_server *server = ledger_server(state);
  struct endpoint endpoints[2] = {server->endpoint, server->endpoint};
  endpoints[0].port = 1;
  endpoints[0].host = 0;
  endpoints[1].host = 1;
  struct access access = server->access;
  access.endpoints = endpoints;
  access.endpoint_count = 2;
  struct seen seen;
  seen_init(&seen, &access, ROUTE_PRIMARY, 1);
  seen_connect(&seen);
  assert_int_equal(seen.session.base.host, 1);
  assert_int_equal(seen.session.pg.round.tried, 2);
  driver_pg.session_close(&seen.session.base);
  assert_int_equal(seen.session.base.state, SESSION_IDLE);
  seen_connect(&seen);
  assert_int_equal(seen.session.base.host, 1);
  assert_int_equal(seen.session.pg.round.tried, 1);
  seen_release(&seen);
}

/* What the environment holds for libpq is for other programs. */
static void test_environment_of_libpq_takes_no_part(void **state) {
  struct postgres_server *server = ledger_server(state);
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
  seen_init(&seen, &server->access, ROUTE_PRIMARY, 1);
  seen_connect(&seen);
  assert_string_equal(PQparameterStatus(seen.session.pg.conn, "application_name"), "gameday");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
  seen_release(&seen);
}

/* A certificate for the name pg1, signed by itself: its own authority. */
static void make_certificate(struct postgres_server *server, char ca_file[256]) {
  struct error err = ERROR_INIT;
  char key[256];
  snprintf(key, sizeof key, "%s/data/server.key", server->directory);
  snprintf(ca_file, 256, "%s/data/server.crt", server->directory);
  const char *const argv[] = {
      "openssl", "req",   "-x509", "-newkey", "ec",      "-pkeyopt", "ec_paramgen_curve:prime256v1",
      "-nodes",  "-days", "2",     "-subj",   "/CN=pg1", "-addext",  "subjectAltName=DNS:pg1",
      "-keyout", key,     "-out",  ca_file,   NULL};
  assert_ok(postgres_server_touch(server, "server.key", &err), &err);
  struct process_spec spec = {.argv = argv};
  assert_ok(process_check(&spec, &err), &err);
  assert_int_equal(chmod(key, 0600), 0); /* the server takes no other */
}

static void test_tls_checks_the_name_and_the_authority(void **state) {
  struct postgres_server *server = ledger_server(state);
  if (!process_exists("openssl")) skip_because("there is no openssl to make a certificate with");
  char ca_file[256];
  make_certificate(server, ca_file);
  const char *const with_tls[] = {"-c", "ssl=on", NULL};
  postgres_server_stop(server, SIGINT);
  start_server(server, with_tls, false);
  struct access access = server->access;
  struct endpoint endpoint = server->endpoint;
  access.ca_file = ca_file;
  access.endpoints = &endpoint;
  struct seen seen;
  seen_init(&seen, &access, ROUTE_PRIMARY, 1);
  seen_connect(&seen);
  assert_true(PQsslInUse(seen.session.pg.conn));
  seen_append(&seen, 1, 1);
  seen_assert_reply(&seen, OUTCOME_OK, "");
  driver_pg.session_close(&seen.session.base);
  endpoint.name = "pg2";
  driver_pg.session_connect(&seen.session.base);
  seen_await(&seen, &seen.lost, 1);
  assert_non_null(strstr(seen.why.message, "does not match host name"));
  endpoint.name = "pg1";
  access.ca_file = "/etc/hostname"; /* a file, but no authority */
  driver_pg.session_connect(&seen.session.base);
  seen_await(&seen, &seen.lost, 2);
  access.ca_file = ca_file;
  seen_connect(&seen);
  seen_release(&seen);
  postgres_server_stop(server, SIGINT);
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
  struct postgres_server *server = ledger_server(state);
  struct workload_env env = ledger_env(server);
  struct error err = ERROR_INIT;
  struct seen seen;
  seen_init(&seen, &server->access, ROUTE_PRIMARY, 1);
  seen_connect(&seen);
  uint64_t values = 0;
  char payload[65];
  for (uint32_t i = 1; i <= 100; i++) {
    ledger_payload(77, 4, i, 64, payload);
    uint32_t checksum = ledger_checksum(4, i, payload, 64);
    values += checksum;
    struct request request = seen_append_request(&seen, SEEN_APPEND, 4, i);
    request.numbers[2] = checksum;
    request.text = payload;
    driver_pg.session_send(&seen.session.base, &request);
    seen_await(&seen, &seen.replies, i);
  }
  struct counted counted = {.reader = {.row = count_row}};
  assert_ok(workload_pg_ledger.final_read(&env, &server->endpoint, &counted.reader, &err), &err);
  assert_int_equal(counted.rows, 100);
  assert_int_equal(counted.corrupt, 0);
  assert_int_equal(counted.values, values);
  run_sql(server,
          "UPDATE gameday.ledger SET payload = E'tab\\tnew\\nline\\\\' WHERE sequence = 50");
  counted = (struct counted){.reader = {.row = count_row}};
  assert_ok(workload_pg_ledger.final_read(&env, &server->endpoint, &counted.reader, &err), &err);
  assert_int_equal(counted.rows, 100);
  assert_int_equal(counted.corrupt, 1);
  seen_release(&seen);
}

static void test_blocking_helpers_keep_their_deadline_and_say_what_failed(void **state) {
  struct postgres_server *server = ledger_server(state);
  struct error err = ERROR_INIT;
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  int status =
      driver_pg.execute(&server->access, NULL, "SELECT pg_sleep(60)", 200 * NS_PER_MS, &err);
  assert_int_equal(status, STATUS_TIMEOUT);
  assert_true(clock_now_ns(&clock_monotonic) - begin_ns < 5 * NS_PER_S);
  status = driver_pg.execute(&server->access, NULL, "SELECT nothing", NS_PER_S, &err);
  assert_int_equal(status, STATUS_SERVER);
  assert_non_null(strstr(err.message, "42703"));
  struct endpoint nowhere = server->endpoint;
  nowhere.port = 1;
  status = driver_pg.execute(&server->access, &nowhere, "SELECT 1", NS_PER_S, &err);
  assert_int_equal(status, STATUS_SERVER);
  assert_non_null(strstr(err.message, "refused"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_connects_writes_and_reads),
      cmocka_unit_test(test_duplicate_key_fails_and_the_session_goes_on),
      cmocka_unit_test(test_pipeline_commits_each_statement_alone),
      cmocka_unit_test(test_refused_connection_says_why),
      cmocka_unit_test(test_next_endpoint_after_a_dead_one_and_the_last_good_first),
      cmocka_unit_test(test_environment_of_libpq_takes_no_part),
      cmocka_unit_test(test_tls_checks_the_name_and_the_authority),
      cmocka_unit_test(test_ledger_is_read_back_whole_and_damage_is_seen),
      cmocka_unit_test(test_blocking_helpers_keep_their_deadline_and_say_what_failed),
  };
  return cmocka_run_group_tests_name("pg_client", tests, seen_group_begin, seen_group_end);
}
