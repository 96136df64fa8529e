/* The configuration of redis-register, for its tests. */
#ifndef GAMEDAY_WORKLOAD_REDIS_REGISTER_H
#define GAMEDAY_WORKLOAD_REDIS_REGISTER_H

#include "gameday/workload.h"

struct redis_register_config {
  struct client_options options; /* first: of it are rows that others share */
  double rate;
  uint32_t clients, keys;
  double write_ratio, cas_ratio;
  int arrival;
  double pinned_rate;
};

/* Indices of its statements, and the numbers of their requests. */
enum redis_register_statement {
  REDIS_REGISTER_READ,  /* register */
  REDIS_REGISTER_WRITE, /* register, identity, sequence */
  REDIS_REGISTER_CAS,   /* register, expected identity, expected sequence, identity, sequence */
};

/* operation.value of its operations: the register's number, and a sequence. */
#define REGISTER_SHIFT 48
static inline uint64_t register_value(uint64_t number, uint64_t sequence) {
  return number << REGISTER_SHIFT | sequence;
}

extern const struct workload workload_redis_register;

#endif
