/* What a scenario says of the service `redis`, and what follows from it alone: shared by the
 * service on real hosts and by its model in the simulator. */
#ifndef GAMEDAY_SERVICES_REDIS_PARAMETERS_H
#define GAMEDAY_SERVICES_REDIS_PARAMETERS_H

#include <stdbool.h>
#include <stdint.h>

#include "gameday/redis_access.h"
#include "gameday/service.h"

#define REDIS_INSTANCES_MAX 1000 /* data servers */
#define REDIS_SENTINELS_MAX 7
#define REDIS_SHARDS_MAX 1000
#define REDIS_PORT 6379
#define REDIS_SENTINEL_PORT 26379
#define REDIS_BUS_PORT 16379
#define REDIS_MASTER_NAME "gameday"

enum redis_program { REDIS_PROGRAM_AUTO, REDIS_PROGRAM_REDIS, REDIS_PROGRAM_VALKEY };
/* As in redis_policies. */
enum redis_policy {
  REDIS_NOEVICTION,
  REDIS_ALLKEYS_LRU,
  REDIS_VOLATILE_LRU,
  REDIS_ALLKEYS_LFU,
  REDIS_VOLATILE_LFU,
  REDIS_ALLKEYS_RANDOM,
  REDIS_VOLATILE_RANDOM,
  REDIS_VOLATILE_TTL
};
enum redis_fsync { REDIS_FSYNC_ALWAYS, REDIS_FSYNC_EVERYSEC, REDIS_FSYNC_NO };

struct redis_config {
  int topology;                 /* enum redis_topology */
  int program;                  /* enum redis_program */
  uint32_t instances;           /* sentinel: data servers, the first is the first primary */
  uint32_t sentinels;           /* sentinel: on the first hosts; more than instances: own hosts */
  uint32_t quorum;              /* sentinel; 0: the majority of the sentinels */
  uint32_t masters, replicas;   /* cluster: shards, and replicas of each */
  uint64_t down_after_ns;       /* sentinel: down-after-milliseconds */
  uint64_t failover_timeout_ns; /* sentinel: failover-timeout */
  uint32_t parallel_syncs;      /* sentinel: parallel-syncs */
  uint64_t node_timeout_ns;     /* cluster: cluster-node-timeout */
  uint32_t replica_validity_factor; /* cluster: cluster-replica-validity-factor */
  bool require_full_coverage;       /* cluster: cluster-require-full-coverage */
  uint32_t min_replicas_to_write;
  uint64_t min_replicas_max_lag_ns; /* whole seconds */
  bool appendonly;
  int appendfsync;          /* enum redis_fsync */
  const char *save;         /* as in redis.conf: "3600 1 300 100"; "": no snapshots */
  uint64_t maxmemory_bytes; /* 0: no limit */
  int maxmemory_policy;     /* enum redis_policy */
  uint32_t maxclients;
  bool tls;
  uint64_t memory_bytes, disk_bytes; /* of each host */
  struct settings settings;          /* free server settings */
};

extern const char *const redis_policies[]; /* "noeviction", ... as in redis.conf; NULL-terminated */

uint32_t redis_instances(const struct redis_config *config);      /* data servers */
uint32_t redis_sentinel_count(const struct redis_config *config); /* 0 unless sentinel */
uint32_t redis_host_count(const struct redis_config *config);
uint32_t redis_quorum(const struct redis_config *config);
uint16_t redis_shards(const struct redis_config *config); /* 0 unless cluster */
/* The shard, from 1, that a data server is made for: hosts 1 .. M are the masters of the shards in
 * order, replicas follow round by round. 0 unless cluster. */
uint16_t redis_first_shard(const struct redis_config *config, uint32_t member);

/* Keys of memory-fill begin so, and none of a workload does. */
#define REDIS_FILLER "gameday-fill:"
/* How a server's memory is looked at and written into; as struct service_memory_hooks. */
struct redis_filling {
  void *data;
  const char *name; /* the server's, for messages */
  int (*look)(void *data, struct service_memory *ret, struct error *err); /* fillers not counted */
  /* One key of `bytes`. `ret_refused`: there is no room for it. */
  int (*add)(void *data, const char *key, uint64_t bytes, bool *ret_refused, struct error *err);
};
/* Writes keys to the server of `member` until it is at its limit, which it also is when it begins
 * to throw away or to refuse; then `more_bytes` of them. redis_fill.c */
int redis_fill(const struct service_instance *service, uint32_t member,
               const struct redis_filling *filling, uint64_t more_bytes, struct error *err);
uint64_t redis_memory_limit(const void *config); /* struct service_memory_hooks.limit */

/* What the descriptors of the service and of its model share; as in struct plugin and service. */
extern const struct param redis_params[];
extern const struct service_process redis_processes[]; /* "redis", "sentinel" */
const struct service_process *redis_processes_for(const void *config);
int redis_plan_hosts(const void *config, struct host_spec *ret_hosts, uint32_t *ret_count,
                     struct error *err);
bool redis_can_step(const void *config, enum service_step step);
const uint16_t *redis_store_ports(const void *config);
uint32_t redis_replicas(const void *config);
uint32_t redis_connections(const void *config, char *because, size_t size);
int redis_validate(const void *config, struct error *err);
/* Settings of redis.conf that the service makes itself and refuses from a scenario. */
bool redis_setting_reserved(const char *name, const char **ret_why);

#endif
