/* Order statistics, and the interval of a share against figures from elsewhere and by trial. */
#include "engine/distribution.h"

#include <math.h>

#include "support/test.h"

#define NEAR 1e-6

static void is(uint32_t count, uint32_t of, double low, double high) {
  struct share share = share_of(count, of);
  assert_int_equal(share.count, count);
  assert_int_equal(share.of, of);
  assert_float_equal(share.low, low, NEAR);
  assert_float_equal(share.high, high, NEAR);
}

/* As binom.test() of R prints them. */
static void test_the_intervals_of_clopper_and_pearson(void **state) {
  (void)state;
  is(10, 20, 0.2719578, 0.7280422);
  is(7, 20, 0.1539092, 0.5921885);
  is(1, 10, 0.0025286, 0.4450161);
}

/* None of n: the other end is 1 - 0.025^(1/n), and for all of n the same from the other side. */
static void test_none_and_all(void **state) {
  (void)state;
  for (uint32_t n = 1; n <= 100000; n *= 10) {
    double far = -expm1(log(0.025) / n);
    is(0, n, 0, far);
    is(n, n, 1 - far, 1);
  }
}

static void test_nothing_is_known_of_no_runs(void **state) {
  (void)state;
  is(0, 0, 0, 1);
}

static void test_the_interval_is_symmetrical(void **state) {
  (void)state;
  static const uint32_t sizes[] = {1, 2, 7, 30, 500, 100000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (uint32_t k = 0; k <= sizes[i]; k += 1 + sizes[i] / 13) {
      struct share share = share_of(k, sizes[i]);
      assert_true(share.low <= (double)k / sizes[i] && (double)k / sizes[i] <= share.high);
      is(sizes[i] - k, sizes[i], 1 - share.high, 1 - share.low);
    }
}

/* The promise itself: whatever the true share, at least 95 of 100 intervals hold it. */
static void test_the_interval_holds_the_true_share(void **state) {
  (void)state;
  const uint32_t n = 30;
  struct share shares[31];
  for (uint32_t k = 0; k <= n; k++) shares[k] = share_of(k, n);
  for (double p = 0.005; p < 1; p += 0.005) {
    double covered = 0;
    for (uint32_t k = 0; k <= n; k++)
      if (shares[k].low <= p && p <= shares[k].high)
        covered += exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) + k * log(p) +
                       (n - k) * log(1 - p));
    assert_true(covered >= 0.95);
  }
}

static void test_order_statistics(void **state) {
  (void)state;
  double values[20];
  struct distribution d = {.unknown = 3, .none = 4};
  for (int i = 0; i < 20; i++) values[i] = (i * 7) % 20 + 1; /* 1 to 20, mixed up */
  distribution_fill(values, 20, &d);
  assert_int_equal(d.known, 20);
  assert_int_equal(d.unknown, 3);
  assert_int_equal(d.none, 4);
  assert_float_equal(d.minimum, 1, 0);
  assert_float_equal(d.median, 10.5, 0);
  assert_float_equal(d.p95, 19, 0);
  assert_float_equal(d.maximum, 20, 0);
  assert_true(d.interval_known);
  assert_float_equal(d.low, 6, 0); /* of 20 values: the 6th and the 15th */
  assert_float_equal(d.high, 15, 0);
}

static void test_few_values(void **state) {
  (void)state;
  struct distribution d = {.known = 9, .interval_known = true};
  double values[] = {3, 1, 2};
  distribution_fill(values, 0, &d);
  assert_int_equal(d.known, 0);
  assert_false(d.interval_known);
  distribution_fill(values, 1, &d);
  assert_float_equal(d.median, 3, 0);
  assert_float_equal(d.p95, 3, 0);
  distribution_fill(values, 3, &d);
  assert_float_equal(d.minimum, 1, 0);
  assert_float_equal(d.median, 2, 0);
  assert_float_equal(d.p95, 3, 0);
  assert_false(d.interval_known);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_intervals_of_clopper_and_pearson),
      cmocka_unit_test(test_none_and_all),
      cmocka_unit_test(test_nothing_is_known_of_no_runs),
      cmocka_unit_test(test_the_interval_is_symmetrical),
      cmocka_unit_test(test_the_interval_holds_the_true_share),
      cmocka_unit_test(test_order_statistics),
      cmocka_unit_test(test_few_values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
