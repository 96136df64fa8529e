/* driver_pg against a real PostgreSQL server that freezes, dies, turns read-only or is promoted:
 * what is certain of each request then. */
#include <signal.h>

#include "support/seen.h"
#include "support/test.h"

/* Waits until the backend of a session waits for what `event` names in pg_stat_activity. */
static void await_backend(const struct postgres_server *server, const char *event) {
  char text[512];
  snprintf(text, sizeof text,
           "DO $$ BEGIN FOR i IN 1..1000 LOOP"
           " PERFORM pg_stat_clear_snapshot();"
           " IF EXISTS (SELECT FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
           " AND application_name = 'gameday' AND wait_event = '%s') THEN RETURN; END IF;"
           " PERFORM pg_sleep(0.01); END LOOP; RAISE 'no backend waits'; END $$",
           event);
  run_sql(server, text);
}

static void test_frozen_server_ends_in_the_connect_timeout(void **state) {
  struct postgres_server *server = ledger_server(state);
  struct seen seen;
  seen_init(&seen, &server->access, ROUTE_PRIMARY, 1);
  seen.options.connect_timeout_ns = 100 * NS_PER_MS;
  kill(server->pid, SIGSTOP);
  driver_pg.session_connect(&seen.session.base);
  seen_await(&seen, &seen.lost, 1);
  kill(server->pid, SIGCONT);
  assert_non_null(strstr(seen.why.message, "connect timeout"));
  seen.options.connect_timeout_ns = 5 * NS_PER_S;
  seen_connect(&seen);
  seen_release(&seen);
}

static void test_no_answer_until_the_deadline_is_unknown(void **state) {
  struct postgres_server *server = ledger_server(state);
  struct seen seen;
  seen_init(&seen, &server->access, ROUTE_PRIMARY, 4);
  seen_connect(&seen);
  struct request slow = seen_append_request(&seen, SEEN_SLOW_APPEND, 1, 1), behind;
  slow.deadline_ns = loop_now_ns(seen.loop) + 100 * NS_PER_MS;
  driver_pg.session_send(&seen.session.base, &slow);
  seen_send_append(&seen, &behind, SEEN_APPEND, 1, 2);
  seen_await(&seen, &seen.lost, 1);
  assert_int_equal(seen.outcomes[OUTCOME_UNKNOWN], 2);
  /* The one behind, not yet late. */
  seen_assert_reply(&seen, OUTCOME_UNKNOWN, CODE_CONNECTION_LOST);
  assert_true(seen.last.done_ns >= slow.deadline_ns);
  seen_release(&seen);
}

static void test_killed_server_makes_unknowns(void **state) {
  struct postgres_server *server = ledger_server(state);
  struct seen seen;
  seen_init(&seen, &server->access, ROUTE_PRIMARY, 8);
  seen_connect(&seen);
  struct request requests[3];
  for (uint32_t i = 0; i < 3; i++) seen_send_append(&seen, &requests[i], SEEN_SLOW_APPEND, 5, i);
  await_backend(server, "PgSleep");
  postgres_server_stop(server, SIGKILL);
  seen_await(&seen, &seen.lost, 1);
  assert_int_equal(seen.outcomes[OUTCOME_UNKNOWN], 3);
  seen_assert_reply(&seen, OUTCOME_UNKNOWN, CODE_CONNECTION_LOST);
  assert_int_equal(seen.last.host, HOST_NONE);
  driver_pg.session_connect(&seen.session.base);
  seen_await(&seen, &seen.lost, 2);
  start_server(server, NULL, false);
  seen_connect(&seen);
  seen_release(&seen);
}

static void test_terminated_backend_is_unknown_with_its_code(void **state) {
  struct postgres_server *server = ledger_server(state);
  struct seen seen;
  seen_init(&seen, &server->access, ROUTE_PRIMARY, 1);
  seen_connect(&seen);
  struct request request;
  seen_send_append(&seen, &request, SEEN_SLOW_APPEND, 5, 1);
  await_backend(server, "PgSleep");
  run_sql(server,
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
  seen_await(&seen, &seen.lost, 1);
  seen_assert_reply(&seen, OUTCOME_UNKNOWN, "57P01");
  /* And while idle: no request, but a reason. */
  seen_connect(&seen);
  run_sql(server,
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
          " WHERE application_name = 'gameday' AND pid <> pg_backend_pid()");
  seen_await(&seen, &seen.lost, 2);
  assert_int_equal(seen.replies, 1);
  seen_release(&seen);
}

/* A success whose wait for the standby was cut short is only committed here. */
static void wait_for_standby(struct postgres_server *server, const char *ends_it, const char *code,
                             uint32_t lost) {
  struct seen seen;
  seen_init(&seen, &server->access, ROUTE_PRIMARY, 1);
  seen_connect(&seen);
  struct request request;
  run_sql(server, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  run_sql(server, "SELECT pg_reload_conf()");
  /* The setting arrives with a signal: write until a write waits. */
  uint32_t sent = 0;
  do seen_send_append(&seen, &request, SEEN_APPEND, 9, sent++);
  while (seen_comes_soon(&seen, &seen.replies, sent));
  await_backend(server, "SyncRep");
  run_sql(server, ends_it);
  seen_await(&seen, &seen.replies, sent);
  seen_assert_reply(&seen, OUTCOME_UNKNOWN, code);
  run_sql(server, "ALTER SYSTEM RESET synchronous_standby_names");
  run_sql(server, "SELECT pg_reload_conf()");
  seen_await(&seen, &seen.lost, lost);
  seen_release(&seen);
}

static void test_cancelled_wait_for_the_standby_is_unknown(void **state) {
  struct postgres_server *server = ledger_server(state);
  wait_for_standby(server,
                   "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                   " WHERE wait_event = 'SyncRep'",
                   "01000", 0);
}

static void test_terminated_wait_for_the_standby_is_unknown(void **state) {
  struct postgres_server *server = ledger_server(state);
  wait_for_standby(server,
                   "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                   " WHERE wait_event = 'SyncRep'",
                   "57P01", 1);
}

static void test_primary_route_leaves_a_server_that_turned_read_only(void **state) {
  struct postgres_server *server = ledger_server(state);
  struct seen primary, pinned;
  seen_init(&primary, &server->access, ROUTE_PRIMARY, 4);
  seen_init(&pinned, &server->access, ROUTE_PINNED, 1);
  seen_connect(&primary);
  seen_connect(&pinned);
  run_sql(server, "ALTER SYSTEM SET default_transaction_read_only = on");
  run_sql(server, "SELECT pg_reload_conf()");
  /* The setting arrives with a signal: write until it has. */
  for (int64_t i = 1; pinned.outcomes[OUTCOME_FAIL] == 0; i++) seen_append(&pinned, 1, i);
  seen_assert_reply(&pinned, OUTCOME_FAIL, CODE_READ_ONLY);
  assert_int_equal(pinned.lost, 0);
  while (primary.lost == 0) {
    struct request requests[4];
    uint32_t sent = primary.replies;
    for (uint32_t i = 0; i < 4; i++)
      seen_send_append(&primary, &requests[i], SEEN_APPEND, 2, sent++);
    seen_await(&primary, &primary.replies, sent);
  }
  assert_non_null(strstr(primary.why.message, "read-only"));
  assert_int_equal(primary.outcomes[OUTCOME_UNKNOWN], 0);
  driver_pg.session_connect(&primary.session.base);
  seen_await(&primary, &primary.lost, 2);
  assert_non_null(strstr(primary.why.message, "is read-only"));
  run_sql(server, "ALTER SYSTEM RESET default_transaction_read_only");
  run_sql(server, "SELECT pg_reload_conf()");
  for (int64_t i = 1; pinned.last.outcome == OUTCOME_FAIL; i++) seen_append(&pinned, 3, i);
  seen_connect(&primary);
  seen_release(&primary);
  seen_release(&pinned);
}

static void test_session_that_saw_the_promotion_has_the_new_timeline(void **state) {
  struct postgres_server *server = ledger_server(state);
  struct error err = ERROR_INIT;
  run_sql(server, "CHECKPOINT");
  postgres_server_stop(server, SIGINT);
  assert_ok(postgres_server_touch(server, "standby.signal", &err), &err);
  start_server(server, NULL, true);
  struct seen pinned[2], primary;
  seen_init(&pinned[0], &server->access, ROUTE_PINNED, 1);
  seen_init(&pinned[1], &server->access, ROUTE_PINNED, 8);
  seen_init(&primary, &server->access, ROUTE_PRIMARY, 1);
  driver_pg.session_connect(&primary.session.base);
  seen_await(&primary, &primary.lost, 1);
  assert_non_null(strstr(primary.why.message, "in recovery"));
  for (uint32_t i = 0; i < 2; i++) {
    seen_connect(&pinned[i]);
    assert_int_equal(pinned[i].session.base.timeline, 0);
    seen_append(&pinned[i], i + 1, 1);
    seen_assert_reply(&pinned[i], OUTCOME_FAIL, CODE_READ_ONLY);
    assert_int_equal(pinned[i].lost, 0);
  }
  run_sql(server, "SELECT pg_promote()");
  seen_append(&pinned[0], 1, 2);
  seen_assert_reply(&pinned[0], OUTCOME_OK, "");
  assert_int_equal(pinned[0].last.timeline, 2);
  struct request requests[8];
  for (uint32_t i = 0; i < 8; i++)
    seen_send_append(&pinned[1], &requests[i], SEEN_APPEND, 2, 2 + i);
  seen_await(&pinned[1], &pinned[1].replies, 9);
  assert_int_equal(pinned[1].outcomes[OUTCOME_OK], 8);
  assert_int_equal(pinned[1].last.timeline, 2);
  assert_int_equal(pinned[1].session.base.timeline, 2);
  seen_append(&pinned[1], 2, 100);
  assert_int_equal(pinned[1].last.timeline, 2);
  seen_connect(&primary);
  assert_int_equal(primary.session.base.timeline, 2);
  seen_release(&pinned[0]);
  seen_release(&pinned[1]);
  seen_release(&primary);
}

/* The promoted server acknowledges a write, and then does not say who it is. What it acknowledged
 * is given all the same, before its stamp is too old for the record. */
static void test_an_acknowledgement_is_not_held_back_for_long(void **state) {
  struct postgres_server *server = ledger_server(state);
  struct error err = ERROR_INIT;
  run_sql(server, "CREATE SCHEMA slow");
  run_sql(server,
          "CREATE FUNCTION slow.pg_is_in_recovery() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
          "  IF NOT pg_catalog.pg_is_in_recovery() THEN PERFORM pg_sleep(60); END IF;"
          "  RETURN pg_catalog.pg_is_in_recovery(); END $$");
  run_sql(server, "ALTER ROLE CURRENT_USER SET search_path = slow, pg_catalog, public");
  run_sql(server, "CHECKPOINT");
  postgres_server_stop(server, SIGINT);
  assert_ok(postgres_server_touch(server, "standby.signal", &err), &err);
  start_server(server, NULL, true);
  struct seen pinned;
  seen_init(&pinned, &server->access, ROUTE_PINNED, 1);
  seen_connect(&pinned);
  assert_int_equal(pinned.session.base.timeline, 0);
  run_sql(server, "SELECT pg_promote()");
  struct request request = seen_append_request(&pinned, SEEN_APPEND, 1, 1);
  request.deadline_ns = TIME_NEVER;
  driver_pg.session_send(&pinned.session.base, &request);
  seen_await(&pinned, &pinned.replies, 1);
  seen_assert_reply(&pinned, OUTCOME_OK, "");
  assert_int_equal(pinned.last.timeline, 0);
  assert_true(loop_now_ns(pinned.loop) - pinned.last.done_ns < 2 * NS_PER_S);
  assert_int_equal(pinned.lost, 1);
  run_sql(server, "ALTER ROLE CURRENT_USER RESET search_path");
  run_sql(server, "DROP SCHEMA slow CASCADE");
  seen_release(&pinned);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_frozen_server_ends_in_the_connect_timeout),
      cmocka_unit_test(test_no_answer_until_the_deadline_is_unknown),
      cmocka_unit_test(test_killed_server_makes_unknowns),
      cmocka_unit_test(test_terminated_backend_is_unknown_with_its_code),
      cmocka_unit_test(test_cancelled_wait_for_the_standby_is_unknown),
      cmocka_unit_test(test_terminated_wait_for_the_standby_is_unknown),
      cmocka_unit_test(test_primary_route_leaves_a_server_that_turned_read_only),
      cmocka_unit_test(test_session_that_saw_the_promotion_has_the_new_timeline),
      cmocka_unit_test(test_an_acknowledgement_is_not_held_back_for_long),
  };
  return cmocka_run_group_tests_name("pg_client_trouble", tests, seen_group_begin, seen_group_end);
}
