/* Plans hosts and binds services to them. */
#include "engine/hosts.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"

int cluster_id_make(char ret_id[16], struct error *err) {
  unsigned char bytes[4];
  int status = random_bytes(bytes, sizeof bytes, err);
  if (status < 0) return status;
  snprintf(ret_id, 16, "gd%02x%02x%02x%02x", bytes[0], bytes[1], bytes[2], bytes[3]);
  return 0;
}

static int too_many(struct error *err) {
  return error_set(err, STATUS_USAGE, "the scenario needs more than %d hosts", HOSTS_MAX);
}

int hosts_plan(const struct scenario *scenario, struct arena *arena, struct host_spec *ret_hosts,
               uint32_t *ret_count, struct error *err) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < scenario->service_count; i++) {
    struct host_spec planned[HOSTS_MAX];
    uint32_t add = 0;
    const struct scenario_service *row = &scenario->services[i];
    int status = row->service->plan(row->config, planned, &add, err);
    if (status < 0) return status;
    if (add > HOSTS_MAX - count) return too_many(err);
    for (uint32_t h = 0; h < add; h++) {
      ret_hosts[count] = planned[h];
      ret_hosts[count].name = arena_strdup(arena, planned[h].name);
      if (!ret_hosts[count++].name) return error_set(err, STATUS_MEMORY, "out of memory");
    }
  }
  if (scenario->client_hosts >= HOSTS_MAX - count) return too_many(err); /* and the monitor */
  for (uint32_t i = 0; i < scenario->client_hosts; i++) {
    const char *name = arena_printf(arena, "client%u", i + 1);
    if (!name) return error_set(err, STATUS_MEMORY, "out of memory");
    ret_hosts[count++] = (struct host_spec){.name = name, .kind = HOST_CLIENT};
  }
  ret_hosts[count++] = (struct host_spec){.name = "monitor", .kind = HOST_MONITOR};
  *ret_count = count;
  return 0;
}

int hosts_probe(const struct scenario *scenario, struct error *err) {
  const struct provider *provider = scenario->provider;
  uint32_t needs = 0;
  for (uint32_t i = 0; i < scenario->timeline_count; i++)
    needs |= scenario->timeline[i].injector->needs;
  int status = provider->probe(scenario->provider_config, err);
  if (status < 0 || !provider->probe_can) return status;
  return provider->probe_can(scenario->provider_config, needs, err);
}

static const struct host *host_named(const struct cluster *cluster, const char *name) {
  for (uint32_t i = 0; i < cluster->host_count; i++)
    if (strcmp(cluster->hosts[i].name, name) == 0) return &cluster->hosts[i];
  return NULL;
}

static int bind_members(const struct scenario_service *row, struct cluster *cluster,
                        struct arena *arena, struct service_instance *instance, struct error *err) {
  struct host_spec planned[HOSTS_MAX];
  uint32_t count = 0;
  int status = row->service->plan(row->config, planned, &count, err);
  if (status < 0) return status;
  instance->members = arena_calloc(arena, count, sizeof *instance->members);
  instance->state = arena_alloc(arena, instance->service->plugin.state_size + 1);
  if (!instance->members || !instance->state) return error_set(err, STATUS_MEMORY, "out of memory");
  for (uint32_t i = 0; i < count; i++) {
    instance->members[i] = host_named(cluster, planned[i].name);
    if (!instance->members[i])
      return error_set(err, STATUS_INTERNAL, "the cluster has no host %s", planned[i].name);
  }
  instance->member_count = count;
  return 0;
}

int hosts_bind(const struct scenario *scenario, struct cluster *cluster, struct arena *arena,
               struct sink *sink, const struct clock *clock, uint64_t start_ns,
               struct service_instance *ret_services, struct error *err) {
  for (uint32_t i = 0; i < scenario->service_count; i++) {
    const struct scenario_service *row = &scenario->services[i];
    const struct provider *provider = cluster->provider;
    const struct service *service = provider->model ? provider->model(row->service) : row->service;
    if (!service)
      return error_set(err, STATUS_USAGE, "provider %s has no model of the service %s",
                       provider->plugin.name, row->service->plugin.name);
    ret_services[i] = (struct service_instance){.service = service,
                                                .config = row->config,
                                                .cluster = cluster,
                                                .sink = sink,
                                                .clock = clock,
                                                .start_ns = start_ns,
                                                .deadline_ns_start = scenario->start_timeout_ns,
                                                .lag_bound_bytes = scenario->lag_bound_bytes};
    int status = bind_members(row, cluster, arena, &ret_services[i], err);
    if (status < 0) return status;
  }
  return 0;
}
