/* The settings of a `redis` service as JSON, among its parts and for its tests. */
#ifndef GAMEDAY_SERVICES_REDIS_SETTINGS_H
#define GAMEDAY_SERVICES_REDIS_SETTINGS_H

#include <jansson.h>

#include "services/redis_parameters.h"

/* Settings in effect that bounds follow from, in seconds; of Sentinels or of a cluster. */
struct redis_timing {
  double down_after_s, failover_timeout_s;
  double node_timeout_s;
};
/* {"failover_time_s": of a host crash, "because": ..., "host-crash": {...}, ...}, one an injector;
 * a new reference, NULL when out of memory. */
json_t *redis_bounds(const struct redis_config *config, const struct redis_timing *timing);

#endif
