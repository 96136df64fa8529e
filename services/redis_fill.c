/* Fills a Redis server's memory with keys that no workload knows: shared by the service on real
 * hosts and by its model. */
#include <inttypes.h>
#include <stdio.h>

#include "services/redis_parameters.h"

/* A long fill is waited for. */
#define TIMEOUT_NS (120 * NS_PER_S)
/* The limit is met to this part of it. */
#define CHUNK_PART 256u
#define CHUNK_MIN (UINT64_C(4) << 10)
#define CHUNK_MAX (UINT64_C(4) << 20)

uint64_t redis_memory_limit(const void *config) {
  return ((const struct redis_config *)config)->maxmemory_bytes;
}

static uint64_t chunk_of(uint64_t limit_bytes) {
  uint64_t chunk = limit_bytes / CHUNK_PART;
  if (chunk < CHUNK_MIN) return CHUNK_MIN;
  return chunk < CHUNK_MAX ? chunk : CHUNK_MAX;
}

int redis_fill(const struct service_instance *service, uint32_t member,
               const struct redis_filling *filling, uint64_t more_bytes, struct error *err) {
  const struct redis_config *config = service->config;
  struct service_memory memory = {.used_bytes = 0};
  int status = filling->look(filling->data, &memory, err);
  if (status < 0) return status;
  if (memory.limit_bytes == 0)
    return error_set(err, STATUS_USAGE, "%s has no maxmemory", filling->name);
  const uint64_t evicted = memory.evicted, chunk = chunk_of(memory.limit_bytes);
  const uint64_t began_ns = clock_now_ns(service->clock);
  bool full = memory.used_bytes >= memory.limit_bytes, refused = false;
  char tag[REDIS_TAG_SIZE], key[96];
  redis_shard_tag(redis_first_shard(config, member), redis_shards(config), tag);
  for (uint64_t i = 0, more = 0; (!full || more < more_bytes) && !refused; i++) {
    snprintf(key, sizeof key, REDIS_FILLER "%s%" PRIx64 ":%" PRIu64, tag, began_ns, i);
    if (full) more += chunk;
    status = filling->add(filling->data, key, chunk, &refused, err);
    if (status == 0 && !full) status = filling->look(filling->data, &memory, err);
    if (status < 0) return status;
    full = full || memory.used_bytes >= memory.limit_bytes || memory.evicted > evicted;
    if (clock_now_ns(service->clock) - began_ns > TIMEOUT_NS)
      return error_set(err, STATUS_TIMEOUT, "%s was not full in time", filling->name);
  }
  return 0;
}
