/* The guard: a process forked before anything is touched. It holds the reading end of a pipe; when
 * the harness dies, even by SIGKILL, the pipe ends and the guard undoes what the run directory says
 * was done: open faults are healed, a cluster made for the run is removed. */
#ifndef GAMEDAY_ENGINE_GUARD_H
#define GAMEDAY_ENGINE_GUARD_H

#include <sys/types.h>

#include "base/error.h"
#include "gameday/provider.h"
#include "scenario/scenario.h"

struct guard {
  pid_t pid; /* 0: none */
  int fd;    /* writing end of the pipe */
};

/* What the guard must know before it is forked; borrowed until guard_start() returns. */
struct guard_spec {
  const struct scenario_tables *tables;
  const struct provider *provider;
  const char *run_directory; /* absolute, exists */
  const char *cluster_id;
};

/* Forks; must be called while the process has one thread. */
int guard_start(const struct guard_spec *spec, struct guard *ret_guard, struct error *err);
/* The run has removed everything itself: the guard ends without doing anything. Waits for it. */
void guard_dismiss(struct guard *guard);
/* Tells the guard to do its work now and waits until it is done: for a run that broke off, whose
 * own removal may have failed. Nothing to do where there is no guard. STATUS_SERVER when something
 * of the cluster is still there; says what to do about it. */
int guard_trip(struct guard *guard, const char *run_directory, struct error *err);

/* What the guard does, and `gameday heal`: heals the open faults of the journal on a cluster that
 * is to stay (`keep`), removes one that was made for the run. Idempotent. `ret_healed` may be NULL.
 */
int guard_clean_up(const struct guard_spec *spec, bool keep, uint32_t *ret_healed,
                   struct error *err);

/* The cluster, and with it the passwords that were made for it. Idempotent. */
int guard_remove_cluster(const struct provider *provider, const char *run_directory,
                         const char *cluster_id, struct error *err);

#endif
