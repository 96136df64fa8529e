/* The model of one Patroni among its own: its state, and what each of the clusters/sim/patroni*.c
 * files offers to the others. Patroni's main thread is a chain of calls that go on when an answer
 * has come: `after_...` is what comes next. Its executor's thread runs one action beside it; what
 * both must not do at once is done under the lock. */
#ifndef GAMEDAY_CLUSTERS_SIM_PATRONI_INTERNAL_H
#define GAMEDAY_CLUSTERS_SIM_PATRONI_INTERNAL_H

#include "sim/etcd.h"
#include "sim/patroni.h"

/* CHECKPOINT of a server with a moderate load. */
#define SIM_CHECKPOINT_NS (200 * NS_PER_MS)

/* A switchover's key, a release of the leader key, a tag, the end of Patroni. */
#define HA_QUEUED_MAX 4

/* What Patroni believes of its server. */
enum sim_belief { BELIEF_REPLICA, BELIEF_PROMOTED, BELIEF_PRIMARY, BELIEF_DEMOTED };

/* postgresql/rewind.py: REWIND_STATUS, in its order. */
enum sim_rewind {
  REWIND_INITIAL,
  REWIND_CHECKPOINT,
  REWIND_CHECK,
  REWIND_NEED,
  REWIND_NOT_NEED,
  REWIND_SUCCESS,
  REWIND_FAILED
};

/* What the executor does; ha.py's names in try_run_async(). */
enum sim_action {
  ACTION_NONE,
  ACTION_PROMOTE,
  ACTION_START,    /* follow(): "restarting after failure", "starting after demotion" */
  ACTION_RECOVER,  /* "doing crash recovery in a single user mode" */
  ACTION_REWIND,   /* "running pg_rewind" */
  ACTION_OFFLINE,  /* "demoting self because DCS is not accessible and I was a leader" */
  ACTION_GRACEFUL, /* "manual failover: demote" */
  ACTION_RESTART,
  ACTION_SHUTDOWN, /* Patroni itself ends */
};

/* What a member's REST interface answered. */
struct sim_status {
  bool reachable, primary;
  uint64_t position;
};

struct sim_manager;
/* Members that are asked at the same time. */
struct sim_inquiry {
  uint64_t number;  /* late answers are told apart */
  uint32_t waiting; /* bit: member */
  struct sim_status answers[POSTGRES_INSTANCES_MAX];
  void (*after)(struct sim_manager *m);
};

struct sim_patroni;
struct sim_manager {
  struct sim_process process; /* "patroni" */
  struct sim_patroni *patroni;
  uint32_t member;
  struct sim_postgres *server;
  struct sim_etcd_client client;
  struct prng prng;

  /* The loop. */
  bool locked;  /* a cycle, or an action that must not meet one */
  bool due;     /* a cycle waits for the lock */
  bool napping; /* between two cycles */
  bool woken;   /* dcs.event */
  uint64_t nap; /* number of the nap: stale timers are told apart */
  uint64_t next_run_ns;
  bool reach_failed; /* the store was not reached in this cycle */

  /* What this cycle knows. */
  struct sim_keys cluster;
  bool cluster_valid;
  uint32_t known; /* members of the last cluster that had a leader */
  uint64_t lease, refreshed_ns;
  uint64_t leader_until_ns; /* _is_leader */
  uint64_t told_position;   /* the last status written */
  uint64_t position;        /* of its server, when the cycle began */

  /* What it believes and remembers. */
  enum sim_belief role;
  bool starting; /* state "starting" */
  bool nosync;
  enum sim_rewind rewind;
  bool checkpointing; /* the checkpoint after a promotion is being made */
  bool crash_recovered, recovering;
  bool checkpoint_added;     /* by single-user mode: its log is no prefix of any other any more */
  uint32_t following;        /* what the server was last told to follow; NOBODY: nobody */
  bool follows;              /* it has been told */
  uint64_t sync_flush_bytes; /* who reaches this is synchronous since the names were changed */
  uint32_t sync_ready;       /* bit: member: has been */
  uint32_t sync_picked, sync_allowed; /* of the change under way */

  /* The executor. */
  enum sim_action action;
  uint64_t actions; /* number of the action: stale timers are told apart */
  uint64_t action_until_ns;
  void (*queued[HA_QUEUED_MAX])(struct sim_manager *m); /* what waits for the lock */
  uint32_t queued_count;
  uint32_t action_leader; /* whom it follows or rewinds from */
  uint32_t candidate;     /* of the switchover asked for */

  /* What comes next. */
  struct sim_inquiry inquiry;
  uint64_t loading; /* number of the wait for the cache; 0: none */
  uint64_t loads;
  void (*after_sleep)(struct sim_manager *m);
  void (*after_load)(struct sim_manager *m);
  void (*after_touch)(struct sim_manager *m);
  void (*after_lease)(struct sim_manager *m, bool reached);
  void (*after_lock)(struct sim_manager *m, bool held);
  void (*after_stop)(struct sim_manager *m);
  void (*after_check)(struct sim_manager *m);
  void (*after_call)(struct sim_manager *m, const struct sim_result *result);
  uint64_t call_stop_ns;
  bool write_status, grant_only;
};

struct sim_patroni {
  struct sim_world *world;
  const struct postgres_config *config;
  struct sim_patroni_options options;
  struct sim_postgres_cluster *servers;
  uint32_t count;
  struct sim_etcd etcd;
  struct sim_manager managers[POSTGRES_INSTANCES_MAX];
  bool starting;                /* the bootstrap: no process has a start of its own */
  struct sim_patroni_view view; /* as last told */
  void (*changed)(void *data);
  void *data;
};

static inline uint64_t ha_now_ns(const struct sim_manager *m) {
  return sim_now_ns(m->patroni->world);
}
static inline const struct postgres_config *ha_config(const struct sim_manager *m) {
  return m->patroni->config;
}
static inline bool ha_has_lock(const struct sim_manager *m) {
  return m->cluster.leader == m->member;
}
static inline bool ha_is_leader(const struct sim_manager *m) {
  return m->leader_until_ns > ha_now_ns(m);
}
static inline bool ha_server_runs(const struct sim_manager *m) {
  return sim_postgres_state(m->server) != SIM_PG_DOWN;
}
static inline bool ha_server_is_primary(const struct sim_manager *m) {
  return sim_postgres_state(m->server) == SIM_PG_PRIMARY;
}
static inline uint32_t ha_members_of(const struct sim_keys *keys) {
  uint32_t mask = 0;
  for (uint32_t i = 0; i < POSTGRES_INSTANCES_MAX; i++)
    if (keys->members[i].lease != 0) mask |= 1u << i;
  return mask;
}

/* --- patroni.c: the loop --- */

void ha_wake(struct sim_manager *m);
/* The cycle is over; the member's key is brought up to date, unless the store was not reached. */
void ha_end_cycle(struct sim_manager *m);
/* Runs `call` when no cycle runs, and keeps the next one waiting until ha_unlock(). Once is enough:
 * what waits already is not queued again. */
void ha_with_lock(struct sim_manager *m, void (*call)(struct sim_manager *m));
void ha_unlock(struct sim_manager *m);
/* `then` in `delay_ns`, in the main thread. */
void ha_sleep(struct sim_manager *m, uint64_t delay_ns, void (*then)(struct sim_manager *m));

/* --- patroni_store.c: lease, keys --- */

/* The cluster as the cache has it, into m->cluster; waits for the cache up to retry_timeout, then
 * ha_store_failed(). */
void ha_load(struct sim_manager *m, void (*then)(struct sim_manager *m));
void ha_cached(struct sim_etcd_client *client);
/* update_lock(): the lease is renewed, the key is ours; with `status` the position is told.
 * ha_store_failed() when the store does not answer. */
void ha_update_lock(struct sim_manager *m, bool status,
                    void (*then)(struct sim_manager *m, bool held));
/* attempt_to_acquire_leader(). */
void ha_acquire_lock(struct sim_manager *m, void (*then)(struct sim_manager *m, bool held));
/* The member's own key; its failure is no news. */
void ha_touch(struct sim_manager *m, void (*then)(struct sim_manager *m));
/* delete_leader(): with the position of the last checkpoint, or without (0). */
void ha_release_lock(struct sim_manager *m, uint64_t position, void (*then)(struct sim_manager *m));
/* One command; `then` gets the result. `retry`: until retry_timeout. */
void ha_call(struct sim_manager *m, const struct sim_command *command, bool retry,
             void (*then)(struct sim_manager *m, const struct sim_result *result));

/* --- patroni_rest.c --- */

/* GET /patroni of the members in `mask` but this one, 2 s at most; answers in m->inquiry. */
void ha_ask(struct sim_manager *m, uint32_t mask, void (*then)(struct sim_manager *m));
/* Whether the server of `leader` takes connections and is no standby: m->inquiry.answers[leader].
 */
void ha_visit(struct sim_manager *m, uint32_t leader, void (*then)(struct sim_manager *m));

/* --- patroni_ha.c: what a cycle decides --- */

void ha_cycle_loaded(struct sim_manager *m);
void ha_store_failed(struct sim_manager *m); /* _handle_dcs_error() */

/* --- patroni_sync.c --- */

void ha_process_sync(struct sim_manager *m); /* then the cycle ends */
/* No standby is synchronous (yet): the names in the server are empty, or "*" when strict. */
void ha_clear_sync(struct sim_manager *m, bool strict);

/* --- postgres_facts.c --- */

/* Down after it had been a primary, without a shutdown: pg_controldata says "in production". */
bool sim_postgres_crashed_primary(const struct sim_postgres *server);
/* Single-user mode has replayed its log and shut it down in order. */
void sim_postgres_recovered(struct sim_postgres *server);

/* --- patroni_action.c: what the executor does --- */

bool ha_busy(const struct sim_manager *m);
void ha_begin_promote(struct sim_manager *m);
/* follow() of a server that is down: starts it as a standby; `timeout_ns` 0: pg_ctl's. */
void ha_begin_start(struct sim_manager *m, uint32_t leader, uint64_t timeout_ns);
void ha_begin_recovery(struct sim_manager *m);
void ha_begin_rewind(struct sim_manager *m, uint32_t leader);
void ha_begin_offline(struct sim_manager *m);
void ha_begin_graceful(struct sim_manager *m);
void ha_begin_restart(struct sim_manager *m);
void ha_begin_shutdown(struct sim_manager *m);
/* Stops the server in the main thread; `then` when it is down. */
void ha_stop_now(struct sim_manager *m, void (*then)(struct sim_manager *m));

#endif
