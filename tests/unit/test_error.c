/* Errors: filling, wrapping, places, truncation. */
#include "support/test.h"

static void test_set_fills_all_fields(void **state) {
  (void)state;
  struct error err = {.errnum = 7, .line = 3, .column = 4, .file = "old"};
  assert_int_equal(error_set(&err, STATUS_TIMEOUT, "waited %d s", 5), STATUS_TIMEOUT);
  assert_int_equal(err.status, STATUS_TIMEOUT);
  assert_int_equal(err.errnum, 0);
  assert_int_equal(err.line, 0);
  assert_string_equal(err.file, "");
  assert_string_equal(err.message, "waited 5 s");
}

static void test_null_drops_details(void **state) {
  (void)state;
  assert_int_equal(error_set(NULL, STATUS_SERVER, "x"), STATUS_SERVER);
  assert_int_equal(error_set_errno(NULL, 2, "x"), STATUS_SYSTEM);
  assert_int_equal(error_set_at(NULL, "f", 1, 1, "x"), STATUS_USAGE);
  assert_int_equal(error_wrap(NULL, "x"), STATUS_INTERNAL);
}

static void test_errno_text_is_appended(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  assert_int_equal(error_set_errno(&err, 2, "cannot open %s", "a"), STATUS_SYSTEM);
  assert_int_equal(err.errnum, 2);
  assert_string_equal(err.message, "cannot open a: No such file or directory");
}

static void test_wrap_puts_context_before(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  assert_int_equal(error_wrap(&err, "nothing to wrap"), STATUS_INTERNAL);
  error_set_at(&err, "s.yaml", 3, 9, "no such key");
  assert_int_equal(error_wrap(&err, "service %s", "pg"), STATUS_USAGE);
  assert_string_equal(err.message, "service pg: no such key");
  assert_int_equal(err.line, 3);
  assert_string_equal(err.file, "s.yaml");
}

static void test_arguments_may_come_from_the_error(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  error_set_at(&err, "file.yaml", 1, 2, "inner");
  error_set_at(&err, err.file, 5, 6, "again: %s", err.message);
  assert_string_equal(err.file, "file.yaml");
  assert_string_equal(err.message, "again: inner");
}

static void test_format_with_and_without_place(void **state) {
  (void)state;
  char text[64];
  struct error err = ERROR_INIT;
  error_set_at(&err, "s.yaml", 3, 9, "bad");
  error_format(&err, text, sizeof text);
  assert_string_equal(text, "s.yaml:3:9: bad");
  err.column = 0;
  error_format(&err, text, sizeof text);
  assert_string_equal(text, "s.yaml:3: bad");
  err.line = 0;
  error_format(&err, text, sizeof text);
  assert_string_equal(text, "s.yaml: bad");
  error_set(&err, STATUS_SERVER, "bad");
  error_format(&err, text, sizeof text);
  assert_string_equal(text, "bad");
  char small[3] = "xy";
  error_format(&err, small, sizeof small);
  assert_string_equal(small, "ba");
  error_format(&err, small, 0);
  assert_string_equal(small, "ba");
}

/* Whether `text` is well-formed UTF-8 of at most three bytes a character. */
static int is_utf8(const char *text) {
  for (const unsigned char *c = (const unsigned char *)text; *c;) {
    int more = *c >= 0xE0 ? 2 : *c >= 0xC0 ? 1 : 0;
    for (c++; more > 0; more--, c++)
      if ((*c & 0xC0) != 0x80) return 0;
  }
  return 1;
}

static void test_truncation_never_splits_a_character(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  for (int shift = 0; shift < 3; shift++) {
    char text[3 * ERROR_MESSAGE_SIZE] = "";
    memset(text, 'a', (size_t)shift);
    while (strlen(text) + 4 < sizeof text) strcat(text, "\xE2\x82\xAC"); /* the euro sign */
    error_set(&err, STATUS_USAGE, "%s", text);
    assert_true(is_utf8(err.message));
    assert_true(strlen(err.message) >= ERROR_MESSAGE_SIZE - 4);
    error_wrap(&err, "context");
    assert_true(is_utf8(err.message));
    error_set_at(&err, text, 1, 1, "x");
    assert_true(is_utf8(err.file));
    error_set(&err, STATUS_USAGE, "%s", text);
    char cut[100];
    error_format(&err, cut, sizeof cut);
    assert_true(is_utf8(cut));
    assert_true(strlen(cut) >= sizeof cut - 4);
  }
}

static void test_every_status_has_a_name(void **state) {
  (void)state;
  for (int status = STATUS_INTERNAL; status <= STATUS_OK; status++)
    for (int other = STATUS_INTERNAL; other < status; other++)
      assert_string_not_equal(status_name((enum status)status), status_name((enum status)other));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_set_fills_all_fields),
      cmocka_unit_test(test_null_drops_details),
      cmocka_unit_test(test_errno_text_is_appended),
      cmocka_unit_test(test_wrap_puts_context_before),
      cmocka_unit_test(test_arguments_may_come_from_the_error),
      cmocka_unit_test(test_format_with_and_without_place),
      cmocka_unit_test(test_truncation_never_splits_a_character),
      cmocka_unit_test(test_every_status_has_a_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
