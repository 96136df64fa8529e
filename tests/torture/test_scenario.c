/* The n-th allocation fails, for every n, while a scenario is parsed, printed and described. */
#include <jansson.h>

#include "support/scenario_fixture.h"
#include "torture/allocations.h"

static struct scenario_errors errors;

static int parse_once(void *data, struct error *err) {
  static const struct scenario_override overrides[] = {
      {.path = "load.duration", .value = "1h"},
      {.path = "cluster.services.store.parameters", .value = "{a: 1, b: 2}"}};
  const char *yaml = data;
  struct scenario scenario;
  int status = scenario_parse("s.yaml", yaml, strlen(yaml), &fixture_tables, overrides, 2,
                              &scenario, &errors, err);
  if (status < 0) assert_true(errors.count > 0);
  scenario_release(&scenario);
  return status;
}

static void test_parse(void **state) {
  (void)state;
  struct buf yaml;
  buf_init(&yaml);
  buf_puts(&yaml, fixture_minimal);
  /* enough for several blocks of the arena, aliases and a merge */
  buf_puts(&yaml, "  availability: [&a 99%");
  for (int i = 0; i < 60; i++) buf_puts(&yaml, ", *a");
  buf_puts(&yaml, "]\nload: {<<: &l {warmup: 1s}, settle: 1s}\nmeasure: &m {}\n");
  buf_puts(&yaml, "explore: {faults: 1..2, injectors: [freeze, host-crash]}\ndescription: >\n");
  for (int i = 0; i < 500; i++) buf_printf(&yaml, "  words %d of a long text\n", i);
  assert_int_equal(buf_ok(&yaml, NULL), 0);
  fail_each_allocation(parse_once, yaml.data);
  buf_release(&yaml);
}

static int mistakes_once(void *data, struct error *err) {
  int status = parse_once(data, err);
  return status == STATUS_USAGE ? 0 : status;
}

static void test_parse_with_mistakes(void **state) {
  (void)state;
  struct buf yaml;
  buf_init(&yaml);
  buf_puts(&yaml, fixture_minimal);
  for (int i = 0; i < 300; i++) buf_printf(&yaml, "  unknown_%d: 1s\n", i);
  assert_int_equal(buf_ok(&yaml, NULL), 0);
  fail_each_allocation(mistakes_once, yaml.data);
  buf_release(&yaml);
}

static int print_once(void *data, struct error *err) {
  struct buf yaml;
  buf_init(&yaml);
  int status = scenario_print(data, &yaml, err);
  buf_release(&yaml);
  return status;
}

static void test_print(void **state) {
  (void)state;
  struct scenario scenario;
  struct error err = ERROR_INIT;
  assert_ok(scenario_parse("s.yaml", fixture_minimal, strlen(fixture_minimal), &fixture_tables,
                           NULL, 0, &scenario, &errors, &err),
            &err);
  fail_each_allocation(print_once, &scenario);
  scenario_release(&scenario);
}

static int schema_once(void *data, struct error *err) {
  struct buf json;
  buf_init(&json);
  int status = scenario_schema(data, &json, err);
  buf_release(&json);
  return status;
}

static void test_schema(void **state) {
  (void)state;
  json_set_alloc_funcs(malloc, free); /* ours: the library itself is linked dynamically */
  struct scenario_tables tables = fixture_tables;
  fail_each_allocation(schema_once, &tables);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parse),
      cmocka_unit_test(test_parse_with_mistakes),
      cmocka_unit_test(test_print),
      cmocka_unit_test(test_schema),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
