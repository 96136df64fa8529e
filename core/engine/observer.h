/* The observer: one thread with one loop on the monitor host's network, on which every service
 * watches its servers. Apart from the load, so that neither slows the other's stamps. */
#ifndef GAMEDAY_ENGINE_OBSERVER_H
#define GAMEDAY_ENGINE_OBSERVER_H

#include "base/error.h"
#include "gameday/provider.h"
#include "gameday/service.h"

struct observer;

struct observer_spec {
  struct cluster *cluster;
  const struct host *monitor; /* NULL: the provider cannot put clients on hosts, so the machine's
                                 own network is used */
  struct service_instance *services;
  uint32_t service_count;
  struct loop *loop; /* virtual time: watch on this loop, without a thread; else NULL */
};
/* Starts the thread and all services' watch(); returns when they watch. */
int observer_start(const struct observer_spec *spec, struct observer **ret_observer,
                   struct error *err);
/* Ends the watching and joins the thread; what the loop failed with is returned. Frees; NULL is
 * fine. */
int observer_stop(struct observer *observer, struct error *err);

#endif
