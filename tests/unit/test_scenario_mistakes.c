/* Mistakes in the parts of a scenario: every one of a file at once, in the order of place, and the
 * words of each kind. */
#include "support/scenario_fixture.h"
#include "support/test.h"

static void test_ten_mistakes_give_ten_messages(void **state) {
  (void)state;
  static const char yaml[] =
      "name: Ten Mistakes\n"
      "repaet: 3\n"
      "cluster:\n"
      "  provider: labb\n"
      "  start_timeout: 60\n"
      "  services:\n"
      "    store: {ttl: 1s, synchronous: yes}\n"
      "workloads:\n"
      "  - ledger: {clients: 4}\n"
      "timeline:\n"
      "  - at: recovery + 5s\n"
      "    host-crash: {target: store.primry}\n"
      "objectives:\n"
      "  failover_tme: <= 45s\n"
      "  availability: 101%\n";
  char *found = fixture_mistakes(yaml, NULL, 0);
  assert_string_equal(
      found,
      "s.yaml:1:7: name: \"Ten Mistakes\" is no name; expected small letters, digits and '-', at "
      "most 64\n"
      "s.yaml:2:1: unknown key \"repaet\" in the scenario; did you mean 'repeat'?\n"
      "s.yaml:4:13: unknown provider \"labb\"; did you mean 'lab'?\n"
      "s.yaml:5:18: start_timeout: \"60\" has no unit; expected a duration such as 30s or 250ms\n"
      "s.yaml:7:18: ttl: \"1s\" is too small; expected 5s to 300s\n"
      "s.yaml:7:35: synchronous: \"yes\" is not a truth value; expected true or false\n"
      "s.yaml:9:5: 'rate' is missing in ledger; expected a rate such as 500/s\n"
      "s.yaml:11:9: at: no entry is before this one whose recovery could be awaited; expected a "
      "duration such as 10s\n"
      "s.yaml:12:26: target: \"store.primry\" is no target; did you mean 'store.primary'?\n"
      "s.yaml:14:3: unknown measure \"failover_tme\"; did you mean 'failover_time'?\n"
      "s.yaml:15:17: availability: \"101%\" is more than everything; expected at most 100%\n");
  free(found);
}

static void test_first_mistake_is_the_error(void **state) {
  (void)state;
  static const char yaml[] = "seed: x\nobjectives: []\n";
  struct scenario_errors *errors = calloc(1, sizeof *errors);
  struct scenario scenario;
  struct error err = ERROR_INIT;
  assert_int_equal(scenario_parse("a/b.yaml", yaml, strlen(yaml), &fixture_tables, NULL, 0,
                                  &scenario, errors, &err),
                   STATUS_USAGE);
  assert_int_equal(errors->count, 5);
  assert_int_equal(errors->total, 5);
  assert_string_equal(err.file, "a/b.yaml");
  assert_int_equal(err.line, 1);
  assert_int_equal(err.column, 1);
  assert_string_equal(err.message,
                      "'name' is missing in the scenario; expected a name such as primary-crash");
  assert_string_equal(errors->errors[0].message, err.message);
  scenario_release(&scenario);
  free(errors);
}

static void test_more_mistakes_than_room_are_counted(void **state) {
  (void)state;
  struct buf yaml;
  buf_init(&yaml);
  buf_puts(&yaml, fixture_minimal);
  for (int i = 0; i < 150; i++) buf_printf(&yaml, "key%d: 1\n", i);
  struct scenario_errors *errors = calloc(1, sizeof *errors);
  struct scenario scenario;
  assert_int_equal(scenario_parse("s.yaml", yaml.data, yaml.length, &fixture_tables, NULL, 0,
                                  &scenario, errors, NULL),
                   STATUS_USAGE);
  assert_int_equal(errors->count, SCENARIO_ERRORS_MAX);
  assert_int_equal(errors->total, 150);
  assert_int_equal(errors->errors[99].line, 109);
  scenario_release(&scenario);
  free(errors);
  buf_release(&yaml);
}

static void test_missing_file_is_delivered_like_a_mistake(void **state) {
  (void)state;
  struct scenario_errors *errors = calloc(1, sizeof *errors);
  struct scenario scenario;
  struct error err = ERROR_INIT;
  assert_true(
      scenario_load("/nonexistent/s.yaml", &fixture_tables, NULL, 0, &scenario, errors, &err) < 0);
  assert_int_equal(errors->count, 1);
  assert_string_equal(errors->errors[0].message, err.message);
  scenario_release(&scenario);
  free(errors);
}

/* A scenario with one value under test, and what is said of it. */
struct value_sample {
  const char *service, *message;
};

static void test_values_of_every_type(void **state) {
  (void)state;
  static const struct value_sample samples[] = {
      {"instances: nine", "24: instances: \"nine\" is not a whole number; expected one such as 3"},
      {"instances: 8", "24: instances: \"8\" is too large; expected 1 to 7"},
      {"instances: -1", "24: instances: \"-1\" is too small; expected 1 to 7"},
      {"instances: 4294967296", "24: instances: \"4294967296\" is too large; expected 1 to 7"},
      {"instances: 03",
       "24: instances: \"03\" begins with a zero; expected a whole number without"},
      {"instances: \"3\"",
       "24: instances: found a text in quotes; expected a whole number without"},
      {"instances: 3s", "24: instances: \"3s\" is not a whole number; expected one such as 3"},
      {"instances: [3]", "24: instances: found a list; expected a whole number"},
      {"instances: ~", "24: instances: found nothing; expected a whole number"},
      {"ttl: 30", "18: ttl: \"30\" has no unit; expected a duration such as 30s or 250ms"},
      {"ttl: 30 parsecs",
       "18: ttl: \"30 parsecs\" has the unknown unit \"parsecs\" (known: ns, us, ms, s, min, h, "
       "d); expected a duration such as 30s or 250ms"},
      {"ttl: 1h", "18: ttl: \"1h\" is too large; expected 5s to 300s"},
      {"ttl: {}", "18: ttl: found a mapping; expected a duration such as 30s"},
      {"memory: 5", "21: memory: \"5\" has no unit; expected a size such as 512MiB or 8kB"},
      {"memory: 1B", "21: memory: \"1B\" is too small; expected at least 1MiB"},
      {"weight: heavy", "21: weight: \"heavy\" is not a number; expected a number such as 1.5"},
      {"offset: -11", "21: offset: \"-11\" is too small; expected -10 to 10"},
      {"synchronous: on", "26: synchronous: \"on\" is not a truth value; expected true or false"},
      {"topology: chian", "23: topology: \"chian\" is not a choice; did you mean 'chain'?"},
      {"topology: star", "23: topology: \"star\" is not a choice; expected one of pair, chain"},
      {"parameters: 5", "25: parameters: found \"5\"; expected a mapping (key: value)"},
      {"parameters: {a: [1]}", "29: \"a\" in parameters: found a list; expected one value"},
      {"suite: null", "20: suite: found nothing; expected a text"},
      {"topologie: pair", "13: unknown key \"topologie\" in store; did you mean 'topology'?"},
      {"colour: red",
       "13: unknown key \"colour\" in store; expected one of topology, instances, ttl, "
       "synchronous, weight, offset, memory, suite, parameters"},
      {"topology: pair", "5: store: a pair has 2 instances, not 3"},
  };
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    char *yaml = NULL, *expected = NULL;
    assert_true(asprintf(&yaml,
                         "name: a\ncluster:\n  provider: lab\n  services:\n"
                         "    store: {%s}\n"
                         "workloads: [ledger: {rate: 5/s}]\nobjectives: {data_loss: 0}\n",
                         samples[i].service) > 0);
    assert_true(asprintf(&expected, "s.yaml:5:%s\n", samples[i].message) > 0);
    char *found = fixture_mistakes(yaml, NULL, 0);
    assert_string_equal(found, expected);
    free(found);
    free(expected);
    free(yaml);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ten_mistakes_give_ten_messages),
      cmocka_unit_test(test_first_mistake_is_the_error),
      cmocka_unit_test(test_more_mistakes_than_room_are_counted),
      cmocka_unit_test(test_missing_file_is_delivered_like_a_mistake),
      cmocka_unit_test(test_values_of_every_type),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
