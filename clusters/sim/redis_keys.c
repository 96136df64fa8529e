/* A simulated Redis server as a cache: its keys are counted and removed, or lost with the server.
 */
#include <string.h>

#include "sim/redis_memory.h"

static bool matches(const char *key, const char *pattern) {
  size_t length = strlen(pattern);
  if (length == 0 || pattern[length - 1] != '*') return strcmp(key, pattern) == 0;
  return strncmp(key, pattern, length - 1) == 0;
}

uint64_t sim_redis_keys(struct sim_redis_cluster *cluster, uint32_t member, const char *pattern,
                        bool remove) {
  struct sim_redis *server = &cluster->servers[member];
  uint64_t matching = 0, count = server->data.count;
  for (uint64_t i = 0; i < count; i++) {
    const struct sim_redis_entry *entry = server->data.entries[i];
    if (!matches(entry->key, pattern) || !data_is_newest(server, entry)) continue;
    matching++;
    if (remove) data_remove(server, entry, SIM_REDIS_REMOVED);
  }
  if (remove && matching > 0) stream_push(server, false);
  return matching;
}

void sim_redis_fill(struct sim_redis_cluster *cluster, uint32_t member, const char *key,
                    uint64_t bytes, bool *ret_refused) {
  struct sim_redis *server = &cluster->servers[member];
  *ret_refused = memory_evict(server, memory_of_write(strlen(key), 1));
  if (*ret_refused) {
    server->heap.refused++;
    return;
  }
  if (!data_append_zeros(server, key, bytes)) return;
  redis_write_delay_ns(server);
  stream_push(server, false);
}

void sim_redis_lose_data(struct sim_redis_cluster *cluster, uint32_t member) {
  struct sim_redis *server = &cluster->servers[member];
  sim_process_kill(&server->program.process);
  data_truncate(server, 0);
  server->disk.saved = server->disk.saved_history = server->disk.flushed = 0;
}
