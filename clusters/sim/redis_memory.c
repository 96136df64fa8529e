/* How much memory a simulated Redis server uses, and when its keys were used. */
#include "sim/redis_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STARTUP_BYTES 875920u
#define CLIENT_BYTES (24u << 10)
#define RESIDENT_BYTES (UINT64_C(8) << 20) /* of a server without data, that are its own */
#define TABLE_FIRST 4u                     /* DICT_HT_INITIAL_SIZE */
#define TABLE_LEAST 10u                    /* HASHTABLE_MIN_FILL, in percent */
#define EMBEDDED_MAX 44u                   /* OBJ_ENCODING_EMBSTR_SIZE_LIMIT */
#define OBJECT_BYTES 16u
#define LFU_FIRST 5u /* LFU_INIT_VAL */

/* --- sizes ----------------------------------------------------------------------------------- */

uint64_t memory_rounded(uint64_t bytes) {
  if (bytes <= 8) return 8;
  if (bytes <= 128) return (bytes + 15) / 16 * 16;
  uint64_t half = UINT64_C(1) << (63 - __builtin_clzll(bytes - 1)); /* the power below it */
  uint64_t step = half / 4;
  return (bytes + step - 1) / step * step;
}

static uint64_t string_bytes(uint64_t length) {
  uint64_t head = 9;
  if (length < 32)
    head = 1;
  else if (length < 1u << 8)
    head = 3;
  else if (length < 1u << 16)
    head = 5;
  return memory_rounded(head + length + 1);
}

static uint64_t object_bytes(uint64_t length) {
  if (length <= EMBEDDED_MAX) return memory_rounded(OBJECT_BYTES + 4 + length);
  return OBJECT_BYTES + string_bytes(length);
}

uint32_t memory_of_key(const struct redis_config *config, uint64_t key_length,
                       uint64_t value_length, bool expires) {
  uint64_t entry = memory_rounded(config->topology == REDIS_CLUSTER ? 40 : 24);
  uint64_t bytes = entry + string_bytes(key_length) + object_bytes(value_length) +
                   (expires ? memory_rounded(24) : 0);
  return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

uint64_t memory_of_write(uint64_t key_length, uint64_t value_length) {
  return object_bytes(key_length) + object_bytes(value_length);
}

/* A table grows when it is full, and shrinks when it is nearly empty. */
static uint64_t table_bytes(uint64_t *size, uint64_t keys) {
  if (*size < TABLE_FIRST) *size = TABLE_FIRST;
  if (keys * 100 < *size * TABLE_LEAST) *size = TABLE_FIRST;
  while (*size < keys) *size *= 2;
  return keys > 0 ? *size * 8 : 0;
}

static uint64_t backlog_bytes(const struct sim_redis *server) {
  const struct redis_config *config = redis_config_of(server);
  bool has = config->topology == REDIS_SENTINEL ||
             (config->topology == REDIS_CLUSTER && config->replicas > 0);
  uint64_t written = data_offset(&server->data, server->data.count);
  if (!has) return 0;
  return written < REDIS_BACKLOG_BYTES ? written : REDIS_BACKLOG_BYTES;
}

uint64_t memory_used(struct sim_redis *server) {
  data_map(server);
  const struct sim_data *data = &server->data;
  struct sim_redis_heap *heap = &server->heap;
  return STARTUP_BYTES + (uint64_t)server->client_count * CLIENT_BYTES + backlog_bytes(server) +
         table_bytes(&heap->table_sizes[0], data->present) +
         table_bytes(&heap->table_sizes[1], data->expiring) + data->bytes;
}

/* --- settings -------------------------------------------------------------------------------- */

void memory_read_settings(struct sim_redis_cluster *cluster) {
  const struct redis_config *config = cluster->config;
  struct sim_redis_policy *policy = &cluster->policy;
  *policy = (struct sim_redis_policy){.limit_bytes = config->maxmemory_bytes,
                                      .policy = config->maxmemory_policy,
                                      .samples = 5,
                                      .tenacity = 10,
                                      .log_factor = 10,
                                      .decay_min = 1,
                                      .replicas_ignored = true};
  const struct {
    const char *name;
    uint32_t *value, most;
  } numbers[] = {{"maxmemory-samples", &policy->samples, 64},
                 {"maxmemory-eviction-tenacity", &policy->tenacity, 100},
                 {"lfu-log-factor", &policy->log_factor, INT32_MAX},
                 {"lfu-decay-time", &policy->decay_min, INT32_MAX}};
  for (uint32_t i = 0; i < config->settings.count; i++) {
    const struct setting *setting = &config->settings.items[i];
    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
      if (strcasecmp(setting->name, numbers[n].name) != 0) continue;
      unsigned long value = strtoul(setting->value, NULL, 10);
      *numbers[n].value = value < numbers[n].most ? (uint32_t)value : numbers[n].most;
    }
    if (strcasecmp(setting->name, "replica-ignore-maxmemory") == 0)
      policy->replicas_ignored = strcasecmp(setting->value, "no") != 0;
  }
  if (policy->samples == 0) policy->samples = 1;
}

void memory_init(struct sim_redis *server) {
  char stream[32];
  snprintf(stream, sizeof stream, "sim/redis/keys/%u", (unsigned)server->member);
  prng_init(&server->heap.prng, server->cluster->world->seed, stream);
  if (server->cluster->policy.limit_bytes > 0) keyspace_keep(server);
}

/* What was counted was counted by the process that died; a value that is loaded is new. */
void memory_started(struct sim_redis *server) {
  struct sim_redis_heap *heap = &server->heap;
  heap->evicted = heap->expired = heap->refused = heap->hits = heap->misses = 0;
  heap->pool_count = heap->cursor = 0;
  heap->evicting = heap->expiring = false;
  heap->table_sizes[0] = heap->table_sizes[1] = 0;
  heap->loaded_ns = redis_now_ns(server);
  for (uint32_t i = 0; i < heap->keys.count; i++) {
    struct sim_redis_key *key = &heap->keys.all[i];
    key->clock = memory_clock_of_new(server, key->entry);
  }
}

void memory_cron(struct sim_redis *server) {
  if (!server->cluster->expires || !redis_is_primary(server)) return;
  data_map(server);
  keyspace_keep(server);
  memory_begin_to_expire(server);
}

/* --- when a key was used --------------------------------------------------------------------- */

static uint64_t wall_s(const struct sim_redis *server, uint64_t time_ns) {
  return (time_ns + server->wall_ns) / NS_PER_S;
}

static bool counts_uses(const struct sim_redis *server) {
  int policy = server->cluster->policy.policy;
  return policy == REDIS_ALLKEYS_LFU || policy == REDIS_VOLATILE_LFU;
}

/* LFU: minutes, of which 16 bits count, and how often it was used, in the logarithm. */
static uint32_t pack(uint64_t time_s, uint32_t counter) {
  return (uint32_t)(time_s / 60 & 0xffff) << 8 | counter;
}

static uint32_t decayed(const struct sim_redis *server, const struct sim_redis_key *key) {
  uint32_t decay_min = server->cluster->policy.decay_min, counter = key->clock & 0xff;
  uint32_t now = (uint32_t)(wall_s(server, redis_now_ns(server)) / 60 & 0xffff);
  uint32_t then = key->clock >> 8, elapsed = now >= then ? now - then : 0xffff - then + now;
  uint32_t periods = decay_min > 0 ? elapsed / decay_min : 0;
  return periods < counter ? counter - periods : 0;
}

static uint32_t used_once_more(struct sim_redis *server, const struct sim_redis_key *key) {
  uint32_t counter = decayed(server, key);
  double above = counter > LFU_FIRST ? counter - LFU_FIRST : 0;
  double chance = 1 / (above * server->cluster->policy.log_factor + 1);
  if (counter < 255 && prng_unit(&server->heap.prng) < chance) counter++;
  return pack(wall_s(server, redis_now_ns(server)), counter);
}

uint32_t memory_clock_of_new(const struct sim_redis *server, const struct sim_redis_entry *entry) {
  uint64_t since_ns = server->heap.loaded_ns;
  if (entry->written_ns > since_ns) since_ns = entry->written_ns;
  uint64_t since_s = wall_s(server, since_ns);
  return counts_uses(server) ? pack(since_s, LFU_FIRST) : (uint32_t)since_s;
}

/* What is written again was used once more; how often it was is not forgotten. */
uint32_t memory_clock_of_changed(struct sim_redis *server, const struct sim_redis_key *key,
                                 const struct sim_redis_entry *entry) {
  return counts_uses(server) ? used_once_more(server, key) : memory_clock_of_new(server, entry);
}

uint64_t memory_score(const struct sim_redis *server, const struct sim_redis_key *key) {
  if (server->cluster->policy.policy == REDIS_VOLATILE_TTL)
    return UINT64_MAX - key->entry->until_ns / NS_PER_MS;
  if (counts_uses(server)) return 255 - decayed(server, key);
  uint64_t now_s = wall_s(server, redis_now_ns(server));
  return now_s > key->clock ? now_s - key->clock : 0;
}

/* While a child writes a snapshot nothing is touched, to leave the pages shared. */
static void touch(struct sim_redis *server, const struct sim_redis_entry *entry) {
  if (!server->heap.keys.kept || server->disk.saving != UINT64_MAX) return;
  struct sim_redis_key *key = keyspace_find(server, entry->key, entry->key_length);
  if (!key) return;
  key->clock = counts_uses(server) ? used_once_more(server, key)
                                   : (uint32_t)wall_s(server, redis_now_ns(server));
}

const struct sim_redis_entry *memory_look_up(struct sim_redis *server, const char *key,
                                             size_t length, bool read) {
  const struct sim_redis_entry *entry = data_newest(server, key, length);
  if (!data_holds(server, entry)) entry = NULL;
  if (entry && entry->until_ns > 0 && entry->until_ns <= redis_now_ns(server)) {
    if (redis_is_primary(server) && server->paused_until_ns == 0 &&
        data_remove(server, entry, SIM_REDIS_EXPIRED)) {
      server->heap.expired++;
      stream_push(server, false);
    }
    entry = NULL;
  }
  if (entry) touch(server, entry);
  if (read && entry) server->heap.hits++;
  if (read && !entry) server->heap.misses++;
  return entry;
}

/* --- looking at it --------------------------------------------------------------------------- */

void sim_redis_memory(struct sim_redis_cluster *cluster, uint32_t member,
                      struct sim_redis_memory *ret) {
  struct sim_redis *server = &cluster->servers[member];
  const struct sim_redis_heap *heap = &server->heap;
  *ret = (struct sim_redis_memory){.used_bytes = memory_used(server),
                                   .evicted = heap->evicted,
                                   .expired = heap->expired,
                                   .refused = heap->refused,
                                   .hits = heap->hits,
                                   .misses = heap->misses};
}

/* What its allocator keeps beside what is used: a tenth, as a server that grows has it. */
uint64_t sim_redis_resident(struct sim_redis_cluster *cluster, const struct sim_process *process) {
  for (uint32_t i = 0; i < cluster->count; i++) {
    struct sim_redis *server = &cluster->servers[i];
    if (process != &server->program.process || !process->running) continue;
    uint64_t used = memory_used(server);
    return RESIDENT_BYTES + used + used / 10;
  }
  return 0;
}
