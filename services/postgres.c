/* The service `postgres`: PostgreSQL under Patroni and etcd, as a primary with plain streaming
 * replicas, or alone. Its parameters, its plan of hosts, and the way into the parts of it. */
#include "services/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "gameday/drivers.h"
#include "services/certificates.h"

static const char *const topology_choices[] = {"patroni", "streaming", "single", NULL};

#define FIELD(name) offsetof(struct postgres_config, name)
const struct param postgres_params[] = {
    {.key = "topology",
     .type = PARAM_CHOICE,
     .offset = FIELD(topology),
     .default_text = "patroni",
     .choices = topology_choices,
     .help = "patroni: PostgreSQL managed by Patroni over etcd; streaming: a primary and replicas "
             "without a manager, promotion is a step; single: one server."},
    {.key = "instances",
     .type = PARAM_COUNT,
     .offset = FIELD(instances),
     .default_text = "3",
     .minimum = "1",
     .maximum = "7",
     .help = "Hosts that carry PostgreSQL, pg1 to pgN; ignored by topology single, which has one."},
    {.key = "version",
     .type = PARAM_STRING,
     .offset = FIELD(version),
     .default_text = "auto",
     .help =
         "PostgreSQL's major version, such as 15; auto: the newest one installed on the hosts."},
    {.key = "ttl",
     .type = PARAM_DURATION,
     .offset = FIELD(ttl_ns),
     .default_text = "30s",
     .minimum = "20s",
     .maximum = "1h",
     .help = "Patroni's ttl: how long the leader key lives without renewal (default: Patroni's)."},
    {.key = "loop_wait",
     .type = PARAM_DURATION,
     .offset = FIELD(loop_wait_ns),
     .default_text = "10s",
     .minimum = "1s",
     .maximum = "1h",
     .help = "Patroni's loop_wait: how long it sleeps between two looks (default: Patroni's)."},
    {.key = "retry_timeout",
     .type = PARAM_DURATION,
     .offset = FIELD(retry_timeout_ns),
     .default_text = "10s",
     .minimum = "3s",
     .maximum = "1h",
     .help = "Patroni's retry_timeout for etcd and PostgreSQL (default: Patroni's); "
             "loop_wait + 2 x retry_timeout must not exceed ttl."},
    {.key = "primary_start_timeout",
     .type = PARAM_DURATION,
     .offset = FIELD(primary_start_timeout_ns),
     .default_text = "300s",
     .minimum = "0s",
     .maximum = "1h",
     .help = "Patroni's primary_start_timeout: how long a crashed primary may recover in place "
             "before a replica takes over; 0s: at once (default: Patroni's)."},
    {.key = "maximum_lag_on_failover",
     .type = PARAM_SIZE,
     .offset = FIELD(maximum_lag_on_failover_bytes),
     .default_text = "1MiB",
     .minimum = "0B",
     .help = "Patroni's maximum_lag_on_failover: a replica further behind is no candidate "
             "(default: Patroni's)."},
    {.key = "synchronous_mode",
     .type = PARAM_BOOL,
     .offset = FIELD(synchronous_mode),
     .default_text = "false",
     .help =
         "Patroni keeps synchronous_standby_names on a healthy replica, and only such a replica "
         "may take over."},
    {.key = "synchronous_mode_strict",
     .type = PARAM_BOOL,
     .offset = FIELD(synchronous_mode_strict),
     .default_text = "false",
     .help =
         "With synchronous_mode: block writes rather than go on without a synchronous replica."},
    {.key = "synchronous_node_count",
     .type = PARAM_COUNT,
     .offset = FIELD(synchronous_node_count),
     .default_text = "1",
     .minimum = "1",
     .maximum = "6",
     .help = "With synchronous_mode: how many synchronous replicas (default: Patroni's)."},
    {.key = "use_pg_rewind",
     .type = PARAM_BOOL,
     .offset = FIELD(use_pg_rewind),
     .default_text = "true",
     .help =
         "Patroni rewinds a former primary whose history has gone on; without it, it is left out."},
    {.key = "data_checksums",
     .type = PARAM_BOOL,
     .offset = FIELD(data_checksums),
     .default_text = "true",
     .help = "initdb --data-checksums (on by default since PostgreSQL 18)."},
    {.key = "max_connections",
     .type = PARAM_COUNT,
     .offset = FIELD(max_connections),
     .default_text = "100",
     .minimum = "10",
     .maximum = "262143",
     .help = "The server parameter max_connections (default: PostgreSQL's)."},
    {.key = "memory",
     .type = PARAM_SIZE,
     .offset = FIELD(memory_bytes),
     .default_text = "1GiB",
     .minimum = "128MiB",
     .help = "Memory limit of each host."},
    {.key = "disk",
     .type = PARAM_SIZE,
     .offset = FIELD(disk_bytes),
     .default_text = "2GiB",
     .minimum = "256MiB",
     .help = "Size of the file system with the data of each host."},
    {.key = "parameters",
     .type = PARAM_SETTINGS,
     .offset = FIELD(parameters),
     .help = "Server parameters by name, such as synchronous_commit or shared_buffers."},
    {.key = NULL},
};
#undef FIELD

const struct service_process postgres_processes[] = {
    {.name = "postmaster",
     .match = {.program = "postgres", .argument = " -D ", .tree = true},
     .unit = NULL},
    {.name = "patroni", .match = {.argument = "/patroni.yml"}, .unit = "patroni"},
    {.name = "etcd", .match = {.program = "etcd"}, .unit = "etcd"},
    {.name = NULL},
};
static const struct service_process processes_plain[] = {
    {.name = "postmaster",
     .match = {.program = "postgres", .argument = " -D ", .tree = true},
     .unit = "postgres"},
    {.name = NULL},
};

const struct service_process *postgres_processes_for(const void *data) {
  const struct postgres_config *config = data;
  return config->topology == TOPOLOGY_PATRONI ? postgres_processes : processes_plain;
}

uint32_t postgres_instances(const struct postgres_config *config) {
  return config->topology == TOPOLOGY_SINGLE ? 1 : config->instances;
}

uint32_t postgres_replicas(const void *config) {
  return postgres_instances(config) - 1;
}

/* Raft needs a majority: an odd number of voters, on the first hosts. Two instances alone could not
 * outlive either of them, so a third host votes. */
uint32_t postgres_etcd_count(const struct postgres_config *config) {
  if (config->topology != TOPOLOGY_PATRONI) return 0;
  uint32_t instances = postgres_instances(config);
  if (instances == 2) return 3;
  return instances % 2 ? instances : instances - 1;
}

uint32_t postgres_host_count(const struct postgres_config *config) {
  uint32_t instances = postgres_instances(config), voters = postgres_etcd_count(config);
  return voters > instances ? voters : instances;
}

int postgres_plan_hosts(const void *data, struct host_spec *ret_hosts, uint32_t *ret_count,
                        struct error *err) {
  static const char *const names[POSTGRES_INSTANCES_MAX] = {"pg1", "pg2", "pg3", "pg4",
                                                            "pg5", "pg6", "pg7"};
  const struct postgres_config *config = data;
  uint32_t instances = postgres_instances(config), count = postgres_host_count(config);
  if (instances > POSTGRES_INSTANCES_MAX)
    return error_set(err, STATUS_USAGE, "instances must be at most %d", POSTGRES_INSTANCES_MAX);
  for (uint32_t i = 0; i < count; i++) {
    ret_hosts[i] = (struct host_spec){.name = i < instances ? names[i] : "etcd1",
                                      .kind = HOST_SERVER,
                                      .memory_bytes = config->memory_bytes,
                                      .disk_bytes = config->disk_bytes};
  }
  *ret_count = count;
  return 0;
}

bool postgres_can_step(const void *data, enum service_step step) {
  const struct postgres_config *config = data;
  switch (step) {
    case STEP_SWITCHOVER: return config->topology == TOPOLOGY_PATRONI && config->instances > 1;
    case STEP_PROMOTE: return config->topology == TOPOLOGY_STREAMING && config->instances > 1;
    case STEP_RESTART: return true;
    case STEP_COUNT: break;
  }
  return false;
}

const uint16_t *postgres_store_ports(const void *data) {
  static const uint16_t ports[] = {ETCD_CLIENT_PORT, ETCD_PEER_PORT, 0};
  const struct postgres_config *config = data;
  return config->topology == TOPOLOGY_PATRONI ? ports : NULL;
}

/* A server parameter that is a count; what is no number is the server's to refuse. */
static uint32_t count_parameter(const struct postgres_config *config, const char *name,
                                uint32_t otherwise) {
  for (uint32_t i = 0; i < config->parameters.count; i++) {
    const struct setting *setting = &config->parameters.items[i];
    if (strcasecmp(setting->name, name) != 0) continue;
    unsigned long number = strtoul(setting->value, NULL, 10);
    return number < config->max_connections ? (uint32_t)number : config->max_connections;
  }
  return otherwise;
}

/* PostgreSQL keeps the last slots for superusers, and counts theirs too: the watcher has a
 * connection to each member, Patroni one for its loop and newer versions one for its REST
 * interface. Replication has had slots of its own since version 12. */
uint32_t postgres_connections(const void *data, char *because, size_t size) {
  const struct postgres_config *config = data;
  uint32_t reserved = count_parameter(config, "superuser_reserved_connections", 3) +
                      count_parameter(config, "reserved_connections", 0);
  uint32_t own = config->topology == TOPOLOGY_PATRONI ? 3 : 1;
  uint32_t taken = reserved + own;
  snprintf(because, size, "max_connections %u, less %u reserved and %u of %s",
           config->max_connections, reserved, own,
           own > 1 ? "Patroni and the observer" : "the observer");
  return config->max_connections > taken ? config->max_connections - taken : 0;
}

/* What start() and attach() have in common: state, endpoints, paths. */
static int prepare_state(struct service_instance *service, char secrets_path[PATH_MAX],
                         struct error *err) {
  struct postgres_state *state = postgres_state(service);
  const struct postgres_config *config = postgres_config(service);
  const char *run = service->cluster->run_directory;
  int status = service_check_hosts(service, postgres_host_count(config), err);
  if (status == 0)
    status = path_format(state->ca_file, sizeof state->ca_file, err, "%s/secrets/tls/ca.crt", run);
  if (status == 0)
    status = path_format(secrets_path, PATH_MAX, err, "%s/secrets/postgres.json", run);
  if (status < 0) return status;
  if (!state->view_mutex_ready) {
    pthread_mutex_init(&state->view_mutex, NULL);
    state->view_mutex_ready = true;
  }
  state->monitor = service_monitor(service->cluster);
  state->view = (struct service_view){.primary = HOST_NONE, .leader = HOST_NONE};
  for (uint32_t i = 0; i < postgres_instances(config); i++)
    state->endpoints[i] = service_endpoint(service->members[i], POSTGRES_PORT);
  return 0;
}

static void fill_access(struct service_instance *service) {
  struct postgres_state *state = postgres_state(service);
  service->access = (struct access){.driver = &driver_pg,
                                    .endpoints = state->endpoints,
                                    .endpoint_count = postgres_instances(postgres_config(service)),
                                    .user = POSTGRES_USER,
                                    .database = POSTGRES_USER,
                                    .password = state->secrets.client,
                                    .ca_file = state->ca_file,
                                    .resolve = service->cluster->provider->can & CAN_NETWORK};
}

static int start(struct service_instance *service, struct error *err) {
  struct postgres_state *state = postgres_state(service);
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + service->deadline_ns_start;
  char secrets_path[PATH_MAX], tls_path[PATH_MAX];
  int status = prepare_state(service, secrets_path, err);
  if (status == 0)
    status = path_format(tls_path, sizeof tls_path, err, "%s/secrets/tls",
                         service->cluster->run_directory);
  if (status == 0) status = secrets_make(&postgres_secret_table, &state->secrets, err);
  if (status == 0)
    status = certificates_make(tls_path, service->members, service->member_count, err);
  if (status == 0)
    status = secrets_save(&postgres_secret_table, &state->secrets, secrets_path, err);
  if (status < 0) return status;
  if (postgres_config(service)->topology == TOPOLOGY_PATRONI)
    status = postgres_patroni_start(service, deadline_ns, err);
  else
    status = postgres_streaming_start(service, deadline_ns, err);
  if (status < 0) return status;
  fill_access(service);
  return 0;
}

static int attach(struct service_instance *service, struct error *err) {
  struct postgres_state *state = postgres_state(service);
  char secrets_path[PATH_MAX];
  int status = prepare_state(service, secrets_path, err);
  if (status == 0)
    status = secrets_load(&postgres_secret_table, secrets_path, &state->secrets, err);
  if (status < 0) return status;
  fill_access(service);
  return 0;
}

static void release(struct service_instance *service) {
  struct postgres_state *state = postgres_state(service);
  if (!state) return;
  postgres_unwatch(service);
  if (state->view_mutex_ready) pthread_mutex_destroy(&state->view_mutex);
  explicit_bzero(state, sizeof *state);
  service->access = (struct access){.driver = NULL};
}

const struct service service_postgres = {
    .plugin = {.name = "postgres",
               .summary = "PostgreSQL: Patroni over etcd, plain streaming replication, or alone",
               .params = postgres_params,
               .config_size = sizeof(struct postgres_config),
               .state_size = sizeof(struct postgres_state),
               .validate = postgres_validate},
    .needs = CAN_UNITS | CAN_EXEC | CAN_FILES,
    .processes = postgres_processes,
    .processes_for = postgres_processes_for,
    .plan = postgres_plan_hosts,
    .can_step = postgres_can_step,
    .store_ports = postgres_store_ports,
    .replicas = postgres_replicas,
    .connections = postgres_connections,
    .start = start,
    .attach = attach,
    .release = release,
    .watch = postgres_watch,
    .unwatch = postgres_unwatch,
    .view = postgres_view,
    .settings = postgres_settings,
    .step = postgres_step,
    .converged = postgres_converged,
};
