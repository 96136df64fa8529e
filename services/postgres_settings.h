/* The settings of a `postgres` service as JSON, among its parts and for its tests. */
#ifndef GAMEDAY_SERVICES_POSTGRES_SETTINGS_H
#define GAMEDAY_SERVICES_POSTGRES_SETTINGS_H

#include <jansson.h>

#include "services/postgres.h"

/* Patroni's settings in effect that bounds follow from, in seconds. */
struct postgres_timing {
  double ttl_s, loop_wait_s, primary_start_timeout_s;
};
/* Out of Patroni's dynamic configuration (GET /config). */
struct postgres_timing postgres_timing_of(const json_t *patroni);
/* {"failover_time_s": of a host crash, "because": ..., "host-crash": {...}, ...}, one an injector;
 * a new reference, NULL when out of memory. */
json_t *postgres_bounds(const struct postgres_config *config, const struct postgres_timing *timing);

#endif
