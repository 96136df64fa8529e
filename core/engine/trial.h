/* A trial: one run in virtual time, judged. What the jobs of a batch are made of; fast because it
 * writes no reports and says nothing. */
#ifndef GAMEDAY_ENGINE_TRIAL_H
#define GAMEDAY_ENGINE_TRIAL_H

#include "engine/judge.h"
#include "engine/record.h"

struct trial_spec {
  const struct scenario *scenario; /* its provider is one in virtual time */
  uint64_t seed;
  const char *directory; /* for the record: absolute, exists, empty */
  const struct checker *const *checkers;
};

struct trial {
  struct run_result result; /* borrows from the rest; a run that broke off is not trusted */
  struct record record;
  struct arena arena;
  bool opened; /* the record */
};

/* Runs and judges. A run that broke off after the load had begun is judged too, as `gameday run`
 * does it; one that did not get so far is its error. `ret` must be released in any case. Blocks;
 * the calling thread only. */
int trial_run(const struct trial_spec *spec, struct trial *ret, struct error *err);
void trial_release(struct trial *trial); /* zeroed is fine */

#endif
