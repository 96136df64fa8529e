/* The simulator's form of the service `postgres`: the parameters and hosts of the real one, and
 * models of what would run on them. It starts in its steady state: how a cluster is made is not
 * what is asked here. */
#include <string.h>

#include "services/postgres.h"
#include "sim/service.h"

static void take_clients(struct sim_service *service) {
  struct sim_process *by_host[HOSTS_MAX] = {NULL};
  const struct cluster *cluster = service->instance->cluster;
  for (uint32_t i = 0; i < cluster->host_count; i++)
    if (cluster->hosts[i].kind != HOST_SERVER) by_host[i] = &service->cluster->clients[i];
  sim_postgres_clients(service->servers, by_host);
}

static int make_patroni(struct sim_service *service, struct error *err) {
  const struct sim_config *config = service->cluster->config;
  const struct sim_patroni_options options = {
      .version = (enum sim_patroni_version)config->patroni,
      .fsync_ns = config->postgres.fsync_ns,
      .recovery_ns = config->postgres.start_ns + config->postgres.recovery_ns};
  return sim_patroni_new(&service->cluster->world, sim_service_config(service), &options,
                         service->servers, (const struct host *const *)service->instance->members,
                         &service->patroni, err);
}

static void fill_access(struct sim_service *service) {
  for (uint32_t i = 0; i < service->count; i++)
    service->endpoints[i] = service_endpoint(service->instance->members[i], POSTGRES_PORT);
  service->instance->access = (struct access){.driver = &driver_sim_postgres,
                                              .endpoints = service->endpoints,
                                              .endpoint_count = service->count,
                                              .user = POSTGRES_USER,
                                              .database = POSTGRES_USER,
                                              .password = "",
                                              .context = service->servers};
}

static int start(struct service_instance *instance, struct error *err) {
  struct sim_service *service = sim_service_of(instance);
  const struct postgres_config *config = instance->config;
  struct sim_cluster *cluster = sim_cluster_of(instance->cluster);
  int status = service_check_hosts(instance, postgres_host_count(config), err);
  if (status < 0) return status;
  service->instance = instance;
  service->cluster = cluster;
  service->count = postgres_instances(config);
  service->view = (struct service_view){.primary = HOST_NONE, .leader = HOST_NONE};
  if (cluster->config->guilty == GUILTY_EVICT_ANY)
    return error_set(err, STATUS_USAGE,
                     "the simulated postgres cannot have this bug: evict-any is of redis");
  status = sim_postgres_cluster_new(&cluster->world, config, &cluster->config->postgres,
                                    (const struct host *const *)instance->members,
                                    &service->servers, err);
  if (status < 0) return status;
  take_clients(service);
  status = sim_claim_hosts(cluster, instance, sim_service_terminate, service, err);
  if (status < 0) return status;
  if (cluster->truth)
    sim_truth_listen(cluster->truth, service->servers,
                     (const struct host *const *)instance->members);
  if (config->topology == TOPOLOGY_PATRONI)
    status = make_patroni(service, err);
  else
    sim_service_add_units(service);
  if (status < 0) return status;
  sim_postgres_bootstrap(service->servers);
  if (cluster->config->guilty != GUILTY_NOT)
    sim_postgres_set_guilt(service->servers, cluster->config->guilty, cluster->world.seed);
  if (service->patroni) sim_patroni_bootstrap(service->patroni);
  fill_access(service);
  return 0;
}

static void release(struct service_instance *instance) {
  struct sim_service *service = sim_service_of(instance);
  if (!service) return;
  sim_service_unwatch(instance);
  if (service->cluster) sim_leave_hosts(service->cluster, instance);
  sim_patroni_free(service->patroni);
  sim_postgres_cluster_free(service->servers);
  *service = (struct sim_service){.patroni = NULL};
  instance->access = (struct access){.driver = NULL};
}

static void view(const struct service_instance *instance, struct service_view *ret_view) {
  *ret_view = sim_service_of(instance)->view;
}

bool sim_service_answers(const struct sim_service *service, uint32_t member) {
  struct sim_postgres *server = sim_postgres_member(service->servers, member);
  enum sim_postgres_state state = sim_postgres_state(server);
  bool open = state == SIM_PG_STANDBY || state == SIM_PG_PROMOTING || state == SIM_PG_PRIMARY;
  return open && !sim_postgres_process(server)->frozen;
}

uint32_t sim_service_primary(const struct sim_service *service) {
  uint32_t found = UINT32_MAX;
  for (uint32_t i = 0; i < service->count; i++) {
    if (!sim_service_answers(service, i) ||
        sim_postgres_state(sim_postgres_member(service->servers, i)) != SIM_PG_PRIMARY)
      continue;
    if (found != UINT32_MAX) return UINT32_MAX;
    found = i;
  }
  return found;
}

const struct service sim_service_postgres = {
    .plugin = {.name = "postgres",
               .summary = "A model of PostgreSQL under Patroni, in plain replication, or alone",
               .params = postgres_params,
               .config_size = sizeof(struct postgres_config),
               .state_size = sizeof(struct sim_service),
               .validate = postgres_validate},
    .needs = 0,
    .processes = postgres_processes,
    .processes_for = postgres_processes_for,
    .plan = postgres_plan_hosts,
    .can_step = postgres_can_step,
    .store_ports = postgres_store_ports,
    .connections = postgres_connections,
    .start = start,
    .attach = sim_refuse_attach,
    .release = release,
    .watch = sim_service_watch,
    .unwatch = sim_service_unwatch,
    .view = view,
    .settings = sim_service_settings,
    .step = sim_service_step,
    .converged = sim_service_converged,
};
