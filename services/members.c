/* The hosts of a service, and which member each of them is. */
#include "services/members.h"

int service_check_hosts(const struct service_instance *service, uint32_t planned,
                        struct error *err) {
  if (service->member_count >= planned) return 0;
  return error_set(err, STATUS_INTERNAL, "the service %s was given %u of its %u hosts",
                   service->service->plugin.name, service->member_count, planned);
}

uint32_t service_member(const struct service_instance *service, uint32_t count,
                        const struct host *host) {
  for (uint32_t i = 0; i < count && i < service->member_count; i++)
    if (service->members[i]->index == host->index) return i;
  return UINT32_MAX;
}

int service_step_member(const struct service_instance *service, enum service_step step,
                        const struct host *host, uint32_t count, const char *what,
                        uint32_t *ret_member, struct error *err) {
  uint32_t member = host ? service_member(service, count, host) : UINT32_MAX;
  if (host && member == UINT32_MAX)
    return error_set(err, STATUS_USAGE, "%s carries no %s", host->name, what);
  if (!service->service->can_step(service->config, step))
    return error_set(err, STATUS_USAGE, "this topology of %s has no such step",
                     service->service->plugin.name);
  *ret_member = member;
  return 0;
}

struct endpoint service_endpoint(const struct host *host, uint16_t port) {
  return (struct endpoint){
      .host = host->index, .name = host->name, .address = host->address, .port = port};
}

const struct host *service_monitor(const struct cluster *cluster) {
  const struct host *client = NULL;
  for (uint32_t i = 0; i < cluster->host_count; i++) {
    if (cluster->hosts[i].kind == HOST_MONITOR) return &cluster->hosts[i];
    if (cluster->hosts[i].kind == HOST_CLIENT && !client) client = &cluster->hosts[i];
  }
  return client;
}
