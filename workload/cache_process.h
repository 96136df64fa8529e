/* What the readers of cache-aside on one client host share, as threads of one process do: who makes
 * which value anew, and who waits for it. And their chance. The thread of their loop. */
#ifndef GAMEDAY_WORKLOAD_CACHE_PROCESS_H
#define GAMEDAY_WORKLOAD_CACHE_PROCESS_H

#include "gameday/workload.h"

enum reading_stage {
  READING_BEGIN,
  READING_ASK,      /* the cache was asked */
  READING_JOIN,     /* single-flight: waits for the leader */
  READING_LOCK,     /* lock: asked for */
  READING_POLL,     /* lock: somebody else has it; waits */
  READING_POLL_ASK, /* lock: looks whether the value is there */
  READING_REFRESH,  /* stale-while-revalidate: answered */
  READING_COMPUTE,  /* the database was asked */
  READING_STORE,    /* the value is being written back */
  READING_UNLOCK,
};

/* One read, in steps.state. */
struct reading {
  enum reading_stage stage;
  uint32_t key; /* from 1 */
  struct steps *steps;
  enum cache_source source; /* of the answer, once there is one */
  bool served;              /* there is one, made at stamp_ns */
  uint64_t stamp_ns;        /* run time */
  uint64_t began_ns, cost_ns;
  enum outcome outcome; /* when there is none, and why */
  uint32_t code;
  bool locked;
  uint64_t lock_until_ns;
  /* Of cache_process: */
  bool leads, waits;
  struct reading *next;
};

/* Needs `struct cache_aside_config`. */
int cache_process_new(const struct workload_env *env, void **ret_process, struct error *err);
void cache_process_free(void *process);

/* The key, from 1, whose share of the popularity `unit` (in [0, 1)) falls into. */
uint32_t cache_process_draw(const void *process, double unit);
/* Uniform in [0, 1); not the client's own, from which the schedule comes. */
double cache_process_random(void *process);
/* Whether the reading makes its key's value anew. False: somebody else does, and the reading waits:
 * it is woken with what that one has. */
bool cache_process_lead(void *process, struct reading *reading);
/* The reading is over: if it leads, those that wait get its value, or its failure, and are woken.
 */
void cache_process_release(void *process, struct reading *reading);

#endif
