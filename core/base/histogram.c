/* Values below 2^7 have a bucket each; above, every power of two is cut into 2^7 equal buckets, so
 * a bucket is never wider than 1/128 of its smallest value. Quantiles give a bucket's largest
 * value: at or above the true value, by less than 1/128 of it. */
#include "base/histogram.h"

#include <assert.h>
#include <math.h>

#define SUB_COUNT (UINT64_C(1) << HISTOGRAM_SUB_BITS)

void histogram_init(struct histogram *histogram) {
  *histogram = (struct histogram){.count = 0};
}

uint32_t histogram_bucket(uint64_t value) {
  if (value < SUB_COUNT) return (uint32_t)value;
  uint32_t shift = 63U - (uint32_t)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
  return (shift << HISTOGRAM_SUB_BITS) + (uint32_t)(value >> shift);
}

uint64_t histogram_bucket_low(uint32_t bucket) {
  assert(bucket < HISTOGRAM_BUCKETS);
  if (bucket < 2 * SUB_COUNT) return bucket;
  uint32_t shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
  return ((bucket & (SUB_COUNT - 1)) + SUB_COUNT) << shift;
}

void histogram_add(struct histogram *histogram, uint64_t value) {
  if (histogram->count == 0 || value < histogram->minimum) histogram->minimum = value;
  if (value > histogram->maximum) histogram->maximum = value;
  histogram->count++;
  histogram->sum += (double)value;
  histogram->buckets[histogram_bucket(value)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
  if (from->count == 0) return;
  if (into->count == 0 || from->minimum < into->minimum) into->minimum = from->minimum;
  if (from->maximum > into->maximum) into->maximum = from->maximum;
  into->count += from->count;
  into->sum += from->sum;
  for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) into->buckets[i] += from->buckets[i];
}

uint64_t histogram_quantile(const struct histogram *histogram, double q) {
  assert(q >= 0 && q <= 1);
  if (histogram->count == 0) return 0;
  /* A hair less, because 0.07 * 100 is 7.000000000000001 and must be rank 7. */
  double exact = ceil(q * (double)histogram->count * (1 - 1e-12));
  uint64_t rank = exact < 1 ? 1 : (uint64_t)exact;
  if (rank == 1) return histogram->minimum;
  if (rank >= histogram->count) return histogram->maximum;
  uint64_t seen = 0;
  for (uint32_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
    seen += histogram->buckets[i];
    if (seen < rank) continue;
    uint64_t high = histogram_bucket_low(i + 1) - 1;
    return high < histogram->maximum ? high : histogram->maximum;
  }
  return histogram->maximum;
}

double histogram_mean(const struct histogram *histogram) {
  return histogram->count ? histogram->sum / (double)histogram->count : 0;
}
