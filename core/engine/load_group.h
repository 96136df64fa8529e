/* The roster of all clients of a run, and groups of them: the clients that share a loop. A group is
 * driven by its loop alone; a worker thread runs the loop, or virtual time does. */
#ifndef GAMEDAY_ENGINE_LOAD_GROUP_H
#define GAMEDAY_ENGINE_LOAD_GROUP_H

#include "engine/load_client.h"

/* Which clients there are. Fixed before the first group is made; read by all of them. */
struct load_place {
  const struct workload_env *env;
  const struct client_class *class;
};
struct load_roster {
  struct client_class *classes; /* of all workloads, one after the other */
  uint32_t class_count;
  struct load_place *clients; /* by the client's index in the run */
  uint32_t client_count;
  uint64_t operation_timeout_ns; /* the longest of all workloads */
};
int load_roster_init(struct load_roster *roster, struct workload_env *envs, uint32_t env_count,
                     struct error *err);
void load_roster_release(struct load_roster *roster);

struct load_group_spec {
  const struct load_roster *roster;
  uint32_t first, step; /* takes the clients first, first + step, first + 2 * step ... */
  struct loop *loop;
  /* Which client i is on: client_hosts[i % client_host_count]; 0: not known. */
  const struct host *const *client_hosts;
  uint32_t client_host_count;
  uint64_t start_ns, seed;
  struct sink *sink;
  void (*record)(void *data, const struct operation *operation);
  void *record_data;
  _Atomic uint32_t *identities; /* starts at the roster's client_count: client i has identity i+1 */
  /* In the loop's thread: every client was READY once; every operation with an end is done; all is
   * over after load_group_stop(). The group may not be freed in there. */
  void (*ready)(void *data);
  void (*drained)(void *data);
  void (*stopped)(void *data);
  void *data;
};

struct load_group {
  struct load_group_spec spec;
  struct load_context context;
  struct load_counters counters;
  struct load_client *clients;
  uint32_t client_count;
  struct timer end_timer, stop_timer, delay_timer;
  bool ready_told, drained_told, stopping, stopped_told;
};

/* Allocates everything that the clients will ever need. On failure nothing is left. */
int load_group_init(struct load_group *group, const struct load_group_spec *spec,
                    struct error *err);
void load_group_release(struct load_group *group);

/* All in the loop's thread. Connects every client. */
void load_group_connect(struct load_group *group);
/* Operations are scheduled from clock time `begin_ns` on. */
void load_group_begin(struct load_group *group, uint64_t begin_ns);
/* Classes that are not always_on schedule nothing at or after `end_ns`; then drained() is called as
 * soon as their operations are done. */
void load_group_end(struct load_group *group, uint64_t end_ns);
/* Ends all classes; what is still under way after `grace_ns` is abandoned; then stopped(). */
void load_group_stop(struct load_group *group, uint64_t grace_ns);

#endif
