/* What an SQLSTATE says about a statement that was sent. */
#include "workload/pg_outcome.h"

#include "support/test.h"
#include "workload/ledger_row.h"
#include "workload/pg_client.h"

static void test_known_sqlstates(void **state) {
  (void)state;
  static const struct {
    const char *sqlstate;
    enum outcome outcome;
  } cases[] = {
      {"25006", OUTCOME_FAIL},    {"40001", OUTCOME_FAIL},    {"40P01", OUTCOME_FAIL},
      {"23505", OUTCOME_FAIL},    {"42P01", OUTCOME_FAIL},    {"26000", OUTCOME_FAIL},
      {"53100", OUTCOME_FAIL},    {"53300", OUTCOME_FAIL},    {"55P03", OUTCOME_FAIL},
      {"22001", OUTCOME_FAIL},    {"28P01", OUTCOME_FAIL},    {"25P02", OUTCOME_FAIL},
      {"40003", OUTCOME_UNKNOWN}, {"57014", OUTCOME_UNKNOWN}, {"57P01", OUTCOME_UNKNOWN},
      {"57P02", OUTCOME_UNKNOWN}, {"57P03", OUTCOME_UNKNOWN}, {"57P05", OUTCOME_UNKNOWN},
      {"08006", OUTCOME_UNKNOWN}, {"08P01", OUTCOME_UNKNOWN}, {"08007", OUTCOME_UNKNOWN},
      {"58030", OUTCOME_UNKNOWN}, {"XX000", OUTCOME_UNKNOWN}, {"XX001", OUTCOME_UNKNOWN},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    if (pg_outcome(cases[i].sqlstate, false, true) != cases[i].outcome) {
      fail_msg("%s is not %s", cases[i].sqlstate, outcome_name(cases[i].outcome));
    }
  }
}

static void test_what_is_not_known_is_unknown(void **state) {
  (void)state;
  assert_int_equal(pg_outcome(NULL, false, true), OUTCOME_UNKNOWN);
  assert_int_equal(pg_outcome("", false, true), OUTCOME_UNKNOWN);
  assert_int_equal(pg_outcome("2350", false, true), OUTCOME_UNKNOWN);
  assert_int_equal(pg_outcome("99999", false, true), OUTCOME_UNKNOWN);
  assert_int_equal(pg_outcome("00000", false, true), OUTCOME_UNKNOWN);
}

static void test_the_end_of_a_session_is_unknown_whatever_its_code(void **state) {
  (void)state;
  assert_int_equal(pg_outcome("53100", true, true), OUTCOME_UNKNOWN);
  assert_int_equal(pg_outcome("25P03", true, true), OUTCOME_UNKNOWN);
  assert_int_equal(pg_outcome("57P01", true, false), OUTCOME_UNKNOWN);
}

static void test_a_read_that_was_answered_with_an_error_failed(void **state) {
  (void)state;
  assert_int_equal(pg_outcome("57014", false, false), OUTCOME_FAIL);
  assert_int_equal(pg_outcome("40001", false, false), OUTCOME_FAIL);
  assert_int_equal(pg_outcome(NULL, false, false), OUTCOME_UNKNOWN);
}

static void test_table_is_in_order_and_gives_reasons(void **state) {
  (void)state;
  const char *before = "";
  for (const struct pg_outcome_rule *rule = pg_outcome_rules; rule->prefix; rule++) {
    size_t length = strlen(rule->prefix);
    assert_true(length >= 2 && length <= 5);
    assert_true(strcmp(before, rule->prefix) < 0);
    assert_true(rule->outcome == OUTCOME_FAIL || rule->outcome == OUTCOME_UNKNOWN);
    assert_true(strlen(rule->reason) > 10);
    before = rule->prefix;
  }
}

static void test_warnings_that_take_a_success_back(void **state) {
  (void)state;
  assert_true(pg_warning_is_doubt("01000"));
  assert_true(pg_warning_is_doubt("57P01"));
  assert_false(pg_warning_is_doubt("01004"));
  assert_false(pg_warning_is_doubt("00000"));
  assert_false(pg_warning_is_doubt(NULL));
}

static void split(const char *text, uint32_t expected_count, const char *const expected[]) {
  struct error err = ERROR_INIT;
  char line[128];
  const char *columns[4];
  uint32_t count = 0;
  snprintf(line, sizeof line, "%s", text);
  assert_ok(pg_copy_split(line, columns, 4, &count, &err), &err);
  assert_int_equal(count, expected_count);
  for (uint32_t i = 0; i < count; i++) {
    if (expected[i]) {
      assert_string_equal(columns[i], expected[i]);
    } else {
      assert_null(columns[i]);
    }
  }
}

static void test_copy_lines_are_split_and_decoded(void **state) {
  (void)state;
  split("1\t2\tx\n", 3, (const char *const[]){"1", "2", "x"});
  split("\t\n", 2, (const char *const[]){"", ""});
  split("", 1, (const char *const[]){""});
  split("a\\tb\t\\N\tc\\\\\\n\n", 3, (const char *const[]){"a\tb", NULL, "c\\\n"});
  split("N\t\\\\N\n", 2, (const char *const[]){"N", "\\N"});
  struct error err = ERROR_INIT;
  char line[] = "1\t2\t3";
  const char *columns[2];
  uint32_t count = 9;
  assert_int_equal(pg_copy_split(line, columns, 2, &count, &err), STATUS_SERVER);
  assert_int_equal(count, 9);
}

static void test_payloads_depend_on_seed_identity_and_sequence(void **state) {
  (void)state;
  char a[65], b[65];
  ledger_payload(1, 2, 3, 64, a);
  ledger_payload(1, 2, 3, 64, b);
  assert_string_equal(a, b);
  assert_int_equal(strlen(a), 64);
  assert_int_equal(strspn(a, "0123456789:;<=>?@ABCDEFGHIJKLMNO"), 64);
  ledger_payload(1, 2, 3, 13, b);
  assert_int_equal(strlen(b), 13);
  assert_memory_equal(a, b, 8);
  ledger_payload(2, 2, 3, 64, b);
  assert_string_not_equal(a, b);
  ledger_payload(1, 3, 2, 64, b);
  assert_string_not_equal(a, b);
  assert_int_not_equal(ledger_checksum(1, 2, a, 64), ledger_checksum(2, 1, a, 64));
  assert_int_not_equal(ledger_checksum(1, 2, a, 64), ledger_checksum(1, 2, a, 63));
  ledger_payload(1, 2, 3, 0, b);
  assert_string_equal(b, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_sqlstates),
      cmocka_unit_test(test_what_is_not_known_is_unknown),
      cmocka_unit_test(test_the_end_of_a_session_is_unknown_whatever_its_code),
      cmocka_unit_test(test_a_read_that_was_answered_with_an_error_failed),
      cmocka_unit_test(test_table_is_in_order_and_gives_reasons),
      cmocka_unit_test(test_warnings_that_take_a_success_back),
      cmocka_unit_test(test_copy_lines_are_split_and_decoded),
      cmocka_unit_test(test_payloads_depend_on_seed_identity_and_sequence),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
