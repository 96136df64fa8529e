/* The settings of a running service as JSON ("settings" and "bounds"), as all services write them.
 */
#ifndef GAMEDAY_SERVICES_SETTINGS_H
#define GAMEDAY_SERVICES_SETTINGS_H

#include <jansson.h>

#include "services/remote.h"

/* {"failover_time_s": ..., "because": ...}; a new reference, NULL when out of memory. */
json_t *settings_bound(double seconds, const char *because);
/* Puts what was read from a host under its name into `hosts`; takes `parameters`. As
 * json_object_set_new(): negative when out of memory. */
int settings_put_host(json_t *hosts, const char *name, bool primary, const char *version,
                      json_t *parameters);
/* Prints `root`, which is taken; NULL is STATUS_MEMORY. */
int settings_print(json_t *root, struct buf *json, struct error *err);
/* Has an object filled by `collect`, whose data it is, in the network of `monitor`, and prints it.
 */
int settings_collect(struct service_instance *service, const struct host *monitor,
                     monitor_call *collect, struct buf *json, struct error *err);

#endif
