/* The observer: one thread with one loop on the monitor host's network, on which every service
 * watches its servers. Apart from the load, so that neither slows the other's stamps. */
#ifndef GAMEDAY_ENGINE_OBSERVER_H
#define GAMEDAY_ENGINE_OBSERVER_H

#include "base/error.h"
#include "gameday/provider.h"
#include "gameday/service.h"

struct observer;

/* Starts the thread and all services' watch(); returns when they watch. `monitor` may be NULL (the
 * provider cannot put clients on hosts: the machine's own network is used). */
int observer_start(struct cluster *cluster, const struct host *monitor,
                   struct service_instance *instances, uint32_t count,
                   struct observer **ret_observer, struct error *err);
/* Ends the watching and joins the thread; what the loop failed with is returned. Frees; NULL is
 * fine. */
int observer_stop(struct observer *observer, struct error *err);

#endif
