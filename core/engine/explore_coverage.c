/* Which kinds of faults came up, and in which pairs. */
#include <stdlib.h>

#include "engine/explore_internal.h"

int coverage_init(struct coverage *coverage, uint32_t kinds, struct error *err) {
  *coverage = (struct coverage){.kinds = kinds,
                                .drawn = calloc(kinds, sizeof(uint64_t)),
                                .targets = calloc(kinds, COVERAGE_TARGETS * sizeof(uint64_t)),
                                .overlapping = calloc((size_t)kinds * kinds, sizeof(uint64_t)),
                                .following = calloc((size_t)kinds * kinds, sizeof(uint64_t))};
  if (coverage->drawn && coverage->targets && coverage->overlapping && coverage->following)
    return 0;
  coverage_release(coverage);
  return error_set(err, STATUS_MEMORY, "out of memory for %u kinds of faults", kinds);
}

void coverage_release(struct coverage *coverage) {
  free(coverage->drawn);
  free(coverage->targets);
  free(coverage->overlapping);
  free(coverage->following);
  *coverage = (struct coverage){.kinds = 0};
}

/* A pair is two faults of one schedule: the second begins while the first is in effect, or after it
 * was healed. Planned times: when a fault took effect in a run is the record's to tell. */
void coverage_add(struct coverage *coverage, const struct schedule *schedule) {
  for (uint32_t j = 0; j < schedule->count; j++) {
    const struct schedule_fault *second = &schedule->faults[j];
    coverage->drawn[second->kind]++;
    coverage->targets[second->kind * COVERAGE_TARGETS + second->target]++;
    for (uint32_t i = 0; i < j; i++) {
      const struct schedule_fault *first = &schedule->faults[i];
      size_t pair = (size_t)first->kind * coverage->kinds + second->kind;
      bool overlaps = second->at_ns < first->at_ns + first->for_ns;
      (overlaps ? coverage->overlapping : coverage->following)[pair]++;
    }
  }
}

static uint32_t count_some(const uint64_t *counts, size_t count) {
  uint32_t some = 0;
  for (size_t i = 0; i < count; i++) some += counts[i] > 0;
  return some;
}

uint32_t coverage_kinds(const struct coverage *coverage) {
  return count_some(coverage->drawn, coverage->kinds);
}

uint32_t coverage_pairs(const struct coverage *coverage, bool overlapping) {
  return count_some(overlapping ? coverage->overlapping : coverage->following,
                    (size_t)coverage->kinds * coverage->kinds);
}
