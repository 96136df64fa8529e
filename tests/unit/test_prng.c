/* Random numbers: the reference values of xoshiro256**, independence of streams, uniformity. */
#include "base/prng.h"

#include <math.h>

#include "support/test.h"

static void test_reference_numbers(void **state) {
  (void)state;
  /* The reference implementation's first numbers from the state 1, 2, 3, 4. */
  static const uint64_t expected[] = {UINT64_C(11520), UINT64_C(0), UINT64_C(1509978240),
                                      UINT64_C(1215971899390074240)};
  struct prng prng = {.state = {1, 2, 3, 4}};
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
    assert_true(prng_next(&prng) == expected[i]);
}

static void test_same_seed_and_stream_give_the_same(void **state) {
  (void)state;
  struct prng a, b, other_stream, other_seed;
  prng_init(&a, 42, "client/7");
  prng_init(&b, 42, "client/7");
  prng_init(&other_stream, 42, "client/8");
  prng_init(&other_seed, 43, "client/7");
  int equal_stream = 0, equal_seed = 0;
  for (int i = 0; i < 1000; i++) {
    uint64_t number = prng_next(&a);
    assert_true(number == prng_next(&b));
    equal_stream += number == prng_next(&other_stream);
    equal_seed += number == prng_next(&other_seed);
  }
  assert_int_equal(equal_stream, 0);
  assert_int_equal(equal_seed, 0);
}

/* Recorded runs are repeated from their seed: the numbers must never change between versions. */
static void test_numbers_are_stable(void **state) {
  (void)state;
  struct prng prng;
  prng_init(&prng, 1, "timeline");
  uint64_t first = prng_next(&prng), second = prng_next(&prng);
  assert_true(first == UINT64_C(5331404578177178086));
  assert_true(second == UINT64_C(16871808874055754445));
}

static void test_below_is_uniform(void **state) {
  (void)state;
  struct prng prng;
  prng_init(&prng, 3, "below");
  enum { BINS = 7, DRAWS = 70000 };
  int counts[BINS] = {0};
  for (int i = 0; i < DRAWS; i++) counts[prng_below(&prng, BINS)]++;
  double chi_squared = 0;
  for (int i = 0; i < BINS; i++) {
    double difference = counts[i] - (double)DRAWS / (double)BINS;
    chi_squared += difference * difference / ((double)DRAWS / (double)BINS);
  }
  assert_true(chi_squared < 22.5); /* 6 degrees of freedom, p = 0.001; the seed is fixed */
  assert_true(prng_below(&prng, 1) == 0);
  for (int i = 0; i < 100; i++) assert_true(prng_below(&prng, UINT64_MAX) < UINT64_MAX);
}

static void test_unit_and_exponential(void **state) {
  (void)state;
  struct prng prng;
  prng_init(&prng, 4, "unit");
  double sum = 0, exponential = 0;
  for (int i = 0; i < 100000; i++) {
    double unit = prng_unit(&prng);
    assert_true(unit >= 0 && unit < 1);
    sum += unit;
    double gap = prng_exponential(&prng, 5);
    assert_true(gap >= 0 && isfinite(gap));
    exponential += gap;
  }
  assert_true(fabs(sum / 100000 - 0.5) < 0.005);
  assert_true(fabs(exponential / 100000 - 5) < 0.1);
}

static void test_kernel_bytes(void **state) {
  (void)state;
  unsigned char a[1000] = {0}, b[1000] = {0};
  struct error err = ERROR_INIT;
  assert_ok(random_bytes(a, sizeof a, &err), &err);
  assert_ok(random_bytes(b, sizeof b, &err), &err);
  assert_memory_not_equal(a, b, sizeof a);
  assert_ok(random_bytes(a, 0, &err), &err);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reference_numbers),
      cmocka_unit_test(test_same_seed_and_stream_give_the_same),
      cmocka_unit_test(test_numbers_are_stable),
      cmocka_unit_test(test_below_is_uniform),
      cmocka_unit_test(test_unit_and_exponential),
      cmocka_unit_test(test_kernel_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
