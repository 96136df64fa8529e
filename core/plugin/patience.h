/* Waiting in the drivers' blocking helpers: poll() instead of a loop, and one deadline for
 * everything. */
#ifndef GAMEDAY_PLUGIN_PATIENCE_H
#define GAMEDAY_PLUGIN_PATIENCE_H

#include "gameday/driver.h"

/* How long somebody waits, and whether still: until the clock time `deadline_ns`, or
 * access->cancelled(). */
struct patience {
  const struct access *access;
  uint64_t deadline_ns;
};

/* From now on for `timeout_ns`. */
struct patience patience_for(const struct access *access, uint64_t timeout_ns);
/* For one attempt to connect: some seconds, and no longer than the whole. */
struct patience patience_for_attempt(const struct patience *whole);
/* Waits until the socket is ready for `events` (of poll()). STATUS_TIMEOUT, STATUS_INTERRUPTED. */
int patience_wait_socket(const struct patience *patience, int fd, short events, struct error *err);
/* Waits a moment before the next attempt, after one that ended with `status`; false when none is
 * worth it: no time is left, or the same would come of it. */
bool patience_try_again(const struct patience *whole, int status);

#endif
