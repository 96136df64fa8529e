/* The clocks of a failover, each from the fault confirmed in effect: detected, promoted, first
 * acknowledged write of a sustained recovery, full redundancy. */
#include <stdio.h>
#include <stdlib.h>

#include "checkers.h"
#include "faults.h"
#include "measures.h"
#include "recovery.h"
#include "sets.h"

/* Redundancy that does not last so long was a flicker. */
#define REDUNDANT_NS NS_PER_S

/* What the observer saw of the cluster's own mind. */
struct mark {
  uint64_t time_ns;
  enum event_kind kind;
  uint16_t host, set;
  uint8_t service; /* EVENT_REDUNDANT; SERVICE_NONE: not told */
  bool redundant;
  bool change; /* of who leads: a new leader, or a primary on another host or a higher timeline */
  int64_t number;
};
/* One set of hosts, whose primary may fail. */
struct primary_set {
  struct recovery_tracker recovery;
  uint64_t *changes; /* times of those marks that speak of its leader */
  uint32_t change_count;
};
struct failover {
  const struct record_info *info;
  struct primary_set *sets;
  uint32_t set_count;
  struct set_watch watch;
  struct mark *marks; /* sorted: events come in the order of time */
  uint32_t mark_count, mark_capacity;
};

/* One fault while its clocks are read. */
struct clocks {
  const struct failover *it;
  struct finding *finding;
  int32_t fault;
  uint16_t set;                    /* in whose primary it is measured */
  uint64_t begin_ns, confirmed_ns; /* journaled; in effect */
  uint64_t end_ns;                 /* events from here on belong to a later fault */
  struct recovery recovery;
};

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct failover *it = state;
  it->info = info;
  set_watch_init(&it->watch, info);
  it->sets = calloc(set_count_of(info), sizeof *it->sets);
  if (!it->sets) return error_set(err, STATUS_MEMORY, "out of memory for recoveries");
  int status = 0;
  for (uint32_t i = 0; i < set_count_of(info) && status == 0; i++, it->set_count++)
    status = recovery_init(&it->sets[i].recovery, info, (uint16_t)i, err);
  return status;
}

static int add_mark(struct failover *it, const struct event *event, struct error *err) {
  if (it->mark_count == it->mark_capacity) {
    uint32_t capacity = it->mark_capacity ? it->mark_capacity * 2 : 64;
    struct mark *larger = realloc(it->marks, capacity * sizeof *larger);
    if (!larger) return error_set(err, STATUS_MEMORY, "out of memory for events");
    it->marks = larger;
    it->mark_capacity = capacity;
  }
  bool told = event->number2 > 0 && event->number2 <= SERVICES_MAX;
  it->marks[it->mark_count++] =
      (struct mark){.time_ns = event->time_ns,
                    .kind = event->kind,
                    .host = event->host,
                    .set = set_watch_of(&it->watch, event),
                    .service = told ? (uint8_t)(event->number2 - 1) : SERVICE_NONE,
                    .redundant = event->number != 0,
                    .number = event->number};
  return 0;
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct failover *it = state;
  int status = 0;
  if (item->operation) {
    uint16_t set = operation_set(it->info, item->operation);
    if (set == SET_NONE) return 0; /* never sent: nobody knows to whom it would have gone */
    return recovery_operation(&it->sets[set].recovery, item->operation, err);
  }
  if (item->sample) {
    bool wanted = outage_wants(item->sample);
    for (uint32_t i = 0; wanted && i < it->set_count && status == 0; i++)
      status = recovery_sample(&it->sets[i].recovery, item->sample, err);
    return status;
  }
  set_watch_event(&it->watch, item->event);
  enum event_kind kind = item->event->kind;
  if (kind == EVENT_LEADER_LOST || kind == EVENT_LEADER || kind == EVENT_PROMOTED ||
      kind == EVENT_REDUNDANT)
    return add_mark(it, item->event, err);
  return 0;
}

/* Whether the mark is of this set, or of its service. */
static bool is_of(const struct failover *it, const struct mark *mark, uint16_t set) {
  if (mark->kind != EVENT_REDUNDANT) return mark->set == set;
  return it->set_count == 1 || mark->service == SERVICE_NONE ||
         mark->service == set_service(it->info, set);
}

/* A leader that is announced again is no change, and a primary that answers again after a silence,
 * on the timeline that it had, is none either. */
static int collect_changes(struct failover *it, uint16_t index, struct error *err) {
  struct primary_set *set = &it->sets[index];
  uint32_t count = 0;
  for (uint32_t i = 0; i < it->mark_count; i++)
    if (is_of(it, &it->marks[i], index)) count++;
  set->changes = calloc((size_t)count + 1, sizeof *set->changes);
  if (!set->changes) return error_set(err, STATUS_MEMORY, "out of memory for events");
  uint16_t leader = HOST_NONE, primary = HOST_NONE;
  int64_t timeline = 0;
  for (uint32_t i = 0; i < it->mark_count; i++) {
    struct mark *mark = &it->marks[i];
    if (mark->kind == EVENT_REDUNDANT || !is_of(it, mark, index)) continue;
    mark->change = mark->kind == EVENT_LEADER_LOST;
    if (mark->kind == EVENT_LEADER) {
      mark->change = mark->host != leader;
      leader = mark->host;
    } else if (mark->kind == EVENT_PROMOTED && mark->number >= timeline) {
      mark->change = mark->host != primary || mark->number > timeline;
      primary = mark->host;
      timeline = mark->number;
    }
    if (mark->change) set->changes[set->change_count++] = mark->time_ns;
  }
  return 0;
}

static int give(const struct clocks *clocks, const char *name, uint64_t time_ns,
                struct error *err) {
  double value = seconds_of(difference_ns(time_ns, clocks->confirmed_ns));
  return measure_known(clocks->finding, name, UNIT_DURATION, value, clocks->fault, err);
}

/* Without a change of leader there was no failover to time. */
static int give_no_change(const struct clocks *clocks, const char *name, const char *what,
                          struct error *err) {
  char why[160];
  snprintf(why, sizeof why, "%s was seen after this fault", what);
  if (clocks->recovery.kind != RECOVERY_NEVER)
    return measure_none(clocks->finding, name, UNIT_DURATION, clocks->fault, why, err);
  /* Writes never came back, so it should have happened and did not. */
  double value = seconds_of(difference_ns(clocks->it->info->load_end_ns, clocks->confirmed_ns));
  return measure_floor(clocks->finding, name, UNIT_DURATION, value, clocks->fault, why, err);
}

static int give_detection(const struct clocks *clocks, struct error *err) {
  const struct failover *it = clocks->it;
  uint16_t leader = HOST_NONE;
  for (uint32_t i = 0; i < it->mark_count; i++) {
    const struct mark *mark = &it->marks[i];
    if (mark->time_ns >= clocks->end_ns) break;
    if (!is_of(it, mark, clocks->set)) continue;
    bool lost = mark->kind == EVENT_LEADER_LOST ||
                (mark->kind == EVENT_LEADER && leader != HOST_NONE && mark->host != leader);
    if (mark->kind == EVENT_LEADER) leader = mark->host;
    if (lost && mark->time_ns >= clocks->begin_ns)
      return give(clocks, "detection_time", mark->time_ns, err);
  }
  return give_no_change(clocks, "detection_time", "no loss of the leader", err);
}

static int give_promotion(const struct clocks *clocks, struct error *err) {
  const struct failover *it = clocks->it;
  for (uint32_t i = 0; i < it->mark_count; i++) {
    const struct mark *mark = &it->marks[i];
    if (mark->time_ns >= clocks->end_ns) break;
    if (mark->kind != EVENT_PROMOTED || mark->time_ns < clocks->begin_ns) continue;
    if (!is_of(it, mark, clocks->set)) continue;
    /* The same host again: a restart in place, if writes were disturbed at all. */
    if (mark->change || clocks->recovery.kind != RECOVERY_NOT_NEEDED)
      return give(clocks, "promotion_time", mark->time_ns, err);
  }
  return give_no_change(clocks, "promotion_time", "no promotion", err);
}

/* Whether the redundancy that begins with mark `i` lasts. */
static bool redundancy_lasts(const struct failover *it, uint16_t set, uint32_t i) {
  for (uint32_t j = i + 1; j < it->mark_count; j++) {
    const struct mark *mark = &it->marks[j];
    if (mark->time_ns >= it->marks[i].time_ns + REDUNDANT_NS) break;
    if (mark->kind == EVENT_REDUNDANT && !mark->redundant && is_of(it, mark, set)) return false;
  }
  return true;
}

static int give_redundancy(const struct clocks *clocks, struct error *err) {
  const char *name = "time_to_full_redundancy";
  const struct failover *it = clocks->it;
  bool observed = false, lost = false;
  for (uint32_t i = 0; i < it->mark_count; i++) {
    const struct mark *mark = &it->marks[i];
    if (mark->kind != EVENT_REDUNDANT || !is_of(it, mark, clocks->set)) continue;
    if (mark->time_ns < clocks->begin_ns) {
      lost = !mark->redundant; /* by an earlier fault, and not back yet */
    } else if (!lost && !mark->redundant && mark->time_ns < clocks->end_ns) {
      lost = true;
    } else if (lost && mark->redundant && redundancy_lasts(it, clocks->set, i)) {
      return give(clocks, name, mark->time_ns, err);
    }
    observed = true;
  }
  if (!observed)
    return measure_none(clocks->finding, name, UNIT_DURATION, clocks->fault,
                        "the cluster's redundancy was not observed", err);
  if (!lost) return measure_known(clocks->finding, name, UNIT_DURATION, 0, clocks->fault, err);
  double value = seconds_of(difference_ns(it->info->end_ns, clocks->confirmed_ns));
  return measure_floor(clocks->finding, name, UNIT_DURATION, value, clocks->fault,
                       "the replicas did not all stream again before the run ended", err);
}

static int give_recovery(const struct clocks *clocks, const char *name, uint64_t at_ns,
                         struct error *err) {
  struct finding *finding = clocks->finding;
  double value = seconds_of(difference_ns(at_ns, clocks->confirmed_ns));
  switch (clocks->recovery.kind) {
    case RECOVERY_NOT_NEEDED:
      return measure_known(finding, name, UNIT_DURATION, 0, clocks->fault, err);
    case RECOVERY_DONE:
      return measure_known(finding, name, UNIT_DURATION, value, clocks->fault, err);
    case RECOVERY_CUT:
      return measure_floor(finding, name, UNIT_DURATION, value, clocks->fault,
                           "writes came back too shortly before the load ended to show that they "
                           "stayed",
                           err);
    case RECOVERY_NEVER:
      return measure_floor(finding, name, UNIT_DURATION, value, clocks->fault,
                           "writes did not come back before the load ended", err);
    case RECOVERY_THIN:
      return measure_unknown(finding, name, UNIT_DURATION, clocks->fault,
                             "too few writes were scheduled after the fault", err);
    case RECOVERY_STARVED: break;
  }
  return measure_unknown(finding, name, UNIT_DURATION, clocks->fault,
                         "the harness itself was starved during the outage", err);
}

static int give_recoveries(const struct clocks *clocks, struct error *err) {
  if (set_write_rate(clocks->it->info, clocks->set) > 0) {
    const struct recovery *recovery = &clocks->recovery;
    int status = give_recovery(clocks, "failover_time", recovery->at_ns, err);
    if (status < 0) return status;
    return give_recovery(clocks, "client_recovery_time", recovery->clients_ns, err);
  }
  const char *why = "no writes were scheduled on the primary in the measured time";
  int status =
      measure_none(clocks->finding, "failover_time", UNIT_DURATION, clocks->fault, why, err);
  if (status < 0) return status;
  return measure_none(clocks->finding, "client_recovery_time", UNIT_DURATION, clocks->fault, why,
                      err);
}

static int give_witness(const struct clocks *clocks, struct error *err) {
  const struct recovery *recovery = &clocks->recovery;
  if (recovery->kind == RECOVERY_NOT_NEEDED || recovery->kind == RECOVERY_THIN ||
      recovery->kind == RECOVERY_STARVED)
    return 0;
  char label[128], stopped[192], back[160], reached[96] = "", of[SET_LABEL_SIZE];
  fault_label(clocks->it->info, clocks->fault, label);
  set_label(clocks->it->info, clocks->set, of);
  snprintf(stopped, sizeof stopped, "writes%s failed in part", of);
  if (recovery->outage)
    snprintf(stopped, sizeof stopped, "none of the writes%s scheduled from %.6f s on succeeded", of,
             seconds_of(recovery->outage->begin_ns));
  snprintf(back, sizeof back, "writes did not come back before the load ended at %.6f s",
           seconds_of(recovery->at_ns));
  if (recovery->kind != RECOVERY_NEVER)
    snprintf(back, sizeof back,
             "the recovery began with the write%s scheduled at %.6f s and acknowledged at %.6f s",
             recovery->pinned ? " of a pinned client" : "", seconds_of(recovery->scheduled_ns),
             seconds_of(recovery->at_ns));
  if (recovery->pinned)
    snprintf(reached, sizeof reached, ", and reached the clients that follow the primary at %.6f s",
             seconds_of(recovery->clients_ns));
  return witness_add(clocks->finding, "failover", clocks->confirmed_ns, err,
                     "%s was in effect at %.6f s; %s; %s%s", label,
                     seconds_of(clocks->confirmed_ns), stopped, back, reached);
}

static const char *const measures[] = {"failover_time",           "client_recovery_time",
                                       "detection_time",          "promotion_time",
                                       "time_to_full_redundancy", NULL};

static int give_unconfirmed(struct finding *finding, int32_t fault, struct error *err) {
  int status = 0;
  for (const char *const *name = measures; *name && status == 0; name++)
    status = measure_unknown(finding, *name, UNIT_DURATION, fault,
                             "the fault was not confirmed in effect", err);
  return status;
}

static struct clocks clocks_of(const struct failover *it, int32_t fault, uint16_t set,
                               struct finding *finding) {
  const struct fault_info *info = &it->info->faults[fault];
  struct clocks clocks = {.it = it,
                          .finding = finding,
                          .fault = fault,
                          .set = set,
                          .begin_ns = fault_begin_ns(info),
                          .confirmed_ns = info->confirmed_ns,
                          .end_ns = fault_epoch_end_ns(it->info, fault)};
  const struct primary_set *of = &it->sets[set];
  clocks.recovery = recovery_of(&of->recovery, fault, of->changes, of->change_count);
  /* While writes are still down, what the cluster does is still about this fault. */
  if (clocks.recovery.at_ns > clocks.end_ns) clocks.end_ns = clocks.recovery.at_ns;
  return clocks;
}

/* Which of two recoveries is the worse one to have: the one that says least in favour. */
static bool is_worse(const struct recovery *a, const struct recovery *b) {
  static const int ranks[] = {[RECOVERY_NOT_NEEDED] = 0, [RECOVERY_DONE] = 1, [RECOVERY_THIN] = 2,
                              [RECOVERY_STARVED] = 3,    [RECOVERY_CUT] = 4,  [RECOVERY_NEVER] = 5};
  if (a->kind != b->kind) return ranks[a->kind] > ranks[b->kind];
  return a->clients_ns > b->clients_ns;
}

/* A fault that is of no single set of hosts (a cut between many) has lasted as long as in the set
 * that it hit worst, of those that somebody writes to. */
static struct clocks worst_clocks(const struct failover *it, int32_t fault,
                                  struct finding *finding) {
  const struct record_info *info = it->info;
  struct clocks worst = {.set = SET_NONE};
  uint16_t host = info->faults[fault].host;
  uint8_t service = host < info->host_count ? info->host_services[host] : SERVICE_NONE;
  for (uint32_t i = 0; i < it->set_count; i++) {
    if (!(set_write_rate(info, (uint16_t)i) > 0)) continue;
    if (service != SERVICE_NONE && set_service(info, (uint16_t)i) != service) continue;
    struct clocks clocks = clocks_of(it, fault, (uint16_t)i, finding);
    if (worst.set == SET_NONE || is_worse(&clocks.recovery, &worst.recovery)) worst = clocks;
  }
  return worst.set == SET_NONE ? clocks_of(it, fault, 0, finding) : worst;
}

static int give_fault(const struct failover *it, int32_t fault, struct finding *finding,
                      struct error *err) {
  if (it->info->faults[fault].confirmed_ns == TIME_NEVER)
    return give_unconfirmed(finding, fault, err);
  uint16_t set = fault_set(it->info, fault);
  const struct clocks clocks =
      set == SET_NONE ? worst_clocks(it, fault, finding) : clocks_of(it, fault, set, finding);
  int status = give_recoveries(&clocks, err);
  if (status == 0) status = give_witness(&clocks, err);
  if (status == 0) status = give_detection(&clocks, err);
  if (status == 0) status = give_promotion(&clocks, err);
  if (status == 0) status = give_redundancy(&clocks, err);
  return status;
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct failover *it = state;
  int status = 0;
  for (uint32_t i = 0; i < it->set_count && status == 0; i++) {
    status = recovery_finish(&it->sets[i].recovery, err);
    if (status == 0) status = collect_changes(it, (uint16_t)i, err);
  }
  for (uint32_t f = 0; f < it->info->fault_count && status == 0; f++)
    status = give_fault(it, (int32_t)f, finding, err);
  for (const char *const *name = measures; *name && status == 0 && it->info->fault_count == 0;
       name++)
    status = measure_none(finding, *name, UNIT_DURATION, FAULT_NONE, "there was no fault", err);
  return status;
}

static void release(void *state) {
  struct failover *it = state;
  for (uint32_t i = 0; i < it->set_count; i++) {
    recovery_release(&it->sets[i].recovery);
    free(it->sets[i].changes);
  }
  free(it->sets);
  free(it->marks);
}

const struct checker checker_failover = {
    .plugin = {.name = "failover",
               .summary = "How long after each fault: detected, promoted, writable, redundant",
               .state_size = sizeof(struct failover)},
    .wants = WANTS_OPERATIONS | WANTS_SAMPLES | WANTS_EVENTS,
    .measures = measures,
    .begin = begin,
    .item = item,
    .finish = finish,
    .release = release,
};
