/* A loop in virtual time: waiting moves the clock to the deadline at once, so that a test of
 * minutes takes no time and always goes the same way. */
#ifndef GAMEDAY_TESTS_SUPPORT_VIRTUAL_TIME_H
#define GAMEDAY_TESTS_SUPPORT_VIRTUAL_TIME_H

#include "base/clock.h"
#include "base/loop.h"

struct virtual_time {
  uint64_t now_ns; /* a test may move it on; never back */
  struct clock clock;
  struct loop *loop;
};

/* Begins at an hour, so that "two seconds ago" is a time too. Fails the test when it cannot. */
void virtual_time_init(struct virtual_time *time);
void virtual_time_release(struct virtual_time *time);
/* Turns the loop until clock time `until_ns`, or until `*done` (NULL: none) is true. */
void virtual_time_run(struct virtual_time *time, uint64_t until_ns, const bool *done);

#endif
