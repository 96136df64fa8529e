/* The phases after the measured time: the load drains, faults are healed, and once the cluster has
 * converged its final state is read back. */
#include <stdio.h>
#include <time.h>

#include "engine/run_internal.h"

#define CONVERGE_POLL_NS (100 * NS_PER_MS)

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
    status = run_loop_until(run, clock_now_ns(run->clock) + CONVERGE_POLL_NS, NULL, err);
  if (status == 0 && !all_redundant(run))
    run_emit_text(run, EVENT_WARNING, HOST_NONE, 0,
                  "full redundancy was not seen again within measure.converge_timeout");
  return status;
}

/* In real time this is not the loop's thread. */
static int pause_shortly(struct run *run, struct error *err) {
  if (run_is_virtual(run))
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
      if (run_check_interrupt(run, err) < 0) return STATUS_INTERRUPTED;
      status = run_check_record(run, err);
      if (status < 0) return status;
      if (clock_now_ns(run->clock) > deadline_ns) {
        char text[EVENT_TEXT_SIZE];
        snprintf(text, sizeof text, "not converged within measure.converge_timeout: %s", why);
        run_emit_text(run, EVENT_WARNING, HOST_NONE, 0, text);
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
  run_emit_text(run, EVENT_FINAL_READ, endpoint->host, reader.count, read < 0 ? why.message : "");
  return run_check_interrupt(run, err);
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

int run_read_back(struct run *run, struct error *err) {
  int status = run_enter_phase(run, "drain", err);
  if (status == 0) status = load_end(run->load, clock_now_ns(run->clock), err);
  if (status == 0) status = run_enter_phase(run, "heal", err);
  if (status == 0) status = timeline_heal_all(run->timeline, err);
  if (status == 0) status = await_redundancy(run, err);
  struct load_totals totals;
  load_totals(run->load, &totals);
  run->file.identity_count = totals.identities;
  if (status == 0) status = load_stop(run->load, err);
  if (status == 0) status = run_enter_phase(run, "converge", err);
  if (status == 0) status = run_on_monitor(run, converge, err);
  if (status == 0) status = run_enter_phase(run, "final-read", err);
  if (status == 0) status = run_on_monitor(run, final_read, err);
  if (status == 0) status = run_enter_phase(run, "end", err);
  return status;
}
