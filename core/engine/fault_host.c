/* Whom a fault hits: from a target's words to a host, by the roles of this moment. */
#include "engine/fault_host.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"

static struct service_instance *service_named(const struct fault_hosts *all, const char *name) {
  for (uint32_t i = 0; i < all->service_count; i++)
    if (strcmp(all->services[i].service->plugin.name, name) == 0) return &all->services[i];
  return NULL;
}

struct service_instance *fault_service(const struct fault_hosts *all, const struct host *host) {
  for (uint32_t i = 0; i < all->service_count; i++)
    for (uint32_t m = 0; m < all->services[i].member_count; m++)
      if (all->services[i].members[m] == host) return &all->services[i];
  return NULL;
}

/* The primary of a shard: who says so, or who of several takes writes; NULL: nobody, or none that
 * can be told from the others. */
static const struct host *shard_primary(const struct service_instance *service,
                                        const struct service_view *view, uint32_t shard) {
  const struct host *primary = NULL, *writable = NULL;
  uint32_t primaries = 0, writables = 0;
  for (uint32_t m = 0; m < service->member_count; m++) {
    const struct host_view *host = &view->hosts[service->members[m]->index];
    if (host->role != ROLE_PRIMARY || host->shard != shard) continue;
    primary = service->members[m];
    primaries++;
    if (!host->writable) continue;
    writable = service->members[m];
    writables++;
  }
  if (primaries == 1) return primary;
  return writables == 1 ? writable : NULL;
}

/* Whether a member carries a server: one that only votes is no target for "any". */
static bool is_server(const struct service_instance *service, const struct host *member) {
  const struct access *access = &service->access;
  for (uint32_t i = 0; i < access->endpoint_count; i++)
    if (access->endpoints[i].host == member->index) return true;
  return access->endpoint_count == 0;
}

static const struct host *any_server(const struct service_instance *service, struct prng *prng) {
  const struct host *servers[HOSTS_MAX];
  uint32_t count = 0;
  for (uint32_t m = 0; m < service->member_count; m++)
    if (is_server(service, service->members[m])) servers[count++] = service->members[m];
  return count > 0 ? servers[prng_below(prng, count)] : NULL;
}

const struct host *fault_host(const struct fault_hosts *all, const struct target *target,
                              uint64_t seed, uint32_t fault) {
  if (target->kind == TARGET_HOST) {
    for (uint32_t i = 0; i < all->cluster->host_count; i++)
      if (strcmp(all->cluster->hosts[i].name, target->host) == 0) return &all->cluster->hosts[i];
    return NULL;
  }
  struct service_instance *service = service_named(all, target->service);
  if (!service || service->member_count == 0) return NULL;
  if (target->kind == TARGET_ANY) {
    char stream[64];
    struct prng prng;
    snprintf(stream, sizeof stream, "timeline/%" PRIu32 "/target", fault);
    prng_init(&prng, seed, stream);
    return any_server(service, &prng);
  }
  struct service_view view;
  service->service->view(service, &view);
  if (target->kind == TARGET_PRIMARY && view.shards > 0)
    return shard_primary(service, &view, target->index + 1);
  if (target->kind == TARGET_PRIMARY)
    return view.primary == HOST_NONE ? NULL : &all->cluster->hosts[view.primary];
  uint32_t seen = 0;
  for (uint32_t m = 0; m < service->member_count; m++)
    if (view.hosts[service->members[m]->index].role == ROLE_REPLICA && seen++ == target->index)
      return service->members[m];
  return NULL;
}
