/* Models of Redis servers, alone, behind Sentinels or as a Redis Cluster. What decides outcomes is
 * modelled: which writes are in whose data set, how much of it is replicated and how much is on the
 * disk, who is promoted by whom, and when a server takes no writes. Clients are those of the real
 * driver (workload/redis_client.h), which speak the protocol to the models over the simulated
 * network: outcomes, routes and retries are not modelled but the same.
 *
 * Memory is counted as Redis counts it, and runs full: redis_memory.h.
 *
 * Not modelled: scripts, slots that move, diskless loading. */
#ifndef GAMEDAY_CLUSTERS_SIM_REDIS_H
#define GAMEDAY_CLUSTERS_SIM_REDIS_H

#include "base/bits.h"
#include "services/redis_parameters.h"
#include "sim/world.h"

#define SIM_REDIS_NONE UINT32_MAX /* no member */

/* How long things take in the model; ns. Defaults: clusters/sim/sim.c. */
struct sim_redis_costs {
  uint64_t start_ns;   /* from the start of the process until it would serve, without its data */
  uint64_t copy_ns;    /* a full resynchronization */
  uint64_t execute_ns; /* one command */
  uint64_t fsync_ns;   /* one flush of an append-only file */
};

/* One write, in the order in which a primary ran them: shared by every server that has it. */
struct sim_redis_entry {
  const struct sim_redis_entry *previous;
  const char *key, *value; /* owned by the cluster; the value may be a part of what is stored */
  uint64_t hash;           /* of the key */
  uint64_t index;          /* how many entries a data set has with it */
  uint64_t offset;         /* replication offset behind it */
  uint64_t written_ns;
  uint64_t until_ns; /* gone from then on; 0: it stays; up to SIM_REDIS_EVICTED: it is gone */
  uint32_t table;    /* entries of an earlier one have been removed (UNLINK of all) */
  uint32_t key_length;
  uint32_t memory; /* bytes that key and value take of a server's */
};
/* until_ns of an entry that removes its key, and why: a client did, or the server because its time
 * was over, or for want of memory. */
#define SIM_REDIS_REMOVED UINT64_C(1)
#define SIM_REDIS_EXPIRED UINT64_C(2)
#define SIM_REDIS_EVICTED UINT64_C(3)

struct sim_redis_cluster; /* all of one service: redis_internal.h */
struct sim_redis;         /* one server */

int sim_redis_cluster_new(struct sim_world *world, const struct redis_config *config,
                          const struct sim_redis_costs *costs,
                          const struct host *const *members, /* by member, Sentinels' hosts too */
                          struct sim_redis_cluster **ret_cluster, struct error *err);
void sim_redis_cluster_free(struct sim_redis_cluster *cluster); /* NULL is fine */
/* In its steady state, at once: empty, the first so many primaries, the others following them. */
void sim_redis_bootstrap(struct sim_redis_cluster *cluster);
/* The processes of clients, by host; as sim_postgres_clients(). */
void sim_redis_clients(struct sim_redis_cluster *cluster,
                       struct sim_process *const by_host[HOSTS_MAX]);
/* How clients connect: struct redis_access.transport. */
const struct redis_transport *sim_redis_transport(struct sim_redis_cluster *cluster);
struct redis_histories *sim_redis_histories(struct sim_redis_cluster *cluster);

/* SIGTERM to a process of the service: an orderly shutdown. */
void sim_redis_terminate(struct sim_redis_cluster *cluster, struct sim_process *process);

/* Builds one bug in (enum sim_guilt, redis_guilt.c). Once, after the bootstrap. */
void sim_redis_set_guilt(struct sim_redis_cluster *cluster, int guilt, uint64_t seed);

/* --- what can be seen of a server by asking --- */

struct sim_redis_view {
  bool runs;      /* its process does */
  bool answers;   /* it runs, has its data, and is not frozen */
  bool primary;   /* role:master */
  bool writable;  /* takes writes now */
  bool link_up;   /* a replica's */
  uint32_t from;  /* a replica's: member that it follows */
  uint16_t shard; /* from 1; 0: none */
  uint32_t history;
  uint64_t offset;
  struct bits listed, overdue; /* as in struct redis_word */
  uint32_t clients;
  bool cluster_ok;
};
void sim_redis_view(struct sim_redis_cluster *cluster, uint32_t member, struct sim_redis_view *ret);
struct sim_process *sim_redis_process(struct sim_redis_cluster *cluster, uint32_t member);

/* What a Sentinel believes. */
struct sim_sentinel_word {
  bool answers, failing; /* sees its primary as down, or fails over */
  bool odown;
  uint32_t primary;
};
void sim_sentinel_word(struct sim_redis_cluster *cluster, uint32_t sentinel,
                       struct sim_sentinel_word *ret);
/* What a node of a cluster believes of a shard (from 1). */
struct sim_node_word {
  uint32_t primary; /* SIM_REDIS_NONE: nobody */
  bool failed;
  uint64_t epoch;
};
void sim_node_word(struct sim_redis_cluster *cluster, uint32_t member, uint16_t shard,
                   struct sim_node_word *ret);
bool sim_node_ok(const struct sim_redis_cluster *cluster, uint32_t member); /* cluster_state */
/* Shards, less 1, of which some node believes something else than when this was asked last. */
struct bits sim_redis_news(struct sim_redis_cluster *cluster);

/* Called at once whenever anything of a view changed but offsets, or when somebody's belief did:
 * `text` then says what a Sentinel published. One listener; NULL: none. */
void sim_redis_listen(struct sim_redis_cluster *cluster, void (*changed)(void *data), void *data);

/* Planned: SENTINEL FAILOVER or CLUSTER FAILOVER, to `member` or, SIM_REDIS_NONE, to the best
 * replica of the first primary. False: refused. */
bool sim_redis_switchover(struct sim_redis_cluster *cluster, uint32_t member);

/* --- as a cache: redis_keys.c --- */

/* How many keys match `pattern` (a text, with * at its end for anything behind it) at a member;
 * `remove`: they are removed, as by a client. */
uint64_t sim_redis_keys(struct sim_redis_cluster *cluster, uint32_t member, const char *pattern,
                        bool remove);
/* The memory of a member's server, as it counts it itself. */
struct sim_redis_memory {
  uint64_t used_bytes;
  uint64_t evicted, expired, refused; /* since its start */
  uint64_t hits, misses;              /* of reads, since its start */
};
void sim_redis_memory(struct sim_redis_cluster *cluster, uint32_t member,
                      struct sim_redis_memory *ret);
/* SETRANGE of a client: a key of so many zeros. `ret_refused`: there is no room for it. */
void sim_redis_fill(struct sim_redis_cluster *cluster, uint32_t member, const char *key,
                    uint64_t bytes, bool *ret_refused);
/* What the host's kernel sees of a process of the service, in bytes; 0: it is none. */
uint64_t sim_redis_resident(struct sim_redis_cluster *cluster, const struct sim_process *process);
/* The server is killed, and what was on its disk is gone. */
void sim_redis_lose_data(struct sim_redis_cluster *cluster, uint32_t member);

/* What an answer says that has reached its client. */
enum sim_redis_answer {
  SIM_REDIS_WRITTEN, /* `entry` is acknowledged */
  SIM_REDIS_FOUND,   /* a read found its key */
  SIM_REDIS_MISSED,  /* a read did not: until_ns says why the key is gone; 0: it never was there */
  SIM_REDIS_REFUSED, /* a write was refused for want of memory */
};
struct sim_redis_told {
  const struct sim_redis_entry *entry; /* SIM_REDIS_WRITTEN */
  const char *key;
  uint64_t until_ns;
  int answer; /* enum sim_redis_answer */
};
/* What really happens, told at the very tick. Any function may be NULL. */
struct sim_redis_truth {
  void *data;
  /* An answer has reached its client. */
  void (*received)(void *data, const struct sim_redis_told *told, uint32_t member);
  /* A server has thrown this away for want of memory. */
  void (*evicted)(void *data, const struct sim_redis_entry *entry, uint32_t member);
  void (*promoted)(void *data, uint32_t member, uint32_t history);
  void (*accepting)(void *data, uint32_t member, bool accepting);
};
void sim_redis_observe(struct sim_redis_cluster *cluster, const struct sim_redis_truth *truth);

/* Every key of a server that can be asked, with its value. */
int sim_redis_rows(struct sim_redis_cluster *cluster, uint32_t member,
                   int (*row)(void *data, const struct sim_redis_entry *entry, struct error *err),
                   void *data, struct error *err);

#endif
