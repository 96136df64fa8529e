/* What a configuration of `redis` must not be: contradictions that the servers would refuse, or
 * take and never be of use with, later. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "services/redis_parameters.h"

struct reserved {
  const char *name, *why;
};

static const struct reserved reserved_settings[] = {
    {"port", "the service sets it"},
    {"bind", "the service sets it"},
    {"protected-mode", "the service sets it"},
    {"dir", "the service sets it"},
    {"daemonize", "the service sets it"},
    {"supervised", "the service sets it"},
    {"pidfile", "the service sets it"},
    {"include", "the whole configuration is made by the service"},
    {"logfile", "the servers' logs are collected from their standard output"},
    {"syslog-enabled", "the servers' logs are collected from their standard output"},
    {"user", "users are made for the run"},
    {"aclfile", "users are made for the run"},
    {"requirepass", "users are made for the run"},
    {"masterauth", "users are made for the run"},
    {"masteruser", "users are made for the run"},
    {"rename-command", "the service itself needs the commands; rights are set by users"},
    {"replicaof", "the topology sets it"},
    {"slaveof", "the topology sets it"},
    {"replica-announce-ip", "the topology sets it"},
    {"slave-announce-ip", "the topology sets it"},
    {"replica-announce-port", "the topology sets it"},
    {"slave-announce-port", "the topology sets it"},
    {"cluster-enabled", "the topology sets it"},
    {"cluster-config-file", "the topology sets it"},
    {"cluster-port", "the topology sets it"},
    {"cluster-announce-ip", "the topology sets it"},
    {"cluster-announce-port", "the topology sets it"},
    {"cluster-announce-bus-port", "the topology sets it"},
    {"cluster-announce-hostname", "the topology sets it"},
    {"cluster-migration-barrier", "replicas stay with their shard"},
    {"cluster-allow-replica-migration", "replicas stay with their shard"},
    {"tls-port", "it is a parameter of the service: tls"},
    {"tls-replication", "it is a parameter of the service: tls"},
    {"tls-cluster", "it is a parameter of the service: tls"},
    {"tls-auth-clients", "clients have passwords, and no certificates"},
    {"tls-cert-file", "certificates are made for the run"},
    {"tls-key-file", "certificates are made for the run"},
    {"tls-key-file-pass", "certificates are made for the run"},
    {"tls-client-cert-file", "certificates are made for the run"},
    {"tls-client-key-file", "certificates are made for the run"},
    {"tls-client-key-file-pass", "certificates are made for the run"},
    {"tls-ca-cert-file", "certificates are made for the run"},
    {"tls-ca-cert-dir", "certificates are made for the run"},
    {"cluster-node-timeout", "it is a parameter of the service: node_timeout"},
    {"cluster-replica-validity-factor",
     "it is a parameter of the service: replica_validity_factor"},
    {"cluster-slave-validity-factor", "it is a parameter of the service: replica_validity_factor"},
    {"cluster-require-full-coverage", "it is a parameter of the service: require_full_coverage"},
    {"min-replicas-to-write", "it is a parameter of the service: min_replicas_to_write"},
    {"min-slaves-to-write", "it is a parameter of the service: min_replicas_to_write"},
    {"min-replicas-max-lag", "it is a parameter of the service: min_replicas_max_lag"},
    {"min-slaves-max-lag", "it is a parameter of the service: min_replicas_max_lag"},
    {"appendonly", "it is a parameter of the service: appendonly"},
    {"appendfsync", "it is a parameter of the service: appendfsync"},
    {"save", "it is a parameter of the service: save"},
    {"maxmemory", "it is a parameter of the service: maxmemory"},
    {"maxmemory-policy", "it is a parameter of the service: maxmemory_policy"},
    {"maxclients", "it is a parameter of the service: maxclients"},
};

bool redis_setting_reserved(const char *name, const char **ret_why) {
  for (size_t i = 0; i < sizeof reserved_settings / sizeof reserved_settings[0]; i++) {
    if (strcasecmp(name, reserved_settings[i].name) != 0) continue;
    *ret_why = reserved_settings[i].why;
    return true;
  }
  return false;
}

static bool setting_name_valid(const char *name) {
  if (!isalpha((unsigned char)name[0])) return false;
  for (const char *c = name; *c; c++)
    if (!isalnum((unsigned char)*c) && *c != '-') return false;
  return strlen(name) < 64;
}

static int check_settings(const struct settings *settings, struct error *err) {
  for (uint32_t i = 0; i < settings->count; i++) {
    const struct setting *setting = &settings->items[i];
    const char *why = NULL;
    if (!setting_name_valid(setting->name))
      return error_set(err, STATUS_USAGE,
                       "'%s' is no name of a setting of redis.conf: letters, digits and - expected",
                       setting->name);
    if (redis_setting_reserved(setting->name, &why))
      return error_set(err, STATUS_USAGE, "the setting %s cannot be set: %s", setting->name, why);
    if (strpbrk(setting->value, "\r\n"))
      return error_set(err, STATUS_USAGE, "the setting %s has a line break in its value",
                       setting->name);
    for (uint32_t j = 0; j < i; j++)
      if (strcasecmp(settings->items[j].name, setting->name) == 0)
        return error_set(err, STATUS_USAGE, "the setting %s is given twice", setting->name);
  }
  return 0;
}

/* "3600 1 300 100": pairs of whole numbers above 0. */
static bool save_valid(const char *save) {
  uint32_t numbers = 0;
  for (const char *c = save; *c;) {
    char *end = NULL;
    if (!isdigit((unsigned char)*c)) return false;
    if (strtoull(c, &end, 10) == 0 || end - c > 9) return false;
    numbers++;
    if (*end != '\0' && *end != ' ') return false;
    c = end + strspn(end, " ");
  }
  return numbers % 2 == 0;
}

static int check_milliseconds(uint64_t value_ns, const char *key, struct error *err) {
  if (value_ns % NS_PER_MS == 0) return 0;
  return error_set(err, STATUS_USAGE, "%s must be whole milliseconds: Redis counts in them", key);
}

static int check_sentinel(const struct redis_config *config, struct error *err) {
  int status = check_milliseconds(config->down_after_ns, "down_after", err);
  if (status == 0)
    status = check_milliseconds(config->failover_timeout_ns, "failover_timeout", err);
  if (status == 0 && config->quorum > config->sentinels)
    status = error_set(err, STATUS_USAGE, "quorum %u is more than the %u sentinels there are",
                       config->quorum, config->sentinels);
  return status;
}

static int check_cluster(const struct redis_config *config, struct error *err) {
  if (redis_instances(config) > REDIS_INSTANCES_MAX)
    return error_set(
        err, STATUS_USAGE,
        "masters x (1 + replicas) is %u data servers, %d is the most that is supported",
        redis_instances(config), REDIS_INSTANCES_MAX);
  return check_milliseconds(config->node_timeout_ns, "node_timeout", err);
}

static int check_min_replicas(const struct redis_config *config, struct error *err) {
  uint32_t replicas =
      config->topology == REDIS_CLUSTER ? config->replicas : redis_instances(config) - 1;
  if (config->min_replicas_max_lag_ns % NS_PER_S != 0)
    return error_set(err, STATUS_USAGE,
                     "min_replicas_max_lag must be whole seconds: Redis counts in seconds");
  if (config->min_replicas_to_write > replicas)
    return error_set(err, STATUS_USAGE,
                     "min_replicas_to_write %u needs more than the %u replicas that a primary has: "
                     "no write would ever be accepted",
                     config->min_replicas_to_write, replicas);
  return 0;
}

int redis_validate(const void *data, struct error *err) {
  const struct redis_config *config = data;
  int status = 0;
  if (config->topology == REDIS_SENTINEL) status = check_sentinel(config, err);
  if (config->topology == REDIS_CLUSTER) status = check_cluster(config, err);
  if (status == 0) status = check_min_replicas(config, err);
  if (status == 0 && config->save && !save_valid(config->save))
    status = error_set(err, STATUS_USAGE,
                       "save must be seconds and changes in pairs, such as \"3600 1 300 100\", or "
                       "\"\" for no snapshots, not '%s'",
                       config->save);
  if (status == 0) status = check_settings(&config->settings, err);
  return status;
}
