/* Keys one by one. */
#include "sim/redis_keyspace.h"

#include <stdlib.h>
#include <string.h>

#include "sim/redis_internal.h"
#include "sim/redis_memory.h"

#define KEYS_FIRST 1024u

/* --- two lists, each of which knows where a key is in the other ------------------------------- */

static void set(struct sim_redis_keys *keys, uint32_t index, const struct sim_redis_key *key) {
  keys->all[index] = *key;
  keys->slots[key->place] = index + 1;
  if (key->expires != KEY_NONE) keys->expires[key->expires] = index;
}

static void set_expiring(struct sim_redis_keys *keys, uint32_t index, uint32_t key) {
  keys->expires[index] = key;
  keys->all[key].expires = index;
}

/* At a random place; who was there goes to the end. */
static void begin_to_expire(struct sim_redis *server, uint32_t index) {
  struct sim_redis_keys *keys = &server->heap.keys;
  uint32_t last = keys->expires_count++;
  uint32_t at = (uint32_t)prng_below(&server->heap.prng, last + 1);
  if (at != last) set_expiring(keys, last, keys->expires[at]);
  set_expiring(keys, at, index);
}

static void end_to_expire(struct sim_redis_keys *keys, uint32_t index) {
  uint32_t at = keys->all[index].expires, last = --keys->expires_count;
  if (at != last) set_expiring(keys, at, keys->expires[last]);
  keys->all[index].expires = KEY_NONE;
}

static bool make_room(struct sim_redis *server) {
  struct sim_redis_keys *keys = &server->heap.keys;
  if (keys->count < keys->capacity) return true;
  uint32_t capacity = keys->capacity ? keys->capacity * 2 : KEYS_FIRST;
  struct sim_redis_key *all = realloc(keys->all, capacity * sizeof *all);
  if (all) keys->all = all;
  uint32_t *expires = realloc(keys->expires, capacity * sizeof *expires);
  if (expires) keys->expires = expires;
  if (!all || !expires) {
    server->cluster->world->out_of_memory = true;
    keyspace_release(server);
    return false;
  }
  keys->capacity = capacity;
  return true;
}

static void add(struct sim_redis *server, uint64_t place, const struct sim_redis_entry *entry) {
  struct sim_redis_keys *keys = &server->heap.keys;
  if (!make_room(server)) return;
  uint32_t last = keys->count++, at = (uint32_t)prng_below(&server->heap.prng, last + 1);
  if (at != last) {
    const struct sim_redis_key moved = keys->all[at];
    set(keys, last, &moved);
  }
  const struct sim_redis_key key = {.entry = entry,
                                    .place = (uint32_t)place,
                                    .expires = KEY_NONE,
                                    .clock = memory_clock_of_new(server, entry)};
  set(keys, at, &key);
  if (entry->until_ns > 0) begin_to_expire(server, at);
}

static void forget(struct sim_redis_keys *keys, uint32_t index) {
  if (keys->all[index].expires != KEY_NONE) end_to_expire(keys, index);
  keys->slots[keys->all[index].place] = 0;
  uint32_t last = --keys->count;
  if (index == last) return;
  const struct sim_redis_key moved = keys->all[last];
  set(keys, index, &moved);
}

static void replace(struct sim_redis *server, uint32_t index, const struct sim_redis_entry *entry) {
  struct sim_redis_keys *keys = &server->heap.keys;
  struct sim_redis_key *key = &keys->all[index];
  key->entry = entry;
  key->clock = memory_clock_of_changed(server, key, entry);
  if (entry->until_ns == 0 && key->expires != KEY_NONE) end_to_expire(keys, index);
  if (entry->until_ns > 0 && key->expires == KEY_NONE) begin_to_expire(server, index);
}

void keyspace_put(struct sim_redis *server, uint64_t place, const struct sim_redis_entry *entry) {
  struct sim_redis_keys *keys = &server->heap.keys;
  uint32_t slot = keys->slots[place];
  bool there = data_holds(server, entry);
  if (slot > 0 && there)
    replace(server, slot - 1, entry);
  else if (slot > 0)
    forget(keys, slot - 1);
  else if (there)
    add(server, place, entry);
}

/* --- all of them ----------------------------------------------------------------------------- */

void keyspace_keep(struct sim_redis *server) {
  struct sim_redis_keys *keys = &server->heap.keys;
  struct sim_data *data = &server->data;
  if (keys->kept) return;
  if (data->place_count > 0) {
    keys->slots = calloc(data->place_count, sizeof *keys->slots);
    if (!keys->slots) {
      server->cluster->world->out_of_memory = true;
      return;
    }
  }
  keys->kept = true;
  for (uint64_t i = 0; i < data->place_count && keys->kept; i++)
    if (data->places[i]) keyspace_put(server, i, data->places[i]);
}

void keyspace_clear(struct sim_redis *server) {
  struct sim_redis_keys *keys = &server->heap.keys;
  keys->count = keys->expires_count = 0;
  if (keys->slots) memset(keys->slots, 0, server->data.place_count * sizeof *keys->slots);
}

void keyspace_release(struct sim_redis *server) {
  struct sim_redis_keys *keys = &server->heap.keys;
  free(keys->all);
  free(keys->expires);
  free(keys->slots);
  *keys = (struct sim_redis_keys){.kept = false};
}

struct sim_redis_key *keyspace_find(struct sim_redis *server, const char *key, size_t length) {
  struct sim_redis_keys *keys = &server->heap.keys;
  uint64_t place = 0;
  if (!keys->kept || !data_place(server, key, length, &place) || keys->slots[place] == 0)
    return NULL;
  return &keys->all[keys->slots[place] - 1];
}
