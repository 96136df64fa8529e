/* When a replica counts as following its primary, and when a `redis` is redundant. A primary lists
 * a replica that lost power as online until its time-out, a minute by default, and a replica keeps
 * its link as long; but neither end of a cut link hears the other. */
#include "services/redis_redundancy.h"

/* Whether a replica has the stream of the one it names, by what both said last. */
static bool hears(const struct redis_word *words, uint32_t member) {
  const struct redis_word *replica = &words[member];
  if (!replica->answers || replica->primary || !replica->link_up || replica->from == UINT32_MAX)
    return false;
  const struct redis_word *from = &words[replica->from];
  return from->answers && replica->history == from->history && bits_has(&from->listed, member) &&
         !bits_has(&from->overdue, member);
}

bool redis_follows(const struct redis_word *words, uint32_t member, uint32_t primary) {
  /* As many steps as there may be members: replicas can follow each other in a circle. */
  for (uint32_t i = 0; i < REDIS_INSTANCES_MAX && member != primary; i++) {
    if (!hears(words, member)) return false;
    member = words[member].from;
    if (member == primary) return words[primary].primary;
  }
  return false;
}

uint32_t redis_one_primary(const struct redis_word *words, uint32_t count, uint16_t shard) {
  uint32_t found = UINT32_MAX;
  for (uint32_t i = 0; i < count; i++) {
    if (!words[i].answers || !words[i].writable || (shard && words[i].shard != shard)) continue;
    if (found != UINT32_MAX) return UINT32_MAX;
    found = i;
  }
  return found;
}

void redis_primaries(const struct redis_word *words, uint32_t count, uint16_t shards,
                     uint32_t *ret_primaries) {
  bool several[REDIS_SHARDS_MAX] = {false};
  for (uint32_t s = 0; s < shards; s++) ret_primaries[s] = UINT32_MAX;
  for (uint32_t i = 0; i < count; i++) {
    uint16_t shard = words[i].shard;
    if (!words[i].answers || !words[i].writable || shard == 0 || shard > shards) continue;
    if (ret_primaries[shard - 1] != UINT32_MAX) several[shard - 1] = true;
    ret_primaries[shard - 1] = i;
  }
  for (uint32_t s = 0; s < shards; s++)
    if (several[s]) ret_primaries[s] = UINT32_MAX;
}

static bool all_redundant(const struct redis_word *words, uint32_t count,
                          uint64_t lag_bound_bytes) {
  uint32_t primary = redis_one_primary(words, count, 0);
  if (primary == UINT32_MAX) return false;
  for (uint32_t i = 0; i < count; i++) {
    if (i == primary) continue;
    if (!redis_follows(words, i, primary) || words[i].lag > lag_bound_bytes) return false;
  }
  return true;
}

bool redis_words_redundant(const struct redis_word *words, uint32_t count, uint16_t shards,
                           uint64_t lag_bound_bytes) {
  if (shards == 0) return all_redundant(words, count, lag_bound_bytes);
  uint32_t primaries[REDIS_SHARDS_MAX];
  redis_primaries(words, count, shards, primaries);
  for (uint32_t s = 0; s < shards; s++)
    if (primaries[s] == UINT32_MAX) return false;
  for (uint32_t i = 0; i < count; i++) {
    uint16_t shard = words[i].shard;
    if (shard == 0 || shard > shards || i == primaries[shard - 1]) continue;
    if (!redis_follows(words, i, primaries[shard - 1]) || words[i].lag > lag_bound_bytes)
      return false;
  }
  return true;
}
