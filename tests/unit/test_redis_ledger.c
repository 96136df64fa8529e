/* redis-ledger without a server: its clients, what they send, and what is made of what is read. */
#include "workload/redis_ledger.h"

#include "gameday/redis_access.h"
#include "support/test.h"
#include "workload/ledger_row.h"

#define CLASSES_MAX 64u

static const struct endpoint endpoints[] = {{.host = 3}, {.host = 4}, {.host = 5}};

struct ledger {
  struct redis_ledger_config config;
  struct access access;
  struct workload_env env;
  struct client_class classes[CLASSES_MAX];
  uint32_t count;
};

static void ledger_init(struct ledger *ledger, uint16_t shards) {
  *ledger = (struct ledger){.config = {.common.rate = 100,
                                       .common.clients = 4,
                                       .common.payload = 8,
                                       .wait_timeout_ns = 1500 * NS_PER_MS + 1,
                                       .common.pinned_rate = 10,
                                       .common.heartbeat_ns = NS_PER_S,
                                       .common.probe_interval_ns = NS_PER_S}};
  ledger->access = (struct access){.endpoints = endpoints, .endpoint_count = 3, .shards = shards};
  ledger->env = (struct workload_env){.workload = &workload_redis_ledger,
                                      .config = &ledger->config,
                                      .seed = 9,
                                      .access = &ledger->access};
}

static void ledger_classes(struct ledger *ledger) {
  struct error err = ERROR_INIT;
  assert_ok(workload_redis_ledger.classes(&ledger->env, ledger->classes, CLASSES_MAX,
                                          &ledger->count, &err),
            &err);
}

static uint32_t count_class(const struct ledger *ledger, const char *name) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < ledger->count; i++) {
    if (strcmp(ledger->classes[i].name, name) == 0) count++;
  }
  return count;
}

static const struct client_class *find_class(const struct ledger *ledger, const char *name,
                                             uint32_t nth) {
  for (uint32_t i = 0; i < ledger->count; i++) {
    if (strcmp(ledger->classes[i].name, name) == 0 && nth-- == 0) return &ledger->classes[i];
  }
  fail_msg("no class %s", name);
  return NULL;
}

static struct request send(struct ledger *ledger, const char *name, uint32_t nth,
                           enum operation_kind kind, char *payload) {
  struct client client = {.env = &ledger->env,
                          .class = find_class(ledger, name, nth),
                          .identity = 7,
                          .acknowledged = 41};
  struct operation operation = {.kind = kind, .identity = 7, .sequence = 42};
  struct request request = {.statement = UINT32_MAX};
  workload_redis_ledger.submit(&client, &operation, &request, payload);
  assert_true(client.class->uses >> request.statement & 1);
  return request;
}

static void test_each_host_and_each_shard_has_its_clients(void **state) {
  (void)state;
  struct ledger ledger;
  for (uint16_t shards = 0; shards <= 6; shards++) {
    ledger_init(&ledger, shards);
    ledger_classes(&ledger);
    assert_int_equal(count_class(&ledger, "writer"), 1);
    assert_int_equal(count_class(&ledger, "probe"), 1);
    assert_int_equal(count_class(&ledger, "pinned"), 3);
    assert_int_equal(count_class(&ledger, "heartbeat-reader"), 3);
    assert_int_equal(count_class(&ledger, "heartbeat-writer"), shards > 0 ? shards : 1);
  }
  ledger.config.common.pinned_rate = 0;
  ledger_classes(&ledger);
  assert_int_equal(count_class(&ledger, "pinned"), 0);
}

static void test_too_many_hosts_for_the_classes(void **state) {
  (void)state;
  struct ledger ledger;
  ledger_init(&ledger, 0);
  uint32_t count = 0;
  assert_int_equal(workload_redis_ledger.classes(&ledger.env, ledger.classes, 8, &count, NULL),
                   STATUS_USAGE);
}

static void test_what_is_sent(void **state) {
  (void)state;
  struct ledger ledger;
  char payload[9];
  ledger_init(&ledger, 0);
  ledger_classes(&ledger);
  struct request request = send(&ledger, "writer", 0, OPERATION_WRITE, payload);
  assert_int_equal(request.statement, REDIS_LEDGER_APPEND);
  assert_int_equal(request.number_count, 3);
  assert_int_equal(request.numbers[0], 7);
  assert_int_equal(request.numbers[1], 42);
  assert_int_equal(request.numbers[2], ledger_checksum(7, 42, payload, 8));
  request = send(&ledger, "writer", 0, OPERATION_READ_OWN, payload);
  assert_int_equal(request.statement, REDIS_LEDGER_READ_OWN);
  assert_int_equal(request.numbers[1], 41);
  request = send(&ledger, "pinned", 1, OPERATION_WRITE, payload);
  assert_int_equal(request.statement, REDIS_LEDGER_APPEND_HERE);
  request = send(&ledger, "heartbeat-writer", 0, OPERATION_HEARTBEAT_WRITE, payload);
  assert_int_equal(request.statement, REDIS_LEDGER_HEARTBEAT_SET);
  assert_int_equal(request.numbers[0], 42);
  ledger.config.wait = 2;
  ledger_classes(&ledger);
  request = send(&ledger, "probe", 0, OPERATION_PROBE, payload);
  assert_int_equal(request.statement, REDIS_LEDGER_APPEND_WAIT);
  assert_int_equal(request.number_count, 5);
  assert_int_equal(request.numbers[3], 2);
  assert_int_equal(request.numbers[4], 1501); /* no shorter than asked for */
  request = send(&ledger, "pinned", 1, OPERATION_WRITE, payload);
  assert_int_equal(request.statement, REDIS_LEDGER_APPEND_HERE_WAIT);
  assert_int_equal(request.number_count, 5);
}

static void test_each_shard_has_a_beat_of_its_own(void **state) {
  (void)state;
  struct ledger ledger;
  ledger_init(&ledger, 5);
  ledger_classes(&ledger);
  for (uint32_t i = 0; i < 5; i++) {
    char payload[9], tag[REDIS_TAG_SIZE], expected[REDIS_TAG_SIZE];
    struct request request =
        send(&ledger, "heartbeat-writer", i, OPERATION_HEARTBEAT_WRITE, payload);
    assert_int_equal(request.statement, REDIS_LEDGER_HEARTBEAT_SET_SHARD);
    snprintf(tag, sizeof tag, "{%d}:", (int)request.numbers[1]);
    redis_shard_tag((uint16_t)(i + 1), 5, expected);
    assert_string_equal(tag, expected);
  }
}

/* --- the final read -------------------------------------------------------------------------- */

/* Stands for the servers: gives these rows. */
static const char *const (*given)[2];
static uint32_t given_count;

static int give_rows(const struct access *access, const struct endpoint *endpoint, const char *text,
                     uint64_t timeout_ns, row_callback *row, void *data, struct error *err) {
  (void)access;
  (void)endpoint;
  (void)timeout_ns;
  assert_string_equal(text, "gd:w:*");
  for (uint32_t i = 0; i < given_count; i++) {
    int status = row(data, given[i], 2, err);
    if (status != 0) return status;
  }
  return 0;
}

struct taker {
  struct final_reader reader;
  struct final_row rows[8];
  uint32_t count;
};

static int take(struct final_reader *reader, const struct final_row *row, struct error *err) {
  struct taker *taker = (struct taker *)(void *)reader;
  (void)err;
  if (taker->count < 8) taker->rows[taker->count] = *row;
  taker->count++;
  return 0;
}

static int read_rows(struct ledger *ledger, const char *const (*rows)[2], uint32_t count,
                     struct taker *ret_taker, struct error *err) {
  static const struct driver driver = {.name = "given", .read_rows = give_rows};
  ledger_init(ledger, 0);
  ledger->access.driver = &driver;
  given = rows;
  given_count = count;
  *ret_taker = (struct taker){.reader = {.row = take}};
  return workload_redis_ledger.final_read(&ledger->env, &endpoints[0], &ret_taker->reader, err);
}

static void test_rows_are_read_once_and_damage_is_seen(void **state) {
  (void)state;
  struct ledger ledger;
  struct taker taker;
  struct error err = ERROR_INIT;
  char good[64];
  snprintf(good, sizeof good, "%u:abc", ledger_checksum(7, 1, "abc", 3));
  const char *const rows[][2] = {
      {"gd:w:7:1", good}, {"gd:w:{17}:7:2", "5:abc"}, {"gd:w:7:1", good}, {"gd:w:8:1", "0:"}};
  assert_ok(read_rows(&ledger, rows, 4, &taker, &err), &err);
  assert_int_equal(taker.count, 3);
  assert_int_equal(taker.rows[0].identity, 7);
  assert_int_equal(taker.rows[0].sequence, 1);
  assert_int_equal(taker.rows[0].corrupt, 0);
  assert_int_equal(taker.rows[0].value, ledger_checksum(7, 1, "abc", 3));
  assert_int_equal(taker.rows[1].sequence, 2);
  assert_int_equal(taker.rows[1].corrupt, 1);
  assert_int_equal(taker.rows[2].identity, 8);
  assert_int_equal(taker.rows[2].corrupt, 1);
}

static void test_many_rows(void **state) {
  (void)state;
  enum { COUNT = 20000 };
  struct ledger ledger;
  struct taker taker;
  struct error err = ERROR_INIT;
  static char keys[COUNT][32];
  static const char *rows[COUNT][2];
  for (uint32_t i = 0; i < COUNT; i++) {
    /* Each key comes twice. */
    snprintf(keys[i], sizeof keys[i], "gd:w:%u:%u", i % 7 + 1, i % (COUNT / 2) / 7 + 1);
    rows[i][0] = keys[i];
    rows[i][1] = "1:x";
  }
  uint32_t distinct = 0;
  static bool seen[8][COUNT];
  for (uint32_t i = 0; i < COUNT; i++) {
    bool *place = &seen[i % 7 + 1][i % (COUNT / 2) / 7 + 1];
    distinct += *place ? 0 : 1;
    *place = true;
  }
  assert_ok(read_rows(&ledger, (const char *const(*)[2])rows, COUNT, &taker, &err), &err);
  assert_int_equal(taker.count, distinct);
}

static void test_what_is_none_of_its_keys(void **state) {
  (void)state;
  static const char *const bad[][2] = {
      {"gd:w:", "1:x"},    {"gd:w:1", "1:x"},    {"gd:w:1:", "1:x"},
      {"gd:w:x:1", "1:x"}, {"gd:w:{1:1", "1:x"}, {"gd:w:1:99999999999", "1:x"},
      {"gd:w:1:1", "x"},   {"gd:w:1:1", "1"},    {"gd:w:1:1:1", "1:x"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct ledger ledger;
    struct taker taker;
    struct error err = ERROR_INIT;
    assert_int_equal(read_rows(&ledger, &bad[i], 1, &taker, &err), STATUS_SERVER);
    assert_non_null(strstr(err.message, bad[i][0]));
  }
}

static void test_timeouts_that_contradict_each_other(void **state) {
  (void)state;
  struct redis_ledger_config config = {
      .wait = 1,
      .wait_timeout_ns = 2 * NS_PER_S,
      .common.options = {.connect_timeout_ns = NS_PER_S, .operation_timeout_ns = 2 * NS_PER_S}};
  struct error err = ERROR_INIT;
  assert_int_equal(workload_redis_ledger.plugin.validate(&config, &err), STATUS_USAGE);
  assert_non_null(strstr(err.message, "wait_timeout"));
  config.wait = 0;
  assert_int_equal(workload_redis_ledger.plugin.validate(&config, &err), 0);
  config.common.options.connect_timeout_ns = 3 * NS_PER_S;
  assert_int_equal(workload_redis_ledger.plugin.validate(&config, &err), STATUS_USAGE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_host_and_each_shard_has_its_clients),
      cmocka_unit_test(test_too_many_hosts_for_the_classes),
      cmocka_unit_test(test_what_is_sent),
      cmocka_unit_test(test_each_shard_has_a_beat_of_its_own),
      cmocka_unit_test(test_rows_are_read_once_and_damage_is_seen),
      cmocka_unit_test(test_many_rows),
      cmocka_unit_test(test_what_is_none_of_its_keys),
      cmocka_unit_test(test_timeouts_that_contradict_each_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
