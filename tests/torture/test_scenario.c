/* The n-th allocation fails, for every n, while a scenario is parsed, printed and described: an
 * error, no crash, no leak (the leak checker of the build looks at the end). The build sends malloc
 * and its kin of everything that is linked statically through the functions below. */
#include <jansson.h>

#include "support/scenario_fixture.h"
#include "support/test.h"

/* Allocations left until one fails; below 0: none does. */
static long allocations_left = -1;

static bool fails_now(void) {
  if (allocations_left < 0) return false;
  return allocations_left-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size) {
  return fails_now() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
  return fails_now() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *memory, size_t size) {
  return fails_now() ? NULL : __real_realloc(memory, size);
}
char *__wrap_strdup(const char *text) {
  return fails_now() ? NULL : __real_strdup(text);
}

/* One attempt in which allocation `n` fails; 0 when there was no n-th. */
typedef int attempt(void *data, struct error *err);

static void fail_each_allocation(attempt *attempt_once, void *data) {
  for (long n = 0; n < 100000; n++) {
    struct error err = ERROR_INIT;
    allocations_left = n;
    int status = attempt_once(data, &err);
    bool failed = allocations_left < 0;
    allocations_left = -1;
    if (!failed) {
      assert_int_equal(status, 0);
      assert_true(n > 5); /* else nothing went through the wrappers */
      return;
    }
    assert_int_equal(status, STATUS_MEMORY);
    assert_int_equal(err.status, STATUS_MEMORY);
    assert_true(err.message[0] != '\0');
  }
  fail_msg("allocations without end");
}

static struct scenario_errors errors;

static int parse_once(void *data, struct error *err) {
  static const struct scenario_override overrides[] = {
      {"load.duration", "1h"}, {"cluster.services.store.parameters", "{a: 1, b: 2}"}};
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
  buf_puts(&yaml, "]\nload: {<<: &l {warmup: 1s}, settle: 1s}\nmeasure: &m {}\ndescription: >\n");
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
