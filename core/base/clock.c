/* The machine's clocks. */
#include "base/clock.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

static uint64_t read_clock(clockid_t id) {
  struct timespec now;
  int failed = clock_gettime(id, &now);
  assert(!failed); /* both clocks exist on every Linux */
  return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t monotonic_now(const struct clock *clock) {
  (void)clock;
  return read_clock(CLOCK_MONOTONIC);
}

const struct clock clock_monotonic = {.now = monotonic_now, .state = NULL};

uint64_t clock_wall_ns(void) {
  return read_clock(CLOCK_REALTIME);
}

void clock_format_wall(uint64_t wall_ns, char text[32]) {
  time_t seconds = (time_t)(wall_ns / NS_PER_S);
  struct tm utc;
  gmtime_r(&seconds, &utc); /* cannot fail: 64 bits of nanoseconds end in the year 2554 */
  char day[24];
  strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(text, 32, "%s.%03uZ", day, (unsigned)(wall_ns % NS_PER_S / NS_PER_MS));
}
