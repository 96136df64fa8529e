/* Which workloads may stand beside each other. */
#include "support/fake.h"
#include "support/scenario_fixture.h"
#include "support/test.h"

/* The mistakes of a scenario with two ledgers, which read everything back at the end or nothing. */
static void check_two(bool reads_back, const char *expected) {
  static const char yaml[] =
      "name: two\n"
      "cluster: {provider: lab, services: {store: {}}}\n"
      "workloads:\n"
      "  - ledger: {rate: 200/s}\n"
      "  - ledger: {rate: 5/s}\n"
      "objectives:\n"
      "  data_loss: 0\n";
  struct workload ledger = *fixture_tables.workloads[0];
  if (reads_back) ledger.final_read = fake_final_read;
  const struct workload *const table[] = {&ledger, NULL};
  struct scenario_tables tables = fixture_tables;
  tables.workloads = table;
  struct scenario_errors *errors = calloc(1, sizeof *errors);
  struct scenario scenario;
  struct error err = ERROR_INIT;
  char text[ERROR_MESSAGE_SIZE + ERROR_FILE_SIZE + 32] = "";
  assert_non_null(errors);
  int status =
      scenario_parse("s.yaml", yaml, strlen(yaml), &tables, NULL, 0, &scenario, errors, &err);
  assert_int_equal(status < 0, expected[0] != '\0');
  if (status < 0) {
    assert_int_equal(errors->count, 1);
    error_format(&errors->errors[0], text, sizeof text);
  }
  assert_string_equal(text, expected);
  scenario_release(&scenario);
  free(errors);
}

/* The run then failed: every row was there twice, once for each workload that read it. */
static void test_two_workloads_that_read_back_the_same_are_refused(void **state) {
  (void)state;
  check_two(true,
            "s.yaml:5:5: workload 'ledger' is given twice, and each would read back the other's "
            "rows; expected one");
}

static void test_two_workloads_that_read_nothing_back_may_be(void **state) {
  (void)state;
  check_two(false, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_two_workloads_that_read_back_the_same_are_refused),
      cmocka_unit_test(test_two_workloads_that_read_nothing_back_may_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
