/* What is really in effect, read from the servers: settings by host, those of the Sentinels,
 * versions; and the bounds that follow from them. */
#include "services/redis_settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "services/redis.h"
#include "services/settings.h"

#define TIMEOUT_NS (3 * NS_PER_S)

/* What decides about loss, eviction, lag and the time to recover. Names that a version does not
 * have are not in its answer. None is a secret. */
static const char *const setting_names[] = {
    "appendonly",
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "auto-aof-rewrite-percentage",
    "auto-aof-rewrite-min-size",
    "aof-use-rdb-preamble",
    "aof-load-truncated",
    "save",
    "stop-writes-on-bgsave-error",
    "rdbcompression",
    "rdbchecksum",
    "maxmemory",
    "maxmemory-policy",
    "maxmemory-samples",
    "maxmemory-clients",
    "replica-ignore-maxmemory",
    "active-expire-effort",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "maxclients",
    "timeout",
    "tcp-keepalive",
    "min-replicas-to-write",
    "min-replicas-max-lag",
    "repl-timeout",
    "repl-ping-replica-period",
    "repl-backlog-size",
    "repl-backlog-ttl",
    "repl-diskless-sync",
    "repl-diskless-sync-delay",
    "repl-diskless-load",
    "repl-disable-tcp-nodelay",
    "replica-serve-stale-data",
    "replica-read-only",
    "replica-priority",
    "client-output-buffer-limit",
    "shutdown-timeout",
    "cluster-enabled",
    "cluster-node-timeout",
    "cluster-replica-validity-factor",
    "cluster-replica-no-failover",
    "cluster-require-full-coverage",
    "cluster-allow-reads-when-down",
    "cluster-migration-barrier",
    "hz",
    "dynamic-hz",
    "io-threads",
    "tls-port",
    "tls-replication",
    "tls-cluster",
    "tls-auth-clients",
    "tls-protocols",
    "tls-ciphers",
    "tls-ciphersuites",
};

static bool wanted(const struct redis_config *config, const char *name) {
  for (size_t i = 0; i < sizeof setting_names / sizeof setting_names[0]; i++)
    if (strcasecmp(name, setting_names[i]) == 0) return true;
  for (uint32_t i = 0; i < config->settings.count; i++)
    if (strcasecmp(name, config->settings.items[i].name) == 0) return true;
  return false;
}

static json_t *settings_object(const struct redis_config *config, const redisReply *reply) {
  json_t *object = json_object();
  for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
    const redisReply *name = reply->element[i], *value = reply->element[i + 1];
    if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING &&
        wanted(config, name->str))
      json_object_set_new(object, name->str, json_string(value->str));
  }
  return object;
}

static int read_host(struct service_instance *service, uint32_t member, json_t *hosts,
                     json_t *versions, struct error *err) {
  const char *name = service->members[member]->name;
  struct redis_info info;
  CLEANUP(cleanup_reply) redisReply *reply = NULL;
  int status = redis_ask_info(service, member, NULL, TIMEOUT_NS, &info, err);
  if (status == 0)
    status = redis_ask_once(service, member, REDIS_PORT, "CONFIG GET *", TIMEOUT_NS, &reply, err);
  if (status < 0) return error_wrap(err, "cannot read the settings of %s", name);
  json_t *parameters = settings_object(redis_config(service), reply);
  if (settings_put_host(hosts, name, info.primary, info.version, parameters) < 0 ||
      json_object_set_new(versions, info.valkey ? "valkey" : "redis", json_string(info.version)) <
          0)
    return error_set(err, STATUS_MEMORY, "out of memory for settings");
  return 0;
}

static double milliseconds_field(const redisReply *reply, const char *key) {
  return strtod(redis_reply_field(reply, key), NULL) / 1e3;
}

/* Sentinels of one set may disagree; the first that answers stands for all of them, and its host is
 * named. */
static int read_sentinel(struct service_instance *service, json_t *settings,
                         struct redis_timing *timing, struct error *err) {
  uint32_t count = redis_sentinel_count(redis_config(service));
  CLEANUP(cleanup_reply) redisReply *reply = NULL;
  uint32_t member = 0;
  int status = -1;
  for (; status < 0 && member < count; member++)
    status = redis_ask_once(service, member, REDIS_SENTINEL_PORT,
                            "SENTINEL MASTER " REDIS_MASTER_NAME, TIMEOUT_NS, &reply, err);
  if (status < 0) return error_wrap(err, "cannot read the settings of the Sentinels");
  timing->down_after_s = milliseconds_field(reply, "down-after-milliseconds");
  timing->failover_timeout_s = milliseconds_field(reply, "failover-timeout");
  json_t *sentinel =
      json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:s}", "of", service->members[member - 1]->name,
                "sentinels", (json_int_t)count, "quorum", redis_reply_field(reply, "quorum"),
                "down-after-milliseconds", redis_reply_field(reply, "down-after-milliseconds"),
                "failover-timeout", redis_reply_field(reply, "failover-timeout"), "parallel-syncs",
                redis_reply_field(reply, "parallel-syncs"), "num-slaves",
                redis_reply_field(reply, "num-slaves"));
  if (json_object_set_new(settings, "sentinel", sentinel) < 0)
    return error_set(err, STATUS_MEMORY, "out of memory for settings");
  return 0;
}

static double node_timeout_of(const json_t *hosts, const char *name) {
  const json_t *parameters = json_object_get(json_object_get(hosts, name), "parameters");
  const char *text = json_string_value(json_object_get(parameters, "cluster-node-timeout"));
  return text ? strtod(text, NULL) / 1e3 : 0;
}

static int collect(struct service_instance *service, void *root, struct error *err) {
  static const char *const topologies[] = {"sentinel", "cluster", "single"};
  const struct redis_config *config = redis_config(service);
  struct redis_timing timing = {.down_after_s = 0};
  json_t *hosts = json_object(), *versions = json_object();
  json_t *settings = json_pack("{s:s, s:o, s:o}", "topology", topologies[config->topology], "hosts",
                               hosts, "versions", versions);
  if (!settings || json_object_set_new(root, "settings", settings) < 0)
    return error_set(err, STATUS_MEMORY, "out of memory for settings");
  int status = 0;
  for (uint32_t i = 0; status == 0 && i < redis_instances(config); i++)
    status = read_host(service, i, hosts, versions, err);
  if (status == 0 && config->topology == REDIS_SENTINEL)
    status = read_sentinel(service, settings, &timing, err);
  if (status < 0) return status;
  timing.node_timeout_s = node_timeout_of(hosts, service->members[0]->name);
  if (json_object_set_new(root, "bounds", redis_bounds(config, &timing)) < 0)
    return error_set(err, STATUS_MEMORY, "out of memory for settings");
  return 0;
}

int redis_settings(struct service_instance *service, struct buf *json, struct error *err) {
  return settings_collect(service, redis_state(service)->monitor, collect, json, err);
}
