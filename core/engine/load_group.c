/* The roster, and the clients of one loop from their making to their end. */
#include "engine/load_group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/load_steps.h"

/* How often the latest lateness of the schedule's timers becomes a sample. */
#define DELAY_PERIOD_NS NS_PER_S

/* --- roster ---------------------------------------------------------------------------------- */

static int add_classes(struct load_roster *roster, struct workload_env *env, struct error *err) {
  uint32_t count = 0;
  size_t room = (size_t)roster->class_count + CLIENT_CLASSES_MAX;
  struct client_class *classes = realloc(roster->classes, room * sizeof *classes);
  if (!classes) return error_set(err, STATUS_MEMORY, "out of memory for client classes");
  roster->classes = classes;
  struct client_class *mine = &classes[roster->class_count];
  memset(mine, 0, CLIENT_CLASSES_MAX * sizeof *mine);
  int status = env->workload->classes(env, mine, CLIENT_CLASSES_MAX, &count, err);
  if (status < 0) return error_wrap(err, "workload %s", env->workload->plugin.name);
  for (uint32_t i = 0; i < count; i++) {
    if (mine[i].count > CLIENTS_MAX - roster->client_count) {
      return error_set(err, STATUS_USAGE, "more than %u clients in one run", CLIENTS_MAX);
    }
    roster->client_count += mine[i].count;
  }
  roster->class_count += count;
  const struct client_options *options = env->workload->options(env->config);
  if (options->operation_timeout_ns > roster->operation_timeout_ns) {
    roster->operation_timeout_ns = options->operation_timeout_ns;
  }
  return 0;
}

/* After the last realloc(), when the classes stay where they are. */
static int add_clients(struct load_roster *roster, struct workload_env *envs,
                       const uint32_t *class_ends, struct error *err) {
  roster->clients = calloc((size_t)roster->client_count + 1, sizeof *roster->clients);
  if (!roster->clients) return error_set(err, STATUS_MEMORY, "out of memory for clients");
  uint32_t index = 0, env = 0;
  for (uint32_t i = 0; i < roster->class_count; i++) {
    while (i == class_ends[env]) env++;
    for (uint32_t j = 0; j < roster->classes[i].count; j++) {
      roster->clients[index++] =
          (struct load_place){.env = &envs[env], .class = &roster->classes[i]};
    }
  }
  assert(index == roster->client_count);
  return 0;
}

int load_roster_init(struct load_roster *roster, struct workload_env *envs, uint32_t env_count,
                     struct error *err) {
  *roster = (struct load_roster){.class_count = 0};
  uint32_t *class_ends = calloc((size_t)env_count + 1, sizeof *class_ends);
  if (!class_ends) return error_set(err, STATUS_MEMORY, "out of memory for clients");
  int status = 0;
  for (uint32_t i = 0; status == 0 && i < env_count; i++) {
    status = add_classes(roster, &envs[i], err);
    class_ends[i] = roster->class_count;
  }
  if (status == 0) status = add_clients(roster, envs, class_ends, err);
  free(class_ends);
  if (status < 0) load_roster_release(roster);
  return status;
}

void load_roster_release(struct load_roster *roster) {
  free(roster->classes);
  free(roster->clients);
  *roster = (struct load_roster){.class_count = 0};
}

/* --- group ----------------------------------------------------------------------------------- */

static void check_totals(const struct load_group *group) {
  const struct load_counters *counters = &group->counters;
  uint64_t done = counters->ok + counters->fail + counters->unknown + counters->skipped;
  assert(counters->scheduled == done + counters->outstanding);
}

/* Closes what is left. Every operation has its outcome afterwards. */
static void finish_stop(struct load_group *group) {
  if (group->stopped_told) return;
  group->stopped_told = true;
  struct loop *loop = group->spec.loop;
  loop_timer_cancel(loop, &group->end_timer);
  loop_timer_cancel(loop, &group->stop_timer);
  loop_timer_cancel(loop, &group->delay_timer);
  for (uint32_t i = 0; i < group->client_count; i++) load_client_abandon(&group->clients[i]);
  check_totals(group);
  assert(group->counters.outstanding == 0);
  group->spec.stopped(group->spec.data);
}

static void progressed(struct load_context *context) {
  struct load_group *group =
      (struct load_group *)(void *)((char *)context - offsetof(struct load_group, context));
  if (!group->ready_told && group->counters.ready_once == group->client_count) {
    group->ready_told = true;
    group->spec.ready(group->spec.data);
  }
  if (!group->drained_told && context->bounded_ended && context->bounded_outstanding == 0) {
    group->drained_told = true;
    group->spec.drained(group->spec.data);
  }
}

static void arm(struct load_group *group, struct timer *timer, uint64_t deadline_ns) {
  int status = loop_timer_arm(group->spec.loop, timer, deadline_ns, NULL);
  assert(status == 0); /* reserved by load_group_init() */
}

static void delay_fired(struct timer *timer, uint64_t now_ns) {
  struct load_group *group = timer->owner;
  struct sample sample = {.time_ns = now_ns - group->spec.start_ns,
                          .value = (double)group->context.late_ns_max * 1e-9,
                          .metric = METRIC_HARNESS_DELAY,
                          .host = HOST_NONE};
  group->context.late_ns_max = 0;
  group->spec.sink->sample(group->spec.sink, &sample);
  arm(group, timer, now_ns + DELAY_PERIOD_NS);
}

/* What was due before the end is scheduled first, so that the schedule does not depend on which
 * timer the loop fires first. */
static void end_fired(struct timer *timer, uint64_t now_ns) {
  struct load_group *group = timer->owner;
  for (uint32_t i = 0; i < group->client_count; i++) {
    struct load_client *client = &group->clients[i];
    if (!client->client.class->always_on) load_client_catch_up(client, now_ns);
  }
  group->context.bounded_ended = true;
  progressed(&group->context);
}

static void stop_fired(struct timer *timer, uint64_t now_ns) {
  struct load_group *group = timer->owner;
  (void)now_ns;
  finish_stop(group);
}

/* While it stops, looks at once and then often whether all is done: a stop is short. */
#define STOP_LOOK_NS (2 * NS_PER_MS)
static void stop_look(struct timer *timer, uint64_t now_ns) {
  struct load_group *group = timer->owner;
  if (group->counters.outstanding == 0) {
    finish_stop(group);
  } else {
    arm(group, timer, now_ns + STOP_LOOK_NS);
  }
}

static int init_clients(struct load_group *group, struct error *err) {
  const struct load_group_spec *spec = &group->spec;
  const struct load_roster *roster = spec->roster;
  for (uint32_t index = spec->first; index < roster->client_count; index += spec->step) {
    struct load_client *client = &group->clients[group->client_count++];
    const struct load_place *place = &roster->clients[index];
    int status = load_client_init(client, &group->context, place->env, place->class, index,
                                  index + 1, spec->seed, err);
    if (status < 0) return error_wrap(err, "client %u", (unsigned)index);
  }
  return 0;
}

int load_group_init(struct load_group *group, const struct load_group_spec *spec,
                    struct error *err) {
  memset(group, 0, sizeof *group);
  group->spec = *spec;
  group->context = (struct load_context){.loop = spec->loop,
                                         .start_ns = spec->start_ns,
                                         .sink = spec->sink,
                                         .client_hosts = spec->client_hosts,
                                         .client_host_count = spec->client_host_count,
                                         .record = spec->record,
                                         .record_data = spec->record_data,
                                         .identities = spec->identities,
                                         .counters = &group->counters,
                                         .progressed = progressed};
  group->end_timer = (struct timer){.fire = end_fired, .owner = group};
  group->stop_timer = (struct timer){.fire = stop_fired, .owner = group};
  group->delay_timer = (struct timer){.fire = delay_fired, .owner = group};
  uint32_t count = spec->roster->client_count / spec->step + 1;
  group->clients = calloc(count, sizeof *group->clients);
  if (!group->clients) return error_set(err, STATUS_MEMORY, "out of memory for clients");
  int status = loop_reserve_timers(spec->loop, count * LOAD_CLIENT_TIMERS + 16, err);
  if (status == 0) status = resolver_new(spec->loop, &group->context.resolver, err);
  if (status == 0) status = init_clients(group, err);
  if (status < 0) load_group_release(group);
  return status;
}

void load_group_release(struct load_group *group) {
  /* Only after a failure of the loop is there anything left to abandon. */
  for (uint32_t i = 0; i < group->client_count; i++) load_client_abandon(&group->clients[i]);
  for (uint32_t i = 0; i < group->client_count; i++) load_client_release(&group->clients[i]);
  load_processes_free(&group->context);
  resolver_free(group->context.resolver);
  group->context.resolver = NULL;
  free(group->clients);
  group->clients = NULL;
  group->client_count = 0;
}

void load_group_connect(struct load_group *group) {
  arm(group, &group->delay_timer, loop_now_ns(group->spec.loop) + DELAY_PERIOD_NS);
  for (uint32_t i = 0; i < group->client_count; i++) load_client_connect(&group->clients[i]);
  progressed(&group->context); /* a group without clients is ready */
}

void load_group_begin(struct load_group *group, uint64_t begin_ns) {
  for (uint32_t i = 0; i < group->client_count; i++) {
    load_client_begin(&group->clients[i], begin_ns);
  }
}

void load_group_end(struct load_group *group, uint64_t end_ns) {
  for (uint32_t i = 0; i < group->client_count; i++) {
    struct load_client *client = &group->clients[i];
    if (!client->client.class->always_on) load_client_end(client, end_ns);
  }
  arm(group, &group->end_timer, end_ns);
}

void load_group_stop(struct load_group *group, uint64_t grace_ns) {
  if (group->stopping) return;
  group->stopping = true;
  uint64_t now_ns = loop_now_ns(group->spec.loop);
  for (uint32_t i = 0; i < group->client_count; i++) load_client_end(&group->clients[i], now_ns);
  arm(group, &group->stop_timer, now_ns + grace_ns);
  /* The end timer has nothing more to do. */
  group->end_timer.fire = stop_look;
  arm(group, &group->end_timer, now_ns);
}
