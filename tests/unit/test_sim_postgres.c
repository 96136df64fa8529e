/* Simulated PostgreSQL servers: the log, replication, life and death. */
#include "support/sim_servers.h"
#include "support/test.h"

static void append(struct sim_client *client, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    assert_int_equal(sim_client_do(client, STATEMENT_APPEND), OUTCOME_OK);
}

static void test_rows_reach_all_standbys(void **state) {
  (void)state;
  struct sim_servers servers;
  struct sim_client client;
  char primary[256], standby[256];
  sim_servers_init(&servers, 3, 1, NULL);
  sim_client_init(&client, &servers, ROUTE_PRIMARY, HOST_NONE, 7);
  assert_true(sim_client_connect(&client));
  assert_int_equal(client.session->host, 0);
  append(&client, 10);
  sim_servers_run(&servers, 100 * NS_PER_MS);
  sim_servers_rows(&servers, 0, primary, sizeof primary);
  assert_string_equal(primary, "7/1 7/2 7/3 7/4 7/5 7/6 7/7 7/8 7/9 7/10 ");
  for (uint32_t i = 1; i < 3; i++) {
    sim_servers_rows(&servers, i, standby, sizeof standby);
    assert_string_equal(standby, primary);
    uint64_t replayed = 0;
    bool synchronous = true;
    assert_true(sim_postgres_streams_to(sim_servers_at(&servers, 0), i, &replayed, &synchronous));
    assert_int_equal(replayed, sim_postgres_position(sim_servers_at(&servers, 0)));
    assert_false(synchronous);
  }
  sim_client_release(&client);
  sim_servers_release(&servers);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows_reach_all_standbys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
