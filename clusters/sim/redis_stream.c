/* Asynchronous replication between simulated Redis servers.
 *
 * Sources: replication.c (replicationCron() every second: reconnects, time-outs after repl-timeout,
 * REPLCONF ACK; connectWithMaster() at once when a link is lost or the primary changes;
 * masterTryPartialResynchronization(): the replica's history must be this one's, or its former one
 * up to where that ended, and its offset still in the backlog; a full copy throws away what the
 * replica had). A replica feeds replicas of its own. */
#include <assert.h>

#include "sim/redis_internal.h"

#define REPL_TIMEOUT_NS (60 * NS_PER_S) /* repl-timeout */
#define PING_NS (10 * NS_PER_S)         /* repl-ping-replica-period */
#define ACK_BYTES 40
#define RESEND_NS (200 * NS_PER_MS) /* TCP_RTO_MIN */

static struct sim_redis *primary_of(const struct sim_redis *replica) {
  return &replica->cluster->servers[replica->follow.from];
}

/* --- the replica's end ----------------------------------------------------------------------- */

static void lost(struct sim_wire *wire, const char *why) {
  struct sim_redis *replica = wire->owner;
  struct sim_follow *follow = &replica->follow;
  (void)why;
  if (follow->wire != wire) return;
  bool was_up = follow->state == FOLLOW_CONNECTED, tried = follow->state == FOLLOW_CONNECTING;
  follow->wire = NULL;
  follow->state = FOLLOW_CONNECT;
  if (was_up) follow->down_ns = redis_now_ns(replica);
  if (was_up) redis_changed(replica);
  /* A link that broke is made again at once, one that could not be made by the next cron. */
  if (!tried && replica->state == REDIS_UP) stream_connect(replica);
}

static void on_psync(struct sim_process *self, const struct sim_args *args);
static void on_acknowledged(struct sim_process *self, const struct sim_args *args);

static void acknowledge(struct sim_redis *replica) {
  sim_wire_tell(replica->follow.wire, on_acknowledged,
                &(struct sim_args){.number2 = replica->data.count}, ACK_BYTES);
}

/* PSYNC: `pointer2` the last entry, `number2` the history, `number3` who asks. */
static void opened(struct sim_wire *wire) {
  struct sim_redis *replica = wire->owner;
  const struct sim_redis_entry *last = data_last(&replica->data);
  sim_wire_tell(wire, on_psync,
                &(struct sim_args){.pointer2 = (void *)(uintptr_t)last,
                                   .number2 = replica->history,
                                   .number3 = replica->member},
                0);
}

static const struct sim_wire_events follow_events = {.opened = opened, .lost = lost};

void stream_connect(struct sim_redis *replica) {
  struct sim_follow *follow = &replica->follow;
  if (follow->wire || redis_is_primary(replica)) return;
  follow->state = FOLLOW_CONNECTING;
  follow->heard_ns = redis_now_ns(replica);
  follow->wire =
      sim_wire_open(&replica->cluster->wires, &replica->program.process, &replica->program.kernel,
                    &primary_of(replica)->program, &follow_events, replica);
}

void stream_disconnect(struct sim_redis *replica) {
  struct sim_follow *follow = &replica->follow;
  struct sim_wire *wire = follow->wire;
  follow->wire = NULL;
  if (follow->state == FOLLOW_CONNECTED) follow->down_ns = redis_now_ns(replica);
  if (follow->state != FOLLOW_NONE) follow->state = FOLLOW_CONNECT;
  sim_wire_close(wire);
}

static struct sim_redis *replica_at(const struct sim_args *args) {
  struct sim_wire *wire = sim_wire_at_opener(args);
  struct sim_redis *replica = wire ? wire->owner : NULL;
  if (!replica || replica->follow.wire != wire) return NULL;
  replica->follow.heard_ns = redis_now_ns(replica);
  return replica;
}

static void connected(struct sim_redis *replica, uint64_t history) {
  replica->history = history;
  replica->follow.state = FOLLOW_CONNECTED;
  acknowledge(replica);
  redis_changed(replica);
}

/* +CONTINUE, `number2` the history. */
static void on_continue(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *replica = replica_at(args);
  (void)self;
  if (replica) connected(replica, args->number2);
}

/* +FULLRESYNC */
static void on_full(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *replica = replica_at(args);
  (void)self;
  if (!replica) return;
  replica->follow.state = FOLLOW_TRANSFER;
  replica->disk.saving = UINT64_MAX;
}

/* The copy is here: what was there before is gone. `pointer2` its last entry. */
static void on_copy(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *replica = replica_at(args);
  (void)self;
  if (!replica || !data_become(replica, args->pointer2)) return;
  stream_drop_replicas(replica);
  replica->history2 = 0;
  connected(replica, args->number2);
  redis_settle(replica);
}

/* What waited in the primary's socket behind it. */
static void on_arrived(struct sim_process *self, const struct sim_args *args) {
  (void)args;
  stream_push(self->owner, false);
}

/* The stream: all up to `pointer2`; `number2`: it asks for an acknowledgement. */
static void on_stream(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *replica = replica_at(args);
  (void)self;
  if (!replica) return;
  const struct sim_redis_entry *last = args->pointer2;
  struct sim_wire *wire = replica->follow.wire;
  struct sim_feed *feed = wire->to_open ? wire->peer : NULL;
  if (feed) feed->arrived = last->index;
  if (feed && feed->arrived >= feed->sent && wire->to->kernel.running)
    sim_after(&wire->to->kernel, 0, on_arrived, NULL);
  if (!data_become(replica, last)) return;
  redis_write_delay_ns(replica);
  if (args->number2) acknowledge(replica);
  stream_push(replica, false);
}

static void on_ping(struct sim_process *self, const struct sim_args *args) {
  (void)self;
  replica_at(args);
}

/* --- the primary's end ----------------------------------------------------------------------- */

static struct sim_redis *server_of(const struct sim_feed *feed) {
  return feed->wire->to->process.owner;
}

static void feed_end(struct sim_redis *server, struct sim_feed *feed) {
  if (!feed->active) return;
  struct sim_wire *wire = feed->wire;
  feed->active = feed->online = false;
  bits_remove(&server->fed, (uint32_t)(feed - server->feeds));
  wire->peer = NULL;
  sim_wire_end(wire);
  redis_count_good_replicas(server);
  redis_changed(server);
}

static void feed_closed(struct sim_wire *wire) {
  struct sim_feed *feed = wire->peer;
  if (!feed || feed->wire != wire) return;
  struct sim_redis *server = server_of(feed);
  feed->active = feed->online = false;
  bits_remove(&server->fed, (uint32_t)(feed - server->feeds));
  redis_count_good_replicas(server);
  redis_changed(server);
}

static void go_online(struct sim_redis *server, struct sim_feed *feed) {
  feed->online = true;
  feed->acknowledged_ns = redis_now_ns(server);
  redis_count_good_replicas(server);
  stream_push(server, false);
  redis_changed(server);
}

/* Whether the replica may go on from where it is. */
static bool may_continue(const struct sim_redis *server, const struct sim_redis_entry *last,
                         uint64_t history) {
  uint64_t count = last ? last->index : 0;
  bool same = history == server->history ||
              (history == server->history2 && history != 0 && count <= server->second);
  uint64_t end = data_offset(&server->data, server->data.count);
  return same && data_has(&server->data, last) &&
         end - (last ? last->offset : 0) <= REDIS_BACKLOG_BYTES;
}

/* The copy was made when it was asked for; what came since follows it. `number2`: the entries. */
static void copied(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  struct sim_wire *wire = sim_wire_at_program(args);
  struct sim_feed *feed = wire ? wire->peer : NULL;
  if (!feed || feed->wire != wire) return;
  const struct sim_redis_entry *last =
      args->number2 > 0 ? server->data.entries[args->number2 - 1] : NULL;
  sim_wire_answer(
      wire, on_copy,
      &(struct sim_args){.pointer2 = (void *)(uintptr_t)last, .number2 = server->history},
      last ? (uint32_t)last->offset : 0);
  feed->sent = feed->arrived = args->number2;
  go_online(server, feed);
}

static void on_psync(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  struct sim_wire *wire = sim_wire_at_program(args);
  if (!wire) return;
  const struct sim_redis_entry *last = args->pointer2;
  /* One that has no data of its primary's yet has nothing to give (-NOMASTERLINK, -LOADING). */
  bool ready = server->state == REDIS_UP &&
               (redis_is_primary(server) || server->follow.state == FOLLOW_CONNECTED);
  if (!ready) {
    sim_wire_end(wire);
    return;
  }
  struct sim_feed *feed = &server->feeds[args->number3];
  feed_end(server, feed);
  wire->use = WIRE_REPLICA;
  wire->peer = feed;
  wire->peer_closed = feed_closed;
  *feed = (struct sim_feed){.active = true, .wire = wire, .acknowledged_ns = redis_now_ns(server)};
  bits_add(&server->fed, args->number3 & (BITS_MAX - 1));
  if (may_continue(server, last, args->number2)) {
    feed->sent = feed->arrived = feed->acknowledged = last ? last->index : 0;
    sim_wire_answer(wire, on_continue, &(struct sim_args){.number2 = server->history}, 0);
    go_online(server, feed);
    return;
  }
  sim_wire_answer(wire, on_full, NULL, 0);
  sim_after(
      self, server->cluster->costs.copy_ns, copied,
      &(struct sim_args){.pointer = wire, .number = wire->number, .number2 = server->data.count});
}

static void on_acknowledged(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  const struct sim_wire *wire = sim_wire_at_program(args);
  struct sim_feed *feed = wire ? wire->peer : NULL;
  if (!feed || feed->wire != wire) return;
  if (args->number2 > feed->acknowledged) feed->acknowledged = args->number2;
  feed->acknowledged_ns = redis_now_ns(server);
  command_acknowledged(server);
}

/* Sends what has gathered. While something has not arrived for longer than the kernel waits before
 * it sends again, nothing new leaves: it would wait in the socket's buffer behind that. */
static void feed_push(struct sim_redis *server, struct sim_feed *feed,
                      const struct sim_redis_entry *last) {
  uint64_t now_ns = redis_now_ns(server);
  if (feed->sent >= last->index && !feed->ask) return;
  if (feed->arrived < feed->sent && now_ns >= feed->unanswered_ns + RESEND_NS) return;
  if (feed->arrived >= feed->sent) feed->unanswered_ns = now_ns;
  uint64_t bytes = last->offset - data_offset(&server->data, feed->sent);
  feed->sent = last->index;
  sim_wire_answer(feed->wire, on_stream,
                  &(struct sim_args){.pointer2 = (void *)(uintptr_t)last, .number2 = feed->ask},
                  (uint32_t)bytes);
  feed->ask = false;
}

void stream_push(struct sim_redis *server, bool ask) {
  const struct sim_redis_entry *last = data_last(&server->data);
  if (!last || server->program.process.frozen) return;
  for (uint32_t i = bits_next(&server->fed, 0); i < BITS_MAX; i = bits_next(&server->fed, i + 1)) {
    struct sim_feed *feed = &server->feeds[i];
    feed->ask = feed->ask || ask;
    if (feed->online) feed_push(server, feed, last);
  }
}

uint32_t stream_count(const struct sim_redis *server, uint64_t entries) {
  uint32_t count = 0;
  for (uint32_t i = bits_next(&server->fed, 0); i < BITS_MAX; i = bits_next(&server->fed, i + 1)) {
    const struct sim_feed *feed = &server->feeds[i];
    count += feed->online && feed->acknowledged >= entries;
  }
  return count;
}

void stream_drop_replicas(struct sim_redis *server) {
  for (uint32_t i = bits_next(&server->fed, 0); i < BITS_MAX; i = bits_next(&server->fed, i + 1))
    feed_end(server, &server->feeds[i]);
}

void stream_forget(struct sim_redis *server) {
  for (uint32_t i = 0; i < server->cluster->count; i++)
    server->feeds[i] = (struct sim_feed){.active = false};
  server->fed = (struct bits){{0}};
  server->good_replicas = 0;
  server->follow.wire = NULL;
  if (redis_is_primary(server)) return;
  server->follow.state = FOLLOW_CONNECT;
  server->follow.down_ns = redis_now_ns(server);
}

/* --- every second ---------------------------------------------------------------------------- */

static void cron_as_replica(struct sim_redis *server) {
  struct sim_follow *follow = &server->follow;
  uint64_t now_ns = redis_now_ns(server);
  if (follow->wire && now_ns - follow->heard_ns > REPL_TIMEOUT_NS) {
    stream_disconnect(server);
    redis_changed(server);
  }
  if (!follow->wire)
    stream_connect(server);
  else if (follow->state == FOLLOW_CONNECTED)
    acknowledge(server);
}

static void cron_as_primary(struct sim_redis *server) {
  uint64_t now_ns = redis_now_ns(server);
  for (uint32_t i = bits_next(&server->fed, 0); i < BITS_MAX; i = bits_next(&server->fed, i + 1)) {
    struct sim_feed *feed = &server->feeds[i];
    if (feed->online && now_ns - feed->acknowledged_ns > REPL_TIMEOUT_NS)
      feed_end(server, feed);
    else if (now_ns / NS_PER_S % (PING_NS / NS_PER_S) == 0)
      sim_wire_answer(feed->wire, on_ping, NULL, 0);
  }
}

void stream_cron(struct sim_redis *server) {
  if (!redis_is_primary(server)) cron_as_replica(server);
  cron_as_primary(server);
}

/* --- the steady state of a bootstrap --------------------------------------------------------- */

void stream_join(struct sim_redis *replica, struct sim_redis *primary) {
  replica->follow = (struct sim_follow){.from = primary->member, .state = FOLLOW_CONNECT};
  replica->history = primary->history;
  stream_connect(replica);
}
