/* What a simulated Redis server throws away: for want of memory, and because its time is over.
 * Either is a DEL in its stream, so that replicas and the append-only file follow. */
#include <math.h>
#include <string.h>

#include "sim/redis_memory.h"

/* To draw, unlink and free one key: some 4 KiB. */
#define EVICT_NS 2500
#define LOOK_EVERY 16 /* keys, between looks at the clock */
#define SLOW_CYCLE_NS (100 * NS_PER_MS)
#define KEYS_PER_LOOP 20u
#define STALE_PERCENT 10u

/* --- who goes first -------------------------------------------------------------------------- */

static bool is_volatile(int policy) {
  return policy == REDIS_VOLATILE_LRU || policy == REDIS_VOLATILE_LFU ||
         policy == REDIS_VOLATILE_RANDOM || policy == REDIS_VOLATILE_TTL;
}

static bool is_random(int policy) {
  return policy == REDIS_ALLKEYS_RANDOM || policy == REDIS_VOLATILE_RANDOM;
}

static uint32_t choice_count(const struct sim_redis *server, int policy) {
  const struct sim_redis_keys *keys = &server->heap.keys;
  return is_volatile(policy) ? keys->expires_count : keys->count;
}

static const struct sim_redis_key *choice_at(const struct sim_redis *server, int policy,
                                             uint32_t index) {
  const struct sim_redis_keys *keys = &server->heap.keys;
  return &keys->all[is_volatile(policy) ? keys->expires[index] : index];
}

/* Into its place by score. When the pool is full, the least goes, which may be the new one. */
static void offer(struct sim_redis_heap *heap, uint64_t score,
                  const struct sim_redis_entry *entry) {
  uint32_t at = 0;
  while (at < heap->pool_count && heap->pool[at].score < score) at++;
  if (heap->pool_count == EVICTION_POOL) {
    if (at == 0) return;
    at--;
    memmove(&heap->pool[0], &heap->pool[1], at * sizeof *heap->pool);
  } else {
    memmove(&heap->pool[at + 1], &heap->pool[at], (heap->pool_count - at) * sizeof *heap->pool);
    heap->pool_count++;
  }
  heap->pool[at] = (struct sim_redis_candidate){.score = score, .entry = entry};
}

static void draw(struct sim_redis *server, int policy) {
  uint32_t count = choice_count(server, policy), samples = server->cluster->policy.samples;
  if (samples > count) samples = count;
  uint32_t first = (uint32_t)prng_below(&server->heap.prng, count);
  for (uint32_t i = 0; i < samples; i++) {
    const struct sim_redis_key *key = choice_at(server, policy, (first + i) % count);
    offer(&server->heap, memory_score(server, key), key->entry);
  }
}

/* The best of all that were drawn and are there still, drawn just now or before. */
static const struct sim_redis_entry *best(struct sim_redis *server, int policy) {
  struct sim_redis_heap *heap = &server->heap;
  while (choice_count(server, policy) > 0) {
    draw(server, policy);
    while (heap->pool_count > 0) {
      const struct sim_redis_entry *entry = heap->pool[--heap->pool_count].entry;
      const struct sim_redis_key *key = keyspace_find(server, entry->key, entry->key_length);
      if (key && (!is_volatile(policy) || key->expires != KEY_NONE)) return key->entry;
    }
  }
  return NULL;
}

/* NULL: nothing may go. */
static const struct sim_redis_entry *choose(struct sim_redis *server) {
  int policy = redis_guilt_policy(server, server->cluster->policy.policy);
  if (policy == REDIS_NOEVICTION) return NULL;
  if (!is_random(policy)) return best(server, policy);
  uint32_t count = choice_count(server, policy);
  if (count == 0) return NULL;
  uint32_t index = (uint32_t)prng_below(&server->heap.prng, count);
  return choice_at(server, policy, index)->entry;
}

/* --- for want of memory ---------------------------------------------------------------------- */

/* How many keys go before others are served again (evictionTimeLimitUs()). */
static uint64_t keys_at_once(const struct sim_redis *server) {
  uint32_t tenacity = server->cluster->policy.tenacity;
  if (tenacity >= 100) return UINT64_MAX;
  double limit_us = tenacity <= 10 ? 50.0 * tenacity : 500 * pow(1.15, tenacity - 10.0);
  return (uint64_t)(limit_us * 1e3 / EVICT_NS) / LOOK_EVERY * LOOK_EVERY + LOOK_EVERY;
}

static void go_on(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  (void)args;
  server->heap.evicting = false;
  memory_evict(server, 0);
}

static bool may_evict(const struct sim_redis *server) {
  return server->state == REDIS_UP && server->paused_until_ns == 0 &&
         (redis_is_primary(server) || !server->cluster->policy.replicas_ignored);
}

static bool remove_one(struct sim_redis *server, const struct sim_redis_entry *entry) {
  const struct sim_redis_truth *truth = &server->cluster->truth;
  if (truth->evicted) truth->evicted(truth->data, entry, server->member);
  if (!data_remove(server, entry, SIM_REDIS_EVICTED)) return false;
  server->heap.evicted++;
  return data_map(server);
}

/* True: nothing is left to go. */
static bool free_memory(struct sim_redis *server, uint64_t bytes) {
  uint64_t most = keys_at_once(server), count = 0;
  for (uint64_t freed = 0; freed < bytes; count++) {
    if (count == most) {
      if (!server->heap.evicting) sim_after(&server->program.process, EVICT_NS * most, go_on, NULL);
      server->heap.evicting = true;
      return false;
    }
    const struct sim_redis_entry *entry = choose(server);
    if (!entry) return true;
    freed += entry->memory;
    if (!remove_one(server, entry)) return true;
  }
  return false;
}

bool memory_evict(struct sim_redis *server, uint64_t pending) {
  uint64_t limit = server->cluster->policy.limit_bytes, evicted = server->heap.evicted;
  if (limit == 0 || !may_evict(server)) return false;
  uint64_t used = memory_used(server) + pending;
  if (used <= limit) return false;
  bool full = free_memory(server, used - limit);
  if (server->heap.evicted > evicted) stream_push(server, false);
  return full && !server->heap.evicting;
}

/* --- because its time is over ---------------------------------------------------------------- */

/* A few keys, one after the other; how many of them in a hundred were over. */
static uint32_t look_at_some(struct sim_redis *server) {
  struct sim_redis_heap *heap = &server->heap;
  struct sim_redis_keys *keys = &heap->keys;
  uint64_t now_ns = redis_now_ns(server);
  uint32_t count = keys->expires_count < KEYS_PER_LOOP ? keys->expires_count : KEYS_PER_LOOP;
  uint32_t expired = 0;
  for (uint32_t i = 0; i < count && keys->expires_count > 0; i++) {
    if (heap->cursor >= keys->expires_count) heap->cursor = 0;
    const struct sim_redis_entry *entry = keys->all[keys->expires[heap->cursor]].entry;
    if (entry->until_ns > now_ns) {
      heap->cursor++;
      continue;
    }
    if (!data_remove(server, entry, SIM_REDIS_EXPIRED) || !data_map(server)) return 0;
    heap->expired++;
    expired++;
  }
  return count > 0 ? expired * 100 / count : 0;
}

static void slow_cycle(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  uint64_t expired = server->heap.expired;
  (void)args;
  server->heap.expiring = false;
  if (server->state == REDIS_UP && redis_is_primary(server) && server->paused_until_ns == 0) {
    data_map(server);
    while (look_at_some(server) > STALE_PERCENT) continue;
  }
  if (server->heap.expired > expired) stream_push(server, false);
  memory_begin_to_expire(server);
}

void memory_begin_to_expire(struct sim_redis *server) {
  struct sim_redis_heap *heap = &server->heap;
  if (heap->expiring || heap->keys.expires_count == 0) return;
  heap->expiring = true;
  sim_after(&server->program.process, SLOW_CYCLE_NS, slow_cycle, NULL);
}
