/* How the phases of a run wait and are interrupted, and what a run tells meanwhile. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "engine/run_internal.h"

int run_check_interrupt(const struct run *run, struct error *err) {
  int number = atomic_load(&run->spec->interrupt->signal);
  if (number == 0) return 0;
  return error_set(err, STATUS_INTERRUPTED, "interrupted by SIG%s", sigabbrev_np(number));
}

int run_check_hosts(const struct run *run, struct error *err) {
  if (!run->cluster || !run->cluster->provider->trustworthy) return 0;
  return run->cluster->provider->trustworthy(run->cluster, err);
}

int run_check_record(const struct run *run, struct error *err) {
  return run->recorder ? recorder_failure(run->recorder, err) : 0;
}

static int check_going(const struct run *run, struct error *err) {
  int status = run_check_interrupt(run, err);
  if (status == 0) status = run_check_hosts(run, err);
  return status == 0 ? run_check_record(run, err) : status;
}

void run_emit_text(struct run *run, enum event_kind kind, uint16_t host, int64_t number,
                   const char *text) {
  struct event event = {.kind = kind, .fault = FAULT_NONE, .host = host, .number = number};
  snprintf(event.text, sizeof event.text, "%.*s", (int)sizeof event.text - 1, text);
  run->sink->event(run->sink, &event);
}

int run_enter_phase(struct run *run, const char *phase, struct error *err) {
  run_emit_text(run, EVENT_RUN, HOST_NONE, 0, phase);
  progress_phase(&run->progress, phase, clock_now_ns(run->clock));
  return check_going(run, err);
}

static void fire_tick(struct timer *timer, uint64_t now_ns) {
  struct run *run = timer->owner;
  char detail[128] = "";
  if (run_is_virtual(run)) recorder_flush(run->recorder); /* no thread does it */
  if (run->timeline) timeline_describe(run->timeline, detail, sizeof detail);
  run->progress.service_count = run->started;
  progress_tick(&run->progress, now_ns, run->started > 0 ? &run->services[0] : NULL, detail);
  (void)loop_timer_arm(run->loop, timer, now_ns + PROGRESS_PERIOD_NS, NULL);
  if (run_check_record(run, NULL) < 0) loop_stop(run->loop); /* whoever waits finds out why */
}

static void fire_wait(struct timer *timer, uint64_t now_ns) {
  struct run *run = timer->owner;
  (void)now_ns;
  run->waited = true;
  loop_stop(run->loop);
}

int run_start_timers(struct run *run, struct error *err) {
  run->tick = (struct timer){.fire = fire_tick, .owner = run};
  run->wait = (struct timer){.fire = fire_wait, .owner = run};
  return loop_timer_arm(run->loop, &run->tick, run->start_ns + PROGRESS_PERIOD_NS, err);
}

int run_loop_until(struct run *run, uint64_t deadline_ns, const bool *until, struct error *err) {
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

int run_on_monitor(struct run *run, int (*call)(struct run *, struct error *), struct error *err) {
  if (run_is_virtual(run)) return call(run, err);
  struct errand errand = {.run = run, .call = call};
  pthread_t thread;
  int errnum = pthread_create(&thread, NULL, errand_main, &errand);
  if (errnum) return error_set_errno(err, errnum, "cannot start a thread");
  pthread_join(thread, NULL);
  if (errand.status < 0 && err) *err = errand.error;
  return errand.status;
}
