/* The simulator's form of the service `redis` among its parts. */
#ifndef GAMEDAY_CLUSTERS_SIM_SERVICE_REDIS_H
#define GAMEDAY_CLUSTERS_SIM_SERVICE_REDIS_H

#include "services/redis_redundancy.h"
#include "sim/redis.h"
#include "sim/sim.h"

/* Who leads a shard, as told last. */
struct sim_redis_leader {
  uint16_t host; /* HOST_NONE: nobody was told yet */
  bool lost;
  uint64_t epoch;
};

/* What was said of a member last. */
struct sim_redis_watched {
  uint64_t mute_since_ns; /* TIME_NEVER: it answers */
  bool promoted;
  char word[32]; /* cluster_state */
  uint32_t sampled_history;
};
struct sim_sentinel_watched {
  struct sim_sentinel_word word;
  char text[96];
};

struct sim_redis_service {
  struct service_instance *instance;
  struct sim_cluster *cluster;
  struct sim_redis_cluster *servers;
  uint32_t count, sentinel_count;
  struct endpoint endpoints[REDIS_INSTANCES_MAX];
  struct endpoint sentinels[REDIS_SENTINELS_MAX];
  struct redis_access access;
  struct service_view view;
  /* Watching. */
  uint16_t monitor;  /* host; HOST_NONE: there is none */
  struct loop *loop; /* NULL: not watching */
  struct timer look, stats;
  struct redis_word words[REDIS_INSTANCES_MAX];
  uint32_t primaries[REDIS_SHARDS_MAX]; /* by shard - 1, as of the last look */
  struct sim_redis_watched watched[REDIS_INSTANCES_MAX];
  struct sim_sentinel_watched sentinel_watched[REDIS_SENTINELS_MAX];
  struct sim_redis_leader leaders[REDIS_SHARDS_MAX];
  struct bits answering; /* members, when nodes were looked at last */
  struct bits unsettled; /* shards - 1 whose leader changed then */
};

static inline struct sim_redis_service *redis_service_of(const struct service_instance *instance) {
  return instance->state;
}
static inline const struct redis_config *redis_service_config(
    const struct sim_redis_service *service) {
  return service->instance->config;
}
static inline uint64_t redis_service_now_ns(const struct sim_redis_service *service) {
  return sim_now_ns(&service->cluster->world);
}

/* --- service_redis_keys.c --- */
int redis_service_keys(struct service_instance *instance, enum keys_action action,
                       const struct host *host, const char *pattern, struct keys_count *ret,
                       struct error *err);

/* --- service_redis_memory.c --- */
extern const struct service_memory_hooks redis_service_memory;

/* --- service_redis_watch.c --- */
int redis_service_watch(struct service_instance *instance, struct loop *loop, struct error *err);
void redis_service_unwatch(struct service_instance *instance);

/* --- service_redis_leader.c: who leads, as Sentinels or nodes see it --- */
void redis_service_look_at_sentinels(struct sim_redis_service *service);
void redis_service_look_at_nodes(struct sim_redis_service *service);
/* Whether every Sentinel answers and takes `primary` (host) for the primary, which it reaches. */
bool redis_service_sentinels_follow(const struct sim_redis_service *service, uint16_t primary);
/* Whether the monitor gets no answer from the host's port now. */
bool redis_service_unreachable(const struct sim_redis_service *service, uint16_t host,
                               uint16_t port);
void redis_service_tell(struct sim_redis_service *service, const struct event *event);

/* --- service_redis_steps.c --- */
int redis_service_step(struct service_instance *instance, enum service_step step,
                       const struct host *host, struct error *err);
int redis_service_converged(struct service_instance *instance, bool *ret_converged, char *why,
                            size_t why_size, struct error *err);

/* --- service_redis_settings.c --- */
int redis_service_settings(struct service_instance *instance, struct buf *json, struct error *err);

#endif
