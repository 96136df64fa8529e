/* Whom a fault hits. */
#ifndef GAMEDAY_ENGINE_FAULT_HOST_H
#define GAMEDAY_ENGINE_FAULT_HOST_H

#include "gameday/service.h"

/* Where to look; borrowed. */
struct fault_hosts {
  const struct cluster *cluster;
  struct service_instance *services;
  uint32_t service_count;
};

/* The host that `target` means at this moment; NULL when nobody has the role. TARGET_ANY is drawn
 * from the seed, apart for each fault (its index in the timeline). */
const struct host *fault_host(const struct fault_hosts *all, const struct target *target,
                              uint64_t seed, uint32_t fault);
/* The service that has this host as a member; NULL: none. */
struct service_instance *fault_service(const struct fault_hosts *all, const struct host *host);

#endif
