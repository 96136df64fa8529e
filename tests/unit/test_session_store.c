/* session-store without a server: who its clients are, what they send, and what they remember. */
#include "workload/session_store.h"

#include "support/test.h"

struct store {
  struct session_store_config config;
  struct access access;
  struct workload_env env;
  struct client_class classes[2];
  uint32_t count;
};

static int execute_nothing(const struct access *access, const struct endpoint *endpoint,
                           const char *text, uint64_t timeout_ns, struct error *err) {
  (void)access;
  (void)endpoint;
  (void)timeout_ns;
  (void)err;
  assert_string_equal(text, "UNLINK gd:*");
  return 0;
}

static const struct driver driver = {.name = "none", .execute = execute_nothing};

static void store_init(struct store *store) {
  struct error err = ERROR_INIT;
  *store = (struct store){.config = {.rate = 100,
                                     .cache_ratio = 0.75,
                                     .write_ratio = 0.2,
                                     .clients = 5,
                                     .cache_clients = 3,
                                     .cache_keys = 50,
                                     .session_ttl_ns = 10 * NS_PER_S,
                                     .session_size = 8,
                                     .cache_size = 1000}};
  store->access = (struct access){.driver = &driver};
  store->env = (struct workload_env){.workload = &workload_session_store,
                                     .config = &store->config,
                                     .seed = 9,
                                     .access = &store->access,
                                     .state = calloc(1, workload_session_store.plugin.state_size)};
  assert_non_null(store->env.state);
  assert_ok(workload_session_store.prepare(&store->env, &err), &err);
  assert_ok(workload_session_store.classes(&store->env, store->classes, 2, &store->count, &err),
            &err);
}

static void store_release(struct store *store) {
  free(store->env.state);
}

static struct client client_of(struct store *store, uint32_t class) {
  assert_true(class < store->count);
  return (struct client){.env = &store->env, .class = &store->classes[class], .identity = 7};
}

/* As the engine sends one, with the answer `found`, or the outcome that it had. */
static struct request send(struct client *client, struct operation *operation, enum outcome outcome,
                           bool found) {
  char payload[1] = "";
  struct request request = {.statement = UINT32_MAX};
  operation->identity = client->identity;
  if (operation->kind == OPERATION_WRITE) operation->sequence = ++client->sequence;
  workload_session_store.submit(client, operation, &request, payload);
  assert_true(client->class->uses >> request.statement & 1);
  operation->outcome = outcome;
  const struct reply reply = {.outcome = outcome, .has_row = found};
  workload_session_store.answer(client, operation, &reply);
  return request;
}

static struct operation write_session(struct client *client) {
  struct operation operation = {.kind = OPERATION_WRITE};
  (void)send(client, &operation, OUTCOME_OK, false);
  return operation;
}

static struct operation read_session(struct client *client, uint64_t scheduled_ns) {
  struct operation operation = {.kind = OPERATION_READ_KEY, .scheduled_ns = scheduled_ns};
  (void)send(client, &operation, OUTCOME_OK, true);
  return operation;
}

static void test_each_class_has_its_share(void **state) {
  (void)state;
  struct store store;
  store_init(&store);
  assert_int_equal(store.count, 2);
  assert_string_equal(store.classes[0].name, "session");
  assert_int_equal(store.classes[0].count, 5);
  assert_float_equal(store.classes[0].rate, 25, 1e-9);
  assert_string_equal(store.classes[1].name, "cache");
  assert_float_equal(store.classes[1].rate, 75, 1e-9);
  store.config.cache_ratio = 0;
  uint32_t count = 0;
  assert_int_equal(workload_session_store.classes(&store.env, store.classes, 2, &count, NULL), 0);
  assert_int_equal(count, 1);
  store_release(&store);
}

static void test_a_session_is_written_with_its_time_to_live(void **state) {
  (void)state;
  struct store store;
  store_init(&store);
  struct client client = client_of(&store, 0);
  struct operation operation = {.kind = OPERATION_WRITE};
  struct request request = send(&client, &operation, OUTCOME_OK, false);
  assert_int_equal(request.statement, SESSION_STORE_SET);
  assert_int_equal(request.number_count, 3);
  assert_int_equal(request.numbers[0], 7);
  assert_int_equal(request.numbers[1], 1);
  assert_int_equal(request.numbers[2], 10000);
  assert_int_equal(strlen(request.text), 8);
  assert_int_equal(operation.read_identity, 10000);
  store_release(&store);
}

/* 25/s x 20 % / 5 clients x 10 s: ten of one client's sessions live at a time. */
static void test_only_sessions_that_still_live_are_asked_for(void **state) {
  (void)state;
  struct store store;
  bool seen[41] = {false};
  store_init(&store);
  struct client client = client_of(&store, 0);
  struct operation none = read_session(&client, 1);
  assert_int_equal(none.sequence, 0);
  assert_int_equal(none.value, 0);
  for (int i = 0; i < 40; i++) (void)write_session(&client);
  for (uint64_t i = 0; i < 500; i++) {
    struct operation read = read_session(&client, i * NS_PER_MS);
    assert_int_equal(read.read_identity, 7);
    assert_in_range(read.sequence, 31, 40);
    assert_int_equal(read.value, read.sequence);
    seen[read.sequence] = true;
  }
  for (int i = 31; i <= 40; i++) assert_true(seen[i]);
  store_release(&store);
}

/* What was written under the identity before the unknown write lives on, and is asked for. */
static void test_sessions_outlive_an_unknown_write(void **state) {
  (void)state;
  struct store store;
  uint32_t former = 0;
  store_init(&store);
  struct client client = client_of(&store, 0);
  for (int i = 0; i < 40; i++) (void)write_session(&client);
  for (int i = 0; i < 2; i++) { /* two in a row, with nothing between them */
    struct operation unknown = {.kind = OPERATION_WRITE};
    (void)send(&client, &unknown, OUTCOME_UNKNOWN, false);
    client.identity++;
    client.sequence = 0;
  }
  for (uint64_t i = 0; i < 100; i++)
    assert_int_equal(read_session(&client, i * NS_PER_MS).read_identity, 7);
  for (int i = 0; i < 4; i++) (void)write_session(&client);
  for (uint64_t i = 0; i < 500; i++) {
    struct operation read = read_session(&client, i * NS_PER_MS);
    if (read.read_identity == 9) {
      assert_in_range(read.sequence, 1, 4);
      continue;
    }
    assert_int_equal(read.read_identity, 7);
    assert_in_range(read.sequence, 35, 40);
    former++;
  }
  assert_in_range(former, 200, 400); /* six of ten */
  store_release(&store);
}

static void test_a_missed_entry_is_written_next(void **state) {
  (void)state;
  struct store store;
  store_init(&store);
  struct client client = client_of(&store, 1);
  struct operation lookup = {.kind = OPERATION_CACHE_READ, .scheduled_ns = 5};
  struct request request = send(&client, &lookup, OUTCOME_OK, false);
  assert_int_equal(request.statement, SESSION_STORE_CACHE_GET);
  assert_in_range(lookup.sequence, 1, 50);
  assert_int_equal(lookup.value, 0);
  struct operation write = {.kind = OPERATION_CACHE_WRITE, .scheduled_ns = 6};
  request = send(&client, &write, OUTCOME_OK, false);
  assert_int_equal(request.statement, SESSION_STORE_CACHE_PUT);
  assert_int_equal(request.number_count, 2);
  assert_int_equal(write.sequence, lookup.sequence);
  assert_int_equal(strlen(request.text), 1000);
  struct operation again = {.kind = OPERATION_CACHE_READ, .scheduled_ns = 5};
  (void)send(&client, &again, OUTCOME_OK, true);
  assert_int_equal(again.value, again.sequence);
  assert_int_equal(again.sequence, lookup.sequence); /* the same chance */
  store_release(&store);
}

static void test_entries_may_have_a_time_to_live(void **state) {
  (void)state;
  struct store store;
  struct error err = ERROR_INIT;
  store_init(&store);
  store.config.cache_ttl_ns = 1500 * NS_PER_MS;
  assert_ok(workload_session_store.classes(&store.env, store.classes, 2, &store.count, &err), &err);
  struct client client = client_of(&store, 1);
  struct operation write = {.kind = OPERATION_CACHE_WRITE};
  struct request request = send(&client, &write, OUTCOME_OK, false);
  assert_int_equal(request.statement, SESSION_STORE_CACHE_SET);
  assert_int_equal(request.numbers[2], 1500);
  assert_int_equal(write.read_identity, 1500);
  store_release(&store);
}

static void test_the_plan_depends_on_chance_alone(void **state) {
  (void)state;
  struct store store;
  uint32_t writes = 0;
  store_init(&store);
  struct client client = client_of(&store, 1);
  prng_init(&client.prng, 9, "client/0");
  for (int i = 0; i < 10000; i++) {
    struct operation operation = {.scheduled_ns = (uint64_t)i};
    workload_session_store.plan(&client, &operation);
    writes += operation.kind == OPERATION_CACHE_WRITE;
    assert_true(operation.kind == OPERATION_CACHE_WRITE || operation.kind == OPERATION_CACHE_READ);
  }
  assert_in_range(writes, 1800, 2200);
  store_release(&store);
}

static void test_what_contradicts_itself_is_refused(void **state) {
  (void)state;
  struct store store;
  struct error err = ERROR_INIT;
  store_init(&store);
  store.config.options.connect_timeout_ns = store.config.options.operation_timeout_ns = NS_PER_S;
  assert_int_equal(workload_session_store.plugin.validate(&store.config, &err), STATUS_USAGE);
  store.config.options.operation_timeout_ns = 2 * NS_PER_S;
  assert_ok(workload_session_store.plugin.validate(&store.config, &err), &err);
  store.config.cache_ttl_ns = 1;
  assert_int_equal(workload_session_store.plugin.validate(&store.config, &err), STATUS_USAGE);
  store_release(&store);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_class_has_its_share),
      cmocka_unit_test(test_a_session_is_written_with_its_time_to_live),
      cmocka_unit_test(test_only_sessions_that_still_live_are_asked_for),
      cmocka_unit_test(test_sessions_outlive_an_unknown_write),
      cmocka_unit_test(test_a_missed_entry_is_written_next),
      cmocka_unit_test(test_entries_may_have_a_time_to_live),
      cmocka_unit_test(test_the_plan_depends_on_chance_alone),
      cmocka_unit_test(test_what_contradicts_itself_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
