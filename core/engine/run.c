/* The run, phase by phase: its measured time, and the frame around all phases, with one way out.
 * What comes before and after the measured time is in run_up.c and run_read_back.c. */
#include <pthread.h>
#include <stdatomic.h>

#include "engine/guard.h"
#include "engine/run_internal.h"

#define RING_COUNT (1u << 16)
/* When every simulated run begins: 2000-01-01. */
#define VIRTUAL_WALL_NS (946684800 * NS_PER_S)

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
  status = run_enter_phase(run, "warmup", err);
  if (status == 0) status = run_loop_until(run, now_ns + scenario->warmup_ns, NULL, err);
  if (status == 0) status = run_enter_phase(run, "steady", err);
  uint64_t begin_ns = clock_now_ns(run->clock);
  if (status == 0) status = timeline_begin(run->timeline, begin_ns, err);
  if (status == 0) status = run_enter_phase(run, "faults", err);
  if (status == 0) status = run_loop_until(run, TIME_NEVER, &run->timeline_done, err);
  if (status == 0 && run->timeline_status < 0) {
    if (err) *err = run->timeline_error;
    status = run->timeline_status;
  }
  if (status == 0) status = run_loop_until(run, begin_ns + scenario->duration_ns, NULL, err);
  if (status == 0) status = run_enter_phase(run, "settle", err);
  if (status == 0)
    status = run_loop_until(run, clock_now_ns(run->clock) + scenario->settle_ns, NULL, err);
  return status;
}

/* --- the frame ------------------------------------------------------------------------------- */

static void wake_run(void *data) {
  struct run *run = data;
  loop_stop(run->loop);
}

static void interrupt_attach(struct run *run, struct loop *loop) {
  struct interrupt *interrupt = run->spec->interrupt;
  pthread_mutex_lock(&interrupt->mutex);
  interrupt->loop = loop;
  interrupt->wake = wake_run;
  interrupt->data = run;
  pthread_mutex_unlock(&interrupt->mutex);
}

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
  if (status == 0 && !run_is_virtual(run)) status = loop_new(&run->loop, err);
  struct recorder_spec recorder = {.run_directory = directory,
                                   .clock = run->clock,
                                   .start_ns = run->start_ns,
                                   .wall_start_ns = run->file.wall_start_ns,
                                   .producers = run_is_virtual(run) ? 1 : run->workers,
                                   .ring_count = RING_COUNT,
                                   .one_thread = run_is_virtual(run)};
  if (status == 0) status = recorder_new(&recorder, &run->recorder, err);
  if (status < 0) return status;
  run->sink = recorder_sink(run->recorder);
  status = progress_init(&run->progress, run->spec->log, run->recorder, run->start_ns, err);
  if (status < 0) return status;
  interrupt_attach(run, run->loop);
  return run_start_timers(run, err);
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
  progress_release(&run->progress);
  if (run->cluster) run->cluster->provider->detach(run->cluster);
  if (run_is_virtual(run))
    virtual_time_release(&run->virtual);
  else
    loop_free(run->loop);
  buf_release(&run->settings);
  buf_release(&run->provider_facts);
  arena_release(&run->arena);
}

/* What servers refuse while they are measured is a run without a result: nothing is missing on this
 * machine. */
static int as_measured(int status, struct error *why) {
  if (status != STATUS_SERVER) return status;
  return why->status = STATUS_UNTRUSTED;
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
  if (status == 0) status = run_bring_up(&run, &why);
  if (status == 0) status = run_start_load(&run, &why);
  *ret_measured = status == 0;
  if (status == 0) status = measure(&run, &why);
  if (status == 0) status = run_read_back(&run, &why);
  if (*ret_measured) status = as_measured(status, &why);
  /* What a signal broke off may have failed in its own words: say what it was. */
  if (status < 0 && atomic_load(&spec->interrupt->signal) != 0)
    status = run_check_interrupt(&run, &why);
  /* And so may what a simulation without memory did. */
  int trusted = run_check_hosts(&run, &why);
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
