/* The models of Redis Sentinels among their parts. One monitored primary; names of functions and
 * fields follow sentinel.c, which every rule here is taken from. Times are clock times in ns. */
#ifndef GAMEDAY_CLUSTERS_SIM_REDIS_SENTINEL_H
#define GAMEDAY_CLUSTERS_SIM_REDIS_SENTINEL_H

#include "sim/redis_internal.h"

#define SENTINEL_NONE UINT32_MAX
#define SENTINEL_INFO_NS (10 * NS_PER_S)
#define SENTINEL_PING_NS NS_PER_S
#define SENTINEL_ASK_NS NS_PER_S
#define SENTINEL_PUBLISH_NS (2 * NS_PER_S)
#define SENTINEL_SLAVE_RECONF_NS (10 * NS_PER_S)
#define SENTINEL_MIN_LINK_RECONNECT_NS (15 * NS_PER_S)
#define SENTINEL_ELECTION_NS (10 * NS_PER_S)
#define SENTINEL_MAX_DESYNC_NS NS_PER_S
#define SENTINEL_TILT_TRIGGER_NS (2 * NS_PER_S)
#define SENTINEL_TILT_NS (30 * NS_PER_S)
#define SENTINEL_MAX_PENDING 100u

/* A connection for commands; that for messages of others (hello) is not modelled apart. */
struct sentinel_link {
  struct sim_sentinel *sentinel;
  struct sim_wire *wire; /* NULL: disconnected */
  bool open;             /* TCP is; what is sent before waits, but for a ping is not kept */
  bool peer;             /* to another Sentinel */
  uint32_t index;        /* of the member, or of the Sentinel */
  uint64_t reconnect_ns, connect_ns, act_ping_ns, last_ping_ns, last_pong_ns, last_avail_ns;
  uint64_t last_pub_ns, s_down_since_ns;
  uint32_t pending;
  bool s_down;
};

enum reconf { RECONF_NOT, RECONF_SENT, RECONF_INPROG, RECONF_DONE };

/* A server as a Sentinel sees it. */
struct sentinel_view {
  struct sentinel_link link;
  bool known;    /* as a replica of the primary, or as the primary itself */
  bool reported; /* role_reported: it said that it is a primary */
  bool link_up;  /* master_link_status */
  uint8_t reconf;
  uint32_t from; /* that it follows */
  uint64_t run, offset, info_ns, role_ns, conf_ns, link_down_ns, reconf_ns;
};

struct sentinel_peer {
  struct sentinel_link link;
  bool master_down;
  uint32_t leader; /* that it voted for; SENTINEL_NONE */
  uint64_t leader_epoch, reply_ns;
};

enum failover_state {
  FAILOVER_NONE,
  FAILOVER_WAIT_START,
  FAILOVER_SELECT_SLAVE,
  FAILOVER_SEND_SLAVEOF_NOONE,
  FAILOVER_WAIT_PROMOTION,
  FAILOVER_RECONF_SLAVES,
  FAILOVER_UPDATE_CONFIG,
};

/* What it writes into its configuration file with each change. */
struct sentinel_belief {
  uint32_t master;
  uint64_t config_epoch, current_epoch, leader_epoch;
  uint32_t leader;
};

struct sim_sentinel {
  struct sim_program program;
  struct sim_redis_cluster *cluster;
  uint32_t index;
  struct sentinel_belief belief; /* kept */
  struct sentinel_view views[REDIS_INSTANCES_MAX];
  struct sentinel_peer peers[REDIS_SENTINELS_MAX];
  struct prng prng;
  bool o_down;
  uint8_t failover; /* enum failover_state */
  bool forced;      /* SENTINEL FAILOVER */
  uint32_t promoted;
  uint64_t failover_epoch;
  uint64_t failover_start_ns, failover_change_ns;
  bool tilt;
  uint64_t tilt_ns, previous_ns;
};

static inline uint64_t sentinel_now_ns(const struct sim_sentinel *sentinel) {
  return sim_now_ns(sentinel->cluster->world);
}
static inline struct sentinel_view *sentinel_master(struct sim_sentinel *sentinel) {
  return &sentinel->views[sentinel->belief.master];
}
/* Both are 0 where nothing of the kind ever happened. */
static inline uint64_t sentinel_since(const struct sim_sentinel *sentinel, uint64_t then_ns) {
  uint64_t now_ns = sentinel_now_ns(sentinel);
  return now_ns > then_ns ? now_ns - then_ns : 0;
}

/* --- redis_sentinel.c --- */
void sentinel_changed(struct sim_sentinel *sentinel); /* what it believes */
void sentinel_send_ping(struct sentinel_link *link);
/* sentinelResetMasterAndChangeAddress() */
void sentinel_switch_master(struct sim_sentinel *sentinel, uint32_t master);

/* --- redis_sentinel_talk.c --- */
void talk_ping(struct sentinel_link *link);
void talk_info(struct sentinel_view *view);
void talk_hello(struct sentinel_link *link);
/* SLAVEOF, CONFIG REWRITE, CLIENT KILL, in one transaction; false: no connection. */
bool talk_slaveof(struct sentinel_view *view, uint32_t from);
/* SENTINEL is-master-down-by-addr; `vote`: and asks for its vote. */
void talk_ask(struct sentinel_peer *peer, bool vote);
/* "+switch-master" to the clients that have subscribed to it. */
void talk_publish_switch(struct sim_sentinel *sentinel, uint32_t old, uint32_t new);

/* --- redis_sentinel_failover.c --- */
/* What is done with the primary at each turn of the timer, after it was checked for S_DOWN. */
void failover_turn(struct sim_sentinel *sentinel);
/* sentinelVoteLeader() */
uint32_t failover_vote(struct sim_sentinel *sentinel, uint64_t epoch, uint32_t candidate,
                       uint64_t *ret_leader_epoch);
/* The acting half of sentinelRefreshInstanceInfo(). */
void failover_take_info(struct sim_sentinel *sentinel, struct sentinel_view *view);
/* The one that it tells clients: sentinelGetCurrentMasterAddress(). */
uint32_t failover_current_master(const struct sim_sentinel *sentinel);
bool failover_force(struct sim_sentinel *sentinel, uint32_t wanted);

#endif
