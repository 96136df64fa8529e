/* The checkers that there are; each ends its own file. */
#ifndef GAMEDAY_CHECKERS_CHECKERS_H
#define GAMEDAY_CHECKERS_CHECKERS_H

#include "gameday/checker.h"

extern const struct checker checker_availability;
extern const struct checker checker_confirmation;
extern const struct checker checker_dual_primary;
extern const struct checker checker_eviction;
extern const struct checker checker_failover;
extern const struct checker checker_lag;
extern const struct checker checker_latency;
extern const struct checker checker_load;
extern const struct checker checker_loss;
extern const struct checker checker_slot_coverage;
extern const struct checker checker_staleness;
extern const struct checker checker_stampede;
extern const struct checker checker_synchrony;

#endif
