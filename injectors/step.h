/* What the planned steps share: they ask the service to do something on purpose, are measured like
 * faults, and leave nothing in effect that would have to be healed. */
#ifndef GAMEDAY_INJECTORS_STEP_H
#define GAMEDAY_INJECTORS_STEP_H

#include "gameday/injector.h"

struct step_config {
  struct target target;
};

/* Of a step that makes a host primary: refuses the primary, and whoever may be it. */
int step_fits_successor(const void *config, const struct fault_place *place, struct error *err);
/* Asks the target's service for the descriptor's step; returns when it is done. */
int step_inject(struct injection *in, struct error *err);
/* A step is over when inject() has returned: never still active, nothing to heal. */
int step_confirm(const struct injection *in, bool *ret_active, struct error *err);
int step_heal(struct injection *in, struct error *err);

#endif
