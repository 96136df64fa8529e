/* Histograms: exact extremes, the error bound, quantiles against sorted values. */
#include "base/histogram.h"

#include <math.h>

#include "base/prng.h"
#include "support/test.h"

static void test_buckets_cover_all_values_without_gaps(void **state) {
  (void)state;
  for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
    uint64_t low = histogram_bucket_low(i);
    assert_int_equal(histogram_bucket(low), i);
    uint64_t high = i + 1 < HISTOGRAM_BUCKETS ? histogram_bucket_low(i + 1) - 1 : UINT64_MAX;
    assert_true(high >= low);
    assert_int_equal(histogram_bucket(high), i);
    /* The bound that the header promises: no bucket is wider than 1/128 of its smallest value. */
    assert_true(high - low <= low / 128);
  }
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static void test_quantiles_are_within_the_bound(void **state) {
  (void)state;
  enum { COUNT = 20000 };
  static uint64_t values[COUNT];
  static struct histogram histogram;
  histogram_init(&histogram);
  struct prng prng;
  prng_init(&prng, 5, "histogram");
  for (int i = 0; i < COUNT; i++) {
    values[i] = (uint64_t)prng_exponential(&prng, 3e6) + prng_below(&prng, 1000);
    histogram_add(&histogram, values[i]);
  }
  qsort(values, COUNT, sizeof *values, compare);
  assert_true(histogram.minimum == values[0]);
  assert_true(histogram.maximum == values[COUNT - 1]);
  for (double q = 0; q <= 1; q += 0.001) {
    double rank = ceil(q * (double)COUNT - 1e-6);
    uint64_t exact = values[rank < 1 ? 0 : (size_t)rank - 1];
    uint64_t measured = histogram_quantile(&histogram, q);
    assert_true(measured >= exact);
    assert_true(measured - exact <= exact / 128);
  }
  assert_true(histogram_quantile(&histogram, 1) == values[COUNT - 1]);
  assert_true(histogram_quantile(&histogram, 0) == values[0]);
}

static void test_nearest_rank_is_not_one_off(void **state) {
  (void)state;
  static struct histogram histogram;
  histogram_init(&histogram);
  for (uint64_t value = 1; value <= 100; value++) histogram_add(&histogram, value);
  /* 0.07 * 100 is a little more than 7 in floating point. */
  for (uint64_t percent = 1; percent <= 100; percent++)
    assert_true(histogram_quantile(&histogram, (double)percent / 100) == percent);
}

static void test_merge_is_the_same_as_adding(void **state) {
  (void)state;
  static struct histogram all, odd, even, empty;
  histogram_init(&all);
  histogram_init(&odd);
  histogram_init(&even);
  histogram_init(&empty);
  for (uint64_t i = 0; i < 1000; i++) {
    uint64_t value = i * i * i;
    histogram_add(&all, value);
    histogram_add(i % 2 ? &odd : &even, value);
  }
  histogram_merge(&odd, &empty);
  histogram_merge(&even, &odd);
  histogram_merge(&empty, &even);
  assert_memory_equal(&empty, &all, sizeof all);
}

static void test_empty_and_extreme(void **state) {
  (void)state;
  static struct histogram histogram;
  histogram_init(&histogram);
  assert_true(histogram_quantile(&histogram, 0.5) == 0);
  assert_true(histogram_mean(&histogram) == 0);
  histogram_add(&histogram, UINT64_MAX);
  histogram_add(&histogram, 0);
  assert_true(histogram_quantile(&histogram, 1) == UINT64_MAX);
  assert_true(histogram_quantile(&histogram, 0.5) == 0);
  assert_true(histogram.minimum == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_buckets_cover_all_values_without_gaps),
      cmocka_unit_test(test_quantiles_are_within_the_bound),
      cmocka_unit_test(test_nearest_rank_is_not_one_off),
      cmocka_unit_test(test_merge_is_the_same_as_adding),
      cmocka_unit_test(test_empty_and_extreme),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
