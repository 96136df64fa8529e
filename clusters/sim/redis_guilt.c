/* Bugs that are built into simulated Redis servers, one at a time; docs/simulator.md. */
#include "sim/redis_internal.h"
#include "sim/sim.h"

void sim_redis_set_guilt(struct sim_redis_cluster *cluster, int guilt, uint64_t seed) {
  cluster->guilt = (struct sim_redis_guilt){.kind = guilt};
  prng_init(&cluster->guilt.prng, seed, "sim/redis/guilt");
}

bool redis_guilt_stays_primary(struct sim_redis *server) {
  (void)server;
  return false;
}

const struct sim_redis_entry *redis_guilt_seen(struct sim_redis *server, const char *key,
                                               size_t length, const struct sim_redis_entry *entry) {
  (void)server;
  (void)key;
  (void)length;
  return entry;
}

bool redis_guilt_drops(struct sim_redis *server, const char *key, size_t length) {
  (void)server;
  (void)key;
  (void)length;
  return false;
}
