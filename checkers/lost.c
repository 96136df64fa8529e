/* Charging lost writes to faults, in one pass and without keeping the writes. */
#include "lost.h"

#include <stdlib.h>

#include "base/clock.h"
#include "sets.h"

static int compare_epochs(const void *left, const void *right) {
  const struct lost_epoch *a = left, *b = right;
  if (a->begin_ns != b->begin_ns) return a->begin_ns < b->begin_ns ? -1 : 1;
  return a->fault < b->fault ? -1 : a->fault > b->fault;
}

static void add_epochs(struct lost *lost, const struct record_info *info, uint16_t set) {
  for (uint32_t i = 0; i < info->fault_count; i++) {
    uint16_t own = fault_set(info, (int32_t)i);
    if (set != SET_NONE && own != SET_NONE && own != set) continue;
    if (info->faults[i].confirmed_ns == TIME_NEVER) continue;
    lost->epochs[lost->epoch_count++] =
        (struct lost_epoch){.fault = (int32_t)i, .begin_ns = info->faults[i].confirmed_ns};
  }
}

int lost_init(struct lost *lost, const struct record_info *info, uint16_t set, struct error *err) {
  *lost = (struct lost){.survivor_ns = TIME_NEVER, .primary = HOST_NONE};
  lost->epochs = calloc((size_t)info->fault_count + 1, sizeof *lost->epochs);
  if (!lost->epochs) return error_set(err, STATUS_MEMORY, "out of memory for faults");
  lost->epochs[lost->epoch_count++] = (struct lost_epoch){.fault = FAULT_NONE, .begin_ns = 0};
  add_epochs(lost, info, set);
  if (lost->epoch_count == 1) add_epochs(lost, info, SET_NONE);
  qsort(lost->epochs, lost->epoch_count, sizeof *lost->epochs, compare_epochs);
  return 0;
}

void lost_release(struct lost *lost) {
  free(lost->epochs);
  *lost = (struct lost){.epochs = NULL};
}

static struct lost_epoch *epoch_at(struct lost *lost, uint64_t time_ns) {
  while (lost->current + 1 < lost->epoch_count &&
         lost->epochs[lost->current + 1].begin_ns <= time_ns)
    lost->current++;
  return &lost->epochs[lost->current];
}

void lost_promoted(struct lost *lost, uint64_t time_ns, uint16_t host, uint32_t timeline) {
  struct lost_epoch *epoch = epoch_at(lost, time_ns);
  if (timeline < lost->timeline) return;
  if (timeline == lost->timeline && host == lost->primary) return;
  lost->timeline = timeline;
  lost->primary = host;
  epoch->promoted = true;
  epoch->promoted_host = host;
  epoch->promoted_timeline = timeline;
}

static void settle(struct lost_epoch *epoch, struct lost_bucket *bucket, uint64_t sent_ns) {
  if (bucket->count == 0 || sent_ns <= bucket->last_ns) return;
  epoch->settled += bucket->count;
  *bucket = (struct lost_bucket){.count = 0};
}

void lost_survivor(struct lost *lost, const struct operation *operation) {
  struct lost_epoch *epoch = epoch_at(lost, operation->done_ns);
  if (epoch->fault != FAULT_NONE) {
    settle(epoch, &epoch->before, operation->sent_ns);
    settle(epoch, &epoch->by_new, operation->sent_ns);
  }
  lost->survivor_ns = operation->done_ns;
}

static bool is_by_new(const struct lost_epoch *epoch, const struct operation *operation) {
  if (operation->timeline && epoch->promoted_timeline)
    return operation->timeline >= epoch->promoted_timeline;
  return operation->host == epoch->promoted_host;
}

void lost_write(struct lost *lost, const struct operation *operation) {
  struct lost_epoch *epoch = epoch_at(lost, operation->done_ns);
  struct lost_bucket *bucket = &epoch->before;
  if (epoch->promoted) bucket = is_by_new(epoch, operation) ? &epoch->by_new : &epoch->by_old;
  bucket->last_ns = operation->done_ns;
  if (bucket->count++ > 0) return;
  bucket->no_prefix = lost->survivor_ns == TIME_NEVER;
  bucket->prefix_ns = bucket->no_prefix ? operation->scheduled_ns : lost->survivor_ns;
}

static void charge_before(struct lost_charge *charge, const struct lost_bucket *bucket) {
  if (bucket->count == 0) return;
  if (charge->before == 0 || bucket->prefix_ns < charge->prefix_ns)
    charge->prefix_ns = bucket->prefix_ns;
  charge->before += bucket->count;
}

/* Between fault F and the next one G: where a failover followed F, what the old primary
 * acknowledged is lost by F, and what the new one acknowledged by G. Where none followed, F took
 * nothing away and all of it is lost by G; without a G, only F can have done it. What was lost
 * before G already is F's, whoever acknowledged it. */
struct lost_charge lost_charge_of(const struct lost *lost, int32_t fault) {
  struct lost_charge charge = {.before = 0};
  for (uint32_t i = 1; i < lost->epoch_count; i++) {
    const struct lost_epoch *epoch = &lost->epochs[i];
    if (epoch->fault != fault) continue;
    bool last = i + 1 == lost->epoch_count;
    const struct lost_epoch *previous = &lost->epochs[i - 1];
    charge_before(&charge, &previous->by_new);
    if (!previous->promoted || previous->fault == FAULT_NONE)
      charge_before(&charge, &previous->before);
    if (previous->fault == FAULT_NONE) charge_before(&charge, &previous->by_old);
    charge.after += epoch->settled;
    if (epoch->promoted || last) charge.after += epoch->before.count + epoch->by_old.count;
    if (last) charge.after += epoch->by_new.count;
  }
  return charge;
}
