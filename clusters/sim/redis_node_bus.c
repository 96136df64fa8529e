/* The bus of a simulated Redis Cluster: pings with gossip, failures that a majority agrees on, and
 * whose configuration of slots is newer; as in cluster.c: clusterProcessPacket(),
 * clusterProcessGossipSection(), markNodeAsFailingIfNeeded(), clearNodeFailureIfNeeded(),
 * clusterUpdateSlotsConfigWith(). */
#include "sim/redis_node.h"

#define BUS_BYTES 2500

static void on_message(struct sim_process *self, const struct sim_args *args);
static void on_answer(struct sim_process *self, const struct sim_args *args);

/* --- sending --------------------------------------------------------------------------------- */

static uint32_t claims_of(const struct sim_node *node, uint32_t member) {
  uint32_t claims = 0;
  for (uint32_t s = 0; s < node->server->cluster->config->masters; s++)
    if (node->owners[s] == member) claims |= UINT32_C(1) << s;
  return claims;
}

/* All that are suspected, and three others by chance. */
static void add_gossip(struct sim_node *node, struct bus_message *message) {
  uint32_t count = node->server->cluster->count;
  for (uint32_t i = 0; i < count; i++)
    if (node->known[i].pfail || node->known[i].fail) message->failing |= UINT32_C(1) << i;
  for (int i = 0; i < 3; i++) {
    uint32_t member = (uint32_t)prng_below(&node->server->prng, count);
    const struct sim_known *known = &node->known[member];
    if (member == node->server->member || known->pfail || known->fail) continue;
    message->fine |= UINT32_C(1) << member;
    message->pongs[member] = known->pong_ns / NS_PER_S * NS_PER_S;
  }
}

static struct bus_message *make(struct sim_node *node, enum bus_type type, uint32_t about) {
  struct sim_redis_cluster *cluster = node->server->cluster;
  const struct sim_known *self = node_self(node);
  struct bus_message *message = cluster->free_messages;
  if (message) {
    cluster->free_messages = message->next_free;
  } else {
    message = arena_alloc(&cluster->arena, sizeof *message);
    if (!message) {
      cluster->world->out_of_memory = true;
      return NULL;
    }
  }
  uint32_t master = self->master ? node->server->member : self->slaveof;
  *message =
      (struct bus_message){.type = (uint8_t)type,
                           .sender = node->server->member,
                           .current_epoch = node->current_epoch,
                           .config_epoch = node->known[master].config_epoch,
                           .offset = data_offset(&node->server->data, node->server->data.count),
                           .count = node->server->data.count,
                           .slaveof = self->slaveof,
                           .about = about,
                           .claims = claims_of(node, master),
                           .paused = self->master && node->manual_end_ns > 0,
                           .forced = node->manual_end_ns > 0};
  add_gossip(node, message);
  return message;
}

static void give(struct sim_redis_cluster *cluster, struct bus_message *message) {
  message->next_free = cluster->free_messages;
  cluster->free_messages = message;
}

static void send_about(struct sim_known *known, enum bus_type type, uint32_t about) {
  if (!known->open) return;
  struct bus_message *message = make(known->node, type, about);
  if (!message) return;
  if (type == BUS_PING) known->ping_ns = node_now_ns(known->node);
  if (type == BUS_UPDATE) {
    message->config_epoch = known->node->known[about].config_epoch;
    message->claims = claims_of(known->node, about);
  }
  sim_wire_tell(known->wire, on_message, &(struct sim_args){.pointer2 = message}, BUS_BYTES);
}

void bus_send(struct sim_known *known, enum bus_type type) {
  send_about(known, type, MEMBER_NONE);
}

void bus_broadcast(struct sim_node *node, enum bus_type type, uint32_t about) {
  for (uint32_t i = 0; i < node->server->cluster->count; i++)
    if (i != node->server->member) send_about(&node->known[i], type, about);
}

/* --- failures -------------------------------------------------------------------------------- */

static uint32_t count_reports(struct sim_node *node, const struct sim_known *known) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < node->server->cluster->count; i++)
    count +=
        known->reports[i] > 0 && node_since(node, known->reports[i]) <= 2 * node_timeout_ns(node);
  return count;
}

void bus_mark_if_needed(struct sim_node *node, struct sim_known *known) {
  if (!known->pfail || known->fail) return;
  if (count_reports(node, known) + node_self(node)->master < node_majority(node)) return;
  known->pfail = false;
  known->fail = true;
  known->fail_ns = node_now_ns(node);
  bus_broadcast(node, BUS_FAIL, known->member);
  node_update_state(node);
  redis_changed(node->server);
}

static void clear_if_needed(struct sim_node *node, struct sim_known *known) {
  bool serves = known->master && node_has_slots(node, known->member);
  if (serves && node_since(node, known->fail_ns) <= 2 * node_timeout_ns(node)) return;
  known->fail = false;
  node_update_state(node);
  redis_changed(node->server);
}

/* Masters' words on failures count. */
static void take_report(struct sim_node *node, const struct bus_message *message,
                        struct sim_known *known) {
  if (!node->known[message->sender].master) return;
  if (message->failing >> known->member & 1) {
    known->reports[message->sender] = node_now_ns(node);
    bus_mark_if_needed(node, known);
  } else if (message->fine >> known->member & 1) {
    known->reports[message->sender] = 0;
  }
}

/* Who was heard by others need not be pinged. */
static void take_pong_time(struct sim_node *node, const struct bus_message *message,
                           struct sim_known *known) {
  bool quiet = known->ping_ns == 0 && !known->pfail && !known->fail;
  uint64_t pong_ns = message->pongs[known->member];
  if (quiet && count_reports(node, known) == 0 && pong_ns > known->pong_ns)
    known->pong_ns = pong_ns;
}

static void take_gossip(struct sim_node *node, const struct bus_message *message) {
  for (uint32_t i = 0; i < node->server->cluster->count; i++) {
    if (i == node->server->member) continue;
    take_report(node, message, &node->known[i]);
    if (message->fine >> i & 1) take_pong_time(node, message, &node->known[i]);
  }
}

/* --- who owns what --------------------------------------------------------------------------- */

/* What `owner` claims under a newer epoch is its own; who has nothing left that way follows it. */
static void update_slots(struct sim_node *node, uint32_t owner, uint64_t epoch, uint32_t claims) {
  const struct sim_known *self = node_self(node);
  uint32_t member = node->server->member, mine = self->master ? member : self->slaveof;
  bool taken = false, changed = false;
  if (owner == member) return;
  for (uint32_t s = 0; s < node->server->cluster->config->masters; s++) {
    uint32_t before = node->owners[s];
    if (!(claims >> s & 1) || before == owner) continue;
    if (before != MEMBER_NONE && node->known[before].config_epoch >= epoch) continue;
    if (before == member && redis_guilt_keeps_slots(node->server)) continue;
    taken = taken || before == mine;
    node->owners[s] = owner;
    changed = true;
  }
  if (taken && !node_has_slots(node, mine)) node_set_master(node, owner);
  if (!changed) return;
  node_update_state(node);
  redis_changed(node->server);
}

/* A replica whose master has become a replica goes to that one's master. */
static void leave_sub_replica(struct sim_node *node) {
  const struct sim_known *self = node_self(node);
  if (self->master) return;
  const struct sim_known *master = &node->known[self->slaveof];
  if (!master->master && master->slaveof != MEMBER_NONE && master->slaveof != node->server->member)
    node_set_master(node, master->slaveof);
}

static void take_role(struct sim_node *node, const struct bus_message *message) {
  struct sim_known *sender = &node->known[message->sender];
  sender->master = message->slaveof == MEMBER_NONE;
  sender->slaveof = message->slaveof;
}

static void take_claims(struct sim_node *node, const struct bus_message *message) {
  struct sim_known *sender = &node->known[message->sender];
  if (sender->master) update_slots(node, message->sender, message->config_epoch, message->claims);
  leave_sub_replica(node);
  for (uint32_t s = 0; s < node->server->cluster->config->masters; s++) {
    uint32_t owner = node->owners[s];
    if (!(message->claims >> s & 1) || owner == MEMBER_NONE || owner == message->sender) continue;
    if (node->known[owner].config_epoch <= message->config_epoch) continue;
    send_about(sender, BUS_UPDATE, owner);
    return;
  }
}

/* --- receiving ------------------------------------------------------------------------------- */

static void take_head(struct sim_node *node, const struct bus_message *message) {
  struct sim_known *sender = &node->known[message->sender];
  sender->data_ns = node_now_ns(node);
  if (message->current_epoch > node->current_epoch) node->current_epoch = message->current_epoch;
  /* A replica's header carries its master's. */
  if (message->slaveof == MEMBER_NONE && message->config_epoch > sender->config_epoch &&
      message->type != BUS_UPDATE)
    sender->config_epoch = message->config_epoch;
  sender->offset = message->offset;
  if (message->paused && node->manual_end_ns && node_self(node)->slaveof == message->sender &&
      node->manual_count == UINT64_MAX)
    node->manual_count = message->count;
}

static void take_ping(struct sim_node *node, const struct bus_message *message) {
  take_role(node, message);
  take_claims(node, message);
  take_gossip(node, message);
}

static void take_fail(struct sim_node *node, uint32_t about) {
  struct sim_known *known = &node->known[about];
  if (about == node->server->member || known->fail) return;
  known->fail = true;
  known->pfail = false;
  known->fail_ns = node_now_ns(node);
  node_update_state(node);
  redis_changed(node->server);
}

static void take_update(struct sim_node *node, const struct bus_message *message) {
  struct sim_known *about = &node->known[message->about];
  if (about->config_epoch >= message->config_epoch) return;
  about->master = true;
  about->slaveof = MEMBER_NONE;
  about->config_epoch = message->config_epoch;
  update_slots(node, message->about, message->config_epoch, message->claims);
}

static void take(struct sim_node *node, const struct bus_message *message) {
  take_head(node, message);
  switch ((enum bus_type)message->type) {
    case BUS_PING:
    case BUS_PONG: take_ping(node, message); break;
    case BUS_FAIL: take_fail(node, message->about); break;
    case BUS_UPDATE: take_update(node, message); break;
    case BUS_AUTH_REQUEST: node_request_vote(node, message); break;
    case BUS_AUTH_ACK: node_take_vote(node, message); break;
    case BUS_MFSTART: node_begin_manual(node, message->sender); break;
  }
}

static void on_message(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  struct bus_message *message = args->pointer2;
  struct sim_wire *wire = sim_wire_at_program(args);
  /* A server that loads its data does not get to its bus. */
  if (wire && server->state == REDIS_UP) {
    struct bus_message *pong =
        message->type == BUS_PING ? make(server->node, BUS_PONG, MEMBER_NONE) : NULL;
    if (pong) sim_wire_answer(wire, on_answer, &(struct sim_args){.pointer2 = pong}, BUS_BYTES);
    take(server->node, message);
  }
  give(server->cluster, message);
}

static void on_answer(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  struct bus_message *message = args->pointer2;
  struct sim_wire *wire = sim_wire_at_opener(args);
  struct sim_known *known = wire ? wire->owner : NULL;
  if (known && known->wire == wire) {
    known->pong_ns = redis_now_ns(server);
    known->ping_ns = 0;
    if (known->pfail) {
      known->pfail = false;
      node_update_state(server->node);
    } else if (known->fail) {
      clear_if_needed(server->node, known);
    }
    take(server->node, message);
  }
  give(server->cluster, message);
}
