/* How sessions of driver_pg get from a server's name to its address, with a real PostgreSQL server.
 */
#include <semaphore.h>

#include "support/seen.h"
#include "support/test.h"

#define PATIENCE_NS (20 * NS_PER_S)

/* An access to the server by a name, which is to be resolved. */
struct named {
  struct endpoint endpoint;
  struct access access;
};

static void named_init(struct named *named, void **state, const char *name) {
  const struct postgres_server *server = seen_server(state);
  named->endpoint = server->endpoint;
  named->endpoint.name = name;
  named->access = server->access;
  named->access.endpoints = &named->endpoint;
  named->access.resolve = true;
}

static void test_a_name_is_resolved_and_timed(void **state) {
  struct named named;
  named_init(&named, state, "localhost");
  named.endpoint.address = "192.0.2.1"; /* nobody has it: whoever used it would not connect */
  struct seen seen;
  seen_init_resolving(&seen, &named.access, PATIENCE_NS, NULL, NULL);
  seen_connect(&seen);
  assert_true(seen.session.base.timing.resolve_ns > 0);
  assert_true(seen.session.base.timing.connect_ns > 0);
  seen_release(&seen);
}

static void test_a_numeric_name_and_an_access_without_names_are_not_resolved(void **state) {
  struct named named;
  named_init(&named, state, "127.0.0.1");
  struct seen seen;
  seen_init_resolving(&seen, &named.access, PATIENCE_NS, NULL, NULL);
  seen_connect(&seen);
  assert_int_equal(seen.session.base.timing.resolve_ns, 0);
  driver_pg.session_close(&seen.session.base);
  named.endpoint.name = "no..such.name";
  named.access.resolve = false;
  seen_connect(&seen);
  assert_int_equal(seen.session.base.timing.resolve_ns, 0);
  seen_release(&seen);
}

static void test_a_name_that_does_not_resolve_is_a_failed_connect(void **state) {
  struct named named;
  named_init(&named, state, "no..such.name");
  struct seen seen;
  seen_init_resolving(&seen, &named.access, PATIENCE_NS, NULL, NULL);
  driver_pg.session_connect(&seen.session.base);
  seen_await(&seen, &seen.lost, 1);
  assert_non_null(strstr(seen.why.message, "no..such.name: this name does not resolve: "));
  named.endpoint.name = "localhost"; /* the next round asks anew */
  seen_connect(&seen);
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
  struct named named;
  named_init(&named, state, "pg1");
  struct seen seen;
  seen_init_resolving(&seen, &named.access, PATIENCE_NS, two_addresses, NULL);
  seen_connect(&seen);
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
  struct named named;
  sem_t go[2];
  sem_init(&go[0], 0, 0);
  sem_init(&go[1], 0, 0);
  named_init(&named, state, "pg1");
  struct seen seen;
  seen_init_resolving(&seen, &named.access, 100 * NS_PER_MS, hang, go);
  driver_pg.session_connect(&seen.session.base);
  seen_await(&seen, &seen.lost, 1);
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
  return cmocka_run_group_tests_name("pg_names", tests, seen_group_begin, seen_group_end);
}
