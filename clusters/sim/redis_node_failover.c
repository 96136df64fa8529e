/* Elections in a simulated Redis Cluster: a replica of a failed master asks the other masters for
 * their votes, and takes its place; as in cluster.c: clusterHandleSlaveFailover(),
 * clusterGetSlaveRank(), clusterSendFailoverAuthIfNeeded(), clusterFailoverReplaceYourMaster(),
 * clusterHandleManualFailover(). */
#include "sim/redis_node.h"

#define FIXED_DELAY_NS (500 * NS_PER_MS)
#define RANDOM_DELAY_NS (500 * NS_PER_MS)
#define RANK_DELAY_NS NS_PER_S
#define REPL_PING_NS (10 * NS_PER_S) /* repl-ping-replica-period */

static uint64_t auth_timeout_ns(const struct sim_node *node) {
  uint64_t timeout_ns = 2 * node_timeout_ns(node);
  return timeout_ns < 2 * NS_PER_S ? 2 * NS_PER_S : timeout_ns;
}

/* How many replicas of the same master have more data. */
static uint32_t rank_of(struct sim_node *node) {
  const struct sim_data *data = &node->server->data;
  uint64_t offset = data_offset(data, data->count);
  uint32_t rank = 0;
  for (uint32_t i = 0; i < node->server->cluster->count; i++) {
    const struct sim_known *known = &node->known[i];
    rank += i != node->server->member && !known->master && !known->fail &&
            known->slaveof == node_self(node)->slaveof && known->offset > offset;
  }
  return rank;
}

/* Whether its data are new enough to take over. */
static bool is_valid(const struct sim_node *node) {
  const struct sim_follow *follow = &node->server->follow;
  uint32_t factor = node->server->cluster->config->replica_validity_factor;
  uint64_t timeout_ns = node_timeout_ns(node);
  uint64_t age_ns =
      node_since(node, follow->state == FOLLOW_CONNECTED ? follow->heard_ns : follow->down_ns);
  if (age_ns > timeout_ns) age_ns -= timeout_ns;
  return factor == 0 || age_ns <= REPL_PING_NS + factor * timeout_ns;
}

static void take_over(struct sim_node *node) {
  struct sim_known *self = node_self(node);
  uint32_t old = self->slaveof;
  if (self->config_epoch < node->auth_epoch) node_set_epoch(node, self, node->auth_epoch);
  for (uint32_t s = 0; s < node->server->cluster->config->masters; s++)
    if (node->owners[s] == old) node_give(node, s, node->server->member);
  node_set_master(node, MEMBER_NONE);
  node_update_state(node);
  redis_changed(node->server);
  bus_broadcast(node, BUS_PONG, MEMBER_NONE);
}

/* A new election: after a while, so that FAIL has got around, and later the less data it has. */
static void plan(struct sim_node *node, bool manual) {
  node->auth_ns = node_now_ns(node);
  node->auth_count = 0;
  node->auth_sent = false;
  node->auth_rank = manual ? 0 : rank_of(node);
  if (!manual)
    node->auth_ns += FIXED_DELAY_NS + prng_below(&node->server->prng, RANDOM_DELAY_NS) +
                     node->auth_rank * RANK_DELAY_NS;
  bus_broadcast(node, BUS_PONG, MEMBER_NONE); /* its offset, to the other replicas */
}

static void stand(struct sim_node *node, bool manual) {
  uint64_t age_ns = node_since(node, node->auth_ns);
  if (!node->auth_sent && !manual) {
    uint32_t rank = rank_of(node);
    if (rank > node->auth_rank) {
      node->auth_ns += (rank - node->auth_rank) * RANK_DELAY_NS;
      node->auth_rank = rank;
    }
  }
  if (node_now_ns(node) < node->auth_ns || age_ns > auth_timeout_ns(node)) return;
  if (!node->auth_sent) {
    node->auth_epoch = ++node->current_epoch;
    node->auth_sent = true;
    bus_broadcast(node, BUS_AUTH_REQUEST, MEMBER_NONE);
  } else if (node->auth_count >= node_majority(node)) {
    take_over(node);
  }
}

/* The master of a manual failover holds its clients back, until its replica has everything. */
static bool manual_can_start(struct sim_node *node) {
  if (node->manual_end_ns == 0) return false;
  if (node_now_ns(node) > node->manual_end_ns) {
    node->manual_end_ns = 0;
    node->manual_slave = MEMBER_NONE;
    return false;
  }
  return !node_self(node)->master && node->server->data.count == node->manual_count;
}

void node_handle_failover(struct sim_node *node) {
  const struct sim_known *self = node_self(node);
  bool manual = manual_can_start(node);
  if (self->master || self->slaveof == MEMBER_NONE) return;
  const struct sim_known *master = &node->known[self->slaveof];
  if ((!master->fail && !manual) || !node_has_slots(node, self->slaveof)) return;
  if (!manual && !is_valid(node)) return;
  bool planned =
      node->auth_ns > 0 && (node_now_ns(node) < node->auth_ns ||
                            node_since(node, node->auth_ns) <= 2 * auth_timeout_ns(node));
  if (planned && (!manual || node->auth_sent || node_now_ns(node) >= node->auth_ns))
    stand(node, manual);
  else
    plan(node, manual);
}

/* --- votes ----------------------------------------------------------------------------------- */

void node_request_vote(struct sim_node *node, const struct bus_message *message) {
  struct sim_known *sender = &node->known[message->sender];
  const struct sim_known *self = node_self(node);
  if (!self->master || !node_has_slots(node, node->server->member)) return;
  if (message->current_epoch < node->current_epoch) return;
  if (node->last_vote_epoch == node->current_epoch) return;
  if (message->slaveof == MEMBER_NONE) return;
  struct sim_known *master = &node->known[message->slaveof];
  if (!master->fail && !message->forced) return;
  if (master->voted_ns > 0 && node_since(node, master->voted_ns) < 2 * node_timeout_ns(node))
    return;
  const struct bits *claims = &message->claims;
  for (uint32_t s = bits_next(claims, 0); s < BITS_MAX; s = bits_next(claims, s + 1)) {
    uint32_t owner = node->owners[s];
    if (owner != MEMBER_NONE && node->known[owner].config_epoch > message->config_epoch) return;
  }
  node->last_vote_epoch = node->current_epoch;
  master->voted_ns = node_now_ns(node);
  bus_send(sender, BUS_AUTH_ACK);
}

void node_take_vote(struct sim_node *node, const struct bus_message *message) {
  const struct sim_known *sender = &node->known[message->sender];
  if (!sender->master || !node_has_slots(node, message->sender)) return;
  if (message->current_epoch < node->auth_epoch || node_self(node)->master) return;
  node->auth_count++;
  /* It is looked at before the loop sleeps (CLUSTER_TODO_HANDLE_FAILOVER). */
  node_handle_failover(node);
}

/* --- CLUSTER FAILOVER ------------------------------------------------------------------------ */

void node_begin_manual(struct sim_node *node, uint32_t slave) {
  if (!node_self(node)->master) return;
  node->manual_end_ns = node_now_ns(node) + NODE_MF_TIMEOUT_NS;
  node->manual_slave = slave;
  node->server->paused_until_ns = node_now_ns(node) + 2 * NODE_MF_TIMEOUT_NS;
  bus_send(&node->known[slave], BUS_PING);
}

bool node_switchover(struct sim_redis_cluster *cluster, uint32_t member) {
  if (member == MEMBER_NONE) {
    for (uint32_t i = 0; i < cluster->count; i++) {
      const struct sim_redis *server = &cluster->servers[i];
      if (server->state == REDIS_UP && server->follow.state == FOLLOW_CONNECTED &&
          redis_first_shard(cluster->config, i) == 1 &&
          (member == MEMBER_NONE || server->data.count > cluster->servers[member].data.count))
        member = i;
    }
    if (member == MEMBER_NONE) return false;
  }
  struct sim_redis *server = &cluster->servers[member];
  struct sim_node *node = server->node;
  if (!redis_answers(server) || node_self(node)->master || server->follow.state != FOLLOW_CONNECTED)
    return false;
  node->manual_end_ns = node_now_ns(node) + NODE_MF_TIMEOUT_NS;
  node->manual_count = UINT64_MAX;
  node->auth_ns = 0;
  bus_send(&node->known[node_self(node)->slaveof], BUS_MFSTART);
  return true;
}
