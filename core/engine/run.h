/* One run: from a scenario to a record. Brings the cluster up, drives, breaks, heals, reads
 * everything back, takes the cluster down. Judging is another's business (judge.h). */
#ifndef GAMEDAY_ENGINE_RUN_H
#define GAMEDAY_ENGINE_RUN_H

#include "base/error.h"
#include "base/log.h"
#include "engine/interrupt.h"
#include "gameday/provider.h"
#include "scenario/scenario.h"

struct run_spec {
  const struct scenario *scenario;
  uint64_t seed;
  const char *run_directory; /* absolute; exists and is empty */
  const char *cluster_id;
  struct log *log;
  struct interrupt *interrupt;
};

/* Makes the record. Whatever happens, faults are healed and the cluster is gone when it returns;
 * what failed is also in the record (run.json, stopped_because). The caller has started the guard
 * and has one thread. Blocks for the length of the run. `ret_measured`: whether load ran before it
 * ended, so that the record can be judged; set in any case. */
int run_execute(const struct run_spec *spec, bool *ret_measured, struct error *err);

#endif
