/* The load: clients of all workloads on worker threads, each with one loop, each in the network of
 * a client host. Open loop: the schedule is fixed from the seed before the first operation. */
#ifndef GAMEDAY_ENGINE_LOAD_H
#define GAMEDAY_ENGINE_LOAD_H

#include "base/clock.h"
#include "base/error.h"
#include "engine/recorder.h"
#include "gameday/provider.h"
#include "gameday/workload.h"

struct load_spec {
  /* Virtual time: every client on this loop, which is turned by whoever waits. NULL: on threads of
   * their own. */
  struct loop *loop;
  struct cluster *cluster;
  const struct host *const *client_hosts; /* workers are spread over them round robin */
  uint32_t client_host_count;
  uint32_t workers;
  struct workload_env *envs; /* prepared; by workload index; outlive the load */
  uint32_t env_count;
  struct recorder *recorder; /* made for `workers` producers; one in virtual time */
  struct sink *sink;
  const struct clock *clock;
  uint64_t start_ns; /* clock time of the run's zero */
  uint64_t seed;
  /* Whether clients need not be waited for any more; any moment, this thread. NULL: wait. */
  bool (*cancelled)(void *data);
  void *cancelled_data;
};

struct load;

/* Starts the threads, connects every client; returns when each client was ready once, or at
 * `deadline_ns` (clock time) with STATUS_TIMEOUT naming how many were not and why, or soon
 * after it is cancelled with STATUS_INTERRUPTED. No operation is scheduled yet. */
int load_start(const struct load_spec *spec, uint64_t deadline_ns, struct load **ret_load,
               struct error *err);
/* Operations are scheduled from clock time `begin_ns` on. */
void load_begin(struct load *load, uint64_t begin_ns);
/* No operation is scheduled at or after `end_ns`; waits until every scheduled one is done, which
 * is bounded by the longest operation timeout. always_on classes go on. */
int load_end(struct load *load, uint64_t end_ns, struct error *err);
/* Ends the rest, joins the threads, closes the sessions. Asserts scheduled = ok + fail + unknown +
 * skipped; what a worker failed with is returned. */
int load_stop(struct load *load, struct error *err);
void load_free(struct load *load); /* NULL is fine */

struct load_totals {
  uint64_t scheduled, ok, fail, unknown, skipped;
  uint32_t identities; /* handed out so far */
  uint64_t ready;      /* clients connected now */
  uint64_t clients;
};
void load_totals(struct load *load, struct load_totals *ret); /* any thread */

#endif
