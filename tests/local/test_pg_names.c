/* How sessions of driver_pg get from a server's name to its address, with a real PostgreSQL server.
 */
#include "workload/pg_client.h"

#include <semaphore.h>

#include "support/postgres_server.h"
#include "support/test.h"

#define PATIENCE_NS (20 * NS_PER_S)

static struct postgres_server server;
static bool server_made;
static struct error server_error;

/* A session and what happened to it. */
struct seen {
  struct loop *loop;
  struct resolver *resolver;
  struct client_options options;
  union {
    struct session base;
    struct pg_session pg;
  } session;
  uint32_t ready, lost;
  struct error why;
};

static void changed(struct session *session, enum session_state state, const struct error *why) {
  struct seen *seen = session->spec.owner;
  if (state == SESSION_READY) seen->ready++;
  if (state == SESSION_LOST) seen->lost++;
  if (why) seen->why = *why;
}

/* `look_up` NULL: the system's. */
static void seen_init(struct seen *seen, const struct access *access, uint64_t connect_timeout_ns,
                      resolver_function *look_up, void *data) {
  struct error err = ERROR_INIT;
  *seen = (struct seen){.options = {.connect_timeout_ns = connect_timeout_ns, .pipeline_depth = 1}};
  assert_ok(loop_new(&seen->loop, &err), &err);
  if (look_up)
    assert_ok(resolver_new_with(seen->loop, look_up, data, &seen->resolver, &err), &err);
  else
    assert_ok(resolver_new(seen->loop, &seen->resolver, &err), &err);
  struct session_spec spec = {.access = access,
                              .options = &seen->options,
                              .route = ROUTE_PRIMARY,
                              .pinned_host = HOST_NONE,
                              .resolver = seen->resolver,
                              .changed = changed,
                              .owner = seen};
  assert_ok(driver_pg.session_init(&seen->session.base, &spec, seen->loop, &err), &err);
}

static void seen_release(struct seen *seen) {
  driver_pg.session_release(&seen->session.base);
  resolver_free(seen->resolver);
  loop_free(seen->loop);
}

/* Turns the loop until `*counter` has reached `target`. */
static void await(struct seen *seen, const uint32_t *counter, uint32_t target) {
  struct error err = ERROR_INIT;
  uint64_t deadline_ns = loop_now_ns(seen->loop) + PATIENCE_NS;
  while (*counter < target) {
    assert_ok(loop_turn(seen->loop, deadline_ns, &err), &err);
    if (loop_now_ns(seen->loop) >= deadline_ns)
      fail_msg("waited too long; last reason: %s", seen->why.message);
  }
}

static void connect_ready(struct seen *seen) {
  uint32_t ready = seen->ready;
  driver_pg.session_connect(&seen->session.base);
  await(seen, &seen->ready, ready + 1);
  assert_int_equal(seen->session.base.state, SESSION_READY);
}

static int begin(void **state) {
  (void)state;
  server_error = ERROR_INIT;
  server_made = postgres_server_make(&server, &server_error) == 0;
  if (!server_made) return server_error.status == STATUS_ENVIRONMENT ? 0 : -1;
  return postgres_server_start(&server, NULL, false, &server_error);
}

static int end(void **state) {
  (void)state;
  if (server_made) postgres_server_remove(&server);
  return 0;
}

#define NEEDS_SERVER \
  if (!server_made) skip_because("%s", server_error.message)

/* An access to the server by a name, which is to be resolved. */
struct named {
  struct endpoint endpoint;
  struct access access;
};

static void named_init(struct named *named, const char *name) {
  named->endpoint = server.endpoint;
  named->endpoint.name = name;
  named->access = server.access;
  named->access.endpoints = &named->endpoint;
  named->access.resolve = true;
}

static void test_a_name_is_resolved_and_timed(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct named named;
  named_init(&named, "localhost");
  named.endpoint.address = "192.0.2.1"; /* nobody has it: whoever used it would not connect */
  struct seen seen;
  seen_init(&seen, &named.access, PATIENCE_NS, NULL, NULL);
  connect_ready(&seen);
  assert_true(seen.session.base.timing.resolve_ns > 0);
  assert_true(seen.session.base.timing.connect_ns > 0);
  seen_release(&seen);
}

static void test_a_numeric_name_and_an_access_without_names_are_not_resolved(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct named named;
  named_init(&named, "127.0.0.1");
  struct seen seen;
  seen_init(&seen, &named.access, PATIENCE_NS, NULL, NULL);
  connect_ready(&seen);
  assert_int_equal(seen.session.base.timing.resolve_ns, 0);
  driver_pg.session_close(&seen.session.base);
  named.endpoint.name = "no..such.name";
  named.access.resolve = false;
  connect_ready(&seen);
  assert_int_equal(seen.session.base.timing.resolve_ns, 0);
  seen_release(&seen);
}

static void test_a_name_that_does_not_resolve_is_a_failed_connect(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct named named;
  named_init(&named, "no..such.name");
  struct seen seen;
  seen_init(&seen, &named.access, PATIENCE_NS, NULL, NULL);
  driver_pg.session_connect(&seen.session.base);
  await(&seen, &seen.lost, 1);
  assert_non_null(strstr(seen.why.message, "no..such.name: this name does not resolve: "));
  named.endpoint.name = "localhost"; /* the next round asks anew */
  connect_ready(&seen);
  seen_release(&seen);
}

static void two_addresses(void *data, const char *name, struct resolver_answer *ret_answer) {
  (void)data;
  (void)name;
  snprintf(ret_answer->addresses[0], RESOLVER_ADDRESS_SIZE, "127.0.0.9");
  snprintf(ret_answer->addresses[1], RESOLVER_ADDRESS_SIZE, "127.0.0.1");
  ret_answer->count = 2;
}

static void test_all_addresses_of_a_name_are_tried(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct named named;
  named_init(&named, "pg1");
  struct seen seen;
  seen_init(&seen, &named.access, PATIENCE_NS, two_addresses, NULL);
  connect_ready(&seen);
  assert_string_equal(PQhost(seen.session.pg.conn), "pg1");
  assert_string_equal(PQhostaddr(seen.session.pg.conn), "127.0.0.1");
  seen_release(&seen);
}

/* A name server that does not answer, until the test lets go. */
static void hang(void *data, const char *name, struct resolver_answer *ret_answer) {
  sem_t *go = data;
  (void)name;
  while (sem_wait(&go[0]) != 0) continue;
  snprintf(ret_answer->why, sizeof ret_answer->why, "it hung");
  sem_post(&go[1]);
}

static void test_a_name_server_that_hangs_ends_in_the_connect_timeout(void **state) {
  (void)state;
  NEEDS_SERVER;
  struct named named;
  sem_t go[2];
  sem_init(&go[0], 0, 0);
  sem_init(&go[1], 0, 0);
  named_init(&named, "pg1");
  struct seen seen;
  seen_init(&seen, &named.access, 100 * NS_PER_MS, hang, go);
  driver_pg.session_connect(&seen.session.base);
  await(&seen, &seen.lost, 1);
  assert_non_null(strstr(seen.why.message, "pg1: this name was not resolved until the connect"));
  driver_pg.session_connect(&seen.session.base);
  driver_pg.session_close(&seen.session.base); /* while it is resolved */
  driver_pg.session_connect(&seen.session.base);
  seen_release(&seen); /* too; the look-up still hangs */
  sem_post(&go[0]);
  while (sem_wait(&go[1]) != 0) continue;
  sem_destroy(&go[0]);
  sem_destroy(&go[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_name_is_resolved_and_timed),
      cmocka_unit_test(test_a_numeric_name_and_an_access_without_names_are_not_resolved),
      cmocka_unit_test(test_a_name_that_does_not_resolve_is_a_failed_connect),
      cmocka_unit_test(test_all_addresses_of_a_name_are_tried),
      cmocka_unit_test(test_a_name_server_that_hangs_ends_in_the_connect_timeout),
  };
  return cmocka_run_group_tests_name("pg_names", tests, begin, end);
}
