/* End-to-end lag by heartbeats: beats are written on the primary and read on each replica; how old
 * is what was read? Only the harness's clock is used. */
#ifndef GAMEDAY_CHECKERS_HEARTBEATS_H
#define GAMEDAY_CHECKERS_HEARTBEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct heartbeat {
  uint64_t number, done_ns;
};
/* Acknowledged beats, both columns rising. */
struct heartbeats {
  struct heartbeat *items;
  uint32_t count, capacity;
};

void heartbeats_release(struct heartbeats *beats);
/* An acknowledged beat, in the order of done_ns. One that is older than the newest tells
 * nothing. */
int heartbeats_written(struct heartbeats *beats, uint64_t number, uint64_t done_ns,
                       struct error *err);
/* How long, when a read that returned beat `number` was sent, a newer one had been acknowledged; 0:
 * none had. */
uint64_t heartbeats_age_ns(const struct heartbeats *beats, uint64_t number, uint64_t sent_ns);

#endif
