/* The rounds of a session over the endpoints of its route: which server a connect tries first, and
 * what each of them said. What the drivers have in common; how one endpoint is connected to is each
 * driver's own. All in the thread of the session's loop. */
#ifndef GAMEDAY_ENDPOINTS_H
#define GAMEDAY_ENDPOINTS_H

#include "gameday/driver.h"

struct endpoint_round {
  const struct session_spec *spec; /* borrowed */
  uint32_t *order;                 /* indices of endpoints */
  uint32_t count, tried;           /* of `order`; how many of them this round has come to */
  uint32_t last_good;              /* index of the endpoint connected to last; UINT32_MAX: none */
  struct error why;                /* what every endpoint of the round said */
};

/* Finds the endpoints of the session's route; `spec` outlives the round. STATUS_USAGE when there is
 * none, STATUS_MEMORY. */
int endpoint_round_init(struct endpoint_round *round, const struct session_spec *spec,
                        struct error *err);
void endpoint_round_release(struct endpoint_round *round); /* a zeroed one is fine */
/* A new round: the endpoint that was good last first, then the others in their order; for
 * ROUTE_REPLICA, as long as none was good, in an order drawn from the seed. */
void endpoint_round_begin(struct endpoint_round *round);
/* Goes on to the next endpoint; false: this round has tried them all. */
bool endpoint_round_next(struct endpoint_round *round);
/* The one it has come to. */
const struct endpoint *endpoint_round_at(const struct endpoint_round *round);
/* Adds what it said to the reason why the round failed. */
void endpoint_round_failed(struct endpoint_round *round, const char *why);
/* It is the good one. */
void endpoint_round_succeeded(struct endpoint_round *round);

#endif
