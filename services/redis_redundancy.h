/* When a replica counts as following its primary, and when a `redis` is redundant: by the words of
 * both ends, never of one alone. Pure; one thread. */
#ifndef GAMEDAY_SERVICES_REDIS_REDUNDANCY_H
#define GAMEDAY_SERVICES_REDIS_REDUNDANCY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "services/redis_parameters.h"

/* For so many seconds a replica may leave its primary without word: it acknowledges every second
 * what it has received, and the primary counts whole seconds. */
#define REDIS_ACKNOWLEDGE_OVERDUE_S 3

/* What a server says, members being numbered as in the service's plan. */
struct redis_word {
  bool answers;
  bool primary;        /* role:master */
  bool writable;       /* a primary that takes writes now */
  uint16_t shard;      /* from 1; 0: there are none */
  uint32_t history;    /* its number; 0: not known */
  uint64_t offset;     /* written, or received */
  uint64_t lag;        /* of a replica that follows: bytes that it lacks */
  uint32_t from;       /* a replica's: the member that it follows; UINT32_MAX: none */
  bool link_up;        /* a replica's: it has the primary's data and its stream */
  struct bits listed;  /* members that it lists as online */
  struct bits overdue; /* of them, who has not acknowledged for too long */
};

/* Whether `member` follows `primary` by what all said last, itself or through another replica:
 * after a split Sentinels leave such a chain as it is for failover_timeout. */
bool redis_follows(const struct redis_word *words, uint32_t member, uint32_t primary);
/* The one member that is a writable primary of the shard (0: of all); UINT32_MAX: none, or several
 * claim to be primary and can be written to. */
uint32_t redis_one_primary(const struct redis_word *words, uint32_t count, uint16_t shard);
/* The same of each shard, shard s in ret_primaries[s - 1]. */
void redis_primaries(const struct redis_word *words, uint32_t count, uint16_t shards,
                     uint32_t *ret_primaries);
/* Whether each shard (`shards` 0: the whole) has one primary, nobody else who answers as primary,
 * and all others follow theirs, no further behind than the bound. */
bool redis_words_redundant(const struct redis_word *words, uint32_t count, uint16_t shards,
                           uint64_t lag_bound_bytes);

#endif
