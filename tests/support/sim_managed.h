/* Simulated servers under simulated Patronis and etcds, with a client that writes all the time: for
 * tests of the manager. */
#ifndef GAMEDAY_TESTS_SUPPORT_SIM_MANAGED_H
#define GAMEDAY_TESTS_SUPPORT_SIM_MANAGED_H

#include "sim/patroni_internal.h"
#include "support/sim_servers.h"

struct sim_managed {
  struct sim_servers servers;
  struct sim_patroni *patroni;
  struct postgres_config config;
  enum sim_patroni_version version;
  /* The writer: one row every 20 ms, as long as somebody takes it. */
  struct sim_client writer;
  struct timer writes;
  bool writing;
  /* What the listener heard, in order. */
  uint32_t leader;      /* now */
  uint64_t lost_ns;     /* when somebody last lost the key */
  uint64_t gained_ns;   /* when somebody last got it */
  uint32_t changes;     /* of the key's holder */
  uint64_t promoted_ns; /* the last promotion */
  uint32_t promoted;    /* and whose */
  uint32_t primaries_max;
  uint64_t both_since_ns, both_ns; /* two primaries at once: since, 0: not; the longest so far */
};

/* Three members, Patroni's defaults, asynchronous. */
extern const struct postgres_config sim_managed_config;

/* Bootstrapped, with the version that `managed` says. `config` NULL: the above. */
void sim_managed_init(struct sim_managed *managed, uint32_t instances, uint64_t seed,
                      const struct postgres_config *config);
/* Three members under Patroni 3.2, which have been written to for 12 s and still are. */
void sim_managed_begin(struct sim_managed *managed, uint64_t seed,
                       const struct postgres_config *config);
void sim_managed_release(struct sim_managed *managed);
void sim_managed_write(struct sim_managed *managed, bool writing);
void sim_managed_run(struct sim_managed *managed, uint64_t for_ns);
uint64_t sim_managed_now_ns(const struct sim_managed *managed);

struct sim_manager *sim_managed_at(struct sim_managed *managed, uint32_t member);
/* The one primary; NOBODY: none, or several. */
uint32_t sim_managed_primary(struct sim_managed *managed);
/* Runs until a member but `old` is the only primary; the time that took. Fails after `most_ns`. */
uint64_t sim_managed_failover(struct sim_managed *managed, uint32_t old, uint64_t most_ns);
/* Runs until all members follow the one primary and have all it has. Fails after `most_ns`. */
void sim_managed_converge(struct sim_managed *managed, uint64_t most_ns);
/* The voter that leads; NOBODY: none. */
uint32_t sim_managed_raft_leader(struct sim_managed *managed);
/* Runs until `voter` leads etcd: its leader is frozen for a while, as often as it takes. */
void sim_managed_make_raft_leader(struct sim_managed *managed, uint32_t voter);
/* Cuts a host off from all others, or joins it again. */
void sim_managed_isolate(struct sim_managed *managed, uint16_t host, bool isolated);

#endif
