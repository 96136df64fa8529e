/* The one source of time. Nanoseconds; CLOCK_MONOTONIC, or the simulator's own. */
#ifndef GAMEDAY_BASE_CLOCK_H
#define GAMEDAY_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define TIME_NEVER UINT64_MAX

/* A clock is borrowed by everything that uses it and outlives it. `now` may be called from any
 * thread and never goes back. */
struct clock {
  uint64_t (*now)(const struct clock *clock);
  const void *state;
};

/* CLOCK_MONOTONIC of this machine. */
extern const struct clock clock_monotonic;

static inline uint64_t clock_now_ns(const struct clock *clock) {
  return clock->now(clock);
}

/* Wall-clock nanoseconds since 1970, for the one anchor of a run; never for differences. */
uint64_t clock_wall_ns(void);

/* "2026-11-21T12:59:15.123Z"; `text` holds at least 32 bytes. */
void clock_format_wall(uint64_t wall_ns, char text[32]);

#endif
