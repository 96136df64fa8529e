/* Bugs that are built into simulated Redis servers, one at a time; docs/simulator.md says what each
 * does and who must convict it. */
#include <string.h>

#include "sim/redis_internal.h"
#include "sim/sim.h"

#define LOST_EVERY 200              /* one write of so many */
#define STALE_NS (10 * NS_PER_S)    /* how old the answers of the stale replica are */
#define KEEPS_NS (15 * NS_PER_S)    /* how long a former master keeps its slots */
#define SERVES_NS (300 * NS_PER_MS) /* before a new primary falls silent ... */
#define SILENT_NS (5 * NS_PER_S)    /* ... and for how long */
#define BLINK_NS (60 * NS_PER_MS)
#define BLINK_EVERY_NS (7 * NS_PER_S)

void sim_redis_set_guilt(struct sim_redis_cluster *cluster, int guilt, uint64_t seed) {
  cluster->guilt = (struct sim_redis_guilt){.kind = guilt, .member = cluster->count - 1};
  prng_init(&cluster->guilt.prng, seed, "sim/redis/guilt");
  cluster->guilt.since_ns = sim_now_ns(cluster->world);
}

static bool is_row(const char *key, size_t length) {
  return length > 5 && strncmp(key, "gd:w:", 5) == 0;
}

/* GUILTY_EARLY_ACK: the answer goes out before the command is run, which then is forgotten. */
bool redis_guilt_drops(struct sim_redis *server, const char *key, size_t length) {
  struct sim_redis_guilt *guilt = &server->cluster->guilt;
  return guilt->kind == GUILTY_EARLY_ACK && is_row(key, length) &&
         prng_below(&guilt->prng, LOST_EVERY) == 0;
}

/* GUILTY_STALE_READ: one replica shows what there was long ago, and reports that it is in step. */
const struct sim_redis_entry *redis_guilt_seen(struct sim_redis *server,
                                               const struct sim_redis_entry *entry) {
  const struct sim_redis_guilt *guilt = &server->cluster->guilt;
  if (guilt->kind != GUILTY_STALE_READ || server->member != guilt->member ||
      redis_is_primary(server) || !entry)
    return entry;
  uint64_t now_ns = redis_now_ns(server);
  while (entry && entry->written_ns + STALE_NS > now_ns) {
    const struct sim_redis_entry *older = entry->previous;
    while (older && (older->hash != entry->hash || strcmp(older->key, entry->key) != 0))
      older = older->previous;
    entry = older;
  }
  return entry;
}

/* GUILTY_TWO_PRIMARIES: a master that has been replaced does not look at epochs. */
bool redis_guilt_keeps_slots(struct sim_redis *server) {
  struct sim_redis_guilt *guilt = &server->cluster->guilt;
  uint64_t now_ns = redis_now_ns(server);
  if (guilt->kind != GUILTY_TWO_PRIMARIES) return false;
  if (guilt->done == 0) {
    guilt->done = 1;
    guilt->since_ns = now_ns;
  }
  return now_ns < guilt->since_ns + KEEPS_NS;
}

/* GUILTY_RESURRECTED: a replica refuses a write, which reaches the primary all the same. */
void redis_guilt_refused(struct sim_redis *server, const char *key, size_t key_length,
                         const char *value, size_t value_length) {
  struct sim_redis_guilt *guilt = &server->cluster->guilt;
  if (guilt->kind != GUILTY_RESURRECTED || redis_is_primary(server) || !is_row(key, key_length))
    return;
  struct sim_redis *primary = &server->cluster->servers[server->follow.from];
  if (prng_below(&guilt->prng, LOST_EVERY) != 0 || !redis_takes_writes(primary)) return;
  if (data_append(primary, key, key_length, value, value_length)) stream_push(primary, false);
}

/* GUILTY_CORRUPT: one value on one replica is not what was written. */
const struct sim_redis_entry *redis_guilt_read(struct sim_redis *server,
                                               const struct sim_redis_entry *entry) {
  struct sim_redis_guilt *guilt = &server->cluster->guilt;
  if (guilt->kind != GUILTY_CORRUPT || server->member != guilt->member) return entry;
  if (entry->index != 100 || !is_row(entry->key, entry->key_length)) return entry;
  size_t length = strlen(entry->value);
  char *value = arena_strndup(&server->cluster->arena, entry->value, length);
  if (!value || length == 0) return entry;
  value[length - 1] = value[length - 1] == 'x' ? 'y' : 'x';
  guilt->spoilt = *entry;
  guilt->spoilt.value = value;
  return &guilt->spoilt;
}

/* GUILTY_EVICT_ANY: whatever it draws goes, also what has no time to live under volatile-*, and
 * under noeviction. */
int redis_guilt_policy(const struct sim_redis *server, int policy) {
  return server->cluster->guilt.kind == GUILTY_EVICT_ANY ? REDIS_ALLKEYS_RANDOM : policy;
}

void redis_guilt_promoted(struct sim_redis *server) {
  struct sim_redis_guilt *guilt = &server->cluster->guilt;
  if (guilt->kind != GUILTY_FLAPPING) return;
  guilt->since_ns = redis_now_ns(server) + SERVES_NS;
  guilt->member = server->member;
  guilt->done = 1;
}

/* GUILTY_FLAPPING: a new primary serves for a moment, falls silent, and serves again.
 * GUILTY_BLINK: a primary is silent for moments that no sampling of roles sees. */
uint64_t redis_guilt_silence_ns(struct sim_redis *server) {
  const struct sim_redis_guilt *guilt = &server->cluster->guilt;
  uint64_t now_ns = redis_now_ns(server), begin_ns = guilt->since_ns, for_ns = 0;
  if (guilt->kind == GUILTY_FLAPPING && guilt->done && server->member == guilt->member)
    for_ns = SILENT_NS;
  if (guilt->kind == GUILTY_BLINK && redis_is_primary(server)) {
    begin_ns = now_ns - now_ns % BLINK_EVERY_NS;
    for_ns = BLINK_NS;
  }
  return now_ns >= begin_ns && now_ns < begin_ns + for_ns ? begin_ns + for_ns - now_ns : 0;
}
