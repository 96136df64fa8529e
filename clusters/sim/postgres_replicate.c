/* Streaming replication between simulated servers: walreceivers that connect, stream and come back,
 * walsenders that send what is flushed, feedback, and what of it commits wait for.
 *
 * Sources: walsender.c (flushed WAL only; WalSndCheckTimeOut(), WalSndDone()), walreceiver.c
 * (XLogWalRcvFlush(), XLogWalRcvSendReply(), wal_receiver_status_interval), xlogrecovery.c
 * (WaitForWALToBecomeAvailable(): wal_retrieve_retry_interval, a new primary_conninfo restarts the
 * receiver at once, the position is told when all is replayed), syncrep.c (SyncRepGetSyncRecPtr()).
 */
#include <assert.h>
#include <string.h>

#include "sim/postgres_internal.h"

/* The servers' defaults. */
#define WAL_RETRIEVE_RETRY_NS (5 * NS_PER_S)
#define WAL_RECEIVER_TIMEOUT_NS (60 * NS_PER_S)
#define WAL_SENDER_TIMEOUT_NS (60 * NS_PER_S)
#define STATUS_INTERVAL_NS (10 * NS_PER_S)
/* When the kernel gives a connect up: tcp_syn_retries 6; or what the streaming topology says in its
 * primary_conninfo (tcp_user_timeout=5000). */
#define SYN_GIVE_UP_NS (127 * NS_PER_S)
#define USER_TIMEOUT_NS (5 * NS_PER_S)
#define MESSAGE_BYTES 120

static struct sim_postgres *upstream_of(const struct sim_postgres *standby) {
  return &standby->cluster->servers[standby->receiver.from];
}

/* Events of a receiver carry the number of its connection, and so do those of its sender. */
static bool receiver_is(const struct sim_postgres *standby, uint64_t number) {
  return standby->receiver.number == number && standby->receiver.state != RECEIVER_IDLE;
}

static bool sender_is(const struct sim_sender *sender, uint64_t number) {
  return sender->active && sender->number == number;
}

/* For what is sent: `pointer` is the standby ... */
static bool receiver_wants(const struct sim_args *args) {
  return receiver_is(args->pointer, args->number);
}

/* ... or the sender. */
static bool sender_wants(const struct sim_args *args) {
  return sender_is(args->pointer, args->number);
}

static struct sim_args sender_args(struct sim_sender *sender) {
  return (struct sim_args){.pointer = sender, .number = sender->number};
}

/* --- walsender ------------------------------------------------------------------------------- */

static void sender_end(struct sim_postgres *upstream, struct sim_sender *sender) {
  if (!sender->active) return;
  sender->active = false;
  backend_release_commits(upstream);
  server_changed(upstream);
  server_stop_step(upstream);
}

static void sender_broken(struct sim_process *self, const struct sim_args *args) {
  if (sender_wants(args)) sender_end(self->owner, args->pointer);
}

static struct sim_postgres *standby_of(const struct sim_postgres *upstream,
                                       const struct sim_sender *sender) {
  return &upstream->cluster->servers[sender - upstream->senders];
}

static void data_arrived(struct sim_process *self, const struct sim_args *args);

/* Sends what has gathered. While something has not arrived for longer than the kernel waits before
 * it sends again, nothing new leaves: it would wait in the socket's buffer behind that. */
static void sender_push(struct sim_postgres *upstream, struct sim_sender *sender) {
  uint64_t limit = guilt_send_limit(upstream), now_ns = server_now_ns(upstream);
  if (!sender->active || limit <= sender->sent || upstream->process.frozen) return;
  if (sender->arrived < sender->sent && now_ns >= sender->unanswered_ns + RESEND_NS) return;
  if (sender->arrived >= sender->sent) sender->unanswered_ns = now_ns;
  uint64_t bytes = wal_position(upstream, limit) - wal_position(upstream, sender->sent);
  sender->sent = limit;
  sim_send(&(struct sim_message){
      .from = &upstream->process,
      .to = &standby_of(upstream, sender)->process,
      .to_life = sender->life,
      .connection = sender->number,
      .bytes = bytes > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)bytes + MESSAGE_BYTES,
      .deliver = data_arrived,
      .broken = sender_broken,
      .wanted = sender_wants,
      .args = {.pointer = sender,
               .pointer2 = (void *)(uintptr_t)wal_at(upstream, limit),
               .number = sender->number}});
}

void replicate_push(struct sim_postgres *upstream) {
  for (uint32_t i = 0; i < upstream->cluster->count; i++)
    if (upstream->senders[i].active) sender_push(upstream, &upstream->senders[i]);
}

static void sender_tick(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *upstream = self->owner;
  struct sim_sender *sender = args->pointer;
  if (!sender_wants(args)) return;
  uint64_t end_ns = sender->heard_ns + WAL_SENDER_TIMEOUT_NS, now_ns = server_now_ns(upstream);
  if (now_ns >= end_ns)
    sender_end(upstream, sender);
  else
    sim_after(self, end_ns - now_ns, sender_tick, args);
}

/* --- walreceiver: its end -------------------------------------------------------------------- */

static void connect_next(struct sim_postgres *standby);

static void retry(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *standby = self->owner;
  if (standby->receiver.number == args->number && standby->receiver.state == RECEIVER_IDLE)
    replicate_connect(standby);
}

/* Not more often than every wal_retrieve_retry_interval; the first time after a long while, at
 * once. */
static void connect_later(struct sim_postgres *standby) {
  struct sim_receiver *receiver = &standby->receiver;
  uint64_t now_ns = server_now_ns(standby), next_ns = receiver->failed_ns + WAL_RETRIEVE_RETRY_NS;
  uint64_t delay_ns = receiver->failed_ns > 0 && next_ns > now_ns ? next_ns - now_ns : 0;
  receiver->failed_ns = now_ns + delay_ns;
  sim_after(&standby->process, delay_ns, retry, &(struct sim_args){.number = receiver->number});
}

/* The connection is gone, or did not come about. */
static void receiver_failed(struct sim_postgres *standby) {
  struct sim_receiver *receiver = &standby->receiver;
  bool streamed = receiver->state == RECEIVER_STREAMING;
  receiver->state = RECEIVER_IDLE;
  receiver->number = ++standby->cluster->numbers;
  if (streamed) server_changed(standby);
  if (standby->state != SIM_PG_STANDBY && !standby->inconsistent) return;
  if (streamed)
    connect_later(standby);
  else
    connect_next(standby);
}

static void receiver_broken(struct sim_process *self, const struct sim_args *args) {
  if (receiver_wants(args)) receiver_failed(self->owner);
}

/* --- walreceiver: streaming ------------------------------------------------------------------ */

static void report_arrived(struct sim_process *self, const struct sim_args *args);

static void send_report(struct sim_postgres *standby) {
  struct sim_receiver *receiver = &standby->receiver;
  struct sim_postgres *upstream = upstream_of(standby);
  uint64_t now_ns = server_now_ns(standby);
  if (receiver->unanswered_ns > 0 && now_ns >= receiver->unanswered_ns + RESEND_NS) {
    receiver->report_due = true;
    return;
  }
  if (receiver->unanswered_ns == 0) receiver->unanswered_ns = now_ns;
  receiver->report_due = false;
  wal_replay(standby);
  sim_send(&(struct sim_message){.from = &standby->process,
                                 .to = &upstream->process,
                                 .to_life = receiver->life,
                                 .connection = receiver->number,
                                 .bytes = MESSAGE_BYTES,
                                 .deliver = report_arrived,
                                 .broken = receiver_broken,
                                 .wanted = receiver_wants,
                                 .args = {.pointer = standby,
                                          .number = receiver->number,
                                          .number2 = standby->wal.flushed,
                                          .number3 = wal_replayed_ns(standby)}});
}

void replicate_report(struct sim_postgres *standby) {
  if (standby->receiver.state == RECEIVER_STREAMING) send_report(standby);
}

static void keepalive_arrived(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *standby = self->owner;
  if (receiver_is(standby, args->number)) standby->receiver.heard_ns = server_now_ns(standby);
}

static void send_keepalive(struct sim_postgres *upstream, struct sim_sender *sender) {
  sim_send(&(struct sim_message){.from = &upstream->process,
                                 .to = &standby_of(upstream, sender)->process,
                                 .to_life = sender->life,
                                 .connection = sender->number,
                                 .bytes = MESSAGE_BYTES,
                                 .deliver = keepalive_arrived,
                                 .broken = sender_broken,
                                 .wanted = sender_wants,
                                 .args = sender_args(sender)});
}

/* The primary's side of a report. One report says when everything flushed will have been replayed:
 * the real standby sends another one then. */
static void report_arrived(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *upstream = self->owner, *standby = args->pointer;
  struct sim_sender *sender = &upstream->senders[standby->member];
  uint64_t now_ns = server_now_ns(upstream);
  if (receiver_wants(args)) { /* the standby's kernel knows that it has arrived */
    standby->receiver.unanswered_ns = 0;
    if (standby->receiver.report_due && !standby->process.frozen) send_report(standby);
  }
  if (!sender_is(sender, args->number)) return;
  /* On an idle connection each side asks whether the other is there. */
  if (now_ns >= sender->heard_ns + STATUS_INTERVAL_NS) send_keepalive(upstream, sender);
  sender->heard_ns = now_ns;
  if (args->number2 >= sender->flushed) {
    if (now_ns >= sender->replaying_ns) sender->replayed = sender->flushed;
    sender->flushed = args->number2;
    sender->replaying_ns = args->number3;
  }
  sender_push(upstream, sender);
  backend_release_commits(upstream);
  server_stop_step(upstream);
}

static void data_arrived(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *standby = self->owner;
  const struct sim_entry *last = args->pointer2;
  struct sim_sender *sender = args->pointer;
  if (!receiver_is(standby, args->number)) return;
  standby->receiver.heard_ns = server_now_ns(standby);
  if (wal_receive(standby, last)) wal_flush(standby);
  if (!sender_wants(args)) return;
  /* The sender's kernel knows that it has arrived. */
  if (last->index > sender->arrived) sender->arrived = last->index;
  sender_push(upstream_of(standby), sender);
}

static void receiver_tick(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *standby = self->owner;
  if (!receiver_wants(args)) return;
  uint64_t end_ns = standby->receiver.heard_ns + WAL_RECEIVER_TIMEOUT_NS;
  uint64_t now_ns = server_now_ns(standby);
  if (now_ns >= end_ns) {
    replicate_disconnect(standby);
    connect_later(standby);
    return;
  }
  uint64_t delay_ns = end_ns - now_ns;
  if (delay_ns > STATUS_INTERVAL_NS) delay_ns = STATUS_INTERVAL_NS;
  send_report(standby);
  sim_after(self, delay_ns, receiver_tick, args);
}

/* --- walreceiver: connecting ----------------------------------------------------------------- */

static void streaming(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *standby = self->owner;
  struct sim_receiver *receiver = &standby->receiver;
  if (!receiver_wants(args)) return;
  receiver->state = RECEIVER_STREAMING;
  receiver->heard_ns = server_now_ns(standby);
  receiver->unanswered_ns = 0;
  server_changed(standby);
  sim_after(self, STATUS_INTERVAL_NS, receiver_tick, args);
  send_report(standby);
}

static void ended(struct sim_process *self, const struct sim_args *args) {
  if (receiver_wants(args)) receiver_failed(self->owner);
}

/* xlogrecovery.c: "requested timeline does not contain minimum recovery point" is FATAL for the
 * startup process, and so the end of the server. */
static void never_consistent(struct sim_process *self, const struct sim_args *args) {
  if (receiver_wants(args)) sim_process_kill(self);
}

/* From the upstream's kernel to the receiver. */
static void tell_receiver(struct sim_postgres *upstream, struct sim_postgres *standby,
                          uint64_t life, uint64_t number, sim_call *deliver) {
  sim_send(&(struct sim_message){.from = &upstream->kernel,
                                 .to = &standby->process,
                                 .to_life = life,
                                 .connection = number,
                                 .bytes = MESSAGE_BYTES,
                                 .deliver = deliver,
                                 .wanted = receiver_wants,
                                 .args = {.pointer = standby, .number = number}});
}

/* Any primary will do for a standby without a manager (target_session_attrs=primary). */
static bool any_primary(const struct sim_postgres_cluster *cluster) {
  return cluster->config->topology == TOPOLOGY_STREAMING;
}

/* START_REPLICATION, authenticated: the standby's last record must be in this history. A standby
 * serves others what it has flushed (cascading). */
static void replication_asked(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *upstream = self->owner, *standby = args->pointer;
  if (!receiver_wants(args)) return;
  struct sim_sender *sender = &upstream->senders[standby->member];
  uint64_t life = args->number2;
  bool serves =
      any_primary(upstream->cluster) ? upstream->state == SIM_PG_PRIMARY : server_answers(upstream);
  bool slot = any_primary(upstream->cluster) || (upstream->slots & 1u << standby->member);
  /* "replication slot is active": by an old sender that has not noticed yet. */
  if (!serves || !slot || sender->active || !wal_has(upstream, wal_last(standby)) ||
      !wal_has(upstream, standby->consistent_at) || guilt_turns_away(upstream, standby)) {
    bool hopeless = serves && standby->inconsistent && !wal_has(upstream, standby->consistent_at);
    tell_receiver(upstream, standby, life, args->number, hopeless ? never_consistent : ended);
    return;
  }
  uint64_t have = standby->wal.received;
  *sender = (struct sim_sender){.active = true,
                                .number = args->number,
                                .life = life,
                                .sent = have,
                                .arrived = have,
                                .heard_ns = server_now_ns(upstream)};
  struct sim_args tick = sender_args(sender);
  sim_after(self, WAL_SENDER_TIMEOUT_NS, sender_tick, &tick);
  tell_receiver(upstream, standby, life, args->number, streaming);
  server_changed(upstream);
  sender_push(upstream, sender);
}

static void authenticate(struct sim_process *self, const struct sim_args *args) {
  const struct sim_postgres *upstream = self->owner;
  sim_after(self, upstream->cluster->costs.authenticate_ns, replication_asked, args);
}

static void opened(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *standby = self->owner;
  if (!receiver_wants(args)) return;
  standby->receiver.life = args->number3;
  sim_send(&(struct sim_message){
      .from = self,
      .to = &upstream_of(standby)->process,
      .to_life = args->number3,
      .connection = args->number,
      .bytes = MESSAGE_BYTES,
      .deliver = authenticate,
      .broken = receiver_broken,
      .wanted = receiver_wants,
      .args = {.pointer = standby, .number = args->number, .number2 = self->life}});
}

static void give_up(struct sim_process *self, const struct sim_args *args) {
  const struct sim_postgres *standby = self->owner;
  if (receiver_wants(args) && standby->receiver.state == RECEIVER_CONNECTING)
    receiver_failed(self->owner);
}

/* The member to try; MEMBER_NONE: nobody. */
static uint32_t candidate(const struct sim_postgres *standby) {
  const struct sim_postgres_cluster *cluster = standby->cluster;
  if (!any_primary(cluster)) return standby->upstream;
  uint32_t first = standby->upstream < cluster->count ? standby->upstream : 0;
  uint32_t member = (first + standby->receiver.tried) % cluster->count;
  return member;
}

static void connect_to(struct sim_postgres *standby, uint32_t member) {
  struct sim_receiver *receiver = &standby->receiver;
  receiver->from = member;
  receiver->state = RECEIVER_CONNECTING;
  receiver->number = ++standby->cluster->numbers;
  struct sim_args args = {.pointer = standby, .number = receiver->number};
  sim_connect(&(struct sim_connect){.from = &standby->process,
                                    .to = &standby->cluster->servers[member].process,
                                    .opened = opened,
                                    .refused = receiver_broken,
                                    .wanted = receiver_wants,
                                    .args = args});
  uint64_t timeout_ns = any_primary(standby->cluster) ? USER_TIMEOUT_NS : SYN_GIVE_UP_NS;
  sim_after(&standby->process, timeout_ns, give_up, &args);
}

/* The next of the round, or later again. */
static void connect_next(struct sim_postgres *standby) {
  struct sim_receiver *receiver = &standby->receiver;
  receiver->tried++;
  if (any_primary(standby->cluster) && candidate(standby) == standby->member) receiver->tried++;
  if (any_primary(standby->cluster) && receiver->tried < standby->cluster->count)
    connect_to(standby, candidate(standby));
  else
    connect_later(standby);
}

void replicate_connect(struct sim_postgres *standby) {
  struct sim_receiver *receiver = &standby->receiver;
  if (standby->state != SIM_PG_STANDBY && !standby->inconsistent) return;
  if (receiver->state != RECEIVER_IDLE) return;
  receiver->tried = 0;
  uint32_t member = candidate(standby);
  if (member == standby->member && any_primary(standby->cluster))
    connect_next(standby);
  else if (member < standby->cluster->count && member != standby->member)
    connect_to(standby, member);
}

static void goodbye(struct sim_process *self, const struct sim_args *args) {
  if (sender_wants(args)) sender_end(self->owner, args->pointer);
}

static bool goodbye_wanted(const struct sim_args *args) {
  const struct sim_sender *sender = args->pointer;
  const struct sim_postgres *standby = args->pointer2;
  return sender_is(sender, args->number) && server_now_ns(standby) < args->number2 + ORPHAN_NS;
}

static void leave(struct sim_postgres *standby) {
  struct sim_receiver *receiver = &standby->receiver;
  if (receiver->state != RECEIVER_STREAMING) return;
  struct sim_postgres *upstream = upstream_of(standby);
  sim_send(&(struct sim_message){.from = &standby->kernel,
                                 .to = &upstream->process,
                                 .to_life = receiver->life,
                                 .connection = receiver->number,
                                 .bytes = MESSAGE_BYTES,
                                 .deliver = goodbye,
                                 .wanted = goodbye_wanted,
                                 .args = {.pointer = &upstream->senders[standby->member],
                                          .pointer2 = standby,
                                          .number = receiver->number,
                                          .number2 = server_now_ns(standby)}});
}

void replicate_disconnect(struct sim_postgres *standby) {
  struct sim_receiver *receiver = &standby->receiver;
  leave(standby);
  receiver->state = RECEIVER_IDLE;
  receiver->number = ++standby->cluster->numbers;
}

void replicate_died(struct sim_postgres *server, bool power) {
  struct sim_postgres_cluster *cluster = server->cluster;
  for (uint32_t i = 0; i < cluster->count; i++) {
    struct sim_sender *sender = &server->senders[i];
    if (!sender->active) continue;
    if (!power) tell_receiver(server, &cluster->servers[i], sender->life, sender->number, ended);
    sender->active = false;
  }
  if (!power) leave(server);
  server->receiver.state = RECEIVER_IDLE;
  server->receiver.number = ++cluster->numbers;
}

void replicate_join(struct sim_postgres *standby, struct sim_postgres *upstream) {
  struct sim_receiver *receiver = &standby->receiver;
  uint64_t now_ns = server_now_ns(standby);
  *receiver = (struct sim_receiver){.state = RECEIVER_STREAMING,
                                    .from = upstream->member,
                                    .number = ++standby->cluster->numbers,
                                    .life = upstream->process.life,
                                    .heard_ns = now_ns};
  struct sim_sender *sender = &upstream->senders[standby->member];
  *sender = (struct sim_sender){.active = true,
                                .number = receiver->number,
                                .life = standby->process.life,
                                .heard_ns = now_ns};
  struct sim_args receiver_args = {.pointer = standby, .number = receiver->number};
  struct sim_args tick = sender_args(sender);
  sim_after(&standby->process, STATUS_INTERVAL_NS, receiver_tick, &receiver_args);
  sim_after(&upstream->process, WAL_SENDER_TIMEOUT_NS, sender_tick, &tick);
}

/* --- what commits and shutdowns wait for ----------------------------------------------------- */

uint64_t replicate_synchronous(const struct sim_postgres *primary) {
  uint64_t flushed = primary->wal.flushed, found[POSTGRES_INSTANCES_MAX];
  uint32_t count = 0, wanted = primary->synchronous_count;
  if (guilt_acknowledges_early(primary)) return flushed;
  if (primary->synchronous_mask == 0) return primary->strict ? primary->acknowledged : flushed;
  for (uint32_t i = 0; i < primary->cluster->count; i++) {
    if (!(primary->synchronous_mask >> i & 1) || !primary->senders[i].active) continue;
    uint32_t place = count++;
    for (; place > 0 && found[place - 1] < primary->senders[i].flushed; place--)
      found[place] = found[place - 1];
    found[place] = primary->senders[i].flushed;
  }
  if (wanted == 0) wanted = 1;
  if (count < wanted) return primary->acknowledged;
  return found[wanted - 1] < flushed ? found[wanted - 1] : flushed;
}

bool replicate_all_confirmed(const struct sim_postgres *primary) {
  for (uint32_t i = 0; i < primary->cluster->count; i++) {
    const struct sim_sender *sender = &primary->senders[i];
    if (sender->active && sender->flushed < primary->wal.received) return false;
  }
  return true;
}

void sim_postgres_set_synchronous(struct sim_postgres *server, uint32_t mask, uint32_t count,
                                  bool strict) {
  if (guilt_waits_for_none(server)) mask = count = 0;
  if (server->synchronous_mask == mask && server->synchronous_count == count &&
      server->strict == strict)
    return;
  server->synchronous_mask = mask;
  server->synchronous_count = count;
  server->strict = strict;
  backend_release_commits(server);
  server_changed(server);
}

bool sim_postgres_streams_to(const struct sim_postgres *server, uint32_t standby,
                             uint64_t *ret_replayed_bytes, bool *ret_synchronous) {
  const struct sim_sender *sender = &server->senders[standby];
  if (!sender->active) return false;
  bool replayed = server_now_ns(server) >= sender->replaying_ns;
  *ret_replayed_bytes = wal_position(server, replayed ? sender->flushed : sender->replayed);
  *ret_synchronous = server->synchronous_mask >> standby & 1;
  return true;
}
