/* Order statistics and binomial intervals. */
#include "engine/distribution.h"

#include <assert.h>
#include <math.h>

#include "engine/judge.h"

#define TAIL 0.025
#define HALVINGS 60 /* of [0, 1]: more than a double can tell apart */

void distribution_fill(double *values, uint32_t count, struct distribution *ret) {
  ret->known = count;
  ret->interval_known = false;
  if (count == 0) return;
  ret->interval_known = judge_median_interval(values, count, &ret->low, &ret->high); /* sorts */
  ret->minimum = values[0];
  ret->maximum = values[count - 1];
  ret->median = count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
  uint64_t rank = ((uint64_t)count * 95 + 99) / 100; /* the ceiling of 0.95 n, from 1 */
  ret->p95 = values[rank - 1];
}

/* P(Binomial(n, p) = k) for 0 < p < 1. */
static double exactly(uint32_t k, uint32_t n, double p) {
  double ways = lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma((double)(n - k) + 1.0);
  return exp(ways + k * log(p) + (n - k) * log1p(-p));
}

/* P(Binomial(n, p) <= k) for k < n: the tail on the far side of the mean, where terms fall. One
 * that is too small for a double is rightly nothing. */
static double at_most(uint32_t k, uint32_t n, double p) {
  double odds = p / (1 - p), sum = 0;
  if (k < n * p) {
    double term = exactly(k, n, p);
    for (uint32_t i = k; term > sum * 1e-17; i--) {
      sum += term;
      term *= i / ((double)(n - i + 1) * odds); /* 0 after that of i = 0 */
    }
    return sum;
  }
  double term = exactly(k + 1, n, p);
  for (uint32_t i = k + 1; term > sum * 1e-17; i++) {
    sum += term;
    term *= (double)(n - i) / (i + 1.0) * odds; /* 0 after that of i = n */
  }
  return 1 - sum;
}

/* The p at which P(Binomial(n, p) <= k) is `tail`; it falls as p rises. */
static double solve(uint32_t k, uint32_t n, double tail) {
  double low = 0, high = 1;
  for (int i = 0; i < HALVINGS; i++) {
    double middle = (low + high) / 2;
    if (at_most(k, n, middle) > tail)
      low = middle;
    else
      high = middle;
  }
  return (low + high) / 2;
}

struct share share_of(uint32_t count, uint32_t of) {
  assert(count <= of);
  struct share share = {.count = count, .of = of, .low = 0, .high = 1};
  if (count > 0) share.low = solve(count - 1, of, 1 - TAIL);
  if (count < of) share.high = solve(count, of, TAIL);
  return share;
}
