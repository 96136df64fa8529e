/* Models of Patroni and of etcd, its store. Sources of each rule: Patroni's ha.py, etcd3.py,
 * postgresql/__init__.py and docs/dynamic_configuration.rst, docs/replication_modes.rst; etcd's
 * server/lease/lessor.go and raft. One Patroni a member, etcd on the first
 * postgres_etcd_count(config) hosts. */
#ifndef GAMEDAY_CLUSTERS_SIM_PATRONI_H
#define GAMEDAY_CLUSTERS_SIM_PATRONI_H

#include "sim/postgres.h"

struct sim_patroni; /* all Patronis and etcds of one service */

enum sim_patroni_version {
  SIM_PATRONI_3_0, /* takes its key back without comparing: _update_leader() in dcs/etcd3.py */
  SIM_PATRONI_3_2, /* compares first */
};

struct sim_patroni_options {
  enum sim_patroni_version version;
  uint64_t fsync_ns;    /* of etcd */
  uint64_t recovery_ns; /* crash recovery in single-user mode */
};

/* What can be asked of the store, and of a member's REST interface, by the observer. */
struct sim_patroni_view {
  uint32_t leader;  /* member that holds the leader key; UINT32_MAX: nobody */
  bool store_alive; /* etcd has a quorum and a leader */
};

/* `hosts`: all hosts of the service, the one that carries etcd alone included; `options` are
 * copied. */
int sim_patroni_new(struct sim_world *world, const struct postgres_config *config,
                    const struct sim_patroni_options *options, struct sim_postgres_cluster *servers,
                    const struct host *const *hosts, struct sim_patroni **ret_patroni,
                    struct error *err);
void sim_patroni_free(struct sim_patroni *patroni); /* NULL is fine */
/* The steady state of a cluster that has run for a while: member 0 holds the key, every member's
 * loop at a phase of its own from the seed, synchronous standbys chosen. */
void sim_patroni_bootstrap(struct sim_patroni *patroni);
void sim_patroni_view(const struct sim_patroni *patroni, struct sim_patroni_view *ret);
/* Called at once when the view above changes. One listener; NULL: none. */
void sim_patroni_listen(struct sim_patroni *patroni, void (*changed)(void *data), void *data);
/* What GET /patroni of a member says of it: "running as replica, timeline 2". False: it does not
 * answer. */
bool sim_patroni_word(const struct sim_patroni *patroni, uint32_t member, char *word, size_t size);
/* The synchronous standbys in the key /sync, as the observer's voter has it (bit: member). */
uint32_t sim_patroni_synchronous(const struct sim_patroni *patroni);

/* POST /switchover of the present leader to `candidate` (UINT32_MAX: Patroni chooses). False: it
 * would be refused now (no leader, no healthy candidate). */
bool sim_patroni_switchover(struct sim_patroni *patroni, uint32_t candidate);
/* POST /restart of one member. False: refused now. */
bool sim_patroni_restart(struct sim_patroni *patroni, uint32_t member);
/* Whether that is still under way. */
bool sim_patroni_busy(const struct sim_patroni *patroni, uint32_t member);
/* SIGTERM or SIGINT to one of its processes, patroni or etcd. False: it is none of these. */
bool sim_patroni_terminate(struct sim_patroni *patroni, struct sim_process *process);

#endif
