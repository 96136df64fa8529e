/* The service `redis`: servers behind Sentinels, as a Redis Cluster, or alone. The way into its
 * parts. */
#include "services/redis.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "gameday/drivers.h"
#include "services/certificates.h"

uint32_t redis_member_at(const struct service_instance *service, const char *address) {
  for (uint32_t i = 0; i < redis_data_count(service) && i < service->member_count; i++)
    if (strcmp(service->members[i]->address, address) == 0) return i;
  return UINT32_MAX;
}

int redis_tls_directory(const struct service_instance *service, char ret[PATH_MAX],
                        struct error *err) {
  return path_format(ret, PATH_MAX, err, "%s/secrets/redis-tls", service->cluster->run_directory);
}

/* Reads whom everybody is to trust, where there is TLS. */
static int read_trust(struct service_instance *service, struct error *err) {
  struct redis_state *state = redis_state(service);
  char directory[PATH_MAX];
  if (!redis_config(service)->tls) return 0;
  int status = redis_tls_directory(service, directory, err);
  if (status == 0) status = path_format(state->ca_file, PATH_MAX, err, "%s/ca.crt", directory);
  return status < 0 ? status : tls_trust_new(state->ca_file, &state->trust, err);
}

static int make_certificates(struct service_instance *service, struct error *err) {
  char directory[PATH_MAX];
  if (!redis_config(service)->tls) return 0;
  int status = redis_tls_directory(service, directory, err);
  return status < 0 ? status
                    : certificates_make(directory, service->members, service->member_count, err);
}

/* What start() and attach() have in common: state, endpoints, paths. */
static int prepare_state(struct service_instance *service, char secrets_path[PATH_MAX],
                         struct error *err) {
  struct redis_state *state = redis_state(service);
  const struct redis_config *config = redis_config(service);
  int status = service_check_hosts(service, redis_host_count(config), err);
  if (status == 0)
    status = path_format(secrets_path, PATH_MAX, err, "%s/secrets/redis.json",
                         service->cluster->run_directory);
  if (status == 0 && !state->histories_ready) status = redis_histories_init(&state->histories, err);
  if (status < 0) return status;
  state->histories_ready = true;
  if (!state->view_mutex_ready) {
    pthread_mutex_init(&state->view_mutex, NULL);
    state->view_mutex_ready = true;
  }
  state->monitor = service_monitor(service->cluster);
  state->view = (struct service_view){
      .primary = HOST_NONE, .leader = HOST_NONE, .shards = redis_shards(config)};
  for (uint32_t i = 0; i < redis_instances(config); i++)
    state->endpoints[i] = service_endpoint(service->members[i], REDIS_PORT);
  for (uint32_t i = 0; i < redis_sentinel_count(config); i++)
    state->sentinels[i] = service_endpoint(service->members[i], REDIS_SENTINEL_PORT);
  return 0;
}

static void fill_access(struct service_instance *service) {
  struct redis_state *state = redis_state(service);
  const struct redis_config *config = redis_config(service);
  state->access = (struct redis_access){.topology = (enum redis_topology)config->topology,
                                        .sentinels = state->sentinels,
                                        .sentinel_count = redis_sentinel_count(config),
                                        .master_name = REDIS_MASTER_NAME,
                                        .sentinel_user = REDIS_CLIENT_USER,
                                        .sentinel_password = state->secrets.client,
                                        .shards = redis_shards(config),
                                        .histories = &state->histories,
                                        .trust = state->trust};
  service->access = (struct access){.driver = &driver_redis,
                                    .endpoints = state->endpoints,
                                    .endpoint_count = redis_instances(config),
                                    .user = REDIS_CLIENT_USER,
                                    .password = state->secrets.client,
                                    .ca_file = state->trust ? state->ca_file : NULL,
                                    .resolve = service->cluster->provider->can & CAN_NETWORK,
                                    .context = &state->access,
                                    .shards = redis_shards(config)};
}

static int start(struct service_instance *service, struct error *err) {
  struct redis_state *state = redis_state(service);
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + service->deadline_ns_start;
  char secrets_path[PATH_MAX], directory[PATH_MAX];
  int status = prepare_state(service, secrets_path, err);
  if (status == 0)
    status = path_format(directory, sizeof directory, err, "%s/secrets",
                         service->cluster->run_directory);
  if (status == 0) status = directory_make(directory, 0700, err);
  if (status == 0) status = secrets_make(&redis_secret_table, &state->secrets, err);
  if (status == 0) status = secrets_save(&redis_secret_table, &state->secrets, secrets_path, err);
  if (status == 0) status = make_certificates(service, err);
  if (status == 0) status = read_trust(service, err);
  if (status == 0) status = redis_bring_up(service, deadline_ns, err);
  if (status == 0) fill_access(service);
  return status;
}

static int attach(struct service_instance *service, struct error *err) {
  char secrets_path[PATH_MAX];
  int status = prepare_state(service, secrets_path, err);
  if (status == 0)
    status = secrets_load(&redis_secret_table, secrets_path, &redis_state(service)->secrets, err);
  if (status == 0) status = read_trust(service, err);
  if (status == 0) fill_access(service);
  return status;
}

static void release(struct service_instance *service) {
  struct redis_state *state = redis_state(service);
  if (!state) return;
  redis_unwatch(service);
  if (state->view_mutex_ready) pthread_mutex_destroy(&state->view_mutex);
  if (state->histories_ready) redis_histories_release(&state->histories);
  tls_trust_free(state->trust);
  explicit_bzero(state, sizeof *state);
  service->access = (struct access){.driver = NULL};
}

static uint32_t count_shards(const void *config) {
  return redis_shards(config);
}

const struct service service_redis = {
    .plugin = {.name = "redis",
               .summary = "Redis or Valkey: behind Sentinels, as Redis Cluster, or alone",
               .params = redis_params,
               .config_size = sizeof(struct redis_config),
               .state_size = sizeof(struct redis_state),
               .validate = redis_validate},
    .needs = CAN_UNITS | CAN_EXEC | CAN_FILES,
    .processes = redis_processes,
    .processes_for = redis_processes_for,
    .plan = redis_plan_hosts,
    .can_step = redis_can_step,
    .shards = count_shards,
    .store_ports = redis_store_ports,
    .replicas = redis_replicas,
    .connections = redis_connections,
    .start = start,
    .attach = attach,
    .release = release,
    .watch = redis_watch,
    .unwatch = redis_unwatch,
    .view = redis_view,
    .settings = redis_settings,
    .memory = &redis_memory,
    .step = redis_step,
    .keys = redis_keys,
    .converged = redis_converged,
};
