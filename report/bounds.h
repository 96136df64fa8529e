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
/* Calls `each` once for every service and every injector of the run for which the service names a
 * bound; texts are valid during the call. Settings of another shape give no call. */
typedef void bounds_each_fn(void *data, const struct settings_bound *bound);
void bounds_each(const struct run_result *result, bounds_each_fn *each, void *data);

#endif
