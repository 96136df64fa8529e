/* Finds two entries of the timeline that cannot both take effect: the same fault on the same target
 * at the same time, or a fault on a host that is switched off. What depends on when the cluster
 * recovers, or on whom a role means by then, cannot be known here and is let through. */
#include <string.h>

#include "base/clock.h"
#include "scenario/checks.h"
#include "scenario/param.h"

/* When an entry is certainly in effect. */
struct hold {
  uint64_t begin_ns, end_ns; /* TIME_NEVER: until the end */
  bool known;                /* begin_ns and end_ns are times of the run */
};

/* Whether the fault stays until it is healed. A signal is over when it is delivered: what was
 * killed may come back by itself. */
static bool is_lasting(const struct injector *injector) {
  return !(injector->flags & INJECTOR_PLANNED) &&
         (injector->needs & (CAN_HOST_POWER | CAN_FREEZE | CAN_LINKS)) != 0;
}

static struct hold hold_of(const struct timeline_entry *entry) {
  struct hold hold = {.known = !entry->after_recovery};
  hold.begin_ns = entry->at_ns + (entry->jitter_ns ? entry->jitter_ns - 1 : 0);
  hold.end_ns = hold.begin_ns;
  if (entry->for_ns)
    hold.end_ns = entry->at_ns + entry->for_ns; /* the earliest possible */
  else if (is_lasting(entry->injector))
    hold.end_ns = TIME_NEVER;
  return hold;
}

/* The same host for certain: named, or the same role at the same moment. */
static bool is_same_host(const struct timeline_entry *a, const struct timeline_entry *b) {
  if (!a->target || !b->target || !target_equal(a->target, b->target)) return false;
  if (a->target->kind == TARGET_HOST) return true;
  bool role = a->target->kind == TARGET_PRIMARY || a->target->kind == TARGET_REPLICA;
  return role && !a->after_recovery && !b->after_recovery && !a->jitter_ns && !b->jitter_ns &&
         a->at_ns == b->at_ns;
}

static const char *process_of(const struct timeline_entry *entry) {
  const char *name = NULL;
  if (entry->injector->process_offset != SIZE_MAX)
    memcpy(&name, (const char *)entry->config + entry->injector->process_offset, sizeof name);
  return name ? name : "";
}

/* Two different faults on one host may be what a scenario is about, unless one takes the host
 * away. */
static bool is_exclusive(const struct timeline_entry *a, const struct timeline_entry *b) {
  if ((a->injector->needs | b->injector->needs) & CAN_HOST_POWER) return true;
  return a->injector == b->injector && strcmp(process_of(a), process_of(b)) == 0;
}

/* Whether the later one certainly begins while the earlier one holds. */
static bool is_overlap(const struct timeline_entry *earlier, const struct timeline_entry *later,
                       bool listed_before) {
  struct hold hold = hold_of(earlier);
  if (later->after_recovery || !hold.known)
    return listed_before && hold.end_ns == TIME_NEVER; /* held until the end, whenever it began */
  uint64_t last_begin = later->at_ns + (later->jitter_ns ? later->jitter_ns - 1 : 0);
  bool after = later->at_ns > hold.begin_ns || (listed_before && later->at_ns == hold.begin_ns);
  return after && (last_begin < hold.end_ns || last_begin == hold.begin_ns);
}

/* True when the two contradict each other: noted at the later one. */
static bool check_pair(struct draft *draft, uint32_t first, uint32_t second) {
  const struct timeline_entry *a = &draft->scenario->timeline[first];
  const struct timeline_entry *b = &draft->scenario->timeline[second];
  if (!is_same_host(a, b) || !is_exclusive(a, b)) return false;
  bool forward = is_overlap(a, b, true);
  if (!forward && !is_overlap(b, a, false)) return false;
  uint32_t later = forward ? second : first;
  const struct timeline_entry *holder = forward ? a : b;
  struct place place = block_param_place(
      &draft->entries[later], draft->scenario->timeline[later].injector->plugin.params,
      PARAM_TARGET, draft->scenario->timeline[later].injector->target_offset);
  mistakes_add(&draft->mistakes, &place,
               "target: '%s' holds the same host at that time; expected %s", holder->name,
               holder->for_ns ? "a later 'at' or a shorter 'for' there"
                              : "a 'for' there, or another host or time");
  return true;
}

/* What is not known of an entry is a mistake of its own, and none of the others. */
static bool is_known(const struct block *entry) {
  return entry->clean && entry->timed;
}

void checks_overlaps(struct draft *draft) {
  const struct scenario *scenario = draft->scenario;
  for (uint32_t later = 1; later < scenario->timeline_count; later++) {
    if (!is_known(&draft->entries[later])) continue;
    for (uint32_t i = 0; i < later; i++) /* one contradiction an entry is enough to read */
      if (is_known(&draft->entries[i]) && check_pair(draft, i, later)) break;
  }
}
