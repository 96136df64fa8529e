/* A model of etcd as Patroni uses it: voters that elect and replicate as raft does (with pre-vote
 * and check-quorum, as etcd runs it), the few keys and leases of one Patroni cluster, watches, and
 * the client that Patroni has for it. Sources: etcd's server/lease/lessor.go (leases live on the
 * leader, a new leader gives each its whole ttl again and an election timeout more, expired ones
 * are looked for every 500 ms), raft/raft.go (elections after 1 to 2 election timeouts, proposals
 * wait while there is no leader), server/etcdserver/v3_server.go; Patroni's dcs/etcd.py (time-outs,
 * order of voters) and dcs/etcd3.py (cache of the keys fed by a watch). */
#ifndef GAMEDAY_CLUSTERS_SIM_ETCD_H
#define GAMEDAY_CLUSTERS_SIM_ETCD_H

#include "base/arena.h"
#include "base/prng.h"
#include "services/postgres_parameters.h"
#include "sim/world.h"

#define NOBODY UINT32_MAX
#define SIM_LEASES_MAX 32

/* --- the keys: etcd_store.c --- */

/* What a member of Patroni says of itself: its key's value. */
struct sim_member_data {
  bool running;      /* state "running" */
  bool primary;      /* role */
  bool nosync;       /* tag: not to be chosen as synchronous */
  bool checkpointed; /* since its promotion: can be rewound from */
  uint32_t timeline;
  uint64_t position;
};

struct sim_lease {
  uint64_t id; /* 0: free */
  uint64_t ttl_ns;
};

/* All keys below Patroni's prefix, with the revisions that compares look at. */
struct sim_keys {
  uint64_t index;  /* of the last entry applied: serves as the revision of the store */
  uint32_t leader; /* holder of the leader key, or NOBODY */
  uint64_t leader_lease, leader_modified;
  uint32_t sync_leader; /* NOBODY: no key */
  uint32_t sync_mask;
  uint64_t sync_modified;
  uint64_t status_position;                     /* 0: no key */
  bool failover;                                /* a switchover is asked for */
  uint32_t failover_leader, failover_candidate; /* candidate NOBODY: any */
  struct {
    uint64_t lease; /* 0: no key */
    struct sim_member_data data;
  } members[POSTGRES_INSTANCES_MAX];
  struct sim_lease leases[SIM_LEASES_MAX];
};

enum sim_command_kind {
  /* Go through the log. */
  SIM_STORE_NOTHING,       /* raft's own first entry of a term */
  SIM_STORE_GRANT,         /* ttl_ns -> result.number: the lease */
  SIM_STORE_REVOKE,        /* lease, with all its keys */
  SIM_STORE_CREATE_LEADER, /* member, lease; refused when there is one */
  SIM_STORE_PUT_LEADER,    /* member, lease; whoever holds it */
  SIM_STORE_UPDATE_LEADER, /* member, lease; refused when another holds it */
  SIM_STORE_DELETE_LEADER, /* compare: leader_modified */
  SIM_STORE_STATUS,        /* number: position */
  SIM_STORE_SYNC,          /* member, number: mask, compare: sync_modified */
  SIM_STORE_FAILOVER,      /* member: leader, number: candidate */
  SIM_STORE_FAILOVER_DONE,
  SIM_STORE_MEMBER, /* member, lease, data */
  /* Do not. */
  SIM_STORE_KEEPALIVE, /* lease: to the leader, which keeps it in memory */
  SIM_STORE_READ,      /* a copy of the keys as this voter has them, and a watch from there on */
  SIM_STORE_VOTERS,    /* who the voters are: any voter that runs can tell */
};
struct sim_command {
  enum sim_command_kind kind;
  uint32_t member;
  uint64_t lease, number, compare;
  struct sim_member_data data;
};

enum sim_result_kind {
  SIM_RESULT_OK,
  SIM_RESULT_REFUSED,  /* the comparison failed */
  SIM_RESULT_NO_LEASE, /* the lease is gone */
  SIM_RESULT_FAILED,   /* no answer from any voter in time: Patroni's DCSError */
};
struct sim_result {
  enum sim_result_kind kind;
  uint64_t number;
};

struct sim_request;

/* One entry of the log; immutable once made, shared by the voters, linked to the one before. */
struct sim_log_entry {
  const struct sim_log_entry *before;
  uint64_t index, term;
  struct sim_command command;
  struct sim_request *request; /* NULL: the leader's own */
};

void sim_keys_init(struct sim_keys *keys);
/* Applies the next entry. Pure: the same keys and entry give the same keys and result. */
struct sim_result sim_keys_apply(struct sim_keys *keys, const struct sim_log_entry *entry);
bool sim_keys_has_lease(const struct sim_keys *keys, uint64_t lease);
/* Applies all entries from keys->index to `entry`; each is told (NULL: nobody) once it is applied.
 */
void sim_keys_catch_up(struct sim_keys *keys, const struct sim_log_entry *entry,
                       void (*applied)(void *data, const struct sim_log_entry *entry,
                                       const struct sim_result *result),
                       void *data);

/* --- voters: etcd_raft.c (log and elections), etcd.c (clients and leases) --- */

enum sim_raft_role { SIM_RAFT_FOLLOWER, SIM_RAFT_CANDIDATE, SIM_RAFT_LEADER };

struct sim_etcd;
struct sim_voter {
  struct sim_process process; /* "etcd" */
  struct sim_etcd *etcd;
  uint32_t index;
  /* On the disk. */
  uint64_t term;
  uint32_t vote;
  const struct sim_log_entry *durable; /* the last entry that is flushed */
  /* In memory. */
  const struct sim_log_entry *last;
  enum sim_raft_role role;
  uint32_t leader;   /* NOBODY: not known */
  uint64_t heard_ns; /* from the leader */
  uint64_t patience_ns;
  uint32_t granted; /* bit: voter */
  bool asking;      /* pre-vote under way, without a term of its own yet */
  uint64_t matched[POSTGRES_INSTANCES_MAX], answered_ns[POSTGRES_INSTANCES_MAX];
  uint64_t reign;  /* grows with each role taken: stale timers are told apart */
  uint64_t commit; /* index */
  uint64_t join;   /* where the log ended when it began to follow or lead; 0: it does not yet */
  bool serves;     /* clients: it has been as far as that */
  struct sim_keys keys; /* applied so far */
  /* The lessor: only the leader's counts, and only once it has applied an entry of its own. */
  bool lessor;
  uint64_t lease_end_ns[SIM_LEASES_MAX];    /* by place in keys.leases */
  struct sim_request *waiting;              /* for a leader, in order of arrival */
  uint64_t streams[POSTGRES_INSTANCES_MAX]; /* by client: the watch it has here; 0: none */
  struct prng prng;
};

struct sim_etcd_client;
struct sim_etcd {
  struct sim_world *world;
  struct arena arena; /* entries, requests and copies of keys: a few a second */
  uint32_t voter_count;
  uint64_t fsync_ns;
  struct sim_voter voters[POSTGRES_INSTANCES_MAX];
  struct sim_etcd_client *clients[POSTGRES_INSTANCES_MAX];
  uint32_t client_count;
  /* As the first voter to apply it has it: what an observer of all voters knows. */
  uint64_t seen_index;
  uint32_t seen_leader;
  void (*changed)(void *data); /* seen_leader, or whether a leader reigns */
  void *data;
};

/* `etcd` zeroed. */
void sim_etcd_init(struct sim_etcd *etcd, struct sim_world *world, uint64_t fsync_ns,
                   uint32_t voter_count, const struct host *const *hosts);
void sim_etcd_release(struct sim_etcd *etcd);
/* All voters run, one drawn from the seed leads, `keys` are in the store; leases end at
 * `lease_end_ns` (by place in keys->leases). */
void sim_etcd_bootstrap(struct sim_etcd *etcd, const struct sim_keys *keys,
                        const uint64_t lease_end_ns[SIM_LEASES_MAX]);
/* SIGTERM: hands the lead over, and ends. */
void sim_etcd_terminate(struct sim_voter *voter);
/* A voter leads and is not known to have lost its majority. */
bool sim_etcd_alive(const struct sim_etcd *etcd);
void *sim_etcd_alloc(struct sim_etcd *etcd, size_t size); /* NULL: noted in the world */

/* Between etcd_raft.c and etcd.c. */
void sim_raft_init(struct sim_voter *voter);
void sim_raft_started(struct sim_voter *voter);
void sim_raft_lead(struct sim_voter *voter); /* at once: for the bootstrap */
/* A leader asks its best follower to stand for election at once (MsgTimeoutNow). */
void sim_raft_hand_over(struct sim_voter *voter);
/* The leader's: appends and sends. */
void sim_raft_propose(struct sim_voter *voter, const struct sim_command *command,
                      struct sim_request *request);
void sim_voter_applied(struct sim_voter *voter, const struct sim_log_entry *entry,
                       const struct sim_result *result);
void sim_voter_led(struct sim_voter *voter); /* its leader is another one than before */
/* It follows, or leads, a log that ends at `index`. */
void sim_voter_joined(struct sim_voter *voter, uint64_t index);
bool sim_raft_fresh(const struct sim_args *args); /* `wanted` of messages between voters */

/* --- the client of one Patroni: etcd_client.c --- */

/* One attempt at one voter. */
struct sim_request {
  struct sim_command command;
  struct sim_etcd_client *client;
  struct sim_process *from;
  uint64_t from_life;
  struct sim_voter *voter;
  uint64_t voter_life;
  uint64_t received_ns;
  bool over;                /* the client has given it up, or has its answer */
  bool connected;           /* TCP is open */
  struct sim_request *next; /* waiting for a leader */
  /* The answer. */
  struct sim_result result;
  const struct sim_keys *keys;       /* SIM_STORE_READ */
  const struct sim_log_entry *entry; /* what it has become in the log; NULL: nothing */
};

/* A chain of attempts for one command, as Patroni's api_execute() makes them. */
struct sim_attempts {
  struct sim_etcd_client *client;
  struct sim_command command;
  bool active;
  bool listing;        /* asks who the voters are, after a round that failed */
  uint64_t stop_ns;    /* until then it is tried again; 0: one attempt */
  uint64_t timeout_ns; /* of one attempt */
  uint64_t delay_ns;   /* between two rounds */
  uint32_t order[POSTGRES_INSTANCES_MAX], count, repeats, next; /* of a round */
  struct sim_request *request;                                  /* the attempt under way */
  uint64_t round;                                               /* stale timers are told apart */
  void (*done)(struct sim_etcd_client *client, const struct sim_result *result);
};

struct sim_etcd_client {
  struct sim_etcd *etcd;
  struct sim_process *process; /* Patroni's */
  uint32_t index;
  uint64_t retry_timeout_ns;
  uint64_t idle_ns, dead_ns; /* TCP keepalive of the watch: asks after, and gives up after */
  struct prng prng;
  uint32_t voters[POSTGRES_INSTANCES_MAX];    /* in the order in which they are tried */
  uint32_t base;                              /* the one that is tried first */
  bool stale;                                 /* the list of voters is to be asked for first */
  uint64_t connected[POSTGRES_INSTANCES_MAX]; /* life of the voter to which TCP is open; 0: none */
  struct sim_attempts main, reader;           /* Patroni's main thread, and its cache's */
  /* The cache of the keys, fed by a watch. */
  bool ready, again;
  struct sim_keys keys;
  uint64_t stream;                                /* grows with each watch begun */
  uint32_t watched;                               /* the voter */
  uint64_t watched_life, heard_ns, probe;         /* its life; keepalive */
  void (*cached)(struct sim_etcd_client *client); /* the cache has become ready */
  /* The watch has told of an entry that changes the keys; `before`: the leader and the status that
   * the cache had. */
  void (*news)(struct sim_etcd_client *client, uint32_t leader_before, uint64_t position_before);
};

/* `client` zeroed but for `cached` and `news`. */
void sim_etcd_client_init(struct sim_etcd_client *client, struct sim_etcd *etcd,
                          struct sim_process *process, uint64_t retry_timeout_ns, uint64_t idle_ns,
                          uint64_t dead_ns);
/* Patroni has started: draws an order of voters, fills the cache. */
void sim_etcd_client_start(struct sim_etcd_client *client);
/* As if that had been done: for the bootstrap, after that of etcd. */
void sim_etcd_client_bootstrap(struct sim_etcd_client *client);
void sim_etcd_client_stop(struct sim_etcd_client *client); /* Patroni has died */
/* `done` with the result, later. All voters are tried until `stop_ns`; 0: one is tried once. One
 * command at a time. */
void sim_etcd_client_call(struct sim_etcd_client *client, const struct sim_command *command,
                          uint64_t stop_ns,
                          void (*done)(struct sim_etcd_client *client,
                                       const struct sim_result *result));
/* Deliver of a voter's messages: the answer to a request (`pointer`); an entry (`pointer2`) on the
 * watch `number`. */
void sim_etcd_client_answered(struct sim_process *process, const struct sim_args *args);
void sim_etcd_client_told(struct sim_process *process, const struct sim_args *args);
/* The voter's process is gone, its host is not: connections are closed. */
void sim_etcd_client_reset(struct sim_etcd_client *client, const struct sim_voter *voter);
/* Deliver of a request (`pointer`) to a voter. */
void sim_etcd_receive(struct sim_process *self, const struct sim_args *args);

#endif
