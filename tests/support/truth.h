/* Holds a simulated run's measured values against the truth that the simulator wrote beside the
 * record. Nothing of the checkers' code is used: the definitions of docs/measurement.md are worked
 * out again here, from the servers' acknowledgements and not from the clients' record. */
#ifndef GAMEDAY_TESTS_SUPPORT_TRUTH_H
#define GAMEDAY_TESTS_SUPPORT_TRUTH_H

#include "support/simulated.h"

/* How many values were compared; `text`: the first that differ, "" when none does. */
struct truth_check {
  uint32_t compared, wrong;
  char text[512];
};

int truth_compare(const struct simulated *run, struct truth_check *ret, struct error *err);

#endif
