/* One state machine an entry of the timeline, driven by one timer each. */
#include "engine/timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "engine/fault_host.h"

#define CONFIRM_TIMEOUT_NS (10 * NS_PER_S)
#define HEAL_TIMEOUT_NS (30 * NS_PER_S)
#define CONFIRM_POLL_NS (1 * NS_PER_MS)
/* So long a fault waits for an earlier one on the same host to be seen in effect. */
#define SEEN_FIRST_NS (100 * NS_PER_MS)
#define TARGET_POLL_NS (20 * NS_PER_MS)
#define RECOVERY_POLL_NS (100 * NS_PER_MS)
/* Before this much time has passed since a fault, the observer may not have noticed it, and what it
 * says of the cluster is of before. */
#define RECOVERY_LEAST_NS (2 * NS_PER_S)

enum entry_state {
  ENTRY_WAITING, /* for the entry before it to recover */
  ENTRY_PLANNED,
  ENTRY_CONFIRMING,
  ENTRY_ACTIVE,
  ENTRY_HEAL_CONFIRMING,
  ENTRY_RECOVERING,
  ENTRY_DONE,
};

struct entry {
  struct timeline *timeline;
  const struct timeline_entry *plan;
  struct timer timer;
  enum entry_state state;
  uint64_t planned_ns, decided_ns, confirmed_ns, healed_ns, recovering_ns; /* clock times */
  bool open;    /* injected, perhaps in half, and not healed */
  bool settled; /* by timeline_heal_all(): not to be tried again */
  struct injection injection;
};

struct timeline {
  struct timeline_spec spec;
  const struct clock *clock;
  struct entry *entries;
  uint32_t count;
  bool stopped, reported;
};

static void entry_fire(struct timer *timer, uint64_t now_ns);

static int32_t entry_index(const struct entry *entry) {
  return (int32_t)(entry - entry->timeline->entries);
}

static void emit(const struct entry *entry, enum event_kind kind, int64_t number,
                 const char *text) {
  const struct timeline *t = entry->timeline;
  struct event event = {.time_ns = clock_now_ns(t->clock) - t->spec.start_ns,
                        .kind = kind,
                        .fault = entry_index(entry),
                        .host = entry->injection.host ? entry->injection.host->index : HOST_NONE,
                        .number = number};
  snprintf(event.text, sizeof event.text, "%s", text);
  t->spec.sink->event(t->spec.sink, &event);
}

static void emit_error(const struct entry *entry, enum event_kind kind, const struct error *err) {
  char text[EVENT_TEXT_SIZE];
  error_format(err, text, sizeof text);
  emit(entry, kind, 0, text);
}

static void emit_planned(const struct entry *entry) {
  emit(entry, EVENT_FAULT_PLANNED, (int64_t)(entry->planned_ns - entry->timeline->spec.start_ns),
       entry->injection.injector->plugin.name);
}

/* Reports the end once; nothing is planned any more after a failure. */
static void report(struct timeline *t, int status, const struct error *err) {
  if (t->reported || t->stopped) return;
  t->reported = true;
  t->spec.done(t->spec.data, status, err);
}

static void arm(struct entry *entry, uint64_t deadline_ns) {
  struct error err = ERROR_INIT;
  struct timeline *t = entry->timeline;
  int status = loop_timer_arm(t->spec.loop, &entry->timer, deadline_ns, &err);
  if (status < 0) report(t, status, &err);
}

/* --- whom ------------------------------------------------------------------------------------ */

/* A name that nobody knows is an error: without a process the whole host would be hit. */
static int resolve_process(struct entry *entry, struct error *err) {
  struct injection *in = &entry->injection;
  size_t offset = in->injector->process_offset;
  if (offset == SIZE_MAX) return 0;
  const char *name = *(const char *const *)((const char *)in->config + offset);
  if (!name) return 0;
  if (in->service)
    in->process = service_process_find(in->service->service, in->service->config, name);
  if (in->process) return 0;
  return error_set(err, STATUS_USAGE, "%s: no process '%s' is known on host %s", entry->plan->name,
                   name, in->host ? in->host->name : "-");
}

/* --- states ---------------------------------------------------------------------------------- */

static void enter_recovering(struct entry *entry) {
  entry->state = ENTRY_RECOVERING;
  entry->recovering_ns = clock_now_ns(entry->timeline->clock);
  arm(entry, entry->recovering_ns + RECOVERY_LEAST_NS);
}

/* Undoes the fault, whatever becomes of the journal: a disk that is full must not keep a fault in
 * effect. The journal's failure is returned when the heal went well. */
static int heal(struct entry *entry, struct error *err) {
  struct timeline *t = entry->timeline;
  struct error unwritten = ERROR_INIT;
  int written = journal_write(t->spec.journal, &entry->injection, JOURNAL_HEALING, &unwritten);
  int status = entry->injection.injector->heal(&entry->injection, err);
  entry->healed_ns = clock_now_ns(t->clock);
  if (status < 0) return status;
  entry->open = false;
  emit(entry, EVENT_FAULT_HEALED, 0, "");
  if (written == 0)
    written = journal_write(t->spec.journal, &entry->injection, JOURNAL_HEALED, &unwritten);
  if (written < 0 && err) *err = unwritten;
  return written;
}

static void heal_on_time(struct entry *entry) {
  struct error err = ERROR_INIT;
  int status = heal(entry, &err);
  entry->state = entry->open ? ENTRY_DONE : ENTRY_HEAL_CONFIRMING;
  if (entry->open) emit_error(entry, EVENT_FAULT_HEAL_FAILED, &err);
  if (status < 0)
    report(entry->timeline, status, &err);
  else
    arm(entry, entry->healed_ns);
}

static void confirm_heal(struct entry *entry, uint64_t now_ns) {
  struct error err = ERROR_INIT;
  bool active = true;
  int status = entry->injection.injector->confirm(&entry->injection, &active, &err);
  if (status == 0 && !active) {
    emit(entry, EVENT_FAULT_HEAL_CONFIRMED, 0, "");
    enter_recovering(entry);
  } else if (now_ns - entry->healed_ns > HEAL_TIMEOUT_NS) {
    if (status == 0) (void)error_set(&err, STATUS_TIMEOUT, "still in effect 30 s after the heal");
    emit_error(entry, EVENT_FAULT_HEAL_FAILED, &err);
    enter_recovering(entry);
  } else {
    arm(entry, now_ns + 10 * CONFIRM_POLL_NS);
  }
}

static void take_effect(struct entry *entry, uint64_t now_ns) {
  entry->confirmed_ns = now_ns;
  bool moment = entry->injection.injector->flags & INJECTOR_MOMENT;
  if (entry->plan->for_ns == 0 && !moment) {
    enter_recovering(entry);
    return;
  }
  entry->state = ENTRY_ACTIVE;
  arm(entry, now_ns + entry->plan->for_ns);
}

static void confirm(struct entry *entry) {
  struct error err = ERROR_INIT;
  bool active = false;
  int status = entry->injection.injector->confirm(&entry->injection, &active, &err);
  uint64_t now_ns = clock_now_ns(entry->timeline->clock);
  if (status == 0 && active) {
    emit(entry, EVENT_FAULT_CONFIRMED, (int64_t)(now_ns - entry->decided_ns), "");
    take_effect(entry, now_ns);
  } else if (now_ns - entry->decided_ns > CONFIRM_TIMEOUT_NS) {
    if (status == 0) (void)error_set(&err, STATUS_TIMEOUT, "no effect seen within 10 s");
    emit_error(entry, EVENT_FAULT_UNCONFIRMED, &err);
    take_effect(entry, now_ns);
  } else {
    arm(entry, now_ns + CONFIRM_POLL_NS);
  }
}

/* Whether what `later` does may look like the effect of `earlier`. A step may touch any member: a
 * switchover stops the server of one host and is named after another. */
static bool may_be_taken_for(const struct entry *later, const struct entry *earlier) {
  const struct injection *a = &earlier->injection, *b = &later->injection;
  if (b->injector->flags & INJECTOR_PLANNED) return !a->service || a->service == b->service;
  return a->host == b->host;
}

/* Whose effect is seen from now on? Faults that are still looked for have a moment to show (true:
 * try again soon); then they count as not seen. A request to shut down may be pending for long, and
 * who comes next and kills the process must not make it one that was followed. */
static bool wait_for_unseen(struct entry *entry, uint64_t now_ns) {
  struct timeline *t = entry->timeline;
  bool wait = false;
  for (uint32_t i = 0; i < t->count; i++) {
    struct entry *other = &t->entries[i];
    if (other->state != ENTRY_CONFIRMING || !may_be_taken_for(entry, other)) continue;
    if (now_ns - other->decided_ns < SEEN_FIRST_NS) {
      wait = true;
      continue;
    }
    confirm(other);
    if (other->state != ENTRY_CONFIRMING) continue;
    char text[EVENT_TEXT_SIZE];
    snprintf(text, sizeof text, "%.64s began meanwhile, and its effect cannot be told apart",
             entry->plan->name);
    emit(other, EVENT_FAULT_UNCONFIRMED, 0, text);
    take_effect(other, now_ns);
  }
  return wait;
}

/* The entry has come to nothing, and with it the run. What is half done is healed at the end. */
static void give_up(struct entry *entry, int status, const struct error *err) {
  struct timeline *t = entry->timeline;
  loop_timer_cancel(t->spec.loop, &entry->timer);
  emit_error(entry, EVENT_FAULT_UNCONFIRMED, err);
  entry->state = ENTRY_DONE;
  report(t, status, err);
}

/* A step is measured from when it was asked for, and is over when it returns. */
static void take_step(struct entry *entry) {
  struct error err = ERROR_INIT;
  emit(entry, EVENT_FAULT_INJECTED, 0, "");
  emit(entry, EVENT_FAULT_CONFIRMED, 0, "");
  int status = entry->injection.injector->inject(&entry->injection, &err);
  if (status < 0) {
    give_up(entry, status, &err);
    return;
  }
  emit(entry, EVENT_FAULT_HEALED, 0, "");
  emit(entry, EVENT_FAULT_HEAL_CONFIRMED, 0, "");
  enter_recovering(entry);
}

static void inject(struct entry *entry) {
  struct timeline *t = entry->timeline;
  struct injection *in = &entry->injection;
  struct error err = ERROR_INIT;
  entry->decided_ns = clock_now_ns(t->clock);
  int status = journal_write(t->spec.journal, in, JOURNAL_INJECTING, &err);
  if (status == 0) {
    emit(entry, EVENT_FAULT_JOURNALED, 0, "");
    entry->open = true;
    entry->decided_ns = clock_now_ns(t->clock);
    status = in->injector->inject(in, &err);
  }
  uint64_t now_ns = clock_now_ns(t->clock);
  if (status == 0) {
    emit(entry, EVENT_FAULT_INJECTED, (int64_t)(now_ns - entry->decided_ns), "");
    entry->state = ENTRY_CONFIRMING;
    confirm(entry);
    status = journal_write(t->spec.journal, in, JOURNAL_INJECTED, &err);
    if (status == 0) return;
  }
  (void)error_wrap(&err, "%s on %s", in->injector->plugin.name, in->host ? in->host->name : "-");
  give_up(entry, status, &err);
}

static void begin(struct entry *entry, uint64_t now_ns) {
  struct timeline *t = entry->timeline;
  struct injection *in = &entry->injection;
  const struct target *target = entry->plan->target;
  const struct fault_hosts all = {.cluster = t->spec.cluster,
                                  .services = t->spec.services,
                                  .service_count = t->spec.service_count};
  struct error err = ERROR_INIT;
  if (target) {
    in->host = fault_host(&all, target, t->spec.seed, (uint32_t)entry_index(entry));
    if (!in->host && now_ns - entry->planned_ns < t->spec.scenario->recovery_timeout_ns) {
      arm(entry, now_ns + TARGET_POLL_NS);
      return;
    }
    if (!in->host) {
      int status = error_set(&err, STATUS_TIMEOUT, "%s: nobody had the target's role in time",
                             entry->plan->name);
      give_up(entry, status, &err);
      return;
    }
    in->service = fault_service(&all, in->host);
  }
  if (wait_for_unseen(entry, now_ns)) {
    arm(entry, now_ns + CONFIRM_POLL_NS);
    return;
  }
  int status = resolve_process(entry, &err);
  if (status < 0)
    give_up(entry, status, &err);
  else if (in->injector->flags & INJECTOR_PLANNED)
    take_step(entry);
  else
    inject(entry);
}

/* In effect until it is healed on purpose; what a manager undoes is not. */
static bool lasts(const struct entry *entry) {
  const struct injection *in = &entry->injection;
  bool passes = (in->injector->flags & INJECTOR_PASSES) && in->process && !in->process->unit;
  return entry->open && !passes;
}

/* A fault that its victim's manager has undone is healed in the record when that is seen. */
static bool has_passed(const struct entry *entry) {
  bool active = true;
  if (!entry->open || lasts(entry) || entry->plan->for_ns > 0) return false;
  int status = entry->injection.injector->confirm(&entry->injection, &active, NULL);
  return status == 0 && !active;
}

/* Recovered: writes succeed again, and where nothing is broken any more, all replicas stream. */
static bool recovered(const struct entry *entry, uint64_t now_ns) {
  const struct timeline *t = entry->timeline;
  if (!t->spec.load_recovered(t->spec.data, now_ns - RECOVERY_LEAST_NS)) return false;
  bool broken = false;
  for (uint32_t i = 0; i < t->count; i++) broken = broken || lasts(&t->entries[i]);
  if (broken) return true;
  for (uint32_t i = 0; i < t->spec.service_count; i++) {
    struct service_view view;
    t->spec.services[i].service->view(&t->spec.services[i], &view);
    /* Of a service with shards `redundant` says that each has its primary. */
    bool led = view.shards > 0 || view.primary != HOST_NONE;
    if (!led || !view.redundant) return false;
  }
  return true;
}

static void finish(struct entry *entry, uint64_t now_ns) {
  struct timeline *t = entry->timeline;
  entry->state = ENTRY_DONE;
  struct entry *next = entry + 1 < t->entries + t->count ? entry + 1 : NULL;
  if (next && next->state == ENTRY_WAITING) {
    next->state = ENTRY_PLANNED;
    next->planned_ns += now_ns;
    emit_planned(next);
    arm(next, next->planned_ns);
  }
  for (uint32_t i = 0; i < t->count; i++)
    if (t->entries[i].state != ENTRY_DONE) return;
  report(t, 0, NULL);
}

static void watch_recovery(struct entry *entry, uint64_t now_ns) {
  if (has_passed(entry)) {
    heal_on_time(entry);
  } else if (recovered(entry, now_ns)) {
    finish(entry, now_ns);
  } else if (now_ns - entry->recovering_ns > entry->timeline->spec.scenario->recovery_timeout_ns) {
    emit(entry, EVENT_WARNING, 0, "the cluster did not recover within measure.recovery_timeout");
    finish(entry, now_ns);
  } else {
    arm(entry, now_ns + RECOVERY_POLL_NS);
  }
}

static void entry_fire(struct timer *timer, uint64_t now_ns) {
  struct entry *entry = timer->owner;
  if (entry->timeline->stopped || entry->timeline->reported) return;
  switch (entry->state) {
    case ENTRY_PLANNED: begin(entry, now_ns); break;
    case ENTRY_CONFIRMING: confirm(entry); break;
    case ENTRY_ACTIVE: heal_on_time(entry); break;
    case ENTRY_HEAL_CONFIRMING: confirm_heal(entry, now_ns); break;
    case ENTRY_RECOVERING: watch_recovery(entry, now_ns); break;
    case ENTRY_WAITING:
    case ENTRY_DONE: break;
  }
}

/* --- the whole ------------------------------------------------------------------------------- */

int timeline_new(const struct timeline_spec *spec, struct timeline **ret_timeline,
                 struct error *err) {
  struct timeline *t = calloc(1, sizeof *t);
  uint32_t count = spec->scenario->timeline_count;
  struct entry *entries = calloc(count ? count : 1, sizeof *entries);
  if (!t || !entries) {
    free(t);
    free(entries);
    return error_set(err, STATUS_MEMORY, "out of memory for the timeline");
  }
  *t = (struct timeline){
      .spec = *spec, .clock = loop_clock(spec->loop), .entries = entries, .count = count};
  int status = 0;
  for (uint32_t i = 0; i < count && status == 0; i++) {
    struct entry *entry = &entries[i];
    const struct timeline_entry *plan = &spec->scenario->timeline[i];
    *entry = (struct entry){.timeline = t,
                            .plan = plan,
                            .timer = {.fire = entry_fire, .owner = entry},
                            .state = ENTRY_WAITING,
                            .injection = {.injector = plan->injector,
                                          .config = plan->config,
                                          .fault = (int32_t)i,
                                          .cluster = spec->cluster}};
    size_t size = plan->injector->plugin.state_size;
    entry->injection.state = calloc(1, size ? size : 1);
    if (!entry->injection.state) status = error_set(err, STATUS_MEMORY, "out of memory");
  }
  if (status < 0) {
    timeline_free(t);
    return status;
  }
  *ret_timeline = t;
  return 0;
}

void timeline_free(struct timeline *timeline) {
  if (!timeline) return;
  for (uint32_t i = 0; i < timeline->count; i++) {
    loop_timer_cancel(timeline->spec.loop, &timeline->entries[i].timer);
    free(timeline->entries[i].injection.state);
  }
  free(timeline->entries);
  free(timeline);
}

int timeline_begin(struct timeline *timeline, uint64_t begin_ns, struct error *err) {
  for (uint32_t i = 0; i < timeline->count; i++) {
    struct entry *entry = &timeline->entries[i];
    char stream[32];
    struct prng prng;
    snprintf(stream, sizeof stream, "timeline/%u", i);
    prng_init(&prng, timeline->spec.seed, stream);
    uint64_t jitter = entry->plan->jitter_ns;
    uint64_t offset = entry->plan->at_ns + (jitter ? prng_below(&prng, jitter) : 0);
    entry->planned_ns = offset;
    if (entry->plan->after_recovery) continue; /* planned when the one before is through */
    entry->planned_ns += begin_ns;
    entry->state = ENTRY_PLANNED;
    emit_planned(entry);
    int status = loop_timer_arm(timeline->spec.loop, &entry->timer, entry->planned_ns, err);
    if (status < 0) return status;
  }
  if (timeline->count == 0) report(timeline, 0, NULL);
  return 0;
}

/* Waits, turning the loop, until the healed fault is seen to be gone. */
static int await_heal(struct entry *entry, struct error *err) {
  struct timeline *t = entry->timeline;
  for (;;) {
    bool active = true;
    int status = entry->injection.injector->confirm(&entry->injection, &active, err);
    uint64_t now_ns = clock_now_ns(t->clock);
    if (status == 0 && !active) {
      emit(entry, EVENT_FAULT_HEAL_CONFIRMED, 0, "");
      return 0;
    }
    if (now_ns - entry->healed_ns > HEAL_TIMEOUT_NS)
      return status < 0 ? status
                        : error_set(err, STATUS_TIMEOUT, "%s still in effect 30 s after the heal",
                                    entry->plan->name);
    status = loop_turn(t->spec.loop, now_ns + 10 * CONFIRM_POLL_NS, err);
    if (status < 0) return status;
  }
}

/* The one not yet settled that was injected last: what came later may stand on what came before. */
static struct entry *last_unsettled(struct timeline *t) {
  struct entry *last = NULL;
  for (uint32_t i = 0; i < t->count; i++) {
    struct entry *entry = &t->entries[i];
    if (!entry->settled && (!last || entry->decided_ns >= last->decided_ns)) last = entry;
  }
  return last;
}

static int settle(struct entry *entry, struct error *err) {
  struct timeline *t = entry->timeline;
  bool awaited = entry->open || entry->state == ENTRY_HEAL_CONFIRMING;
  int status = 0;
  loop_timer_cancel(t->spec.loop, &entry->timer);
  entry->settled = true;
  entry->state = ENTRY_DONE;
  if (entry->open) status = heal(entry, err);
  if (awaited && !entry->open) {
    struct error late = ERROR_INIT;
    int seen = await_heal(entry, &late);
    if (seen < 0 && status == 0) {
      status = seen;
      if (err) *err = late;
    }
  }
  return status < 0 ? error_wrap(err, "%s could not be healed", entry->plan->name) : 0;
}

int timeline_heal_all(struct timeline *timeline, struct error *err) {
  timeline->stopped = true;
  int first = 0;
  for (struct entry *entry = last_unsettled(timeline); entry; entry = last_unsettled(timeline)) {
    struct error one = ERROR_INIT;
    int status = settle(entry, &one);
    if (status == 0) continue;
    emit_error(entry, EVENT_FAULT_HEAL_FAILED, &one);
    if (first == 0) {
      first = status;
      if (err) *err = one;
    }
  }
  return first;
}

void timeline_describe(const struct timeline *timeline, char *text, size_t size) {
  static const char *const words[] = {
      "", "planned", "being confirmed", "in effect", "healed", "recovery awaited", "over"};
  const struct entry *best = NULL;
  for (uint32_t i = 0; i < timeline->count; i++) {
    const struct entry *entry = &timeline->entries[i];
    if (entry->state == ENTRY_WAITING || entry->state == ENTRY_DONE) continue;
    if (!best || entry->state > best->state) best = entry;
  }
  if (!best)
    snprintf(text, size, "%s", "");
  else
    snprintf(text, size, "%s%s%s %s", best->injection.injector->plugin.name,
             best->injection.host ? " on " : "",
             best->injection.host ? best->injection.host->name : "", words[best->state]);
}
