/* How far a host is behind, measured end to end: the age of the oldest acknowledged heartbeat that
 * it does not show yet. Only the client's own clock is used. */
#ifndef GAMEDAY_REPORT_BEATS_H
#define GAMEDAY_REPORT_BEATS_H

#include <stdint.h>

#include "base/error.h"

/* Beats remembered; a host further behind is at least as far behind as the oldest of them. */
#define BEATS_MAX 65536

struct beats;
struct beats *beats_new(void); /* NULL: no memory */
void beats_free(struct beats *beats);

/* Beat `number` (rising) was acknowledged at `done_ns`. */
int beats_written(struct beats *beats, uint64_t number, uint64_t done_ns, struct error *err);
/* Seconds by which a read sent at `sent_ns` that showed beat `number` was behind; 0: it showed all
 * that had been acknowledged. */
double beats_age_s(const struct beats *beats, uint64_t number, uint64_t sent_ns);

#endif
