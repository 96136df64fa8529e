/* The bugs that simulated servers may have built in: each does what it says, and its innocent twin
 * does not. */
#include "sim/sim.h"
#include "support/sim_servers.h"
#include "support/test.h"

struct fixture {
  struct sim_servers servers;
  struct sim_client client; /* follows the primary, identity 7 */
  struct sim_client pinned; /* to member 1, identity 8 */
};

static struct fixture *begin(enum sim_guilt guilt) {
  struct fixture *f = calloc(1, sizeof *f);
  assert_non_null(f);
  struct postgres_config config = {
      .max_connections = 100, .ttl_ns = 30 * NS_PER_S, .loop_wait_ns = 10 * NS_PER_S};
  sim_servers_init(&f->servers, 2, 1, &config);
  if (guilt != GUILTY_NOT) sim_postgres_set_guilt(f->servers.cluster, (int)guilt, 1);
  sim_client_init(&f->client, &f->servers, ROUTE_PRIMARY, HOST_NONE, 7);
  sim_client_init(&f->pinned, &f->servers, ROUTE_PINNED, 1, 8);
  assert_true(sim_client_connect(&f->client));
  assert_true(sim_client_connect(&f->pinned));
  return f;
}

static void end(struct fixture *f) {
  sim_client_release(&f->client);
  sim_client_release(&f->pinned);
  sim_servers_release(&f->servers);
  free(f);
}

static struct sim_postgres *at(struct fixture *f, uint32_t member) {
  return sim_servers_at(&f->servers, member);
}

static void run(struct fixture *f, uint64_t for_ns) {
  sim_servers_run(&f->servers, for_ns);
}

static int rows(struct fixture *f, uint32_t member) {
  return sim_servers_row_count(&f->servers, member);
}

/* One append every 10 ms; how many were acknowledged. */
static uint32_t append_for(struct fixture *f, struct sim_client *client, uint64_t for_ns) {
  uint64_t end_ns = f->servers.time.now_ns + for_ns;
  uint32_t count = 0;
  while (f->servers.time.now_ns < end_ns) {
    run(f, 10 * NS_PER_MS);
    if (client->session->state != SESSION_READY) return count;
    if (sim_client_do(client, STATEMENT_APPEND) == OUTCOME_OK) count++;
  }
  return count;
}

static void test_early_ack(void **state) {
  (void)state;
  for (int guilty = 0; guilty < 2; guilty++) {
    struct fixture *f = begin(guilty ? GUILTY_EARLY_ACK : GUILTY_NOT);
    sim_postgres_set_synchronous(at(f, 0), 1u << 1, 1, false);
    int acknowledged = (int)append_for(f, &f->client, 2 * NS_PER_S);
    sim_host_stop(&f->servers.world, 0);
    sim_postgres_promote(at(f, 1));
    run(f, NS_PER_S);
    int lost = acknowledged - rows(f, 1);
    if (guilty)
      assert_in_range(lost, 15, 25);
    else
      assert_int_equal(lost, 0);
    end(f);
  }
}

/* A handover loses nothing all the same: only a crash shows it. */
static void test_early_ack_survives_a_shutdown(void **state) {
  (void)state;
  struct fixture *f = begin(GUILTY_EARLY_ACK);
  sim_postgres_set_synchronous(at(f, 0), 1u << 1, 1, false);
  int acknowledged = (int)append_for(f, &f->client, NS_PER_S);
  sim_postgres_stop(at(f, 0), false);
  run(f, NS_PER_S);
  assert_int_equal(sim_postgres_state(at(f, 0)), SIM_PG_DOWN);
  assert_int_equal(rows(f, 1), acknowledged);
  end(f);
}

static void test_stale_read(void **state) {
  (void)state;
  for (int guilty = 0; guilty < 2; guilty++) {
    struct fixture *f = begin(guilty ? GUILTY_STALE_READ : GUILTY_NOT);
    append_for(f, &f->client, 15 * NS_PER_S);
    run(f, 10 * NS_PER_MS);
    assert_int_equal(sim_client_do(&f->pinned, STATEMENT_READ_NEWEST), OUTCOME_OK);
    int64_t behind = (int64_t)f->client.sequence - f->pinned.reply.values[1];
    uint64_t replayed = 0;
    bool synchronous;
    assert_true(sim_postgres_streams_to(at(f, 0), 1, &replayed, &synchronous));
    assert_int_equal(replayed, sim_postgres_position(at(f, 0)));
    if (guilty)
      assert_in_range(behind, 800, 1000); /* one every 11 to 12 ms */
    else
      assert_int_equal(behind, 0);
    end(f);
  }
}

static void test_resurrected(void **state) {
  (void)state;
  for (int guilty = 0; guilty < 2; guilty++) {
    struct fixture *f = begin(guilty ? GUILTY_RESURRECTED : GUILTY_NOT);
    assert_int_equal(append_for(f, &f->pinned, 15 * NS_PER_S), 0);
    run(f, 10 * NS_PER_MS);
    if (guilty)
      assert_in_range(rows(f, 1), 3, 8);
    else
      assert_int_equal(rows(f, 1), 0);
    assert_int_equal(rows(f, 0), rows(f, 1));
    end(f);
  }
}

struct comparison {
  uint64_t rows, wrong;
};

static int compare(void *data, const char *const columns[], uint32_t count, struct error *err) {
  struct comparison *comparison = data;
  char expected[64];
  (void)count;
  (void)err;
  snprintf(expected, sizeof expected, "payload %s/%s", columns[0], columns[1]);
  comparison->rows++;
  if (strcmp(expected, columns[3]) != 0) comparison->wrong++;
  return 0;
}

static void test_corrupt(void **state) {
  (void)state;
  for (int guilty = 0; guilty < 2; guilty++) {
    struct fixture *f = begin(guilty ? GUILTY_CORRUPT : GUILTY_NOT);
    struct error err = ERROR_INIT;
    append_for(f, &f->client, 4 * NS_PER_S);
    run(f, 10 * NS_PER_MS);
    for (uint32_t i = 0; i < 2; i++)
      for (int again = 0; again < 2; again++) {
        struct comparison comparison = {.rows = 0};
        assert_ok(driver_sim_postgres.read_rows(&f->servers.access, &f->servers.endpoints[i],
                                                "copy", NS_PER_S, compare, &comparison, &err),
                  &err);
        assert_int_equal(comparison.rows, f->client.sequence);
        assert_int_equal(comparison.wrong, guilty && i == 1);
      }
    end(f);
  }
}

static void test_duplicate(void **state) {
  (void)state;
  for (int guilty = 0; guilty < 2; guilty++) {
    struct fixture *f = begin(guilty ? GUILTY_DUPLICATE : GUILTY_NOT);
    int acknowledged = (int)append_for(f, &f->client, 4 * NS_PER_S);
    run(f, 10 * NS_PER_MS);
    for (uint32_t i = 0; i < 2; i++) assert_int_equal(rows(f, i), acknowledged + guilty);
    end(f);
  }
}

/* The longest time between two answers, of a client that asks all the time. */
static uint64_t longest_silence(struct fixture *f, struct sim_client *client, uint64_t for_ns,
                                uint32_t *ret_silences) {
  uint64_t end_ns = f->servers.time.now_ns + for_ns, longest = 0;
  *ret_silences = 0;
  while (f->servers.time.now_ns < end_ns) {
    uint64_t begin_ns = f->servers.time.now_ns;
    sim_client_do(client, STATEMENT_APPEND);
    uint64_t took_ns = f->servers.time.now_ns - begin_ns;
    if (took_ns > longest) longest = took_ns;
    if (took_ns > 20 * NS_PER_MS) (*ret_silences)++;
  }
  return longest;
}

static void test_flapping(void **state) {
  (void)state;
  for (int guilty = 0; guilty < 2; guilty++) {
    struct fixture *f = begin(guilty ? GUILTY_FLAPPING : GUILTY_NOT);
    uint32_t silences;
    f->servers.options.operation_timeout_ns = 20 * NS_PER_S;
    sim_host_stop(&f->servers.world, 0);
    sim_postgres_promote(at(f, 1));
    run(f, sim_servers_costs.promote_ns);
    /* Who has been there all the time sees nothing of it until others come back. */
    longest_silence(f, &f->pinned, NS_PER_S, &silences);
    assert_int_equal(silences, 0);
    driver_sim_postgres.session_close(f->client.session);
    assert_true(sim_client_connect(&f->client));
    uint64_t longest_ns = longest_silence(f, &f->client, 10 * NS_PER_S, &silences);
    assert_int_equal(silences, guilty);
    if (guilty) assert_in_range(longest_ns, 4900 * NS_PER_MS, 5100 * NS_PER_MS);
    end(f);
  }
}

static void test_blink(void **state) {
  (void)state;
  for (int guilty = 0; guilty < 2; guilty++) {
    struct fixture *f = begin(guilty ? GUILTY_BLINK : GUILTY_NOT);
    uint32_t silences;
    uint64_t longest_ns = longest_silence(f, &f->client, 30 * NS_PER_S, &silences);
    if (guilty) {
      assert_in_range(silences, 5, 15);
      assert_in_range(longest_ns, 40 * NS_PER_MS, 85 * NS_PER_MS);
    } else {
      assert_int_equal(silences, 0);
    }
    end(f);
  }
}

static void test_two_primaries(void **state) {
  (void)state;
  for (int guilty = 0; guilty < 2; guilty++) {
    struct fixture *f = begin(guilty ? GUILTY_TWO_PRIMARIES : GUILTY_NOT);
    sim_postgres_stop(at(f, 0), true);
    run(f, 10 * NS_PER_S);
    sim_postgres_promote(at(f, 1));
    run(f, NS_PER_S);
    assert_int_equal(sim_postgres_state(at(f, 1)), SIM_PG_PRIMARY);
    assert_int_equal(sim_postgres_state(at(f, 0)), guilty ? SIM_PG_PRIMARY : SIM_PG_DOWN);
    if (guilty) {
      assert_int_equal(sim_client_do(&f->client, STATEMENT_APPEND), OUTCOME_OK);
      assert_int_equal(f->client.reply.timeline, 1);
      assert_int_equal(sim_client_do(&f->pinned, STATEMENT_APPEND), OUTCOME_OK);
      assert_int_equal(f->pinned.reply.timeline, 2);
    }
    run(f, 3 * NS_PER_S);
    assert_int_equal(sim_postgres_state(at(f, 0)), SIM_PG_DOWN);
    end(f);
  }
}

static void test_loss_at_heal(void **state) {
  (void)state;
  for (int guilty = 0; guilty < 2; guilty++) {
    struct fixture *f = begin(guilty ? GUILTY_LOSS_AT_HEAL : GUILTY_NOT);
    int before = (int)append_for(f, &f->client, NS_PER_S);
    run(f, 10 * NS_PER_MS);
    sim_host_stop(&f->servers.world, 0);
    sim_postgres_promote(at(f, 1));
    run(f, NS_PER_S);
    int after = (int)append_for(f, &f->pinned, 2 * NS_PER_S);
    assert_true(after > 100);
    assert_int_equal(rows(f, 1), before + after);
    sim_host_start(&f->servers.world, 0);
    sim_postgres_start(at(f, 0), SIM_PG_AS_STANDBY, 1);
    run(f, 10 * NS_PER_S);
    if (guilty) after = 0;
    for (uint32_t i = 0; i < 2; i++) assert_int_equal(rows(f, i), before + after);
    /* And everything goes on. */
    if (f->pinned.session->state != SESSION_READY) assert_true(sim_client_connect(&f->pinned));
    int more = (int)append_for(f, &f->pinned, NS_PER_S);
    assert_true(more > 50);
    run(f, 10 * NS_PER_MS);
    for (uint32_t i = 0; i < 2; i++) assert_int_equal(rows(f, i), before + after + more);
    end(f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_early_ack),     cmocka_unit_test(test_early_ack_survives_a_shutdown),
      cmocka_unit_test(test_stale_read),    cmocka_unit_test(test_resurrected),
      cmocka_unit_test(test_corrupt),       cmocka_unit_test(test_duplicate),
      cmocka_unit_test(test_flapping),      cmocka_unit_test(test_blink),
      cmocka_unit_test(test_two_primaries), cmocka_unit_test(test_loss_at_heal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
