/* The clocks of a failover, each from the fault confirmed in effect: detected, promoted, first
 * acknowledged write of a sustained recovery, full redundancy. */
#include <stdio.h>
#include <stdlib.h>

#include "checkers.h"
#include "faults.h"
#include "measures.h"
#include "recovery.h"

/* Redundancy that does not last so long was a flicker. */
#define REDUNDANT_NS NS_PER_S

/* What the observer saw of the cluster's own mind. */
struct mark {
  uint64_t time_ns;
  enum event_kind kind;
  uint8_t host;
  bool redundant;
  bool change; /* of who leads: a new leader, or a primary on another host or a higher timeline */
  int64_t number;
};
struct failover {
  const struct record_info *info;
  struct recovery_tracker recovery;
  struct mark *marks; /* sorted: events come in the order of time */
  uint32_t mark_count, mark_capacity;
  uint64_t *changes; /* times of those marks that speak of a leader */
  uint32_t change_count;
};

/* One fault while its clocks are read. */
struct clocks {
  const struct failover *it;
  struct finding *finding;
  int32_t fault;
  uint64_t begin_ns, confirmed_ns; /* journaled; in effect */
  uint64_t end_ns;                 /* events from here on belong to a later fault */
  struct recovery recovery;
};

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct failover *it = state;
  it->info = info;
  return recovery_init(&it->recovery, info, err);
}

static int add_mark(struct failover *it, const struct event *event, struct error *err) {
  if (it->mark_count == it->mark_capacity) {
    uint32_t capacity = it->mark_capacity ? it->mark_capacity * 2 : 64;
    struct mark *larger = realloc(it->marks, capacity * sizeof *larger);
    if (!larger) return error_set(err, STATUS_MEMORY, "out of memory for events");
    it->marks = larger;
    it->mark_capacity = capacity;
  }
  it->marks[it->mark_count++] = (struct mark){.time_ns = event->time_ns,
                                              .kind = event->kind,
                                              .host = event->host,
                                              .redundant = event->number != 0,
                                              .number = event->number};
  return 0;
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct failover *it = state;
  if (item->operation) return recovery_operation(&it->recovery, item->operation, err);
  if (item->sample) return recovery_sample(&it->recovery, item->sample, err);
  enum event_kind kind = item->event->kind;
  if (kind == EVENT_LEADER_LOST || kind == EVENT_LEADER || kind == EVENT_PROMOTED ||
      kind == EVENT_REDUNDANT)
    return add_mark(it, item->event, err);
  return 0;
}

/* A leader that is announced again is no change, and a primary that answers again after a silence,
 * on the timeline that it had, is none either. */
static int collect_changes(struct failover *it, struct error *err) {
  it->changes = calloc((size_t)it->mark_count + 1, sizeof *it->changes);
  if (!it->changes) return error_set(err, STATUS_MEMORY, "out of memory for events");
  uint8_t leader = HOST_NONE, primary = HOST_NONE;
  int64_t timeline = 0;
  for (uint32_t i = 0; i < it->mark_count; i++) {
    struct mark *mark = &it->marks[i];
    if (mark->kind == EVENT_REDUNDANT) continue;
    mark->change = mark->kind == EVENT_LEADER_LOST;
    if (mark->kind == EVENT_LEADER) {
      mark->change = mark->host != leader;
      leader = mark->host;
    } else if (mark->kind == EVENT_PROMOTED && mark->number >= timeline) {
      mark->change = mark->host != primary || mark->number > timeline;
      primary = mark->host;
      timeline = mark->number;
    }
    if (mark->change) it->changes[it->change_count++] = mark->time_ns;
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
  uint8_t leader = HOST_NONE;
  for (uint32_t i = 0; i < it->mark_count; i++) {
    const struct mark *mark = &it->marks[i];
    if (mark->time_ns >= clocks->end_ns) break;
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
    /* The same host again: a restart in place, if writes were disturbed at all. */
    if (mark->change || clocks->recovery.kind != RECOVERY_NOT_NEEDED)
      return give(clocks, "promotion_time", mark->time_ns, err);
  }
  return give_no_change(clocks, "promotion_time", "no promotion", err);
}

/* Whether the redundancy that begins with mark `i` lasts. */
static bool redundancy_lasts(const struct failover *it, uint32_t i) {
  for (uint32_t j = i + 1; j < it->mark_count; j++) {
    const struct mark *mark = &it->marks[j];
    if (mark->time_ns >= it->marks[i].time_ns + REDUNDANT_NS) break;
    if (mark->kind == EVENT_REDUNDANT && !mark->redundant) return false;
  }
  return true;
}

static int give_redundancy(const struct clocks *clocks, struct error *err) {
  const char *name = "time_to_full_redundancy";
  const struct failover *it = clocks->it;
  bool observed = false, lost = false;
  for (uint32_t i = 0; i < it->mark_count; i++) {
    const struct mark *mark = &it->marks[i];
    if (mark->kind != EVENT_REDUNDANT) continue;
    if (mark->time_ns < clocks->begin_ns) {
      lost = !mark->redundant; /* by an earlier fault, and not back yet */
    } else if (!lost && !mark->redundant && mark->time_ns < clocks->end_ns) {
      lost = true;
    } else if (lost && mark->redundant && redundancy_lasts(it, i)) {
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
  if (clocks->it->info->write_rate > 0) {
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
  char label[128], stopped[96], back[160], reached[96] = "";
  fault_label(clocks->it->info, clocks->fault, label);
  snprintf(stopped, sizeof stopped, "writes failed in part");
  if (recovery->outage)
    snprintf(stopped, sizeof stopped, "none of the writes scheduled from %.6f s on succeeded",
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

static int give_fault(const struct failover *it, int32_t fault, struct finding *finding,
                      struct error *err) {
  const struct fault_info *info = &it->info->faults[fault];
  if (info->confirmed_ns == TIME_NEVER) return give_unconfirmed(finding, fault, err);
  struct clocks clocks = {.it = it,
                          .finding = finding,
                          .fault = fault,
                          .begin_ns = fault_begin_ns(info),
                          .confirmed_ns = info->confirmed_ns,
                          .end_ns = fault_epoch_end_ns(it->info, fault)};
  clocks.recovery = recovery_of(&it->recovery, fault, it->changes, it->change_count);
  /* While writes are still down, what the cluster does is still about this fault. */
  if (clocks.recovery.at_ns > clocks.end_ns) clocks.end_ns = clocks.recovery.at_ns;
  int status = give_recoveries(&clocks, err);
  if (status == 0) status = give_witness(&clocks, err);
  if (status == 0) status = give_detection(&clocks, err);
  if (status == 0) status = give_promotion(&clocks, err);
  if (status == 0) status = give_redundancy(&clocks, err);
  return status;
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct failover *it = state;
  int status = recovery_finish(&it->recovery, err);
  if (status == 0) status = collect_changes(it, err);
  for (uint32_t f = 0; f < it->info->fault_count && status == 0; f++)
    status = give_fault(it, (int32_t)f, finding, err);
  for (const char *const *name = measures; *name && status == 0 && it->info->fault_count == 0;
       name++)
    status = measure_none(finding, *name, UNIT_DURATION, FAULT_NONE, "there was no fault", err);
  return status;
}

static void release(void *state) {
  struct failover *it = state;
  recovery_release(&it->recovery);
  free(it->marks);
  free(it->changes);
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
