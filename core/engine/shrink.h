/* Makes a fault schedule smaller as long as it still shows what it was found for: delta debugging
 * (Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input, IEEE TSE 28, 2002),
 * then simpler targets, shorter durations and rounder times. */
#ifndef GAMEDAY_ENGINE_SHRINK_H
#define GAMEDAY_ENGINE_SHRINK_H

#include "engine/schedule.h"

struct shrink_spec {
  const struct schedule_rules *rules;
  uint32_t tries_max;
  /* How well `schedule` shows it: 0 not at all, more the more reliably. What is below `least` (1 or
   * more) need not be exact. */
  int (*score)(void *data, const struct schedule *schedule, uint32_t least, uint32_t *ret_score,
               struct error *err);
  void *data;
};

/* Shrinks `*schedule`, which is allowed and shows it. Faults are dropped as long as it shows at all
 * (down to none); what is done after that must not lower the score. Deterministic when `score` is.
 * Ends at a schedule none of whose single changes shows it as well, or after `tries_max` calls of
 * `score`. The errors of `score` are returned; the schedule is the smallest found until then. */
int shrink_schedule(const struct shrink_spec *spec, struct schedule *schedule, uint32_t *ret_tries,
                    struct error *err);

#endif
