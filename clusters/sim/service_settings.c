/* The settings that a simulated `postgres` runs with, in the form in which the real service reads
 * them back, and the bounds that follow from them. */
#include "services/settings.h"
#include "sim/service.h"

static json_t *one_setting(const char *value, bool written) {
  return json_pack("{s:s, s:s}", "value", value, "source",
                   written ? "configuration file" : "default");
}

static json_t *parameters_of(const struct postgres_config *config) {
  char number[16];
  json_t *parameters = json_object();
  snprintf(number, sizeof number, "%u", config->max_connections);
  json_object_set_new(parameters, "max_connections", one_setting(number, true));
  json_object_set_new(parameters, "synchronous_commit", one_setting("on", false));
  for (uint32_t i = 0; i < config->parameters.count; i++) {
    const struct setting *setting = &config->parameters.items[i];
    json_object_set_new(parameters, setting->name, one_setting(setting->value, true));
  }
  return parameters;
}

static json_t *hosts_of(const struct sim_service *service) {
  uint32_t primary = sim_service_primary(service);
  json_t *hosts = json_object();
  for (uint32_t i = 0; i < service->count; i++)
    settings_put_host(hosts, service->instance->members[i]->name, i == primary, "simulated",
                      parameters_of(sim_service_config(service)));
  return hosts;
}

static json_int_t seconds(uint64_t value_ns) {
  return (json_int_t)(value_ns / NS_PER_S);
}

static json_t *patroni_of(const struct postgres_config *config) {
  return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:I, s:{s:b}}", "ttl",
                   seconds(config->ttl_ns), "loop_wait", seconds(config->loop_wait_ns),
                   "retry_timeout", seconds(config->retry_timeout_ns), "primary_start_timeout",
                   seconds(config->primary_start_timeout_ns), "maximum_lag_on_failover",
                   (json_int_t)config->maximum_lag_on_failover_bytes, "synchronous_mode",
                   config->synchronous_mode, "synchronous_mode_strict",
                   config->synchronous_mode_strict, "synchronous_node_count",
                   (json_int_t)config->synchronous_node_count, "postgresql", "use_pg_rewind",
                   config->use_pg_rewind);
}

static json_t *settings_of(const struct sim_service *service) {
  static const char *const topologies[] = {"patroni", "streaming", "single"};
  static const char *const patronis[] = {
      [SIM_PATRONI_3_0] = "3.0 (simulated)", [SIM_PATRONI_3_2] = "3.2 (simulated)"};
  const struct postgres_config *config = sim_service_config(service);
  json_t *versions = json_pack("{s:s}", "postgresql", "simulated");
  json_t *settings =
      json_pack("{s:s, s:o}", "topology", topologies[config->topology], "hosts", hosts_of(service));
  if (service->patroni) {
    json_object_set_new(versions, "patroni",
                        json_string(patronis[service->cluster->config->patroni]));
    json_object_set_new(versions, "etcd", json_string("simulated"));
    json_object_set_new(settings, "patroni", patroni_of(config));
    json_object_set_new(
        settings, "etcd",
        json_pack("{s:I, s:I, s:I}", "voters", (json_int_t)postgres_etcd_count(config),
                  "heartbeat_interval_ms", (json_int_t)ETCD_HEARTBEAT_MS, "election_timeout_ms",
                  (json_int_t)ETCD_ELECTION_MS));
  }
  if (json_object_set_new(settings, "versions", versions) == 0) return settings;
  json_decref(settings);
  return NULL;
}

int sim_service_settings(struct service_instance *instance, struct buf *json, struct error *err) {
  const struct sim_service *service = sim_service_of(instance);
  json_t *settings = settings_of(service);
  const struct postgres_timing timing = postgres_timing_of(json_object_get(settings, "patroni"));
  json_t *root = json_pack("{s:o, s:o}", "settings", settings, "bounds",
                           postgres_bounds(instance->config, &timing));
  return settings_print(root, json, err);
}
