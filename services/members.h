/* What services have in common in how they know their hosts. */
#ifndef GAMEDAY_SERVICES_MEMBERS_H
#define GAMEDAY_SERVICES_MEMBERS_H

#include "gameday/service.h"

/* STATUS_INTERNAL when the service was given fewer hosts than it planned. */
int service_check_hosts(const struct service_instance *service, uint32_t planned,
                        struct error *err);
/* Which of the first `count` members a host is; UINT32_MAX: none of them. */
uint32_t service_member(const struct service_instance *service, uint32_t count,
                        const struct host *host);
/* The member of a planned step at `host`; UINT32_MAX for NULL: the service chooses. STATUS_USAGE
 * when it is none of the first `count`, which carry `what`, or the topology has no such step. */
int service_step_member(const struct service_instance *service, enum service_step step,
                        const struct host *host, uint32_t count, const char *what,
                        uint32_t *ret_member, struct error *err);
/* A server's on a host, whose texts it borrows. */
struct endpoint service_endpoint(const struct host *host, uint16_t port);
/* The host from which the servers are looked at: the monitor, else a client; NULL: neither. */
const struct host *service_monitor(const struct cluster *cluster);

#endif
