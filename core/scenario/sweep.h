/* A sweep: the values that one path of a scenario takes, one after the other. */
#ifndef GAMEDAY_SCENARIO_SWEEP_H
#define GAMEDAY_SCENARIO_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/value.h"

#define SWEEP_VALUES_MAX 100

struct sweep_value {
  const char *text; /* as an override takes it */
  double number;    /* of a numeric sweep: seconds, bytes, events a second, fractions */
};
struct sweep {
  const char *path;
  bool numeric; /* all values are quantities of one unit */
  enum unit unit;
  const struct sweep_value *values; /* a numeric sweep: in rising order */
  uint32_t count;
};

/* Parses "PATH=FROM..TO/STEP" (quantities of one unit; TO is included when a step ends there) or
 * "PATH=VALUE,VALUE,...". Whether the path and the values fit a scenario is for the scenario to
 * say. Texts live in `arena`. STATUS_USAGE, STATUS_MEMORY. */
int sweep_parse(const char *text, struct arena *arena, struct sweep *ret_sweep, struct error *err);

#endif
