/* A synthetic cluster of three shards: pg1 pg2 pg3 are their primaries, pg4 pg5 pg6 the replicas.
 * Each shard has a client of its own that writes from 10 s to 70 s. */
#ifndef GAMEDAY_TESTS_SHARDS_H
#define GAMEDAY_TESTS_SHARDS_H

#include "support/synthetic.h"

#define SHARD_COUNT 3
#define PG4 3
#define PG5 4
#define PG6 5

/* Hosts of a shard, as bits. */
static inline uint32_t shard_hosts(uint16_t shard) {
  return 1u << (shard - 1) | 1u << (shard + 2);
}

static inline void shards_begin(struct synthetic *it, uint32_t faults) {
  struct synthetic_options options = synthetic_defaults;
  options.hosts = 6;
  options.faults = faults;
  synthetic_begin(it, &options);
  for (uint16_t shard = 1; shard <= SHARD_COUNT; shard++) {
    synthetic_shard_role(it, 5, (uint16_t)(shard - 1), ROLE_PRIMARY, shard);
    synthetic_shard_role(it, 5, (uint16_t)(shard + 2), ROLE_REPLICA, shard);
  }
}

/* Operations on keys of a shard, on the route to its primary, for as long as the run's load. */
static inline void shards_load(struct synthetic *it, uint16_t shard, enum operation_kind kind,
                               const struct synthetic_span *spans, uint32_t count) {
  const struct synthetic_load load = {.kind = kind,
                                      .client = shard,
                                      .shard = shard,
                                      .rate = 50,
                                      .spans = spans,
                                      .span_count = count};
  synthetic_add_load(it, &load);
}

/* Writes that all fare alike, from one time to another. */
static inline void shards_writes(struct synthetic *it, uint16_t shard, double from_s, double to_s,
                                 struct synthetic_span span) {
  const struct synthetic_load load = {
      .shard = shard, .rate = 50, .from_s = from_s, .to_s = to_s, .spans = &span, .span_count = 1};
  synthetic_add_load(it, &load);
}

/* All is well on the primary of the shard; rows are on both hosts. */
static inline struct synthetic_span shard_ok(double from_s, uint16_t host, uint32_t timeline,
                                             uint16_t shard) {
  return (struct synthetic_span){.from_s = from_s,
                                 .outcome = OUTCOME_OK,
                                 .latency_s = 0.002,
                                 .host = host,
                                 .timeline = timeline,
                                 .rows = shard_hosts(shard)};
}

static inline void shards_well(struct synthetic *it, uint16_t shard) {
  const struct synthetic_span span = shard_ok(0, (uint16_t)(shard - 1), shard, shard);
  shards_load(it, shard, OPERATION_WRITE, &span, 1);
}

static inline void shards_all_well(struct synthetic *it) {
  for (uint16_t shard = 1; shard <= SHARD_COUNT; shard++) shards_well(it, shard);
}

/* Writes go on, but on shard 2 nobody answers from 30 s on: its replica is promoted at 51 s and
 * serves from 52 s. Bits of `hosts` have the last 20 writes (0.4 s) before that. */
static inline void shards_failover(struct synthetic *it, uint32_t hosts) {
  struct synthetic_span spans[] = {shard_ok(0, PG2, 2, 2), shard_ok(29.6, PG2, 2, 2), DOWN(30),
                                   shard_ok(52, PG5, 4, 2)};
  spans[1].rows = hosts;
  shards_well(it, 1);
  shards_well(it, 3);
  shards_load(it, 2, OPERATION_WRITE, spans, 4);
  synthetic_shard_role(it, 31, PG2, ROLE_NONE, 2);
  synthetic_event(it, 50, EVENT_LEADER_LOST, FAULT_NONE, PG2, 0, "");
  synthetic_shard_role(it, 51, PG5, ROLE_PRIMARY, 2);
  synthetic_event(it, 51, EVENT_PROMOTED, FAULT_NONE, PG5, 4, "");
  synthetic_shard_role(it, 62, PG2, ROLE_REPLICA, 2);
}

/* That is what fault 0 does, the crash of its primary; nothing is lost. */
static inline void shards_crash(struct synthetic *it) {
  shards_failover(it, shard_hosts(2));
  synthetic_fault(it, 0, PG2, 30, 60);
}

#endif
