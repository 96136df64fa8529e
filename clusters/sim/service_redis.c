/* The simulator's form of the service `redis`: the parameters and hosts of the real one, and models
 * of what would run on them. It starts in its steady state. */
#include "sim/service_redis.h"

#include "gameday/drivers.h"
#include "services/members.h"

#define READY_NS (30 * NS_PER_S)
#define LOOK_NS (10 * NS_PER_MS)

static void take_clients(struct sim_redis_service *service) {
  struct sim_process *by_host[HOSTS_MAX] = {NULL};
  const struct cluster *cluster = service->instance->cluster;
  for (uint32_t i = 0; i < cluster->host_count; i++)
    if (cluster->hosts[i].kind != HOST_SERVER) by_host[i] = &service->cluster->clients[i];
  sim_redis_clients(service->servers, by_host);
}

static void fill_access(struct sim_redis_service *service) {
  struct service_instance *instance = service->instance;
  const struct redis_config *config = redis_service_config(service);
  for (uint32_t i = 0; i < redis_host_count(config); i++) {
    const struct host *host = instance->members[i];
    if (i < service->count) service->endpoints[i] = service_endpoint(host, REDIS_PORT);
    if (i < service->sentinel_count)
      service->sentinels[i] = service_endpoint(host, REDIS_SENTINEL_PORT);
  }
  service->access = (struct redis_access){.topology = (enum redis_topology)config->topology,
                                          .sentinels = service->sentinels,
                                          .sentinel_count = service->sentinel_count,
                                          .master_name = REDIS_MASTER_NAME,
                                          .shards = redis_shards(config),
                                          .histories = sim_redis_histories(service->servers),
                                          .transport = sim_redis_transport(service->servers)};
  instance->access = (struct access){.driver = &driver_redis,
                                     .endpoints = service->endpoints,
                                     .endpoint_count = service->count,
                                     .user = "gameday",
                                     .password = "",
                                     .context = &service->access,
                                     .shards = redis_shards(config)};
}

static void terminate(void *data, struct sim_process *process, int signal) {
  const struct sim_redis_service *service = data;
  (void)signal;
  sim_redis_terminate(service->servers, process);
}

static uint64_t resident(void *data, const struct sim_process *process) {
  const struct sim_redis_service *service = data;
  return sim_redis_resident(service->servers, process);
}

/* Bugs of which there is no form here: keys are there once; with Sentinel the loss at the heal, and
 * two primaries for a while, are no bug but how it works. */
static int check_guilt(const struct sim_redis_service *service, struct error *err) {
  int guilt = service->cluster->config->guilty;
  bool cluster = redis_service_config(service)->topology == REDIS_CLUSTER;
  if (guilt != GUILTY_DUPLICATE && guilt != GUILTY_LOSS_AT_HEAL && guilt != GUILTY_SLOW &&
      guilt != GUILTY_UNSYNCED && (guilt != GUILTY_TWO_PRIMARIES || cluster))
    return 0;
  return error_set(err, STATUS_USAGE,
                   "the simulated redis cannot have this bug: guilty may be early-ack, stale-read, "
                   "resurrected, corrupt, flapping, blink, evict-any or immune, and two-primaries "
                   "in a cluster");
}

/* Replicas and Sentinels find each other in a moment. */
static int wait_ready(struct service_instance *instance, struct error *err) {
  struct sim_redis_service *service = redis_service_of(instance);
  uint64_t end_ns = redis_service_now_ns(service) + READY_NS;
  char why[160] = "";
  bool ready = false;
  int status = redis_service_converged(instance, &ready, why, sizeof why, err);
  while (status == 0 && !ready) {
    if (redis_service_now_ns(service) > end_ns)
      return error_set(err, STATUS_SERVER, "the simulated redis was not ready in time: %s", why);
    status = sim_pass(service->cluster, LOOK_NS, err);
    if (status == 0) status = redis_service_converged(instance, &ready, why, sizeof why, err);
  }
  /* By then every Sentinel has asked everybody once. */
  if (status == 0 && service->sentinel_count > 0)
    status = sim_pass(service->cluster, 2 * NS_PER_S, err);
  return status;
}

static int start(struct service_instance *instance, struct error *err) {
  struct sim_redis_service *service = redis_service_of(instance);
  const struct redis_config *config = instance->config;
  struct sim_cluster *cluster = sim_cluster_of(instance->cluster);
  int status = service_check_hosts(instance, redis_host_count(config), err);
  if (status < 0) return status;
  service->instance = instance;
  service->cluster = cluster;
  service->count = redis_instances(config);
  service->sentinel_count = redis_sentinel_count(config);
  service->view = (struct service_view){
      .primary = HOST_NONE, .leader = HOST_NONE, .shards = redis_shards(config)};
  status = check_guilt(service, err);
  if (status == 0)
    status = sim_redis_cluster_new(&cluster->world, config, &cluster->config->redis,
                                   (const struct host *const *)instance->members, &service->servers,
                                   err);
  if (status < 0) return status;
  take_clients(service);
  status = sim_claim_hosts(cluster, instance, terminate, service, err);
  if (status < 0) return status;
  sim_claim_memory(cluster, instance, resident);
  if (cluster->truth)
    sim_truth_listen_redis(cluster->truth, service->servers, service->count, redis_shards(config),
                           (const struct host *const *)instance->members);
  sim_redis_bootstrap(service->servers);
  status = wait_ready(instance, err);
  if (status < 0) return status;
  if (cluster->config->guilty != GUILTY_NOT)
    sim_redis_set_guilt(service->servers, cluster->config->guilty, cluster->world.seed);
  fill_access(service);
  return 0;
}

static void release(struct service_instance *instance) {
  struct sim_redis_service *service = redis_service_of(instance);
  if (!service) return;
  redis_service_unwatch(instance);
  if (service->cluster) sim_leave_hosts(service->cluster, instance);
  sim_redis_cluster_free(service->servers);
  *service = (struct sim_redis_service){.servers = NULL};
  instance->access = (struct access){.driver = NULL};
}

static void view(const struct service_instance *instance, struct service_view *ret_view) {
  *ret_view = redis_service_of(instance)->view;
}

static uint32_t count_shards(const void *config) {
  return redis_shards(config);
}

const struct service sim_service_redis = {
    .plugin = {.name = "redis",
               .summary = "A model of Redis behind Sentinels, as Redis Cluster, or alone",
               .params = redis_params,
               .config_size = sizeof(struct redis_config),
               .state_size = sizeof(struct sim_redis_service),
               .validate = redis_validate},
    .needs = 0,
    .processes = redis_processes,
    .processes_for = redis_processes_for,
    .plan = redis_plan_hosts,
    .can_step = redis_can_step,
    .store_ports = redis_store_ports,
    .shards = count_shards,
    .connections = redis_connections,
    .start = start,
    .attach = sim_refuse_attach,
    .release = release,
    .watch = redis_service_watch,
    .unwatch = redis_service_unwatch,
    .view = view,
    .settings = redis_service_settings,
    .memory = &redis_service_memory,
    .step = redis_service_step,
    .keys = redis_service_keys,
    .converged = redis_service_converged,
};
