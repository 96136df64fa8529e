/* Bringing the service up, by topology: in an order in which nobody has to wait for a second
 * attempt of somebody else. */
#include <string.h>

#include "base/prng.h"
#include "services/redis.h"

static int start_server(struct service_instance *service, uint32_t member, void *data,
                        struct error *err) {
  (void)data;
  return service->cluster->provider->unit_start(service->cluster, service->members[member],
                                                REDIS_UNIT, err);
}

/* The first runs already. */
static int start_other_server(struct service_instance *service, uint32_t member, void *data,
                              struct error *err) {
  return member == 0 ? 0 : start_server(service, member, data, err);
}

static int start_sentinel(struct service_instance *service, uint32_t member, void *data,
                          struct error *err) {
  (void)data;
  return service->cluster->provider->unit_start(service->cluster, service->members[member],
                                                REDIS_SENTINEL_UNIT, err);
}

static int make_sentinel_ids(struct service_instance *service, struct error *err) {
  struct redis_state *state = redis_state(service);
  unsigned char bytes[REDIS_SENTINELS_MAX][(REDIS_ID_SIZE - 1) / 2];
  int status = random_bytes(bytes, sizeof bytes, err);
  if (status < 0) return status;
  for (size_t i = 0; i < REDIS_SENTINELS_MAX; i++)
    for (size_t j = 0; j < sizeof bytes[i]; j++)
      snprintf(state->sentinel_ids[i] + 2 * j, 3, "%02x", bytes[i][j]);
  return 0;
}

/* A replica that finds no primary tries again after a second, so the primary comes first. A
 * Sentinel asks a replica once when it finds it and again after ten seconds: the replicas must
 * follow before. */
static int start_sentinel_topology(struct service_instance *service, uint64_t deadline_ns,
                                   struct error *err) {
  const struct redis_config *config = redis_config(service);
  int status = start_server(service, 0, NULL, err);
  if (status == 0) status = redis_wait(service, redis_first_answers, false, deadline_ns, err);
  if (status == 0)
    status = service_each_member(service, redis_instances(config), start_other_server, NULL, err);
  if (status == 0) status = redis_wait(service, redis_replicas_follow, false, deadline_ns, err);
  if (status == 0)
    status = service_each_member(service, redis_sentinel_count(config), start_sentinel, NULL, err);
  if (status == 0) status = redis_wait(service, redis_sentinels_agree, true, deadline_ns, err);
  return status;
}

static int start_cluster(struct service_instance *service, uint64_t deadline_ns,
                         struct error *err) {
  int status = service_each_member(service, redis_data_count(service), start_server, NULL, err);
  if (status == 0) status = redis_wait(service, redis_all_answer, false, deadline_ns, err);
  if (status == 0) status = redis_cluster_make(service, deadline_ns, err);
  return status;
}

static int start_single(struct service_instance *service, uint64_t deadline_ns, struct error *err) {
  int status = start_server(service, 0, NULL, err);
  if (status == 0) status = redis_wait(service, redis_first_answers, false, deadline_ns, err);
  return status;
}

int redis_bring_up(struct service_instance *service, uint64_t deadline_ns, struct error *err) {
  uint32_t hosts = redis_host_count(redis_config(service));
  int status = make_sentinel_ids(service, err);
  if (status == 0) status = service_each_member(service, hosts, redis_prepare_member, NULL, err);
  if (status < 0) return status;
  switch ((enum redis_topology)redis_config(service)->topology) {
    case REDIS_SENTINEL: status = start_sentinel_topology(service, deadline_ns, err); break;
    case REDIS_CLUSTER: status = start_cluster(service, deadline_ns, err); break;
    case REDIS_SINGLE: status = start_single(service, deadline_ns, err); break;
  }
  if (status == 0) status = service_each_member(service, hosts, service_sync_disk, NULL, err);
  return status;
}
