/* The keys that a simulated Redis server has, one by one: kept where it must choose among them, to
 * throw some away or to find those whose time is over. Both lists are in no order at all, and stay
 * so: whoever is next to whom was drawn when it came. So a few that follow each other from a random
 * place on are a random choice, as the keys of a few buckets of a hash table are, and going through
 * them meets each once. */
#ifndef GAMEDAY_CLUSTERS_SIM_REDIS_KEYSPACE_H
#define GAMEDAY_CLUSTERS_SIM_REDIS_KEYSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_NONE UINT32_MAX

struct sim_redis;
struct sim_redis_entry;

struct sim_redis_key {
  const struct sim_redis_entry *entry;
  uint32_t place;   /* in the data's places */
  uint32_t expires; /* in `expires`; KEY_NONE: it has no time to live */
  uint32_t clock;   /* of its last use, as policy_clock() has it */
};
struct sim_redis_keys {
  bool kept;
  struct sim_redis_key *all;
  uint32_t *expires; /* of those with a time to live, their places in `all` */
  uint32_t *slots;   /* by place of the data: 1 + where in `all`; 0: nowhere */
  uint32_t count, expires_count, capacity;
};

/* Begins to keep them, with those that are there; again is fine. Out of memory is noted, and ends
 * the keeping: the run is not to be trusted then. */
void keyspace_keep(struct sim_redis *server);
/* All are gone, and the places too. */
void keyspace_clear(struct sim_redis *server);
void keyspace_release(struct sim_redis *server);
/* `entry` is the newest of the key at `place` from now on. Only while they are kept. */
void keyspace_put(struct sim_redis *server, uint64_t place, const struct sim_redis_entry *entry);
/* NULL: there is none, or they are not kept. Valid until something is written. */
struct sim_redis_key *keyspace_find(struct sim_redis *server, const char *key, size_t length);

#endif
