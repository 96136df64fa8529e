/* Models of PostgreSQL servers with streaming replication. What decides outcomes is modelled, and
 * nothing else: which commits are in whose write-ahead log, how much of it is flushed, sent and
 * replayed, when a commit is acknowledged, on which timeline; how long starting, crash recovery,
 * promotion, rewinding and shutting down take. Clients speak to a server through driver.c; Patroni
 * (patroni.h), or the timeline's steps, tell it what to be. */
#ifndef GAMEDAY_CLUSTERS_SIM_POSTGRES_H
#define GAMEDAY_CLUSTERS_SIM_POSTGRES_H

#include "services/postgres_parameters.h"
#include "sim/world.h"

/* One record of the write-ahead log: immutable, shared by every host that has it. */
enum sim_record_kind { SIM_RECORD_ROW, SIM_RECORD_BEAT, SIM_RECORD_TIMELINE };
struct sim_record {
  uint64_t end_bytes;  /* WAL position behind it */
  uint64_t sequence;   /* ROW; BEAT: the beat */
  const char *payload; /* ROW; owned by the cluster */
  uint32_t identity;   /* ROW */
  uint32_t checksum;   /* ROW: as the client sent it */
  uint32_t timeline;   /* on which it was written */
  uint8_t kind;
};

/* What one host holds. Counts of records: applied <= received; flushed <= received. On a primary
 * all that is received is applied. A power cut takes what is not flushed; a kill takes nothing. */
struct sim_wal {
  const struct sim_record **records;
  uint64_t received, capacity;
  uint64_t flushed, applied;
};

enum sim_postgres_state {
  SIM_PG_DOWN,
  SIM_PG_STARTING, /* refuses clients: "starting up" */
  SIM_PG_STANDBY,
  SIM_PG_PROMOTING, /* still refuses writes */
  SIM_PG_PRIMARY,
  SIM_PG_STOPPING, /* refuses new clients; a fast shutdown sends what is left to the standbys */
};
enum sim_postgres_role { SIM_PG_AS_PRIMARY, SIM_PG_AS_STANDBY };

struct sim_postgres_cluster; /* all servers of one service: postgres_internal.h */
struct sim_postgres;         /* one server */

/* How long things take in the model; ns. Defaults and their sources: clusters/sim/sim.c. */
struct sim_postgres_costs {
  uint64_t start_ns;        /* postmaster until it would accept, without recovery */
  uint64_t recovery_ns;     /* on top after a crash */
  uint64_t promote_ns;      /* from pg_promote() until writable */
  uint64_t stop_ns;         /* fast shutdown */
  uint64_t rewind_ns;       /* pg_rewind */
  uint64_t copy_ns;         /* pg_basebackup, where rewinding is off or cannot */
  uint64_t fsync_ns;        /* one flush; commits that come meanwhile share the next */
  uint64_t execute_ns;      /* one statement */
  uint64_t replay_ns;       /* per record on a standby */
  uint64_t authenticate_ns; /* TLS and SCRAM of one new connection, after TCP */
};

/* --- life --- */

int sim_postgres_cluster_new(struct sim_world *world, const struct postgres_config *config,
                             const struct sim_postgres_costs *costs,
                             const struct host *const *members, /* by member */
                             struct sim_postgres_cluster **ret_cluster, struct error *err);
void sim_postgres_cluster_free(struct sim_postgres_cluster *cluster); /* NULL is fine */
struct sim_postgres *sim_postgres_member(struct sim_postgres_cluster *cluster, uint32_t member);
uint32_t sim_postgres_member_count(const struct sim_postgres_cluster *cluster);
/* An empty cluster in its steady state, at once: member 0 primary on timeline 1, the others
 * streaming from it. */
void sim_postgres_bootstrap(struct sim_postgres_cluster *cluster);

/* The processes of clients, by host (NULL where there are none); borrowed, must run. Before the
 * first session. */
void sim_postgres_clients(struct sim_postgres_cluster *cluster,
                          struct sim_process *const by_host[HOSTS_MAX]);

/* --- what the manager asks for; each is a no-op where it makes no sense in the present state ---
 */

/* Starts the postmaster. A standby follows `upstream` (a member; UINT32_MAX: nobody yet). */
void sim_postgres_start(struct sim_postgres *server, enum sim_postgres_role role,
                        uint32_t upstream);
/* Fast shutdown, or immediate (as a crash). `died` of the process tells when it is over. */
void sim_postgres_stop(struct sim_postgres *server, bool immediate);
void sim_postgres_promote(struct sim_postgres *server);
void sim_postgres_follow(struct sim_postgres *server, uint32_t upstream); /* a running standby */
/* Whether this server, down, has records that `upstream` does not: it must be rewound first. */
bool sim_postgres_diverged(const struct sim_postgres *server, uint32_t upstream);
/* Makes a server that is down a copy of `upstream` up to where they parted (rewind) or of the whole
 * (not `rewind`); `done` runs for `process`, args->number 1 when it went well (upstream reachable
 * and a primary throughout). */
void sim_postgres_rebuild(struct sim_postgres *server, uint32_t upstream, bool rewind,
                          struct sim_process *process, sim_call *done);
/* synchronous_standby_names: commits wait until any `count` of the members in `mask` (bit: member)
 * have flushed; mask 0: for nobody, unless `strict`: then writes wait until somebody is named. */
void sim_postgres_set_synchronous(struct sim_postgres *server, uint32_t mask, uint32_t count,
                                  bool strict);

/* Replication slots (bit: member): a standby without one is turned away. All have one at first. */
void sim_postgres_set_slots(struct sim_postgres *server, uint32_t mask);

/* --- what can be seen of it by asking (a manager on the same host, the observer) --- */

enum sim_postgres_state sim_postgres_state(const struct sim_postgres *server);
struct sim_process *sim_postgres_process(struct sim_postgres *server); /* the postmaster */
uint32_t sim_postgres_timeline(const struct sim_postgres *server);
/* WAL position in bytes: written (primary), received (standby), and replayed. */
uint64_t sim_postgres_position(const struct sim_postgres *server);
uint64_t sim_postgres_replayed(const struct sim_postgres *server);
/* Whether `server`, a primary, streams to member `standby` now, and how far that has replayed, as
 * the primary was last told (pg_stat_replication); synchronous: is counted for commits. */
bool sim_postgres_streams_to(const struct sim_postgres *server, uint32_t standby,
                             uint64_t *ret_replayed_bytes, bool *ret_synchronous);
/* Called at once whenever anything above changed but positions. One listener; NULL: none. */
void sim_postgres_listen(struct sim_postgres_cluster *cluster,
                         void (*changed)(void *data, uint32_t member), void *data);

/* Builds the data plane's part of one bug in (enum sim_guilt, postgres_guilt.c); its choices come
 * from `seed`. Once, after the bootstrap. */
void sim_postgres_set_guilt(struct sim_postgres_cluster *cluster, int guilt, uint64_t seed);

/* What really happens, told at the very tick. Any function may be NULL. */
struct sim_postgres_truth {
  void *data;
  /* A commit was acknowledged by `member`: the answer leaves it. And: it has reached its client. */
  void (*acknowledged)(void *data, const struct sim_record *record, uint32_t member);
  void (*received)(void *data, const struct sim_record *record, uint32_t member);
  void (*promoted)(void *data, uint32_t member, uint32_t timeline);
  /* `member` begins to take writes, as a primary, or takes no more. */
  void (*accepting)(void *data, uint32_t member, bool accepting);
};
void sim_postgres_observe(struct sim_postgres_cluster *cluster,
                          const struct sim_postgres_truth *truth); /* copied */

/* --- the end --- */

/* The rows of a server that can be asked (standby or primary), in the order of insertion. */
int sim_postgres_rows(struct sim_postgres *server,
                      int (*row)(void *data, const struct sim_record *record, struct error *err),
                      void *data, struct error *err);

#endif
