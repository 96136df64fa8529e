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

/* Masters' words that another node is failing. */
struct sim_reports {
  struct sim_reports *next_free;
  struct bits by;
  uint64_t said_ns[]; /* by master */
};

/* Another node (or itself) as a node knows it. In a large cluster each has one of each: what every
 * turn of the cron and all gossip look at is not here, but stands together in struct sim_node. */
struct sim_known {
  uint64_t ping_ns; /* node_set_ping() */
  uint64_t data_ns, link_ns;
  struct sim_reports *reports; /* NULL: none */
  struct sim_wire *wire;       /* to its bus; NULL: none; node_set_wire() */
  uint32_t slaveof;            /* kept in nodes.conf, as `master`, `fail` and config_epoch */
  bool pfail, fail;            /* node_flag() */
  bool master;
  uint64_t config_epoch; /* node_set_epoch() */
  uint64_t fail_ns, voted_ns, offset;
  struct sim_node *node; /* whose knowledge it is */
  uint32_t member;
};

struct sim_node {
  struct sim_redis *server;
  uint64_t current_epoch, last_vote_epoch; /* kept */
  uint32_t *owners;                        /* kept; by shard - 1; changed by node_give() */
  uint32_t *owned;                         /* by member: how many shards */
  struct sim_known *known;                 /* by member */
  uint64_t *pongs;                         /* by member: when it was heard of last */
  struct bits open;                        /* members that the wire is open to */
  struct bits pinged;                      /* members that have not answered: ping_ns is not 0 */
  struct bits suspects;                    /* members that are pfail or fail; node_flag() */
  struct bits reported;                    /* members of whom there are reports */
  uint32_t wires;                          /* members that there is a wire to */
  bool ok;                                 /* cluster_state */
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

/* Gossip of a node that is fine. */
struct bus_fine {
  uint32_t member;
  uint32_t pong_s; /* heard of last */
};

struct bus_message {
  struct bus_message *next_free;
  uint64_t current_epoch, config_epoch, offset, count;
  uint32_t sender, slaveof, about;
  uint8_t type;
  bool paused, forced;
  uint32_t fine_count;
  struct bits claims;     /* s: shard s + 1 */
  struct bits failing;    /* gossip: members */
  struct bus_fine fine[]; /* gossip */
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
  return node->owned[member] > 0;
}

/* What is known of the member's shards is not what it was. */
static inline void node_words_changed(struct sim_node *node, uint32_t member) {
  struct sim_redis_cluster *cluster = node->server->cluster;
  uint32_t left = node->owned[member], shards = cluster->config->masters;
  /* A master's own shard is mostly the one of its number. */
  for (uint32_t i = 0, s = member % shards; i < shards && left > 0; i++, s = (s + 1) % shards) {
    if (node->owners[s] != member) continue;
    bits_add(&cluster->words_changed, s);
    left--;
  }
}
static inline void node_flag(struct sim_node *node, struct sim_known *known, bool pfail,
                             bool fail) {
  if (known->fail != fail) node_words_changed(node, known->member);
  known->pfail = pfail;
  known->fail = fail;
  if (pfail || fail)
    bits_add(&node->suspects, known->member);
  else
    bits_remove(&node->suspects, known->member);
}
static inline void node_give(struct sim_node *node, uint32_t shard, uint32_t owner) {
  if (node->owners[shard] != MEMBER_NONE) node->owned[node->owners[shard]]--;
  node->owners[shard] = owner;
  if (owner != MEMBER_NONE) node->owned[owner]++;
  bits_add(&node->server->cluster->words_changed, shard);
}
static inline void node_set_epoch(struct sim_node *node, struct sim_known *known, uint64_t epoch) {
  known->config_epoch = epoch;
  node_words_changed(node, known->member);
}
static inline void node_set_wire(struct sim_known *known, struct sim_wire *wire) {
  if (known->wire) known->node->wires--;
  if (wire) known->node->wires++;
  known->wire = wire;
  bits_remove(&known->node->open, known->member);
}
static inline void node_set_ping(struct sim_known *known, uint64_t ping_ns) {
  known->ping_ns = ping_ns;
  if (ping_ns > 0)
    bits_add(&known->node->pinged, known->member);
  else
    bits_remove(&known->node->pinged, known->member);
}
static inline bool node_is_open(const struct sim_known *known) {
  return bits_has(&known->node->open, known->member);
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
void bus_forget_reports(struct sim_node *node, struct sim_known *known);

/* --- redis_node_failover.c --- */
void node_handle_failover(struct sim_node *node); /* each turn of the cron */
void node_request_vote(struct sim_node *node, const struct bus_message *message);
void node_take_vote(struct sim_node *node, const struct bus_message *message);
void node_begin_manual(struct sim_node *node, uint32_t slave);

#endif
