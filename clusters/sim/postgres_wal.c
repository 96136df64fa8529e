/* The write-ahead log of a simulated server: records shared with the other servers, and what
 * readers see of them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/postgres_internal.h"

/* What a row costs in the log beside its payload: heap insert, three index inserts, commit, with
 * their headers (access/xlogrecord.h); an update of the heartbeat; a timeline's checkpoint. */
#define ROW_BYTES 300
#define BEAT_BYTES 160
#define TIMELINE_BYTES 160
#define WAL_CAPACITY 4096
#define OWN_CAPACITY 256

/* --- entries --------------------------------------------------------------------------------- */

static struct sim_entry *make_entry(struct sim_postgres_cluster *cluster, size_t length) {
  struct sim_entry *entry = cluster->free_entries;
  if (entry && entry->room > length) {
    cluster->free_entries = entry->next_free;
    return entry;
  }
  if (length >= UINT32_MAX / 2)
    entry = NULL;
  else
    entry = arena_alloc(&cluster->arena, sizeof *entry + length + 1);
  if (!entry) {
    cluster->world->out_of_memory = true;
    return NULL;
  }
  entry->room = (uint32_t)length + 1;
  return entry;
}

struct sim_entry *wal_entry_take(struct sim_postgres_cluster *cluster, enum sim_record_kind kind,
                                 const char *text) {
  size_t length = text ? strlen(text) : 0;
  struct sim_entry *entry = make_entry(cluster, length);
  if (!entry) return NULL;
  char *payload = (char *)(entry + 1);
  if (length > 0) memcpy(payload, text, length);
  payload[length] = '\0';
  uint32_t room = entry->room;
  static const uint32_t bytes[] = {[SIM_RECORD_ROW] = ROW_BYTES,
                                   [SIM_RECORD_BEAT] = BEAT_BYTES,
                                   [SIM_RECORD_TIMELINE] = TIMELINE_BYTES};
  /* The position is not known before it is in a log: until then its length stands there. */
  *entry = (struct sim_entry){
      .record = {.end_bytes = bytes[kind] + length, .payload = payload, .kind = (uint8_t)kind},
      .room = room};
  return entry;
}

void wal_entry_give(struct sim_postgres_cluster *cluster, struct sim_entry *entry) {
  if (!entry || entry->index > 0) return;
  entry->next_free = cluster->free_entries;
  cluster->free_entries = entry;
}

/* --- the log --------------------------------------------------------------------------------- */

const struct sim_entry *wal_at(const struct sim_postgres *server, uint64_t count) {
  assert(count <= server->wal.received);
  if (count == 0) return NULL;
  return (const struct sim_entry *)(const void *)server->wal.records[count - 1];
}

const struct sim_entry *wal_last(const struct sim_postgres *server) {
  return wal_at(server, server->wal.received);
}

uint64_t wal_position(const struct sim_postgres *server, uint64_t count) {
  return count > 0 ? server->wal.records[count - 1]->end_bytes : WAL_START_BYTES;
}

static bool make_room(struct sim_postgres *server, uint64_t count) {
  struct sim_wal *wal = &server->wal;
  if (count <= wal->capacity) return true;
  uint64_t capacity = wal->capacity ? wal->capacity : WAL_CAPACITY;
  while (capacity < count) capacity *= 2;
  const struct sim_record **records = realloc(wal->records, capacity * sizeof *records);
  if (!records) {
    server->cluster->world->out_of_memory = true;
    return false;
  }
  wal->records = records;
  wal->capacity = capacity;
  return true;
}

bool wal_append(struct sim_postgres *server, struct sim_entry *entry) {
  struct sim_wal *wal = &server->wal;
  assert(entry->index == 0);
  if (!make_room(server, wal->received + 1)) return false;
  entry->previous = wal_last(server);
  entry->record.end_bytes += wal_position(server, wal->received);
  entry->record.timeline = server->timeline;
  entry->table = server->cluster->table;
  wal->records[wal->received++] = &entry->record;
  entry->index = wal->applied = wal->received;
  return true;
}

bool wal_receive(struct sim_postgres *server, const struct sim_entry *last) {
  struct sim_wal *wal = &server->wal;
  if (!last || last->index <= wal->received) return wal_has(server, last);
  if (!make_room(server, last->index)) return false;
  const struct sim_entry *entry = last;
  for (; entry && entry->index > wal->received; entry = entry->previous)
    wal->records[entry->index - 1] = &entry->record;
  if (entry != wal_last(server)) return false;
  wal->received = last->index;
  return true;
}

bool wal_has(const struct sim_postgres *server, const struct sim_entry *last) {
  if (!last) return true;
  return last->index <= server->wal.received && wal_at(server, last->index) == last;
}

uint64_t wal_common(const struct sim_postgres *server, const struct sim_postgres *other) {
  uint64_t same = 0, beyond = server->wal.received;
  if (other->wal.received < beyond) beyond = other->wal.received;
  if (wal_at(server, beyond) == wal_at(other, beyond)) return beyond;
  while (beyond - same > 1) { /* the same up to `same`, not at `beyond` */
    uint64_t middle = same + (beyond - same) / 2;
    if (wal_at(server, middle) == wal_at(other, middle))
      same = middle;
    else
      beyond = middle;
  }
  return same;
}

/* What was seen of the log is found anew. */
static void forget_seen(struct sim_postgres *server) {
  server->shown = 0;
  server->newest_row = server->newest_beat = NULL;
}

static void clear_own(struct sim_own_table *own) {
  if (own->count > 0) memset(own->slots, 0, own->capacity * sizeof *own->slots);
  own->count = 0;
  own->taken = 0;
}

void wal_truncate(struct sim_postgres *server, uint64_t count) {
  struct sim_wal *wal = &server->wal;
  if (count >= wal->received) return;
  wal->received = count;
  if (wal->flushed > count) wal->flushed = count;
  if (wal->applied > count) wal->applied = count;
  if (server->acknowledged > count) server->acknowledged = count;
  if (server->shown > count) forget_seen(server);
  if (server->own.taken > count) clear_own(&server->own);
  server->cut++;
  server->flushing = false;
}

void wal_settle(struct sim_postgres *server) {
  struct sim_wal *wal = &server->wal;
  wal->flushed = wal->applied = server->acknowledged = wal->received;
  server->flushing = false;
  server->cut++;
}

void wal_release(struct sim_postgres *server) {
  free(server->wal.records);
  free(server->own.slots);
}

/* --- replay ---------------------------------------------------------------------------------- */

void wal_replay(struct sim_postgres *server) {
  struct sim_wal *wal = &server->wal;
  uint64_t cost_ns = server->cluster->costs.replay_ns, now_ns = server_now_ns(server);
  uint64_t due = wal->flushed > wal->applied ? wal->flushed - wal->applied : 0;
  if (due == 0) return;
  uint64_t done = due;
  if (cost_ns > 0) {
    done = now_ns > server->replay_from_ns ? (now_ns - server->replay_from_ns) / cost_ns : 0;
    if (done > due) done = due;
  }
  wal->applied += done;
  server->replay_from_ns += done * cost_ns;
}

uint64_t wal_replayed_ns(const struct sim_postgres *server) {
  const struct sim_wal *wal = &server->wal;
  if (wal->applied >= wal->flushed) return server_now_ns(server);
  return server->replay_from_ns + (wal->flushed - wal->applied) * server->cluster->costs.replay_ns;
}

/* Startup replays what is flushed (walreceiver.c: XLogWalRcvFlush() wakes it). */
static void flush_done(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *server = self->owner;
  struct sim_wal *wal = &server->wal;
  if (args->number2 != server->cut) return;
  wal_replay(server);
  if (wal->applied >= wal->flushed) server->replay_from_ns = server_now_ns(server);
  wal->flushed = args->number;
  server->flushing = false;
  guilt_flushed(server);
  server_consistent(server);
  wal_flush(server);
  replicate_report(server);
  replicate_push(server);
}

void wal_flush(struct sim_postgres *server) {
  if (server->flushing || server->wal.flushed >= server->wal.received) return;
  server->flushing = true;
  sim_after(&server->process, server->cluster->costs.fsync_ns, flush_done,
            &(struct sim_args){.number = server->wal.received, .number2 = server->cut});
}

/* --- what readers see ------------------------------------------------------------------------ */

uint64_t wal_shown(struct sim_postgres *server) {
  if (!server_in_recovery(server)) return server->acknowledged;
  wal_replay(server);
  return server->wal.applied;
}

/* Looks at the records that have come since, newest first: each is looked at once. */
static void look(struct sim_postgres *server) {
  uint64_t shown = wal_shown(server);
  const struct sim_entry *row = NULL, *beat = NULL;
  for (uint64_t count = shown; count > server->shown && !(row && beat); count--) {
    const struct sim_entry *entry = wal_at(server, count);
    if (!row && entry->record.kind == SIM_RECORD_ROW) row = entry;
    if (!beat && entry->record.kind == SIM_RECORD_BEAT) beat = entry;
  }
  if (row) server->newest_row = row;
  if (beat) server->newest_beat = beat;
  if (shown > server->shown) server->shown = shown;
}

static const struct sim_entry *if_of_table(const struct sim_postgres *server,
                                           const struct sim_entry *entry) {
  return entry && entry->table == server->cluster->table ? entry : NULL;
}

/* In a log that is read as if it were older. */
static const struct sim_entry *newest_before(const struct sim_postgres *server, uint64_t count,
                                             enum sim_record_kind kind) {
  while (count > 0 && wal_at(server, count)->record.kind != kind) count--;
  return wal_at(server, count);
}

static const struct sim_entry *newest(struct sim_postgres *server, enum sim_record_kind kind) {
  look(server);
  uint64_t seen = guilt_seen(server, server->shown);
  if (seen < server->shown) return if_of_table(server, newest_before(server, seen, kind));
  return if_of_table(server, kind == SIM_RECORD_ROW ? server->newest_row : server->newest_beat);
}

const struct sim_entry *wal_newest_row(struct sim_postgres *server) {
  return newest(server, SIM_RECORD_ROW);
}

const struct sim_entry *wal_newest_beat(struct sim_postgres *server) {
  return newest(server, SIM_RECORD_BEAT);
}

static struct sim_own *own_slot(const struct sim_own_table *own, uint32_t identity) {
  uint32_t at = (uint32_t)((identity * UINT64_C(0x9E3779B97F4A7C15)) >> 32);
  for (;; at++) {
    struct sim_own *slot = &own->slots[at & (own->capacity - 1)];
    if (!slot->used || slot->identity == identity) return slot;
  }
}

static bool grow_own(struct sim_postgres *server) {
  struct sim_own_table *own = &server->own;
  struct sim_own_table larger = *own;
  larger.capacity = own->capacity ? own->capacity * 2 : OWN_CAPACITY;
  larger.slots = calloc(larger.capacity, sizeof *larger.slots);
  if (!larger.slots) {
    server->cluster->world->out_of_memory = true;
    return false;
  }
  for (uint32_t i = 0; i < own->capacity; i++)
    if (own->slots[i].used) *own_slot(&larger, own->slots[i].identity) = own->slots[i];
  free(own->slots);
  *own = larger;
  return true;
}

static bool take_own(struct sim_postgres *server, const struct sim_entry *entry) {
  struct sim_own_table *own = &server->own;
  if (entry->record.kind != SIM_RECORD_ROW || entry->table != own->table) return true;
  if (own->count * 2 >= own->capacity && !grow_own(server)) return false;
  struct sim_own *slot = own_slot(own, entry->record.identity);
  if (!slot->used) {
    *slot = (struct sim_own){.identity = entry->record.identity, .used = true};
    own->count++;
  }
  if (entry->record.sequence > slot->sequence) slot->sequence = entry->record.sequence;
  return true;
}

/* Only who is asked keeps the table up to date. */
bool wal_newest_own(struct sim_postgres *server, uint32_t identity, uint64_t *ret_sequence) {
  struct sim_own_table *own = &server->own;
  uint64_t shown = wal_shown(server);
  if (own->taken > shown || own->table != server->cluster->table) clear_own(own);
  own->table = server->cluster->table;
  while (own->taken < shown) {
    if (!take_own(server, wal_at(server, own->taken + 1))) return false;
    own->taken++;
  }
  if (own->capacity == 0) return false;
  const struct sim_own *slot = own_slot(own, identity);
  if (!slot->used) return false;
  *ret_sequence = slot->sequence;
  return true;
}
