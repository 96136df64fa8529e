/* The provider `sim`: hosts in memory and in virtual time. Services run on it as models of
 * themselves; what decides how a fault goes is modelled, nothing else. */
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/postgres_parameters.h"

static const char *const patroni_choices[] = {"3.0", "3.2", NULL};
static const char *const guilty_choices[] = {
    "no",        "early-ack", "two-primaries", "stale-read", "resurrected",
    "corrupt",   "duplicate", "flapping",      "blink",      "loss-at-heal",
    "evict-any", "slow",      "unsynced",      "immune",     NULL};

#define FIELD(name) offsetof(struct sim_config, name)
static const struct param params[] = {
    {.key = "latency",
     .type = PARAM_DURATION,
     .offset = FIELD(latency_ns),
     .default_text = "100us",
     .maximum = "10s",
     .help = "One way between two hosts."},
    {.key = "jitter",
     .type = PARAM_DURATION,
     .offset = FIELD(jitter_ns),
     .default_text = "20us",
     .maximum = "10s",
     .help = "Up to so much is added to the latency of each message, uniformly."},
    {.key = "boot",
     .type = PARAM_DURATION,
     .offset = FIELD(boot_ns),
     .default_text = "100ms",
     .maximum = "1h",
     .help = "From power on until the daemons of a host start."},
    {.key = "start",
     .type = PARAM_DURATION,
     .offset = FIELD(postgres.start_ns),
     .default_text = "300ms",
     .maximum = "1h",
     .help = "PostgreSQL: from its start until it accepts connections, without recovery."},
    {.key = "recovery",
     .type = PARAM_DURATION,
     .offset = FIELD(postgres.recovery_ns),
     .default_text = "350ms",
     .maximum = "1h",
     .help = "PostgreSQL: crash recovery, on top of the start."},
    {.key = "promote",
     .type = PARAM_DURATION,
     .offset = FIELD(postgres.promote_ns),
     .default_text = "150ms",
     .maximum = "1h",
     .help = "PostgreSQL: from the order to become primary until it takes writes."},
    {.key = "stop",
     .type = PARAM_DURATION,
     .offset = FIELD(postgres.stop_ns),
     .default_text = "300ms",
     .maximum = "1h",
     .help = "PostgreSQL: a fast shutdown with its checkpoint."},
    {.key = "rewind",
     .type = PARAM_DURATION,
     .offset = FIELD(postgres.rewind_ns),
     .default_text = "1500ms",
     .maximum = "1h",
     .help = "PostgreSQL: pg_rewind of a former primary."},
    {.key = "copy",
     .type = PARAM_DURATION,
     .offset = FIELD(postgres.copy_ns),
     .default_text = "3s",
     .maximum = "1d",
     .help = "PostgreSQL: pg_basebackup, where rewinding is off or cannot be done."},
    {.key = "fsync",
     .type = PARAM_DURATION,
     .offset = FIELD(postgres.fsync_ns),
     .default_text = "1ms",
     .maximum = "10s",
     .help = "One flush of a write-ahead log, PostgreSQL's or etcd's."},
    {.key = "execute",
     .type = PARAM_DURATION,
     .offset = FIELD(postgres.execute_ns),
     .default_text = "150us",
     .maximum = "10s",
     .help = "PostgreSQL: one statement, without its flush."},
    {.key = "replay",
     .type = PARAM_DURATION,
     .offset = FIELD(postgres.replay_ns),
     .default_text = "5us",
     .maximum = "10s",
     .help = "PostgreSQL: one record on a standby."},
    {.key = "authenticate",
     .type = PARAM_DURATION,
     .offset = FIELD(postgres.authenticate_ns),
     .default_text = "8ms",
     .maximum = "10s",
     .help = "PostgreSQL: TLS and password of a new connection, after TCP."},
    {.key = "redis_start",
     .type = PARAM_DURATION,
     .offset = FIELD(redis.start_ns),
     .default_text = "30ms",
     .maximum = "1h",
     .help = "Redis: from its start until it serves, without loading its data; a Sentinel too."},
    {.key = "redis_copy",
     .type = PARAM_DURATION,
     .offset = FIELD(redis.copy_ns),
     .default_text = "150ms",
     .maximum = "1d",
     .help = "Redis: a full resynchronization of a replica."},
    {.key = "redis_execute",
     .type = PARAM_DURATION,
     .offset = FIELD(redis.execute_ns),
     .default_text = "30us",
     .maximum = "10s",
     .help = "Redis: one command, without a flush; a flush takes as long as fsync says."},
    {.key = "patroni_version",
     .type = PARAM_CHOICE,
     .offset = FIELD(patroni),
     .choices = patroni_choices,
     .default_text = "3.2",
     .help = "3.0: a leader that wakes up without its lease takes the leader key back without a "
             "look at who holds it, as Patroni 3.0 on etcd 3 does; 3.2: it compares first."},
    {.key = "guilty",
     .type = PARAM_CHOICE,
     .offset = FIELD(guilty),
     .choices = guilty_choices,
     .default_text = "no",
     .help = "One bug that the simulated cluster has built in, to see that it is convicted."},
    {.key = "truth",
     .type = PARAM_BOOL,
     .offset = FIELD(truth),
     .default_text = "false",
     .help = "Write what really happened into truth.bin, for tests of what is measured."},
    {.key = NULL},
};
#undef FIELD

static const struct sim_process_kind client_kind = {.name = "client"};

static int sim_probe(const void *config, struct error *err) {
  (void)config;
  (void)err;
  return 0;
}

static bool host_name_taken(const struct sim_cluster *sim, const char *name) {
  for (uint32_t i = 0; i < sim->base.host_count; i++)
    if (strcmp(sim->hosts[i].name, name) == 0) return true;
  return false;
}

/* Servers first, in the order of the spec; names and addresses as on local hosts. */
static int take_hosts(struct sim_cluster *sim, const struct cluster_spec *spec, struct error *err) {
  for (int servers = 1; servers >= 0; servers--)
    for (uint32_t i = 0; i < spec->host_count; i++) {
      const struct host_spec *wanted = &spec->hosts[i];
      if ((wanted->kind == HOST_SERVER) != (servers == 1)) continue;
      if (strlen(wanted->name) >= HOST_NAME_SIZE || host_name_taken(sim, wanted->name))
        return error_set(err, STATUS_USAGE, "host name '%s' is too long, or there are two of them",
                         wanted->name);
      uint32_t index = sim->base.host_count++;
      struct host *host = &sim->hosts[index];
      *host = (struct host){.index = (uint16_t)index, .kind = wanted->kind};
      snprintf(host->name, sizeof host->name, "%s", wanted->name);
      sim->memory_bytes[index] = wanted->memory_bytes;
      uint32_t number = 11 + index;
      snprintf(host->address, sizeof host->address, "10.213.%u.%u", number / 256, number % 256);
    }
  return 0;
}

static void start_clients(struct sim_cluster *sim) {
  for (uint32_t i = 0; i < sim->base.host_count; i++) {
    if (sim->hosts[i].kind == HOST_SERVER) continue;
    sim_process_add(&sim->world, &sim->clients[i], &client_kind, (uint16_t)i, sim);
    sim_process_start(&sim->clients[i]);
  }
}

static void sim_detach(struct cluster *cluster) {
  if (!cluster) return;
  struct sim_cluster *sim = sim_cluster_of(cluster);
  for (uint32_t i = 0; i < sim->base.host_count; i++)
    loop_timer_cancel(sim->world.loop, &sim->boots[i].timer);
  sim_world_release(&sim->world);
  sim_memory_release(sim);
  free(sim);
}

static int sim_up(const void *config, const struct cluster_spec *spec, struct cluster **ret_cluster,
                  struct error *err) {
  if (!spec->loop)
    return error_set(err, STATUS_USAGE,
                     "a simulated cluster lives in the virtual time of a run: it cannot be brought "
                     "up by itself");
  if (spec->host_count > HOSTS_MAX)
    return error_set(err, STATUS_USAGE, "cluster '%s': more than %d hosts", spec->id, HOSTS_MAX);
  struct sim_cluster *sim = calloc(1, sizeof *sim);
  if (!sim) return error_set(err, STATUS_MEMORY, "out of memory for a simulated cluster");
  const struct sim_config *settings = config;
  sim->base = (struct cluster){.provider = &provider_sim,
                               .id = spec->id,
                               .run_directory = spec->run_directory,
                               .hosts = sim->hosts,
                               .state = sim};
  sim->settings = *settings;
  sim->settings.redis.fsync_ns = settings->postgres.fsync_ns; /* one disk */
  sim->config = &sim->settings;
  prng_init(&sim->guilt, spec->seed, "sim/guilt");
  int status = take_hosts(sim, spec, err);
  if (status == 0)
    status = sim_world_init(&sim->world, spec->loop, spec->seed, sim->base.host_count,
                            settings->latency_ns, settings->jitter_ns, err);
  if (status < 0) {
    free(sim);
    return status;
  }
  start_clients(sim);
  *ret_cluster = &sim->base;
  return 0;
}

static int sim_attach(const char *run_directory, struct cluster **ret_cluster, struct error *err) {
  (void)ret_cluster;
  return error_set(err, STATUS_USAGE, "%s: a simulated cluster ends with its run", run_directory);
}

/* Nothing of it was ever outside the process. */
static int sim_destroy(const char *run_directory, const char *id, struct error *err) {
  (void)run_directory;
  (void)id;
  (void)err;
  return 0;
}

static int sim_describe(const struct cluster *cluster, struct buf *json, struct error *err) {
  const struct sim_cluster *sim = sim_cluster_of(cluster);
  buf_printf(json, "{\"simulated\": true, \"patroni_version\": \"%s\", \"guilty\": \"%s\"}",
             patroni_choices[sim->config->patroni], guilty_choices[sim->config->guilty]);
  return buf_ok(json, err);
}

/* Where something could not be kept in mind, the simulated servers missed it: that is a fault of
 * this machine and none of theirs. */
static int sim_trustworthy(const struct cluster *cluster, struct error *err) {
  if (!sim_cluster_of(cluster)->world.out_of_memory) return 0;
  return error_set(err, STATUS_MEMORY, "out of memory for the simulated cluster");
}

static const struct service *sim_model(const struct service *service) {
  static const struct service *const models[] = {&sim_service_postgres, &sim_service_redis};
  for (size_t i = 0; i < sizeof models / sizeof *models; i++)
    if (strcmp(service->plugin.name, models[i]->plugin.name) == 0) return models[i];
  return NULL;
}

static bool sim_modelled(const void *config, const struct service *service,
                         const void *service_config, struct modelled_program *ret) {
  const struct sim_config *settings = config;
  if (sim_model(service) != &sim_service_postgres) return false;
  if (((const struct postgres_config *)service_config)->topology != TOPOLOGY_PATRONI) return false;
  *ret = (struct modelled_program){.name = "Patroni",
                                   .command = "patroni",
                                   .parameter = "patroni_version",
                                   .version = patroni_choices[settings->patroni]};
  return true;
}

const struct provider provider_sim = {
    .plugin = {.name = "sim",
               .summary = "Hosts and services simulated in virtual time, the same from one seed",
               .params = params,
               .config_size = sizeof(struct sim_config)},
    .can = CAN_HOST_POWER | CAN_SIGNAL | CAN_FREEZE | CAN_UNITS | CAN_LINKS,
    .virtual_time = true,
    .model = sim_model,
    .modelled = sim_modelled,
    .probe = sim_probe,
    .up = sim_up,
    .attach = sim_attach,
    .detach = sim_detach,
    .describe = sim_describe,
    .destroy = sim_destroy,
    .trustworthy = sim_trustworthy,
    .host_stop = sim_power_off,
    .host_start = sim_power_on,
    .host_running = sim_power_running,
    .process_signal = sim_signal,
    .freeze = sim_freeze,
    .frozen = sim_frozen,
    .unit_define = sim_unit_define,
    .unit_start = sim_unit_start,
    .unit_running = sim_unit_running,
    .link_cut = sim_cut_links,
    .link_mend = sim_mend_links,
    .link_passes = sim_link_passes,
};
