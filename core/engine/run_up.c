/* The phases before the measured time: hosts and services come up, the workloads are prepared and
 * their clients connect. */
#include <stdatomic.h>
#include <string.h>

#include "engine/hosts.h"
#include "engine/run_internal.h"
#include "engine/service_sink.h"

#define READY_TIMEOUT_NS (30 * NS_PER_S)

/* --- bringing up ----------------------------------------------------------------------------- */

static int bring_hosts_up(struct run *run, struct error *err) {
  struct host_spec hosts[HOSTS_MAX];
  uint32_t count = 0;
  int status = hosts_plan(run->scenario, &run->arena, hosts, &count, err);
  if (status < 0) return status;
  struct cluster_spec spec = {.id = run->spec->cluster_id,
                              .run_directory = run->spec->run_directory,
                              .hosts = hosts,
                              .host_count = count,
                              .loop = run->virtual.loop,
                              .seed = run->spec->seed};
  const struct provider *provider = run->scenario->provider;
  status = hosts_probe(run->scenario, err);
  if (status < 0) return status;
  status = provider->up(run->scenario->provider_config, &spec, &run->cluster, err);
  if (status < 0) return error_wrap(err, "cannot bring the hosts up");
  run->client_hosts = arena_calloc(&run->arena, count, sizeof *run->client_hosts);
  if (!run->client_hosts) return error_set(err, STATUS_MEMORY, "out of memory");
  for (uint32_t i = 0; i < run->cluster->host_count; i++) {
    const struct host *host = &run->cluster->hosts[i];
    if (host->kind == HOST_CLIENT) run->client_hosts[run->client_host_count++] = host;
    if (host->kind == HOST_MONITOR) run->monitor = host;
  }
  if (!provider->describe) return 0;
  status = provider->describe(run->cluster, &run->provider_facts, err);
  run->file.provider_json = run->provider_facts.data;
  return status;
}

static int read_settings(struct run *run, struct error *err) {
  buf_puts(&run->settings, "{");
  for (uint32_t i = 0; i < run->scenario->service_count; i++) {
    struct service_instance *service = &run->services[i];
    buf_printf(&run->settings, "%s\"%s\": ", i ? ", " : "", service->service->plugin.name);
    int status = service->service->settings(service, &run->settings, err);
    if (status < 0) return error_wrap(err, "cannot read back the effective settings");
  }
  buf_puts(&run->settings, "}");
  return buf_ok(&run->settings, err);
}

static bool is_interrupted(void *data) {
  const struct run *run = data;
  return atomic_load(&run->spec->interrupt->signal) != 0;
}

/* Of several services the record has to tell which one is redundant. */
static int part_sinks(struct run *run, struct error *err) {
  uint32_t count = run->scenario->service_count;
  struct service_sink *sinks = arena_calloc(&run->arena, count, sizeof *sinks);
  if (!sinks) return error_set(err, STATUS_MEMORY, "out of memory");
  for (uint32_t i = 0; i < count; i++) {
    service_sink_init(&sinks[i], run->sink, (uint8_t)i);
    run->services[i].sink = &sinks[i].sink;
  }
  return 0;
}

int run_bring_up(struct run *run, struct error *err) {
  const struct scenario *scenario = run->scenario;
  int status = run_enter_phase(run, "up", err);
  if (status == 0) status = bring_hosts_up(run, err);
  if (status < 0) return status;
  run->file.cluster = run->cluster;
  run->services = arena_calloc(&run->arena, scenario->service_count + 1, sizeof *run->services);
  if (!run->services) return error_set(err, STATUS_MEMORY, "out of memory");
  status = hosts_bind(scenario, run->cluster, &run->arena, run->sink, run->clock, run->start_ns,
                      run->services, err);
  if (status == 0 && scenario->service_count > 1) status = part_sinks(run, err);
  if (status == 0) status = run_enter_phase(run, "start", err);
  while (status == 0 && run->started < scenario->service_count) {
    struct service_instance *service = &run->services[run->started++];
    status = service->service->start(service, err);
    if (status < 0) (void)error_wrap(err, "service %s", service->service->plugin.name);
    service->access.cancelled = is_interrupted;
    service->access.cancelled_data = run;
  }
  if (status == 0) status = run_check_interrupt(run, err);
  if (status == 0) status = run_on_monitor(run, read_settings, err);
  if (status < 0) return status;
  run->file.settings_json = run->settings.data;
  status = run_file_write(&run->file, err);
  if (status < 0) return status;
  struct observer_spec observer = {.cluster = run->cluster,
                                   .monitor = run->monitor,
                                   .services = run->services,
                                   .service_count = scenario->service_count,
                                   .loop = run->virtual.loop};
  return observer_start(&observer, &run->observer, err);
}

/* --- the load -------------------------------------------------------------------------------- */

static int prepare_workloads(struct run *run, struct error *err) {
  for (uint32_t i = 0; i < run->scenario->workload_count; i++) {
    struct workload_env *env = &run->envs[i];
    if (!env->workload->prepare) continue;
    int status = env->workload->prepare(env, err);
    if (status < 0) return error_wrap(err, "workload %s", env->workload->plugin.name);
  }
  return 0;
}

static const struct service_instance *service_for(const struct run *run, const char *name) {
  for (uint32_t i = 0; i < run->scenario->service_count; i++)
    if (strcmp(run->services[i].service->plugin.name, name) == 0) return &run->services[i];
  return NULL;
}

int run_start_load(struct run *run, struct error *err) {
  const struct scenario *scenario = run->scenario;
  run->envs = arena_calloc(&run->arena, scenario->workload_count + 1, sizeof *run->envs);
  if (!run->envs) return error_set(err, STATUS_MEMORY, "out of memory");
  for (uint32_t i = 0; i < scenario->workload_count; i++) {
    const struct scenario_workload *row = &scenario->workloads[i];
    const struct service_instance *service = service_for(run, row->workload->service);
    if (!service)
      return error_set(err, STATUS_USAGE, "workload %s needs the service %s",
                       row->workload->plugin.name, row->workload->service);
    const struct service_instance *origin = NULL;
    if (row->workload->origin) origin = service_for(run, row->workload->origin);
    if (row->workload->origin && !origin)
      return error_set(err, STATUS_USAGE, "workload %s needs the service %s",
                       row->workload->plugin.name, row->workload->origin);
    run->envs[i] = (struct workload_env){
        .workload = row->workload,
        .config = row->config,
        .index = (uint8_t)i,
        .seed = run->spec->seed,
        .service = service,
        .access = &service->access,
        .origin = origin ? &origin->access : NULL,
        .clock = run->clock,
        .sink = run->sink,
        .state = arena_alloc(&run->arena, row->workload->plugin.state_size + 1)};
    if (!run->envs[i].state) return error_set(err, STATUS_MEMORY, "out of memory");
  }
  int status = run_enter_phase(run, "prepare", err);
  if (status == 0) status = run_on_monitor(run, prepare_workloads, err);
  if (status < 0) return status;
  struct load_spec spec = {.loop = run->virtual.loop,
                           .cluster = run->cluster,
                           .client_hosts = run->client_hosts,
                           .client_host_count = run->client_host_count,
                           .workers = run->workers,
                           .envs = run->envs,
                           .env_count = scenario->workload_count,
                           .recorder = run->recorder,
                           .sink = run->sink,
                           .clock = run->clock,
                           .start_ns = run->start_ns,
                           .seed = run->spec->seed,
                           .cancelled = is_interrupted,
                           .cancelled_data = run};
  return load_start(&spec, clock_now_ns(run->clock) + READY_TIMEOUT_NS, &run->load, err);
}
