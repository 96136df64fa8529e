/* The life of a simulated cluster node: its cron, its links, whom it suspects (PFAIL), whether it
 * serves (cluster_state), and what it says of slots; as in cluster.c: clusterCron(),
 * clusterUpdateState(), getNodeByQuery(), clusterReplyMultiBulkSlots(). */
#include "sim/redis_node.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

/* --- state ----------------------------------------------------------------------------------- */

uint32_t node_majority(const struct sim_node *node) {
  uint32_t size = 0;
  for (uint32_t i = 0; i < node->server->cluster->count; i++)
    size += node->known[i].master && node_has_slots(node, i);
  return size / 2 + 1;
}

static bool all_covered(const struct sim_node *node) {
  for (uint32_t s = 0; s < node->server->cluster->config->masters; s++)
    if (node->owners[s] == MEMBER_NONE || node->known[node->owners[s]].fail) return false;
  return true;
}

static bool sees_majority(const struct sim_node *node) {
  uint32_t reachable = 0;
  for (uint32_t i = 0; i < node->server->cluster->count; i++) {
    const struct sim_known *known = &node->known[i];
    reachable += known->master && node_has_slots(node, i) && !known->fail && !known->pfail;
  }
  return reachable >= node_majority(node);
}

/* A master that comes back from a start or from a minority waits before it takes writes: somebody
 * may have taken its place. */
void node_update_state(struct sim_node *node) {
  bool master = node_self(node)->master, ok = true;
  if (node->first_call_ns == 0) node->first_call_ns = node_now_ns(node);
  if (master && !node->ok && node_since(node, node->first_call_ns) < NODE_WRITABLE_DELAY_NS) return;
  if (node->server->cluster->config->require_full_coverage) ok = all_covered(node);
  if (!sees_majority(node)) {
    ok = false;
    node->minority_ns = node_now_ns(node);
  }
  if (ok == node->ok) return;
  uint64_t delay_ns = node_timeout_ns(node);
  if (delay_ns > NODE_REJOIN_MAX_NS) delay_ns = NODE_REJOIN_MAX_NS;
  if (delay_ns < NODE_REJOIN_MIN_NS) delay_ns = NODE_REJOIN_MIN_NS;
  if (ok && master && node_since(node, node->minority_ns) < delay_ns) return;
  node->ok = ok;
  redis_changed(node->server);
}

bool node_ok(const struct sim_redis *server) {
  return server->node->ok;
}

void node_set_master(struct sim_node *node, uint32_t master) {
  struct sim_known *self = node_self(node);
  self->master = master == MEMBER_NONE;
  self->slaveof = master;
  node->manual_end_ns = 0;
  redis_replicaof(node->server, master);
  redis_changed(node->server);
}

/* --- links ----------------------------------------------------------------------------------- */

static void opened(struct sim_wire *wire) {
  struct sim_known *known = wire->owner;
  uint64_t before_ns = known->ping_ns;
  bits_add(&known->node->open, known->member);
  bus_send(known, BUS_PING);
  /* A ping that is not answered yet counts from when it was sent first. */
  if (before_ns > 0) node_set_ping(known, before_ns);
}

static void lost(struct sim_wire *wire, const char *why) {
  struct sim_known *known = wire->owner;
  (void)why;
  if (known->wire != wire) return;
  node_set_wire(known, NULL);
  if (known->ping_ns == 0) node_set_ping(known, node_now_ns(known->node));
}

static void reconnect(struct sim_node *node, struct sim_known *known) {
  static const struct sim_wire_events events = {.opened = opened, .lost = lost};
  struct sim_redis_cluster *cluster = node->server->cluster;
  if (known->wire) return;
  known->link_ns = node_now_ns(node);
  node_set_wire(
      known, sim_wire_open(&cluster->wires, &node->server->bus.process, &node->server->bus.kernel,
                           &cluster->servers[known->member].bus, &events, known));
}

static void drop_link(struct sim_known *known) {
  struct sim_wire *wire = known->wire;
  node_set_wire(known, NULL);
  sim_wire_close(wire);
}

/* --- cron ------------------------------------------------------------------------------------ */

/* Every second, of five nodes by chance the one that was heard longest ago. */
static void ping_somebody(struct sim_node *node) {
  struct sim_known *oldest = NULL;
  for (int i = 0; i < 5; i++) {
    struct sim_known *known =
        &node->known[prng_below(&node->server->prng, node->server->cluster->count)];
    if (known == node_self(node) || !node_is_open(known) || known->ping_ns) continue;
    if (!oldest || node->pongs[known->member] < node->pongs[oldest->member]) oldest = known;
  }
  if (oldest) bus_send(oldest, BUS_PING);
}

/* Whether look_at() has nothing to do: as it is with most members in most turns. */
static bool is_quiet(const struct sim_node *node, uint32_t member, uint64_t pong_least_ns) {
  return !bits_has(&node->pinged, member) &&
         (!bits_has(&node->open, member) || node->pongs[member] >= pong_least_ns);
}

/* True: the node is newly suspected. */
static bool look_at(struct sim_node *node, struct sim_known *known) {
  uint64_t timeout_ns = node_timeout_ns(node);
  uint64_t ping_ns = node_since(node, known->ping_ns), data_ns = node_since(node, known->data_ns);
  if (known->wire && known->ping_ns && node_since(node, known->link_ns) > timeout_ns &&
      ping_ns > timeout_ns / 2 && data_ns > timeout_ns / 2)
    drop_link(known);
  bool open = node_is_open(known);
  if (open && known->ping_ns == 0 &&
      node_since(node, node->pongs[known->member]) > timeout_ns / 2) {
    bus_send(known, BUS_PING);
    return false;
  }
  if (node->manual_end_ns && node_self(node)->master && node->manual_slave == known->member &&
      open) {
    bus_send(known, BUS_PING);
    return false;
  }
  if (known->ping_ns == 0 || known->pfail || known->fail) return false;
  if ((ping_ns < data_ns ? ping_ns : data_ns) <= timeout_ns) return false;
  node_flag(node, known, true, known->fail);
  return true;
}

static void cron(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  struct sim_node *node = server->node;
  bool suspects = false;
  (void)args;
  /* After a freeze all that has come meanwhile is read before the cron gets its turn. */
  bool thawed = node->cron_ns > 0 && node_since(node, node->cron_ns) > NS_PER_S;
  node->cron_ns = node_now_ns(node);
  sim_after(self, thawed ? NS_PER_MS : NODE_CRON_NS, cron, NULL);
  if (server->state != REDIS_UP || thawed) return;
  for (uint32_t i = 0; i < server->cluster->count && node->wires + 1 < server->cluster->count; i++)
    if (i != server->member) reconnect(node, &node->known[i]);
  if (node->turns++ % 10 == 0) ping_somebody(node);
  uint64_t pong_least_ns = node->cron_ns - node_timeout_ns(node) / 2;
  for (uint32_t i = 0; i < server->cluster->count; i++) {
    if (node->manual_end_ns == 0 && is_quiet(node, i, pong_least_ns)) continue;
    if (i != server->member && look_at(node, &node->known[i])) suspects = true;
  }
  node_handle_failover(node);
  if (suspects || !node->ok) node_update_state(node);
}

/* --- life ------------------------------------------------------------------------------------ */

void node_started(struct sim_redis *server) {
  struct sim_node *node = server->node;
  uint64_t now_ns = node_now_ns(node);
  node->ok = false;
  node->first_call_ns = node->minority_ns = 0;
  node->auth_ns = node->manual_end_ns = node->cron_ns = 0;
  node->auth_sent = false;
  for (uint32_t i = 0; i < server->cluster->count; i++) {
    struct sim_known *known = &node->known[i];
    node_flag(node, known, false, known->fail);
    node_set_ping(known, 0);
    known->voted_ns = known->offset = 0;
    node->pongs[i] = known->data_ns = now_ns;
    if (known->fail) known->fail_ns = now_ns;
    bus_forget_reports(node, known);
  }
  sim_after(&server->bus.process, prng_below(&server->prng, NODE_CRON_NS), cron, NULL);
}

void node_died(struct sim_redis *server) {
  for (uint32_t i = 0; i < server->cluster->count; i++)
    node_set_wire(&server->node->known[i], NULL);
  server->node->ok = false;
}

int nodes_new(struct sim_redis_cluster *cluster, struct error *err) {
  if (cluster->config->topology != REDIS_CLUSTER) return 0;
  struct sim_node *nodes = arena_calloc(&cluster->arena, cluster->count, sizeof *nodes);
  if (!nodes) return error_set(err, STATUS_MEMORY, "out of memory for simulated nodes");
  uint32_t masters = cluster->config->masters;
  for (uint32_t i = 0; i < cluster->count; i++) {
    struct sim_node *node = &nodes[i];
    cluster->servers[i].node = node;
    node->server = &cluster->servers[i];
    node->current_epoch = masters;
    node->manual_slave = MEMBER_NONE;
    node->owners = arena_calloc(&cluster->arena, masters, sizeof *node->owners);
    node->owned = arena_calloc(&cluster->arena, cluster->count, sizeof *node->owned);
    node->known = arena_calloc(&cluster->arena, cluster->count, sizeof *node->known);
    node->pongs = arena_calloc(&cluster->arena, cluster->count, sizeof *node->pongs);
    if (!node->owners || !node->owned || !node->known || !node->pongs)
      return error_set(err, STATUS_MEMORY, "out of memory for simulated nodes");
    for (uint32_t s = 0; s < masters; s++) {
      node->owners[s] = s;
      node->owned[s] = 1;
    }
    for (uint32_t k = 0; k < cluster->count; k++)
      node->known[k] = (struct sim_known){.node = node,
                                          .member = k,
                                          .master = k < masters,
                                          .slaveof = k < masters ? MEMBER_NONE : k % masters,
                                          .config_epoch = k < masters ? k + 1 : 0};
  }
  return 0;
}

void nodes_bootstrap(struct sim_redis_cluster *cluster) {
  if (cluster->config->topology != REDIS_CLUSTER) return;
  for (uint32_t i = 0; i < cluster->count; i++) node_started(&cluster->servers[i]);
}

/* --- what it says ---------------------------------------------------------------------------- */

uint16_t node_shard(const struct sim_redis *server) {
  const struct sim_node *node = server->node;
  const struct sim_known *self = &node->known[server->member];
  uint32_t master = self->master ? server->member : self->slaveof;
  uint32_t masters = server->cluster->config->masters;
  if (node->owned[master] == 1 && node->owners[master % masters] == master)
    return (uint16_t)(master % masters + 1);
  for (uint32_t s = 0; s < masters && node->owned[master] > 0; s++)
    if (node->owners[s] == master) return (uint16_t)(s + 1);
  return redis_first_shard(server->cluster->config, server->member);
}

bool node_serves(struct sim_redis *server, uint16_t slot, bool write, bool readonly,
                 char *ret_error, size_t size) {
  const struct sim_node *node = server->node;
  const struct sim_known *self = &node->known[server->member];
  uint16_t shard = redis_slot_shard(slot, (uint16_t)server->cluster->config->masters);
  uint32_t owner = node->owners[shard - 1];
  if (owner == MEMBER_NONE) {
    snprintf(ret_error, size, "-CLUSTERDOWN Hash slot not served");
    return false;
  }
  if (!node->ok) {
    snprintf(ret_error, size, "-CLUSTERDOWN The cluster is down");
    return false;
  }
  if (owner == server->member || (readonly && !write && !self->master && self->slaveof == owner))
    return true;
  snprintf(ret_error, size, "-MOVED %u %s:%d", slot, server->cluster->members[owner]->address,
           REDIS_PORT);
  return false;
}

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define PORT_TEXT TEXT(REDIS_PORT)

/* A map of a large cluster has thousands of pieces. */
static void put_node(const struct sim_redis *server, struct sim_wire *wire, uint32_t member) {
  const char *address = server->cluster->members[member]->address;
  char id[REDIS_ID_SIZE];
  memset(id, '0', sizeof id - 1);
  id[sizeof id - 1] = '\0';
  for (uint32_t digit = REDIS_ID_SIZE - 1; member > 0; member /= 10)
    id[--digit] = (char)('0' + member % 10);
  command_put_text(wire, "*3\r\n");
  command_put_number(wire, '$', strlen(address));
  command_put_text(wire, address);
  command_put_text(wire, "\r\n:" PORT_TEXT "\r\n$40\r\n");
  command_put_text(wire, id);
  command_put_text(wire, "\r\n");
}

/* By master: its slaves that are listed, in a chain. */
struct slave_lists {
  uint32_t first[REDIS_INSTANCES_MAX], next[REDIS_INSTANCES_MAX]; /* MEMBER_NONE: no more */
  uint32_t count[REDIS_INSTANCES_MAX];
};

static void list_slaves(const struct sim_node *node, struct slave_lists *ret) {
  uint32_t members = node->server->cluster->count;
  for (uint32_t i = 0; i < members; i++) {
    ret->first[i] = MEMBER_NONE;
    ret->count[i] = 0;
  }
  for (uint32_t i = members; i-- > 0;) {
    const struct sim_known *known = &node->known[i];
    if (known->master || known->slaveof == MEMBER_NONE || known->fail) continue;
    ret->next[i] = ret->first[known->slaveof];
    ret->first[known->slaveof] = i;
    ret->count[known->slaveof]++;
  }
}

void node_put_slots(struct sim_redis *server, struct sim_wire *wire) {
  const struct sim_node *node = server->node;
  uint32_t shards = server->cluster->config->masters, served = 0;
  struct slave_lists slaves;
  list_slaves(node, &slaves);
  for (uint32_t s = 0; s < shards; s++) served += node->owners[s] != MEMBER_NONE;
  command_put(wire, "*%u\r\n", served);
  for (uint32_t s = 0; s < shards; s++) {
    uint32_t owner = node->owners[s];
    if (owner == MEMBER_NONE) continue;
    command_put_number(wire, '*', 3 + slaves.count[owner]);
    command_put_number(wire, ':', s * REDIS_SLOTS / shards);
    command_put_number(wire, ':', (s + 1) * REDIS_SLOTS / shards - 1);
    put_node(server, wire, owner);
    for (uint32_t i = slaves.first[owner]; i != MEMBER_NONE; i = slaves.next[i])
      put_node(server, wire, i);
  }
}

static void print_node(const struct sim_redis *server, uint32_t member, struct buf *text) {
  const struct sim_node *node = server->node;
  const struct sim_known *known = &node->known[member];
  const char *failed = known->fail ? ",fail" : known->pfail ? ",fail?" : "";
  char master[REDIS_ID_SIZE] = "-";
  if (!known->master) snprintf(master, sizeof master, "%040u", (unsigned)known->slaveof);
  buf_printf(text, "%040u %s:%d@%d %s%s%s %s 0 0 %llu connected", (unsigned)member,
             server->cluster->members[member]->address, REDIS_PORT, REDIS_BUS_PORT,
             member == server->member ? "myself," : "", known->master ? "master" : "slave", failed,
             master, (unsigned long long)known->config_epoch);
  uint32_t shards = server->cluster->config->masters, left = node->owned[member];
  for (uint32_t s = 0; s < shards && left > 0; s++) {
    if (node->owners[s] != member) continue;
    buf_printf(text, " %u-%u", s * REDIS_SLOTS / shards, (s + 1) * REDIS_SLOTS / shards - 1);
    left--;
  }
  buf_printf(text, "\n");
}

/* CLUSTER NODES */
void node_put_nodes(struct sim_redis *server, struct sim_wire *wire) {
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  for (uint32_t i = 0; i < server->cluster->count; i++) print_node(server, i, &text);
  if (buf_ok(&text, NULL) < 0) server->cluster->world->out_of_memory = true;
  command_put(wire, "$%zu\r\n", text.length);
  sim_wire_put(wire, &wire->out, text.data, text.length);
  command_put(wire, "\r\n");
}

bool sim_node_ok(const struct sim_redis_cluster *cluster, uint32_t member) {
  return node_ok(&cluster->servers[member]);
}

struct bits sim_redis_news(struct sim_redis_cluster *cluster) {
  struct bits news = cluster->words_changed;
  cluster->words_changed = (struct bits){{0}};
  return news;
}

void sim_node_word(struct sim_redis_cluster *cluster, uint32_t member, uint16_t shard,
                   struct sim_node_word *ret) {
  const struct sim_node *node = cluster->servers[member].node;
  uint32_t owner = node->owners[shard - 1];
  *ret = (struct sim_node_word){.primary = owner};
  if (owner == MEMBER_NONE) return;
  ret->failed = node->known[owner].fail;
  ret->epoch = node->known[owner].config_epoch;
}
