/* Faults on the time axis, and how messages call them. */
#include "faults.h"

#include <stdio.h>

#include "base/clock.h"
#include "measures.h"

static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

uint64_t fault_begin_ns(const struct fault_info *fault) {
  return earlier(fault->journaled_ns, earlier(fault->injected_ns, fault->confirmed_ns));
}

uint64_t fault_epoch_end_ns(const struct record_info *info, int32_t fault) {
  uint64_t begin_ns = fault_begin_ns(&info->faults[fault]);
  uint64_t end_ns = TIME_NEVER;
  for (uint32_t i = 0; i < info->fault_count; i++) {
    uint64_t other_ns = fault_begin_ns(&info->faults[i]);
    if (other_ns > begin_ns) end_ns = earlier(end_ns, other_ns);
  }
  return end_ns == TIME_NEVER ? info->end_ns + 1 : end_ns;
}

int32_t fault_at(const struct record_info *info, uint64_t time_ns) {
  int32_t best = FAULT_NONE;
  for (uint32_t i = 0; i < info->fault_count; i++) {
    uint64_t begin_ns = fault_begin_ns(&info->faults[i]);
    if (begin_ns > time_ns) continue;
    if (best == FAULT_NONE || begin_ns >= fault_begin_ns(&info->faults[best])) best = (int32_t)i;
  }
  return best;
}

void fault_label(const struct record_info *info, int32_t fault, char text[128]) {
  const struct fault_info *it = &info->faults[fault];
  const char *name = it->name && it->name[0] ? it->name : it->injector;
  if (it->host == HOST_NONE)
    snprintf(text, 128, "%.60s (fault %d)", name, fault);
  else
    snprintf(text, 128, "%.40s (fault %d, on %.40s)", name, fault, host_name_of(info, it->host));
}
