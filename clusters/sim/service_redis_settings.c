/* The settings that a simulated `redis` runs with, in the form in which the real service reads them
 * back, and the bounds that follow from them. */
#include <stdio.h>

#include "services/redis_settings.h"
#include "services/settings.h"
#include "sim/service_redis.h"

static void put_number(json_t *object, const char *name, uint64_t value) {
  char text[24];
  snprintf(text, sizeof text, "%llu", (unsigned long long)value);
  json_object_set_new(object, name, json_string(text));
}

static json_t *parameters_of(const struct redis_config *config) {
  static const char *const fsyncs[] = {"always", "everysec", "no"};
  json_t *object = json_object();
  json_object_set_new(object, "appendonly", json_string(config->appendonly ? "yes" : "no"));
  json_object_set_new(object, "appendfsync", json_string(fsyncs[config->appendfsync]));
  json_object_set_new(object, "save", json_string(config->save ? config->save : ""));
  put_number(object, "min-replicas-to-write", config->min_replicas_to_write);
  put_number(object, "min-replicas-max-lag", config->min_replicas_max_lag_ns / NS_PER_S);
  put_number(object, "maxmemory", config->maxmemory_bytes);
  json_object_set_new(object, "maxmemory-policy",
                      json_string(redis_policies[config->maxmemory_policy]));
  put_number(object, "maxclients", config->maxclients);
  if (config->topology == REDIS_CLUSTER)
    put_number(object, "cluster-node-timeout", config->node_timeout_ns / NS_PER_MS);
  for (uint32_t i = 0; i < config->settings.count; i++)
    json_object_set_new(object, config->settings.items[i].name,
                        json_string(config->settings.items[i].value));
  return object;
}

static json_t *hosts_of(const struct sim_redis_service *service) {
  json_t *hosts = json_object();
  for (uint32_t i = 0; i < service->count; i++) {
    struct sim_redis_view view;
    sim_redis_view(service->servers, i, &view);
    settings_put_host(hosts, service->instance->members[i]->name, view.primary, "simulated",
                      parameters_of(redis_service_config(service)));
  }
  return hosts;
}

static json_t *sentinel_of(const struct redis_config *config) {
  json_t *object = json_pack("{s:I}", "sentinels", (json_int_t)redis_sentinel_count(config));
  put_number(object, "quorum", redis_quorum(config));
  put_number(object, "down-after-milliseconds", config->down_after_ns / NS_PER_MS);
  put_number(object, "failover-timeout", config->failover_timeout_ns / NS_PER_MS);
  put_number(object, "parallel-syncs", config->parallel_syncs);
  put_number(object, "num-slaves", config->instances - 1);
  return object;
}

int redis_service_settings(struct service_instance *instance, struct buf *json, struct error *err) {
  static const char *const topologies[] = {"sentinel", "cluster", "single"};
  const struct sim_redis_service *service = redis_service_of(instance);
  const struct redis_config *config = instance->config;
  const struct redis_timing timing = {
      .down_after_s = (double)config->down_after_ns / NS_PER_S,
      .failover_timeout_s = (double)config->failover_timeout_ns / NS_PER_S,
      .node_timeout_s = (double)config->node_timeout_ns / NS_PER_S};
  json_t *settings = json_pack("{s:s, s:o, s:{s:s}}", "topology", topologies[config->topology],
                               "hosts", hosts_of(service), "versions", "redis", "simulated");
  if (config->topology == REDIS_SENTINEL)
    json_object_set_new(settings, "sentinel", sentinel_of(config));
  json_t *root =
      json_pack("{s:o, s:o}", "settings", settings, "bounds", redis_bounds(config, &timing));
  return settings_print(root, json, err);
}
