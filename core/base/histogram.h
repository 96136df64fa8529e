/* A log-linear histogram of 64-bit values with a bounded relative error (1/128 ≈ 0.8 %), after
 * HdrHistogram (http://hdrhistogram.org). Fixed size, no allocation when recording. */
#ifndef GAMEDAY_BASE_HISTOGRAM_H
#define GAMEDAY_BASE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
  uint64_t count, minimum, maximum; /* exact */
  double sum;
  uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *histogram);
void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The value at quantile q in [0, 1] (nearest rank), never above the maximum; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double q);
double histogram_mean(const struct histogram *histogram);
/* For drawing: the bucket of a value, and the smallest value of a bucket. */
uint32_t histogram_bucket(uint64_t value);
uint64_t histogram_bucket_low(uint32_t bucket);

#endif
