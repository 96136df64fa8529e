/* Blocking work of services on their hosts: in the monitor's network, and for all members at once.
 */
#ifndef GAMEDAY_SERVICES_REMOTE_H
#define GAMEDAY_SERVICES_REMOTE_H

#include "gameday/service.h"

typedef int monitor_call(struct service_instance *service, void *data, struct error *err);
/* Runs `call` on a thread of its own in the network of `monitor` (NULL: in the caller's), and waits
 * for it. */
int service_on_monitor(struct service_instance *service, const struct host *monitor,
                       monitor_call *call, void *data, struct error *err);

typedef int member_call(struct service_instance *service, uint32_t member, void *data,
                        struct error *err);
/* Runs `call` for members 0 .. count - 1 at the same time; the first error in member order. */
int service_each_member(struct service_instance *service, uint32_t count, member_call *call,
                        void *data, struct error *err);

/* A server that vanishes must not kill the process that writes to it: for the calling thread, for
 * good. */
void service_block_sigpipe(void);

#endif
