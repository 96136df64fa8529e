/* A Redis server's data set: the writes that made it, and by key. */
#include <stdlib.h>
#include <string.h>

#include "sim/redis_internal.h"

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

const struct sim_redis_entry *data_append(struct sim_redis *server, const char *key,
                                          size_t key_length, const char *value,
                                          size_t value_length) {
  return data_append_until(server, key, key_length, value, value_length, 0);
}

const struct sim_redis_entry *data_append_until(struct sim_redis *server, const char *key,
                                                size_t key_length, const char *value,
                                                size_t value_length, uint64_t until_ns) {
  struct sim_redis_cluster *cluster = server->cluster;
  struct sim_data *data = &server->data;
  if (!make_room(server, data->count + 1)) return NULL;
  struct sim_redis_entry *entry = arena_alloc(&cluster->arena, sizeof *entry);
  char *text = arena_alloc(&cluster->arena, key_length + value_length + 2);
  if (!entry || !text) {
    cluster->world->out_of_memory = true;
    return NULL;
  }
  memcpy(text, key, key_length);
  memcpy(text + key_length + 1, value, value_length);
  const struct sim_redis_entry *last = data_last(data);
  *entry = (struct sim_redis_entry){
      .previous = last,
      .key = text,
      .value = text + key_length + 1,
      .hash = hash_of(key, key_length),
      .index = data->count + 1,
      .offset = data_offset(data, data->count) + COMMAND_BYTES + key_length + value_length,
      .written_ns = redis_now_ns(server),
      .until_ns = until_ns,
      .table = cluster->table};
  data->entries[data->count++] = entry;
  return entry;
}

void data_truncate(struct sim_data *data, uint64_t count) {
  if (count >= data->count) return;
  data->count = count;
  if (data->mapped <= count) return;
  memset(data->places, 0, data->place_count * sizeof(void *));
  data->mapped = data->used = 0;
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
  data_truncate(data, common ? common->index : 0);
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
    if (!entry || (entry->hash == hash && strncmp(entry->key, key, length) == 0 &&
                   entry->key[length] == '\0'))
      return place;
  }
}

static void put(struct sim_data *data, const struct sim_redis_entry *entry) {
  const struct sim_redis_entry **place =
      place_of(data, entry->hash, entry->key, strlen(entry->key));
  if (!*place) data->used++;
  *place = entry;
}

static bool grow(struct sim_redis *server) {
  struct sim_data *data = &server->data;
  struct sim_data larger = {.place_count = data->place_count ? data->place_count * 2 : 1024};
  larger.places = calloc(larger.place_count, sizeof(void *));
  if (!larger.places) {
    server->cluster->world->out_of_memory = true;
    return false;
  }
  for (uint64_t i = 0; i < data->place_count; i++)
    if (data->places[i]) put(&larger, data->places[i]);
  free(data->places);
  data->places = larger.places;
  data->place_count = larger.place_count;
  return true;
}

static bool map(struct sim_redis *server) {
  struct sim_data *data = &server->data;
  for (; data->mapped < data->count; data->mapped++) {
    if (data->used * 2 >= data->place_count && !grow(server)) return false;
    put(data, data->entries[data->mapped]);
  }
  return data->place_count > 0;
}

const struct sim_redis_entry *data_find(struct sim_redis *server, const char *key, size_t length) {
  if (!map(server)) return NULL;
  const struct sim_redis_entry *entry = *place_of(&server->data, hash_of(key, length), key, length);
  if (!entry || entry->table != server->cluster->table) return NULL;
  return entry->until_ns > 0 && entry->until_ns <= redis_now_ns(server) ? NULL : entry;
}

bool data_is_newest(struct sim_redis *server, const struct sim_redis_entry *entry) {
  return data_find(server, entry->key, strlen(entry->key)) == entry;
}

void data_release(struct sim_data *data) {
  free(data->entries);
  free(data->places);
  data->entries = data->places = NULL;
}
