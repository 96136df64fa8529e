/* What simulated Sentinels say to servers, to each other and to clients, as in sentinel.c:
 * sentinelRefreshInstanceInfo(), sentinelSendHello(), sentinelProcessHelloMessage(),
 * sentinelSendSlaveOf(), sentinelReceiveIsMasterDownReply(). */
#include <stdio.h>
#include <string.h>

#include "sim/redis_sentinel.h"

#define INFO_BYTES 4000

static struct sentinel_link *link_at(const struct sim_args *args) {
  struct sim_wire *wire = sim_wire_at_opener(args);
  struct sentinel_link *link = wire ? wire->owner : NULL;
  return link && link->wire == wire ? link : NULL;
}

/* A connection of a Sentinel to a server: not one of those that a change of role ends. */
static struct sim_wire *wire_at(const struct sim_args *args) {
  struct sim_wire *wire = sim_wire_at_program(args);
  if (wire) wire->use = WIRE_SENTINEL;
  return wire;
}

static void answered(struct sentinel_link *link) {
  if (link->pending > 0) link->pending--;
}

/* --- PING ------------------------------------------------------------------------------------ */

static void on_pong(struct sim_process *self, const struct sim_args *args) {
  struct sentinel_link *link = link_at(args);
  (void)self;
  if (!link) return;
  answered(link);
  link->last_avail_ns = link->last_pong_ns = sentinel_now_ns(link->sentinel);
  link->act_ping_ns = 0;
}

/* +PONG, and -LOADING too, are signs of life. */
static void on_ping(struct sim_process *self, const struct sim_args *args) {
  struct sim_wire *wire = wire_at(args);
  (void)self;
  if (wire) sim_wire_answer(wire, on_pong, NULL, 0);
}

void talk_ping(struct sentinel_link *link) {
  link->pending++;
  sim_wire_tell(link->wire, on_ping, NULL, 0);
}

/* --- INFO ------------------------------------------------------------------------------------ */

/* A copy of what counts travels in the arguments: `number2` the offset, `number3` the run id, and
 * in `pointer2` the role, the link's state and since when it is down. */
struct info_word {
  bool primary, link_up;
  uint32_t from;
  uint64_t down_ms;
};

static void *pack_info(const struct info_word *word) {
  uintptr_t bits = (uintptr_t)word->primary | (uintptr_t)word->link_up << 1;
  bits |= (uintptr_t)(word->from & 0xff) << 2;
  return (void *)(bits | (uintptr_t)word->down_ms << 16); /* 48 bits of milliseconds */
}

static struct info_word unpack_info(const void *packed) {
  uintptr_t bits = (uintptr_t)packed;
  uint32_t from = bits >> 2 & 0xff;
  return (struct info_word){.primary = bits & 1,
                            .link_up = bits >> 1 & 1,
                            .from = from == 0xff ? MEMBER_NONE : from,
                            .down_ms = bits >> 16};
}

static void on_info_answer(struct sim_process *self, const struct sim_args *args) {
  struct sentinel_link *link = link_at(args);
  (void)self;
  if (!link) return;
  struct sim_sentinel *sentinel = link->sentinel;
  struct sentinel_view *view = &sentinel->views[link->index];
  const struct info_word word = unpack_info(args->pointer2);
  uint64_t now_ns = sentinel_now_ns(sentinel);
  answered(link);
  view->offset = args->number2;
  view->run = args->number3;
  view->link_up = word.link_up;
  view->link_down_ns = word.down_ms * NS_PER_MS;
  if (!word.primary && view->from != word.from) {
    view->from = word.from;
    view->conf_ns = now_ns;
  }
  view->info_ns = now_ns;
  if (word.primary != view->reported) {
    view->role_ns = now_ns;
    view->reported = word.primary;
    if (!word.primary) view->conf_ns = now_ns;
  }
  if (!sentinel->tilt) failover_take_info(sentinel, view);
}

static void on_info(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  struct sim_wire *wire = wire_at(args);
  if (!wire) return;
  bool primary = redis_is_primary(server), up = server->follow.state == FOLLOW_CONNECTED;
  uint64_t down_ns = redis_now_ns(server) - server->follow.down_ns;
  const struct info_word word = {
      .primary = primary,
      .link_up = up,
      .from = primary ? 0xff : server->follow.from,
      /* master_link_down_since_seconds, at least one so that it is seen. */
      .down_ms = primary || up ? 0 : down_ns / NS_PER_S * 1000 + 1};
  sim_wire_answer(wire, on_info_answer,
                  &(struct sim_args){.pointer2 = pack_info(&word),
                                     .number2 = data_offset(&server->data, server->data.count),
                                     .number3 = server->run},
                  INFO_BYTES);
}

void talk_info(struct sentinel_view *view) {
  view->link.pending++;
  sim_wire_tell(view->link.wire, on_info, NULL, 0);
}

/* --- hello ----------------------------------------------------------------------------------- */

/* `number2`: current epoch and configuration epoch, `number3`: the primary and who says so. */
static struct sim_args hello_of(const struct sim_sentinel *sentinel) {
  const struct sentinel_belief *belief = &sentinel->belief;
  return (struct sim_args){
      .number2 = belief->current_epoch << 32 | belief->config_epoch,
      .number3 = (uint64_t)failover_current_master(sentinel) << 8 | sentinel->index};
}

static void take_hello(struct sim_sentinel *sentinel, const struct sim_args *args) {
  struct sentinel_belief *belief = &sentinel->belief;
  uint64_t current = args->number2 >> 32, config = args->number2 & UINT32_MAX;
  uint32_t master = (uint32_t)(args->number3 >> 8), from = args->number3 & 0xff;
  if (from == sentinel->index) return;
  if (current > belief->current_epoch) belief->current_epoch = current;
  if (config <= belief->config_epoch) return;
  belief->config_epoch = config;
  if (master == belief->master) return;
  uint32_t old = belief->master;
  talk_publish_switch(sentinel, old, master);
  sentinel_switch_master(sentinel, master);
}

static void on_message(struct sim_process *self, const struct sim_args *args) {
  if (link_at(args)) take_hello(self->owner, args);
}

/* A server hands it to every Sentinel that has a connection to it. */
static void on_publish(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  if (!wire_at(args) || server->state != REDIS_UP) return;
  for (struct sim_wire *wire = server->cluster->wires.all; wire; wire = wire->next)
    if (wire->to == &server->program && wire->use == WIRE_SENTINEL && wire->to_open)
      sim_wire_answer(wire, on_message, args, 0);
}

static void on_hello(struct sim_process *self, const struct sim_args *args) {
  if (wire_at(args)) take_hello(self->owner, args);
}

void talk_hello(struct sentinel_link *link) {
  const struct sim_args args = hello_of(link->sentinel);
  link->last_pub_ns = sentinel_now_ns(link->sentinel);
  sim_wire_tell(link->wire, link->peer ? on_hello : on_publish, &args, 0);
}

/* --- SLAVEOF --------------------------------------------------------------------------------- */

static void on_slaveof(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  if (!wire_at(args) || server->state != REDIS_UP) return;
  redis_replicaof(server, (uint32_t)args->number2);
  command_kill_clients(server);
}

bool talk_slaveof(struct sentinel_view *view, uint32_t from) {
  if (!view->link.open) return false;
  sim_wire_tell(view->link.wire, on_slaveof, &(struct sim_args){.number2 = from}, 0);
  return true;
}

/* --- is-master-down-by-addr ------------------------------------------------------------------ */

/* `number2`: epoch of the vote, `number3`: whether down, and who was voted for. */
static void on_ask_answer(struct sim_process *self, const struct sim_args *args) {
  struct sentinel_link *link = link_at(args);
  (void)self;
  if (!link) return;
  struct sentinel_peer *peer = &link->sentinel->peers[link->index];
  answered(link);
  peer->reply_ns = sentinel_now_ns(link->sentinel);
  peer->master_down = args->number3 & 1;
  uint32_t leader = (uint32_t)(args->number3 >> 1);
  if (leader == 0) return;
  peer->leader = leader - 1;
  peer->leader_epoch = args->number2;
}

/* `number2`: the epoch, `number3`: candidate + 1 (0: no vote is asked for) and the primary. */
static void on_ask(struct sim_process *self, const struct sim_args *args) {
  struct sim_sentinel *sentinel = self->owner;
  struct sim_wire *wire = wire_at(args);
  if (!wire) return;
  uint32_t candidate = (uint32_t)(args->number3 >> 8), master = args->number3 & 0xff;
  bool same = master == sentinel->belief.master;
  bool down = same && !sentinel->tilt && sentinel_master(sentinel)->link.s_down;
  uint64_t epoch = 0;
  uint32_t leader = SENTINEL_NONE;
  if (same && candidate > 0) leader = failover_vote(sentinel, args->number2, candidate - 1, &epoch);
  uint64_t voted = leader == SENTINEL_NONE ? 0 : leader + 1;
  sim_wire_answer(wire, on_ask_answer,
                  &(struct sim_args){.number2 = epoch, .number3 = voted << 1 | down}, 0);
}

void talk_ask(struct sentinel_peer *peer, bool vote) {
  const struct sim_sentinel *sentinel = peer->link.sentinel;
  uint64_t candidate = vote ? sentinel->index + 1 : 0;
  peer->link.pending++;
  sim_wire_tell(peer->link.wire, on_ask,
                &(struct sim_args){.number2 = sentinel->belief.current_epoch,
                                   .number3 = candidate << 8 | sentinel->belief.master},
                0);
}

/* --- clients --------------------------------------------------------------------------------- */

static const char *address_of(const struct sim_sentinel *sentinel, uint32_t member) {
  return sentinel->cluster->members[member]->address;
}

static void put_text(struct sim_wire *wire, const char *text) {
  command_put(wire, "$%zu\r\n%s\r\n", strlen(text), text);
}

static void say_address(struct sim_sentinel *sentinel, struct sim_wire *wire) {
  command_put(wire, "*2\r\n");
  put_text(wire, address_of(sentinel, failover_current_master(sentinel)));
  put_text(wire, "6379");
}

void sentinel_bytes(struct sim_process *self, const struct sim_args *args) {
  struct sim_sentinel *sentinel = self->owner;
  struct sim_wire *wire = sim_wire_at_program(args);
  struct command_word words[COMMAND_WORDS_MAX];
  if (!wire) return;
  wire->use = WIRE_CLIENT;
  wire->in.ready += args->number2;
  for (uint32_t count; (count = command_next(wire, words)) > 0;) {
    size_t before = wire->out.end - wire->out.start;
    if (command_is(&words[0], "AUTH")) {
      command_put(wire, "+OK\r\n");
    } else if (count == 3 && command_is(&words[1], "get-master-addr-by-name")) {
      say_address(sentinel, wire);
    } else if (count == 2 && command_is(&words[0], "SUBSCRIBE")) {
      wire->peer = sentinel; /* subscribed */
      command_put(wire, "*3\r\n$9\r\nsubscribe\r\n$%zu\r\n%.*s\r\n:1\r\n", words[1].length,
                  (int)words[1].length, words[1].text);
    } else {
      command_put(wire, "-ERR unknown command\r\n");
    }
    command_send(wire, wire->out.end - wire->out.start - before, 0, NULL);
  }
}

void talk_publish_switch(struct sim_sentinel *sentinel, uint32_t old, uint32_t new) {
  char text[160];
  int length =
      snprintf(text, sizeof text, REDIS_MASTER_NAME " %s %d %s %d", address_of(sentinel, old),
               REDIS_PORT, address_of(sentinel, new), REDIS_PORT);
  for (struct sim_wire *wire = sentinel->cluster->wires.all; wire; wire = wire->next) {
    if (wire->to != &sentinel->program || !wire->to_open || wire->peer != sentinel) continue;
    size_t before = wire->out.end - wire->out.start;
    command_put(wire, "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%d\r\n%s\r\n", length,
                text);
    command_send(wire, wire->out.end - wire->out.start - before, 0, NULL);
  }
}
