/* A Redis server's data set: the writes that made it, and by key. */
#include <stdlib.h>
#include <string.h>

#include "sim/redis_memory.h"

/* Bytes of a command in the replication stream beside key and value: "*3\r\n$3\r\nSET\r\n..." */
#define COMMAND_BYTES 28

/* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t hash_of(const char *key, size_t length) {
  uint64_t hash = UINT64_C(14695981039346656037);
  for (size_t i = 0; i < length; i++) {
    hash ^= (unsigned char)key[i];
    hash *= UINT64_C(1099511628211);
  }
  return hash;
}

const struct sim_redis_entry *data_last(const struct sim_data *data) {
  return data->count > 0 ? data->entries[data->count - 1] : NULL;
}

uint64_t data_offset(const struct sim_data *data, uint64_t count) {
  return count > 0 ? data->entries[count - 1]->offset : 0;
}

static bool make_room(struct sim_redis *server, uint64_t count) {
  struct sim_data *data = &server->data;
  if (count <= data->capacity) return true;
  uint64_t capacity = data->capacity ? data->capacity : 1024;
  while (capacity < count) capacity *= 2;
  const struct sim_redis_entry **larger = realloc(data->entries, capacity * sizeof(void *));
  if (!larger) {
    server->cluster->world->out_of_memory = true;
    return false;
  }
  data->entries = larger;
  data->capacity = capacity;
  return true;
}

/* `text_length` bytes of the value are kept, of `value_length`. */
static const struct sim_redis_entry *append(struct sim_redis *server,
                                            const struct sim_redis_entry *entry, const char *value,
                                            size_t text_length, uint64_t value_length) {
  struct sim_redis_cluster *cluster = server->cluster;
  struct sim_data *data = &server->data;
  if (!make_room(server, data->count + 1)) return NULL;
  struct sim_redis_entry *new = arena_alloc(&cluster->arena, sizeof *new);
  char *text = arena_alloc(&cluster->arena, entry->key_length + text_length + 2);
  if (!new || !text) {
    cluster->world->out_of_memory = true;
    return NULL;
  }
  memcpy(text, entry->key, entry->key_length);
  memcpy(text + entry->key_length + 1, value, text_length);
  const uint64_t offset = data_offset(data, data->count);
  *new = (struct sim_redis_entry){
      .previous = data_last(data),
      .key = text,
      .value = text + entry->key_length + 1,
      .hash = hash_of(entry->key, entry->key_length),
      .index = data->count + 1,
      .offset = offset + COMMAND_BYTES + entry->key_length + value_length,
      .written_ns = redis_now_ns(server),
      .until_ns = entry->until_ns,
      .table = cluster->table,
      .key_length = entry->key_length,
      .memory = memory_of_key(cluster->config, entry->key_length, value_length,
                              entry->until_ns > SIM_REDIS_EVICTED)};
  if (new->until_ns > SIM_REDIS_EVICTED) cluster->expires = true;
  data->entries[data->count++] = new;
  return new;
}

const struct sim_redis_entry *data_append(struct sim_redis *server, const char *key,
                                          size_t key_length, const char *value,
                                          size_t value_length) {
  return data_append_until(server, key, key_length, value, value_length, 0);
}

const struct sim_redis_entry *data_append_until(struct sim_redis *server, const char *key,
                                                size_t key_length, const char *value,
                                                size_t value_length, uint64_t until_ns) {
  const struct sim_redis_entry entry = {
      .key = key, .key_length = (uint32_t)key_length, .until_ns = until_ns};
  return append(server, &entry, value, value_length, value_length);
}

const struct sim_redis_entry *data_append_zeros(struct sim_redis *server, const char *key,
                                                uint64_t bytes) {
  const struct sim_redis_entry entry = {.key = key, .key_length = (uint32_t)strlen(key)};
  return append(server, &entry, "", 0, bytes);
}

const struct sim_redis_entry *data_remove(struct sim_redis *server,
                                          const struct sim_redis_entry *entry, uint64_t why) {
  return data_append_until(server, entry->key, entry->key_length, "", 0, why);
}

/* Nothing is known by key. */
static void unmap(struct sim_redis *server) {
  struct sim_data *data = &server->data;
  if (data->places) memset(data->places, 0, data->place_count * sizeof(void *));
  data->mapped = data->used = data->bytes = data->present = data->expiring = 0;
  keyspace_clear(server);
}

void data_truncate(struct sim_redis *server, uint64_t count) {
  struct sim_data *data = &server->data;
  if (count >= data->count) return;
  data->count = count;
  if (data->mapped > count) unmap(server);
}

bool data_has(const struct sim_data *data, const struct sim_redis_entry *last) {
  if (!last) return true;
  return last->index <= data->count && data->entries[last->index - 1] == last;
}

bool data_become(struct sim_redis *server, const struct sim_redis_entry *last) {
  struct sim_data *data = &server->data;
  const struct sim_redis_entry *common = last;
  while (common && !data_has(data, common)) common = common->previous;
  if (!make_room(server, last ? last->index : 0)) return false;
  data_truncate(server, common ? common->index : 0);
  for (const struct sim_redis_entry *entry = last; entry != common; entry = entry->previous)
    data->entries[entry->index - 1] = entry;
  data->count = last ? last->index : 0;
  return true;
}

/* --- by key ---------------------------------------------------------------------------------- */

static const struct sim_redis_entry **place_of(const struct sim_data *data, uint64_t hash,
                                               const char *key, size_t length) {
  for (uint64_t i = hash;; i++) {
    const struct sim_redis_entry **place = &data->places[i & (data->place_count - 1)];
    const struct sim_redis_entry *entry = *place;
    if (!entry || (entry->hash == hash && entry->key_length == length &&
                   memcmp(entry->key, key, length) == 0))
      return place;
  }
}

/* `sign`: 1 it comes, -1 it goes. */
static void count(struct sim_redis *server, const struct sim_redis_entry *entry, int sign) {
  struct sim_data *data = &server->data;
  if (!data_holds(server, entry)) return;
  data->bytes += (uint64_t)(sign * (int64_t)entry->memory);
  data->present += (uint64_t)sign;
  if (entry->until_ns > 0) data->expiring += (uint64_t)sign;
}

static void put(struct sim_redis *server, const struct sim_redis_entry *entry) {
  struct sim_data *data = &server->data;
  const struct sim_redis_entry **place = place_of(data, entry->hash, entry->key, entry->key_length);
  if (!*place) data->used++;
  count(server, *place, -1);
  count(server, entry, 1);
  *place = entry;
  if (server->heap.keys.kept) keyspace_put(server, (uint64_t)(place - data->places), entry);
}

/* The keys' own list finds them at their new places. */
static bool grow(struct sim_redis *server) {
  struct sim_data *data = &server->data;
  struct sim_redis_keys *keys = &server->heap.keys;
  struct sim_data larger = {.place_count = data->place_count ? data->place_count * 2 : 1024};
  larger.places = calloc(larger.place_count, sizeof(void *));
  uint32_t *slots = keys->kept ? calloc(larger.place_count, sizeof *slots) : NULL;
  if (!larger.places || (keys->kept && !slots) || larger.place_count > UINT32_MAX) {
    free(larger.places);
    free(slots);
    server->cluster->world->out_of_memory = true;
    return false;
  }
  for (uint64_t i = 0; i < data->place_count; i++) {
    const struct sim_redis_entry *entry = data->places[i];
    if (!entry) continue;
    const struct sim_redis_entry **place =
        place_of(&larger, entry->hash, entry->key, entry->key_length);
    *place = entry;
    if (!slots || keys->slots[i] == 0) continue;
    uint64_t at = (uint64_t)(place - larger.places);
    slots[at] = keys->slots[i];
    keys->all[slots[at] - 1].place = (uint32_t)at;
  }
  free(data->places);
  free(keys->slots);
  data->places = larger.places;
  data->place_count = larger.place_count;
  keys->slots = slots;
  return true;
}

bool data_map(struct sim_redis *server) {
  struct sim_data *data = &server->data;
  if (data->table != server->cluster->table) { /* whatever was there is removed */
    data->table = server->cluster->table;
    data->bytes = data->present = data->expiring = 0;
    keyspace_clear(server);
  }
  for (; data->mapped < data->count; data->mapped++) {
    if (data->used * 2 >= data->place_count && !grow(server)) return false;
    put(server, data->entries[data->mapped]);
  }
  return data->place_count > 0;
}

bool data_place(struct sim_redis *server, const char *key, size_t length, uint64_t *ret_place) {
  if (!data_map(server)) return false;
  const struct sim_redis_entry **place = place_of(&server->data, hash_of(key, length), key, length);
  if (!*place) return false;
  *ret_place = (uint64_t)(place - server->data.places);
  return true;
}

const struct sim_redis_entry *data_newest(struct sim_redis *server, const char *key,
                                          size_t length) {
  uint64_t place = 0;
  return data_place(server, key, length, &place) ? server->data.places[place] : NULL;
}

const struct sim_redis_entry *data_find(struct sim_redis *server, const char *key, size_t length) {
  const struct sim_redis_entry *entry = data_newest(server, key, length);
  if (!data_holds(server, entry)) return NULL;
  return entry->until_ns > 0 && entry->until_ns <= redis_now_ns(server) ? NULL : entry;
}

bool data_is_newest(struct sim_redis *server, const struct sim_redis_entry *entry) {
  if (!data_map(server) || !data_holds(server, entry)) return false;
  if (entry->until_ns > 0 && entry->until_ns <= redis_now_ns(server)) return false;
  return *place_of(&server->data, entry->hash, entry->key, entry->key_length) == entry;
}

void data_release(struct sim_redis *server) {
  struct sim_data *data = &server->data;
  keyspace_release(server);
  free(data->entries);
  free(data->places);
  data->entries = data->places = NULL;
}
