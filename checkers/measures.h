/* Short ways for checkers to add measured values to a finding, and to say a time or a host in a
 * witness. */
#ifndef GAMEDAY_CHECKERS_MEASURES_H
#define GAMEDAY_CHECKERS_MEASURES_H

#include "base/clock.h"
#include "base/histogram.h"
#include "gameday/checker.h"

static inline double seconds_of(uint64_t ns) {
  return (double)ns / (double)NS_PER_S;
}
static inline uint64_t difference_ns(uint64_t later_ns, uint64_t earlier_ns) {
  return later_ns > earlier_ns ? later_ns - earlier_ns : 0;
}

/* A value of the whole run (fault FAULT_NONE) or of one fault. */
int measure_known(struct finding *finding, const char *name, enum unit unit, double value,
                  int32_t fault, struct error *err);
/* The true value is `value` or more. */
int measure_floor(struct finding *finding, const char *name, enum unit unit, double value,
                  int32_t fault, const char *why, struct error *err);
int measure_unknown(struct finding *finding, const char *name, enum unit unit, int32_t fault,
                    const char *why, struct error *err);
/* There was nothing to measure; objectives skip it. */
int measure_none(struct finding *finding, const char *name, enum unit unit, int32_t fault,
                 const char *why, struct error *err);

/* A quantile as a measure: "p99" and 0.99; q > 1 is the maximum. */
struct quantile {
  const char *suffix;
  double q;
};
extern const struct quantile quantiles_all[];  /* p50 p95 p99 p999 max; ended by a NULL suffix */
extern const struct quantile quantiles_four[]; /* p50 p95 p99 max */
/* Its value; 0 when there is none. */
uint64_t quantile_of(const struct histogram *histogram, const struct quantile *quantile);

/* "name.p50" and so on, of values counted in 1/scale of the unit (nanoseconds: 1e9). An empty
 * histogram gives measures that do not apply, because of `why`. */
int measure_quantiles(struct finding *finding, const char *name, const struct quantile *quantiles,
                      enum unit unit, const struct histogram *histogram, double scale,
                      uint16_t host, const char *why, struct error *err);

/* Adds a witness; the text is printed. */
int witness_add(struct finding *finding, const char *what, uint64_t time_ns, struct error *err,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Raises the verdict and keeps the reason of the highest, printed into the finding's arena. */
int finding_raise(struct finding *finding, enum verdict verdict, struct error *err,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The name of a host; "no host" for HOST_NONE. */
const char *host_name_of(const struct record_info *info, uint16_t host);
/* Whether the operation is of the measured time. */
bool is_measured(const struct record_info *info, const struct operation *operation);
/* Whether it tried to append a unique row: a write, or a probe that came to its write. Those that
 * never were sent have no sequence. */
bool appends_row(const struct operation *operation);

#endif
