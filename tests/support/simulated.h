/* Shipped scenarios on the simulator, one run after the other in this process. */
#ifndef GAMEDAY_TESTS_SUPPORT_SIMULATED_H
#define GAMEDAY_TESTS_SUPPORT_SIMULATED_H

#include "base/arena.h"
#include "engine/batch.h"
#include "engine/judge.h"
#include "engine/record.h"
#include "scenario/scenario.h"

/* How many seeds a test tries: sanitizers make a simulated run five times slower. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SIMULATED_SEEDS(plain, sanitized) (sanitized)
#else
#define SIMULATED_SEEDS(plain, sanitized) (plain)
#endif

/* The shipped scenarios that the simulator can run, and how each must end: some show a loss that a
 * healthy deployment has, and fail. */
struct simulated_case {
  const char *path;
  enum verdict verdict;
  bool no_ledger; /* nothing is written that the simulator's truth knows of: only judged */
};
#define SIMULATED_CASES 38
extern const struct simulated_case simulated_cases[SIMULATED_CASES];

/* A scenario with its overrides; `provider` is sim whatever the file says. */
struct simulated_scenario {
  struct scenario scenario;
  const char **measure_names;
};
/* `path` is absolute, or below the source's root. Returns a status; the mistakes of the file are
 * printed. */
int simulated_load(struct simulated_scenario *it, const char *path,
                   const struct scenario_override *sets, uint32_t count, struct error *err);
void simulated_release(struct simulated_scenario *it);

/* One run, judged. */
struct simulated {
  struct record record;
  struct arena arena;
  struct run_result result;
  bool open;
};
/* Into `directory`, which exists and is empty. A run that failed is an error. */
int simulated_run(struct simulated *run, const struct simulated_scenario *it, uint64_t seed,
                  const char *directory, struct error *err);
void simulated_close(struct simulated *run);

/* The first measure of that name (any fault when `fault` is FAULT_NONE - 1), or NULL. */
const struct measure *simulated_measure(const struct simulated *run, const char *name,
                                        int32_t fault);

/* Runs as the jobs of a batch, which says count, result_size, job, deliver and data: two at a time,
 * each within 2 minutes. Fails the running CMocka test unless all are delivered. */
void simulated_batch(struct batch_spec spec);
/* For deliver(): an error, which names the run, unless the job was done. */
int simulated_done(const struct batch_outcome *outcome, const char *name, uint64_t seed,
                   struct error *err);

#endif
