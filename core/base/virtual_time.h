/* A clock and a loop in virtual time: waiting moves the clock to the deadline at once, so that
 * minutes take no time and always go the same way. One thread. */
#ifndef GAMEDAY_BASE_VIRTUAL_TIME_H
#define GAMEDAY_BASE_VIRTUAL_TIME_H

#include "base/clock.h"
#include "base/loop.h"

struct virtual_time {
  uint64_t now_ns; /* may be moved on; never back */
  struct clock clock;
  struct loop *loop;
};

/* Begins at an hour, so that "two seconds ago" is a time too. STATUS_MEMORY. The struct must stay
 * where it is. */
int virtual_time_init(struct virtual_time *time, struct error *err);
void virtual_time_release(struct virtual_time *time); /* zeroed is fine */

#endif
