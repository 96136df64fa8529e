/* redis-register without a server: what its clients send, and what the record says of it. */
#include "workload/redis_register.h"

#include "support/test.h"
#include "workload/redis_command.h"

static const struct endpoint endpoints[] = {{.host = 3}, {.host = 4}};

struct registers {
  struct redis_register_config config;
  struct access access;
  struct workload_env env;
  struct client_class class;
  struct client client;
};

static void registers_init(struct registers *it) {
  *it = (struct registers){
      .config = {.rate = 100, .clients = 5, .keys = 4, .write_ratio = 0.3, .cas_ratio = 0.2}};
  it->access = (struct access){.endpoints = endpoints, .endpoint_count = 2};
  it->env = (struct workload_env){
      .workload = &workload_redis_register, .config = &it->config, .access = &it->access};
  it->client = (struct client){.env = &it->env, .class = &it->class, .identity = 7};
  prng_init(&it->client.prng, 9, "client/0");
}

static struct request send(struct registers *it, struct operation *operation,
                           const struct reply *reply) {
  char payload[1] = "";
  struct request request = {.statement = UINT32_MAX};
  operation->identity = it->client.identity;
  if (operation->kind != OPERATION_REGISTER_READ) operation->sequence = ++it->client.sequence;
  workload_redis_register.submit(&it->client, operation, &request, payload);
  operation->outcome = reply->outcome;
  workload_redis_register.answer(&it->client, operation, reply);
  return request;
}

static void test_the_plan_has_the_shares_asked_for(void **state) {
  (void)state;
  struct registers it;
  uint32_t kinds[OPERATION_KIND_COUNT] = {0}, numbers[5] = {0};
  registers_init(&it);
  for (int i = 0; i < 10000; i++) {
    struct operation operation = {.kind = OPERATION_PROBE};
    workload_redis_register.plan(&it.client, &operation);
    kinds[operation.kind]++;
    assert_in_range(operation.value >> REGISTER_SHIFT, 1, 4);
    numbers[operation.value >> REGISTER_SHIFT]++;
  }
  assert_in_range(kinds[OPERATION_WRITE], 2800, 3200);
  assert_in_range(kinds[OPERATION_REGISTER_CAS], 1800, 2200);
  assert_in_range(kinds[OPERATION_REGISTER_READ], 4800, 5200);
  for (int i = 1; i <= 4; i++) assert_in_range(numbers[i], 2300, 2700);
}

static void test_a_write_says_who_and_what(void **state) {
  (void)state;
  struct registers it;
  registers_init(&it);
  struct operation write = {.kind = OPERATION_WRITE, .value = register_value(3, 0)};
  struct request request = send(&it, &write, &(struct reply){.outcome = OUTCOME_OK});
  assert_int_equal(request.statement, REDIS_REGISTER_WRITE);
  assert_int_equal(request.number_count, 3);
  assert_int_equal(request.numbers[0], 3);
  assert_int_equal(request.numbers[1], 7);
  assert_int_equal(request.numbers[2], 1);
  assert_int_equal(write.value, register_value(3, 0));
}

static void test_a_read_is_what_is_compared_with_next(void **state) {
  (void)state;
  struct registers it;
  registers_init(&it);
  struct operation blind = {.kind = OPERATION_REGISTER_CAS, .value = register_value(4, 0)};
  struct request request = send(&it, &blind, &(struct reply){.outcome = OUTCOME_FAIL});
  assert_int_equal(request.statement, REDIS_REGISTER_CAS);
  assert_int_equal(request.numbers[0], 4);
  assert_int_equal(request.numbers[1], 0);
  assert_int_equal(request.numbers[2], 0);
  struct operation nothing = {.kind = OPERATION_REGISTER_READ, .value = register_value(1, 0)};
  (void)send(&it, &nothing, &(struct reply){.outcome = OUTCOME_OK});
  assert_int_equal(nothing.value, register_value(1, 0));
  assert_int_equal(nothing.read_identity, 0);
  struct operation read = {.kind = OPERATION_REGISTER_READ, .value = register_value(2, 0)};
  (void)send(&it, &read,
             &(struct reply){.outcome = OUTCOME_OK, .has_row = true, .values = {11, 42}});
  assert_int_equal(read.value, register_value(2, 42));
  assert_int_equal(read.read_identity, 11);
  struct operation cas = {.kind = OPERATION_REGISTER_CAS, .value = register_value(4, 0)};
  request = send(&it, &cas, &(struct reply){.outcome = OUTCOME_OK});
  const int64_t expected[] = {2, 11, 42, 7, 2};
  assert_int_equal(request.number_count, 5);
  assert_memory_equal(request.numbers, expected, sizeof expected);
  assert_int_equal(cas.value, register_value(2, 42));
  assert_int_equal(cas.read_identity, 11);
}

static void test_pinned_clients_are_one_a_host(void **state) {
  (void)state;
  struct registers it;
  struct error err = ERROR_INIT;
  struct client_class classes[3];
  uint32_t count = 0;
  registers_init(&it);
  assert_ok(workload_redis_register.classes(&it.env, classes, 3, &count, &err), &err);
  assert_int_equal(count, 1);
  it.config.pinned_rate = 10;
  assert_ok(workload_redis_register.classes(&it.env, classes, 3, &count, &err), &err);
  assert_int_equal(count, 3);
  assert_int_equal(classes[2].host, 4);
  assert_int_equal(workload_redis_register.classes(&it.env, classes, 2, &count, &err),
                   STATUS_USAGE);
}

/* A cluster is told which node by the key, and of a script the key stands behind it. */
static void test_the_key_of_a_script_is_found(void **state) {
  (void)state;
  struct redis_command command;
  struct error err = ERROR_INIT;
  static const int64_t numbers[] = {4, 11, 42, 7, 2};
  const struct redis_arguments arguments = {.numbers = numbers, .number_count = 5};
  char out[2048];
  assert_ok(
      redis_command_init(&command, &workload_redis_register.statements[REDIS_REGISTER_CAS], &err),
      &err);
  assert_true(redis_command_bound(&command, &arguments) <= sizeof out);
  struct redis_shape shape = redis_command_format(&command, &arguments, out);
  assert_int_equal(shape.key_length, 6);
  assert_memory_equal(shape.key, "gd:r:4", 6);
  assert_memory_equal(out, "*6\r\n$4\r\nEVAL\r\n", 14);
  static const char end[] = "$1\r\n1\r\n$6\r\ngd:r:4\r\n$5\r\n11:42\r\n$3\r\n7:2\r\n";
  assert_memory_equal(out + shape.length - strlen(end), end, strlen(end));
  redis_command_release(&command);
}

static void test_what_contradicts_itself_is_refused(void **state) {
  (void)state;
  struct registers it;
  struct error err = ERROR_INIT;
  registers_init(&it);
  it.config.options.connect_timeout_ns = it.config.options.operation_timeout_ns = NS_PER_S;
  assert_int_equal(workload_redis_register.plugin.validate(&it.config, &err), STATUS_USAGE);
  it.config.options.operation_timeout_ns = 2 * NS_PER_S;
  assert_ok(workload_redis_register.plugin.validate(&it.config, &err), &err);
  it.config.cas_ratio = 0.8;
  assert_int_equal(workload_redis_register.plugin.validate(&it.config, &err), STATUS_USAGE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_plan_has_the_shares_asked_for),
      cmocka_unit_test(test_a_write_says_who_and_what),
      cmocka_unit_test(test_a_read_is_what_is_compared_with_next),
      cmocka_unit_test(test_pinned_clients_are_one_a_host),
      cmocka_unit_test(test_the_key_of_a_script_is_found),
      cmocka_unit_test(test_what_contradicts_itself_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
