/* The configuration of redis-ledger, for its tests and benchmarks. */
#ifndef GAMEDAY_WORKLOAD_REDIS_LEDGER_H
#define GAMEDAY_WORKLOAD_REDIS_LEDGER_H

#include "workload/ledger.h"

struct redis_ledger_config {
  struct ledger_config common; /* first */
  uint32_t wait;
  uint64_t wait_timeout_ns;
};

/* Indices of its statements, and the numbers of their requests. */
enum redis_ledger_statement {
  REDIS_LEDGER_APPEND,      /* identity, sequence, checksum; text: payload */
  REDIS_LEDGER_APPEND_WAIT, /* ... checksum, replicas, timeout in ms; text: payload */
  /* As these two, a key of the shard where the session is: */
  REDIS_LEDGER_APPEND_HERE,
  REDIS_LEDGER_APPEND_HERE_WAIT,
  REDIS_LEDGER_READ_OWN,      /* identity, sequence: of the write that was acknowledged last */
  REDIS_LEDGER_HEARTBEAT_SET, /* beat */
  REDIS_LEDGER_HEARTBEAT_SET_SHARD, /* beat, number in the shard's tag */
  REDIS_LEDGER_HEARTBEAT_GET,
};

extern const struct workload workload_redis_ledger;

#endif
