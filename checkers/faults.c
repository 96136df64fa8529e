/* Faults on the time axis, and how messages call them. */
#include "faults.h"

#include <stdio.h>

#include "base/clock.h"
#include "measures.h"
#include "sets.h"

static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

uint64_t fault_begin_ns(const struct fault_info *fault) {
  return earlier(fault->journaled_ns, earlier(fault->injected_ns, fault->confirmed_ns));
}

/* Whether the fault may have hit `set`: one without a single set may have hit any. */
static bool may_hit(const struct record_info *info, int32_t fault, uint16_t set) {
  uint16_t own = fault_set(info, fault);
  return own == set || own == SET_NONE || set == SET_NONE;
}

uint64_t fault_epoch_end_ns(const struct record_info *info, int32_t fault) {
  uint64_t begin_ns = fault_begin_ns(&info->faults[fault]);
  uint64_t end_ns = TIME_NEVER;
  uint16_t set = fault_set(info, fault);
  for (uint32_t i = 0; i < info->fault_count; i++) {
    uint64_t other_ns = fault_begin_ns(&info->faults[i]);
    if (other_ns > begin_ns && may_hit(info, (int32_t)i, set)) end_ns = earlier(end_ns, other_ns);
  }
  return end_ns == TIME_NEVER ? info->end_ns + 1 : end_ns;
}

/* The last one of those that may have hit `set`. */
static int32_t last_at(const struct record_info *info, uint16_t set, uint64_t time_ns) {
  int32_t best = FAULT_NONE;
  for (uint32_t i = 0; i < info->fault_count; i++) {
    uint64_t begin_ns = fault_begin_ns(&info->faults[i]);
    if (begin_ns > time_ns || !may_hit(info, (int32_t)i, set)) continue;
    if (best == FAULT_NONE || begin_ns >= fault_begin_ns(&info->faults[best])) best = (int32_t)i;
  }
  return best;
}

int32_t fault_at(const struct record_info *info, uint64_t time_ns) {
  return last_at(info, SET_NONE, time_ns);
}

int32_t fault_at_set(const struct record_info *info, uint16_t set, uint64_t time_ns) {
  int32_t own = last_at(info, set, time_ns);
  if (own != FAULT_NONE) {
    const struct fault_info *fault = &info->faults[own];
    bool fresh = time_ns - fault_begin_ns(fault) <= NS_PER_S;
    if (fresh || fault->healed_ns > time_ns) return own;
  }
  return fault_at(info, time_ns);
}

void fault_label(const struct record_info *info, int32_t fault, char text[128]) {
  const struct fault_info *it = &info->faults[fault];
  const char *name = it->name && it->name[0] ? it->name : it->injector;
  if (it->host == HOST_NONE)
    snprintf(text, 128, "%.60s (fault %d)", name, fault);
  else
    snprintf(text, 128, "%.40s (fault %d, on %.40s)", name, fault, host_name_of(info, it->host));
}
