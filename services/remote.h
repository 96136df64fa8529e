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

/* Flushes the file system with the data: what was set up must outlive a power cut. A member_call.
 */
int service_sync_disk(struct service_instance *service, uint32_t member, void *data,
                      struct error *err);

/* Sends `signal` to the processes `told`, waits until no process of the unit is left, and starts
 * the unit again. STATUS_SERVER when none runs, STATUS_TIMEOUT when one stays for a minute. */
int service_restart_unit(struct service_instance *service, const struct host *host,
                         const char *unit, const struct process_match *told, int signal,
                         struct error *err);

/* A server that vanishes must not kill the process that writes to it: for the calling thread, for
 * good. */
void service_block_sigpipe(void);

#endif
