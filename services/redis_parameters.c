/* The parameters of the service `redis` as a table, and what follows from them alone: hosts,
 * processes, steps, connections. Shared with the model in the simulator. */
#include "services/redis_parameters.h"

#include <stdio.h>

static const char *const topology_choices[] = {"sentinel", "cluster", "single", NULL};
static const char *const program_choices[] = {"auto", "redis", "valkey", NULL};
static const char *const fsync_choices[] = {"always", "everysec", "no", NULL};
const char *const redis_policies[] = {[REDIS_NOEVICTION] = "noeviction",
                                      [REDIS_ALLKEYS_LRU] = "allkeys-lru",
                                      [REDIS_VOLATILE_LRU] = "volatile-lru",
                                      [REDIS_ALLKEYS_LFU] = "allkeys-lfu",
                                      [REDIS_VOLATILE_LFU] = "volatile-lfu",
                                      [REDIS_ALLKEYS_RANDOM] = "allkeys-random",
                                      [REDIS_VOLATILE_RANDOM] = "volatile-random",
                                      [REDIS_VOLATILE_TTL] = "volatile-ttl",
                                      NULL};

#define FIELD(name) offsetof(struct redis_config, name)
const struct param redis_params[] = {
    {.key = "topology",
     .type = PARAM_CHOICE,
     .offset = FIELD(topology),
     .default_text = "sentinel",
     .choices = topology_choices,
     .help = "sentinel: a primary with replicas, watched by Sentinels; cluster: Redis Cluster, "
             "masters with replicas of their own; single: one server."},
    {.key = "program",
     .type = PARAM_CHOICE,
     .offset = FIELD(program),
     .default_text = "auto",
     .choices = program_choices,
     .help = "Whose servers: redis or valkey; auto: Redis, or Valkey where only that is "
             "installed on the hosts."},
    {.key = "instances",
     .type = PARAM_COUNT,
     .offset = FIELD(instances),
     .default_text = "3",
     .minimum = "2",
     .maximum = "12",
     .help = "sentinel: data servers, hosts redis1 to redisN; redis1 is the first primary."},
    {.key = "sentinels",
     .type = PARAM_COUNT,
     .offset = FIELD(sentinels),
     .default_text = "3",
     .minimum = "1",
     .maximum = "7",
     .help = "sentinel: Sentinels, on the first hosts; more than instances have hosts of their "
             "own, sentinel1 and so on."},
    {.key = "quorum",
     .type = PARAM_COUNT,
     .offset = FIELD(quorum),
     .default_text = "0",
     .minimum = "0",
     .maximum = "7",
     .help = "sentinel: how many Sentinels must miss the primary before one of them starts a "
             "failover; 0: the majority of them."},
    {.key = "down_after",
     .type = PARAM_DURATION,
     .offset = FIELD(down_after_ns),
     .default_text = "30s",
     .minimum = "100ms",
     .maximum = "1h",
     .help = "sentinel: down-after-milliseconds, how long an instance must be silent until a "
             "Sentinel takes it for down (default: Redis's)."},
    {.key = "failover_timeout",
     .type = PARAM_DURATION,
     .offset = FIELD(failover_timeout_ns),
     .default_text = "3min",
     .minimum = "1s",
     .maximum = "24h",
     .help = "sentinel: failover-timeout; a failed attempt is repeated after twice this time "
             "(default: Redis's)."},
    {.key = "parallel_syncs",
     .type = PARAM_COUNT,
     .offset = FIELD(parallel_syncs),
     .default_text = "1",
     .minimum = "1",
     .maximum = "12",
     .help = "sentinel: parallel-syncs, how many replicas follow a new primary at the same time "
             "(default: Redis's)."},
    {.key = "masters",
     .type = PARAM_COUNT,
     .offset = FIELD(masters),
     .default_text = "3",
     .minimum = "3",
     .maximum = "1000",
     .help = "cluster: masters, each a shard with an equal range of the slots; hosts redis1 to "
             "redisM. Fewer than 3 have no majority to fail over with."},
    {.key = "replicas",
     .type = PARAM_COUNT,
     .offset = FIELD(replicas),
     .default_text = "1",
     .minimum = "0",
     .maximum = "3",
     .help = "cluster: replicas of each master, on the hosts after the masters, round by round."},
    {.key = "node_timeout",
     .type = PARAM_DURATION,
     .offset = FIELD(node_timeout_ns),
     .default_text = "15s",
     .minimum = "500ms",
     .maximum = "1h",
     .help = "cluster: cluster-node-timeout (default: Redis's)."},
    {.key = "replica_validity_factor",
     .type = PARAM_COUNT,
     .offset = FIELD(replica_validity_factor),
     .default_text = "10",
     .minimum = "0",
     .maximum = "1000",
     .help = "cluster: cluster-replica-validity-factor, how stale a replica may be and still take "
             "over, in node timeouts; 0: any (default: Redis's)."},
    {.key = "require_full_coverage",
     .type = PARAM_BOOL,
     .offset = FIELD(require_full_coverage),
     .default_text = "true",
     .help = "cluster: cluster-require-full-coverage, all stop when one slot has no master "
             "(default: Redis's)."},
    {.key = "min_replicas_to_write",
     .type = PARAM_COUNT,
     .offset = FIELD(min_replicas_to_write),
     .default_text = "0",
     .minimum = "0",
     .maximum = "11",
     .help = "min-replicas-to-write: a primary with fewer replicas in time refuses writes "
             "(default: Redis's)."},
    {.key = "min_replicas_max_lag",
     .type = PARAM_DURATION,
     .offset = FIELD(min_replicas_max_lag_ns),
     .default_text = "10s",
     .minimum = "1s",
     .maximum = "1h",
     .help = "min-replicas-max-lag: a replica that was heard longer ago does not count; whole "
             "seconds (default: Redis's)."},
    {.key = "appendonly",
     .type = PARAM_BOOL,
     .offset = FIELD(appendonly),
     .default_text = "false",
     .help = "appendonly: keep an append-only file (default: Redis's)."},
    {.key = "appendfsync",
     .type = PARAM_CHOICE,
     .offset = FIELD(appendfsync),
     .default_text = "everysec",
     .choices = fsync_choices,
     .help = "appendfsync: when the append-only file is flushed to disk (default: Redis's)."},
    {.key = "save",
     .type = PARAM_STRING,
     .offset = FIELD(save),
     .default_text = "3600 1 300 100 60 10000",
     .help = "save: seconds and changes after which a snapshot is written, in pairs; \"\": none "
             "(default: Redis's)."},
    {.key = "maxmemory",
     .type = PARAM_SIZE,
     .offset = FIELD(maxmemory_bytes),
     .default_text = "0B",
     .minimum = "0B",
     .help = "maxmemory: how much the data set may take; 0B: no limit but the host's."},
    {.key = "maxmemory_policy",
     .type = PARAM_CHOICE,
     .offset = FIELD(maxmemory_policy),
     .default_text = "noeviction",
     .choices = redis_policies,
     .help = "maxmemory-policy: what goes when maxmemory is reached (default: Redis's)."},
    {.key = "maxclients",
     .type = PARAM_COUNT,
     .offset = FIELD(maxclients),
     .default_text = "10000",
     .minimum = "32",
     .maximum = "262143",
     .help = "maxclients (default: Redis's)."},
    {.key = "tls",
     .type = PARAM_BOOL,
     .offset = FIELD(tls),
     .default_text = "false",
     .help = "All connections are TLS, with certificates made for the run: of clients, between "
             "servers, of Sentinels and on a cluster's bus (default: Redis's)."},
    {.key = "memory",
     .type = PARAM_SIZE,
     .offset = FIELD(memory_bytes),
     .default_text = "512MiB",
     .minimum = "64MiB",
     .help = "Memory limit of each host."},
    {.key = "disk",
     .type = PARAM_SIZE,
     .offset = FIELD(disk_bytes),
     .default_text = "1GiB",
     .minimum = "64MiB",
     .help = "Size of the file system with the data of each host."},
    {.key = "settings",
     .type = PARAM_SETTINGS,
     .offset = FIELD(settings),
     .help = "Other settings of the servers by name, as in redis.conf, such as "
             "repl-backlog-size or lazyfree-lazy-eviction."},
    {.key = NULL},
};
#undef FIELD

const struct service_process redis_processes[] = {
    {.name = "redis", .match = {.unit = "redis"}, .unit = "redis"},
    {.name = "sentinel", .match = {.unit = "redis-sentinel"}, .unit = "redis-sentinel"},
    {.name = NULL},
};
static const struct service_process processes_without_sentinel[] = {
    {.name = "redis", .match = {.unit = "redis"}, .unit = "redis"},
    {.name = NULL},
};

const struct service_process *redis_processes_for(const void *data) {
  const struct redis_config *config = data;
  return config->topology == REDIS_SENTINEL ? redis_processes : processes_without_sentinel;
}

uint32_t redis_instances(const struct redis_config *config) {
  if (config->topology == REDIS_CLUSTER) return config->masters * (1 + config->replicas);
  return config->topology == REDIS_SENTINEL ? config->instances : 1;
}

uint32_t redis_sentinel_count(const struct redis_config *config) {
  return config->topology == REDIS_SENTINEL ? config->sentinels : 0;
}

uint32_t redis_host_count(const struct redis_config *config) {
  uint32_t instances = redis_instances(config), sentinels = redis_sentinel_count(config);
  return sentinels > instances ? sentinels : instances;
}

uint32_t redis_quorum(const struct redis_config *config) {
  uint32_t sentinels = redis_sentinel_count(config);
  if (sentinels == 0) return 0;
  return config->quorum ? config->quorum : sentinels / 2 + 1;
}

uint16_t redis_shards(const struct redis_config *config) {
  return config->topology == REDIS_CLUSTER ? (uint16_t)config->masters : 0;
}

uint16_t redis_first_shard(const struct redis_config *config, uint32_t member) {
  if (config->topology != REDIS_CLUSTER || member >= redis_instances(config)) return 0;
  return (uint16_t)(member % config->masters + 1);
}

/* The names of hosts outlive every plan, so they are constants: redis1 to redis1000. */
#define NAMES_TO_9() \
  "redis1", "redis2", "redis3", "redis4", "redis5", "redis6", "redis7", "redis8", "redis9"
#define NAMES_OF_10(tens)                                                                        \
  "redis" #tens "0", "redis" #tens "1", "redis" #tens "2", "redis" #tens "3", "redis" #tens "4", \
      "redis" #tens "5", "redis" #tens "6", "redis" #tens "7", "redis" #tens "8",                \
      "redis" #tens "9"
#define NAMES_OF_100(hundreds)                                                      \
  NAMES_OF_10(hundreds##0), NAMES_OF_10(hundreds##1), NAMES_OF_10(hundreds##2),     \
      NAMES_OF_10(hundreds##3), NAMES_OF_10(hundreds##4), NAMES_OF_10(hundreds##5), \
      NAMES_OF_10(hundreds##6), NAMES_OF_10(hundreds##7), NAMES_OF_10(hundreds##8), \
      NAMES_OF_10(hundreds##9)
static const char *host_name(uint32_t member, uint32_t instances) {
  static const char *const data_names[REDIS_INSTANCES_MAX] = {
      NAMES_TO_9(),    NAMES_OF_10(1),  NAMES_OF_10(2),  NAMES_OF_10(3),  NAMES_OF_10(4),
      NAMES_OF_10(5),  NAMES_OF_10(6),  NAMES_OF_10(7),  NAMES_OF_10(8),  NAMES_OF_10(9),
      NAMES_OF_100(1), NAMES_OF_100(2), NAMES_OF_100(3), NAMES_OF_100(4), NAMES_OF_100(5),
      NAMES_OF_100(6), NAMES_OF_100(7), NAMES_OF_100(8), NAMES_OF_100(9), "redis1000"};
  static const char *const sentinel_names[REDIS_SENTINELS_MAX] = {
      "sentinel1", "sentinel2", "sentinel3", "sentinel4", "sentinel5", "sentinel6", "sentinel7"};
  return member < instances ? data_names[member] : sentinel_names[member - instances];
}

int redis_plan_hosts(const void *data, struct host_spec *ret_hosts, uint32_t *ret_count,
                     struct error *err) {
  const struct redis_config *config = data;
  uint32_t instances = redis_instances(config), count = redis_host_count(config);
  if (instances > REDIS_INSTANCES_MAX)
    return error_set(err, STATUS_USAGE, "at most %d data servers: masters x (1 + replicas) is %u",
                     REDIS_INSTANCES_MAX, instances);
  if (redis_sentinel_count(config) > REDIS_SENTINELS_MAX)
    return error_set(err, STATUS_USAGE, "sentinels must be at most %d", REDIS_SENTINELS_MAX);
  for (uint32_t i = 0; i < count; i++)
    ret_hosts[i] = (struct host_spec){.name = host_name(i, instances),
                                      .kind = HOST_SERVER,
                                      .memory_bytes = config->memory_bytes,
                                      .disk_bytes = config->disk_bytes};
  *ret_count = count;
  return 0;
}

bool redis_can_step(const void *data, enum service_step step) {
  const struct redis_config *config = data;
  switch (step) {
    case STEP_SWITCHOVER:
      return config->topology == REDIS_SENTINEL ||
             (config->topology == REDIS_CLUSTER && config->replicas > 0);
    case STEP_PROMOTE: return false; /* somebody manages it, or there is nobody to promote */
    case STEP_RESTART: return true;
    case STEP_COUNT: break;
  }
  return false;
}

/* Nobody keeps a lease here: who is primary is voted for, by the Sentinels or over the cluster's
 * bus. */
const uint16_t *redis_store_ports(const void *data) {
  static const uint16_t sentinel[] = {REDIS_SENTINEL_PORT, 0}, bus[] = {REDIS_BUS_PORT, 0};
  const struct redis_config *config = data;
  switch ((enum redis_topology)config->topology) {
    case REDIS_SENTINEL: return sentinel;
    case REDIS_CLUSTER: return bus;
    case REDIS_SINGLE: break;
  }
  return NULL;
}

uint32_t redis_replicas(const void *data) {
  const struct redis_config *config = data;
  return config->topology == REDIS_CLUSTER ? config->replicas : redis_instances(config) - 1;
}

/* Each Sentinel has two connections to a server, for commands and for the channel on which they
 * find each other; a replica has one to its primary. A cluster's bus is not counted by the server.
 * The observer has one, and one more at times: reading settings back, steps. */
uint32_t redis_connections(const void *data, char *because, size_t size) {
  const struct redis_config *config = data;
  uint32_t sentinels = 2 * redis_sentinel_count(config);
  uint32_t replicas = redis_replicas(config);
  uint32_t taken = sentinels + replicas + 2;
  snprintf(because, size,
           "maxclients %u, less %u of Sentinels, %u of replicas and 2 of the observer",
           config->maxclients, sentinels, replicas);
  return config->maxclients > taken ? config->maxclients - taken : 0;
}
