/* Clocks: monotonic, wall, and how a moment is written. */
#include "base/clock.h"

#include "support/test.h"

static void test_monotonic_does_not_go_back(void **state) {
  (void)state;
  uint64_t last = clock_now_ns(&clock_monotonic);
  for (int i = 0; i < 10000; i++) {
    uint64_t now = clock_now_ns(&clock_monotonic);
    assert_true(now >= last);
    last = now;
  }
}

static void test_wall_is_written_in_utc(void **state) {
  (void)state;
  char text[32];
  clock_format_wall(0, text);
  assert_string_equal(text, "1970-01-01T00:00:00.000Z");
  clock_format_wall(UINT64_C(1000000000) * NS_PER_S + 7 * NS_PER_MS + 999999, text);
  assert_string_equal(text, "2001-09-09T01:46:40.007Z");
  clock_format_wall(UINT64_C(951782400) * NS_PER_S - 1, text);
  assert_string_equal(text, "2000-02-28T23:59:59.999Z");
  clock_format_wall(UINT64_MAX, text);
  assert_memory_equal(text, "2554-", 5);
  assert_true(clock_wall_ns() > UINT64_C(1600000000) * NS_PER_S);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_monotonic_does_not_go_back),
      cmocka_unit_test(test_wall_is_written_in_utc),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
