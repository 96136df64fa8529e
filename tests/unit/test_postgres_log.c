/* Picking the lines of a server's log that say why it did not start. */
#include "support/test.h"

#include "services/postgres.h"

static void expect(const char *log, size_t size, const char *expected) {
  char text[1024];
  server_log_pick(postgres_log_choose, log, strlen(log), text, size);
  assert_string_equal(text, expected);
}

static void test_fatal_lines_are_preferred(void **state) {
  (void)state;
  expect(
      "INFO: starting\n"
      "2026 [1] FATAL:  the database system is starting up\n"
      "2026 [2] FATAL:  could not map anonymous shared memory: Cannot allocate memory\n"
      "2026 [2] HINT:  reduce shared_buffers\n"
      "2026 ERROR: postmaster is not running\n"
      "INFO: bye\n",
      800,
      "2026 [2] FATAL:  could not map anonymous shared memory: Cannot allocate memory\n"
      "2026 [2] HINT:  reduce shared_buffers");
}

static void test_errors_then_anything(void **state) {
  (void)state;
  expect("INFO: a\nERROR: b\nINFO: c\n", 800, "ERROR: b");
  expect("one\n\ntwo", 800, "one\ntwo");
  expect("", 800, "");
  expect("\n\n\n", 800, "");
}

static void test_last_ones_that_fit(void **state) {
  (void)state;
  expect("FATAL: first\nFATAL: second\nFATAL: third\n", 26, "FATAL: third");
  expect("FATAL: first\nFATAL: second\nFATAL: third\n", 27, "FATAL: second\nFATAL: third");
  expect("FATAL: a line that is longer than the whole room\n", 12, "FATAL: a li");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fatal_lines_are_preferred),
      cmocka_unit_test(test_errors_then_anything),
      cmocka_unit_test(test_last_ones_that_fit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
