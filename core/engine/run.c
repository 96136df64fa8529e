/* The run, phase by phase. One struct holds what teardown must give back, so that every way out is
 * the same way. */
#include "engine/run.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/prng.h"
#include "base/virtual_time.h"
#include "engine/guard.h"
#include "engine/hosts.h"
#include "engine/journal.h"
#include "engine/load.h"
#include "engine/observer.h"
#include "engine/progress.h"
#include "engine/recorder.h"
#include "engine/run_file.h"
#include "engine/timeline.h"

#define RING_COUNT (1u << 16)
#define READY_TIMEOUT_NS (30 * NS_PER_S)
#define CONVERGE_POLL_NS (100 * NS_PER_MS)
/* When every simulated run begins: 2000-01-01. */
#define VIRTUAL_WALL_NS (946684800 * NS_PER_S)

struct run {
  const struct run_spec *spec;
  const struct scenario *scenario;
  const struct clock *clock;
  uint64_t start_ns;
  struct arena arena;
  struct loop *loop;
  struct virtual_time virtual; /* its loop is NULL in real time */
  struct recorder *recorder;
  struct sink *sink;
  struct journal journal;
  struct cluster *cluster;
  const struct host *monitor;
  const struct host **client_hosts;
  uint32_t client_host_count, workers;
  struct service_instance *services; /* all of the scenario's, bound once the cluster is up */
  uint32_t started;                  /* of these, how many start() was called for */
  struct workload_env *envs;
  struct observer *observer;
  struct load *load;
  struct timeline *timeline;
  struct progress progress;
  struct timer tick;
  struct timer wait;
  bool waited;
  bool timeline_done;
  int timeline_status;
  struct error timeline_error;
  struct run_file file;
  struct buf settings, provider_facts;
};

static bool is_virtual(const struct run *run) {
  return run->virtual.loop != NULL;
}

/* --- interrupts ------------------------------------------------------------------------------ */

static void wake_run(void *data) {
  struct run *run = data;
  loop_stop(run->loop);
}

static bool is_interrupted(void *data) {
  const struct run *run = data;
  return atomic_load(&run->spec->interrupt->signal) != 0;
}

static void interrupt_attach(struct run *run, struct loop *loop) {
  struct interrupt *interrupt = run->spec->interrupt;
  pthread_mutex_lock(&interrupt->mutex);
  interrupt->loop = loop;
  interrupt->wake = wake_run;
  interrupt->data = run;
  pthread_mutex_unlock(&interrupt->mutex);
}

static int check_interrupt(const struct run *run, struct error *err) {
  int number = atomic_load(&run->spec->interrupt->signal);
  if (number == 0) return 0;
  return error_set(err, STATUS_INTERRUPTED, "interrupted by SIG%s", sigabbrev_np(number));
}

/* A simulation that lost something says nothing about a cluster. */
static int check_hosts(const struct run *run, struct error *err) {
  if (!run->cluster || !run->cluster->provider->trustworthy) return 0;
  return run->cluster->provider->trustworthy(run->cluster, err);
}

static int check_going(const struct run *run, struct error *err) {
  int status = check_interrupt(run, err);
  return status == 0 ? check_hosts(run, err) : status;
}

/* --- phases and waiting ---------------------------------------------------------------------- */

static void emit_text(struct run *run, enum event_kind kind, uint8_t host, int64_t number,
                      const char *text) {
  struct event event = {.kind = kind, .fault = FAULT_NONE, .host = host, .number = number};
  snprintf(event.text, sizeof event.text, "%.*s", (int)sizeof event.text - 1, text);
  run->sink->event(run->sink, &event);
}

static int enter_phase(struct run *run, const char *phase, struct error *err) {
  emit_text(run, EVENT_RUN, HOST_NONE, 0, phase);
  progress_phase(&run->progress, phase, clock_now_ns(run->clock));
  return check_going(run, err);
}

static void fire_tick(struct timer *timer, uint64_t now_ns) {
  struct run *run = timer->owner;
  char detail[128] = "";
  if (is_virtual(run)) recorder_flush(run->recorder); /* no thread does it */
  if (run->timeline) timeline_describe(run->timeline, detail, sizeof detail);
  progress_tick(&run->progress, now_ns, run->started > 0 ? &run->services[0] : NULL, detail);
  (void)loop_timer_arm(run->loop, timer, now_ns + PROGRESS_PERIOD_NS, NULL);
}

static void fire_wait(struct timer *timer, uint64_t now_ns) {
  struct run *run = timer->owner;
  (void)now_ns;
  run->waited = true;
  loop_stop(run->loop);
}

/* Runs the loop until clock time `deadline_ns`, or until `*until` (NULL: none) becomes true. */
static int run_loop_until(struct run *run, uint64_t deadline_ns, const bool *until,
                          struct error *err) {
  run->waited = false;
  int status = loop_timer_arm(run->loop, &run->wait, deadline_ns, err);
  while (status == 0 && !run->waited && !(until && *until)) {
    status = loop_run(run->loop, err);
    if (status == 0) status = check_going(run, err);
  }
  loop_timer_cancel(run->loop, &run->wait);
  return status;
}

/* Blocking client calls belong on the monitor's network: a thread goes there and comes back. */
struct errand {
  struct run *run;
  int (*call)(struct run *run, struct error *err);
  int status;
  struct error error;
};

static void *errand_main(void *data) {
  struct errand *errand = data;
  struct run *run = errand->run;
  if (run->monitor && (run->cluster->provider->can & CAN_NETWORK))
    errand->status =
        run->cluster->provider->network_enter(run->cluster, run->monitor, &errand->error);
  if (errand->status == 0) errand->status = errand->call(run, &errand->error);
  return NULL;
}

static int on_monitor(struct run *run, int (*call)(struct run *, struct error *),
                      struct error *err) {
  if (is_virtual(run)) return call(run, err);
  struct errand errand = {.run = run, .call = call};
  pthread_t thread;
  int errnum = pthread_create(&thread, NULL, errand_main, &errand);
  if (errnum) return error_set_errno(err, errnum, "cannot start a thread");
  pthread_join(thread, NULL);
  if (errand.status < 0 && err) *err = errand.error;
  return errand.status;
}

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
  status = provider->probe(run->scenario->provider_config, err);
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

static int bring_up(struct run *run, struct error *err) {
  const struct scenario *scenario = run->scenario;
  int status = enter_phase(run, "up", err);
  if (status == 0) status = bring_hosts_up(run, err);
  if (status < 0) return status;
  run->file.cluster = run->cluster;
  run->services = arena_calloc(&run->arena, scenario->service_count + 1, sizeof *run->services);
  if (!run->services) return error_set(err, STATUS_MEMORY, "out of memory");
  status = hosts_bind(scenario, run->cluster, &run->arena, run->sink, run->clock, run->start_ns,
                      run->services, err);
  if (status == 0) status = enter_phase(run, "start", err);
  while (status == 0 && run->started < scenario->service_count) {
    struct service_instance *service = &run->services[run->started++];
    status = service->service->start(service, err);
    if (status < 0) (void)error_wrap(err, "service %s", service->service->plugin.name);
  }
  if (status == 0) status = check_interrupt(run, err);
  if (status == 0) status = on_monitor(run, read_settings, err);
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

static int start_load(struct run *run, struct error *err) {
  const struct scenario *scenario = run->scenario;
  run->envs = arena_calloc(&run->arena, scenario->workload_count + 1, sizeof *run->envs);
  if (!run->envs) return error_set(err, STATUS_MEMORY, "out of memory");
  for (uint32_t i = 0; i < scenario->workload_count; i++) {
    const struct scenario_workload *row = &scenario->workloads[i];
    const struct service_instance *service = service_for(run, row->workload->service);
    if (!service)
      return error_set(err, STATUS_USAGE, "workload %s needs the service %s",
                       row->workload->plugin.name, row->workload->service);
    run->envs[i] = (struct workload_env){
        .workload = row->workload,
        .config = row->config,
        .index = (uint8_t)i,
        .seed = run->spec->seed,
        .service = service,
        .access = &service->access,
        .clock = run->clock,
        .sink = run->sink,
        .state = arena_alloc(&run->arena, row->workload->plugin.state_size + 1)};
    if (!run->envs[i].state) return error_set(err, STATUS_MEMORY, "out of memory");
  }
  int status = enter_phase(run, "prepare", err);
  if (status == 0) status = on_monitor(run, prepare_workloads, err);
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

/* --- the measured time ----------------------------------------------------------------------- */

static bool load_recovered(void *data, uint64_t since_ns) {
  const struct run *run = data;
  return progress_all_ok_since(&run->progress, since_ns);
}

static void timeline_over(void *data, int status, const struct error *err) {
  struct run *run = data;
  run->timeline_done = true;
  run->timeline_status = status;
  if (status < 0) run->timeline_error = *err;
  loop_stop(run->loop);
}

/* When the run should be over if recovery takes no time: for the progress bar only. */
static uint64_t expected_end(const struct scenario *scenario, uint64_t begin_ns) {
  uint64_t longest = 0, before = 0;
  for (uint32_t i = 0; i < scenario->timeline_count; i++) {
    const struct timeline_entry *entry = &scenario->timeline[i];
    uint64_t end =
        entry->at_ns + entry->jitter_ns + entry->for_ns + (entry->after_recovery ? before : 0);
    before = end;
    if (end > longest) longest = end;
  }
  if (longest < scenario->duration_ns) longest = scenario->duration_ns;
  return begin_ns + longest + scenario->settle_ns;
}

static int measure(struct run *run, struct error *err) {
  const struct scenario *scenario = run->scenario;
  struct timeline_spec spec = {.loop = run->loop,
                               .scenario = scenario,
                               .cluster = run->cluster,
                               .services = run->services,
                               .service_count = scenario->service_count,
                               .sink = run->sink,
                               .journal = &run->journal,
                               .start_ns = run->start_ns,
                               .seed = run->spec->seed,
                               .load_recovered = load_recovered,
                               .done = timeline_over,
                               .data = run};
  int status = timeline_new(&spec, &run->timeline, err);
  if (status < 0) return status;
  uint64_t now_ns = clock_now_ns(run->clock);
  load_begin(run->load, now_ns);
  run->progress.expected_end_ns = expected_end(scenario, now_ns + scenario->warmup_ns);
  status = enter_phase(run, "warmup", err);
  if (status == 0) status = run_loop_until(run, now_ns + scenario->warmup_ns, NULL, err);
  if (status == 0) status = enter_phase(run, "steady", err);
  uint64_t begin_ns = clock_now_ns(run->clock);
  if (status == 0) status = timeline_begin(run->timeline, begin_ns, err);
  if (status == 0) status = enter_phase(run, "faults", err);
  if (status == 0) status = run_loop_until(run, TIME_NEVER, &run->timeline_done, err);
  if (status == 0 && run->timeline_status < 0) {
    if (err) *err = run->timeline_error;
    status = run->timeline_status;
  }
  if (status == 0) status = run_loop_until(run, begin_ns + scenario->duration_ns, NULL, err);
  if (status == 0) status = enter_phase(run, "settle", err);
  if (status == 0)
    status = run_loop_until(run, clock_now_ns(run->clock) + scenario->settle_ns, NULL, err);
  return status;
}

/* --- afterwards ------------------------------------------------------------------------------ */

static bool all_redundant(const struct run *run) {
  for (uint32_t i = 0; i < run->scenario->service_count; i++) {
    struct service_view view;
    run->services[i].service->view(&run->services[i], &view);
    if (!view.redundant) return false;
  }
  return true;
}

/* The heartbeat still beats here, so that the lag of a replica that comes back is measured. */
static int await_redundancy(struct run *run, struct error *err) {
  uint64_t deadline_ns = clock_now_ns(run->clock) + run->scenario->converge_timeout_ns;
  int status = 0;
  while (status == 0 && !all_redundant(run) && clock_now_ns(run->clock) < deadline_ns)
    status = run_loop_until(run, clock_now_ns(run->clock) + 100 * NS_PER_MS, NULL, err);
  if (status == 0 && !all_redundant(run))
    emit_text(run, EVENT_WARNING, HOST_NONE, 0,
              "full redundancy was not seen again within measure.converge_timeout");
  return status;
}

/* In real time this is not the loop's thread. */
static int pause_shortly(struct run *run, struct error *err) {
  if (is_virtual(run))
    return run_loop_until(run, clock_now_ns(run->clock) + CONVERGE_POLL_NS, NULL, err);
  struct timespec pause = {.tv_nsec = CONVERGE_POLL_NS};
  nanosleep(&pause, NULL);
  return 0;
}

static int converge(struct run *run, struct error *err) {
  uint64_t deadline_ns = clock_now_ns(run->clock) + run->scenario->converge_timeout_ns;
  for (uint32_t i = 0; i < run->scenario->service_count; i++) {
    struct service_instance *service = &run->services[i];
    char why[256] = "";
    struct error failed = ERROR_INIT;
    for (;;) {
      bool converged = false;
      int status = service->service->converged(service, &converged, why, sizeof why, &failed);
      if (status < 0) snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, failed.message);
      if (status == 0 && converged) break;
      if (check_interrupt(run, err) < 0) return STATUS_INTERRUPTED;
      if (clock_now_ns(run->clock) > deadline_ns) {
        char text[EVENT_TEXT_SIZE];
        snprintf(text, sizeof text, "not converged within measure.converge_timeout: %s", why);
        emit_text(run, EVENT_WARNING, HOST_NONE, 0, text);
        break;
      }
      status = pause_shortly(run, err);
      if (status < 0) return status;
    }
  }
  return 0;
}

struct row_reader {
  struct final_reader reader; /* first: the workload hands this back */
  struct run *run;
  int64_t count;
};

static int take_row(struct final_reader *reader, const struct final_row *row, struct error *err) {
  struct row_reader *mine = (struct row_reader *)reader;
  mine->count++;
  return recorder_row(mine->run->recorder, row, err);
}

static int final_read_host(struct run *run, struct workload_env *env,
                           const struct endpoint *endpoint, struct error *err) {
  struct row_reader reader = {.reader = {.row = take_row}, .run = run};
  struct error why = ERROR_INIT;
  int status = recorder_rows_begin(run->recorder, endpoint->host, endpoint->name, err);
  if (status < 0) return status;
  int read = env->workload->final_read(env, endpoint, &reader.reader, &why);
  status = recorder_rows_end(run->recorder, err);
  if (status < 0) return status;
  emit_text(run, EVENT_FINAL_READ, endpoint->host, reader.count, read < 0 ? why.message : "");
  return check_interrupt(run, err);
}

static int final_read(struct run *run, struct error *err) {
  for (uint32_t i = 0; i < run->scenario->workload_count; i++) {
    struct workload_env *env = &run->envs[i];
    for (uint32_t e = 0; env->workload->final_read && e < env->access->endpoint_count; e++) {
      int status = final_read_host(run, env, &env->access->endpoints[e], err);
      if (status < 0) return status;
    }
  }
  return 0;
}

static int read_back(struct run *run, struct error *err) {
  int status = enter_phase(run, "drain", err);
  if (status == 0) status = load_end(run->load, clock_now_ns(run->clock), err);
  if (status == 0) status = enter_phase(run, "heal", err);
  if (status == 0) status = timeline_heal_all(run->timeline, err);
  if (status == 0) status = await_redundancy(run, err);
  struct load_totals totals;
  load_totals(run->load, &totals);
  run->file.identity_count = totals.identities;
  if (status == 0) status = load_stop(run->load, err);
  if (status == 0) status = enter_phase(run, "converge", err);
  if (status == 0) status = on_monitor(run, converge, err);
  if (status == 0) status = enter_phase(run, "final-read", err);
  if (status == 0) status = on_monitor(run, final_read, err);
  if (status == 0) status = enter_phase(run, "end", err);
  return status;
}

/* --- the frame ------------------------------------------------------------------------------- */

static int begin_record(struct run *run, struct error *err) {
  const struct scenario *scenario = run->scenario;
  const char *directory = run->spec->run_directory;
  struct scenario resolved = *scenario; /* so that it gives this very run again */
  resolved.seed = run->spec->seed;
  resolved.seed_given = true;
  resolved.repeat = 1;
  int status = run_file_write_scenario(&resolved, directory, err);
  if (status == 0) status = run_file_write(&run->file, err);
  if (status == 0) status = journal_open(&run->journal, directory, err);
  if (status == 0 && !is_virtual(run)) status = loop_new(&run->loop, err);
  struct recorder_spec recorder = {.run_directory = directory,
                                   .clock = run->clock,
                                   .start_ns = run->start_ns,
                                   .wall_start_ns = run->file.wall_start_ns,
                                   .producers = is_virtual(run) ? 1 : run->workers,
                                   .ring_count = RING_COUNT,
                                   .one_thread = is_virtual(run)};
  if (status == 0) status = recorder_new(&recorder, &run->recorder, err);
  if (status < 0) return status;
  run->sink = recorder_sink(run->recorder);
  progress_init(&run->progress, run->spec->log, run->recorder, run->start_ns);
  run->tick = (struct timer){.fire = fire_tick, .owner = run};
  run->wait = (struct timer){.fire = fire_wait, .owner = run};
  interrupt_attach(run, run->loop);
  return loop_timer_arm(run->loop, &run->tick, run->start_ns + PROGRESS_PERIOD_NS, err);
}

/* Gives everything back, in the reverse order; the first failure is kept in `err` unless the run
 * failed before. */
static int tear_down(struct run *run, int status, struct error *err) {
  struct error late = ERROR_INIT;
  int result = 0;
  interrupt_attach(run, NULL);
  if (run->recorder) progress_end(&run->progress);
  if (run->load) {
    struct load_totals totals;
    load_totals(run->load, &totals);
    run->file.identity_count = totals.identities;
    result = load_stop(run->load, &late);
    load_free(run->load);
  }
  /* Whatever became of the load: the observer must not watch services that are released. */
  int stopped = observer_stop(run->observer, result == 0 ? &late : NULL);
  if (result == 0) result = stopped;
  timeline_free(run->timeline);
  if (run->recorder) {
    struct recorder_totals totals = {0};
    int finished = recorder_finish(run->recorder, &totals, result == 0 ? &late : NULL);
    if (result == 0) result = finished;
    run->file.dropped = totals.dropped;
    run->file.operations = totals.operations;
    run->file.samples = totals.samples;
  }
  for (uint32_t i = 0; i < run->started; i++) run->services[i].service->release(&run->services[i]);
  int gone = guard_remove_cluster(run->scenario->provider, run->spec->run_directory,
                                  run->spec->cluster_id, result == 0 ? &late : NULL);
  if (result == 0) result = gone;
  if (status == 0 && result < 0) {
    status = result;
    if (err) *err = late;
  }
  return status;
}

static void release(struct run *run) {
  journal_close(&run->journal);
  recorder_free(run->recorder);
  if (run->cluster) run->cluster->provider->detach(run->cluster);
  if (is_virtual(run))
    virtual_time_release(&run->virtual);
  else
    loop_free(run->loop);
  buf_release(&run->settings);
  buf_release(&run->provider_facts);
  arena_release(&run->arena);
}

int run_execute(const struct run_spec *spec, bool *ret_measured, struct error *err) {
  struct error why = ERROR_INIT;
  uint32_t workers =
      spec->scenario->workers ? spec->scenario->workers : spec->scenario->client_hosts;
  struct run run = {.spec = spec,
                    .scenario = spec->scenario,
                    .clock = &clock_monotonic,
                    .start_ns = clock_now_ns(&clock_monotonic),
                    .journal = {.fd = -1},
                    .workers = workers ? workers : 1,
                    .file = {.run_directory = spec->run_directory,
                             .cluster_id = spec->cluster_id,
                             .scenario = spec->scenario,
                             .seed = spec->seed,
                             .wall_start_ns = clock_wall_ns()}};
  if (spec->scenario->provider->virtual_time) {
    int made = virtual_time_init(&run.virtual, err);
    *ret_measured = false;
    if (made < 0) return made;
    run.loop = run.virtual.loop;
    run.clock = &run.virtual.clock;
    run.start_ns = clock_now_ns(run.clock);
    run.file.wall_start_ns = VIRTUAL_WALL_NS;
  }
  run.file.monotonic_start_ns = run.start_ns;
  arena_init(&run.arena, 0);
  buf_init(&run.settings);
  buf_init(&run.provider_facts);
  int status = begin_record(&run, &why);
  if (status == 0) status = bring_up(&run, &why);
  if (status == 0) status = start_load(&run, &why);
  *ret_measured = status == 0;
  if (status == 0) status = measure(&run, &why);
  if (status == 0) status = read_back(&run, &why);
  /* What a signal broke off may have failed in its own words: say what it was. */
  if (status < 0 && atomic_load(&spec->interrupt->signal) != 0)
    status = check_interrupt(&run, &why);
  /* And so may what a simulation without memory did. */
  int trusted = check_hosts(&run, &why);
  if (trusted < 0 && status != STATUS_INTERRUPTED) status = trusted;
  status = tear_down(&run, status, &why);
  char text[ERROR_MESSAGE_SIZE + ERROR_FILE_SIZE];
  error_format(&why, text, sizeof text);
  run.file.finished = status == 0;
  run.file.stopped_because = status < 0 ? text : NULL;
  run.file.cluster = run.cluster;
  int written = run_file_write(&run.file, status == 0 ? &why : NULL);
  if (status == 0) status = written;
  release(&run);
  if (status < 0 && err) *err = why;
  return status;
}
