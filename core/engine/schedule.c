/* Schedules: when they are allowed, how they compare, and their form as a timeline. */
#include "engine/schedule.h"

#include <string.h>

#include "base/bits.h"
#include "base/clock.h"
#include "scenario/param.h"

static const struct schedule_kind *kind_of(const struct schedule_rules *rules,
                                           const struct schedule_fault *fault) {
  return &rules->kinds[fault->kind];
}

static bool is_step(const struct schedule_kind *kind) {
  return (kind->injector->flags & INJECTOR_PLANNED) != 0;
}

/* --- what is allowed ------------------------------------------------------------------------- */

/* Until when its host counts as down. */
static uint64_t end_of(const struct schedule_rules *rules, const struct schedule_fault *fault) {
  return fault->at_ns + fault->for_ns + rules->bounds.rest_ns;
}

static bool is_same_host(const struct schedule_fault *a, const struct schedule_fault *b) {
  return a->target == TARGET_HOST && b->target == TARGET_HOST && a->index == b->index;
}

/* Of two faults of one service that hold at the same time: whether one leaves nothing for the
 * other. A step needs the cluster for itself, a fault of a whole host the host; a process can have
 * a fault of one kind only. */
static bool contradict(const struct schedule_rules *rules, const struct schedule_fault *a,
                       const struct schedule_fault *b) {
  const struct schedule_kind *x = kind_of(rules, a), *y = kind_of(rules, b);
  if (is_step(x) || is_step(y)) return true;
  /* The same role at the same moment is the same host too. */
  bool same_role = a->at_ns == b->at_ns && a->target == b->target && a->index == b->index;
  if (!is_same_host(a, b) && !same_role) return false;
  if (!x->process || !y->process) return true;
  return strcmp(x->process, y->process) == 0;
}

/* How many hosts of one service are down when `fault` begins, itself included. */
static uint32_t count_down(const struct schedule_rules *rules, const struct schedule *schedule,
                           uint32_t index, uint32_t service) {
  uint64_t now_ns = schedule->faults[index].at_ns;
  struct bits hosts = {{0}};
  uint32_t down = 0;
  for (uint32_t i = 0; i < schedule->count; i++) {
    const struct schedule_fault *other = &schedule->faults[i];
    if (kind_of(rules, other)->service != service) continue;
    if (other->at_ns > now_ns || (i != index && end_of(rules, other) <= now_ns)) continue;
    if (other->target == TARGET_HOST && bits_has(&hosts, other->index)) continue;
    if (other->target == TARGET_HOST) bits_add(&hosts, other->index);
    down++;
  }
  return down;
}

bool schedule_is_allowed(const struct schedule_rules *rules, const struct schedule *schedule) {
  for (uint32_t i = 0; i < schedule->count; i++) {
    const struct schedule_fault *fault = &schedule->faults[i];
    uint32_t service = kind_of(rules, fault)->service;
    if (kind_of(rules, fault)->primary_only && fault->target != TARGET_PRIMARY) return false;
    if (i > 0 && fault->at_ns < schedule->faults[i - 1].at_ns) return false;
    for (uint32_t j = 0; j < i; j++) {
      const struct schedule_fault *earlier = &schedule->faults[j];
      if (kind_of(rules, earlier)->service != service) continue;
      if (end_of(rules, earlier) <= fault->at_ns && earlier->at_ns < fault->at_ns) continue;
      if (contradict(rules, earlier, fault)) return false;
    }
    if (count_down(rules, schedule, i, service) > rules->services[service].down_max) return false;
  }
  return true;
}

bool schedule_is_equal(const struct schedule *a, const struct schedule *b) {
  if (a->count != b->count) return false;
  for (uint32_t i = 0; i < a->count; i++) {
    const struct schedule_fault *x = &a->faults[i], *y = &b->faults[i];
    if (x->at_ns != y->at_ns || x->for_ns != y->for_ns || x->kind != y->kind ||
        x->target != y->target || x->index != y->index)
      return false;
  }
  return true;
}

/* --- as a timeline --------------------------------------------------------------------------- */

static struct target target_of(const struct schedule_rules *rules,
                               const struct schedule_fault *fault) {
  const struct schedule_service *service = &rules->services[kind_of(rules, fault)->service];
  struct target target = {.kind = fault->target};
  if (fault->target == TARGET_HOST)
    target.host = service->hosts[fault->index];
  else
    target.service = service->name;
  if (fault->target == TARGET_REPLICA || fault->target == TARGET_PRIMARY)
    target.index = fault->index;
  return target;
}

/* What no rule chooses has its default. */
static int make_config(const struct schedule_rules *rules, const struct schedule_fault *fault,
                       struct arena *arena, void **ret_config, struct error *err) {
  const struct schedule_kind *kind = kind_of(rules, fault);
  const struct injector *injector = kind->injector;
  char *config = arena_alloc(arena, injector->plugin.config_size);
  if (!config) return error_set(err, STATUS_MEMORY, "out of memory for a timeline");
  const struct param *row;
  for (uint32_t i = 0; (row = param_at(injector->plugin.params, i)); i++) {
    int status = param_set_default(row, arena, config, err);
    if (status < 0) return status;
  }
  struct target target = target_of(rules, fault);
  memcpy(config + injector->target_offset, &target, sizeof target);
  if (injector->process_offset != SIZE_MAX)
    memcpy(config + injector->process_offset, &kind->process, sizeof kind->process);
  *ret_config = config;
  return 0;
}

static int make_entry(const struct schedule_rules *rules, const struct schedule_fault *fault,
                      uint32_t index, struct arena *arena, struct timeline_entry *ret,
                      struct error *err) {
  const struct injector *injector = kind_of(rules, fault)->injector;
  struct timeline_entry entry = {
      .injector = injector, .at_ns = fault->at_ns, .for_ns = fault->for_ns};
  entry.name = arena_printf(arena, "%s-%u", injector->plugin.name, index + 1);
  if (!entry.name) return error_set(err, STATUS_MEMORY, "out of memory for a timeline");
  int status = make_config(rules, fault, arena, &entry.config, err);
  if (status < 0) return status;
  entry.target =
      (const struct target *)(const void *)((const char *)entry.config + injector->target_offset);
  *ret = entry;
  return 0;
}

int schedule_apply(const struct schedule_rules *rules, const struct schedule *schedule,
                   uint64_t seed, const struct scenario *base, struct arena *arena,
                   struct scenario *ret, struct error *err) {
  struct timeline_entry *entries = arena_calloc(arena, schedule->count + 1u, sizeof *entries);
  if (!entries) return error_set(err, STATUS_MEMORY, "out of memory for a timeline");
  for (uint32_t i = 0; i < schedule->count; i++) {
    int status = make_entry(rules, &schedule->faults[i], i, arena, &entries[i], err);
    if (status < 0) return status;
  }
  struct scenario copy = *base;
  copy.timeline = entries;
  copy.timeline_count = schedule->count;
  copy.explore = (struct scenario_explore){.given = false};
  copy.seed = seed;
  copy.seed_given = true;
  copy.repeat = 1;
  *ret = copy;
  return 0;
}

void schedule_print_fault(const struct schedule_rules *rules, const struct schedule_fault *fault,
                          struct buf *text) {
  char value[48];
  struct target target = target_of(rules, fault);
  buf_printf(text, "%s ", kind_of(rules, fault)->name);
  target_print(&target, text);
  value_print((int64_t)fault->at_ns, (double)fault->at_ns, UNIT_DURATION, value);
  buf_printf(text, " at %s", value);
  if (fault->for_ns == 0) return;
  value_print((int64_t)fault->for_ns, (double)fault->for_ns, UNIT_DURATION, value);
  buf_printf(text, " for %s", value);
}
