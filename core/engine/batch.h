/* Many independent jobs on child processes: simulated runs, mostly. Each job is done by one child,
 * alone in its address space, so that one that crashes takes nothing with it but its own result. */
#ifndef GAMEDAY_ENGINE_BATCH_H
#define GAMEDAY_ENGINE_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum batch_end {
  BATCH_DONE,    /* `result` is what the job gave */
  BATCH_FAILED,  /* the job returned `error` */
  BATCH_CRASHED, /* its process died: `signal`, or 0 and `exit_code` */
  BATCH_HUNG,    /* it took longer than the spec allows, and was killed */
};

/* How one job ended; borrowed, valid during the call. */
struct batch_outcome {
  uint64_t index;
  enum batch_end end;
  const void *result;        /* BATCH_DONE: result_size bytes */
  const struct error *error; /* BATCH_FAILED */
  int signal, exit_code;     /* BATCH_CRASHED */
};

struct batch_spec {
  uint32_t workers;        /* child processes, 1 to BATCH_WORKERS_MAX */
  uint64_t count;          /* jobs are 0 to count - 1; UINT64_MAX: until the budget is used up */
  uint64_t budget_ns;      /* no job is begun later than this after the start; 0: no limit */
  uint64_t job_timeout_ns; /* 0: none */
  size_t result_size;
  /* Each job has an empty directory of its own: in memory where there is such a file system, and
   * removed after the job. Not NULL: the directories are KEEP/INDEX and stay. */
  const char *keep_directory;
  const char *scratch_base; /* where scratch directories are made; NULL: batch_scratch_base() */
  /* In a child: does job `index` and fills `ret_result` (zeroed, result_size bytes). Must depend on
   * `index` and on what `data` was at the call of batch_run() alone. */
  int (*job)(void *data, uint64_t index, const char *directory, void *ret_result,
             struct error *err);
  /* In the caller's process, strictly in the order of the indexes, from 0 and without a gap. A
   * negative status ends the batch. */
  int (*deliver)(void *data, const struct batch_outcome *outcome, struct error *err);
  /* In the caller's process, about four times a second; NULL: no call. */
  void (*tick)(void *data);
  void *data;
};
#define BATCH_WORKERS_MAX 256

struct batch_summary {
  uint64_t delivered;
  int signal; /* of interrupt_signals(), that ended it early; 0: none */
};

/* Runs the jobs and returns when all are delivered, the budget is used up, or a signal came: then
 * the children are killed, what was complete up to the first gap has been delivered, and 0 is
 * returned. The signals that ask to end (engine/interrupt.h) are taken over during the call.
 * Nothing is left behind in any case: when the calling process itself is killed, the children die
 * with it, and a janitor process removes the scratch directories.
 *
 * The caller has one thread. Blocks. */
int batch_run(const struct batch_spec *spec, struct batch_summary *ret_summary, struct error *err);

/* Where scratch directories go: a file system in memory with room to spare, else TMPDIR, else
 * "/tmp". Borrowed. */
const char *batch_scratch_base(void);

#endif
