/* What the phases of a run share: the run itself, and the ways to wait in it. */
#ifndef GAMEDAY_ENGINE_RUN_INTERNAL_H
#define GAMEDAY_ENGINE_RUN_INTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/loop.h"
#include "base/virtual_time.h"
#include "engine/journal.h"
#include "engine/load.h"
#include "engine/observer.h"
#include "engine/progress.h"
#include "engine/recorder.h"
#include "engine/run.h"
#include "engine/run_file.h"
#include "engine/timeline.h"

/* Holds what teardown must give back, so that every way out is the same way. */
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

static inline bool run_is_virtual(const struct run *run) {
  return run->virtual.loop != NULL;
}

/* --- run_wait.c; what waits or enters a phase makes these checks --- */

/* STATUS_INTERRUPTED after a signal. */
int run_check_interrupt(const struct run *run, struct error *err);
/* A simulation that lost something says nothing about a cluster. */
int run_check_hosts(const struct run *run, struct error *err);
/* A record that something is missing from is no result, however long the run goes on. */
int run_check_record(const struct run *run, struct error *err);
void run_emit_text(struct run *run, enum event_kind kind, uint16_t host, int64_t number,
                   const char *text);
/* Tells the record and the user; `phase` is static. */
int run_enter_phase(struct run *run, const char *phase, struct error *err);
/* Begins to tell of progress; before any wait. */
int run_start_timers(struct run *run, struct error *err);
/* Runs the loop until clock time `deadline_ns`, or until `*until` (NULL: none) becomes true. */
int run_loop_until(struct run *run, uint64_t deadline_ns, const bool *until, struct error *err);
/* Calls `call`, which may block, on the monitor's network: in real time in a thread of its own. */
int run_on_monitor(struct run *run, int (*call)(struct run *, struct error *), struct error *err);

/* --- run_up.c: before the measured time --- */

int run_bring_up(struct run *run, struct error *err);
int run_start_load(struct run *run, struct error *err);

/* --- run_read_back.c: after it --- */

/* Drains, heals, waits for convergence and reads the final state. */
int run_read_back(struct run *run, struct error *err);

#endif
