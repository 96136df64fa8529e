/* The bus of a simulated Redis Cluster: pings with gossip, failures that a majority agrees on, and
 * whose configuration of slots is newer; as in cluster.c: clusterProcessPacket(),
 * clusterProcessGossipSection(), markNodeAsFailingIfNeeded(), clearNodeFailureIfNeeded(),
 * clusterUpdateSlotsConfigWith(). */
#include "sim/redis_node.h"

#define BUS_BYTES 2500

static void on_message(struct sim_process *self, const struct sim_args *args);
static void on_answer(struct sim_process *self, const struct sim_args *args);

/* --- sending --------------------------------------------------------------------------------- */

/* A master's own shard is mostly the one of its number. */
static struct bits claims_of(const struct sim_node *node, uint32_t member) {
  uint32_t masters = node->server->cluster->config->masters, left = node->owned[member];
  struct bits claims = {{0}};
  for (uint32_t i = 0, s = member % masters; i < masters && left > 0; i++, s = (s + 1) % masters) {
    if (node->owners[s] != member) continue;
    bits_add(&claims, s);
    left--;
  }
  return claims;
}

static uint32_t gossip_of(uint32_t count) {
  return count / 10 < 3 ? 3 : count / 10;
}

/* All that are suspected, and a tenth of the others by chance, three at least. */
static void add_gossip(struct sim_node *node, struct bus_message *message) {
  uint32_t count = node->server->cluster->count, wanted = gossip_of(count);
  message->failing = node->suspects;
  for (uint32_t i = 0; i < wanted; i++) {
    uint32_t member = (uint32_t)prng_below(&node->server->prng, count);
    if (member == node->server->member || bits_has(&node->suspects, member)) continue;
    message->fine[message->fine_count++] =
        (struct bus_fine){.member = member, .pong_s = (uint32_t)(node->pongs[member] / NS_PER_S)};
  }
}

static struct bus_message *make(struct sim_node *node, enum bus_type type, uint32_t about) {
  struct sim_redis_cluster *cluster = node->server->cluster;
  const struct sim_known *self = node_self(node);
  struct bus_message *message = cluster->free_messages;
  if (message) {
    cluster->free_messages = message->next_free;
  } else {
    message = arena_alloc(&cluster->arena,
                          sizeof *message + gossip_of(cluster->count) * sizeof *message->fine);
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
  if (!node_is_open(known)) return;
  struct bus_message *message = make(known->node, type, about);
  if (!message) return;
  if (type == BUS_PING) node_set_ping(known, node_now_ns(known->node));
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
  const struct sim_reports *reports = known->reports;
  uint32_t count = 0;
  if (!reports) return 0;
  for (uint32_t i = bits_next(&reports->by, 0); i < BITS_MAX; i = bits_next(&reports->by, i + 1))
    count += node_since(node, reports->said_ns[i]) <= 2 * node_timeout_ns(node);
  return count;
}

void bus_forget_reports(struct sim_node *node, struct sim_known *known) {
  struct sim_redis_cluster *cluster = node->server->cluster;
  if (!known->reports) return;
  known->reports->next_free = cluster->free_reports;
  cluster->free_reports = known->reports;
  known->reports = NULL;
  bits_remove(&node->reported, known->member);
}

static struct sim_reports *take_reports(struct sim_redis_cluster *cluster) {
  struct sim_reports *reports = cluster->free_reports;
  if (reports) {
    cluster->free_reports = reports->next_free;
  } else {
    reports =
        arena_alloc(&cluster->arena, sizeof *reports + cluster->count * sizeof *reports->said_ns);
    if (!reports) {
      cluster->world->out_of_memory = true;
      return NULL;
    }
  }
  reports->by = (struct bits){{0}};
  return reports;
}

static void note_report(struct sim_node *node, struct sim_known *known, uint32_t reporter) {
  if (!known->reports) known->reports = take_reports(node->server->cluster);
  if (!known->reports) return;
  bits_add(&node->reported, known->member);
  bits_add(&known->reports->by, reporter);
  known->reports->said_ns[reporter] = node_now_ns(node);
}

static void take_back_report(struct sim_node *node, struct sim_known *known, uint32_t reporter) {
  bits_remove(&known->reports->by, reporter);
  if (!bits_any(&known->reports->by)) bus_forget_reports(node, known);
}

void bus_mark_if_needed(struct sim_node *node, struct sim_known *known) {
  if (!known->pfail || known->fail) return;
  if (count_reports(node, known) + node_self(node)->master < node_majority(node)) return;
  node_flag(node, known, false, true);
  known->fail_ns = node_now_ns(node);
  bus_broadcast(node, BUS_FAIL, known->member);
  node_update_state(node);
  redis_changed(node->server);
}

static void clear_if_needed(struct sim_node *node, struct sim_known *known) {
  bool serves = known->master && node_has_slots(node, known->member);
  if (serves && node_since(node, known->fail_ns) <= 2 * node_timeout_ns(node)) return;
  node_flag(node, known, known->pfail, false);
  node_update_state(node);
  redis_changed(node->server);
}

/* Masters' words on failures count, and so do those that take them back. Who was heard by others
 * need not be pinged. */
static void take_fine(struct sim_node *node, const struct bus_message *message, bool by_master) {
  for (uint32_t i = 0; i < message->fine_count; i++) {
    uint32_t member = message->fine[i].member;
    uint64_t pong_ns = message->fine[i].pong_s * NS_PER_S;
    if (member == node->server->member) continue;
    bool reported = bits_has(&node->reported, member);
    if (by_master && reported) take_back_report(node, &node->known[member], message->sender);
    if (pong_ns <= node->pongs[member] || bits_has(&node->pinged, member) ||
        bits_has(&node->suspects, member))
      continue;
    if (!reported || count_reports(node, &node->known[member]) == 0) node->pongs[member] = pong_ns;
  }
}

static void take_failing(struct sim_node *node, const struct bus_message *message) {
  const struct bits *failing = &message->failing;
  for (uint32_t i = bits_next(failing, 0); i < BITS_MAX; i = bits_next(failing, i + 1)) {
    if (i == node->server->member) continue;
    note_report(node, &node->known[i], message->sender);
    bus_mark_if_needed(node, &node->known[i]);
  }
}

static void take_gossip(struct sim_node *node, const struct bus_message *message) {
  bool by_master = node->known[message->sender].master;
  if (by_master) take_failing(node, message);
  take_fine(node, message, by_master);
}

/* --- who owns what --------------------------------------------------------------------------- */

/* What `owner` claims under a newer epoch is its own; who has nothing left that way follows it. */
static void update_slots(struct sim_node *node, uint32_t owner, uint64_t epoch,
                         const struct bits *claims) {
  const struct sim_known *self = node_self(node);
  uint32_t member = node->server->member, mine = self->master ? member : self->slaveof;
  bool taken = false, changed = false;
  if (owner == member) return;
  for (uint32_t s = bits_next(claims, 0); s < BITS_MAX; s = bits_next(claims, s + 1)) {
    uint32_t before = node->owners[s];
    if (before == owner) continue;
    if (before != MEMBER_NONE && node->known[before].config_epoch >= epoch) continue;
    if (before == member && redis_guilt_keeps_slots(node->server)) continue;
    taken = taken || before == mine;
    node_give(node, s, owner);
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
  if (sender->master) update_slots(node, message->sender, message->config_epoch, &message->claims);
  leave_sub_replica(node);
  const struct bits *claims = &message->claims;
  for (uint32_t s = bits_next(claims, 0); s < BITS_MAX; s = bits_next(claims, s + 1)) {
    uint32_t owner = node->owners[s];
    if (owner == MEMBER_NONE || owner == message->sender) continue;
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
    node_set_epoch(node, sender, message->config_epoch);
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
  node_flag(node, known, false, true);
  known->fail_ns = node_now_ns(node);
  node_update_state(node);
  redis_changed(node->server);
}

static void take_update(struct sim_node *node, const struct bus_message *message) {
  struct sim_known *about = &node->known[message->about];
  if (about->config_epoch >= message->config_epoch) return;
  about->master = true;
  about->slaveof = MEMBER_NONE;
  node_set_epoch(node, about, message->config_epoch);
  update_slots(node, message->about, message->config_epoch, &message->claims);
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
    server->node->pongs[known->member] = redis_now_ns(server);
    node_set_ping(known, 0);
    if (known->pfail) {
      node_flag(server->node, known, false, known->fail);
      node_update_state(server->node);
    } else if (known->fail) {
      clear_if_needed(server->node, known);
    }
    take(server->node, message);
  }
  give(server->cluster, message);
}
