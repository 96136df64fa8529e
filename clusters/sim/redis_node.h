/* The models of a Redis Cluster's nodes among their parts; names follow cluster.c of Redis 7.0 and
 * the cluster specification, which every rule here is taken from:
 * https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
 *
 * Slots stay together: what is owned, claimed and moved is a whole shard. Times are clock times in
 * ns, 0: never. */
#ifndef GAMEDAY_CLUSTERS_SIM_REDIS_NODE_H
#define GAMEDAY_CLUSTERS_SIM_REDIS_NODE_H

#include "sim/redis_internal.h"

#define NODE_CRON_NS (100 * NS_PER_MS)
#define NODE_WRITABLE_DELAY_NS (2 * NS_PER_S)
#define NODE_REJOIN_MIN_NS (500 * NS_PER_MS)
#define NODE_REJOIN_MAX_NS (5 * NS_PER_S)
#define NODE_MF_TIMEOUT_NS (5 * NS_PER_S)

/* Another node (or itself) as a node knows it. */
struct sim_known {
  struct sim_node *node; /* whose knowledge it is */
  uint32_t member;
  struct sim_wire *wire; /* to its bus; NULL: none */
  bool open;
  /* Kept in nodes.conf. */
  bool master, fail;
  uint32_t slaveof;
  uint64_t config_epoch;
  /* Not kept. */
  bool pfail;
  uint64_t link_ns, ping_ns, pong_ns, data_ns, fail_ns, voted_ns;
  uint64_t offset;
  uint64_t reports[REDIS_INSTANCES_MAX]; /* by reporter: when it called it failing */
};

struct sim_node {
  struct sim_redis *server;
  uint64_t current_epoch, last_vote_epoch;     /* kept */
  uint32_t owners[REDIS_SHARDS_MAX];           /* kept; by shard - 1 */
  struct sim_known known[REDIS_INSTANCES_MAX]; /* by member */
  bool ok;                                     /* cluster_state */
  uint64_t first_call_ns, minority_ns;
  uint64_t turns, cron_ns; /* of the cron; its last */
  /* The election that it stands in. */
  uint64_t auth_ns, auth_epoch;
  uint32_t auth_count, auth_rank;
  bool auth_sent;
  /* CLUSTER FAILOVER. */
  uint64_t manual_end_ns; /* 0: none */
  uint64_t manual_count;  /* entries that the master had when it paused; UINT64_MAX: not known */
  uint32_t manual_slave;  /* a master's: for whom it has paused */
};

enum bus_type {
  BUS_PING,
  BUS_PONG,
  BUS_FAIL,
  BUS_UPDATE,
  BUS_AUTH_REQUEST,
  BUS_AUTH_ACK,
  BUS_MFSTART
};

struct bus_message {
  struct bus_message *next_free;
  uint64_t current_epoch, config_epoch, offset, count;
  uint32_t sender, slaveof, about;
  uint32_t claims;                     /* bit s: shard s + 1 */
  uint32_t failing, fine;              /* gossip; bit: member */
  uint64_t pongs[REDIS_INSTANCES_MAX]; /* of the fine ones: heard of last, in whole seconds */
  uint8_t type;
  bool paused, forced;
};

static inline uint64_t node_now_ns(const struct sim_node *node) {
  return redis_now_ns(node->server);
}
static inline uint64_t node_since(const struct sim_node *node, uint64_t then_ns) {
  uint64_t now_ns = node_now_ns(node);
  return now_ns > then_ns ? now_ns - then_ns : 0;
}
static inline uint64_t node_timeout_ns(const struct sim_node *node) {
  return node->server->cluster->config->node_timeout_ns;
}
static inline struct sim_known *node_self(struct sim_node *node) {
  return &node->known[node->server->member];
}
static inline bool node_has_slots(const struct sim_node *node, uint32_t member) {
  for (uint32_t s = 0; s < node->server->cluster->config->masters; s++)
    if (node->owners[s] == member) return true;
  return false;
}

/* --- redis_node.c --- */
void node_update_state(struct sim_node *node);
/* Masters with slots: cluster size; and the majority of them. */
uint32_t node_majority(const struct sim_node *node);
/* What it is, is done by its server: replication follows. */
void node_set_master(struct sim_node *node, uint32_t master); /* MEMBER_NONE: it is one itself */

/* --- redis_node_bus.c --- */
void bus_send(struct sim_known *known, enum bus_type type);
void bus_broadcast(struct sim_node *node, enum bus_type type, uint32_t about);
void bus_mark_if_needed(struct sim_node *node, struct sim_known *known);

/* --- redis_node_failover.c --- */
void node_handle_failover(struct sim_node *node); /* each turn of the cron */
void node_request_vote(struct sim_node *node, const struct bus_message *message);
void node_take_vote(struct sim_node *node, const struct bus_message *message);
void node_begin_manual(struct sim_node *node, uint32_t slave);

#endif
