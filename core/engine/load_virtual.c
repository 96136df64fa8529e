/* The load in virtual time: all clients in one group on the run's loop. Whoever waits turns it. */
#include <assert.h>
#include <stdlib.h>

#include "engine/load_group.h"
#include "engine/load_internal.h"

struct load_virtual {
  struct load base; /* first */
  struct load_spec spec;
  struct load_roster roster;
  struct load_group group;
  _Atomic uint32_t identities;
  bool ready, drained, stopped, made;
};

static struct load_virtual *virtual_of(struct load *base) {
  return (struct load_virtual *)(void *)base;
}

static void group_ready(void *data) {
  ((struct load_virtual *)data)->ready = true;
}
static void group_drained(void *data) {
  ((struct load_virtual *)data)->drained = true;
}
static void group_stopped(void *data) {
  ((struct load_virtual *)data)->stopped = true;
}

static void record(void *data, const struct operation *operation) {
  const struct load_virtual *load = data;
  (void)recorder_operation(load->spec.recorder, 0, operation);
}

/* Turns the loop until the flag is set or it is `deadline_ns`. */
static int turn_until(struct load_virtual *load, const bool *flag, uint64_t deadline_ns,
                      struct error *err) {
  int status = 0;
  while (status == 0 && !*flag && clock_now_ns(load->spec.clock) < deadline_ns)
    status = loop_turn(load->spec.loop, deadline_ns, err);
  return status;
}

static void virtual_free(struct load *base) {
  struct load_virtual *load = virtual_of(base);
  if (load->made) load_group_release(&load->group);
  load_roster_release(&load->roster);
  free(load);
}

static int connect_all(struct load_virtual *load, uint64_t deadline_ns, struct error *err) {
  int status = load_roster_init(&load->roster, load->spec.envs, load->spec.env_count, err);
  if (status < 0) return status;
  load->identities = load->roster.client_count;
  struct load_group_spec spec = {.roster = &load->roster,
                                 .step = 1,
                                 .loop = load->spec.loop,
                                 .client_hosts = load->spec.client_hosts,
                                 .client_host_count = load->spec.client_host_count,
                                 .start_ns = load->spec.start_ns,
                                 .seed = load->spec.seed,
                                 .sink = load->spec.sink,
                                 .record = record,
                                 .record_data = load,
                                 .identities = &load->identities,
                                 .ready = group_ready,
                                 .drained = group_drained,
                                 .stopped = group_stopped,
                                 .data = load};
  status = load_group_init(&load->group, &spec, err);
  if (status < 0) return status;
  load->made = true;
  load_group_connect(&load->group);
  status = turn_until(load, &load->ready, deadline_ns, err);
  if (status < 0 || load->ready) return status;
  const struct load_group *group = &load->group;
  return error_set(err, STATUS_TIMEOUT, "%llu of %u clients could not connect in time: %s",
                   (unsigned long long)(group->client_count - group->counters.ready_once),
                   (unsigned)group->client_count, group->context.why.message);
}

static int virtual_start(const struct load_spec *spec, uint64_t deadline_ns, struct load **ret_load,
                         struct error *err) {
  struct load_virtual *load = calloc(1, sizeof *load);
  if (!load) return error_set(err, STATUS_MEMORY, "out of memory for the load");
  load->base.kind = &load_in_virtual_time;
  load->spec = *spec;
  int status = connect_all(load, deadline_ns, err);
  if (status < 0) {
    virtual_free(&load->base);
    return status;
  }
  *ret_load = &load->base;
  return 0;
}

static void virtual_begin(struct load *base, uint64_t begin_ns) {
  load_group_begin(&virtual_of(base)->group, begin_ns);
}

static int virtual_end(struct load *base, uint64_t end_ns, struct error *err) {
  struct load_virtual *load = virtual_of(base);
  uint64_t now_ns = clock_now_ns(load->spec.clock);
  uint64_t deadline_ns = (end_ns > now_ns ? end_ns : now_ns) + LOAD_DRAIN_MARGIN_NS;
  deadline_ns += load->roster.operation_timeout_ns;
  load_group_end(&load->group, end_ns);
  int status = turn_until(load, &load->drained, deadline_ns, err);
  if (status < 0 || load->drained) return status;
  return error_set(err, STATUS_TIMEOUT, "operations were still under way %.0f s after the end",
                   (double)(deadline_ns - end_ns) * 1e-9);
}

static int virtual_stop(struct load *base, struct error *err) {
  struct load_virtual *load = virtual_of(base);
  uint64_t timeout_ns = load->roster.operation_timeout_ns;
  load_group_stop(&load->group, timeout_ns < LOAD_STOP_GRACE_NS ? timeout_ns : LOAD_STOP_GRACE_NS);
  /* The group's own timer ends it. */
  return turn_until(load, &load->stopped, TIME_NEVER, err);
}

static void virtual_totals(struct load *base, struct load_totals *ret) {
  const struct load_virtual *load = virtual_of(base);
  const struct load_counters *counters = &load->group.counters;
  *ret = (struct load_totals){.identities = load->identities,
                              .clients = load->roster.client_count,
                              .scheduled = counters->scheduled,
                              .ok = counters->ok,
                              .fail = counters->fail,
                              .unknown = counters->unknown,
                              .skipped = counters->skipped,
                              .ready = counters->ready};
}

const struct load_kind load_in_virtual_time = {
    .start = virtual_start,
    .begin = virtual_begin,
    .end = virtual_end,
    .stop = virtual_stop,
    .totals = virtual_totals,
    .free = virtual_free,
};
