/* When a replica counts as following its primary, and when a `redis` is redundant. A primary lists
 * a replica that lost power as online until its time-out, a minute by default, and a replica keeps
 * its link as long; but neither end of a cut link hears the other. */
#include "services/redis_redundancy.h"

/* Whether a replica has the stream of the one it names, by what both said last. */
static bool hears(const struct redis_word *words, uint32_t member) {
  const struct redis_word *replica = &words[member];
  uint32_t bit = UINT32_C(1) << member;
  if (!replica->answers || replica->primary || !replica->link_up || replica->from == UINT32_MAX)
    return false;
  const struct redis_word *from = &words[replica->from];
  return from->answers && replica->history == from->history && (from->listed & bit) &&
         !(from->overdue & bit);
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

static bool shard_redundant(const struct redis_word *words, uint32_t count, uint16_t shard,
                            uint64_t lag_bound_bytes) {
  uint32_t primary = redis_one_primary(words, count, shard);
  if (primary == UINT32_MAX) return false;
  for (uint32_t i = 0; i < count; i++) {
    if (i == primary || (shard && words[i].shard != shard)) continue;
    if (!redis_follows(words, i, primary) || words[i].lag > lag_bound_bytes) return false;
  }
  return true;
}

bool redis_words_redundant(const struct redis_word *words, uint32_t count, uint16_t shards,
                           uint64_t lag_bound_bytes) {
  if (shards == 0) return shard_redundant(words, count, 0, lag_bound_bytes);
  for (uint16_t shard = 1; shard <= shards; shard++)
    if (!shard_redundant(words, count, shard, lag_bound_bytes)) return false;
  return true;
}
