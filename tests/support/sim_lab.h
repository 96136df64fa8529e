/* A simulated cluster with one service in it, as the engine makes it, driven through the interfaces
 * of provider and service. */
#ifndef GAMEDAY_TESTS_SUPPORT_SIM_LAB_H
#define GAMEDAY_TESTS_SUPPORT_SIM_LAB_H

#include "base/arena.h"
#include "sim/sim.h"
#include "support/virtual_time.h"

struct sim_lab {
  struct sink silent;
  struct virtual_time time;
  struct arena arena; /* of the configurations too */
  struct cluster *cluster;
  struct service_instance service;
  const struct host *members[HOSTS_MAX];
};

/* What configurations are made in. */
void sim_lab_init(struct sim_lab *lab);
/* Brings up the service's hosts, one of a client and the monitor's, starts the service and watches
 * it. `sink` NULL: what it tells is let go. The lab stays where it is. */
void sim_lab_begin(struct sim_lab *lab, const void *provider_config, const struct service *service,
                   const void *config, struct sink *sink);
/* Ends it, and fails the test where its world ran out of memory. */
void sim_lab_end(struct sim_lab *lab);
void sim_lab_run(struct sim_lab *lab, uint64_t for_ns);

#endif
