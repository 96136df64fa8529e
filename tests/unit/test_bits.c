/* Sets of small numbers: of hosts beyond the first word, and at both ends. */
#include "base/bits.h"

#include "support/test.h"

static void test_numbers_come_and_go(void **state) {
  static const uint32_t numbers[] = {0, 63, 64, 255, 256, 1000, BITS_MAX - 1};
  const uint32_t count = sizeof numbers / sizeof *numbers;
  struct bits set = {{0}};
  (void)state;
  assert_false(bits_any(&set));
  assert_int_equal(bits_next(&set, 0), BITS_MAX);
  for (uint32_t i = 0; i < count; i++) {
    bits_add(&set, numbers[i]);
    bits_add(&set, numbers[i]);
    assert_int_equal(bits_count(&set), i + 1);
  }
  uint32_t seen = 0;
  for (uint32_t i = bits_next(&set, 0); i < BITS_MAX; i = bits_next(&set, i + 1))
    assert_int_equal(i, numbers[seen++]);
  assert_int_equal(seen, count);
  assert_false(bits_has(&set, 1));
  assert_false(bits_has(&set, 257));
  bits_remove(&set, 256);
  bits_remove(&set, 256);
  assert_false(bits_has(&set, 256));
  assert_true(bits_has(&set, 255));
  assert_int_equal(bits_next(&set, 256), 1000);
  assert_int_equal(bits_next(&set, BITS_MAX), BITS_MAX);
}

static void test_sets_with_each_other(void **state) {
  (void)state;
  assert_false(bits_any(&(struct bits){{0}}));
  for (uint32_t count = 0; count <= BITS_MAX; count += count < 130 ? 1 : 447) {
    struct bits below = bits_below(count);
    assert_int_equal(bits_count(&below), count);
    assert_true(count == 0 || bits_has(&below, count - 1));
    assert_true(count == BITS_MAX || !bits_has(&below, count));
  }
  struct bits low = bits_below(300), high = bits_below(1000);
  bits_remove_all(&high, &low);
  assert_int_equal(bits_count(&high), 700);
  assert_int_equal(bits_next(&high, 0), 300);
  struct bits both = bits_both(&low, &high);
  assert_false(bits_any(&both));
  bits_add_all(&low, &high);
  both = bits_both(&low, &high);
  assert_int_equal(bits_count(&low), 1000);
  assert_int_equal(bits_count(&both), 700);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_numbers_come_and_go),
      cmocka_unit_test(test_sets_with_each_other),
  };
  return cmocka_run_group_tests_name("bits", tests, NULL, NULL);
}
