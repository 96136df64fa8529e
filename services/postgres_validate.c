/* What a configuration of `postgres` must not be: contradictions that Patroni or PostgreSQL would
 * refuse, or silently change, later. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "services/postgres.h"

struct reserved {
  const char *name, *why;
  bool patroni_only; /* Patroni controls it; free in the other topologies */
};

static const struct reserved reserved_parameters[] = {
    {"ssl", "connections are always TLS", false},
    {"ssl_cert_file", "certificates are made for the run", false},
    {"ssl_key_file", "certificates are made for the run", false},
    {"ssl_ca_file", "certificates are made for the run", false},
    {"password_encryption", "passwords are always SCRAM", false},
    {"listen_addresses", "the service sets it", false},
    {"port", "the service sets it", false},
    {"unix_socket_directories", "the service sets it", false},
    {"data_directory", "the service sets it", false},
    {"config_file", "the service sets it", false},
    {"hba_file", "the service sets it", false},
    {"ident_file", "the service sets it", false},
    {"external_pid_file", "the service sets it", false},
    {"cluster_name", "the service sets it", false},
    {"logging_collector", "the servers' logs are collected from their standard error", false},
    {"log_destination", "the servers' logs are collected from their standard error", false},
    {"primary_conninfo", "the topology sets it", false},
    {"primary_slot_name", "the topology sets it", false},
    {"recovery_target_timeline", "the topology sets it", false},
    {"max_connections", "it is a parameter of the service: max_connections", false},
    {"hot_standby", "replicas are read", false},
    {"wal_log_hints", "Patroni sets it", true},
};

bool postgres_parameter_reserved(const char *name, const struct postgres_config *config,
                                 const char **ret_why) {
  bool patroni = config->topology == TOPOLOGY_PATRONI;
  for (size_t i = 0; i < sizeof reserved_parameters / sizeof reserved_parameters[0]; i++) {
    const struct reserved *entry = &reserved_parameters[i];
    if (strcasecmp(name, entry->name) != 0 || (entry->patroni_only && !patroni)) continue;
    *ret_why = entry->why;
    return true;
  }
  if (patroni && config->synchronous_mode && strcasecmp(name, "synchronous_standby_names") == 0) {
    *ret_why = "Patroni sets it while synchronous_mode is on";
    return true;
  }
  return false;
}

static bool parameter_name_valid(const char *name) {
  if (!isalpha((unsigned char)name[0]) && name[0] != '_') return false;
  for (const char *c = name; *c; c++)
    if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.') return false;
  return strlen(name) < 64; /* NAMEDATALEN */
}

static int check_parameters(const struct postgres_config *config, struct error *err) {
  for (uint32_t i = 0; i < config->parameters.count; i++) {
    const struct setting *setting = &config->parameters.items[i];
    const char *why = NULL;
    if (!parameter_name_valid(setting->name))
      return error_set(err, STATUS_USAGE,
                       "'%s' is no name of a server parameter: letters, digits, _ and . expected",
                       setting->name);
    if (postgres_parameter_reserved(setting->name, config, &why))
      return error_set(err, STATUS_USAGE, "the server parameter %s cannot be set: %s",
                       setting->name, why);
    if (strpbrk(setting->value, "\r\n"))
      return error_set(err, STATUS_USAGE, "the server parameter %s has a line break in its value",
                       setting->name);
    for (uint32_t j = 0; j < i; j++)
      if (strcasecmp(config->parameters.items[j].name, setting->name) == 0)
        return error_set(err, STATUS_USAGE, "the server parameter %s is given twice",
                         setting->name);
  }
  return 0;
}

static int check_whole_seconds(uint64_t value_ns, const char *key, struct error *err) {
  if (value_ns % NS_PER_S == 0) return 0;
  return error_set(err, STATUS_USAGE, "%s must be whole seconds: Patroni counts in seconds", key);
}

/* The rule is in Patroni's documentation (dynamic_configuration.rst); newer versions lower
 * loop_wait and retry_timeout until it holds, older ones run with a leader key that can expire
 * under a healthy primary. Neither is what a scenario asked for. */
static int check_timing(const struct postgres_config *config, struct error *err) {
  int status = check_whole_seconds(config->ttl_ns, "ttl", err);
  if (status == 0) status = check_whole_seconds(config->loop_wait_ns, "loop_wait", err);
  if (status == 0) status = check_whole_seconds(config->retry_timeout_ns, "retry_timeout", err);
  if (status == 0)
    status = check_whole_seconds(config->primary_start_timeout_ns, "primary_start_timeout", err);
  if (status < 0) return status;
  uint64_t needed_ns = config->loop_wait_ns + 2 * config->retry_timeout_ns;
  if (config->ttl_ns >= needed_ns) return 0;
  return error_set(err, STATUS_USAGE,
                   "ttl must be at least loop_wait + 2 x retry_timeout (%llu s), it is %llu s: "
                   "Patroni would adjust them by itself",
                   (unsigned long long)(needed_ns / NS_PER_S),
                   (unsigned long long)(config->ttl_ns / NS_PER_S));
}

static int check_synchronous(const struct postgres_config *config, struct error *err) {
  if (config->synchronous_mode_strict && !config->synchronous_mode)
    return error_set(err, STATUS_USAGE, "synchronous_mode_strict needs synchronous_mode: true");
  if (!config->synchronous_mode) return 0;
  if (config->topology != TOPOLOGY_PATRONI)
    return error_set(err, STATUS_USAGE,
                     "synchronous_mode is Patroni's: with topology streaming give "
                     "parameters: {synchronous_standby_names: ...}");
  if (config->instances == 1 && config->synchronous_mode_strict)
    return error_set(err, STATUS_USAGE,
                     "synchronous_mode_strict with 1 instance would never accept a write");
  if (config->instances > 1 && config->synchronous_node_count >= config->instances)
    return error_set(err, STATUS_USAGE,
                     "synchronous_node_count %u needs more than the %u replicas there are",
                     config->synchronous_node_count, config->instances - 1);
  return 0;
}

static int check_version(const char *version, struct error *err) {
  if (!version || strcmp(version, "auto") == 0) return 0;
  char *end = NULL;
  unsigned long major = strtoul(version, &end, 10);
  if (!isdigit((unsigned char)version[0]) || *end || major < 13 || major > 99)
    return error_set(err, STATUS_USAGE,
                     "version must be auto or a major version such as 15 (13 is the oldest "
                     "supported), not '%s'",
                     version);
  return 0;
}

int postgres_validate(const void *data, struct error *err) {
  const struct postgres_config *config = data;
  int status = check_version(config->version, err);
  if (status == 0 && config->topology == TOPOLOGY_PATRONI) status = check_timing(config, err);
  if (status == 0) status = check_synchronous(config, err);
  if (status == 0) status = check_parameters(config, err);
  if (status == 0 && config->topology == TOPOLOGY_STREAMING && config->instances < 2)
    status = error_set(err, STATUS_USAGE,
                       "topology streaming needs at least 2 instances; one server is topology "
                       "single");
  return status;
}
