/* The bounds on failover that follow from the settings in effect, as the services computed them:
 * what a measured value is held against by a reader. */
#ifndef GAMEDAY_REPORT_BOUNDS_H
#define GAMEDAY_REPORT_BOUNDS_H

#include "gameday/report.h"

struct settings_bound {
  const char *service, *injector;
  bool known;     /* false: nothing bounds it; `because` says why */
  double seconds; /* of failover_time */
  const char *because;
};
/* Calls `each` once for every service and every injector of the run whose faults made it fail over,
 * or may have, and for which the service names a bound; texts are valid during the call. Settings
 * of another shape give no call. False: there are settings, and they cannot be read. */
typedef void bounds_each_fn(void *data, const struct settings_bound *bound);
bool bounds_each(const struct run_result *result, bounds_each_fn *each, void *data);

/* Parses JSON of the record; owned by the caller (json_decref). NULL for NULL, and for a text that
 * cannot be read: the parser does not tell a mistake from want of memory, so that writers say
 * RECORDED_UNREADABLE of it. */
#define RECORDED_UNREADABLE "what the record holds is not JSON, or there is no memory to read it"
struct json_t *recorded_json(const char *text);
/* The value of {"value": "on", "source": "default"}, or of a plain one; borrowed. */
const struct json_t *recorded_parameter(const struct json_t *parameter);

#endif
