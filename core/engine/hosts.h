/* From a scenario to hosts, and from hosts to bound services: shared by runs and kept clusters. */
#ifndef GAMEDAY_ENGINE_HOSTS_H
#define GAMEDAY_ENGINE_HOSTS_H

#include "base/arena.h"
#include "base/error.h"
#include "gameday/provider.h"
#include "gameday/service.h"
#include "scenario/scenario.h"

/* The hosts that a scenario wants: those of the services, then client1.., then monitor. The names
 * live in `arena`. At most HOSTS_MAX. */
int hosts_plan(const struct scenario *scenario, struct arena *arena, struct host_spec *ret_hosts,
               uint32_t *ret_count, struct error *err);

/* Whether the scenario's provider can, on this machine, have its hosts and make its faults.
 * STATUS_ENVIRONMENT says what is missing. */
int hosts_probe(const struct scenario *scenario, struct error *err);

/* Fills instances (zeroed, as many as the scenario has services) for a cluster that is up. */
int hosts_bind(const struct scenario *scenario, struct cluster *cluster, struct arena *arena,
               struct sink *sink, const struct clock *clock, uint64_t start_ns,
               struct service_instance *ret_services, struct error *err);

/* "gd" and eight random hexadecimal digits: names a cluster on this machine. */
int cluster_id_make(char ret_id[16], struct error *err);

#endif
