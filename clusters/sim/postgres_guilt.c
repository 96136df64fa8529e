/* Bugs that a simulated cluster may have built in, so that a checker can be seen to convict it: the
 * part of each that lies in the servers (enum sim_guilt). What each does, and when:
 *
 * early ack       a synchronous commit is acknowledged after its local flush, and walsenders hold
 *                 every record back for 200 ms: a crash always loses what was acknowledged in them.
 * two primaries   a primary that is told to stop goes on for 3 s after another one was promoted, or
 *                 after it was told, whichever is later (and until the leader key of a dead primary
 *                 would have run out, when nobody is promoted).
 * stale read      one replica shows its readers what it had 10 s ago, and reports that it is in
 * step. resurrected     every few seconds a replica passes one of the writes that it refuses on to
 * the primary, which puts it into its log. corrupt         one replica's copy of one row has
 * another payload than was written. duplicate       the primary puts one row into its log twice.
 * flapping        when clients have come back to a new primary it serves them for 300 ms, answers
 *                 nothing for 5 s, then serves.
 * blink           a primary answers nothing for 30 to 80 ms, every 2 to 5 s.
 * slow            for 15 s after a promotion commits are acknowledged 25 ms after they are safe.
 * unsynced        a primary that was promoted takes no note of which standbys are synchronous.
 * loss at heal    when a former primary comes back as a standby, all servers go back to where the
 *                 present primary was promoted: as if they had been copied from the wrong one. */
#include <assert.h>
#include <string.h>

#include "sim/postgres_internal.h"
#include "sim/sim.h"

#define HOLD_BACK_NS (200 * NS_PER_MS)
#define REIGN_ON_NS (3 * NS_PER_S)
#define STALE_NS (10 * NS_PER_S)
#define NOTE_NS (100 * NS_PER_MS)
#define SLOW_NS (25 * NS_PER_MS)
#define SLOW_FOR_NS (15 * NS_PER_S)
#define FLAP_ROWS 3 /* over one connection: whose client has come back, and is no probe */
#define FLAP_AFTER_NS (300 * NS_PER_MS)
#define FLAP_NS (5 * NS_PER_S)

static bool guilty(const struct sim_postgres *server, enum sim_guilt kind) {
  return server->cluster->guilt.kind == (int)kind;
}

static uint64_t between(struct sim_postgres_cluster *cluster, uint64_t least, uint64_t most) {
  return least + prng_below(&cluster->guilt.prng, most - least + 1);
}

static struct sim_postgres *self_of(const struct sim_process *process) {
  return process->owner;
}

/* --- silence: flapping, blink ---------------------------------------------------------------- */

uint64_t guilt_silence_ns(const struct sim_postgres *server) {
  if (server->silent_until_ns == 0) return 0;
  uint64_t now_ns = server_now_ns(server);
  return server->silent_until_ns > now_ns ? server->silent_until_ns - now_ns : 0;
}

static void speak_again(struct sim_process *self, const struct sim_args *args) {
  (void)args;
  backend_release_commits(self_of(self));
}

static void fall_silent(struct sim_postgres *server, uint64_t for_ns) {
  server->silent_until_ns = server_now_ns(server) + for_ns;
  sim_after(&server->process, for_ns, speak_again, NULL);
}

static void flap(struct sim_process *self, const struct sim_args *args) {
  (void)args;
  fall_silent(self_of(self), FLAP_NS);
}

void guilt_acknowledged(struct sim_postgres *primary, const struct sim_query *query) {
  struct sim_guilt_state *guilt = &primary->cluster->guilt;
  if (!guilty(primary, GUILTY_FLAPPING) || guilt->done || primary->member != guilt->member ||
      query->entry->record.kind != SIM_RECORD_ROW || query->number <= guilt->number)
    return;
  if (++query->connection->rows < FLAP_ROWS) return;
  guilt->done = true;
  sim_after(&primary->process, FLAP_AFTER_NS, flap, NULL);
}

static void watch_who_comes_back(struct sim_postgres *primary) {
  struct sim_guilt_state *guilt = &primary->cluster->guilt;
  guilt->number = primary->cluster->numbers;
  guilt->member = primary->member;
  guilt->done = false;
}

static void blink(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *server = self_of(self);
  if (server->state != SIM_PG_PRIMARY) return;
  if (args->number > 0) fall_silent(server, args->number);
  uint64_t next_ns = between(server->cluster, 2 * NS_PER_S, 5 * NS_PER_S);
  uint64_t for_ns = between(server->cluster, 30 * NS_PER_MS, 80 * NS_PER_MS);
  sim_after(self, next_ns, blink, &(struct sim_args){.number = for_ns});
}

/* --- promotion and stop: two primaries ------------------------------------------------------- */

void guilt_became_primary(struct sim_postgres *server, bool promoted) {
  if (promoted) server->cluster->guilt.promoted_ns = server_now_ns(server);
  server->released = server->wal.received;
  if (promoted && guilty(server, GUILTY_FLAPPING)) watch_who_comes_back(server);
  if (guilty(server, GUILTY_BLINK)) blink(&server->process, &(struct sim_args){.number = 0});
}

static uint64_t obey_ns(const struct sim_postgres *server) {
  const struct sim_postgres_cluster *cluster = server->cluster;
  uint64_t from_ns = server->stop_asked_ns;
  for (uint32_t i = 0; i < cluster->count; i++) {
    const struct sim_postgres *other = &cluster->servers[i];
    if (other == server || other->state != SIM_PG_PRIMARY) continue;
    if (cluster->guilt.promoted_ns > from_ns) from_ns = cluster->guilt.promoted_ns;
    return from_ns + REIGN_ON_NS;
  }
  return from_ns + cluster->config->ttl_ns + cluster->config->loop_wait_ns + REIGN_ON_NS;
}

static void obey(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *server = self_of(self);
  (void)args;
  uint64_t now_ns = server_now_ns(server);
  if (server->state != SIM_PG_PRIMARY || now_ns >= obey_ns(server))
    sim_postgres_stop(server, server->stop_immediate);
  else
    sim_after(self, 100 * NS_PER_MS, obey, NULL);
}

bool guilt_refuses_stop(struct sim_postgres *server, bool immediate) {
  if (!guilty(server, GUILTY_TWO_PRIMARIES) || server->state != SIM_PG_PRIMARY) return false;
  if (server->stop_asked_ns > 0) return server_now_ns(server) < obey_ns(server);
  server->stop_asked_ns = server_now_ns(server);
  server->stop_immediate = immediate;
  sim_after(&server->process, 100 * NS_PER_MS, obey, NULL);
  return true;
}

/* --- commits: slow, early ack, unsynced ------------------------------------------------------ */

/* Commits are held in their order; the first that waits wakes them all. */
bool guilt_delays(struct sim_postgres *primary, const struct sim_query *query) {
  struct sim_guilt_state *guilt = &primary->cluster->guilt;
  uint64_t now_ns = server_now_ns(primary), due_ns = query->ready_ns + SLOW_NS;
  if (!guilty(primary, GUILTY_SLOW) || guilt->promoted_ns == 0 || due_ns <= now_ns ||
      now_ns > guilt->promoted_ns + SLOW_FOR_NS)
    return false;
  if (guilt->next_ns != due_ns) {
    guilt->next_ns = due_ns;
    sim_after(&primary->process, due_ns - now_ns, speak_again, NULL);
  }
  return true;
}

bool guilt_waits_for_none(const struct sim_postgres *primary) {
  return guilty(primary, GUILTY_UNSYNCED) && primary->timeline > 1;
}

bool guilt_acknowledges_early(const struct sim_postgres *primary) {
  return guilty(primary, GUILTY_EARLY_ACK);
}

static bool holds_back(const struct sim_postgres *upstream) {
  return guilty(upstream, GUILTY_EARLY_ACK) && upstream->state == SIM_PG_PRIMARY &&
         upstream->synchronous_mask != 0;
}

uint64_t guilt_send_limit(const struct sim_postgres *upstream) {
  uint64_t flushed = upstream->wal.flushed;
  return holds_back(upstream) && upstream->released < flushed ? upstream->released : flushed;
}

static void release(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *server = self_of(self);
  if (args->number > server->released) server->released = args->number;
  replicate_push(server);
}

/* --- replicas: stale read, corrupt, resurrected ---------------------------------------------- */

static void note(struct sim_postgres *server) {
  struct sim_guilt_state *guilt = &server->cluster->guilt;
  uint64_t now_ns = server_now_ns(server);
  if (server->member != guilt->member || now_ns < guilt->next_ns) return;
  guilt->next_ns = now_ns + NOTE_NS;
  guilt->notes[guilt->note_count % GUILT_NOTES].time_ns = now_ns;
  guilt->notes[guilt->note_count % GUILT_NOTES].count = server->wal.flushed;
  guilt->note_count++;
}

void guilt_flushed(struct sim_postgres *server) {
  if (guilty(server, GUILTY_STALE_READ)) note(server);
  if (guilty(server, GUILTY_EARLY_ACK))
    sim_after(&server->process, HOLD_BACK_NS, release,
              &(struct sim_args){.number = server->wal.flushed});
}

uint64_t guilt_seen(struct sim_postgres *server, uint64_t shown) {
  const struct sim_guilt_state *guilt = &server->cluster->guilt;
  if (!guilty(server, GUILTY_STALE_READ) || server->member != guilt->member ||
      !server_in_recovery(server))
    return shown;
  uint64_t now_ns = server_now_ns(server);
  uint32_t oldest = guilt->note_count > GUILT_NOTES ? guilt->note_count - GUILT_NOTES : 0;
  for (uint32_t i = guilt->note_count; i-- > oldest;)
    if (guilt->notes[i % GUILT_NOTES].time_ns + STALE_NS <= now_ns) {
      uint64_t count = guilt->notes[i % GUILT_NOTES].count;
      return count < shown ? count : shown;
    }
  return 0;
}

const struct sim_record *guilt_read(struct sim_postgres *server, const struct sim_record *record,
                                    uint64_t nth) {
  struct sim_postgres_cluster *cluster = server->cluster;
  struct sim_guilt_state *guilt = &cluster->guilt;
  if (!guilty(server, GUILTY_CORRUPT) || server->member != guilt->member) return record;
  if (!guilt->spoilt && nth == guilt->rows) {
    char *payload = arena_strdup(&cluster->arena, record->payload);
    if (!payload) {
      cluster->world->out_of_memory = true;
      return record;
    }
    guilt->spoilt_as = *record;
    if (payload[0])
      payload[0] = payload[0] == '0' ? '1' : '0';
    else
      guilt->spoilt_as.checksum ^= 1;
    guilt->spoilt_as.payload = payload;
    guilt->spoilt = record;
  }
  return record == guilt->spoilt ? &guilt->spoilt_as : record;
}

static void put_in(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *server = self_of(self);
  if (server->state == SIM_PG_PRIMARY) backend_append(server, args->pointer);
}

bool guilt_keeps(struct sim_postgres *standby, struct sim_entry *entry) {
  struct sim_postgres_cluster *cluster = standby->cluster;
  struct sim_guilt_state *guilt = &cluster->guilt;
  uint64_t now_ns = server_now_ns(standby);
  if (!guilty(standby, GUILTY_RESURRECTED) || entry->record.kind != SIM_RECORD_ROW ||
      now_ns < guilt->next_ns || standby->receiver.state != RECEIVER_STREAMING)
    return false;
  guilt->next_ns = now_ns + between(cluster, 2 * NS_PER_S, 6 * NS_PER_S);
  sim_send(&(struct sim_message){.from = &standby->process,
                                 .to = &cluster->servers[standby->receiver.from].process,
                                 .to_life = standby->receiver.life,
                                 .bytes = (uint32_t)entry->record.end_bytes,
                                 .deliver = put_in,
                                 .args = {.pointer = entry}});
  return true;
}

/* --- the log: duplicate, loss at heal -------------------------------------------------------- */

void guilt_appended(struct sim_postgres *primary, const struct sim_entry *entry) {
  struct sim_postgres_cluster *cluster = primary->cluster;
  struct sim_guilt_state *guilt = &cluster->guilt;
  if (!guilty(primary, GUILTY_DUPLICATE) || guilt->done || entry->record.kind != SIM_RECORD_ROW)
    return;
  if (guilt->rows-- > 0) return;
  guilt->done = true;
  struct sim_entry *twin = wal_entry_take(cluster, SIM_RECORD_ROW, entry->record.payload);
  if (!twin) return;
  twin->record.identity = entry->record.identity;
  twin->record.sequence = entry->record.sequence;
  twin->record.checksum = entry->record.checksum;
  backend_append(primary, twin);
}

/* Everything behind the record with which `primary`'s timeline begins. */
static void lose_since_promotion(struct sim_postgres *primary) {
  struct sim_postgres_cluster *cluster = primary->cluster;
  uint64_t count = primary->wal.received;
  while (count > 1 && wal_at(primary, count - 1)->record.timeline == primary->timeline) count--;
  const struct sim_entry *begin = wal_at(primary, count);
  for (uint32_t i = 0; i < cluster->count; i++) {
    struct sim_postgres *server = &cluster->servers[i];
    if (!wal_has(server, begin)) continue;
    replicate_disconnect(server);
    for (uint32_t j = 0; j < cluster->count; j++) server->senders[j].active = false;
    if (server == primary) backend_end_all(server, 0, false);
    wal_truncate(server, count);
    replicate_connect(server);
  }
}

bool guilt_turns_away(struct sim_postgres *upstream, struct sim_postgres *standby) {
  struct sim_guilt_state *guilt = &upstream->cluster->guilt;
  if (!guilty(upstream, GUILTY_LOSS_AT_HEAL) || guilt->done || upstream->timeline == 1 ||
      upstream->state != SIM_PG_PRIMARY || !standby->was_primary)
    return false;
  guilt->done = true;
  lose_since_promotion(upstream);
  return true;
}

/* --- */

void sim_postgres_set_guilt(struct sim_postgres_cluster *cluster, int kind, uint64_t seed) {
  struct sim_guilt_state *guilt = &cluster->guilt;
  assert(guilt->kind == GUILTY_NOT);
  guilt->kind = kind;
  prng_init(&guilt->prng, seed, "sim/postgres/guilt");
  guilt->member =
      cluster->count > 1 ? 1 + (uint32_t)prng_below(&guilt->prng, cluster->count - 1) : 0;
  guilt->rows = between(cluster, 50, 200);
  guilt->done = kind == GUILTY_FLAPPING; /* until somebody is promoted */
  for (uint32_t i = 0; i < cluster->count; i++)
    if (cluster->servers[i].state == SIM_PG_PRIMARY)
      guilt_became_primary(&cluster->servers[i], false);
}
